"""``search`` and ``explain``."""

import io
import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import click

from camseek.cli.hits import Printer, failed, to_json, without_views, write_table
from camseek.cli.options import (
    Count,
    NameType,
    WordType,
    collection_option,
    json_option,
    limits_options,
    model_option,
    open_engine,
    shards_options,
)
from camseek.cli.output import emit, note, pour, printable, say
from camseek.cli.outputs import Outputs, force_option
from camseek.cli.plans import plan_options, read_plan, shortlist_option
from camseek.cli.progress import Steps, progress
from camseek.cli.queries import Asked, QueryCommand, named, read_queries

if TYPE_CHECKING:
    from camseek.config import Limits
    from camseek.engine import Engine
    from camseek.report import SearchPage
    from camseek.results import Explanation, SearchResult, Skipped


@click.command(cls=QueryCommand)
@click.argument("queries", metavar="QUERY...", nargs=-1, required=True, type=NameType())
@collection_option()
@click.option(
    "--region",
    type=WordType(),
    metavar="X1,Y1,X2,Y2",
    help="The box of the thing in the picture before it, in pixels of the upright picture, half-open, or in "
    "per cent (10%,20%,50%,60%); whole for all of it. Repeatable: each region is a query.",
)
@click.option("--together", is_flag=True, help="All pictures and regions show the same thing: one query.")
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
@click.option(
    "--explain",
    is_flag=True,
    help="Say what each stage said of each hit, and how the thing lies; in --json the matching points, too.",
)
@click.option("--without-self", is_flag=True, help="Leave out the query's own picture, known by its content.")
@click.option(
    "--report",
    metavar="OUT.html",
    type=NameType(),
    help="Write a page with the queries and their hits.",
)
@click.option(
    "--csv",
    "table",
    metavar="OUT.csv",
    type=NameType(),
    help="Write a table for a spreadsheet, a row for each name of each hit; - prints it instead of the text.",
)
@force_option
@shards_options
@model_option
@limits_options
@json_option
def search(
    queries: tuple[str, ...],
    collection: str,
    region: None,
    together: bool,
    region_reading: str,
    top: int,
    boxes: bool,
    explain: bool,
    without_self: bool,
    report: str | None,
    table: str | None,
    force: bool,
    shards: int | None,
    cluster: str,
    model: str | None,
    limits: "Limits",
    as_json: bool,
    **plan: Any,
) -> int:
    """Find the pictures of COLLECTION that show the same thing as QUERY.

    A query is a picture, a region of one, or each picture in a folder. Several are answered one after the
    other; with --together they are one query, pictures of the same thing.
    """
    if report and not report.lower().endswith((".html", ".htm")):
        raise click.UsageError(f"--report {report}: name it .html")
    if table == "-" and as_json:
        raise click.UsageError("--json and --csv - both print on standard output; give one of them")
    asked = read_queries(queries, together=together)
    outputs = Outputs(
        [path for path in (report, table) if path and path != "-"],
        force=force,
        reads=(*named(queries), plan["class_list"]),
        model=model,
    )
    planned = read_plan(**plan, top=top)
    options: dict[str, Any] = {
        "reading": "cells" if region_reading == "cells" else "crop",
        "top": top,
        "boxes": boxes,
        "without_self": without_self,
        "views": report is not None,
    }
    printer = Printer(asked, boxes=boxes, explain=explain, quiet=as_json or table == "-")
    page = _page(report) if report else None
    answers: list[SearchResult | Skipped] = []
    with (
        open_engine(collection, model=model, limits=limits, shards=shards, cluster=cluster) as engine,
        progress("queries" if asked.several else "pictures") as shown_progress,
    ):
        outputs.spare(engine.collection)
        options["plan"] = planned(engine.model, engine.collection.profile.keeps)
        for parts, answer in zip(
            asked.queries, _answers(engine, asked, shown_progress, options), strict=True
        ):
            if page is not None:
                page.add(answer)
            answers.append(without_views(answer))
            printer.tell(parts, answers[-1])
    printer.finish()
    written = {"report": report, "csv": None if table == "-" else table}
    if report and page is not None:
        outputs.write(report, page.text())
    if table == "-":
        printed = io.BytesIO()
        write_table(printed, asked, answers, mark=False)
        pour(printed.getvalue())
    elif table:
        with outputs.open(table) as file:
            write_table(file, asked, answers)
    places = {key: os.path.abspath(path) for key, path in written.items() if path}
    if as_json:
        emit(to_json(asked, answers, points=explain) | places)
    else:
        for key, place in places.items():
            note(f"{key}: {printable(place)}")
    return int(failed(answers) > 0)


def _page(place: str) -> "SearchPage":
    from camseek.report import SearchPage

    return SearchPage(place)


def _answers(
    engine: "Engine", asked: Asked, told: Any, options: dict[str, Any]
) -> "Generator[SearchResult | Skipped]":
    """What was found for each query, in order; of several, why one cannot be used."""
    from camseek.results import Skipped

    usable = [parts for parts in asked.queries if not isinstance(parts, Skipped)]
    if not asked.several:
        for parts in usable:
            yield engine.search(parts, together=True, progress=told, **options)
        return
    found = engine.search_many(usable, progress=Steps(told, len(usable)), **options)
    for parts in asked.queries:
        yield parts if isinstance(parts, Skipped) else next(found)


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
