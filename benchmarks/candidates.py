"""Candidates looked at again: re-ranking and online aggregation, beside the bare work.

Compared, in turns: what a search does to re-rank R pictures, or to describe a shortlist with the query's
classes (opening and recognising each file, decoding, the network, activation maps, regions, descriptors, on
all cores), and decoding the same files and passing them through the network alone, by the same threads.

Then three ways to have the class vectors that online aggregation needs: made again from the picture's file;
from its maps, kept as float16 (features and classifier maps); or kept themselves, all classes of the model,
as float16 (the paper's way). Bytes a picture, and milliseconds for a shortlist of 100.
"""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
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

from camseek import Backbone, Encoding, Limits, MatchRegions, Settings, load_model
from camseek.encoding.aggregation import aggregate, most_probable
from camseek.encoding.encoder import Encoder
from camseek.extraction.extractor import Extractor
from camseek.images import open_file
from camseek.job import ordered
from camseek.searching.looks import DescribeLook, Look, LookSet
from camseek.searching.stages import RegionLook
from camseek.store import StoredPicture

_CANDIDATES = 100
_CLASSES = 64
_RERANK_CLASSES = 6


def measure(options: Options) -> Report:
    """Measures on paintings, or on the pictures of the checkout where there is no shared data."""
    data = options.data
    folder = data / "paintings" / "catalogue" if data else CHECKOUT / "examples" / "groceries" / "photos"
    paths = [os.fsencode(path) for path in pictures_in(folder)[: options.pick(_CANDIDATES, 4)]]
    model = load_model(threads=1)
    encoder = Encoder(Encoding.parse("cam"), model.classifier_weights, model.classifier_bias)
    extractor = Extractor.of(model, Settings().size, Limits())
    items = [stored_picture(path, place) for place, path in enumerate(paths)]
    workers = len(os.sched_getaffinity(0))
    report = Report()
    _compare(report, encoder, extractor, items, workers=workers, rounds=options.pick(5, 1))
    report.tables.append(_ways(model, encoder, extractor, items, rounds=options.pick(5, 1)))
    return report


def _compare(
    report: Report,
    encoder: Encoder,
    extractor: Extractor,
    items: list[StoredPicture],
    *,
    workers: int,
    rounds: int,
) -> None:
    activations = extractor.extract(os.fsdecode(items[0].paths[0])).activations
    six = most_probable(activations.scores, _RERANK_CLASSES)
    chosen = tuple(six[0].tolist())
    query = encoder.describe(activations, classes=six)[0]
    regions = RegionLook(encoder, MatchRegions(), chosen, query, keep=False)
    many = most_probable(activations.scores, _CLASSES)
    query = encoder.describe(activations, classes=many)[0]
    online = DescribeLook(encoder, tuple(many[0].tolist()), query, keep=False)
    looks: dict[str, Callable[[StoredPicture], object]] = {
        "bare decode and passes": partial(_bare, extractor),
        "re-ranking": partial(_look, extractor, [regions]),
        "online aggregation, 64 classes": partial(_look, extractor, [online]),
        "both": partial(_look, extractor, [online, regions]),
    }

    def all_of(look: Callable[[StoredPicture], object]) -> None:
        for _ in ordered(look, items, workers=workers):
            pass

    seconds = in_turns([partial(all_of, look) for look in looks.values()], rounds)
    table = Table(f"Looking at {len(items)} candidates", ("work", "ms a picture", "middle half", "ratio"))
    for place, name in enumerate(looks):
        values = [1000 * row[place] / len(items) for row in seconds]
        ratio = statistics.median(row[place] / row[0] for row in seconds)
        table.rows.append(
            (name, f"{statistics.median(values):.1f}", spread(values, "{:.1f}"), f"{ratio:.2f}")
        )
        if place:
            report.figures.append(
                Figure(f"{name} of {len(items)} candidates over their bare decode and passes", ratio, 1.2)
            )
    report.tables.append(table)


def _bare(extractor: Extractor, item: StoredPicture) -> None:
    with open_file(item.paths[0]) as file:
        picture = extractor.reader.read(file)
    extractor.model.run(picture.pixels)


def _look(extractor: Extractor, looks: Sequence[Look], item: StoredPicture) -> None:
    """What a search does to see a candidate again."""
    seen = file_maps(extractor).maps(item)
    if isinstance(seen, str):
        raise RuntimeError(seen)
    LookSet(looks).see(seen)


def _ways(
    model: Backbone, encoder: Encoder, extractor: Extractor, items: list[StoredPicture], *, rounds: int
) -> Table:
    """Class vectors made again, from kept maps, or kept: one picture's, times a shortlist."""
    item, reader = items[0], extractor.reader
    activations = extractor.extract(os.fsdecode(item.paths[0])).activations
    wanted = most_probable(activations.scores, _CLASSES)
    half = activations.features.astype(np.float16)
    every = np.arange(len(model.class_names))[None]
    kept = encoder.parts(activations, classes=every).astype(np.float16)

    def again() -> object:
        with open_file(item.paths[0]) as file:
            return encoder.describe(model.run(reader.read(file).pixels), classes=wanted)

    def from_maps() -> object:
        maps = half.astype(np.float32)
        return encoder.describe(replace(activations, features=maps, classifier_maps=maps), classes=wanted)

    def from_vectors() -> object:
        return aggregate(kept[:, wanted[0]].astype(np.float32))

    ways = {
        "made again from the file": (again, 0),
        "maps kept, float16": (from_maps, half.nbytes),
        "class vectors kept, float16": (from_vectors, kept.nbytes),
    }
    seconds = in_turns([way for way, _ in ways.values()], 5 * rounds)
    table = Table(
        "Ways to have class vectors for online aggregation, one thread",
        ("way", "bytes a picture", "ms a query with a shortlist of 100"),
    )
    for place, (name, (_, size)) in enumerate(ways.items()):
        each = statistics.median(row[place] for row in seconds)
        table.rows.append((name, f"{size:,}", f"{100_000 * each:.0f}"))
    return table
