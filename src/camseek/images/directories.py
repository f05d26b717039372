"""Directories of a TIFF file, of a raw file's and of EXIF data: TIFF 6.0, section 2, and BigTIFF.

Read here and not by Pillow, which fails at pages of kinds that it does not read, takes the square of their
number to count them, and knows nothing of those beneath a page.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from camseek.images.pieces import pieces

MAX_PAGES = 1000
"""Pages are counted up to this."""

_MAX_ENTRIES = 4096
_MAX_VALUES = 1 << 20
_MAX_BENEATH = 64
_SUB_DIRECTORIES = 330
# Struct codes of the field types; rational numbers are two of them, and read as their quotient.
_CODES = {
    1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d",
    13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip

Value = tuple[int | float, ...] | bytes


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """One directory: a page, or what lies beneath one.

    Attributes:
        file: The file.
        start: Where it stands.
        order: ``<`` or ``>``.
        big: Whether it is a BigTIFF file.
        entries: Of each tag its type, count, and where its value or the value's place stands.
        following: Where the next directory stands; 0 for none.
    """

    file: BinaryIO
    start: int
    order: str
    big: bool
    entries: dict[int, tuple[int, int, int]]
    following: int

    def get(self, tag: int) -> Value | None:
        """A tag's value: numbers, or bytes of text and what is not defined.

        Returns:
            None where there is no such tag, or its value is cut short or of no known type.
        """
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        code = _CODES.get(kind)
        if code is None or count > (_MAX_VALUES if code != "s" else 1 << 26):
            return None
        size = struct.calcsize("=" + code) * count
        if size > (8 if self.big else 4):
            pointer = self._read(at, 8 if self.big else 4)
            at = int.from_bytes(pointer, "little" if self.order == "<" else "big")
        data = self._read(at, size)
        if len(data) < size:
            return None
        if code == "s":
            return data
        numbers = struct.unpack(f"{self.order}{count * len(code)}{code[0]}", data)
        if len(code) == 1:
            return numbers
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return tuple(above / below if below else 0.0 for above, below in pairs)

    def whole(self, tag: int, default: int = 0) -> int:
        """The first of a tag's whole numbers, or the default."""
        value = self.get(tag)
        return value[0] if value and isinstance(value[0], int) else default

    def wholes(self, tag: int) -> tuple[int, ...]:
        """A tag's whole numbers; none where there are none."""
        value = self.get(tag)
        return tuple(item for item in value if isinstance(item, int)) if value is not None else ()

    def text(self, tag: int) -> str:
        """A tag's text, without what stands behind its first zero byte."""
        value = self.get(tag)
        return value.split(b"\0")[0].decode("latin-1").strip() if isinstance(value, bytes) else ""

    def at(self, offset: int) -> "Directory | None":
        """Another directory of the same file, or None where there is none."""
        return _directory(self.file, offset, self.order, self.big)

    def beneath(self) -> Iterator["Directory"]:
        """The directories that it points to (SubIFDs), those behind each of them too."""
        seen: set[int] = set()
        for offset in self.wholes(_SUB_DIRECTORIES)[:_MAX_BENEATH]:
            while offset and offset not in seen and len(seen) < _MAX_BENEATH:
                seen.add(offset)
                found = self.at(offset)
                if found is None:
                    break
                yield found
                offset = found.following

    def as_first(self) -> BinaryIO:
        """The file with this directory as its first."""
        size = 16 if self.big else 8
        header = self._read(0, size)
        order = "little" if self.order == "<" else "big"
        pointed = header[:8] if self.big else header[:4]
        pointed += self.start.to_bytes(8 if self.big else 4, order)
        if pointed == header:
            self.file.seek(0)
            return self.file
        end = self.file.seek(0, os.SEEK_END)
        return pieces(self.file, [(pointed, size), (size, max(end - size, 0))])

    def _read(self, at: int, size: int) -> bytes:
        if at < 0 or at > 1 << 62:
            return b""
        self.file.seek(at)
        return self.file.read(size)


def first_directory(file: BinaryIO, start: int = 0) -> Directory | None:
    """The first directory of a file that begins with a TIFF header, of whatever magic number; else None."""
    file.seek(start)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    big = head[2:4] in (b"+\0", b"\0+")
    if big and len(head) < 16:
        return None
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    return _directory(file, offset, order, big)


def pages(first: Directory) -> Iterator[Directory]:
    """A directory and those behind it, ``MAX_PAGES`` at most; one that points back ends them."""
    page, seen = first, set[int]()
    for _ in range(MAX_PAGES):
        yield page
        if not page.following or page.following in seen:
            return
        seen.add(page.following)
        found = page.at(page.following)
        if found is None:
            return
        page = found


def count_pages(first: Directory) -> int:
    """Number of pages, counted up to ``MAX_PAGES``; what they hold is not read."""
    wide, size, pointer = (8, 20, 8) if first.big else (2, 12, 4)
    order = "little" if first.order == "<" else "big"
    seen, at = {0}, first.following
    while at not in seen and len(seen) < MAX_PAGES:
        first.file.seek(min(at, 1 << 62))
        head = first.file.read(wide)
        if len(head) < wide:
            break
        seen.add(at)
        first.file.seek(min(at + wide + size * int.from_bytes(head, order), 1 << 62))
        at = int.from_bytes(first.file.read(pointer), order)
    return len(seen)


def _directory(file: BinaryIO, offset: int, order: str, big: bool) -> Directory | None:
    if not 0 < offset < 1 << 62:
        return None
    file.seek(offset)
    wide, size, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    head = file.read(struct.calcsize("=" + wide))
    if len(head) < struct.calcsize("=" + wide):
        return None
    (count,) = struct.unpack(order + wide, head)
    if not 0 < count <= _MAX_ENTRIES:
        return None
    body = file.read(count * size + struct.calcsize("=" + pointer))
    if len(body) < count * size:
        return None
    entries: dict[int, tuple[int, int, int]] = {}
    start = offset + len(head)
    for number in range(count):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), body, number * size)
        entries.setdefault(tag, (kind, values, start + number * size + (12 if big else 8)))
    rest = body[count * size :]
    whole = len(rest) == struct.calcsize("=" + pointer)
    following = struct.unpack(order + pointer, rest)[0] if whole else 0
    return Directory(file, offset, order, big, entries, following)
