"""MATLAB's MAT-files, level 5: texts, numbers, cells and structures.

The form is MathWorks' "MAT-File Format" (Level 5). What a ground truth needs is read, nothing else.
"""

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from camseek.errors import GroundTruthError
from camseek.names import path_text

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_LARGEST = 256_000_000
# The data types of elements, as NumPy's.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCTURE, _CHARACTERS = 1, 2, 4
_NUMERIC = range(6, 16)


def read_matlab(content: bytes, path: bytes) -> dict[str, Any]:
    """The variables of a MAT-file.

    Args:
        content: The file.
        path: Its name, for messages.

    Returns:
        By name: numbers as a flat list, column by column; characters as a text; a cell array as a list; a
        structure array as a list of dictionaries.

    Raises:
        GroundTruthError: It is no MAT-file of level 5, is cut short, or holds something else.
    """
    try:
        order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
        if order is None:
            raise ValueError("it is no MAT-file of level 5")
        found: dict[str, Any] = {}
        reader = _Reader(content, order, _HEADER)
        while not reader.done:
            kind, data = reader.element()
            if kind == _COMPRESSED:
                inflater = zlib.decompressobj()
                inner = inflater.decompress(data, _LARGEST)
                if inflater.unconsumed_tail:
                    raise ValueError("a variable is larger than any ground truth")
                kind, data = _Reader(inner, order).element()
            if kind != _MATRIX:
                raise ValueError(f"a variable has the type {kind}")
            name, value = _matrix(data, order)
            found[name] = value
        return found
    except (ValueError, LookupError, struct.error, zlib.error, RecursionError) as error:
        raise GroundTruthError(
            f"{path_text(path)}: it is no sound MAT-file ({error})", remedy="get the official file again"
        ) from error


@dataclass(slots=True)
class _Reader:
    """Elements one after the other."""

    content: bytes
    order: str
    place: int = 0

    @property
    def done(self) -> bool:
        return self.place >= len(self.content)

    def element(self) -> tuple[int, bytes]:
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

    def numbers(self) -> list[Any]:
        """The next one's numbers."""
        kind, data = self.element()
        if kind not in _NUMBERS:
            raise ValueError(f"an element has the type {kind}, not a number's")
        return np.frombuffer(data, self.order + _NUMBERS[kind]).tolist()

    def text(self) -> str:
        """The next one's characters."""
        kind, data = self.element()
        if kind in _TEXTS:
            suffix = "" if kind == 16 else {"<": "-le", ">": "-be"}[self.order]
            return data.decode(_TEXTS[kind] + suffix)
        if kind not in (1, 2, 4):
            raise ValueError(f"an element has the type {kind}, not a text's")
        return "".join(map(chr, np.frombuffer(data, self.order + _NUMBERS[kind]).tolist()))


def _matrix(data: bytes, order: str) -> tuple[str, Any]:
    """A variable's name and value."""
    if not data:
        return "", []
    reader = _Reader(data, order)
    kind = int(reader.numbers()[0]) & 0xFF
    sides = reader.numbers()
    count = math.prod(sides)
    name = reader.text()
    if kind == _CELL:
        return name, [_next_matrix(reader) for _ in range(_limited(count, data))]
    if kind == _STRUCTURE:
        width = int(reader.numbers()[0])
        names = reader.text()
        if width < 1:
            raise ValueError("a structure's names have no length")
        fields = [names[at : at + width].split("\0", 1)[0] for at in range(0, len(names), width)]
        return name, [{field: _next_matrix(reader) for field in fields} for _ in range(_limited(count, data))]
    if kind == _CHARACTERS:
        return name, reader.text() if count else ""
    if kind in _NUMERIC:
        return name, reader.numbers() if count else []
    raise ValueError(f"it holds something of class {kind}, neither text, number, cell nor structure")


def _limited(count: int, data: bytes) -> int:
    # Each takes 8 bytes at least: more are a lie.
    if count < 0 or count > len(data):
        raise ValueError("it is cut short")
    return count


def _next_matrix(reader: _Reader) -> Any:
    kind, data = reader.element()
    if kind != _MATRIX:
        raise ValueError(f"an element has the type {kind}, not a matrix's")
    return _matrix(data, reader.order)[1]
