"""A network in an ONNX file, run by ONNX Runtime."""

import ctypes
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from camseek.arguments import meant
from camseek.backbones.card import (
    MOST_CLASS_BYTES,
    MOST_SKETCH_BYTES,
    REPAIR,
    Classes,
    Classifier,
    Input,
    Layer,
    ModelCard,
)
from camseek.backbones.devices import Running, new_session, running, runtime_version, usual
from camseek.backbones.halving import in_float16
from camseek.backbones.library import EMBEDDED, find_model
from camseek.backbones.passes import Passes
from camseek.backbones.scanning import scan_file
from camseek.config import Device
from camseek.encoding.activations import Activations
from camseek.encoding.sketch import Sketcher
from camseek.encoding.whitening import Whitening
from camseek.errors import DamagedModelError, DeviceError, ForbiddenModelError, ModelError, SettingsError
from camseek.files import open_regular, read_regular, reason_of
from camseek.job import processors
from camseek.limited import LimitError, call
from camseek.names import shown
from camseek.numerics import BOOL, F32, U8
from camseek.places import tried_folder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

# How far a pass on a GPU may be from one on the processor, of the largest value: it adds in another order, by
# other kernels; half precision has 11 bits.
_TOLERANCES = {"float32": 1e-3, "float16": 5e-2}
# What trying a network may take beyond what its file's size lets expect: processor time and bytes.
_TRY_SECONDS, _TRY_MEMORY = 60.0, 2_000_000_000


class Backbone:
    """A loaded network, from ``load_model``. Threads may share one.

    Attributes:
        card: What the model's card says.
        has_classifier: False for a plain backbone: no class names, no scores, no class activation maps.
        class_names: The classes' names, in the order of the scores; two classes may share a name.
        classifier_weights: The linear layer after global average pooling, (classes, K'); of a plain backbone
            (0, K).
        classifier_bias: Its bias, (classes,).
        checksum: SHA-256 of the network's file, hexadecimal.
        layer: Name of the layer that gives the feature maps.
        stride: Pixels a cell of the feature maps.
        channels: Channels of the feature maps, K.
        sketcher: Makes sketches of pictures; None where the model has no axes for the layer's.
        device: What it was asked to run on.
        runs_on: What it runs on.
    """

    card: ModelCard
    has_classifier: bool
    class_names: tuple[str, ...]
    classifier_weights: Float32[F32, "classes K2"]
    classifier_bias: Float32[F32, "classes"]
    checksum: str
    layer: str
    stride: int
    channels: int
    sketcher: Sketcher | None
    device: Device
    runs_on: Running

    def __init__(
        self,
        card: ModelCard,
        class_names: tuple[str, ...],
        session: "InferenceSession",
        layer: str,
        folder: Path,
        threads: int,
        sketcher: Sketcher | None = None,
        device: Device | None = None,
        passes: "tuple[Running, Passes] | None" = None,
    ) -> None:
        self._folder = folder
        self._threads = threads
        self.card = card
        self.class_names = class_names
        self.checksum = card.model.sha256
        self.layer = layer
        self.stride = card.layers[layer].stride
        self.channels = card.layers[layer].channels
        self.has_classifier = card.classifier is not None
        self.classifier_weights, self.classifier_bias = _checked_classifier(session, card, self.channels)
        self.sketcher = sketcher
        self.device = device or Device()
        self._session = session
        alone = Running("cpu", "float32"), Passes(session, card.input.name)
        self.runs_on, self._passes = passes or alone
        self._features = card.layers[layer]
        self._classifier = self._features if card.classifier is None else card.layers[card.classifier.layer]
        self._outputs = _outputs_of(card, layer)
        self._mean = np.array(card.input.mean, np.float32)[:, None, None]
        self._factor = (1 / np.array(card.input.std, np.float64)).astype(np.float32)[:, None, None]

    def with_threads(self, threads: int) -> "Backbone":
        """The same network, loaded again with another number of threads for one pass.

        Raises:
            ModelError: Its files have gone or changed.
            ValueError: ``threads`` is below 1.
        """
        if self.runs_on.name == "cuda":
            return self  # nothing is computed in them
        return _reload(self._folder, self.layer, threads, self.checksum, self.card.input, self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as its address: another process loads it again, and makes sure that it is the same."""
        address = self._folder, self.layer, self._threads, self.checksum, self.card.input, self.device
        return _reload, address

    def with_input(self, taken: Input) -> "Backbone":
        """The same network that takes its pixels in another way: to see what a mistake there costs.

        Args:
            taken: What it takes; its name, multiple and size are the card's.
        """
        card = replace(self.card, input=taken)
        return Backbone(
            card,
            self.class_names,
            self._session,
            self.layer,
            self._folder,
            self._threads,
            self.sketcher,
            self.device,
            (self.runs_on, self._passes),
        )

    def require_sketcher(self) -> Sketcher:
        """What makes sketches of its pictures.

        Raises:
            SettingsError: It has no axes for these, or none for the maps of its layer.
        """
        if self.sketcher is None:
            raise SettingsError(
                f"the model {self.card.name} has no axes of sketches for the layer {self.layer}",
                remedy="search without late interaction (--late-interaction 0)",
            )
        return self.sketcher

    def require_classifier(self, purpose: str) -> None:
        """Refuses what needs class scores or class activation maps where there is no classifier.

        Args:
            purpose: What needs them: ``"online aggregation"``.

        Raises:
            SettingsError: This is a plain backbone.
        """
        if not self.has_classifier:
            raise SettingsError(
                f"the model {self.card.name} has no classifier, and {purpose} needs one",
                remedy="use an encoding without class maps (gem, sum, crow, ucrow, rmac), or a classifier",
            )

    def fit(self, pixels: UInt8[U8, "height width 3"]) -> UInt8[U8, "height2 width2 3"]:
        """The picture as the network can take it; ``run`` does this itself, and what fits stays as it is.

        A network that takes one size alone gets the picture scaled to fit into it, aspect kept; the rest is
        padding. Others take any size.
        """
        size = self.card.input.size
        if size is None or not pixels.size:
            return pixels
        height, width = pixels.shape[:2]
        scale = min(size[0] / height, size[1] / width)
        fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
        if fitted == (width, height):
            return pixels
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(pixels))
        return np.asarray(picture.resize(fitted, Image.Resampling.BICUBIC, reducing_gap=3.0))

    def prepare(self, pixels: UInt8[U8, "height width 3"]) -> Float32[F32, "1 3 H W"]:
        """The network's input: ``(x - mean) / std``, padded right and below with 0, which is the mean.

        Args:
            pixels: An upright picture, RGB, 0 to 255.

        Returns:
            H and W are height and width rounded up to the network's multiple (32), or its only size.

        Raises:
            ValueError: The picture has no pixels, or is not (height, width, 3).
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise ValueError(f"pixels of shape {pixels.shape}, not (height, width, 3)")
        pixels = self.fit(pixels)
        height, width = pixels.shape[:2]
        multiple = self.card.input.multiple
        rounded = _round_up(height, multiple), _round_up(width, multiple)
        padded = np.zeros((1, 3, *(self.card.input.size or rounded)), np.float32)
        picture = padded[0, :, :height, :width]
        picture[...] = (pixels if self.card.input.channel_order == "RGB" else pixels[..., ::-1]).transpose(
            2, 0, 1
        )
        picture -= self._mean
        picture *= self._factor
        return padded

    def run(self, pixels: UInt8[U8, "height width 3"]) -> Activations:
        """One forward pass on one picture; several threads may call it at once.

        Args:
            pixels: An upright picture, RGB, 0 to 255, at the size it is to be encoded at.

        Raises:
            ValueError: The picture has no pixels, or is not (height, width, 3).
            DeviceError: Half precision does not hold its numbers.
        """
        found = dict(zip(self._outputs, self._passes.run(self._outputs, self.prepare(pixels)), strict=True))
        if self.runs_on.precision == "float16" and not all(
            np.isfinite(maps).all() for maps in found.values()
        ):
            raise DeviceError(
                f"{self.card.name} has larger numbers than float16 holds", remedy="use --precision float32"
            )
        maps, classifier_maps = found[self._features.output], found[self._classifier.output]
        features = np.maximum(maps, 0) if self._features.signed else maps
        if not self.has_classifier:
            classifier_maps = features
        fitted = self.fit(pixels).shape
        return Activations(
            features=features,
            classifier_maps=classifier_maps,
            scores=np.zeros((1, 0), np.float32) if self.card.scores is None else found[self.card.scores],
            mask=_mask(fitted, self._features.stride, features.shape),
            classifier_mask=_mask(fitted, self._classifier.stride, classifier_maps.shape),
        )

    def outputs(self, pixels: UInt8[U8, "height width 3"]) -> Mapping[str, F32]:
        """What each of the card's layers gives for a picture, by name and as it is, and ``scores``."""
        names = {name: layer.output for name, layer in self.card.layers.items()}
        if self.card.scores is not None:
            names["scores"] = self.card.scores
        values = self._session.run(list(names.values()), {self.card.input.name: self.prepare(pixels)})
        return dict(zip(names, values, strict=True))


def _outputs_of(card: ModelCard, layer: str) -> list[str]:
    """What a pass gives: the maps of a layer, those of the classifier, and the scores."""
    features = card.layers[layer]
    classifier = features if card.classifier is None else card.layers[card.classifier.layer]
    outputs = [features.output, classifier.output, card.scores]
    return [name for name in dict.fromkeys(outputs) if name is not None]


def load_model(
    model: str | os.PathLike[str] | None = None,
    *,
    threads: int | None = None,
    layer: str | None = None,
    device: Device | str | None = None,
) -> Backbone:
    """Loads a model and checks that its files are whole and fit together.

    A model that this computer has not seen before is tried first in a process with limits of time and memory:
    a network is a program, and a stranger's may never end.

    Args:
        model: The folder where its ``card.json`` lies, or the name of an imported model; None for the
            embedded EfficientNet-Lite0.
        threads: Threads of one forward pass; None for one a processor that this process may use.
        layer: The layer of the card that gives the feature maps; None for the card's own choice.
        device: What it runs on: ``cpu``, ``cuda``, ``auto`` or a ``camseek.config.Device``; None for what is
            usual in this process: the processor, unless the command line says otherwise.

    Raises:
        ModelError: A file is missing, damaged, not permitted or not what the card says, or there is no such
            layer.
        DeviceError: A GPU is asked for, and there is none that can be used.
        SettingsError: There is no such device.
        ValueError: ``threads`` is below 1.
    """
    wanted = usual() if device is None else Device.of(device)
    if threads is not None and threads < 1:
        raise ValueError(f"{threads} threads")
    place = EMBEDDED if model is None else find_model(model)
    card = ModelCard.read(place)
    layer = card.default_layer if layer is None else layer
    if layer not in card.layers:
        raise ModelError(
            f"model {card.name} has no layer {layer!r}{meant(layer, card.layers)}",
            remedy=f"use one of: {', '.join(card.layers)}",
        )
    if place != EMBEDDED:
        require_tried(place, card)
    return load_tried(place, card, layer, processors() if threads is None else threads, wanted)


def load_tried(
    place: Path, card: ModelCard, layer: str, threads: int, device: Device | None = None
) -> Backbone:
    """Loads a model whose network is known to end.

    Whatever it runs on, its files are looked at on the processor.

    Raises:
        ModelError: A file is missing, damaged or not what the card says.
        DeviceError: It does not run on the GPU that is asked for.
    """
    device = device or Device()
    class_names = () if card.classes is None else _class_names(place, card.classes)
    network = place / card.model.file
    compare_checksums(network, checksum_of(network), card.model.sha256)
    session = new_session(network, threads)
    _check_graph(session, card)
    sketcher = _sketcher(place, card, layer)
    passes = _passes(network, card, layer, session, device)
    loaded = Backbone(card, class_names, session, layer, place, threads, sketcher, device, passes)
    _give_memory_back()
    return loaded


def _passes(
    network: Path, card: ModelCard, layer: str, session: "InferenceSession", device: Device
) -> tuple[Running, Passes]:
    """What runs a network where it is asked to; ``session`` runs it on the processor.

    Raises:
        DeviceError: A GPU is asked for, and it cannot.
    """
    alone, on = Passes(session, card.input.name), running(device)
    if on.name == "cpu":
        return on, alone
    outputs = _outputs_of(card, layer)
    try:
        source = in_float16(network, outputs) if on.precision == "float16" else network
        passes = Passes(new_session(source, 1, cuda=True), card.input.name, together=True)
        _compare(card, outputs, alone, passes, _TOLERANCES[on.precision])
    except DeviceError as error:
        if device.name == "cuda":
            raise
        return Running("cpu", "float32", error.message), alone
    return on, passes


def _compare(card: ModelCard, outputs: list[str], alone: Passes, passes: Passes, tolerance: float) -> None:
    """Makes sure that a GPU gives what the processor gives, and looks whether pictures may share a pass.

    Raises:
        DeviceError: It does not.
    """
    patterns = [_pattern(card), _pattern(card)[..., ::-1].copy()]
    wanted = [alone.run(outputs, pattern) for pattern in patterns]
    try:
        found = [passes.run(outputs, pattern) for pattern in patterns]
    except Exception as error:  # ONNX Runtime's have no common base below this
        raise DeviceError(
            f"{card.name} does not run on the GPU: {error!s:.300}", remedy="use --device cpu"
        ) from error
    if not all(map(_near, found, wanted, [tolerance] * 2)):
        raise DeviceError(
            f"{card.name} gives other numbers on the GPU than on the processor", remedy="use --device cpu"
        )
    # A graph may declare any number of pictures, and be made for one.
    try:
        both = passes.session.run(outputs, {passes.name: np.concatenate(patterns)})
        parts = [[values[place : place + 1] for values in both] for place in (0, 1)]
        shared = all(map(_near, parts, wanted, [tolerance] * 2))
    except Exception:  # as above
        shared = False
    if not shared:
        passes.most = 1


def _near(found: Sequence[F32], wanted: Sequence[F32], tolerance: float) -> bool:
    """Whether outputs are near others, by the largest value of each; NaN is near nothing."""
    return all(
        one.shape == other.shape
        and float(np.abs(one - other).max()) <= tolerance * float(np.abs(other).max())
        for one, other in zip(found, wanted, strict=True)
    )


def _pattern(card: ModelCard) -> Float32[F32, "1 3 H W"]:
    """A small input to try a network on."""
    height, width = card.input.size or (card.input.multiple, 2 * card.input.multiple)
    return np.linspace(-1, 1, 3 * height * width, dtype=np.float32).reshape(1, 3, height, width)


def require_tried(place: Path, card: ModelCard) -> None:
    """Tries a network in a process with limits, unless that was done on this computer before.

    Raises:
        ModelError: It is no network that can be used.
        ForbiddenModelError: It takes more time or memory than any, or reaches for other files.
    """
    network = place / card.model.file
    note = _note_of(card)
    if note.exists():
        return
    compare_checksums(network, checksum_of(network), card.model.sha256)
    check_whole(network)
    size = network.stat().st_size
    try:
        call(
            "camseek.backbones.onnx_backbone:try_model",
            {"folder": os.fspath(place.absolute())},
            seconds=_TRY_SECONDS + size / 1e6,
            memory=_TRY_MEMORY + 8 * size,
        )
    except LimitError as error:
        raise over_limit(network, error) from error
    note_tried(card)


def try_model(folder: str) -> None:
    """Loads a model and runs it on a pattern: what ``require_tried`` calls in a process of its own."""
    card = ModelCard.read(Path(folder))
    load_tried(Path(folder), card, card.default_layer, 1)


def note_tried(card: ModelCard) -> None:
    """Notes that a network was tried with limits, so that it need not be again."""
    note = _note_of(card)
    # A cache that cannot be written costs another try, no more.
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()


def _note_of(card: ModelCard) -> Path:
    """The file whose presence says that a network was tried, with the sizes that its card names."""
    said = f"{card.model.sha256} {card.input.size} {card.input.multiple} {runtime_version()}"
    return tried_folder() / hashlib.sha256(said.encode()).hexdigest()


def check_whole(network: Path) -> None:
    """Refuses a stored network that is no one file, or could run without end.

    Raises:
        ModelError: It is one; the message says why.
    """
    if external := scan_file(network).external:
        raise ForbiddenModelError(
            f"{network} is not permitted: its weights lie in another file ({shown(sorted(external)[0])})",
            remedy="import the network with camseek model import, which puts them into one",
        )


def over_limit(network: Path, error: LimitError) -> ModelError:
    """The error where a process with limits did not come back."""
    match error.reason:
        case "start" | "outside":
            return ModelError(f"cannot try {network}: {error}", remedy=error.remedy)
        case "crashed":
            return DamagedModelError(
                f"{network} is damaged, or made to do harm: {error}", remedy="get the network again"
            )
        case _:
            return ForbiddenModelError(
                f"{network} is not permitted: {error}, more than a network of its size needs",
                remedy="import another network, or a smaller one",
            )


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(cast("Any", file), "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason_of(error)}", remedy=REPAIR) from error


def as_model(model: Any, layer: str | None = None, device: Device | None = None) -> Backbone:
    """A model as people give it: loaded, by its name or folder, or None for the embedded one.

    Args:
        model: It.
        layer: The layer that gives the feature maps, where it is loaded here; None for the card's own choice.
        device: What it runs on, where it is loaded here; None for what is usual.

    Raises:
        ModelError: It cannot be loaded.
        TypeError: It is none of these.
    """
    if isinstance(model, Backbone):
        return model
    if model is None or isinstance(model, str | os.PathLike):
        return load_model(cast("str | None", model), layer=layer, device=device)
    raise TypeError(f"a model is what camseek.load_model gives, or its name, not {model!r}")


def _give_memory_back() -> None:
    """Gives back what glibc keeps of a graph that was loaded and rewritten."""
    # Other systems have no such call, and need none.
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reload(folder: Path, layer: str, threads: int, checksum: str, taken: Input, device: Device) -> Backbone:
    """A model that was loaded before, loaded again.

    Raises:
        ModelError: Its files have gone or changed.
    """
    again = load_model(folder, threads=threads, layer=layer, device=device)
    if again.checksum != checksum:
        raise ModelError(f"the model in {folder} has changed", remedy="load it again")
    return again if again.card.input == taken else again.with_input(taken)


def _class_names(folder: Path, classes: Classes) -> tuple[str, ...]:
    path = folder / classes.file
    content = read_checked(path, MOST_CLASS_BYTES, classes.sha256)
    try:
        names = tuple(content.decode("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not UTF-8", remedy=REPAIR) from error
    if len(names) != classes.count:
        raise ModelError(f"{path} names {len(names)} classes, not {classes.count}", remedy=REPAIR)
    return names


def _sketcher(folder: Path, card: ModelCard, layer: str) -> Sketcher | None:
    """What makes sketches of a layer's maps, if anything does."""
    axes = card.sketch
    if axes is None or axes.layer != layer:
        return None
    path = folder / axes.file
    content = read_checked(path, MOST_SKETCH_BYTES, axes.sha256)
    try:
        sketcher = Sketcher(Whitening.from_bytes(content))
    except ValueError as error:
        raise ModelError(f"{path} holds no axes of a sketch: {error}", remedy=REPAIR) from error
    if len(sketcher.projection) != card.layers[layer].channels:
        raise ModelError(f"{path} has axes of {len(sketcher.projection)} channels", remedy=REPAIR)
    return sketcher


def read_checked(path: Path, most: int, expected: str) -> bytes:
    """A model's file, whole.

    Args:
        path: The file.
        most: Bytes that it may have.
        expected: Its SHA-256, hexadecimal.

    Raises:
        ModelError: It cannot be read, or has more.
        DamagedModelError: It holds something else.
    """
    try:
        content = read_regular(path, most)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason_of(error)}", remedy=REPAIR) from error
    compare_checksums(path, hashlib.sha256(content).hexdigest(), expected)
    return content


def compare_checksums(path: Path, found: str, expected: str) -> None:
    """Makes sure that a file holds what it should.

    Raises:
        DamagedModelError: It does not.
    """
    if found != expected:
        raise DamagedModelError(f"{path} is damaged: its SHA-256 is {found}, not {expected}", remedy=REPAIR)


def _check_graph(session: "InferenceSession", card: ModelCard) -> None:
    """Compares the graph's inputs and outputs, as declared, with the card."""
    outputs = {output.name: output for output in session.get_outputs()}
    inputs = session.get_inputs()
    if [tensor.name for tensor in inputs] != [card.input.name]:
        raise _misfit(card, f"its inputs are {[tensor.name for tensor in inputs]}, not {card.input.name!r}")
    _check_tensor(card, card.input.name, inputs[0], (None, 3, *(card.input.size or (None, None))))
    shapes: dict[str, tuple[int | None, ...]] = {
        layer.output: (None, layer.channels, None, None) for layer in card.layers.values()
    }
    if card.classifier is not None and card.classes is not None and card.scores is not None:
        classes, channels = card.classes.count, card.layers[card.classifier.layer].channels
        shapes[card.scores] = (None, classes)
        shapes[card.classifier.weights] = (classes, channels)
        shapes[card.classifier.bias] = (classes,)
    for name, shape in shapes.items():
        _check_tensor(card, name, outputs.get(name), shape)


def _check_tensor(
    card: ModelCard, name: str, tensor: "NodeArg | None", shape: tuple[int | None, ...]
) -> None:
    """A None in the shape is a size that the picture decides, which outputs may declare for a fixed one."""
    if tensor is None:
        raise _misfit(card, f"it has no output {name!r}")
    if tensor.type != "tensor(float)":
        raise _misfit(card, f"{name} is a {tensor.type}, not float32")
    found = tuple(size if isinstance(size, int) else None for size in tensor.shape)
    if name != card.input.name and len(found) == len(shape):
        found = tuple(size if wanted is not None else None for size, wanted in zip(found, shape, strict=True))
    if found != shape:
        raise _misfit(card, f"{name} has the shape {tensor.shape}, not {shape} (None: any size)")


def _checked_classifier(
    session: "InferenceSession", card: ModelCard, channels: int
) -> tuple[Float32[F32, "classes K2"], Float32[F32, "classes"]]:
    """Runs the graph on a small pattern and compares what comes with the card; gives weights and bias."""
    pattern = _pattern(card)
    height, width = pattern.shape[2:]
    layers = list(card.layers.values())
    names = [layer.output for layer in layers]
    classifier, logits = card.classifier, card.scores
    if classifier is not None and logits is not None:
        names += [logits, classifier.weights, classifier.bias]
    try:
        found = dict(zip(names, session.run(names, {card.input.name: pattern}), strict=True))
    except Exception as error:  # its exceptions have no common base below this
        raise _misfit(card, f"it does not run on {height} x {width} pixels: {error}") from error
    for layer in layers:
        _check_maps(card, layer, found[layer.output], height, width)
    if classifier is None or logits is None:
        return np.zeros((0, channels), np.float32), np.zeros(0, np.float32)
    return _compared_classifier(card, classifier, found, found[logits])


def _compared_classifier(
    card: ModelCard, classifier: Classifier, found: Mapping[str, F32], scores: F32
) -> tuple[Float32[F32, "classes K2"], Float32[F32, "classes"]]:
    """Weights and bias, which must give the scores."""
    maps = found[card.layers[classifier.layer].output]
    weights, bias = found[classifier.weights], found[classifier.bias]
    expected = maps.mean(axis=(2, 3)) @ weights.T + bias
    if not np.allclose(expected, scores, rtol=1e-3, atol=1e-3 * max(1, float(np.abs(scores).max()))):
        raise _misfit(card, f"{card.scores} is not the classifier's weights times its layer's means")
    return weights, bias


def _check_maps(card: ModelCard, layer: Layer, maps: F32, height: int, width: int) -> None:
    expected = (height // layer.stride, width // layer.stride)
    if maps.shape[2:] != expected:
        raise _misfit(card, f"{layer.output} has {maps.shape[2:]} cells, not {expected}: another stride")
    if not np.isfinite(maps).all():
        raise _misfit(card, f"{layer.output} has infinite values or NaN")
    if not layer.signed and maps.min() < 0:
        raise _misfit(card, f"{layer.output} has negative values: no layer after a ReLU, and not signed")


def _misfit(card: ModelCard, what: str) -> ModelError:
    return ModelError(f"{card.model.file} does not fit the card of {card.name}: {what}", remedy=REPAIR)


def _mask(picture: tuple[int, ...], stride: int, maps: tuple[int, ...]) -> Bool[BOOL, "1 H W"]:
    rows = np.arange(maps[2]) * stride < picture[0]
    columns = np.arange(maps[3]) * stride < picture[1]
    return (rows[:, None] & columns)[None]


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
