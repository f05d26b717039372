"""The networks that the experiments run with."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from camseek.backbones import Backbone, ModelCard, find_model, imported_models
from camseek.backbones.library import EMBEDDED_NAME
from camseek.config import Limits
from camseek.errors import ModelError
from camseek.lab.paper.experiments import PAPER_MODELS, Slot

_EMBEDDED_LAYERS = ("expand16", "head")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network and the layer of its features.

    Attributes:
        name: As ``--model`` takes it; its title where it is not there.
        layer: The layer; empty where it is not there.
        slot: The paper's network that it is, or None.
        there: Whether it can be loaded.
        classifier: Whether it knows classes.
    """

    name: str
    layer: str = ""
    slot: Slot | None = None
    there: bool = True
    classifier: bool = True

    @property
    def title(self) -> str:
        """Network and layer, for people."""
        return self.slot or f"{self.model_title} {self.layer}"

    @property
    def model_title(self) -> str:
        """The network, for people."""
        return self.slot or os.path.basename(self.name.rstrip("/")) or self.name


def choose_networks(models: Sequence[str] = (), layers: Sequence[str] = ()) -> list[Network]:
    """The networks to measure: those named, or the paper's that are there and the embedded one.

    Args:
        models: Names or folders.
        layers: Of networks that are not the paper's, so many rows each; none for ``expand16`` (the stride of
            the paper's layer) and ``head`` of the embedded one, and the card's own choice of others.

    Returns:
        The paper's three first, there or not, then the others.

    Raises:
        ModelError: A named model is not there, or two have one name.
    """
    there = imported_models()
    wanted = list(models) or [*(name for name in PAPER_MODELS.values() if name in there), EMBEDDED_NAME]
    found = [
        _network(name, None, slot) if name in wanted else Network(name=slot, slot=slot, there=False)
        for slot, name in PAPER_MODELS.items()
    ]
    for name in dict.fromkeys(wanted):
        if name not in PAPER_MODELS.values():
            usual = _EMBEDDED_LAYERS if name == EMBEDDED_NAME else (None,)
            found += [_network(name, layer, None) for layer in layers or usual]
    titles = [network.title for network in found]
    for title in titles:
        if titles.count(title) > 1:
            raise ModelError(
                f"two of the networks are called {title}", remedy="give one of the folders another name"
            )
    return found


def model_key(model: Backbone, limits: Limits) -> dict[str, Any]:
    """What decides a result, of a network and of the pictures that it may see."""
    key: dict[str, Any] = {"model": model.checksum, "input": repr(model.card.input)}
    # Results with a limit of one's own leave some pictures out.
    return key if limits == Limits() else key | {"limits": limits.key}


def _network(name: str, layer: str | None, slot: Slot | None) -> Network:
    card = ModelCard.read(find_model(name))
    return Network(
        name=name, layer=layer or card.default_layer, slot=slot, classifier=card.classifier is not None
    )
