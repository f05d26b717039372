"""Expansion over verified hits: what they show of the thing joins the query."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32

from camseek.matching.verdict import PRESENT
from camseek.matching.words import QueryWords, WordPoints
from camseek.numerics import BOOL, F32
from camseek.results import MatchEvidence, Outline, Stage
from camseek.searching.expansion import expand
from camseek.searching.looks import Unreadable
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, LaterStage, Searching, Step, Terms
from camseek.searching.stages.joined import Joined

SEVERAL = 2
"""Of fewer nothing is learnt that the query does not say."""
_LEAST_POINTS = 10  # in an outline, for its words to say anything


@dataclass(frozen=True, slots=True)
class ExpandVerified(LaterStage):
    """Ranks all pictures again by the query and what verified hits show of the thing, where several do.

    Those join that are present by a probability of 0.9 or more: a background that is the same joins seldom.

    Their descriptors join the query's, and so do the words that lie in their outlines (Chum et al., Total
    Recall, ICCV 2007); both first stages are then joined as ``Joined`` does. A verification after it counts
    what agreed before, and looks at the candidates that are new.

    Attributes:
        count: How many hits at most, those of which most points agree.

    Raises:
        SettingsError: ``count`` is below 2.
        TypeError: It is no whole number.
    """

    name: ClassVar[str] = "verified expansion"
    needs_features: ClassVar[bool] = True
    count: int = 10

    def __post_init__(self) -> None:
        self._require_least("count", SEVERAL, "several verified hits are")

    @property
    def reach(self) -> int | None:
        """As many as a ranking of all goes into: what it said of those that come up is known."""
        return Joined().depth

    def features(self, query: Sought, terms: Terms) -> tuple[QueryWords, ...]:
        """The query's visual words, of each of its pictures."""
        return query.words()

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """All pictures by the larger query; the candidates as they are where too few were verified."""
        hits = _sure(search, found)[: self.count]
        if len(hits) < SEVERAL:
            return found, None
        terms = step.terms
        records = np.array(sorted(record for record, _ in hits), np.int64)
        records = records[~np.isnan(search.database.cosines(terms.descriptor, records))]
        larger = expand(search.database.descriptors(records), terms.descriptor)
        words = *step.features, *_outlined(search, hits)
        ranked, stage = Joined().rank(search, Step(replace(terms, descriptor=larger), features=words))
        details = {
            record: replace(found.judged(record, score), by=None)
            for record, score in zip(found.first(None), found.scores.tolist(), strict=True)
            if record in found.details
        }
        known = {record: ranked.details[record] for record in ranked.details if record not in details}
        new = replace(ranked, by=self.name, details=known | details, compared=found.compared)
        return new, Stage(self.name, len(hits), (), {"compared": stage.pictures})


def _sure(search: Searching, found: Candidates) -> list[tuple[int, Outline]]:
    """The hits that show the thing for sure, and where, those of which most points agree first."""
    hits: list[tuple[int, int, Outline]] = []
    for record, detail in found.details.items():
        matches = [item for item in detail.evidence if isinstance(item, MatchEvidence) and item.outlines]
        sure = detail.verdict is not None and detail.verdict.probability >= PRESENT
        if sure and matches and record not in search.own:
            hits.append((-matches[-1].points, record, matches[-1].outlines[0]))
    return [(record, outline) for _, record, outline in sorted(hits, key=lambda hit: hit[:2])]


def _outlined(search: Searching, hits: list[tuple[int, Outline]]) -> list[QueryWords]:
    """The words in the hits' outlines."""
    found: list[QueryWords] = []
    stored = search.database.points([record for record, _ in hits])
    for (_, outline), points in zip(hits, stored, strict=True):
        if isinstance(points, Unreadable):
            continue
        inside = _inside(points.words, outline)
        if np.count_nonzero(inside) >= _LEAST_POINTS:
            found.append(points.words.as_query(inside))
    return found


def _inside(points: WordPoints, outline: Outline) -> Bool[BOOL, " N"]:
    """Which points lie in a convex quadrilateral."""
    corners: Float32[F32, "4 2"] = np.array(outline.corners, np.float32)
    along = np.roll(corners, -1, axis=0) - corners
    away = points.points[:, None] - corners
    sides = along[:, 0] * away[..., 1] - along[:, 1] * away[..., 0]
    return np.asarray((sides >= 0).all(axis=1) | (sides <= 0).all(axis=1))
