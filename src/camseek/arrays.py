"""Arrays in one file, one behind the other, each where it can be mapped into memory."""

import zlib
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_ALIGNED = 64


def places_of(widths: Mapping[str, int], begin: int) -> dict[str, tuple[int, int]]:
    """Where each array begins and ends: at multiples of 64, in the order of ``widths``.

    Args:
        widths: Bytes of each array.
        begin: Where the first may begin.
    """
    end, found = begin, dict[str, tuple[int, int]]()
    for name, width in widths.items():
        begin = -(-end // _ALIGNED) * _ALIGNED
        end = begin + width
        found[name] = begin, end
    return found


def put_array(file: BinaryIO, place: int, values: NDArray[np.generic]) -> None:
    """Writes an array's numbers to their place."""
    file.seek(place)
    file.write(values.tobytes())


def checksum(*parts: bytes | memoryview, before: int = 0) -> int:
    """CRC-32 of parts, one behind the other.

    Args:
        parts: The bytes.
        before: That of what came before them.
    """
    for part in parts:
        before = zlib.crc32(part, before)
    return before
