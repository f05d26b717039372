"""Scale pictures down, in strips where their pixels must be turned into others first."""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from PIL import Image, TiffImagePlugin

from camseek.results import Box, Size

_STRIP = 2_000_000
_LARGE = 32_000_000
_AS_THEY_ARE = frozenset({"L", "RGB", "CMYK", "LAB", "La", "RGBa"})
_DEEP = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})

_FloatBox = tuple[float, float, float, float]


def reduced(image: Image.Image, box: _FloatBox, target: Size) -> Image.Image:
    """Scales a box of a picture down to a size, in mode L, La, RGB, RGBa, CMYK or LAB.

    Whole blocks are averaged first, to no less than twice the size wanted, then the antialiased bicubic
    filter does the rest. Only pixels that the box touches count.
    """
    width, height = image.size
    x1, y1, x2, y2 = box[0], box[1], min(box[2], float(width)), min(box[3], float(height))
    outer = (floor(x1), floor(y1), ceil(x2), ceil(y2))
    across, down = _blocks(x2 - x1, y2 - y1, target)
    small = _averaged(image, outer, across, down)
    return small.resize(
        target,
        Image.Resampling.BICUBIC,
        box=(
            (x1 - outer[0]) / across,
            (y1 - outer[1]) / down,
            min((x2 - outer[0]) / across, small.width),
            min((y2 - outer[1]) / down, small.height),
        ),
    )


def _blocks(width: float, height: float, target: Size) -> tuple[int, int]:
    """Width and height of the blocks averaged."""
    gap = 2.0
    while True:
        across = max(1, int(width / target[0] / gap))
        down = max(1, int(height / target[1] / gap))
        # A giant picture scaled down a little would be held twice.
        if gap == 1.0 or width * height / (across * down) <= _LARGE:
            return across, down
        gap = 1.0


def _averaged(image: Image.Image, box: Box, across: int, down: int) -> Image.Image:
    blocks = (across, down)
    if image.mode in _AS_THEY_ARE and "transparency" not in image.info:
        if blocks == (1, 1):
            return image if box == (0, 0, *image.size) else image.crop(box)
        # JPEG 2000 pictures hide the method behind a setting of the same name.
        return Image.Image.reduce(image, blocks, box)
    tones = _tones(image) if image.mode in _DEEP else None
    left, top, right, bottom = box
    rows = max(down, _STRIP // (right - left) // down * down)
    result: Image.Image | None = None
    for y in range(top, bottom, rows):
        strip = image.crop((left, y, right, min(y + rows, bottom)))
        strip = _plain(strip) if tones is None else _deep(strip, tones)
        if blocks != (1, 1):
            strip = strip.reduce(blocks)
        if result is None:
            result = Image.new(strip.mode, (strip.width, ceil((bottom - top) / down)))
        result.paste(strip, (0, (y - top) // down))
    if result is None:
        raise ValueError("an empty box")
    return result


def _plain(strip: Image.Image) -> Image.Image:
    """Turns pixels that cannot be averaged into ones that can; alpha premultiplied."""
    clear = strip.info.get("transparency")
    match strip.mode:
        case "RGBA" | "PA":
            return (strip if strip.mode == "RGBA" else strip.convert("RGBA")).convert("RGBa")
        case "P":
            opaque = clear is None and (strip.palette is None or strip.palette.mode == "RGB")
            return strip.convert("RGB") if opaque else strip.convert("RGBA").convert("RGBa")
        case "LA":
            return strip.convert("La")
        case "1" | "L":
            return strip.convert("L") if clear is None else strip.convert("LA").convert("La")
        case "RGB" if clear is not None:
            return strip.convert("RGBA").convert("RGBa")
        case "La" | "RGBa" | "CMYK" | "LAB":
            return strip
        case _:
            return strip.convert("RGB")


@dataclass(frozen=True, slots=True)
class _Tones:
    """The values that become 0 and 255, and the one that is transparent."""

    low: float
    high: float
    clear: int | None = None


def _tones(image: Image.Image) -> _Tones:
    if image.mode == "F":
        low, high = _finite_range(image)
        return _Tones(0.0, 1.0) if low >= 0 and high <= 1 else _Tones(low, high)
    if image.mode == "I":
        low, high = _finite_range(image)
        return _Tones(0.0, 65535.0) if low >= 0 and high <= 65535 else _Tones(low, high)
    twelve = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(258) == (12,)
    clear = image.info.get("transparency")
    return _Tones(0.0, 4095.0 if twelve else 65535.0, clear if isinstance(clear, int) else None)


def _finite_range(image: Image.Image) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    rows = max(1, _STRIP // image.width)
    for y in range(0, image.height, rows):
        values = _values(image.crop((0, y, image.width, min(y + rows, image.height))))
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 1.0)


def _values(strip: Image.Image) -> Shaped[np.ndarray, "height width"]:
    return np.asarray(strip)


def _deep(strip: Image.Image, tones: _Tones) -> Image.Image:
    values = _values(strip)
    grey = _stretched(values.astype(np.float64), tones)
    if tones.clear is None:
        return Image.fromarray(grey)
    alpha = np.where(values == tones.clear, 0, 255).astype(np.uint8)
    return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha))).convert("La")


def _stretched(values: Float[np.ndarray, "height width"], tones: _Tones) -> UInt8[np.ndarray, "height width"]:
    """``(v - low) * 255 / (high - low)``, rounded; what is not finite becomes 0."""
    # Halved first: the difference of two finite numbers may overflow.
    span = tones.high / 2 - tones.low / 2
    if not span > 0:
        return np.zeros(values.shape, np.uint8)
    values = np.where(np.isfinite(values), values, tones.low)
    return np.rint(np.clip((values / 2 - tones.low / 2) / span * 255, 0, 255)).astype(np.uint8)
