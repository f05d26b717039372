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
    """

    mean: float
    interval: tuple[float, float]
    queries: int
    left_out: int


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
        cost: Ours (table 1b).
        paper_seconds: The paper's cost (table 1b).
    """

    network: str
    setting: str
    entries: Mapping[str, Entry]
    cost: Cost | None = None
    paper_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A set, and which of its columns are shown: ``reference`` has the paper's alone, ``own`` ours."""

    name: str
    title: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the paper."""

    name: TableName
    title: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

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
                    "numbers": {name: entry.to_json() for name, entry in line.entries.items()},
                    **_cost_json(line),
                }
                for line in self.lines
            ],
            "notes": list(self.notes),
        }


def _cost_json(line: Line) -> dict[str, Any]:
    if line.paper_seconds is None:
        return {}
    cost = line.cost
    ours = {"seconds": round(cost.seconds, 6), "passes": round(cost.passes, 4)} if cost else None
    return {"paper_seconds": line.paper_seconds, "cost": ours}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the paper, for one network and set.

    Attributes:
        name: The paper's number of it.
        title: For people.
        file: A name for its picture, without ending.
        series: For each line its points (N_C, mAP); none in figure 5a.
        counts: Classes by how many queries have them among their most probable (figure 5a).
        paper: The paper's order of them, where it gives one.
    """

    name: FigureName
    title: str
    file: str
    series: Mapping[str, tuple[tuple[int, float], ...]] = field(
        default_factory=dict[str, tuple[tuple[int, float], ...]]
    )
    counts: tuple[tuple[str, int], ...] = ()
    paper: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told: dict[str, Any] = {"figure": self.name, "title": self.title}
        if self.counts:
            return told | {"classes": [list(item) for item in self.counts], "paper": list(self.paper)}
        return told | {
            "lines": {
                name: [[count, round(mean, 6)] for count, mean in line] for name, line in self.series.items()
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
