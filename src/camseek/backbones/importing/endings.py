"""How a classifier ends: global average pooling and a linear layer, in the many forms they are written in.

The end of the graph is read backwards, from the scores to the pooled maps. All that stands between is one
affine function of the pooled vector, scores = weights · x + bias, which each operation on the way extends;
whatever is no affine function, and no known form of pooling, ends the reading with an error that says what
was found.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from camseek.backbones.importing.extras import load_onnx
from camseek.backbones.importing.graph import Graph
from camseek.errors import UnsupportedModelError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Layout = Literal["channels first", "channels last", "tokens"]

AS_PLAIN = "import it as a plain backbone: --features LAYER names the tensor or node of its feature maps"
_TOLD = 8  # operations that an error tells
_MOST_TOLD = 24
_LONGEST = 200  # operations from the scores to the maps
_AFTER = ("Softmax", "LogSoftmax", "Sigmoid", "QLinearSoftmax", "QLinearSigmoid")
# They move or round values, and change none.
_MOVES = ("Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Cast")
_RECTIFIED = ("Relu", "Identity", "Dropout", "Cast")
_ROUNDS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """What the end of a classifier's graph says.

    Attributes:
        maps: The tensor that global average pooling takes.
        layout: Where its channels are: (N, K, H, W), (N, H, W, K) or (N, T, K).
        scores: The tensor of the logits: what comes before a softmax.
        weights: The linear layer, float32 (classes, K).
        bias: Its bias, float32 (classes,).
        features: The tensor of features where ``maps`` are the classes' own, (N, classes, H, W).
    """

    maps: str
    layout: Layout
    scores: str
    weights: Float32[F32, "classes K"]
    bias: Float32[F32, "classes"]
    features: str | None = None


class EndingError(UnsupportedModelError):
    """The graph does not end in global average pooling and a linear layer."""


def read_ending(graph: Graph, output: str) -> Ending:
    """Reads how a classifier ends.

    Args:
        graph: Its graph; nodes that give a quantised tensor's real values may be added.
        output: The graph's output that holds the scores.

    Raises:
        EndingError: It does not end in global average pooling and a linear layer; the message says what was
            found.
    """
    try:
        return _Reader(graph).read(output)
    except ValueError as error:
        raise EndingError(
            f"the parts of the network's last linear layer do not fit together: {error}", remedy=AS_PLAIN
        ) from error


class _Reader:
    """Walks from the scores to the maps."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._onnx = load_onnx()
        self._seen: list[str] = []
        self._weights: Float64[F64, "classes K"] | None = None
        self._gain: F64 = np.ones(1)  # factors met before the weights are known
        self._bias: F64 = np.zeros(1)
        self._features: str | None = None
        self._linear: dict[str, Callable[[Any], str | None]] = {
            "Gemm": self._gemm,
            "QGemm": self._quantised_gemm,
            "MatMul": self._matmul,
            "QLinearMatMul": self._quantised_matmul,
            "Conv": self._conv,
            "QLinearConv": self._quantised_conv,
            "Add": self._arithmetic,
            "Sub": self._arithmetic,
            "Mul": self._arithmetic,
            "Div": self._arithmetic,
            "QLinearAdd": self._quantised_add,
            "BatchNormalization": self._batch_norm,
        }

    def read(self, output: str) -> Ending:
        scores = output
        while (node := self._node(scores)) is not None and node.op_type in _AFTER + _MOVES + _ROUNDS:
            scores = node.input[0]
            self._see(node, scores)
        tensor = scores
        pooled = None
        while pooled is None:
            node = self._node(tensor)
            if node is None:
                self._fail(tensor, "the network's input was reached")
            pooled = self._pooling(node)
            if pooled is None:
                tensor = self._before(node, tensor)
            else:
                self._see(node, tensor)
        maps, layout = pooled
        if self._weights is None:
            maps, layout = self._through_convolution(maps)
        weights, bias = self._affine(maps)
        return Ending(maps, layout, self._real(scores), weights, bias, self._features)

    def _see(self, node: Any, tensor: str) -> None:
        self._seen.append(node.op_type)
        if len(self._seen) > _LONGEST:
            self._fail(tensor, f"there are more than {_LONGEST} operations between scores and maps")

    def _node(self, tensor: str) -> Any:
        return self._graph.producer(tensor)

    def _before(self, node: Any, tensor: str) -> str:
        """The tensor that an affine operation takes, taken account of."""
        before = str(node.input[0])
        if node.op_type in self._linear:
            found = self._linear[node.op_type](node)
            if found is None:
                self._fail(tensor, f"this {node.op_type} is no linear layer with constant weights")
            before = found
        elif node.op_type not in _MOVES + _ROUNDS:
            self._fail(tensor, f"{node.op_type} is neither pooling nor part of a linear layer")
        self._see(node, tensor)
        return before

    def _affine(self, maps: str) -> tuple[F32, F32]:
        if self._weights is None:
            self._fail(maps, "there is no linear layer")
        classes = len(self._weights)
        if self._bias.size not in (1, classes):
            self._fail(maps, "the linear layer's parts do not fit together")
        return self._weights.astype(np.float32), np.broadcast_to(self._bias, classes).astype(np.float32)

    def _fail(self, tensor: str, fault: str) -> NoReturn:
        """Says what was found, from the end."""
        found, node = self._seen[:_MOST_TOLD], self._node(tensor)
        last = len(found) + _TOLD
        while node is not None and len(found) < last:
            found.append(node.op_type)
            inputs = [name for name in node.input if name and not self._graph.is_constant(name)]
            node = self._node(inputs[0]) if inputs else None
        raise EndingError(
            "the network does not end in global average pooling and a linear layer: "
            f"from its end, it has {' ← '.join(found)}; {fault}",
            remedy=AS_PLAIN,
        )

    # Affine operations: each takes account of itself and gives the tensor that it takes.

    def _apply(self, weights: F64, bias: F64 | float = 0.0) -> None:
        """Extends what is known by a linear layer before it."""
        shift = np.atleast_1d(np.asarray(bias, np.float64)).ravel()
        shift = np.broadcast_to(shift, len(weights)) if shift.size == 1 else shift
        if self._weights is None:
            self._bias = self._bias + self._gain * shift
            self._weights = weights * self._gain[:, None]
        else:
            self._bias, self._weights = self._bias + self._weights @ shift, self._weights @ weights

    def _scale(self, factor: F64) -> None:
        """Extends what is known by factors before it: one, or one a channel."""
        if self._weights is None:
            self._gain = self._gain * factor
        else:
            self._weights = self._weights * factor

    def _shift(self, offset: F64) -> None:
        """The same for summands."""
        if self._weights is None:
            self._bias = self._bias + self._gain * offset
        else:
            self._bias = self._bias + self._weights @ np.broadcast_to(offset, self._weights.shape[1])

    def _constant(self, tensor: str) -> F64 | None:
        value = self._graph.constant(tensor)
        return None if value is None else np.atleast_1d(value.astype(np.float64))

    def _attributes(self, node: Any) -> dict[str, Any]:
        return {item.name: self._onnx.helper.get_attribute_value(item) for item in node.attribute}

    def _gemm(self, node: Any) -> str | None:
        """Reads alpha · A' · B' + beta · C, of which A or B is the layer's weights."""
        said = self._attributes(node)
        bias = self._constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        if bias is None:
            return None
        return self._product(
            node.input[0],
            node.input[1],
            (self._constant(node.input[0]), self._constant(node.input[1])),
            (bool(said.get("transA", 0)), bool(said.get("transB", 0))),
            said.get("alpha", 1.0),
            said.get("beta", 1.0) * bias,
        )

    def _matmul(self, node: Any) -> str | None:
        values = (self._constant(node.input[0]), self._constant(node.input[1]))
        return self._product(node.input[0], node.input[1], values)

    def _product(
        self,
        first: str,
        second: str,
        values: tuple[F64 | None, F64 | None],
        turned: tuple[bool, bool] = (False, False),
        alpha: float = 1.0,
        bias: F64 | float = 0.0,
    ) -> str | None:
        """A product of the pooled vector and a constant matrix, on either side."""
        left, right = values
        matrix = right if left is None else left
        if matrix is None or matrix.ndim != 2 or (left is not None and right is not None):
            return None
        # Rows are the layer's outputs: as they stand on the left, turned on the right.
        upright = turned[1] if left is None else not turned[0]
        rows = matrix if upright else matrix.T
        self._apply(alpha * rows, bias)
        return first if left is None else second

    def _conv(self, node: Any) -> str | None:
        """A convolution of 1 x 1, which is a linear layer at each cell."""
        weights = self._constant(node.input[1])
        bias = self._constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        if weights is None or bias is None or not self._is_pointwise(node, weights):
            return None
        self._apply(weights.reshape(weights.shape[:2]), bias)
        return str(node.input[0])

    def _is_pointwise(self, node: Any, weights: F64) -> bool:
        said = self._attributes(node)
        plain = not any(said.get("pads", ())) and all(step == 1 for step in said.get("strides", ()))
        return plain and said.get("group", 1) == 1 and set(weights.shape[2:]) <= {1}

    def _arithmetic(self, node: Any) -> str | None:
        """A constant added, taken away, or as a factor."""
        first, second = node.input
        left, right = self._constant(first), self._constant(second)
        if left is None and right is None:
            return self._dynamic_matmul(node) if node.op_type == "Mul" else None
        constant, tensor = (left, second) if right is None else (right, first)
        if constant is None or (constant.size > 1 and max(constant.shape) != constant.size):
            return None
        constant = constant.ravel()
        match node.op_type:
            case "Add":
                self._shift(constant)
            case "Mul":
                self._scale(constant)
            case "Sub" if right is not None:
                self._shift(-constant)
            case "Sub":
                self._shift(constant)
                self._scale(-np.ones(1))
            case "Div" if right is not None:
                self._scale(1 / constant)
            case _:
                return None
        return tensor

    def _dynamic_matmul(self, node: Any) -> str | None:
        """Mul(Cast(MatMulInteger(x8, w8)), Mul(x's scale, w's scale)), with x quantised as it comes."""
        product, scales = (self._node(name) for name in node.input)
        for cast, factors in ((product, scales), (scales, product)):
            inner = None if cast is None or cast.op_type != "Cast" else self._node(cast.input[0])
            if inner is None or inner.op_type != "MatMulInteger" or factors is None:
                continue
            quantised = self._node(inner.input[0])
            scale = [self._constant(name) for name in factors.input if self._graph.is_constant(name)]
            weights = self._dequantised(inner.input[1], scale[0] if scale else None, inner.input[3:4])
            if quantised is None or quantised.op_type != "DynamicQuantizeLinear" or weights is None:
                continue
            self._seen += ["Cast", "MatMulInteger", "DynamicQuantizeLinear"]
            self._apply(weights.T)
            return str(quantised.input[0])
        return None

    def _batch_norm(self, node: Any) -> str | None:
        parts = [self._constant(name) for name in node.input[1:5]]
        if len(parts) != 4 or any(part is None for part in parts):
            return None
        scale, offset, mean, variance = (part for part in parts if part is not None)
        factor = scale / np.sqrt(variance + self._attributes(node).get("epsilon", 1e-5))
        self._shift(offset - mean * factor)
        self._scale(factor)
        return str(node.input[0])

    # Operations on 8 bits.

    def _dequantised(self, tensor: str, scale: F64 | None, zero: Sequence[str], axis: int = -1) -> F64 | None:
        """(value - zero) · scale, with one scale or one along an axis."""
        value = self._constant(tensor)
        offset = self._constant(zero[0]) if zero and zero[0] else np.zeros(1)
        if value is None or scale is None or offset is None:
            return None
        if scale.size > 1:
            shape = [1] * value.ndim
            shape[axis] = scale.size
            scale = scale.reshape(shape)
            offset = offset.reshape(shape) if offset.size > 1 else offset
        return (value - offset) * scale

    def _quantised_gemm(self, node: Any) -> str | None:
        said, names = self._attributes(node), list(node.input)
        scale, weight_scale = self._constant(names[1]), self._constant(names[4])
        turned = bool(said.get("transB", 0))
        weights = self._dequantised(names[3], weight_scale, names[5:6], 0 if turned else 1)
        alpha = said.get("alpha", 1.0)
        if weights is None or scale is None or weight_scale is None or said.get("transA", 0):
            return None
        bias = self._integer_bias(names[6:7], alpha * scale * weight_scale)
        if bias is None:
            return None
        self._apply(alpha * (weights if turned else weights.T), bias)
        return names[0]

    def _quantised_matmul(self, node: Any) -> str | None:
        names = list(node.input)
        weights = self._dequantised(names[3], self._constant(names[4]), names[5:6])
        return self._product(names[0], names[3], (None, weights))

    def _quantised_conv(self, node: Any) -> str | None:
        names = list(node.input)
        scale, weight_scale = self._constant(names[1]), self._constant(names[4])
        weights = self._dequantised(names[3], weight_scale, names[5:6], 0)
        if weights is None or scale is None or weight_scale is None or not self._is_pointwise(node, weights):
            return None
        bias = self._integer_bias(names[8:9], scale * weight_scale)
        if bias is None:
            return None
        self._apply(weights.reshape(weights.shape[:2]), bias)
        return names[0]

    def _integer_bias(self, name: Sequence[str], scale: F64) -> F64 | None:
        """A bias of 32 bits, in units of the input's scale times the weights'."""
        if not name or not name[0]:
            return np.zeros(1)
        value = self._constant(name[0])
        return None if value is None else value.ravel() * scale.ravel()

    def _quantised_add(self, node: Any) -> str | None:
        names = list(node.input)
        for tensor, constant in ((0, 3), (3, 0)):
            scale = self._constant(names[constant + 1])
            value = self._dequantised(names[constant], scale, names[constant + 2 : constant + 3])
            if value is not None:
                self._shift(value.ravel())
                return names[tensor]
        return None

    # Pooling.

    def _pooling(self, node: Any) -> tuple[str, Layout] | None:
        """The maps that a node pools over their whole extent, and where their channels are."""
        said = self._attributes(node)
        match node.op_type:
            case "GlobalAveragePool":
                return str(node.input[0]), "channels first"
            case "QLinearGlobalAveragePool":
                maps = self._dequantise(node)
                return maps, "channels last" if said.get("channels_last", 0) else "channels first"
            case "AveragePool" | "QLinearAveragePool":
                # A kernel that does not cover the maps leaves more than one value a channel, which fits no
                # linear layer; and the scores are compared at the end.
                if not self._covers(node, said):
                    return None
                quantised = node.op_type == "QLinearAveragePool"
                maps = self._dequantise(node) if quantised else str(node.input[0])
                return maps, "channels last" if said.get("channels_last", 0) else "channels first"
            case "ReduceMean" | "QLinearReduceMean":
                return self._mean(node, said)
            case _:
                return None

    def _covers(self, node: Any, said: dict[str, Any]) -> bool:
        """Whether a pooling's windows may be one that covers all cells; takes account of its padding.

        Padding that counts makes the mean smaller: by the share of the window that are cells.
        """
        if said.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            return False
        sides: list[int] = list(said.get("kernel_shape") or (1, 1))
        pads: list[int] = list(said.get("pads") or [0] * (2 * len(sides)))
        if len(pads) != 2 * len(sides):
            return False
        both = zip(pads[: len(sides)], pads[len(sides) :], strict=True)
        cells = [side - sum(around) for side, around in zip(sides, both, strict=True)]
        if min(cells) < 1:
            return False
        if any(pads) and said.get("count_include_pad", 0):
            self._scale(np.array([math.prod(cells) / math.prod(sides)]))
        return True

    def _mean(self, node: Any, said: dict[str, Any]) -> tuple[str, Layout] | None:
        """A mean over axes, all that are no channels."""
        axes = said.get("axes")
        if axes is None and node.op_type == "ReduceMean" and len(node.input) > 1:
            given = self._graph.constant(node.input[1])
            axes = None if given is None else given.ravel().tolist()
        maps = str(node.input[0]) if node.op_type == "ReduceMean" else self._dequantise(node)
        before = self._node(node.input[0])
        match sorted(axes or ()):
            case [2, 3] | [-2, -1] | [-1, 2] | [-2, 3]:
                return maps, "channels first"
            case [1, 2] | [-3, -2] | [-2, 1] | [-3, 2]:
                return maps, "channels last"
            case [1] | [-2] if before is None or before.op_type != "ReduceMean":
                return maps, "tokens"
            case [2] | [-1] | [3] if before is not None:
                return self._mean_of_one(node.input[0], before)
            case _:
                return None

    def _mean_of_one(self, tensor: str, before: Any) -> tuple[str, Layout] | None:
        """A mean over one axis: of maps laid out in one row, or of a mean over the other axis."""
        if before.op_type in ("Reshape", "Flatten", "ReduceMean"):
            return str(before.input[0]), "channels first"
        turned = before.op_type == "Transpose" and self._attributes(before).get("perm") == [0, 2, 1]
        return (str(before.input[0]), "tokens") if turned else None

    def _dequantise(self, node: Any) -> str:
        """The real values of the 8 bits that a quantised operation takes."""
        return self._graph.add_node("DequantizeLinear", node.input[:3])

    def _real(self, tensor: str) -> str:
        """The real values of the scores, which may be of 8 bits."""
        node = self._node(tensor)
        scale = {"QGemm": 7, "QLinearMatMul": 6, "QLinearConv": 6, "QLinearAdd": 6}.get(node.op_type)
        if scale is None or len(node.input) <= scale:
            return tensor
        return self._graph.add_node("DequantizeLinear", [tensor, *node.input[scale : scale + 2]])

    def _through_convolution(self, tensor: str) -> tuple[str, Layout]:
        """The maps before a 1 x 1 convolution that stands before the pooling instead of a layer after it."""
        before: str | None = tensor
        while before is not None and (node := self._node(tensor)) is not None:
            if node.op_type in ("Conv", "QLinearConv", "Add", "BatchNormalization"):
                before = self._linear[node.op_type](node)
            else:
                moved = node.op_type in ("Identity", "Dropout", "Cast", "Transpose", *_ROUNDS)
                before = str(node.input[0]) if moved else None
            if before is not None and self._weights is not None:
                return self._dequantise(node) if node.op_type == "QLinearConv" else before, "channels first"
            if before is not None:
                self._see(node, tensor)
                tensor = before
        if (own := self._classes_own(tensor)) is not None:
            return own, "channels first"
        return self._fail(
            tensor, "there is no linear layer after the pooling, and no 1 x 1 convolution before it"
        )

    def _classes_own(self, tensor: str) -> str | None:
        """Maps that are the classes' own: a 1 x 1 convolution with ReLU, whose means are the scores.

        A class's map is then its channel: the linear layer is the identity. (SqueezeNet, Network in Network)
        """
        place, rectified = tensor, False
        while (node := self._node(place)) is not None and node.op_type in _RECTIFIED:
            rectified = rectified or node.op_type == "Relu"
            self._see(node, place)
            place = str(node.input[0])
        if node is None or node.op_type != "Conv" or not rectified:
            return None
        weights = self._constant(node.input[1])
        if weights is None or set(weights.shape[2:]) - {1}:
            return None
        classes = len(weights)
        self._weights = np.diag(np.broadcast_to(self._gain, classes))
        if self._is_pointwise(node, weights):
            self._features = str(node.input[0])
        return tensor
