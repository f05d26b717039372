"""Indexing on a Ray cluster beside one process on the same cores.

Both index the same generated photographs of 12 megapixels, with all that is kept by default, into new
collections, in turns. The cluster is of this machine alone and has as many cores as this process may use, so
whatever it costs to hand pictures out and results back is in it. Starting workers, which takes each some
seconds once a run, is told beside the rate, and not in it: the rate is that of the pictures after the first
tenth. So is what they took of the processor, in this process and all that it or the cluster started: the
cluster's own processes are there in both cases. That hangs less on what else the machine has to do.
"""

import os
import statistics
import time
from functools import partial
from pathlib import Path

from common import Figure, Options, Report, Table, in_turns

from camseek import Engine
from camseek.job import processors
from indexing import generate_photographs

_MOST_LOSS = 1.10


class _Clock:
    """Progress that notes when each picture was done."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.times: list[float] = []
        self._total = 0
        self._spent: list[float] = []

    def start(self, total: int) -> None:
        """A run begins."""
        self._total += total

    def step(self) -> None:
        """A picture is done."""
        self.times.append(time.perf_counter())
        if len(self.times) - 1 in (self._total // 10, self._total - 1):
            self._spent.append(_processor_seconds())

    @property
    def rate(self) -> float:
        """Pictures a second, after the first tenth."""
        return self._counted / (self.times[-1] - self.times[self._total // 10])

    @property
    def processor(self) -> float:
        """Milliseconds of the processor a picture, of the same ones."""
        return 1000 * (self._spent[-1] - self._spent[0]) / self._counted

    @property
    def _counted(self) -> int:
        return self._total - 1 - self._total // 10


def measure(options: Options) -> Report:
    """Measures generated photographs."""
    folder = options.folder / "clustered"
    generate_photographs(folder, options.pick(100, 16))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Here, as it is no part of a plain install, and reads the environment when it is imported.
    from ray.cluster_utils import Cluster

    node = {"num_cpus": processors(), "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    head: str = cluster.address  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAssignmentType]
    clocks: dict[str | None, list[_Clock]] = {None: [], head: []}
    try:
        works = [partial(_index, folder, options.folder, at, clocks[at]) for at in clocks]
        in_turns(works, options.pick(4, 1))
    finally:
        cluster.shutdown()
    table = Table(
        f"Indexing on a Ray cluster of {processors()} cores beside one process on the same",
        ("where", "pictures a second", "until the first, s", "in all, s", "of the processor, ms a picture"),
    )
    for name, some in zip(("threads of one process", "workers of a cluster"), clocks.values(), strict=True):
        values = [
            statistics.median(clock.rate for clock in some),
            statistics.median(clock.times[0] - clock.began for clock in some),
            statistics.median(clock.times[-1] - clock.began for clock in some),
            statistics.median(clock.processor for clock in some),
        ]
        table.rows.append((name, *(f"{value:.2f}" for value in values)))
    # Of each turn, for the machine may have others to serve in one and not in the next.
    ratios = [one.rate / other.rate for one, other in zip(*clocks.values(), strict=True)]
    figure = Figure(
        "index, time a picture on a cluster / in one process", statistics.median(ratios), _MOST_LOSS
    )
    return Report([table], [figure])


def _processor_seconds() -> float:
    """What this process and all that come of it have taken of the processor, also those that ended."""
    spent: dict[int, tuple[int, float]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        ticks = sum(map(int, fields[11:15]))  # its own, and of children that it waited for
        spent[int(place.parent.name)] = int(fields[1]), ticks / os.sysconf("SC_CLK_TCK")
    return sum(seconds for number, (_, seconds) in spent.items() if _is_ours(number, spent))


def _is_ours(number: int, known: dict[int, tuple[int, float]]) -> bool:
    """Whether a process is this one, or comes of it."""
    while number in known and number != os.getpid():
        number = known[number][0]
    return number == os.getpid()


def _index(folder: Path, place: Path, cluster: str | None, clocks: list[_Clock]) -> None:
    address = place / f"clustered-{'ray' if cluster else 'threads'}-{len(clocks)}"
    clock = _Clock()
    with Engine.open(address, create=True) as engine:
        report = engine.index(folder, cluster=cluster, progress=clock)
    if report.skipped:
        raise RuntimeError(f"pictures were skipped: {report.skipped}")
    clocks.append(clock)
