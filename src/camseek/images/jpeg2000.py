"""What Pillow does not read of a JPEG 2000 file: EXIF, ICC profile, tiles and resolution levels.

Boxes as in ISO/IEC 15444-1, annex I; markers of the codestream as in annex A.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from camseek.results import Size

_EXIF_IDS = (b"JpgTiffExif->JP2", bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"))
_MAX_BOXES = 1000
_MAX_METADATA = 16 << 20


@dataclass(slots=True)
class Jpeg2000:
    """Of a JPEG 2000 file.

    Attributes:
        exif: The EXIF data, beginning with a TIFF header, or None.
        icc: The embedded colour profile, or None.
        space: The number of the colour space, or None.
        origin: Where the picture begins on the reference grid.
        tile: Width and height of a tile on it.
        components: Number of components.
        levels: How often the decoder can halve the picture.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    space: int | None = None
    origin: Size = (0, 0)
    tile: Size = (1 << 32, 1 << 32)
    components: int = 4
    levels: int = 0


def read_jpeg2000(file: BinaryIO) -> Jpeg2000:
    """Reads boxes and main header; what is damaged keeps its default."""
    found = Jpeg2000()
    file.seek(0)
    if file.read(4) == b"\xff\x4f\xff\x51":
        _codestream(file, 0, found)
        return found
    for kind, start, length in boxes(file, 0, file.seek(0, os.SEEK_END)):
        if kind == b"jp2c":
            _codestream(file, start, found)
        elif kind == b"jp2h":
            for inner, at, size in boxes(file, start, start + length):
                if inner == b"colr" and 3 < size <= _MAX_METADATA:
                    file.seek(at)
                    colour = file.read(size)
                    if colour[0] in (2, 3):
                        found.icc = colour[3:]
                    elif colour[0] == 1 and found.space is None:
                        found.space = int.from_bytes(colour[3:7], "big")
        elif kind == b"uuid" and 16 < length <= _MAX_METADATA:
            file.seek(start)
            body = file.read(length)
            if body[:16] in _EXIF_IDS:
                found.exif = body[16:]
    return found


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, position and length of the content of each box from ``start`` to ``end``."""
    for _ in range(_MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8 or start >= end:
            return
        length, skip = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = end - start
        if length < skip or length > end - start:
            return
        yield head[4:8], start + skip, length - skip
        start += length


def _codestream(file: BinaryIO, start: int, found: Jpeg2000) -> None:
    file.seek(start)
    if file.read(2) != b"\xff\x4f":
        return
    levels: list[int] = []
    for _ in range(_MAX_BOXES):
        marker = file.read(2)
        length = int.from_bytes(file.read(2), "big")
        if marker in (b"", b"\xff\x90", b"\xff\xd9") or length < 2:
            break
        body = file.read(length - 2)
        if marker == b"\xff\x51" and len(body) >= 36:
            numbers = [int.from_bytes(body[at : at + 4], "big") for at in range(2, 34, 4)]
            found.origin = numbers[2], numbers[3]
            found.tile = numbers[4], numbers[5]
            found.components = int.from_bytes(body[34:36], "big")
        elif marker == b"\xff\x52" and len(body) >= 6:
            levels.append(body[5])
        elif marker == b"\xff\x53" and len(body) >= 4:
            levels.append(body[2] if found.components < 257 else body[3])
    found.levels = min(levels, default=0)
