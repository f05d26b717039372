"""The verdict: how probable it is that a candidate shows the thing, from what was seen of it.

A logistic curve over what agrees beyond chance and how far the first stages stand out. Its numbers come from
``benchmarks/verdicts.py``, which prints how they hold on sets that they were not fitted on.
"""

import math

from camseek.matching.fine import CHANCE as FINE_CHANCE
from camseek.matching.geometry import CHANCE
from camseek.results import Verdict
from camseek.words import counted

PRESENT = 0.9
"""From this probability on a picture is said to show the thing."""
NOT_SHOWN = 0.1
"""Below this one it is said not to."""

FEW = 30
"""Of fewer pictures none can stand out far: points alone decide."""

_MOST_BY_LOOKS = 0.5
"""The most probable that a picture can be of which no points agree."""

_BIAS, _GAIN, _STANDS = -5.43, 0.66, 1.54
_BIAS_ALONE, _GAIN_ALONE = -4.22, 0.87


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


def judge(points: int, first: float | None, pictures: int, fine: int | None = None) -> Verdict:
    """Whether a candidate shows the thing; never that it does where no more agree than by chance.

    Args:
        points: How many of its points lie as the query's do, at the place where most do.
        first: Its score by the joined first stages: standard deviations above the collection's mean; None
            where they were not asked, and points alone decide.
        pictures: How many pictures were compared.
        fine: How many of its fine points do, where the words' leave it undecided; None where nobody looked.
    """
    if first is None or pictures < FEW:
        total = _BIAS_ALONE + _GAIN_ALONE * gain(points, fine)
    else:
        total = _BIAS + _GAIN * gain(points, fine) + _STANDS * standing(first, pictures)
    probability = 1 / (1 + math.exp(-max(min(total, 50.0), -50.0)))
    if not _beyond(points, fine):
        # Among pictures that share nothing with a query, one that shares a little stands out without end.
        probability = min(probability, _MOST_BY_LOOKS)
    same = True if probability >= PRESENT else False if probability < NOT_SHOWN else None
    return Verdict(same, probability, _reason(points, fine or 0))


def _reason(points: int, fine: int) -> str:
    if points <= CHANCE and fine > FINE_CHANCE:
        return f"{counted(fine, 'fine point')} agree"
    return f"{counted(points, 'point')} agree{'s' * (points == 1)}" if points else "no points agree"
