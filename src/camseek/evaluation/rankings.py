"""How good one ranking is: average precision, recall, precision."""

from collections.abc import Collection, Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from camseek.config import AveragePrecisionForm

Name = TypeVar("Name", bound=Hashable)


def average_precision(
    ranking: Sequence[Name],
    positives: Collection[Name],
    junk: Collection[Name] = (),
    form: AveragePrecisionForm = "mean",
) -> float:
    """Average precision of one ranking.

    Junk is taken out of the ranking first. With P positives, of which the i-th found stands at rank r_i:
    ``mean`` is sum_i (i / r_i) / P; ``trapezoid`` is sum_i (q_i + i / r_i) / (2 P) where q_i is the precision
    just before, (i - 1) / (r_i - 1), or 1 at rank 1: the area under straight lines of the precision-recall
    curve that begins at precision 1 (``compute_ap`` of the Oxford Buildings, Philbin et al. 2007). Positives
    that the ranking lacks count 0.

    Args:
        ranking: Names, best first, each once.
        positives: Names that show the thing, at least one.
        junk: Names that count neither way.
        form: ``mean`` or ``trapezoid``.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: There are no positives, or the form is unknown.
    """
    if form not in ("mean", "trapezoid"):
        raise ValueError(f"form must be mean or trapezoid, not {form!r}")
    wanted = frozenset(positives)
    if not wanted:
        raise ValueError("a query without positives has no average precision")
    ranks = _positive_ranks(ranking, wanted, junk)
    found = np.arange(1, len(ranks) + 1)
    precisions = found / ranks
    if form == "trapezoid":
        before = np.where(ranks > 1, (found - 1) / np.maximum(ranks - 1, 1), 1.0)
        precisions = (before + precisions) / 2
    return float(precisions.sum() / len(wanted))


def recall_at(
    ranking: Sequence[Name], positives: Collection[Name], junk: Collection[Name] = (), k: int = 1
) -> float:
    """Whether one query finds anything: 1 where any positive is within the first k, else 0.

    Averaged over queries this is the share of queries with at least one positive within the first k. It is
    not the share of the positives that are found.

    Args:
        ranking: Names, best first, each once; junk is taken out first.
        positives: Names that show the thing, at least one.
        junk: Names that count neither way.
        k: How many ranks count, 1 or more.

    Returns:
        0.0 or 1.0.

    Raises:
        ValueError: There are no positives, or ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, below 1")
    if not positives:
        raise ValueError("a query without positives has no recall")
    ranks = _positive_ranks(ranking, frozenset(positives), junk)
    return float(len(ranks) > 0 and ranks[0] <= k)


def precision_at(
    ranking: Sequence[Name], positives: Collection[Name], junk: Collection[Name] = (), k: int = 1
) -> float:
    """Precision at k as the revisited Oxford and Paris count it.

    The positives within the first k, over k, or over the last positive's rank where that is less: a query
    with few positives can reach 1 (``compute_map`` of Radenović et al., CVPR 2018). A positive that the
    ranking lacks stands behind everything.

    Args:
        ranking: Names, best first, each once; junk is taken out first.
        positives: Names that show the thing, at least one.
        junk: Names that count neither way.
        k: How many ranks count, 1 or more.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: There are no positives, or ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, below 1")
    wanted = frozenset(positives)
    if not wanted:
        raise ValueError("a query without positives has no precision")
    ranks = _positive_ranks(ranking, wanted, junk)
    within = min(k, int(ranks[-1])) if len(ranks) == len(wanted) else k
    return float(np.count_nonzero(ranks <= within) / within)


def n_s(ranking: Sequence[Name], positives: Collection[Name]) -> int:
    """UKBench's score of one query: how many of the first four are right, the query's own picture included.

    Source: Nistér and Stewénius, CVPR 2006, section 5.

    Args:
        ranking: Names, best first, each once.
        positives: The four names that show the thing.

    Returns:
        0 to 4.
    """
    wanted = frozenset(positives)
    return sum(name in wanted for name in ranking[:4])


def _positive_ranks(
    ranking: Sequence[Name], positives: frozenset[Name], junk: Collection[Name]
) -> NDArray[np.int64]:
    """The ranks, from 1, ascending, of the positives once junk is gone."""
    left_out = frozenset(junk)
    kept = (name for name in ranking if name not in left_out)
    return np.array([rank for rank, name in enumerate(kept, 1) if name in positives], np.int64)
