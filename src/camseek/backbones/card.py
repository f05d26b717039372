"""A model's card: ``card.json``, which lies beside the network and says how to use it."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn, Self, cast, get_args, get_origin, get_type_hints

from camseek.errors import ModelError

CARD_FILE = "card.json"
REPAIR = "get the model's files again (for the embedded model: reinstall camseek)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """The network.

    Attributes:
        file: Name of the ONNX file, in the card's folder.
        sha256: Its SHA-256, hexadecimal.
    """

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What the network takes: ``(x - mean) / std`` of the pixels 0 to 255, float32 (N, 3, H, W).

    Attributes:
        name: Name of the graph's input.
        mean: Mean of each channel, in the network's order.
        std: Divisor of each channel, in the network's order.
        channel_order: ``"RGB"`` or ``"BGR"``.
        multiple: H and W are multiples of this.
    """

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: str
    multiple: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer whose activations, (N, channels, H / stride, W / stride), are never negative.

    Attributes:
        output: Name of the graph's output.
        channels: Number of channels, K.
        stride: Pixels a cell, in both directions.
    """

    output: str
    channels: int
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """The linear layer after global average pooling.

    Attributes:
        layer: The layer it pools: its activations are the classifier maps.
        weights: Name of the graph's output that gives the weights, (classes, K').
        bias: Name of the graph's output that gives the bias, (classes,).
    """

    layer: str
    weights: str
    bias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """The classes' names.

    Attributes:
        file: Name of a UTF-8 text file in the card's folder, one name a line.
        sha256: Its SHA-256, hexadecimal.
        count: Number of classes.
        source: Where the names come from.
        order: What order they are in.
    """

    file: str
    sha256: str
    count: int
    source: str
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything ``card.json`` says; every key is required and no other is allowed.

    Attributes:
        name: The model's name.
        version: Version of these files.
        description: One sentence.
        sources: The packages it was made from, with their versions.
        licence: SPDX identifier.
        attribution: Who made it, and what was changed.
        model: The network's file.
        input: What the network takes.
        layers: The layers that feature maps may come from, by name.
        classifier: The linear layer after global average pooling.
        scores: Name of the graph's output that gives the logits, (N, classes).
        classes: The classes' names.
    """

    name: str
    version: str
    description: str
    sources: tuple[str, ...]
    licence: str
    attribution: str
    model: ModelFile
    input: Input
    layers: Mapping[str, Layer]
    classifier: Classifier
    scores: str
    classes: Classes

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads and checks the card in a folder.

        Raises:
            ModelError: There is none, it is not JSON, a key is unknown or missing, or a value cannot be.
        """
        path = folder / CARD_FILE
        try:
            data = json.loads(path.read_bytes())
        except OSError as error:
            raise ModelError(
                f"there is no model in {folder}: {CARD_FILE}: {error.strerror}",
                remedy=f"give a folder that holds {CARD_FILE}; for the embedded model, reinstall camseek",
            ) from error
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path} is not JSON: {error}", remedy=REPAIR) from error
        card: Self = _parse(cls, data, str(path))
        _check(card, str(path))
        return card


def _fail(where: str, what: str) -> NoReturn:
    raise ModelError(f"{where}: {what}", remedy=REPAIR)


def _parse(kind: Any, data: Any, where: str) -> Any:
    """JSON's ``data`` as a value of the annotated type ``kind``; nothing is converted but int to float."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _parse_record(cast("type[Any]", kind), data, where)
    if origin is tuple:
        items = cast("list[Any]", data) if isinstance(data, list) else _fail(where, "is not a list")
        if arguments[-1] is not ... and len(items) != len(arguments):
            _fail(where, f"has {len(items)} items, not {len(arguments)}")
        return tuple(_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is Mapping:
        return {
            key: _parse(arguments[1], value, f"{where}: {key}") for key, value in _object(data, where).items()
        }
    if kind is float and type(data) is int:
        return float(data)
    return data if type(data) is kind else _fail(where, f"is not of type {kind.__name__}")


def _parse_record(kind: type[Any], data: Any, where: str) -> Any:
    values, known = _object(data, where), {field.name for field in fields(kind)}
    if unknown := sorted(values.keys() - known):
        _fail(where, f"unknown keys: {', '.join(unknown)}")
    if missing := sorted(known - values.keys()):
        _fail(where, f"missing keys: {', '.join(missing)}")
    hints = get_type_hints(kind)
    return kind(**{key: _parse(hints[key], value, f"{where}: {key}") for key, value in values.items()})


def _object(data: Any, where: str) -> dict[str, Any]:
    return cast("dict[str, Any]", data) if isinstance(data, dict) else _fail(where, "is not an object")


def _check(card: ModelCard, where: str) -> None:
    """What the types do not say."""
    for item in (card.model, card.classes):
        if item.file != os.path.basename(item.file) or item.file in ("", ".", ".."):
            _fail(where, f"{item.file!r} is not the name of a file beside the card")
        if not re.fullmatch("[0-9a-f]{64}", item.sha256):
            _fail(where, f"the SHA-256 of {item.file} is not 64 hexadecimal digits")
    if card.classes.count < 1:
        _fail(where, f"there are {card.classes.count} classes")
    if card.input.channel_order not in ("RGB", "BGR"):
        _fail(where, f"channel order {card.input.channel_order!r} is neither RGB nor BGR")
    if not all(map(math.isfinite, (*card.input.mean, *card.input.std))) or min(card.input.std) <= 0:
        _fail(where, "mean and std must be finite, std above 0")
    if not 1 <= card.input.multiple <= 256:
        _fail(where, f"multiple {card.input.multiple} is outside 1 to 256")
    for name, layer in card.layers.items():
        if layer.channels < 1:
            _fail(where, f"layer {name} has {layer.channels} channels")
        if layer.stride < 1 or card.input.multiple % layer.stride:
            _fail(where, f"layer {name}: {card.input.multiple} is no multiple of its stride {layer.stride}")
    if card.classifier.layer not in card.layers:
        _fail(where, f"the classifier's layer {card.classifier.layer!r} is not among the layers")
