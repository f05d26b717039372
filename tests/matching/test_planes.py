import cv2
import numpy as np
import pytest

from camseek.matching import planes
from camseek.matching.planes import (
    FREEDOM,
    areas,
    derivatives,
    inside,
    nearest_similarity,
    outline_seen,
    project,
    turns,
)


def fitted(kind, query, picture):
    """Of one case; None where its points decide none."""
    return none_of_nan(planes.fitted(kind, query, picture, np.zeros(len(query), np.int64), 1))


def sampled(query, picture, tolerance):
    owners = np.zeros(len(query), np.int64)
    return none_of_nan(planes.sampled(query, picture, owners, np.array([tolerance])))


def none_of_nan(found):
    assert found.shape == (1, 3, 3)
    assert np.isfinite(found).all() or np.isnan(found).all()
    return found[0] if np.isfinite(found).all() else None


CORNERS = np.array([[0, 0], [400, 0], [400, 300], [0, 300]], np.float64)
TILTED = np.array([[0.8, 0.2, 40], [-0.1, 0.9, 90], [3e-4, -2e-4, 1]])
SIZE = (640, 480)


def points(count, seed=0):
    return np.random.default_rng(seed).random((count, 2)) * [400, 300]


def by_hand(plane, place):
    u, v, w = plane @ [*place, 1]
    return np.array([u / w, v / w])


def test_project():
    places, depth = project(TILTED, points(5))
    for place, expected, w in zip(points(5), places, depth, strict=True):
        np.testing.assert_allclose(by_hand(TILTED, place), expected)
        assert w == pytest.approx(TILTED[2] @ [*place, 1])


def test_what_is_behind_the_camera_is_finite_and_told_by_its_depth():
    behind = np.array([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1.0]])
    places, depth = project(behind, np.array([[50.0, 0], [100, 0], [150, 0]]))
    assert np.isfinite(places).all()
    np.testing.assert_allclose(depth, [0.5, 0, -0.5])


def test_derivatives_against_small_steps():
    step = 1e-4
    linear = derivatives(TILTED, points(4))
    for place, got in zip(points(4), linear, strict=True):
        for axis in range(2):
            to = place + np.eye(2)[axis] * step
            slope = (by_hand(TILTED, to) - by_hand(TILTED, place)) / step
            np.testing.assert_allclose(got[:, axis], slope, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(areas(linear), np.linalg.det(linear))


def test_the_nearest_similarity_of_a_similarity():
    turn = np.deg2rad(30)
    linear = 1.7 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    np.testing.assert_allclose(nearest_similarity(linear[None]), [1.7 * np.exp(1j * turn)])


MAPS = {
    "homography": TILTED,
    "affine": np.array([[0.8, 0.2, 40], [-0.1, 0.9, 90], [0, 0, 1]]),
    "similarity": np.array([[0.8, -0.2, 40], [0.2, 0.8, 90], [0, 0, 1]]),
}


class TestFitted:
    @pytest.mark.parametrize("kind", FREEDOM)
    def test_exact_points_give_the_map(self, kind):
        plane, query = MAPS[kind], points(12)
        got = fitted(kind, query, project(plane, query)[0])
        np.testing.assert_allclose(got / got[2, 2], plane, atol=1e-5)

    @pytest.mark.parametrize("kind", FREEDOM)
    def test_the_error_is_the_least(self, kind):
        """No small change of the map makes it better."""
        query = points(30)
        picture = project(TILTED, query)[0] + np.random.default_rng(1).normal(0, 2, (30, 2))
        got = fitted(kind, query, picture)
        least = np.square(project(got, query)[0] - picture).sum()
        for other in (
            got @ np.array([[1, 0, 0.05], [0, 1, 0], [0, 0, 1]]),
            got @ np.array([[1.0005, 0, 0], [0, 1.0005, 0], [0, 0, 1]]),
            got @ np.array([[1, -0.0005, 0], [0.0005, 1, 0], [0, 0, 1]]),
        ):
            assert np.square(project(other, query)[0] - picture).sum() > least

    @pytest.mark.parametrize("kind", FREEDOM)
    def test_points_that_decide_none(self, kind):
        few = points(FREEDOM[kind] - 1)
        assert fitted(kind, few, few) is None
        at_one_place = np.full((9, 2), 7.0)
        assert fitted(kind, at_one_place, points(9)) is None
        line = np.linspace([0, 0], [400, 300], 9)
        assert (fitted(kind, line, line) is None) == (kind != "similarity")


class TestSampled:
    def test_among_outliers(self):
        query = points(60)
        picture = project(TILTED, query)[0]
        picture[::2] = np.random.default_rng(1).random((30, 2)) * SIZE
        np.testing.assert_allclose(
            project(sampled(query, picture, 3.0), query)[0][1::2], picture[1::2], atol=0.1
        )

    def test_points_that_decide_none(self):
        assert sampled(points(3), points(3), 3.0) is None
        line = np.linspace([0, 0], [400, 300], 20)
        assert sampled(line, points(20), 3.0) is None

    def test_threads_do_not_matter(self):
        query = points(200)
        picture = project(TILTED, query)[0] + np.random.default_rng(2).normal(0, 1, (200, 2))
        picture[:120] = points(120, seed=3)
        before = cv2.getNumThreads()
        try:
            found = []
            for threads in (1, 2, 4, 0, 1):
                cv2.setNumThreads(threads)
                found.append(sampled(query, picture, 3.0).tobytes())
        finally:
            cv2.setNumThreads(before)
        assert len(set(found)) == 1


class TestSideBySide:
    """Cases beside each other, some without points, are as each alone."""

    SIZES = (12, 0, 3, 40, 0)
    OWNERS = np.repeat(np.arange(5), SIZES)

    def cases(self):
        query = points(sum(self.SIZES))
        picture = project(TILTED, query)[0] + np.random.default_rng(4).normal(0, 1, query.shape)
        return query, picture

    @pytest.mark.parametrize("kind", FREEDOM)
    def test_fitted(self, kind):
        query, picture = self.cases()
        together = planes.fitted(kind, query, picture, self.OWNERS, 5)
        for place, found in enumerate(together):
            own = place == self.OWNERS
            alone = planes.fitted(kind, query[own], picture[own], np.zeros(own.sum(), np.int64), 1)[0]
            np.testing.assert_array_equal(found, alone)
            assert np.isnan(found).all() == (own.sum() < FREEDOM[kind])

    def test_sampled(self):
        query, picture = self.cases()
        tolerances = np.array([3.0, 3, 3, 2, 3])
        together = planes.sampled(query, picture, self.OWNERS, tolerances)
        for place, found in enumerate(together):
            own, one = place == self.OWNERS, tolerances[place : place + 1]
            alone = planes.sampled(query[own], picture[own], np.zeros(own.sum(), np.int64), one)[0]
            np.testing.assert_array_equal(found, alone)

    def test_each_point_by_its_own_map(self):
        maps = np.stack([TILTED, MAPS["affine"], MAPS["similarity"]])
        query = points(3)
        places, depth = project(maps, query)
        linear = derivatives(maps, query)
        for row, plane in enumerate(maps):
            one, w = project(plane, query[row : row + 1])
            np.testing.assert_array_equal(places[row], one[0])
            assert depth[row] == w[0]
            np.testing.assert_array_equal(linear[row], derivatives(plane, query[row : row + 1])[0])


class TestOutline:
    def test_in_either_sense(self):
        seen = outline_seen(TILTED, CORNERS, SIZE)
        np.testing.assert_allclose(seen, [by_hand(TILTED, corner) for corner in CORNERS])
        np.testing.assert_allclose(outline_seen(TILTED, CORNERS[::-1].copy(), SIZE), seen[::-1])

    @pytest.mark.parametrize(
        "plane",
        [
            np.diag([-1.0, 1, 1]),  # flipped
            np.array([[1, 0, 0], [0, 1, 0], [-1 / 200, 0, 1]]),  # half of it behind the camera
            np.array([[1, 0, 0], [0, 1, 0], [-1 / 405, 0, 1]]),  # one side nearly at the camera
            np.diag([0.01, 0.01, 1]),  # a speck
            np.diag([100.0, 100, 1]),  # far larger than the picture
            np.diag([1.0, 0.05, 1]),  # squeezed to a line
            np.zeros((3, 3)),
            np.full((3, 3), np.nan),
        ],
    )
    def test_what_no_camera_sees(self, plane):
        assert outline_seen(plane, CORNERS, SIZE) is None

    def test_a_bow_is_not_convex(self):
        to = np.array([[0, 0], [400, 0], [100, 100], [0, 300]], np.float32)
        plane = cv2.getPerspectiveTransform(CORNERS.astype(np.float32), to)
        assert outline_seen(plane / plane[2, 2], CORNERS, SIZE) is None

    def test_turns(self):
        np.testing.assert_allclose(turns(CORNERS), [120_000] * 4)
        np.testing.assert_allclose(turns(CORNERS[::-1].copy()), [-120_000] * 4)

    def test_inside(self):
        outline = np.array([[10, 0], [20, 10], [10, 20], [0, 10]], np.float64)
        places = np.array([[10, 10], [1, 1], [18, 10], [10, 21]], np.float64)
        for corners in (outline, outline[::-1].copy()):
            np.testing.assert_array_equal(inside(corners, places), [True, False, True, False])
