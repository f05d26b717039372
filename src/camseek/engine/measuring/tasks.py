"""Protocols made ready for a model: what describes pictures, and which work protocols can share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camseek.backbones import Backbone
from camseek.engine.classes import require_class_ids
from camseek.engine.encoder import Encoder
from camseek.engine.fitting import require_whitening
from camseek.engine.protocol import Protocol
from camseek.errors import SettingsError

I64 = NDArray[np.int64]

Key = tuple[Any, ...]
"""What decides a piece of work: equal keys, the same work."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A protocol and the model that it is measured with.

    Attributes:
        name: What the protocol was called.
        protocol: It.
        model: The network.
        encoder: What describes pictures and queries: class-weighted where the query's classes are summed.
        online: N_C where each query's own most probable classes are summed in every picture; else None.
        vectors: What decides the unwhitened vectors, but for how many of them there are.
        pictures: What decides the database's descriptors, but for the query's classes.
        asked: What decides how queries are read.
    """

    name: str
    protocol: Protocol
    model: Backbone
    encoder: Encoder
    online: int | None
    vectors: Key
    pictures: Key
    asked: Key

    @classmethod
    def of(cls, name: str, protocol: Protocol, model: Backbone) -> "Task":
        """Makes a protocol ready.

        Raises:
            SettingsError: The model has another layer, no classifier where one is needed, or fewer classes
                than a list names; or the whitening takes other vectors.
        """
        settings, plan = protocol.settings, protocol.plan
        _require(protocol, model)
        chosen = plan.predefined or plan.attend or settings.predefined
        count = len(plan.attend) or plan.classes or settings.encoding.classes
        encoder = Encoder(
            settings.encoding,
            model.classifier_weights,
            model.classifier_bias,
            protocol.whitening,
            np.array(chosen, np.int64) if chosen else None,
        )
        if plan.aggregation != "offline":
            encoder = encoder.class_weighted()
            encoder = replace(encoder, encoding=replace(encoder.encoding, classes=count))
        online = count if plan.aggregation == "online" and not plan.attend else None
        whitening = encoder.whitening
        vectors = (replace(encoder.encoding, classes=1), chosen)
        pictures = (*vectors, encoder.encoding.classes, whitening.checksum if whitening else None)
        asked = (protocol.reading, protocol.query_scores, protocol.query_box)
        return cls(name, protocol, model, encoder, online, vectors, pictures, asked)

    @property
    def dimensions(self) -> int:
        """D."""
        whitening = self.encoder.whitening
        return whitening.projection.shape[1] if whitening else self.model.channels

    @property
    def online_key(self) -> Key:
        """What decides the database's descriptors made with the queries' classes."""
        return (*self.pictures, *self.asked)

    @property
    def region_key(self) -> Key:
        """What decides how well a candidate's regions match a query."""
        return (*self.pictures, *self.asked, self.protocol.reranking, self.protocol.plan.attend)

    def told(self) -> dict[str, Any]:
        """The protocol with its model, plain values."""
        return {
            "model": self.model.card.name,
            "model_checksum": self.model.checksum,
            **self.protocol.to_json(),
        }


def _require(protocol: Protocol, model: Backbone) -> None:
    settings, plan = protocol.settings, protocol.plan
    if model.layer != settings.layer:
        raise SettingsError(
            f"the model was loaded with the layer {model.layer}, not {settings.layer}",
            remedy=f"load the model with layer={settings.layer!r}",
        )
    for purpose, needed in (
        ("class-weighted features", settings.encoding.name == "cam"),
        (f"{plan.aggregation} aggregation", plan.aggregation != "offline"),
        ("re-ranking", plan.rerank > 0),
    ):
        if needed:
            model.require_classifier(purpose)
    require_class_ids(model, (*plan.predefined, *plan.attend, *settings.predefined))
    require_whitening(protocol.whitening, model)


def make_tasks(
    protocols: Mapping[str, Protocol], model: Backbone | Mapping[str, Backbone]
) -> dict[Key, list[Task]]:
    """Tasks by what decides the network's passes: the model, the layer and the size of the pictures."""
    working: dict[int, Backbone] = {}
    groups: dict[Key, list[Task]] = {}
    for name, protocol in protocols.items():
        given = model[name] if isinstance(model, Mapping) else model
        if id(given) not in working:
            working[id(given)] = given.with_threads(1)
        task = Task.of(name, protocol, working[id(given)])
        groups.setdefault((id(task.model), str(protocol.settings.size)), []).append(task)
    return groups


def most_classes(tasks: Sequence[Task]) -> int:
    """The largest N_C of some tasks."""
    return max(task.encoder.encoding.classes for task in tasks)
