"""Which correspondences can be of one thing: they turn and zoom alike, and lie where each other puts them.

A correspondence of two points with scale and angle is itself a hypothesis: how the thing is turned, resized
and moved (Philbin et al., CVPR 2007). Those of one thing agree about that (weak geometric consistency: Jégou,
Douze and Schmid, ECCV 2008). Whatever agrees with too few others is thrown away before any map is fitted.
"""

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
    """Pairs of correspondences that agree, and the groups that they form.

    Attributes:
        seed: int64 (P,): which correspondence, as a hypothesis; the strongest 64 are.
        other: int64 (P,): which one agrees with it.
    """

    seed: Int64[I64, " P"]
    other: Int64[I64, " P"]

    @classmethod
    def of(cls, frames: Frames, apart: tuple[float, float]) -> "Agreement":
        """Compares correspondences.

        Args:
            frames: The correspondences, strongest first.
            apart: Pixels of the query and of the picture within which two points are one: they say nothing of
                each other.
        """
        unit = frames.local / np.abs(frames.local)
        zooms = np.log(np.abs(frames.local)).astype(np.float32)
        directions = np.stack([unit.real, unit.imag], axis=1).astype(np.float32)
        alike = directions[:_SEEDS] @ directions.T >= _TURN_COSINE
        alike &= np.abs(zooms[:_SEEDS, None] - zooms) <= _ZOOM
        seed, other = np.nonzero(alike)
        # Single precision is enough for distances, and takes half the time.
        query = frames.query.astype(np.complex64)
        picture = frames.picture.astype(np.complex64)
        local = frames.local.astype(np.complex64)
        step = query[other] - query[seed]
        moved = picture[other] - picture[seed]
        way = _squares(step)
        kept = (way > apart[0] ** 2) & (_squares(moved) > apart[1] ** 2)
        reach = _OFF**2 * _squares(local)
        for one in (seed, other):
            off = (moved - local[one] * step).astype(np.complex64, copy=False)
            kept &= _squares(off) <= reach[one] * way
        return cls(seed[kept], other[kept])

    def largest(self, alive: Bool[BOOL, " M"]) -> Int64[I64, " N"]:
        """The most that agree with one of them, which stands first; of equally many the stronger one's.

        Args:
            alive: bool (M,): which take part.
        """
        seed, other = self.seed, self.other
        taking = alive[seed] & alive[other]
        counts = np.bincount(seed[taking], minlength=1)
        best = int(counts.argmax())
        if not counts[best]:
            return np.flatnonzero(alive)[:1]
        return np.concatenate([[best], other[taking & (seed == best)]])


def _squares(values: Complex64[C64, " N"]) -> Float32[F32, " N"]:
    """Squared lengths; a root for each would take most of the time."""
    return np.square(values.real) + np.square(values.imag)
