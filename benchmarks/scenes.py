"""Generated pictures: posters that can be told apart, and patterns that must not be taken for each other.

Every picture is uint8 (height, width, 3), sRGB; a seed gives the same one every time.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = UInt8[NDArray[np.uint8], "height width 3"]

_WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an"
    " they which one you were all her she there would their we him been has when who will no more if out so"
)


def poster(seed: int, width: int = 480, height: int = 360) -> Pixels:
    """Soft blots of many sizes: full of points, none like another."""
    rng = np.random.default_rng(seed)
    blots = [_grain(rng, height, width, blur, 3) for blur in (1.5, 4.0, 10.0)]
    return _pixels(128 + 30 * np.sum(blots, axis=0))


def brick(seed: int, width: int = 480, height: int = 360) -> Pixels:
    """A wall of bricks, each of its own red."""
    rng = np.random.default_rng(seed)
    across = int(rng.integers(40, 80))
    along, joint = across * 2 // 5, 3
    left, top = -int(rng.integers(across)), -int(rng.integers(along))
    wall = np.full((height, width, 3), 170.0)
    for row, y in enumerate(range(top, height, along)):
        for x in range(left - (row % 2) * across // 2, width, across):
            rows, columns = (
                slice(max(y, 0), max(y + along - joint, 0)),
                slice(max(x, 0), max(x + across - joint, 0)),
            )
            wall[rows, columns] = np.array([150, 75, 60]) + rng.normal(0, 8)
    return _pixels(wall + 6 * _grain(rng, height, width, 1.0, 1))


def tiles(seed: int, width: int = 480, height: int = 360) -> Pixels:
    """A floor laid with one ornament, the same for every seed; only its place and the noise differ."""
    ornament, rng = np.random.default_rng(7), np.random.default_rng(seed)
    side = 80
    tile = np.full((side, side, 3), 230, np.uint8)
    for _ in range(12):
        x, y, radius = (int(ornament.integers(low, high)) for low, high in ((0, side), (0, side), (4, 16)))
        cv2.circle(
            tile, (x, y), radius, [int(value) for value in ornament.integers(0, 255, 3)], 2, cv2.LINE_AA
        )
    floor = np.tile(tile, (height // side + 2, width // side + 2, 1))
    down, right = (int(value) for value in rng.integers(0, side, 2))
    part = floor[down : down + height, right : right + width]
    return _pixels(part + 4 * _grain(rng, height, width, 0.0, 1))


def checks(seed: int, width: int = 480, height: int = 360) -> Pixels:
    """A chessboard."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(20, 60))
    row, column = ((np.arange(length) + int(rng.integers(side))) // side for length in (height, width))
    board = np.where((row[:, None] + column) % 2, 220.0, 40.0)[..., None].repeat(3, axis=2)
    return _pixels(board + 4 * _grain(rng, height, width, 1.0, 1))


def text(seed: int, width: int = 480, height: int = 480) -> Pixels:
    """A page of common words in one typeface."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(14, 22))
    page = Image.new("RGB", (width, height), (250, 248, 240))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    words = _WORDS.split()
    for y in range(30, height - 30, size * 7 // 5):
        line = ""
        while draw.textlength(line, font=font) < width - 90:
            line += words[int(rng.integers(len(words)))] + " "
        draw.text((30, y), line, (20, 20, 20), font=font)
    return _pixels(np.asarray(page, np.float64) + 2 * _grain(rng, height, width, 0.0, 1))


def foliage(seed: int, width: int = 480, height: int = 360) -> Pixels:
    """Leaves upon leaves."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.uint8)
    for _ in range(width * height // 200):
        colour = [int(rng.integers(low, high)) for low, high in ((20, 80), (60, 200), (20, 70))]
        place = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(8, 22)), int(rng.integers(3, 8)))
        cv2.ellipse(picture, place, axes, float(rng.integers(360)), 0, 360, colour, -1, cv2.LINE_AA)
    return picture


def sky(seed: int, width: int = 480, height: int = 360) -> Pixels:
    """Soft clouds."""
    rng = np.random.default_rng(seed)
    return _pixels(np.array([120, 160, 220]) + 25 * _grain(rng, height, width, 40.0, 1))


PATTERNS: dict[str, Callable[[int], Pixels]] = {
    "brick": brick,
    "tiles": tiles,
    "checks": checks,
    "text": text,
    "foliage": foliage,
    "sky": sky,
}
"""Pictures of one pattern share nothing but the pattern."""


def _grain(
    rng: np.random.Generator, height: int, width: int, blur: float, channels: int
) -> NDArray[np.float64]:
    """Noise of variance 1, as fine as a blur of so many pixels."""
    noise = rng.normal(size=(height, width, channels))
    if blur:
        noise = cv2.GaussianBlur(noise, (0, 0), blur).reshape(noise.shape)
    return noise / noise.std()


def _pixels(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
