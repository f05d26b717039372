from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.encoding.regions import CellGrid
from camseek.encoding.sketch import MOST_CELLS, Sketch, Sketcher
from camseek.encoding.whitening import Whitening
from sketched import CHANNELS, DIMENSIONS, SKETCHER, activations_of, cells_of, fitted, grid_of, maps_of


def sketch_of(maps):
    return SKETCHER.sketch(activations_of(maps), grid_of(*maps.shape[2:]))


class TestSketcher:
    def test_a_value_is_whitened_by_half(self):
        cells = cells_of(maps_of(40, 50, seed=9))
        values = SKETCHER.project(cells).astype(np.float64)
        products = values.T @ values / len(values)
        squares = np.diag(products)
        directions = SKETCHER.projection / np.linalg.norm(SKETCHER.projection, axis=0)
        # About zero, the axes are at right angles and say nothing of each other ...
        np.testing.assert_allclose(directions.T @ directions, np.eye(DIMENSIONS), atol=1e-4)
        np.testing.assert_allclose(products, np.diag(squares), atol=1e-3)
        # ... and the root mean square along one is the square root of what it was.
        whole = ((cells @ directions) ** 2).mean(axis=0)
        np.testing.assert_allclose(squares, np.sqrt(whole), rtol=1e-3)
        np.testing.assert_allclose(SKETCHER.middles, values.mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(SKETCHER.steps, 0.9957 * values.std(axis=0), rtol=3e-3)

    def test_a_direction_in_which_nothing_varies_says_nothing(self):
        whole = fitted()
        projection = whole.projection.copy()
        projection[:, -1] = 0
        sketcher = Sketcher(Whitening(whole.mean, projection))
        maps = maps_of(4, 5)
        sketch = sketcher.sketch(activations_of(maps), grid_of(4, 5))
        assert not sketcher.values(sketch.codes)[:, -1].any()

    @pytest.mark.parametrize(("mean", "scale"), [(1, 1e30), (1, 1e-30), (1e30, 1)])
    def test_numbers_that_would_overflow_are_refused(self, mean, scale):
        whole = fitted()
        with pytest.raises(ValueError, match="no axes of cells"):
            Sketcher(Whitening(whole.mean * np.float32(mean), whole.projection * np.float32(scale)))

    def test_a_number_of_dimensions_that_fills_no_bytes_is_refused(self):
        with pytest.raises(ValueError, match="multiple of 4 dimensions, not 6"):
            Sketcher(fitted(6))


class TestSketch:
    def test_the_cells_with_the_largest_norms_are_kept(self):
        maps = maps_of(5, 7)
        norms = np.linalg.norm(maps[0], axis=0).ravel()
        kept = np.zeros(35, bool)
        kept[np.argsort(-norms)[:25]] = True
        np.testing.assert_array_equal(sketch_of(maps).kept.ravel(), kept)

    def test_of_equal_cells_the_first_are_kept(self):
        maps = np.ones((1, CHANNELS, 3, 3), np.float32)
        np.testing.assert_array_equal(sketch_of(maps).kept.ravel(), [1, 1, 1, 1, 1, 1, 1, 0, 0])

    def test_no_more_than_the_most_are_kept(self):
        assert sketch_of(maps_of(30, 30)).kept.sum() == MOST_CELLS

    def test_zero_cells_are_not_kept(self):
        maps = np.zeros((1, CHANNELS, 3, 4), np.float32)
        maps[0, 2, 1, 3] = 0.5
        sketch = sketch_of(maps)
        assert np.argwhere(sketch.kept).tolist() == [[1, 3]]
        assert sketch.codes.shape == (1, DIMENSIONS // 4)

    def test_padding_never_matters(self):
        maps = maps_of(5, 7)
        padded = np.pad(maps, ((0, 0), (0, 0), (0, 2), (0, 3)), constant_values=9)
        same = SKETCHER.sketch(activations_of(padded), grid_of(5, 7))
        assert same.pack() == sketch_of(maps).pack()

    def test_values_are_off_by_half_a_step_or_lie_outside(self):
        maps = maps_of(6, 8)
        sketch = sketch_of(maps)
        exact = SKETCHER.project(cells_of(maps))[sketch.kept.ravel()] - SKETCHER.middles
        values = SKETCHER.values(sketch.codes) - SKETCHER.middles
        off = np.abs(values - exact) / SKETCHER.steps
        assert (off[np.abs(exact) < 2 * SKETCHER.steps] <= 0.5 + 1e-4).all()
        assert (np.abs(values) <= 1.5 * SKETCHER.steps * (1 + 1e-5)).all()

    def test_loops_give_the_same(self):
        maps = maps_of(4, 5, seed=5)
        sketch = sketch_of(maps)
        codes = []
        for row in range(4):
            for column in range(5):
                if not sketch.kept[row, column]:
                    continue
                cell = maps[0, :, row, column].astype(np.float64)
                for d in range(DIMENSIONS):
                    value = sum(cell[k] * SKETCHER.projection[k, d] for k in range(CHANNELS))
                    codes.append(
                        min(max(round((value - SKETCHER.middles[d]) / SKETCHER.steps[d] + 1.5), 0), 3)
                    )
        packed = np.array(codes).reshape(-1, 4) @ [1, 4, 16, 64]
        np.testing.assert_array_equal(sketch.codes.ravel(), packed)

    def test_a_sketch_on_other_axes_is_refused(self):
        other = Sketcher(fitted(4))
        sketch = other.sketch(activations_of(maps_of(3, 3)), grid_of(3, 3))
        with pytest.raises(ValueError, match="another sketcher"):
            SKETCHER.require(sketch)
        with pytest.raises(ValueError, match="4 values a cell, not 8"):
            SKETCHER.values(sketch.codes)


class TestPack:
    @pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (30, 31)])
    def test_round_trip(self, shape):
        sketch = sketch_of(maps_of(*shape))
        data = sketch.pack()
        back = Sketch.unpack(data)
        assert back.pack() == data
        assert (back.resized, back.stride, back.axes) == (sketch.resized, sketch.stride, sketch.axes)
        np.testing.assert_array_equal(back.kept, sketch.kept)
        np.testing.assert_array_equal(back.codes, sketch.codes)
        cells = shape[0] * shape[1]
        assert len(data) == 13 + -(-cells // 8) + min(-(-cells * 7 // 10), MOST_CELLS) * DIMENSIONS // 4

    def test_a_picture_in_which_nothing_fires(self):
        sketch = Sketch.unpack(sketch_of(np.zeros((1, CHANNELS, 2, 3), np.float32)).pack())
        assert sketch.kept.shape == (2, 3)
        assert sketch.codes.shape == (0, 2)

    def test_a_grid_in_which_the_last_cells_reach_past_the_picture(self):
        grid = CellGrid((100, 80), (15, 9), 4)
        sketch = Sketch.unpack(SKETCHER.sketch(activations_of(maps_of(3, 4)), grid).pack())
        assert sketch.kept.shape == (3, 4)

    def test_other_bytes_are_refused(self):
        good = sketch_of(maps_of(3, 5)).pack()
        bad = {
            "too short": good[:12],
            "another version": b"\x02" + good[1:],
            "cut off": good[:-1],
            "one more byte": good + b"\0",
            "no width": good[:3] + b"\0\0" + good[5:],
            "no stride": good[:7] + b"\0\0" + good[9:],
            "no whole bytes": good[:1] + b"\7\0" + good[3:],
            "a bit outside the grid": good[:14] + bytes([good[14] | 1]) + good[15:],
            "a vast grid": good[:3] + b"\xff\xff\xff\xff\1\0" + good[9:],
            "nothing": b"",
        }
        for name, data in bad.items():
            with pytest.raises(ValueError, match=r"sketch"):
                Sketch.unpack(data)
            assert name

    def test_more_cells_than_any_are_refused(self):
        kept = np.ones((20, 20), bool)
        codes = np.zeros((400, 2), np.uint8)
        sketch = replace(sketch_of(maps_of(20, 20)), kept=kept, codes=codes)
        with pytest.raises(ValueError, match="keeps 400 of 20 x 20"):
            Sketch.unpack(sketch.pack())

    @given(st.binary(max_size=200))
    def test_a_strangers_bytes_are_refused_or_are_a_sketch(self, data):
        try:
            sketch = Sketch.unpack(data)
        except ValueError:
            return
        assert sketch.pack() == data

    @given(st.data())
    def test_changed_bytes_are_refused_or_are_a_sketch_without_nan(self, data):
        good = bytearray(sketch_of(maps_of(4, 5)).pack())
        for _ in range(data.draw(st.integers(1, 4))):
            good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
        try:
            sketch = Sketch.unpack(bytes(good))
            SKETCHER.require(sketch)
        except ValueError:
            return
        assert np.isfinite(SKETCHER.values(sketch.codes)).all()
