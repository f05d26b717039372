"""``evaluate``."""

from functools import partial
from typing import TYPE_CHECKING

import click

from camseek.cli.options import (
    EncodingType,
    NameType,
    collection_option,
    json_option,
    limits,
    max_megapixels_option,
    model_option,
    open_engine,
    settings,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.progress import progress

if TYPE_CHECKING:
    from camseek.config import AveragePrecisionForm, Encoding
    from camseek.engine.measuring import EvaluationReading
    from camseek.evaluation import Evaluation


def _named_encodings(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> "dict[str, Encoding]":
    """Encodings by the names that they were asked for with."""
    kind = EncodingType()
    return {value.strip(): kind.convert(value, parameter, context) for value in values}


@click.command("evaluate")
@click.argument("ground_truth", metavar="GROUND_TRUTH", type=NameType())
@collection_option(required=False)
@click.option(
    "--encoding",
    "encodings",
    multiple=True,
    callback=_named_encodings,
    help="An encoding to measure (repeatable; the others are compared with the first). "
    "[default: gem:prior=centre]",
)
@click.option(
    "--ap",
    "ap_form",
    type=click.Choice(["mean", "trapezoid"]),
    default="mean",
    show_default=True,
    help="Average precision: the mean of the precisions at the positives' ranks, or the trapezoidal area.",
)
@click.option(
    "--region-reading",
    type=click.Choice(["crop", "cells", "whole"]),
    default="crop",
    show_default=True,
    help="Encode a query region's pixels alone, crop the maps of the whole picture, or ignore regions.",
)
@click.option(
    "--longer-side", type=click.IntRange(32, 4096), help="Scale pictures down to it. [default: 640]"
)
@click.option("--layer", help="The model's layer for the feature maps. [default: head]")
@model_option
@max_megapixels_option
@json_option
def evaluate_command(
    ground_truth: str,
    collection: str | None,
    encodings: "dict[str, Encoding]",
    ap_form: "AveragePrecisionForm",
    region_reading: "EvaluationReading",
    longer_side: int | None,
    layer: str | None,
    model: str | None,
    max_megapixels: float,
    as_json: bool,
) -> None:
    """Measure encodings, or a collection, against GROUND_TRUTH, a JSON file.

    Every picture in the file's database folder is searched with each of its queries. With --collection, that
    collection is searched with its own encoding; it must hold the database, and what else it holds are
    distractors.
    """
    from camseek.datasets import read_ground_truth
    from camseek.engine.measuring import evaluate

    truth = read_ground_truth(ground_truth)
    measure = partial(
        evaluate,
        truth,
        encodings=encodings,
        reading=region_reading,
        ap_form=ap_form,
        limits=limits(max_megapixels),
    )
    if collection is None:
        from camseek.backbones import load_model

        wanted = settings(encoding=None, longer_side=longer_side, layer=layer)
        loaded = load_model(model, layer=wanted.layer)
        with progress() as shown_progress:
            result = measure(settings=wanted, model=loaded, progress=shown_progress)
    else:
        given = {"encoding": None, "longer_side": longer_side, "layer": layer}
        with (
            open_engine(collection, model=model, max_megapixels=max_megapixels, options=given) as engine,
            progress() as shown_progress,
        ):
            result = measure(engine=engine, progress=shown_progress)
    for item in result.skipped:
        note(f"skipped: {shown(item.path)}: {printable(item.reason)}")
    if as_json:
        emit(result.to_json())
        return
    for line in _lines(result):
        say(line)


def _lines(result: "Evaluation") -> list[str]:
    """The result as a table for people."""
    from camseek.evaluation import CENTRE_SHARE, OVERLAP_PARTS, RECALL_MEANING, RECALL_RANKS

    searched = f"{result.database} pictures"
    if result.collection is not None:
        searched += f" and {result.distractors} distractors of {printable(result.collection)}"
    lines = [
        f"{shown(result.ground_truth)}: {result.queries} queries, {searched}",
        f"average precision: {result.form}; recall: {RECALL_MEANING}; regions: {result.region_reading}; "
        f"longer side {result.settings['longer_side']}, layer {result.settings['layer']}",
        "",
    ]
    heading = ["encoding", "mAP", "95 % interval", *(f"R@{k}" for k in RECALL_RANKS), "queries", "left out"]
    overlaps = [result.mean_overlap(part) for part in OVERLAP_PARTS]
    known = [f"{mean:.3f}" for mean in overlaps if mean is not None]
    if known:
        heading += [f"IoU {part}" for part in OVERLAP_PARTS]
    rows = [
        [
            item.name,
            f"{item.mean_average_precision:.3f}",
            _interval(item.interval),
            *(f"{item.recall(k):.3f}" for k in RECALL_RANKS),
            str(len(item.queries)),
            str(result.left_out),
            *known,
        ]
        for item in result.encodings
    ]
    lines += _aligned([heading, *rows])
    if known:
        lines += [
            "",
            f"IoU: {len(result.overlaps)} boxes; of the heat map's box (whatever the encoding), the whole "
            f"picture, and a centred box of {CENTRE_SHARE:.0%} of its area",
        ]
    if paired := result.paired:
        heading = ["mAP difference", f"from {paired[0].against}", "95 % interval (paired)"]
        rows = [[item.name, f"{item.difference:+.3f}", _interval(item.interval, "+")] for item in paired]
        lines += ["", *_aligned([heading, *rows])]
    return lines


def _interval(ends: tuple[float, float], sign: str = "") -> str:
    return f"{ends[0]:{sign}.3f} to {ends[1]:{sign}.3f}"


def _aligned(rows: list[list[str]]) -> list[str]:
    """Columns of one width: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
