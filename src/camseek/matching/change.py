"""How much what was found differs from what was searched for, once it is known where it lies."""

from typing import Any, cast

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

# Both are compared as so many pixels a side, of a grid so many times as fine: as places agree only roughly.
_SIDE, _FINE = 32, 8


def change(
    query: UInt8[np.ndarray, "h w 3"],
    region: Float64[np.ndarray, "4 2"],
    found: UInt8[np.ndarray, "fh fw 3"],
    corners: Float64[np.ndarray, "4 2"],
) -> float:
    """How much a found picture was changed, from 0 (a copy, of whatever size) to 1.

    Two things count, each from 0 to 1, and together as ``1 - (1 - place) (1 - look)``:

    - *place*: half of one less the correlation of the outline's corners with those of the region, both about
      their middles. A copy of any size has 0, one that is turned by a right angle 1/2, one that is upside
      down 1; mirrors, stretching and slanted views lie in between.
    - *look*: the mean difference of the colours where both are laid over each other, as a part of the
      largest; what of the region lies outside of the found picture (it was cropped) counts whole.

    Args:
        query: The query's picture, sRGB.
        region: The corners of what was searched for in it, pixels: the top left first, clockwise.
        found: The found picture, sRGB.
        corners: Where those corners lie in it, in the same order, pixels; also outside of it.

    Returns:
        The change; 1 where one of the two outlines is none: not finite, or without an area.
    """
    if not (_has_area(region) and _has_area(corners)):
        return 1.0
    one, other = region - region.mean(axis=0), corners - corners.mean(axis=0)
    alike = float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))
    place = (1 - alike) / 2
    (mine, _), (theirs, there) = _laid(query, region), _laid(found, corners)
    apart = np.abs(mine - theirs).mean(axis=2) / 255
    look = float(np.where(there > 0.5, apart, 1.0).mean())
    return float(np.clip(1 - (1 - place) * (1 - look), 0.0, 1.0))


def _has_area(corners: Float64[np.ndarray, "4 2"]) -> bool:
    if not np.isfinite(corners).all():
        return False
    across, down = corners[2] - corners[0], corners[3] - corners[1]
    return abs(float(across[0] * down[1] - across[1] * down[0])) > 1.0


def _laid(
    picture: UInt8[np.ndarray, "h w 3"], corners: Float64[np.ndarray, "4 2"]
) -> tuple[Float64[np.ndarray, "s s 3"], Float64[np.ndarray, "s s"]]:
    """What lies within four corners as a small square, and how much of each of its pixels the picture has."""
    side = _SIDE * _FINE
    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    onto = cv2.getPerspectiveTransform(corners.astype(np.float32), square)
    fine = cv2.warpPerspective(picture, onto, (side, side), flags=cv2.INTER_LINEAR)
    whole = np.full(picture.shape[:2], 255, np.uint8)
    there = cv2.warpPerspective(whole, onto, (side, side), flags=cv2.INTER_NEAREST)
    return _small(fine), _small(there) / 255


def _small(pixels: Any) -> Float64[np.ndarray, "..."]:
    return cast(Any, cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)).astype(np.float64)
