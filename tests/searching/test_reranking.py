import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from camseek.encoding.aggregation import aggregate
from camseek.encoding.cam import class_activation_maps
from camseek.encoding.pooling import channel_weights, class_vectors
from camseek.encoding.regions import crop, heat_map
from camseek.encoding.whitening import Whitening, apply_whitening
from camseek.numerics import l2_normalise
from camseek.searching.reranking import THRESHOLDS, best, propose, reorder


def f32(values):
    return np.array(values, np.float32)


def random_heat(seed):
    """Smooth enough for several components, flat and silent ones among them."""
    rng = np.random.default_rng(seed)
    heat = np.maximum(rng.normal(rng.choice([-1, 0, 1]), size=rng.integers(1, 10, 2)), 0)
    return (heat ** rng.choice([0, 1, 3]) * (heat > 0)).astype(np.float32)


seeds = st.integers(0, 2**32 - 1)
choices = st.sampled_from(["cells", "contour"])


class TestPropose:
    def test_the_papers_thresholds(self):
        assert THRESHOLDS == (0.01, 0.1, 0.2, 0.3, 0.4) == reference.THRESHOLDS

    def test_by_hand(self):
        # Nested: each threshold cuts one column more off the left.
        heat = f32([[0.01, 0.05, 0.15, 0.25, 0.35, 1.0, 0.0]])
        assert propose(heat) == ((0, 1, 1, 6), (0, 1, 2, 6), (0, 1, 3, 6), (0, 1, 4, 6), (0, 1, 5, 6))

    def test_thresholds_are_strict(self):
        assert propose(f32([[0.5, 1, 0.25]]), thresholds=(0.5,)) == ((0, 1, 1, 2),)
        assert propose(f32([[0.5, 1, 0.25]]), thresholds=(0.25,)) == ((0, 1, 0, 2),)
        assert propose(f32([[0, 1, 0.25]]), thresholds=(0.0,)) == ((0, 1, 1, 3),)

    def test_each_box_once_in_the_order_of_the_thresholds(self):
        heat = f32([[0.5, 1, 0.05]])
        assert propose(heat) == ((0, 1, 0, 3), (0, 1, 0, 2))
        assert propose(heat, thresholds=(0.4, 0.01, 0.3)) == ((0, 1, 0, 2), (0, 1, 0, 3))

    def test_the_largest_component_changes_with_the_threshold(self):
        heat = f32([[0.2, 0.2, 0.2, 0, 1, 1]])
        assert propose(heat, thresholds=(0.1, 0.3)) == ((0, 1, 0, 3), (0, 1, 4, 6))

    def test_the_research_codes_choices(self):
        heat = np.zeros((12, 12), np.float32)
        heat[0, :] = 1
        heat[4:7, 4:7] = 1
        heat[4:, 4:9] += 0.25
        assert propose(heat, thresholds=(0.4,)) == ((0, 1, 0, 12),)
        assert propose(heat, thresholds=(0.4,), by="contour") == ((4, 7, 4, 7),)
        # Below 5 cells a side a box is left out, whichever side it is.
        assert propose(heat, thresholds=(0.1, 0.4), smallest=5) == ((4, 12, 4, 9),)
        assert propose(heat.T, thresholds=(0.1, 0.4), smallest=5) == ((4, 9, 4, 12),)
        assert propose(heat, thresholds=(0.1, 0.4), smallest=6) == ()

    @pytest.mark.parametrize("shape", [(1, 1), (3, 4), (0, 4), (3, 0)])
    def test_nowhere_positive_gives_none(self, shape):
        assert propose(np.zeros(shape, np.float32)) == ()

    def test_a_flat_map_gives_the_whole(self):
        assert propose(np.ones((3, 4), np.float32)) == ((0, 3, 0, 4),)

    @pytest.mark.parametrize("maximum", [1e-45, 1e-38, 1e38])
    def test_extreme_maxima(self, maximum):
        heat = np.zeros((3, 4), np.float32)
        heat[1, 2] = maximum
        assert propose(heat) == ((1, 2, 2, 3),)

    @pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
    def test_impossible_thresholds_are_refused(self, threshold):
        with pytest.raises(ValueError, match="thresholds"):
            propose(f32([[1]]), thresholds=(0.1, threshold))

    def test_no_threshold_gives_none(self):
        assert propose(f32([[1]]), thresholds=()) == ()

    @given(seeds, st.integers(1, 5), choices, st.lists(st.floats(0, 0.99), max_size=6))
    def test_against_the_reference(self, seed, smallest, by, thresholds):
        heat = random_heat(seed)
        assert list(propose(heat, smallest=smallest, by=by)) == reference.proposals(
            heat, smallest=smallest, by=by
        )
        assert list(propose(heat, thresholds=thresholds, by=by)) == reference.proposals(
            heat, thresholds, by=by
        )

    @given(seeds, choices)
    def test_boxes_lie_in_the_map_and_scaling_it_changes_nothing(self, seed, by):
        heat = random_heat(seed)
        boxes = propose(heat, by=by)
        assert len(set(boxes)) == len(boxes) <= len(THRESHOLDS)
        assert bool(boxes) == bool(heat.any())
        for row1, row2, column1, column2 in boxes:
            assert 0 <= row1 < row2 <= heat.shape[0]
            assert 0 <= column1 < column2 <= heat.shape[1]
            assert all(type(value) is int for value in (row1, row2, column1, column2))
        assert propose(heat * np.float32(0.125), by=by) == boxes


class TestBest:
    def test_by_hand(self):
        place, cosine = best(f32([0.6, 0.8]), f32([[1, 0], [0, 1], [0.8, 0.6]]))
        assert place == 2
        assert cosine == pytest.approx(0.96, abs=1e-7)
        assert type(place) is int
        assert type(cosine) is float

    def test_the_first_of_equals(self):
        assert best(f32([1, 0]), f32([[0, 1], [1, 0], [1, 0]]))[0] == 1

    @pytest.mark.parametrize("dimensions", [2, 3, 64, 513])
    def test_equal_rows_have_equal_cosines_wherever_they_stand(self, dimensions):
        rng = np.random.default_rng(dimensions)
        row = l2_normalise(rng.normal(size=dimensions).astype(np.float32))
        query = l2_normalise(rng.normal(size=dimensions).astype(np.float32))
        for count in range(1, 12):
            assert best(query, np.repeat(row[None], count, axis=0))[0] == 0

    def test_featureless_regions_never_win(self):
        assert best(f32([1, 0]), f32([[0, 0], [-0.6, 0.8]])) == (1, pytest.approx(-0.6, abs=1e-7))
        assert best(f32([1, 0]), f32([[0, 0], [0, 0]])) is None
        assert best(f32([1, 0]), np.zeros((0, 2), np.float32)) is None

    def test_a_cosine_is_never_above_one(self):
        above = f32([1.0000001, 0])
        assert best(above, above[None]) == (0, 1.0)
        assert best(above, -above[None]) == (0, -1.0)

    @given(seeds)
    def test_against_the_reference(self, seed):
        rng = np.random.default_rng(seed)
        count, dimensions = (int(n) for n in rng.integers(1, 9, 2))
        # Few values, so that equal cosines come about.
        descriptors = l2_normalise(rng.integers(-1, 2, (count, dimensions)).astype(np.float32))
        query = l2_normalise(rng.integers(-1, 2, dimensions).astype(np.float32))
        found, expected = best(query, descriptors), reference.nearest(query, descriptors)
        assert (found is None) == (expected is None) == (not descriptors.any())
        if found is not None:
            assert found[1] == pytest.approx(expected[1], abs=1e-6)
            cosines = descriptors.astype(float) @ query.astype(float)
            assert cosines[found[0]] == pytest.approx(expected[1], abs=1e-6)


class TestReorder:
    def test_by_hand(self):
        assert reorder([0.1, 0.5, 0.3]) == [1, 2, 0]
        assert reorder([]) == []

    def test_what_was_not_looked_at_keeps_its_place(self):
        assert reorder([None, 0.1, None, 0.9]) == [0, 3, 2, 1]
        assert reorder([0.1, None, 0.9, None, 0.5]) == [2, 1, 4, 3, 0]
        assert reorder([None, None]) == [0, 1]

    def test_ties_stay_in_order(self):
        assert reorder([0.5, 0.9, 0.5, None, 0.9]) == [1, 4, 0, 3, 2]

    def test_negative_scores_and_zero(self):
        assert reorder([-0.5, 0.0, -0.1, 0.2]) == [3, 1, 2, 0]

    @given(
        st.lists(
            st.one_of(st.none(), st.sampled_from([-1.0, -0.0, 0.0, 0.25]), st.floats(-1, 1)), max_size=15
        )
    )
    def test_against_the_reference(self, scores):
        order = reorder(scores)
        assert order == reference.reordered(scores)
        assert sorted(order) == list(range(len(scores)))
        assert all(order[place] == place for place, score in enumerate(scores) if score is None)
        # What has been put in order stays in it.
        assert reorder([scores[place] for place in order]) == list(range(len(scores)))


class TestOneCandidate:
    """The stages one after the other, as METHOD.md has them, against the loops."""

    @given(seeds)
    def test_against_the_reference(self, seed):
        rng = np.random.default_rng(seed)
        channels, rows, columns, dimensions = 5, int(rng.integers(2, 8)), int(rng.integers(2, 8)), 4
        features = np.maximum(rng.normal(size=(1, channels, rows, columns)), 0).astype(np.float32)
        classifier_maps = np.maximum(rng.normal(size=(1, 6, rows, columns)), 0).astype(np.float32)
        classifier_weights = rng.normal(size=(9, 6)).astype(np.float32)
        whitening = Whitening(f32(rng.random(channels)), f32(rng.normal(size=(channels, dimensions))))
        query = l2_normalise(rng.normal(size=dimensions).astype(np.float32))
        classes = rng.permutation(9)[None, :6]  # N_re = 6

        everywhere = np.ones((1, rows, columns), bool)
        maps = class_activation_maps(
            classifier_maps, classifier_weights, classes, everywhere, size=(rows, columns)
        )
        boxes = propose(heat_map(maps[0, :2], f32([1, 1])))
        descriptors = [np.zeros((0, dimensions), np.float32)]
        for box in boxes:
            weights = channel_weights(crop(features, box), crop(everywhere, box))
            vectors = class_vectors(crop(features, box), crop(maps, box), weights)
            descriptors.append(aggregate(apply_whitening(vectors, whitening)))
        found = best(query, np.concatenate(descriptors))

        expected_boxes, expected_descriptors, expected = reference.reranked_candidate(
            query,
            features[0],
            classifier_maps[0],
            classifier_weights,
            classes[0],
            (whitening.mean, whitening.projection),
        )
        assert list(boxes) == expected_boxes
        for actual, wanted in zip(descriptors[1:], expected_descriptors, strict=True):
            np.testing.assert_allclose(actual[0], wanted, atol=2e-4)
        assert (found is None) == (expected is None)
        if found is not None:
            assert found[1] == pytest.approx(expected[1], abs=2e-4)
