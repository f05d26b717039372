"""The paper's tables and figures, run and put together."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from camseek.config import Limits
from camseek.job import Job, Progress
from camseek.lab.measuring.held_out import DEFAULT_DIMENSIONS
from camseek.lab.paper.columns import Column
from camseek.lab.paper.experiments import (
    FIGURES,
    PAPER_MODELS,
    TABLES,
    Experiment,
    FigureName,
    Row,
    Slot,
    TableName,
)
from camseek.lab.paper.networks import Network
from camseek.lab.paper.numbers import PARIS_CLASSES
from camseek.lab.paper.results import (
    Cost,
    Curve,
    Entry,
    Figure,
    Heading,
    Kind,
    Line,
    Measured,
    PaperReport,
    Table,
)
from camseek.lab.paper.runner import OneNetwork, Runner, Tell
from camseek.lab.paper.work import Work
from camseek.places import work_folder

Found = Mapping[tuple[str, str], Mapping[Experiment, Measured]]
"""Cells by network's title and column's name."""

_SMALL_SETS = (None, "oxford5k", "paris6k")  # the sets of the figures and of the costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted.

    Attributes:
        tables: Tables of the paper.
        figures: Figures of the paper.
    """

    tables: tuple[TableName, ...]
    figures: tuple[FigureName, ...] = ()

    def experiments(self, network: Network, column: Column) -> list[Experiment]:
        """What is measured with a network on a set; on the larger sets what the paper has numbers for."""
        rows = [row for name in self.tables for row in _rows(name, network)]
        found = [
            row.experiment
            for row in rows
            if row.experiment is not None and (_is_small(column) or row.paper.of(column.name) is not None)
        ]
        if _stands_for(network) == "VGG-16":
            panels = [
                panel for name in self.figures if _is_in(name, column) for panel in FIGURES[name].values()
            ]
            found += [item for panel in panels for line in panel.values() for item in line.values()]
        return list(dict.fromkeys(found))


def run_paper(
    columns: Sequence[Column],
    networks: Sequence[Network],
    asked: Asked,
    *,
    work: Path | None = None,
    dimensions: int = DEFAULT_DIMENSIONS,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> PaperReport:
    """Measures what is there of the paper's tables and figures, beside the paper's numbers.

    The paper's reading throughout: regions of queries are cells, average precision is trapezoidal. Finished
    cells are kept in ``work``, so that a run that was stopped goes on: at most what one network does on one
    set is done again.

    Args:
        columns: The sets, from ``paper_columns`` and ``own_columns``.
        networks: From ``choose_networks``.
        asked: Tables and figures.
        work: The folder of finished cells; None for one in the user's cache.
        dimensions: D of whitened descriptors, where there can be so many.
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Told of each picture.
        tell: Told how far the cells are.

    Raises:
        CamseekError: As ``camseek.lab.measuring.measure``; or the work folder cannot be written.
    """
    started = time.perf_counter()
    runner = Runner(
        columns,
        Work(work or work_folder()),
        dimensions,
        Job.of(limits, workers, progress),
        tell or _silent,
    )
    there = [network for network in networks if network.there]
    sets = [column for column in columns if column.truth is not None]
    pairs = [(network, column, asked.experiments(network, column)) for network in there for column in sets]
    runner.total = sum(len(experiments) for _, _, experiments in pairs)
    found: dict[tuple[str, str], Mapping[Experiment, Measured]] = {}
    costs: dict[str, Mapping[Experiment, Cost]] = {}
    figures: list[Figure] = []
    for network in there:
        opened = runner.open(network)
        for column in sets:
            wanted = asked.experiments(network, column)
            found[network.title, column.name] = opened.cells(column, wanted) if wanted else {}
        costs[network.title] = _costs(opened, asked, sets)
        figures += _figures(opened, asked, sets, found)
    figures = list({figure.file: figure for figure in figures}.values())  # layers share figure 5a
    return PaperReport(
        tables=tuple(_table(name, columns, networks, found, costs) for name in asked.tables),
        figures=tuple(figures),
        notes=tuple(_notes(networks, runner)),
        missing=tuple(_missing(columns, networks, runner)),
        cells=(runner.measured, runner.kept),
        seconds=time.perf_counter() - started,
    )


def _silent(_: str) -> None:
    pass


def _is_small(column: Column) -> bool:
    return column.paper in _SMALL_SETS


def _is_in(figure: FigureName, column: Column) -> bool:
    """Whether a figure shows a set: of the paper's, figure 5b shows Oxford5k alone."""
    return column.paper in ((None, "oxford5k") if figure == "5b" else _SMALL_SETS)


def _stands_for(network: Network) -> Slot:
    """The paper's network whose rows a network runs: others run VGG-16's."""
    return network.slot or "VGG-16"


def _rows(name: TableName, network: Network) -> list[Row]:
    """A table's rows of a network; what is only quoted stands with the paper's own."""
    return [
        row
        for row in TABLES[name].rows
        if row.slot == _stands_for(network) and (row.experiment is not None or network.slot is not None)
    ]


def _costs(opened: OneNetwork, asked: Asked, sets: Sequence[Column]) -> Mapping[Experiment, Cost]:
    """The costs of table 1b, on the first set."""
    small = [column for column in sets if _is_small(column)]
    rows = _rows("1b", opened.network) if "1b" in asked.tables else []
    if not rows or not small:
        return {}
    return opened.costs(small[0], [row.experiment for row in rows if row.experiment is not None])


def _table(
    name: TableName,
    columns: Sequence[Column],
    networks: Sequence[Network],
    found: Found,
    costs: Mapping[str, Mapping[Experiment, Cost]],
) -> Table:
    spec = TABLES[name]
    shown = [
        column
        for column in columns
        if _is_small(column) or any(row.paper.of(column.name) is not None for row in spec.rows)
    ]
    lines = [
        _line(row, network, shown, found, costs.get(network.title, {}))
        for network in networks
        for row in _rows(name, network)
    ]
    return Table(
        name=name,
        title=spec.title,
        headings=tuple(Heading(name=item.name, title=item.title, kind=_kind(item)) for item in shown),
        lines=tuple(lines),
        notes=spec.notes,
        costs=any(row.seconds is not None for row in spec.rows),
    )


def _notes(networks: Sequence[Network], runner: Runner) -> list[str]:
    """What counts for all tables."""
    notes: list[str] = []
    if any(network.slot is None for network in networks):
        notes.append(
            "The paper's numbers stand beside the paper's own networks alone: they are no measure of another."
        )
    return [*notes, *dict.fromkeys(runner.fitted.values())]


def _kind(column: Column) -> Kind:
    if column.paper is None:
        return "own"
    return "reference" if column.truth is None and column.missing is None else "paper"


def _line(
    row: Row, network: Network, columns: Iterable[Column], found: Found, costs: Mapping[Experiment, Cost]
) -> Line:
    entries: dict[str, Entry] = {}
    is_papers = network.slot is not None
    for column in columns:
        cells = found.get((network.title, column.name), {})
        entries[column.name] = Entry(
            paper=row.paper.of(column.name) if is_papers else None,
            ours=None if row.experiment is None else cells.get(row.experiment),
            against=(row.against or row.paper).of(column.name) if is_papers else None,
        )
    return Line(
        network=network.title,
        setting=row.label,
        entries=entries,
        paper_dimensions=row.dimensions if is_papers else "",
        cost=None if row.experiment is None else costs.get(row.experiment),
        paper_seconds=row.seconds if is_papers else None,
    )


def _figures(opened: OneNetwork, asked: Asked, sets: Sequence[Column], found: Found) -> list[Figure]:
    network = opened.network
    if _stands_for(network) != "VGG-16" or not network.classifier:
        return []
    figures: list[Figure] = []
    for name in asked.figures:
        shown = [column for column in sets if _is_in(name, column)]
        if name == "5a":
            figures += [_class_figure(opened, column) for column in shown]
            continue
        # The paper's sets share a figure; pictures of one's own have one each.
        papers = [column for column in shown if column.paper is not None]
        for together in [papers, *([column] for column in shown if column.paper is None)]:
            figure = _line_figure(name, network, together, found)
            if figure is not None:
                figures.append(figure)
    return figures


def _class_figure(opened: OneNetwork, column: Column) -> Figure:
    chosen = opened.class_list(column)
    return Figure(
        name="5a",
        title=f"Figure 5a: classes of the queries of {chosen.source}, {opened.network.model_title}",
        file=_file_name("5a", opened.network.model_title, chosen.source),
        shares=chosen.shares,
        queries=chosen.queries,
        paper=PARIS_CLASSES if chosen.source == "Paris6k" else (),
    )


def _line_figure(
    name: FigureName, network: Network, columns: Sequence[Column], found: Found
) -> Figure | None:
    panels = {
        panel: tuple(
            curve
            for column in columns
            for label, line in lines.items()
            if (curve := _curve(label, column, line, found[network.title, column.name])).points
        )
        for panel, lines in FIGURES[name].items()
    }
    panels = {panel: curves for panel, curves in panels.items() if curves}
    if not panels:
        return None
    titles = [column.title for column in columns]
    return Figure(
        name=name,
        title=f"Figure {name}: {', '.join(titles)}, {network.title}",
        file=_file_name(name, network.title, *titles),
        panels=panels,
    )


def _curve(
    label: str, column: Column, line: Mapping[int, Experiment], cells: Mapping[Experiment, Measured]
) -> Curve:
    points = tuple((count, cells[item].mean) for count, item in line.items() if item in cells)
    return Curve(label=label, column=column.title, dotted=column.paper == "oxford5k", points=points)


def _file_name(name: str, *parts: str) -> str:
    text = "-".join(parts)
    return f"figure{name}-" + "".join(char if char.isalnum() else "-" for char in text).lower()


def _missing(columns: Sequence[Column], networks: Sequence[Network], runner: Runner) -> list[str]:
    """What is not there, for people."""
    told = [f"{column.title}: {column.missing}" for column in columns if column.missing is not None]
    for network in networks:
        if not network.there and network.slot is not None:
            name = PAPER_MODELS[network.slot]
            told.append(f"{network.slot}: no model of the name {name}; camseek model import makes one")
        elif not network.classifier:
            told.append(f"{network.title}: no classifier, so no class activation maps")
    told += [f"{where}: no whitening, as there is no other set to fit it on" for where in runner.unwhitened]
    told += [f"{title}: pictures that could not be used: {count}" for title, count in runner.skipped.items()]
    return told
