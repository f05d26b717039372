"""One query's search through descriptors: ranking, re-ranking, expansion."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from camseek.engine.measuring.asking import Ready
from camseek.engine.measuring.rematching import Matches
from camseek.engine.protocol import Protocol
from camseek.expansion import expand
from camseek.numerics import is_usable
from camseek.reranking import reorder

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# 4,096 descriptors of 1,280 dimensions are 40 MB in double precision.
_BLOCK = 4096


def cosines(vectors: Float32[F32, "N D"], query: Float32[F32, " D"]) -> Float64[F64, " N"]:
    """Cosines of unit vectors, each independent of its row's place: equal vectors, equal scores.

    NaN for those that are zero or not finite.
    """
    wide = query.astype(np.float64)
    scores = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        block = np.asarray(vectors[start : start + _BLOCK])
        usable = np.isfinite(block).all(axis=1) & block.any(axis=1)
        found = (block.astype(np.float64) * wide).sum(axis=1).clip(-1, 1)
        scores[start : start + _BLOCK] = np.where(usable, found, np.nan)
    return scores


def order(scores: Float64[F64, " N"]) -> Int64[I64, " M"]:
    """Rows by falling score, equal ones by row; those without a score are left out."""
    seen = np.flatnonzero(~np.isnan(scores))
    # A stable sort: equal scores stay in the pictures' order.
    return seen[np.argsort(-scores[seen], kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The database as one query sees it.

    Attributes:
        vectors: (N, D): the pictures' descriptors, made with the query's classes where aggregation is online;
            None where only ``scores`` are known (online, no expansion).
        scores: (N,): cosines with the query's descriptor, NaN for what cannot be found.
        own: Rows of the query's own picture.
        removed: Whether they are taken out.
    """

    vectors: Float32[F32, "N D"] | None
    scores: Float64[F64, " N"]
    own: Collection[int]
    removed: bool


@dataclass(frozen=True, slots=True, eq=False)
class QuerySearch:
    """One query under one protocol."""

    protocol: Protocol
    ready: Ready
    entries: Entries

    def first(self) -> Int64[I64, " M"]:
        """The first ranking: the query's descriptor against the database."""
        if not is_usable(self.ready.descriptor):
            return np.empty(0, np.int64)
        scores = self.entries.scores
        if self.protocol.query_entry == "query" and len(self.entries.own):
            scores = scores.copy()
            scores[list(self.entries.own)] = cosines(self.ready.descriptor[None], self.ready.descriptor)[0]
        return order(self._without(scores))

    def finish(self, ranked: Int64[I64, " M"], query: int, matches: Matches | None) -> Int64[I64, " M"]:
        """Re-ranking and expansion.

        Args:
            ranked: The first ranking.
            query: The query's place among all.
            matches: How candidates' regions match, where the protocol re-ranks.
        """
        plan = self.protocol.plan
        if not len(ranked):
            return ranked
        won: dict[int, F32] = {}
        if matches is not None and plan.rerank:
            top = ranked[: plan.rerank]
            found = [matches.get(query, int(row)) for row in top]
            places = reorder([None if match is None else match.score for match in found])
            ranked = np.concatenate([top[places], ranked[plan.rerank :]])
            for row, match in zip(top, found, strict=True):
                if match is not None and match.descriptor is not None:
                    won[int(row)] = match.descriptor
        if not plan.expand:
            return ranked
        new = self._expanded([int(row) for row in ranked[: plan.expand]], won)
        return order(self._scores_again(new, won))

    def _expanded(self, rows: Sequence[int], won: dict[int, F32]) -> Float32[F32, " D"]:
        """The sum of the first results' descriptors: the winning regions', else the entries'."""
        vectors = np.stack([won.get(row, self._entry(row)) for row in rows])
        query = self.ready.descriptor
        new = expand(vectors, query if self.protocol.plan.expand_with_query else None)
        return new if is_usable(new) else query

    def _entry(self, row: int) -> Float32[F32, " D"]:
        if self.entries.vectors is None:
            raise ValueError("an expansion needs the descriptors")
        if row in self.entries.own and self.protocol.expansion_entry == "query":
            return self.ready.descriptor
        return np.asarray(self.entries.vectors[row])

    def _scores_again(self, query: Float32[F32, " D"], won: dict[int, F32]) -> Float64[F64, " N"]:
        """The new query against the database, untouched or overwritten."""
        if self.entries.vectors is None:
            raise ValueError("an expansion needs the descriptors")
        scores = cosines(self.entries.vectors, query)
        changed = {row: self._entry(row) for row in self.entries.own}
        if self.protocol.expansion_database == "overwritten":
            changed |= won
        for row, vector in changed.items():
            scores[row] = cosines(vector[None], query)[0]
        return self._without(scores)

    def _without(self, scores: Float64[F64, " N"]) -> Float64[F64, " N"]:
        if self.entries.removed and len(self.entries.own):
            scores = scores.copy()
            scores[list(self.entries.own)] = np.nan
        return scores
