"""Maps of the plane: fitted to points, looked at, and what they make of an outline.

A map is a matrix 3 x 3 that takes points of the query to points of the picture: (u, v, w) = map · (x, y, 1),
then (u, v) / w (Hartley and Zisserman, Multiple View Geometry, 2004, chapter 4). What is in front of the
camera has w above 0.
"""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Complex128, Float64, Int64
from numpy.typing import NDArray

from camseek.numerics import BOOL, F64, I64
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
    plane: Float64[F64, "*N 3 3"], points: Float64[F64, "N 2"]
) -> tuple[Float64[F64, "N 2"], Float64[F64, " N"]]:
    """Where a map, or each point's own, puts points, and their w: of 0 or less, the place says nothing."""
    x, y = points[:, :1], points[:, 1:]
    moved = plane[..., 0] * x + plane[..., 1] * y + plane[..., 2]
    depth = moved[:, 2]
    return moved[:, :2] / np.where(depth > 0, depth, 1.0)[:, None], depth


def derivatives(plane: Float64[F64, "*N 3 3"], points: Float64[F64, "N 2"]) -> Float64[F64, "N 2 2"]:
    """What a small step from each point becomes: the derivative there of the map, or of each point's own."""
    places, depth = project(plane, points)
    linear = plane[..., :2, :2] - places[:, :, None] * plane[..., 2:, :2]
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
    query: Float64[F64, "N 2"],
    picture: Float64[F64, "N 2"],
    owners: Int64[I64, " N"],
    tolerances: Float64[F64, " B"],
) -> Float64[F64, "B 3 3"]:
    """Homographies that most points of each case agree with: MAGSAC++ (Barath et al., CVPR 2020), by OpenCV.

    The same points give the same map, on any number of threads, and whatever other cases are beside them.

    Args:
        query: float64 (N, 2).
        picture: float64 (N, 2).
        owners: int64 (N,), rising: whose a point is, of the cases 0 to B - 1.
        tolerances: float64 (B,): how far off, in the picture's pixels, a point may lie.

    Returns:
        A map of each case, NaN where its points decide none.
    """
    how = cv2.UsacParams()
    how.confidence = 0.999
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

    def find(place: int, points: slice) -> object:
        how.threshold = float(tolerances[place])
        return cv2.findHomography(query[points], picture[points], how)[0]

    return _homographies(find, query, owners, len(tolerances))


def fitted(
    kind: Kind,
    query: Float64[F64, "N 2"],
    picture: Float64[F64, "N 2"],
    owners: Int64[I64, " N"],
    count: int,
) -> Float64[F64, "B 3 3"]:
    """The maps of a kind with the least squared error in the pictures' pixels.

    Args:
        kind: Of all.
        query: float64 (N, 2).
        picture: float64 (N, 2).
        owners: int64 (N,), rising: whose a point is, of the cases 0 to B - 1.
        count: B.

    Returns:
        A map of each case, NaN where its points decide none.
    """
    if kind == "homography":

        def find(place: int, points: slice) -> object:
            return cv2.findHomography(query[points], picture[points], 0)[0]

        return _homographies(find, query, owners, count)
    middle, target = _middles(query, owners, count), _middles(picture, owners, count)
    (x, y), (u, v) = (query - middle[owners]).T, (picture - target[owners]).T

    def total(values: F64) -> F64:
        return np.bincount(owners, values, count).astype(np.float64)  # which it is not of no points

    a, b, c, d = total(x * u), total(x * v), total(y * u), total(y * v)
    p, q, r = total(x * x), total(x * y), total(y * y)
    if kind == "similarity":
        rows, divisor = np.stack([a + d, c - b, b - c, a + d], axis=1), p + r
    else:
        rows = np.stack([r * a - q * c, p * c - q * a, r * b - q * d, p * d - q * b], axis=1)
        divisor = p * r - q * q
    decided = _decide(kind, query, owners, count)
    rows /= np.where(decided, divisor, 1.0)[:, None]
    linear = rows.reshape(-1, 2, 2)
    planes = affine(linear, target - (linear @ middle[:, :, None])[:, :, 0])
    planes[~decided] = np.nan
    return planes


def affine(linear: Float64[F64, "B 2 2"], shift: Float64[F64, "B 2"]) -> Float64[F64, "B 3 3"]:
    """The maps x -> linear · x + shift."""
    planes = np.tile(np.eye(3), (len(linear), 1, 1))
    planes[:, :2, :2], planes[:, :2, 2] = linear, shift
    return planes


def _homographies(
    find: Callable[[int, slice], object], query: Float64[F64, "N 2"], owners: Int64[I64, " N"], count: int
) -> Float64[F64, "B 3 3"]:
    """What OpenCV finds of each case whose points decide a homography, facing them; else NaN.

    Args:
        find: Asks OpenCV: of a case, with the range of its points.
        query: The points.
        owners: Whose they are, rising.
        count: B.
    """
    planes = np.full((count, 3, 3), np.nan)
    borders = np.searchsorted(owners, np.arange(count + 1)).tolist()
    for place in np.flatnonzero(_decide("homography", query, owners, count)).tolist():
        found = find(place, slice(borders[place], borders[place + 1]))
        # OpenCV's stubs do not say that there may be none.
        plane = np.asarray(found, np.float64) if found is not None else None
        if plane is not None and np.isfinite(plane).all():
            planes[place] = plane
    # The sign that puts most of the points in front of the camera.
    own = planes[owners, 2]
    front = np.bincount(owners, own[:, 0] * query[:, 0] + own[:, 1] * query[:, 1] + own[:, 2] > 0, count)
    behind = 2 * front < np.bincount(owners, minlength=count)
    planes[behind] *= -1
    return planes


def _middles(points: Float64[F64, "N 2"], owners: Int64[I64, " N"], count: int) -> Float64[F64, "B 2"]:
    """The means of each case's points; 0 of none."""
    members = np.maximum(np.bincount(owners, minlength=count), 1)
    return np.stack([np.bincount(owners, axis, count) for axis in points.T], axis=1) / members[:, None]


def _decide(
    kind: Kind, points: Float64[F64, "N 2"], owners: Int64[I64, " N"], count: int
) -> Bool[BOOL, " B"]:
    """Whether points can decide a map: enough, not all in one place, and for most kinds not on one line."""
    enough = np.bincount(owners, minlength=count) >= FREEDOM[kind]
    x, y = (points - _middles(points, owners, count)[owners]).T
    a, b, c = (np.bincount(owners, values, count) for values in (x * x, x * y, y * y))
    if kind == "similarity":
        return enough & (a + c > 0)
    # Of the eigenvalues, which are the squared extents along and across, the product and the sum.
    return enough & (a * c - b * b > _THINNEST**2 * (a + c) ** 2)
