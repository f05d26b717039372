"""How much a found picture was changed."""

import numpy as np
import pytest

from camseek.matching.change import change
from textures import texture


def corners(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


PICTURE = texture(1, (160, 120))
WHOLE = corners(0, 0, 160, 120)


def test_a_copy_of_any_size_is_not_changed():
    assert change(PICTURE, WHOLE, PICTURE, WHOLE) < 0.001
    large = PICTURE.repeat(3, 0).repeat(3, 1)
    assert change(PICTURE, WHOLE, large, WHOLE * 3) < 0.02
    # It lies within another picture.
    place = texture(2, (320, 240))
    place[60:180, 100:260] = PICTURE
    assert change(PICTURE, WHOLE, place, corners(100, 60, 260, 180)) < 0.02
    assert change(PICTURE, corners(20, 20, 100, 90), place, corners(120, 80, 200, 150)) < 0.02


def test_place_counts_by_its_corners():
    turned = np.rot90(PICTURE)  # against the clock: the top left goes to the bottom left
    found = change(PICTURE, WHOLE, turned, np.array([[0, 160], [0, 0], [120, 0], [120, 160]], float))
    assert found == pytest.approx(0.5, abs=0.02)
    upside_down = change(PICTURE, WHOLE, PICTURE[::-1, ::-1], WHOLE[[2, 3, 0, 1]])
    assert upside_down > 0.99
    mirrored = change(PICTURE, WHOLE, PICTURE[:, ::-1], WHOLE[[1, 0, 3, 2]])
    assert 0.3 < mirrored < 0.7
    wide = change(PICTURE, WHOLE, PICTURE.repeat(2, 1), WHOLE * (2, 1))
    assert 0.01 < wide < 0.1


def test_look_counts_by_its_colours():
    brighter = np.clip(PICTURE.astype(int) + 40, 0, 255).astype(np.uint8)
    inverted = 255 - PICTURE
    found = [change(PICTURE, WHOLE, other, WHOLE) for other in (PICTURE, brighter, inverted)]
    assert found == sorted(found)
    assert found[1] > 0.05
    red = np.stack([PICTURE[..., 0], *[PICTURE[..., 0] // 2] * 2], axis=2)
    assert change(PICTURE, WHOLE, red, WHOLE) > 0.05
    painted = PICTURE.copy()
    painted[:60] = 0
    assert 0.1 < change(PICTURE, WHOLE, painted, WHOLE) < 0.5


def test_what_was_cropped_counts_whole():
    half = np.ascontiguousarray(PICTURE[:, :80])
    assert change(PICTURE, WHOLE, half, WHOLE) == pytest.approx(0.5, abs=0.03)
    assert change(PICTURE, WHOLE, half, WHOLE + 10_000) == 1.0


def test_degenerate_ones_have_a_result():
    dot = np.zeros((1, 1, 3), np.uint8)
    assert change(dot, corners(0, 0, 1.5, 1.5), dot, corners(0, 0, 1.5, 1.5)) < 1
    grey = np.full((50, 50, 3), 128, np.uint8)
    assert change(grey, corners(0, 0, 50, 50), grey, corners(0, 0, 50, 50)) == 0.0
    line = np.array([[0, 0], [10, 10], [20, 20], [30, 30]], float)
    for wrong in (line, np.full((4, 2), np.nan), np.full((4, 2), 5.0), np.full((4, 2), np.inf)):
        assert change(PICTURE, WHOLE, PICTURE, wrong) == 1.0
        assert change(PICTURE, wrong, PICTURE, WHOLE) == 1.0
