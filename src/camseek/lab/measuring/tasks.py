"""Protocols made ready for a model: what describes pictures, and which work protocols can share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from camseek.backbones import Backbone
from camseek.encoding.encoder import Encoder
from camseek.errors import SettingsError
from camseek.extraction.agreement import require_whitening
from camseek.extraction.classes import require_class_ids
from camseek.lab.protocol import Protocol

Key = tuple[Any, ...]
"""What decides a piece of work: equal keys, the same work."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A protocol and the model that it is measured with.

    Attributes:
        name: What the protocol was called.
        protocol: It.
        model: The network.
        encoder: What describes the database, and the queries at first.
        vectors: What decides the unwhitened vectors, but for how many of them there are.
        pictures: What decides the database's descriptors.
    """

    name: str
    protocol: Protocol
    model: Backbone
    encoder: Encoder
    vectors: Key
    pictures: Key

    @classmethod
    def of(cls, name: str, protocol: Protocol, model: Backbone) -> "Task":
        """Makes a protocol ready.

        Raises:
            SettingsError: The model has another layer, no classifier where one is needed, or fewer classes
                than a list names; or the whitening takes other vectors.
        """
        settings = protocol.settings
        _require(protocol, model)
        weights, bias = model.classifier_weights, model.classifier_bias
        encoder = Encoder.of(settings, weights, bias, protocol.whitening)
        vectors = (settings.encoding.with_classes(1), settings.predefined)
        whitening = protocol.whitening.checksum if protocol.whitening else None
        pictures = (*vectors, settings.encoding.classes, whitening)
        return cls(name, protocol, model, encoder, vectors, pictures)

    @property
    def dimensions(self) -> int:
        """D."""
        whitening = self.encoder.whitening
        return whitening.projection.shape[1] if whitening else self.model.channels

    def told(self) -> dict[str, Any]:
        """The protocol with its model, plain values."""
        return {
            "model": self.model.card.name,
            "model_checksum": self.model.checksum,
            **self.protocol.to_json(),
        }


def _require(protocol: Protocol, model: Backbone) -> None:
    settings = protocol.settings
    if model.layer != settings.layer:
        raise SettingsError(
            f"the model was loaded with the layer {model.layer}, not {settings.layer}",
            remedy=f"load the model with layer={settings.layer!r}",
        )
    if settings.encoding.name == "cam":
        model.require_classifier("class-weighted features")
    protocol.plan.require(model)
    require_class_ids(model, settings.predefined)
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
