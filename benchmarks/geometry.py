"""Rounding the picture to the network's multiple against padding it.

The network takes sides that are multiples of 32. Compared, on the same pictures: scaling each side to the
multiple below (what camseek does; sides under 128 pixels are padded), and scaling to the exact proportions,
padding to the next multiple with the mean colour and masking the cells wholly in the padding. Measured by
trapezoidal average precision, with the paired difference and its 95 % bootstrap interval.
"""

from dataclasses import replace

import numpy as np
from common import SETS, Options, Report, Table
from jaxtyping import UInt8
from quality import DIFFERENCES, differences_table, scored, sets_table

from camseek import Backbone, load_model
from camseek.datasets import read_ground_truth
from camseek.encoding.activations import Activations

_ENCODINGS = ("sum", "spoc", "crow", "gem", "cam")


class PaddingBackbone(Backbone):
    """A network that takes pictures of any size, and pads them."""

    def __init__(self, backbone: Backbone) -> None:
        # What was loaded and checked once is shared. Pictures are read by what the card says.
        self.__dict__.update(vars(backbone))
        self._padding = backbone
        self.card = replace(backbone.card, input=replace(backbone.card.input, multiple=1))

    def with_threads(self, threads: int) -> "PaddingBackbone":
        """The same with another number of threads."""
        return PaddingBackbone(self._padding.with_threads(threads))

    def run(self, pixels: UInt8[np.ndarray, "height width 3"]) -> Activations:
        """One pass on the padded picture."""
        return self._padding.run(pixels)


def measure(options: Options) -> Report:
    """Measures both on the shared sets; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    names = SETS[1:2] if options.quick else SETS
    truths = [read_ground_truth(options.data / name / "ground_truth.json") for name in names]
    model = load_model()
    rounded, padded = (
        scored(truths, _ENCODINGS, "trapezoid", backbone) for backbone in (model, PaddingBackbone(model))
    )
    both = {
        f"{name}, {geometry}": scores[name]
        for name in rounded
        for geometry, scores in (("rounded", rounded), ("padded", padded))
    }
    report.tables.append(sets_table("Geometry, mAP (trapezoid)", both, names))
    differences = Table("Padded less rounded, mAP (trapezoid)", DIFFERENCES)
    for name in rounded:
        scores = {name: padded[name], "rounded": rounded[name]}
        differences.rows.extend(differences_table("", scores, "rounded").rows)
    report.tables.append(differences)
    return report
