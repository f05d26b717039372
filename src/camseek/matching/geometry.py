"""Verification: where in a picture the thing is, by correspondences that agree about it.

Correspondences that agree on turn, zoom and place form groups (``agreement``); on each a map of the plane is
sampled and fitted (``planes``). What lies where the map puts it is counted: one to one, once a place, and for
less where a point could be many, so that neither a crowded spot nor a repeated pattern says more than it
knows. The query's outline must then be something that a camera can see. What pictures reach that share
nothing is measured by ``benchmarks/verification.py``.
"""

import math
from collections.abc import Sequence
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
from camseek.numerics import F32, F64, I64, first_of, ranges
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
_MOST_CELLS = 1 << 20  # of a grid, along one side: no place lies further out than ``_FARTHEST``
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
class _Cases:
    """One query against B pictures: M correspondences, one picture after the other, and what is allowed.

    Attributes:
        query: Where each lies in the query, of a picture the most similar first.
        picture: And in its picture.
        frames: The same in the complex plane.
        index: Which of its picture's pairs each is.
        shares: ``agreement.shares``.
        owners: int64 (M,), rising: which picture's.
        corners: The outline.
        sizes: The pictures'.
        tolerances: How far off its place an inlier may lie, in pixels of each picture.
        apart: How near to each other points are one: in pixels of the query and of each picture.
    """

    query: Float64[F64, "M 2"]
    picture: Float64[F64, "M 2"]
    frames: Frames
    index: Int64[I64, " M"]
    shares: Float64[F64, " M"]
    owners: Int64[I64, " M"]
    corners: Float64[F64, "4 2"]
    sizes: tuple[Size, ...]
    tolerances: Float64[F64, " B"]
    apart: tuple[float, Float64[F64, " B"]]

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A map, what agrees with it (rising places among all correspondences), and the outline it gives."""

    plane: Float64[F64, "3 3"]
    inliers: Int64[I64, " N"]
    count: int
    outline: Float64[F64, "4 2"]
    seen: Float64[F64, "V 2"]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A picture that may show the thing.

    Attributes:
        picture: Its points.
        pairs: Which may show the same as which of the query's, with similarities in (0, 1]. The 1,500 most
            similar are looked at; what has a place, scale or angle that cannot be is left out.
        size: Width and height of the upright picture, pixels.
    """

    picture: Located
    pairs: Correspondences
    size: Size


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
    """``verify_all`` of one picture."""
    (found,) = verify_all(query, [Candidate(picture, pairs, size)], outline, mirrored=mirrored, least=least)
    return found


def verify_all(
    query: Located,
    candidates: Sequence[Candidate],
    outline: Float64[F64, "4 2"],
    *,
    mirrored: bool = False,
    least: int = LEAST,
) -> list[tuple[Match, ...]]:
    """Finds the instances of a thing in each of some pictures.

    They are looked at side by side: each alone is little work in many small steps. The same input gives the
    same answer, on any number of threads and whatever other pictures are beside it.

    Args:
        query: The query's points.
        candidates: The pictures.
        outline: float64 (4, 2), the corners of the thing in the query, its pixels, in order round a convex
            quadrilateral: the region's, or the whole picture's.
        mirrored: The pairs are of the mirrored query's descriptors, with ``query`` as it is: only mirrored
            instances are looked for.
        least: Inliers below which nothing is told, 3 or more.

    Returns:
        Of each picture what was found, most inliers first: none, one, or as many as ``INSTANCES``. All but
        the one found first have more inliers than ``CHANCE``.

    Raises:
        ValueError: ``outline`` is no convex quadrilateral, a side of a size or ``least`` is too small, or a
            pair names a point that is not there.
    """
    if least < FREEDOM["affine"]:
        raise ValueError(f"{least} inliers verify nothing")
    _check(query, candidates, outline)
    if not candidates:
        return []
    if mirrored:
        query, outline = _Mirrored.of(query), outline * _FLIP
    cases = _cases_of(query, candidates, outline)
    return [
        tuple(_match(one, cases, mirrored=mirrored) for one in found) for found in _instances(cases, least)
    ]


def _check(query: Located, candidates: Sequence[Candidate], corners: F64) -> None:
    bends = turns(corners) if (np.abs(corners) <= _FARTHEST).all() else np.zeros(4)
    if not (bends.min() > 0 or bends.max() < 0):
        raise ValueError("an outline has four corners, in order round a convex quadrilateral")
    for one in candidates:
        if min(one.size) < 1:
            raise ValueError(f"nothing is seen in {one.size[0]} x {one.size[1]} pixels")
        sides = (one.pairs.query_index, query.points), (one.pairs.picture_index, one.picture.points)
        for index, points in sides:
            if len(index) and not 0 <= index.min() <= index.max() < len(points):
                raise ValueError(f"a pair names a point that is not among {len(points)}")


def _cases_of(query: Located, candidates: Sequence[Candidate], corners: Float64[F64, "4 2"]) -> _Cases:
    counts = np.array([len(one.pairs) for one in candidates], np.int64)
    owners = np.repeat(np.arange(len(candidates)), counts)
    row = ranges(np.zeros(len(counts), np.int64), counts)
    one = np.concatenate([item.pairs.query_index for item in candidates])
    # No two pictures have a point of one number.
    first = np.cumsum([0, *(len(item.picture.points) for item in candidates)])
    other = first[owners] + np.concatenate([item.pairs.picture_index for item in candidates])
    similarity = np.concatenate([item.pairs.similarity for item in candidates])
    held = {
        part: np.concatenate([getattr(item.picture, part) for item in candidates])[other].astype(np.float64)
        for part in ("points", "scales", "angles")
    }
    sizes = np.array([item.size for item in candidates], np.float64)
    places, moved = query.points[one].astype(np.float64), held["points"]
    with np.errstate(all="ignore"):  # what cannot be is left out
        zoom = held["scales"] / query.scales[one]
        turn = held["angles"] - query.angles[one]
        local = np.asarray(zoom * np.exp(1j * turn), np.complex128)
        usable = (np.abs(places) <= _FARTHEST).all(axis=1) & ((moved >= 0) & (moved <= sizes[owners])).all(
            axis=1
        )
        usable &= (zoom >= 1 / _LARGEST_ZOOM) & (zoom <= _LARGEST_ZOOM) & np.isfinite(local)
        usable &= (similarity > 0) & (similarity <= 1)
    apart = max(_APART * float(np.ptp(corners, axis=0).max()), _LEAST_APART)
    longer = sizes.max(axis=1)
    index = np.flatnonzero(usable)
    parts = shares(other[index], places[index], similarity[index], apart)
    order = np.lexsort((-similarity[index], owners[index]))
    order = order[parts[order] >= _LEAST_SHARE]
    order = order[first_of(owners[index[order]], _MOST)]
    index = index[order]
    return _Cases(
        query=places[index],
        picture=moved[index],
        frames=Frames(_plane(places[index]), _plane(moved[index]), local[index]),
        index=row[index],
        shares=parts[order],
        owners=owners[index],
        corners=corners,
        sizes=tuple(item.size for item in candidates),
        tolerances=np.maximum(_TOLERANCE * longer, _LEAST_TOLERANCE),
        apart=(apart, np.maximum(_APART * longer, _LEAST_APART)),
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


def _instances(cases: _Cases, least: int) -> list[list[_Found]]:
    """One instance after the other, each from what the ones before left, until only chance agrees."""
    found: list[list[_Found]] = [[] for _ in range(len(cases))]
    rest = np.arange(len(cases.owners))
    for _ in range(INSTANCES):
        largest = _largest(cases, rest, least)
        if not largest:
            break
        left: list[I64] = []
        for place, one in largest.items():
            found[place].append(one)
            # What agrees with it is this instance, and what lies within its outline a detail that is there
            # twice.
            own = rest[cases.owners[rest] == place]
            off = _off(one.plane, cases.query[own], cases.picture[own]) > _SPENT * cases.tolerances[place]
            left.append(own[off & ~inside(one.outline, cases.picture[own])])
        rest = np.concatenate(left)
        least = max(least, CHANCE + 1)
    return [sorted(several, key=lambda one: -one.count) for several in found]


def _largest(cases: _Cases, rest: Int64[I64, " N"], least: int) -> dict[int, _Found]:
    """Of each case the instance that the largest group carries, or the next where that comes to nothing."""
    owners = cases.owners[rest]
    agreement = Agreement.of(cases.frames[rest], owners, (cases.apart[0], cases.apart[1]))
    alive = np.ones(len(rest), np.bool_)
    found: dict[int, _Found] = {}
    for _ in range(_TRIES):
        group = agreement.largest(alive)
        large = np.bincount(owners[group], minlength=len(cases)) >= least
        alive &= large[owners]
        group = group[large[owners[group]]]
        if not len(group):
            break
        found |= _look(cases, rest[group], rest[alive], least)
        alive[group] = False
        alive &= ~np.isin(owners, list(found))
    return dict(sorted(found.items()))


def _look(cases: _Cases, group: Int64[I64, " G"], among: Int64[I64, " N"], least: int) -> dict[int, _Found]:
    """The freest map that each group carries: a homography, or one less free where that comes to nothing."""
    found: dict[int, _Found] = {}
    sizes = np.bincount(cases.owners[group], minlength=len(cases))
    left = sizes > 0
    for kind in FREEDOM:
        group, among = group[left[cases.owners[group]]], among[left[cases.owners[among]]]
        planes = _started(kind, cases, group)
        planes = _fitted(kind, cases, _agreeing(planes, cases, among))
        inliers = _apart(_agreeing(planes, cases, among), cases)
        members, counts = _counted(inliers, cases)
        large = left & (counts >= least) & (members > FREEDOM[kind])
        for place in np.flatnonzero(large).tolist():
            outline = outline_seen(planes[place], cases.corners, cases.sizes[place])
            seen = None if outline is None else _within(outline, cases.sizes[place])
            if outline is not None and seen is not None:
                own = np.sort(inliers[cases.owners[inliers] == place])
                found[place] = _Found(planes[place], own, int(counts[place]), outline, seen)
                left[place] = False
        if kind == "homography":
            left &= np.isnan(planes[:, 0, 0]) | (sizes < _MANY) | (2 * counts >= least)
    return found


def _started(kind: Kind, cases: _Cases, group: Int64[I64, " G"]) -> Float64[F64, "B 3 3"]:
    """First maps of a kind: sampled, or grown from a group's hypothesis with a tolerance that shrinks."""
    owners = cases.owners[group]
    if kind == "homography":
        return sampled(cases.query[group], cases.picture[group], owners, cases.tolerances)
    first = group[np.flatnonzero(np.diff(owners, prepend=-1))]
    local = cases.frames.local[first]
    linear = np.stack([local.real, -local.imag, local.imag, local.real], axis=1).reshape(-1, 2, 2)
    planes = np.full((len(cases), 3, 3), np.nan)
    shift = cases.picture[first] - (linear @ cases.query[first][:, :, None])[:, :, 0]
    planes[cases.owners[first]] = affine(linear, shift)
    for tolerances in (6.0, 3.0):
        planes = _fitted(kind, cases, _agreeing(planes, cases, group, tolerances))
    return planes


def _fitted(kind: Kind, cases: _Cases, near: Int64[I64, " N"]) -> Float64[F64, "B 3 3"]:
    return fitted(kind, cases.query[near], cases.picture[near], cases.owners[near], len(cases))


def _off(
    plane: Float64[F64, "*N 3 3"], query: Float64[F64, "N 2"], picture: Float64[F64, "N 2"]
) -> Float64[F64, " N"]:
    """How far, in the picture's pixels, points lie from where a map puts them; infinity behind the camera."""
    places, depth = project(plane, query)
    return np.where(depth > 0, np.hypot(*(places - picture).T), np.inf)


def _agreeing(
    planes: Float64[F64, "B 3 3"], cases: _Cases, among: Int64[I64, " N"], tolerances: float = 1.0
) -> Int64[I64, " A"]:
    """Which lie where their case's map puts them, turned and resized as it does, nearest first."""
    owners = cases.owners[among]
    off = _off(planes[owners], cases.query[among], cases.picture[among])
    near = np.flatnonzero(off <= tolerances * cases.tolerances[owners])
    near = near[np.lexsort((off[near], owners[near]))]
    found = among[near]
    linear = derivatives(planes[owners[near]], cases.query[found])
    similarity = nearest_similarity(linear)
    with np.errstate(all="ignore"):
        ratio = cases.frames.local[found] / similarity
        fits = (np.abs(np.angle(ratio)) <= _TURN) & (np.abs(np.log(np.abs(ratio))) <= _ZOOM)
    return found[fits & (areas(linear) > 0)]


def _apart(inliers: Int64[I64, " N"], cases: _Cases) -> Int64[I64, " A"]:
    """The first in each cell of a grid on the query, then of those the first in each cell on the picture."""
    for points, widths in (
        (cases.query, np.full(len(cases), cases.apart[0])),
        (cases.picture, cases.apart[1]),
    ):
        owners = cases.owners[inliers]
        cells = np.floor(points[inliers] / widths[owners, None]).astype(np.int64) + _MOST_CELLS // 2
        inliers = inliers[first_of((owners * _MOST_CELLS + cells[:, 0]) * _MOST_CELLS + cells[:, 1], 1)]
    return inliers


def _counted(inliers: Int64[I64, " N"], cases: _Cases) -> tuple[Int64[I64, " B"], Int64[I64, " B"]]:
    """How many inliers each case has, and what they count by their shares of their points.

    The shares' sum; and less where that is below half of their number, as in all right pairs measured it is
    above, and in patterns below a third (``benchmarks/verification.py``).
    """
    owners = cases.owners[inliers]
    members = np.bincount(owners, minlength=len(cases))
    total = np.bincount(owners, cases.shares[inliers], len(cases))
    counts = np.floor(total * np.minimum(1.0, 2 * total / np.maximum(members, 1)) + 0.5)
    return members, counts.astype(np.int64)


def _within(outline: Float64[F64, "4 2"], size: Size) -> Float64[F64, "V 2"] | None:
    """What of an outline lies within the picture, or None."""
    frame = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float32)
    area, corners = cv2.intersectConvexConvex(outline.astype(np.float32), frame)
    # In single precision a corner may come out a little beyond the frame.
    return corners.reshape(-1, 2).astype(np.float64).clip(0, size) if area > 0 else None


def _match(found: _Found, cases: _Cases, *, mirrored: bool) -> Match:
    low, high = np.floor(found.seen.min(axis=0)), np.ceil(found.seen.max(axis=0))
    middle = derivatives(found.plane, cases.corners.mean(axis=0, keepdims=True))
    turn = math.degrees(float(np.angle(nearest_similarity(middle))[0]))
    return Match(
        inliers=found.count,
        indices=cases.index[found.inliers],
        query=cases.query[found.inliers] * (_FLIP if mirrored else 1.0),
        picture=cases.picture[found.inliers],
        homography=found.plane @ np.diag([*_FLIP, 1.0]) if mirrored else found.plane,
        quadrilateral=found.outline,
        box=(int(low[0]), int(low[1]), int(high[0]), int(high[1])),
        turn=turn if turn > -180 else 180.0,
        scale=math.sqrt(float(areas(middle)[0])),
        mirrored=mirrored,
    )
