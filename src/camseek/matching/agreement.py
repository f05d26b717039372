"""Which correspondences can be of one thing: they turn and zoom alike, and lie where each other puts them.

A correspondence of two points with scale and angle is itself a hypothesis: how the thing is turned, resized
and moved (Philbin et al., CVPR 2007). Those of one thing agree about that (weak geometric consistency: Jégou,
Douze and Schmid, ECCV 2008). Whatever agrees with too few others is thrown away before any map is fitted.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex64, Complex128, Float32, Float64, Int64
from numpy.typing import NDArray

from camseek.numerics import BOOL, F32, F64, I64

C64 = NDArray[np.complex64]
C128 = NDArray[np.complex128]

# A point's angle is good to some ten degrees, its scale to a fifth; that the plane is tilted adds to both.
_TURN_COSINE = math.cos(math.radians(35))
_ZOOM = math.log(1.8)
_OFF = 0.5  # how far from where one puts it the other may lie, in shares of the way there
_SEEDS = 64  # as many correspondences are tried as hypotheses, the strongest


def shares(
    picture_index: Int64[I64, " P"],
    places: Float64[F64, "P 2"],
    similarity: Float32[F32, " P"],
    apart: float,
) -> Float64[F64, " P"]:
    """How much of its picture's point each correspondence has, against all others that want the same point.

    A point that could be any of n places of the query says little of each: any two pictures of brick walls,
    of pages of text or of tiled floors agree in hundreds of points, wherever one is laid on the other.
    Similarities count by their third power (selectivity: Tolias, Avrithis and Jégou, ICCV 2013).

    Args:
        picture_index: int64 (P,), which point of the picture.
        places: float64 (P, 2), finite, the query's points, pixels.
        similarity: float32 (P,), above 0.
        apart: Pixels of the query: in cells of this width points are one.

    Returns:
        float64 (P,) in [0, 1].
    """
    worth = similarity.astype(np.float64) ** 3
    cells = np.floor(places / apart)
    order = np.lexsort((-worth, cells[:, 1], cells[:, 0], picture_index))
    keys = np.column_stack([picture_index, cells])[order]
    best = np.ones(len(order), np.bool_)  # of one place, the most similar
    best[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    total = np.bincount(picture_index[order][best], worth[order][best], minlength=1)
    return worth / total[picture_index]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """M correspondences in the complex plane, x + iy: there a product turns and resizes.

    Attributes:
        query: complex128 (M,), places in the query, its pixels.
        picture: complex128 (M,), places in the picture, its pixels.
        local: complex128 (M,), not 0: what a step of one pixel to the right in the query is in the picture,
            by the two points' scales and angles. Its length is the zoom, its argument the turn.
    """

    query: Complex128[C128, " M"]
    picture: Complex128[C128, " M"]
    local: Complex128[C128, " M"]

    def __getitem__(self, index: Int64[I64, " N"]) -> "Frames":
        return Frames(self.query[index], self.picture[index], self.local[index])


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Pairs of correspondences that agree, and the groups that they form, of each of some pictures.

    Attributes:
        seed: int64 (P,), rising: which correspondence, as a hypothesis; the strongest 64 of a picture are.
        other: int64 (P,): which one, of the same picture, agrees with it.
        owners: int64 (M,), rising: which picture's each correspondence is.
    """

    seed: Int64[I64, " P"]
    other: Int64[I64, " P"]
    owners: Int64[I64, " M"]

    @classmethod
    def of(
        cls, frames: Frames, owners: Int64[I64, " M"], apart: tuple[float, Float64[F64, " B"]]
    ) -> "Agreement":
        """Compares the correspondences of each picture.

        Args:
            frames: The correspondences, one picture after the other, strongest first.
            owners: int64 (M,), rising: which picture's each is, of 0 to B - 1.
            apart: Pixels of the query and of each picture within which two points are one: they say nothing
                of each other.
        """
        seed, other = _turned_alike(frames.local, owners)
        # Single precision is enough for distances, and takes half the time.
        query = frames.query.astype(np.complex64)
        picture = frames.picture.astype(np.complex64)
        local = frames.local.astype(np.complex64)
        step = query[other] - query[seed]
        moved = picture[other] - picture[seed]
        way = _squares(step)
        kept = (way > apart[0] ** 2) & (_squares(moved) > np.square(apart[1])[owners[seed]])
        reach = _OFF**2 * _squares(local)
        for one in (seed, other):
            off = (moved - local[one] * step).astype(np.complex64, copy=False)
            kept &= _squares(off) <= reach[one] * way
        return cls(seed[kept], other[kept], owners)

    def largest(self, alive: Bool[BOOL, " M"]) -> Int64[I64, " N"]:
        """Of each picture the most that agree with one, which stands first; of as many the stronger one's.

        Args:
            alive: bool (M,): which take part.

        Returns:
            The groups, one picture after the other; none of a picture in which nothing agrees.
        """
        seed, other, owners = self.seed, self.other, self.owners
        taking = np.flatnonzero(alive[seed] & alive[other])
        if not len(taking):
            return taking
        seeds, members = np.unique(seed[taking], return_counts=True)
        best = seeds[np.lexsort((seeds, -members, owners[seeds]))]
        best = best[np.flatnonzero(np.diff(owners[best], prepend=-1))]
        group = np.concatenate([best, other[taking[np.isin(seed[taking], best)]]])
        return group[np.argsort(owners[group], kind="stable")]


def _turned_alike(
    local: Complex128[C128, " M"], owners: Int64[I64, " M"]
) -> tuple[Int64[I64, " P"], Int64[I64, " P"]]:
    """Pairs of one picture, a hypothesis and another, that turn and zoom alike."""
    unit = local / np.abs(local)
    zooms = np.log(np.abs(local)).astype(np.float32)
    directions = np.stack([unit.real, unit.imag], axis=1).astype(np.float32)
    borders = np.flatnonzero(np.diff(owners, prepend=-1, append=owners[-1:] + 1)).tolist()
    seeds: list[I64] = [np.zeros(0, np.int64)]
    others: list[I64] = [np.zeros(0, np.int64)]
    for first, last in itertools.pairwise(borders):
        tried = slice(first, min(first + _SEEDS, last))
        alike = directions[tried] @ directions[first:last].T >= _TURN_COSINE
        alike &= np.abs(zooms[tried, None] - zooms[first:last]) <= _ZOOM
        seed, other = np.nonzero(alike)
        seeds.append(seed + first)
        others.append(other + first)
    return np.concatenate(seeds), np.concatenate(others)


def _squares(values: Complex64[C64, " N"]) -> Float32[F32, " N"]:
    """Squared lengths; a root for each would take most of the time."""
    return np.square(values.real) + np.square(values.imag)
