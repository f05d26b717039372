"""What the service adds to the engine, and how it bears many clients at once.

A service of its own process over the shared paintings. The same searches in turns by ``Engine.search`` in
this process and by the API, each first every other time; both wait for the same stages, so the difference is
what the API adds. What both processes took of the processor is told beside it: other programs change it less.
Then 20 clients, each in a thread of its own, ask one after the other, 1,000 searches in all, by descriptors
and words without verification, in rounds with searches alone between them; the 95th of a hundred beside one
search alone by the same way.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
from common import Figure, Options, Report, Table, Watch, pictures_in, seconds_of, spread

from camseek import Engine, Plan
from camseek.searching import Joined

_HEADERS = {"X-Camseek": "1"}
_CLIENTS = 20
_FIRST = {"first": "joined", "verify": 0, "late_interaction": 0}


def measure(options: Options) -> Report:
    """Measures on the shared paintings; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    folder, collection = options.data / "paintings", options.folder / "collection"
    with Engine.open(collection, create=True) as engine:
        engine.index(folder / "catalogue")
        queries = [path.read_bytes() for path in pictures_in(folder / "queries")[:10]]
        with Watch() as watch, serving("paintings", collection, options.folder / "state") as served:
            _added(report, engine, served, queries, options)
        report.tables[-1].notes.append(watch.told())
        with Watch() as watch, serving("paintings", collection, options.folder / "state") as served:
            _beside(report, served, queries, options)
        report.tables[-1].notes.append(watch.told())
    return report


@dataclass(frozen=True, slots=True)
class Served:
    """A service that runs: its address and its process."""

    base: str
    process: int

    def spent(self) -> float:
        """What it took of the processor so far, ms; to the hundredth of a second."""
        # Behind the name in brackets, which may hold anything: the 12th and 13th are its ticks.
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _added(report: Report, engine: Engine, served: Served, queries: list[bytes], options: Options) -> None:
    table = Table(
        "Searches of 287 paintings by the engine and by the API",
        (
            "plan",
            "engine, ms",
            "API, ms",
            "added, ms",
            "middle half",
            "of the processor: engine",
            "API",
            "added",
        ),
    )
    plans: dict[str, tuple[Plan | None, dict[str, Any]]] = {
        "descriptors and words": (Plan(Joined()), _FIRST),
        "verified (the default)": (None, {}),
    }
    with httpx.Client(base_url=served.base, headers=_HEADERS, timeout=120) as client:
        uploads = [_upload(client, content) for content in queries]
        for name, (plan, asked) in plans.items():
            turns = list(zip(queries[: options.pick(10, 2)] * options.pick(4, 2), cycle(uploads)))
            taken: list[tuple[_Took, _Took]] = []
            # The first ones of each load what is loaded once.
            for turn, (content, upload) in enumerate([*turns[:10], *turns]):
                ways = (
                    partial(engine.search, content, plan=plan, top=50, without_self=True),
                    partial(_search, client, upload, asked),
                )
                order = (0, 1) if turn % 2 else (1, 0)
                found = {place: _took(ways[place], (_own, served.spent)[place]) for place in order}
                taken.append((found[0], found[1]))
            taken = taken[-len(turns) :]
            alone, by_api = ([pair[place].wall for pair in taken] for place in (0, 1))
            added = [other - one for one, other in zip(alone, by_api, strict=True)]
            own, others = (statistics.mean(pair[place].spent for pair in taken) for place in (0, 1))
            numbers = [*map(statistics.median, (alone, by_api, added))]
            cells = (*(f"{item:.0f}" for item in numbers), spread(added, "{:.0f}"))
            table.rows.append((name, *cells, *(f"{item:.0f}" for item in (own, others, others - own))))
            report.figures.append(
                Figure(f"what the API adds to a search, {name}, ms", numbers[2], 10, "{:.0f}")
            )
    report.tables.append(table)


@dataclass(frozen=True, slots=True)
class _Took:
    """What a search took, ms: by the clock, and of the processor."""

    wall: float
    spent: float


def _own() -> float:
    return 1000 * time.process_time()


def _took(work: Callable[[], object], spent: Callable[[], float]) -> _Took:
    before = spent()
    wall = 1000 * seconds_of(work)
    return _Took(wall, spent() - before)


def _beside(report: Report, served: Served, queries: list[bytes], options: Options) -> None:
    with httpx.Client(base_url=served.base, headers=_HEADERS, timeout=120) as client:
        uploads = [_upload(client, content) for content in queries]
        for upload in uploads:
            _search(client, upload, _FIRST)
        alone: list[float] = []
        taken: list[float] = []
        failed: list[str] = []
        seconds = 0.0
        for _ in range(options.pick(5, 1)):
            # In turns: what else the machine does meets both.
            alone += [_search(client, upload, _FIRST) for upload in uploads]
            began = time.perf_counter()
            _crowd(served, uploads, options.pick(200, 40), taken, failed)
            seconds += time.perf_counter() - began
        alone += [_search(client, upload, _FIRST) for upload in uploads]
    late = statistics.quantiles(taken, n=20)[-1]
    table = Table(f"{_CLIENTS} clients at once, {len(taken)} searches", ("what", "value"))
    table.rows.extend(
        [
            ("one search alone, ms, median", f"{statistics.median(alone) * 1000:.0f}"),
            ("the same, middle half", spread([value * 1000 for value in alone], "{:.0f}")),
            ("beside 19 others, ms, median", f"{statistics.median(taken) * 1000:.0f}"),
            ("the 95th of a hundred, ms", f"{late * 1000:.0f}"),
            ("searches a second", f"{len(taken) / seconds:.1f}"),
            ("errors", str(len(failed))),
        ]
    )
    report.tables.append(table)
    report.figures.extend(
        [
            Figure(
                "20 clients: the 95th of a hundred searches over one alone",
                late / statistics.median(alone),
                25,
            ),
            Figure("20 clients, 1,000 searches: errors", len(failed), 0, "{:.0f}"),
        ]
    )


def _crowd(served: Served, uploads: list[str], count: int, taken: list[float], failed: list[str]) -> None:
    """Clients that ask as soon as they are answered, until so many searches are done."""
    left = iter(range(count))
    # Each begins with another: people do not all ask for the same at once.
    places = [place * len(uploads) // _CLIENTS for place in range(_CLIENTS)]

    def run(own: Iterator[str]) -> None:
        with httpx.Client(base_url=served.base, headers=_HEADERS, timeout=600) as client:
            while next(left, None) is not None:
                try:
                    taken.append(_search(client, next(own), _FIRST))
                except httpx.HTTPError as error:
                    failed.append(str(error))

    threads = [threading.Thread(target=run, args=(cycle(uploads[at:] + uploads[:at]),)) for at in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _upload(client: httpx.Client, content: bytes) -> str:
    answer = client.post("/api/v1/uploads", content=content).raise_for_status()
    return str(answer.json()["id"])


def _search(client: httpx.Client, upload: str, asked: dict[str, Any]) -> float:
    """Seconds of one search."""
    body = {"query": [{"upload": upload}], "options": asked}
    began = time.perf_counter()
    client.post("/api/v1/collections/paintings/search", json=body).raise_for_status()
    return time.perf_counter() - began


@contextmanager
def serving(name: str, collection: Path, state: Path) -> Generator[Served]:
    """A service in a process of its own, over one collection of this name."""
    named = f"{name}={os.fspath(collection)}"
    command = [sys.executable, "-m", "camseek", "serve", "--collection", named, "--port", "0", "--json"]
    with subprocess.Popen([*command, "--state", os.fspath(state)], stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            yield Served(str(json.loads(line)["address"]), process.pid)
        finally:
            process.terminate()
