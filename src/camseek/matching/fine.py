"""Fine points: what decides a pair that visual words leave open, in 20 bytes a point.

A learned feature (XFeat, Potje et al., CVPR 2024) sees more than SIFT in noisy, blurred and soft pictures,
but bears no turning. Its descriptors of 64 numbers are projected on 32 axes, which ship, and kept in four
bits each. What extracts them is ``camseek.extraction.fine``; ``geometry.verify_all`` takes what corresponds.
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from camseek.matching.features import Amount
from camseek.matching.geometry import Candidate, Match, verify_all
from camseek.matching.words import Correspondences, QueryWords, WordPoints
from camseek.numerics import BOOL, F32, F64, I64, l2_normalise, principal_directions
from camseek.results import Size

DESCRIPTOR = 64
"""Numbers of a descriptor."""
AXES = 32
"""Numbers that are kept of it."""
INDEXED = Amount(640, 600)
"""How much is looked at of a picture that is stored."""
QUERIED = Amount(384, 800), Amount(768, 1200)
"""How much of a query, at each of two sizes: what is small in one picture may be large in the other."""
ALIKE = 0.82
"""From which cosine on two points correspond."""
CHANCE = 16
"""Inliers that pictures which share nothing reach now and then."""
TURN = 30
"""Degrees between the turns at which a query is looked at: half of it costs few matches."""
MAX_POINTS = 4096
"""The most points that a picture's trace has."""

_DISTINCT = 0.03  # so much more alike than to any other place of the query, which lies
_ELSEWHERE = 0.1  # so far away, in shares of the points' extent
_FEW = 10  # correspondences, of fewer of which no turn is likely
_LEVELS = 16
_STEP = 0.335  # standard deviations between levels: the least error of a normal number in 16 of them
_POSITIONS = 65536
# What a byte's two numbers are, in steps from the middle of the levels.
_NIBBLES = np.stack([np.arange(256) & 15, np.arange(256) >> 4], axis=1)
_VALUES = (_NIBBLES - (_LEVELS - 1) / 2).astype(np.float32)
_POINT = np.dtype([("x", "<u2"), ("y", "<u2"), ("codes", "u1", (AXES // 2,))])
_HEAD = struct.Struct("<4sIHH")  # magic, the axes' tag, pixels of the longer side as it was seen, how many
_MAGIC = b"cfp1"
_AXES_MAGIC = b"camseek fine axes 1\n"


@dataclass(frozen=True, slots=True, eq=False)
class FinePoints:
    """Fine points of a picture, strongest first (``geometry.Located``).

    Attributes:
        points: float32 (N, 2), x to the right and y down, pixels of the original upright picture.
        vectors: float32 (N, 32), of norm 1.
        pixel: How many of the original's pixels one was when they were found, above 0: the scale of each.
        angle: Radians in [0, 2π): how the picture was turned when they were found.
    """

    points: Float32[F32, "N 2"]
    vectors: Float32[F32, "N 32"]
    pixel: float
    angle: float = 0.0

    def __len__(self) -> int:
        return len(self.points)

    @property
    def scales(self) -> Float32[F32, " N"]:
        """float32 (N,): ``pixel`` of each."""
        return np.full(len(self), self.pixel, np.float32)

    @property
    def angles(self) -> Float32[F32, " N"]:
        """float32 (N,): ``angle`` of each."""
        return np.full(len(self), self.angle, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FineAxes:
    """Axes that descriptors are projected on, and the steps in which what comes out is kept.

    Attributes:
        projection: float32 (64, 32). There is no mean to take away, or cosines would not be those of the
            descriptors.
        steps: float32 (32,), above 0: between two of the 16 levels of each number.
        checksum: SHA-256 of ``to_bytes``, hexadecimal.
        tag: Its first 32 bits, which travel with the points of pictures.

    All numbers are exact in half precision, so that ``to_bytes`` loses nothing.

    Raises:
        ValueError: A number cannot be.
    """

    projection: Float32[F32, "64 32"]
    steps: Float32[F32, " 32"]
    checksum: str = field(init=False, repr=False)
    tag: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        numbers = np.concatenate([self.projection.ravel(), self.steps])
        with np.errstate(over="ignore"):
            exact = np.isfinite(numbers).all() and (numbers.astype(np.float16) == numbers).all()
        if not exact or (self.steps <= 0).any():
            raise ValueError("numbers of axes must be finite and of half precision, and steps above 0")
        checksum = hashlib.sha256(self.to_bytes()).hexdigest()
        object.__setattr__(self, "checksum", checksum)
        object.__setattr__(self, "tag", int(checksum[:8], 16))

    def to_bytes(self) -> bytes:
        """Head, projection and steps, little-endian; ``from_bytes`` reads it back."""
        parts = (self.projection, self.steps)
        return _AXES_MAGIC + b"".join(part.astype("<f2").tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "FineAxes":
        """Reads what ``to_bytes`` wrote.

        Raises:
            ValueError: It did not write this.
        """
        numbers = (DESCRIPTOR + 1) * AXES
        if not data.startswith(_AXES_MAGIC) or len(data) != len(_AXES_MAGIC) + 2 * numbers:
            raise ValueError("these are no axes of fine points")
        values = np.frombuffer(data, "<f2", offset=len(_AXES_MAGIC)).astype(np.float32).reshape(-1, AXES)
        return cls(values[:DESCRIPTOR], values[DESCRIPTOR])

    def project(self, descriptors: Float32[F32, "N 64"]) -> Float32[F32, "N 32"]:
        """Descriptors as a query's are compared: projected, of norm 1; zero stays zero."""
        return l2_normalise(descriptors @ self.projection)

    def pack(
        self, points: Float32[F32, "N 2"], descriptors: Float32[F32, "N 64"], original: Size, side: int
    ) -> bytes:
        """Points of a picture in 20 bytes each, behind a head of 12: what a collection stores of it.

        Args:
            points: float32 (N, 2), pixels of the original upright picture; kept to a 65,536th of its side.
            descriptors: float32 (N, 64), of norm 1.
            original: Width and height of the upright picture.
            side: Pixels of its longer side as it was seen.

        Raises:
            ValueError: There are more than ``MAX_POINTS``, or a side is below 1 or above 65,535.
        """
        if len(points) > MAX_POINTS or min(original) < 1 or not 1 <= side <= 0xFFFF:
            raise ValueError(f"cannot pack {len(points)} points of {original[0]} x {original[1]} pixels")
        rows = np.zeros(len(points), _POINT)
        shares = np.floor(points.astype(np.float64) * (_POSITIONS / np.array(original, np.float64)))
        rows["x"], rows["y"] = np.clip(shares, 0, _POSITIONS - 1).T
        levels = np.floor(self.project(descriptors) / self.steps) + _LEVELS // 2
        codes = np.clip(levels, 0, _LEVELS - 1).astype(np.uint8)
        rows["codes"] = codes[:, ::2] | codes[:, 1::2] << 4
        return _HEAD.pack(_MAGIC, self.tag, side, len(points)) + rows.tobytes()

    def unpack(self, data: bytes, original: Size) -> FinePoints:
        """The points that ``pack`` put away.

        Anybody may have made ``data``: whatever passes is within the picture, and of norm 1.

        Raises:
            ValueError: ``pack`` did not write this, or with other axes.
        """
        if len(data) < _HEAD.size or not data.startswith(_MAGIC) or min(original) < 1:
            raise ValueError("these are no fine points of a picture")
        _, tag, side, count = _HEAD.unpack_from(data)
        if count > MAX_POINTS or not side or len(data) != _HEAD.size + count * _POINT.itemsize:
            raise ValueError(f"{count} fine points are not {len(data)} bytes")
        if tag != self.tag:
            raise ValueError("the fine points are of other axes")
        rows = np.frombuffer(data, _POINT, offset=_HEAD.size)
        places = (np.stack([rows["x"], rows["y"]], axis=1) + 0.5) * (np.array(original) / _POSITIONS)
        vectors = _VALUES[rows["codes"]].reshape(count, AXES) * self.steps
        return FinePoints(places.astype(np.float32), l2_normalise(vectors), max(original) / side)


@cache
def embedded_axes() -> FineAxes:
    """The axes that ship, fitted on photographs of the Grocery Store Dataset."""
    place = resources.files("camseek.matching") / "data" / "fine.bin"
    return FineAxes.from_bytes(place.read_bytes())


def fit_axes(descriptors: Float32[F32, "N 64"]) -> FineAxes:
    """Fits axes: the directions of the largest mean squares, and steps for numbers spread as these are.

    Args:
        descriptors: float32 (N, 64), of norm 1.

    Raises:
        ValueError: There are too few, or one is not finite.
    """
    if len(descriptors) <= DESCRIPTOR or not np.isfinite(descriptors).all():
        raise ValueError(f"{len(descriptors)} descriptors give no axes, or not all are finite")
    _, directions = principal_directions(descriptors, np.zeros(DESCRIPTOR))
    projection = directions[:, :AXES].astype(np.float16).astype(np.float32)
    projected = l2_normalise(descriptors @ projection)
    spread = np.sqrt(np.square(projected, dtype=np.float64).mean(axis=0))
    least = np.finfo(np.float16).tiny
    return FineAxes(projection, np.maximum(_STEP * spread, least).astype(np.float16).astype(np.float32))


def nearest_pairs(query: FinePoints, picture: FinePoints, *, alike: float = ALIKE) -> Correspondences:
    """Points of a query and a picture that are each other's nearest, and near, and not like other places.

    What is everywhere in the query, such as the edge of a frame, says nothing of where it is.

    Args:
        query: The query's points.
        picture: The picture's points.
        alike: From which cosine on.

    Returns:
        Pairs, each point in one at most; of equally near ones the stronger.
    """
    if not len(query) or not len(picture):
        nothing = np.zeros(0, np.int64)
        return Correspondences(nothing, nothing, np.zeros(0, np.float32))
    cosines = query.vectors @ picture.vectors.T
    there = cosines.argmax(axis=1)
    found = cosines[np.arange(len(query)), there]
    rows = np.flatnonzero(found >= alike)  # few: the others need not be asked back
    asked, place = np.unique(there[rows], return_inverse=True)
    back = cosines.T[asked]
    mutual = back.argmax(axis=1)[place] == rows
    rows, place = rows[mutual], place[mutual]
    rows = rows[_is_alone(query.points, rows, back[place], found[rows])]
    return Correspondences(rows, there[rows], np.minimum(found[rows], np.float32(1)))


def _is_alone(
    points: Float32[F32, "Q 2"],
    rows: Int64[I64, " P"],
    cosines: Float32[F32, "P Q"],
    best: Float32[F32, " P"],
) -> Bool[BOOL, " P"]:
    """Whether each pair's point of the picture is less alike to every point of the query far from the pair's.

    Args:
        points: float32 (Q, 2), the query's.
        rows: int64 (P,), which of them each pair has.
        cosines: float32 (P, Q), of each pair's point of the picture with all of them.
        best: float32 (P,), with the pair's own.
    """
    alone = np.ones(len(rows), np.bool_)
    if not len(rows):
        return alone
    far = np.float32(_ELSEWHERE * float(np.ptp(points, axis=0).max()))
    # Few are nearly as much alike: of the others nobody asks how far away they are.
    pair, other = np.nonzero(cosines > (best - np.float32(_DISTINCT))[:, None])
    away = points[other] - points[rows[pair]]
    alone[pair[np.square(away).sum(axis=1) > far * far]] = False
    return alone


@dataclass(frozen=True, slots=True)
class Turn:
    """How the words of a picture say that a thing is turned.

    Attributes:
        degrees: To the right, a multiple of ``TURN`` from 0 to 359.
        share: Of their votes, in [0, 1]; 0 where there are too few to tell.
    """

    degrees: int
    share: float


def likely_turn(query: QueryWords, picture: WordPoints, pairs: Correspondences) -> Turn:
    """How a thing is turned if it is there at all: as most correspondences are, the similar ones above all.

    Args:
        query: The query's words.
        picture: The picture's words.
        pairs: What may correspond.
    """
    count = 360 // TURN
    turns = picture.angles[pairs.picture_index] - query.angles[pairs.query_index]
    places = np.floor(np.rad2deg(turns) / TURN + 0.5).astype(np.int64) % count
    votes = np.bincount(places, weights=pairs.similarity.astype(np.float64) ** 3, minlength=count)
    total = float(votes.sum())
    best = int(votes.argmax())
    if len(pairs) < _FEW or not total:
        return Turn(0, 0.0)
    return Turn(best * TURN, float(votes[best]) / total)


def verify_view(
    query: FinePoints,
    candidates: Sequence[Candidate],
    outline: Float64[F64, "4 2"],
    *,
    least: int = CHANCE + 1,
) -> list[tuple[Match, ...]]:
    """The instances of a thing in each of some pictures, by fine points of one view of the query.

    Args:
        query: The query's points, as it is seen at one size and turn.
        candidates: The pictures' fine points, and what ``nearest_pairs`` says of them.
        outline: float64 (4, 2), as ``geometry.verify_all`` takes it.
        least: Inliers below which nothing is told.

    Returns:
        What was found of each, most inliers first.
    """
    enough = [place for place, one in enumerate(candidates) if len(one.pairs) >= least]
    found = verify_all(query, [candidates[place] for place in enough], outline, least=least)
    matches = dict(zip(enough, found, strict=True))
    return [matches.get(place, ()) for place in range(len(candidates))]


def verify_fine(
    queries: Iterable[FinePoints],
    picture: FinePoints,
    outline: Float64[F64, "4 2"],
    size: Size,
    *,
    least: int = CHANCE + 1,
) -> tuple[Match, ...]:
    """The same of one picture and several views of the query: the first of those that agree most.

    Args:
        queries: The query's points, as it is seen at several sizes and turns.
        picture: The picture's points.
        outline: float64 (4, 2).
        size: Width and height of the upright picture, pixels.
        least: Inliers below which nothing is told.
    """
    found = [
        verify_view(query, [Candidate(picture, nearest_pairs(query, picture), size)], outline, least=least)[0]
        for query in queries
    ]
    return max(found, key=lambda matches: matches[0].inliers if matches else 0, default=())
