"""What an ONNX file would do, read from its bytes before anything runs or builds it.

ONNX's form is protobuf: fields with a number, a kind and a length. A few of them tell all that matters here:
how many operations there are, whether any repeats itself or calls functions that unfold, and which other
files it wants. Weights are stepped over, so that this costs a fraction of loading the network. It needs no
package, so that it also guards models that were imported elsewhere.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from camseek.errors import DamagedModelError, ForbiddenModelError, ModelError, UnsupportedModelError
from camseek.files import open_regular, reason_of

MOST_NODES = 20_000
"""Operations of a network, functions unfolded; the deepest known have some thousands."""

_MOST_TENSORS = 100_000
_DEEPEST = 32
_LONGEST_NAME = 4096
_MOST_FIELDS = 1_000_000
# They run a graph again and again; whether that ends can depend on the picture. The last are ONNX Runtime's.
_REPEATING = ("Loop", "Scan", "SequenceMap", "BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch")
_VARINT, _BITS64, _LENGTH, _BITS32 = 0, 1, 2, 5
_AGAIN = "get the network again, or export it anew"


@dataclass(slots=True)
class _Graph:
    """What is counted: operations, and calls of functions by domain and name."""

    nodes: int = 0
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass(slots=True)
class Scanned:
    """What an ONNX file holds.

    Attributes:
        nodes: Operations, functions unfolded.
        external: The other files that its tensors lie in, as they are named.
    """

    nodes: int
    external: frozenset[str]


def scan_file(path: Path) -> Scanned:
    """Reads what a file would do.

    Raises:
        ModelError: It cannot be read.
        DamagedModelError: It is no ONNX file, or is cut short.
        UnsupportedModelError: It repeats itself (``Loop``), or has sparse weights.
        ForbiddenModelError: It has, or unfolds to, more operations than any network.
    """
    try:
        with open_regular(path) as file:
            if not file.read(1):
                raise DamagedModelError(f"{path} is damaged: it is empty", remedy=_AGAIN)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                view = memoryview(content)
                try:
                    return scan(view, str(path))
                finally:
                    view.release()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason_of(error)}", remedy="check the name") from error


def scan(content: memoryview, name: str) -> Scanned:
    """The same of bytes.

    Args:
        content: The file.
        name: Its name, for messages.

    Raises:
        ModelError: As above.
    """
    scanner = _Scanner(name)
    try:
        return scanner.model(content)
    except (IndexError, UnicodeDecodeError) as error:
        raise DamagedModelError(
            f"{name} is damaged: it is no ONNX file, or is cut short", remedy=_AGAIN
        ) from error


class _Scanner:
    """Counts what the parts of one file hold."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._external: set[str] = set()
        self._tensors = self._nodes = self._seen = 0

    def model(self, content: memoryview) -> Scanned:
        main = _Graph()
        functions: dict[tuple[str, str], _Graph] = {}
        for number, value in self._fields(content, 0, len(content)):
            if number == 7:
                self._graph(content, value, main, 0)
            elif number == 25:
                key, graph = self._function(content, value)
                functions[key] = graph
        return Scanned(self._unfolded(main, functions), frozenset(self._external))

    def _unfolded(self, main: _Graph, functions: dict[tuple[str, str], _Graph]) -> int:
        """Operations when every call of a function is its body."""
        known: dict[tuple[str, str], int] = {}

        def count(graph: _Graph, depth: int) -> int:
            if depth > _DEEPEST:
                raise self._forbidden("its functions call each other without end")
            total = graph.nodes
            for key in graph.calls:
                if key in functions:
                    if key not in known:
                        known[key] = count(functions[key], depth + 1)
                    total += known[key]
                if total > MOST_NODES:
                    raise self._too_many()
            return total

        return count(main, 0)

    def _graph(self, content: memoryview, place: slice, found: _Graph, depth: int) -> None:
        if depth > _DEEPEST:
            raise self._forbidden("its graphs lie too deep within each other")
        for number, value in self._fields(content, place.start, place.stop):
            if number == 1:
                self._node(content, value, found, depth)
            elif number == 5:
                self._tensor(content, value)
            elif number == 15:
                raise UnsupportedModelError(
                    f"{self._name} is not supported: it has sparse weights",
                    remedy="export it with dense ones",
                )

    def _node(self, content: memoryview, place: slice, found: _Graph, depth: int) -> None:
        found.nodes += 1
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise self._too_many()
        operation = domain = ""
        for number, value in self._fields(content, place.start, place.stop):
            if number == 4:
                operation = _text(content, value)
            elif number == 7:
                domain = _text(content, value)
            elif number == 5:
                self._attribute(content, value, found, depth)
        if operation in _REPEATING:
            raise UnsupportedModelError(
                f"{self._name} is not supported: it has the operation {operation}, which runs a graph again "
                "and again, and may never end",
                remedy="export the network without control flow",
            )
        found.calls.append((domain, operation))

    def _attribute(self, content: memoryview, place: slice, found: _Graph, depth: int) -> None:
        for number, value in self._fields(content, place.start, place.stop):
            if number in (5, 10):
                self._tensor(content, value)
            elif number in (6, 11):
                self._graph(content, value, found, depth + 1)
            elif number in (22, 23):
                raise UnsupportedModelError(
                    f"{self._name} is not supported: it has sparse weights",
                    remedy="export it with dense ones",
                )

    def _function(self, content: memoryview, place: slice) -> tuple[tuple[str, str], _Graph]:
        graph, name, domain = _Graph(), "", ""
        for number, value in self._fields(content, place.start, place.stop):
            if number == 1:
                name = _text(content, value)
            elif number == 10:
                domain = _text(content, value)
            elif number == 7:
                self._node(content, value, graph, 0)
        return (domain, name), graph

    def _tensor(self, content: memoryview, place: slice) -> None:
        self._tensors += 1
        if self._tensors > _MOST_TENSORS:
            raise self._forbidden(f"it has more than {_MOST_TENSORS:,} tensors")
        for number, value in self._fields(content, place.start, place.stop):
            if number == 13:
                said = {
                    key: _text(content, part) for key, part in self._fields(content, value.start, value.stop)
                }
                if said.get(1) == "location":
                    self._external.add(said.get(2, ""))

    def _too_many(self) -> ModelError:
        return self._forbidden(f"it has, or unfolds to, more than {MOST_NODES:,} operations")

    def _forbidden(self, what: str) -> ModelError:
        return ForbiddenModelError(
            f"{self._name} is not permitted: {what}, which no network for pictures has",
            remedy="import another network",
        )

    def _fields(self, content: memoryview, start: int, stop: int) -> Iterator[tuple[int, slice]]:
        """Numbers and places of the fields that have a length; others are stepped over.

        Raises:
            IndexError: It is no protobuf, or is cut short.
        """
        while start < stop:
            self._seen += 1
            if self._seen > _MOST_FIELDS:
                raise self._forbidden(f"it has more than {_MOST_FIELDS:,} parts")
            tag, start = _varint(content, start, stop)
            kind = tag & 7
            if kind == _VARINT:
                _, start = _varint(content, start, stop)
            elif kind == _BITS64:
                start += 8
            elif kind == _BITS32:
                start += 4
            elif kind == _LENGTH:
                length, start = _varint(content, start, stop)
                if start + length > stop:
                    raise IndexError("a field is cut short")
                yield tag >> 3, slice(start, start + length)
                start += length
            else:
                raise IndexError("no field")
            if start > stop:
                raise IndexError("a field is cut short")


def _text(content: memoryview, place: slice) -> str:
    if place.stop - place.start > _LONGEST_NAME:
        raise IndexError("a name without end")
    return str(content[place], "utf-8")


def _varint(content: memoryview, start: int, stop: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if start >= stop:
            raise IndexError("a number is cut short")
        byte = content[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
    raise IndexError("a number without end")
