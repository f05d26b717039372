"""Inverted lists that do not change: for each visual word, which pictures have it, and with which signs."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt16, UInt32, UInt64
from numpy.typing import NDArray

from camseek.job import ordered
from camseek.matching.words import BITS, U16, U64
from camseek.numerics import BOOL, F64, I64, runs

U32 = NDArray[np.uint32]

_MOST_DIFFERING = 28  # signs of 64: the cosine 1 - 2 h / 64 is then above 0.1
# (32 - h)³ for h differing signs, which is cos³ times 32³: whole numbers.
_HALF = BITS // 2
_SELECTIVITY = np.array([(_HALF - h) ** 3 for h in range(_MOST_DIFFERING + 1)], np.float64)
PERFECT = float(_HALF**3)
"""What two words with the same signs add to a score, before their weight."""

_ENTRIES = 1 << 17  # looked at at a time
_LONG = 1 << 12  # entries of a list that is looked at by itself
_AT_ONCE = 1 << 15  # of such a list: what a core's cache holds
_SHARED = 16 * _ENTRIES  # of fewer, threads would cost more than they save


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Entries of R pictures in W lists; of each picture a word is there at most once.

    Attributes:
        records: int64 (R,), rising: the pictures. A row is a place among them.
        lengths: uint32 (R,): how many entries each picture has.
        starts: int64 (W + 1,): entries ``starts[w]`` to ``starts[w + 1]`` are those of word w.
        rows: uint32 (E,): whose an entry is.
        signs: uint64 (E,).
        alive: bool (R,): not taken out since.
        sums_written: CRC-32 of the rows and of the signs, where a file tells them.
    """

    records: Int64[I64, " R"]
    lengths: UInt32[U32, " R"]
    starts: Int64[I64, " _"]
    rows: UInt32[U32, " E"]
    signs: UInt64[U64, " E"]
    alive: Bool[BOOL, " R"]
    sums_written: tuple[int, int] | None = None
    there: int = field(init=False)
    """How many pictures are alive."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "there", int(np.count_nonzero(self.alive)))

    @property
    def entries(self) -> int:
        """How many entries there are, of all pictures."""
        return len(self.rows)

    def row_of(self, record: int) -> int | None:
        """The row of a picture that is there, or None."""
        row = int(np.searchsorted(self.records, record))
        found = row < len(self.records) and self.records[row] == record and self.alive[row]
        return row if found else None

    def without(self, gone: Bool[BOOL, " R"]) -> "Lists":
        """The same entries, with some pictures out of them."""
        left = replace(self, alive=self.alive & ~gone)
        return left if left.there < self.there else self

    def check(self) -> None:
        """Looks at every entry.

        Raises:
            ValueError: A list's pictures do not rise, a picture has other entries than it says, or the
                entries are not those that were written.
        """
        counted = np.zeros(len(self.records), np.int64)
        rows_sum = signs_sum = 0
        for first in range(0, len(self.rows), _ENTRIES):
            part = slice(first, first + _ENTRIES)
            rows = self.checked_rows([part])
            counted += np.bincount(rows, minlength=len(counted))
            rows_sum = zlib.crc32(rows.astype("<u4").tobytes(), rows_sum)
            signs_sum = zlib.crc32(self.signs[part].astype("<u8").tobytes(), signs_sum)
        if not np.array_equal(counted, self.lengths):
            raise ValueError("an index's pictures have other entries than they say")
        if self.sums_written not in (None, (rows_sum, signs_sum)):
            raise ValueError("an index's entries have another checksum than when they were written")

    def counts(self, terms: UInt16[U16, " M"]) -> Int64[I64, " M"]:
        """How many pictures that are there have each of some words."""
        starts, ends = self._ranges(terms)
        if self.there == len(self.alive):
            return ends - starts
        having = ends - starts
        for first, last in _parts(ends - starts):
            rows = self.checked_rows(_slices(starts[first:last], ends[first:last]))
            gone = np.flatnonzero(~self.alive[rows])
            lists = np.repeat(np.arange(first, last), ends[first:last] - starts[first:last])[gone]
            having -= np.bincount(lists, minlength=len(having))
        return having

    def sums(
        self,
        terms: UInt16[U16, " M"],
        signs: UInt64[U64, " M"],
        weights: Float64[F64, " M"],
        *,
        workers: int = 1,
    ) -> Float64[F64, " R"]:
        """Each row's sum of weight x (32 - h)³ over the terms it shares, h of their 64 signs differing.

        Weights are whole numbers; so are the sums, and below 2^53 they are exact in any order. Where there
        is much to look at, so many threads share it.
        """
        starts, ends = self._ranges(terms)
        lengths = ends - starts
        count = workers if workers > 1 and int(lengths.sum()) >= _SHARED else 1
        # From the longest to the shortest in turns: the shares have about as many entries.
        order = np.argsort(-lengths, kind="stable")
        shares = [np.sort(order[first::count]) for first in range(count)]

        def looked_at(share: I64) -> F64:
            """What the lists of some of the terms add."""
            return self._sums_of(starts[share], ends[share], signs[share], weights[share])

        found = ordered(looked_at, shares, workers=count) if count > 1 else map(looked_at, shares)
        return sum(found, np.zeros(len(self.records)))

    def _sums_of(self, starts: I64, ends: I64, signs: U64, weights: F64) -> F64:
        """What the entries of some lists add to each row."""
        totals, lengths = np.zeros(len(self.records)), ends - starts
        long = lengths >= _LONG
        mixed, counted = np.empty(_AT_ONCE, np.uint64), np.empty(_AT_ONCE, np.uint8)
        for place in np.flatnonzero(long).tolist():
            # Where a list lies, without a copy.
            for first in range(int(starts[place]), int(ends[place]), _AT_ONCE):
                part = slice(first, min(first + _AT_ONCE, int(ends[place])))
                own = self.signs[part]
                xor = np.bitwise_xor(own, signs[place], out=mixed[: len(own)])
                differing = np.bitwise_count(xor, out=counted[: len(own)])
                alike = np.flatnonzero(differing <= _MOST_DIFFERING)
                added = (_SELECTIVITY * weights[place])[differing[alike]]
                np.add.at(totals, self._checked(self.rows[part][alike]), added)
        few = np.flatnonzero(~long)
        self._add_short(totals, starts[few], ends[few], signs[few], weights[few])
        return totals

    def _add_short(self, totals: F64, starts: I64, ends: I64, signs: U64, weights: F64) -> None:
        """Adds what lists of few entries have, many of them together."""
        for first, last in _parts(ends - starts):
            slices, lengths = _slices(starts[first:last], ends[first:last]), (ends - starts)[first:last]
            differing = np.bitwise_count(
                _gathered(self.signs, slices) ^ np.repeat(signs[first:last], lengths)
            )
            alike = np.flatnonzero(differing <= _MOST_DIFFERING)
            added = _SELECTIVITY[differing[alike]] * np.repeat(weights[first:last], lengths)[alike]
            np.add.at(totals, self._checked(_gathered(self.rows, slices)[alike]), added)

    def _ranges(self, terms: UInt16[U16, " M"]) -> tuple[Int64[I64, " M"], Int64[I64, " M"]]:
        places = terms.astype(np.int64)
        return self.starts[places], self.starts[places + 1]

    def checked_rows(self, slices: Sequence[slice]) -> UInt32[U32, " P"]:
        """The rows of some entries.

        Raises:
            ValueError: One is none: a file that was not written here.
        """
        return self._checked(_gathered(self.rows, slices))

    def _checked(self, rows: UInt32[U32, " P"]) -> UInt32[U32, " P"]:
        if len(rows) and int(rows.max()) >= len(self.records):
            raise ValueError("an index's entry is of no picture")
        return rows


def _slices(starts: Int64[I64, " M"], ends: Int64[I64, " M"]) -> list[slice]:
    return [slice(*span) for span in zip(starts.tolist(), ends.tolist(), strict=True)]


def _gathered(values: NDArray[Any], slices: Sequence[slice]) -> NDArray[Any]:
    return np.concatenate([values[part] for part in slices])


def _parts(lengths: Int64[I64, " M"]) -> Iterator[tuple[int, int]]:
    """Ranges of lists that have some entries together, few enough to be held at a time, or are one list."""
    return (part for part in runs(lengths, _ENTRIES) if lengths[slice(*part)].any())


def listed(words: int, pictures: Mapping[int, tuple[U16, U64]]) -> Lists:
    """The lists of some pictures, each with its words, rising, and their signs."""
    records = np.array(sorted(pictures), np.int64)
    own = [pictures[record] for record in records.tolist()]
    lengths = np.array([len(terms) for terms, _ in own], np.uint32)
    terms = np.concatenate([np.zeros(0, np.uint16), *(terms for terms, _ in own)])
    signs = np.concatenate([np.zeros(0, np.uint64), *(signs for _, signs in own)])
    order = np.argsort(terms, kind="stable")
    rows = np.repeat(np.arange(len(records), dtype=np.uint32), lengths)[order]
    starts = _starts(np.bincount(terms, minlength=words))
    return Lists(records, lengths, starts, rows, signs[order], np.ones(len(records), np.bool_))


def _starts(counts: Int64[I64, " W"]) -> Int64[I64, " _"]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Merger:
    """Several lists as one, of the pictures that are there, without holding more than a part at a time.

    Attributes:
        records: int64 (R,), rising.
        lengths: uint32 (R,).
    """

    parts: tuple[Lists, ...]
    records: Int64[I64, " R"]
    lengths: UInt32[U32, " R"]

    @classmethod
    def of(cls, parts: Sequence[Lists]) -> "Merger":
        """Prepares to merge lists of the same words, no picture of which is there twice."""
        records = np.concatenate([part.records[part.alive] for part in parts])
        lengths = np.concatenate([part.lengths[part.alive] for part in parts])
        order = np.argsort(records)
        return cls(tuple(parts), records[order], lengths[order])

    @property
    def words(self) -> int:
        """How many lists there are."""
        return len(self.parts[0].starts) - 1

    @property
    def entries(self) -> int:
        """How many entries the pictures have."""
        return int(self.lengths.sum(dtype=np.int64))

    def runs(self) -> Iterator[tuple[Int64[I64, " V"], UInt32[U32, " P"], UInt64[U64, " P"]]]:
        """For each range of words, in turn: how many entries each has, and the entries' rows and signs."""
        targets = [np.searchsorted(self.records, part.records).astype(np.uint32) for part in self.parts]
        counts = sum((np.diff(part.starts) for part in self.parts), np.zeros(self.words, np.int64))
        position = 0
        for first, last in _parts(counts):
            if first > position:
                yield np.zeros(first - position, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint64)
            position = last
            yield self._run(first, last, targets)
        if position < len(counts):
            yield np.zeros(len(counts) - position, np.int64), np.zeros(0, np.uint32), np.zeros(0, np.uint64)

    def _run(
        self, first: int, last: int, targets: Sequence[U32]
    ) -> tuple[Int64[I64, " V"], UInt32[U32, " P"], UInt64[U64, " P"]]:
        terms: list[I64] = []
        rows: list[U32] = []
        signs: list[U64] = []
        for part, target in zip(self.parts, targets, strict=True):
            span = slice(int(part.starts[first]), int(part.starts[last]))
            own = part.checked_rows([span])
            alive = part.alive[own]
            lengths = np.diff(part.starts[first : last + 1])
            terms.append(np.repeat(np.arange(last - first), lengths)[alive])
            rows.append(target[own[alive]])
            signs.append(part.signs[span][alive])
        words = np.concatenate(terms)
        order = np.argsort(words, kind="stable")
        counts = np.bincount(words, minlength=last - first)
        return counts, np.concatenate(rows)[order], np.concatenate(signs)[order]

    def merged(self) -> Lists:
        """All of it, in memory."""
        counts, rows, signs = (np.concatenate(column) for column in zip(*self.runs(), strict=True))
        alive = np.ones(len(self.records), np.bool_)
        return Lists(self.records, self.lengths, _starts(counts), rows, signs, alive)
