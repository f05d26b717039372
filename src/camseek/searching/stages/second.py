"""The second step of verification: fine points, where words leave candidates undecided."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from camseek.extraction.fine import FineQuery
from camseek.matching.fine import QUERIED, FinePoints, Turn, verify_fine
from camseek.matching.geometry import Match
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
    # Found beside each other, and before the candidates, which all need them.
    views = [
        (side, degrees, amount)
        for side, several in zip(sides, turns, strict=True)
        for degrees in several
        for amount in reversed(QUERIED)  # the larger one takes longer
    ]
    database.map(lambda view: view[0].fine.points(*view[1:]), views)

    def compared(one: tuple[Undecided, FinePoints]) -> Shown:
        return most_points(_compared(side, turns[place], place, *one) for place, side in enumerate(sides))

    found = database.map(compared, asked)
    return {item.record: shown for (item, _), shown in zip(asked, found, strict=True)}


def _turns(said: Sequence[Turn]) -> tuple[int, ...]:
    """Upright, and the turns that most is said for by any one candidate."""
    best: dict[int, float] = {}
    for turn in said:
        if turn.degrees and turn.share >= _LEAST_SHARE:
            best[turn.degrees] = max(best.get(turn.degrees, 0.0), turn.share)
    return (0, *sorted(best, key=lambda degrees: (-best[degrees], degrees))[:_TURNS])


def _compared(side: Side, turns: tuple[int, ...], place: int, item: Undecided, fine: FinePoints) -> Shown:
    own = item.turns[place].degrees
    tried = (0, own) if own and own in turns else (0,)
    views = (side.fine.points(degrees, amount) for degrees in tried for amount in QUERIED)
    return Shown(place, verify_fine(views, fine, side.corners, item.size))
