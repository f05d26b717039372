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
from camseek.searching.stages.words import Words
from camseek.store import Ranking, looked_up, told_apart

_LEAST_DEVIATION = 0.25
"""Of these logarithms: where most pictures share nothing, one that shares a little is no wonder."""
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
        own = np.array(sorted(search.own - search.without), np.int64)
        asked = np.union1d(near.records, own)
        words = search.database.words(
            step.features, depth, without=search.without, own=own.tolist(), asked=asked
        )
        records = np.union1d(asked, words.records)
        cosines = self._cosines(search, step, near, records)
        shared = words.of(records, asked)
        best = float(near.scores[0]) if len(near.scores) else None
        by_descriptor = _standardised(cosines, *near.moments(), best, near.compared)
        moments = words.moments
        deviation = max(moments.deviation, _LEAST_DEVIATION)
        by_words = _standardised(told_apart(shared), moments.mean, deviation, moments.best, moments.count)
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
        found = looked_up(records, (near.records, near.scores))
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
    raw: Float64[F64, " N"], mean: float, deviation: float, best: float | None, compared: int
) -> _Standardised:
    """Scores as one stage gives them, NaN where it knows nothing of a picture: that is like any other to it.

    Args:
        raw: Of the records.
        mean: Of all that were compared.
        deviation: Of all that were compared.
        best: The largest of them; None where there is none.
        compared: How many.
    """
    if deviation <= 0 or best is None:
        return _Standardised(np.zeros_like(raw), 0.0)
    scores = np.where(np.isnan(raw), 0.0, (raw - mean) / deviation)
    return _Standardised(scores, standing((best - mean) / deviation, compared) ** 2)


def _joined(descriptors: _Standardised, words: _Standardised) -> Float64[F64, " N"]:
    weights = np.array([descriptors.weight, _WORDS * words.weight])
    weights = 2 * weights / weights.sum() if weights.any() else np.ones(2)
    return weights[0] * descriptors.scores + weights[1] * words.scores
