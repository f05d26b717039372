"""Any ONNX classifier made into a network of ours: its maps and its classifier's weights become outputs."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camseek.backbones.card import Classifier, Layer
from camseek.backbones.importing.builder import add_classifier, finished
from camseek.backbones.importing.endings import AS_PLAIN, Ending, EndingError, Layout, read_ending
from camseek.backbones.importing.extras import load_onnx
from camseek.backbones.importing.graph import Graph, run, run_loaded, serialised, session
from camseek.backbones.importing.network import Network
from camseek.backbones.importing.signs import is_signed
from camseek.backbones.proof import QUANTISED_TOLERANCE, TOLERANCE
from camseek.backbones.scanning import scan_file
from camseek.errors import DamagedModelError, ForbiddenModelError, ModelError
from camseek.names import shown

Array = NDArray[Any]
F32 = NDArray[np.float32]

_SIDE = 224  # tried where the network does not say
_MIN_OPSET, _OPSET = 10, 17
_KINDS = "give an ONNX classifier, a Keras HDF5 weights file or a PyTorch state dict"
_FEATURES = "features"
_OWN_MAPS = (
    "its {} classes have maps of their own, after a ReLU: feature maps are those before its last convolution"
)
# A network without padding is run on pictures that are so much larger, and gets at most so wide a rim.
_FURTHER, _WIDEST_RIM = 64, 160
_MAX_EXTRA_TOKENS = 16  # class, distillation and register tokens stand before the patches'
# Scores of the rebuilt ending may differ by so much of the largest, by the body's numbers.
_CLOSE, _CLOSE_HALF, _CLOSE_QUANTISED = 1e-3, 2e-2, 0.15


def read_onnx(path: Path) -> Any:
    """Reads an ONNX file with its external data.

    Raises:
        ModelError: It cannot be read, or lacks data that should lie beside it.
        DamagedModelError: It is no ONNX file, or is cut short.
        UnsupportedModelError: It runs graphs again and again, or has sparse weights.
        ForbiddenModelError: It has more operations than any network, or wants files from elsewhere.
    """
    onnx = load_onnx()
    _check_external(path, scan_file(path).external)
    try:
        model = onnx.load(str(path), format="protobuf")
    except OSError as error:
        missing = f": {error.filename}" if error.filename and str(error.filename) != str(path) else ""
        raise ModelError(
            f"cannot read {path}{missing}: {error.strerror or error}",
            remedy="check the name; a network with external data needs its data files beside it",
        ) from error
    except onnx.checker.ValidationError as error:
        raise ModelError(
            f"cannot read the external data of {path}: {error}",
            remedy="put the network's data files beside it",
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # protobuf has several, by its version
        raise DamagedModelError(f"{path} is no ONNX file, or is cut short: {error}", remedy=_KINDS) from error
    if not model.graph.node or not model.graph.output:
        raise DamagedModelError(
            f"{path} is damaged: it is no ONNX network, for it has no operations or no output", remedy=_KINDS
        )
    return model


def _check_external(path: Path, names: Iterable[str]) -> None:
    """Refuses external data that is not a file in the network's own folder.

    Raises:
        ForbiddenModelError: It lies elsewhere, or is a link, a pipe or a device.
        ModelError: It is not there.
    """
    for name in sorted(names):
        place = path.parent / name
        if not name or os.path.isabs(name) or ".." in Path(name).parts or "\0" in name:
            fault = "which does not lie in the network's folder"
        elif not os.path.lexists(place):
            raise ModelError(
                f"cannot read the external data of {path}: there is no file {shown(name)}",
                remedy="put the network's data files beside it",
            )
        elif not place.resolve().is_relative_to(path.parent.resolve()):
            fault = "which leads out of the network's folder"
        elif not place.is_file():
            fault = "which is no file"
        else:
            continue
        raise ForbiddenModelError(
            f"{path} is not permitted: it wants its weights from {shown(name)}, {fault}",
            remedy="put all of the network's files into one folder",
        )


def adapt_onnx(model: Any, features: Sequence[str] = ()) -> Network:
    """Makes a network of ours of an ONNX model.

    Its end is read (``read_ending``) and rebuilt: fixed kernels and sizes there do not matter. Where it
    cannot be read and ``features`` names layers, it becomes a plain backbone.

    Args:
        model: The ``ModelProto``.
        features: Tensors or nodes whose values become layers too; a plain backbone's first is ``head``.

    Raises:
        ModelError: It cannot be used; the message says what was found.
    """
    try:
        return _Adapter(model, features).network()
    except EndingError as fault:
        if not features:
            raise
        return _Adapter(model, features, plain=fault.message).network()


@dataclass(frozen=True, slots=True)
class _Source:
    """A layer to be: its tensor, and where its channels are, if that is known."""

    name: str
    tensor: str
    layout: Layout | None


@dataclass(frozen=True, slots=True)
class _Maps:
    """What running the network says of a layer: the cells' size in pixels, and tokens before the patches."""

    layout: Layout
    channels: int
    stride: int
    extra: int = 0


class _Adapter:
    """Adapts one model."""

    def __init__(self, model: Any, features: Sequence[str], *, plain: str | None = None) -> None:
        self._onnx = load_onnx()
        self._graph = Graph(_modern(model))
        self._notes: list[str] = [f"a plain backbone, without a classifier: {plain}"] if plain else []
        value = self._picture_input()
        self._name: str = value.name
        self._dtype = _float_type(self._onnx, value)
        self._last, self._declared = _picture_shape(value)
        self._ending = None if plain else self._read_ending(features)
        self._sources = self._layers(features)

    def network(self) -> Network:
        """The finished network."""
        (height, width), raw, found, padded = self._seen_whole()
        multiple = math.lcm(*(maps.stride for maps in found))
        signed = [is_signed(self._graph, source.tensor) for source in self._sources]
        picture = self._add_input()
        layers = {
            source.name: Layer(
                output=self._add_layer(source, maps, raw[source.tensor].dtype, picture),
                channels=maps.channels,
                stride=maps.stride,
                signed=negative,
                source=source.tensor,
            )
            for source, maps, negative in zip(self._sources, found, signed, strict=True)
        }
        classifier = scores = None
        if self._ending is not None:
            classifier = Classifier(layer="head", weights="", bias="")
            classifier, scores = self._add_classifier(layers["head"], self._ending)
        size = self._only_size(picture, layers, multiple, (height, width), (classifier, scores))
        content = serialised(
            finished(self._graph, picture, layers, (classifier, scores), self._weights, size)
        )
        if not padded:
            self._compare(content, picture, raw, scores, (height, width))
        return Network(
            content=content,
            input=picture,
            layers=layers,
            default_layer=_FEATURES if _FEATURES in layers else "head",
            multiple=multiple,
            size=size,
            classifier=classifier,
            scores=scores,
            classes=0 if self._ending is None else len(self._ending.weights),
            tolerance=QUANTISED_TOLERANCE if self._is_quantised() else TOLERANCE,
            notes=self._notes,
        )

    @property
    def _weights(self) -> tuple[int, ...]:
        """Shape of the classifier's weights."""
        return (0, 0) if self._ending is None else self._ending.weights.shape

    # What the graph says.

    def _picture_input(self) -> Any:
        inputs = self._graph.inputs
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs) or "none"
            raise ModelError(
                f"the network has {len(inputs)} inputs ({names}), not one picture",
                remedy="export the image classifier alone",
            )
        return inputs[0]

    def _read_ending(self, features: Sequence[str]) -> Ending | None:
        """The one output's ending that can be read; None for a plain backbone."""
        endings: list[Ending] = []
        faults: list[ModelError] = []
        for output in self._graph.outputs:
            try:
                endings.append(read_ending(self._graph, output))
            except EndingError as fault:
                faults.append(fault)
        if len(endings) == 1:
            return endings[0]
        if not features and len(self._graph.outputs) > 1:
            raise ModelError(
                f"the network has several outputs ({', '.join(self._graph.outputs)}), of which "
                f"{len(endings)} end in global average pooling and a linear layer",
                remedy=f"export it with the scores alone, or {AS_PLAIN}",
            )
        if not features:
            raise faults[0]
        seen = faults[0].message if faults else "several outputs look like one"
        self._notes.append(f"a plain backbone, without a classifier: {seen}")
        return None

    def _layers(self, features: Sequence[str]) -> list[_Source]:
        sources: list[_Source] = []
        if self._ending is not None:
            sources.append(_Source("head", self._ending.maps, self._ending.layout))
            if self._ending.features is not None:
                sources.append(_Source(_FEATURES, self._ending.features, self._ending.layout))
                self._notes.append(_OWN_MAPS.format(len(self._ending.weights)))
        for name in dict.fromkeys(features):
            tensor = self._graph.resolve(name)
            sources.append(_Source(name if sources else "head", tensor, None))
        if len({source.name for source in sources}) < len(sources):
            raise ModelError("a layer cannot be called head", remedy="name the node's output instead")
        return sources

    def _is_quantised(self) -> bool:
        kinds = ("QuantizeLinear", "DynamicQuantizeLinear")
        return any(
            node.op_type in kinds or node.op_type.startswith("QLinear")
            for node in self._graph.model.graph.node
        )

    # What running it says.

    def _seen_whole(self) -> tuple[tuple[int, int], dict[str, Array], list[_Maps], bool]:
        """The size it was run at, what came, its layers, and whether its pictures are padded from now on.

        Convolutions without padding lose cells at the rim, and maps are smaller than the picture divided by
        the stride. Such a network gets its picture with a rim of the mean colour, as much as it loses.
        """
        size = self._declared or (_SIDE, _SIDE)
        raw = self._run_original(size)
        try:
            return size, raw, [self._measure(item, raw[item.tensor], size) for item in self._sources], False
        except ModelError:
            self._check_by_hand(raw)
            if (rim := self._lost(raw, size)) is None:
                raise
        self._pad_input(*rim)
        size = (_SIDE, _SIDE)
        raw = self._run_original(size, scores=False)
        return size, raw, [self._measure(item, raw[item.tensor], size) for item in self._sources], True

    def _check_by_hand(self, raw: dict[str, Array]) -> None:
        """Makes sure that the scores are the layer's means times the weights, whatever the maps' size."""
        if self._ending is None or self._ending.layout != "channels first":
            return
        maps, scores = raw[self._ending.maps].astype(np.float64), raw[self._ending.scores].astype(np.float64)
        weights = self._ending.weights
        if maps.ndim != 4 or maps.shape[1] != weights.shape[1] or scores.size != len(weights):
            raise self._unlike()
        found = maps.mean(axis=(2, 3))[0] @ weights.T + self._ending.bias
        self._require_close(found, scores)

    def _cells(self, side: int) -> int | None:
        """Rows of the first layer's maps for a picture of a side, or None where it does not run."""
        pixels = _pattern(side, side).astype(self._dtype)
        pixels = pixels.transpose(0, 2, 3, 1) if self._last else pixels
        tensor = self._sources[0].tensor
        try:
            (maps,) = run(self._graph.cut([tensor]), {self._name: pixels})
        except ModelError:
            return None
        return maps.shape[2] if maps.ndim == 4 and maps.shape[2] == maps.shape[3] else None

    def _lost(self, raw: dict[str, Array], size: tuple[int, int]) -> tuple[int, int] | None:
        """Pixels to add before and behind, so that maps have a whole stride; None where none does."""
        if size[0] != size[1] or raw[self._sources[0].tensor].ndim != 4:
            return None
        self._free_input()
        side = size[0]
        here, there = self._cells(side), self._cells(side + _FURTHER)
        if here is None or there is None or there <= here or _FURTHER % (there - here):
            return None
        stride = _FURTHER // (there - here)
        wanted = _SIDE // stride
        low, high = stride * wanted, stride * wanted + _WIDEST_RIM
        while low < high:  # the least side that gives as many rows as are wanted
            middle = (low + high) // 2
            if (self._cells(middle) or 0) >= wanted:
                high = middle
            else:
                low = middle + 1
        rim = low - stride * wanted
        if rim <= 0 or any(self._cells(stride * rows + rim) != rows for rows in (wanted, wanted + 3)):
            return None
        self._notes.append(
            f"its convolutions are not padded: pictures get a rim of {rim} pixels of the mean colour, both "
            f"sides together, so that maps have one cell every {stride} pixels; its scores differ a little"
        )
        return rim // 2, rim - rim // 2

    def _free_input(self) -> None:
        """Lets the input have any height and width."""
        sides = self._picture_input().type.tensor_type.shape.dim
        for place, name in zip((1, 2) if self._last else (2, 3), "HW", strict=True):
            sides[place].dim_param = name
        self._declared = None

    def _pad_input(self, before: int, behind: int) -> None:
        """Adds a rim of zeros, which are the mean, to the picture."""
        value = self._picture_input()
        name = self._graph.new_name("picture")
        first, last = (0, before, before, 0), (0, behind, behind, 0)
        if not self._last:
            first, last = (0, 0, before, before), (0, 0, behind, behind)
        self._graph.pad_first(name, self._name, (*first, *last))
        value.name = self._name = name

    def _run_original(self, size: tuple[int, int], *, scores: bool = True) -> dict[str, Array]:
        """The layers' values, and the scores, for a pattern, as the network was brought."""
        wanted = [source.tensor for source in self._sources]
        wanted += [] if self._ending is None or not scores else [self._ending.scores]
        pixels = _pattern(*size).astype(self._dtype)
        pixels = pixels.transpose(0, 2, 3, 1) if self._last else pixels
        wanted = list(dict.fromkeys(wanted))
        return dict(zip(wanted, run(self._graph.cut(wanted), {self._name: pixels}), strict=True))

    def _measure(self, source: _Source, values: Array, size: tuple[int, int]) -> _Maps:
        """Where channels and cells are, by what the pattern gave."""
        shape = values.shape
        if not np.issubdtype(values.dtype, np.floating):
            raise ModelError(
                f"{source.tensor} holds {values.dtype}, no real values",
                remedy="name the tensor after its DequantizeLinear",
            )
        if len(shape) == 4:
            if source.layout != "channels last" and (stride := _stride(size, (shape[2], shape[3]))):
                return _Maps("channels first", shape[1], stride)
            if source.layout != "channels first" and (stride := _stride(size, (shape[1], shape[2]))):
                return _Maps("channels last", shape[3], stride)
        if source.layout in (None, "tokens") and len(shape) == 3:
            most = 0 if source.layout else _MAX_EXTRA_TOKENS
            for stride in range(1, math.gcd(*size) + 1):
                cells = (size[0] // stride) * (size[1] // stride)
                if math.gcd(*size) % stride == 0 and 0 <= shape[1] - cells <= most:
                    return _Maps("tokens", shape[2], stride, shape[1] - cells)
        raise ModelError(
            f"{source.tensor} has the shape {' x '.join(map(str, shape))} for a picture of "
            f"{size[0]} x {size[1]} pixels: no map of whole strides (N, K, H, W), (N, H, W, K) or (N, T, K)",
            remedy="name another layer with --features",
        )

    def _only_size(
        self,
        picture: str,
        layers: dict[str, Layer],
        multiple: int,
        native: tuple[int, int],
        ending: tuple[Classifier | None, str | None],
    ) -> tuple[int, int] | None:
        """None if the network gives whole maps of pictures of other sizes; otherwise the size it takes."""
        content = serialised(finished(self._graph, picture, layers, ending, self._weights))
        outputs = list(layers.values())
        loaded = None
        for rows, columns in ((1, 2), (3, 2), (5, 7)):
            height, width = rows * multiple, columns * multiple
            try:
                loaded = loaded or session(content)
                found = run_loaded(loaded, {picture: _pattern(height, width)})
            except ModelError as error:
                fault = error.message.split(":", 1)[0]
            else:
                shapes = [(1, item.channels, height // item.stride, width // item.stride) for item in outputs]
                if [value.shape for value in found[: len(outputs)]] == shapes:
                    continue
                fault = f"it gives maps of other sizes for {height} x {width} pixels"
            self._notes.append(
                f"it takes {native[0]} x {native[1]} pixels alone ({fault}): pictures are scaled to fit"
            )
            return native
        if self._declared is not None and native != (multiple, multiple):
            self._notes.append(f"its input of {native[0]} x {native[1]} pixels was freed: it takes any size")
        return None

    def _compare(
        self, content: bytes, picture: str, raw: dict[str, Array], scores: str | None, size: tuple[int, int]
    ) -> None:
        """The rebuilt ending must give the scores that the network's own gave."""
        if scores is None or self._ending is None:
            return
        names = [value.name for value in self._onnx.load_from_string(content).graph.output]
        found = run(content, {picture: _pattern(*size)})[names.index(scores)]
        expected = raw[self._ending.scores].astype(np.float64)
        self._require_close(found, expected)

    def _require_close(self, found: Array, expected: Array) -> None:
        close = _CLOSE if self._dtype == np.float32 else _CLOSE_HALF
        close = _CLOSE_QUANTISED if self._is_quantised() else close
        largest = float(np.abs(expected).max()) or 1.0
        if (
            expected.size != found.size
            or not np.abs(found.ravel() - expected.ravel()).max() <= close * largest
        ):
            raise self._unlike()

    def _unlike(self) -> EndingError:
        maps = "" if self._ending is None else f" (read from {self._ending.maps})"
        return EndingError(
            "the network's scores are not its last maps, pooled, times the weights of its linear layer"
            f"{maps}: something between, such as a pooling that does not cover the maps, changes them",
            remedy=AS_PLAIN,
        )

    # What is added to the graph.

    def _add_input(self) -> str:
        """Makes the input float32 (N, 3, H, W); gives its name."""
        value = self._graph.model.graph.input[0]
        name = self._name
        if self._last or self._dtype != np.float32:
            name = tensor = self._graph.new_name("pixels")
            if self._dtype != np.float32:
                kind = self._onnx.helper.np_dtype_to_tensor_dtype(self._dtype)
                output = None if self._last else self._name
                tensor = self._graph.add_first("Cast", tensor, output, to=kind)
            if self._last:
                self._graph.add_first("Transpose", tensor, self._name, perm=[0, 2, 3, 1])
        value.name = name
        return name

    def _add_layer(self, source: _Source, maps: _Maps, dtype: Any, picture: str) -> str:
        """Makes a layer float32 (N, K, H, W); gives the output's name."""
        graph, tensor = self._graph, source.tensor
        if maps.layout == "tokens":
            tensor = self._add_grid(tensor, maps, picture)
        if maps.layout == "channels last":
            tensor = graph.add_node("Transpose", [tensor], perm=[0, 3, 1, 2])
        name = graph.new_name("head" if source.name == "head" else "layer")
        if dtype == np.float32:
            return graph.add_node("Identity", [tensor], name)
        return graph.add_node("Cast", [tensor], name, to=self._onnx.TensorProto.FLOAT)

    def _add_grid(self, tensor: str, maps: _Maps, picture: str) -> str:
        """Lays the tokens of the patches out as they lie in the picture: (N, T, K) to (N, K, H, W)."""
        graph = self._graph

        def number(value: int) -> str:
            return graph.add_constant("number", np.array([value], np.int64))

        if maps.extra:
            ends = number(np.iinfo(np.int64).max)
            tensor = graph.add_node("Slice", [tensor, number(maps.extra), ends, number(1)])
        tensor = graph.add_node("Transpose", [tensor], perm=[0, 2, 1])
        shape = graph.add_node("Shape", [picture])
        sides = graph.add_node("Slice", [shape, number(2), number(4)])
        cells = graph.add_node("Div", [sides, number(maps.stride)])
        wanted = graph.add_node("Concat", [number(0), number(maps.channels), cells], axis=0)
        return graph.add_node("Reshape", [tensor, wanted])

    def _add_classifier(self, head: Layer, ending: Ending) -> tuple[Classifier, str]:
        """Pooling and linear layer anew, on the maps that are an output."""
        graph = self._graph
        if ending.weights.shape[1] != head.channels:
            raise EndingError(
                f"the linear layer takes {ending.weights.shape[1]} values and its maps have {head.channels} "
                f"channels ({ending.maps}): the pooling does not cover the maps",
                remedy=AS_PLAIN,
            )
        return add_classifier(graph, head.output, ending.weights, ending.bias)


def _modern(model: Any) -> Any:
    """The model in a version of the operations that ours fit in."""
    onnx = load_onnx()
    domains = {item.domain: item.version for item in model.opset_import}
    if domains.get("", domains.get("ai.onnx", _OPSET)) < _MIN_OPSET:
        try:
            model = onnx.version_converter.convert_version(model, _OPSET)
        except Exception as error:  # it has no exceptions of its own
            raise ModelError(
                f"the network's operations (opset {domains.get('')}) are too old to be converted: {error}",
                remedy=f"export it with opset {_OPSET}",
            ) from error
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = max(copy.ir_version, 8)
    return copy


def _float_type(onnx: Any, value: Any) -> Any:
    """The type of the picture's values."""
    kinds = {
        onnx.TensorProto.FLOAT: np.float32,
        onnx.TensorProto.FLOAT16: np.float16,
    }
    kind = value.type.tensor_type.elem_type
    if kind not in kinds:
        told = onnx.TensorProto.DataType.Name(kind).lower() if kind else "no tensor"
        raise ModelError(
            f"the network's input {value.name} is of type {told}, not float32 or float16",
            remedy="export it with a float input: camseek itself subtracts the mean and divides",
        )
    return np.dtype(kinds[kind])


def _picture_shape(value: Any) -> tuple[bool, tuple[int, int] | None]:
    """Whether the channels come last, and height and width if they are fixed."""
    sides = [
        item.dim_value if item.WhichOneof("value") == "dim_value" and item.dim_value > 0 else None
        for item in value.type.tensor_type.shape.dim
    ]
    told = " x ".join("?" if side is None else str(side) for side in sides)
    if len(sides) != 4 or {3, None}.isdisjoint((sides[1], sides[3])):
        raise ModelError(
            f"the network's input {value.name} has the shape {told}, no picture of three channels",
            remedy="export a classifier of colour pictures: (N, 3, H, W) or (N, H, W, 3)",
        )
    last = sides[1] != 3 and sides[3] == 3
    height, width = sides[1:3] if last else sides[2:4]
    return last, None if height is None or width is None else (height, width)


def _stride(size: tuple[int, int], cells: tuple[int, int]) -> int | None:
    """Pixels a cell, if that is a whole number and the same in both directions."""
    stride = size[0] // cells[0] if cells[0] else 0
    return stride if stride and (cells[0] * stride, cells[1] * stride) == size else None


def _pattern(height: int, width: int) -> F32:
    """Something to run a network on."""
    generator = np.random.default_rng(height * 10_007 + width)
    return generator.standard_normal((1, 3, height, width)).astype(np.float32)
