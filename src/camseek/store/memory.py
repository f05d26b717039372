"""Descriptors in memory: on their own, and those of a collection kept between searches."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, Real
from numpy.typing import NDArray

from camseek.errors import CollectionChangedError
from camseek.numerics import BOOL, F32, I64
from camseek.store.ranking import Block, Numbers, nearest_in, widen
from camseek.store.records import Ranking

Floats = NDArray[Any]

THREADS = min(os.cpu_count() or 1, 4)
"""How many rank what lies in memory: more would wait for the memory."""
ROWS = 8192
"""Descriptors of a block, what a change may have to copy: 42 MB at 1,280 dimensions."""
ROOM = 512_000_000
"""Bytes that descriptors kept in memory may take: 100,000 of 1,280 dimensions."""


# The part of a block's rows that must be in use, or it is copied without the others.
_FULL = 7 / 8


class MemoryVectors:
    """Descriptors in an array (the ``Vectors`` interface).

    The array is neither copied nor changed and may be a memory map larger than the memory. Rows that are zero
    or not finite are featureless pictures: they have no descriptor and are not found here.
    """

    def __init__(self, records: Int64[I64, " N"], vectors: Float[Floats, "N D"]) -> None:
        """Takes descriptors as they are.

        Args:
            records: All different, in any order.
            vectors: Rows of unit length, float16 or float32.

        Raises:
            ValueError: A record stands twice, or the numbers are neither float16 nor float32.
        """
        if vectors.dtype not in (np.dtype(np.float16), np.dtype(np.float32)):
            raise ValueError(f"descriptors are float16 or float32, not {vectors.dtype}")
        if len(np.unique(records)) != len(records):
            raise ValueError("a record stands twice")
        usable = _usable(vectors)
        self._block = Block(records, vectors, None if usable.all() else usable)
        places = np.flatnonzero(usable)
        self._places: Int64[I64, " n"] = places[np.argsort(records[places])]
        self._sorted: Int64[I64, " n"] = records[self._places]

    @property
    def dimensions(self) -> int:
        """D, the length of a descriptor."""
        return self._block.vectors.shape[1]

    @property
    def generation(self) -> int:
        """0: they never change."""
        return 0

    def records(self) -> Int64[I64, " n"]:
        """The records that have descriptors, ascending."""
        return self._sorted.copy()

    def has(self, records: Int64[I64, " n"]) -> Bool[BOOL, " n"]:
        """Which of these records have a descriptor."""
        return np.isin(records, self._sorted)

    def of(self, records: Int64[I64, " n"], *, generation: int | None = None) -> Float32[F32, "n D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
            CollectionChangedError: ``generation`` is another.
        """
        self._require(generation)
        places = np.searchsorted(self._sorted, records)
        found = places < len(self._sorted)
        found[found] = self._sorted[places[found]] == records[found]
        if not found.all():
            raise KeyError(int(records[~found][0]))
        return self._block.vectors[self._places[places]].astype(np.float32)

    def nearest(
        self,
        queries: Float32[F32, "Q D"],
        k: int,
        *,
        without: Iterable[int] = (),
        generation: int | None = None,
    ) -> list[Ranking]:
        """The records nearest to each query, exactly: by score, then by record (see ``Vectors``).

        Raises:
            CollectionChangedError: ``generation`` is another.
            ValueError: k is negative, or the queries are not finite or of another length.
        """
        self._require(generation)
        return nearest_in([self._block], queries, k, without=without, threads=THREADS)

    def _require(self, generation: int | None) -> None:
        if generation not in (None, self.generation):
            raise CollectionChangedError("these descriptors are of another generation", remedy="do it again")


def _usable(vectors: Float[Floats, "N D"]) -> Bool[BOOL, " N"]:
    """The rows that are finite and not zero."""
    usable = np.empty(len(vectors), np.bool_)
    for start in range(0, len(vectors), 512):
        some = np.asarray(vectors[start : start + 512])
        usable[start : start + 512] = np.isfinite(some).all(axis=1) & some.any(axis=1)
    return usable


class Kept:
    """Rows of a collection's pictures, kept in memory in blocks, records ascending.

    Descriptors are kept in single precision, in which they are compared in a third of the time that those of
    the file take; codes as they are.

    ``blocks`` may be taken and read by any thread: what it holds never changes. One thread at a time may
    change what it is.

    Args:
        width: Numbers of a row.
        kind: float32 for descriptors, uint8 for codes.
        records: What is there to begin with, ascending.
        rows: Theirs, of this kind; they may lie in a file that is mapped into memory.
    """

    def __init__(
        self,
        width: int,
        kind: type[np.float32 | np.uint8] = np.float32,
        records: Int64[I64, " N"] | None = None,
        rows: Real[Numbers, "N D"] | None = None,
    ) -> None:
        self._width, self._kind = width, kind
        self._blocks: tuple[Block, ...] = ()
        if records is not None and rows is not None:
            some = [slice(start, start + ROWS) for start in range(0, len(records), ROWS)]
            self._blocks = tuple(Block(records[part], rows[part]) for part in some)
        # What the last block is a part of. Rows after those of the block are nobody's yet.
        self._open: tuple[Int64[I64, " n"], Real[Numbers, "n D"]] | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All of them now."""
        return self._blocks

    @property
    def last(self) -> int:
        """The highest record that came and is not forgotten; 0 where there is none."""
        return int(self._blocks[-1].records[-1]) if self._blocks else 0

    def append(self, records: Int64[I64, " n"], rows: Real[Numbers, "n D"]) -> None:
        """Adds rows of records above ``last``, ascending: descriptors in half precision, or codes."""
        start = 0
        while start < len(records):
            if self._open is None or len(self._blocks[-1].records) == ROWS:
                # Memory that is not written to takes no room.
                self._open = np.empty(ROWS, np.int64), np.empty((ROWS, self._width), self._kind)
                before, filled = self._blocks, 0
            else:
                before, filled = self._blocks[:-1], len(self._blocks[-1].records)
            some = slice(start, start + ROWS - filled)
            end = filled + len(records[some])
            numbers, room = self._open
            numbers[filled:end] = records[some]
            _put(rows[some], room[filled:end])
            usable = self._blocks[-1].usable if filled else None
            if usable is not None:
                usable = np.concatenate([usable, np.ones(end - filled, np.bool_)])
            self._blocks = (*before, Block(numbers[:end], room[:end], usable))
            start += end - filled

    def retain(self, place: int, kept: Bool[BOOL, " n"]) -> None:
        """Only some rows of a block may be found from now on.

        While they are few, those that are not stay where they are: a block is not copied for one of them.
        """
        block, before, after = self._blocks[place], self._blocks[:place], self._blocks[place + 1 :]
        if kept.sum() >= _FULL * len(kept):
            self._blocks = (*before, Block(block.records, block.vectors, kept), *after)
            return
        smaller = (Block(block.records[kept], block.vectors[kept]),) if kept.any() else ()
        if before and smaller and len(before[-1].records) + len(smaller[0].records) <= ROWS // 2:
            smaller, before = (_joined(before[-1], smaller[0]),), before[:-1]
        self._blocks = (*before, *smaller, *after)
        if not after:
            self._open = None


def most_exact(dimensions: int) -> int:
    """So many descriptors are kept in memory as they are; of more, codes."""
    return ROOM // (4 * dimensions)


def _joined(one: Block, two: Block) -> Block:
    """Two blocks in one; all of the second may be found."""
    vectors = np.empty((len(one.records) + len(two.records), one.vectors.shape[1]), one.vectors.dtype)
    vectors[: len(one.records)] = one.vectors
    vectors[len(one.records) :] = two.vectors
    usable = one.usable
    if usable is not None:
        usable = np.concatenate([usable, np.ones(len(two.records), np.bool_)])
    return Block(np.concatenate([one.records, two.records]), vectors, usable)


def _put(rows: Real[Numbers, "n D"], room: Real[Numbers, "n D"]) -> None:
    """Writes rows into a block: descriptors as they are stored, or codes."""
    if rows.dtype == np.float16:
        widen(rows, room)
    else:
        room[:] = rows
