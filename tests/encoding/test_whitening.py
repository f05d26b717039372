import hashlib

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from camseek.encoding.whitening import Whitening, apply_whitening, fit_whitening


def f32(values):
    return np.array(values, np.float32)


def samples(count, channels, seed=0):
    """Correlated, with variances that fall by a thousand."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(channels, channels)) * np.geomspace(1, 0.03, channels)
    return (rng.normal(size=(count, channels)) @ mixing.T + rng.normal(size=channels)).astype(np.float32)


def project(vectors, whitening):
    return (vectors.astype(np.float64) - whitening.mean) @ whitening.projection


def loop_apply(vectors, whitening):
    return np.array([reference.whitened(v, whitening.mean, whitening.projection) for v in vectors])


class TestFit:
    def test_by_hand(self):
        # Variance 8/3 along the first axis, 2/3 along the second, mean (1, 1).
        whitening = fit_whitening(f32([[3, 1], [-1, 1], [1, 2], [1, 0]]), dimensions=2)
        np.testing.assert_allclose(whitening.mean, [1, 1], atol=1e-7)
        expected = [[(3 / 8) ** 0.5, 0], [0, (3 / 2) ** 0.5]]
        np.testing.assert_allclose(whitening.projection, expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("count", "channels", "dimensions"),
        [(50, 8, 8), (50, 8, 3), (9, 8, 8), (8, 8, 7), (8, 20, 7), (8, 20, 1), (2, 5, 1), (9000, 4, 4)],
    )
    def test_outputs_are_white(self, count, channels, dimensions):
        data = samples(count, channels)
        white = project(data, fit_whitening(data, dimensions=dimensions))
        np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
        covariance = np.atleast_2d(np.cov(white, rowvar=False))
        np.testing.assert_allclose(covariance, np.eye(dimensions), atol=1e-3)

    @pytest.mark.parametrize(("count", "channels"), [(30, 6), (5, 12)])
    def test_against_a_singular_value_decomposition(self, count, channels):
        data = samples(count, channels, seed=1)
        whitening = fit_whitening(data, dimensions=4)
        centred = data.astype(np.float64) - data.mean(axis=0, dtype=np.float64)
        _, values, rows = np.linalg.svd(centred, full_matrices=False)
        expected = rows[:4].T / (values[:4] / np.sqrt(count - 1))
        expected *= np.sign(np.sum(expected * whitening.projection, axis=0))
        np.testing.assert_allclose(whitening.projection, expected, rtol=1e-3, atol=1e-4)

    def test_fewer_dimensions_are_the_first_ones(self):
        data = samples(40, 10)
        np.testing.assert_allclose(
            fit_whitening(data, dimensions=3).projection,
            fit_whitening(data, dimensions=10).projection[:, :3],
            rtol=1e-6,
        )

    @pytest.mark.parametrize(("count", "channels"), [(30, 6), (5, 12)])
    def test_signs_are_settled(self, count, channels):
        whitening = fit_whitening(samples(count, channels), dimensions=4)
        strongest = np.abs(whitening.projection).argmax(axis=0)
        assert (whitening.projection[strongest, range(4)] > 0).all()

    def test_sample_order_does_not_matter(self):
        data = samples(40, 6)
        one, other = fit_whitening(data, dimensions=5), fit_whitening(data[::-1].copy(), dimensions=5)
        np.testing.assert_allclose(one.projection, other.projection, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(("count", "channels"), [(40, 6), (6, 40)])
    def test_directions_without_variance_give_zero(self, count, channels):
        # All samples lie on a line: one direction varies, the others are rounding.
        line = np.arange(count, dtype=np.float32)[:, None] * samples(1, channels)
        whitening = fit_whitening(line, dimensions=4)
        assert np.isfinite(whitening.projection).all()
        assert whitening.projection[:, 0].any()
        assert not whitening.projection[:, 2:].any()
        assert np.abs(project(line, whitening)).max() < 3

    @pytest.mark.parametrize(("count", "channels"), [(5, 3), (3, 5)])
    def test_equal_samples_give_zero(self, count, channels):
        whitening = fit_whitening(np.ones((count, channels), np.float32), dimensions=2)
        assert not whitening.projection.any()

    @pytest.mark.parametrize(("count", "dimensions"), [(10, 0), (10, -1), (10, 7), (6, 6), (1, 1)])
    def test_impossible_dimensions_are_refused(self, count, dimensions):
        with pytest.raises(ValueError, match=f"{count} samples of 6 channels"):
            fit_whitening(samples(count, 6), dimensions=dimensions)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_samples_that_are_not_finite_are_refused(self, value):
        data = samples(10, 3)
        data[2, 1] = value
        with pytest.raises(ValueError, match="finite"):
            fit_whitening(data, dimensions=2)


class TestApply:
    def test_by_hand(self):
        whitening = Whitening(f32([1, 1]), f32([[3, 0], [0, 4]]))
        white = apply_whitening(f32([[2, 2], [1, 1], [0, 0], [2, 1]]), whitening)
        np.testing.assert_allclose(white, [[0.6, 0.8], [0, 0], [0, 0], [1, 0]], atol=1e-7)

    def test_against_a_loop(self):
        data = samples(20, 7)
        data[3] = 0
        whitening = fit_whitening(data, dimensions=5)
        np.testing.assert_allclose(apply_whitening(data, whitening), loop_apply(data, whitening), atol=2e-5)

    def test_leading_axes_are_kept(self):
        data = samples(24, 6)
        whitening = fit_whitening(data, dimensions=4)
        flat = apply_whitening(data, whitening)
        np.testing.assert_allclose(
            apply_whitening(data.reshape(2, 12, 6), whitening), flat.reshape(2, 12, 4), atol=1e-5
        )
        np.testing.assert_allclose(apply_whitening(data[5], whitening), flat[5], atol=1e-5)

    def test_vectors_of_another_length_are_refused(self):
        whitening = fit_whitening(samples(24, 6), dimensions=4)
        with pytest.raises(ValueError, match="vectors of 1 do not fit a whitening of 6"):
            apply_whitening(f32([[1]]), whitening)

    def test_vectors_are_left_alone(self):
        data = samples(24, 6)
        before = data.copy()
        apply_whitening(data, fit_whitening(data, dimensions=4))
        np.testing.assert_array_equal(data, before)

    @given(st.integers(0, 2**32 - 1))
    def test_invariants(self, seed):
        rng = np.random.default_rng(seed)
        count, channels = int(rng.integers(3, 12)), int(rng.integers(1, 12))
        data = samples(count, channels, seed)
        data[rng.random(count) < 0.2] = 0
        whitening = fit_whitening(data, dimensions=min(channels, count - 1))
        white = apply_whitening(data, whitening)
        assert np.isfinite(white).all()
        assert white.dtype == np.float32
        norms = np.linalg.norm(white, axis=-1)
        np.testing.assert_allclose(norms[norms > 0], 1, atol=1e-6)
        assert not white[~data.any(axis=1)].any()

    @given(st.integers(0, 2**32 - 1))
    def test_any_transform_against_the_reference(self, seed):
        rng = np.random.default_rng(seed)
        channels, dimensions = (int(n) for n in rng.integers(1, 9, 2))
        whitening = Whitening(
            f32(rng.normal(size=channels)), f32(rng.normal(size=(channels, dimensions)) + 0.1)
        )
        data = f32(rng.normal(size=(4, channels)) * 3)
        data[rng.random(4) < 0.3] = 0
        np.testing.assert_allclose(apply_whitening(data, whitening), loop_apply(data, whitening), atol=2e-4)


class TestBytes:
    def test_round_trip(self):
        whitening = fit_whitening(samples(24, 6), dimensions=4)
        again = Whitening.from_bytes(whitening.to_bytes())
        np.testing.assert_array_equal(again.mean, whitening.mean)
        np.testing.assert_array_equal(again.projection, whitening.projection)
        assert again.mean.dtype == again.projection.dtype == np.float32
        assert again.checksum == whitening.checksum

    def test_format(self):
        data = Whitening(f32([1, 2]), f32([[3], [4]])).to_bytes()
        numbers = f32([1, 2, 3, 4]).astype("<f4").tobytes()
        assert data == b"camseek whitening 1\n" + b"\2\0\0\0\1\0\0\0" + numbers

    def test_checksum(self):
        whitening = Whitening(f32([1, 2]), f32([[3], [4]]))
        assert whitening.checksum == hashlib.sha256(whitening.to_bytes()).hexdigest()
        assert whitening.checksum != Whitening(f32([1, 2]), f32([[3], [5]])).checksum
        # Memory order is no part of it.
        turned = Whitening(f32([1, 2]), np.asfortranarray(f32([[3, 5], [4, 6]])))
        assert turned.checksum == Whitening(f32([1, 2]), f32([[3, 5], [4, 6]])).checksum

    @pytest.mark.parametrize(
        "damage", [lambda d: b"", lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"X" + d[1:]]
    )
    def test_other_bytes_are_refused(self, damage):
        with pytest.raises(ValueError, match="whitening"):
            Whitening.from_bytes(damage(Whitening(f32([1, 2]), f32([[3], [4]])).to_bytes()))

    def test_values_that_are_not_finite_are_refused(self):
        data = Whitening(f32([1, 2]), f32([[3], [4]])).to_bytes()
        with pytest.raises(ValueError, match="finite"):
            Whitening.from_bytes(data[:-4] + f32([np.nan]).tobytes())


@pytest.fixture
def unchecked_shapes():
    """As outside the tests: shape annotations are not checked."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked_shapes")
def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        Whitening(f32([1, 2, 3]), f32([[3], [4]]))
