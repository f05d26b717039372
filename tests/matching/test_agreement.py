import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.matching.agreement import Agreement, Frames, shares


def frames(seed, count, share=0.5, turn=0.7, zoom=0.8):
    """Correspondences of which a share has one turn, zoom and shift, but for some noise."""
    rng = np.random.default_rng(seed)
    query = rng.random(count) * 400 + 1j * rng.random(count) * 300
    local = zoom * np.exp(1j * turn) * np.exp(rng.normal(0, 0.1, count) + 1j * rng.normal(0, 0.1, count))
    picture = zoom * cmath.exp(1j * turn) * query + 100 + 50j
    other = rng.random(count) >= share
    picture[other] = rng.random(other.sum()) * 600 + 1j * rng.random(other.sum()) * 400
    local[other] = np.exp(rng.normal(0, 1, other.sum()) + 2j * np.pi * rng.random(other.sum()))
    return Frames(query, picture, local), ~other


def agree(frames, one, other, apart):
    """The definition, one pair at a time."""
    step = frames.query[other] - frames.query[one]
    moved = frames.picture[other] - frames.picture[one]
    ratio = frames.local[other] / frames.local[one]
    near = [abs(moved - local * step) <= 0.5 * abs(local * step) for local in frames.local[[one, other]]]
    return (
        abs(step) > apart[0]
        and abs(moved) > apart[1]
        and abs(cmath.phase(ratio)) <= math.radians(35)
        and abs(math.log(abs(ratio))) <= math.log(1.8)
        and all(near)
    )


def agreement_of(frames, apart=(4.0, 6.0)):
    """Of one picture."""
    return Agreement.of(frames, np.zeros(len(frames.query), np.int64), (apart[0], np.array([apart[1]])))


class TestAgreement:
    @given(st.integers(0, 2**32), st.integers(0, 30))
    def test_against_the_definition(self, seed, count):
        made, _ = frames(seed, count)
        apart = (4.0, 6.0)
        agreement = agreement_of(made, apart)
        expected = {(i, j) for i in range(count) for j in range(count) if agree(made, i, j, apart)}
        assert set(zip(agreement.seed.tolist(), agreement.other.tolist(), strict=True)) == expected

    def test_the_largest_group_is_the_thing(self):
        made, right = frames(3, 200, share=0.3)
        group = agreement_of(made).largest(np.ones(200, np.bool_))
        assert right[group].mean() > 0.9
        assert len(group) > 0.7 * right.sum()

    def test_only_what_takes_part(self):
        made, right = frames(3, 120, share=0.3)
        agreement = agreement_of(made)
        group = agreement.largest(~right)
        assert not right[group].any()
        assert len(group) < 6

    def test_nobody_agrees(self):
        alone = Frames(np.array([1j, 2]), np.array([1j, 2]), np.array([1, -1j]))
        agreement = agreement_of(alone, (0.0, 0.0))
        for alive in ([True, True], [False, True], [False, False]):
            assert not len(agreement.largest(np.array(alive)))

    @given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 90)), max_size=5))
    def test_pictures_side_by_side_are_as_each_alone(self, several):
        made = [frames(seed, count)[0] for seed, count in several]
        sizes = [len(one.query) for one in made]
        both = Frames(
            *(
                np.concatenate([np.zeros(0, np.complex128), *(getattr(one, part) for one in made)])
                for part in ("query", "picture", "local")
            )
        )
        apart = 3.0 + np.arange(len(made))
        agreement = Agreement.of(both, np.repeat(np.arange(len(made)), sizes), (4.0, apart))
        alive = np.random.default_rng(len(made)).random(sum(sizes)) < 0.8
        groups = agreement.largest(alive)
        expected = []
        for place, one in enumerate(made):
            first = sum(sizes[:place])
            alone = agreement_of(one, (4.0, apart[place]))
            own = first <= agreement.seed
            own &= agreement.seed < first + sizes[place]
            np.testing.assert_array_equal(agreement.seed[own] - first, alone.seed)
            np.testing.assert_array_equal(agreement.other[own] - first, alone.other)
            expected += (alone.largest(alive[first : first + sizes[place]]) + first).tolist()
        assert groups.tolist() == expected

    def test_only_the_strongest_are_hypotheses(self):
        made, _ = frames(0, 400, share=1)
        agreement = agreement_of(made)
        assert agreement.seed.max() == 63
        assert agreement.other.max() == 399


class TestShares:
    def test_by_hand(self):
        picture = np.array([0, 0, 1, 1, 1, 2])
        places = np.array([[0, 0], [50, 0], [0, 0], [1, 1], [90, 90], [7, 7]], np.float64)
        similarity = np.array([1, 0.5, 0.8, 0.4, 0.8, 0.3], np.float32)
        # Two places of point 1's three are one; a point that is wanted once is its own.
        expected = [1 / 1.125, 0.125 / 1.125, 0.5, 0.0625, 0.5, 1]
        np.testing.assert_allclose(shares(picture, places, similarity, 5.0), expected, rtol=1e-6)

    def test_none(self):
        nothing = shares(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros(0, np.float32), 5.0)
        assert nothing.shape == (0,)

    @given(st.integers(0, 2**32), st.integers(1, 60))
    def test_places_share_a_point(self, seed, count):
        rng = np.random.default_rng(seed)
        picture, cells = rng.integers(0, 5, count), rng.integers(0, 9, (count, 2))
        similarity = rng.random(count).astype(np.float32) * 0.9 + 0.05
        got = shares(picture, cells * 5.0 + 2, similarity, 5.0)
        for point in np.unique(picture):
            best = {}
            for row in np.flatnonzero(picture == point):
                best[tuple(cells[row])] = max(best.get(tuple(cells[row]), 0), got[row])
            assert sum(best.values()) == pytest.approx(1)
