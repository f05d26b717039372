"""Memory and searches of a process that stays, while others write to its collection.

A process with the embedded model and a large collection of random descriptors searches, and tells what it
holds (resident), at rest and after another process has added one picture; the search that follows such a
picture is compared with one that follows nothing, in turns. Then a thousand files are taken out of the
collection by name, as ``camseek remove`` does.

Told besides: what the process holds without any descriptor, and with the memory of one pass of the network.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import Figure, Options, Report, Table, command_environment, seconds_of, spread
from numpy.typing import NDArray

from camseek.config import Settings
from camseek.store import (
    ADDED_BY_HAND,
    Collection,
    PictureRecord,
    Profile,
    Signature,
    create_collection,
    open_collection,
)

_DIMENSIONS = 1280
_BLOCK = 1000
# Answers each line of its input: what it holds in bytes, and the seconds of what it was told to do.
_PROCESS = """
import json, resource, sys, time
import numpy as np
from camseek.backbones import load_model
from camseek.store import open_collection

def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        # Elsewhere only the peak is told.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

model = load_model()
collection = open_collection(sys.argv[1])
generator = np.random.default_rng(1)
for line in sys.stdin:
    query = generator.standard_normal((1, model.channels), np.float32)
    query /= np.linalg.norm(query)
    pixels = generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    started = time.perf_counter()
    if line == "search\\n":
        collection.vectors.nearest(query, 20)
    elif line == "look\\n":
        model.run(pixels)
    print(json.dumps([resident(), time.perf_counter() - started]), flush=True)
"""


def measure(options: Options) -> Report:
    """Measures one process that stays, then the removal."""
    count = options.pick(200_000, 10_000)
    folder = options.folder / "warm"
    _write(folder, count)
    with open_collection(str(folder)) as collection, collection.write("benchmark"):
        pass  # as whoever indexed them would have left them
    report = Report()
    with open_collection(str(folder)) as collection, _process(folder, options.folder) as process:
        bare, _ = process.ask("nothing")
        process.ask("search")
        rest, _ = process.ask("search")
        turns = [_turn(collection, process, turn) for turn in range(options.pick(15, 3))]
        after = turns[0][0]
        process.ask("look")
        looked, _ = process.ask("search")
        removed = seconds_of(lambda: _remove(collection, count, options.pick(1000, 100)))
        left, _ = process.ask("search")
    memory = Table(f"Memory of a process with {count:,} descriptors", ("when", "resident, MB"))
    for name, value in (
        ("model loaded, collection opened", bare),
        ("at rest after a search", rest),
        ("and after another process added one picture", after),
        (f"and after {len(turns)} more, and a pass of the network", looked),
        ("and after another process removed files", left),
    ):
        memory.rows.append((name, f"{value / 1e6:.0f}"))
    times = Table("Its searches", ("search", "median, ms", "middle half"))
    for name, place in (("nothing has changed", 1), ("another process has added one picture", 2)):
        values = [1000 * turn[place] for turn in turns]
        times.rows.append((name, f"{statistics.median(values):.0f}", spread(values, "{:.0f}")))
    report.tables.extend([memory, times])
    added = f"a warm process of {count:,} pictures"
    figures = [
        Figure(f"{added}: memory at rest, MB", rest / 1e6, 700, "{:.0f}"),
        Figure(f"{added}: memory after one more picture over that at rest", after / rest, 1.2),
        Figure(
            f"{added}: the search after one more picture over one undisturbed",
            statistics.median(turn[2] / turn[1] for turn in turns),
            1.2,
        ),
        Figure(f"removing {options.pick(1000, 100):,} of {count:,} files by name, s", removed, 2.0),
    ]
    report.figures.extend(figures)
    return report


class _Process:
    """Another Python that searches when it is told to."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self._running = running

    def ask(self, what: str) -> tuple[int, float]:
        """Bytes that it holds, and seconds that it took."""
        entry, answers = self._running.stdin, self._running.stdout
        if entry is None or answers is None:
            raise RuntimeError("the process has no pipes")
        entry.write(f"{what}\n")
        entry.flush()
        resident, seconds = json.loads(answers.readline())
        return resident, seconds


@contextmanager
def _process(collection: Path, folder: Path) -> Generator[_Process]:
    with subprocess.Popen(
        [sys.executable, "-c", _PROCESS, str(collection)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=command_environment(folder),
    ) as running:
        yield _Process(running)


def _turn(collection: Collection, process: _Process, turn: int) -> tuple[int, float, float]:
    """Bytes after one picture more, seconds of a search undisturbed and of one after that picture."""
    undisturbed = process.ask("search")[1] if turn % 2 else 0.0
    _add(collection, turn)
    after, seconds = process.ask("search")
    return after, undisturbed or process.ask("search")[1], seconds


def _add(collection: Collection, number: int) -> None:
    vector = _unit_rows(np.random.default_rng(1000 + number), 1)[0]
    with collection.write("benchmark") as writer:
        picture = PictureRecord(
            content=os.urandom(32), size=(640, 480), format="JPEG", frames=1, descriptor=vector
        )
        record = writer.insert(picture)
        writer.point(b"/added/%d.jpg" % number, record, Signature(1, number, number), ADDED_BY_HAND)


def _remove(collection: Collection, count: int, most: int) -> None:
    """Takes files out as ``camseek remove`` does."""
    numbers: list[int] = np.random.default_rng(2).permutation(count)[:most].tolist()
    with collection.write("benchmark") as writer:
        for number in numbers:
            name = _name(number)
            writer.release(writer.files_under(name), None)
            writer.forget(name)


def _name(number: int) -> bytes:
    return f"/photographs/{number // _BLOCK:04d}/{number:06d}.jpg".encode()


def _unit_rows(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    rows = generator.standard_normal((count, _DIMENSIONS), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _write(folder: Path, count: int) -> None:
    """Writes a collection of pictures that do not exist: in bulk, which the store does not do."""
    profile = Profile(model="synthetic", model_checksum="0" * 64, settings=Settings(), dimensions=_DIMENSIONS)
    create_collection(str(folder), profile).close()
    generator = np.random.default_rng(0)
    with closing(sqlite3.connect(folder / "collection.sqlite", isolation_level=None)) as database:
        for start in range(0, count, _BLOCK):
            vectors = _unit_rows(generator, min(_BLOCK, count - start)).astype("<f2")
            database.execute("BEGIN")
            for number, vector in enumerate(vectors, start):
                for sql, values in _rows(number, vector.tobytes()):
                    database.execute(sql, values)
            database.execute("COMMIT")


def _rows(number: int, vector: bytes) -> Iterator[tuple[str, tuple[Any, ...]]]:
    record, name, content = number + 1, _name(number), number.to_bytes(32, "big")
    yield "INSERT INTO pictures VALUES (?, ?, 640, 480, 'JPEG', 1)", (record, content)
    yield "INSERT INTO descriptors VALUES (?, ?, ?)", (record, vector, zlib.crc32(vector))
    yield "INSERT INTO files VALUES (?, ?, 100000, ?, ?)", (name, record, number, number)
    yield "INSERT INTO claims VALUES (?, ?)", (name, ADDED_BY_HAND)
