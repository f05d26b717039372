"""The database: which pictures are searched, and their descriptors for every protocol in one pass."""

import os
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float32

from camseek.backbones import Backbone
from camseek.datasets import GroundTruth, TruthQuery
from camseek.encoding.activations import Activations
from camseek.encoding.encoder import Encoder, add_up
from camseek.errors import GroundTruthError, PictureError
from camseek.evaluation import Overlap, overlap
from camseek.extraction.attention import Attention, look
from camseek.extraction.extractor import Extraction, Extractor, FileMaps
from camseek.extraction.faults import tried
from camseek.extraction.traces import traces_of
from camseek.images import fingerprint, open_file, walk
from camseek.job import Job
from camseek.lab.measuring.answers import Answers
from camseek.lab.measuring.asking import truth_error
from camseek.lab.measuring.scratch import Scratch
from camseek.lab.measuring.tasks import Key, Task, most_classes
from camseek.matching.words import WordPoints
from camseek.names import path_text
from camseek.numerics import F32
from camseek.results import Size, Skipped
from camseek.searching.database import StoredPoints
from camseek.searching.looks import LookSet
from camseek.store import FINE, POINTS, TRACES, Collection, MemoryVectors, StoredPicture

# So many missing files are told.
_TOLD_NAMES = 3
# Pictures whose points are read at a time.
_TOGETHER = 500


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The pictures that are searched.

    Attributes:
        paths: A file of each.
        names: Its names in the database folder; none for a distractor.
        contents: SHA-256 of each file, where it is known already; else filled while they are read.
        stored: A collection's descriptors by row, or None where pictures are described.
        skipped: Files that cannot be used, by their names.
        distractors: How many are positive to no query by their nature.
        expected: Files of the database folder.
        collection: The collection whose pictures they are, or None.
        pictures: Of a collection, each row's.
    """

    paths: list[bytes]
    names: list[tuple[bytes, ...]]
    contents: list[bytes]
    stored: MemoryVectors | None
    skipped: dict[bytes, Skipped]
    distractors: int
    expected: list[bytes]
    collection: Collection | None = None
    pictures: Sequence[StoredPicture] = ()

    def see(self, extractor: Extractor, row: int) -> Extraction | Skipped:
        """A picture, or why it cannot be used: of a collection as a search of it sees it again."""
        if self.collection is None:
            return extractor.try_file(self.paths[row])
        return FileMaps(extractor, self.collection.traces).see(self.pictures[row])

    @property
    def database(self) -> int:
        """Pictures of the database folder that could be used."""
        return sum(path not in self.skipped for path in self.expected)


def read_rows(
    truth: GroundTruth,
    queries: Sequence[TruthQuery],
    collection: Collection | None,
    *,
    generation: int | None = None,
) -> Rows:
    """The pictures of the database and its distractors, or of a collection.

    Args:
        truth: The ground truth.
        queries: Its queries.
        collection: The collection, or None for the pictures of the folder.
        generation: Of the descriptors that the queries will be made for; None for whichever there are.

    Raises:
        CollectionChangedError: The collection's descriptors are of another generation.
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
        return _stored(collection, truth.database, paths, skipped, generation)
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
    skipped = {item[0]: Skipped(*item) for item in (*found.unknown, *found.skipped)}
    return [file.path for file in found.files], skipped


def _stored(
    collection: Collection,
    folder: bytes,
    paths: list[bytes],
    skipped: dict[bytes, Skipped],
    generation: int | None,
) -> Rows:
    wanted = set(paths)
    with collection.snapshot():
        records = collection.vectors.records()
        vectors = collection.vectors.of(records, generation=generation)
        known = collection.catalogue.pictures(records.tolist())
        refused = {item.path: item for item in collection.catalogue.info().skipped}
    pictures = [known[record] for record in records.tolist()]
    held = {path for picture in pictures for path in picture.paths}
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
    names = [
        tuple(os.path.relpath(path, folder) for path in picture.paths if path in wanted)
        for picture in pictures
    ]
    return Rows(
        # Of a picture's files, one in the database where there is one.
        [next((path for path in picture.paths if path in wanted), picture.paths[0]) for picture in pictures],
        names,
        [picture.content for picture in pictures],
        MemoryVectors(np.arange(len(pictures)), vectors),
        skipped,
        sum(not item for item in names),
        paths,
        collection,
        pictures,
    )


def _is_featureless(collection: Collection, path: bytes, skipped: dict[bytes, Skipped]) -> bool:
    """Whether a file without a descriptor is in a collection all the same, or cannot be read."""
    try:
        with open_file(path) as file:
            record = collection.catalogue.find(fingerprint(file))
    except PictureError as error:
        skipped[path] = Skipped(path, error.message, error.code)
        return True
    return record is not None and path in collection.catalogue.pictures([record])[record].paths


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
            whitened = next(iter(by_count.values()))[0].encoder.whiten(parts)
            for count, (task, descriptors) in by_count.items():
                own = whitened[:, :count] if task.encoder.encoding.name == "cam" else whitened
                descriptors[row] = add_up(own)[0]


@dataclass(frozen=True, slots=True, eq=False)
class FirstPass:
    """Takes the pictures through the network, once for all protocols of a group.

    Attributes:
        tasks: The protocols.
        rows: The pictures; those that cannot be read are told there.
        scratch: Gives arrays.
        answers: Takes what stages will want to know of every picture.
        parts: What plans compare of pictures beside descriptors, of ``camseek.config.PARTS``.
        boxed: Names in the database of pictures with boxes in the truth, to compare with ours.
        compare: Compares the boxes of a picture; raises ``GroundTruthError`` for one outside it.
    """

    tasks: Sequence[Task]
    rows: Rows
    scratch: Scratch
    answers: Answers
    parts: Sequence[str]
    boxed: AbstractSet[bytes]
    compare: "Callable[[Extraction, tuple[bytes, ...]], list[Overlap]]"

    def run(
        self, extractor: Extractor, looks: LookSet, job: Job
    ) -> tuple[dict[Key, MemoryVectors], list[Overlap]]:
        """Describes the pictures that must go through the network: all, or those with boxes.

        Args:
            extractor: Reads them, one thread a pass.
            looks: What stages will want to know of every picture.
            job: Threads; told of each picture.

        Returns:
            The descriptors for each ``Task.pictures``, and the boxes drawn, compared with the truth's.
        """
        arrays, work = self._prepare()
        if self.parts and self.rows.collection is not None:
            self._take_stored(self.rows.collection)
        wanted = range(len(self.rows.paths))
        if self.rows.stored is not None and not looks.looks:
            wanted = [row for row in wanted if not self.boxed.isdisjoint(self.rows.names[row])]
        job.progress.start(len(wanted))
        overlaps: list[Overlap] = []
        found = job.map(partial(self._look, extractor, looks, work), wanted)
        for row, seen in zip(wanted, found, strict=True):
            job.progress.step()
            if isinstance(seen, Skipped):
                self.rows.skipped[seen.path] = seen
                self.answers.unreadable(row, seen.reason)
            else:
                overlaps += seen
        records = np.arange(len(self.rows.paths))
        vectors = {key: MemoryVectors(records, array) for key, array in arrays.items()}
        if self.rows.stored is not None:
            vectors |= {task.pictures: self.rows.stored for task in self.tasks}
        return vectors, overlaps

    def _take_stored(self, collection: Collection) -> None:
        """The points of a collection's pictures, as a search of it finds them."""
        for start in range(0, len(self.rows.pictures), _TOGETHER):
            some = self.rows.pictures[start : start + _TOGETHER]
            for part in self.parts:
                traces = collection.traces.get(TRACES[part], [picture.record for picture in some])
                for row, picture in enumerate(some, start):
                    if picture.record in traces:
                        self._take(row, part, traces[picture.record], picture.size)

    def _take(self, row: int, part: str, data: bytes, size: Size) -> None:
        if part == POINTS:
            self.answers.take_points(row, StoredPoints(WordPoints.unpack(data, size), size))
        elif part == FINE:
            self.answers.take_fine(row, data, size)
        else:
            self.answers.take_sketch(row, data)

    def _prepare(self) -> tuple[dict[Key, Float32[F32, "N D"]], list[_Offline]]:
        """Arrays for descriptors, where a collection does not bring them, and what fills these."""
        arrays: dict[Key, Float32[F32, "N D"]] = {}
        same: dict[Key, list[Task]] = {}
        if self.rows.stored is not None:
            return {}, []
        lengths: dict[int, dict[Key, Task]] = {}
        for task in self.tasks:
            lengths.setdefault(task.dimensions, {}).setdefault(task.pictures, task)
        for length, tasks in lengths.items():
            # One array for all of a length: a figure has hundreds of protocols.
            block = self.scratch.array((len(tasks), len(self.rows.paths), length))
            arrays |= dict(zip(tasks, block, strict=True))
            for task in tasks.values():
                same.setdefault(task.vectors, []).append(task)
        work: list[_Offline] = []
        for tasks in same.values():
            grouped: dict[str | None, dict[int, tuple[Task, F32]]] = {}
            for task in tasks:
                counts = grouped.setdefault(task.pictures[-1], {})
                counts[task.encoder.encoding.classes] = task, arrays[task.pictures]
            largest = next(task for task in tasks if task.encoder.encoding.classes == most_classes(tasks))
            work.append(_Offline(largest.encoder, grouped))
        return arrays, work

    def _look(
        self, extractor: Extractor, looks: LookSet, work: Sequence[_Offline], row: int
    ) -> Skipped | list[Overlap]:
        return tried(self.rows.paths[row], partial(self._answer, extractor, looks, work, row))

    def _answer(
        self, extractor: Extractor, looks: LookSet, work: Sequence[_Offline], row: int
    ) -> Skipped | list[Overlap]:
        seen = self.rows.see(extractor, row)
        if isinstance(seen, Skipped):
            return seen
        self.rows.contents[row] = self.rows.contents[row] or seen.content
        if self.rows.collection is None:
            for part in self.parts:  # as they come out of a collection
                data = traces_of(seen, [part], extractor.model)[TRACES[part]]
                self._take(row, part, data, seen.picture.size)
        for offline in work:
            offline.describe(seen.activations, row)
        self.answers.take(row, looks, seen)
        if self.boxed.isdisjoint(self.rows.names[row]):
            return []
        return self.compare(seen, self.rows.names[row])


def compare_boxes(
    truth: GroundTruth,
    queries: Sequence[tuple[TruthQuery, Attention]],
    model: Backbone,
    seen: Extraction,
    names: Sequence[bytes],
) -> list[Overlap]:
    """The boxes drawn in a picture against the truth's.

    Args:
        truth: The ground truth.
        queries: Its queries, and what is looked for of each.
        model: The network.
        seen: The picture.
        names: Its names in the database.

    Raises:
        GroundTruthError: A box reaches outside its picture.
    """
    overlaps: list[Overlap] = []
    size = seen.picture.size
    for query, wanted in queries:
        for name in names:
            box = query.boxes.get(name)
            if box is None:
                continue
            if box[2] > size[0] or box[3] > size[1]:
                where = f"the box of {path_text(name)} reaches outside the picture, which is"
                what = f"{where} {size[0]} x {size[1]} pixels"
                raise truth_error(truth, query.id, "boxes", what, remedy="correct the file")
            overlaps.append(overlap(query.id, name, box, look(model, seen, wanted)[1], size))
    return overlaps
