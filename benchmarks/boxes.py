"""Boxes and heat maps of shown hits beside their bare decode and passes.

Compared: what a search does for the boxes and heat maps of 20 hits once the model is loaded (opening and
recognising each file, decoding, the network, activation maps, heat map, box; all cores), and decoding the
same files and passing them through the network alone, by the same number of threads in the same way, in
turns. A third row adds the loading of the model for those threads, which the first search of a process pays.
"""

import os
import statistics
from collections.abc import Callable
from functools import partial

from common import CHECKOUT, Figure, Options, Report, Table, in_turns, pictures_in, spread

from camseek import Backbone, Limits, Settings, load_model
from camseek.engine.pipeline import ordered
from camseek.engine.reading import PictureReader
from camseek.engine.viewing import Attention, attention, locate
from camseek.images import fingerprint, open_file

_HITS = 20


def measure(options: Options) -> Report:
    """Measures on paintings, or on the pictures of the checkout where there is no shared data."""
    data = options.data
    folder = data / "paintings" / "catalogue" if data else CHECKOUT / "examples" / "groceries" / "photos"
    paths = [os.fsencode(path) for path in pictures_in(folder)[:_HITS]]
    workers = len(os.sched_getaffinity(0))
    model = load_model(threads=1)
    rounds = in_turns(_works(model, paths, workers), options.pick(15, 2))
    table = Table(f"Boxes and heat maps of {len(paths)} hits", ("work", "median, ms", "middle half", "ratio"))
    names = ("bare decode and passes", "boxes and heat maps", "the same and loading the model")
    ratios = [statistics.median(row[place] / row[0] for row in rounds) for place in range(len(names))]
    for name, column, ratio in zip(names, zip(*rounds, strict=True), ratios, strict=True):
        values = [1000 * value for value in column]
        table.rows.append(
            (name, f"{statistics.median(values):.0f}", spread(values, "{:.0f}"), f"{ratio:.2f}")
        )
    label = f"boxes and heat maps of {len(paths)} hits over their bare decode and passes"
    return Report([table], [Figure(label, ratios[1], 1.2)])


def _works(model: Backbone, paths: list[bytes], workers: int) -> list[Callable[[], object]]:
    contents = [_content(path) for path in paths]
    reader = PictureReader.of(model, Settings().size, Limits())
    with open_file(paths[0]) as file:
        wanted = attention(model.run(reader.read(file).pixels).scores)

    def bare(path: bytes) -> None:
        with open_file(path) as file:
            picture = reader.read(file)
        model.run(picture.pixels)

    def boxes(loaded: Backbone) -> None:
        look = partial(_locate, loaded, wanted, reader)
        found = list(ordered(look, list(zip(paths, contents, strict=True)), workers=workers))
        if not all(found):
            raise RuntimeError("a hit has no heat map")

    return [
        lambda: list(ordered(bare, paths, workers=workers)),
        lambda: boxes(model),
        lambda: boxes(model.with_threads(1)),
    ]


def _content(path: bytes) -> bytes:
    with open_file(path) as file:
        return fingerprint(file)


def _locate(model: Backbone, wanted: Attention, reader: PictureReader, item: tuple[bytes, bytes]) -> bool:
    path, content = item
    found = locate(model, [path], content, wanted, reader=reader)
    return found.view is not None
