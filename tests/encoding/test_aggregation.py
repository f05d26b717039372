import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from camseek.encoding.aggregation import aggregate, mean_probabilities, most_frequent, most_probable
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
    return np.array([reference.summed(own) for own in vectors])


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


class TestWhichClasses:
    """Offline, online and predefined aggregation, from the class vectors of all classes."""

    def stages(self, vectors, ids):
        return aggregate(np.take_along_axis(vectors, ids[:, :, None], axis=1))

    @given(st.integers(0, 2**32 - 1), st.integers(1, 9))
    def test_against_the_reference(self, seed, count):
        rng = np.random.default_rng(seed)
        batch, classes, channels = rng.integers(1, 7, 3)
        vectors = l2_normalise(rng.random((batch, classes, channels), np.float32))
        scores = rng.choice(np.linspace(0, 1, 5, dtype=np.float32), (batch, classes))
        query = rng.choice(np.linspace(0, 1, 5, dtype=np.float32), (1, classes))
        own = self.stages(vectors, most_probable(scores, count))
        np.testing.assert_allclose(
            own, [reference.offline(v, s, count) for v, s in zip(vectors, scores, strict=True)], atol=1e-6
        )
        asked = np.repeat(most_probable(query, count), batch, axis=0)
        np.testing.assert_allclose(
            self.stages(vectors, asked), [reference.online(v, query[0], count) for v in vectors], atol=1e-6
        )
        listed, _ = most_frequent(most_probable(scores, count))
        np.testing.assert_allclose(
            self.stages(vectors, np.repeat(listed[None, :count], batch, axis=0)),
            [reference.predefined(v, listed.tolist(), count) for v in vectors],
            atol=1e-6,
        )


class TestMostFrequent:
    def test_by_hand(self):
        # Class 7 stands in all three rows, 5 and 2 in two; 5 at places 1 and 0, 2 at places 2 and 1.
        ids, counts = most_frequent(np.array([[7, 5, 2], [5, 7, 9], [7, 2, 4]]))
        assert ids.tolist() == [7, 5, 2, 4, 9]
        assert counts.tolist() == [3, 2, 2, 1, 1]
        assert ids.dtype == counts.dtype == np.int64

    def test_of_equally_frequent_classes_the_nearer_to_the_front(self):
        assert most_frequent(np.array([[8, 3]]))[0].tolist() == [8, 3]
        # Both orders: the sums of places are equal, and the smaller id is first.
        assert most_frequent(np.array([[8, 3], [3, 8]]))[0].tolist() == [3, 8]

    @pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
    def test_nothing_gives_nothing(self, shape):
        ids, counts = most_frequent(np.zeros(shape, np.int64))
        assert (len(ids), len(counts)) == (0, 0)

    @given(st.integers(0, 2**32 - 1))
    def test_against_the_reference(self, seed):
        rng = np.random.default_rng(seed)
        rows, classes = rng.integers(1, 8, 2)
        columns = rng.integers(1, classes + 1)
        class_ids = np.stack([rng.permutation(classes)[:columns] for _ in range(rows)])
        ids, counts = most_frequent(class_ids)
        assert (ids.tolist(), counts.tolist()) == reference.most_frequent(class_ids)
        # Neither the pictures' order nor showing each twice changes the list.
        again, twice = most_frequent(np.concatenate([class_ids[::-1], class_ids]))
        assert again.tolist() == ids.tolist()
        assert twice.tolist() == (2 * counts).tolist()


class TestMeanProbabilities:
    def test_by_hand(self):
        mean = mean_probabilities(f32([[0.5, 0.25, 0.25], [0, 0.75, 0.25]]))
        np.testing.assert_array_equal(mean, f32([0.25, 0.5, 0.25]))
        assert mean.dtype == np.float32

    def test_one_picture_is_itself(self):
        one = np.random.default_rng(0).random(7, np.float32)
        np.testing.assert_array_equal(mean_probabilities(one[None]), one)

    def test_no_picture_is_refused(self):
        with pytest.raises(ValueError, match="no picture"):
            mean_probabilities(np.zeros((0, 3), np.float32))

    @given(st.integers(0, 2**32 - 1))
    def test_against_the_reference(self, seed):
        rng = np.random.default_rng(seed)
        scores = rng.dirichlet(np.ones(5), rng.integers(1, 6)).astype(np.float32)
        mean = mean_probabilities(scores)
        np.testing.assert_allclose(mean, reference.mean_probabilities(scores), atol=1e-7)
        np.testing.assert_allclose(mean.sum(), 1, atol=1e-6)
        np.testing.assert_allclose(mean_probabilities(scores[::-1].copy()), mean, atol=1e-7)


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
