"""Queries of a ground truth, read and bound to every protocol's plan."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from camseek.datasets import GroundTruth, TruthQuery
from camseek.errors import FeaturelessError, GroundTruthError, PictureError, RegionError
from camseek.extraction.attention import Attention, attention
from camseek.extraction.extractor import Extractor, RegionRules
from camseek.lab.measuring.tasks import Task
from camseek.names import path_text
from camseek.searching.query import QueryPart, Sought, read_query
from camseek.searching.stages import Step


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A query, read.

    Attributes:
        contents: SHA-256 of its pictures' files.
        ready: Each protocol's plan bound to it; None where the network sees nothing in it. The maps of the
            query are held no longer.
        wanted: What to look for in the pictures, as the first protocol reads it.
    """

    contents: tuple[bytes, ...]
    ready: tuple[tuple[Step, ...] | None, ...]
    wanted: Attention


def ask(extractor: Extractor, tasks: Sequence[Task], parts: Sequence[QueryPart]) -> Asked:
    """Reads a query and binds every protocol's plan to it; threads may do so at once.

    Raises:
        PictureError, RegionError: Its picture or region cannot be used.
    """
    read: dict[RegionRules, Sought] = {}
    plans = [task.protocol.plan for task in tasks]
    features = any(plan.needs_features for plan in plans)
    cells = any(plan.needs_sketches for plan in plans)
    for task in tasks:
        rules = task.protocol.rules
        if rules not in read:
            read[rules] = read_query(extractor, parts, rules, features=features, cells=cells)
    # Most classes first: fewer of the same begin with them, and are not pooled again.
    order = sorted(range(len(tasks)), key=lambda number: -tasks[number].encoder.encoding.classes)
    bound = {number: _ready(tasks[number], read) for number in order}
    ready = tuple(bound[number] for number in range(len(tasks)))
    first = read[tasks[0].protocol.rules]
    return Asked(tuple(part.content for part in first.parts), ready, attention(first.scores))


def _ready(task: Task, read: Mapping[RegionRules, Sought]) -> tuple[Step, ...] | None:
    try:
        return task.protocol.plan.bind(read[task.protocol.rules], task.encoder)
    except FeaturelessError:
        return None


def ask_truth(extractor: Extractor, tasks: Sequence[Task], truth: GroundTruth, query: TruthQuery) -> Asked:
    """The same for a query of a ground truth.

    Raises:
        GroundTruthError: Its picture or region cannot be used.
    """
    try:
        return ask(extractor, tasks, [QueryPart(os.fsdecode(query.image), query.region)])
    except (PictureError, RegionError) as error:
        key = "region" if isinstance(error, RegionError) else "image"
        what = error.message.removeprefix(f"{path_text(query.image)}: ")  # the place in the truth names it
        raise truth_error(truth, query.id, key, what, remedy=error.remedy) from error


def truth_error(truth: GroundTruth, query: str, key: str, what: str, *, remedy: str) -> GroundTruthError:
    """An error that names the place in the ground truth."""
    return GroundTruthError(f"{path_text(truth.path)}, query {query!r}, {key}: {what}", remedy=remedy)
