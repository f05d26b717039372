"""The index of visual words: which pictures share words with a query, and how much.

ASMK* (Tolias, Avrithis and Jégou, ICCV 2013): all points of a picture with one word are one entry, the signs
of their residuals; two entries count cos³ where cos is above 0.1, weighted by how rare the word is. The index
is derived from the pictures' packed points alone, and can be made anew from them at any time.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

import numpy as np
from jaxtyping import Float64, Int64, UInt16

from camseek.matching.codebook import Codebook
from camseek.matching.lists import PERFECT, Lists, Merger, listed
from camseek.matching.mapped import MOST_PICTURES, merged_aside, read_lists, write_lists
from camseek.matching.words import U16, U64, QueryWords, WordPoints, summed_signs
from camseek.numerics import F64, I64

_FRESH = 1 << 18
"""Entries kept loose before they become lists."""
_HELD = 1 << 22
"""More entries of one part are not held in memory, where there is a folder for them: 48 MB."""
_STALE = 0.25
"""The share of pictures taken out from which on lists are written anew without them."""
_MOST = 1 + 1e-9  # a score; more is of a file that was not written here
_FIXED = 65536.0
"""Weights are counted in parts of this size, so that sums are whole numbers, equal in any order."""


@dataclass(frozen=True, slots=True, eq=False)
class WordCounts:
    """How common the words of a query are.

    Attributes:
        pictures: How many pictures there are.
        having: int64 (M,): how many of them have each of the query's terms.
    """

    pictures: int
    having: Int64[I64, " M"]

    def __add__(self, other: "WordCounts") -> "WordCounts":
        """Those of both, which have no picture in common."""
        return WordCounts(self.pictures + other.pictures, self.having + other.having)

    def weights(self) -> Float64[F64, " M"]:
        """What each word counts, in whole parts: log((N + 1) / n)."""
        return np.rint(np.log((self.pictures + 1) / np.maximum(self.having, 1)) * _FIXED)


def _is_stale(part: Lists) -> bool:
    return part.there < (1 - _STALE) * len(part.records)


class WordsIndex:
    """Pictures by their visual words. Safe to use from several threads.

    Pictures that are added are found at once, and those that are removed are not. What a search finds depends
    on which pictures are there, and on nothing else: not on the order in which they came and went.

    Args:
        codebook: Whose words they are.
        aside: A folder where large parts are put down, in files without a name, in place of being held in
            memory. Where there is no room they are held all the same.
    """

    def __init__(self, codebook: Codebook, aside: str | os.PathLike[str] | None = None) -> None:
        self._book = codebook
        self._aside = aside
        self._codebook = codebook.tag
        self._words = len(codebook.words)
        self._lists: tuple[Lists, ...] = ()
        self._fresh: dict[int, tuple[U16, U64]] = {}
        self._entries = 0
        self._frozen: Lists | None = None
        self._lock = Lock()
        self._stamp = b""

    @property
    def stamp(self) -> bytes:
        """What its writer said of the file it was opened from; empty for an index that was not."""
        return self._stamp

    @property
    def records(self) -> Int64[I64, " R"]:
        """The pictures that are there, rising."""
        parts = self._parts()
        return np.sort(np.concatenate([part.records[part.alive] for part in parts]))

    def __len__(self) -> int:
        with self._lock:
            return len(self._fresh) + sum(part.there for part in self._lists)

    def add(self, records: Sequence[int], pictures: Iterable[WordPoints]) -> None:
        """Adds pictures, or puts them in the place of what was known of the same records.

        Raises:
            ValueError: Words are of another codebook, or none of it, or there are more records than pictures.
                What came before them is added.
        """
        for record, picture in zip(records, pictures, strict=True):
            try:
                self._book.require(picture)
            except ValueError as error:
                raise ValueError(f"record {record}: {error}") from error
            entries = summed_signs(picture.words, picture.signs)
            with self._lock:
                self._take_out(record)
                self._fresh[record] = entries
                self._entries += len(entries[0])
                self._frozen = None
                if self._entries >= _FRESH:
                    self._settle()

    def remove(self, record: int) -> bool:
        """Takes a picture out.

        Returns:
            Whether it was there.
        """
        with self._lock:
            return self._take_out(record)

    def remove_many(self, records: Int64[I64, " N"]) -> None:
        """Takes pictures out, those that are there."""
        with self._lock:
            for record in records.tolist():
                if record in self._fresh:
                    self._take_out(record)
            self._lists = tuple(part.without(np.isin(part.records, records)) for part in self._lists)

    def _take_out(self, record: int) -> bool:
        if record in self._fresh:
            self._entries -= len(self._fresh.pop(record)[0])
            self._frozen = None
            return True
        for place, part in enumerate(self._lists):
            row = part.row_of(record)
            if row is not None:
                left = part.without(np.arange(len(part.records)) == row)
                self._lists = (*self._lists[:place], left, *self._lists[place + 1 :])
                return True
        return False

    def _settle(self) -> None:
        """Makes lists of what is loose, and one of several of like size: few are left, each much larger."""
        lists = [*self._lists, listed(self._words, self._fresh)]
        self._fresh, self._entries, self._frozen = {}, 0, None
        while len(lists) > 1 and lists[-2].entries < 2 * lists[-1].entries:
            lists[-2:] = [self._merged(lists[-2:])]
        left = (part for part in lists if part.there)
        self._lists = tuple(self._merged([part]) if _is_stale(part) else part for part in left)

    def _merged(self, parts: Sequence[Lists]) -> Lists:
        merger = Merger.of(parts)
        if self._aside is not None and merger.entries > _HELD:
            with suppress(OSError):
                return merged_aside(merger, self._codebook, self._aside)
        return merger.merged()

    def _parts(self) -> tuple[Lists, ...]:
        """All lists as they are now, with what is loose."""
        with self._lock:
            if self._frozen is None:
                self._frozen = listed(self._words, self._fresh)
            return (*self._lists, self._frozen)

    def counts(self, query: QueryWords) -> WordCounts:
        """How common the words of a query are.

        Raises:
            ValueError: As ``scores``.
        """
        self._require(query)
        return _counted(query.terms, self._parts())

    def scores(
        self, query: QueryWords, *, workers: int = 1, counts: WordCounts | None = None
    ) -> tuple[Int64[I64, " R"], Float64[F64, " R"]]:
        """How much each picture shares with a query.

        For the words t of the query that picture X has as well, w_t the weight of one (log((N + 1) / n_t),
        where n_t of N pictures have it) and c_t the cosine of their signs, 0 below 0.1::

            score = Σ_t w_t c_t³ / sqrt(|X| Σ_t w_t²)

        The second sum is over all words of the query; |X| counts the picture's words.

        Args:
            query: From the same codebook.
            workers: Threads that share what there is to look at, where that is much.
            counts: How common its words are among more pictures than these, where this is a part of an index;
                None where it is all of it.

        Returns:
            All pictures' records, int64 (R,), rising, and their scores, float64 (R,), in [0, 1]: 0 where
            nothing is shared.

        Raises:
            ValueError: The query's words are of another codebook, or the file that the index was opened from
                is damaged.
        """
        self._require(query)
        parts = self._parts()
        weights = (counts or _counted(query.terms, parts)).weights()
        size = np.sqrt(np.square(weights).sum()) * PERFECT
        found: list[F64] = []
        for part in parts:
            shared = part.sums(query.terms, query.term_signs, weights, workers=workers)
            divisor = np.sqrt(np.maximum(part.lengths, 1)) * (size or 1.0)
            own = (shared / divisor)[part.alive]
            if own.max(initial=0.0) > _MOST:
                raise ValueError("an index gives a picture more than it can share")
            found.append(own)
        records = np.concatenate([part.records[part.alive] for part in parts])
        order = np.argsort(records)
        return records[order], np.concatenate(found)[order]

    def _require(self, query: QueryWords) -> None:
        if query.codebook != self._codebook:
            raise ValueError("the words of the query are of another codebook")

    def save(self, path: str | os.PathLike[str], stamp: bytes = b"") -> None:
        """Writes all of it to one file, which is there whole or not at all.

        It is written part by part: it takes no more memory than its pictures' numbers.

        Args:
            path: The place; a file there is replaced.
            stamp: At most 255 bytes that say what it was made of, for whoever opens it to compare.

        Raises:
            ValueError: The stamp is too long, or the file that the index was opened from is damaged.
            OSError: It cannot be written.
        """
        write_lists(path, Merger.of(self._parts()), self._codebook, stamp)

    def check(self) -> None:
        """Looks at every entry.

        Raises:
            ValueError: The file that the index was opened from is damaged.
        """
        for part in self._parts():
            part.check()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        codebook: Codebook,
        *,
        most: int = MOST_PICTURES,
        aside: str | os.PathLike[str] | None = None,
    ) -> "WordsIndex":
        """Opens what ``save`` wrote. The entries stay in the file, mapped into memory.

        The file must not change afterwards; replacing it, as ``save`` does, is no change.

        Args:
            path: The file.
            codebook: Whose words they must be.
            most: How many pictures it may be of.
            aside: A folder for what comes to it.

        Raises:
            ValueError: It is no index, damaged, of another codebook, or of more pictures. Entries are looked
                at when a search comes to them.
            OSError: It cannot be read, or is a link.
        """
        index = cls(codebook, aside)
        lists, index._stamp = read_lists(path, index._codebook, index._words, most)
        index._lists = (lists,)
        return index


def _counted(terms: UInt16[U16, " M"], parts: Sequence[Lists]) -> WordCounts:
    """How many pictures there are in all parts, and how many have each word."""
    having = sum((part.counts(terms) for part in parts), np.zeros(len(terms), np.int64))
    return WordCounts(sum(part.there for part in parts), having)
