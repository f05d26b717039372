"""How good rankings and boxes are: average precision, recall, overlap, and how sure the numbers are."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from camseek.config import AveragePrecisionForm
from camseek.names import path_text
from camseek.results import Box, Size, Skipped

F64 = NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)

RECALL_RANKS = (1, 10, 100)
"""The ranks at which recall is told."""

RECALL_MEANING = "any positive within k"
"""What recall at k means here, said beside every such number."""

CENTRE_SHARE = 0.64
"""Share of a picture's area that the centred box of the same proportions has, a baseline for boxes."""

OverlapPart = Literal["maps", "whole", "centre"]
OVERLAP_PARTS: tuple[OverlapPart, ...] = get_args(OverlapPart)
"""What is compared with the truth's box: the heat map's box, the whole picture, the centred box."""

# So many numbers are drawn at a time while resampling: 8 MB, however many queries there are.
_DRAWN = 2**20


def average_precision(
    ranking: Sequence[Name],
    positives: Collection[Name],
    junk: Collection[Name] = (),
    form: AveragePrecisionForm = "mean",
) -> float:
    """Average precision of one ranking.

    Junk is taken out of the ranking first. With P positives, of which the i-th found stands at rank r_i:
    ``mean`` is sum_i (i / r_i) / P; ``trapezoid`` is sum_i (q_i + i / r_i) / (2 P) where q_i is the precision
    just before, (i - 1) / (r_i - 1), or 1 at rank 1: the area under straight lines of the precision-recall
    curve that begins at precision 1 (``compute_ap`` of the Oxford Buildings, Philbin et al. 2007). Positives
    that the ranking lacks count 0.

    Args:
        ranking: Names, best first, each once.
        positives: Names that show the thing, at least one.
        junk: Names that count neither way.
        form: ``mean`` or ``trapezoid``.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: There are no positives, or the form is unknown.
    """
    if form not in ("mean", "trapezoid"):
        raise ValueError(f"form must be mean or trapezoid, not {form!r}")
    wanted = frozenset(positives)
    if not wanted:
        raise ValueError("a query without positives has no average precision")
    ranks = _positive_ranks(ranking, wanted, junk)
    found = np.arange(1, len(ranks) + 1)
    precisions = found / ranks
    if form == "trapezoid":
        before = np.where(ranks > 1, (found - 1) / np.maximum(ranks - 1, 1), 1.0)
        precisions = (before + precisions) / 2
    return float(precisions.sum() / len(wanted))


def recall_at(
    ranking: Sequence[Name], positives: Collection[Name], junk: Collection[Name] = (), k: int = 1
) -> float:
    """Whether one query finds anything: 1 where any positive is within the first k, else 0.

    Averaged over queries this is the share of queries with at least one positive within the first k. It is
    not the share of the positives that are found.

    Args:
        ranking: Names, best first, each once; junk is taken out first.
        positives: Names that show the thing, at least one.
        junk: Names that count neither way.
        k: How many ranks count, 1 or more.

    Returns:
        0.0 or 1.0.

    Raises:
        ValueError: There are no positives, or ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, below 1")
    if not positives:
        raise ValueError("a query without positives has no recall")
    ranks = _positive_ranks(ranking, frozenset(positives), junk)
    return float(len(ranks) > 0 and ranks[0] <= k)


def _positive_ranks(
    ranking: Sequence[Name], positives: frozenset[Name], junk: Collection[Name]
) -> NDArray[np.int64]:
    """The ranks, from 1, ascending, of the positives once junk is gone."""
    left_out = frozenset(junk)
    kept = (name for name in ranking if name not in left_out)
    return np.array([rank for rank, name in enumerate(kept, 1) if name in positives], np.int64)


def intersection_over_union(a: Box, b: Box) -> float:
    """How well two boxes agree: the area they share over the area they cover, in [0, 1].

    Raises:
        ValueError: A box is empty or reversed.
    """
    for box in (a, b):
        if box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(f"box {box} is empty or reversed")
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (_area(a) + _area(b) - shared)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def centre_box(size: Size) -> Box:
    """The centred box of 0.8 times a picture's width and height, in whole pixels."""
    width, height = size
    side = CENTRE_SHARE**0.5
    margins = round(width * (1 - side) / 2), round(height * (1 - side) / 2)
    return margins[0], margins[1], width - margins[0], height - margins[1]


def bootstrap_interval(
    values: Sequence[float] | Float64[F64, " queries"],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over queries.

    As many queries as there are are drawn with replacement, again and again; the interval holds the middle
    ``level`` of the means (Efron and Tibshirani 1993, chapter 13). It says how far the mean would move with
    other queries of the same kind, not with another database.

    Args:
        values: (queries,): one finite number a query, at least one.
        resamples: How often to draw, 1 or more.
        seed: The same seed gives the same interval.
        level: Share of the means inside, in (0, 1).

    Returns:
        Its lower and upper end.

    Raises:
        ValueError: There are no values, one is not finite, or an option is out of range.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError("values must be one finite number a query, at least one")
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"resamples {resamples} or level {level} is out of range")
    generator = np.random.default_rng(seed)
    rows = max(1, _DRAWN // len(numbers))
    means = np.concatenate(
        [
            numbers[generator.integers(len(numbers), size=(min(rows, resamples - done), len(numbers)))].mean(
                axis=1
            )
            for done in range(0, resamples, rows)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    values: Sequence[float] | Float64[F64, " queries"],
    against: Sequence[float] | Float64[F64, " queries"],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval of the mean of ``values - against``, query by query.

    Both are measured on the same queries, so the queries' own difficulty cancels out: an interval that
    leaves out 0 is a difference, even where the two means' own intervals overlap.

    Args:
        values: (queries,).
        against: (queries,), of the same queries in the same order.
        resamples: How often to draw, 1 or more.
        seed: The same seed gives the same interval.
        level: Share of the means inside, in (0, 1).

    Raises:
        ValueError: As ``bootstrap_interval``, or the two have different lengths.
    """
    if len(values) != len(against):
        raise ValueError(f"{len(values)} and {len(against)} values are not pairs")
    difference = np.asarray(values, np.float64) - np.asarray(against, np.float64)
    return bootstrap_interval(difference, resamples=resamples, seed=seed, level=level)


@dataclass(frozen=True, slots=True)
class QueryScore:
    """What one query reached.

    Attributes:
        id: The query.
        average_precision: A fraction.
        recall: 0.0 or 1.0 for each of ``RECALL_RANKS``.
        featureless: The network sees nothing in it: it finds nothing.
    """

    id: str
    average_precision: float
    recall: tuple[float, ...]
    featureless: bool = False


def score_query(
    identity: str,
    ranking: Sequence[Name],
    positives: Collection[Name],
    junk: Collection[Name],
    form: AveragePrecisionForm,
    *,
    featureless: bool = False,
) -> QueryScore:
    """Scores one ranking.

    Raises:
        ValueError: There are no positives.
    """
    recall = tuple(recall_at(ranking, positives, junk, k) for k in RECALL_RANKS)
    return QueryScore(identity, average_precision(ranking, positives, junk, form), recall, featureless)


@dataclass(frozen=True, slots=True)
class EncodingScores:
    """What one encoding reached.

    Attributes:
        name: What the encoding was called when it was asked for.
        canonical: Its canonical form.
        queries: Its scores, query by query, in the ground truth's order; at least one.
    """

    name: str
    canonical: str
    queries: tuple[QueryScore, ...]

    @property
    def average_precisions(self) -> tuple[float, ...]:
        """One fraction a query."""
        return tuple(query.average_precision for query in self.queries)

    @property
    def mean_average_precision(self) -> float:
        """The mean over the queries."""
        return float(np.mean(self.average_precisions))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the mean average precision."""
        return bootstrap_interval(self.average_precisions)

    def recall(self, k: int) -> float:
        """Share of the queries with any positive within the first k, one of ``RECALL_RANKS``."""
        place = RECALL_RANKS.index(k)
        return float(np.mean([query.recall[place] for query in self.queries]))

    @property
    def featureless(self) -> int:
        """How many queries the network sees nothing in."""
        return sum(query.featureless for query in self.queries)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How one encoding compares with the first, on the same queries.

    Attributes:
        name: The encoding.
        against: The first.
        difference: Its mean average precision less the first's.
        interval: 95 % paired bootstrap interval of that.
    """

    name: str
    against: str
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Intersection over union of one box of the ground truth with what could have been drawn.

    Attributes:
        query: The query.
        name: The positive, relative to the database.
        maps: With the box that the heat map gives; 0 where it gives none.
        whole: With the whole picture.
        centre: With the centred box (``centre_box``).
    """

    query: str
    name: bytes
    maps: float
    whole: float
    centre: float


def overlap(query: str, name: bytes, truth: Box, drawn: Box | None, size: Size) -> Overlap:
    """Compares the box that was drawn, and the two baselines, with the truth's."""
    return Overlap(
        query,
        name,
        maps=intersection_over_union(drawn, truth) if drawn else 0.0,
        whole=intersection_over_union((0, 0, *size), truth),
        centre=intersection_over_union(centre_box(size), truth),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Encodings measured against a ground truth.

    Attributes:
        ground_truth: Its file.
        collection: The collection's address, or None where the folder was searched directly.
        settings: What it was measured with, plain values.
        form: How average precision is computed.
        region_reading: How query regions were read.
        database: Pictures of the database folder that could be read.
        distractors: Further pictures of the collection, positive to no query.
        queries: Queries of the ground truth, left out ones included.
        left_out: Queries without positives: in no mean.
        encodings: What each encoding reached; at least one.
        overlaps: Boxes against the truth's, where it has some; they do not depend on the encoding.
        skipped: Pictures that could not be used, and count as never retrieved.
        seconds: Duration.
    """

    ground_truth: bytes
    collection: str | None
    settings: dict[str, Any]
    form: AveragePrecisionForm
    region_reading: str
    database: int
    distractors: int = 0
    queries: int
    left_out: int
    encodings: tuple[EncodingScores, ...]
    overlaps: tuple[Overlap, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    seconds: float = 0.0

    @property
    def paired(self) -> tuple[PairedDifference, ...]:
        """Every encoding but the first, compared with the first."""
        first, *others = self.encodings
        return tuple(
            PairedDifference(
                item.name,
                first.name,
                item.mean_average_precision - first.mean_average_precision,
                paired_bootstrap(item.average_precisions, first.average_precisions),
            )
            for item in others
        )

    def mean_overlap(self, part: OverlapPart) -> float | None:
        """The mean of one column of the overlaps, or None where there are none."""
        return float(np.mean([getattr(pair, part) for pair in self.overlaps])) if self.overlaps else None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "ground_truth": path_text(self.ground_truth),
            "collection": self.collection,
            "database": self.database,
            "distractors": self.distractors,
            "queries": self.queries,
            "settings": self.settings,
            "region_reading": self.region_reading,
            "recall": RECALL_MEANING,
            "encodings": {item.name: self._encoding_json(item) for item in self.encodings},
            "paired": {
                item.name: {
                    "against": item.against,
                    "difference": _rounded(item.difference),
                    "interval": [_rounded(end) for end in item.interval],
                }
                for item in self.paired
            },
            "skipped": [item.to_json() for item in self.skipped],
            "seconds": round(self.seconds, 3),
        }

    def _encoding_json(self, item: EncodingScores) -> dict[str, Any]:
        scores: dict[str, Any] = {
            "canonical": item.canonical,
            "mAP": _rounded(item.mean_average_precision),
            "mAP_interval": [_rounded(end) for end in item.interval],
            "ap_form": self.form,
            "recall": {str(k): _rounded(item.recall(k)) for k in RECALL_RANKS},
            "queries": len(item.queries),
            "left_out": self.left_out,
            "featureless": item.featureless,
            "average_precisions": {query.id: _rounded(query.average_precision) for query in item.queries},
        }
        if self.overlaps:
            means = {part: _rounded(self.mean_overlap(part) or 0.0) for part in OVERLAP_PARTS}
            scores["iou"] = {**means, "pairs": len(self.overlaps)}
        return scores


def _rounded(value: float) -> float:
    return round(value, 6)
