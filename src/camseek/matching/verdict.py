"""The verdict: how probable it is that a candidate shows the thing, from what was seen of it.

A logistic curve over what agrees beyond chance and how far the first stages stand out. Its numbers come from
``benchmarks/verdicts.py``, which prints how they hold on sets that they were not fitted on.
"""

import math
from dataclasses import dataclass

from camseek.errors import SettingsError
from camseek.matching.fine import CHANCE as FINE_CHANCE
from camseek.matching.geometry import CHANCE
from camseek.results import Verdict
from camseek.words import counted

PRESENT = 0.9
"""From this probability on a picture is said to show the thing."""
FALSE_ALARMS = ((0.01, 0.996), (0.02, 0.992), (0.05, 0.819), (0.1, 0.294))
"""Shares of queries whose thing is not there, and the probability that no more of their first hits reached.

On sets that the curve was not fitted on (``benchmarks/verdicts.py``): some 560 queries, so that the first of
these is of five.
"""
NOT_SHOWN = 0.1
"""Below this one it is said not to."""

FEW = 30
"""Of fewer pictures none can stand out far: points alone decide."""

_MOST_BY_LOOKS = 0.85
"""The most probable that a picture can be of which no points agree: below what is said to be present."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A logistic curve over what was seen of a candidate.

    Attributes:
        bias: Of nothing.
        gain: What counts what ``gain`` says.
        standing: What counts what ``standing`` says.
    """

    bias: float
    gain: float
    standing: float = 0.0

    def probability(self, gain: float, standing: float = 0.0) -> float:
        """How probable it is that the candidate shows the thing, in [0, 1].

        At most 0.85 where no more points agree than by chance: among pictures that share nothing with a
        query, one that shares a little stands out without end.
        """
        total = self.bias + self.gain * gain + self.standing * standing
        found = 1 / (1 + math.exp(-max(min(total, 50.0), -50.0)))
        return found if gain > 0 else min(found, _MOST_BY_LOOKS)


JOINED = Curve(-5.42, 0.71, 1.65)
ALONE = Curve(-3.84, 0.88)
"""For candidates of which the joined first stages were not asked, or few pictures: of points alone."""


def gain(points: int, fine: int | None = None) -> float:
    """What points that agree add to a candidate's score: nothing for as many as agree by chance.

    Args:
        points: How many agree by their words.
        fine: How many fine points do, which have a chance of their own; None where nobody looked. What more
            than chance there is of either counts.
    """
    return 2 * math.log1p(_beyond(points, fine))


def _beyond(points: int, fine: int | None) -> int:
    """How many more agree than by chance."""
    return max(points - CHANCE, (fine or 0) - FINE_CHANCE, 0)


def standing(first: float, pictures: int) -> float:
    """How far a score stands out, in what the best of so many pictures reaches by chance.

    The largest of N standard normal numbers is about the square root of 2 ln N: of more pictures more look
    alike by chance.

    Args:
        first: By the joined first stages: standard deviations above the collection's mean.
        pictures: N, how many were compared.
    """
    return first / math.sqrt(2 * math.log(max(pictures, 2)))


def threshold(false_alarms: float) -> float:
    """From which probability on a picture is said to show the thing, where so many false alarms are accepted.

    Args:
        false_alarms: The share of queries whose thing is not there that may have a hit said to show it.

    Raises:
        SettingsError: So few were not measured, or it is no share.
    """
    least = FALSE_ALARMS[0][0]
    if not least <= false_alarms <= 1:
        raise SettingsError(
            f"false alarms are a share from {least:.0%} on: fewer were not measured", remedy=f"use {least}"
        )
    return next(probability for share, probability in reversed(FALSE_ALARMS) if share <= false_alarms)


def judge(
    points: int,
    first: float | None,
    pictures: int,
    fine: int | None = None,
    *,
    present: float = PRESENT,
) -> Verdict:
    """Whether a candidate shows the thing; never that it does where no more agree than by chance.

    Args:
        points: How many of its points lie as the query's do, at the place where most do.
        first: Its score by the joined first stages: standard deviations above the collection's mean; None
            where they were not asked, and points alone decide.
        pictures: How many pictures were compared.
        fine: How many of its fine points do, where the words' leave it undecided; None where nobody looked.
        present: From which probability on it is said to show the thing, where more points agree than by
            chance; below ``NOT_SHOWN`` it is said not to.
    """
    if first is None or pictures < FEW:
        probability = ALONE.probability(gain(points, fine))
    else:
        probability = JOINED.probability(gain(points, fine), standing(first, pictures))
    agrees = _beyond(points, fine) > 0
    same = True if agrees and probability >= present else False if probability < NOT_SHOWN else None
    return Verdict(same, probability, _reason(points, fine or 0))


def _reason(points: int, fine: int) -> str:
    if points <= CHANCE and fine > FINE_CHANCE:
        return f"{counted(fine, 'fine point')} agree"
    return f"{counted(points, 'point')} agree{'s' * (points == 1)}" if points else "no points agree"
