"""An ONNX graph that can be asked where its tensors come from, and cut, grown and run."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camseek.backbones.importing.extras import load_onnx
from camseek.errors import DamagedModelError, ModelError

Array = NDArray[Any]

_SHOWN_NAMES = 5
_MOST_COMPARED, _LONGEST_COMPARED = 2_000, 200
# Constants that the network computes are computed one by one.
_MOST_COMPUTED = 200
# Their values are no function of their inputs.
_RANDOM = (
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
)


class Graph:
    """A graph of ONNX, read and changed in place.

    Attributes:
        model: The ``ModelProto``.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._onnx = load_onnx()
        self._producers = {name: node for node in model.graph.node for name in node.output if name}
        self._initialisers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._values: dict[str, Array] = {}
        self._constant: dict[str, bool] = {}
        self._unused = self._first = self._computed = 0
        self._check_order()

    def _check_order(self) -> None:
        """Makes sure that walking from results to what they are made of ends.

        Raises:
            DamagedModelError: Operations go in a circle, or two give the same tensor.
        """
        nodes = self.model.graph.node
        given = [name for node in nodes for name in node.output if name]
        if len(given) != len(self._producers):
            twice = next(name for name, count in Counter(given).items() if count > 1)
            raise DamagedModelError(
                f"the network is damaged: two operations give the tensor {twice}", remedy="export it again"
            )
        takers: defaultdict[str, list[int]] = defaultdict(list)
        waits: list[int] = []
        for number, node in enumerate(nodes):
            taken = {name for name in _taken(node) if name in self._producers} - set(node.output)
            # Its own output is no wish of an inner graph's, but it is one of the operation's.
            taken |= set(node.input) & set(node.output) - {""}
            waits.append(len(taken))
            for name in taken:
                takers[name].append(number)
        ready = [number for number, count in enumerate(waits) if not count]
        done = 0
        while ready:
            done += 1
            for name in nodes[ready.pop()].output:
                for taker in takers.pop(name, ()):
                    waits[taker] -= 1
                    if not waits[taker]:
                        ready.append(taker)
        if done < len(nodes):
            raise DamagedModelError(
                f"the network is damaged: {len(nodes) - done} operations go in a circle, or follow one",
                remedy="export it again",
            )

    @property
    def inputs(self) -> list[Any]:
        """The graph's inputs, without those that are initialisers."""
        return [value for value in self.model.graph.input if value.name not in self._initialisers]

    @property
    def outputs(self) -> list[str]:
        """Names of the graph's outputs."""
        return [value.name for value in self.model.graph.output]

    def producer(self, tensor: str) -> Any:
        """The node that gives a tensor; None for inputs and initialisers."""
        return self._producers.get(tensor)

    def consumers(self, tensor: str) -> list[Any]:
        """The nodes that take a tensor."""
        return [node for node in self.model.graph.node if tensor in node.input]

    def resolve(self, name: str) -> str:
        """The tensor that a name means: a tensor's own, or a node's, whose first output it then is.

        Raises:
            ModelError: There is neither.
        """
        if name in self._producers or any(name == value.name for value in self.inputs):
            return name
        for node in self.model.graph.node:
            if node.name == name:
                return str(node.output[0])
        known = [*self._producers, *(node.name for node in self.model.graph.node if node.name)]
        # Comparing takes the product of the lengths.
        known = [item for item in known[-_MOST_COMPARED:] if len(item) < _LONGEST_COMPARED]
        near = difflib.get_close_matches(name[:_LONGEST_COMPARED], known, _SHOWN_NAMES, 0.3)
        near = near or list(self._producers)[-_SHOWN_NAMES:]
        raise ModelError(
            f"the network has no tensor and no node named {name!r}",
            remedy=f"name one of its {len(self._producers)} tensors, such as {', '.join(near)}",
        )

    def is_constant(self, tensor: str) -> bool:
        """Whether a tensor is the same for all pictures."""
        waiting = [tensor]
        while waiting:
            name = waiting[-1]
            node = self._producers.get(name)
            if name in self._constant:
                waiting.pop()
            elif node is None:
                self._constant[name] = name in self._initialisers
            elif node.op_type in _RANDOM or any(attribute.HasField("g") for attribute in node.attribute):
                self._constant[name] = False
            else:
                inputs = [item for item in node.input if item]
                if unknown := [item for item in inputs if item not in self._constant]:
                    waiting += unknown
                else:
                    self._constant[name] = all(self._constant[item] for item in inputs)
        return self._constant[tensor]

    def constant(self, tensor: str) -> Array | None:
        """The value of a tensor that is the same for all pictures; None for others.

        Those that the network computes are run, up to 200.
        """
        if not tensor or not self.is_constant(tensor):
            return None
        if tensor not in self._values:
            if tensor in self._initialisers:
                self._values[tensor] = self._onnx.numpy_helper.to_array(self._initialisers[tensor])
            elif (value := self._said(tensor)) is not None:
                self._values[tensor] = value
            elif self._computed < _MOST_COMPUTED:
                self._computed += 1
                self._values[tensor] = run(self.cut([tensor]), {})[0]
            else:
                return None
        return self._values[tensor]

    def _said(self, tensor: str) -> Array | None:
        """What a ``Constant`` says, where that is a tensor."""
        node = self._producers[tensor]
        if node.op_type == "Constant" and [item.name for item in node.attribute] == ["value"]:
            return self._onnx.numpy_helper.to_array(node.attribute[0].t)
        return None

    def new_name(self, wanted: str) -> str:
        """A name that no tensor has."""
        name = wanted
        taken = self._producers.keys() | self._initialisers.keys() | {value.name for value in self.inputs}
        while name in taken:
            self._unused += 1
            name = f"{wanted}_{self._unused}"
        return name

    def add_constant(self, name: str, value: Array) -> str:
        """Adds an initialiser and gives its name."""
        name = self.new_name(name)
        tensor = self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        self.model.graph.initializer.append(tensor)
        self._initialisers[name] = tensor
        return name

    def add_node(
        self, operation: str, inputs: Sequence[str], output: str | None = None, **attributes: Any
    ) -> str:
        """Adds a node at the end and gives its output's name."""
        output = self.new_name(operation.lower()) if output is None else output
        node = self._onnx.helper.make_node(operation, list(inputs), [output], **attributes)
        self.model.graph.node.append(node)
        self._producers[output] = self.model.graph.node[-1]
        return output

    def add_first(self, operation: str, tensor: str, output: str | None, **attributes: Any) -> str:
        """Adds a node before all that were there, after those added so before; gives its output's name."""
        output = self.new_name(operation.lower()) if output is None else output
        node = self._onnx.helper.make_node(operation, [tensor], [output], **attributes)
        self.model.graph.node.insert(self._first, node)
        self._producers[output] = self.model.graph.node[self._first]
        self._first += 1
        return output

    def pad_first(self, tensor: str, output: str, pads: Sequence[int]) -> None:
        """Adds zeros around a tensor, before all that is there and all that will be added first."""
        opset = next((item.version for item in self.model.opset_import if item.domain in ("", "ai.onnx")), 0)
        if opset < 11:
            node = self._onnx.helper.make_node("Pad", [tensor], [output], pads=list(pads))
        else:
            said = self.add_constant("rim", np.array(pads, np.int64))
            node = self._onnx.helper.make_node("Pad", [tensor, said], [output])
        self.model.graph.node.insert(0, node)
        self._producers[output] = self.model.graph.node[0]
        self._constant[output] = False

    def cut(self, outputs: Iterable[str]) -> bytes:
        """The file of a graph with these outputs alone, and nothing that they do not need."""
        values = [self._onnx.ValueInfoProto(name=name) for name in outputs]
        return serialised(self.extract(values))

    def extract(self, outputs: Sequence[Any]) -> Any:
        """A model with these outputs (``ValueInfoProto``) alone, and nothing that they do not need.

        Declared shapes of inner tensors are left out: they may speak of another size of picture.
        """
        needed: set[str] = set()
        waiting = [value.name for value in outputs]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                if name in self._producers:
                    waiting += _taken(self._producers[name])
        old, new = self.model, self._onnx.ModelProto()
        new.ir_version = old.ir_version
        new.opset_import.extend(old.opset_import)
        new.functions.extend(old.functions)
        new.graph.name = old.graph.name
        new.graph.input.extend(value for value in self.inputs if value.name in needed)
        new.graph.output.extend(outputs)
        new.graph.node.extend(node for node in old.graph.node if not needed.isdisjoint(node.output))
        new.graph.initializer.extend(item for item in old.graph.initializer if item.name in needed)
        new.graph.quantization_annotation.extend(old.graph.quantization_annotation)
        return new


def _taken(node: Any) -> Iterator[str]:
    """The tensors that a node takes, those of its inner graphs included."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for deeper in inner.node:
                yield from _taken(deeper)
            yield from (value.name for value in inner.output)


def serialised(model: Any) -> bytes:
    """The file of a model, the same bytes for the same model.

    Raises:
        ModelError: It is larger than the 2 GB that one ONNX file can hold.
    """
    try:
        content: bytes = model.SerializeToString(deterministic=True)
    except Exception as error:  # protobuf has several, by its version
        raise ModelError(
            f"the network is larger than one ONNX file can be (2 GB): {error}", remedy="import a smaller one"
        ) from error
    return content


def session(model: bytes) -> Any:
    """ONNX Runtime with a network, quiet.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base below this
        raise ModelError(
            f"ONNX Runtime cannot load the network: {error}", remedy="export it again, or with another opset"
        ) from error


def run(model: bytes, inputs: Mapping[str, Array]) -> list[Array]:
    """All outputs of a network.

    Raises:
        ModelError: It does not run.
    """
    return run_loaded(session(model), inputs)


def run_loaded(loaded: Any, inputs: Mapping[str, Array]) -> list[Array]:
    """The same of a network that ``session`` loaded."""
    try:
        return [np.asarray(value) for value in loaded.run(None, dict(inputs))]
    except Exception as error:  # as above
        shapes = ", ".join(" x ".join(map(str, value.shape)) for value in inputs.values())
        raise ModelError(
            f"the network does not run on {shapes}: {error}", remedy="export it again"
        ) from error
