import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from camseek.encoding import pooling


def f32(values):
    return np.array(values, np.float32)


def unit(vector):
    norm = math.sqrt(sum(v * v for v in vector))
    return [v / norm for v in vector] if norm else list(vector)


def each(function, **options):
    """The reference of one picture, for a batch."""
    return lambda features, mask: np.array(
        [function(f, m, **options) for f, m in zip(features, mask, strict=True)]
    )


def loop_class_vectors(features, maps, weights, power):
    return np.array(
        [
            [reference.class_vector(f, activation, w, power) for activation in m]
            for f, m, w in zip(features, maps, weights, strict=True)
        ]
    )


POOLS = {
    "sum": (pooling.sum_pool, each(reference.sum_vector)),
    "centre": (
        lambda f, m: pooling.sum_pool(f, m, prior="centre"),
        each(reference.sum_vector, prior="centre"),
    ),
    "sum weighted": (
        lambda f, m: pooling.sum_pool(f, m, weights="channel"),
        each(reference.sum_vector, weights="channel"),
    ),
    "crow": (pooling.crow_pool, each(reference.crow_vector)),
    "gem": (pooling.gem_pool, each(reference.gem_vector)),
    "gem centre": (
        lambda f, m: pooling.gem_pool(f, m, prior="centre"),
        each(reference.gem_vector, prior="centre"),
    ),
    "gem 2.5": (lambda f, m: pooling.gem_pool(f, m, power=2.5), each(reference.gem_vector, power=2.5)),
    "weights": (pooling.channel_weights, each(reference.channel_weights)),
}
VECTOR_POOLS = [name for name in POOLS if name != "weights"]


def random_case(seed, shape=None):
    """Sparse maps, silent channels and masked cells."""
    rng = np.random.default_rng(seed)
    batch, channels, rows, columns = shape or rng.integers(1, 7, 4)
    features = np.maximum(rng.normal(size=(batch, channels, rows, columns)), 0).astype(np.float32)
    features[rng.random((batch, channels)) < 0.2] = 0
    mask = rng.random((batch, rows, columns)) < rng.choice([0.2, 0.8, 1.1])
    maps = rng.random((batch, 3, rows, columns), np.float32) * mask[:, None]
    maps[:, 1] = 0
    return features, mask, maps


SHAPES = [(1, 6, 4, 3), (3, 5, 1, 6), (2, 4, 7, 1), (4, 3, 1, 1), (2, 1, 3, 3), (2, 9, 5, 8)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", POOLS)
def test_pools_against_loops(name, seed, shape):
    features, mask, _ = random_case(seed, shape)
    pool, reference = POOLS[name]
    np.testing.assert_allclose(pool(features, mask), reference(features, mask), atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 11.0, 12.0, 16.0])
def test_class_vectors_against_loops(power, shape):
    features, mask, maps = random_case(5, shape)
    weights = pooling.channel_weights(features, mask)
    np.testing.assert_allclose(
        pooling.class_vectors(features, maps, weights, power=power),
        loop_class_vectors(features, maps, weights, power),
        atol=5e-6,
    )


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 16.0])
def test_gem_powers_against_loops(power):
    features, mask, _ = random_case(6, (2, 5, 4, 6))
    np.testing.assert_allclose(
        pooling.gem_pool(features, mask, power=power),
        each(reference.gem_vector, power=power)(features, mask),
        atol=5e-6,
    )


# One picture, 2 x 2 cells; three channels fire in 4, 2 and 0 of them.
FEATURES = f32([[[[1, 2], [3, 4]], [[2, 0], [0, 1]], [[0, 0], [0, 0]]]])
ALL = np.ones((1, 2, 2), bool)


class TestByHand:
    def test_channel_weights(self):
        # Q = 1, 1/2, 0; their sum is 3/2.
        expected = [[math.log(1.5), math.log(3), 0]]
        np.testing.assert_allclose(pooling.channel_weights(FEATURES, ALL), expected, atol=1e-7)

    def test_channel_weights_over_unmasked_cells(self):
        # Of the upper row, channel 0 fires in both cells and channel 1 in one.
        mask = np.array([[[True, True], [False, False]]])
        expected = [[math.log(1.5), math.log(3), 0]]
        np.testing.assert_allclose(pooling.channel_weights(FEATURES, mask), expected, atol=1e-7)

    def test_class_vectors(self):
        maps = f32([[[[1, 0.5], [0, 0]], [[0, 0], [0, 0]]]])
        # Sums 1·1 + 2·½ = 2 and 2·1 = 2, weighted 3 and 4; the second map is zero.
        vectors = pooling.class_vectors(FEATURES, maps, f32([[1.5, 2, 1]]))
        np.testing.assert_allclose(vectors, f32([[[0.6, 0.8, 0], [0, 0, 0]]]), atol=1e-7)

    def test_class_vectors_with_power(self):
        maps = f32([[[[0, 0], [1, 1]]]])
        # Square roots of 3² + 4² and of 1².
        vectors = pooling.class_vectors(FEATURES, maps, f32([[1, 1, 1]]), power=2.0)
        np.testing.assert_allclose(vectors, [[unit([5, 1, 0])]], atol=1e-7)

    def test_sum(self):
        np.testing.assert_allclose(pooling.sum_pool(FEATURES, ALL), [unit([10, 3, 0])], atol=1e-7)

    def test_centre_prior(self):
        # 3 x 3 cells: half a side is 1.5, so sigma 0.5; a neighbour weighs exp(-2), a corner exp(-4).
        features = np.zeros((1, 3, 3, 3), np.float32)
        features[0, 0, 1, 1] = features[0, 1, 0, 1] = features[0, 2, 2, 2] = 1
        vector = pooling.sum_pool(features, np.ones((1, 3, 3), bool), prior="centre")
        np.testing.assert_allclose(vector, [unit([1, math.exp(-2), math.exp(-4)])], atol=1e-7)

    def test_centre_prior_is_centred_on_the_unmasked_cells(self):
        features = np.random.default_rng(0).random((1, 4, 5, 6), np.float32)
        mask = np.zeros((1, 5, 6), bool)
        mask[:, :3, :4] = True
        alone = features[:, :, :3, :4].copy()
        np.testing.assert_allclose(
            pooling.sum_pool(features, mask, prior="centre"),
            pooling.sum_pool(alone, np.ones((1, 3, 4), bool), prior="centre"),
            atol=1e-7,
        )

    def test_crow(self):
        # Sums over channels 3, 4 of two cells: spatial weights are the roots of 0.6 and 0.8.
        features = f32([[[[2, 4]], [[1, 0]]]])
        a, b = math.sqrt(0.6), math.sqrt(0.8)
        expected = unit([math.log(1.5) * (2 * a + 4 * b), math.log(3) * a])
        np.testing.assert_allclose(
            pooling.crow_pool(features, np.ones((1, 1, 2), bool)), [expected], atol=1e-7
        )

    def test_gem(self):
        expected = unit([(100 / 4) ** (1 / 3), (9 / 4) ** (1 / 3), 0])
        np.testing.assert_allclose(pooling.gem_pool(FEATURES, ALL), [expected], atol=1e-7)

    def test_gem_goes_from_the_average_to_the_maximum(self):
        np.testing.assert_allclose(
            pooling.gem_pool(FEATURES, ALL, power=1.0), pooling.sum_pool(FEATURES, ALL), atol=1e-7
        )
        maximum = unit(FEATURES.max(axis=(2, 3))[0].tolist())
        np.testing.assert_allclose(pooling.gem_pool(FEATURES, ALL, power=500.0), [maximum], atol=2e-3)


class TestDegenerate:
    @pytest.mark.parametrize("name", POOLS)
    def test_silent_maps_give_zero(self, name):
        np.testing.assert_array_equal(POOLS[name][0](FEATURES * 0, ALL), np.zeros((1, 3)))

    @pytest.mark.parametrize("name", POOLS)
    def test_a_picture_without_cells_gives_zero_beside_one_with(self, name):
        both = POOLS[name][0](np.concatenate([FEATURES, FEATURES]), np.concatenate([ALL, ~ALL]))
        assert both[0].any()
        assert not both[1].any()

    def test_a_channel_that_fires_alone_weighs_nothing(self):
        features = FEATURES[:, [0, 2]]
        np.testing.assert_array_equal(pooling.channel_weights(features, ALL), [[0, 0]])
        np.testing.assert_array_equal(pooling.crow_pool(features, ALL), [[0, 0]])

    @pytest.mark.parametrize("scale", [1e-35, 1e-10, 1e10, 1e30])
    @pytest.mark.parametrize("power", [1.0, 2.0, 3.0, 2.5, 16.0])
    def test_no_power_overflows_or_vanishes(self, scale, power):
        scaled = FEATURES * np.float32(scale)
        expected = pooling.gem_pool(FEATURES, ALL, power=power)
        np.testing.assert_allclose(pooling.gem_pool(scaled, ALL, power=power), expected, atol=1e-6)
        maps, weights = f32([[[[1, 0.5], [0, 0.25]]]]), f32([[1, 2, 3]])
        expected = pooling.class_vectors(FEATURES, maps, weights, power=power)
        vectors = pooling.class_vectors(scaled, maps, weights, power=power)
        np.testing.assert_allclose(vectors, expected, atol=1e-6)

    def test_a_weak_channel_survives_a_high_power(self):
        features = f32([[[[1, 0]], [[1e-5, 1e-5]]]])
        vector = pooling.gem_pool(features, np.ones((1, 1, 2), bool), power=16.0)
        np.testing.assert_allclose(vector[0, 1] / vector[0, 0], 1e-5 / 0.5 ** (1 / 16), rtol=1e-5)


class TestCallersBugs:
    @pytest.mark.parametrize("power", [0.0, -1.0, math.inf, math.nan])
    def test_impossible_powers_are_refused(self, power):
        with pytest.raises(ValueError, match="power must be above 0"):
            pooling.gem_pool(FEATURES, ALL, power=power)
        with pytest.raises(ValueError, match="power must be above 0"):
            pooling.class_vectors(FEATURES, f32(np.ones((1, 1, 2, 2))), f32([[1, 1, 1]]), power=power)

    def test_arguments_are_left_alone(self):
        features, mask, maps = random_case(7, (2, 4, 3, 3))
        before = features.copy(), mask.copy(), maps.copy()
        for pool, _ in POOLS.values():
            pool(features, mask)
        weights = pooling.channel_weights(features, mask)
        for power in (1.0, 3.0, 2.5):
            pooling.class_vectors(features, maps, weights, power=power)
        for now, then in zip((features, mask, maps), before, strict=True):
            np.testing.assert_array_equal(now, then)


seeds = st.integers(0, 2**32 - 1)
pools = st.sampled_from(list(POOLS))
vector_pools = st.sampled_from(VECTOR_POOLS)
powers = st.sampled_from([1.0, 2.0, 3.0, 2.5, 16.0])


def rectangle_case(seed):
    """As ``random_case``, but the masks are one rectangle."""
    features, mask, _ = random_case(seed)
    rng = np.random.default_rng(seed)
    mask[:] = False
    row1, row2 = sorted(rng.choice(mask.shape[1] + 1, 2, replace=False))
    column1, column2 = sorted(rng.choice(mask.shape[2] + 1, 2, replace=False))
    mask[:, row1:row2, column1:column2] = True
    return features, mask


def assert_unit_or_zero(vectors):
    assert np.isfinite(vectors).all()
    assert vectors.dtype == np.float32
    norms = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    np.testing.assert_allclose(norms[norms > 0], 1, atol=1e-6)


class TestAgainstTheReference:
    @given(seeds, pools)
    def test_pools(self, seed, name):
        features, mask, _ = random_case(seed)
        pool, loop = POOLS[name]
        np.testing.assert_allclose(pool(features, mask), loop(features, mask), atol=5e-6)

    @given(seeds, powers)
    def test_class_vectors(self, seed, power):
        features, mask, maps = random_case(seed)
        weights = pooling.channel_weights(features, mask)
        np.testing.assert_allclose(
            pooling.class_vectors(features, maps, weights, power=power),
            loop_class_vectors(features, maps, weights, power),
            atol=2e-5,
        )

    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6))
    def test_rmac_regions(self, rows, columns, scales):
        assert list(pooling.rmac_regions(rows, columns, scales=scales)) == reference.rmac_regions(
            rows, columns, scales
        )

    @given(seeds, st.integers(1, 4))
    def test_rmac_vectors(self, seed, scales):
        features, mask = rectangle_case(seed)
        np.testing.assert_allclose(
            pooling.rmac_vectors(features, mask, scales=scales),
            [reference.rmac_vectors(f, m, scales) for f, m in zip(features, mask, strict=True)],
            atol=1e-6,
        )


class TestInvariants:
    @given(seeds, vector_pools)
    def test_rows_have_unit_norm_or_are_zero(self, seed, name):
        features, mask, _ = random_case(seed)
        assert_unit_or_zero(POOLS[name][0](features, mask))

    @given(seeds, powers)
    def test_class_vectors_have_unit_norm_or_are_zero(self, seed, power):
        features, mask, maps = random_case(seed)
        vectors = pooling.class_vectors(features, maps, pooling.channel_weights(features, mask), power=power)
        assert_unit_or_zero(vectors)
        assert not vectors[:, 1].any()

    @given(seeds, pools, st.floats(1e-3, 1e3))
    def test_scaling_the_maps_changes_nothing(self, seed, name, scale):
        features, mask, _ = random_case(seed)
        pool = POOLS[name][0]
        np.testing.assert_allclose(pool(features * np.float32(scale), mask), pool(features, mask), atol=1e-5)

    @given(seeds, pools)
    def test_channels_may_be_permuted(self, seed, name):
        features, mask, _ = random_case(seed)
        order = np.random.default_rng(seed).permutation(features.shape[1])
        pool = POOLS[name][0]
        np.testing.assert_allclose(pool(features[:, order], mask), pool(features, mask)[:, order], atol=1e-5)

    @given(seeds, st.sampled_from([name for name in POOLS if "centre" not in name]))
    def test_cells_may_be_permuted(self, seed, name):
        features, mask, _ = random_case(seed)
        batch, channels, rows, columns = features.shape
        order = np.random.default_rng(seed).permutation(rows * columns)
        shuffled = features.reshape(batch, channels, -1)[:, :, order].reshape(features.shape)
        shuffled_mask = mask.reshape(batch, -1)[:, order].reshape(mask.shape)
        pool = POOLS[name][0]
        np.testing.assert_allclose(pool(shuffled, shuffled_mask), pool(features, mask), atol=1e-5)

    @given(seeds, pools)
    def test_masked_cells_never_matter(self, seed, name):
        features, mask, _ = random_case(seed)
        other = np.where(mask[:, None], features, np.float32(1e9))
        pool = POOLS[name][0]
        np.testing.assert_array_equal(pool(other, mask), pool(features, mask))

    @given(seeds, powers)
    def test_cells_that_no_map_reaches_never_matter(self, seed, power):
        features, mask, maps = random_case(seed)
        weights = pooling.channel_weights(features, mask)
        other = np.where(mask[:, None], features, np.float32(1e9))
        np.testing.assert_array_equal(
            pooling.class_vectors(other, maps, weights, power=power),
            pooling.class_vectors(features, maps, weights, power=power),
        )

    @given(seeds)
    def test_pictures_do_not_meet(self, seed):
        features, mask, _ = random_case(seed)
        for pool, _ in POOLS.values():
            together = pool(features, mask)
            for b in range(len(features)):
                np.testing.assert_allclose(
                    together[b : b + 1], pool(features[b : b + 1], mask[b : b + 1]), atol=1e-6
                )


class TestRmac:
    def test_regions_of_a_square_by_hand(self):
        # Sides 4, 8 / 3 = 2 and 2; one, two and three regions each way.
        assert pooling.rmac_regions(4, 4) == (
            (0, 4, 0, 4),
            *((top, top + 2, left, left + 2) for top in (0, 2) for left in (0, 2)),
            *((top, top + 2, left, left + 2) for top in (0, 1, 2) for left in (0, 1, 2)),
        )

    def test_regions_of_a_picture_by_hand(self):
        # 10 across, 6 down. Two regions at scale 1 overlap by 2 of 6 cells, 33 %; three would by 67 %.
        assert pooling.rmac_regions(6, 10, scales=1) == ((0, 6, 0, 6), (0, 6, 4, 10))
        assert pooling.rmac_regions(10, 6, scales=1) == ((0, 6, 0, 6), (4, 10, 0, 6))
        # Scale 2: side 4, two down and three across.
        assert pooling.rmac_regions(6, 10, scales=2)[2:] == (
            (0, 4, 0, 4),
            (0, 4, 3, 7),
            (0, 4, 6, 10),
            (2, 6, 0, 4),
            (2, 6, 3, 7),
            (2, 6, 6, 10),
        )

    def test_of_two_equally_near_overlaps_the_smaller_steps_win(self):
        # One more region would overlap by 20 %, two more by 60 %.
        assert pooling.rmac_regions(5, 9, scales=1) == ((0, 5, 0, 5), (0, 5, 2, 7), (0, 5, 4, 9))
        # Four more by 1/3, five more by 7/15.
        assert len(pooling.rmac_regions(3, 11, scales=1)) == 6

    def test_one_cell_is_every_region(self):
        assert pooling.rmac_regions(1, 1) == ((0, 1, 0, 1),) * 14

    def test_the_papers_count(self):
        # Three scales on a grid of 3 : 4 (smaller side 720, stride 16): 2 + 6 + 12 regions.
        assert len(pooling.rmac_regions(45, 60)) == 20

    @given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 6))
    def test_regions_are_squares_in_the_grid_that_reach_its_borders(self, rows, columns, scales):
        regions = pooling.rmac_regions(rows, columns, scales=scales)
        for row1, row2, column1, column2 in regions:
            assert 0 <= row1 < row2 <= rows
            assert 0 <= column1 < column2 <= columns
            assert row2 - row1 == column2 - column1
        assert min(region[0] for region in regions) == min(region[2] for region in regions) == 0
        assert max(region[1] for region in regions) == rows
        # A longer side more than six times the other has gaps, but its ends are reached.
        assert max(region[3] for region in regions) == columns

    @given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 6))
    def test_turning_the_grid_turns_the_regions(self, rows, columns, scales):
        turned = {(c, d, a, b) for a, b, c, d in pooling.rmac_regions(columns, rows, scales=scales)}
        assert set(pooling.rmac_regions(rows, columns, scales=scales)) == turned

    def test_vectors_by_hand(self):
        # 2 x 4 cells: three regions of 2 x 2, which overlap by half (two would not overlap at all).
        features = f32([[[[3, 0, 0, 0], [1, 1, 0, 5]], [[2, 4, 0, 0], [0, 0, 0, 12]], [[0] * 4] * 2]])
        vectors = pooling.rmac_vectors(features, np.ones((1, 2, 4), bool), scales=1)
        expected = [[0.6, 0.8, 0], unit([1, 4, 0]), [5 / 13, 12 / 13, 0]]
        np.testing.assert_allclose(vectors, [expected], atol=1e-7)

    def test_masked_cells_are_cut_off(self):
        features = np.random.default_rng(0).random((2, 4, 6, 9), np.float32)
        mask = np.zeros((2, 6, 9), bool)
        mask[:, 1:5, 2:9] = True
        alone = np.ascontiguousarray(features[:, :, 1:5, 2:9])
        np.testing.assert_array_equal(
            pooling.rmac_vectors(features, mask),
            pooling.rmac_vectors(alone, np.ones((2, 4, 7), bool)),
        )

    @given(seeds)
    def test_invariants(self, seed):
        features, mask = rectangle_case(seed)
        vectors = pooling.rmac_vectors(features, mask)
        assert_unit_or_zero(vectors)
        other = np.where(mask[:, None], features, np.float32(np.nan))
        np.testing.assert_array_equal(pooling.rmac_vectors(other, mask), vectors)
        np.testing.assert_allclose(pooling.rmac_vectors(features * 4, mask), vectors, atol=1e-6)

    def test_silent_maps_give_zero(self):
        assert not pooling.rmac_vectors(FEATURES * 0, ALL).any()

    @pytest.mark.parametrize(
        "mask",
        [
            [[[1, 1], [1, 0]], [[1, 1], [1, 0]]],
            [[[1, 1], [1, 1]], [[1, 1], [0, 0]]],
            [[[0, 0], [0, 0]], [[0, 0], [0, 0]]],
        ],
    )
    def test_masks_that_are_not_one_rectangle_are_refused(self, mask):
        with pytest.raises(ValueError, match="one rectangle"):
            pooling.rmac_vectors(np.concatenate([FEATURES, FEATURES]), np.array(mask, bool))

    @pytest.mark.parametrize("shape", [(0, 3, 3), (3, 0, 3), (3, 3, 0)])
    def test_no_regions_are_refused(self, shape):
        with pytest.raises(ValueError, match="no regions"):
            pooling.rmac_regions(*shape[:2], scales=shape[2])
