"""From where on a search's hits look no better than those of a thing that is not there."""

import math

from camseek.results import Chance
from camseek.store import Ranking

SMALLEST = 100
"""Of fewer pictures nothing is told: a dozen right ones would be too large a part of so few."""

_SHARE = 0.45


def chance(ranking: Ranking) -> Chance | None:
    """The score that a hit must reach to stand out from the collection's other pictures.

    What other pictures reach by chance is taken from the collection itself: the score at place 2 sqrt(N) of
    its N pictures. That far down lie the pictures that are most like the query without showing it, and few
    things are shown by more. A hit stands out where it goes at least 0.45 of the way from there to 1, the
    score of the query's own picture.

    With the default encoding about one in twenty queries whose thing is absent has a hit that stands out, in
    the mean over the sets of photographs on which place and share were picked; ``benchmarks/chance.py``
    measures it, and how many successes stand out.

    Args:
        ranking: Of all pictures, by the first stage.

    Returns:
        None where it cannot be told: fewer than 100 pictures, or nobody counted their scores.
    """
    if ranking.compared < SMALLEST:
        return None
    others = ranking.score_at(round(2 * math.sqrt(ranking.compared)))
    if others is None:
        return None
    return Chance(others + _SHARE * (1 - others), others, ranking.compared)
