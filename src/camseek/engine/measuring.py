"""Measures encodings, or a collection, against a ground truth."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from camseek.backbones import Backbone, load_model, processors
from camseek.config import AveragePrecisionForm, Encoding, Limits, RegionReading, Settings
from camseek.datasets import GroundTruth, TruthQuery
from camseek.engine.encoder import Encoder
from camseek.engine.engine import Engine
from camseek.engine.indexing import Progress, Quiet
from camseek.engine.pipeline import ordered
from camseek.engine.reading import PictureReader
from camseek.engine.viewing import Attention, attention, grid_of, look
from camseek.errors import GroundTruthError, PictureError, RegionError, SettingsError, UnreadableFileError
from camseek.evaluation import EncodingScores, Evaluation, Overlap, QueryScore, overlap, score_query
from camseek.images import Picture, check_region, fingerprint, open_file, walk
from camseek.names import path_text
from camseek.numerics import is_usable
from camseek.results import Box, Skipped
from camseek.store import Collection

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

EvaluationReading = RegionReading | Literal["whole"]
"""How a query's region is read; ``whole`` takes no notice of it."""

# So many missing files are told.
_TOLD_NAMES = 3
# 4,096 descriptors of 1,280 dimensions are 40 MB in double precision.
_BLOCK = 4096


def evaluate(
    ground_truth: GroundTruth,
    *,
    encodings: Sequence[Encoding] | Mapping[str, Encoding] = (),
    settings: Settings | None = None,
    model: Backbone | None = None,
    reading: EvaluationReading = "crop",
    ap_form: AveragePrecisionForm = "mean",
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Evaluation:
    """Searches a ground truth's database with its queries and scores the rankings.

    Without ``engine`` every readable picture in the database folder is searched, and each goes through the
    network once for all encodings. With it the engine's collection is searched as it is: its pictures from
    elsewhere are distractors, and a picture counts under each of its names in the folder.

    Rankings go by falling cosine, equal ones by name (in a collection by record). Pictures on which the
    network sees nothing are never retrieved, a query of that kind finds nothing, and queries without
    positives are left out.

    Args:
        ground_truth: From ``read_ground_truth``.
        encodings: What to compare, all against the first, by their names or as canonical ones; none for that
            of ``settings``.
        settings: The size of the pictures and the layer (and the encoding, where none is named).
        model: The model; None for the embedded one.
        reading: How query regions are read.
        ap_form: How average precision is computed.
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Told how far it is.
        engine: A collection to measure; it brings its own encoding, settings and model.

    Raises:
        GroundTruthError: A query picture cannot be used, a region or box is outside its picture, no query has
            positives, or pictures of the database are not in the collection.
        SettingsError: Settings or encodings that are not the collection's, or a model with another layer.
        SourceError: The database folder cannot be read.
        ModelError: The model cannot be loaded.
        CollectionError: The collection cannot be read.
    """
    started = time.perf_counter()
    queries = [query for query in ground_truth.queries if query.positives]
    if not queries:
        raise GroundTruthError(
            f"{path_text(ground_truth.path)}: no query has a positive, so there is nothing to measure",
            remedy="name pictures of the database in good or ok",
        )
    if not isinstance(encodings, Mapping):
        encodings = {str(encoding): encoding for encoding in encodings}
    network = _network(engine, model, settings, encodings, limits or Limits())
    files, skipped = _pictures(ground_truth, queries)
    stored = _stored(engine.collection, ground_truth.database, files, skipped) if engine else None
    boxed = {os.path.join(ground_truth.database, name) for query in queries for name in query.boxes}
    to_read = files if stored is None else [path for path in files if path in boxed]
    reader = _Reader(network, workers or processors(), progress or Quiet())
    reader.progress.start(len(queries) + len(to_read))
    asked = reader.read_queries(ground_truth, queries, reading)
    read, overlaps = reader.read_database(ground_truth, to_read, asked, skipped, describe=stored is None)
    database = stored or read
    return Evaluation(
        ground_truth=ground_truth.path,
        collection=engine.collection.address if engine else None,
        settings=network.told(),
        form=ap_form,
        region_reading=reading,
        database=sum(path not in skipped for path in files),
        distractors=sum(not names for names in database.names),
        queries=len(ground_truth.queries),
        left_out=len(ground_truth.queries) - len(queries),
        encodings=tuple(
            EncodingScores(name, str(encoder.encoding), database.score(asked, place, ap_form))
            for place, (name, encoder) in enumerate(zip(network.names, network.encoders, strict=True))
        ),
        overlaps=overlaps,
        skipped=tuple(skipped[path] for path in sorted(skipped)),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with its descriptor for each encoding, (D,) each, and what to look for in the pictures."""

    query: TruthQuery
    descriptors: list[Float32[F32, " D"]]
    wanted: Attention


@dataclass(frozen=True, slots=True)
class _Database:
    """What is searched.

    Attributes:
        names: For each picture its names in the database folder; none for a distractor.
        vectors: For each encoding the pictures' descriptors, (N, D), zero where featureless.
    """

    names: list[tuple[bytes, ...]]
    vectors: list[Float32[F32, "N D"]]

    def score(
        self, asked: Sequence[_Asked], place: int, form: AveragePrecisionForm
    ) -> tuple[QueryScore, ...]:
        """Searches with every query under one encoding."""
        vectors = self.vectors[place]
        seen = np.flatnonzero(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1))
        vectors = vectors[seen]
        scores: list[QueryScore] = []
        for item in asked:
            descriptor, query = item.descriptors[place], item.query
            ranking: list[bytes | int] = []
            if is_usable(descriptor):
                # A stable sort: equal scores stay in the pictures' order.
                order = seen[np.argsort(-_cosines(vectors, descriptor), kind="stable")]
                for row in map(int, order):
                    ranking.extend(self.names[row] or (row,))
            scores.append(
                score_query(
                    query.id,
                    ranking,
                    query.positives,
                    query.junk,
                    form,
                    featureless=not is_usable(descriptor),
                )
            )
        return tuple(scores)


def _cosines(vectors: Float32[F32, "N D"], query: Float32[F32, " D"]) -> Float64[F64, " N"]:
    """Cosines of unit vectors, float64, each independent of its row's place: equal vectors, equal scores."""
    wide = query.astype(np.float64)
    blocks = [
        (vectors[start : start + _BLOCK].astype(np.float64) * wide).sum(axis=1)
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(blocks).clip(-1.0, 1.0) if blocks else np.empty(0)


@dataclass(frozen=True, slots=True)
class _Network:
    """A model, and the encodings of what it sees."""

    model: Backbone
    names: tuple[str, ...]
    encoders: tuple[Encoder, ...]
    reader: PictureReader

    def told(self) -> dict[str, Any]:
        """What it was measured with, plain values."""
        return {
            "model": self.model.card.name,
            "layer": self.model.layer,
            "longer_side": self.reader.longer_side,
            "whitened": self.encoders[0].whitening is not None,
        }

    def decode(self, path: bytes, region: Box | None = None) -> Picture:
        """Reads a picture, or a region of it, at the size for the network."""
        with open_file(path) as file:
            return self.reader.read(file, region)


def _network(
    engine: Engine | None,
    model: Backbone | None,
    settings: Settings | None,
    encodings: Mapping[str, Encoding],
    limits: Limits,
) -> _Network:
    """The engine's model and encoding, or those that were asked for."""
    if engine is not None:
        if model is not None:
            raise ValueError("an engine brings its own model")
        has = engine.settings
        if (settings or has) != has or any(item != has.encoding for item in encodings.values()):
            raise SettingsError(
                f"{engine.collection.address} was made with the encoding {has.encoding}, layer {has.layer} "
                f"and longer side {has.longer_side}, not with what was asked for",
                remedy="leave those options out, or measure the pictures without the collection",
            )
        names = tuple(encodings) or (str(has.encoding),)
        return _Network(engine.model.with_threads(1), names, (engine.encoder,) * len(names), engine.reader)
    settings = settings or Settings()
    model = model or load_model(layer=settings.layer)
    if model.layer != settings.layer:
        raise SettingsError(
            f"the model was loaded with the layer {model.layer}, not {settings.layer}",
            remedy=f"load the model with layer={settings.layer!r}",
        )
    wanted = encodings or {str(settings.encoding): settings.encoding}
    encoders = tuple(
        Encoder(encoding, model.classifier_weights, model.classifier_bias) for encoding in wanted.values()
    )
    reader = PictureReader.of(model, settings.longer_side, limits)
    return _Network(model.with_threads(1), tuple(wanted), encoders, reader)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Takes pictures through the network, several at a time."""

    network: _Network
    workers: int
    progress: Progress

    def read_queries(
        self, truth: GroundTruth, queries: Sequence[TruthQuery], reading: EvaluationReading
    ) -> list[_Asked]:
        """Describes the queries.

        Raises:
            GroundTruthError: A query's picture or region cannot be used.
        """
        asked: list[_Asked] = []
        for item in ordered(partial(self._ask, truth, reading), queries, workers=self.workers):
            asked.append(item)
            self.progress.step()
        return asked

    def _ask(self, truth: GroundTruth, reading: EvaluationReading, query: TruthQuery) -> _Asked:
        network, region = self.network, query.region if reading != "whole" else None
        try:
            picture = network.decode(query.image, region if reading == "crop" else None)
            if region is not None:
                check_region(region, picture.size)
        except (PictureError, RegionError) as error:
            key = "region" if isinstance(error, RegionError) else "image"
            raise _error(truth, query.id, key, error.message, remedy=error.remedy) from error
        activations = network.model.run(picture.pixels)
        cells = None
        inside = activations
        if region is not None and reading == "cells":
            cells = grid_of(picture, network.model.stride).cells(region)
            inside = network.encoders[0].inside(activations, cells)
        descriptors = [encoder.describe(activations, cells)[0] for encoder in network.encoders]
        return _Asked(query, descriptors, attention(inside))

    def read_database(
        self,
        truth: GroundTruth,
        paths: Sequence[bytes],
        asked: Sequence[_Asked],
        skipped: dict[bytes, Skipped],
        *,
        describe: bool,
    ) -> tuple[_Database, tuple[Overlap, ...]]:
        """Describes pictures, and compares the boxes drawn in them with the truth's.

        Args:
            truth: The ground truth.
            paths: Pictures of its database.
            asked: Its queries.
            skipped: Takes those that cannot be read.
            describe: Make descriptors; else the database that comes back is empty.

        Raises:
            GroundTruthError: A box reaches outside its picture.
        """
        encoders = self.network.encoders if describe else ()
        names: list[tuple[bytes, ...]] = []
        rows: list[list[Float32[F32, " D"]]] = [[] for _ in encoders]
        overlaps: list[Overlap] = []
        work = partial(self._look, truth, asked, encoders)
        for path, seen in zip(paths, ordered(work, paths, workers=self.workers), strict=True):
            self.progress.step()
            if isinstance(seen, Skipped):
                skipped[path] = seen
                continue
            descriptors, compared = seen
            names.append((os.path.relpath(path, truth.database),))
            for column, descriptor in zip(rows, descriptors, strict=True):
                column.append(descriptor)
            overlaps += compared
        width = self.network.model.channels
        vectors = [np.array(column, np.float32).reshape(-1, width) for column in rows]
        return _Database(names, vectors), tuple(overlaps)

    def _look(
        self, truth: GroundTruth, asked: Sequence[_Asked], encoders: Sequence[Encoder], path: bytes
    ) -> Skipped | tuple[list[Float32[F32, " D"]], list[Overlap]]:
        try:
            picture = self.network.decode(path)
        except PictureError as error:
            return Skipped(path, error.message, error.code)
        model = self.network.model
        activations = model.run(picture.pixels)
        name = os.path.relpath(path, truth.database)
        overlaps: list[Overlap] = []
        for item in asked:
            box = item.query.boxes.get(name)
            if box is None:
                continue
            if box[2] > picture.size[0] or box[3] > picture.size[1]:
                where = f"the box of {path_text(name)} reaches outside the picture, which is"
                size = f"{picture.size[0]} x {picture.size[1]} pixels"
                raise _error(truth, item.query.id, "boxes", f"{where} {size}", remedy="correct the file")
            drawn = look(model, picture, activations, item.wanted)[1]
            overlaps.append(overlap(item.query.id, name, box, drawn, picture.size))
        return [encoder.describe(activations)[0] for encoder in encoders], overlaps


def _pictures(truth: GroundTruth, queries: Sequence[TruthQuery]) -> tuple[list[bytes], dict[bytes, Skipped]]:
    """The pictures of the database folder, sorted, and what cannot be one of them."""
    found = walk(truth.database)
    paths = [file.path for file in found.files]
    skipped = {path: Skipped(path, reason, UnreadableFileError.code) for path, reason in found.unknown}
    skipped |= {item[0]: Skipped(*item) for item in found.skipped}
    named = {os.path.join(truth.database, name) for query in queries for name in query.positives}
    for path in named - set(paths) - set(skipped):
        # No search can find it: that must not look like a weakness of the encoding.
        reason = "it is not among the pictures of the folder: hidden, no picture, or behind a linked folder"
        skipped[path] = Skipped(path, reason, "not_found")
    return paths, skipped


def _stored(
    collection: Collection, folder: bytes, paths: Sequence[bytes], skipped: dict[bytes, Skipped]
) -> _Database:
    """A collection's descriptors, with the names that its pictures have in a folder.

    Raises:
        GroundTruthError: Pictures of the folder are not in it.
    """
    wanted = set(paths)
    with collection.snapshot():
        blocks = list(collection.descriptors())
        records = [record for numbers, _ in blocks for record in numbers.tolist()]
        pictures = collection.pictures(records)
        names = [
            tuple(os.path.relpath(path, folder) for path in pictures[record].paths if path in wanted)
            for record in records
        ]
        held = {path for record in records for path in pictures[record].paths}
        refused = {item.path: item for item in collection.info().skipped}
        missing: list[bytes] = []
        for path in paths:
            if path in held:
                continue
            if path in refused:
                skipped[path] = refused[path]
            elif not _is_featureless(collection, path, skipped):
                missing.append(path)
    if missing:
        some = ", ".join(path_text(path) for path in missing[:_TOLD_NAMES])
        raise GroundTruthError(
            f"{len(missing)} of {len(paths)} pictures of the database are not in {collection.address}: {some}"
            + (", ..." if len(missing) > _TOLD_NAMES else ""),
            remedy=f"index the folder {path_text(folder)} into that collection first",
        )
    width = collection.profile.dimensions
    vectors = np.concatenate([vectors for _, vectors in blocks] or [np.empty((0, width), np.float32)])
    return _Database(names, [vectors])


def _is_featureless(collection: Collection, path: bytes, skipped: dict[bytes, Skipped]) -> bool:
    """Whether a file without a descriptor is in a collection all the same, or cannot be read."""
    try:
        with open_file(path) as file:
            record = collection.find(fingerprint(file))
    except PictureError as error:
        skipped[path] = Skipped(path, error.message, error.code)
        return True
    return record is not None and path in collection.pictures([record])[record].paths


def _error(truth: GroundTruth, query: str, key: str, what: str, *, remedy: str) -> GroundTruthError:
    return GroundTruthError(f"{path_text(truth.path)}, query {query!r}, {key}: {what}", remedy=remedy)
