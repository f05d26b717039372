"""Points of pictures as visual words, their packed form, and which points of two pictures may be the same.

A point keeps its word (the nearest in the codebook) and the signs of its residual to that word: whether it
lies above or below it in each of 64 directions (Jégou, Douze and Schmid, ECCV 2008). Two points of one word
are as alike as their signs: 1 - 2 h / 64, where h of 64 differ.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt16, UInt64
from numpy.typing import NDArray

from camseek.matching.features import wrapped
from camseek.numerics import BOOL, F32, I64, U8, first_of, ranges, runs
from camseek.results import Size

U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]

BITS = 64
"""Signs of a residual."""
MAX_POINTS = 4096
"""The most points that a picture's trace has."""

_HEAD = struct.Struct("<4sIH")  # magic, the codebook's tag, how many points
_MAGIC = b"cwp1"
# 16 bytes a point: where in shares of the sides, how large in shares of the longer side, how turned.
_POINT = np.dtype(
    [("signs", "<u8"), ("word", "<u2"), ("x", "<u2"), ("y", "<u2"), ("scale", "u1"), ("angle", "u1")]
)
_POSITIONS = 65536
_TURNS = 256
_OCTAVES = 13.0  # of a scale: from the longer side down to its 8192nd part
_SCALE_STEPS = 255 / _OCTAVES

# Correspondences: alike enough to be no chance, no more of one point than a picture shows copies of a thing.
ALIKE = 0.25
"""From which similarity on two points of one word correspond."""
_COPIES = 8
_CROWD = 32
_MOST_WORDS = 65536  # that there can be: one is two bytes
_AT_ONCE = 1 << 13  # points of pictures that are paired at a time


@dataclass(frozen=True, slots=True, eq=False)
class WordPoints:
    """The points of a picture as visual words, strongest first.

    Attributes:
        points: float32 (N, 2), as ``LocalFeatures.points``.
        scales: float32 (N,), as ``LocalFeatures.scales``.
        angles: float32 (N,), as ``LocalFeatures.angles``.
        words: uint16 (N,), numbers of words in the codebook.
        signs: uint64 (N,): bit i is set where component i of the residual is 0 or more.
        codebook: The codebook's tag: only words of one codebook can be compared.
    """

    points: Float32[F32, "N 2"]
    scales: Float32[F32, " N"]
    angles: Float32[F32, " N"]
    words: UInt16[U16, " N"]
    signs: UInt64[U64, " N"]
    codebook: int

    def __len__(self) -> int:
        return len(self.words)

    def pack(self, original: Size) -> bytes:
        """The points in 16 bytes each, behind a head of 10: what a collection stores of a picture.

        Positions are kept to a 65,536th of the picture's side, scales to 2 %, angles to 0.7 degrees; words
        and signs as they are. What ``unpack`` gave packs to the same bytes.

        Args:
            original: Width and height of the upright picture.

        Raises:
            ValueError: There are more than ``MAX_POINTS``, or a side is below 1.
        """
        if len(self) > MAX_POINTS or min(original) < 1:
            raise ValueError(f"cannot pack {len(self)} points of {original[0]} x {original[1]} pixels")
        rows = np.zeros(len(self), _POINT)
        rows["signs"], rows["word"] = self.signs, self.words
        shares = np.floor(self.points.astype(np.float64) * (_POSITIONS / np.array(original, np.float64)))
        rows["x"], rows["y"] = np.clip(shares, 0, _POSITIONS - 1).T
        octaves = np.log2(self.scales.astype(np.float64) / max(original)) + _OCTAVES
        rows["scale"] = np.clip(np.rint(octaves * _SCALE_STEPS), 0, 255)
        rows["angle"] = np.floor(self.angles * (_TURNS / (2 * np.pi))).astype(np.int64) % _TURNS
        return _HEAD.pack(_MAGIC, self.codebook, len(self)) + rows.tobytes()

    def as_query(self, chosen: Bool[BOOL, " N"]) -> "QueryWords":
        """Some of the points as those of a query, each with its one word."""
        words, signs = self.words[chosen], self.signs[chosen]
        parts = self.points[chosen], self.scales[chosen], self.angles[chosen]
        return QueryWords(*parts, words[:, None], signs[:, None], *summed_signs(words, signs), self.codebook)

    @classmethod
    def unpack(cls, data: bytes, original: Size) -> "WordPoints":
        """Reads what ``pack`` wrote.

        Whatever the bytes, points lie within the picture, and nothing is infinite or no number.

        Args:
            data: The packed points.
            original: Width and height of the upright picture, as for ``pack``.

        Raises:
            ValueError: ``pack`` did not write this, or a side is below 1.
        """
        if min(original) < 1:
            raise ValueError(f"no points of {original[0]} x {original[1]} pixels")
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise ValueError("these are no points of a picture")
        _, codebook, count = _HEAD.unpack_from(data)
        if count > MAX_POINTS or len(data) != _HEAD.size + count * _POINT.itemsize:
            raise ValueError(f"{count} points are not {len(data)} bytes")
        rows = np.frombuffer(data, _POINT, offset=_HEAD.size)
        shares = np.stack([rows["x"], rows["y"]], axis=1) + 0.5
        scales = np.exp2(rows["scale"] / _SCALE_STEPS - _OCTAVES) * max(original)
        return cls(
            (shares * (np.array(original) / _POSITIONS)).astype(np.float32),
            scales.astype(np.float32),
            wrapped(((rows["angle"] + 0.5) * (2 * np.pi / _TURNS)).astype(np.float32)),
            rows["word"].astype(np.uint16),
            rows["signs"].astype(np.uint64),
            codebook,
        )


@dataclass(frozen=True, slots=True, eq=False)
class QueryWords:
    """The points of a query as visual words: each with its A nearest words, nearest first.

    A point near the border between words is so found on either side of it (Philbin et al., CVPR 2008).

    Attributes:
        points: float32 (N, 2), as ``LocalFeatures.points``.
        scales: float32 (N,), as ``LocalFeatures.scales``.
        angles: float32 (N,), as ``LocalFeatures.angles``.
        words: uint16 (N, A), each row's all different.
        signs: uint64 (N, A): of the residual to each of these words.
        terms: uint16 (M,), rising: the words that any point has.
        term_signs: uint64 (M,): the signs of the sum of all residuals to that word, what ASMK* compares.
        codebook: The codebook's tag.
    """

    points: Float32[F32, "N 2"]
    scales: Float32[F32, " N"]
    angles: Float32[F32, " N"]
    words: UInt16[U16, "N A"]
    signs: UInt64[U64, "N A"]
    terms: UInt16[U16, " M"]
    term_signs: UInt64[U64, " M"]
    codebook: int

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True, eq=False)
class Correspondences:
    """Pairs of points, one of the query and one of the picture, that may show the same.

    Each pair is there once; both points can be in others too.

    Attributes:
        query_index: int64 (P,), rising: which point of the query.
        picture_index: int64 (P,): which point of the picture; of one query point the most alike first.
        similarity: float32 (P,), in [-1, 1]: the cosine of the signs.
    """

    query_index: Int64[I64, " P"]
    picture_index: Int64[I64, " P"]
    similarity: Float32[F32, " P"]

    def __len__(self) -> int:
        return len(self.similarity)


def alikeness(one: UInt64[U64, "*shape"], other: UInt64[U64, "*shape"]) -> Float32[F32, "*shape"]:
    """The cosine of two vectors of 64 signs each: 1 - 2 h / 64, where h signs differ."""
    differing = np.bitwise_count(one ^ other)
    return np.float32(1) - differing.astype(np.float32) * np.float32(2 / BITS)


def summed_signs(
    words: UInt16[U16, " N"], signs: UInt64[U64, " N"]
) -> tuple[UInt16[U16, " M"], UInt64[U64, " M"]]:
    """The signs of all points of each word as one: what most have; in a tie, what the strongest has.

    Stands in for the signs of the summed residuals (ASMK*), which a trace does not keep.

    Args:
        words: uint16 (N,), of points by falling strength.
        signs: uint64 (N,).

    Returns:
        The words, rising, each once, and their signs.
    """
    order = np.argsort(words, kind="stable")
    ordered, held = signs[order], words[order]
    first = np.flatnonzero(np.append(True, held[1:] != held[:-1])[: len(held)])
    members = np.diff(first, append=len(held))
    joint = ordered[first]
    # Of two points that differ the stronger one decides: only more than two vote.
    many = members > 2
    voters = ordered[np.repeat(many, members)]
    if len(voters):
        several = members[many, None]
        votes = np.add.reduceat(_bits(voters), np.cumsum(several) - several[:, 0], axis=0, dtype=np.int64)
        decided = np.where(2 * votes == several, _bits(joint[many]), 2 * votes > several)
        joint[many] = np.packbits(decided.astype(np.uint8), axis=1).view("<u8").ravel()
    return held[first], joint


def _bits(signs: UInt64[U64, " N"]) -> UInt8[U8, "N 64"]:
    """Each sign for itself, 0 or 1, in an order of their own."""
    return np.unpackbits(signs.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1)


def correspondences(query: QueryWords, picture: WordPoints) -> Correspondences:
    """``correspondences_in`` of one picture."""
    return correspondences_in(query, [picture])[0]


def correspondences_in(query: QueryWords, pictures: Sequence[WordPoints]) -> list[Correspondences]:
    """Pairs the points of a query with those of pictures that have one of their words and similar signs.

    Of a picture's points with one word the 32 strongest count; a query point has the 8 most similar of them
    at most, of equally similar ones the stronger. That bounds the work, whatever a picture shows (a wall of
    bricks) or a file claims. Many pictures are paired in one go: what each takes is little.

    Args:
        query: The query's points.
        pictures: The pictures' points.

    Returns:
        Of each picture the pairs with a similarity of ``ALIKE`` or more.

    Raises:
        ValueError: They are words of different codebooks.
    """
    if any(query.codebook != picture.codebook for picture in pictures):
        raise ValueError("words of different codebooks cannot be compared")
    asked = _Asked.of(query)
    found: list[Correspondences] = []
    for first, last in runs(np.array([len(picture) for picture in pictures], np.int64), _AT_ONCE):
        found += asked.paired(pictures[first:last])
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A query's points by their words.

    Attributes:
        rows: int64 (Q,): the query's point of each entry, by rising words.
        signs: uint64 (Q,): its signs.
        starts: int64 (65,536,): the first entry of each word there can be.
        lengths: int64 (65,536,): and how many it has.
        count: How many points the query has.
    """

    rows: Int64[I64, " Q"]
    signs: UInt64[U64, " Q"]
    starts: Int64[I64, " W"]
    lengths: Int64[I64, " W"]
    count: int

    @classmethod
    def of(cls, query: QueryWords) -> "_Asked":
        words = query.words.ravel()
        order = np.argsort(words, kind="stable")
        lengths = np.bincount(words, minlength=_MOST_WORDS)
        rows = order // max(query.words.shape[1], 1)
        return cls(rows, query.signs.ravel()[order], np.cumsum(lengths) - lengths, lengths, len(query))

    def paired(self, pictures: Sequence[WordPoints]) -> list[Correspondences]:
        """The pairs of each picture."""
        sizes = np.array([len(picture) for picture in pictures], np.int64)
        words = np.concatenate([picture.words for picture in pictures])
        signs = np.concatenate([picture.signs for picture in pictures])
        owners = np.repeat(np.arange(len(pictures)), sizes)
        held = np.flatnonzero(self.lengths[words])
        held = held[first_of(owners[held] * _MOST_WORDS + words[held], _CROWD)]
        lengths = self.lengths[words[held]]
        points = np.repeat(held, lengths)
        entries = ranges(self.starts[words[held]], lengths)
        similarity = alikeness(self.signs[entries], signs[points])
        alike = np.flatnonzero(similarity >= ALIKE)
        points, similarity = points[alike], similarity[alike]
        # Points of one picture have rising places, and pictures, too.
        rows = owners[points] * self.count + self.rows[entries[alike]]
        best = np.lexsort((points, -similarity, rows))
        best = best[first_of(rows[best], _COPIES)]
        points, rows = points[best], rows[best]
        borders = np.searchsorted(rows, np.arange(1, len(pictures)) * self.count)
        parts = (
            rows % max(self.count, 1),
            points - (np.cumsum(sizes) - sizes)[owners[points]],
            similarity[best],
        )
        return [Correspondences(*of) for of in zip(*(np.split(part, borders) for part in parts), strict=True)]
