"""Pixels of every kind to sRGB."""

import hashlib
import io
import threading
from collections import OrderedDict
from typing import Any, cast

import numpy as np
from PIL import Image, ImageChops, ImageCms

_CACHED = 32
_CMS: Any = ImageCms  # its types are incomplete


class ProfileError(Exception):
    """An embedded colour profile cannot be used."""


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Turns a picture without alpha into RGB by its profile, or by convention without one.

    Args:
        image: In mode L, RGB, CMYK or LAB.
        icc: The embedded ICC profile: relative colorimetric with black-point compensation.

    Raises:
        ProfileError: The profile is broken, or for another kind of pixels.
    """
    if icc is not None:
        transform, mode = _TRANSFORMS.get(icc, image.mode)
        image = image if image.mode == mode else image.convert(mode)
        return transform.apply(image) if transform is not None else image.convert("RGB")
    if image.mode == "LAB":
        transform, _ = _TRANSFORMS.get(None, "LAB")
        return transform.apply(image) if transform is not None else image
    return image if image.mode == "RGB" else image.convert("RGB")


def on_white(image: Image.Image) -> Image.Image:
    """Lays a picture with premultiplied alpha (RGBa, La) on white."""
    *colours, alpha = image.split()
    # Colours are multiplied by alpha already, so what hides under transparency is zero here.
    white = ImageChops.invert(alpha)
    bands = [ImageChops.add(colour, white) for colour in colours]
    return Image.merge("RGB", bands) if len(bands) == 3 else bands[0]


class _Transforms:
    """Transforms to sRGB, kept because most pictures of a collection share a few profiles."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[
            tuple[bytes, str], tuple[ImageCms.ImageCmsTransform | None, str] | ProfileError
        ] = OrderedDict()

    def get(self, icc: bytes | None, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
        """The transform (None where it changes nothing) and the mode it takes."""
        key = (hashlib.sha256(icc or b"").digest(), mode)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._build(icc, mode)
                if len(self._known) > _CACHED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            found = self._known[key]
        if isinstance(found, ProfileError):
            raise ProfileError(str(found))
        return found

    @staticmethod
    def _build(icc: bytes | None, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str] | ProfileError:
        try:
            source = (
                ImageCms.ImageCmsProfile(io.BytesIO(icc))
                if icc is not None
                else ImageCms.ImageCmsProfile(_CMS.createProfile("LAB"))
            )
            space = str(cast(Any, source).profile.xcolor_space).strip()
            # Grey pictures often carry their camera's or editor's RGB profile.
            takes = "RGB" if (mode, space) == ("L", "RGB") else mode
            if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}.get(space) != takes:
                return ProfileError(f"a profile for {space} on a picture of kind {mode}")
            target = ImageCms.ImageCmsProfile(_CMS.createProfile("sRGB"))
            transform = ImageCms.buildTransform(
                source,
                target,
                takes,
                "RGB",
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            return (None if _changes_nothing(transform, takes) else transform), takes
        except Exception as error:  # whatever Little CMS dislikes, the profile is at fault
            return ProfileError(str(error))


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether the profile is sRGB's own: told by what it does, as descriptions lie."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    if mode == "RGB":
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        probe = Image.fromarray(grid)
    elif mode == "L":
        probe = Image.fromarray(steps[None])
    else:
        return False
    after = np.asarray(transform.apply(probe), dtype=np.int16)
    return int(np.abs(after - np.asarray(probe.convert("RGB"), dtype=np.int16)).max()) <= 1


_TRANSFORMS = _Transforms()
