"""Heat maps over pictures."""

import io

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from PIL import Image

from camseek.numerics import F32, resize_bilinear
from camseek.results import View

U8 = NDArray[np.uint8]

# A colour map whose lightness rises steadily from violet to yellow (after matplotlib's plasma), so that it
# reads the same in grey and to colour-blind eyes. It starts lighter than plasma does: a translucent dark
# violet only looks like a shadow.
COLOURS = ((72, 20, 160), (126, 3, 168), (190, 44, 134), (228, 91, 96), (249, 149, 64), (253, 200, 45),
           (245, 250, 75))  # fmt: skip
# How opaque the hottest place is, so that the picture stays recognisable below.
OPACITY = 0.65
# Opacity grows with the heat up to this heat and is full above: only colour tells the hottest apart.
_FULL_FROM = 0.6
# An overlay has this many pixels a cell and side; the browser interpolates the rest.
_PIXELS_PER_CELL = 8


def heat_on_pixels(view: View) -> Float32[F32, "height width"]:
    """Interpolates a view's heat map at each of its pixels.

    Cells past the picture are padding and do not count; the last cell inside may still reach past it.

    Raises:
        ValueError: The cells do not cover the picture.
    """
    height, width, _ = view.pixels.shape
    rows, columns = -(-height // view.stride), -(-width // view.stride)
    if view.heat.shape[0] < rows or view.heat.shape[1] < columns:
        raise ValueError(f"heat {view.heat.shape} of stride {view.stride} does not cover {width} x {height}")
    inside = np.clip(view.heat[:rows, :columns], 0, 1)
    return resize_bilinear(inside, (rows * view.stride, columns * view.stride))[:height, :width]


def heat_overlay(view: View) -> bytes:
    """A translucent PNG of a view's heat map, to be stretched over the picture.

    It has few pixels but exactly the picture's extent; heat 0 is transparent.
    """
    height, width, _ = view.pixels.shape
    scale = min(_PIXELS_PER_CELL / view.stride, 1)
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    heat = resize_bilinear(heat_on_pixels(view), size)
    # Colour and opacity both follow from the heat: a palette says them once, and a pixel takes one byte.
    image = Image.fromarray(_levels(heat))
    image.putpalette(_palette().tobytes())
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True, transparency=_opacities().tobytes())
    return data.getvalue()


def blend(view: View, alpha: float = OPACITY) -> UInt8[U8, "height width 3"]:
    """Paints a view's heat map over its pixels.

    Args:
        view: The picture and its heat.
        alpha: How opaque the hottest places are, from 0 (the picture alone) to 1.

    Returns:
        uint8 (height, width, 3), a new array.

    Raises:
        ValueError: The opacity is outside 0 to 1, or the cells do not cover the picture.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be from 0 to 1, not {alpha}")
    heat = _levels(heat_on_pixels(view))
    share = (_relative_opacity() * np.float32(alpha))[heat][..., None]
    mixed = view.pixels * (1 - share) + _palette()[heat] * share
    return np.rint(mixed).astype(np.uint8)


def _levels(heat: Float32[F32, "H W"]) -> UInt8[U8, "H W"]:
    return np.rint(heat * 255).astype(np.uint8)


def _palette() -> UInt8[U8, "levels 3"]:
    stops = np.array(COLOURS, np.float64)
    place = np.linspace(0, 1, 256)
    channels = [np.interp(place, np.linspace(0, 1, len(stops)), stops[:, i]) for i in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def _relative_opacity() -> Float32[F32, " levels"]:
    heat = np.arange(256, dtype=np.float32) / 255
    return np.minimum(heat / np.float32(_FULL_FROM), 1)


def _opacities() -> UInt8[U8, " levels"]:
    return np.rint(_relative_opacity() * 255 * OPACITY).astype(np.uint8)
