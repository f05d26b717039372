"""Regions: boxes in pixels, the cells under them, and boxes proposed by activation maps."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from camseek.numerics import F32, resize_bilinear
from camseek.results import Box, Size

Cells = tuple[int, int, int, int]
"""``(row1, row2, column1, column2)``, half-open: ``array[row1:row2, column1:column2]``."""


@dataclass(frozen=True, slots=True)
class CellGrid:
    """How the cells of a picture's maps lie over its pixels.

    The picture was resized (each axis by its own factor, since sizes are whole), and cell (row, column)
    covers the ``stride`` x ``stride`` pixels of the resized picture that start at
    ``(column * stride, row * stride)``. All arithmetic is on whole numbers, so nothing is lost to rounding.

    Attributes:
        original: Width and height of the upright picture.
        resized: Width and height that the network saw, without padding.
        stride: Pixels from one cell to the next.

    Raises:
        ValueError: A size or the stride is below 1.
    """

    original: Size
    resized: Size
    stride: int

    def __post_init__(self) -> None:
        if min(*self.original, *self.resized, self.stride) < 1:
            raise ValueError(f"sizes and stride must be 1 or more: {self}")

    @property
    def rows(self) -> int:
        """Rows of cells that hold picture pixels."""
        return self.fine_shape(1)[0]

    @property
    def columns(self) -> int:
        """Columns of cells that hold picture pixels."""
        return self.fine_shape(1)[1]

    def fine_shape(self, factor: int) -> tuple[int, int]:
        """Rows and columns that hold picture pixels once each cell is cut into ``factor`` x ``factor``."""
        width, height = self.resized
        return _ceil_divide(height * factor, self.stride), _ceil_divide(width * factor, self.stride)

    def cells(self, box: Box) -> Cells:
        """Finds every cell that a box touches, never none.

        Raises:
            ValueError: The box is empty or outside the picture.
        """
        x1, y1, x2, y2 = box
        width, height = self.original
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
        if x1 >= x2 or y1 >= y2:
            raise ValueError(f"box {box} holds no pixel of a picture of {width} x {height}")
        across, down = width * self.stride, height * self.stride
        return (
            y1 * self.resized[1] // down,
            _ceil_divide(y2 * self.resized[1], down),
            x1 * self.resized[0] // across,
            _ceil_divide(x2 * self.resized[0], across),
        )

    def box(self, cells: Cells, *, factor: int = 1) -> Box:
        """Finds the smallest box of whole pixels that covers cells, clipped to the picture, never empty.

        Args:
            cells: Cells of this grid.
            factor: Count in cells cut into ``factor`` x ``factor``.

        Raises:
            ValueError: The cells are none, or some lie outside the grid.
        """
        row1, row2, column1, column2 = cells
        rows, columns = self.fine_shape(factor)
        if not (0 <= row1 < row2 <= rows and 0 <= column1 < column2 <= columns):
            raise ValueError(f"cells {cells} are not in a grid of {rows} x {columns}")
        width, height = self.original
        across, down = self.resized[0] * factor, self.resized[1] * factor
        return (
            column1 * self.stride * width // across,
            row1 * self.stride * height // down,
            min(_ceil_divide(column2 * self.stride * width, across), width),
            min(_ceil_divide(row2 * self.stride * height, down), height),
        )


def _ceil_divide(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def crop(array: NDArray[Any], cells: Cells) -> NDArray[Any]:
    """Cuts maps (..., H, W), or masks, to cells; a view."""
    row1, row2, column1, column2 = cells
    return array[..., row1:row2, column1:column2]


def heat_map(maps: Float32[F32, "C H W"], shares: Float32[F32, " C"]) -> Float32[F32, "H W"]:
    """Averages class activation maps, each class counting by its share: Σ_c share_c · CAM_c / Σ_c share_c.

    Jimenez et al. 2017 at equal shares of two classes.

    Args:
        maps: float32 (C, H, W) in [0, 1], at least one.
        shares: float32 (C,), above 0: the classes' probabilities, say.

    Returns:
        float32 (H, W) in [0, 1].

    Raises:
        ValueError: There is no map, or a share is not above 0.
    """
    if not len(maps):
        raise ValueError("a heat map needs at least one map")
    if not (shares > 0).all():
        raise ValueError("shares must be above 0")
    channels, rows, columns = maps.shape
    return ((shares / shares.sum()) @ maps.reshape(channels, rows * columns)).reshape(rows, columns)


def attention_box(
    heat: Float32[F32, "H W"], threshold: float, grid: CellGrid, *, factor: int = 1
) -> Box | None:
    """Boxes the largest connected component of the cells above a share of the heat map's maximum.

    Jimenez et al. 2017.

    Args:
        heat: float32 (H, W), 0 or more, whose first ``grid.rows`` x ``grid.columns`` cells hold the picture;
            the rest is padding and never matters.
        threshold: Share of the maximum, from 0 to below 1.
        grid: How the cells lie over the picture.
        factor: Cuts each cell into ``factor`` x ``factor`` by bilinear interpolation, so that the box follows
            the map more closely than whole cells (32 pixels or more) could.

    Returns:
        The box in pixels of the original; None where the map is nowhere positive.

    Raises:
        ValueError: The threshold or the factor is out of range, or the map is smaller than the grid.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must be from 0 to below 1, not {threshold}")
    if factor < 1:
        raise ValueError(f"factor must be 1 or more, not {factor}")
    if heat.shape[0] < grid.rows or heat.shape[1] < grid.columns:
        raise ValueError(f"a heat map {heat.shape} does not cover a grid of {grid.rows} x {grid.columns}")
    heat = heat[: grid.rows, : grid.columns]
    fine = resize_bilinear(heat, (grid.rows * factor, grid.columns * factor))
    # The last whole cell may reach past the picture; its finer ones that do hold no pixel.
    rows, columns = grid.fine_shape(factor)
    fine = fine[:rows, :columns]
    peak = np.float64(fine.max())
    if peak <= 0:
        return None
    # In double precision, or the smallest maxima would not pass their own threshold.
    cells = largest_component(fine > threshold * peak)
    return None if cells is None else grid.box(cells, factor=factor)


def largest_component(
    binary: Bool[NDArray[np.bool_], "H W"], *, by: Literal["cells", "contour"] = "cells"
) -> Cells | None:
    """Finds the bounding box of the largest 8-connected component; None where nothing is set.

    Cells that touch at a corner belong together: a slanting object a cell wide is still one, and OpenCV's
    contours, which the paper's code uses, count so too. Of equally large components, the one whose first cell
    comes first in row order wins.

    Args:
        binary: bool (H, W).
        by: What makes it the largest: its number of ``cells``, or the area inside its outer ``contour``,
            through the centres of its outermost cells, holes and all (OpenCV's ``contourArea``, which the
            paper's research code takes). A line of single cells has none.

    Returns:
        The cells of the bounding box, or None.
    """
    # Runs of set cells in a row are joined, not cells: there are few, and NumPy finds them. A clear column
    # at each row's end lets all rows be read as one line, where no run goes from one row into the next.
    stride = binary.shape[1] + 1
    line = np.zeros((binary.shape[0], stride), np.int8)
    line[:, :-1] = binary
    steps = np.diff(line.ravel(), prepend=0)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    if not len(starts):
        return None
    roots = np.array(_join_runs(starts, ends, stride))
    if by == "cells":
        winner = np.bincount(roots, weights=ends - starts).argmax()
    else:
        winner = _widest_contour(starts, ends, roots, stride)
    return _bounds(starts[roots == winner], ends[roots == winner], stride)


def _bounds(starts: NDArray[np.intp], ends: NDArray[np.intp], stride: int) -> Cells:
    """The cells of the bounding box of runs."""
    return (
        int(starts[0] // stride),
        int(starts[-1] // stride) + 1,
        int((starts % stride).min()),
        int((ends % stride).max()),  # a run ends at the clear column at most
    )


def _widest_contour(
    starts: NDArray[np.intp], ends: NDArray[np.intp], roots: NDArray[np.intp], stride: int
) -> int:
    """The component with the largest area inside its outer contour; of equal ones the first."""
    winner, widest = -1, -1.0
    for root in np.unique(roots).tolist():
        own = roots == root
        row1, row2, column1, column2 = _bounds(starts[own], ends[own], stride)
        if (row2 - row1 - 1) * (column2 - column1 - 1) <= widest:
            continue  # its box has no room for more
        line = np.zeros((row2 - row1) * stride, np.bool_)
        for start, end in zip(starts[own] - row1 * stride, ends[own] - row1 * stride, strict=True):
            line[start:end] = True
        area = _contour_area(line.reshape(-1, stride)[:, column1:column2])
        if area > widest:
            winner, widest = root, area
    return winner


def _contour_area(component: Bool[NDArray[np.bool_], "H W"]) -> float:
    """The area of the polygon through the centres of a component's outermost cells."""
    # From outside the background reaches everything but the component and its holes.
    filled = np.pad(component, 1)
    outside = np.zeros_like(filled)
    outside[0] = True
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= ~filled
        if (grown == outside).all():
            break
        outside = grown
    inside = ~outside
    # Of four neighbouring centres all four span a square, three of them half of one.
    corners = inside[:-1, :-1].astype(int) + inside[1:, :-1] + inside[:-1, 1:] + inside[1:, 1:]
    return float((corners == 4).sum() + (corners == 3).sum() / 2)


def _join_runs(starts: NDArray[np.intp], ends: NDArray[np.intp], stride: int) -> list[int]:
    """For each run, the first run of its component (union-find)."""
    # The runs above run j that touch it, corners included: those that end at its start or later and start at
    # its end or sooner, one row up.
    first = np.searchsorted(ends, starts - stride, side="left").tolist()
    last = np.searchsorted(starts, ends - stride, side="right").tolist()
    parent = list(range(len(first)))

    def find(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    for run, (low, high) in enumerate(zip(first, last, strict=True)):
        for above in range(low, high):
            one, other = find(run), find(above)
            parent[max(one, other)] = min(one, other)
    return [find(run) for run in parent]
