"""Measures protocols against a ground truth: passes, searches and scores put together."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from camseek.backbones import Backbone, as_model
from camseek.config import AveragePrecisionForm, Encoding, Limits, Settings
from camseek.datasets import GroundTruth, TruthQuery, open_truth
from camseek.encoding.whitening import Whitening
from camseek.engine import Engine
from camseek.errors import GroundTruthError, SettingsError
from camseek.evaluation import EncodingScores, Evaluation, Overlap, QueryScore
from camseek.extraction.extractor import Extractor, Reading, RegionRules
from camseek.job import Job, Progress
from camseek.lab.measuring.asking import Asked, ask_truth
from camseek.lab.measuring.database import Rows, compare_boxes, read_rows
from camseek.lab.measuring.scoring import protocol_scores, removes_own
from camseek.lab.measuring.scratch import scratch
from camseek.lab.measuring.searches import Searches
from camseek.lab.measuring.tasks import Task, make_tasks
from camseek.lab.protocol import Protocol
from camseek.names import path_text
from camseek.searching.searcher import require_parts


def truth_of(truth: GroundTruth | str | os.PathLike[str]) -> GroundTruth:
    """A ground truth, read where it is a name.

    Raises:
        GroundTruthError: It cannot be read.
    """
    return truth if isinstance(truth, GroundTruth) else open_truth(os.fspath(truth))


def measure(
    truth: GroundTruth | str | os.PathLike[str],
    protocols: Mapping[str, Protocol],
    *,
    model: Backbone | str | os.PathLike[str] | Mapping[str, Backbone] | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    cancelled: threading.Event | None = None,
    engine: Engine | None = None,
) -> Evaluation:
    """Searches a ground truth's database with its queries, by every protocol, and scores the rankings.

    Every picture goes through the network once for all protocols of the same model, layer and size, and once
    more where some query re-ranks it. With ``engine`` its collection is searched as it is: its pictures from
    elsewhere are distractors, and a picture counts under each of its names in the folder.

    Rankings are a search's (``camseek.searching``): by falling cosine, equal ones by name (in a collection by
    record). Featureless pictures are never retrieved, those that show nothing of a query's classes stand
    last, a query on which the network sees nothing finds nothing, and queries without positives (under any
    of the protocols) are left out of all means. Nothing is kept between calls.

    Args:
        truth: A JSON file, ``NAME=FOLDER`` of a public data set, or what ``camseek.datasets`` read.
        protocols: What to measure, by names of its own; the others are compared with the first.
        model: The model, loaded with the protocols' layer, or its name, or one for each protocol; None for
            the embedded one.
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Started for each pass through pictures.
        cancelled: Whoever sets it ends the measurement with ``CancelledError``.
        engine: A collection to measure; it brings its own model and whitening, and the protocols must have
            its settings.

    Raises:
        GroundTruthError: A query picture cannot be used, a region or box is outside its picture, no query has
            positives, or pictures of the database are not in the collection.
        SettingsError: A protocol does not fit its model or the collection.
        SourceError: The database folder cannot be read.
        ModelError: The model cannot be loaded.
        CollectionError: The collection cannot be read.
    """
    started = time.perf_counter()
    given: Any = protocols
    if not isinstance(given, Mapping):
        raise TypeError(f"protocols are a mapping of names to them, not {given!r}")
    if not protocols:
        raise ValueError("there is no protocol to measure")
    for item in protocols.values():
        if not isinstance(cast(Any, item), Protocol):
            raise TypeError(f"what is measured is a Protocol, not {item!r}")
    truth = truth_of(truth)
    queries = [query for query in truth.queries if truth.labels(query).positives]
    if not queries:
        raise GroundTruthError(
            f"{path_text(truth.path)}: no query has a positive, so there is nothing to measure",
            remedy="name pictures of the database in good or ok",
        )
    generation = None
    if engine is not None:
        if model is not None:
            raise ValueError("an engine brings its own model")
        generation = engine.collection.profile.generation
        protocols, model = _of_engine(engine, protocols), engine.model
    if not isinstance(model, Mapping):
        layers = {item.settings.layer for item in protocols.values()}
        loaded = {layer: as_model(model, layer) for layer in layers}
        model = {name: loaded[item.settings.layer] for name, item in protocols.items()}
    groups = make_tasks(protocols, model)
    run = _Run(truth, queries, Job.of(limits, workers, progress, cancelled))
    collection = engine.collection if engine else None
    rows = read_rows(truth, queries, collection, generation=generation)
    scores: dict[str, list[QueryScore | None]] = {}
    overlaps: list[Overlap] = []
    own = (0, 0)
    for place, tasks in enumerate(groups.values()):
        found = run.measure(tasks, rows, boxes=not place)
        scores |= found.scores
        overlaps += found.overlaps
        own = found.own
    first = next(iter(groups.values()))[0]
    told = {task.name: task.told() for tasks in groups.values() for task in tasks}
    encodings = _same_queries(truth, scores, protocols)
    return Evaluation(
        ground_truth=truth.path,
        collection=collection.address if collection else None,
        settings=_told(first, own) | {"protocols": {name: told[name] for name in protocols}},
        form=first.protocol.ap_form or truth.ap_form,
        region_reading=first.protocol.reading,
        database=rows.database,
        distractors=rows.distractors,
        queries=len(truth.queries),
        left_out=len(truth.queries) - len(encodings[0].queries),
        encodings=encodings,
        overlaps=tuple(overlaps),
        skipped=tuple(rows.skipped[path] for path in sorted(rows.skipped)),
        seconds=time.perf_counter() - started,
    )


def evaluate(
    ground_truth: GroundTruth | str | os.PathLike[str],
    *,
    encodings: Sequence[Encoding | str] | Mapping[str, Encoding | str] = (),
    settings: Settings | str | Mapping[str, Any] | None = None,
    model: Backbone | str | os.PathLike[str] | None = None,
    reading: Reading = "crop",
    ap_form: AveragePrecisionForm | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    cancelled: threading.Event | None = None,
    engine: Engine | None = None,
) -> Evaluation:
    """Measures encodings, or a collection, by plain search: no expansion and no re-ranking.

    Args:
        ground_truth: A JSON file, ``NAME=FOLDER`` of a public data set, or what ``camseek.datasets`` read.
        encodings: What to compare, all against the first, by their names or as canonical ones; none for that
            of ``settings``.
        settings: The size of the pictures and the layer (and the encoding, where none is named).
        model: The model, or its name; None for the embedded one.
        reading: How query regions are read.
        ap_form: How average precision is computed; None for the ground truth's own.
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Told how far it is.
        cancelled: Whoever sets it ends it with ``CancelledError``.
        engine: A collection to measure; it brings its own encoding, settings and model.

    Raises:
        CamseekError: As ``measure``.
    """
    if isinstance(encodings, str):
        raise TypeError("encodings are a list, also where there is one")
    base = Settings.of(settings) or (engine.settings if engine else Settings())
    if not isinstance(encodings, Mapping):
        encodings = {str(encoding): encoding for encoding in encodings}
    wanted = {name: Encoding.of(item) for name, item in encodings.items()} or {
        str(base.encoding): base.encoding
    }
    protocols = {
        name: Protocol(
            settings=replace(base, encoding=encoding), rules=RegionRules(reading=reading), ap_form=ap_form
        )
        for name, encoding in wanted.items()
    }
    return measure(
        ground_truth,
        protocols,
        model=model,
        limits=limits,
        workers=workers,
        progress=progress,
        cancelled=cancelled,
        engine=engine,
    )


def _of_engine(engine: Engine, protocols: Mapping[str, Protocol]) -> dict[str, Protocol]:
    """The protocols with the collection's whitening."""
    has, stored = engine.settings, engine.collection.profile.whitening
    for item in protocols.values():
        require_parts(item.plan, engine.collection.address, engine.collection.profile.keeps)
    if any(item.settings != has for item in protocols.values()):
        raise SettingsError(
            f"{engine.collection.address} was made with the encoding {has.encoding}, layer {has.layer} "
            f"and size {has.size}, not with what was asked for",
            remedy="leave those options out, or measure the pictures without the collection",
        )
    whitening = Whitening.from_bytes(stored) if stored is not None else None
    if any(item.whitening is not None for item in protocols.values()):
        raise SettingsError(
            "a collection brings its own whitening", remedy="leave the whitening out, or the collection"
        )
    note = "the collection's own" if whitening else None
    return {name: replace(item, whitening=whitening, whitening_note=note) for name, item in protocols.items()}


def _same_queries(
    truth: GroundTruth, scores: Mapping[str, Sequence[QueryScore | None]], protocols: Mapping[str, Protocol]
) -> tuple[EncodingScores, ...]:
    """What every protocol reached on the queries that all of them can score, so that they compare."""
    rows = [row for row in zip(*(scores[name] for name in protocols), strict=True) if None not in row]
    kept = [[score for score in row if score is not None] for row in rows]
    if not kept:
        raise GroundTruthError(
            f"{path_text(truth.path)}: no query has a positive besides its own picture",
            remedy="keep the queries' own pictures in the database",
        )
    return tuple(
        EncodingScores(name, str(protocol.settings.encoding), tuple(column))
        for (name, protocol), column in zip(protocols.items(), zip(*kept, strict=True), strict=True)
    )


def _told(task: Task, own: tuple[int, int]) -> dict[str, Any]:
    """What the first protocol was measured with, plain values."""
    return {
        "model": task.model.card.name,
        "model_checksum": task.model.checksum,
        "layer": task.model.layer,
        "size": str(task.protocol.settings.size),
        "whitened": task.protocol.whitening is not None,
        "queries_in_database": own[0],
        "queries_in_database_by_name": own[1],
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    scores: dict[str, list[QueryScore | None]]
    overlaps: list[Overlap]
    own: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What protocols of all sizes and models share."""

    truth: GroundTruth
    queries: Sequence[TruthQuery]
    job: Job

    def measure(self, tasks: Sequence[Task], rows: Rows, *, boxes: bool) -> _Measured:
        """Measures the protocols of one model, layer and size."""
        first = tasks[0]
        extractor = Extractor.of(first.model, first.protocol.settings.size, self.job.limits)
        with scratch() as place:
            self.job.progress.start(len(self.queries))
            asked = self._ask(extractor, tasks)
            boxed = {name for query in self.queries for name in query.boxes} if boxes else set[bytes]()
            wanted = [(query, item.wanted) for query, item in zip(self.queries, asked, strict=True)]
            searches = Searches(tasks, asked, rows, place)
            compare = partial(compare_boxes, self.truth, wanted, first.model)
            overlaps = searches.describe(extractor, self.job, boxed, compare)
            own, named = _own_rows(self.truth, self.queries, asked, rows)
            removed = [removes_own(task.protocol, self.truth) for task in tasks]
            searches.look(extractor, self.job, own, removed)
            scores = {
                task.name: protocol_scores(
                    self.truth,
                    self.queries,
                    task,
                    searches.rankings(number, own, removed=removed[number]),
                    rows.names,
                    own,
                )
                for number, task in enumerate(tasks)
            }
        return _Measured(scores, overlaps, (sum(map(bool, own)), named))

    def _ask(self, extractor: Extractor, tasks: Sequence[Task]) -> list[Asked]:
        asked: list[Asked] = []
        for item in self.job.map(partial(ask_truth, extractor, tasks, self.truth), self.queries):
            asked.append(item)
            self.job.progress.step()
        return asked


def _own_rows(
    truth: GroundTruth, queries: Sequence[TruthQuery], asked: Sequence[Asked], rows: Rows
) -> tuple[list[frozenset[int]], int]:
    """For each query the rows of its own picture, and how many have one of its name; others by content."""
    count = 0
    named = {name: row for row, names in enumerate(rows.names) for name in names}
    held: dict[bytes, list[int]] = {}
    for row, content in enumerate(rows.contents):
        if content and rows.paths[row] not in rows.skipped:
            held.setdefault(content, []).append(row)
    found: list[frozenset[int]] = []
    for query, item in zip(queries, asked, strict=True):
        own = {row for content in item.contents for row in held.get(content, [])}
        name = query.own or os.path.relpath(query.image, truth.database)
        if name in named and rows.paths[named[name]] not in rows.skipped:
            own.add(named[name])
            count += 1
        found.append(frozenset(own))
    return found, count
