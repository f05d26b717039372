"""How well the encodings find things, on four sets of photographs with ground truth.

Compared, side by side: the named encodings, by trapezoidal average precision and by the mean of the
precisions at the positives, on each set and in the mean over the sets; their differences from the default,
with paired bootstrap intervals (for the mean over the sets, queries are drawn set by set). Then the readings
of a query region, and the boxes of the heat maps beside the whole picture and a centred box.

``camseek.lab.measuring.evaluate`` does it all, as ``camseek evaluate`` does.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from common import SETS, Options, Report, Table

from camseek import Backbone, Encoding, Settings
from camseek.config import AveragePrecisionForm
from camseek.datasets import GroundTruth, read_ground_truth
from camseek.evaluation import OVERLAP_PARTS, EncodingScores, bootstrap_interval, paired_bootstrap
from camseek.extraction.extractor import Reading
from camseek.lab.measuring import evaluate

DEFAULT = str(Settings().encoding)
_ENCODINGS = (
    "sum",
    "spoc",
    "ucrow",
    "crow",
    "gem",
    "gem:prior=centre",
    "cam",
    "cam:maps=minmax",
    "cam:power=3",
)
_REGION_ENCODINGS = ("sum", "gem", "cam")
_RESAMPLES = 2000

DIFFERENCES = ("", "all queries", "95 % interval", "mean over the sets", "95 % interval")
Scores = Mapping[str, Sequence[EncodingScores]]
"""For each thing compared what it reached on each set."""


def measure(options: Options) -> Report:
    """Measures on the shared sets; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    names = SETS[1:2] if options.quick else SETS
    truths = [read_ground_truth(options.data / name / "ground_truth.json") for name in names]
    for form in get_args(AveragePrecisionForm):
        scores = scored(truths, _ENCODINGS, form)
        report.tables.append(sets_table(f"Encodings, mAP ({form})", scores, names))
        report.tables.append(differences_table(f"Less {DEFAULT}, mAP ({form})", scores, DEFAULT))
    if not options.quick:
        paintings = options.data / "paintings"
        report.tables.append(_regions(read_ground_truth(paintings / "ground_truth_regions.json")))
        report.tables.append(_boxes(read_ground_truth(paintings / "ground_truth_walls.json")))
    return report


def parsed(names: Sequence[str]) -> list[Encoding]:
    """The encodings of these names, the default first, each once."""
    return list(dict.fromkeys(Encoding.parse(name) for name in (DEFAULT, *names)))


def scored(
    truths: Sequence[GroundTruth],
    names: Sequence[str],
    form: AveragePrecisionForm,
    model: Backbone | None = None,
) -> dict[str, tuple[EncodingScores, ...]]:
    """What the encodings of these names, and the default, reach on each set."""
    results = [
        evaluate(truth, encodings=parsed(names), model=model, ap_form=form).encodings for truth in truths
    ]
    return {columns[0].name: columns for columns in zip(*results, strict=True)}


def sets_table(title: str, scores: Scores, sets: Sequence[str]) -> Table:
    """Mean average precision on each set, and the mean over the sets."""
    table = Table(title, ("", *sets, "mean"))
    for name, columns in scores.items():
        means = [column.mean_average_precision for column in columns]
        table.rows.append((name, *(f"{mean:.3f}" for mean in (*means, float(np.mean(means))))))
    return table


def differences_table(title: str, scores: Scores, against: str) -> Table:
    """How things differ from one of them, on all queries together and in the mean over the sets."""
    table = Table(title, DIFFERENCES)
    base = [np.array(column.average_precisions) for column in scores[against]]
    for name, columns in scores.items():
        if name == against:
            continue
        values = [np.array(column.average_precisions) for column in columns]
        differences = [mine - other for mine, other in zip(values, base, strict=True)]
        pooled = paired_bootstrap(np.concatenate(values), np.concatenate(base), resamples=_RESAMPLES)
        table.rows.append(
            (
                name,
                f"{np.concatenate(differences).mean():+.3f}",
                _interval(*pooled),
                f"{np.mean([values.mean() for values in differences]):+.3f}",
                _interval(*_over_sets(differences)),
            )
        )
    return table


def _over_sets(differences: Sequence[np.ndarray]) -> tuple[float, float]:
    """Bootstrap interval of the mean over sets of the means over their queries, drawn set by set."""
    generator = np.random.default_rng(0)
    drawn = [
        values[generator.integers(len(values), size=(_RESAMPLES, len(values)))].mean(axis=1)
        for values in differences
    ]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    return float(low), float(high)


def _interval(low: float, high: float) -> str:
    return f"{low:+.3f} to {high:+.3f}"


def _regions(truth: GroundTruth) -> Table:
    """The readings of a query region."""
    table = Table(
        "Readings of a query region, paintings (29 regions), mAP (trapezoid)",
        ("encoding", "crop", "cells", "whole", "crop less cells", "crop less whole"),
    )
    results = {
        reading: evaluate(
            truth, encodings=parsed(_REGION_ENCODINGS), reading=reading, ap_form="trapezoid"
        ).encodings
        for reading in _READINGS
    }
    for crop, cells, whole in zip(*(results[reading] for reading in _READINGS), strict=True):
        against = (
            paired_bootstrap(crop.average_precisions, other.average_precisions) for other in (cells, whole)
        )
        means = (f"{item.mean_average_precision:.3f}" for item in (crop, cells, whole))
        table.rows.append((crop.name, *means, *(_interval(*ends) for ends in against)))
    return table


_READINGS: tuple[Reading, ...] = ("crop", "cells", "whole")


def _boxes(truth: GroundTruth) -> Table:
    """The boxes of the heat maps, and two baselines."""
    overlaps = evaluate(truth).overlaps
    table = Table(
        f"Boxes, paintings on walls ({len(overlaps)} boxes)",
        ("box", "mean IoU", "95 % interval", "maps less it, 95 % interval"),
    )
    columns = {part: [float(getattr(pair, part)) for pair in overlaps] for part in OVERLAP_PARTS}
    for part, values in columns.items():
        low, high = bootstrap_interval(values)
        paired = "" if part == "maps" else _interval(*paired_bootstrap(columns["maps"], values))
        table.rows.append((part, f"{np.mean(values):.3f}", f"{low:.3f} to {high:.3f}", paired))
    return table
