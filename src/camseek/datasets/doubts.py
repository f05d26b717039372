"""What makes a ground truth of little use, though nothing in it is wrong."""

from collections.abc import Sequence

from camseek.datasets.truth import GroundTruth, TruthQuery
from camseek.names import shown
from camseek.words import counted

# So many queries are named.
_TOLD = 3


def doubts(truth: GroundTruth) -> tuple[str, ...]:
    """Why its figures would mean little, or nothing.

    Args:
        truth: A ground truth that was read.

    Returns:
        Sentences for people, none where all is well: no query has positives, or some have none; all that is
        listed of a query is junk; a query's only positive is its own picture; a setup counts no query.
    """
    told: list[str] = []
    positives = {query.id: truth.labels(query).positives for query in truth.queries}
    without = [query for query in truth.queries if not positives[query.id]]
    if without and len(without) == len(truth.queries):
        told.append("no query has positives: nothing can be measured")
    elif without:
        told.append(f"{_these(without, truth)} no positives: counted in no mean")
    if junk := [query for query in without if query.junk]:
        told.append(f"{_these(junk, truth)} nothing but junk")
    own = [
        query
        for query in truth.queries
        if query.own is not None and positives[query.id] == frozenset({query.own})
    ]
    if own:
        told.append(f"{_these(own, truth)} no positive but its own picture, which is always first")
    told += [
        f"no query has positives in the setup {setup}"
        for setup in truth.setups
        if not any(truth.labels(query, setup).positives for query in truth.queries)
        and len(without) < len(truth.queries)
    ]
    return tuple(told)


def _these(queries: Sequence[TruthQuery], truth: GroundTruth) -> str:
    """How many of how many, and which, with the verb."""
    names = ", ".join(shown(query.id) for query in queries[:_TOLD])
    more = ", ..." if len(queries) > _TOLD else ""
    has = "has" if len(queries) == 1 else "have"
    return f"{len(queries)} of {counted(len(truth.queries), 'query', 'queries')} ({names}{more}) {has}"
