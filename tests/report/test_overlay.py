import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camseek.report import blend, heat_overlay
from camseek.report.overlay import COLOURS, OPACITY, heat_on_pixels
from camseek.results import View


def view(heat, *, width, height, stride, grey=100):
    pixels = np.full((height, width, 3), grey, np.uint8)
    return View(pixels, np.array(heat, np.float32), stride, (width, height))


def overlay(seen):
    image = Image.open(io.BytesIO(heat_overlay(seen)))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGBA"))


def test_heat_at_pixels_by_hand():
    # Two cells of 4 pixels: their centres lie at 2 and 6, pixel centres at 0.5, 1.5, ...
    seen = view([[0, 1]], width=8, height=4, stride=4)
    expected = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    np.testing.assert_allclose(heat_on_pixels(seen), [expected] * 4, atol=1e-6)


def test_the_last_cell_may_reach_past_the_picture():
    # The second cell's centre lies at 6 though the picture ends at 5: the heat is cut, not squeezed.
    seen = view([[0, 1]], width=5, height=4, stride=4)
    np.testing.assert_allclose(heat_on_pixels(seen), [[0, 0, 0.125, 0.375, 0.625]] * 4, atol=1e-6)


def test_padding_cells_do_not_count():
    padded = view([[0, 1, 1], [1, 1, 1]], width=5, height=4, stride=4)
    bare = view([[0, 1]], width=5, height=4, stride=4)
    np.testing.assert_array_equal(heat_on_pixels(padded), heat_on_pixels(bare))


@pytest.mark.parametrize("size", [(9, 4), (8, 5)])
def test_cells_that_do_not_cover_the_picture_are_refused(size):
    with pytest.raises(ValueError, match="does not cover"):
        heat_overlay(view([[0, 1]], width=size[0], height=size[1], stride=4))


def test_cold_is_transparent_and_hot_is_not():
    assert not overlay(view([[0]], width=32, height=32, stride=32))[..., 3].any()
    hot = overlay(view([[1]], width=32, height=32, stride=32))
    assert (hot == [*COLOURS[-1], round(255 * OPACITY)]).all()


def test_an_overlay_has_eight_pixels_a_cell_and_the_extent_of_the_picture():
    # 80 x 40 pixels are 2.5 x 1.25 cells of 32.
    assert overlay(view(np.ones((2, 3)), width=80, height=40, stride=32)).shape == (10, 20, 4)
    # Strides below 8 give no more pixels than the picture has.
    assert overlay(view(np.ones((1, 2)), width=7, height=3, stride=4)).shape == (3, 7, 4)


def test_a_hot_cell_lies_where_it_belongs():
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1
    # The picture ends inside the last cells, 112 x 100 of 128 x 128 pixels; the cell's centre is (80, 48).
    opacity = overlay(view(heat, width=112, height=100, stride=32))[..., 3]
    assert opacity.shape == (25, 28)
    rows, columns = np.nonzero(opacity == opacity.max())
    assert rows.mean() + 0.5 == pytest.approx(48 / 4)
    assert columns.mean() + 0.5 == pytest.approx(80 / 4)
    assert not opacity[:, :12].any()  # left of the neighbouring cell's centre, at 48


def test_hotter_is_never_more_transparent():
    opacity = overlay(view([np.linspace(0, 1, 40)], width=1280, height=32, stride=32))[0, :, 3].astype(int)
    assert (np.diff(opacity) >= 0).all()


def test_blend_by_hand():
    seen = view([[1]], width=4, height=4, stride=4, grey=100)
    np.testing.assert_array_equal(blend(seen, 0.0), seen.pixels)
    np.testing.assert_array_equal(blend(seen, 1.0), np.broadcast_to(np.uint8(COLOURS[-1]), (4, 4, 3)))
    halfway = np.rint((100 + np.array(COLOURS[-1])) / 2)
    np.testing.assert_array_equal(blend(seen, 0.5)[0, 0], halfway)


def test_blend_leaves_cold_places_and_its_input_alone():
    seen = view([[0, 1]], width=8, height=4, stride=4)
    mixed = blend(seen)
    np.testing.assert_array_equal(mixed[:, :2], seen.pixels[:, :2])
    assert (mixed[:, 6] != 100).any()
    assert (seen.pixels == 100).all()


def test_blend_agrees_with_the_overlay():
    seen = view([[0.2, 0.9], [0.5, 0]], width=16, height=16, stride=8, grey=60)
    layer = overlay(seen).astype(np.float64)
    share = layer[..., 3:] / 255
    np.testing.assert_allclose(blend(seen), 60 * (1 - share) + layer[..., :3] * share, atol=1.5)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_blend_refuses_other_opacities(alpha):
    with pytest.raises(ValueError, match="alpha"):
        blend(view([[1]], width=4, height=4, stride=4), alpha)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_any_picture_has_an_overlay(width, height, stride):
    heat = np.ones((-(-height // stride), -(-width // stride)), np.float32)
    seen = view(heat, width=width, height=height, stride=stride)
    assert overlay(seen)[..., 3].min() > 0
    assert blend(seen).shape == seen.pixels.shape
