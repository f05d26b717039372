"""Fine points of pixels: against a plain reference, turned, flat and tiny; the network's file."""

import io
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from camseek.config import DEFAULT_SIZE, Device
from camseek.errors import DamagedModelError, ModelError
from camseek.extraction import fine
from camseek.extraction.fine import FineQuery, fine_points, grey_of, stored_fine
from camseek.images import decode
from camseek.matching.fine import INDEXED, QUERIED, embedded_axes, nearest_pairs, verify_fine
from textures import png, texture


def grey(seed, size=(320, 256)):
    return grey_of(texture(seed, size))


def plain(pixels, count):
    """From what the network gives, in loops; maps are sampled by OpenCV."""
    rows, columns = pixels.shape
    outputs = fine._network(Device()).run(None, {"grey": pixels[None, None].astype(np.float32)})
    maps, logits, reliability = (output[0].astype(np.float64) for output in outputs)
    shares = np.exp(logits) / np.exp(logits).sum(axis=0)
    corner = np.zeros((rows, columns))
    for y in range(rows):
        for x in range(columns):
            corner[y, x] = shares[(y % 8) * 8 + x % 8, y // 8, x // 8]
    maps = maps / np.linalg.norm(maps, axis=0)

    def sampled(plane, x, y, how):
        place = [np.array([[(value + 0.5) / 8 - 0.5]], np.float32) for value in (x, y)]
        return cv2.remap(plane.astype(np.float32), *place, how, borderMode=cv2.BORDER_REPLICATE)[0, 0]

    found = []
    for y in range(rows):
        for x in range(columns):
            window = corner[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            if corner[y, x] > 0.05 and corner[y, x] == window.max():
                strength = corner[y, x] * sampled(reliability[0], x, y, cv2.INTER_LINEAR)
                found.append((strength, x, y))
    found.sort(key=lambda item: -item[0])
    vectors = np.array([[sampled(plane, x, y, cv2.INTER_CUBIC) for plane in maps] for _, x, y in found])
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.array([[x + 0.5, y + 0.5] for _, x, y in found])[:count], vectors[:count]


def test_against_the_plain_reference():
    pixels = grey(1, (96, 64))
    places, descriptors = fine_points(pixels, 40)
    expected_places, expected = plain(pixels, 40)
    assert len(places) > 20
    np.testing.assert_allclose(places, expected_places)
    np.testing.assert_allclose(descriptors, expected, atol=1e-4)
    assert (places.dtype, descriptors.dtype) == (np.float32, np.float32)


def test_the_strongest_come_first_and_places_follow_the_size():
    pixels = grey(2, (330, 250))  # no multiples of 32
    places, descriptors = fine_points(pixels, 500)
    few, same = fine_points(pixels, 30)
    assert np.array_equal(few, places[:30])
    assert np.array_equal(same, descriptors[:30])
    assert ((places > 0) & (places < [330, 250])).all()
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((64, 96), 7, np.uint8),
        np.zeros((1, 1), np.uint8),
        np.arange(3, dtype=np.uint8)[None],
        np.full((300, 16), 255, np.uint8),
    ],
)
def test_flat_and_tiny_pictures(pixels):
    places, descriptors = fine_points(pixels, 100)
    assert places.shape == (len(places), 2)
    assert descriptors.shape == (len(places), 64)
    assert np.isfinite(descriptors).all()
    if pixels.min() == pixels.max():
        assert len(places) == 0


def test_the_same_on_any_thread():
    pixels, found = grey(3), []
    threads = [threading.Thread(target=lambda: found.append(fine_points(pixels, 300))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for places, descriptors in found[1:]:
        assert np.array_equal(places, found[0][0])
        assert np.array_equal(descriptors, found[0][1])


def picture_of(pixels):
    return decode(io.BytesIO(png(pixels)), resize=DEFAULT_SIZE)


@pytest.mark.parametrize("degrees", [0, 30, 90, 210])
def test_a_turned_query_finds_itself(degrees):
    """The stored picture shows the query's region turned; the points are told in the query's own pixels."""
    pixels = texture(4, (300, 220))
    turn = cv2.getRotationMatrix2D((150, 110), -degrees, 1.0)
    turn[:, 2] += (90, 130)
    scene = cv2.warpAffine(pixels, turn, (480, 480), borderValue=(90, 90, 90))
    stored = embedded_axes().unpack(stored_fine(picture_of(scene)), (480, 480))
    x1, y1 = 1000, 500  # the region lies there in a larger picture
    query = FineQuery(grey_of(pixels), (x1, y1, x1 + 600, y1 + 440))
    corners = np.array([[x1, y1], [x1 + 600, y1], [x1 + 600, y1 + 440], [x1, y1 + 440]], np.float64)
    [match, *_] = verify_fine(
        [query.points(degrees, amount) for amount in QUERIED], stored, corners, (480, 480)
    )
    assert match.inliers > 60
    expected = np.array([[0, 0], [300, 0], [300, 220], [0, 220]]) @ turn[:, :2].T + turn[:, 2]
    np.testing.assert_allclose(match.quadrilateral, expected, atol=3)
    assert query.points(degrees, QUERIED[0]) is query.points(degrees, QUERIED[0])


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_points_of_a_turned_picture_lie_where_those_of_the_upright_one_do(degrees):
    query = FineQuery(grey_of(texture(6, (320, 256))), (0, 0, 320, 256))
    upright, turned = (query.points(angle, QUERIED[0]).points for angle in (0, degrees))
    away = upright[:, None] - turned
    nearest = np.abs(away).sum(axis=2).argmin(axis=1)
    moved = away[np.arange(len(upright)), nearest]
    near = moved[np.abs(moved).max(axis=1) < 2]
    assert len(near) > 80
    # The network's own corners lie a quarter of a pixel off, to whichever side it sees.
    np.testing.assert_allclose(near.mean(axis=0), 0, atol=0.6)


def test_what_is_stored_is_bounded():
    large = np.asarray(Image.fromarray(texture(5)).resize((1600, 1200)))
    data = stored_fine(picture_of(large))
    read = embedded_axes().unpack(data, (1600, 1200))
    assert 100 < len(read) <= INDEXED.count
    assert len(data) <= 12 + 20 * INDEXED.count
    assert read.pixel == 2.5
    assert len(nearest_pairs(read, read)) > 0.9 * len(read)
    assert (
        len(embedded_axes().unpack(stored_fine(picture_of(np.full((40, 30, 3), 9, np.uint8))), (30, 40))) == 0
    )


def test_a_network_that_is_lost_or_damaged(monkeypatch, tmp_path):
    place = tmp_path / "xfeat.onnx"
    monkeypatch.setattr(fine, "NETWORK", place)
    fine._loaded.cache_clear()
    try:
        with pytest.raises(ModelError, match="cannot read"):
            fine_points(grey(1), 5)
        place.write_bytes(b"something else")
        with pytest.raises(DamagedModelError, match="is damaged"):
            fine_points(grey(1), 5)
    finally:
        fine._loaded.cache_clear()
