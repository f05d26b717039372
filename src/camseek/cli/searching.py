"""``search`` and ``explain``."""

import os
from typing import TYPE_CHECKING, Any

import click

from camseek.cli.options import (
    Count,
    NameType,
    collection_option,
    json_option,
    limits_options,
    model_option,
    open_engine,
    region_option,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.outputs import Outputs, force_option
from camseek.cli.plans import plan_options, read_plan, shortlist_option
from camseek.cli.progress import progress

if TYPE_CHECKING:
    from camseek.config import Limits
    from camseek.results import Box, Explanation, SearchResult
    from camseek.searching import QueryPart


@click.command()
@click.argument("queries", metavar="QUERY...", nargs=-1, required=True, type=NameType())
@collection_option()
@region_option
@click.option(
    "--region-reading",
    type=click.Choice(["crop", "cells"]),
    default="crop",
    show_default=True,
    help="Encode the region's pixels alone, or crop the maps of the whole picture.",
)
@click.option("--top", type=Count(min=1), default=20, show_default=True, help="How many hits.")
@plan_options
@shortlist_option("100")
@click.option(
    "--boxes",
    is_flag=True,
    help="Box where the network looked for the query's classes in each hit, after --rerank the region that "
    "matches best: a guide to the eye, no outline. Reads the hits' files.",
)
@click.option("--without-self", is_flag=True, help="Leave out the query's own picture, known by its content.")
@click.option(
    "--report",
    metavar="OUT.html",
    type=NameType(),
    help="Write a page with the query, the hits and their heat maps.",
)
@force_option
@model_option
@limits_options
@json_option
def search(
    queries: tuple[str, ...],
    collection: str,
    regions: "tuple[Box | None, ...]",
    region_reading: str,
    top: int,
    boxes: bool,
    without_self: bool,
    report: str | None,
    force: bool,
    model: str | None,
    limits: "Limits",
    as_json: bool,
    **plan: Any,
) -> None:
    """Find the pictures of COLLECTION that show the same thing as QUERY.

    Several pictures, or several regions of one, are one query: all show the thing.
    """
    if report and not report.lower().endswith((".html", ".htm")):
        raise click.UsageError(f"--report {report}: name it .html")
    outputs = Outputs(
        [report] if report else [],
        force=force,
        reads=(*queries, plan["class_list"]),
        model=model,
    )
    planned, parts = read_plan(**plan, top=top), _parts(queries, regions)
    with (
        open_engine(collection, model=model, limits=limits) as engine,
        progress() as shown_progress,
    ):
        outputs.spare(engine.collection)
        named = planned(engine.model)
        result = engine.search(
            parts,
            plan=named,
            progress=shown_progress,
            reading="cells" if region_reading == "cells" else "crop",
            top=top,
            boxes=boxes,
            without_self=without_self,
            views=report is not None,
        )
    if not as_json:
        _tell(result, boxes=boxes)
    if report:
        from camseek.report import search_page

        outputs.write(report, search_page(result))
    if as_json:
        emit(result.to_json() | ({"report": os.path.abspath(report)} if report else {}))
    elif report:
        note(f"report: {printable(os.path.abspath(report))}")


def _parts(queries: tuple[str, ...], regions: "tuple[Box | None, ...]") -> "list[QueryPart]":
    """Pictures and their regions: a region each, or several of one picture, or none."""
    from camseek.searching import QueryPart

    if len(queries) == 1:
        return [QueryPart(queries[0], region) for region in regions or (None,)]
    if regions and len(regions) != len(queries):
        raise click.UsageError(
            f"{len(regions)} regions for {len(queries)} pictures; give one for each, in their order, "
            "or the word whole"
        )
    return [QueryPart(*pair) for pair in zip(queries, regions or [None] * len(queries), strict=True)]


def _tell(result: "SearchResult", *, boxes: bool) -> None:
    if not result.searched:
        note("nothing to find: the collection holds no other pictures")
    for hit in result.hits:
        box = ",".join(map(str, hit.box)) if hit.box else "-"
        boxed = f"{box:>20}  " if boxes else ""
        say(f"{hit.rank:4d}  {hit.score:6.3f}  {boxed}{shown(hit.path_bytes)}")
        if hit.box_reason:
            note(f"      no box: {printable(hit.box_reason)}")
        if hit.verdict:
            say(f"      {printable(str(hit.verdict))}")
        if hit.kept:
            note(f"      could not be looked at again: {printable(hit.kept)}")
    for stage in result.stages[1:]:
        classes = f", {len(stage.classes)} classes" if stage.classes else ""
        kept = f", {stage.details['kept']} of them could not be read" if stage.details.get("kept") else ""
        note(f"{stage.name}: {stage.pictures} pictures{classes}{kept}")
    seen = ", ".join(f"{item.name} {item.probability:.0%}" for item in result.query.classes[:3])
    saw = f"; the network saw {seen}" if seen else ""
    note(f"{result.searched} pictures searched in {result.seconds:.2f} s{saw}")


@click.command()
@click.argument("picture", metavar="PICTURE", type=NameType())
@collection_option(required=False)
@click.option("--top", type=Count(1, 50), default=5, show_default=True, help="How many classes.")
@click.option(
    "--report",
    "reports",
    metavar="OUT",
    type=NameType(),
    multiple=True,
    help="Where to write, .html or .png (repeatable). "
    "[default: PICTURE's name with .explained.html and .explained.png, in this folder]",
)
@force_option
@model_option
@limits_options
@json_option
def explain(
    picture: str,
    collection: str | None,
    top: int,
    reports: tuple[str, ...],
    force: bool,
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Show PICTURE's most probable classes and where the network sees them.

    With --collection, the model and the size of that collection are used.
    """
    from camseek.backbones import load_model
    from camseek.config import Settings
    from camseek.extraction.attention import explain as explain_picture

    for path in reports:
        if not path.lower().endswith((".html", ".png")):
            raise click.UsageError(f"--report {path}: name it .html or .png")
    stem = os.path.splitext(os.path.basename(picture))[0]
    written = reports or (f"{stem}.explained.html", f"{stem}.explained.png")
    outputs = Outputs(written, force=force, reads=(picture,), model=model)
    if collection is None:
        settings, loaded = Settings(), load_model(model)
    else:
        with open_engine(collection, model=model) as engine:
            outputs.spare(engine.collection)
            settings, loaded = engine.settings, engine.model
    explanation = explain_picture(loaded, picture, top=top, size=settings.size, limits=limits)
    _write(explanation, outputs, written)
    if as_json:
        emit(explanation.to_json() | {"reports": [os.path.abspath(path) for path in written]})
        return
    for item in explanation.classes:
        say(f"{item.probability:6.1%}  {item.name}")
    for path in written:
        note(f"report: {printable(os.path.abspath(path))}")


def _write(explanation: "Explanation", outputs: Outputs, paths: tuple[str, ...]) -> None:
    from camseek.report import explanation_page, explanation_picture

    for path in paths:
        page = path.lower().endswith(".html")
        outputs.write(path, explanation_page(explanation) if page else explanation_picture(explanation))
