"""Local-aware re-ranking: regions of a candidate, and the one that matches a query best."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32

from camseek.encoding.regions import Cells, largest_component
from camseek.numerics import F32

THRESHOLDS = (0.01, 0.1, 0.2, 0.3, 0.4)
"""Shares of a heat map's maximum above which regions are boxed (Jimenez et al. 2017, section 4.5)."""


def propose(
    heat: Float32[F32, "H W"],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    smallest: int = 1,
    by: Literal["cells", "contour"] = "cells",
) -> tuple[Cells, ...]:
    """Boxes the largest component above each of several shares of a heat map's maximum.

    Args:
        heat: float32 (H, W), 0 or more, of picture cells alone.
        thresholds: Shares of the maximum, each from 0 to below 1.
        smallest: Boxes of fewer rows or columns are left out.
        by: What makes a component the largest (``largest_component``).

    Returns:
        Different boxes, in cells, in the order of their thresholds; none where the map is nowhere positive.

    Raises:
        ValueError: A threshold is out of range.
    """
    if not all(0 <= threshold < 1 for threshold in thresholds):
        raise ValueError(f"thresholds must be from 0 to below 1, not {tuple(thresholds)}")
    peak = np.float64(heat.max(initial=0))
    if peak <= 0:
        return ()
    # In double precision, or the smallest maxima would not pass their own threshold.
    found = (largest_component(heat > threshold * peak, by=by) for threshold in thresholds)
    boxes = dict.fromkeys(box for box in found if box is not None)
    return tuple(box for box in boxes if box[1] - box[0] >= smallest and box[3] - box[2] >= smallest)


def best(query: Float32[F32, " D"], descriptors: Float32[F32, "R D"]) -> tuple[int, float] | None:
    """Finds the region whose descriptor is nearest to the query's; the first of equal ones.

    Args:
        query: float32 (D,), unit.
        descriptors: float32 (R, D), unit or zero (featureless), which never win.

    Returns:
        Its place and its cosine in [-1, 1]; None where all are featureless.
    """
    # Row by row: a matrix product may round equal rows differently, and then the first would not win.
    cosines = np.vecdot(descriptors.astype(np.float64), query.astype(np.float64)).clip(-1, 1)
    usable = descriptors.any(axis=1)
    if not usable.any():
        return None
    place = int(np.where(usable, cosines, -np.inf).argmax())
    return place, float(cosines[place])


def reorder(scores: Sequence[float | None]) -> list[int]:
    """Orders a shortlist by new scores; what has none keeps its place.

    Args:
        scores: For each place of the shortlist its new score, or None where it could not be looked at again.

    Returns:
        Old places in their new order: those with a score by falling score, equal ones as before, among the
        places that they held.
    """
    scored = [place for place, score in enumerate(scores) if score is not None]
    order = iter(sorted(scored, key=lambda place: -(scores[place] or 0.0)))
    return [place if score is None else next(order) for place, score in enumerate(scores)]
