import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camseek.encoding.regions import CellGrid
from camseek.encoding.sketch import Sketch, Sketcher, fit_axes
from camseek.encoding.sketches import SketchEncoder, Sketches, likeness

CHANNELS, DIMENSIONS, CLASSES = 12, 8, 7
STRIDE = 4
NUMBERS = np.random.default_rng(1)
CELLS = np.maximum(NUMBERS.normal(0.3, 1, (900, CHANNELS)), 0).astype(np.float32)
SKETCHER = Sketcher(fit_axes(CELLS, dimensions=DIMENSIONS))
WEIGHTS = NUMBERS.normal(0, 1, (CLASSES, CHANNELS)).astype(np.float32)
ENCODER = SketchEncoder.of(SKETCHER, WEIGHTS)


def sketch(rows, columns, seed=0, share=0.5):
    """A sketch of random codes: any share of its cells is kept."""
    random = np.random.default_rng(seed)
    kept = random.random((rows, columns)) < share
    codes = random.integers(0, 256, (int(kept.sum()), DIMENSIONS // 4), np.uint8)
    return Sketch((columns * STRIDE, rows * STRIDE), STRIDE, kept, codes, SKETCHER.axes)


def together(*several):
    return Sketches.of(SKETCHER, [(one, one.resized) for one in several])


PICTURES = [sketch(3, 5, 1), sketch(1, 1, 2, 0), sketch(6, 2, 3, 1), sketch(4, 4, 4, 0.1), sketch(2, 7, 5)]


def unit(vector):
    norm = np.linalg.norm(vector)
    return vector / norm if norm > 0 else vector


def looped_maps(one, classes):
    """(cells, classes): the class maps of one sketch, cell by cell, in double precision."""
    values = SKETCHER.values(one.codes).astype(np.float64)
    maps = np.zeros((len(values), len(classes)))
    for place, value in enumerate(values):
        cell = value @ SKETCHER.inverse.astype(np.float64)
        for column, number in enumerate(classes):
            maps[place, column] = max(0.0, float(cell @ WEIGHTS[number]))
    peaks = maps.max(axis=0, initial=0)
    return values, maps / np.where(peaks > 0, peaks, 1)


def looped_descriptor(one, classes, region=None):
    values, maps = looped_maps(one, classes)
    total = np.zeros(DIMENSIONS)
    for column in range(len(classes)):
        vector = np.zeros(DIMENSIONS)
        for place, (row, across) in enumerate(np.argwhere(one.kept)):
            if region is None or (region[0] <= row < region[1] and region[2] <= across < region[3]):
                vector += maps[place, column] * np.linalg.norm(values[place]) * values[place]
        total += unit(vector)
    return unit(total)


class TestSketches:
    def test_cells_lie_one_picture_after_the_other(self):
        found = together(*PICTURES)
        assert len(found) == 5
        assert found.shape == (6, 7)
        assert found.counts.tolist() == [int(one.kept.sum()) for one in PICTURES]
        expected = [[n, *place] for n, one in enumerate(PICTURES) for place in np.argwhere(one.kept).tolist()]
        assert np.stack([found.owners(), found.rows, found.columns], axis=1).tolist() == expected

    def test_maxima_and_sums_by_loops(self):
        found = together(*PICTURES)
        weights = np.abs(np.random.default_rng(0).normal(size=(len(found.rows), 3))).astype(np.float32)
        for place in range(5):
            own = found.owners() == place
            np.testing.assert_allclose(
                found.sums(weights)[place], weights[own].T @ found.values[own], rtol=1e-4, atol=1e-5
            )
            np.testing.assert_array_equal(found.maxima(weights)[place], weights[own].max(axis=0, initial=0))

    def test_heat_lies_where_the_cells_do(self):
        found = together(*PICTURES)
        heat = found.heat(np.arange(1, len(found.rows) + 1, dtype=np.float32))
        start = 0
        for place, one in enumerate(PICTURES):
            rows, columns = one.kept.shape
            count = int(one.kept.sum())
            expected = np.zeros((rows, columns))
            expected[one.kept] = np.arange(start + 1, start + count + 1)
            np.testing.assert_array_equal(heat[place, :rows, :columns], expected)
            assert not heat[place, rows:].any()
            assert not heat[place, :, columns:].any()
            start += count

    def test_none_and_others_are_refused(self):
        with pytest.raises(ValueError, match="no sketch"):
            Sketches.of(SKETCHER, [])
        other = Sketcher(fit_axes(CELLS[:300], dimensions=DIMENSIONS))
        with pytest.raises(ValueError, match="another sketcher"):
            Sketches.of(other, [(PICTURES[0], (20, 12))])


class TestEncoder:
    def test_class_maps_by_loops(self):
        found = together(*PICTURES)
        maps = ENCODER.class_maps(found, [3, 0, 6])
        expected = np.concatenate([looped_maps(one, [3, 0, 6])[1] for one in PICTURES])
        np.testing.assert_allclose(maps, expected, atol=1e-4)
        assert maps.min() >= 0
        assert maps.max() <= 1

    @pytest.mark.parametrize("classes", [[2], [0, 1, 2, 3, 4, 5, 6]])
    def test_descriptors_by_loops(self, classes):
        found = ENCODER.describe(together(*PICTURES), classes)
        expected = np.stack([looped_descriptor(one, classes) for one in PICTURES])
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_regions_by_loops(self):
        regions = [[(0, 3, 0, 5), (1, 2, 0, 3)], [], [(5, 6, 0, 1)], [(0, 4, 0, 4)], [(0, 1, 6, 7)] * 3]
        found = ENCODER.describe_regions(together(*PICTURES), [1, 4], regions)
        assert found.shape == (5, 3, DIMENSIONS)
        for place, own in enumerate(regions):
            for number in range(3):
                expected = np.zeros(DIMENSIONS)
                if number < len(own):
                    expected = looped_descriptor(PICTURES[place], [1, 4], own[number])
                np.testing.assert_allclose(found[place, number], expected, atol=1e-4)

    def test_the_whole_picture_is_a_region(self):
        found = together(*PICTURES)
        whole = [[(0, grid.rows, 0, grid.columns)] for grid in found.grids]
        regions = ENCODER.describe_regions(found, [5, 2], whole)[:, 0]
        np.testing.assert_allclose(regions, ENCODER.describe(found, [5, 2]), atol=1e-6)

    def test_maps_on_the_same_axes(self):
        # With as many axes as channels nothing is lost but by the quantisation.
        sketcher = Sketcher(fit_axes(CELLS, dimensions=CHANNELS))
        encoder = SketchEncoder.of(sketcher, WEIGHTS)
        maps = CELLS[:24].T.reshape(1, CHANNELS, 4, 6)
        grid = CellGrid((48, 32), (24, 16), STRIDE)
        from_maps = Sketches.of_maps(sketcher, _activations(maps), grid)
        exact = np.maximum(WEIGHTS @ maps[0].reshape(CHANNELS, -1), 0)
        peaks = exact.max(axis=1, keepdims=True)
        np.testing.assert_allclose(
            encoder.class_maps(from_maps, range(CLASSES)), (exact / peaks).T, atol=1e-4
        )
        kept = sketcher.sketch(_activations(maps), grid)
        near = encoder.describe(Sketches.of(sketcher, [(kept, (48, 32))]), [0, 1, 2])[0]
        assert near @ encoder.describe(from_maps, [0, 1, 2])[0] > 0.8

    def test_a_flat_picture_has_no_descriptor(self):
        grid = CellGrid((24, 16), (24, 16), STRIDE)
        flat = _activations(np.zeros((1, CHANNELS, 4, 6), np.float32))
        for found in (
            Sketches.of_maps(SKETCHER, flat, grid),
            Sketches.of(SKETCHER, [(SKETCHER.sketch(flat, grid), (24, 16))]),
        ):
            assert not ENCODER.describe(found, [0, 1]).any()
            assert not ENCODER.describe_regions(found, [0], [[(0, 4, 0, 6)]]).any()
            assert likeness(found, together(*PICTURES)).tolist() == [-1] * 5
            assert likeness(together(PICTURES[0]), found).tolist() == [-1]

    @settings(deadline=None)
    @given(st.data())
    def test_pictures_do_not_touch_each_other(self, data):
        side = st.integers(1, 6)
        pictures = [
            sketch(data.draw(side), data.draw(side), seed, data.draw(st.sampled_from([0, 0.3, 1])))
            for seed in range(data.draw(st.integers(1, 5)))
        ]
        classes = data.draw(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=5))
        many = ENCODER.describe(together(*pictures), classes)
        assert np.isfinite(many).all()
        norms = np.linalg.norm(many, axis=1)
        assert (np.isclose(norms, 1, atol=1e-5) | (norms == 0)).all()
        for place, one in enumerate(pictures):
            np.testing.assert_allclose(many[place], ENCODER.describe(together(one), classes)[0], atol=1e-5)


class TestLikeness:
    def test_by_loops(self):
        query = together(PICTURES[2])
        found = likeness(query, together(*PICTURES))
        for place, one in enumerate(PICTURES):
            values = SKETCHER.values(one.codes).astype(np.float64)
            total = weight = 0.0
            for own in query.values.astype(np.float64):
                best = max((float(unit(own) @ unit(other)) for other in values), default=-1.0)
                total += float(own @ own) * best
                weight += float(own @ own)
            assert found[place] == pytest.approx(total / weight, abs=1e-5)

    def test_a_picture_is_most_like_itself(self):
        found = likeness(together(PICTURES[0]), together(*PICTURES))
        assert found[0] == pytest.approx(1, abs=1e-5)
        assert found.argmax() == 0


def _activations(maps):
    from camseek.encoding.activations import Activations

    mask = np.ones((1, *maps.shape[2:]), bool)
    return Activations(
        features=maps,
        classifier_maps=maps,
        scores=np.zeros((1, CLASSES), np.float32),
        mask=mask,
        classifier_mask=mask,
    )
