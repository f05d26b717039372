"""How well a search tells that a thing is not there, on all sets of photographs with ground truth.

Each query is asked twice: of the whole database (present), and of the database without its positives
(absent). Its own picture and what is junk are left out of both. What is told is ``camseek.searching.chance``:
whether the first hit stands out. Each set is searched alone, then all sets in one collection.

- false alarms: the share of absent queries of which something stands out;
- told: the share of present queries with a positive in the first place of which it stands out;
- AUC: how often such a present query goes further towards 1 than an absent one does, in percent of the way
  from the collection's other pictures; over all pairs of sets with equal weight (one threshold serves all).

Beside the share of the way that is built in, 0.45, the same for 0.4 and 0.5; for the default encoding and
three others; and for parts of the collection, drawn at random, of 150 to 3,000 pictures: of fewer than 100
nothing is told.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import Options, Report, Table

from camseek import Box, Encoding, Limits, Settings, load_model
from camseek.datasets import read_ground_truth
from camseek.encoding.encoder import Encoder
from camseek.extraction.extractor import Extractor
from camseek.images.walk import walk
from camseek.job import ordered
from camseek.searching.chance import chance
from camseek.store import MemoryVectors

_SETS = (
    "buildings/ground_truth.json",
    "paintings/ground_truth.json",
    "paintings/ground_truth_regions.json",
    "paintings/ground_truth_walls.json",
    "groceries/ground_truth.json",
    "covers/ground_truth.json",
    "covers/ground_truth_photos.json",
    "objects/ground_truth.json",
    "landmarks/ground_truth.json",
)
_ENCODINGS = ("gem", "cam", "crow")
_SHARES = (0.4, 0.45, 0.5)
_SIZES = (150, 300, 1000, 3000)


@dataclass(frozen=True, slots=True, eq=False)
class _Set:
    """A set: which rows are its pictures, and what is asked of it.

    Attributes:
        name: For the table.
        folder: Sets of one folder show the same things, and are no distractors of each other.
        rows: (N,): of the pictures of its database among all.
        queries: (Q, encodings, D).
        ignored: Of each query the rows that count neither way.
        positives: Of each query the rows that show the thing.
    """

    name: str
    folder: Path
    rows: np.ndarray
    queries: np.ndarray
    ignored: list[np.ndarray]
    positives: list[np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """How far towards 1 first hits go: of absent queries, and of present ones with a positive first."""

    absent: np.ndarray
    present: np.ndarray


def measure(options: Options) -> Report:
    """Measures on the shared sets; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    files = _SETS[1:4:2] if options.quick else _SETS
    names = (str(Settings().encoding), *(() if options.quick else _ENCODINGS))
    vectors, sets = _read([options.data / file for file in files], names)
    everything = np.arange(len(vectors))
    for number, name in enumerate(names):
        stored = MemoryVectors(everything + 1, np.ascontiguousarray(vectors[:, number]))
        alone = [_told(stored, item, number, item.rows) for item in sets]
        report.tables.append(_table(f"{name}: each set alone", sets, alone))
        one = [_told(stored, item, number, _among(item, sets)) for item in sets]
        title = f"{name}: all sets in one collection, {len(everything):,} pictures at most"
        report.tables.append(_table(title, sets, one))
    stored = MemoryVectors(everything + 1, np.ascontiguousarray(vectors[:, 0]))
    report.tables.append(_sizes(stored, sets))
    return report


def _read(files: Sequence[Path], names: Sequence[str]) -> tuple[np.ndarray, list[_Set]]:
    """The descriptors of all pictures, (N, encodings, D), each picture once; and the sets."""
    model = load_model(threads=1)
    weights = model.classifier_weights, model.classifier_bias
    encoders = [Encoder(Encoding.parse(name), *weights) for name in names]
    extractor = Extractor.of(model, Settings().size, Limits())

    def describe(item: tuple[bytes, Box | None]) -> np.ndarray:
        seen = extractor.extract(os.fsdecode(item[0]), item[1])
        return np.stack([encoder.describe(seen.activations)[0] for encoder in encoders])

    truths = [read_ground_truth(file) for file in files]
    pictures = [[file.path for file in walk(truth.database).files] for truth in truths]
    every = dict.fromkeys(path for some in pictures for path in some)
    row = {path: place for place, path in enumerate(every)}
    workers = len(os.sched_getaffinity(0))
    vectors = np.stack(list(ordered(describe, [(path, None) for path in row], workers=workers)))
    sets: list[_Set] = []
    for file, truth, some in zip(files, truths, pictures, strict=True):
        rows = np.array([row[path] for path in some])
        asked = [(query.image, query.region) for query in truth.queries]
        queries = np.stack(list(ordered(describe, asked, workers=workers)))
        place = {os.path.relpath(path, truth.database): row[path] for path in some}
        positives = [np.array([place[name] for name in query.positives], int) for query in truth.queries]
        ignored = [
            np.array([*(place[name] for name in query.junk), *_own(row, query.image)], int)
            for query in truth.queries
        ]
        name = f"{file.parent.name}{file.stem.removeprefix('ground_truth').replace('_', ' ')}"
        sets.append(_Set(name, file.parent, rows, queries, ignored, positives))
    return vectors, sets


def _own(row: dict[bytes, int], image: bytes) -> list[int]:
    """The row of a query's own picture, if it is among those that are searched."""
    return [row[image]] if image in row else []


def _among(item: _Set, sets: Sequence[_Set]) -> np.ndarray:
    """The rows of a set and of all sets that show other things."""
    return np.unique(
        np.concatenate([item.rows, *(other.rows for other in sets if other.folder != item.folder)])
    )


def _told(stored: MemoryVectors, item: _Set, number: int, rows: np.ndarray) -> _Told:
    """Asks every query of a set twice, among some rows."""
    absent: list[float] = []
    present: list[float] = []
    others = np.setdiff1d(np.arange(len(stored.records())), rows)
    for query, ignored, positives in zip(item.queries[:, number], item.ignored, item.positives, strict=True):
        out = np.concatenate([others, ignored])
        absent += [way for way, _ in _way(stored, query, np.concatenate([out, positives]))]
        present += [way for way, first in _way(stored, query, out) if first in positives]
    return _Told(np.array(absent), np.array(present))


def _way(stored: MemoryVectors, query: np.ndarray, out: np.ndarray) -> list[tuple[float, int]]:
    """How far from the other pictures towards 1 the first hit goes, and its row; nothing if none can tell."""
    [found] = stored.nearest(query[None], 1, without=(out + 1).tolist())
    told = chance(found)
    if told is None:
        return []
    return [((float(found.scores[0]) - told.others) / (1 - told.others), int(found.records[0]) - 1)]


def _table(title: str, sets: Sequence[_Set], told: Sequence[_Told]) -> Table:
    heading = ("set", "absent", "successes", "AUC")
    shares = [f"{what} at {share}" for share in _SHARES for what in ("false alarms", "told")]
    table = Table(title, (*heading, *shares))
    usable = [(item, answer) for item, answer in zip(sets, told, strict=True) if len(answer.absent)]
    for item, answer in usable:
        auc = f"{_auc(answer.present, answer.absent):.3f}" if len(answer.present) else ""
        cells = [_share(values, share) for share in _SHARES for values in (answer.absent, answer.present)]
        table.rows.append((item.name, str(len(answer.absent)), str(len(answer.present)), auc, *cells))
    good = [answer for _, answer in usable if len(answer.present)]
    pairs = [_auc(one.present, other.absent) for one in good for other in good]
    means = [
        f"{np.mean([(values > share).mean() for values in column]):.3f}"
        for share in _SHARES
        for column in ([item.absent for item in good], [item.present for item in good])
    ]
    table.rows.append(("mean", "", "", f"{np.mean(pairs):.3f}", *means))
    return table


def _share(values: np.ndarray, share: float) -> str:
    return f"{(values > share).mean():.3f}" if len(values) else ""


def _auc(present: np.ndarray, absent: np.ndarray) -> float:
    """How often one that is present goes further than one that is absent."""
    above, equal = present[:, None] > absent, present[:, None] == absent
    return float(above.mean() + equal.mean() / 2)


def _sizes(stored: MemoryVectors, sets: Sequence[_Set]) -> Table:
    """False alarms in collections of other sizes, drawn at random from all pictures."""
    generator = np.random.default_rng(0)
    count = len(stored.records())
    heading = ("pictures", *(f"at {share}" for share in _SHARES))
    table = Table("False alarms by the size of the collection", heading)
    for size in _SIZES:
        if size > count:
            continue
        among = [_among(item, sets) for item in sets]
        drawn = [generator.choice(rows, min(size, len(rows)), replace=False) for rows in among]
        told = [_told(stored, item, 0, rows).absent for item, rows in zip(sets, drawn, strict=True)]
        usable = [ways for ways in told if len(ways)]
        cells = [f"{np.mean([(ways > share).mean() for ways in usable]):.3f}" for share in _SHARES]
        table.rows.append((f"{size:,}", *cells))
    return table
