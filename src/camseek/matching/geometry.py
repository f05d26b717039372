"""Verification: where in a picture the thing is, by correspondences that agree about it.

Correspondences that agree on turn, zoom and place form groups (``agreement``); on each a map of the plane is
sampled and fitted (``planes``). What lies where the map puts it is counted: one to one, once a place, and for
less where a point could be many, so that neither a crowded spot nor a repeated pattern says more than it
knows. The query's outline must then be something that a camera can see. What pictures reach that share
nothing is measured by ``benchmarks/verification.py``.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Complex128, Float32, Float64, Int64

from camseek.matching.agreement import Agreement, Frames, shares
from camseek.matching.planes import (
    C128,
    FREEDOM,
    Kind,
    affine,
    areas,
    derivatives,
    fitted,
    inside,
    nearest_similarity,
    outline_seen,
    project,
    sampled,
    turns,
)
from camseek.matching.words import Correspondences
from camseek.numerics import F32, F64, I64
from camseek.results import Box, Size

CHANCE = 5
"""Inliers that pictures which share nothing reach now and then."""
LEAST = 5
"""Inliers below which nothing is told."""
INSTANCES = 8
"""The most outlines of one picture."""

_MOST = 1500  # correspondences looked at, the most similar
_LEAST_SHARE = 0.1  # of a point of the picture: correspondences with less are left out
_FARTHEST = 1e6  # pixels: what lies further out is no place in any picture
_LARGEST_ZOOM = 1e4  # nor is anything so many times as large or small
_TOLERANCE = 0.008  # how far off its place an inlier may lie, in shares of the picture's longer side,
_LEAST_TOLERANCE = 2.0  # and in pixels
_APART = 0.01  # how near to each other points are one, in shares of the longer side,
_LEAST_APART = 3.0  # and in pixels
_TURN = math.radians(40)  # how far a point's own turn may be off the map's there
_ZOOM = math.log(2.2)
_SPENT = 3.0  # within so many tolerances of an instance's map
_TRIES = 3  # groups looked at in turn for one instance
_MANY = 16  # of so many a homography that is there is found, or most of it
_FLIP = np.array([-1.0, 1.0])


@runtime_checkable
class Located(Protocol):
    """Points of a picture: ``LocalFeatures``, ``WordPoints``, ``QueryWords``."""

    @property
    def points(self) -> Float32[F32, "N 2"]:
        """float32 (N, 2): x to the right, y down, pixels of the original upright picture."""
        ...

    @property
    def scales(self) -> Float32[F32, " N"]:
        """float32 (N,): diameters in the same pixels."""
        ...

    @property
    def angles(self) -> Float32[F32, " N"]:
        """float32 (N,): radians, from x towards y."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """An instance of the thing in a picture.

    Attributes:
        inliers: How many correspondences lie where they should, one to one and apart from each other. One
            whose point of the picture could also be other points of the query counts as its share of that
            (``agreement.shares``), so a repeated pattern counts for little; rounded.
        indices: int64 (N,), N of ``inliers`` or more: which of the correspondences they are, the most similar
            first.
        query: float64 (N, 2): where each lies in the query, its pixels.
        picture: float64 (N, 2): and in the picture.
        homography: float64 (3, 3): (u, v, w) = homography · (x, y, 1) takes a point of the query to the point
            (u, v) / w of the picture, pixels of both originals; w is above 0 all over the outline.
        quadrilateral: float64 (4, 2), the outline's corners in the picture, in the order of the query's.
            They may lie outside the picture.
        box: The least box around what of the outline is within the picture.
        turn: Degrees in (-180, 180] by which the thing is turned to the right, after it was mirrored if it
            was; in the outline's middle.
        scale: How many times as large it is, in the outline's middle, from pixels to pixels.
        mirrored: Whether it is mirrored, left to right.
    """

    inliers: int
    indices: Int64[I64, " N"]
    query: Float64[F64, "N 2"]
    picture: Float64[F64, "N 2"]
    homography: Float64[F64, "3 3"]
    quadrilateral: Float64[F64, "4 2"]
    box: Box
    turn: float
    scale: float
    mirrored: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One query against one picture: M correspondences, the most similar first, and what is allowed."""

    query: Float64[F64, "M 2"]
    picture: Float64[F64, "M 2"]
    frames: Frames
    index: Int64[I64, " M"]
    shares: Float64[F64, " M"]
    corners: Float64[F64, "4 2"]
    size: Size
    tolerance: float
    apart: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A map, what agrees with it (rising places among the case's), and the outline it gives."""

    plane: Float64[F64, "3 3"]
    inliers: Int64[I64, " N"]
    count: int
    outline: Float64[F64, "4 2"]
    seen: Float64[F64, "V 2"]


def verify(
    query: Located,
    picture: Located,
    pairs: Correspondences,
    outline: Float64[F64, "4 2"],
    size: Size,
    *,
    mirrored: bool = False,
    least: int = LEAST,
) -> tuple[Match, ...]:
    """Finds the instances of a thing in one picture.

    The same input gives the same answer, on any number of threads.

    Args:
        query: The query's points.
        picture: The picture's points.
        pairs: Which may show the same, with similarities in (0, 1]. The 1,500 most similar are looked at;
            what has a place, scale or angle that cannot be is left out.
        outline: float64 (4, 2), the corners of the thing in the query, its pixels, in order round a convex
            quadrilateral: the region's, or the whole picture's.
        size: Width and height of the upright picture, pixels.
        mirrored: The pairs are of the mirrored query's descriptors, with ``query`` as it is: only mirrored
            instances are looked for.
        least: Inliers below which nothing is told, 3 or more.

    Returns:
        What was found, most inliers first: none, one, or as many as ``INSTANCES``. All but the one found
        first have more inliers than ``CHANCE``.

    Raises:
        ValueError: ``outline`` is no convex quadrilateral, a side of ``size`` or ``least`` is too small, or a
            pair names a point that is not there.
    """
    if least < FREEDOM["affine"]:
        raise ValueError(f"{least} inliers verify nothing")
    _check(query, picture, pairs, outline, size)
    if mirrored:
        query, outline = _Mirrored.of(query), outline * _FLIP
    case = _case_of(query, picture, pairs, outline, size)
    found = _instances(case, least)
    return tuple(_match(one, case, mirrored=mirrored) for one in found)


def _check(query: Located, picture: Located, pairs: Correspondences, corners: F64, size: Size) -> None:
    bends = turns(corners) if (np.abs(corners) <= _FARTHEST).all() else np.zeros(4)
    if not (bends.min() > 0 or bends.max() < 0):
        raise ValueError("an outline has four corners, in order round a convex quadrilateral")
    if min(size) < 1:
        raise ValueError(f"nothing is seen in {size[0]} x {size[1]} pixels")
    for index, points in ((pairs.query_index, query.points), (pairs.picture_index, picture.points)):
        if len(index) and not 0 <= index.min() <= index.max() < len(points):
            raise ValueError(f"a pair names a point that is not among {len(points)}")


def _case_of(
    query: Located, picture: Located, pairs: Correspondences, corners: Float64[F64, "4 2"], size: Size
) -> _Case:
    one, other = pairs.query_index, pairs.picture_index
    places, moved = query.points[one].astype(np.float64), picture.points[other].astype(np.float64)
    with np.errstate(all="ignore"):  # what cannot be is left out
        zoom = picture.scales[other].astype(np.float64) / query.scales[one]
        turn = picture.angles[other].astype(np.float64) - query.angles[one]
        local = np.asarray(zoom * np.exp(1j * turn), np.complex128)
        usable = (np.abs(places) <= _FARTHEST).all(axis=1) & ((moved >= 0) & (moved <= size)).all(axis=1)
        usable &= (zoom >= 1 / _LARGEST_ZOOM) & (zoom <= _LARGEST_ZOOM) & np.isfinite(local)
        usable &= (pairs.similarity > 0) & (pairs.similarity <= 1)
    sides = float(np.ptp(corners, axis=0).max()), max(size)
    apart = max(_APART * sides[0], _LEAST_APART), max(_APART * sides[1], _LEAST_APART)
    index = np.flatnonzero(usable)
    parts = shares(other[index], places[index], pairs.similarity[index], apart[0])
    order = np.argsort(-pairs.similarity[index], kind="stable")
    order = order[parts[order] >= _LEAST_SHARE][:_MOST]
    index = index[order]
    return _Case(
        query=places[index],
        picture=moved[index],
        frames=Frames(_plane(places[index]), _plane(moved[index]), local[index]),
        index=index,
        shares=parts[order],
        corners=corners,
        size=size,
        tolerance=max(_TOLERANCE * max(size), _LEAST_TOLERANCE),
        apart=apart,
    )


def _plane(points: Float64[F64, "N 2"]) -> Complex128[C128, " N"]:
    """Points as x + iy."""
    return np.ascontiguousarray(points).view(np.complex128)[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class _Mirrored:
    """Points as they are where the picture is mirrored about x = 0."""

    points: Float32[F32, "N 2"]
    scales: Float32[F32, " N"]
    angles: Float32[F32, " N"]

    @classmethod
    def of(cls, located: Located) -> "_Mirrored":
        return cls(
            located.points * _FLIP.astype(np.float32), located.scales, np.float32(np.pi) - located.angles
        )


def _instances(case: _Case, least: int) -> list[_Found]:
    """One instance after the other, each from what the ones before left, until only chance agrees."""
    found: list[_Found] = []
    rest = np.arange(len(case.index))
    while len(found) < INSTANCES:
        one = _largest(case, rest, least)
        if one is None:
            break
        found.append(one)
        # What agrees with it is this instance, and what lies within its outline a detail that is there twice.
        left = _off(one.plane, case.query[rest], case.picture[rest]) > _SPENT * case.tolerance
        rest = rest[left & ~inside(one.outline, case.picture[rest])]
        least = max(least, CHANCE + 1)
    return sorted(found, key=lambda one: -one.count)


def _largest(case: _Case, rest: Int64[I64, " N"], least: int) -> _Found | None:
    """The instance that the largest group carries, or the next where that comes to nothing."""
    agreement = Agreement.of(case.frames[rest], case.apart)
    alive = np.ones(len(rest), np.bool_)
    for _ in range(_TRIES):
        group = agreement.largest(alive)
        if len(group) < least:
            break
        one = _look(case, rest[group], rest[alive], least)
        if one is not None:
            return one
        alive[group] = False
    return None


def _look(case: _Case, group: Int64[I64, " G"], among: Int64[I64, " N"], least: int) -> _Found | None:
    """The freest map that a group carries: a homography, or one less free where that comes to nothing."""
    for kind in FREEDOM:
        plane = _started(kind, case, group)
        if plane is not None:
            near = _agreeing(plane, case, among)
            plane = fitted(kind, case.query[near], case.picture[near])
        if plane is None:
            continue
        inliers = _apart(_agreeing(plane, case, among), case)
        count = _count(case.shares[inliers])
        if count < least or len(inliers) <= FREEDOM[kind]:
            if kind == "homography" and len(group) >= _MANY and 2 * count < least:
                return None
            continue
        outline = outline_seen(plane, case.corners, case.size)
        seen = None if outline is None else _within(outline, case.size)
        if outline is not None and seen is not None:
            return _Found(plane, np.sort(inliers), count, outline, seen)
    return None


def _started(kind: Kind, case: _Case, group: Int64[I64, " G"]) -> Float64[F64, "3 3"] | None:
    """A first map of a kind: sampled, or grown from the group's hypothesis with a tolerance that shrinks."""
    if kind == "homography":
        return sampled(case.query[group], case.picture[group], case.tolerance)
    local = case.frames.local[group[0]]
    linear = np.array([[local.real, -local.imag], [local.imag, local.real]])
    plane = affine(linear, case.picture[group[0]] - linear @ case.query[group[0]])
    for tolerances in (6.0, 3.0):
        near = _agreeing(plane, case, group, tolerances)
        closer = fitted(kind, case.query[near], case.picture[near])
        if closer is None:
            return None
        plane = closer
    return plane


def _off(
    plane: Float64[F64, "3 3"], query: Float64[F64, "N 2"], picture: Float64[F64, "N 2"]
) -> Float64[F64, " N"]:
    """How far, in the picture's pixels, points lie from where a map puts them; infinity behind the camera."""
    places, depth = project(plane, query)
    return np.where(depth > 0, np.hypot(*(places - picture).T), np.inf)


def _agreeing(
    plane: Float64[F64, "3 3"], case: _Case, among: Int64[I64, " N"], tolerances: float = 1.0
) -> Int64[I64, " A"]:
    """Which lie where a map puts them, turned and resized as it does, nearest first."""
    off = _off(plane, case.query[among], case.picture[among])
    near = np.flatnonzero(off <= tolerances * case.tolerance)
    near = near[np.argsort(off[near], kind="stable")]
    linear = derivatives(plane, case.query[among[near]])
    similarity = nearest_similarity(linear)
    with np.errstate(all="ignore"):
        ratio = case.frames.local[among[near]] / similarity
        fits = (np.abs(np.angle(ratio)) <= _TURN) & (np.abs(np.log(np.abs(ratio))) <= _ZOOM)
    return among[near[fits & (areas(linear) > 0)]]


def _apart(inliers: Int64[I64, " N"], case: _Case) -> Int64[I64, " A"]:
    """The first in each cell of a grid on the query, then of those the first in each cell on the picture."""
    for points, width in zip((case.query, case.picture), case.apart, strict=True):
        cells = np.floor(points[inliers] / width).astype(np.int64)
        _, first = np.unique(cells[:, 0] * (1 << 32) + cells[:, 1], return_index=True)
        inliers = inliers[np.sort(first)]
    return inliers


def _count(parts: Float64[F64, " N"]) -> int:
    """What inliers count that have these shares of their points.

    Their sum; and less where that is below half of their number, as in all right pairs measured it is above,
    and in patterns below a third (``benchmarks/verification.py``).
    """
    total = float(parts.sum())
    return math.floor(total * min(1.0, 2 * total / max(len(parts), 1)) + 0.5)


def _within(outline: Float64[F64, "4 2"], size: Size) -> Float64[F64, "V 2"] | None:
    """What of an outline lies within the picture, or None."""
    frame = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float32)
    area, corners = cv2.intersectConvexConvex(outline.astype(np.float32), frame)
    # In single precision a corner may come out a little beyond the frame.
    return corners.reshape(-1, 2).astype(np.float64).clip(0, size) if area > 0 else None


def _match(found: _Found, case: _Case, *, mirrored: bool) -> Match:
    low, high = np.floor(found.seen.min(axis=0)), np.ceil(found.seen.max(axis=0))
    middle = derivatives(found.plane, case.corners.mean(axis=0, keepdims=True))
    turn = math.degrees(float(np.angle(nearest_similarity(middle))[0]))
    return Match(
        inliers=found.count,
        indices=case.index[found.inliers],
        query=case.query[found.inliers] * (_FLIP if mirrored else 1.0),
        picture=case.picture[found.inliers],
        homography=found.plane @ np.diag([*_FLIP, 1.0]) if mirrored else found.plane,
        quadrilateral=found.outline,
        box=(int(low[0]), int(low[1]), int(high[0]), int(high[1])),
        turn=turn if turn > -180 else 180.0,
        scale=math.sqrt(float(areas(middle)[0])),
        mirrored=mirrored,
    )
