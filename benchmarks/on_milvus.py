"""Searching a collection on a Milvus server, against the same one in a folder.

Compared, in turns: a search by a descriptor in both, names and all, by engines that stay open. Beside
it the look whether others have written, which one of them takes once a second. The pictures do not exist
(``ranking.write_synthetic``). The server is that of the tests, on this machine.

    python benchmarks/on_milvus.py --pictures 100000
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from common import CHECKOUT, Figure, Options, Report, Table, in_turns, pictures_in, print_alone, spread
from ranking import write_synthetic

from camseek import Engine, load_model
from camseek.address import MilvusAddress
from camseek.indexing.copying import copy
from camseek.job import Job
from camseek.searching import Nearest, Plan
from camseek.store import open_collection
from camseek.store.milvus.pulling import state_of
from camseek.store.milvus.server import Server

_PLAN = Plan(first=Nearest())


def measure(options: Options, count: int | None = None) -> Report:
    """Measures with so many pictures."""
    count = options.pick(20_000, 1_000) if count is None else count
    folder, rounds = options.folder / "folder", options.pick(40, 5)
    write_synthetic(folder, load_model(), count)
    query = str(pictures_in(CHECKOUT / "examples" / "groceries" / "queries")[0])
    report = Report()
    # The mirrors are part of what is measured, and no user's.
    with (
        mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(options.folder / "cache")}),
        server_in(options.folder / "server") as port,
    ):
        address = MilvusAddress("127.0.0.1", port, "benchmark")
        started = time.perf_counter()
        with open_collection(str(folder), keep_vectors=False) as source:
            copy(source, str(address), job=Job.of(None, None))
        copied = time.perf_counter() - started
        # As on another machine: nothing of it is there yet.
        os.environ["XDG_CACHE_HOME"] = str(options.folder / "elsewhere")
        started = time.perf_counter()
        with Engine.open(str(address)) as there, Engine.open(folder) as here:
            opened = time.perf_counter() - started
            searches = [_search(engine, query) for engine in (here, there)]
            for search in searches:
                search()
            now = in_turns(searches, rounds)
            server = Server(address)
            looks = in_turns([lambda: state_of(server, strong=False)], rounds)
            server.close()
    table = Table(f"Searching {count:,} pictures", ("work", "median, ms", "middle half"))
    columns = {
        "in the folder": [one for one, _ in now],
        "on the server": [two for _, two in now],
        "a look at the server": [one for (one,) in looks],
    }
    for name, column in columns.items():
        values = [1000 * value for value in column]
        table.rows.append((name, f"{statistics.median(values):.1f}", spread(values, "{:.1f}")))
    table.notes.append(
        f"Copied to the server in {copied:.0f} s, {count / copied:.0f} pictures a second; a machine that has "
        f"none of it yet opened it in {opened:.0f} s, {count / opened:.0f} a second."
    )
    report.tables.append(table)
    more = statistics.median(1000 * (two - one) for one, two in now)
    report.figures.append(Figure(f"a search of {count:,} pictures on a server over a folder, ms", more, 30.0))
    return report


def _search(engine: Engine, query: str) -> Callable[[], object]:
    return lambda: engine.search(query, top=20, plan=_PLAN)


@contextmanager
def server_in(folder: Path) -> Generator[int]:
    """The port of a server of its own, or of the one that CAMSEEK_TEST_MILVUS names."""
    if running := os.environ.get("CAMSEEK_TEST_MILVUS"):
        yield int(running)
        return
    place = CHECKOUT / "tests" / "milvus_server.py"
    command = [sys.executable, str(place), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else "")
        finally:
            process.terminate()


def main() -> None:
    """Measures with as many pictures as are asked for."""
    parser = argparse.ArgumentParser(description="A search on a Milvus server against one in a folder.")
    parser.add_argument("--pictures", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="camseek-benchmark-") as folder:
        options = Options(quick=False, size=False, folder=Path(folder), data=None)
        report = measure(options, given.pictures)
    print_alone(report)


if __name__ == "__main__":
    main()
