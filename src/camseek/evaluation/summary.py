"""Encodings measured against a ground truth, compared, and as JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from camseek.config import AveragePrecisionForm
from camseek.datasets import Setup
from camseek.evaluation.bootstrap import paired_bootstrap
from camseek.evaluation.boxes import OVERLAP_PARTS, Overlap, OverlapPart
from camseek.evaluation.scores import (
    PRECISION_RANKS,
    RECALL_MEANING,
    RECALL_RANKS,
    EncodingScores,
    QueryScore,
)
from camseek.names import path_text
from camseek.results import Skipped


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

    def rows(self) -> list[dict[str, Any]]:
        """Flat dictionaries with the same keys: a row for each query of each encoding, for tables.

        ``recall@k`` is 1.0 where any positive is within the first k, else 0.0. Average precisions of a
        protocol's setups and its N-S stand in columns of their own, where any query has them.
        """
        of_all = [(item.name, query) for item in self.encodings for query in item.queries]
        setups: dict[Setup, None] = {setup: None for _, query in of_all for setup in query.setups}
        n_s = any(query.n_s is not None for _, query in of_all)
        return [
            {
                "encoding": name,
                "query": query.id,
                "average_precision": query.average_precision,
                **{f"recall@{k}": value for k, value in zip(RECALL_RANKS, query.recall, strict=True)},
                "featureless": query.featureless,
                **{setup: _setup_score(query, setup) for setup in setups},
                **({"N-S": query.n_s} if n_s else {}),
            }
            for name, query in of_all
        ]

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
            **self._protocol_json(item),
            "average_precisions": {query.id: _rounded(query.average_precision) for query in item.queries},
        }
        if self.overlaps:
            means = {part: _rounded(self.mean_overlap(part) or 0.0) for part in OVERLAP_PARTS}
            scores["iou"] = {**means, "pairs": len(self.overlaps)}
        return scores

    def _protocol_json(self, item: EncodingScores) -> dict[str, Any]:
        """What only some protocols count."""
        told: dict[str, Any] = {}
        if setups := item.setups:
            told["setups"] = {
                means.setup: {
                    "mAP": _rounded(means.mean_average_precision),
                    **{
                        f"mP@{k}": _rounded(value)
                        for k, value in zip(PRECISION_RANKS, means.mean_precisions, strict=True)
                    },
                    "queries": means.queries,
                    "left_out": self.queries - means.queries,
                }
                for means in setups
            }
        if item.n_s is not None:
            told["N-S"] = _rounded(item.n_s)
        return told


def _setup_score(query: QueryScore, setup: Setup) -> float | None:
    found = query.setups.get(setup)
    return None if found is None else found.average_precision


def _rounded(value: float) -> float:
    return round(value, 6)
