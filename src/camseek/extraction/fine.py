"""Fine points of pictures that were read: XFeat (Potje et al., CVPR 2024) in ONNX Runtime.

``tools/export_xfeat.py`` makes the network that ships, and says what goes in and comes out.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from camseek.backbones.devices import new_session, running, usual
from camseek.backbones.onnx_backbone import read_checked
from camseek.config import Device
from camseek.errors import DeviceError
from camseek.images import Picture
from camseek.matching.features import Amount, shrunk
from camseek.matching.fine import DESCRIPTOR, INDEXED, QUERIED, FinePoints, embedded_axes
from camseek.numerics import F32, F64, I64, U8, l2_normalise
from camseek.results import Box

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NETWORK = Path(__file__).parent / "data" / "xfeat.onnx"
SHA256 = "87a6634afe3d928910d2ede06f9a07712246a33e654c246a2f78eeef8cd929fa"
"""Of the network's file."""

_MOST_BYTES = 10_000_000
_CELL, _STRIDE = 8, 32
_CORNER = 0.05  # least probability of a corner
_NEAR = np.ones((5, 5), np.uint8)  # of corners so near to each other one is left
_MEAN = np.full((1, 3), 1 / 3)
_BEND = -0.75  # of the cubic that maps are sampled with, as PyTorch's
_loading = threading.Lock()


def grey_of(pixels: UInt8[U8, "H W 3"]) -> UInt8[U8, "H W"]:
    """The mean of the colours: all that the network looks at."""
    return np.asarray(cv2.transform(pixels, _MEAN), np.uint8).reshape(pixels.shape[:2])


def fine_points(
    grey: UInt8[U8, "H W"], count: int, device: Device | None = None
) -> tuple[Float32[F32, "N 2"], Float32[F32, "N 64"]]:
    """The strongest points of a picture.

    Args:
        grey: uint8 (H, W), upright.
        count: How many are wanted, 1 or more.
        device: What the network runs on, in single precision; None for what is usual.

    Returns:
        Places (N, 2), x to the right and y down, pixels of ``grey``, the first one's centre at (0.5, 0.5),
        and descriptors (N, 64) of norm 1, strongest first, at most ``count``; none of a flat picture. The
        same pixels give the same points, on any number of threads; on a GPU nearly so.

    Raises:
        ModelError: The network's file is lost or damaged.
        DeviceError: It does not run on the GPU that is asked for.
    """
    height, width = grey.shape
    rows, columns = (max(round(side / _STRIDE), 1) * _STRIDE for side in (height, width))
    nothing = np.zeros((0, 2), np.float32), np.zeros((0, DESCRIPTOR), np.float32)
    if grey.min() == grey.max():  # what deviates from the mean would be rounding alone
        return nothing
    fitted = cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    maps, logits, reliability = (
        np.asarray(out, np.float32)[0]
        for out in _network(device or usual()).run(None, {"grey": fitted[None, None]})
    )
    y, x, strength = _corners(logits)
    if not len(x):
        return nothing
    strength *= _sampled(np.moveaxis(reliability, 0, -1), x, y, _linear)[:, 0]
    order = np.argsort(-strength, kind="stable")[:count]
    x, y = x[order], y[order]
    units = l2_normalise(np.ascontiguousarray(np.moveaxis(maps, 0, -1)))
    found = l2_normalise(_sampled(units, x, y, _cubic))
    places = np.stack([(x + 0.5) * (width / columns), (y + 0.5) * (height / rows)], axis=1)
    return places.astype(np.float32), found


def stored_fine(picture: Picture, device: Device | None = None) -> bytes:
    """What a collection stores of a whole picture's fine points, packed.

    Whatever the size at which the collection's network sees pictures, no larger one is looked at here.
    """
    grey = grey_of(shrunk(picture.pixels, INDEXED.side))
    places, descriptors = fine_points(grey, INDEXED.count, device)
    height, width = grey.shape
    zoom = np.array([picture.size[0] / width, picture.size[1] / height], np.float32)
    return embedded_axes().pack(places * zoom, descriptors, picture.size, max(grey.shape))


@dataclass(frozen=True, slots=True, eq=False)
class FineQuery:
    """A picture of a query, whose fine points are found when they are asked for; threads may share it.

    Attributes:
        grey: uint8 (H, W): what is sought, at a longer side of 768 pixels at most.
        outline: Where that lies in the query's picture, its pixels.
        device: What the network runs on; None for what is usual.
    """

    grey: UInt8[U8, "H W"]
    outline: Box
    device: Device | None = None
    _known: dict[tuple[int, Amount], FinePoints] = field(
        default_factory=dict[tuple[int, Amount], FinePoints], init=False
    )

    @classmethod
    def of(cls, picture: Picture, outline: Box, device: Device | None = None) -> "FineQuery":
        """What is kept of a query's picture.

        Args:
            picture: The pixels of the outline alone.
            outline: What of the picture is sought, pixels.
            device: What the network runs on; None for what is usual.
        """
        return cls(shrunk(grey_of(picture.pixels), max(amount.side for amount in QUERIED)), outline, device)

    def points(self, degrees: int, amount: Amount) -> FinePoints:
        """The points as the picture shows them when it is turned to the right, in its own upright pixels.

        Args:
            degrees: By how much it is turned, from 0 to 359.
            amount: How much is looked at of it, one of ``QUERIED``.
        """
        known = self._known.get((degrees, amount))
        if known is None:  # two threads may find the same, which is equal
            known = self._known[degrees, amount] = self._found(degrees, amount)
        return known

    def _found(self, degrees: int, amount: Amount) -> FinePoints:
        grey = shrunk(self.grey, amount.side)
        turned, back = _turned(grey, degrees)
        places, descriptors = fine_points(turned, amount.count, self.device)
        x1, y1, x2, y2 = self.outline
        zoom = np.array([(x2 - x1) / grey.shape[1], (y2 - y1) / grey.shape[0]])
        # The first pixel's centre is at 0.5 of places, and at 0 of OpenCV's maps.
        upright = ((places - 0.5) @ back[:, :2].T + back[:, 2] + 0.5) * zoom + np.array([x1, y1])
        return FinePoints(
            upright.astype(np.float32),
            embedded_axes().project(descriptors),
            float(np.sqrt(zoom.prod())),
            math.radians(-degrees % 360),
        )


def _turned(grey: UInt8[U8, "H W"], degrees: int) -> tuple[UInt8[U8, "H2 W2"], Float64[F64, "2 3"]]:
    """A picture turned to the right, all of it, on its mean; and the affine map back."""
    height, width = grey.shape
    middle = (width - 1) / 2, (height - 1) / 2
    forth = np.asarray(cv2.getRotationMatrix2D(middle, -degrees, 1.0), np.float64)
    if not degrees:
        return grey, forth
    # A right angle's cosine is no zero.
    cosine, sine = np.round(np.abs(forth[0, :2]), 9)
    size = math.ceil(width * cosine + height * sine), math.ceil(width * sine + height * cosine)
    forth[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    turned = cv2.warpAffine(grey, forth, size, borderValue=float(grey.mean()))
    return np.asarray(turned, np.uint8), np.asarray(cv2.invertAffineTransform(forth), np.float64)


def _corners(
    logits: Float32[F32, "65 h w"],
) -> tuple[Int64[I64, " N"], Int64[I64, " N"], Float32[F32, " N"]]:
    """Pixels that are more of a corner than all within two of them: rows, columns and probabilities."""
    shares = np.exp(logits - logits.max(axis=0))
    shares /= shares.sum(axis=0)
    _, rows, columns = shares.shape
    cells = shares[:64].reshape(_CELL, _CELL, rows, columns).transpose(2, 0, 3, 1)
    corner = np.ascontiguousarray(cells.reshape(rows * _CELL, columns * _CELL))
    y, x = np.nonzero((corner == cv2.dilate(corner, _NEAR)) & (corner > _CORNER))
    return y, x, corner[y, x]


_Kernel = Callable[[Float32[F32, " N"]], list[Float32[F32, " N"]]]


def _sampled(
    maps: Float32[F32, "h w C"], x: Int64[I64, " N"], y: Int64[I64, " N"], kernel: _Kernel
) -> Float32[F32, "N C"]:
    """What maps of an eighth of the size hold at pixels; beyond their borders they go on as there."""
    height, width, channels = maps.shape
    across, columns = _cells(x, width, kernel)
    down, rows = _cells(y, height, kernel)
    flat = maps.reshape(-1, channels)
    found = np.zeros((len(x), channels), np.float32)
    for weight, row in zip(down, rows, strict=True):
        for other, column in zip(across, columns, strict=True):
            found += (weight * other)[:, None] * flat[row * width + column]
    return found


def _cells(
    pixels: Int64[I64, " N"], count: int, kernel: _Kernel
) -> tuple[list[Float32[F32, " N"]], list[Int64[I64, " N"]]]:
    """The weights of the cells around pixels, along one side, and which cells these are."""
    places = (pixels + 0.5) / _CELL - 0.5
    low = np.floor(places)
    weights = kernel((places - low).astype(np.float32))
    first = low.astype(np.int64) - (len(weights) // 2 - 1)
    return weights, [np.clip(first + step, 0, count - 1) for step in range(len(weights))]


def _linear(off: Float32[F32, " N"]) -> list[Float32[F32, " N"]]:
    """The weights of two cells, at so much beyond the first."""
    return [1 - off, off]


def _cubic(off: Float32[F32, " N"]) -> list[Float32[F32, " N"]]:
    """The weights of four cells, at so much beyond the second (Keys, 1981)."""

    def inner(x: F32) -> F32:
        return ((_BEND + 2) * x - (_BEND + 3)) * x * x + 1

    def outer(x: F32) -> F32:
        return ((_BEND * x - 5 * _BEND) * x + 8 * _BEND) * x - 4 * _BEND

    return [outer(off + 1), inner(off), inner(1 - off), outer(2 - off)]


def _network(device: Device) -> "InferenceSession":
    """The network, with one thread a pass: pictures are seen beside each other."""
    with _loading:
        return _loaded(device)


@cache
def _loaded(device: Device) -> "InferenceSession":
    read_checked(NETWORK, _MOST_BYTES, SHA256)
    if running(device).name == "cuda":
        try:
            return new_session(NETWORK, threads=1, cuda=True)
        except DeviceError:
            if device.name == "cuda":
                raise
    return new_session(NETWORK, threads=1)
