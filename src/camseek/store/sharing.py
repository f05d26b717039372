"""How pictures share words with a query: the best of them, and what is told of all."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float64, Int64

from camseek.matching.index import WordCounts
from camseek.matching.words import QueryWords
from camseek.numerics import BOOL, F64, I64

_LEAST_SHARED = 1e-4
"""Added to what a picture shares before its logarithm, which is then finite for one that shares nothing."""


def told_apart(shared: Float64[F64, " N"]) -> Float64[F64, " N"]:
    """The logarithms of what pictures share: most share hardly anything, and few much."""
    return np.log(shared + _LEAST_SHARED)


@dataclass(frozen=True, slots=True)
class Moments:
    """What is told of many values.

    Attributes:
        count: How many.
        mean: 0 of none.
        variance: About the mean; 0 of none.
        best: The largest, or None of none.
    """

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0
    best: float | None = None

    @classmethod
    def of(cls, values: Float64[F64, " N"]) -> "Moments":
        """Those of values."""
        if not len(values):
            return cls()
        return cls(len(values), float(values.mean()), float(values.var()), float(values.max()))

    @classmethod
    def joined(cls, parts: "Sequence[Moments]") -> "Moments":
        """Those of all values of several parts together."""
        some = [part for part in parts if part.best is not None]
        if len(some) < 2:
            return some[0] if some else cls()
        count = sum(part.count for part in some)
        mean = math.fsum(part.count * part.mean for part in some) / count
        squares = (part.count * (part.variance + (part.mean - mean) ** 2) for part in some)
        best = max(part.best for part in some if part.best is not None)
        return cls(count, mean, math.fsum(squares) / count, best)

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return math.sqrt(self.variance)


@dataclass(frozen=True, slots=True, eq=False)
class WordsRanking:
    """The pictures that share most words with a query.

    Attributes:
        records: int64 (k,).
        scores: float64 (k,), in [0, 1], descending; equal ones are ordered by record.
        compared: How many pictures the query was compared with.
        moments: Of ``told_apart`` scores of all of these but the query's own pictures.
        asked: float64 (M,): the scores of those records that were asked for, NaN of those without points.
    """

    records: Int64[I64, " k"]
    scores: Float64[F64, " k"]
    compared: int
    moments: Moments
    asked: Float64[F64, " M"]

    @classmethod
    def joined(cls, parts: "Sequence[WordsRanking]", k: int | None) -> "WordsRanking":
        """That of all pictures of several parts together.

        Args:
            parts: Of different pictures, each by the counts of all of them, and asked for the same records.
            k: How many records at most; None for all.
        """
        records = np.concatenate([part.records for part in parts])
        scores = np.concatenate([part.scores for part in parts])
        order = np.lexsort((records, -scores))[:k]
        # A record is of one part: the others know nothing of it.
        asked = parts[0].asked.copy()
        for part in parts[1:]:
            asked = np.where(np.isnan(part.asked), asked, part.asked)
        return cls(
            records[order],
            scores[order],
            compared=sum(part.compared for part in parts),
            moments=Moments.joined([part.moments for part in parts]),
            asked=asked,
        )

    def of(self, records: Int64[I64, " N"], asked: Int64[I64, " M"]) -> Float64[F64, " N"]:
        """The scores of records that were found or asked for, NaN of all others.

        Args:
            records: All different.
            asked: The records that were asked for.
        """
        return looked_up(records, (asked, self.asked), (self.records, self.scores))


def looked_up(
    records: Int64[I64, " N"], *known: tuple[Int64[I64, " _a"], Float64[F64, " _a"]]
) -> Float64[F64, " N"]:
    """What is known of records, NaN where nothing is; the last that knows one decides.

    Args:
        records: All different.
        known: Records, all different, and the value of each.
    """
    found = np.full(len(records), np.nan)
    for some, values in known:
        _, here, there = np.intersect1d(records, some, assume_unique=True, return_indices=True)
        found[here] = values[there]
    return found


def best_of(
    records: Int64[I64, " N"], scores: Float64[F64, " N"], k: int | None
) -> tuple[Int64[I64, " k"], Float64[F64, " k"]]:
    """The k best: by score, then by record.

    Args:
        records: All different, rising.
        scores: Of each.
        k: How many at most; None for all.
    """
    if k is not None and k < len(scores):
        last = np.partition(scores, len(scores) - k)[len(scores) - k] if k else np.inf
        better = np.flatnonzero(scores > last)
        # Records rise: of those that are as good as the last one the first ones count.
        places = np.concatenate([better, np.flatnonzero(scores == last)[: k - len(better)]])
        records, scores = records[places], scores[places]
    order = np.lexsort((records, -scores))
    return records[order], scores[order]


class Scoring(Protocol):
    """What gives each picture a score for a query's words: an index, or what has one."""

    def counts(self, query: QueryWords) -> WordCounts:
        """How many pictures there are, and how many have each of a query's words."""
        ...

    def scores(
        self, query: QueryWords, *, workers: int = 1, counts: WordCounts | None = None
    ) -> tuple[Int64[I64, " N"], Float64[F64, " N"]]:
        """All pictures' records, rising, and their scores; by these counts, or by its own."""
        ...


class ScoredWords:
    """What one search asks of the words of pictures that are all here (the ``WordsSearch`` interface).

    The scores of the first query picture are kept: the first stages may be joined again with more beside it.
    """

    def __init__(self, words: Scoring, *, workers: int = 1) -> None:
        """Begins a search.

        Args:
            words: Gives scores.
            workers: Threads that may share the work.
        """
        self._words, self._workers = words, workers
        self._first: tuple[bytes, tuple[I64, F64]] | None = None

    def counts(self, queries: Sequence[QueryWords]) -> list[WordCounts]:
        """How many pictures have the words of each query picture."""
        return [self._words.counts(query) for query in queries]

    def ranked(
        self,
        queries: Sequence[QueryWords],
        k: int | None,
        *,
        without: Iterable[int] = (),
        own: Iterable[int] = (),
        asked: Int64[I64, " M"],
        counts: Sequence[WordCounts] | None = None,
    ) -> WordsRanking:
        """As ``WordsSearch.ranked``.

        Args:
            queries: As there.
            k: As there.
            without: As there.
            own: As there.
            asked: As there.
            counts: How many pictures have the words of each query, where these are a part of others; None
                where they are all.
        """
        if not queries:
            raise ValueError("there are no words to compare")
        told = [None] * len(queries) if counts is None else counts
        records, scores = self._scores(queries[0], told[0])
        for query, known in zip(queries[1:], told[1:], strict=True):
            # A picture that came in meanwhile waits for the next search.
            records, scores = _summed(records, scores, *self._scores(query, known))
        left_out = list(without)
        if left_out:
            kept = ~np.isin(records, left_out)
            records, scores = records[kept], scores[kept]
        scores = scores / len(queries)
        others: Bool[BOOL, " N"] = ~np.isin(records, list(own))
        return WordsRanking(
            *best_of(records, scores, k),
            compared=len(records),
            moments=Moments.of(told_apart(scores[others])),
            asked=_scores_of(asked, records, scores),
        )

    def _scores(self, query: QueryWords, counts: WordCounts | None) -> tuple[I64, F64]:
        # By what it says: of the same query another process has a copy.
        key = hashlib.sha256(query.terms.tobytes() + query.term_signs.tobytes()).digest()
        if self._first is not None and self._first[0] == key:
            return self._first[1]
        found = self._words.scores(query, workers=self._workers, counts=counts)
        if self._first is None:
            self._first = key, found
        return found


def _scores_of(
    asked: Int64[I64, " M"], records: Int64[I64, " N"], scores: Float64[F64, " N"]
) -> Float64[F64, " M"]:
    """The scores of some records, NaN of those that are not there: without a walk through all, which rise."""
    found = np.full(len(asked), np.nan)
    places = np.searchsorted(records, asked)
    there = places < len(records)
    there[there] = records[places[there]] == asked[there]
    found[there] = scores[places[there]]
    return found


def _summed(
    records: Int64[I64, " N"], scores: Float64[F64, " N"], others: Int64[I64, " M"], more: Float64[F64, " M"]
) -> tuple[Int64[I64, " L"], Float64[F64, " L"]]:
    if np.array_equal(records, others):
        return records, scores + more
    both, here, there = np.intersect1d(records, others, assume_unique=True, return_indices=True)
    return both, scores[here] + more[there]
