import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.matching.features import extract_features, shrunk


def textured(height=240, width=320, seed=0):
    """A picture of soft blots of many sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), blur) * blur for blur in (2, 5, 11)
    ]
    mixed = sum(layers)
    return np.clip(128 + 45 * mixed, 0, 255).astype(np.uint8)


def turned_by(point, centre, turn):
    offset = point - centre
    cosine, sine = np.cos(turn), np.sin(turn)
    return centre + offset @ np.array([[cosine, sine], [-sine, cosine]])


def same(one, other):
    return all(
        np.array_equal(getattr(one, part), getattr(other, part))
        for part in ("points", "scales", "angles", "descriptors")
    )


def nearest(wanted, points):
    distance = np.linalg.norm(points[None] - wanted[:, None], axis=2)
    return distance.argmin(axis=1), distance.min(axis=1)


class TestExtract:
    def test_what_is_found(self):
        pixels = textured()
        features = extract_features(pixels, (320, 240), 100)
        assert len(features) == 100
        assert features.points.shape == (100, 2)
        assert features.descriptors.shape == (100, 128)
        assert {part.dtype for part in (features.points, features.scales, features.angles)} == {
            np.dtype(np.float32)
        }
        assert (features.points >= 0).all()
        assert (features.points <= [320, 240]).all()
        assert (features.scales > 0).all()
        assert ((features.angles >= 0) & (features.angles < 2 * np.pi)).all()
        assert (features.descriptors >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-5)

    def test_the_strongest_come_first(self):
        pixels = textured()
        many, few = (extract_features(pixels, (320, 240), count) for count in (200, 40))
        assert np.array_equal(many.points[:40], few.points)
        assert np.array_equal(many.descriptors[:40], few.descriptors)

    def test_on_any_number_of_threads(self):
        pixels = textured(400, 500)
        before = cv2.getNumThreads()
        try:
            found = []
            for threads in (1, 2, 7):
                cv2.setNumThreads(threads)
                found.append(extract_features(pixels, (500, 400), 300))
        finally:
            cv2.setNumThreads(before)
        assert same(found[0], found[1])
        assert same(found[0], found[2])

    def test_positions_are_those_of_the_original(self):
        """A bright blot with its centre at (33.5, 21.5), seen at half and at full size."""
        y, x = np.mgrid[:64, :80] + 0.5
        blot = 40 + 180 * np.exp(-((x - 33.5) ** 2 + (y - 21.5) ** 2) / (2 * 4.0**2))
        pixels = np.repeat(blot[:, :, None], 3, axis=2).astype(np.uint8)
        full = extract_features(pixels, (80, 64), 1)
        np.testing.assert_allclose(full.points[0], [33.5, 21.5], atol=0.1)
        double = extract_features(pixels, (160, 128), 1)
        np.testing.assert_allclose(double.points[0], [67, 43], atol=0.2)
        np.testing.assert_allclose(double.scales, full.scales * 2, rtol=1e-6)

    def test_each_side_has_its_own_factor(self):
        pixels = textured()
        plain, wide = extract_features(pixels, (320, 240), 50), extract_features(pixels, (640, 240), 50)
        np.testing.assert_allclose(wide.points, plain.points * [2, 1], rtol=1e-6)
        np.testing.assert_allclose(wide.scales, plain.scales * np.sqrt(2), rtol=1e-6)
        np.testing.assert_allclose(np.tan(wide.angles), np.tan(plain.angles) / 2, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("quarters", [1, 2, 3])
    def test_angles_turn_with_the_picture(self, quarters):
        """Turned clockwise by quarters, points and angles turn alike: x to the right, y down."""
        pixels = textured(301, 301)
        upright = extract_features(pixels, (301, 301), 80)
        turned = extract_features(np.ascontiguousarray(np.rot90(pixels, -quarters)), (301, 301), 400)
        turn = quarters * np.pi / 2
        expected = turned_by(upright.points, np.array([150.5, 150.5]), turn)
        index, distance = nearest(expected, turned.points)
        found = distance < 0.5
        assert found.mean() > 0.95
        difference = (turned.angles[index] - upright.angles - turn)[found]
        off = np.abs((difference + np.pi) % (2 * np.pi) - np.pi)
        # Some places have several directions, of which another may be the nearest.
        assert np.median(off) < 0.03

    @pytest.mark.parametrize("size", [(1, 1), (1, 600), (7, 3), (12, 12), (40, 30), (640, 480)])
    @pytest.mark.parametrize("grey", [0, 128, 255])
    def test_flat_pictures_have_none(self, size, grey):
        features = extract_features(np.full((*size[::-1], 3), grey, np.uint8), size, 600)
        assert len(features) == 0
        assert features.points.shape == (0, 2)
        assert features.descriptors.shape == (0, 128)

    @given(
        st.integers(1, 40),
        st.integers(1, 40),
        st.integers(0, 2**32 - 1),
        st.integers(1, 10_000),
        st.integers(1, 10_000),
    )
    def test_whatever_the_picture(self, height, width, seed, original_width, original_height):
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        features = extract_features(noise, (original_width, original_height), 50)
        assert len(features) <= 50
        for part in (features.points, features.scales, features.angles, features.descriptors):
            assert np.isfinite(part).all()
        assert (features.points >= 0).all()
        assert (features.points <= np.array([original_width, original_height]) * (1 + 1e-6)).all()
        assert ((features.angles >= 0) & (features.angles < 2 * np.pi)).all()

    @pytest.mark.parametrize(("original", "count"), [((0, 10), 5), ((10, -1), 5), ((10, 10), 0)])
    def test_callers_mistakes(self, original, count):
        with pytest.raises(ValueError, match="points of"):
            extract_features(textured(20, 20), original, count)


def test_mirrored_as_if_the_picture_were():
    """The descriptors are those of the mirrored picture, at the same points."""
    pixels = textured()
    height, width, _ = pixels.shape
    here = extract_features(pixels, (width, height), 300)
    there = extract_features(np.ascontiguousarray(pixels[:, ::-1]), (width, height), 300)
    places = (width, 0) + there.points * (-1, 1)
    turns = np.exp(1j * (np.pi - there.angles))
    away = np.hypot(*(here.points[:, None] - places).transpose(2, 0, 1))
    away += 10 * np.abs(np.exp(1j * here.angles)[:, None] - turns)
    nearest = away.argmin(axis=1)
    same_point = away[np.arange(len(here)), nearest] < 0.5
    assert same_point.mean() > 0.8
    alike = np.vecdot(here.mirrored().descriptors, there.descriptors[nearest])[same_point]
    assert np.quantile(alike, 0.05) > 0.98
    assert np.median(np.vecdot(here.descriptors, there.descriptors[nearest])[same_point]) < 0.9
    np.testing.assert_array_equal(here.mirrored().mirrored().descriptors, here.descriptors)
    np.testing.assert_array_equal(here.mirrored().points, here.points)


class TestShrunk:
    @pytest.mark.parametrize(
        ("size", "side", "expected"),
        [
            ((640, 480), 512, (512, 384)),
            ((480, 640), 320, (240, 320)),
            ((5000, 1), 100, (100, 1)),
            ((7, 3), 1, (1, 1)),
        ],
    )
    def test_sizes(self, size, side, expected):
        assert shrunk(np.full((*size[::-1], 3), 77, np.uint8), side).shape == (*expected[::-1], 3)

    def test_by_area(self):
        pixels = np.array([[[0], [100]], [[50], [250]]], np.uint8).repeat(3, axis=2)
        assert shrunk(pixels, 1).tolist() == [[[100, 100, 100]]]

    @pytest.mark.parametrize("side", [320, 1024])
    def test_never_enlarged(self, side):
        pixels = textured()
        assert shrunk(pixels, side) is pixels

    def test_positions_stay(self):
        """What is found in the shrunk picture lies where it lies in the whole one."""
        pixels = textured(480, 640)
        large = extract_features(pixels, (640, 480), 800)
        small = extract_features(shrunk(pixels, 512), (640, 480), 60)
        _, distance = nearest(small.points, large.points)
        assert np.median(distance) < 0.5

    def test_callers_mistakes(self):
        with pytest.raises(ValueError, match="0 pixels a side"):
            shrunk(textured(8, 8), 0)
