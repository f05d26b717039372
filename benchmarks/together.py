"""Searches beside each other, and a writer beside searches.

Compared, in turns: the same searches (online aggregation of a shortlist, then re-ranking of 20, no boxes) by
four threads that share one ``Engine``, and by one thread, one search after the other. Each search has one
thread (``workers=1``: what a service gives it), so several use the cores that one leaves idle. Then the same
where a search has a thread for each core, as it has by default: there one search uses all of them already,
and the ratio only tells that nothing is lost. Last, bare passes of the network, one thread each: how much
more of the processor four threads get than one on this machine, beside whatever else runs.

Then four threads that search all the time, and a writer in the same process: how long ``Collection.write``
takes to let it in, how long each commit of an index run of new pictures takes, and the run itself, beside the
same without searches. No search may hold a lock while it looks at pictures; what the run loses beyond its
entry and its commits is the processor, which it shares.
"""

import statistics
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import numpy as np
from common import CHECKOUT, Figure, Options, Report, Table, in_turns, pictures_in, seconds_of, spread

from camseek import Engine, Plan, load_model
from camseek.errors import CancelledError
from camseek.job import processors
from camseek.store import Collection

_THREADS = 4
_PLAN = Plan.of("online", rerank=20)
_PASSES = 40
_PAUSE = 0.02


def measure(options: Options) -> Report:
    """Measures on the groceries, or on the pictures of the checkout where there is no shared data."""
    data = options.data / "groceries" if options.data else CHECKOUT / "examples" / "groceries"
    pictures = pictures_in(data / "photos")[:: options.pick(1, 10)]
    queries = pictures_in(data / "queries" if options.data else data / "photos")
    queries = queries[:: max(len(queries) // 8, 1)][: options.pick(8, 4)]
    address = options.folder / "collection"
    with Engine.open(address, create=True) as engine:
        _index(engine, pictures)
    report = Report()
    _beside_each_other(report, address, queries, len(pictures), rounds=options.pick(5, 1))
    _writer(report, address, queries, pictures[: options.pick(40, 8)], options)
    return report


def _index(engine: Engine, pictures: Sequence[Path]) -> None:
    skipped = engine.add(pictures).skipped
    if skipped:
        raise RuntimeError(f"pictures were skipped: {skipped}")


def _search(engine: Engine, query: Path, stop: threading.Event | None = None) -> None:
    engine.search(query, plan=_PLAN, cancelled=stop)


# -- searches beside each other -----------------------------------------------------------------------------


def _beside_each_other(
    report: Report, address: Path, queries: Sequence[Path], count: int, *, rounds: int
) -> None:
    table = Table(
        f"{len(queries)} searches in {count} pictures: online aggregation and re-ranking",
        (
            "work",
            "one by one, a second",
            f"{_THREADS} at once, a second",
            "ratio",
            "middle half",
        ),
    )
    cores = processors()
    ways: dict[str, Callable[[], tuple[list[float], tuple[str, str]]]] = {
        "searches, one thread each": partial(_rates, address, 1, queries, rounds),
        f"searches, {cores} threads each (the default)": partial(_rates, address, cores, queries, rounds),
        "bare network passes, one thread each": partial(_passes, rounds),
    }
    for what, way in ways.items():
        ratios, rates = way()
        table.rows.append((what, *rates, f"{statistics.median(ratios):.2f}", spread(ratios, "{:.2f}")))
        if not report.figures:
            label = f"searches of one thread, {_THREADS} at once over one by one, {cores} cores"
            report.figures.append(Figure(label, statistics.median(ratios), 1.6, at_least=True))
    report.tables.append(table)


def _rates(
    address: Path, workers: int, queries: Sequence[Path], rounds: int
) -> tuple[list[float], tuple[str, str]]:
    """How many times as many searches a second there are at once, round by round; and how many there are."""
    with Engine.open(address, workers=workers) as engine:
        return _searches(engine, queries, rounds)


def _searches(engine: Engine, queries: Sequence[Path], rounds: int) -> tuple[list[float], tuple[str, str]]:
    def one_by_one() -> None:
        for query in queries:
            _search(engine, query)

    def at_once() -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(partial(_search, engine), queries))

    _search(engine, queries[0])  # loads the models
    return _compared(one_by_one, at_once, len(queries), rounds)


def _passes(rounds: int) -> tuple[list[float], tuple[str, str]]:
    """The same of bare passes of the network."""
    model, pixels = load_model(threads=1), np.zeros((480, 640, 3), np.uint8)

    def run(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(model.run, [pixels] * _PASSES))

    return _compared(partial(run, 1), partial(run, _THREADS), _PASSES, rounds)


def _compared(
    one_by_one: Callable[[], None], at_once: Callable[[], None], count: int, rounds: int
) -> tuple[list[float], tuple[str, str]]:
    seconds = in_turns([one_by_one, at_once], rounds)
    rates = [count / statistics.median(column) for column in zip(*seconds, strict=True)]
    return [alone / together for alone, together in seconds], (f"{rates[0]:.2f}", f"{rates[1]:.2f}")


# -- a writer beside searches -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Waits:
    """How long a writer took, seconds: to be let in, and for each commit."""

    entries: list[float] = field(default_factory=list[float])
    commits: list[float] = field(default_factory=list[float])


class _Watched:
    """A collection, or the writer of one, that is timed where it may have to wait; else as it is."""

    def __init__(self, real: Any, waits: _Waits) -> None:
        self._real = real
        self._waits = waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextmanager
    def write(self, command: str) -> Generator[Any]:
        started = time.perf_counter()
        with self._real.write(command) as writer:
            self._waits.entries.append(time.perf_counter() - started)
            yield _Watched(writer, self._waits)

    def commit(self) -> None:
        self._waits.commits.append(seconds_of(self._real.commit))


def _writer(
    report: Report, address: Path, queries: Sequence[Path], pictures: Sequence[Path], options: Options
) -> None:
    alone, beside = _Waits(), _Waits()
    seconds: list[float] = []
    searches = 0
    entries = options.pick(200, 40)
    with Engine.open(address, workers=1) as engine:
        _search(engine, queries[0])
        collection = engine.collection
        for number, waits in enumerate((alone, beside)):
            new = _copies(pictures, options.folder / f"new{number}", number)
            engine.collection = cast(Collection, _Watched(collection, waits))
            work = _Work(engine, new, entries)
            if waits is beside:
                with _searching(engine, queries) as done:
                    work()
                searches = len(done)
            else:
                work()
            seconds.append(work.seconds)
        engine.collection = collection
    table = Table(
        f"A writer beside {_THREADS} threads that search",
        ("what", "times", "alone: median, ms", "longest", "beside: median, ms", "longest"),
    )
    for what, first, second in (
        ("entering write()", alone.entries, beside.entries),
        ("a commit of an index run", alone.commits, beside.commits),
    ):
        numbers = [
            f"{1000 * number:.1f}" for way in (first, second) for number in (statistics.median(way), max(way))
        ]
        table.rows.append((what, str(len(second)), *numbers))
    cores = processors()
    table.notes.append(
        f"An index run of {len(pictures)} new pictures, one thread: alone {seconds[0]:.1f} s, beside the "
        f"searches {seconds[1]:.1f} s, {seconds[1] / seconds[0]:.2f} times as long; {_THREADS + 1} threads "
        f"on {cores} cores explain {max((_THREADS + 1) / cores, 1):.2f}. {searches} searches were done."
    )
    report.tables.append(table)
    label = f"the longest that write() let its writer wait beside {_THREADS} searches, s"
    report.figures.append(Figure(label, max(beside.entries), 0.1, "{:.3f}"))


@dataclass(slots=True)
class _Work:
    """Enters ``write`` many times, then indexes new pictures; ``seconds`` are those of the index run."""

    engine: Engine
    folder: Path
    entries: int
    seconds: float = 0.0

    def __call__(self) -> None:
        for _ in range(self.entries):
            with self.engine.collection.write("benchmark"):
                pass
            time.sleep(_PAUSE)
        self.seconds = seconds_of(self._index)

    def _index(self) -> None:
        report = self.engine.index(self.folder)
        if report.skipped or report.encoded != report.added:
            raise RuntimeError(f"not every picture was new: {report}")


@contextmanager
def _searching(engine: Engine, queries: Sequence[Path]) -> Generator[list[Path]]:
    """Threads that search until the end of the block; gives the list that finished searches go into."""
    stop, done = threading.Event(), list[Path]()

    def search(first: int) -> None:
        for query in cycle([*queries[first:], *queries[:first]]):
            if stop.is_set():
                return
            try:
                _search(engine, query, stop)
            except CancelledError:
                return
            done.append(query)

    with ThreadPoolExecutor(_THREADS) as pool:
        waiting = [pool.submit(search, number % len(queries)) for number in range(_THREADS)]
        try:
            time.sleep(1)  # until all look at pictures
            yield done
        finally:
            stop.set()
    for future in waiting:
        future.result()


def _copies(pictures: Sequence[Path], folder: Path, number: int) -> Path:
    """JPEGs with another comment: new contents."""
    folder.mkdir()
    comment = f"copy {number}".encode()
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    for place, path in enumerate(pictures):
        content = path.read_bytes()
        (folder / f"{place}.jpg").write_bytes(content[:2] + segment + content[2:])
    return folder
