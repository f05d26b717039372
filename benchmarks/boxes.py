"""Boxes and heat maps of shown hits beside their bare decode and passes.

Compared: what a search does for the boxes and heat maps of 20 hits once the model is loaded (opening and
recognising each file, decoding, the network, activation maps, heat map, box; all cores), and decoding the
same files and passing them through the network alone, by the same number of threads in the same way, in
turns. A third row adds the loading of the model for those threads, which the first search of a process pays.
"""

import os
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from common import (
    CHECKOUT,
    Figure,
    Options,
    Report,
    Table,
    file_maps,
    in_turns,
    pictures_in,
    spread,
    stored_picture,
)

from camseek import Backbone, Limits, Settings, load_model
from camseek.extraction.attention import Attention, attention
from camseek.extraction.extractor import Extractor
from camseek.images import open_file
from camseek.job import ordered
from camseek.searching.looks import BoxLook, LookSet, ViewLook
from camseek.store import StoredPicture

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
    hits = [stored_picture(path, place) for place, path in enumerate(paths)]
    extractor = Extractor.of(model, Settings().size, Limits())
    wanted = attention(extractor.extract(os.fsdecode(paths[0])).activations.scores)

    def bare(path: bytes) -> None:
        with open_file(path) as file:
            picture = extractor.reader.read(file)
        model.run(picture.pixels)

    def boxes(loaded: Backbone) -> None:
        look = partial(_look, replace(extractor, model=loaded), _looks(loaded, wanted))
        found = list(ordered(look, hits, workers=workers))
        if not all(found):
            raise RuntimeError("a hit has no heat map")

    return [
        lambda: list(ordered(bare, paths, workers=workers)),
        lambda: boxes(model),
        lambda: boxes(model.with_threads(1)),
    ]


def _looks(model: Backbone, wanted: Attention) -> LookSet:
    """What a search with a report wants to know of each hit."""
    return LookSet([BoxLook(model, wanted), ViewLook(model, wanted)])


def _look(extractor: Extractor, looks: LookSet, hit: StoredPicture) -> bool:
    seen = file_maps(extractor).maps(hit)
    return not isinstance(seen, str) and len(looks.see(seen)) == 2
