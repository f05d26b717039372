"""A model's proof: what it gave for a generated pattern when its card was made, to compare with."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from camseek.backbones.card import Digest, Proof
from camseek.backbones.onnx_backbone import Backbone

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

FIRST = 8
# Processors add in other orders; a network of 8 bits also rounds otherwise where their instructions differ.
TOLERANCE, QUANTISED_TOLERANCE = 1e-3, 0.1
_SIDE = 64  # the pattern has sides of at least this


def pattern(height: int, width: int) -> UInt8[NDArray[np.uint8], "height width 3"]:
    """A picture to try a network on: waves of several lengths, in whole numbers, so the same everywhere."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    channels = [
        _wave(3 * x + y, 97) + _wave(x - 2 * y, 41),
        _wave(x + 4 * y, 131) + _wave(5 * x, 29),
        _wave(x * y // 16, 61) + _wave(7 * y - x, 53),
    ]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _wave(t: I64, length: int) -> I64:
    """A triangle wave from 0 to 127."""
    phase = t % (2 * length)
    return np.minimum(phase, 2 * length - phase) * 127 // length


def pattern_size(backbone: Backbone) -> tuple[int, int]:
    """Height and width of the pattern for a network: its only size, or 2 x 3 of the least of 64 pixels."""
    wanted = backbone.card.input
    side = -(-_SIDE // wanted.multiple) * wanted.multiple
    return wanted.size or (2 * side, 3 * side)


def make_proof(backbone: Backbone, *, tolerance: float = TOLERANCE) -> Proof:
    """Runs a network on the pattern and notes what comes."""
    height, width = pattern_size(backbone)
    outputs = backbone.outputs(pattern(height, width))
    return Proof(
        size=(height, width),
        tolerance=tolerance,
        outputs={name: digest(values) for name, values in outputs.items()},
    )


def digest(values: Float32[F32, "1 K *cells"]) -> Digest:
    """Shape, mean, spread and the first eight channels of an output."""
    exact = values.astype(np.float64)
    first = exact.reshape(*values.shape[:2], -1)[0, :FIRST].mean(axis=-1)
    return Digest(
        shape=tuple(values.shape),
        mean=_rounded(exact.mean()),
        spread=_rounded(np.sqrt(np.square(exact).mean())),
        first=tuple(map(_rounded, first)),
    )


def _rounded(value: np.floating) -> float:
    return float(f"{value:.7g}")


def compare(backbone: Backbone, proof: Proof) -> dict[str, str]:
    """Runs a network on the pattern and says which outputs differ from the proof, and how; empty if none."""
    found = {name: digest(values) for name, values in backbone.outputs(pattern(*proof.size)).items()}
    return _differences(found, proof.outputs, proof.tolerance)


def _differences(
    found: Mapping[str, Digest], wanted: Mapping[str, Digest], tolerance: float
) -> dict[str, str]:
    faults = dict.fromkeys(found.keys() - wanted.keys(), "not in the proof")
    for name, remembered in wanted.items():
        if name not in found:
            faults[name] = "the model gives no such output"
        elif found[name].shape != remembered.shape:
            faults[name] = f"shape {found[name].shape}, not {remembered.shape}"
        else:
            off = _distance(found[name], remembered) / (remembered.spread or 1.0)
            if not off <= tolerance:
                faults[name] = f"differs by {off:.1e} of its spread; {tolerance:g} is allowed"
    return faults


def _distance(one: Digest, other: Digest) -> float:
    pairs = zip((one.mean, one.spread, *one.first), (other.mean, other.spread, *other.first), strict=True)
    return max(abs(a - b) for a, b in pairs)
