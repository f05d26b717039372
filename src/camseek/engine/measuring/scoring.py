"""Rankings against a ground truth's labels."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from camseek.datasets import GroundTruth
from camseek.engine.measuring.asking import Asked
from camseek.engine.measuring.tasks import Task
from camseek.engine.protocol import Protocol
from camseek.evaluation import QueryScore, score_ranking
from camseek.numerics import is_usable

I64 = NDArray[np.int64]


def protocol_scores(
    truth: GroundTruth,
    task: Task,
    number: int,
    asked: Sequence[Asked],
    rankings: Iterable[Int64[I64, " M"]],
    names: Sequence[tuple[bytes, ...]],
    own: Sequence[Collection[int]],
) -> list[QueryScore | None]:
    """Scores what every query found under one protocol; None for one whose positives are all taken out.

    Args:
        truth: The ground truth.
        task: The protocol.
        number: Its place in ``Asked.ready``.
        asked: The queries.
        rankings: Rows, best first, of each.
        names: Each row's names in the database; none for a distractor.
        own: Each query's own rows.
    """
    removed = removes_own(task.protocol, truth)
    # Whether the own picture counts is decided here, for each of its names.
    truth = replace(truth, query_in_database="listed")
    scores: list[QueryScore | None] = []
    for item, ranking, rows in zip(asked, rankings, own, strict=True):
        found: list[bytes | int] = []
        for row in map(int, ranking):
            found.extend(names[row] or (row,))
        query = item.query
        if removed:
            taken = {name for row in rows for name in names[row]}
            if query.own is not None:
                taken.add(query.own)
            query = replace(query, good=query.good - taken, ok=query.ok - taken, junk=query.junk | taken)
        if not query.positives:
            scores.append(None)
            continue
        seen = is_usable(item.ready[number].descriptor)
        scores.append(score_ranking(truth, query, found, task.protocol.ap_form, featureless=not seen))
    return scores


def removes_own(protocol: Protocol, truth: GroundTruth) -> bool:
    """Whether a query's own picture is taken out of the database."""
    if protocol.own_picture == "protocol":
        return truth.query_in_database == "removed"
    return protocol.own_picture == "removed"
