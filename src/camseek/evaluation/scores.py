"""What queries and encodings reach, by a ground truth's protocol."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from camseek.config import AveragePrecisionForm
from camseek.datasets import SETUPS, GroundTruth, Setup, TruthQuery
from camseek.evaluation.bootstrap import bootstrap_interval
from camseek.evaluation.rankings import Name, average_precision, n_s, precision_at, recall_at

RECALL_RANKS = (1, 10, 100)
"""The ranks at which recall is told."""

RECALL_MEANING = "any positive within k"
"""What recall at k means here, said beside every such number."""

PRECISION_RANKS = (1, 5, 10)
"""The ranks at which the revisited sets' precision is told."""


@dataclass(frozen=True, slots=True)
class SetupScore:
    """What one query reached in one setup.

    Attributes:
        average_precision: A fraction.
        precisions: A fraction for each of ``PRECISION_RANKS``.
    """

    average_precision: float
    precisions: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class QueryScore:
    """What one query reached.

    Attributes:
        id: The query.
        average_precision: A fraction.
        recall: 0.0 or 1.0 for each of ``RECALL_RANKS``.
        featureless: The network sees nothing in it: it finds nothing.
        setups: Its scores in each setup of the protocol in which it has positives.
        n_s: UKBench's score, 0 to 4, where the protocol counts it.
    """

    id: str
    average_precision: float
    recall: tuple[float, ...]
    featureless: bool = False
    setups: dict[Setup, SetupScore] = field(default_factory=dict[Setup, SetupScore])
    n_s: int | None = None


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


def score_ranking(
    truth: GroundTruth,
    query: TruthQuery,
    ranking: Sequence[Name],
    form: AveragePrecisionForm | None = None,
    *,
    removed: Collection[Name] = (),
    featureless: bool = False,
) -> QueryScore:
    """Scores one query's ranking by its ground truth's protocol.

    Pictures that the protocol ignores, junk and perhaps the query's own, are taken out first. The numbers
    outside the setups are those of the lists as they are: of a revisited set, of medium.

    Args:
        truth: The ground truth.
        query: One of its queries.
        ranking: Names relative to its database, best first, each once; anything else is a distractor.
        form: How average precision is computed; None for the protocol's own form.
        removed: Further names that are taken out, of the ranking and of the positives.
        featureless: The network sees nothing in the query.

    Raises:
        ValueError: The query has no positives.
    """
    form = form or truth.ap_form
    gone: frozenset[Any] = frozenset(removed)

    def sides(setup: Setup | None = None) -> tuple[frozenset[Any], frozenset[Any]]:
        labels = truth.labels(query, setup)
        return labels.positives - gone, labels.ignored | gone

    plain = score_query(query.id, ranking, *sides(), form, featureless=featureless)
    setups: dict[Setup, SetupScore] = {}
    for setup in truth.setups:
        positives, ignored = sides(setup)
        if positives:
            setups[setup] = SetupScore(
                average_precision(ranking, positives, ignored, form),
                tuple(precision_at(ranking, positives, ignored, k) for k in PRECISION_RANKS),
            )
    return replace(plain, setups=setups, n_s=n_s(ranking, query.positives) if truth.n_s else None)


@dataclass(frozen=True, slots=True)
class SetupMeans:
    """What one encoding reached in one setup.

    Attributes:
        setup: The setup.
        queries: How many queries have positives in it; the others are in no mean.
        mean_average_precision: A fraction.
        mean_precisions: A fraction for each of ``PRECISION_RANKS``.
    """

    setup: Setup
    queries: int
    mean_average_precision: float
    mean_precisions: tuple[float, ...]


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

    @property
    def setups(self) -> tuple[SetupMeans, ...]:
        """The means in each setup in which any query has positives."""
        means: list[SetupMeans] = []
        for setup in SETUPS:
            scores = [query.setups[setup] for query in self.queries if setup in query.setups]
            if scores:
                precisions = np.mean([score.precisions for score in scores], axis=0)
                mean = float(np.mean([score.average_precision for score in scores]))
                means.append(SetupMeans(setup, len(scores), mean, tuple(map(float, precisions))))
        return tuple(means)

    @property
    def n_s(self) -> float | None:
        """UKBench's mean score, 0 to 4, or None where it is not counted."""
        counted = [query.n_s for query in self.queries if query.n_s is not None]
        return float(np.mean(counted)) if counted else None
