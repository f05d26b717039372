"""Both first stages at once: descriptors and visual words, each as it stands out."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64

from camseek.arguments import whole_number
from camseek.errors import SettingsError
from camseek.matching.words import QueryWords
from camseek.numerics import F64, I64
from camseek.results import Evidence, Stage
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, Detail, FirstStage, Searching, Step, Terms
from camseek.searching.stages.nearest import Nearest
from camseek.searching.stages.words import Words, word_scores
from camseek.store import Ranking

_FIRST = 5
"""The mean of so many of the largest standardised scores says how much a stage knows of a query."""


@dataclass(frozen=True, slots=True)
class Joined(FirstStage):
    """Ranks pictures by descriptors and visual words, each standardised and weighted by what it knows.

    Each stage's scores, minus their mean over the collection, over their standard deviation, are weighted by
    the mean of the five largest of them: so the stage that stands out for this query decides, and no weight
    is tuned to a set of pictures. The weights sum to 2.

    Attributes:
        depth: The first so many of each stage's own ranking are joined; at least as many as are wanted.

    Raises:
        SettingsError: ``depth`` is below 1.
        TypeError: It is no whole number.
    """

    name: ClassVar[str] = "joined"
    needs_features: ClassVar[bool] = True
    depth: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", whole_number(self.depth, "depth"))
        if self.depth < 1:
            raise SettingsError("a depth is 1 or more", remedy="use 1 or more")

    def features(self, query: Sought, terms: Terms) -> tuple[QueryWords, ...]:
        """The query's visual words, of each of its pictures."""
        return query.words()

    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        """The pictures that stand out most."""
        depth = None if search.wanted is None else max(search.wanted, self.depth)
        near = search.database.nearest(step.terms.descriptor, depth, search.without)
        words = word_scores(search, step.features)
        best = words.scores.argpartition(-depth)[-depth:] if depth and depth < len(words.scores) else None
        shared = words.records if best is None else words.records[best]
        records = np.union1d(near.records, shared)
        by_descriptor = _standardised(near, self._cosines(search, step, near, records))
        by_words = _standardised(words, _looked_up(records, words))
        scores = _joined([by_descriptor, by_words])
        order = np.lexsort((records, -scores))[: search.wanted]
        raw = {Nearest.name: by_descriptor.raw, Words.name: by_words.raw}
        details = {
            int(records[place]): Detail(
                tuple(
                    Evidence(name, float(values[place]))
                    for name, values in raw.items()
                    if np.isfinite(values[place])
                )
            )
            for place in (order if search.wanted is not None else ())
        }
        compared = max(near.compared, words.compared)
        told = {"descriptors": near.compared, "words": words.compared}
        ranked = Candidates(records[order], scores[order], self.name, details, compared=compared)
        return ranked, Stage(self.name, compared, (), told)

    def _cosines(
        self, search: Searching, step: Step, near: Ranking, records: Int64[I64, " N"]
    ) -> Float64[F64, " N"]:
        """The cosines of records, also of those that words alone found; NaN for a featureless picture."""
        found = _looked_up(records, near)
        if near.compared > len(near.records):
            missing = records[np.isnan(found)]
            known = search.database.cosines(step.terms.descriptor, missing)
            found[np.isnan(found)] = known
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Standardised:
    """Scores of records: as they are, and in standard deviations above the collection's mean."""

    raw: Float64[F64, " N"]
    scores: Float64[F64, " N"]
    weight: float


def _standardised(ranking: Ranking, raw: Float64[F64, " N"]) -> _Standardised:
    mean, deviation = ranking.moments()
    # A picture of which a stage knows nothing is like any other to it.
    scores = np.where(np.isnan(raw), 0.0, (raw - mean) / deviation) if deviation > 0 else np.zeros_like(raw)
    first = np.sort(ranking.scores)[::-1][:_FIRST]
    weight = max(float((first.mean() - mean) / deviation), 0.0) if deviation > 0 and len(first) else 0.0
    return _Standardised(raw, scores, weight)


def _joined(stages: list[_Standardised]) -> Float64[F64, " N"]:
    total = sum(stage.weight for stage in stages)
    weights = [stage.weight / total * len(stages) if total else 1.0 for stage in stages]
    return np.sum([weight * stage.scores for weight, stage in zip(weights, stages, strict=True)], axis=0)


def _looked_up(records: Int64[I64, " N"], ranking: Ranking) -> Float64[F64, " N"]:
    """A ranking's scores of records, NaN of those that it does not have."""
    found = np.full(len(records), np.nan)
    _, here, there = np.intersect1d(records, ranking.records, assume_unique=True, return_indices=True)
    found[here] = ranking.scores[there]
    return found
