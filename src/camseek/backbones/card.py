"""A model's card: ``card.json``, which lies beside the network and says how to use it."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, Self, cast, get_args, get_origin, get_type_hints

from camseek.errors import DamagedModelError, ModelError
from camseek.files import read_regular, reason_of
from camseek.jsontext import loads
from camseek.names import shown

CARD_FILE = "card.json"
# A card must not make anybody run a network on a picture of any size, nor build values without end.
_MAX_SIDE = 4096
_MOST_CARD_BYTES, _MOST_CARD_VALUES = 1_000_000, 50_000
_MOST_LAYERS, _MOST_CHANNELS = 256, 1_000_000
MOST_CLASS_BYTES = 16_000_000
"""The largest file of class names."""
MOST_SKETCH_BYTES = 16_000_000
"""The largest file of a sketch's axes."""
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
        size: H and W, for a network that takes no other; None where any multiple will do.
    """

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: str
    multiple: int
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer whose activations have the shape (N, channels, H / stride, W / stride).

    Attributes:
        output: Name of the graph's output.
        channels: Number of channels, K.
        stride: Pixels a cell, in both directions.
        signed: Whether values may be negative (SiLU, GELU, patch tokens). In feature maps negatives count
            as 0.
        source: What the layer was called in the network that was imported.
    """

    output: str
    channels: int
    stride: int
    signed: bool = False
    source: str | None = None


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
class SketchAxes:
    """The axes of sketches of a layer's maps (``camseek.encoding.sketch``).

    Attributes:
        file: Name of a fitted whitening in the card's folder.
        sha256: Its SHA-256, hexadecimal.
        layer: The layer whose cells they were fitted on; of no use to a collection of another's.
    """

    file: str
    sha256: str
    layer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What is remembered of an output (B = 1).

    Attributes:
        shape: Its shape, batch included.
        mean: Mean of its values.
        spread: Root of the mean of their squares.
        first: Its first eight channels, or scores: each channel's mean over its cells.
    """

    shape: tuple[int, ...]
    mean: float
    spread: float
    first: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the network gave for the generated pattern when its card was made (``camseek.backbones.proof``).

    Attributes:
        size: Height and width of the pattern.
        tolerance: Largest difference allowed, as a share of an output's spread.
        outputs: What each layer, and ``scores``, gave.
    """

    size: tuple[int, int]
    tolerance: float
    outputs: Mapping[str, Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything ``card.json`` says; only keys with a default may be missing, and no other is allowed.

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
        classifier: The linear layer after global average pooling; None for a plain backbone, which gives
            feature maps and nothing else. Then ``scores`` and ``classes`` are None as well.
        scores: Name of the graph's output that gives the logits, (N, classes).
        classes: The classes' names.
        default_layer: The layer that gives the feature maps where none is asked for.
        proof: What it gave when it was made; None where nobody wrote that down.
        sketch: The axes of its pictures' sketches; None for a model without.
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
    classifier: Classifier | None
    scores: str | None
    classes: Classes | None
    default_layer: str = "head"
    proof: Proof | None = None
    sketch: SketchAxes | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads and checks the card in a folder.

        Raises:
            ModelError: There is none, it is not JSON, a key is unknown or missing, or a value cannot be.
        """
        path = folder / CARD_FILE
        try:
            data = loads(read_regular(path, _MOST_CARD_BYTES), _MOST_CARD_VALUES)
        except OSError as error:
            raise ModelError(
                f"there is no model in {folder}: {CARD_FILE}: {reason_of(error)}",
                remedy=f"give a folder that holds {CARD_FILE}; for the embedded model, reinstall camseek",
            ) from error
        except ValueError as error:
            raise DamagedModelError(f"{path} is not JSON: {error}", remedy=REPAIR) from error
        card: Self = _parse(cls, data, str(path))
        _check(card, str(path))
        return card

    def to_json(self) -> dict[str, Any]:
        """The card as ``card.json`` holds it."""
        return asdict(self)


def _fail(where: str, what: str) -> NoReturn:
    raise ModelError(f"{where}: {what}", remedy=REPAIR)


def _parse(kind: Any, data: Any, where: str) -> Any:
    """JSON's ``data`` as a value of the annotated type ``kind``; nothing is converted but int to float."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # of a type and None
        return None if data is None else _parse(arguments[0], data, where)
    if is_dataclass(kind):
        return _parse_record(cast("type[Any]", kind), data, where)
    if origin is tuple:
        items = cast("list[Any]", data) if isinstance(data, list) else _fail(where, "is not a list")
        if arguments[-1] is not ... and len(items) != len(arguments):
            _fail(where, f"has {len(items)} items, not {len(arguments)}")
        return tuple(_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is Mapping:
        return {
            key: _parse(arguments[1], value, f"{where}: {shown(key)}")
            for key, value in _object(data, where).items()
        }
    if kind is float and type(data) is int:
        return float(data)
    return data if type(data) is kind else _fail(where, f"is not of type {kind.__name__}")


def _parse_record(kind: type[Any], data: Any, where: str) -> Any:
    values, known = _object(data, where), {field.name: field for field in fields(kind)}
    if unknown := sorted(values.keys() - known.keys()):
        _fail(where, f"unknown keys: {shown(', '.join(unknown))}")
    required = {name for name, field in known.items() if field.default is MISSING}
    if missing := sorted(required - values.keys()):
        _fail(where, f"missing keys: {', '.join(missing)}")
    hints = get_type_hints(kind)
    return kind(**{key: _parse(hints[key], value, f"{where}: {key}") for key, value in values.items()})


def _object(data: Any, where: str) -> dict[str, Any]:
    return cast("dict[str, Any]", data) if isinstance(data, dict) else _fail(where, "is not an object")


def _check(card: ModelCard, where: str) -> None:
    """What the types do not say."""
    for item in (card.model, card.classes, card.sketch):
        if item is not None:
            _check_file(item, where)
    if card.classes is not None and not 1 <= card.classes.count <= _MOST_CHANNELS:
        _fail(where, f"there are {card.classes.count} classes")
    if not 1 <= len(card.layers) <= _MOST_LAYERS:
        _fail(where, f"there are {len(card.layers)} layers")
    _check_input(card.input, where)
    for name, layer in card.layers.items():
        if not 1 <= layer.channels <= _MOST_CHANNELS:
            _fail(where, f"layer {shown(name)} has {layer.channels} channels")
        if layer.stride < 1 or card.input.multiple % layer.stride:
            _fail(
                where,
                f"layer {shown(name)}: {card.input.multiple} is no multiple of its stride {layer.stride}",
            )
    parts = {"classifier": card.classifier, "scores": card.scores, "classes": card.classes}
    if 0 < (missing := sum(part is None for part in parts.values())) < len(parts):
        _fail(where, f"{missing} of {', '.join(parts)} are null: a model has all three or none")
    if card.classifier is not None and card.classifier.layer not in card.layers:
        _fail(where, f"the classifier's layer {shown(card.classifier.layer)} is not among the layers")
    if card.sketch is not None and card.sketch.layer not in card.layers:
        _fail(where, f"the sketch's layer {shown(card.sketch.layer)} is not among the layers")
    if card.default_layer not in card.layers:
        _fail(where, f"the default layer {shown(card.default_layer)} is not among the layers")
    if card.proof is not None:
        if min(card.proof.size) < 1 or max(card.proof.size) > _MAX_SIDE:
            _fail(where, f"the proof's pattern has sides outside 1 to {_MAX_SIDE}")
        if not 0 < card.proof.tolerance < 1:
            _fail(where, f"the proof's tolerance {card.proof.tolerance} is outside 0 to 1")


def _check_file(item: ModelFile | Classes | SketchAxes, where: str) -> None:
    if item.file != os.path.basename(item.file) or item.file in ("", ".", ".."):
        _fail(where, f"{shown(item.file)} is not the name of a file beside the card")
    if not re.fullmatch("[0-9a-f]{64}", item.sha256):
        _fail(where, f"the SHA-256 of {item.file} is not 64 hexadecimal digits")


def _check_input(wanted: Input, where: str) -> None:
    if wanted.channel_order not in ("RGB", "BGR"):
        _fail(where, f"channel order {shown(wanted.channel_order)} is neither RGB nor BGR")
    if not all(map(math.isfinite, (*wanted.mean, *wanted.std))) or min(wanted.std) <= 0:
        _fail(where, "mean and std must be finite, std above 0")
    if not 1 <= wanted.multiple <= 256:
        _fail(where, f"multiple {wanted.multiple} is outside 1 to 256")
    if wanted.size is not None and (
        not all(1 <= side <= _MAX_SIDE for side in wanted.size)
        or any(side % wanted.multiple for side in wanted.size)
    ):
        _fail(where, f"the size {wanted.size} is no multiple of {wanted.multiple}, or above {_MAX_SIDE}")
