"""A decoded picture, and regions of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from camseek.arguments import Region, Shares, region_text
from camseek.errors import RegionError
from camseek.results import Box, Size


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: Upright, sRGB, in [0, 255]: the picture or the region asked for, scaled down.
        size: Width and height of the whole picture, upright, as in the file.
        format: ``JPEG``, ``PNG``, ``GIF``, ``WEBP``, ``TIFF``, ``BMP``, ``HEIF``, ``AVIF`` or ``JPEG2000``;
            of a raw file its own: ``DNG``, ``NEF``, ``CR3`` and so on.
        frames: Number of pictures in the file, of which the first (HEIF: the primary one) is used; counted
            up to 1000.
        warnings: What was odd, and went unused.
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    size: Size
    format: str
    frames: int = 1
    warnings: tuple[str, ...] = ()


def check_region(region: Region, size: Size) -> Box:
    """A region of an upright picture of this size in pixels.

    Raises:
        RegionError: It is empty, reversed, or not wholly within the picture.
    """
    box = region.of(size) if isinstance(region, Shares) else region
    x1, y1, x2, y2 = box
    width, height = size
    if x1 < x2 and y1 < y2 and x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height:
        return box
    if isinstance(region, Shares):  # they lie within any picture
        fault = "covers less than a pixel"
    elif x1 == x2 or y1 == y2:
        fault = "is empty"
    elif x1 > x2 or y1 > y2:
        fault = "is reversed"
    else:
        fault = "reaches outside the picture"
    raise RegionError(
        f"the region {region_text(region)} {fault}, which is {width} x {height} pixels"
        if fault.endswith("picture")
        else f"the region {region_text(region)} {fault}; the picture is {width} x {height} pixels",
        remedy="draw a larger box around the thing"
        if isinstance(region, Shares)
        else f"give x1,y1,x2,y2 with 0 <= x1 < x2 <= {width} and 0 <= y1 < y2 <= {height}",
    )
