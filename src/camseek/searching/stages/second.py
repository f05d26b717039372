"""The second step of verification: fine points, where words leave candidates undecided."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64

from camseek.extraction.fine import FineQuery
from camseek.matching.features import Amount
from camseek.matching.fine import QUERIED, FinePoints, Turn, nearest_pairs, verify_view
from camseek.matching.geometry import Candidate, Match
from camseek.matching.words import QueryWords
from camseek.numerics import F64
from camseek.results import Box, Size
from camseek.searching.database import Database
from camseek.searching.looks import Unreadable

_TURNS = 2  # beside the upright one, of each of the query's pictures
_LEAST_SHARE = 0.45  # of the votes for a turn that is tried


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One picture of the query: its words, those of its points in a mirror, its fine points, its outline."""

    words: QueryWords
    mirrored: QueryWords
    fine: FineQuery
    outline: Box

    @property
    def corners(self) -> Float64[F64, "4 2"]:
        """The outline's corners, from its top left one on, as the hands of a clock go."""
        x1, y1, x2, y2 = self.outline
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Where a candidate shows the thing as one of the query's pictures does.

    Attributes:
        place: Which of the query's pictures, from 0.
        matches: Most inliers first; none where nothing was found.
    """

    place: int
    matches: tuple[Match, ...]

    @property
    def points(self) -> int:
        """How many agree, where most do."""
        return self.matches[0].inliers if self.matches else 0


def most_points(found: Iterable[Shown]) -> Shown:
    """Where most points agree; of equally many the first."""
    return max(found, key=lambda one: one.points)


@dataclass(frozen=True, slots=True, eq=False)
class Undecided:
    """A candidate that words leave undecided.

    Attributes:
        record: Its record.
        size: Width and height of the upright picture, pixels.
        turns: What its words say of each of the query's pictures.
    """

    record: int
    size: Size
    turns: tuple[Turn, ...]


def second_step(database: Database, sides: Sequence[Side], left: Sequence[Undecided]) -> Mapping[int, Shown]:
    """Where candidates show the thing by fine points; of those alone that have some.

    The learned feature bears no turning, so each of the query's pictures is looked at upright, and turned as
    words say of the candidates: at the few turns that most is said for, and each candidate at its own.

    Args:
        database: The pictures.
        sides: The query's pictures.
        left: The candidates.

    Returns:
        Each one's record with what was found; no matches where no more points agree than by chance.
    """
    stored = database.fine([item.record for item in left])
    asked = [
        (item, fine) for item, fine in zip(left, stored, strict=True) if not isinstance(fine, Unreadable)
    ]
    if not asked:
        return {}
    turns = [_turns([item.turns[place] for item, _ in asked]) for place in range(len(sides))]
    views = [
        (place, degrees, amount)
        for place, several in enumerate(turns)
        for degrees in several
        for amount in QUERIED
    ]
    longest = sorted(views, key=lambda view: -view[2].side)  # the larger one takes longer
    points = dict(zip(longest, database.map(partial(_points, sides), longest), strict=True))
    found = [Shown(0, ())] * len(asked)
    # Which candidates each is compared with.
    tried = [
        [number for number, (item, _) in enumerate(asked) if degrees in (0, item.turns[place].degrees)]
        for place, degrees, _ in views
    ]
    couples = [
        (points[view], asked[number][1]) for view, some in zip(views, tried, strict=True) for number in some
    ]
    pairs = iter(database.map(lambda couple: nearest_pairs(*couple), couples))
    candidates = [
        [Candidate(asked[number][1], next(pairs), asked[number][0].size) for number in some] for some in tried
    ]

    def verified(one: tuple[_View, Sequence[Candidate]]) -> list[tuple[Match, ...]]:
        view, several = one
        return verify_view(points[view], several, sides[view[0]].corners)

    matched = database.map(verified, zip(views, candidates, strict=True))
    for (place, _, _), some, several in zip(views, tried, matched, strict=True):
        for number, matches in zip(some, several, strict=True):
            found[number] = most_points((found[number], Shown(place, matches)))
    return {item.record: shown for (item, _), shown in zip(asked, found, strict=True)}


_View = tuple[int, int, Amount]
"""Which of the query's pictures, turned to the right by how many degrees, and how much is looked at of it."""


def _points(sides: Sequence[Side], view: _View) -> FinePoints:
    place, degrees, amount = view
    return sides[place].fine.points(degrees, amount)


def _turns(said: Sequence[Turn]) -> tuple[int, ...]:
    """Upright, and the turns that most is said for by any one candidate."""
    best: dict[int, float] = {}
    for turn in said:
        if turn.degrees and turn.share >= _LEAST_SHARE:
            best[turn.degrees] = max(best.get(turn.degrees, 0.0), turn.share)
    return (0, *sorted(best, key=lambda degrees: (-best[degrees], degrees))[:_TURNS])
