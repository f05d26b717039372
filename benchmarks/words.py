"""What visual words alone find, and what they cost, on seven sets of photographs with ground truth.

Every picture goes the way it goes in a collection: its points are packed, read back and indexed. Mean average
precision is trapezoidal. Beside it:

- what aggregating the residuals themselves would reach, which a packed picture does not keep (one entry is
  then the signs of the summed residuals of all points of a word, as the paper has it);
- where the package ``asmk`` (0.1.1, by the method's authors) is installed, what it reaches on the same
  descriptors and words, and how long both take for a query's words and its scores.

Entries are what a query looks at, for each picture of the database.
"""

import importlib
import importlib.util
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import Figure, Options, Report, Table, seconds_of

from camseek import Limits
from camseek.config import DEFAULT_SIZE, Resize
from camseek.datasets import GroundTruth, TruthQuery, read_ground_truth
from camseek.evaluation.rankings import average_precision
from camseek.images import read_picture, walk
from camseek.matching.codebook import ASSIGNMENTS, embedded_codebook, packed_signs, summed
from camseek.matching.features import (
    INDEXED,
    QUERIED,
    Amount,
    LocalFeatures,
    extract_features,
    shrunk,
)
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords, WordPoints
from camseek.numerics import F32, F64
from camseek.results import Box, Size

GOALS = {
    "paintings/ground_truth.json": 0.974,
    "paintings/ground_truth_regions.json": 0.940,
    "paintings/ground_truth_walls.json": 0.942,
    "covers/ground_truth.json": 1.0,
    "covers/ground_truth_photos.json": 0.969,
    "buildings/ground_truth.json": 0.995,
    "groceries/ground_truth.json": 0.287,
}
"""The sets, and the mean average precision that words alone are to reach."""

_ASMK: Any = importlib.import_module("asmk") if importlib.util.find_spec("asmk") else None
_ASMK_METHOD: Any = importlib.import_module("asmk.asmk_method") if _ASMK else None
_CODEBOOK = embedded_codebook()


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A picture's features and the size they are in."""

    features: LocalFeatures
    size: Size
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Set:
    """A ground truth whose pictures and queries were seen."""

    truth: GroundTruth
    names: list[bytes]
    pictures: list[_Seen]
    queries: list[TruthQuery]
    sought: list[_Seen]

    def mean(self, scores: Sequence[F64]) -> float:
        """The mean average precision of some scores: for each query one for each picture."""
        found: list[float] = []
        for query, own in zip(self.queries, scores, strict=True):
            labels = self.truth.labels(query)
            order: list[int] = np.argsort(-own, kind="stable").tolist()
            ranking = [self.names[place] for place in order]
            found.append(average_precision(ranking, labels.positives, labels.ignored, "trapezoid"))
        return float(np.mean(found))


def measure(options: Options) -> Report:
    """Measures on the shared sets; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    heading = ("set", "mAP", "residuals", "asmk", "entries", "ms a query", "asmk, ms")
    table = Table("Words alone", heading)
    cost = Table(
        "What it costs, medians", ("set", "points", "bytes", "SIFT, ms", "words, ms", "query SIFT, ms")
    )
    wanted = list(GOALS)[1:3] if options.quick else list(GOALS)
    for name in wanted:
        of = _seen(read_ground_truth(options.data / name), options.pick(10_000, 6))
        indexed = [_CODEBOOK.picture_words(one.features) for one in of.pictures]
        packed = [words.pack(one.size) for words, one in zip(indexed, of.pictures, strict=True)]
        index = WordsIndex(_CODEBOOK)
        read = [WordPoints.unpack(data, one.size) for data, one in zip(packed, of.pictures, strict=True)]
        index.add(range(len(read)), read)
        scores, entries, seconds = _found(index, of.sought, read)
        reached = of.mean(scores)
        exact = of.mean(_found(_exact(of.pictures), of.sought, read)[0])
        theirs, their_seconds = _of_authors(of) if _ASMK else (None, None)
        table.rows.append(
            (
                name,
                f"{reached:.3f}",
                f"{exact:.3f}",
                "" if theirs is None else f"{theirs:.3f}",
                f"{entries:.0f}",
                f"{1000 * seconds:.1f}",
                "" if their_seconds is None else f"{1000 * their_seconds:.1f}",
            )
        )
        report.figures.append(Figure(f"words alone, mAP, {name}", reached, GOALS[name], "{:.3f}", True))
        if theirs is not None:
            text = f"words alone, mAP less that of asmk, {name}"
            report.figures.append(Figure(text, reached - theirs, -0.01, "{:+.3f}", True))
        cost.rows.append(_cost(name, of, packed))
    report.tables.extend([table, cost])
    return report


def _cost(name: str, of: _Set, packed: Sequence[bytes]) -> tuple[str, ...]:
    words = [seconds_of(lambda one=one: _CODEBOOK.picture_words(one.features)) for one in of.pictures[:30]]
    return (
        name,
        f"{statistics.median(len(one.features) for one in of.pictures):.0f}",
        f"{statistics.median(map(len, packed)):.0f}",
        f"{1000 * statistics.median(one.seconds for one in of.pictures):.1f}",
        f"{1000 * statistics.median(words):.1f}",
        f"{1000 * statistics.median(one.seconds for one in of.sought):.1f}",
    )


def _seen(truth: GroundTruth, most: int) -> _Set:
    """Reads the pictures and the queries that have positives, ``most`` of these at most."""
    files = sorted(file.path for file in walk(truth.database).files)
    queries = [query for query in truth.queries if truth.labels(query).positives][:most]
    return _Set(
        truth,
        [os.path.relpath(path, truth.database) for path in files],
        [_look(path, INDEXED) for path in files],
        queries,
        [_look(query.image, QUERIED, query.region) for query in queries],
    )


def _look(path: bytes, amount: Amount, region: Box | None = None) -> _Seen:
    """Decodes as for the network, or larger where more is wanted, and has the features' own size of it."""
    side = max(amount.side, DEFAULT_SIZE.longer)
    with open(path, "rb") as file:
        picture = read_picture(file, resize=Resize.parse(str(side)), limits=Limits(), region=region)
    started = time.perf_counter()
    features = extract_features(shrunk(picture.pixels, amount.side), picture.size, amount.count)
    return _Seen(features, picture.size, time.perf_counter() - started)


def _found(
    index: WordsIndex, sought: Sequence[_Seen], pictures: Sequence[WordPoints]
) -> tuple[list[F64], float, float]:
    """For each query its scores; entries it looks at, for each picture; and its median seconds."""
    having = np.bincount(
        np.concatenate([np.unique(one.words) for one in pictures]), minlength=len(_CODEBOOK.words)
    )
    scores: list[F64] = []
    entries: list[float] = []
    seconds: list[float] = []
    for one in sought:
        started = time.perf_counter()
        query: QueryWords = _CODEBOOK.query_words(one.features)
        scores.append(index.scores(query)[1])
        seconds.append(time.perf_counter() - started)
        entries.append(having[query.terms].sum() / len(pictures))
    return scores, float(np.mean(entries)), statistics.median(seconds)


def _exact(pictures: Sequence[_Seen]) -> WordsIndex:
    """An index of the signs of summed residuals: of each picture one point a word."""
    index = WordsIndex(_CODEBOOK)
    for record, one in enumerate(pictures):
        words = _CODEBOOK.picture_words(one.features)
        residuals = _projected(one.features.descriptors) - _CODEBOOK.words[words.words]
        terms, sums = summed(words.words.astype(np.int64), residuals)
        blank = np.zeros(len(terms), np.float32)
        where = np.zeros((len(terms), 2), np.float32)
        signs = packed_signs(sums)
        index.add([record], [WordPoints(where, blank, blank, terms.astype(np.uint16), signs, _CODEBOOK.tag)])
    return index


def _projected(descriptors: F32) -> F32:
    centred: F32 = descriptors - _CODEBOOK.mean
    return centred @ _CODEBOOK.projection


def _of_authors(of: _Set) -> tuple[float, float]:
    """What the authors' package reaches on the same descriptors and words, and its seconds a query."""
    codebook = _ASMK.codebook.Codebook(_ASMK.index.FaissL2Index(), size=len(_CODEBOOK.words))
    codebook.index(np.ascontiguousarray(_CODEBOOK.words))
    similar = {"alpha": 3.0, "similarity_threshold": 0.1}
    parameters = {
        "build_ivf": {
            "kernel": {"binary": True},
            "ivf": {"use_idf": True},
            "quantize": {"multiple_assignment": 1},
            "aggregate": {},
        },
        "query_ivf": {
            "quantize": {"multiple_assignment": ASSIGNMENTS},
            "aggregate": {},
            "search": {"topk": None},
            "similarity": similar,
        },
    }
    method = _ASMK_METHOD.ASMKMethod(parameters, {}, codebook=codebook).build_ivf(*_columns(of.pictures))
    vectors, places = _columns(of.sought)
    started = time.perf_counter()
    _, asked, ranks, scores = method.query_ivf(vectors, places)
    seconds = (time.perf_counter() - started) / max(len(asked), 1)
    found = [np.zeros(len(of.pictures)) for _ in of.sought]
    for query, order, values in zip(asked, ranks, scores, strict=True):
        found[query][order] = np.nan_to_num(values)
    return of.mean(found), seconds


def _columns(pictures: Sequence[_Seen]) -> tuple[F32, np.ndarray]:
    """All descriptors, and whose each is."""
    vectors = np.concatenate([_projected(one.features.descriptors) for one in pictures])
    return vectors, np.repeat(np.arange(len(pictures)), [len(one.features) for one in pictures])
