"""Local features: points of a picture that are found again when it is turned, resized or partly hidden.

SIFT (Lowe, IJCV 2004) by OpenCV, its descriptors as RootSIFT (Arandjelović and Zisserman, CVPR 2012): scaled
to a sum of 1, then the square root of each number, so that their dot product is the Hellinger kernel.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from camseek.numerics import F32, U8
from camseek.results import Size

DESCRIPTOR = 128
"""Numbers of a descriptor."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is looked at of a picture.

    Attributes:
        side: Pixels of the longer side it is resized to first; smaller pictures are never enlarged.
        count: The most points wanted.
    """

    side: int
    count: int


INDEXED = Amount(512, 600)
"""Of a picture that is stored."""
QUERIED = Amount(1024, 1000)
"""Of a query: it is small in other pictures, or they in it."""

_CELLS = np.arange(DESCRIPTOR).reshape(4, 4, 8)  # rows, columns, directions
_MIRROR = _CELLS[::-1][:, :, -np.arange(8) % 8].ravel()

_CONTRAST = 0.01  # OpenCV's default of 0.04 leaves soft photographs with a few dozen points
_LAYERS = 3
_EDGE = 10.0
_SIGMA = 1.6


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """Points of a picture, strongest first.

    One place can have several points that differ in their angle alone, where it has several directions.

    Attributes:
        points: float32 (N, 2), x to the right and y down, pixels of the original upright picture: x in
            [0, width], y in [0, height], the first pixel's centre at (0.5, 0.5).
        scales: float32 (N,), diameters in the same pixels, above 0.
        angles: float32 (N,), radians in [0, 2π): where the point's direction shows, from x towards y.
        descriptors: float32 (N, 128), RootSIFT: 0 or more, of norm 1.
    """

    points: Float32[F32, "N 2"]
    scales: Float32[F32, " N"]
    angles: Float32[F32, " N"]
    descriptors: Float32[F32, "N 128"]

    def __len__(self) -> int:
        return len(self.points)

    def mirrored(self) -> "LocalFeatures":
        """The same points, described as they look in a mirror.

        A descriptor is a grid of cells laid along the point's direction, each with eight directions: mirrored
        about that direction, the rows of the grid change places and the directions change sense. So mirrored
        copies are found without extracting anything again; ``geometry.verify`` is told by ``mirrored``.
        """
        return replace(self, descriptors=self.descriptors[:, _MIRROR])


def extract_features(pixels: UInt8[U8, "H W 3"], original: Size, count: int) -> LocalFeatures:
    """Finds the strongest points of a picture, by their contrast, and describes them.

    Args:
        pixels: uint8 (H, W, 3), upright, sRGB: the picture, resized.
        original: Width and height of the upright picture before it was resized; each side may have been
            resized by its own factor.
        count: How many points are wanted.

    Returns:
        At most ``count``; none of a picture that is flat, or has fewer than some dozen pixels a side. The
        same pixels give the same features, in the same order, on any number of threads.

    Raises:
        ValueError: ``count`` or a side of ``original`` is below 1.
    """
    if count < 1 or min(original) < 1:
        raise ValueError(f"no {count} points of {original[0]} x {original[1]} pixels")
    # Precise upscaling, or every point of the first octave would lie a quarter of a pixel off.
    sift = cv2.SIFT.create(count, _LAYERS, _CONTRAST, _EDGE, _SIGMA, enable_precise_upscale=True)
    found, raw = sift.detectAndCompute(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), None)
    rows = np.array([(*key.pt, key.size, key.angle, key.response) for key in found], np.float32)
    rows = rows.reshape(-1, 5)
    descriptors = np.asarray(raw, np.float32).reshape(len(rows), -1) if len(rows) else _NOTHING
    # OpenCV keeps all that are as strong as the last one, in an order of its own.
    order = np.lexsort((*rows[:, 3::-1].T, -rows[:, 4]))
    order = order[descriptors[order].any(axis=1)][:count]
    rows, descriptors = rows[order], descriptors[order]
    zoom = np.array([original[0] / pixels.shape[1], original[1] / pixels.shape[0]], np.float32)
    turns = np.deg2rad(rows[:, 3])
    return LocalFeatures(
        (rows[:, :2] + np.float32(0.5)) * zoom,
        rows[:, 2] * np.sqrt(zoom.prod()),
        wrapped(np.arctan2(np.sin(turns) * zoom[1], np.cos(turns) * zoom[0])),
        np.sqrt(descriptors / descriptors.sum(axis=1, keepdims=True)),
    )


def shrunk(pixels: UInt8[U8, "H W *colours"], side: int) -> UInt8[U8, "H2 W2 *colours"]:
    """A picture at a longer side of so many pixels, by area; itself where it has no more.

    Raises:
        ValueError: ``side`` is below 1.
    """
    if side < 1:
        raise ValueError(f"no picture has {side} pixels a side")
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    factor = side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


_NOTHING = np.zeros((0, DESCRIPTOR), np.float32)


def wrapped(angles: Float32[F32, " N"]) -> Float32[F32, " N"]:
    """Angles in radians, in [0, 2π)."""
    turned = np.mod(angles, np.float32(2 * np.pi))
    # A small negative angle is rounded up to the whole turn.
    return np.where(turned < np.float32(2 * np.pi), turned, np.float32(0))
