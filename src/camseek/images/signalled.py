"""Colour that a file signals by numbers and not by a profile: CICP (H.273), PNG's gamma, EXIF's Adobe RGB.

Turned to sRGB on few pixels: a curve, a matrix, and sRGB's curve. White is adapted by Bradford's matrix.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from jaxtyping import Float
from PIL import Image

from camseek.images.directories import Directory

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

_D65 = (0.3127, 0.329)
_SRGB: Chromaticities = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_ADOBE: Chromaticities = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ROMM: Chromaticities = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
"""ROMM RGB, also called ProPhoto."""
_PRIMARIES: dict[int, Chromaticities | None] = {
    1: None,
    2: None,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
# Television's curves are meant for the same screens as sRGB's, and shown alike.
_GAMMAS: dict[int, float | None] = dict.fromkeys((1, 2, 6, 7, 11, 12, 13, 14, 15)) | {4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_STEPS = 1 << 14


@dataclass(frozen=True, slots=True)
class SignalledColour:
    """What the numbers of a picture mean.

    Attributes:
        primaries: None for sRGB's.
        gamma: The exponent that makes them proportional to light; None for sRGB's curve.
    """

    primaries: Chromaticities | None = None
    gamma: float | None = None


def adobe_rgb(exif: Directory) -> SignalledColour | None:
    """Adobe RGB (1998) where EXIF data say so, by the colour space or the interoperability index."""
    camera = exif.at(exif.whole(0x8769))
    if camera is None:
        return None
    space = camera.whole(0xA001)
    rules = camera.at(camera.whole(0xA005)) if space == 0xFFFF else None
    if space == 2 or (rules is not None and rules.text(1) == "R03"):
        return SignalledColour(_ADOBE, 563 / 256)
    return None


def cicp(primaries: int, transfer: int) -> tuple[SignalledColour | None, str | None]:
    """Colour by its numbers in H.273, None for sRGB; and what is not honoured, if anything."""
    if transfer in _HDR:
        return None, f"its {_HDR[transfer]} brightness is not converted: tones are only roughly right"
    if primaries not in _PRIMARIES or transfer not in _GAMMAS:
        return None, f"its colour ({primaries}/{transfer} of H.273) is not known here, and taken as sRGB"
    found = SignalledColour(_PRIMARIES[primaries], _GAMMAS[transfer])
    return (None if found == SignalledColour() else found), None


def png_colour(found: dict[bytes, bytes]) -> tuple[SignalledColour | None, str | None]:
    """Colour by a PNG file's chunks, the first of cICP, sRGB, and gAMA with cHRM (PNG 3, section 4.3)."""
    numbers = found.get(b"cICP", b"")
    if len(numbers) == 4:
        return cicp(numbers[0], numbers[1])
    if b"sRGB" in found:
        return None, None
    gamma, primaries = None, None
    if len(found.get(b"gAMA", b"")) == 4:
        exponent = struct.unpack(">I", found[b"gAMA"])[0] / 100_000
        # About 1/2.2 stands for sRGB's curve wherever it is written.
        if exponent > 0 and not 0.42 < exponent < 0.49:
            gamma = 1 / exponent
    if len(found.get(b"cHRM", b"")) == 32:
        values = struct.unpack(">8I", found[b"cHRM"])
        given: Chromaticities = tuple(value / 100_000 for value in values)  # pyright: ignore[reportAssignmentType]
        if max(abs(one - other) for one, other in zip(given, _SRGB, strict=True)) > 0.005:
            primaries = given
    signalled = SignalledColour(primaries, gamma)
    if signalled == SignalledColour():
        return None, None
    if (gamma is not None and not 0.2 <= gamma <= 5) or (
        primaries is not None and _matrix(primaries) is None
    ):
        return None, "its gamma or chromaticities cannot be, and are ignored"
    return signalled, None


def signalled_to_srgb(image: Image.Image, colour: SignalledColour) -> Image.Image:
    """A picture in mode L or RGB to sRGB."""
    curve = _linear(colour.gamma)
    if image.mode == "L":
        return Image.fromarray(_encoded(curve)[np.asarray(image)]).convert("RGB")
    light = curve[np.asarray(image)]
    matrix = None if colour.primaries is None else _matrix(colour.primaries)
    if matrix is not None:
        light = light @ matrix.T.astype(np.float32)
    return Image.fromarray(_encoded(light))


def _linear(gamma: float | None) -> Float[np.ndarray, "256"]:
    """Light in [0, 1] of each of 256 values."""
    values = np.arange(256) / 255
    if gamma is not None:
        return (values**gamma).astype(np.float32)
    low = values <= 0.04045
    return np.where(low, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encoded(light: np.ndarray) -> np.ndarray:
    """SRGB's bytes of light; what lies outside [0, 1] is cut off."""
    return _curve()[np.rint(np.clip(light, 0, 1) * (_STEPS - 1)).astype(np.int32)]


@lru_cache(maxsize=1)
def _curve() -> np.ndarray:
    light = np.arange(_STEPS) / (_STEPS - 1)
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)


def _matrix(primaries: Chromaticities) -> np.ndarray | None:
    """From light of these primaries to that of sRGB's; None where they are no triangle about a white."""
    ours, theirs = _to_xyz(_SRGB), _to_xyz(primaries)
    if ours is None or theirs is None:
        return None
    seen, wanted = _BRADFORD @ theirs.sum(axis=1), _BRADFORD @ ours.sum(axis=1)
    if not (seen > 1e-3).all():
        return None
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(wanted / seen) @ _BRADFORD
    found = np.linalg.inv(ours) @ adapted @ theirs
    return found if np.isfinite(found).all() and np.abs(found).max() < 100 else None


def _to_xyz(primaries: Chromaticities) -> np.ndarray | None:
    points = np.array(primaries).reshape(4, 2)
    if not (points[:, 1] > 0).any() or points[0, 1] <= 0:
        return None
    xyz = np.column_stack((points, 1 - points.sum(axis=1)))
    white = xyz[0] / xyz[0, 1]
    if abs(np.linalg.det(xyz[1:])) < 1e-4:
        return None
    return cast(np.ndarray, xyz[1:].T * cast(Any, np.linalg.solve(xyz[1:].T, white)))
