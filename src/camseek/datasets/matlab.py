"""MATLAB's MAT-files, level 5: texts, numbers, cells and structures.

The form is MathWorks' "MAT-File Format" (Level 5). What a ground truth needs is read, nothing else. SciPy's
reader is no dependency here, and builds whatever a file says before anybody can look at it.
"""

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camseek.datasets.reading import (
    Budget,
    RefusalError,
    check_depth,
    check_plain,
    damaged,
    forbidden,
    refused,
    unsupported,
)
from camseek.names import path_text

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
# All compressed variables together.
_MOST_INFLATED = 32_000_000
_MOST_SIDES = 32
# The data types of elements, as NumPy's.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCTURE, _CHARACTERS = 1, 2, 4
_NUMERIC = range(6, 16)
_OTHER_CLASSES = {3: "an object", 5: "a sparse matrix", 16: "a function", 17: "an opaque object"}


def read_matlab(content: bytes, path: bytes) -> dict[str, Any]:
    """The variables of a MAT-file.

    Args:
        content: The file.
        path: Its name, for messages.

    Returns:
        By name: numbers as a flat list, column by column; characters as a text; a cell array as a list; a
        structure array as a list of dictionaries.

    Raises:
        DamagedTruthError: It is no MAT-file, or is cut short.
        UnsupportedTruthError: It is of another level, or holds something else.
        ForbiddenTruthError: It unfolds to more than any ground truth.
    """
    where = path_text(path)
    try:
        return _variables(content)
    except RefusalError as error:
        raise refused(where, error) from error
    except (ValueError, LookupError, struct.error, zlib.error) as error:
        raise refused(where, damaged(f"it is no sound MAT-file ({str(error)[:200]})")) from error


def _variables(content: bytes) -> dict[str, Any]:
    check_plain(content)
    if content.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise unsupported("it is a MAT-file of version 7.3, which is HDF5; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it is no MAT-file of level 5")
    found: dict[str, Any] = {}
    budget, inflated = Budget(), 0
    reader = _Reader(memoryview(content), order, budget, _HEADER)
    while not reader.done:
        kind, data = reader.element()
        if kind == _COMPRESSED:
            inner = _inflated(data, _MOST_INFLATED - inflated)
            inflated += len(inner)
            kind, data = _Reader(memoryview(inner), order, budget).element()
        if kind != _MATRIX:
            raise ValueError(f"a variable has the type {kind}")
        name, value = _matrix(data, order, budget, 0)
        found[name] = value
    return found


def _inflated(data: memoryview, most: int) -> bytes:
    inflater = zlib.decompressobj()
    inner = inflater.decompress(data, most + 1)
    if len(inner) > most:
        raise forbidden(f"its compressed variables have more than {_MOST_INFLATED:,} bytes")
    return inner


@dataclass(slots=True)
class _Reader:
    """Elements one after the other."""

    content: memoryview
    order: str
    budget: Budget
    place: int = 0

    @property
    def done(self) -> bool:
        return self.place >= len(self.content)

    def element(self) -> tuple[int, memoryview]:
        """The next one's type and data."""
        kind, size = struct.unpack_from(self.order + "II", self.content, self.place)
        if kind >> 16:  # a small one: type and size share a word, and the data follows in the next
            size, kind = kind >> 16, kind & 0xFFFF
            start, end = self.place + 4, self.place + 8
            if size > 4:
                raise ValueError("a small element is large")
        else:
            start = self.place + 8
            end = start + size
            if kind != _COMPRESSED:
                end += -size % 8
        data = self.content[start : start + size]
        if len(data) != size:
            raise ValueError("it is cut short")
        self.place = end
        return kind, data

    def few(self) -> list[int]:
        """The next one's few whole numbers: flags, or an array's sides."""
        values = self._values()
        if len(values) > _MOST_SIDES or values.dtype.kind not in "iu":
            raise ValueError("an array's flags or sides")
        return values.tolist()

    def numbers(self) -> list[Any]:
        """The next one's numbers."""
        values = self._values()
        self.budget.spend(len(values))
        return values.tolist()

    def text(self) -> str:
        """The next one's characters."""
        kind, data = self.element()
        self.budget.spend_text(len(data))
        if kind not in _TEXTS:
            raise ValueError(f"an element has the type {kind}, not a text's")
        wide = _TEXTS[kind].startswith("utf-") and kind != 16
        return str(data, _TEXTS[kind] + ({"<": "-le", ">": "-be"}[self.order] if wide else ""))

    def _values(self) -> NDArray[Any]:
        kind, data = self.element()
        if kind not in _NUMBERS:
            raise ValueError(f"an element has the type {kind}, not a number's")
        return np.frombuffer(data, self.order + _NUMBERS[kind])


def _matrix(data: memoryview, order: str, budget: Budget, depth: int) -> tuple[str, Any]:
    """A variable's name and value."""
    check_depth(depth)
    budget.spend()
    if not data:
        return "", []
    reader = _Reader(data, order, budget)
    kind = reader.few()[0] & 0xFF
    sides = reader.few()
    if any(side < 0 for side in sides):
        raise ValueError("an array's sides")
    count = math.prod(sides)
    name = reader.text()
    if kind == _CELL:
        return name, [_next_matrix(reader, depth) for _ in range(_limited(count, data))]
    if kind == _STRUCTURE:
        width = reader.few()[0]
        names = reader.text()
        if width < 1:
            raise ValueError("a structure's names have no length")
        fields = [names[at : at + width].split("\0", 1)[0] for at in range(0, len(names), width)]
        budget.spend(_limited(count, data) * (1 + len(fields)))
        return name, [{field: _next_matrix(reader, depth) for field in fields} for _ in range(count)]
    if kind == _CHARACTERS:
        return name, reader.text() if count else ""
    if kind in _NUMERIC:
        return name, reader.numbers() if count else []
    raise unsupported(
        f"it holds {_OTHER_CLASSES.get(kind, 'something')} (class {kind}), "
        "neither text, number, cell nor structure"
    )


def _limited(count: int, data: memoryview) -> int:
    # Each takes 8 bytes at least: more are a lie.
    if count > len(data):
        raise ValueError("it is cut short")
    return count


def _next_matrix(reader: _Reader, depth: int) -> Any:
    kind, data = reader.element()
    if kind != _MATRIX:
        raise ValueError(f"an element has the type {kind}, not a matrix's")
    return _matrix(data, reader.order, reader.budget, depth + 1)[1]
