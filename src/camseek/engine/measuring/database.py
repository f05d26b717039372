"""The database: which pictures are searched, and their descriptors for every protocol in one pass."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy.typing import NDArray

from camseek.aggregation import aggregate
from camseek.backbones import Activations
from camseek.datasets import GroundTruth, TruthQuery
from camseek.engine.encoder import Encoder
from camseek.engine.indexing import Progress
from camseek.engine.measuring.asking import Asked, truth_error
from camseek.engine.measuring.scratch import Scratch
from camseek.engine.measuring.tasks import Key, Task, most_classes
from camseek.engine.pipeline import ordered
from camseek.engine.reading import PictureReader
from camseek.engine.viewing import look
from camseek.errors import GroundTruthError, PictureError, UnreadableFileError
from camseek.evaluation import Overlap, overlap
from camseek.images import Picture, fingerprint, open_file, walk
from camseek.names import path_text
from camseek.numerics import l2_normalise
from camseek.results import Skipped
from camseek.store import Collection
from camseek.whitening import apply_whitening

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# So many missing files are told.
_TOLD_NAMES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The pictures that are searched.

    Attributes:
        paths: A file of each.
        names: Its names in the database folder; none for a distractor.
        contents: SHA-256 of each file, where it is known already; else filled while they are read.
        stored: A collection's descriptors, (N, D), or None where pictures are described.
        skipped: Files that cannot be used, by their names.
        distractors: How many are positive to no query by their nature.
        expected: Files of the database folder.
    """

    paths: list[bytes]
    names: list[tuple[bytes, ...]]
    contents: list[bytes]
    stored: Float32[F32, "N D"] | None
    skipped: dict[bytes, Skipped]
    distractors: int
    expected: list[bytes]

    @property
    def database(self) -> int:
        """Pictures of the database folder that could be used."""
        return sum(path not in self.skipped for path in self.expected)


def read_rows(truth: GroundTruth, queries: Sequence[TruthQuery], collection: Collection | None) -> Rows:
    """The pictures of the database and its distractors, or of a collection.

    Raises:
        SourceError: A folder cannot be read.
        GroundTruthError: Pictures of the database are not in the collection.
    """
    if truth.files is None:
        paths, skipped = _walked(truth.database)
    else:
        paths = [os.path.join(truth.database, name) for name in truth.files]
        skipped = {}
    named = {os.path.join(truth.database, name) for query in queries for name in query.positives}
    for path in named - set(paths) - set(skipped):
        # No search can find it: that must not look like a weakness of the encoding.
        reason = "it is not among the pictures of the folder: hidden, no picture, or behind a linked folder"
        skipped[path] = Skipped(path, reason, "not_found")
    if collection is not None:
        return _stored(collection, truth.database, paths, skipped)
    names = [(os.path.relpath(path, truth.database),) for path in paths]
    rows = Rows(list(paths), names, [b""] * len(paths), None, skipped, 0, paths)
    count = 0
    for folder in truth.distractors:
        others, refused = _walked(folder)
        rows.paths.extend(others)
        rows.names.extend([()] * len(others))
        rows.contents.extend([b""] * len(others))
        skipped |= refused
        count += len(others)
    return Rows(rows.paths, rows.names, rows.contents, None, skipped, count, paths)


def _walked(folder: bytes) -> tuple[list[bytes], dict[bytes, Skipped]]:
    """The pictures of a folder, sorted, and what cannot be one of them."""
    found = walk(folder)
    skipped = {path: Skipped(path, reason, UnreadableFileError.code) for path, reason in found.unknown}
    skipped |= {item[0]: Skipped(*item) for item in found.skipped}
    return [file.path for file in found.files], skipped


def _stored(collection: Collection, folder: bytes, paths: list[bytes], skipped: dict[bytes, Skipped]) -> Rows:
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
    # Of a picture's files, one in the database where there is one.
    files = [next((path for path in pictures[record].paths if path in wanted), None) for record in records]
    chosen = [
        path or next(iter(pictures[record].paths), b"") for path, record in zip(files, records, strict=True)
    ]
    contents = [pictures[record].content for record in records]
    return Rows(chosen, names, contents, vectors, skipped, sum(not item for item in names), paths)


def _is_featureless(collection: Collection, path: bytes, skipped: dict[bytes, Skipped]) -> bool:
    """Whether a file without a descriptor is in a collection all the same, or cannot be read."""
    try:
        with open_file(path) as file:
            record = collection.find(fingerprint(file))
    except PictureError as error:
        skipped[path] = Skipped(path, error.message, error.code)
        return True
    return record is not None and path in collection.pictures([record])[record].paths


def rows_to_look_at(
    rows: Rows, tasks: Sequence[Task], queries: Sequence[TruthQuery], *, boxes: bool
) -> list[int]:
    """The pictures that must go through the network: all, or those with boxes of a collection as it is."""
    if rows.stored is None or any(task.protocol.plan.aggregation != "offline" for task in tasks):
        return list(range(len(rows.paths)))
    boxed = {name for query in queries for name in query.boxes} if boxes else set[bytes]()
    return [row for row, names in enumerate(rows.names) if not boxed.isdisjoint(names)]


@dataclass(frozen=True, slots=True, eq=False)
class _Offline:
    """Descriptors that differ in their number of classes and their whitening alone.

    Attributes:
        encoder: Gives the largest number of unwhitened vectors.
        tasks: For each whitening, and each number of classes, a task and its descriptors, (N, D).
    """

    encoder: Encoder
    tasks: Mapping[str | None, Mapping[int, tuple[Task, Float32[F32, "N D"]]]]

    def describe(self, activations: Activations, row: int) -> None:
        """Describes a picture for all of them."""
        parts = self.encoder.parts(activations)
        for by_count in self.tasks.values():
            whitening = next(iter(by_count.values()))[0].encoder.whitening
            whitened = parts if whitening is None else apply_whitening(parts, whitening)
            for count, (task, descriptors) in by_count.items():
                own = whitened[:, :count] if task.encoder.encoding.name == "cam" else whitened
                descriptors[row] = own[0, 0] if own.shape[1] == 1 else aggregate(own)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Online:
    """Pictures described with the classes of each query.

    Attributes:
        members: (Q, U), 1 where a query sums a class of the union.
        queries: (Q, D): the queries' descriptors.
        scores: (Q, N): cosines, NaN where a picture shows none of the query's classes.
        entries: (Q, N, D): the descriptors, kept where an expansion needs them.
    """

    members: Float32[F32, "Q U"]
    queries: Float32[F32, "Q D"]
    scores: Float64[F64, "Q N"]
    entries: Float32[F32, "Q N D"] | None

    def describe(self, vectors: Float32[F32, "U D"], row: int) -> None:
        """Describes a picture for all queries, from its whitened class vectors: exact."""
        descriptors = l2_normalise(self.members @ vectors)
        cosines = (descriptors.astype(np.float64) * self.queries.astype(np.float64)).sum(axis=1)
        self.scores[:, row] = np.where(descriptors.any(axis=1), cosines.clip(-1, 1), np.nan)
        if self.entries is not None:
            self.entries[:, row] = descriptors


@dataclass(frozen=True, slots=True, eq=False)
class _Union:
    """The classes of all queries, for one encoder."""

    encoder: Encoder
    classes: Int64[I64, "1 U"]
    members: Sequence[Online]

    def describe(self, activations: Activations, row: int) -> None:
        """Describes a picture for all queries of all protocols with this encoder."""
        vectors = self.encoder.parts(activations, classes=self.classes)
        if self.encoder.whitening is not None:
            vectors = apply_whitening(vectors, self.encoder.whitening)
        for online in self.members:
            online.describe(vectors[0], row)


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Descriptors of the pictures.

    Attributes:
        offline: (N, D) for each ``Task.pictures``; zero where featureless or unreadable.
        online: For each ``Task.online_key``.
        readable: (N,): whether each picture could be read, where it was.
        overlaps: Boxes drawn, compared with the truth's.
    """

    offline: dict[Key, Float32[F32, "N D"]]
    online: dict[Key, Online]
    readable: Bool[NDArray[np.bool_], " N"]
    overlaps: list[Overlap]


@dataclass(frozen=True, slots=True, eq=False)
class Describer:
    """Takes the pictures through the network, once for all protocols."""

    truth: GroundTruth
    tasks: Sequence[Task]
    asked: Sequence[Asked]
    rows: Rows
    reader: PictureReader
    scratch: Scratch
    boxes: bool
    _work: list[Any] = field(default_factory=list[Any])

    def run(self, wanted: Sequence[int], workers: int, progress: Progress) -> Described:
        """Describes pictures; those that cannot be read are told in ``rows``.

        Args:
            wanted: Their rows, from ``rows_to_look_at``.
            workers: Threads.
            progress: Told of each.

        Raises:
            GroundTruthError: A box reaches outside its picture.
        """
        offline, online = self._prepare_offline(), self._prepare_online()
        boxed = {name for item in self.asked for name in item.query.boxes} if self.boxes else set[bytes]()
        readable = np.ones(len(self.rows.paths), bool)
        overlaps: list[Overlap] = []
        found = ordered(partial(self._look, boxed), wanted, workers=workers)
        for row, seen in zip(wanted, found, strict=True):
            progress.step()
            if isinstance(seen, Skipped):
                self.rows.skipped[seen.path] = seen
                readable[row] = False
            else:
                overlaps += seen
        return Described(offline, online, readable, overlaps)

    def _prepare_offline(self) -> dict[Key, Float32[F32, "N D"]]:
        tasks = [task for task in self.tasks if task.online is None]
        arrays: dict[Key, Float32[F32, "N D"]] = {}
        if self.rows.stored is not None:
            own = [task for task in tasks if task.protocol.plan.aggregation == "offline"]
            arrays = {task.pictures: self.rows.stored for task in own}
        work: dict[Key, list[Task]] = {}
        for task in tasks:
            if task.pictures not in arrays:
                arrays[task.pictures] = self.scratch.array((len(self.rows.paths), task.dimensions))
                work.setdefault(task.vectors, []).append(task)
        for same in work.values():
            grouped: dict[str | None, dict[int, tuple[Task, F32]]] = {}
            for task in same:
                counts = grouped.setdefault(task.pictures[-1], {})
                counts[task.encoder.encoding.classes] = task, arrays[task.pictures]
            largest = next(task for task in same if task.encoder.encoding.classes == most_classes(same))
            self._work.append(_Offline(largest.encoder, grouped))
        return arrays

    def _prepare_online(self) -> dict[Key, Online]:
        grouped: dict[Key, dict[Key, list[int]]] = {}
        for place, task in enumerate(self.tasks):
            if task.online is not None:
                same = grouped.setdefault((*task.vectors, task.pictures[-1]), {})
                same.setdefault(task.online_key, []).append(place)
        found: dict[Key, Online] = {}
        for same in grouped.values():
            places = [place for group in same.values() for place in group]
            chosen = {number for place in places for own in self._classes(place) for number in own}
            union = np.array(sorted(chosen), np.int64)
            online = {key: self._online(group, union) for key, group in same.items()}
            self._work.append(_Union(self.tasks[places[0]].encoder, union[None], list(online.values())))
            found |= online
        return found

    def _classes(self, place: int) -> list[list[int]]:
        return [
            [] if ready.classes is None else ready.classes[0].tolist()
            for ready in (item.ready[place] for item in self.asked)
        ]

    def _online(self, places: Sequence[int], union: Int64[I64, " U"]) -> Online:
        queries = np.stack([item.ready[places[0]].descriptor for item in self.asked])
        members = np.stack([np.isin(union, chosen) for chosen in self._classes(places[0])])
        shape = len(self.asked), len(self.rows.paths)
        expands = any(self.tasks[place].protocol.plan.expand for place in places)
        entries = self.scratch.array((*shape, queries.shape[1])) if expands else None
        scores = self.scratch.array(shape, np.float64)
        scores[...] = np.nan
        return Online(members.astype(np.float32), queries, scores, entries)

    def _look(self, boxed: set[bytes], row: int) -> Skipped | list[Overlap]:
        path = self.rows.paths[row]
        try:
            with open_file(path) as file:
                if not self.rows.contents[row]:
                    self.rows.contents[row] = fingerprint(file)
                picture = self.reader.read(file)
        except PictureError as error:
            return Skipped(path, error.message, error.code)
        activations = self.tasks[0].model.run(picture.pixels)
        for work in self._work:
            work.describe(activations, row)
        if boxed.isdisjoint(self.rows.names[row]):
            return []
        return self._compare(picture, activations, self.rows.names[row])

    def _compare(self, picture: Picture, activations: Activations, names: tuple[bytes, ...]) -> list[Overlap]:
        """The boxes drawn in a picture against the truth's."""
        overlaps: list[Overlap] = []
        for item in self.asked:
            for name in names:
                box = item.query.boxes.get(name)
                if box is None:
                    continue
                if box[2] > picture.size[0] or box[3] > picture.size[1]:
                    where = f"the box of {path_text(name)} reaches outside the picture, which is"
                    size = f"{picture.size[0]} x {picture.size[1]} pixels"
                    raise truth_error(
                        self.truth, item.query.id, "boxes", f"{where} {size}", remedy="correct the file"
                    )
                drawn = look(self.tasks[0].model, picture, activations, item.wanted)[1]
                overlaps.append(overlap(item.query.id, name, box, drawn, picture.size))
        return overlaps
