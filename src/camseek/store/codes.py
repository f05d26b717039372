"""Codes of descriptors: a tenth of their bytes, and what they say of a query is roughly right.

A descriptor, less the mean of a sample, is projected on the sample's principal axes; these are turned at
random, so that all numbers vary alike, and each number becomes one of 16 steps, two to a byte. How large its
steps are each code says itself, so that its product with its own descriptor is right. That with a query is
rough in two ways: what lies across the axes is missing, what lies on them is rounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32, UInt8
from numpy.typing import NDArray

from camseek.numerics import F32, F64, U8, positive_or_one, principal_directions
from camseek.store.ranking import widen

SAMPLE = 8192
"""Descriptors on which axes are fitted."""

_MOST = 512
_LEVELS = 16
# A step in standard deviations of a code's numbers: 16 of them hold what 2.8 of these reach.
_STEP = 0.35
# Steps are stored as whole parts of this size.
_PART = np.float32(2.0**-16)
# Below this share of the largest, a variance is rounding, and its direction any.
_ROUNDING = 1e-10
_STEPS = np.dtype("<u2")
_LONGEST = 1.01  # what a direction of unit length, and a mean of such vectors, may measure
F16 = NDArray[np.float16]


def numbers_of(width: int) -> int:
    """How many numbers a code of so many bytes holds: two of them tell how large its steps are."""
    return 2 * (width - _STEPS.itemsize)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A query on axes.

    Attributes:
        weights: float32 (2 B,): what each of a code's B bytes counts, and each of their lower halves.
        rest: Added to what they count, before it is taken times the code's step.
        mean: The product with the mean of descriptors.
    """

    weights: Float32[F32, " d"]
    rest: float
    mean: float


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """What codes are made with.

    Attributes:
        mean: float32 (D,), of length 1 at most.
        directions: float32 (D, d), d even, of unit length each, or zero.
        fitted: For how many descriptors.

    Raises:
        ValueError: The numbers cannot be those of axes.
    """

    mean: Float32[F32, " D"]
    directions: Float32[F32, "D d"]
    fitted: int

    def __post_init__(self) -> None:
        lengths = np.linalg.norm(self.directions, axis=0) if np.isfinite(self.directions).all() else np.inf
        length = np.linalg.norm(self.mean) if np.isfinite(self.mean).all() else np.inf
        if not (np.max(lengths, initial=0) <= _LONGEST and length <= _LONGEST):
            raise ValueError("these are no axes of descriptors")

    @property
    def width(self) -> int:
        """The bytes of a code."""
        return self.directions.shape[1] // 2 + _STEPS.itemsize

    @classmethod
    def fit(cls, sample: Float32[F32, "N D"], fitted: int) -> "Axes":
        """Fits axes; equal samples give equal ones.

        Args:
            sample: Two descriptors or more, of unit length.
            fitted: For how many.

        Raises:
            ValueError: They are fewer, or not of unit length.
        """
        lengths = np.linalg.norm(sample, axis=1)
        if len(sample) < 2 or not (lengths <= _LONGEST).all():
            raise ValueError("codes need two descriptors of unit length")
        mean = sample.mean(axis=0, dtype=np.float64)
        variances, found = principal_directions(sample, mean)
        count = min(_MOST, sample.shape[1] + sample.shape[1] % 2)
        live = found[:, variances > _ROUNDING * variances[0]][:, :count]
        directions = np.zeros((sample.shape[1], count))
        directions[:, : live.shape[1]] = live
        directions @= _turn(count)
        return cls(mean.astype(np.float32), directions.astype(np.float32), fitted)

    def encode(self, vectors: Float16[F16, "n D"]) -> UInt8[U8, "n width"]:
        """The codes of descriptors, as they are stored."""
        centred = np.empty(vectors.shape, np.float32)
        widen(vectors, centred)
        centred -= self.mean
        numbers = centred @ self.directions
        size = np.sqrt(np.square(numbers).mean(axis=1, keepdims=True))
        levels = np.floor(numbers / positive_or_one(_STEP * size)).clip(-_LEVELS // 2, _LEVELS // 2 - 1)
        # Numbers lie in the middle of their steps.
        products = np.vecdot(numbers, levels + np.float32(0.5))
        steps = np.square(size[:, 0]) * numbers.shape[1] / positive_or_one(products)
        codes = np.empty((len(vectors), self.width), np.uint8)
        half = numbers.shape[1] // 2
        whole = (levels + _LEVELS // 2).astype(np.uint8)
        codes[:, :half] = whole[:, :half] + (whole[:, half:] << 4)
        parts = np.rint(steps / _PART).clip(0, np.iinfo(_STEPS).max).astype(_STEPS)
        codes[:, half:] = parts[:, None].view(np.uint8)
        return codes

    def query(self, vector: Float32[F32, " D"]) -> Query:
        """A query as codes are compared with it."""
        weights: F32 = vector @ self.directions
        lower, upper = weights[: len(weights) // 2], weights[len(weights) // 2 :]
        # A byte is the lower half and 16 times the upper one.
        whole: F32 = upper / np.float32(_LEVELS)
        below: F32 = lower - whole
        # Numbers lie in the middle of their steps.
        rest = -weights.sum() * (_LEVELS / 2 - 0.5)
        return Query(np.concatenate([whole, below]), float(rest), float(vector @ self.mean))


class Scratch:
    """Room for a thread that compares codes with queries.

    Args:
        rows: Codes that are compared at a time.
        width: Bytes of a code.
    """

    def __init__(self, rows: int, width: int) -> None:
        self._bytes = width - _STEPS.itemsize
        self._numbers = np.empty((rows, 2 * self._bytes), np.float32)
        self._lower = np.empty((rows, self._bytes), np.uint8)

    def products(
        self, codes: UInt8[U8, "n width"], queries: Sequence[Query], out: Float32[F32, "Q n"]
    ) -> None:
        """The rough scores of some codes.

        Args:
            codes: As many as there is room for, at most.
            queries: On the same axes.
            out: Where the scores go.
        """
        numbers, lower = self._numbers[: len(codes)], self._lower[: len(codes)]
        np.bitwise_and(codes[:, : self._bytes], _LEVELS - 1, out=lower)
        numbers[:, : self._bytes] = codes[:, : self._bytes]
        numbers[:, self._bytes :] = lower
        steps = np.ascontiguousarray(codes[:, self._bytes :]).view(_STEPS)[:, 0] * _PART
        for query, scores in zip(queries, out, strict=True):
            # One product of the matrix would wait for all threads of BLAS.
            np.vecdot(numbers, query.weights, out=scores)
            scores += np.float32(query.rest)
            scores *= steps
            scores += np.float32(query.mean)


def _turn(count: int) -> F64:
    """A rotation, the same every time."""
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((count, count)))
    return turned
