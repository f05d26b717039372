import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek import pooling


def f32(values):
    return np.array(values, np.float32)


def unit(vector):
    norm = math.sqrt(sum(v * v for v in vector))
    return [v / norm for v in vector] if norm else list(vector)


# --- The definitions, cell by cell, in double precision ---


def used_cells(mask):
    return [(i, j) for i in range(mask.shape[0]) for j in range(mask.shape[1]) if mask[i, j]]


def loop_channel_weights(features, mask):
    out = np.zeros(features.shape[:2])
    for b in range(features.shape[0]):
        cells = used_cells(mask[b])
        share = [
            sum(channel[cell] > 0 for cell in cells) / len(cells) if cells else 0 for channel in features[b]
        ]
        for k, q in enumerate(share):
            out[b, k] = math.log(sum(share) / q) if q else 0
    return out


def loop_class_vectors(features, maps, weights, power):
    batch, channels = features.shape[:2]
    out = np.zeros((batch, maps.shape[1], channels))
    for b in range(batch):
        for c in range(maps.shape[1]):
            vector = []
            for k in range(channels):
                total = sum(
                    float(features[b, k, i, j]) ** power * float(maps[b, c, i, j])
                    for i, j in np.ndindex(maps.shape[2:])
                )
                vector.append(float(weights[b, k]) * total ** (1 / power))
            out[b, c] = unit(vector)
    return out


def loop_prior(cells, prior):
    top, left = min(i for i, _ in cells), min(j for _, j in cells)
    height = max(i for i, _ in cells) + 1 - top
    width = max(j for _, j in cells) + 1 - left
    sigma = min(height, width) / 2 / 3
    alphas = {}
    for i, j in cells:
        distance = (i + 0.5 - top - height / 2) ** 2 + (j + 0.5 - left - width / 2) ** 2
        alphas[i, j] = math.exp(-distance / (2 * sigma**2)) if prior == "centre" else 1
    return alphas


def loop_sum(features, mask, prior):
    out = np.zeros(features.shape[:2])
    for b in range(features.shape[0]):
        cells = used_cells(mask[b])
        if not cells:
            continue
        alphas = loop_prior(cells, prior)
        out[b] = unit([sum(alphas[cell] * float(channel[cell]) for cell in cells) for channel in features[b]])
    return out


def loop_crow(features, mask):
    out = np.zeros(features.shape[:2])
    weights = loop_channel_weights(features, mask)
    for b in range(features.shape[0]):
        cells = used_cells(mask[b])
        total = unit([float(sum(features[b, :, i, j].astype(float))) for i, j in cells])
        spatial = [math.sqrt(s) for s in total]
        sums = [
            sum(s * float(channel[cell]) for s, cell in zip(spatial, cells, strict=True))
            for channel in features[b]
        ]
        out[b] = unit([w * s for w, s in zip(weights[b], sums, strict=True)])
    return out


def loop_gem(features, mask, power, prior="none"):
    out = np.zeros(features.shape[:2])
    for b in range(features.shape[0]):
        cells = used_cells(mask[b])
        if cells:
            alphas = loop_prior(cells, prior)
            means = [
                sum(alphas[cell] * float(channel[cell]) ** power for cell in cells) / sum(alphas.values())
                for channel in features[b]
            ]
            out[b] = unit([mean ** (1 / power) for mean in means])
    return out


POOLS = {
    "sum": (pooling.sum_pool, lambda f, m: loop_sum(f, m, "none")),
    "centre": (lambda f, m: pooling.sum_pool(f, m, prior="centre"), lambda f, m: loop_sum(f, m, "centre")),
    "crow": (pooling.crow_pool, loop_crow),
    "gem": (pooling.gem_pool, lambda f, m: loop_gem(f, m, 3)),
    "gem centre": (
        lambda f, m: pooling.gem_pool(f, m, prior="centre"),
        lambda f, m: loop_gem(f, m, 3, "centre"),
    ),
    "gem 2.5": (lambda f, m: pooling.gem_pool(f, m, power=2.5), lambda f, m: loop_gem(f, m, 2.5)),
    "weights": (pooling.channel_weights, loop_channel_weights),
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
        pooling.gem_pool(features, mask, power=power), loop_gem(features, mask, power), atol=5e-6
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


def assert_unit_or_zero(vectors):
    assert np.isfinite(vectors).all()
    assert vectors.dtype == np.float32
    norms = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    np.testing.assert_allclose(norms[norms > 0], 1, atol=1e-6)


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
