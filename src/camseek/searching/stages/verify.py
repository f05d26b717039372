"""Verification: whether a candidate's points lie as the query's do."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from camseek.arguments import whole_number
from camseek.errors import SettingsError
from camseek.matching.geometry import CHANCE, Match, verify
from camseek.matching.verdict import gain, judge
from camseek.matching.words import QueryWords, correspondences
from camseek.numerics import F64
from camseek.results import Box, MatchEvidence, Outline, Stage
from camseek.searching.database import StoredPoints
from camseek.searching.looks import Unreadable
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, Detail, LaterStage, Searching, Step, Terms, Told
from camseek.searching.stages.joined import Joined

_ENOUGH = 3 * CHANCE
"""Of fewer points it cannot be told that they do not agree."""


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One picture of the query: its words, those of its points in a mirror, and what of it is sought."""

    words: QueryWords
    mirrored: QueryWords
    outline: Box

    @property
    def corners(self) -> Float64[F64, "4 2"]:
        """The outline's corners, from its top left one on, as the hands of a clock go."""
        x1, y1, x2, y2 = self.outline
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)


@dataclass(frozen=True, slots=True)
class Verify(LaterStage):
    """Compares where the points of the first candidates lie with where the query's do.

    Points of one visual word that turn, resize and lie as one flat thing would are counted; beyond what as
    many agree by chance they raise a candidate's score by twice the logarithm of one more than their number.
    The other candidates keep their places behind them. Each gets an outline for each time it shows the
    thing, and a verdict, but where either picture has so few points (15) that it cannot be told.

    Attributes:
        count: How many candidates.

    Raises:
        SettingsError: ``count`` is below 1.
        TypeError: It is no whole number.
    """

    name: ClassVar[str] = "verification"
    needs_features: ClassVar[bool] = True
    count: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", whole_number(self.count, "count"))
        if self.count < 1:
            raise SettingsError("the number of pictures verified is 1 or more", remedy="use 1 or more")

    @property
    def reach(self) -> int | None:
        """How many are verified."""
        return self.count

    def features(self, query: Sought, terms: Terms) -> tuple[_Side, ...]:
        """The query's visual words and outlines, of each of its pictures."""
        sides = zip(query.words(), query.words(mirrored=True), query.parts, strict=True)
        return tuple(_Side(words, mirrored, part.outline) for words, mirrored, part in sides)

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """The first candidates by their scores and what of their points agrees."""
        records = found.first(self.count)
        points = search.database.points(records)
        seen = search.database.map(partial(_matched, step.features), points)
        before: list[float] = found.scores[: len(records)].tolist()
        told = [
            _told(
                answer,
                score,
                _joined_score(found.judged(record, score)),
                found.compared,
                tells=_tells(step.features, item),
            )
            for record, answer, score, item in zip(records, seen, before, points, strict=True)
        ]
        kept = sum(item.score is None for item in told)
        return found.reordered(self.name, told), Stage(self.name, len(told), (), {"kept": kept})


def _matched(sides: Sequence[_Side], points: StoredPoints | Unreadable) -> tuple[Match, ...] | Unreadable:
    """Where a candidate shows the thing as one of the query's pictures does: the one that agrees most."""
    if isinstance(points, Unreadable):
        return points
    best = max((_compared(side, points, mirrored=False) for side in sides), key=_agreeing)
    if _agreeing(best) <= CHANCE:
        best = max(best, *(_compared(side, points, mirrored=True) for side in sides), key=_agreeing)
    return best


def _compared(side: _Side, points: StoredPoints, *, mirrored: bool) -> tuple[Match, ...]:
    pairs = correspondences(side.mirrored if mirrored else side.words, points.words)
    return verify(side.words, points.words, pairs, side.corners, points.size, mirrored=mirrored)


def _agreeing(matches: tuple[Match, ...]) -> int:
    return matches[0].inliers if matches else 0


def _joined_score(detail: Detail) -> float | None:
    """What the joined first stages said of a candidate, whatever came after them; None where they did not."""
    return next((item.score for item in detail.evidence if item.stage == Joined.name), None)


def _tells(sides: Sequence[_Side], points: StoredPoints | Unreadable) -> bool:
    """Whether both have enough points for it to mean something that few of them agree."""
    most = max(len(side.words) for side in sides)
    return not isinstance(points, Unreadable) and min(most, len(points.words)) >= _ENOUGH


def _told(
    answer: tuple[Match, ...] | Unreadable,
    before: float,
    first: float | None,
    compared: int,
    *,
    tells: bool,
) -> Told:
    if isinstance(answer, Unreadable):
        return Told(None, kept=answer.reason)
    count = _agreeing(answer)
    sure = tuple(_outline(match) for match in answer if match.inliers > CHANCE)
    score = before + gain(count)
    evidence = MatchEvidence(Verify.name, score, count, sure)
    verdict = judge(count, first, compared) if tells or sure else None
    return Told(score, evidence, verdict=verdict)


def _outline(match: Match) -> Outline:
    first, second, third, fourth = ((float(x), float(y)) for x, y in match.quadrilateral)
    return Outline(
        corners=(first, second, third, fourth),
        box=match.box,
        points=match.inliers,
        turn=match.turn,
        scale=match.scale,
        mirrored=match.mirrored,
    )
