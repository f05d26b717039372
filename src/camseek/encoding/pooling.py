"""Pooling: feature maps to one vector, for the whole picture or for each class.

Feature maps are non-negative and finite. A mask is true for the cells that hold picture pixels; what the
other cells hold never matters. CroW without weights (uCroW) has no function here: it sums each channel over
the cells, which is ``sum_pool``.
"""

from fractions import Fraction
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from camseek.numerics import F32, l2_normalise, positive_or_one

Mask = NDArray[np.bool_]
Prior = Literal["none", "centre"]
Weights = Literal["none", "channel"]


def channel_weights(features: Float32[F32, "B K H W"], mask: Bool[Mask, "B H W"]) -> Float32[F32, "B K"]:
    """Computes CroW's channel weights, the log of inverse sparsity: CW_k = log(Σ_n Q_n / Q_k).

    Q_k is the share of unmasked cells where channel k is positive. Kalantidis et al. 2016;
    Jimenez et al. 2017.

    Args:
        features: float32 (B, K, H, W), non-negative.
        mask: bool (B, H, W), true for the cells that hold picture pixels.

    Returns:
        float32 (B, K), 0 or more; 0 for a channel that never fires.
    """
    # The number of cells cancels, so counts stand for shares. float32 counts exactly up to 2^24 cells.
    fires = (features > 0).astype(np.float32)
    counts = _weighted_sum(fires, mask.astype(np.float32))
    total = counts.sum(axis=1, keepdims=True)
    # A silent channel gets log(1).
    ratio = np.divide(total, counts, out=np.ones_like(counts), where=counts > 0)
    return np.log(ratio)


def class_vectors(
    features: Float32[F32, "B K H W"],
    maps: Float32[F32, "B C H W"],
    weights: Float32[F32, "B K"],
    *,
    power: float = 1.0,
) -> Float32[F32, "B C K"]:
    """Computes f_k^c = CW_k · (Σ_ij χ_k,ij^p · CAM_c,ij)^(1/p), then l2-normalises.

    Jimenez et al. 2017 at p = 1; above it, generalised-mean pooling with the class
    activation map as weights.

    Args:
        features: float32 (B, K, H, W), non-negative.
        maps: float32 (B, C, H, W) in [0, 1], 0 in masked cells.
        weights: float32 (B, K), the channel weights.
        power: p, above 0.

    Returns:
        float32 (B, C, K): each vector of norm 1, or zero where the map is zero.

    Raises:
        ValueError: ``power`` is not above 0.
    """
    _check_power(power)
    batch, channels, rows, columns = features.shape
    flat = features.reshape(batch, channels, rows * columns)
    flat_maps = maps.reshape(batch, maps.shape[1], rows * columns)
    if power == 1:
        return l2_normalise((flat_maps @ flat.mT) * weights[:, None])
    # A masked cell must not decide a channel's maximum: cells that every map leaves out become zero.
    peak, raised = _raised(flat, np.any(flat_maps > 0, axis=1), power)
    pooled = _root(flat_maps @ raised.mT, power)
    pooled *= (weights * peak)[:, None]
    return l2_normalise(pooled)


def sum_pool(
    features: Float32[F32, "B K H W"],
    mask: Bool[Mask, "B H W"],
    *,
    prior: Prior = "none",
    weights: Weights = "none",
) -> Float32[F32, "B K"]:
    """Sums each channel over the unmasked cells: f_k = Σ_ij α_ij · χ_k,ij, then l2-normalises.

    Without prior, α is 1. ``centre`` is SPoC (Babenko and Lempitsky 2015):
    α_ij = exp(-((i - H/2)² + (j - W/2)²) / 2σ²) at the cells' centres, where H x W is the grid of unmasked
    cells and σ a third of the distance from its centre to the closest border. ``channel`` weights each
    channel, f_k = CW_k · Σ_ij α_ij · χ_k,ij (Jimenez et al. 2017, table 1a, "raw + CroW"; section 3.2 with
    a flat activation map).

    Args:
        features: float32 (B, K, H, W), non-negative.
        mask: bool (B, H, W), true for the cells that hold picture pixels.
        prior: The spatial prior.
        weights: ``channel`` for CroW's channel weights.

    Returns:
        float32 (B, K): rows of norm 1, or zero where no channel fires.
    """
    pooled = _weighted_sum(features, _prior(mask, prior))
    return l2_normalise(pooled if weights == "none" else pooled * channel_weights(features, mask))


def crow_pool(features: Float32[F32, "B K H W"], mask: Bool[Mask, "B H W"]) -> Float32[F32, "B K"]:
    """Computes CroW: f_k = CW_k · Σ_ij S_ij · χ_k,ij, then l2-normalises.

    Spatial weights S = (s / ‖s‖₂)^(1/2), where s_ij = Σ_k χ_k,ij; channel weights as in
    ``channel_weights``. Kalantidis et al. 2016, with their a = b = 2.

    Args:
        features: float32 (B, K, H, W), non-negative.
        mask: bool (B, H, W), true for the cells that hold picture pixels.

    Returns:
        float32 (B, K): rows of norm 1, or zero where no channel fires, or where one alone does (its channel
        weight is log 1).
    """
    total = features.sum(axis=1) * mask
    spatial = np.sqrt(l2_normalise(total.reshape(len(total), -1))).reshape(total.shape)
    return l2_normalise(channel_weights(features, mask) * _weighted_sum(features, spatial))


def gem_pool(
    features: Float32[F32, "B K H W"],
    mask: Bool[Mask, "B H W"],
    *,
    power: float = 3.0,
    prior: Prior = "none",
) -> Float32[F32, "B K"]:
    """Computes the generalised mean f_k = (Σ_ij α_ij · χ_k,ij^p / Σ_ij α_ij)^(1/p), then l2-normalises.

    Radenović, Tolias and Chum 2019, equation 3, where α is 1 over the unmasked cells; with ``centre`` it is
    SPoC's prior, as in ``sum_pool``.

    Args:
        features: float32 (B, K, H, W), non-negative.
        mask: bool (B, H, W), true for the cells that hold picture pixels.
        power: p, above 0: 1 is the average, larger ones come closer to the maximum.
        prior: The spatial prior.

    Returns:
        float32 (B, K): rows of norm 1, or zero where no channel fires.

    Raises:
        ValueError: ``power`` is not above 0.
    """
    _check_power(power)
    batch, channels, rows, columns = features.shape
    peak, raised = _raised(
        features.reshape(batch, channels, rows * columns), mask.reshape(batch, rows * columns), power
    )
    cells = _prior(mask, prior)
    total = positive_or_one(cells.sum(axis=(1, 2)))[:, None]
    pooled = _weighted_sum(raised.reshape(features.shape), cells) / total
    return l2_normalise(peak * _root(pooled, power))


def _check_power(power: float) -> None:
    if not 0 < power < np.inf:
        raise ValueError(f"power must be above 0, not {power}")


def _weighted_sum(features: Float32[F32, "B K H W"], cells: Float32[F32, "B H W"]) -> Float32[F32, "B K"]:
    """Σ_ij cells_ij · χ_k,ij, as a matrix product: no copy of the maps."""
    batch, channels, rows, columns = features.shape
    flat = features.reshape(batch, channels, rows * columns)
    return (flat @ cells.reshape(batch, rows * columns, 1))[..., 0]


def _prior(mask: Bool[Mask, "B H W"], prior: Prior) -> Float32[F32, "B H W"]:
    """The weight α of each cell, 0 for masked ones."""
    cells = mask.astype(np.float32)
    return cells * _centre_prior(mask) if prior == "centre" else cells


def _centre_prior(mask: Bool[Mask, "B H W"]) -> Float32[F32, "B H W"]:
    """SPoC's Gaussian over the bounding box of each picture's unmasked cells."""
    row_offset, height = _centred(np.any(mask, axis=2))
    column_offset, width = _centred(np.any(mask, axis=1))
    sigma = np.minimum(height, width) / 6
    squares = row_offset[:, :, None] ** 2 + column_offset[:, None, :] ** 2
    return np.exp(-squares / (2 * sigma**2)[:, None, None]).astype(np.float32)


def _centred(
    used: Bool[Mask, "B N"],
) -> tuple[Float32[F32, "B N"], Float32[F32, " B"]]:
    """Distance of each cell's centre from the middle of the used cells, and their extent."""
    first = used.argmax(axis=1)
    end = used.shape[1] - used[:, ::-1].argmax(axis=1)
    centres = np.arange(used.shape[1], dtype=np.float32) + np.float32(0.5)
    extent: F32 = (end - first).astype(np.float32)
    return centres - (first + extent / 2)[:, None].astype(np.float32), extent


def _raised(
    features: Float32[F32, "B K N"], cells: Bool[Mask, "B N"], power: float
) -> tuple[Float32[F32, "B K"], Float32[F32, "B K N"]]:
    """Each channel's maximum m, and (χ / m)^p; both over the given cells, 0 elsewhere.

    With the maximum taken out, no power can overflow, nor a weak channel vanish.
    """
    if not cells.all():
        features = features * cells[:, None]
    peak = features.max(axis=2)
    return peak, _power(features / positive_or_one(peak)[..., None], power)


def _power(base: Float32[F32, "B K N"], power: float) -> Float32[F32, "B K N"]:
    """``base ** power``; whole powers by repeated multiplication, ten times faster. Changes ``base``."""
    if power != int(power):
        return np.power(base, np.float32(power), out=base)
    rest = int(power)
    while rest % 2 == 0:
        base *= base
        rest //= 2
    if rest == 1:
        return base
    result = base.copy()
    while rest := rest // 2:
        base *= base
        if rest % 2:
            result *= base
    return result


def _root(values: Float32[F32, "*shape"], power: float) -> Float32[F32, "*shape"]:
    """``values ** (1 / power)``."""
    if power == 2:
        return np.sqrt(values)
    if power == 3:
        return np.cbrt(values)
    return np.power(values, np.float32(1 / power))


def rmac_regions(rows: int, columns: int, *, scales: int = 3) -> tuple[tuple[int, int, int, int], ...]:
    """Lays R-MAC's square regions over a grid: at scale l their side is 2 min(H, W) / (l + 1).

    Tolias, Sicre and Jégou 2016: at scale 1 as many regions along the longer side as make the overlap of
    neighbours nearest to 40 % (the larger of two numbers that are equally near); each further scale has one
    more along both sides, evenly spread.

    Args:
        rows: Cells, 1 or more.
        columns: Cells, 1 or more.
        scales: L, 1 or more.

    Returns:
        ``(row1, row2, column1, column2)``, half-open, each at least one cell; scale by scale, row by row. On
        grids of few cells some are equal, and all are kept.

    Raises:
        ValueError: A side or ``scales`` is below 1.
    """
    if min(rows, columns, scales) < 1:
        raise ValueError(f"no regions on {rows} x {columns} cells at {scales} scales")
    short, long = min(rows, columns), max(rows, columns)
    more = _more_along_the_longer_side(short, long)
    regions: list[tuple[int, int, int, int]] = []
    for scale in range(1, scales + 1):
        side = max(1, 2 * short // (scale + 1))
        down = _starts(rows, side, scale + (more if rows > columns else 0))
        across = _starts(columns, side, scale + (more if columns > rows else 0))
        regions += [(top, top + side, left, left + side) for top in down for left in across]
    return tuple(regions)


def _more_along_the_longer_side(short: int, long: int) -> int:
    """How many more regions stand along the longer side: 0 on a square, else 1 to 6."""
    if short == long:
        return 0

    def distance(more: int) -> Fraction:
        overlap = 1 - Fraction(long - short, more * short)
        return abs(overlap - Fraction(2, 5))

    # Exactly, and of two equally near the larger: rounding would pick now one and now the other.
    return min(range(6, 0, -1), key=distance)


def _starts(length: int, side: int, count: int) -> list[int]:
    """Evenly spread starts of ``count`` regions, in whole cells."""
    free = length - side
    return [free // 2] if count == 1 else [free * place // (count - 1) for place in range(count)]


def rmac_vectors(
    features: Float32[F32, "B K H W"], mask: Bool[Mask, "B H W"], *, scales: int = 3
) -> Float32[F32, "B R K"]:
    """Computes f_k^R = max_{ij in R} χ_k,ij of each region R (R-MAC), then l2-normalises.

    Tolias, Sicre and Jégou 2016, section 3; the whitened, normalised sum over the regions is the descriptor.

    Args:
        features: float32 (B, K, H, W), non-negative.
        mask: bool (B, H, W), true for the cells that hold picture pixels: a rectangle, the same for all.
        scales: L, 1 or more.

    Returns:
        float32 (B, R, K): each vector of norm 1, or zero where no channel fires.

    Raises:
        ValueError: The masks differ, or are no rectangle, or ``scales`` is below 1.
    """
    rows, columns = np.flatnonzero(mask.any(axis=(0, 2))), np.flatnonzero(mask.any(axis=(0, 1)))
    if not len(rows) or not mask[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all():
        raise ValueError("the cells that hold pictures must be one rectangle, the same for all pictures")
    top, left = int(rows[0]), int(columns[0])
    regions = rmac_regions(int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left, scales=scales)
    maxima = [
        features[:, :, top + row1 : top + row2, left + column1 : left + column2].max(axis=(2, 3))
        for row1, row2, column1, column2 in regions
    ]
    return l2_normalise(np.stack(maxima, axis=1))
