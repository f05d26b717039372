import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage

import reference
from camseek.encoding.regions import CellGrid, attention_box, crop, heat_map, largest_component


def f32(values):
    return np.array(values, np.float32)


GRIDS = {
    "needle": CellGrid((1, 5000), (1, 640), 32),
    "tiny": CellGrid((33, 31), (33, 31), 32),
    "photo": CellGrid((427, 640), (427, 640), 32),
    "scaled": CellGrid((4000, 3000), (640, 480), 32),
    "odd": CellGrid((3001, 1999), (640, 426), 16),
    "pixel": CellGrid((1, 1), (1, 1), 32),
}


class TestCellGrid:
    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("needle", (20, 1)),
            ("tiny", (1, 2)),
            ("photo", (20, 14)),
            ("scaled", (15, 20)),
            ("odd", (27, 40)),
            ("pixel", (1, 1)),
        ],
    )
    def test_rows_and_columns(self, name, shape):
        assert (GRIDS[name].rows, GRIDS[name].columns) == shape

    @pytest.mark.parametrize(
        ("box", "cells"),
        [
            ((0, 0, 427, 640), (0, 20, 0, 14)),
            ((0, 0, 1, 1), (0, 1, 0, 1)),
            ((31, 31, 33, 33), (0, 2, 0, 2)),
            ((32, 32, 64, 64), (1, 2, 1, 2)),
            ((426, 639, 427, 640), (19, 20, 13, 14)),
            ((-50, -50, 9999, 40), (0, 2, 0, 14)),
        ],
    )
    def test_cells_of_a_box(self, box, cells):
        assert GRIDS["photo"].cells(box) == cells

    def test_each_axis_has_its_own_scale(self):
        # 100 x 100 became 64 x 32: a pixel is 0.64 across and 0.32 down.
        grid = CellGrid((100, 100), (64, 32), 8)
        assert grid.cells((0, 0, 25, 25)) == (0, 1, 0, 2)
        assert grid.cells((25, 25, 50, 50)) == (1, 2, 2, 4)
        assert grid.box((1, 2, 2, 4)) == (25, 25, 50, 50)

    @pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 5, 9, 4), (427, 0, 500, 10), (-9, 0, 0, 10)])
    def test_a_box_without_pixels_is_refused(self, box):
        with pytest.raises(ValueError, match="holds no pixel"):
            GRIDS["photo"].cells(box)

    @pytest.mark.parametrize(
        ("cells", "box"),
        [
            ((0, 20, 0, 14), (0, 0, 427, 640)),
            ((0, 1, 0, 1), (0, 0, 32, 32)),
            ((19, 20, 13, 14), (416, 608, 427, 640)),
        ],
    )
    def test_box_of_cells(self, cells, box):
        assert GRIDS["photo"].box(cells) == box

    def test_finer_cells(self):
        assert GRIDS["photo"].fine_shape(4) == (80, 54)
        assert GRIDS["photo"].box((1, 2, 2, 4), factor=4) == (16, 8, 32, 16)
        assert GRIDS["photo"].box((79, 80, 53, 54), factor=4) == (424, 632, 427, 640)

    @pytest.mark.parametrize(
        "cells", [(0, 0, 0, 1), (1, 1, 0, 1), (-1, 1, 0, 1), (0, 21, 0, 1), (0, 1, 3, 15)]
    )
    def test_cells_outside_are_refused(self, cells):
        with pytest.raises(ValueError, match="not in a grid of 20 x 14"):
            GRIDS["photo"].box(cells)

    @pytest.mark.parametrize("values", [((0, 5), (5, 5), 32), ((5, 5), (5, 0), 32), ((5, 5), (5, 5), 0)])
    def test_impossible_grids_are_refused(self, values):
        with pytest.raises(ValueError, match="1 or more"):
            CellGrid(*values)

    @pytest.mark.parametrize("name", GRIDS)
    def test_whole_picture(self, name):
        grid = GRIDS[name]
        width, height = grid.original
        assert grid.cells((0, 0, width, height)) == (0, grid.rows, 0, grid.columns)
        assert grid.box((0, grid.rows, 0, grid.columns)) == (0, 0, width, height)

    @given(st.data())
    def test_round_trips(self, data):
        side = st.integers(1, 5000)
        original = data.draw(st.tuples(side, side))
        grid = (
            data.draw(st.sampled_from(list(GRIDS.values())))
            if data.draw(st.booleans())
            else CellGrid(
                original,
                data.draw(st.tuples(st.integers(1, 700), st.integers(1, 700))),
                data.draw(st.integers(1, 64)),
            )
        )
        width, height = grid.original
        x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
        row1, row2, column1, column2 = cells = grid.cells((x1, y1, x2, y2))
        assert 0 <= row1 < row2 <= grid.rows
        assert 0 <= column1 < column2 <= grid.columns
        left, top, right, bottom = box = grid.box(cells)
        assert 0 <= left <= x1 < x2 <= right <= width
        assert 0 <= top <= y1 < y2 <= bottom <= height
        # And back: every cell is among those that its own pixels touch.
        again = grid.cells(box)
        assert again[0] <= row1
        assert again[1] >= row2
        assert again[2] <= column1
        assert again[3] >= column2
        factor = data.draw(st.integers(1, 8))
        scaled = tuple(value * factor for value in cells)
        rows, columns = grid.fine_shape(factor)
        scaled = (scaled[0], min(scaled[1], rows), scaled[2], min(scaled[3], columns))
        assert grid.box(scaled, factor=factor) == box


class TestArrays:
    def test_crop_cuts_the_last_two_axes(self):
        maps = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
        np.testing.assert_array_equal(crop(maps, (1, 3, 2, 5)), maps[:, :, 1:3, 2:5])
        assert np.shares_memory(crop(maps, (1, 3, 2, 5)), maps)
        np.testing.assert_array_equal(crop(maps[0, 0], (0, 1, 0, 1)), [[0]])

    def test_equal_shares_give_the_mean(self):
        heat = heat_map(f32([[[0, 1]], [[1, 0.5]]]), f32([0.6, 0.6]))
        np.testing.assert_array_equal(heat, f32([[0.5, 0.75]]))
        assert heat.dtype == np.float32

    def test_shares_weight_the_maps(self):
        heat = heat_map(f32([[[0, 1]], [[1, 0.5]]]), f32([3, 1]))
        np.testing.assert_allclose(heat, f32([[0.25, 0.875]]), atol=1e-7)

    @pytest.mark.parametrize("share", [0, -1, math.nan])
    def test_shares_are_above_zero(self, share):
        with pytest.raises(ValueError, match="above 0"):
            heat_map(f32([[[0, 1]], [[1, 0.5]]]), f32([1, share]))

    @given(st.integers(0, 2**32 - 1))
    def test_heat_map_against_the_reference(self, seed):
        rng = np.random.default_rng(seed)
        maps = rng.random(rng.integers(1, 6, 3), np.float32)
        shares = rng.random(len(maps), np.float32) + np.float32(0.01)
        heat = heat_map(maps, shares)
        np.testing.assert_allclose(heat, reference.heat_map(maps, shares), atol=1e-6)
        assert heat.min() >= 0
        np.testing.assert_allclose(heat_map(maps, shares * 8), heat, atol=1e-6)

    def test_no_map_is_refused(self):
        with pytest.raises(ValueError, match="at least one"):
            heat_map(np.zeros((0, 2, 2), np.float32), np.zeros(0, np.float32))


def scipy_largest(binary):
    labels, count = ndimage.label(binary, structure=np.ones((3, 3)))
    if not count:
        return None
    # scipy numbers components in row order, and argmax takes the first of equals.
    label = np.bincount(labels.ravel())[1:].argmax() + 1
    rows, columns = ndimage.find_objects(labels)[label - 1]
    return rows.start, rows.stop, columns.start, columns.stop


def scipy_largest_contour(binary):
    """Holes filled; each 2 x 2 cells that are all set span 1, three of them 1/2."""
    labels, count = ndimage.label(binary, structure=np.ones((3, 3)))
    areas = []
    for label in range(1, count + 1):
        filled = ndimage.binary_fill_holes(labels == label).astype(int)
        fours = filled[:-1, :-1] + filled[1:, :-1] + filled[:-1, 1:] + filled[1:, 1:]
        areas.append((fours == 4).sum() + (fours == 3).sum() / 2)
    if not count:
        return None
    rows, columns = ndimage.find_objects(labels)[np.argmax(areas)]
    return rows.start, rows.stop, columns.start, columns.stop


def picture(*lines):
    return np.array([[character == "#" for character in line] for line in lines])


class TestLargestComponent:
    def test_corners_connect(self):
        assert largest_component(picture("#...", ".#.#", "#..#")) == (0, 3, 0, 2)

    def test_arms_that_meet_late_are_one(self):
        assert largest_component(picture("#.#.#..", "#.#.#..", "#.###..", "###...#")) == (0, 4, 0, 5)

    def test_ties_go_to_the_first_in_row_order(self):
        assert largest_component(picture("..##", "....", "##..")) == (0, 1, 2, 4)
        assert largest_component(picture(".....#", "##...#", "......")) == (0, 2, 5, 6)

    def test_rows_do_not_run_into_each_other(self):
        assert largest_component(picture("..##", "....", "####")) == (2, 3, 0, 4)
        assert largest_component(picture("...#", "#...", "....")) == (0, 1, 3, 4)
        assert largest_component(picture("...#", "....", "#...")) == (0, 1, 3, 4)

    def test_the_whole_and_nothing(self):
        assert largest_component(np.ones((4, 7), bool)) == (0, 4, 0, 7)
        assert largest_component(np.zeros((4, 7), bool)) is None
        assert largest_component(np.ones((1, 1), bool)) == (0, 1, 0, 1)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (13, 17), (40, 40), (160, 160)])
    @pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.4, 0.5, 0.6, 0.8])
    def test_against_scipy(self, shape, share):
        for seed in range(5):
            binary = np.random.default_rng(seed).random(shape) < share
            assert largest_component(binary) == scipy_largest(binary)

    @given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**36 - 1))
    def test_small_grids_against_scipy(self, rows, columns, bits):
        binary = np.array([bits >> i & 1 for i in range(rows * columns)], bool).reshape(rows, columns)
        assert largest_component(binary) == scipy_largest(binary)

    def test_views(self):
        binary = np.random.default_rng(0).random((20, 30)) < 0.4
        assert largest_component(binary[::2, ::-1]) == scipy_largest(binary[::2, ::-1])
        assert largest_component(binary.T) == scipy_largest(binary.T)


class TestLargestContour:
    """The research code's choice: the area inside the outer contour, through the cells' centres."""

    def test_a_block_beats_a_longer_line(self):
        two = picture("##....", "##....", "......", "######")
        assert largest_component(two) == (3, 4, 0, 6)
        assert largest_component(two, by="contour") == (0, 2, 0, 2)

    def test_holes_are_filled(self):
        # A frame of 12 cells around 3 x 3 spans more than 16 full ones in a block.
        frame = picture("#####.....", "#...#.####", "#...#.####", "#...#.####", "#####.####")
        assert largest_component(frame) == (0, 5, 0, 5)
        assert largest_component(frame, by="contour") == (0, 5, 0, 5)
        diamond = picture(".#...##", "#.#..##", ".#.....")
        # Four cells, corner to corner, span 2; the block of four spans 1.
        assert largest_component(diamond, by="contour") == (0, 3, 0, 3)

    def test_what_a_hole_holds_does_not_count_for_itself(self):
        nested = picture("#######", "#.....#", "#.###.#", "#.###.#", "#.....#", "#######")
        assert largest_component(nested, by="contour") == (0, 6, 0, 7)

    def test_an_open_ring_has_no_hole(self):
        ring = picture("####.###", "#..#.###", "#.......", "####....")
        # A line bent round spans half a square at each of its three corners; the block spans 2.
        assert largest_component(ring, by="contour") == (0, 2, 5, 8)

    def test_half_squares_count(self):
        # Three cells around a corner span 1/2, a line of any length nothing.
        assert largest_component(picture("####..", "....#.", "......", "##....", "#....."), by="contour") == (
            3,
            5,
            0,
            2,
        )

    def test_ties_go_to_the_first_in_row_order(self):
        assert largest_component(picture("..#.", "....", "###."), by="contour") == (0, 1, 2, 3)
        two = picture("...##", "...##", ".....", "##...", "##...")
        assert largest_component(two, by="contour") == (0, 2, 3, 5)

    def test_nothing_gives_none(self):
        assert largest_component(np.zeros((3, 4), bool), by="contour") is None

    def test_a_spiral(self):
        # The way in from outside is long, but what lies between the arms is no hole.
        spiral = picture("#######", "#......", "#.#####", "#.#...#", "#.###.#", "#.....#", "#######")
        beside = np.zeros((7, 11), bool)
        beside[:, :7] = spiral
        assert largest_component(beside, by="contour") == (0, 7, 0, 7)
        beside[4:, 8:] = True  # spans 4, six corners 3
        assert largest_component(beside, by="contour") == (4, 7, 8, 11)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1), (2, 2), (9, 12), (20, 20)])
    @pytest.mark.parametrize("share", [0.2, 0.35, 0.45, 0.55, 0.7, 0.85])
    @pytest.mark.parametrize("by", ["cells", "contour"])
    def test_against_the_reference(self, shape, share, by):
        for seed in range(5):
            binary = np.random.default_rng(seed).random(shape) < share
            assert largest_component(binary, by=by) == reference.largest_component(binary, by)

    @pytest.mark.parametrize("share", [0.2, 0.4, 0.55, 0.7, 0.85])
    def test_against_scipy(self, share):
        for seed in range(20):
            binary = np.random.default_rng(seed).random((11, 14)) < share
            assert largest_component(binary, by="contour") == scipy_largest_contour(binary)

    @given(
        st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**36 - 1), st.sampled_from(["cells", "contour"])
    )
    def test_small_grids_against_the_reference(self, rows, columns, bits, by):
        binary = np.array([bits >> i & 1 for i in range(rows * columns)], bool).reshape(rows, columns)
        assert largest_component(binary, by=by) == reference.largest_component(binary, by)


class TestAttentionBox:
    GRID = CellGrid((100, 80), (100, 80), 10)

    def heat(self):
        heat = np.zeros((8, 10), np.float32)
        heat[2:5, 3:7] = 0.5
        heat[3, 4] = 1
        heat[7, 9] = 0.8
        return heat

    def test_thresholds(self):
        assert attention_box(self.heat(), 0.4, self.GRID) == (30, 20, 70, 50)
        assert attention_box(self.heat(), 0.5, self.GRID) == (40, 30, 50, 40)
        assert attention_box(self.heat() * np.float32(0.1), 0.4, self.GRID) == (30, 20, 70, 50)

    def test_nothing_positive_gives_none(self):
        assert attention_box(np.zeros((8, 10), np.float32), 0.1, self.GRID) is None
        assert attention_box(np.zeros((8, 10), np.float32), 0.1, self.GRID, factor=4) is None

    def test_a_flat_map_gives_the_picture(self):
        for factor in (1, 3, 4):
            assert attention_box(np.ones((8, 10), np.float32), 0.4, self.GRID, factor=factor) == (
                0,
                0,
                100,
                80,
            )

    def test_padding_never_matters(self):
        heat = np.full((12, 16), 9, np.float32)
        heat[:8, :10] = self.heat()
        for factor in (1, 4):
            expected = attention_box(self.heat(), 0.4, self.GRID, factor=factor)
            assert attention_box(heat, 0.4, self.GRID, factor=factor) == expected

    @pytest.mark.parametrize("maximum", [1e-45, 1e-38, 1e38])
    def test_extreme_maxima(self, maximum):
        heat = np.zeros((8, 10), np.float32)
        heat[3, 4] = maximum
        assert attention_box(heat, 0.9, self.GRID) == (40, 30, 50, 40)

    def test_finer_cells_by_hand(self):
        # Cells' centres are at 5, 15, 25: halfway from 1 to 0 lies 20, a quarter of the way 17.5.
        heat = f32([[0, 1, 0]])
        grid = CellGrid((30, 10), (30, 10), 10)
        # A factor of 2 samples at 2.5, 7.5, ..., 27.5: values 0, 1/4, 3/4, 3/4, 1/4, 0.
        assert attention_box(heat, 0.5, grid, factor=2) == (10, 0, 20, 10)
        assert attention_box(heat, 0.3, grid, factor=2) == (5, 0, 25, 10)

    @pytest.mark.parametrize("factor", [2, 4, 8])
    def test_finer_cells_follow_a_smooth_spot(self, factor):
        grid = CellGrid((640, 480), (640, 480), 32)
        x = (np.arange(20) + 0.5) * 32
        y = (np.arange(15) + 0.5) * 32
        heat = np.exp(-((x[None] - 301) ** 2 + (y[:, None] - 222) ** 2) / (2 * 60**2)).astype(np.float32)
        radius = 60 * np.sqrt(-2 * np.log(0.3))
        box = np.array(attention_box(heat, 0.3, grid, factor=factor))
        truth = np.array([301 - radius, 222 - radius, 301 + radius, 222 + radius])
        # Half a fine cell, and what bilinear interpolation shaves off the peak.
        assert np.abs(box - truth).max() <= 32 / factor + 4

    def test_a_last_cell_that_is_mostly_padding(self):
        # 33 pixels at stride 32: the second cell holds one column of pixels, the last 31 lie outside.
        grid = GRIDS["tiny"]
        assert attention_box(f32([[0, 1]]), 0.1, grid) == (32, 0, 33, 31)
        box = attention_box(f32([[0, 1]]), 0.1, grid, factor=4)
        assert box[2:] == (33, 31)
        assert box[0] < 33

    @given(
        st.sampled_from(list(GRIDS.values())),
        st.floats(0, 0.99),
        st.integers(1, 8),
        st.integers(0, 2**32 - 1),
    )
    def test_boxes_lie_in_the_picture(self, grid, threshold, factor, seed):
        rng = np.random.default_rng(seed)
        heat = np.maximum(rng.normal(size=(grid.rows, grid.columns)), 0).astype(np.float32)
        box = attention_box(heat, threshold, grid, factor=factor)
        if box is None:
            assume(not heat.any())
        else:
            assert all(isinstance(value, int) for value in box)
            assert 0 <= box[0] < box[2] <= grid.original[0]
            assert 0 <= box[1] < box[3] <= grid.original[1]

    @given(st.integers(0, 2**32 - 1), st.integers(1, 5))
    def test_scaling_the_map_changes_nothing(self, seed, factor):
        heat = np.random.default_rng(seed).random((8, 10), np.float32)
        expected = attention_box(heat, 0.4, self.GRID, factor=factor)
        assert attention_box(heat * np.float32(0.25), 0.4, self.GRID, factor=factor) == expected

    @pytest.mark.parametrize("threshold", [-0.1, 1.0, 2.0, float("nan")])
    def test_impossible_thresholds_are_refused(self, threshold):
        with pytest.raises(ValueError, match="threshold"):
            attention_box(self.heat(), threshold, self.GRID)

    def test_other_bugs_are_refused(self):
        with pytest.raises(ValueError, match="factor"):
            attention_box(self.heat(), 0.1, self.GRID, factor=0)
        with pytest.raises(ValueError, match="does not cover"):
            attention_box(self.heat()[:7], 0.1, self.GRID)
