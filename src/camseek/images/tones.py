"""Numbers of more than 8 bits to 0..255."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped, UInt8


@dataclass(frozen=True, slots=True)
class Tones:
    """The values that become 0 and 255."""

    low: float
    high: float


def finite_range(values: Shaped[np.ndarray, "..."]) -> tuple[float, float]:
    """The least and the greatest finite value; infinity and minus infinity where there is none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (np.inf, -np.inf)


def tones_of(low: float, high: float, kind: str, bits: int) -> Tones:
    """What becomes black and white, of numbers that do not say it themselves.

    Args:
        low: The picture's least value.
        high: Its greatest.
        kind: NumPy's: ``f`` floating point, ``i`` signed, ``u`` unsigned.
        bits: Of a number.
    """
    if low > high:
        return Tones(0.0, 1.0)
    if kind == "f":
        return Tones(0.0, 1.0) if low >= 0 and high <= 1 else Tones(low, high)
    plain = bits > 16 and low >= 0 and high <= 65535
    return Tones(0.0, 65535.0) if plain else Tones(low, high)


def stretched(values: Shaped[np.ndarray, "..."], tones: Tones) -> UInt8[np.ndarray, "..."]:
    """``(v - low) * 255 / (high - low)``, rounded, in [0, 255]; what is not finite becomes 0."""
    # A picture's numbers may be anything: NaN that signals, infinity, what overflows.
    with np.errstate(all="ignore"):
        # Halved first: the difference of two finite numbers may overflow.
        span = tones.high / 2 - tones.low / 2
        if not span > 0:
            return np.zeros(values.shape, np.uint8)
        numbers = values.astype(np.float64)
        numbers = np.where(np.isfinite(numbers), numbers, tones.low)
        return np.rint(np.clip((numbers / 2 - tones.low / 2) / span * 255, 0, 255)).astype(np.uint8)
