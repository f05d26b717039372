"""Arithmetic that several stages share."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

F32 = NDArray[np.float32]
"""An array of single precision; jaxtyping adds its axes, here and below."""
F64 = NDArray[np.float64]
"""An array of double precision."""
I64 = NDArray[np.int64]
"""An array of whole numbers."""
U8 = NDArray[np.uint8]
"""An array of pixels."""
BOOL = NDArray[np.bool_]
"""An array of truth values."""

_ROWS = 4096  # samples converted to double precision at a time


def runs(lengths: Int64[I64, " M"], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of neighbours that have at most so much together, or are one that has more; all of them."""
    borders = np.concatenate([[0], np.cumsum(lengths)])
    first = 0
    while first < len(lengths):
        last = max(first + 1, int(np.searchsorted(borders, borders[first] + most, side="right")) - 1)
        yield first, last
        first = last


def ranges(starts: Int64[I64, " M"], lengths: Int64[I64, " M"]) -> Int64[I64, " L"]:
    """Whole numbers from each start on, so many as each length says, one range after the other."""
    shifts = starts - (np.cumsum(lengths) - lengths)
    return np.repeat(shifts, lengths) + np.arange(int(lengths.sum()))


def first_of(keys: Int64[I64, " N"], count: int) -> Int64[I64, " M"]:
    """The places of the first so many of each key, rising."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    members = np.diff(first, append=len(ordered))
    return np.sort(order[np.arange(len(ordered)) - np.repeat(first, members) < count])


def positive_or_one(values: Float32[F32, "*shape"]) -> Float32[F32, "*shape"]:
    """Divisors: the values, with 1 for those that are not positive."""
    return np.where(values > 0, values, np.float32(1))


def is_usable(vector: Float32[F32, " D"]) -> bool:
    """Whether a descriptor says anything: not zero (featureless), and no NaN or infinity in it."""
    return bool(np.isfinite(vector).all() and vector.any())


def l2_normalise(vectors: Float32[F32, "*shape K"]) -> Float32[F32, "*shape K"]:
    """Scales each vector to unit Euclidean length.

    Args:
        vectors: float32 (..., K), finite.

    Returns:
        float32 (..., K), a new array: each row of norm 1; a zero row stays zero.
    """
    # Dividing by the largest component first keeps the squares from overflowing and from vanishing. It also
    # makes every norm below at least 1, but for the zero vectors.
    peak = np.maximum(vectors.max(axis=-1, keepdims=True), -vectors.min(axis=-1, keepdims=True))
    scaled = vectors / positive_or_one(peak)
    norm = np.sqrt(np.vecdot(scaled, scaled))[..., None]
    scaled /= np.maximum(norm, np.float32(1))
    return scaled


def resize_bilinear(maps: Float32[F32, "*shape H1 W1"], size: tuple[int, int]) -> Float32[F32, "*shape H W"]:
    """Resizes maps by bilinear interpolation: half-pixel centres, edges clamped, no antialiasing.

    The convention of ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``.

    Args:
        maps: float32 (..., H1, W1).
        size: Rows and columns wanted, H and W.

    Returns:
        float32 (..., H, W), within the range of ``maps``; ``maps`` itself where the size is right already.

    Raises:
        ValueError: A side of ``size`` is below 1.
    """
    if min(size) < 1:
        raise ValueError(f"cannot resize to {size}: sides are at least 1")
    rows, columns = maps.shape[-2:]
    if (rows, columns) == size:
        return maps
    # Some kernels of BLAS compute in lanes of a register that hold no number, and flag those; of finite maps,
    # weighted by what lies in [0, 1], nothing is invalid.
    with np.errstate(invalid="ignore"):
        by_row: F32 = _interpolation(rows, size[0]) @ maps
        return by_row @ _interpolation(columns, size[1]).T


def _interpolation(source: int, target: int) -> Float32[F32, "target source"]:
    """The matrix that interpolates ``source`` samples linearly at the centres of ``target`` cells."""
    cells = np.arange(target)
    position = np.clip((cells + 0.5) * (source / target) - 0.5, 0, source - 1)
    low = position.astype(np.int64)
    high = np.minimum(low + 1, source - 1)
    share = (position - low).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    matrix[cells, low] = 1 - share
    matrix[cells, high] += share
    return matrix


def principal_directions(
    samples: Float32[F32, "N K"], mean: Float64[F64, " K"]
) -> tuple[Float64[F64, " M"], Float64[F64, "K M"]]:
    """Eigenvectors of the samples' covariance (PCA), by falling variance.

    Args:
        samples: float32 (N, K), finite; N of 2 or more.
        mean: float64 (K,), theirs.

    Returns:
        Variances, falling, and unit directions as columns, M = min(N, K). The largest component of each
        direction is positive, so equal samples give equal directions.
    """
    count, channels = samples.shape
    if count < channels:
        # The N x N Gram matrix has the covariance's eigenvalues, and is the smaller of the two.
        centred = samples - mean
        scatter, coefficients = np.linalg.eigh(centred @ centred.T)
        directions = centred.T @ coefficients
        lengths = np.linalg.norm(directions, axis=0)
        directions /= np.where(lengths > 0, lengths, 1.0)
    else:
        covariance = np.zeros((channels, channels))
        for start in range(0, count, _ROWS):
            centred = samples[start : start + _ROWS] - mean
            covariance += centred.T @ centred
        scatter, directions = np.linalg.eigh(covariance)
    variances, directions = scatter[::-1] / (count - 1), directions[:, ::-1]
    strongest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return variances, np.where(strongest < 0, -directions, directions)
