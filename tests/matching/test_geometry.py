import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camseek.matching import geometry
from camseek.matching.features import extract_features
from camseek.matching.geometry import CHANCE, INSTANCES, LEAST, Candidate, verify, verify_all
from camseek.matching.words import Correspondences

# Posters are 480 x 360.
SIZE = (480, 360)


def rectangle(width, height):
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


CORNERS = rectangle(*SIZE)


def features(pixels, count=600):
    return extract_features(pixels, (pixels.shape[1], pixels.shape[0]), count)


def pairs_of(query, picture, least=0.88, copies=8):
    """Correspondences by the descriptors themselves: the most similar ones of each query point.

    Any two descriptors have a cosine of some 0.8, as none of their numbers is below 0.
    """
    cosines = query.descriptors @ picture.descriptors.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :copies]
    rows, columns = np.repeat(np.arange(len(query)), order.shape[1]), order.ravel()
    alike = cosines[rows, columns] >= least
    rows, columns = rows[alike], columns[alike]
    return Correspondences(rows, columns, np.clip((cosines[rows, columns] - 0.8) * 5, 0.01, 1))


def found(query, pixels, outline=CORNERS, **options):
    picture = features(pixels)
    size = (pixels.shape[1], pixels.shape[0])
    return verify(query, picture, pairs_of(query, picture), outline, size, **options)


def similarity_map(turn, scale, centre, middle=(240, 180)):
    """Takes the middle of the poster to a centre, turned to the right by degrees."""
    radians = np.deg2rad(turn)
    linear = scale * np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    plane = np.eye(3)
    plane[:2, :2], plane[:2, 2] = linear, np.array(centre) - linear @ np.array(middle)
    return plane


def moved(plane, points):
    places = np.column_stack([points, np.ones(len(points))]) @ plane.T
    return places[:, :2] / places[:, 2:]


def pasted(pixels, plane, background):
    """A picture with another laid over it by a map; pixels have their centre in their middle."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    by_centres = np.linalg.inv(half) @ plane @ half
    size = (background.shape[1], background.shape[0])
    area = abs(np.linalg.det(plane[:2, :2]))
    if area < 0.7:  # without a blur, what shrinks turns into noise
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.45 / np.sqrt(area))
    mask = cv2.warpPerspective(np.ones(pixels.shape[:2], np.float32), by_centres, size)
    laid = cv2.warpPerspective(pixels, by_centres, size, flags=cv2.INTER_CUBIC)
    return np.where(mask[..., None] > 0.5, laid, background)


def off(match, plane, corners=CORNERS):
    """How far the outline's worst corner is from where it should be, pixels."""
    return np.hypot(*(match.quadrilateral - moved(plane, corners)).T).max()


def assert_points_on(match, plane, size):
    """The points that agree lie where a map puts them, as far as is allowed."""
    assert len(match.query) == len(match.picture) == len(match.indices) >= match.inliers
    apart = np.hypot(*(moved(plane, match.query) - match.picture).T)
    assert apart.max() < 0.008 * max(size) + 2
    assert np.median(apart) < 1.5


@pytest.fixture(scope="module")
def poster(scenes):
    return scenes.poster(1)


@pytest.fixture(scope="module")
def query(poster):
    return features(poster, 1000)


@pytest.fixture(scope="module")
def background(scenes):
    return scenes.poster(2, 640, 560)


@pytest.fixture(scope="module")
def patterns(scenes):
    return {
        name: [(features(pixels), pixels.shape[1::-1]) for pixels in map(make, range(3))]
        for name, make in scenes.PATTERNS.items()
    }


class TestWarps:
    @pytest.mark.parametrize("turn", range(-165, 181, 15))
    def test_turned(self, query, poster, background, turn):
        plane = similarity_map(turn, 0.6, (200, 200))
        (match,) = found(query, pasted(poster, plane, background[:400, :400]))
        assert off(match, plane) < 2
        assert_points_on(match, plane, (400, 400))
        assert abs((match.turn - turn + 180) % 360 - 180) < 1
        assert match.scale == pytest.approx(0.6, rel=0.01)
        assert match.inliers >= 40
        assert not match.mirrored

    @pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 1.2])
    def test_smaller_and_as_large(self, query, poster, background, scale):
        plane = similarity_map(20, scale, (300, 270))
        (match,) = found(query, pasted(poster, plane, background))
        assert off(match, plane) < 2
        assert match.scale == pytest.approx(scale, rel=0.02)

    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_larger(self, poster, background, scale):
        small = cv2.resize(poster, (160, 120), interpolation=cv2.INTER_AREA)
        plane = similarity_map(-10, scale, (320, 280), middle=(80, 60))
        outline = rectangle(160, 120)
        (match,) = found(features(small, 1000), pasted(small, plane, background), outline)
        assert off(match, plane, outline) < 2 * scale  # half a pixel of the query is as many here
        assert match.scale == pytest.approx(scale, rel=0.02)

    @pytest.mark.parametrize(
        "corners",
        [
            [[90, 60], [520, 130], [500, 430], [120, 500]],
            [[60, 200], [420, 90], [590, 400], [200, 520]],
            [[400, 60], [560, 300], [330, 520], [180, 230]],
        ],
    )
    def test_tilted(self, query, poster, background, corners):
        plane = cv2.getPerspectiveTransform(CORNERS.astype(np.float32), np.array(corners, np.float32))
        (match,) = found(query, pasted(poster, plane, background))
        assert off(match, plane) < 2
        np.testing.assert_allclose(moved(match.homography, CORNERS), match.quadrilateral, atol=1e-6)

    @pytest.mark.parametrize("place", [(0, 0), (150, 110), (293, 220)])
    def test_cropped_to_15_per_cent(self, query, poster, place):
        x, y = place
        part = poster[y : y + 140, x : x + 187]
        (match,) = found(query, np.ascontiguousarray(part))
        plane = similarity_map(0, 1, (240 - x, 180 - y))
        assert off(match, plane) < 4  # the farthest corners are twice the crop's size away
        visible = rectangle(187, 140) + place
        assert np.hypot(*(moved(match.homography, visible) - rectangle(187, 140)).T).max() < 2
        assert match.box == (0, 0, 187, 140)

    @pytest.mark.parametrize("harm", ["blur", "noise", "jpeg"])
    def test_harmed(self, query, poster, background, harm):
        plane = similarity_map(30, 0.9, (320, 280))
        pixels = pasted(poster, plane, background)
        if harm == "blur":
            pixels = cv2.GaussianBlur(pixels, (0, 0), 2.5)
        elif harm == "noise":
            noise = np.random.default_rng(0).normal(0, 25, pixels.shape)
            pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
        else:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=10)
            pixels = np.asarray(Image.open(file))
        (match,) = found(query, pixels)
        assert off(match, plane) < 2

    def test_a_region_of_the_query(self, query, poster, background):
        """Only the outline that was asked for comes back, in the order of its corners."""
        plane = similarity_map(90, 1, (320, 280))
        region = rectangle(200, 150) + np.array([100, 120])
        (match,) = found(query, pasted(poster, plane, background), region)
        assert off(match, plane, region) < 2
        (reversed_,) = found(query, pasted(poster, plane, background), region[::-1].copy())
        np.testing.assert_allclose(reversed_.quadrilateral, match.quadrilateral[::-1], atol=1e-9)

    def test_the_box_is_what_is_within_the_picture(self, query, poster, background):
        plane = similarity_map(45, 0.8, (40, 280))
        (match,) = found(query, pasted(poster, plane, background))
        corners = moved(plane, CORNERS)
        assert corners[:, 0].min() < -100
        left, top, right, bottom = match.box
        assert left == 0
        assert abs(right - corners[:, 0].max()) < 3
        # The corners at the top and the bottom are within, those at the left are cut off.
        assert abs(top - corners[:, 1].min()) < 3
        assert abs(bottom - corners[:, 1].max()) < 3

    @pytest.mark.parametrize("seed", range(40))
    def test_no_box_reaches_beyond_it(self, seed):
        """Where borders cross, single precision would put a corner a little outside."""
        rng = np.random.default_rng(seed)
        size = int(rng.integers(50, 900)), int(rng.integers(50, 900))
        outline = moved(similarity_map(*rng.uniform((0, 0.2), (360, 4)), rng.uniform(-200, 900, 2)), CORNERS)
        seen = geometry._within(outline, size)
        if seen is not None:
            assert (seen >= 0).all()
            assert (seen <= size).all()


class TestGroups:
    """Of sixteen correspondences and more that agree roughly."""

    @pytest.mark.parametrize("seed", range(8))
    @pytest.mark.parametrize(("spread", "noise"), [((60, 60), 2.5), ((300, 300), 3.0), ((300, 18), 2.0)])
    def test_few_noisy_points_of_a_similarity_are_not_lost(self, spread, noise, seed):
        """A homography bends with the noise, and fewer lie near it than near a map that is less free."""
        rng = np.random.default_rng(seed)
        count = 24
        query = (rng.random((count, 2)) * spread + 100).astype(np.float32)
        plane = similarity_map(0, 1.1, (300, 260))
        picture = (moved(plane, query) + rng.normal(0, noise, (count, 2))).astype(np.float32)
        sizes, turns = np.full(count, 4, np.float32), np.zeros(count, np.float32)
        pairs = Correspondences(np.arange(count), np.arange(count), np.full(count, 0.9, np.float32))
        sought, seen = Points(query, sizes, turns), Points(picture, sizes * np.float32(1.1), turns)
        ends_early = verify(sought, seen, pairs, CORNERS, (640, 480), least=17)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(geometry, "_MANY", 10**6)
            all_kinds = verify(sought, seen, pairs, CORNERS, (640, 480), least=17)
        assert [match.inliers for match in ends_early] == [match.inliers for match in all_kinds]


class TestMirrored:
    def test_it_is_found_and_said(self, query, poster, background):
        plane = similarity_map(30, 0.9, (320, 280))
        picture = pasted(np.ascontiguousarray(poster[:, ::-1]), plane, background)
        (match,) = found(query.mirrored(), picture, mirrored=True)
        assert match.mirrored
        flipped = plane @ np.array([[-1, 0, 480], [0, 1, 0], [0, 0, 1]])
        assert off(match, flipped) < 2
        assert_points_on(match, flipped, (640, 560))
        assert match.turn == pytest.approx(30, abs=1)
        assert match.scale == pytest.approx(0.9, rel=0.01)
        np.testing.assert_allclose(moved(match.homography, CORNERS), match.quadrilateral, atol=1e-6)

    def test_only_when_it_is_asked_for(self, query, poster, background):
        plane = similarity_map(0, 0.6, (200, 200))
        small = background[:400, :400]
        assert not found(query, pasted(np.ascontiguousarray(poster[:, ::-1]), plane, small))
        assert not found(query.mirrored(), pasted(poster, plane, small), mirrored=True)


class TestInstances:
    @pytest.mark.parametrize("count", [2, 3])
    def test_each_has_its_outline(self, query, poster, background, count):
        planes = [
            similarity_map(0, 0.5, (130, 100)),
            similarity_map(80, 0.6, (500, 190)),
            similarity_map(-25, 0.55, (230, 420)),
        ][:count]
        pixels = background
        for plane in planes:
            pixels = pasted(poster, plane, pixels)
        matches = found(query, pixels)
        assert len(matches) == count
        assert [match.inliers for match in matches] == sorted((m.inliers for m in matches), reverse=True)
        for plane in planes:
            match = min(matches, key=lambda one: off(one, plane))
            assert off(match, plane) < 2
            assert_points_on(match, plane, (640, 560))
        indices = np.concatenate([match.indices for match in matches])
        assert len(np.unique(indices)) == len(indices)

    def test_no_more_than_the_limit(self):
        places = [(100 + 210 * (number % 4), 80 + 180 * (number // 4)) for number in range(INSTANCES + 2)]
        made = [mapped_pairs(similarity_map(0, 0.4, place), spread(20), scale=0.4) for place in places]
        query, count = made[0][0], len(places)
        parts = [
            np.concatenate([getattr(one[1], part) for one in made]) for part in ("points", "scales", "angles")
        ]
        picture = Points(parts[0], parts[1], np.tile(query.angles, count))
        pairs = Correspondences(
            np.tile(np.arange(20), count), np.arange(20 * count), np.full(20 * count, 0.9, np.float32)
        )
        matches = verify(query, picture, pairs, CORNERS, (840, 600))
        assert len(matches) == INSTANCES
        assert min(match.inliers for match in matches) > CHANCE


class TestChance:
    @pytest.mark.parametrize("name", ["brick", "tiles", "checks", "text", "foliage", "sky"])
    def test_patterns_do_not_verify(self, patterns, name):
        """Of a repeated pattern any two pictures agree in many points, and in none that says anything."""
        made = patterns[name]
        for one, (sought, size) in enumerate(made):
            for other, (picture, own) in enumerate(made):
                if one != other:
                    matches = verify(sought, picture, pairs_of(sought, picture), rectangle(*size), own)
                    assert all(match.inliers <= CHANCE for match in matches)

    def test_other_posters_do_not_verify(self, query, scenes):
        for seed in range(10, 14):
            picture = features(scenes.poster(seed))
            # Whatever is left of similarity.
            pairs = pairs_of(query, picture, least=0.8)
            assert len(pairs) > 1000
            assert all(match.inliers <= CHANCE for match in verify(query, picture, pairs, CORNERS, SIZE))

    @given(st.integers(0, 2**32), st.integers(0, 400))
    def test_random_pairs_do_not_verify(self, seed, count):
        query, picture, pairs = random_pairs(seed, count)
        matches = verify(query, picture, pairs, CORNERS, (640, 480))
        assert all(LEAST <= match.inliers <= CHANCE for match in matches)


@dataclass
class Points:
    points: np.ndarray
    scales: np.ndarray
    angles: np.ndarray


def random_pairs(seed, count):
    rng = np.random.default_rng(seed)

    def some(size):
        return Points(
            (rng.random((count, 2)) * size).astype(np.float32),
            (rng.random(count) * 20 + 3).astype(np.float32),
            (rng.random(count) * 2 * np.pi).astype(np.float32),
        )

    index = np.arange(count)
    return some(SIZE), some((640, 480)), Correspondences(index, index, rng.random(count).astype(np.float32))


def mapped_pairs(plane, points, noise=0.3, turn=0.0, scale=1.0, seed=0):
    """Correspondences of points with where a map puts them, all alike."""
    rng = np.random.default_rng(seed)
    count = len(points)
    query = Points(
        np.asarray(points, np.float32),
        np.full(count, 8, np.float32),
        (rng.random(count) * 2 * np.pi).astype(np.float32),
    )
    there = moved(plane, query.points.astype(np.float64)) + rng.normal(0, noise, (count, 2))
    angles = np.mod(query.angles + np.deg2rad(turn), 2 * np.pi).astype(np.float32)
    picture = Points(there.astype(np.float32), query.scales * np.float32(scale), angles)
    index = np.arange(count)
    return query, picture, Correspondences(index, index, np.full(count, 0.9, np.float32))


def spread(count, seed=0):
    return np.random.default_rng(seed).random((count, 2)) * np.array([440, 320]) + 20


class TestFewAndDegenerate:
    PLANE = similarity_map(40, 0.7, (300, 250))

    def verified(self, points, size=(640, 520), **options):
        pairs = mapped_pairs(self.PLANE, points, turn=40, scale=0.7)
        return verify(*pairs, CORNERS, size, **options)

    @pytest.mark.parametrize("count", [5, 6, 8, 12])
    def test_few_points_carry_an_outline(self, count):
        """Too few for a homography give a similarity rather than an outline that is anywhere."""
        (match,) = self.verified(spread(count, seed=count))
        assert match.inliers == count
        np.testing.assert_array_equal(
            match.query, spread(count, seed=count).astype(np.float32)[match.indices]
        )
        assert off(match, self.PLANE) < 6
        assert match.turn == pytest.approx(40, abs=2)

    def test_fewer_than_the_least_say_nothing(self):
        assert self.verified(spread(LEAST - 1)) == ()
        assert len(self.verified(spread(4), least=4)) == 1
        assert self.verified(spread(12), least=13) == ()

    def test_points_on_one_line_carry_a_similarity(self):
        line = np.linspace([40, 100], [440, 220], 20)
        (match,) = self.verified(line)
        assert off(match, self.PLANE) < 6

    def test_points_at_one_place_say_nothing(self):
        assert self.verified(np.full((50, 2), 123.0)) == ()
        assert self.verified(np.random.default_rng(0).normal(200, 1, (50, 2))) == ()

    def test_a_place_counts_once(self):
        """Sixty points in a spot and six elsewhere are seven or so."""
        crowd = np.random.default_rng(0).normal(200, 0.5, (60, 2))
        (match,) = self.verified(np.concatenate([spread(6, seed=3), crowd]))
        assert 6 <= match.inliers <= 10

    def test_a_pair_counts_once(self):
        query, picture, pairs = mapped_pairs(self.PLANE, spread(9), turn=40, scale=0.7)
        index = np.tile(pairs.query_index, 5)
        again = Correspondences(index, index, np.full(len(index), 0.9, np.float32))
        (match,) = verify(query, picture, again, CORNERS, (640, 520))
        assert match.inliers == len(match.indices) == 9

    def test_a_point_that_could_be_many_counts_for_little(self):
        """Each point of the picture could be any of the query's: even the right map says next to nothing."""
        query, picture, _ = mapped_pairs(self.PLANE, spread(9), turn=40, scale=0.7)
        one, other = (index.ravel() for index in np.indices((9, 9)))
        every = Correspondences(one, other, np.full(81, 0.9, np.float32))
        assert verify(query, picture, every, CORNERS, (640, 520)) == ()

    def test_the_most_similar_come_first(self):
        query, picture, pairs = mapped_pairs(self.PLANE, spread(30), turn=40, scale=0.7)
        similarity = np.random.default_rng(0).permutation(np.linspace(0.5, 0.9, 30)).astype(np.float32)
        pairs = Correspondences(pairs.query_index, pairs.picture_index, similarity)
        (match,) = verify(query, picture, pairs, CORNERS, (640, 520))
        assert len(match.indices) >= 28
        assert (np.diff(similarity[match.indices]) < 0).all()
        np.testing.assert_array_equal(match.picture, picture.points[match.indices])

    def test_inliers_among_many_outliers(self):
        """One in ten is right."""
        query, picture, _ = mapped_pairs(self.PLANE, spread(60), turn=40, scale=0.7)
        other_query, other_picture, _ = random_pairs(5, 600)
        both = [
            Points(
                *(
                    np.concatenate([getattr(a, part), getattr(b, part)])
                    for part in ("points", "scales", "angles")
                )
            )
            for a, b in ((query, other_query), (picture, other_picture))
        ]
        index = np.arange(660)
        (match,) = verify(
            *both, Correspondences(index, index, np.full(660, 0.5, np.float32)), CORNERS, (640, 520)
        )
        assert match.inliers >= 50
        assert off(match, self.PLANE) < 2
        assert np.count_nonzero(match.indices < 60) >= 0.9 * len(match.indices)

    def test_an_outline_that_no_camera_sees(self):
        """All inliers, but the thing would be a speck, or flipped."""
        speck = mapped_pairs(similarity_map(0, 0.01, (300, 250)), spread(40), noise=0, scale=0.01)
        assert verify(*speck, CORNERS, (640, 520)) == ()
        flipped = similarity_map(0, 1, (300, 250)) @ np.diag([1.0, -1.0, 1.0])
        assert verify(*mapped_pairs(flipped, spread(40)), CORNERS, (640, 520)) == ()

    def test_turns_and_zooms_must_fit(self):
        """Places alone convince nobody: the points must be turned and resized as the map says."""
        assert verify(*mapped_pairs(self.PLANE, spread(40), turn=140, scale=0.7), CORNERS, (640, 520)) == ()
        assert verify(*mapped_pairs(self.PLANE, spread(40), turn=40, scale=4), CORNERS, (640, 520)) == ()


def bytes_of(matches):
    parts = ("indices", "query", "picture", "homography", "quadrilateral")
    return [
        (
            match.inliers,
            match.box,
            match.turn,
            match.scale,
            *(getattr(match, part).tobytes() for part in parts),
        )
        for match in matches
    ]


class TestDeterminism:
    def test_any_number_of_threads(self, query, poster, background):
        plane = similarity_map(30, 0.7, (320, 280))
        picture = features(pasted(poster, plane, background))
        pairs = pairs_of(query, picture, least=0.85)

        def verified(_):
            return bytes_of(verify(query, picture, pairs, CORNERS, (640, 560)))

        before = cv2.getNumThreads()
        try:
            answers = []
            for threads in (1, 2, 4, 0):
                cv2.setNumThreads(threads)
                answers.append(verified(None))
                with ThreadPoolExecutor(4) as pool:
                    answers += pool.map(verified, range(8))
        finally:
            cv2.setNumThreads(before)
        assert answers[0]
        assert all(answer == answers[0] for answer in answers)

    def test_pictures_side_by_side_are_as_each_alone(self, query, poster, background):
        """None of the thing, one, several, a mirrored one, and pictures that nothing is known of."""
        shown = [
            background,
            pasted(poster, similarity_map(30, 0.7, (320, 280)), background),
            pasted(
                poster,
                similarity_map(100, 0.7, (440, 370)),
                pasted(poster, similarity_map(-20, 0.6, (160, 150)), background),
            ),
            pasted(poster[:, ::-1].copy(), similarity_map(30, 0.7, (320, 280)), background),
            np.full((90, 120, 3), 80, np.uint8),
        ]
        pictures = [(features(pixels), (pixels.shape[1], pixels.shape[0])) for pixels in shown]
        for options in ({}, {"mirrored": True, "least": 10}):
            asked = query.mirrored() if options else query
            candidates = [Candidate(one, pairs_of(asked, one), size) for one, size in pictures]
            together = verify_all(query, candidates, CORNERS, **options)
            alone = [
                verify(query, one.picture, one.pairs, CORNERS, one.size, **options) for one in candidates
            ]
            assert list(map(bytes_of, together)) == list(map(bytes_of, alone))
            expected = [0, 0, 0, 1, 0] if options else [0, 1, 2, 0, 0]
            assert list(map(len, together)) == expected
        assert verify_all(query, [], CORNERS) == []

    def test_the_order_of_the_pairs_does_not_matter(self, query, poster, background):
        plane = similarity_map(30, 0.7, (320, 280))
        picture = features(pasted(poster, plane, background))
        pairs = pairs_of(query, picture)
        order = np.random.default_rng(0).permutation(len(pairs))
        shuffled = Correspondences(
            *(getattr(pairs, part)[order] for part in ("query_index", "picture_index", "similarity"))
        )
        (one,) = verify(query, picture, pairs, CORNERS, (640, 560))
        (other,) = verify(query, picture, shuffled, CORNERS, (640, 560))
        assert np.abs(one.quadrilateral - other.quadrilateral).max() < 0.5
        assert abs(one.inliers - other.inliers) <= 3


class TestHostile:
    def test_nothing(self):
        assert verify(*random_pairs(0, 0), CORNERS, (640, 480)) == ()
        assert verify(*random_pairs(0, 1), CORNERS, (1, 1)) == ()

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0, 3e38, 1e-45])
    @pytest.mark.parametrize("part", ["points", "scales", "angles", "similarity"])
    def test_numbers_that_cannot_be(self, value, part):
        """What is left of the right pairs is found, and nothing is no number."""
        for side in (0, 1):
            query, picture, pairs = mapped_pairs(TestFewAndDegenerate.PLANE, spread(60), turn=40, scale=0.7)
            place = pairs if part == "similarity" else (query, picture)[side]
            getattr(place, part)[::2] = value
            matches = verify(query, picture, pairs, CORNERS, (640, 520))
            harmless = part == "angles" and np.isfinite(value) and abs(value) < 1e30
            assert matches or harmless
            for match in matches:
                assert match.inliers >= 20
                for numbers in (match.homography, match.quadrilateral, match.turn, match.scale):
                    assert np.isfinite(numbers).all()
                left, top, right, bottom = match.box
                assert 0 <= left < right <= 640
                assert 0 <= top < bottom <= 520

    def test_very_many_pairs(self):
        """Whatever is claimed, the work is bounded."""
        query, picture, _ = random_pairs(1, 300)
        rng = np.random.default_rng(0)
        one, other = (rng.integers(0, 300, 200_000) for _ in range(2))
        pairs = Correspondences(one, other, rng.random(200_000).astype(np.float32))
        assert all(match.inliers <= CHANCE for match in verify(query, picture, pairs, CORNERS, (640, 480)))

    @pytest.mark.parametrize("index", [-1, 30])
    def test_a_pair_without_a_point(self, index):
        query, picture, pairs = random_pairs(0, 30)
        pairs.picture_index[3] = index
        with pytest.raises(ValueError, match="a pair names a point that is not among 30"):
            verify(query, picture, pairs, CORNERS, (640, 480))

    @pytest.mark.parametrize(
        "outline",
        [
            np.zeros((4, 2)),
            CORNERS[[0, 2, 1, 3]],
            np.array([[0, 0], [9, 0], [9, 0], [0, 9.0]]),
            np.full((4, 2), np.nan),
            CORNERS * 1e300,
        ],
    )
    def test_no_outline(self, outline):
        with pytest.raises(ValueError, match="an outline has four corners"):
            verify(*random_pairs(0, 30), outline, (640, 480))

    def test_no_picture_and_no_least(self):
        with pytest.raises(ValueError, match="nothing is seen in 0 x 480 pixels"):
            verify(*random_pairs(0, 30), CORNERS, (0, 480))
        with pytest.raises(ValueError, match="2 inliers verify nothing"):
            verify(*random_pairs(0, 30), CORNERS, (640, 480), least=2)

    @pytest.mark.parametrize("size", [(1, 1), (5, 3), (2, 100_000), (100_000, 100_000)])
    def test_pictures_of_any_size(self, size):
        query, _, pairs = random_pairs(3, 200)
        rng = np.random.default_rng(1)
        points = (rng.random((200, 2)) * size).astype(np.float32)
        picture = Points(points, np.full(200, 2, np.float32), query.angles)
        assert all(match.inliers <= CHANCE for match in verify(query, picture, pairs, CORNERS, size))
