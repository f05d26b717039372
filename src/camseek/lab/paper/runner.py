"""Measures experiments on every set, and keeps each finished cell."""

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from camseek.backbones import Backbone, load_model
from camseek.config import Settings
from camseek.datasets import TruthQuery
from camseek.encoding.encoder import Encoder
from camseek.errors import PictureError, RegionError
from camseek.evaluation import EncodingScores, Evaluation
from camseek.extraction.classes import tally
from camseek.extraction.extractor import Extraction, Extractor
from camseek.extraction.reading import PictureReader
from camseek.images import open_file
from camseek.job import Job
from camseek.lab.measuring import measure
from camseek.lab.paper.columns import (
    Column,
    fingerprint_queries,
    fingerprint_truth,
    picture_paths,
    theme,
)
from camseek.lab.paper.experiments import CLASSES, Experiment
from camseek.lab.paper.networks import Network, model_key
from camseek.lab.paper.results import Cost, Measured
from camseek.lab.paper.whitenings import Whitener
from camseek.lab.paper.work import Work
from camseek.lab.protocol import Protocol
from camseek.results import Skipped

_TIMED = 20  # pictures that the cost is the median of

Tell = Callable[[str], None]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassList:
    """The classes that a set's queries show most.

    Attributes:
        ids: Most frequent first.
        shares: Names, and the share of the queries that have each among their 64 most probable ones.
        queries: How many queries there are.
        source: Whose.
    """

    ids: tuple[int, ...]
    shares: tuple[tuple[str, float], ...]
    queries: int
    source: str


@dataclass(slots=True, eq=False)
class Runner:
    """Measures one network after the other.

    Attributes:
        columns: The sets.
        work: Where finished cells are kept.
        dimensions: D, where there can be so many.
        job: Limits, threads, and who is told of each picture.
        tell: Told how far the cells are.
        total: Cells in all, for ``tell``.
        measured: Cells measured anew.
        kept: Cells of earlier runs.
        skipped: How many pictures of a set could not be used.
        fitted: What each set's whitenings with N_pca = 1, and those of R-MAC, were fitted on, for people.
        unwhitened: Sets and networks that lack one.
    """

    columns: Sequence[Column]
    work: Work
    dimensions: int
    job: Job
    tell: Tell
    total: int = 0
    measured: int = 0
    kept: int = 0
    skipped: dict[str, int] = field(default_factory=dict[str, int])
    fitted: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])
    unwhitened: dict[str, None] = field(default_factory=dict[str, None])

    def open(self, network: Network) -> "OneNetwork":
        """Loads a network."""
        model = load_model(network.name, layer=network.layer, threads=1)
        whitener = Whitener(model, self.columns, self.work, self.dimensions, self.job)
        return OneNetwork(self, network, model, whitener)


@dataclass(frozen=True, slots=True, eq=False)
class OneNetwork:
    """The experiments of one network."""

    runner: Runner
    network: Network
    model: Backbone
    whitener: Whitener

    def cells(self, column: Column, experiments: Iterable[Experiment]) -> dict[Experiment, Measured]:
        """Measures experiments on a set, those that are not kept from earlier in one call.

        Those that need a classifier or a whitening where there is none are left out.
        """
        runner = self.runner
        wanted = list(dict.fromkeys(experiments))
        protocols = self.protocols(column, wanted)
        keys = self._keys(column, protocols)
        found: dict[Experiment, Measured] = {}
        for experiment, key in keys.items():
            value = runner.work.get("cell", key)
            if value is not None:
                found[experiment] = _measured(value, protocols[experiment], self.model)
                self._tell_skipped(column, value.get("skipped", 0))
        missing = {item: protocol for item, protocol in protocols.items() if item not in found}
        runner.kept += len(found)
        done = runner.measured + runner.kept
        where = f"{column.title}, {self.network.title}"
        runner.tell(
            f"{where}: {len(found)} cells kept from earlier, {len(missing)} to measure; "
            f"{done} of {runner.total} done"
        )
        if missing:
            for experiment, value in self._measure(column, missing).items():
                runner.work.put("cell", keys[experiment], value)
                found[experiment] = _measured(value, missing[experiment], self.model)
            runner.measured += len(missing)
        return found

    def protocols(self, column: Column, experiments: Sequence[Experiment]) -> dict[Experiment, Protocol]:
        """The experiments that can be done on a set, whitening fitted."""
        possible = [item for item in experiments if self.network.classifier or not item.needs_classifier]
        lists = any(item.predefined for item in possible)
        chosen = self.class_list(column).ids if lists else ()
        whitenings = self.whitener.fit(column, possible, chosen)
        protocols: dict[Experiment, Protocol] = {}
        for item in possible:
            whitening, note = whitenings.get(item.samples, (None, None)) if item.whitened else (None, None)
            if item.whitened and whitening is None:
                self.runner.unwhitened.setdefault(f"{column.title}, {self.network.title}")
                continue
            if note is not None and item.sample_classes == 1 and not item.predefined:
                regions = " of R-MAC" if item.encoding.name == "rmac" and not item.one_each else ""
                where = column.title, self.network.title, regions
                self.runner.fitted.setdefault(where, f"{column.title}: whitening{regions} fitted on {note}.")
            protocols[item] = Protocol(
                settings=Settings(
                    encoding=item.encoding,
                    size=column.size,
                    layer=self.model.layer,
                    # The whole list, so that experiments of fewer of its classes share the passes.
                    predefined=chosen if item.predefined else (),
                ),
                plan=item.plan,
                whitening=whitening,
                whitening_note=note,
                ap_form="trapezoid",
            )
        return protocols

    def _keys(
        self, column: Column, protocols: Mapping[Experiment, Protocol]
    ) -> dict[Experiment, dict[str, Any]]:
        told = {**self._model_key(), "truth": fingerprint_truth(column)}
        return {item: told | {"protocol": protocol.to_json()} for item, protocol in protocols.items()}

    def _model_key(self) -> dict[str, Any]:
        return model_key(self.model, self.runner.job.limits)

    def _measure(
        self, column: Column, protocols: Mapping[Experiment, Protocol]
    ) -> dict[Experiment, dict[str, Any]]:
        if column.truth is None:
            raise ValueError(f"{column.title} is not there")
        named = {str(number): protocol for number, protocol in enumerate(protocols.values())}
        result = measure(
            column.truth,
            named,
            model=self.model,
            limits=self.runner.job.limits,
            workers=self.runner.job.workers,
            progress=self.runner.job.progress,
        )
        self._tell_skipped(column, len(result.skipped))
        return {
            experiment: _value(result, scores)
            for experiment, scores in zip(protocols, result.encodings, strict=True)
        }

    def _tell_skipped(self, column: Column, count: int) -> None:
        if count:
            self.runner.skipped[column.title] = count

    def class_list(self, column: Column) -> ClassList:
        """The classes that the queries of a set's theme show most (paper section 4.3)."""
        runner, source = self.runner, theme(column, self.runner.columns)
        if source.truth is None:
            raise ValueError(f"{source.title} is not there")
        key = {
            **self._model_key(),
            "size": str(column.size),
            "per_picture": CLASSES,
            "queries": fingerprint_queries(source),
        }
        value = runner.work.get("classes", key)
        if value is None:
            extractor = Extractor.of(self.model, column.size, runner.job.limits)
            found = tally(
                self.model,
                partial(_query, extractor),
                source.truth.queries,
                per_picture=CLASSES,
                job=runner.job,
            )
            listed = [[item.id, item.name, item.pictures] for item in found.classes[:CLASSES]]
            value: dict[str, Any] | None = {"classes": listed, "queries": found.pictures}
            runner.work.put("classes", key, value)
        classes: list[tuple[int, str, int]] = value["classes"]
        return ClassList(
            ids=tuple(number for number, _, _ in classes),
            shares=tuple((name, count / value["queries"]) for _, name, count in classes),
            queries=value["queries"],
            source=source.title,
        )

    def costs(self, column: Column, experiments: Sequence[Experiment]) -> dict[Experiment, Cost]:
        """What encoding a picture of a set takes: one thread, after the picture is decoded."""
        protocols = self.protocols(column, experiments)
        machine = [platform.machine(), platform.processor(), os.cpu_count()]
        keys = {
            item: key | {"machine": machine, "together": [str(other.encoding) for other in protocols]}
            for item, key in self._keys(column, protocols).items()
        }
        kept = {item: self.runner.work.get("cost", key) for item, key in keys.items()}
        known = {item: Cost(**value) for item, value in kept.items() if value is not None}
        if len(known) == len(protocols):
            return known
        self.runner.tell(f"{column.title}, {self.network.title}: what a picture costs")
        found = self._time(column, protocols)
        for item, cost in found.items():
            self.runner.work.put("cost", keys[item], asdict(cost))
        return found

    def _time(self, column: Column, protocols: Mapping[Experiment, Protocol]) -> dict[Experiment, Cost]:
        weights, bias = self.model.classifier_weights, self.model.classifier_bias
        encoders = {
            item: Encoder.of(protocol.settings, weights, bias, protocol.whitening)
            for item, protocol in protocols.items()
        }
        paths = picture_paths(column)
        some = paths[:: max(1, len(paths) // _TIMED)][:_TIMED]
        reader = PictureReader.of(self.model, column.size, self.runner.job.limits)
        passes: list[float] = []
        encodings: dict[Experiment, list[float]] = {item: [] for item in encoders}
        with threadpool_limits(1, user_api="blas"):
            for path in [*some[:1], *some]:  # the first one warms up
                try:
                    with open_file(path) as file:
                        pixels = reader.read(file).pixels
                except PictureError:
                    continue
                activations, seconds = _timed(partial(self.model.run, pixels))
                passes.append(seconds)
                for item, encoder in encoders.items():
                    encodings[item].append(_timed(partial(encoder.describe, activations))[1])
        if len(passes) < 2:
            return {}
        one = median(passes[1:])
        totals = {item: one + median(seconds[1:]) for item, seconds in encodings.items()}
        return {item: Cost(seconds=total, passes=total / one) for item, total in totals.items()}


def _query(extractor: Extractor, query: TruthQuery) -> Extraction | Skipped:
    """A query as it is searched with, or why it cannot be used."""
    try:
        return extractor.extract(os.fsdecode(query.image), query.region, Protocol().rules)
    except (PictureError, RegionError) as error:
        return Skipped(query.image, error.message, error.code)


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    found = work()
    return found, time.perf_counter() - started


def _value(result: Evaluation, scores: EncodingScores) -> dict[str, Any]:
    return {
        "mean": scores.mean_average_precision,
        "interval": list(scores.interval),
        "queries": len(scores.queries),
        "left_out": result.left_out,
        "skipped": len(result.skipped),
        "average_precisions": {item.id: item.average_precision for item in scores.queries},
    }


def _measured(value: Mapping[str, Any], protocol: Protocol, model: Backbone) -> Measured:
    low, high = value["interval"]
    whitening = protocol.whitening
    return Measured(
        mean=value["mean"],
        interval=(low, high),
        queries=value["queries"],
        left_out=value["left_out"],
        dimensions=model.channels if whitening is None else whitening.projection.shape[1],
        average_precisions=value["average_precisions"],
    )
