"""Verification by the words' correspondences: what right and wrong candidates reach, outlines, and time.

On the photographs with ground truth: inliers of right pairs, and of each query's largest wrong candidate; how
well the outline's box agrees with the true one; pairs of different sets and generated patterns, which share
nothing; how long 100 candidates take on two threads, side by side and each by itself.
"""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import scenes
from common import Figure, Options, Report, Table
from jaxtyping import Float64
from numpy.typing import NDArray
from words import GOALS

from camseek.config import DEFAULT_SIZE, Resize
from camseek.datasets import GroundTruth, TruthQuery, read_ground_truth
from camseek.evaluation import intersection_over_union
from camseek.images import read_picture
from camseek.job import one_blas_thread
from camseek.matching.codebook import embedded_codebook
from camseek.matching.features import INDEXED, QUERIED, LocalFeatures, extract_features, shrunk
from camseek.matching.geometry import CHANCE, LEAST, Candidate, Match, verify_all
from camseek.matching.words import QueryWords, WordPoints, correspondences_in
from camseek.results import Size
from camseek.searching.stages.verify import TOGETHER

_QUERIED = Resize("longer", QUERIED.side, QUERIED.side)
_PATTERNS = 6  # pictures of each
_CANDIDATES = 100
_THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is sought: its words, where it is, and in which set it lies."""

    words: QueryWords
    outline: Float64[NDArray[np.float64], "4 2"]
    folder: str


@dataclass(frozen=True, slots=True, eq=False)
class SeenPicture:
    """What is kept of a picture: its words, as unpacked from 16 bytes a point."""

    words: WordPoints
    size: Size


@dataclass(frozen=True, slots=True)
class _Counts:
    """Inliers of the best match of each pair; 0 where there is none."""

    right: list[int] = field(default_factory=list[int])
    wrong: list[int] = field(default_factory=list[int])
    largest: list[int] = field(default_factory=list[int])
    overlaps: list[float] = field(default_factory=list[float])


class Seen:
    """Every picture's words, made once."""

    def __init__(self) -> None:
        self._pictures: dict[bytes, SeenPicture] = {}

    def picture(self, path: bytes) -> SeenPicture:
        """The words of a picture file."""
        if path not in self._pictures:
            with open(path, "rb") as file:
                seen = read_picture(file, resize=DEFAULT_SIZE)
            features = extract_features(shrunk(seen.pixels, INDEXED.side), seen.size, INDEXED.count)
            self._pictures[path] = _kept(features, seen.size)
        return self._pictures[path]


def measure(options: Options) -> Report:
    """Measures on the shared sets, and on generated patterns; the patterns alone where there are none."""
    report, seen = Report(), Seen()
    queries: list[Query] = []
    if options.data is not None:
        names = list(GOALS)[1:2] if options.quick else list(GOALS)
        truths = {name: read_ground_truth(options.data / name) for name in names}
        counts: dict[str, _Counts] = {}
        for name, truth in truths.items():
            asked = [(item, seen_query(item)) for item in truth.queries]
            counts[name] = _counted(truth, asked, seen, options.pick(60, 8))
            queries += [query for _, query in asked]
        report.tables.append(_inliers_table(counts))
        _add_overlaps(report, counts)
        _add_timing(report, truths, queries, seen)
    _add_chance(report, options, queries, seen)
    return report


def _kept(features: LocalFeatures, size: Size) -> SeenPicture:
    return SeenPicture(WordPoints.unpack(embedded_codebook().picture_words(features).pack(size), size), size)


def seen_query(item: TruthQuery) -> Query:
    """The words of a query of a ground truth."""
    with open(item.image, "rb") as file:
        picture = read_picture(file, resize=_QUERIED, region=item.region)
    left, top, right, bottom = item.region or (0, 0, *picture.size)
    features = extract_features(picture.pixels, (right - left, bottom - top), QUERIED.count)
    features = replace(features, points=features.points + np.array([left, top], np.float32))
    return Query(
        embedded_codebook().query_words(features),
        np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64),
        Path(os.fsdecode(item.image)).parents[1].name,
    )


def _all_verified(query: Query, pictures: Sequence[SeenPicture]) -> list[tuple[Match, ...]]:
    pairs = correspondences_in(query.words, [picture.words for picture in pictures])
    candidates = [
        Candidate(picture.words, several, picture.size)
        for picture, several in zip(pictures, pairs, strict=True)
    ]
    return verify_all(query.words, candidates, query.outline)


def _verified(query: Query, picture: SeenPicture) -> tuple[Match, ...]:
    return _all_verified(query, [picture])[0]


def _inliers(query: Query, picture: SeenPicture) -> int:
    return max((match.inliers for match in _verified(query, picture)), default=0)


def _counted(
    truth: GroundTruth, asked: Sequence[tuple[TruthQuery, Query]], seen: Seen, wrong: int
) -> _Counts:
    """Every right pair, and of each query so many wrong ones."""
    counts, rng = _Counts(), np.random.default_rng(0)
    names = sorted(os.listdir(truth.database))
    for item, query in asked:
        for name in sorted(item.positives - {item.own}):
            matches = _verified(query, seen.picture(os.path.join(truth.database, name)))
            counts.right.append(matches[0].inliers if matches else 0)
            if box := item.boxes.get(name):
                counts.overlaps.append(intersection_over_union(matches[0].box, box) if matches else 0.0)
        others = [name for name in names if name not in item.positives | item.junk | {item.own}]
        chosen = some(rng, others, wrong)
        found = [_inliers(query, seen.picture(os.path.join(truth.database, name))) for name in chosen]
        counts.wrong.extend(found)
        counts.largest.append(max(found, default=0))
    return counts


def some(rng: np.random.Generator, items: Sequence[bytes], count: int) -> list[bytes]:
    """So many of them, in their order."""
    return [items[int(place)] for place in np.sort(rng.permutation(len(items))[:count])]


def _inliers_table(counts: dict[str, _Counts]) -> Table:
    heading = (
        "set",
        "right pairs",
        "5 % have at most",
        "half",
        f"above {CHANCE}",
        "wrong pairs",
        f"above {CHANCE}",
        "largest of a query, median",
        "95 %",
        "all",
    )
    table = Table("Inliers of right and of wrong pairs", heading)
    for name, one in counts.items():
        low, middle = np.percentile(one.right, [5, 50])
        table.rows.append(
            (
                name,
                str(len(one.right)),
                f"{low:.0f}",
                f"{middle:.0f}",
                _share(one.right),
                str(len(one.wrong)),
                _share(one.wrong),
                *(f"{value:.0f}" for value in np.percentile(one.largest, [50, 95, 100])),
            )
        )
    table.notes.append(
        f"Below {LEAST} nothing is told, which counts as 0. Wrong is what the ground truth does not list: "
        "the sibling package, another edition or a second cover in the photograph verifies, and rightly."
    )
    return table


def _share(values: Sequence[int]) -> str:
    return f"{np.mean(np.array(values) > CHANCE):.2%}"


def _add_overlaps(report: Report, counts: dict[str, _Counts]) -> None:
    heading = ("set", "boxes", "mean", "0.5 or more", "0.75 or more")
    table = Table("Intersection over union of the outline's box with the true one", heading)
    for name, one in counts.items():
        if not one.overlaps:
            continue
        overlaps = np.array(one.overlaps)
        half, most = np.mean(overlaps >= 0.5), np.mean(overlaps >= 0.75)
        table.rows.append((name, str(len(overlaps)), f"{overlaps.mean():.3f}", f"{half:.1%}", f"{most:.1%}"))
        report.figures.append(
            Figure(f"{name}: outlines at IoU 0.5", float(half), 1.0, "{:.3f}", at_least=True)
        )
        report.figures.append(
            Figure(f"{name}: outlines at IoU 0.75", float(most), 0.95, "{:.3f}", at_least=True)
        )
    if table.rows:
        report.tables.append(table)


def _add_timing(report: Report, truths: dict[str, GroundTruth], queries: Sequence[Query], seen: Seen) -> None:
    """The time of a shortlist: the right pictures, and others of the set up to 100."""
    heading = ("set", "right ones", "median", "largest", "of the processor, median", "over each alone")
    table = Table(f"Milliseconds for 100 candidates, {TOGETHER} side by side, two threads", heading)
    place, every, ratios = 0, list[float](), list[float]()
    for name, truth in truths.items():
        taken, busy, shares, right = list[float](), list[float](), list[float](), list[int]()
        names = sorted(os.listdir(truth.database))
        asked = list(zip(truth.queries, queries[place : place + len(truth.queries)], strict=True))
        place += len(truth.queries)
        for item, query in asked[:: max(len(asked) // 10, 1)]:
            first = sorted(item.positives) + [other for other in names if other not in item.positives]
            # A small set's pictures are taken again.
            wanted = [first[number % len(first)] for number in range(_CANDIDATES)]
            pictures = [seen.picture(os.path.join(truth.database, one)) for one in wanted]
            right.append(sum(one in item.positives for one in wanted))
            _, alone = _timed(query, pictures, 1)
            clock, together = _timed(query, pictures, TOGETHER)
            taken.append(clock)
            busy.append(together)
            shares.append(together / alone)
        every += taken
        ratios += shares
        table.rows.append(
            (
                name,
                f"{statistics.mean(right):.0f}",
                f"{statistics.median(taken):.0f}",
                f"{max(taken):.0f}",
                f"{statistics.median(busy):.0f}",
                f"{statistics.median(shares):.2f}",
            )
        )
    table.notes.append(
        "Finding the correspondences included. The processor's time is that of both threads; the last "
        "column is it over that of the same candidates each by itself."
    )
    report.tables.append(table)
    report.figures.append(
        Figure("verification of 100 candidates, ms", statistics.median(every), 200, "{:.0f}")
    )
    report.figures.append(
        Figure(
            "100 candidates side by side over each alone, processor", statistics.median(ratios), 1, "{:.2f}"
        )
    )


def _timed(query: Query, pictures: Sequence[SeenPicture], together: int) -> tuple[float, float]:
    """Milliseconds from beginning to end, and of the processor."""
    blocks = [pictures[start : start + together] for start in range(0, len(pictures), together)]
    with one_blas_thread(), ThreadPoolExecutor(_THREADS) as pool:
        started, before = time.perf_counter(), time.process_time()
        list(pool.map(partial(_all_verified, query), blocks))
        return 1000 * (time.perf_counter() - started), 1000 * (time.process_time() - before)


def _add_chance(report: Report, options: Options, queries: Sequence[Query], seen: Seen) -> None:
    """Pairs that share nothing: photographs of different sets, and generated pictures of one pattern."""
    table = Table("Pairs that share nothing", ("pairs", "number", "95 %", "99.9 %", "all", f"above {CHANCE}"))
    every: list[int] = []
    kinds = dict(_pattern_pairs(options.pick(_PATTERNS, 2)))
    if options.data is not None and not options.quick:
        kinds["photographs of different sets"] = _foreign(options.data, queries, seen)
    for name, values in kinds.items():
        every += values
        shown = (f"{value:.0f}" for value in np.percentile(values, [95, 99.9, 100]))
        table.rows.append((name, str(len(values)), *shown, _share(values)))
    report.tables.append(table)
    share = float(np.mean(np.array(every) > CHANCE))
    report.figures.append(Figure(f"pairs that share nothing: above {CHANCE} inliers", share, 0.001, "{:.4f}"))


def _pattern_pairs(count: int) -> Iterator[tuple[str, list[int]]]:
    """Every picture of a pattern in every other."""
    for name, make in scenes.PATTERNS.items():
        pictures: list[SeenPicture] = []
        queries: list[Query] = []
        for seed in range(count):
            pixels = make(seed)
            height, width, _ = pixels.shape
            outline = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
            features = extract_features(pixels, (width, height), QUERIED.count)
            queries.append(Query(embedded_codebook().query_words(features), outline, name))
            pictures.append(_kept(extract_features(pixels, (width, height), INDEXED.count), (width, height)))
        yield (
            name,
            [
                _inliers(query, picture)
                for one, query in enumerate(queries)
                for other, picture in enumerate(pictures)
                if one != other
            ],
        )


def _foreign(data: Path, queries: Sequence[Query], seen: Seen) -> list[int]:
    """Each query in pictures of the other sets, those that were seen already and some of the others."""
    rng = np.random.default_rng(1)
    folders = {
        folder.name: sorted(os.fsencode(path) for path in folder.rglob("*.jpg"))
        for folder in sorted(data.iterdir())
        if folder.is_dir()
    }
    chosen = {name: some(rng, paths, 120) for name, paths in folders.items()}
    return [
        _inliers(query, seen.picture(path))
        for query in queries
        for name, paths in chosen.items()
        if name != query.folder
        for path in some(rng, paths, 10)
    ]
