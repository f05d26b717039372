"""The second first stage: visual words compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64

from camseek.matching.words import QueryWords
from camseek.numerics import F64, I64
from camseek.results import Stage
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, FirstStage, Searching, Step, Terms
from camseek.store import Ranking


@dataclass(frozen=True, slots=True)
class Words(FirstStage):
    """Ranks pictures by the visual words that they share with the query (ASMK*: Tolias et al., ICCV 2013).

    Pictures of which no points are stored are not found.
    """

    name: ClassVar[str] = "words"
    needs_features: ClassVar[bool] = True

    def features(self, query: Sought, terms: Terms) -> tuple[QueryWords, ...]:
        """The query's visual words, of each of its pictures."""
        return query.words()

    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        """The pictures that share most."""
        found = word_scores(search, step.features)
        order = np.lexsort((found.records, -found.scores))[: search.wanted]
        ranked = Candidates(found.records[order], found.scores[order], self.name, compared=found.compared)
        return ranked, Stage(self.name, found.compared)


def word_scores(search: Searching, queries: Sequence[QueryWords]) -> Ranking:
    """How much of its words each picture shares with a query, the mean over its pictures; by record."""
    records, scores = search.database.words(queries[0])
    for query in queries[1:]:
        # A picture that came in meanwhile waits for the next search.
        others, more = search.database.words(query)
        records, scores = _summed(records, scores, others, more)
    kept = ~np.isin(records, list(search.without))
    return Ranking(records[kept], scores[kept] / len(queries), int(kept.sum()))


def _summed(
    records: Int64[I64, " N"], scores: Float64[F64, " N"], others: Int64[I64, " M"], more: Float64[F64, " M"]
) -> tuple[Int64[I64, " L"], Float64[F64, " L"]]:
    if np.array_equal(records, others):
        return records, scores + more
    both, here, there = np.intersect1d(records, others, assume_unique=True, return_indices=True)
    return both, scores[here] + more[there]
