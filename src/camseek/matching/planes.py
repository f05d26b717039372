"""Maps of the plane: fitted to points, looked at, and what they make of an outline.

A map is a matrix 3 x 3 that takes points of the query to points of the picture: (u, v, w) = map · (x, y, 1),
then (u, v) / w (Hartley and Zisserman, Multiple View Geometry, 2004, chapter 4). What is in front of the
camera has w above 0.
"""

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Complex128, Float64
from numpy.typing import NDArray

from camseek.numerics import BOOL, F64
from camseek.results import Size

C128 = NDArray[np.complex128]
Kind = Literal["homography", "affine", "similarity"]
FREEDOM: dict[Kind, int] = {"homography": 4, "affine": 3, "similarity": 2}
"""How many points decide a map of each kind, from the freest on."""

_NEXT = [1, 2, 3, 0]  # each corner's next
_SEED = 7
_SAMPLES = 500
_THINNEST = 0.05  # points this close to a line, by its length, decide no more than a similarity
_LARGEST = 20.0  # a side of an outline is at most so many times as long as the picture,
_SMALLEST = 0.02  # and at least this share of it
_FLATTEST = 8.0  # how much more a map may stretch one way than the other: a plane seen at 7 degrees
_STEEPEST = 60.0  # how many times as large the same may be in one corner as in another


def project(
    plane: Float64[F64, "3 3"], points: Float64[F64, "N 2"]
) -> tuple[Float64[F64, "N 2"], Float64[F64, " N"]]:
    """Where a map puts points, and their w; the place of what is not in front of the camera says nothing."""
    moved = points @ plane[:, :2].T + plane[:, 2]
    depth = moved[:, 2]
    return moved[:, :2] / np.where(depth > 0, depth, 1.0)[:, None], depth


def derivatives(plane: Float64[F64, "3 3"], points: Float64[F64, "N 2"]) -> Float64[F64, "N 2 2"]:
    """What a small step from each point becomes: the map's derivative there."""
    places, depth = project(plane, points)
    linear = plane[:2, :2] - places[:, :, None] * plane[2, :2]
    return linear / np.where(depth > 0, depth, 1.0)[:, None, None]


def nearest_similarity(linear: Float64[F64, "N 2 2"]) -> Complex128[C128, " N"]:
    """The similarity nearest to each derivative, as a number: its length the zoom, its argument the turn."""
    return ((linear[:, 0, 0] + linear[:, 1, 1]) + 1j * (linear[:, 1, 0] - linear[:, 0, 1])) / 2


def areas(linear: Float64[F64, "N 2 2"]) -> Float64[F64, " N"]:
    """How many times as large an area each derivative makes of one; below 0 where it flips it."""
    return linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]


def outline_seen(
    plane: Float64[F64, "3 3"], corners: Float64[F64, "4 2"], size: Size
) -> Float64[F64, "4 2"] | None:
    """Where a map puts the corners of a convex outline, or None where no camera sees it so.

    It must lie in front of the camera, be convex, not flipped and of a sensible size, and be nowhere squeezed
    or stretched out of all proportion.

    Args:
        plane: The map.
        corners: The corners in the query, in either sense.
        size: The picture's width and height.
    """
    places, depth = project(plane, corners)
    if not (depth > 0).all() or not np.isfinite(places).all():
        return None
    if not (turns(places) * turns(corners) > 0).all():
        return None
    sides = np.hypot(*(places[_NEXT] - places).T)
    if sides.min() < _SMALLEST * max(size) or sides.max() > _LARGEST * max(size):
        return None
    linear = derivatives(plane, corners)
    area = areas(linear)
    if not area.min() > 0 or area.max() > _STEEPEST * area.min():
        return None
    # Of singular values s and t the squares sum to the squares of all entries, and s t is the area.
    squares = np.square(linear).sum(axis=(1, 2))
    if (squares > (_FLATTEST + 1 / _FLATTEST) * area).any():
        return None
    return places


def turns(corners: Float64[F64, "4 2"]) -> Float64[F64, " 4"]:
    """At each corner the area between its two sides: above 0 where it turns to the right on the screen."""
    sides = corners[_NEXT] - corners
    after = sides[_NEXT]
    return sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]


def inside(outline: Float64[F64, "4 2"], points: Float64[F64, "N 2"]) -> Bool[BOOL, " N"]:
    """Which points lie within a convex outline."""
    sides = outline[_NEXT] - outline
    away = points[:, None] - outline
    bends = sides[:, 0] * away[..., 1] - sides[:, 1] * away[..., 0]
    return np.abs(np.sign(bends).sum(axis=1)) == len(outline)


def sampled(
    query: Float64[F64, "N 2"], picture: Float64[F64, "N 2"], tolerance: float
) -> Float64[F64, "3 3"] | None:
    """A homography that most points agree with: MAGSAC++ (Barath et al., CVPR 2020), by OpenCV.

    The same points give the same map, on any number of threads.

    Args:
        query: float64 (N, 2).
        picture: float64 (N, 2).
        tolerance: How far off, in the picture's pixels, a point may lie.

    Returns:
        None where the points decide none.
    """
    if not _decide("homography", query):
        return None
    how = cv2.UsacParams()
    how.confidence = 0.999
    how.threshold = tolerance
    how.maxIterations = _SAMPLES
    how.score = cv2.SCORE_METHOD_MAGSAC
    how.sampler = cv2.SAMPLING_UNIFORM
    how.loMethod = cv2.LOCAL_OPTIM_INNER_LO
    how.loIterations = 5
    how.loSampleSize = 14
    how.final_polisher = cv2.COV_POLISHER
    how.final_polisher_iterations = 3
    how.randomGeneratorState = _SEED
    how.isParallel = False
    return _facing(_of_opencv(cv2.findHomography(query, picture, how)[0]), query)


def fitted(
    kind: Kind, query: Float64[F64, "N 2"], picture: Float64[F64, "N 2"]
) -> Float64[F64, "3 3"] | None:
    """The map of a kind with the least squared error in the picture's pixels.

    Returns:
        None where the points decide none.
    """
    if not _decide(kind, query):
        return None
    if kind == "homography":
        return _facing(_of_opencv(cv2.findHomography(query, picture, 0)[0]), query)
    middle, target = query.mean(axis=0), picture.mean(axis=0)
    x, u = query - middle, picture - target
    if kind == "similarity":
        (a, b), (c, d) = x.T @ u / np.square(x).sum()
        linear = np.array([[a + d, c - b], [b - c, a + d]])
    else:
        linear = np.asarray(np.linalg.solve(x.T @ x, x.T @ u), np.float64).T
    return affine(linear, target - linear @ middle)


def affine(linear: Float64[F64, "2 2"], shift: Float64[F64, " 2"]) -> Float64[F64, "3 3"]:
    """The map x -> linear · x + shift."""
    plane = np.eye(3)
    plane[:2, :2], plane[:2, 2] = linear, shift
    return plane


def _decide(kind: Kind, points: Float64[F64, "N 2"]) -> bool:
    """Whether points can decide a map: enough, not all in one place, and for most kinds not on one line."""
    if len(points) < FREEDOM[kind]:
        return False
    away = points - points.mean(axis=0)
    (a, b), (_, c) = away.T @ away
    if kind == "similarity":
        return bool(a + c > 0)
    # Of the eigenvalues, which are the squared extents along and across, the product and the sum.
    return bool(a * c - b * b > _THINNEST**2 * (a + c) ** 2)


def _of_opencv(found: object) -> Float64[F64, "3 3"] | None:
    """A map that OpenCV found, or None; its stubs do not say that there may be none."""
    plane = np.asarray(found, np.float64) if found is not None else None
    return plane if plane is not None and np.isfinite(plane).all() else None


def _facing(plane: Float64[F64, "3 3"] | None, points: Float64[F64, "N 2"]) -> Float64[F64, "3 3"] | None:
    """The map with the sign that puts most of the points in front of the camera."""
    if plane is None:
        return None
    depth = points @ plane[2, :2] + plane[2, 2]
    return plane if 2 * np.count_nonzero(depth > 0) >= len(depth) else -plane
