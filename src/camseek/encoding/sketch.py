"""The sketch of a picture: its last maps in some kilobytes, for searches that need no pass of the network.

Of the cells of the last maps those with the largest norms are kept, on the axes of a PCA fitted on other
pictures, 2 bits a value. ``camseek.encoding.likeness`` compares them with those of a query.
"""

import math
import struct
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray

from camseek.encoding.activations import Activations
from camseek.encoding.regions import CellGrid, crop
from camseek.encoding.whitening import Whitening, fit_whitening
from camseek.numerics import F32, U8, positive_or_one
from camseek.results import Size

# Of the cells so many are kept: fewer lose, more gain nothing.
_SHARE = Fraction(7, 10)
MOST_CELLS = 280
"""So many are kept at most: of a square of 640 pixels, all of the share."""

# A stranger's grid is no larger: 32,768 pixels in both directions, at a stride of 32.
_MOST_GRID = 1 << 20
# Version, dimensions, size that the network saw, stride, and which axes: the first bytes of their checksum.
_HEAD = struct.Struct("<BHHHH4s")
_VERSION = 1
# How far the levels of a dimension lie apart, in its standard deviations: the least error for normal values
# (Max 1960, table II).
_STEP = 0.9957
_BITS = 2
# The smallest scale of an axis, and one over the largest.
_LEAST = 1e-6
_LEVELS = 1 << _BITS
_PACKED = 8 // _BITS
_SHIFTS = np.arange(0, 8, _BITS, dtype=np.uint8)
# What the values of a byte stand for, in steps from the middle.
_VALUES = ((np.arange(256)[:, None] >> _SHIFTS) % _LEVELS - (_LEVELS - 1) / 2).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """The quantised last maps of a picture.

    Attributes:
        resized: Width and height that the network saw, without padding.
        stride: Pixels from one cell to the next.
        kept: (rows, columns): the cells that are kept.
        codes: (n, D / 4), uint8: of each kept cell, in row order, four values of 0 to 3 a byte, the lowest
            bits first.
        axes: The first 4 bytes of the checksum of the sketcher that made it.
    """

    resized: Size
    stride: int
    kept: Bool[NDArray[np.bool_], "rows columns"]
    codes: UInt8[U8, "n packed"]
    axes: bytes

    def pack(self) -> bytes:
        """A head of 13 bytes, one bit a cell, D / 4 bytes a kept cell; ``unpack`` reads it back."""
        width, height = self.resized
        head = _HEAD.pack(_VERSION, _PACKED * self.codes.shape[1], width, height, self.stride, self.axes)
        return b"".join((head, np.packbits(self.kept).tobytes(), self.codes.tobytes()))

    @classmethod
    def unpack(cls, data: bytes) -> "Sketch":
        """Reads what ``pack`` wrote; a stranger may have written it.

        Raises:
            ValueError: It did not write this.
        """
        if len(data) < _HEAD.size:
            raise ValueError(f"{len(data)} bytes are no sketch")
        version, dimensions, width, height, stride, axes = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise ValueError(f"a sketch of version {version}, not {_VERSION}")
        if min(width, height, stride) < 1 or dimensions < 1 or dimensions % _PACKED:
            raise ValueError(f"no sketch has {width} x {height} pixels, stride {stride}, {dimensions} values")
        rows, columns = -(-height // stride), -(-width // stride)
        end = _HEAD.size - (-rows * columns // 8)
        if rows * columns > _MOST_GRID or len(data) < end:
            raise ValueError(f"a sketch of {rows} x {columns} cells is not {len(data)} bytes")
        bits = np.unpackbits(np.frombuffer(data, np.uint8, end - _HEAD.size, _HEAD.size))
        kept = bits[: rows * columns].astype(np.bool_).reshape(rows, columns)
        count = int(bits.sum())
        if count != int(kept.sum()) or count > MOST_CELLS:
            raise ValueError(f"a sketch keeps {count} of {rows} x {columns} cells")
        if len(data) != end + count * dimensions // _PACKED:
            raise ValueError(f"a sketch of {count} cells of {dimensions} values is not {len(data)} bytes")
        codes = np.frombuffer(data, np.uint8, offset=end).reshape(count, dimensions // _PACKED)
        return cls((width, height), stride, kept, codes, axes)


@dataclass(frozen=True, slots=True, eq=False)
class Sketcher:
    """Makes sketches, and says what their values mean. A collection can store it as ``fitted.to_bytes()``.

    Attributes:
        fitted: From ``fit_axes``: (K,) to D, a multiple of 4. Sketches have its directions with the square
            roots of its scales: whitened by half, strong directions count more, as in the maps.
        projection: (K, D), float32: a cell's values are ``cell @ projection``.
        middles: (D,), float32: the values of the mean cell, in the middle of the levels.
        steps: (D,), float32: how far the levels of a dimension lie apart.
        axes: What tells its sketches from those of others, 4 bytes.

    Raises:
        ValueError: D is no multiple of 4, or these are not such axes.
    """

    fitted: Whitening
    projection: Float32[F32, "K D"] = field(init=False)
    middles: Float32[F32, " D"] = field(init=False)
    steps: Float32[F32, " D"] = field(init=False)
    axes: bytes = field(init=False)

    def __post_init__(self) -> None:
        whole = self.fitted.projection.astype(np.float64)
        if whole.shape[1] % _PACKED or not whole.shape[1]:
            raise ValueError(f"a sketch has a multiple of {_PACKED} dimensions, not {whole.shape[1]}")
        # A column is a unit direction over the root of the mean square along it, or 0 where nothing lies.
        scale = np.linalg.norm(whole, axis=0)
        live = scale > 0
        root = np.sqrt(np.where(live, scale, 1.0))
        half = whole / root
        middles = self.fitted.mean.astype(np.float64) @ half
        variances = np.where(live, 1 / root**2 - middles**2, 0.0)
        # A stranger's numbers must not overflow what is computed with them.
        if scale[live].min(initial=1) < _LEAST or scale.max() > 1 / _LEAST or not (variances >= 0).all():
            raise ValueError("these are no axes of cells: their scales cannot be")
        object.__setattr__(self, "projection", half.astype(np.float32))
        object.__setattr__(self, "middles", middles.astype(np.float32))
        object.__setattr__(self, "steps", (_STEP * np.sqrt(variances)).astype(np.float32))
        object.__setattr__(self, "axes", bytes.fromhex(self.fitted.checksum)[:4])

    @property
    def dimensions(self) -> int:
        """D."""
        return self.projection.shape[1]

    def project(self, cells: Float32[F32, "n K"]) -> Float32[F32, "n D"]:
        """The values of cells, not quantised."""
        return cells @ self.projection

    def sketch(self, activations: Activations, grid: CellGrid) -> Sketch:
        """Sketches a picture.

        Args:
            activations: Of one picture, B = 1.
            grid: How its maps' cells lie over it.

        Returns:
            Its sketch: of the cells that hold picture, seven tenths (rounded up), ``MOST_CELLS`` at most,
            those with the largest norms; of equal ones the first. Cells that are zero are never kept, so a
            picture in which nothing fires keeps none.
        """
        features = crop(activations.features[0], (0, grid.rows, 0, grid.columns))
        cells = np.ascontiguousarray(features.reshape(len(features), -1).T)
        squares = np.vecdot(cells, cells)
        first = np.argsort(-squares, kind="stable")[: kept_of(len(cells))]
        places = np.sort(first[squares[first] > 0])
        kept = np.zeros(len(cells), np.bool_)
        kept[places] = True
        off = (self.project(cells[places]) - self.middles) / positive_or_one(self.steps)
        levels = np.rint(off + np.float32((_LEVELS - 1) / 2)).clip(0, _LEVELS - 1).astype(np.uint8)
        packed = levels.reshape(len(levels), self.dimensions // _PACKED, _PACKED) << _SHIFTS
        return Sketch(
            resized=grid.resized,
            stride=grid.stride,
            kept=kept.reshape(grid.rows, grid.columns),
            codes=np.bitwise_or.reduce(packed, axis=2),
            axes=self.axes,
        )

    def values(self, codes: UInt8[U8, "n packed"]) -> Float32[F32, "n D"]:
        """What codes stand for.

        Raises:
            ValueError: They are of another number of dimensions.
        """
        if _PACKED * codes.shape[1] != self.dimensions:
            raise ValueError(f"{_PACKED * codes.shape[1]} values a cell, not {self.dimensions}")
        # Four values at once, as one number of 16 bytes: a quarter of the look-ups.
        values = np.take(_VALUES.view(np.complex128)[:, 0], codes).view(np.float32)
        values *= self.steps
        values += self.middles
        return values

    def made(self, sketch: Sketch) -> bool:
        """Whether a sketch is on these axes."""
        return sketch.axes == self.axes and _PACKED * sketch.codes.shape[1] == self.dimensions

    def require(self, sketch: Sketch) -> None:
        """Refuses a sketch on other axes.

        Raises:
            ValueError: It is one.
        """
        if not self.made(sketch):
            raise ValueError("the sketch was made by another sketcher")


def kept_of(cells: int) -> int:
    """How many of a picture's cells are kept, where as many are not zero."""
    return min(math.ceil(cells * _SHARE), MOST_CELLS)


def fit_axes(cells: Float32[F32, "N K"], *, dimensions: int) -> Whitening:
    """Fits what a ``Sketcher`` is made of: the PCA of cells about zero, and their mean.

    About zero and not about the mean: sums of cells are compared by their angles, and these are about zero.

    Args:
        cells: float32 (N, K), cells of last maps, the strong ones of each picture.
        dimensions: D, a multiple of 4, from 4 to K.

    Raises:
        ValueError: ``dimensions`` is out of range, or a cell is not finite.
    """
    about_zero = fit_whitening(np.concatenate([cells, -cells]), dimensions=dimensions)
    return Whitening(cells.mean(axis=0, dtype=np.float64).astype(np.float32), about_zero.projection)
