import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from camseek.encoding.cam import class_activation_maps
from camseek.numerics import resize_bilinear


def f32(values):
    return np.array(values, np.float32)


def loop_maps(classifier_maps, weights, class_ids, mask, normalisation):
    return np.array(
        [
            [reference.activation_map(m, weights[class_id], cells, normalisation) for class_id in ids]
            for m, ids, cells in zip(classifier_maps, class_ids, mask, strict=True)
        ]
    )


def everywhere(maps):
    return np.ones((maps.shape[0], *maps.shape[2:]), bool)


NORMALISATIONS = ["clipped", "minmax", "flipped"]

# One picture, two channels, 2 x 2 cells.
MAPS = f32([[[[1, 2], [3, 4]], [[4, 0], [0, 0]]]])
WEIGHTS = f32([[1, 0], [0, 1], [1, -1], [-1, 0], [0, 0]])


class TestByHand:
    def test_clipped_sets_negatives_to_zero_and_divides_by_the_maximum(self):
        ids = np.array([[0, 1, 2]])
        maps = class_activation_maps(MAPS, WEIGHTS, ids, everywhere(MAPS), size=(2, 2))
        expected = [[[0.25, 0.5], [0.75, 1]], [[1, 0], [0, 0]], [[0, 0.5], [0.75, 1]]]
        np.testing.assert_array_equal(maps, f32([expected]))
        assert maps.dtype == np.float32

    def test_minmax_takes_the_extremes_to_zero_and_one(self):
        ids = np.array([[0, 2, 3]])
        maps = class_activation_maps(
            MAPS, WEIGHTS, ids, everywhere(MAPS), size=(2, 2), normalisation="minmax"
        )
        third = 1 / 3
        expected = [
            [[0, third], [2 * third, 1]],
            [[0, 5 / 7], [6 / 7, 1]],
            [[1, 2 * third], [third, 0]],
        ]
        np.testing.assert_allclose(maps, f32([expected]), atol=1e-6)

    def test_flipped_divides_a_negative_map_by_its_maximum(self):
        # Class 3 is -1, -2, -3, -4; classes 0 and 2 are as clipped; class 4 is zero.
        maps = class_activation_maps(
            MAPS, WEIGHTS, np.array([[3, 0, 2, 4]]), everywhere(MAPS), size=(2, 2), normalisation="flipped"
        )
        expected = [[[1, 2], [3, 4]], [[0.25, 0.5], [0.75, 1]], [[0, 0.5], [0.75, 1]], [[0, 0], [0, 0]]]
        np.testing.assert_array_equal(maps, f32([expected]))

    def test_flipped_is_over_unmasked_cells(self):
        mask = np.array([[[False, True], [True, False]]])
        maps = class_activation_maps(
            MAPS, WEIGHTS, np.array([[3]]), mask, size=(2, 2), normalisation="flipped"
        )
        np.testing.assert_array_equal(maps, f32([[[[0, 1], [1.5, 0]]]]))

    def test_a_flipped_map_keeps_its_values_when_resized(self):
        row = f32([[[[1, 3]]]])
        maps = class_activation_maps(
            row, f32([[-1]]), np.array([[0]]), np.ones((1, 1, 2), bool), size=(1, 4), normalisation="flipped"
        )
        np.testing.assert_allclose(maps, f32([[[[1, 1.5, 2.5, 3]]]]), rtol=1e-6)

    def test_rounding_does_not_pass_a_flipped_maps_maximum(self):
        row = f32([[[[1, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3]]]])
        for width in range(7, 40):  # without a bound some of these give 1.3000001
            maps = class_activation_maps(
                row,
                f32([[-1]]),
                np.array([[0]]),
                np.ones((1, 1, 7), bool),
                size=(1, width),
                normalisation="flipped",
            )
            assert maps.max() <= np.float32(1.3)

    def test_a_flipped_map_of_a_vanishing_maximum_stays_finite(self):
        row = f32([[[[1e-40, 1e10]]]])
        maps = class_activation_maps(
            row, f32([[-1]]), np.array([[0]]), np.ones((1, 1, 2), bool), size=(1, 2), normalisation="flipped"
        )
        np.testing.assert_array_equal(maps, f32([[[[1, 1e30]]]]))

    def test_the_maximum_is_over_unmasked_cells(self):
        mask = np.array([[[True, True], [True, False]]])
        maps = class_activation_maps(MAPS, WEIGHTS, np.array([[0]]), mask, size=(2, 2))
        np.testing.assert_allclose(maps, f32([[[[1 / 3, 2 / 3], [1, 0]]]]), atol=1e-7)

    def test_the_minimum_is_over_unmasked_cells(self):
        mask = np.array([[[False, True], [True, True]]])
        maps = class_activation_maps(
            MAPS, WEIGHTS, np.array([[0]]), mask, size=(2, 2), normalisation="minmax"
        )
        np.testing.assert_array_equal(maps, f32([[[[0, 0], [0.5, 1]]]]))

    def test_each_picture_has_its_own_classes(self):
        maps = np.concatenate([MAPS, MAPS])
        both = class_activation_maps(maps, WEIGHTS, np.array([[0], [1]]), everywhere(maps), size=(2, 2))
        np.testing.assert_array_equal(both[:, 0], f32([[[0.25, 0.5], [0.75, 1]], [[1, 0], [0, 0]]]))


class TestDegenerate:
    @pytest.mark.parametrize("class_id", [3, 4])
    def test_a_map_nowhere_positive_is_zero(self, class_id):
        # The research code divides by the negative maximum instead, which flips the map's sign.
        maps = class_activation_maps(MAPS, WEIGHTS, np.array([[class_id]]), everywhere(MAPS), size=(4, 4))
        np.testing.assert_array_equal(maps, np.zeros((1, 1, 4, 4)))

    def test_a_constant_map_is_zero_under_minmax(self):
        constant = np.full((1, 1280, 7, 5), 0.7, np.float32)
        weights = np.linspace(-1, 2, 1280, dtype=np.float32)[None]
        maps = class_activation_maps(
            constant, weights, np.array([[0]]), everywhere(constant), size=(7, 5), normalisation="minmax"
        )
        assert not maps.any()

    @pytest.mark.parametrize(("normalisation", "expected"), [("clipped", 1), ("minmax", 0), ("flipped", 1)])
    def test_one_cell(self, normalisation, expected):
        maps = class_activation_maps(
            MAPS[:, :, :1, :1],
            WEIGHTS,
            np.array([[0]]),
            np.ones((1, 1, 1), bool),
            size=(3, 2),
            normalisation=normalisation,
        )
        np.testing.assert_array_equal(maps, np.full((1, 1, 3, 2), expected))

    @pytest.mark.parametrize("normalisation", NORMALISATIONS)
    @pytest.mark.parametrize("size", [(2, 2), (5, 3)])
    def test_a_picture_without_cells_is_zero(self, normalisation, size):
        mask = np.zeros((1, 2, 2), bool)
        maps = class_activation_maps(
            MAPS, WEIGHTS, np.array([[0, 3]]), mask, size=size, normalisation=normalisation
        )
        np.testing.assert_array_equal(maps, np.zeros((1, 2, *size)))

    @pytest.mark.parametrize("normalisation", NORMALISATIONS)
    @pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e30])
    def test_extreme_magnitudes_stay_finite(self, normalisation, scale):
        maps = class_activation_maps(
            MAPS * np.float32(scale),
            WEIGHTS,
            np.array([[0, 1]]),
            everywhere(MAPS),
            size=(2, 2),
            normalisation=normalisation,
        )
        assert np.isfinite(maps).all()
        np.testing.assert_array_equal(maps.max(axis=(2, 3)), [[1, 1]])

    @pytest.mark.parametrize("normalisation", NORMALISATIONS)
    def test_a_masked_cell_far_above_a_tiny_map_overflows_nothing(self, normalisation):
        maps = f32([[[[1e-40, 2e-40, 1e10, -1e10]]]])
        mask = np.array([[[True, True, False, False]]])
        out = class_activation_maps(
            maps, f32([[1]]), np.array([[0]]), mask, size=(1, 4), normalisation=normalisation
        )
        low = 0 if normalisation == "minmax" else 0.5
        np.testing.assert_allclose(out[0, 0, 0], [low, 1, 0, 0], atol=1e-5)


class TestAgainstLoops:
    @pytest.mark.parametrize("normalisation", NORMALISATIONS)
    @pytest.mark.parametrize("shape", [(1, 7, 4, 3), (3, 5, 1, 6), (2, 4, 5, 1), (2, 3, 1, 1)])
    def test_random_maps(self, normalisation, shape):
        rng = np.random.default_rng(1)
        maps = np.maximum(rng.normal(size=shape), 0).astype(np.float32)
        weights = rng.normal(size=(9, shape[1])).astype(np.float32)
        weights[4] = -np.abs(weights[4])
        ids = np.stack([rng.permutation(9)[:6] for _ in range(shape[0])])
        mask = rng.random((shape[0], *shape[2:])) < 0.7
        actual = class_activation_maps(maps, weights, ids, mask, size=shape[2:], normalisation=normalisation)
        np.testing.assert_allclose(
            actual, loop_maps(maps, weights, ids, mask, normalisation), rtol=2e-6, atol=2e-6
        )

    @pytest.mark.parametrize("source", [(1, 1), (1, 4), (3, 2), (5, 7)])
    @pytest.mark.parametrize("target", [(1, 1), (2, 9), (6, 4), (5, 7), (20, 15)])
    def test_bilinear_resizing(self, source, target):
        image = np.random.default_rng(2).random(source).astype(np.float32)
        np.testing.assert_allclose(
            resize_bilinear(image, target), reference.bilinear(image, target), atol=1e-6
        )

    def test_bilinear_resizing_by_hand(self):
        np.testing.assert_allclose(resize_bilinear(f32([[0, 4]]), (1, 4)), [[0, 1, 3, 4]])
        np.testing.assert_allclose(resize_bilinear(f32([[0, 2, 4, 6]]), (1, 2)), [[1, 5]])

    def test_maps_are_normalised_then_resized(self):
        rng = np.random.default_rng(3)
        maps = rng.random((2, 4, 3, 5), np.float32)
        weights = rng.normal(size=(2, 4)).astype(np.float32)
        ids = np.array([[0, 1], [1, 0]])
        small = class_activation_maps(maps, weights, ids, everywhere(maps), size=(3, 5))
        large = class_activation_maps(maps, weights, ids, everywhere(maps), size=(6, 11))
        for b in range(2):
            for c in range(2):
                np.testing.assert_allclose(large[b, c], reference.bilinear(small[b, c], (6, 11)), atol=1e-6)

    def test_padding_is_resized_as_if_it_were_not_there(self):
        rng = np.random.default_rng(4)
        maps = rng.random((1, 4, 6, 8), np.float32)
        weights = rng.random((1, 4), np.float32)
        mask = np.zeros((1, 6, 8), bool)
        mask[:, :3, :5] = True
        padded = class_activation_maps(maps, weights, np.array([[0]]), mask, size=(12, 16))
        alone = class_activation_maps(
            maps[:, :, :3, :5], weights, np.array([[0]]), mask[:, :3, :5], size=(6, 10)
        )
        np.testing.assert_allclose(padded[:, :, :6, :10], alone, atol=1e-6)
        assert not padded[:, :, 6:].any()
        assert not padded[:, :, :, 10:].any()


def case(seed, normalisation, size=None):
    rng = np.random.default_rng(seed)
    batch, channels, rows, columns, classes = rng.integers(1, 6, 5)
    maps = np.maximum(rng.normal(size=(batch, channels, rows, columns)), 0).astype(np.float32)
    weights = rng.normal(size=(classes, channels)).astype(np.float32)
    ids = rng.integers(0, classes, (batch, 3))
    mask = rng.random((batch, rows, columns)) < rng.choice([0.3, 0.9, 1.1])
    size = size or (int(rows), int(columns))

    def compute(maps=maps, mask=mask):
        return class_activation_maps(maps, weights, ids, mask, size=size, normalisation=normalisation)

    return maps, mask, compute


seeds = st.integers(0, 2**32 - 1)
normalisations = st.sampled_from(NORMALISATIONS)
sizes = st.one_of(st.none(), st.tuples(st.integers(1, 12), st.integers(1, 12)))


class TestInvariants:
    @given(seeds, normalisations, sizes)
    def test_values_are_within_zero_and_one(self, seed, normalisation, size):
        _, _, compute = case(seed, normalisation, size)
        out = compute()
        assert np.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1 or normalisation == "flipped"
        assert out.dtype == np.float32

    @given(seeds, sizes)
    def test_flipped_maps_are_one_or_more_and_the_others_clipped(self, seed, size):
        _, _, compute = case(seed, "flipped")
        _, _, clipped = case(seed, "clipped")
        same, maps = clipped(), compute()
        live = same.any(axis=(2, 3))
        np.testing.assert_array_equal(maps[live], same[live])
        turned = maps[~live]
        assert not ((turned > 0) & (turned < 1)).any()
        _, _, resized = case(seed, "flipped", size)
        # No value of a resized map is outside those that it was made of; 0 is the masked cells'.
        within = resized()[~live]
        assert not ((within > 0) & (within < 1 - 1e-5)).any()
        assert (within.max(axis=(1, 2)) <= turned.max(axis=(1, 2))).all()

    @given(seeds, normalisations)
    def test_against_the_reference(self, seed, normalisation):
        rng = np.random.default_rng(seed)
        batch, channels, rows, columns, classes = rng.integers(1, 6, 5)
        # Not after a ReLU: some maps are negative throughout whatever the weights.
        maps = rng.normal(rng.choice([-1, 0, 1]), size=(batch, channels, rows, columns)).astype(np.float32)
        weights = rng.normal(size=(classes, channels)).astype(np.float32)
        ids = rng.integers(0, classes, (batch, 3))
        mask = rng.random((batch, rows, columns)) < rng.choice([0.3, 0.9, 1.1])
        actual = class_activation_maps(
            maps, weights, ids, mask, size=(int(rows), int(columns)), normalisation=normalisation
        )
        expected = loop_maps(maps, weights, ids, mask, normalisation)
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)

    @given(seeds, normalisations, sizes)
    def test_masked_cells_never_matter(self, seed, normalisation, size):
        maps, mask, compute = case(seed, normalisation, size)
        other = np.where(mask[:, None], maps, np.float32(1e6))
        np.testing.assert_array_equal(compute(), compute(other))

    @given(seeds, normalisations, st.floats(1e-3, 1e3))
    def test_scaling_the_maps_changes_nothing(self, seed, normalisation, scale):
        maps, _, compute = case(seed, normalisation)
        np.testing.assert_allclose(compute(maps * np.float32(scale)), compute(), atol=1e-4)

    @given(seeds, normalisations)
    def test_cells_may_be_permuted(self, seed, normalisation):
        maps, mask, compute = case(seed, normalisation)
        flipped = compute(maps[:, :, ::-1, ::-1].copy(), mask[:, ::-1, ::-1])
        np.testing.assert_allclose(flipped[:, :, ::-1, ::-1], compute(), atol=1e-4)


@pytest.mark.parametrize("class_id", [-1, 5])
def test_an_unknown_class_is_refused(class_id):
    with pytest.raises(ValueError, match="class ids must be from 0 to 4"):
        class_activation_maps(MAPS, WEIGHTS, np.array([[class_id]]), everywhere(MAPS), size=(2, 2))


def test_an_empty_size_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        class_activation_maps(MAPS, WEIGHTS, np.array([[0]]), everywhere(MAPS), size=(0, 2))


def test_no_class_gives_no_map():
    ids = np.zeros((1, 0), np.int64)
    assert class_activation_maps(MAPS, WEIGHTS, ids, everywhere(MAPS), size=(4, 4)).shape == (1, 0, 4, 4)


def test_arguments_are_left_alone():
    maps, weights, mask = MAPS.copy(), WEIGHTS.copy(), everywhere(MAPS)
    class_activation_maps(maps, weights, np.array([[2]]), mask, size=(3, 3))
    np.testing.assert_array_equal(maps, MAPS)
    np.testing.assert_array_equal(weights, WEIGHTS)
