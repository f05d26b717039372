"""Both first stages at once: descriptors and visual words, each as it stands out."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64

from camseek.matching.verdict import standing
from camseek.matching.words import QueryWords
from camseek.numerics import F64, I64
from camseek.results import Evidence, Stage
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, Detail, FirstStage, Searching, Step, Terms
from camseek.searching.stages.nearest import Nearest
from camseek.searching.stages.words import Words, word_scores
from camseek.store import Ranking

_LEAST_SHARED = 1e-4
"""Added to what a picture shares before its logarithm, which is then finite for one that shares nothing."""
_LEAST_DEVIATION = 0.25
"""Of these logarithms: where nearly all pictures share nothing, one that shares a little is no wonder."""
_WORDS = 0.25
"""What words count beside descriptors that stand out as far."""


@dataclass(frozen=True, slots=True)
class Joined(FirstStage):
    """Ranks pictures by descriptors and visual words, each standardised and weighted by what it knows.

    Cosines, and the logarithms of what pictures share in words (of which most share hardly anything, and few
    much), minus their mean over the collection, over their standard deviation. Each is weighted by the square
    of how far its best picture stands out (``camseek.matching.verdict.standing``), words by a quarter of it:
    so the stage that stands out for this query decides. The weights sum to 2. The query's own picture, if the
    collection holds it, is no measure of the others, and counts neither way.

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
        self._require_least("depth", 1, "a depth is")

    def features(self, query: Sought, terms: Terms) -> tuple[QueryWords, ...]:
        """The query's visual words, of each of its pictures."""
        return query.words()

    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        """The pictures that stand out most."""
        depth = None if search.wanted is None else max(search.wanted, self.depth)
        near = search.database.nearest(step.terms.descriptor, depth, search.without | search.own)
        words = word_scores(search, step.features)
        first = words.scores.argpartition(-depth)[-depth:] if depth and depth < len(words.scores) else None
        own = np.array(sorted(search.own - search.without), np.int64)
        records = np.union1d(near.records, words.records if first is None else words.records[first])
        records = np.union1d(records, own)
        cosines = self._cosines(search, step, near, records)
        shared = _looked_up(records, words)
        others = ~np.isin(words.records, own)
        by_descriptor = _standardised(cosines, *near.moments(), near.scores[:1], near.compared)
        mean, deviation, best, count = _moments(_told_apart(words.scores[others]))
        deviation = max(deviation, _LEAST_DEVIATION)
        by_words = _standardised(_told_apart(shared), mean, deviation, best, count)
        scores = _joined(by_descriptor, by_words)
        order = np.lexsort((records, -scores))[: search.wanted]
        raw = {Nearest.name: cosines, Words.name: shared}
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
        with_own = near.compared + int(np.isfinite(cosines[np.isin(records, own)]).sum())
        compared = max(with_own, words.compared)
        told = {"descriptors": with_own, "words": words.compared}
        ranked = Candidates(records[order], scores[order], self.name, details, compared=compared)
        return ranked, Stage(self.name, compared, (), told)

    def _cosines(
        self, search: Searching, step: Step, near: Ranking, records: Int64[I64, " N"]
    ) -> Float64[F64, " N"]:
        """The cosines of records, also of those that words alone found; NaN for a featureless picture."""
        found = _looked_up(records, near)
        missing = np.isnan(found)
        if missing.any():
            found[missing] = search.database.cosines(step.terms.descriptor, records[missing])
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Standardised:
    """What a stage says of records, in standard deviations above the mean of all, and what that counts."""

    scores: Float64[F64, " N"]
    weight: float


def _standardised(
    raw: Float64[F64, " N"], mean: float, deviation: float, best: Float64[F64, " _"], compared: int
) -> _Standardised:
    """Scores as one stage gives them, NaN where it knows nothing of a picture: that is like any other to it.

    Args:
        raw: Of the records.
        mean: Of all that were compared.
        deviation: Of all that were compared.
        best: The largest of them; empty where there is none.
        compared: How many.
    """
    if deviation <= 0 or not len(best):
        return _Standardised(np.zeros_like(raw), 0.0)
    scores = np.where(np.isnan(raw), 0.0, (raw - mean) / deviation)
    return _Standardised(scores, standing((float(best[0]) - mean) / deviation, compared) ** 2)


def _told_apart(shared: Float64[F64, " N"]) -> Float64[F64, " N"]:
    return np.log(shared + _LEAST_SHARED)


def _moments(values: Float64[F64, " N"]) -> tuple[float, float, Float64[F64, " _"], int]:
    """Mean, deviation and largest of values, and how many they are."""
    if not len(values):
        return 0.0, 0.0, values, 0
    return float(values.mean()), float(values.std()), values.max(keepdims=True), len(values)


def _joined(descriptors: _Standardised, words: _Standardised) -> Float64[F64, " N"]:
    weights = np.array([descriptors.weight, _WORDS * words.weight])
    weights = 2 * weights / weights.sum() if weights.any() else np.ones(2)
    return weights[0] * descriptors.scores + weights[1] * words.scores


def _looked_up(records: Int64[I64, " N"], ranking: Ranking) -> Float64[F64, " N"]:
    """A ranking's scores of records, NaN of those that it does not have."""
    found = np.full(len(records), np.nan)
    _, here, there = np.intersect1d(records, ranking.records, assume_unique=True, return_indices=True)
    found[here] = ranking.scores[there]
    return found
