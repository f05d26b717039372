"""``evaluate``."""

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from camseek.cli.options import (
    EncodingType,
    NameType,
    WordType,
    collection_option,
    json_option,
    layer_of,
    limits_options,
    model_option,
    open_engine,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.outputs import Outputs, force_option
from camseek.cli.progress import progress
from camseek.cli.protocols import named_encodings, protocol_options, read_protocols
from camseek.cli.tables import aligned, interval
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.backbones import Backbone
    from camseek.config import Encoding, Limits
    from camseek.evaluation import Evaluation


@click.command("evaluate")
@click.argument("truth", metavar="TRUTH", type=NameType())
@collection_option(required=False)
@click.option(
    "--encoding",
    "encodings",
    metavar="ENCODING",
    type=WordType(),
    multiple=True,
    callback=named_encodings,
    shell_complete=EncodingType().shell_complete,
    help="An encoding to measure (repeatable; the others are compared with the first). "
    "[default: gem:prior=centre]",
)
@protocol_options(size="640", reading="crop")
@click.option(
    "--plot", metavar="FILE", type=NameType(), help="Write an SVG picture of the numbers to this file."
)
@force_option
@model_option
@limits_options
@json_option
def evaluate_command(
    truth: str,
    collection: str | None,
    encodings: "dict[str, Encoding]",
    plot: str | None,
    force: bool,
    model: str | None,
    limits: "Limits",
    as_json: bool,
    **options: Any,
) -> None:
    """Measure encodings, or a collection, against TRUTH: a JSON file, or NAME=FOLDER of a public data set.

    Every picture of the database is searched with each of its queries. With --collection, that collection is
    searched with its own encoding; it must hold the database, and what else it holds are distractors. Query
    regions are read as crops; give --region-reading cells for the paper's reading.
    """
    from camseek.datasets import doubts, open_truth
    from camseek.lab.measuring import measure

    reads = (truth, truth.partition("=")[2] or None, options["whitening_on"], options["class_list"])
    outputs = Outputs([plot] if plot else [], force=force, reads=reads, model=model)
    known = open_truth(truth)
    doubtful = doubts(known)
    for doubt in doubtful:
        note(f"doubtful: {printable(doubt)}")
    outputs.spare_files([query.image for query in known.queries])
    if collection is None:
        options["layer"] = layer_of(model, options["layer"])
    with ExitStack() as stack:
        engine, existing = None, None
        if collection is not None:
            given = {"encoding": None, "size": options["size"], "layer": options["layer"]}
            engine = stack.enter_context(open_engine(collection, model=model, limits=limits, options=given))
            existing = engine.settings
            outputs.spare(engine.collection)
        loaded: list[Backbone] = []

        def network() -> "Backbone":
            if engine is not None:
                return engine.model
            if not loaded:
                from camseek.backbones import load_model

                loaded.append(load_model(model, layer=options["layer"] or "head"))
            return loaded[0]

        protocols = read_protocols(known, network, encodings, options, existing=existing, limits=limits)
        with progress() as shown_progress:
            result = measure(
                known,
                protocols,
                model=None if engine else network(),
                limits=limits,
                progress=shown_progress,
                engine=engine,
            )
    for item in result.skipped:
        note(f"skipped: {shown(item.path)}: {printable(item.reason)}")
    if plot is not None:
        outputs.write(plot, _chart(result))
    if as_json:
        emit({**result.to_json(), "doubts": list(doubtful)})
        return
    for line in _lines(result):
        say(line)
    if plot is not None:
        note(f"plot: {printable(os.path.abspath(plot))}")


def _chart(result: "Evaluation") -> str:
    from camseek.report.plot import Bar, evaluation_chart

    bars = [Bar(item.name, item.mean_average_precision, item.interval) for item in result.encodings]
    curves = {item.name: item.average_precisions for item in result.encodings}
    count = len(result.encodings[0].queries)
    return evaluation_chart(
        bars, curves, title=f"{shown(result.ground_truth)}: {counted(count, 'query', 'queries')}"
    )


def _lines(result: "Evaluation") -> list[str]:
    """The result as a table for people."""
    from camseek.evaluation import CENTRE_SHARE, OVERLAP_PARTS, RECALL_MEANING, RECALL_RANKS

    searched = counted(result.database, "picture")
    if result.collection is not None:
        searched += f" and {counted(result.distractors, 'distractor')} of {printable(result.collection)}"
    elif result.distractors:
        searched += f" and {counted(result.distractors, 'distractor')}"
    lines = [
        f"{shown(result.ground_truth)}: {counted(result.queries, 'query', 'queries')}, {searched}",
        f"average precision: {result.form}; recall: {RECALL_MEANING}; regions: {result.region_reading}; "
        f"size {result.settings['size']}, layer {result.settings['layer']}",
        *_done(result.settings["protocols"]),
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
            interval(item.interval),
            *(f"{item.recall(k):.3f}" for k in RECALL_RANKS),
            str(len(item.queries)),
            str(result.left_out),
            *known,
        ]
        for item in result.encodings
    ]
    lines += aligned([heading, *rows])
    if known:
        lines += [
            "",
            f"IoU: {len(result.overlaps)} boxes; of the heat map's box (whatever the encoding), the whole "
            f"picture, and a centred box of {CENTRE_SHARE:.0%} of its area",
        ]
    lines += _official(result)
    if paired := result.paired:
        heading = ["mAP difference", f"from {paired[0].against}", "95 % interval (paired)"]
        rows = [[item.name, f"{item.difference:+.3f}", interval(item.interval, "+")] for item in paired]
        lines += ["", *aligned([heading, *rows])]
    return lines


def _done(protocols: dict[str, Any]) -> list[str]:
    """What a search does beyond comparing descriptors, and what the whitening was fitted on."""
    done: list[str] = []
    for stage in next(iter(protocols.values()))["plan"]["then"]:
        match stage["stage"]:
            case "DescribeAnew":
                few = "" if stage["shortlist"] is None else f" of the first {stage['shortlist']}"
                done.append(f"{'predefined' if stage['predefined'] else 'online'} aggregation{few}")
            case "MatchRegions":
                done.append(f"the first {stage['count']} re-ranked")
            case "Expand":
                query = " and the query" if stage["with_query"] else ""
                done.append(f"expanded with the first {stage['count']}{query}")
            case other:
                done.append(other)
    lines = ["; ".join(done)] if done else []
    notes = dict.fromkeys(item["whitening_note"] for item in protocols.values() if item["whitening_note"])
    return [*lines, *(f"whitening fitted on {printable(text)}" for text in notes)]


def _official(result: "Evaluation") -> list[str]:
    """What only some data sets' protocols count: setups, and UKBench's score."""
    from camseek.evaluation import PRECISION_RANKS

    lines: list[str] = []
    rows = [
        [
            item.name,
            means.setup,
            f"{means.mean_average_precision:.3f}",
            *(f"{value:.3f}" for value in means.mean_precisions),
            str(means.queries),
        ]
        for item in result.encodings
        for means in item.setups
    ]
    if rows:
        heading = ["encoding", "setup", "mAP", *(f"mP@{k}" for k in PRECISION_RANKS), "queries"]
        lines += ["", *aligned([heading, *rows])]
    counted = [[item.name, f"{item.n_s:.3f}"] for item in result.encodings if item.n_s is not None]
    if counted:
        lines += ["", *aligned([["encoding", "N-S, of 4"], *counted])]
    return lines
