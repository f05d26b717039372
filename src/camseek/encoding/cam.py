"""Class activation maps: where in the picture the network sees each class."""

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray

from camseek.config import MapNormalisation
from camseek.numerics import F32, positive_or_one, resize_bilinear

# Below this share of its magnitude, a map's span is float32 rounding and the map counts as constant.
_ROUNDING = np.float32(1e-5)
# A map whose maximum is hardly below 0 would flip to infinity; sums over what this bounds stay finite.
_MOST_FLIPPED = np.float32(1e30)


def class_activation_maps(
    classifier_maps: Float32[F32, "B K2 H2 W2"],
    classifier_weights: Float32[F32, "classes K2"],
    class_ids: Int64[NDArray[np.int64], "B C"],
    mask: Bool[NDArray[np.bool_], "B H2 W2"],
    *,
    size: tuple[int, int],
    normalisation: MapNormalisation = "clipped",
) -> Float32[F32, "B C H W"]:
    """Computes CAM_c = Σ_k classifier_map_k · w_c,k, normalised to [0, 1], then resized.

    Zhou et al. 2016, equation 2 (the bias is not added); Jimenez et al. 2017.

    Args:
        classifier_maps: float32 (B, K2, H2, W2), the activations before global average pooling, finite.
        classifier_weights: float32 (classes, K2), the linear layer after it, finite.
        class_ids: int64 (B, C), the classes wanted of each picture, rows of ``classifier_weights``.
        mask: bool (B, H2, W2), true for the cells that hold picture pixels. The others' values never matter.
        size: Rows and columns of the feature maps, H and W.
        normalisation: ``clipped`` sets negatives to 0 and divides by the maximum; ``minmax`` takes the
            minimum to 0 and the maximum to 1; ``flipped`` is the paper's research code with its fault: as
            ``clipped``, but a map whose maximum is negative is divided by it and so changes its sign. All
            over the unmasked cells.

    Returns:
        float32 (B, C, H, W) in [0, 1]; 0 in masked cells. After a resize, those are the cells whose centre
        lies in a masked one, and masked cells are not interpolated with, as if the picture ended before them.
        A map that is nowhere positive (``clipped``), constant (``minmax``) or of maximum 0 (``flipped``) is
        all zero. One that ``flipped`` turns over is 1 at its maximum and above 1 elsewhere, outside [0, 1]:
        the further below the maximum a cell was, the more it counts, up to 1e30.

    Raises:
        ValueError: A class id is not a row of ``classifier_weights``.
    """
    classes = len(classifier_weights)
    if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < classes:
        raise ValueError(f"class ids must be from 0 to {classes - 1}")
    batch, channels, rows, columns = classifier_maps.shape
    raw = classifier_weights[class_ids] @ classifier_maps.reshape(batch, channels, rows * columns)
    maps = raw.reshape(batch, class_ids.shape[1], rows, columns)
    match normalisation:
        case "clipped":
            maps = _clipped(maps, mask[:, None])
        case "minmax":
            maps = _minmax(maps, mask[:, None])
        case "flipped":
            maps = _flipped(maps, mask[:, None])
    if (rows, columns) == size:
        return maps
    resized = _resized(maps, mask, size)
    # Weights that sum to 1 but for rounding can pass a map's maximum by one unit in the last place.
    return np.minimum(resized, maps.max(axis=(2, 3), keepdims=True), out=resized)


def _clipped(
    maps: Float32[F32, "B C H W"], mask: Bool[NDArray[np.bool_], "B 1 H W"]
) -> Float32[F32, "B C H W"]:
    """Negatives to 0, divided by the maximum; changes ``maps``."""
    np.maximum(maps, 0, out=maps)
    maps *= mask
    peak = maps.max(axis=(2, 3), keepdims=True)
    # A division, not a product with 1 / peak: that overflows for the smallest maxima.
    maps /= positive_or_one(peak)
    return maps


def _minmax(
    maps: Float32[F32, "B C H W"], mask: Bool[NDArray[np.bool_], "B 1 H W"]
) -> Float32[F32, "B C H W"]:
    """The minimum to 0, the maximum to 1."""
    low = maps.min(axis=(2, 3), keepdims=True, where=mask, initial=np.inf)
    high = maps.max(axis=(2, 3), keepdims=True, where=mask, initial=-np.inf)
    span: F32 = high - low
    live = span > _ROUNDING * np.maximum(np.abs(low), np.abs(high))
    low = np.where(live, low, np.float32(0))
    # Masked cells and constant maps become the minimum before the division, so nothing can overflow.
    above: F32 = np.where(mask & live, maps, low) - low
    return above / positive_or_one(span)


def _flipped(
    maps: Float32[F32, "B C H W"], mask: Bool[NDArray[np.bool_], "B 1 H W"]
) -> Float32[F32, "B C H W"]:
    """Divided by the maximum, whatever its sign, then negatives to 0."""
    peak = maps.max(axis=(2, 3), keepdims=True, where=mask, initial=-np.inf)
    with np.errstate(over="ignore"):  # a maximum hardly below 0
        shares = np.divide(maps, peak, out=np.zeros_like(maps), where=mask & (peak != 0))
    return np.clip(shares, 0, _MOST_FLIPPED)


def _resized(
    maps: Float32[F32, "B C H2 W2"], mask: Bool[NDArray[np.bool_], "B H2 W2"], size: tuple[int, int]
) -> Float32[F32, "B C H W"]:
    """Bilinear over the unmasked cells alone: the weights of the others are shared out among them."""
    resized = resize_bilinear(maps, size)
    if mask.all():
        return resized
    row, column = (
        (2 * np.arange(wide) + 1) * old // (2 * wide) for wide, old in zip(size, mask.shape[1:], strict=True)
    )
    inside = mask[:, row[:, None], column]
    # Where a cell's centre is unmasked, at least a quarter of its weight is.
    share = resize_bilinear(mask.astype(np.float32), size)
    resized /= np.where(inside, share, np.float32(1))[:, None]
    resized *= inside[:, None]
    return resized
