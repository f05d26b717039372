"""How pictures are read for a network."""

from dataclasses import dataclass, replace
from typing import BinaryIO

from camseek.arguments import Region, region_text
from camseek.backbones import Backbone
from camseek.config import LEAST_SIDE, Limits, Resize
from camseek.errors import RegionError, TooSmallError
from camseek.images import Picture, check_region, read_picture
from camseek.results import Size


@dataclass(frozen=True, slots=True)
class PictureReader:
    """Decodes pictures at the size at which a network sees them.

    Attributes:
        resize: The size at which they are read.
        multiple: Long sides are rounded down to a multiple of this (see ``decode``).
        limits: What this machine may spend on one picture.
        fitted_to: A model that takes one size alone, which scales them once more; None for all others.
    """

    resize: Resize
    multiple: int
    limits: Limits
    fitted_to: Backbone | None = None

    @classmethod
    def of(cls, model: Backbone, resize: Resize, limits: Limits) -> "PictureReader":
        """The reader for a model."""
        one_size = model.card.input.size is not None
        return cls(resize, model.card.input.multiple, limits, model if one_size else None)

    def read(self, file: BinaryIO, region: Region | None = None) -> Picture:
        """Decodes a picture, or a region of it.

        Raises:
            PictureError: It cannot be used; ``TooSmallError`` below ``LEAST_SIDE``.
            RegionError: The region is empty, reversed, outside, or too small.
        """
        picture = read_picture(
            file, resize=self.resize, multiple=self.multiple, limits=self.limits, region=region
        )
        if min(picture.size) < LEAST_SIDE:
            width, height = picture.size
            raise TooSmallError(
                f"it has {width} x {height} pixels, and each side needs {LEAST_SIDE}",
                remedy="give a larger copy of it",
            )
        if region is not None:
            check_region_size(region, picture.size, 1.0, 1.0)
        if self.fitted_to is None:
            return picture
        # Here, not in the pass alone: where cells lie is told from the size of the pixels.
        return replace(picture, pixels=self.fitted_to.fit(picture.pixels))


def check_region_size(region: Region, size: Size, across: float, down: float) -> None:
    """Refuses a region in which nothing can be recognised.

    Args:
        region: Pixels or shares of the upright picture.
        size: Width and height of the picture.
        across: How far the network sees it scaled in width; 1 where it keeps its pixels.
        down: Likewise in height.

    Raises:
        RegionError: It is empty, reversed or outside, or a side has fewer than ``LEAST_SIDE`` pixels, in the
            picture or as the network sees it.
    """
    x1, y1, x2, y2 = check_region(region, size)
    width, height = x2 - x1, y2 - y1
    seen = round(width * min(across, 1.0)), round(height * min(down, 1.0))
    if min(seen) >= LEAST_SIDE:
        return
    scaled = (
        "" if min(width, height) < LEAST_SIDE else f", {seen[0]} x {seen[1]} as the network sees the picture"
    )
    raise RegionError(
        f"the region {region_text(region)} has {width} x {height} pixels{scaled}, "
        f"and each side needs {LEAST_SIDE}",
        remedy="draw a larger box around the thing"
        + (", or encode the region's own pixels (--region-reading crop)" if scaled else ""),
    )
