"""PCA-whitening: decorrelates vectors, evens out their variances and shortens them."""

import hashlib
import struct
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from camseek.numerics import F32, l2_normalise, principal_directions

_MAGIC = b"camseek whitening 1\n"
_HEADER = struct.Struct("<20sII")  # magic, K, D; the mean and the projection follow, little-endian float32

# Below this share of the largest, an eigenvalue is rounding: its direction has no variance in the samples.
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A fitted transform: ``(vector - mean) @ projection``.

    Attributes:
        mean: float32 (K,), the samples' mean.
        projection: float32 (K, D), whose column d is eigenvector d of the samples' covariance divided by the
            square root of its eigenvalue, by falling eigenvalue.
        checksum: SHA-256 of ``to_bytes``, hexadecimal: the same numbers, the same checksum, on any machine.

    Raises:
        ValueError: The shapes do not fit together, or a value is not finite.
    """

    mean: Float32[F32, " K"]
    projection: Float32[F32, "K D"]
    checksum: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.projection.ndim != 2 or len(self.mean) != len(self.projection):
            raise ValueError(f"a mean {self.mean.shape} does not fit a projection {self.projection.shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.projection).all()):
            raise ValueError("mean and projection must be finite")
        object.__setattr__(self, "checksum", hashlib.sha256(self.to_bytes()).hexdigest())

    def to_bytes(self) -> bytes:
        """Header, mean and projection, little-endian; ``from_bytes`` reads it back."""
        arrays = (self.mean.astype("<f4").tobytes(), self.projection.astype("<f4").tobytes())
        return b"".join((_HEADER.pack(_MAGIC, *self.projection.shape), *arrays))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Whitening":
        """Reads what ``to_bytes`` wrote.

        Raises:
            ValueError: It did not write this.
        """
        if len(data) < _HEADER.size or not data.startswith(_MAGIC):
            raise ValueError("this is no whitening")
        _, channels, dimensions = _HEADER.unpack_from(data)
        if len(data) != _HEADER.size + 4 * channels * (1 + dimensions):
            raise ValueError(
                f"a whitening from {channels} to {dimensions} dimensions is not {len(data)} bytes"
            )
        values = np.frombuffer(data, "<f4", offset=_HEADER.size).astype(np.float32)
        return cls(values[:channels], values[channels:].reshape(channels, dimensions))


def fit_whitening(samples: Float32[F32, "N K"], *, dimensions: int) -> Whitening:
    """Fits PCA-whitening on held-out vectors.

    Jégou and Chum 2012; Jimenez et al. 2017.

    Args:
        samples: float32 (N, K), finite. Leave out zero vectors: ``apply_whitening`` passes them by.
        dimensions: D, from 1 to K and at most N - 1.

    Returns:
        The transform: on the samples, its D outputs have mean 0, variance 1 and no correlation. Directions in
        which the samples do not vary at all give 0 (their variance would be made 1 from nothing). The largest
        component of each direction is positive, so equal samples give equal transforms.

    Raises:
        ValueError: ``dimensions`` is out of range, or a sample is not finite.
    """
    count, channels = samples.shape
    if not 1 <= dimensions <= min(channels, count - 1):
        raise ValueError(
            f"{count} samples of {channels} channels give 1 to {min(channels, count - 1)} dimensions,"
            f" not {dimensions}"
        )
    mean = samples.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError("samples must be finite")
    variances, directions = principal_directions(samples, mean)
    variances, directions = variances[:dimensions], directions[:, :dimensions]
    live = variances > _ROUNDING * variances[0]
    projection = directions * (live / np.sqrt(np.where(live, variances, 1.0)))
    return Whitening(mean.astype(np.float32), projection.astype(np.float32))


def apply_whitening(vectors: Float32[F32, "*shape K"], whitening: Whitening) -> Float32[F32, "*shape D"]:
    """Projects vectors, then l2-normalises them again.

    Args:
        vectors: float32 (..., K).
        whitening: From ``fit_whitening``.

    Returns:
        float32 (..., D): rows of norm 1; a zero vector (nothing seen) stays zero, and does not become the
        mean's opposite.

    Raises:
        ValueError: The vectors have another length than the whitening's.
    """
    if vectors.shape[-1] != len(whitening.mean):
        raise ValueError(f"vectors of {vectors.shape[-1]} do not fit a whitening of {len(whitening.mean)}")
    centred: F32 = vectors - whitening.mean
    projected = centred @ whitening.projection
    projected *= np.any(vectors, axis=-1, keepdims=True)
    return l2_normalise(projected)
