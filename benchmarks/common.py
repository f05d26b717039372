"""What the benchmarks share: options, figures with their targets, tables, and timing in turns."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from camseek.extraction.extractor import Extractor, FileMaps
from camseek.images import fingerprint, open_file
from camseek.store import StoredPicture

CHECKOUT = Path(__file__).resolve().parents[1]
SETS = ("groceries", "buildings", "paintings", "covers")
"""The sets of photographs with a ``ground_truth.json``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run was asked for.

    Attributes:
        quick: Fewer pictures and repeats: to see that everything works, not to quote.
        size: Install the checkout into a fresh environment and weigh it (needs a package index).
        folder: A temporary folder on a disk with some gigabytes free.
        data: The photographs with ground truth, or None where there are none.
    """

    quick: bool
    size: bool
    folder: Path
    data: Path | None

    def pick(self, full: int, quick: int) -> int:
        """One number for a full run, another for a quick one."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number and what it has to be.

    Attributes:
        name: What was measured.
        value: The number.
        limit: The target.
        form: How both are printed.
        at_least: The target is a lower bound, not an upper one.
    """

    name: str
    value: float
    limit: float
    form: str = "{:.2f}"
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Table:
    """A Markdown table."""

    title: str
    heading: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    notes: list[str] = field(default_factory=list[str])

    def markdown(self) -> str:
        """The table, first column to the left, the others to the right."""
        widths = [max(map(len, column)) for column in zip(self.heading, *self.rows, strict=True)]
        rule = ["-" * widths[0], *("-" * (max(width, 2) - 1) + ":" for width in widths[1:])]
        lines = [f"### {self.title}", ""]
        for row in (self.heading, rule, *self.rows):
            cells = [
                cell.rjust(max(width, 2)) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join([*lines, "", *(f"{note}\n" for note in self.notes)])


@dataclass(frozen=True, slots=True)
class Report:
    """What one subject gave."""

    tables: list[Table] = field(default_factory=list[Table])
    figures: list[Figure] = field(default_factory=list[Figure])


def summary(figures: Sequence[Figure]) -> Table:
    """All figures beside their targets."""
    table = Table("Figures and targets", ("figure", "measured", "target", ""))
    for item in figures:
        bound = ("at least " if item.at_least else "at most ") + item.form.format(item.limit)
        table.rows.append((item.name, item.form.format(item.value), bound, "met" if item.met else "missed"))
    return table


def print_alone(report: Report) -> None:
    """Prints what a subject gave that was run by itself."""
    for table in (*report.tables, summary(report.figures)):
        print(table.markdown())


def find_data() -> Path | None:
    """The photographs with ground truth: ``CAMSEEK_TEST_DATA``, or ``../shared/data`` beside the checkout."""
    folder = Path(os.environ.get("CAMSEEK_TEST_DATA") or CHECKOUT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


def pictures_in(folder: Path) -> list[Path]:
    """The JPEGs of a folder tree, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})


class _NoTraces:
    """The traces of pictures that have files (the ``Traces`` interface)."""

    def get(self, kind: str, records: Sequence[int], *, damaged: set[int] | None = None) -> dict[int, bytes]:
        return {}

    def damaged(self, kind: str) -> list[int]:
        return []

    def missing(self, kind: str) -> list[int]:
        return []

    def kinds(self) -> dict[str, int]:
        return {}


def file_maps(extractor: Extractor) -> FileMaps:
    """What a search sees stored pictures with, for pictures of no collection."""
    return FileMaps(extractor, _NoTraces())


def stored_picture(path: bytes, record: int) -> StoredPicture:
    """A file as a collection knows it."""
    with open_file(path) as file:
        return StoredPicture(record, fingerprint(file), (1, 1), (path,), {path: os.stat(path).st_size})


def seconds_of(work: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(works: Sequence[Callable[[], object]], rounds: int) -> list[tuple[float, ...]]:
    """Seconds of several pieces of work, in turns, so that what else the machine does meets them alike.

    Every other round goes backwards.
    """
    found: list[tuple[float, ...]] = []
    for turn in range(rounds):
        order = range(len(works)) if turn % 2 == 0 else reversed(range(len(works)))
        seconds = {place: seconds_of(works[place]) for place in order}
        found.append(tuple(seconds[place] for place in range(len(works))))
    return found


def spread(values: Sequence[float], form: str = "{:.3f}") -> str:
    """The middle half of some values."""
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return f"{form.format(low)} to {form.format(high)}"


class Watch:
    """Tells how much of the processor others used meanwhile, where the system says so (Linux)."""

    def __enter__(self) -> "Watch":
        self._before = _busy(), time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        busy, seconds = _busy() - self._before[0], time.perf_counter() - self._before[1]
        self._share = busy / seconds / (os.cpu_count() or 1)

    def told(self) -> str:
        """A sentence, or nothing."""
        if not _STATISTICS.exists():
            return ""
        return f"Other programs used {max(self._share, 0):.0%} of the processor meanwhile."


_STATISTICS = Path("/proc/stat")


def _busy() -> float:
    """Seconds that all processors were busy so far, less those of this process and its children."""
    if not _STATISTICS.exists():
        return 0.0
    # user, nice, system, idle, waiting for the disk, interrupts (two), stolen; in ticks.
    ticks = [int(part) for part in _STATISTICS.read_text().split("\n", 1)[0].split()[1:9]]
    mine = os.times()
    busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return busy - (mine.user + mine.system + mine.children_user + mine.children_system)


def command_environment(folder: Path) -> dict[str, str]:
    """The environment of subprocesses: compiled modules are kept, as where the package is installed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPYCACHEPREFIX": str(folder / "pycache")}


def python(arguments: Sequence[str], folder: Path) -> str:
    """Runs this Python and returns what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=command_environment(folder),
    )
    if done.returncode:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr}")
    return done.stdout


# A process's peak counts the memory of the one that started it: a small one stands between.
_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024))
"""


def peak_memory(arguments: Sequence[str], folder: Path) -> int:
    """Bytes that this Python holds at its peak (resident) when it runs with these arguments."""
    return int(python(["-c", _PEAK, sys.executable, *arguments], folder))
