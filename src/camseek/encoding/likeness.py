"""Late interaction: a query's cells compared with those that sketches of pictures hold, each with its best.

    likeness(q, p) = Σ_i |z_i|² max_j cos(z_i, z_j) / Σ_i |z_i|²     i: cells of q, j: kept cells of p

on the axes of the sketch, whitened by half (``camseek.encoding.sketch``). The name is ColBERT's (Khattab and
Zaharia, SIGIR 2020), which compares words of a query with words of a text so. One descriptor says what a
picture shows on the whole; cells find the thing where it fills little of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from camseek.encoding.activations import Activations
from camseek.encoding.regions import CellGrid, crop
from camseek.encoding.sketch import Sketch, Sketcher
from camseek.numerics import F32, l2_normalise, positive_or_one

QUERY_SIDE = 384
"""A query's cells are of a pass at this longer side: alone in its picture, a thing then has the size that it
has among others."""
_LEAST = 5  # rows, or columns: of so many the outermost are left out
_UNLIKE = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class QueryCells:
    """What a query's cells say, of one picture or several of one thing.

    Attributes:
        sketcher: Whose axes they are on.
        values: float32 (N, D): not quantised; each counts by its squared length.
    """

    sketcher: Sketcher
    values: Float32[F32, "N D"]

    @classmethod
    def of(cls, sketcher: Sketcher, activations: Activations, grid: CellGrid) -> "QueryCells":
        """The cells of one picture, without the outermost ones where there are more than 4 rows and columns.

        What is drawn around a thing has other things at its edge, and the network sees the edge itself.

        Args:
            sketcher: Of the model.
            activations: Of one picture, B = 1.
            grid: How its maps' cells lie over it.
        """
        edge = int(min(grid.rows, grid.columns) >= _LEAST)
        inner = edge, grid.rows - edge, edge, grid.columns - edge
        features = crop(activations.features[0], inner)
        cells = np.ascontiguousarray(features.reshape(len(features), -1).T)
        return cls(sketcher, sketcher.project(cells))

    @classmethod
    def together(cls, parts: "Sequence[QueryCells]") -> "QueryCells":
        """All cells of the pictures of one thing; at least one."""
        return cls(parts[0].sketcher, np.concatenate([part.values for part in parts]))


def likeness(query: QueryCells, sketches: Sequence[Sketch]) -> Float32[F32, " N"]:
    """How alike pictures are to a query, by their cells; some ten pictures at a time are quickest.

    Returns:
        float32 (N,) in [-1, 1]; -1 for a picture without cells, and for all where the query shows nothing.

    Raises:
        ValueError: Another sketcher made one.
    """
    for sketch in sketches:
        query.sketcher.require(sketch)
    found = np.full(len(sketches), _UNLIKE, np.float32)
    weights = np.vecdot(query.values, query.values)
    counts = np.array([len(sketch.codes) for sketch in sketches], np.int64)
    live = counts > 0
    if not weights.any() or not live.any():
        return found
    values = query.sketcher.values(np.concatenate([sketch.codes for sketch in sketches]))
    values /= positive_or_one(np.sqrt(np.vecdot(values, values)))[:, None]
    cosines = values @ l2_normalise(query.values).T
    starts = (np.cumsum(counts) - counts)[live]
    best = np.maximum.reduceat(cosines, starts, axis=0)
    found[live] = (best @ (weights / weights.sum())).clip(-1, 1)
    return found
