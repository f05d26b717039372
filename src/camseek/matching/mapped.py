"""Inverted lists in one file, mapped into memory: plain arrays, one behind the other.

::

    magic, codebook, words W, pictures R, entries E, length of the stamp, CRC-32 of rows and of signs, CRC-32
    stamp                                                                            255
    records int64 R, lengths uint32 R, starts int64 W + 1, rows uint32 E, signs uint64 E

Numbers are little-endian; each array begins at a multiple of 64. The last checksum is of all but the entries,
of which a file of a million pictures has gigabytes: those are looked at when they are used, and compared with
their own two by whoever reads them all.
"""

import errno
import os
import shutil
import struct
import tempfile
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from camseek.arrays import checksum, places_of, put_array
from camseek.files import open_regular
from camseek.matching.lists import Lists, Merger
from camseek.numerics import I64, U8
from camseek.writing import whole_file

LONGEST_STAMP = 255
"""Bytes that a stamp may have."""

_SPARE = 4  # times what a file without a name takes must be free
_MAGIC = b"camseek words 2\n"
_HEAD = struct.Struct("<16sIIQQIII")
_SUM = struct.Struct("<I")
MOST_PICTURES = 1 << 31
"""As many as rows have numbers for."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The numbers at a file's beginning."""

    codebook: int
    words: int
    pictures: int
    entries: int
    sums: tuple[int, int]
    stamp: bytes

    def to_bytes(self) -> bytes:
        """All that stands before the arrays, but for the checksum between the numbers and the stamp."""
        numbers = self.codebook, self.words, self.pictures, self.entries, len(self.stamp), *self.sums
        return _HEAD.pack(_MAGIC, *numbers) + self.stamp

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.places()["signs"][1]

    def places(self) -> dict[str, tuple[int, int]]:
        """Where each array begins and ends, in the file's order."""
        widths = {
            "records": 8 * self.pictures,
            "lengths": 4 * self.pictures,
            "starts": 8 * (self.words + 1),
            "rows": 4 * self.entries,
            "signs": 8 * self.entries,
        }
        return places_of(widths, _HEAD.size + _SUM.size + LONGEST_STAMP)


_TYPES = {"records": "<i8", "lengths": "<u4", "starts": "<i8", "rows": "<u4", "signs": "<u8"}
_SMALL = ("records", "lengths", "starts")


def write_lists(path: str | os.PathLike[str], merger: Merger, codebook: int, stamp: bytes) -> None:
    """Writes lists to a file, which is there whole or not at all, part by part.

    Args:
        path: The place; a file there is replaced.
        merger: The lists.
        codebook: The tag of the codebook whose words they are.
        stamp: At most ``LONGEST_STAMP`` bytes.

    Raises:
        ValueError: The stamp is too long, or an entry of the lists is of no picture.
        OSError: It cannot be written.
    """
    if len(stamp) > LONGEST_STAMP:
        raise ValueError(f"a stamp has at most {LONGEST_STAMP} bytes, not {len(stamp)}")
    with whole_file(path, replace=True) as file:
        _write(file, merger, codebook, stamp)


def merged_aside(merger: Merger, codebook: int, folder: str | os.PathLike[str]) -> Lists:
    """Merges lists into a file without a name: what is too large to be held, for as long as somebody uses it.

    Args:
        merger: The lists.
        codebook: The tag of the codebook whose words they are.
        folder: Where there is room for it.

    Raises:
        ValueError: An entry of the lists is of no picture.
        OSError: It cannot be written, or would not leave others three times as much room as it takes.
    """
    needed = _Head(codebook, merger.words, len(merger.records), merger.entries, (0, 0), b"").size
    if shutil.disk_usage(folder).free < _SPARE * needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(folder))
    with tempfile.TemporaryFile(dir=folder) as file:
        _write(file, merger, codebook, b"")
        file.flush()
        return _read(file, codebook, merger.words, MOST_PICTURES)[0]


def _write(file: BinaryIO, merger: Merger, codebook: int, stamp: bytes) -> None:
    entries = merger.entries
    head = _Head(codebook, merger.words, len(merger.records), entries, (0, 0), stamp)
    places, sums = head.places(), (0, 0)
    starts = np.zeros(head.words + 1, np.int64)
    word = entry = 0
    for counts, rows, signs in merger.runs():
        starts[word + 1 : word + 1 + len(counts)] = entry + np.cumsum(counts)
        both = rows.astype("<u4"), signs.astype("<u8")
        put_array(file, places["rows"][0] + 4 * entry, both[0])
        put_array(file, places["signs"][0] + 8 * entry, both[1])
        sums = checksum(both[0].tobytes(), before=sums[0]), checksum(both[1].tobytes(), before=sums[1])
        word, entry = word + len(counts), entry + len(rows)
    if entry != entries:
        raise ValueError(f"{entry} entries are not the {entries} that the pictures have")
    small = {"records": merger.records, "lengths": merger.lengths, "starts": starts}
    written = {name: values.astype(_TYPES[name]) for name, values in small.items()}
    for name, values in written.items():
        put_array(file, places[name][0], values)
    beginning = replace(head, sums=sums).to_bytes()
    total = checksum(beginning, *(values.tobytes() for values in written.values()))
    file.seek(0)
    file.write(beginning[: _HEAD.size] + _SUM.pack(total) + stamp)
    file.truncate(head.size)


def read_lists(
    path: str | os.PathLike[str], codebook: int, words: int, most: int = MOST_PICTURES
) -> tuple[Lists, bytes]:
    """Opens what ``write_lists`` wrote: the lists, their entries left in the file, and the stamp.

    Args:
        path: The file.
        codebook: The tag that it must have.
        words: How many words that codebook has.
        most: How many pictures it may be of.

    Raises:
        ValueError: It is no such file, damaged, of another codebook, or of more pictures.
        OSError: It cannot be read, or is a link.
    """
    with open_regular(path, follow=False) as file:
        return _read(file, codebook, words, most)


def _read(file: BinaryIO, codebook: int, words: int, most: int) -> tuple[Lists, bytes]:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    beginning = file.read(_HEAD.size + _SUM.size + LONGEST_STAMP)
    if len(beginning) < _HEAD.size + _SUM.size + LONGEST_STAMP or not beginning.startswith(_MAGIC):
        raise ValueError("this is no index of words")
    raw: U8 = np.memmap(file, np.uint8, mode="r").view(np.ndarray)
    _, tag, held, pictures, entries, length, *sums = _HEAD.unpack_from(beginning)
    [total] = _SUM.unpack_from(beginning, _HEAD.size)
    if (tag, held) != (codebook, words):
        raise ValueError("the index is of another codebook")
    after = _HEAD.size + _SUM.size
    own = sums[0], sums[1]
    head = _Head(tag, held, pictures, entries, own, beginning[after : after + length])
    places = head.places()
    if length > LONGEST_STAMP or pictures > min(most, MOST_PICTURES) or size != head.size:
        raise ValueError(f"an index of {pictures} pictures and {entries} entries is not {size} bytes")
    # Copies, which nobody can change: what is checked here is what will be used.
    small = {name: raw[slice(*places[name])].tobytes() for name in _SMALL}
    if checksum(head.to_bytes(), *small.values()) != total:
        raise ValueError("the index has another checksum than when it was written")
    arrays = {name: np.frombuffer(data, _TYPES[name]) for name, data in small.items()}
    mapped = {name: raw[slice(*places[name])].view(_TYPES[name]) for name in ("rows", "signs")}
    _check(arrays["records"], arrays["lengths"].astype(np.int64), arrays["starts"], entries)
    alive = np.ones(len(arrays["records"]), np.bool_)
    return Lists(**arrays, **mapped, alive=alive, sums_written=own), head.stamp


def _check(records: I64, lengths: I64, starts: I64, entries: int) -> None:
    """Makes sure that what a file says of its entries can be.

    Raises:
        ValueError: It cannot.
    """
    if (records[1:] <= records[:-1]).any():
        raise ValueError("the index's records do not rise")
    if (lengths > len(starts) - 1).any() or lengths.sum() != entries:
        raise ValueError("the index's pictures have other entries than its words")
    if starts[0] != 0 or starts[-1] != entries or (np.diff(starts) < 0).any():
        raise ValueError("the index's lists do not follow each other")
    if (np.diff(starts) > len(records)).any():
        raise ValueError("the index has lists longer than it has pictures")
