"""What the experiments gave, beside the paper's numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from camseek.lab.paper.experiments import FigureName, TableName

Kind = Literal["paper", "reference", "own"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One cell: an experiment on a set.

    Attributes:
        mean: Mean average precision, trapezoidal.
        interval: 95 % bootstrap interval of that.
        queries: How many are in the mean.
        left_out: Queries without positives.
        dimensions: D, the length of a descriptor.
        average_precisions: Each query's, by its id.
    """

    mean: float
    interval: tuple[float, float]
    queries: int
    left_out: int
    dimensions: int
    average_precisions: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The paper's number and ours.

    Attributes:
        paper: As printed; None where it has none.
        ours: None where it was not measured.
        against: What the difference is from: the paper's number, or what it should have been.
    """

    paper: float | None = None
    ours: Measured | None = None
    against: float | None = None

    @property
    def difference(self) -> float | None:
        """Ours less the paper's."""
        return None if self.ours is None or self.against is None else self.ours.mean - self.against

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        ours, difference = self.ours, self.difference
        return {
            "paper": self.paper,
            "ours": None if ours is None else round(ours.mean, 6),
            "difference": None if difference is None else round(difference, 6),
            "interval": None if ours is None else [round(end, 6) for end in ours.interval],
            "queries": None if ours is None else ours.queries,
            "dimensions": None if ours is None else ours.dimensions,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What encoding a picture takes.

    Attributes:
        seconds: A network pass and the encoding.
        passes: That over the pass alone.
    """

    seconds: float
    passes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row.

    Attributes:
        network: Network and layer.
        setting: What was done.
        entries: For each column's name.
        paper_dimensions: D of the paper, as it prints it; empty where it has no such row.
        cost: Ours (table 1b).
        paper_seconds: The paper's cost (table 1b).
    """

    network: str
    setting: str
    entries: Mapping[str, Entry]
    paper_dimensions: str = ""
    cost: Cost | None = None
    paper_seconds: float | None = None

    @property
    def dimensions(self) -> str:
        """D of what was measured here, ``421-512`` where sets differ; else the paper's."""
        ours = {entry.ours.dimensions for entry in self.entries.values() if entry.ours is not None}
        if not ours:
            return self.paper_dimensions
        low, high = min(ours), max(ours)
        return str(low) if low == high else f"{low}-{high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A set, and which of its columns are shown: ``reference`` has the paper's alone, ``own`` ours."""

    name: str
    title: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the paper; ``costs`` where it tells what a picture costs."""

    name: TableName
    title: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    costs: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "table": self.name,
            "title": self.title,
            "sets": {heading.name: heading.title for heading in self.headings},
            "rows": [
                {
                    "network": line.network,
                    "setting": line.setting,
                    "dimensions": line.dimensions or None,
                    "numbers": {name: entry.to_json() for name, entry in line.entries.items()},
                    **(_cost_json(line) if self.costs else {}),
                }
                for line in self.lines
            ],
            "notes": list(self.notes),
        }


def _cost_json(line: Line) -> dict[str, Any]:
    cost = line.cost
    ours = {"seconds": round(cost.seconds, 6), "passes": round(cost.passes, 4)} if cost else None
    return {"paper_seconds": line.paper_seconds, "cost": ours}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A line of a figure.

    Attributes:
        label: What it stands for, N_pca.
        column: The set.
        dotted: How the paper draws this set's lines.
        points: (N_C, mAP).
    """

    label: str
    column: str
    dotted: bool
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the paper, for one network.

    Attributes:
        name: The paper's number of it.
        title: For people.
        file: A name for its picture, without ending.
        panels: The lines of each panel; none in figure 5a.
        shares: Classes by the share of the queries that have them among their first (figure 5a).
        queries: How many queries these are.
        paper: The paper's order of the classes, where it gives one.
    """

    name: FigureName
    title: str
    file: str
    panels: Mapping[str, tuple[Curve, ...]] = field(default_factory=dict[str, tuple[Curve, ...]])
    shares: tuple[tuple[str, float], ...] = ()
    queries: int = 0
    paper: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told: dict[str, Any] = {"figure": self.name, "title": self.title}
        if self.shares:
            shares = [[name, round(share, 6)] for name, share in self.shares]
            return told | {"queries": self.queries, "classes": shares, "paper": list(self.paper)}
        return told | {
            "panels": {
                panel: [
                    {
                        "line": curve.label,
                        "set": curve.column,
                        "points": [[count, round(mean, 6)] for count, mean in curve.points],
                    }
                    for curve in curves
                ]
                for panel, curves in self.panels.items()
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperReport:
    """Tables and figures.

    Attributes:
        tables: Those asked for.
        figures: Those asked for, for each network and set.
        notes: What counts for all tables: what each whitening was fitted on.
        missing: What is not there, and why.
        cells: Cells measured anew, and cells kept from earlier runs.
        seconds: Duration.
    """

    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    cells: tuple[int, int]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "tables": [item.to_json() for item in self.tables],
            "figures": [item.to_json() for item in self.figures],
            "notes": list(self.notes),
            "missing": list(self.missing),
            "ap_form": "trapezoid",
            "measured": self.cells[0],
            "kept": self.cells[1],
            "seconds": round(self.seconds, 3),
        }
