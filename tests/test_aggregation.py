import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.aggregation import aggregate, most_probable
from camseek.numerics import l2_normalise


def f32(values):
    return np.array(values, np.float32)


class TestMostProbable:
    def test_by_falling_score(self):
        scores = f32([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
        np.testing.assert_array_equal(most_probable(scores, 2), [[1, 2], [0, 2]])

    def test_ties_by_class(self):
        np.testing.assert_array_equal(most_probable(f32([[0, 3, 3, 1, 3]]), 4), [[1, 2, 4, 3]])

    def test_count_is_capped(self):
        np.testing.assert_array_equal(most_probable(f32([[0.1, 0.7, 0.2]]), 64), [[1, 2, 0]])

    def test_count_below_one_is_refused(self):
        with pytest.raises(ValueError, match="1 or more"):
            most_probable(f32([[1, 2]]), 0)

    @given(st.lists(st.sampled_from([-2.0, 0.0, 0.5, 1.0]), min_size=1, max_size=30), st.integers(1, 40))
    def test_against_a_sorted_list(self, scores, count):
        expected = sorted(range(len(scores)), key=lambda c: (-scores[c], c))[:count]
        actual = most_probable(f32([scores]), count)
        assert actual.tolist() == [expected]
        assert actual.dtype == np.int64


def loop_aggregate(vectors):
    out = np.zeros((vectors.shape[0], vectors.shape[2]))
    for b in range(len(vectors)):
        for k in range(vectors.shape[2]):
            out[b, k] = sum(float(vector[k]) for vector in vectors[b])
        norm = sum(value**2 for value in out[b]) ** 0.5
        if norm:
            out[b] /= norm
    return out


class TestAggregate:
    def test_by_hand(self):
        vectors = f32([[[1, 0], [0, 1]], [[3, 0], [0, 4]], [[1, 2], [-1, -2]], [[0, 0], [0, 0]]])
        half = 0.5**0.5
        np.testing.assert_allclose(aggregate(vectors), [[half, half], [0.6, 0.8], [0, 0], [0, 0]], atol=1e-7)

    @pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5), (2, 64, 7), (1, 1, 9)])
    def test_against_a_loop(self, shape):
        vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        vectors[:, 0] = 0
        np.testing.assert_allclose(aggregate(vectors), loop_aggregate(vectors), atol=1e-6)

    def test_no_class_gives_zero(self):
        np.testing.assert_array_equal(aggregate(np.zeros((2, 0, 3), np.float32)), np.zeros((2, 3)))

    @given(st.integers(0, 2**32 - 1), st.floats(1e-30, 1e30))
    def test_invariants(self, seed, scale):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=rng.integers(1, 6, 3)).astype(np.float32)
        descriptor = aggregate(vectors)
        np.testing.assert_allclose(np.linalg.norm(descriptor, axis=1), 1, atol=1e-6)
        order = rng.permutation(vectors.shape[1])
        np.testing.assert_allclose(aggregate(vectors[:, order]), descriptor, atol=1e-4)
        np.testing.assert_allclose(aggregate(vectors * np.float32(scale)), descriptor, atol=1e-4)


class TestNormalise:
    @pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-20, 1.0, 1e20, 5e37])
    def test_any_magnitude(self, scale):
        vectors = f32([[3, -4], [0, 0], [0, 2]]) * np.float32(scale)
        np.testing.assert_allclose(l2_normalise(vectors), [[0.6, -0.8], [0, 0], [0, 1]], atol=0.03)
        if scale > 1e-38:
            np.testing.assert_allclose(l2_normalise(vectors), [[0.6, -0.8], [0, 0], [0, 1]], atol=1e-6)

    def test_one_vector_and_many(self):
        np.testing.assert_allclose(l2_normalise(f32([3, 4])), [0.6, 0.8], atol=1e-7)
        assert l2_normalise(np.ones((2, 3, 4, 5), np.float32)).shape == (2, 3, 4, 5)

    def test_it_makes_a_new_array(self):
        vectors = f32([[3, 4]])
        l2_normalise(vectors)
        np.testing.assert_array_equal(vectors, [[3, 4]])
