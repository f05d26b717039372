"""Rankings against a ground truth's labels."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from camseek.datasets import GroundTruth, TruthQuery
from camseek.evaluation import QueryScore, score_ranking
from camseek.lab.measuring.tasks import Task
from camseek.lab.protocol import Protocol
from camseek.searching.stages import Candidates


def protocol_scores(
    truth: GroundTruth,
    queries: Sequence[TruthQuery],
    task: Task,
    rankings: Iterable[Candidates | None],
    names: Sequence[tuple[bytes, ...]],
    own: Sequence[Collection[int]],
) -> list[QueryScore | None]:
    """Scores what every query found under one protocol; None for one whose positives are all taken out.

    Args:
        truth: The ground truth.
        queries: Its queries.
        task: The protocol.
        rankings: What each found; None where the network sees nothing in it.
        names: Each row's names in the database; none for a distractor.
        own: Each query's own rows.
    """
    removed = removes_own(task.protocol, truth)
    # Whether the own picture counts is decided here, for each of its names.
    truth = replace(truth, query_in_database="listed")
    scores: list[QueryScore | None] = []
    for query, ranking, rows in zip(queries, rankings, own, strict=True):
        found: list[bytes | int] = []
        for row in [] if ranking is None else ranking.first(None):
            found.extend(names[row] or (row,))
        if removed:
            taken = {name for row in rows for name in names[row]}
            if query.own is not None:
                taken.add(query.own)
            query = replace(query, good=query.good - taken, ok=query.ok - taken, junk=query.junk | taken)
        if not query.positives:
            scores.append(None)
            continue
        scores.append(score_ranking(truth, query, found, task.protocol.ap_form, featureless=ranking is None))
    return scores


def removes_own(protocol: Protocol, truth: GroundTruth) -> bool:
    """Whether a query's own picture is taken out of the database."""
    if protocol.own_picture == "protocol":
        return truth.query_in_database == "removed"
    return protocol.own_picture == "removed"
