"""Scale pictures down, in strips where their pixels must be turned into others first."""

from math import ceil, floor

import numpy as np
from PIL import Image

from camseek.images.tones import Tones, stretched
from camseek.results import Box, Size

_STRIP = 2_000_000
_LARGE = 32_000_000
_AS_THEY_ARE = frozenset({"L", "RGB", "CMYK", "LAB", "La", "RGBa"})
_DEEP = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_SIXTEEN_BITS = Tones(0.0, 65535.0)

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
    deep, clear = image.mode in _DEEP, image.info.get("transparency")
    left, top, right, bottom = box
    rows = max(down, _STRIP // (right - left) // down * down)
    result: Image.Image | None = None
    for y in range(top, bottom, rows):
        strip = image.crop((left, y, right, min(y + rows, bottom)))
        strip = _deep(strip, clear) if deep else _plain(strip)
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


def _deep(strip: Image.Image, clear: object) -> Image.Image:
    """Grey of 16 bits to 8; ``clear`` is the tone that is transparent, if any is."""
    values = np.asarray(strip)
    grey = Image.fromarray(stretched(values, _SIXTEEN_BITS))
    if not isinstance(clear, int):
        return grey
    alpha = np.where(values == clear, 0, 255).astype(np.uint8)
    return Image.merge("LA", (grey, Image.fromarray(alpha))).convert("La")
