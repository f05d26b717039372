import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from camseek.numerics import l2_normalise
from camseek.searching.expansion import expand


def f32(values):
    return np.array(values, np.float32)


def random_case(seed, *, least=0):
    """Unit descriptors, some of them zero, and a unit query."""
    rng = np.random.default_rng(seed)
    count, dimensions = int(rng.integers(least, 12)), int(rng.integers(1, 9))
    descriptors = l2_normalise(rng.normal(0.3, size=(count, dimensions)).astype(np.float32))
    descriptors[rng.random(count) < 0.2] = 0
    return descriptors, l2_normalise(rng.normal(0.3, size=dimensions).astype(np.float32))


class TestByHand:
    def test_the_sum_of_the_results(self):
        half = 0.5**0.5
        np.testing.assert_allclose(expand(f32([[1, 0], [0, 1]])), [half, half], atol=1e-7)
        # Three of one kind and four of the other.
        np.testing.assert_allclose(expand(f32([[1, 0]] * 3 + [[0, 1]] * 4)), [0.6, 0.8], atol=1e-7)

    def test_the_query_joins_in_crows_form(self):
        results = f32([[1, 0]] * 3 + [[0, 1]] * 3)
        np.testing.assert_allclose(expand(results, f32([0, 1])), [0.6, 0.8], atol=1e-7)

    def test_one_result_is_itself(self):
        np.testing.assert_allclose(expand(f32([[0.6, 0.8]])), [0.6, 0.8], atol=1e-7)

    def test_no_result_leaves_the_query(self):
        np.testing.assert_allclose(
            expand(np.zeros((0, 2), np.float32), f32([0.6, 0.8])), [0.6, 0.8], atol=1e-7
        )

    def test_a_zero_sum_stays_zero(self):
        np.testing.assert_array_equal(expand(f32([[1, 0], [-1, 0]])), [0, 0])
        np.testing.assert_array_equal(expand(f32([[1, 0]]), f32([-1, 0])), [0, 0])
        np.testing.assert_array_equal(expand(np.zeros((2, 3), np.float32)), [0, 0, 0])

    def test_nothing_to_sum_is_refused(self):
        with pytest.raises(ValueError, match="at least one descriptor"):
            expand(np.zeros((0, 3), np.float32))


seeds = st.integers(0, 2**32 - 1)


class TestProperties:
    @given(seeds, st.booleans())
    def test_against_the_reference(self, seed, with_query):
        descriptors, query = random_case(seed, least=0 if with_query else 1)
        given_query = query if with_query else None
        np.testing.assert_allclose(
            expand(descriptors, given_query), reference.expanded(descriptors, given_query), atol=2e-5
        )

    @given(seeds)
    def test_unit_or_zero_and_in_any_order(self, seed):
        descriptors, query = random_case(seed)
        expanded = expand(descriptors, query)
        assert expanded.dtype == np.float32
        norm = np.linalg.norm(expanded.astype(np.float64))
        assert norm == pytest.approx(1, abs=1e-6) or not expanded.any()
        np.testing.assert_allclose(expand(descriptors[::-1].copy(), query), expanded, atol=2e-5)
        # The query counts as one result more.
        np.testing.assert_allclose(expand(np.vstack([descriptors, query])), expanded, atol=2e-5)

    @given(seeds)
    def test_arguments_are_left_alone(self, seed):
        descriptors, query = random_case(seed)
        before = descriptors.copy(), query.copy()
        expand(descriptors, query)
        np.testing.assert_array_equal(descriptors, before[0])
        np.testing.assert_array_equal(query, before[1])
