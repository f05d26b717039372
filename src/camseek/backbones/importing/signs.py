"""Whether a tensor's values may be negative."""

from typing import Any

import numpy as np

from camseek.backbones.importing.graph import Graph

# Operations whose results are never negative, and those that are so where all they take is.
_POSITIVE = frozenset(
    ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp", "Sqrt", "ThresholdedRelu")
)
_ALL_INPUTS = frozenset(
    (
        "Add",
        "AveragePool",
        "Cast",
        "Concat",
        "Flatten",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Identity",
        "Max",
    )
) | frozenset(("MaxPool", "Mean", "Mul", "Pad", "Sum", "Transpose"))
_FIRST_INPUT = frozenset(
    ("DequantizeLinear", "Dropout", "QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceSum", "Reshape")
) | frozenset(("Slice", "Squeeze", "Unsqueeze"))


def is_signed(graph: Graph, tensor: str) -> bool:
    """Whether a tensor may hold negative values; True wherever the graph does not show that it cannot."""
    waiting, seen = [tensor], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        value = graph.constant(name)
        if value is not None:
            if np.issubdtype(value.dtype, np.bool_) or not (value >= 0).all():
                return True
            continue
        node = graph.producer(name)
        if node is None:
            return True  # the picture itself
        if node.op_type in _POSITIVE or (node.op_type == "Clip" and _low(graph, node) >= 0):
            continue
        if node.op_type in _ALL_INPUTS:
            waiting += filter(None, node.input)
        elif node.op_type in _FIRST_INPUT:
            waiting.append(node.input[0])
        else:
            return True
    return False


def _low(graph: Graph, node: Any) -> float:
    """The lower end of a Clip."""
    for attribute in node.attribute:
        if attribute.name == "min":
            return float(attribute.f)
    value = graph.constant(node.input[1]) if len(node.input) > 1 else None
    return -np.inf if value is None else float(value)
