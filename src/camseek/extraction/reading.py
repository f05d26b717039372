"""How pictures are read for a network."""

from dataclasses import dataclass, replace
from typing import BinaryIO

from camseek.arguments import Region
from camseek.backbones import Backbone
from camseek.config import Limits, Resize
from camseek.images import Picture, read_picture


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
            PictureError: It cannot be used.
            RegionError: The region is empty, reversed or outside.
        """
        picture = read_picture(
            file, resize=self.resize, multiple=self.multiple, limits=self.limits, region=region
        )
        if self.fitted_to is None:
            return picture
        # Here, not in the pass alone: where cells lie is told from the size of the pixels.
        return replace(picture, pixels=self.fitted_to.fit(picture.pixels))
