"""How pictures are read for a network."""

from dataclasses import dataclass
from typing import BinaryIO

from camseek.backbones import Backbone
from camseek.config import Limits
from camseek.images import Picture, decode
from camseek.results import Box


@dataclass(frozen=True, slots=True)
class PictureReader:
    """Decodes pictures at the size at which a network sees them.

    Attributes:
        longer_side: They are scaled down to this longer side, pixels.
        multiple: Long sides are rounded down to a multiple of this (see ``decode``).
        max_pixels: Pictures with more pixels are refused.
    """

    longer_side: int
    multiple: int
    max_pixels: int

    @classmethod
    def of(cls, model: Backbone, longer_side: int, limits: Limits) -> "PictureReader":
        """The reader for a model."""
        return cls(longer_side, model.card.input.multiple, limits.max_pixels)

    def read(self, file: BinaryIO, region: Box | None = None) -> Picture:
        """Decodes a picture, or a region of it.

        Raises:
            PictureError: It cannot be used.
            RegionError: The region is empty, reversed or outside.
        """
        return decode(
            file,
            longer_side=self.longer_side,
            multiple=self.multiple,
            max_pixels=self.max_pixels,
            region=region,
        )
