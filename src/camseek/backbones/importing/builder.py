"""Networks built operation by operation from their weights, as ONNX graphs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from camseek.backbones.card import Classifier, Layer
from camseek.backbones.importing.extras import load_onnx
from camseek.backbones.importing.graph import Graph, serialised
from camseek.backbones.importing.network import Network
from camseek.errors import ModelError

F32 = NDArray[np.float32]

INPUT = "pixels"
_OPSET, _IR = 17, 8


class Builder:
    """Builds a network; each method adds an operation and gives the name of its result."""

    def __init__(self, name: str) -> None:
        onnx = load_onnx()
        self._onnx = onnx
        shape = ["N", 3, "H", "W"]
        value = onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, shape)
        model = onnx.helper.make_model(
            onnx.helper.make_graph([], name, [value], []),
            opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
            ir_version=_IR,
        )
        self._graph = Graph(model)
        self._layers: dict[str, Layer] = {}

    def conv(
        self,
        tensor: str,
        weights: Float32[F32, "K2 K rows columns"],
        bias: Float32[F32, "K2"] | None = None,
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        """A convolution, padded so that a stride of 1 keeps the size of the maps."""
        side = weights.shape[-1]
        inputs = [tensor, self._graph.add_constant("w", weights)]
        if bias is not None:
            inputs.append(self._graph.add_constant("b", bias))
        return self._graph.add_node(
            "Conv",
            inputs,
            kernel_shape=[side, side],
            pads=[side // 2] * 4,
            strides=[stride, stride],
            group=groups,
        )

    def norm(self, tensor: str, norm: "Norm") -> str:
        """Batch normalisation with the statistics of training."""
        parts = [norm.weight, norm.bias, norm.mean, norm.variance]
        names = [self._graph.add_constant("n", part) for part in parts]
        return self._graph.add_node("BatchNormalization", [tensor, *names], epsilon=norm.epsilon)

    def relu(self, tensor: str) -> str:
        """max(x, 0)."""
        return self._graph.add_node("Relu", [tensor])

    def add(self, one: str, other: str) -> str:
        """A sum."""
        return self._graph.add_node("Add", [one, other])

    def concat(self, tensors: Sequence[str]) -> str:
        """Channels of several maps, one after the other."""
        return self._graph.add_node("Concat", tensors, axis=1)

    def max_pool(self, tensor: str, side: int, *, padding: int = 0) -> str:
        """Maxima over windows, every other cell."""
        return self._graph.add_node(
            "MaxPool", [tensor], kernel_shape=[side, side], strides=[2, 2], pads=[padding] * 4
        )

    def average_pool(self, tensor: str) -> str:
        """Means over 2 x 2 cells."""
        return self._graph.add_node("AveragePool", [tensor], kernel_shape=[2, 2], strides=[2, 2])

    def layer(self, name: str, tensor: str, *, channels: int, stride: int) -> None:
        """Makes a non-negative tensor a layer of the card."""
        output = self._graph.add_node("Identity", [tensor], self._graph.new_name(name))
        self._layers[name] = Layer(output=output, channels=channels, stride=stride, source=name)

    def network(
        self,
        weights: Float32[F32, "classes K"],
        bias: Float32[F32, "classes"],
        *,
        default_layer: str = "head",
        notes: Sequence[str] = (),
    ) -> Network:
        """Ends the network: the layer ``head`` is pooled, and a linear layer gives the scores."""
        head = self._layers["head"]
        if weights.ndim != 2 or weights.shape[1] != head.channels or bias.shape != weights.shape[:1]:
            raise ModelError(
                f"the classifier's weights have the shape {weights.shape}, its bias {bias.shape}, and its "
                f"maps {head.channels} channels: they do not fit together",
                remedy="give the weights of the whole network",
            )
        classifier, scores = add_classifier(self._graph, head.output, weights, bias)
        content = serialised(finished(self._graph, INPUT, self._layers, (classifier, scores), weights.shape))
        return Network(
            content=content,
            input=INPUT,
            layers=dict(self._layers),
            default_layer=default_layer,
            multiple=max(layer.stride for layer in self._layers.values()),
            classifier=classifier,
            scores=scores,
            classes=len(weights),
            notes=list(notes),
        )


class Norm:
    """Batch normalisation: weight · (x - mean) / √(variance + epsilon) + bias, one of each a channel."""

    def __init__(self, weight: F32, bias: F32, mean: F32, variance: F32, *, epsilon: float = 1e-5) -> None:
        self.weight, self.bias, self.mean, self.variance = weight, bias, mean, variance
        self.epsilon = epsilon

    def folded(self, weights: Float32[F32, "K2 K rows columns"]) -> tuple[F32, F32]:
        """Weights and bias of a convolution without bias that this normalisation follows."""
        factor = self.weight.astype(np.float64) / np.sqrt(self.variance.astype(np.float64) + self.epsilon)
        bias = self.bias - self.mean * factor
        return (weights * factor[:, None, None, None]).astype(np.float32), bias.astype(np.float32)


def add_classifier(
    graph: Graph, maps: str, weights: Float32[F32, "classes K"], bias: Float32[F32, "classes"]
) -> tuple[Classifier, str]:
    """Adds global average pooling and a linear layer; gives the classifier and the scores' name."""
    pooled = graph.add_node("Flatten", [graph.add_node("GlobalAveragePool", [maps])], axis=1)
    classifier = Classifier(
        layer="head",
        weights=graph.add_constant("classifier_weights", weights),
        bias=graph.add_constant("classifier_bias", bias),
    )
    inputs = [pooled, classifier.weights, classifier.bias]
    return classifier, graph.add_node("Gemm", inputs, graph.new_name("scores"), transB=1)


def finished(
    graph: Graph,
    picture: str,
    layers: Mapping[str, Layer],
    ending: tuple[Classifier | None, str | None],
    weights: tuple[int, ...],
    size: tuple[int, int] | None = None,
) -> Any:
    """The model with our input and outputs, and no more than they need.

    Args:
        graph: The graph.
        picture: Name of the input, float32 (N, 3, H, W).
        layers: The layers, whose outputs are there.
        ending: Classifier and name of the scores, or None and None.
        weights: Shape of the classifier's weights, (classes, K).
        size: H and W where they are fixed.
    """
    onnx = load_onnx()
    kind = onnx.TensorProto.FLOAT
    shapes: dict[str, list[Any]] = {
        layer.output: ["N", layer.channels, f"H/{layer.stride}", f"W/{layer.stride}"]
        for layer in layers.values()
    }
    classifier, scores = ending
    if classifier is not None and scores is not None:
        shapes[scores] = ["N", weights[0]]
        shapes[classifier.weights] = list(weights)
        shapes[classifier.bias] = [weights[0]]
    outputs = [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]
    model = graph.extract(outputs)
    del model.graph.input[:]
    value = onnx.helper.make_tensor_value_info(picture, kind, ["N", 3, *(size or ("H", "W"))])
    model.graph.input.append(value)
    return model
