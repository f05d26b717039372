"""Codes of a collection's descriptors in one file, mapped into memory.

::

    magic, dimensions D, bytes of a code B, records N, fitted for, length of the stamp, two CRC-32
    stamp                                                                            255
    records int64 N, mean float32 D, directions float32 D x d, codes uint8 N x B

Numbers are little-endian; each array begins at a multiple of 64. The first checksum is of the codes,
the second of all else.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from camseek.arrays import checksum, places_of, put_array
from camseek.files import open_regular
from camseek.numerics import I64, U8
from camseek.store.codes import Axes, numbers_of
from camseek.store.ranking import Block
from camseek.writing import whole_file

_MAGIC = b"camseek codes 1\n"
_HEAD = struct.Struct("<16sIIQQII")
_SUM = struct.Struct("<I")
_STAMP = 255
_TYPES = {"records": "<i8", "mean": "<f4", "directions": "<f4", "codes": "u1"}
_SMALL = ("records", "mean", "directions")


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Codes of descriptors.

    Attributes:
        axes: What they were made with.
        records: int64 (N,), rising: whose they are.
        codes: uint8 (N, B).
    """

    axes: Axes
    records: Int64[I64, " N"]
    codes: UInt8[U8, "N B"]

    @classmethod
    def none(cls, axes: Axes) -> "Codes":
        """None yet."""
        return cls(axes, np.empty(0, np.int64), np.empty((0, axes.width), np.uint8))


@dataclass(frozen=True, slots=True)
class _Head:
    """The numbers at a file's beginning."""

    dimensions: int
    width: int
    count: int
    fitted: int
    stamp: bytes
    codes_sum: int = 0

    def to_bytes(self) -> bytes:
        """All that stands before the arrays, but for the checksum between the numbers and the stamp."""
        numbers = self.dimensions, self.width, self.count, self.fitted, len(self.stamp)
        return _HEAD.pack(_MAGIC, *numbers, self.codes_sum) + self.stamp

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.places()["codes"][1]

    def places(self) -> dict[str, tuple[int, int]]:
        """Where each array begins and ends, in the file's order."""
        widths = {
            "records": 8 * self.count,
            "mean": 4 * self.dimensions,
            "directions": 4 * self.dimensions * numbers_of(self.width),
            "codes": self.count * self.width,
        }
        return places_of(widths, _HEAD.size + _SUM.size + _STAMP)


def write_codes(path: str | os.PathLike[str], axes: Axes, blocks: Sequence[Block], stamp: bytes) -> None:
    """Writes codes to a file, which is there whole or not at all, block by block.

    Args:
        path: The place; a file there is replaced.
        axes: What they were made with.
        blocks: The codes, records rising throughout; those that may not be found are left out.
        stamp: At most 255 bytes that say what they were made of.

    Raises:
        OSError: It cannot be written.
    """
    kept = [slice(None) if block.usable is None else block.usable for block in blocks]
    records = np.concatenate([block.records[some] for block, some in zip(blocks, kept, strict=True)])
    numbers = len(axes.mean), axes.width, len(records), axes.fitted
    places = _Head(*numbers, stamp).places()
    small = {"records": records, "mean": axes.mean, "directions": axes.directions}
    written = {name: values.astype(_TYPES[name]) for name, values in small.items()}
    with whole_file(path, replace=True) as file:
        for name, values in written.items():
            put_array(file, places[name][0], values)
        at, total = places["codes"][0], 0
        for block, some in zip(blocks, kept, strict=True):
            codes = np.ascontiguousarray(block.vectors[some])
            put_array(file, at, codes)
            at, total = at + codes.nbytes, checksum(codes.data, before=total)
        beginning = _Head(*numbers, stamp, total).to_bytes()
        whole = checksum(beginning, *(values.tobytes() for values in written.values()))
        file.seek(0)
        file.write(beginning[: _HEAD.size] + _SUM.pack(whole) + stamp)


def read_codes(path: str | os.PathLike[str], dimensions: int, most: int) -> tuple[Codes, bytes]:
    """Opens what ``write_codes`` wrote: the codes, which stay in the file, and the stamp.

    All of it is compared with its checksums, which reads it once: nothing that is proposed by damaged codes
    would look wrong. The file must not change afterwards; replacing it is no change.

    Args:
        path: The file.
        dimensions: How many its descriptors must have.
        most: How many it may be of.

    Raises:
        ValueError: It is no such file, damaged, of descriptors of another length, or of more.
        OSError: It cannot be read, or is a link.
    """
    with open_regular(path, follow=False) as file:
        size = os.fstat(file.fileno()).st_size
        beginning = file.read(_HEAD.size + _SUM.size + _STAMP)
        if len(beginning) < _HEAD.size + _SUM.size + _STAMP or not beginning.startswith(_MAGIC):
            raise ValueError("this is no file of codes")
        raw: U8 = np.memmap(file, np.uint8, mode="r").view(np.ndarray)
    _, length, width, count, fitted, stamped, codes_sum = _HEAD.unpack_from(beginning)
    [total] = _SUM.unpack_from(beginning, _HEAD.size)
    if length != dimensions:
        raise ValueError(f"the codes are of descriptors of {length} numbers, not {dimensions}")
    if stamped > _STAMP or count > most or not 0 < numbers_of(width) <= dimensions + 1:
        raise ValueError(f"a file of {count} codes of {width} bytes is more than it can be")
    after = _HEAD.size + _SUM.size
    head = _Head(length, width, count, fitted, beginning[after : after + stamped], codes_sum)
    if size != head.size:
        raise ValueError(f"a file of {count} codes is not {size} bytes")
    places = head.places()
    # Copies, which nobody can change: what is checked here is what will be used.
    small = {name: raw[slice(*places[name])].tobytes() for name in _SMALL}
    codes = raw[slice(*places["codes"])]
    if checksum(head.to_bytes(), *small.values()) != total or checksum(codes.data) != codes_sum:
        raise ValueError("the codes have another checksum than when they were written")
    arrays = {name: np.frombuffer(data, _TYPES[name]) for name, data in small.items()}
    if (arrays["records"][1:] <= arrays["records"][:-1]).any():
        raise ValueError("the records of the codes do not rise")
    directions = arrays["directions"].reshape(dimensions, numbers_of(width))
    axes = Axes(arrays["mean"], directions, fitted)
    return Codes(axes, arrays["records"].astype(np.int64), codes.reshape(count, width)), head.stamp
