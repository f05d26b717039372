"""How sure a mean over queries is."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

F64 = NDArray[np.float64]

# So many numbers are drawn at a time while resampling: 8 MB, however many queries there are.
_DRAWN = 2**20


def bootstrap_interval(
    values: Sequence[float] | Float64[F64, " queries"],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over queries.

    As many queries as there are are drawn with replacement, again and again; the interval holds the middle
    ``level`` of the means (Efron and Tibshirani 1993, chapter 13). It says how far the mean would move with
    other queries of the same kind, not with another database.

    Args:
        values: (queries,): one finite number a query, at least one.
        resamples: How often to draw, 1 or more.
        seed: The same seed gives the same interval.
        level: Share of the means inside, in (0, 1).

    Returns:
        Its lower and upper end.

    Raises:
        ValueError: There are no values, one is not finite, or an option is out of range.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError("values must be one finite number a query, at least one")
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples {resamples} or level {level} is out of range")
    generator = np.random.default_rng(seed)
    rows = max(1, _DRAWN // len(numbers))
    means = np.concatenate(
        [
            numbers[generator.integers(len(numbers), size=(min(rows, resamples - done), len(numbers)))].mean(
                axis=1
            )
            for done in range(0, resamples, rows)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    values: Sequence[float] | Float64[F64, " queries"],
    against: Sequence[float] | Float64[F64, " queries"],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval of the mean of ``values - against``, query by query.

    Both are measured on the same queries, so the queries' own difficulty cancels out: an interval that
    leaves out 0 is a difference, even where the two means' own intervals overlap.

    Args:
        values: (queries,).
        against: (queries,), of the same queries in the same order.
        resamples: How often to draw, 1 or more.
        seed: The same seed gives the same interval.
        level: Share of the means inside, in (0, 1).

    Raises:
        ValueError: As ``bootstrap_interval``, or the two have different lengths.
    """
    if len(values) != len(against):
        raise ValueError(f"{len(values)} and {len(against)} values are not pairs")
    difference = np.asarray(values, np.float64) - np.asarray(against, np.float64)
    return bootstrap_interval(difference, resamples=resamples, seed=seed, level=level)
