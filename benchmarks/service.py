"""What the service adds to the engine, and how it bears many clients at once.

A service of its own process over the shared paintings. The same searches in turns by ``Engine.search`` in
this process and by the API; both wait for the same stages, so the difference is what the API adds. Then 20
clients, each in a thread of its own, ask one after the other, 1,000 searches in all, by descriptors and words
without verification; the 95th of a hundred beside one search alone by the same way.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
from common import Figure, Options, Report, Table, pictures_in, spread

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
        with serving("paintings", collection, options.folder / "state") as base:
            _added(report, engine, base, queries, options)
            _beside(report, base, queries, options)
    return report


def _added(report: Report, engine: Engine, base: str, queries: list[bytes], options: Options) -> None:
    table = Table(
        "Searches of 287 paintings by the engine and by the API",
        ("plan", "engine, ms", "API, ms", "added, ms"),
    )
    plans: dict[str, tuple[Plan | None, dict[str, Any]]] = {
        "descriptors and words": (Plan(Joined()), _FIRST),
        "verified (the default)": (None, {}),
    }
    with httpx.Client(base_url=base, headers=_HEADERS, timeout=120) as client:
        uploads = [_upload(client, content) for content in queries]
        for name, (plan, asked) in plans.items():
            pairs: list[tuple[float, float]] = []
            for content, upload in zip(queries[: options.pick(10, 2)] * 3, cycle(uploads)):
                began = time.perf_counter()
                engine.search(content, plan=plan, top=50, without_self=True)
                between = time.perf_counter()
                _search(client, upload, asked)
                pairs.append(((between - began) * 1000, (time.perf_counter() - between) * 1000))
            alone, served = ([pair[place] for pair in pairs[2:]] for place in (0, 1))
            added = [other - one for one, other in zip(alone, served, strict=True)]
            row = (
                *(f"{statistics.median(item):.0f}" for item in (alone, served)),
                f"{statistics.median(added):.0f}",
            )
            table.rows.append((name, *row))
            report.figures.append(
                Figure(f"what the API adds to a search, {name}, ms", statistics.median(added), 10, "{:.0f}")
            )
    report.tables.append(table)


def _beside(report: Report, base: str, queries: list[bytes], options: Options) -> None:
    with httpx.Client(base_url=base, headers=_HEADERS, timeout=120) as client:
        uploads = [_upload(client, content) for content in queries]
        alone = [_search(client, upload, _FIRST) for upload in uploads * 2][len(uploads) :]
    left = iter(range(options.pick(1000, 40)))
    taken: list[float] = []
    failed: list[str] = []

    def run(own: Iterator[str]) -> None:
        with httpx.Client(base_url=base, headers=_HEADERS, timeout=600) as client:
            while next(left, None) is not None:
                try:
                    taken.append(_search(client, next(own), _FIRST))
                except httpx.HTTPError as error:
                    failed.append(str(error))

    began = time.perf_counter()
    threads = [threading.Thread(target=run, args=(cycle(uploads),)) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
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
def serving(name: str, collection: Path, state: Path) -> Generator[str]:
    """The address of a service in a process of its own, over one collection of this name."""
    named = f"{name}={os.fspath(collection)}"
    command = [sys.executable, "-m", "camseek", "serve", "--collection", named, "--port", "0", "--json"]
    with subprocess.Popen([*command, "--state", os.fspath(state)], stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            yield str(json.loads(line)["address"])
        finally:
            process.terminate()
