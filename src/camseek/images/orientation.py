"""EXIF's eight orientations: read one, turn pixels and boxes by it."""

import re
import struct
from collections.abc import Sequence
from typing import cast

from PIL import Image

from camseek.results import Box, Size

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TAG = 0x0112
# BYTE, SHORT, LONG, SBYTE, UNDEFINED, SSHORT, SLONG, IFD (TIFF 6.0, section 2).
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I"}
_XMP = re.compile(rb"""tiff:Orientation(?:=["']|>)\s*([1-8])""")


def exif_orientation(exif: bytes) -> int | None:
    """The orientation in EXIF data, 1 to 8, or None where it has none or an impossible one.

    Read here and not by Pillow, which emits Python warnings for damaged data and reads far more.

    Raises:
        ValueError: The data is broken.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        raise ValueError("no TIFF header")
    try:
        magic, start = struct.unpack_from(order + "HI", exif, 2)
        if magic != 42:
            raise ValueError("no TIFF header")
        (count,) = struct.unpack_from(order + "H", exif, start)
        for number in range(count):
            at = start + 2 + 12 * number
            tag, kind, values = struct.unpack_from(order + "HHI", exif, at)
            if tag == _TAG:
                return tag_orientation(_plain(exif, at + 8, order, kind, values))
    except struct.error as error:
        raise ValueError("cut short") from error
    return None


def _plain(exif: bytes, at: int, order: str, kind: int, values: int) -> object:
    """The first value of a tag, whatever its type and count: the standard says one SHORT, not all obey."""
    code = _WHOLE_NUMBERS.get(kind)
    if code is None:
        return None
    if struct.calcsize(code) * values > 4:
        (at,) = struct.unpack_from(order + "I", exif, at)
    return struct.unpack_from(order + code, exif, at)[0]


def tag_orientation(value: object) -> int | None:
    """The orientation in a tag's value, 1 to 8, or None."""
    if isinstance(value, bytes | tuple) and value:
        # As Pillow gives values of several, and of bytes.
        value = cast(Sequence[object], value)[0]
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def xmp_orientation(xmp: bytes | str) -> int | None:
    """The orientation in XMP data, 1 to 8, or None."""
    found = _XMP.search(xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp)
    return int(found[1]) if found else None


def turned_size(size: Size, orientation: int) -> Size:
    """Width and height once upright."""
    return (size[1], size[0]) if orientation >= 5 else size


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture, upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def stored_box(box: Box, size: Size, orientation: int) -> Box:
    """Where a box of the upright picture lies in the picture as stored, whose size is given."""
    x1, y1, x2, y2 = box
    if orientation >= 5:
        x1, y1, x2, y2 = y1, x1, y2, x2
    width, height = size
    if orientation in (2, 3, 7, 8):
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 6, 7):
        y1, y2 = height - y2, height - y1
    return x1, y1, x2, y2
