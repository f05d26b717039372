"""What is made of sketches, of many pictures at once, in matrix products: class maps, descriptors, likeness.

On the axes of a sketch the classifier's weights are ``inverse @ w_c``, so that for a cell's values z

    CAM_c = max(0, z · (inverse @ w_c))     divided by its maximum over the kept cells

and a class vector is the sum of these values, weighted by the map and by their own length:

    f^c = Σ_ij CAM_c,ij · |z_ij| · z_ij     l2-normalised

(Jimenez et al. 2017, section 3.2, with the axes in the place of channels. Half whitened, they need no CroW
weights; strong cells count more, as in the generalised mean, whose root no product can take.) A descriptor is
the l2-normalised sum of class vectors, as of maps. Cells that were not kept are zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from camseek.encoding.activations import Activations
from camseek.encoding.regions import CellGrid, Cells, crop
from camseek.encoding.sketch import Sketch, Sketcher
from camseek.numerics import F32, I64, l2_normalise, positive_or_one
from camseek.results import Size


@dataclass(frozen=True, slots=True, eq=False)
class Sketches:
    """The cells of N pictures, T in all, picture after picture, each one's in row order.

    Attributes:
        grids: How the cells of each picture lie over it.
        counts: (N,), int64: how many cells each has, 0 or more.
        rows: (T,), int64: the row of each.
        columns: (T,), int64: its column.
        values: (T, D), float32: on the axes of one sketcher.
    """

    grids: tuple[CellGrid, ...]
    counts: Int64[I64, " N"]
    rows: Int64[I64, " T"]
    columns: Int64[I64, " T"]
    values: Float32[F32, "T D"]

    @classmethod
    def of(cls, sketcher: Sketcher, sketches: Sequence[tuple[Sketch, Size]]) -> "Sketches":
        """Sketches of pictures, each with the size of the original.

        Raises:
            ValueError: Another sketcher made one, or there is none.
        """
        if not sketches:
            raise ValueError("there is no sketch")
        for sketch, _ in sketches:
            sketcher.require(sketch)
        places = [np.nonzero(sketch.kept) for sketch, _ in sketches]
        return cls(
            tuple(sketch.grid(original) for sketch, original in sketches),
            np.array([len(sketch.codes) for sketch, _ in sketches], np.int64),
            np.concatenate([rows for rows, _ in places]).astype(np.int64),
            np.concatenate([columns for _, columns in places]).astype(np.int64),
            sketcher.values(np.concatenate([sketch.codes for sketch, _ in sketches])),
        )

    @classmethod
    def of_maps(cls, sketcher: Sketcher, activations: Activations, grid: CellGrid) -> "Sketches":
        """One picture, a query's say, on the same axes: every cell in which anything fires, not quantised."""
        features = crop(activations.features[0], (0, grid.rows, 0, grid.columns))
        rows, columns = np.nonzero(features.any(axis=0))
        values = sketcher.project(np.ascontiguousarray(features[:, rows, columns].T))
        count = np.array([len(rows)], np.int64)
        return cls((grid,), count, rows.astype(np.int64), columns.astype(np.int64), values)

    def __len__(self) -> int:
        return len(self.grids)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the smallest grid that holds each of theirs."""
        return max(grid.rows for grid in self.grids), max(grid.columns for grid in self.grids)

    def owners(self) -> Int64[I64, " T"]:
        """The picture of each cell."""
        return np.repeat(np.arange(len(self.grids)), self.counts)

    def lengths(self) -> Float32[F32, " T"]:
        """The Euclidean length of each cell's values."""
        return np.sqrt(np.vecdot(self.values, self.values))

    def maxima(self, cells: Float32[F32, "T M"]) -> Float32[F32, "N M"]:
        """The largest of each picture's cells, of numbers of 0 or more; 0 where it has none."""
        found = np.zeros((len(self), cells.shape[1]), np.float32)
        live = self.counts > 0
        if live.any():
            starts = (np.cumsum(self.counts) - self.counts)[live]
            found[live] = np.maximum.reduceat(cells, starts, axis=0)
        return found

    def sums(self, weights: Float32[F32, "T M"]) -> Float32[F32, "N M D"]:
        """The weighted sums of each picture's values."""
        found = np.empty((len(self), weights.shape[1], self.values.shape[1]), np.float32)
        start = 0
        for place, count in enumerate(self.counts.tolist()):
            own = slice(start, start + count)
            np.matmul(weights[own].T, self.values[own], out=found[place])
            start += count
        return found

    def heat(self, cells: Float32[F32, " T"]) -> Float32[F32, "N H W"]:
        """Numbers of cells as maps, on a grid that holds every picture's; elsewhere 0."""
        maps = np.zeros((len(self), *self.shape), np.float32)
        maps[self.owners(), self.rows, self.columns] = cells
        return maps


@dataclass(frozen=True, slots=True, eq=False)
class SketchEncoder:
    """Makes class maps and descriptors of sketches, and of a query's maps on the same axes.

    Attributes:
        sketcher: The axes.
        weights: (D, classes), float32: the classifier's weights on them.
    """

    sketcher: Sketcher
    weights: Float32[F32, "D classes"]

    @classmethod
    def of(cls, sketcher: Sketcher, classifier_weights: Float32[F32, "classes K"]) -> "SketchEncoder":
        """The encoder for a sketcher of a classifier's own maps."""
        return cls(sketcher, sketcher.inverse @ classifier_weights.T)

    def class_maps(self, sketches: Sketches, classes: Sequence[int]) -> Float32[F32, "T C"]:
        """The class activation maps of some classes, of every cell; ``clipped`` as the paper's.

        Returns:
            float32 (T, C) in [0, 1]: of each picture 1 at each map's maximum, all 0 where it is nowhere
            positive.
        """
        maps = sketches.values @ self.weights[:, np.array(classes, np.int64)]
        np.maximum(maps, 0, out=maps)
        maps /= np.repeat(positive_or_one(sketches.maxima(maps)), sketches.counts, axis=0)
        return maps

    def describe(self, sketches: Sketches, classes: Sequence[int]) -> Float32[F32, "N D"]:
        """One descriptor for each picture, all with the same classes (paper section 3.2).

        Returns:
            float32 (N, D), each of unit norm, or zero where nothing of the classes is seen.
        """
        weights = self.class_maps(sketches, classes) * sketches.lengths()[:, None]
        return _added_up(sketches.sums(weights))

    def describe_regions(
        self, sketches: Sketches, classes: Sequence[int], regions: Sequence[Sequence[Cells]]
    ) -> Float32[F32, "N R D"]:
        """One descriptor for each region of each picture, all with the same classes (paper section 4.5).

        Args:
            sketches: The pictures.
            classes: The classes.
            regions: The regions of each picture, in cells.

        Returns:
            float32 (N, R, D) for the most regions that a picture has: each of unit norm, or zero where a
            region is featureless, or a picture has no more.
        """
        most, count = max(map(len, regions), default=0), len(classes)
        bounds = np.zeros((len(sketches), most, 4), np.int64)
        for place, own in enumerate(regions):
            bounds[place, : len(own)] = np.array(own, np.int64).reshape(len(own), 4)
        top, bottom, left, right = np.moveaxis(np.repeat(bounds, sketches.counts, axis=0), 2, 0)
        rows, columns = sketches.rows[:, None], sketches.columns[:, None]
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        maps = self.class_maps(sketches, classes) * sketches.lengths()[:, None]
        weights = inside[:, :, None] * maps[:, None]
        sums = sketches.sums(weights.reshape(len(maps), most * count))
        each = _added_up(sums.reshape(len(sketches) * most, count, -1))
        return each.reshape(len(sketches), most, -1)


def likeness(query: Sketches, sketches: Sketches) -> Float32[F32, " N"]:
    """Compares cells with cells (late interaction): the weighted mean, over the query's, of the best cosine.

    ``Σ_q |z_q|² max_p cos(z_q, z_p) / Σ_q |z_q|²``, on the axes of the sketch.

    Args:
        query: One picture or several of one thing: all their cells.
        sketches: The pictures.

    Returns:
        float32 (N,) in [-1, 1]; -1 for a picture without cells, and for all where the query has none.
    """
    weights = np.einsum("td,td->t", query.values, query.values)
    total = weights.sum()
    if not total > 0:
        return np.full(len(sketches), -1, np.float32)
    cosines = l2_normalise(sketches.values) @ l2_normalise(query.values).T
    cosines += 1  # none is below 0 then, and a picture without cells has 0
    return (sketches.maxima(cosines) @ (weights / total) - 1).clip(-1, 1)


def _added_up(sums: Float32[F32, "N C D"]) -> Float32[F32, "N D"]:
    """The normalised sum of normalised class vectors."""
    norms = np.sqrt(np.vecdot(sums, sums))
    shares = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    return l2_normalise(np.matmul(shares[:, None], sums)[:, 0])
