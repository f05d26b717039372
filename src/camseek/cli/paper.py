"""``paper``."""

import os
from typing import TYPE_CHECKING

import click

from camseek.cli.options import Count, NameType, SizeType, WordType, json_option, limits_options
from camseek.cli.output import emit, note, printable, say
from camseek.cli.outputs import Outputs, force_option
from camseek.cli.progress import progress
from camseek.cli.tables import aligned
from camseek.cli.verbs import Resumable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from camseek.config import Limits, Resize
    from camseek.lab.paper import Entry, Figure, FigureName, Heading, Line, PaperReport, Table, TableName

_ABSENT = "-"


@click.command("paper", cls=Resumable)
@click.option(
    "--data",
    metavar="FOLDER",
    type=NameType(),
    help="Holds the paper's data sets in folders oxford5k, paris6k, oxford105k, paris106k.",
)
@click.option(
    "--truth",
    "truths",
    metavar="TRUTH",
    type=NameType(),
    multiple=True,
    help="A ground truth of your own (repeatable): JSON, or NAME=FOLDER of a public data set.",
)
@click.option(
    "--table",
    "tables",
    type=click.Choice(["1a", "1b", "2a", "2b"]),
    multiple=True,
    help="A table of the paper (repeatable). [default: all four, where no figure is asked for]",
)
@click.option(
    "--figure",
    "figures",
    type=click.Choice(["4", "5a", "5b"]),
    multiple=True,
    help="A figure of the paper (repeatable), an SVG picture for each network and data set in --out.",
)
@click.option(
    "--model",
    "models",
    metavar="MODEL",
    type=NameType(),
    multiple=True,
    help="A network, by name or folder (repeatable). [default: vgg16-cam, resnet50 and densenet161 as far as "
    "they were imported, and the embedded one]",
)
@click.option(
    "--layer",
    "layers",
    type=WordType(),
    multiple=True,
    help="The layer of other networks than the paper's (repeatable). [default: expand16 and head]",
)
@click.option(
    "--size",
    type=SizeType(),
    help="Scale pictures to it. [default: smaller:720 for the paper's sets, 640 for others]",
)
@click.option(
    "--dimensions",
    type=Count(min=1),
    default=512,
    show_default=True,
    help="Length of whitened descriptors, where the pictures give so many.",
)
@click.option("--out", metavar="FOLDER", type=NameType(), help="Where figures are written; made if need be.")
@force_option
@click.option(
    "--work",
    metavar="FOLDER",
    type=NameType(),
    help="Where finished cells are kept, so that a run goes on. [default: a folder in the user's cache]",
)
@click.option("--markdown", is_flag=True, help="Tables in Markdown.")
@limits_options
@json_option
def paper_command(
    data: str | None,
    truths: tuple[str, ...],
    tables: "tuple[TableName, ...]",
    figures: "tuple[FigureName, ...]",
    models: tuple[str, ...],
    layers: tuple[str, ...],
    size: "Resize | None",
    dimensions: int,
    out: str | None,
    force: bool,
    work: str | None,
    markdown: bool,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Run the paper's experiments: its numbers, ours, and the difference.

    What is not there (a data set, a network) is named and its numbers are left out. Without the paper's data
    sets the same grid runs on ground truths of your own, each whitened on the pictures of the others.
    """
    from pathlib import Path

    from camseek.lab.paper import (
        TABLE_NAMES,
        Asked,
        choose_networks,
        own_columns,
        paper_columns,
        run_paper,
    )

    if data is None and not truths:
        raise click.UsageError("nothing to measure on: give --data, or --truth twice or more")
    if figures and out is None:
        raise click.UsageError("say with --out where the figures go")
    asked = Asked(
        tables=tuple(dict.fromkeys(tables)) or (() if figures else TABLE_NAMES),
        figures=tuple(dict.fromkeys(figures)),
    )
    columns = paper_columns(data, size=size) + own_columns(truths, size=size)
    networks = choose_networks(models, layers)
    for column in columns:
        if column.missing is not None:
            note(f"not there: {printable(column.title)}: {printable(column.missing)}")
    if out is not None:
        _make_folder(out)
        _require_free(out, asked.figures, force=force)
    with progress() as shown:
        report = run_paper(
            columns,
            networks,
            asked,
            work=None if work is None else Path(work),
            dimensions=dimensions,
            limits=limits,
            progress=shown,
            tell=lambda text: note(printable(text)),
        )
    written = [] if out is None else [_draw(figure, out, force=force) for figure in report.figures]
    if as_json:
        emit(report.to_json() | {"files": written})
        return
    for line in _report_lines(report, markdown=markdown):
        say(line)
    for path in written:
        note(f"written: {printable(path)}")


def _make_folder(path: str) -> None:
    from camseek.errors import OutputError

    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {path}: {error.strerror}", remedy="choose a place that is writable"
        ) from error


def _require_free(out: str, figures: "Sequence[FigureName]", *, force: bool) -> None:
    """Refuses figures that are there, before the work: what they will be called is known only after it."""
    ours = tuple(f"figure{name}-" for name in figures)
    there = [name for name in sorted(os.listdir(out)) if name.startswith(ours) and name.endswith(".svg")]
    Outputs([os.path.join(out, name) for name in there], force=force)


def _draw(figure: "Figure", out: str, *, force: bool) -> str:
    """Writes a figure and gives its file."""
    from camseek.report.plot import Bar, Curve, bar_chart, panel_chart

    path = os.path.join(out, f"{figure.file}.svg")
    outputs = Outputs([path], force=force)
    if figure.shares:
        bars = [Bar(name, share) for name, share in figure.shares]
        label = f"share of the {figure.queries} queries that have the class among their 64 most probable"
        outputs.write(path, bar_chart(bars, title=figure.title, x_label=label))
        return path
    several = len(_sets(figure)) > 1
    panels: dict[str, list[Curve]] = {}
    for panel, curves in figure.panels.items():
        labels = list(dict.fromkeys(curve.label for curve in curves))
        panels[panel] = [
            Curve(
                f"{curve.label}, {curve.column}" if several else curve.label,
                [(float(count), mean) for count, mean in curve.points],
                colour=labels.index(curve.label),
                dotted=curve.dotted,
            )
            for curve in curves
        ]
    ticks = sorted({count for line in figure.panels.values() for curve in line for count, _ in curve.points})
    outputs.write(
        path,
        panel_chart(
            panels,
            title=figure.title,
            x_label="number of classes, N_C",
            y_label="mean average precision",
            x_ticks=ticks,
        ),
    )
    return path


def _sets(figure: "Figure") -> list[str]:
    """The sets whose lines a figure shows."""
    return list(dict.fromkeys(curve.column for line in figure.panels.values() for curve in line))


def _report_lines(report: "PaperReport", *, markdown: bool) -> list[str]:
    lines: list[str] = []
    for table in report.tables:
        lines += _table_lines(table, markdown=markdown)
    if report.tables and report.notes:
        lines += [*_remarks(report.notes, markdown=markdown), ""]
    for figure in report.figures:
        lines += _figure_lines(figure, markdown=markdown)
    if report.missing:
        lines += ["Not there:", *([""] if markdown else [])]
        lines += [f"{'- ' if markdown else '  '}{printable(text)}" for text in report.missing]
        lines.append("")
    measured, kept = report.cells
    lines.append(
        f"Average precision: trapezoidal. {measured} cells measured, {kept} kept from earlier runs, "
        f"{report.seconds:.0f} s."
    )
    return lines


def _table_lines(table: "Table", *, markdown: bool) -> list[str]:
    costs = table.costs
    heading = ["network", "setting", "Dim", *(["paper s", "ours s", "of a pass"] if costs else [])]
    for item in table.headings:
        heading += _heading_cells(item)
    rows = [heading, *(_row_cells(line, table.headings, costs=costs) for line in table.lines)]
    title = printable(table.title)
    if markdown:
        return [f"### {title}", "", *_markdown(rows, left=2), "", *_remarks(table.notes, markdown=True), ""]
    joined = [[f"{row[0]}  {row[1]}" if place else "", *row[2:]] for place, row in enumerate(rows)]
    widest = max(len(line.network) for line in table.lines)
    for place, line in enumerate(table.lines, 1):
        joined[place][0] = f"{printable(line.network).ljust(widest)}  {line.setting}"
    return [title, "", *aligned(joined), "", *_remarks(table.notes, markdown=False), ""]


def _heading_cells(heading: "Heading") -> list[str]:
    title = printable(heading.title)
    match heading.kind:
        case "own":
            return [title]
        case "reference":
            return [f"{title}, paper"]
        case "paper":
            return [f"{title}, paper", "ours", "difference"]


def _row_cells(line: "Line", headings: "Sequence[Heading]", *, costs: bool) -> list[str]:
    cells = [printable(line.network), line.setting, line.dimensions or _ABSENT]
    if costs:
        cells.append(_ABSENT if line.paper_seconds is None else f"{line.paper_seconds:.1f}")
        cells += (
            [_ABSENT] * 2 if line.cost is None else [f"{line.cost.seconds:.3f}", f"{line.cost.passes:.2f}"]
        )
    for heading in headings:
        cells += _entry_cells(line.entries[heading.name], heading)
    return cells


def _entry_cells(entry: "Entry", heading: "Heading") -> list[str]:
    paper = _ABSENT if entry.paper is None else f"{entry.paper:.3f}"
    ours = _ABSENT if entry.ours is None else f"{entry.ours.mean:.3f}"
    difference = _ABSENT if entry.difference is None else f"{entry.difference:+.3f}"
    match heading.kind:
        case "own":
            return [ours]
        case "reference":
            return [paper]
        case "paper":
            return [paper, ours, difference]


def _figure_lines(figure: "Figure", *, markdown: bool) -> list[str]:
    """A figure's numbers."""
    title = printable(figure.title)
    if figure.shares:
        heading = ["class", "share", *(["the paper's"] if figure.paper else [])]
        rows = [heading] + [
            [printable(name), f"{share:.2f}", *([figure.paper[place]] if place < len(figure.paper) else [])]
            for place, (name, share) in enumerate(figure.shares)
        ]
        if figure.paper:
            rows = [[*row, ""][:3] for row in rows]
        return _titled(f"{title} ({figure.queries} queries)", rows, markdown=markdown)
    told: list[str] = []
    several = len(_sets(figure)) > 1
    for panel, curves in figure.panels.items():
        counts = sorted({count for curve in curves for count, _ in curve.points})
        rows = [["N_C", *map(str, counts)]]
        for curve in curves:
            known = dict(curve.points)
            label = f"{curve.label}, {printable(curve.column)}" if several else curve.label
            rows.append([label, *(f"{known[count]:.3f}" if count in known else _ABSENT for count in counts)])
        told += _titled(f"{title}: {panel}", rows, markdown=markdown)
    return told


def _titled(title: str, rows: "Sequence[Sequence[str]]", *, markdown: bool) -> list[str]:
    if markdown:
        return [f"### {title}", "", *_markdown(rows, left=1), ""]
    return [title, "", *aligned(rows), ""]


def _markdown(rows: "Sequence[Sequence[str]]", *, left: int) -> list[str]:
    """A table in Markdown, its first columns to the left."""
    rule = ["---"] * left + ["---:"] * (len(rows[0]) - left)
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (escaped[0], rule, *escaped[1:])]


def _remarks(notes: "Sequence[str]", *, markdown: bool) -> list[str]:
    return [f"{'- ' if markdown else ''}{printable(text)}" for text in notes]
