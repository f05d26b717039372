"""Verification: whether a candidate's points lie as the query's do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import ClassVar

import numpy as np

from camseek.matching.fine import CHANCE as FINE_CHANCE
from camseek.matching.fine import Turn, likely_turn
from camseek.matching.geometry import CHANCE, Candidate, Match, verify_all
from camseek.matching.verdict import PRESENT, gain, judge, threshold
from camseek.matching.words import Correspondences, correspondences_in
from camseek.results import MOST_POINTS, MatchEvidence, MatchingPoints, Outline, Stage
from camseek.searching.database import StoredPoints
from camseek.searching.looks import Unreadable
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, Detail, LaterStage, Searching, Step, Terms, Told
from camseek.searching.stages.joined import Joined
from camseek.searching.stages.second import Shown, Side, Undecided, most_points, second_step

_ENOUGH = 3 * CHANCE
"""Of fewer points it cannot be told that they do not agree."""


_MIRRORED = 2 * CHANCE
"""Of fewer points nothing is said to be mirrored: it is a copy, and much of it agrees."""
_UPRIGHT = 10 * _MIRRORED
"""From so many points on nobody asks whether it is mirrored."""


SECOND = 25
"""So many candidates that words leave undecided are looked at by fine points."""


TOGETHER = 50
"""Candidates that one thread looks at side by side: what all of them take in one step is little. Whatever the
number, what is found is the same."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What words say of a candidate.

    Attributes:
        shown: Where it shows the thing as one of the query's pictures does: the one that agrees most.
        pairs: Which points correspond, of each of the query's pictures.
    """

    shown: Shown
    pairs: tuple[Correspondences, ...]


@dataclass(frozen=True, slots=True)
class Verify(LaterStage):
    """Compares where the points of the first candidates lie with where the query's do.

    Points of one visual word that turn, resize and lie as one flat thing would are counted; beyond what as
    many agree by chance they raise a candidate's score by twice the logarithm of one more than their number.
    Of those that are left undecided the first 25 are compared by fine points, where such are stored; what of
    these agrees beyond its own chance counts alike.
    The other candidates keep their places behind them. Each gets an outline for each time it shows the
    thing, and a verdict, but where either picture has so few points (15) that it cannot be told. What a
    verification before it found is counted, and not looked for again.

    Attributes:
        count: How many candidates.
        false_alarms: The share of searches for what is not there that may have a hit said to show it
            (``camseek.matching.verdict.threshold``); None for what is usual.

    Raises:
        SettingsError: ``count`` is below 1, or so few false alarms were not measured.
        TypeError: It is no whole number.
    """

    name: ClassVar[str] = "verification"
    needs_features: ClassVar[bool] = True
    needs_fine: ClassVar[bool] = True
    count: int = 100
    false_alarms: float | None = None

    def __post_init__(self) -> None:
        self._require_least("count", 1, "the number of pictures verified is")
        _ = self.present  # refuses what cannot be

    @property
    def present(self) -> float:
        """From which probability on a picture is said to show the thing."""
        return PRESENT if self.false_alarms is None else threshold(self.false_alarms)

    @property
    def reach(self) -> int | None:
        """How many are verified."""
        return self.count

    def features(self, query: Sought, terms: Terms) -> tuple[Side, ...]:
        """The query's visual words, fine points and outlines, of each of its pictures."""
        sides = zip(query.words(), query.words(mirrored=True), query.fine(), query.parts, strict=True)
        return tuple(Side(words, mirrored, fine, part.outline) for words, mirrored, fine, part in sides)

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """The first candidates by their scores and what of their points agrees."""
        found, count = _with_known(found, self.count)
        records = found.first(count)
        if records and all(found.detail(record).by == self.name for record in records):
            return found, None
        second = any(_has_second(detail) for detail in found.details.values())
        new = [record for record in records if _is_new(found.detail(record), second=second)]
        points = search.database.points(new)
        blocks = [points[start : start + TOGETHER] for start in range(0, len(points), TOGETHER)]
        matched = search.database.map(partial(_matched, step.features), blocks)
        seen = [answer for block in matched for answer in block]
        left = _undecided(step.features, new, points, seen)
        by_fine = second_step(search.database, step.features, left)
        before: dict[int, float] = dict(zip(records, found.scores[: len(records)].tolist(), strict=True))
        compared = {
            record: _told(
                answer,
                by_fine.get(record),
                before[record],
                _joined_score(found.judged(record, before[record])),
                found.compared,
                tells=_tells(step.features, item),
                present=self.present,
            )
            for record, answer, item in zip(new, seen, points, strict=True)
        }
        told = [
            compared[record] if record in compared else _again(found.detail(record), score)
            for record, score in before.items()
        ]
        kept = sum(item.score is None for item in told)
        details = {"kept": kept, "second": len(by_fine)}
        return found.reordered(self.name, told), Stage(self.name, len(new), (), details)


def _matched(
    sides: Sequence[Side], points: Sequence[StoredPoints | Unreadable]
) -> list[_Answer | Unreadable]:
    """Where candidates show the thing by their words."""
    there = [item for item in points if isinstance(item, StoredPoints)]
    pairs = [correspondences_in(side.words, [item.words for item in there]) for side in sides]
    found = [
        verify_all(side.words, _candidates(there, several), side.corners)
        for side, several in zip(sides, pairs, strict=True)
    ]
    best = [
        most_points(Shown(place, matches[number]) for place, matches in enumerate(found))
        for number in range(len(there))
    ]
    # Of a mirrored copy some points agree as if it were none: what is symmetric, and the frame.
    asked = [number for number, one in enumerate(best) if one.points < _UPRIGHT]
    for place, side in enumerate(sides):
        for number, matches in zip(asked, _mirrored(side, [there[one] for one in asked]), strict=True):
            best[number] = most_points((best[number], Shown(place, matches)))
    answers = map(_Answer, best, zip(*pairs, strict=True))
    return [next(answers) if isinstance(item, StoredPoints) else item for item in points]


def _mirrored(side: Side, points: Sequence[StoredPoints]) -> list[tuple[Match, ...]]:
    pairs = correspondences_in(side.mirrored, [item.words for item in points])
    return verify_all(side.words, _candidates(points, pairs), side.corners, mirrored=True, least=_MIRRORED)


def _candidates(points: Sequence[StoredPoints], pairs: Sequence[Correspondences]) -> list[Candidate]:
    return [Candidate(item.words, several, item.size) for item, several in zip(points, pairs, strict=True)]


def _undecided(
    sides: Sequence[Side],
    records: Sequence[int],
    points: Sequence[StoredPoints | Unreadable],
    seen: Sequence[_Answer | Unreadable],
) -> list[Undecided]:
    """The first candidates that words leave undecided, and how the thing is turned if it is there."""
    left = (
        Undecided(record, item.size, tuple(_turns(sides, item, answer)))
        for record, item, answer in zip(records, points, seen, strict=True)
        if isinstance(item, StoredPoints) and isinstance(answer, _Answer) and answer.shown.points <= CHANCE
    )
    return list(islice(left, SECOND))


def _turns(sides: Sequence[Side], item: StoredPoints, answer: _Answer) -> Iterator[Turn]:
    for side, pairs in zip(sides, answer.pairs, strict=True):
        yield likely_turn(side.words, item.words, pairs)


def _joined_score(detail: Detail) -> float | None:
    """What the joined first stages said of a candidate, whatever came after them; None where they did not."""
    return next((item.score for item in detail.evidence if item.stage == Joined.name), None)


def _with_known(found: Candidates, count: int) -> tuple[Candidates, int]:
    """The candidates with those behind the first ones that were verified already, and how many these are."""
    sure = [
        record
        for record, detail in found.details.items()
        if (known := _evidence(detail)) is not None and known.outlines
    ]
    places = np.arange(len(found))
    chosen = (places < count) | np.isin(found.records, sure)
    order = np.concatenate([places[chosen], places[~chosen]])
    moved = replace(found, records=found.records[order], scores=found.scores[order])
    return moved, int(np.count_nonzero(chosen))


def _evidence(detail: Detail) -> MatchEvidence | None:
    """What an earlier verification said of a candidate."""
    return next((item for item in reversed(detail.evidence) if isinstance(item, MatchEvidence)), None)


def _has_second(detail: Detail) -> bool:
    known = _evidence(detail)
    return known is not None and known.fine is not None


def _is_new(detail: Detail, *, second: bool) -> bool:
    """Whether there is something to find out of a candidate.

    Args:
        detail: What is known of it.
        second: Fine points were compared of others: one that words left undecided stood too far behind then.
    """
    known = _evidence(detail)
    return known is None or (second and known.fine is None and not known.outlines)


def _again(detail: Detail, before: float) -> Told:
    """The same evidence beside another score of the stages before it; the verdict stays."""
    known = _evidence(detail)
    if known is None:
        raise ValueError("a candidate that was not verified")
    score = before + gain(known.points, known.fine)
    return Told(score, replace(known, score=score))


def _tells(sides: Sequence[Side], points: StoredPoints | Unreadable) -> bool:
    """Whether both have enough points for it to mean something that few of them agree."""
    most = max(len(side.words) for side in sides)
    return not isinstance(points, Unreadable) and min(most, len(points.words)) >= _ENOUGH


def _told(
    answer: _Answer | Unreadable,
    second: Shown | None,
    before: float,
    first: float | None,
    compared: int,
    *,
    tells: bool,
    present: float,
) -> Told:
    if isinstance(answer, Unreadable):
        return Told(None, kept=answer.reason)
    points, fine = answer.shown.points, None if second is None else second.points
    outlines = _outlines(answer.shown, CHANCE)
    if not outlines and second is not None:
        outlines = _outlines(second, FINE_CHANCE)
    score = before + gain(points, fine)
    evidence = MatchEvidence(Verify.name, score, points, outlines, fine)
    verdict = judge(points, first, compared, fine, present=present) if tells or outlines else None
    return Told(score, evidence, verdict=verdict)


def _outlines(shown: Shown, chance: int) -> tuple[Outline, ...]:
    """Where more points agree than do by chance."""
    return tuple(_outline(match, shown.place) for match in shown.matches if match.inliers > chance)


def _outline(match: Match, place: int) -> Outline:
    first, second, third, fourth = ((float(x), float(y)) for x, y in match.quadrilateral)
    return Outline(
        corners=(first, second, third, fourth),
        box=match.box,
        points=match.inliers,
        turn=match.turn,
        scale=match.scale,
        mirrored=match.mirrored,
        query_picture=place,
        matching_points=MatchingPoints(
            match.query[:MOST_POINTS].astype(np.float32), match.picture[:MOST_POINTS].astype(np.float32)
        ),
    )
