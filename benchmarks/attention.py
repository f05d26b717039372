"""How the box of a hit is made from activation maps: numbers of classes, their weights, thresholds.

Compared on the photographed paintings whose place on the wall is known (29 boxes): the mean intersection
over union of the box around the largest part of a heat map above a share of its maximum, for heat maps of the
query's most probable classes that count alike, and by their probability. What camseek uses was chosen on
these same pictures, so its own figure flatters it.
"""

import os
from collections.abc import Sequence

import numpy as np
from common import Options, Report, Table
from jaxtyping import Float32
from numpy.typing import NDArray

from camseek import Encoding, Limits, Settings, load_model
from camseek.backbones import Backbone
from camseek.datasets import read_ground_truth
from camseek.encoding.activations import Activations, probabilities
from camseek.encoding.aggregation import most_probable
from camseek.encoding.encoder import activation_maps
from camseek.encoding.regions import attention_box, heat_map
from camseek.evaluation import intersection_over_union
from camseek.extraction.attention import BOX_FACTOR, BOX_THRESHOLD, HEAT_CLASSES
from camseek.extraction.extractor import Extraction, Extractor
from camseek.results import Box

F32 = NDArray[np.float32]
_CLASSES = (1, 2, 3, 6, 10, 64)
_THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)

Pair = tuple[Activations, Extraction, Box]


def measure(options: Options) -> Report:
    """Measures on the walls; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    model = load_model()
    pairs = _pairs(model, options)
    for weighted in (False, True):
        how = "each by its probability" if weighted else "all alike"
        table = Table(
            f"Boxes from maps of the most probable classes, {how}: mean IoU",
            ("classes", *(f"above {threshold:g}" for threshold in _THRESHOLDS)),
        )
        for count in _CLASSES:
            table.rows.append((str(count), *_row(model, pairs, count, weighted=weighted)))
        report.tables.append(table)
    report.tables[-1].notes.append(
        f"camseek uses {HEAT_CLASSES} classes by probability, above {BOX_THRESHOLD:g}."
    )
    return report


def _pairs(model: Backbone, options: Options) -> list[Pair]:
    truth = read_ground_truth(f"{options.data}/paintings/ground_truth_walls.json")
    extractor = Extractor.of(model, Settings().size, Limits())
    known: dict[bytes, Extraction] = {}

    def look(path: bytes) -> Extraction:
        if path not in known:
            known[path] = extractor.extract(os.fsdecode(path))
        return known[path]

    return [
        (look(query.image).activations, look(os.path.join(truth.database, name)), box)
        for query in truth.queries[: options.pick(1000, 4)]
        for name, box in query.boxes.items()
    ]


def _row(model: Backbone, pairs: Sequence[Pair], count: int, *, weighted: bool) -> list[str]:
    overlaps: list[list[float]] = []
    for query, seen, truth in pairs:
        heat = _heat(model, query, seen.activations, count, weighted=weighted)
        boxes = [attention_box(heat, threshold, seen.grid, factor=BOX_FACTOR) for threshold in _THRESHOLDS]
        overlaps.append([intersection_over_union(box, truth) if box else 0.0 for box in boxes])
    return [f"{mean:.3f}" for mean in np.mean(overlaps, axis=0)]


def _heat(
    model: Backbone, query: Activations, activations: Activations, count: int, *, weighted: bool
) -> Float32[F32, "H W"]:
    classes = most_probable(query.scores, count)
    maps = activation_maps(activations, model.classifier_weights, classes, encoding=Encoding.parse("cam"))
    shares = probabilities(query.scores)[0][classes[0]] if weighted else np.ones(count, np.float32)
    return heat_map(maps[0], shares)
