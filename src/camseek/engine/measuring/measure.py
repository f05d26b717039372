"""Measures protocols against a ground truth: passes, searches and scores put together."""

import os
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from camseek.backbones import Backbone, load_model, processors
from camseek.config import AveragePrecisionForm, Encoding, Limits, Settings
from camseek.datasets import GroundTruth, TruthQuery
from camseek.engine.engine import Engine
from camseek.engine.indexing import Progress, Quiet
from camseek.engine.measuring.asking import Asked, Asker
from camseek.engine.measuring.database import Described, Describer, Rows, read_rows, rows_to_look_at
from camseek.engine.measuring.ranking import Entries, QuerySearch, cosines
from camseek.engine.measuring.rematching import Matches, Rematcher
from camseek.engine.measuring.scoring import protocol_scores, removes_own
from camseek.engine.measuring.scratch import Scratch, scratch
from camseek.engine.measuring.tasks import Key, Task, make_tasks
from camseek.engine.pipeline import ordered
from camseek.engine.protocol import EvaluationReading, Protocol
from camseek.engine.reading import PictureReader
from camseek.errors import GroundTruthError, SettingsError
from camseek.evaluation import EncodingScores, Evaluation, Overlap, QueryScore
from camseek.names import path_text
from camseek.whitening import Whitening

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def measure(
    truth: GroundTruth,
    protocols: Mapping[str, Protocol],
    *,
    model: Backbone | Mapping[str, Backbone] | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Evaluation:
    """Searches a ground truth's database with its queries, by every protocol, and scores the rankings.

    Every picture goes through the network once for all protocols of the same model, layer and size, and once
    more where some query re-ranks it. With ``engine`` its collection is searched as it is: its pictures from
    elsewhere are distractors, and a picture counts under each of its names in the folder.

    Rankings go by falling cosine, equal ones by name (in a collection by record). Pictures on which the
    network sees nothing are never retrieved, a query of that kind finds nothing, and queries without
    positives (under any of the protocols) are left out of all means. Nothing is kept between calls.

    Args:
        truth: From ``camseek.datasets``.
        protocols: What to measure, by names of its own; the others are compared with the first.
        model: The model, loaded with the protocols' layer, or one for each protocol; None for the embedded
            one.
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Started for each pass through pictures.
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
    if not protocols:
        raise ValueError("there is no protocol to measure")
    queries = [query for query in truth.queries if truth.labels(query).positives]
    if not queries:
        raise GroundTruthError(
            f"{path_text(truth.path)}: no query has a positive, so there is nothing to measure",
            remedy="name pictures of the database in good or ok",
        )
    if engine is not None:
        if model is not None:
            raise ValueError("an engine brings its own model")
        protocols, model = _of_engine(engine, protocols), engine.model
    if model is None:
        model = {name: load_model(layer=item.settings.layer) for name, item in protocols.items()}
    groups = make_tasks(protocols, model)
    run = _Run(truth, queries, workers or processors(), progress or Quiet(), limits or Limits())
    collection = engine.collection if engine else None
    rows = read_rows(truth, queries, collection)
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
    ground_truth: GroundTruth,
    *,
    encodings: Sequence[Encoding] | Mapping[str, Encoding] = (),
    settings: Settings | None = None,
    model: Backbone | None = None,
    reading: EvaluationReading = "crop",
    ap_form: AveragePrecisionForm | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Evaluation:
    """Measures encodings, or a collection, by plain search: no expansion and no re-ranking.

    Args:
        ground_truth: From ``camseek.datasets``.
        encodings: What to compare, all against the first, by their names or as canonical ones; none for that
            of ``settings``.
        settings: The size of the pictures and the layer (and the encoding, where none is named).
        model: The model; None for the embedded one.
        reading: How query regions are read.
        ap_form: How average precision is computed; None for the ground truth's own.
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Told how far it is.
        engine: A collection to measure; it brings its own encoding, settings and model.

    Raises:
        CamseekError: As ``measure``.
    """
    base = settings or (engine.settings if engine else Settings())
    if not isinstance(encodings, Mapping):
        encodings = {str(encoding): encoding for encoding in encodings}
    wanted = encodings or {str(base.encoding): base.encoding}
    protocols = {
        name: Protocol(settings=replace(base, encoding=encoding), reading=reading, ap_form=ap_form)
        for name, encoding in wanted.items()
    }
    return measure(
        ground_truth,
        protocols,
        model=model,
        limits=limits,
        workers=workers,
        progress=progress,
        engine=engine,
    )


def _of_engine(engine: Engine, protocols: Mapping[str, Protocol]) -> dict[str, Protocol]:
    """The protocols with the collection's whitening."""
    has, stored = engine.settings, engine.collection.profile.whitening
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
    workers: int
    progress: Progress
    limits: Limits

    def measure(self, tasks: Sequence[Task], rows: Rows, *, boxes: bool) -> _Measured:
        """Measures the protocols of one model, layer and size."""
        first = tasks[0]
        reader = PictureReader.of(first.model, first.protocol.settings.size, self.limits)
        with scratch() as place:
            wanted = rows_to_look_at(rows, tasks, self.queries, boxes=boxes)
            self.progress.start(len(self.queries) + len(wanted))
            asked = self._ask(Asker(self.truth, tasks, reader))
            describer = Describer(self.truth, tasks, asked, rows, reader, place, boxes)
            described = describer.run(wanted, self.workers, self.progress)
            own, named = _own_rows(self.truth, asked, rows)
            searches = _Searches(self.truth, tasks, asked, rows, described, own)
            matches = self._rematch(tasks, asked, rows, reader, searches, place)
            scores = {
                task.name: protocol_scores(
                    self.truth,
                    task,
                    number,
                    asked,
                    self._rankings(searches, task, number, matches),
                    rows.names,
                    own,
                )
                for number, task in enumerate(tasks)
            }
        return _Measured(scores, described.overlaps, (sum(map(bool, own)), named))

    def _ask(self, asker: Asker) -> list[Asked]:
        asked: list[Asked] = []
        for item in ordered(asker.ask, self.queries, workers=self.workers):
            asked.append(item)
            self.progress.step()
        return asked

    def _rematch(
        self,
        tasks: Sequence[Task],
        asked: Sequence[Asked],
        rows: Rows,
        reader: PictureReader,
        searches: "_Searches",
        place: Scratch,
    ) -> dict[Key, Matches]:
        ways: dict[Key, tuple[int, Task]] = {}
        wanted: dict[Key, list[list[int]]] = {}
        for number, task in enumerate(tasks):
            if not task.protocol.plan.rerank:
                continue
            ways.setdefault(task.region_key, (number, task))
            by_query = wanted.setdefault(task.region_key, [[] for _ in asked])
            for query, top in enumerate(by_query):
                top += searches.get(task, number, query).first()[: task.protocol.plan.rerank].tolist()
        if not wanted:
            return {}
        return Rematcher(ways, asked, rows, reader).run(wanted, place, self.workers, self.progress)

    @staticmethod
    def _rankings(
        searches: "_Searches", task: Task, number: int, matches: Mapping[Key, Matches]
    ) -> Generator[Int64[I64, " M"]]:
        for query in range(len(searches.asked)):
            search = searches.get(task, number, query)
            yield search.finish(search.first(), query, matches.get(task.region_key))


@dataclass(frozen=True, slots=True, eq=False)
class _Searches:
    """The database as each query of each protocol sees it."""

    truth: GroundTruth
    tasks: Sequence[Task]
    asked: Sequence[Asked]
    rows: Rows
    described: Described
    own: Sequence[frozenset[int]]

    def get(self, task: Task, number: int, query: int) -> QuerySearch:
        """One query's search."""
        ready = self.asked[query].ready[number]
        if task.online is None:
            vectors = self.described.offline[task.pictures]
            scores: Float64[F64, " N"] = cosines(vectors, ready.descriptor)
        else:
            online = self.described.online[task.online_key]
            vectors = None if online.entries is None else online.entries[query]
            scores = np.asarray(online.scores[query])
        removed = removes_own(task.protocol, self.truth)
        return QuerySearch(task.protocol, ready, Entries(vectors, scores, self.own[query], removed))


def _own_rows(truth: GroundTruth, asked: Sequence[Asked], rows: Rows) -> tuple[list[frozenset[int]], int]:
    """For each query the rows of its own picture, and how many have one of its name; others by content."""
    count = 0
    named = {name: row for row, names in enumerate(rows.names) for name in names}
    held: dict[bytes, list[int]] = {}
    for row, content in enumerate(rows.contents):
        if content and rows.paths[row] not in rows.skipped:
            held.setdefault(content, []).append(row)
    found: list[frozenset[int]] = []
    for item in asked:
        own = set(held.get(item.content, []))
        name = item.query.own or os.path.relpath(item.query.image, truth.database)
        if name in named and rows.paths[named[name]] not in rows.skipped:
            own.add(named[name])
            count += 1
        found.append(frozenset(own))
    return found, count
