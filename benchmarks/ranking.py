"""Ranking, and a cold search, in a large collection.

Compared: ranking 100,000 descriptors held in memory (warm, as in a program that searches more than once) for
the 20 nearest, and one pass of the network on 640 x 480 pixels with as many threads as there are cores, in
turns. Then ``camseek search`` as a command, from starting Python to the printed hits, and beside
it a Python that only imports NumPy and ONNX Runtime.

The descriptors are synthetic: directions at random, of the embedded model's length, written by the store's
own writer.
"""

import hashlib
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import CHECKOUT, Figure, Options, Report, Table, in_turns, pictures_in, python, spread

from camseek import Backbone, Settings, load_model
from camseek.extraction.agreement import new_profile
from camseek.numerics import F32
from camseek.store import (
    ADDED_BY_HAND,
    Collection,
    PictureRecord,
    Signature,
    create_collection,
    open_collection,
)

_BLOCK = 1000
Draw = Callable[[int, int], F32]


def measure(options: Options) -> Report:
    """Measures in memory and from the command line."""
    count = options.pick(100_000, 5_000)
    model = load_model()
    folder = options.folder / "ranked"
    write_synthetic(folder, model, count)
    report = Report()
    with open_collection(str(folder)) as collection:
        info = collection.catalogue.info()
        warm = in_turns(_works(collection, model), options.pick(30, 3))
    cold = in_turns(_commands(folder, options.folder), options.pick(9, 1) + 1)[1:]
    table = Table(f"Searching {count:,} pictures", ("work", "median, ms", "middle half"))
    for name, column in zip(
        (
            "ranking, from memory",
            "network pass",
            "camseek search, cold",
            "import numpy, onnxruntime",
        ),
        (*zip(*warm, strict=True), *zip(*cold, strict=True)),
        strict=True,
    ):
        values = [1000 * value for value in column]
        table.rows.append((name, f"{statistics.median(values):.0f}", spread(values, "{:.0f}")))
    each = info.bytes / info.pictures
    table.notes.append(f"{each:.0f} bytes a picture on the disk, {info.profile.dimensions} dimensions.")
    times = statistics.median(search / imports for search, imports in cold)
    table.notes.append(f"A cold search takes {times:.1f} times as long as importing NumPy and ONNX Runtime.")
    report.tables.append(table)
    name = f"ranking {count:,} descriptors over one network pass"
    report.figures.append(Figure(name, statistics.median(ranking / run for ranking, run in warm), 1.0))
    name = f"cold search of {count:,} pictures, s"
    report.figures.append(Figure(name, statistics.median(search for search, _ in cold), 1.5))
    return report


def _works(collection: Collection, model: Backbone) -> list[Callable[[], object]]:
    generator = np.random.default_rng(1)
    query = generator.standard_normal((1, model.channels), np.float32)
    query /= np.linalg.norm(query)
    pixels = generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    collection.vectors.nearest(query, 20)
    return [lambda: collection.vectors.nearest(query, 20), lambda: model.run(pixels)]


def _commands(collection: Path, folder: Path) -> list[Callable[[], object]]:
    query = pictures_in(CHECKOUT / "examples" / "groceries" / "queries")[0]
    search = ["-m", "camseek", "search", str(query), "--collection", str(collection)]
    return [lambda: python(search, folder), lambda: python(["-c", "import numpy, onnxruntime"], folder)]


def write_synthetic(folder: Path, model: Backbone, count: int, draw: Draw | None = None) -> None:
    """Writes a collection of pictures that do not exist.

    Args:
        folder: Where.
        model: Whose descriptors they would have.
        count: How many.
        draw: Makes the descriptors of so many from this one on; None: directions at random.
    """
    generator = np.random.default_rng(0)

    def at_random(_: int, several: int) -> F32:
        block = generator.standard_normal((several, model.channels), np.float32)
        return block / np.linalg.norm(block, axis=1, keepdims=True)

    with (
        create_collection(str(folder), new_profile(model, Settings(), None)) as collection,
        collection.write("benchmark") as writer,
    ):
        for start in range(0, count, _BLOCK):
            block = (draw or at_random)(start, min(_BLOCK, count - start))
            for number, descriptor in enumerate(block, start):
                record = writer.insert(
                    PictureRecord(
                        content=hashlib.sha256(str(number).encode()).digest(),
                        size=(640, 480),
                        format="JPEG",
                        frames=1,
                        descriptor=descriptor,
                    )
                )
                path = f"/photographs/{number // _BLOCK:04d}/{number:06d}.jpg".encode()
                writer.point(path, record, Signature(100_000, number, number), ADDED_BY_HAND)
            writer.commit()
