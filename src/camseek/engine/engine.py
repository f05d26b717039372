"""The engine: a collection and the model that reads it. The only composition of stages."""

import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, get_args

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from camseek.backbones import Backbone, load_model, processors
from camseek.config import Limits, Plan, RegionReading, Settings
from camseek.engine.classes import ClassTally, tally
from camseek.engine.encoder import Encoder
from camseek.engine.fitting import new_profile, require_model, require_settings
from camseek.engine.indexing import IndexRun, Progress, Quiet
from camseek.engine.pipeline import ordered
from camseek.engine.querying import QueryPart, read_query
from camseek.engine.reading import PictureReader
from camseek.engine.searching import Found, Search
from camseek.engine.sources import Source, find_files, find_pictures
from camseek.engine.viewing import Attention, Located, class_scores, locate
from camseek.errors import NoCollectionError, SourceError
from camseek.images import Picture
from camseek.names import absolute, path_text
from camseek.results import Box, Hit, IndexReport, Query, QueryPicture, SearchResult
from camseek.store import (
    ADDED_BY_HAND,
    Collection,
    DescriptorIndex,
    Writer,
    create_collection,
    open_collection,
)
from camseek.whitening import Whitening

if TYPE_CHECKING:
    from camseek.engine.refitting import FitReport

F32 = NDArray[np.float32]
Item = TypeVar("Item")

# So many of the query's classes are told; the descriptor may sum more.
_TOLD_CLASSES = 5


class Engine:
    """Indexes pictures into a collection and searches it.

    The model is loaded when it is first needed. An engine may be used from several threads, one at a time.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        model: Backbone | None = None,
        limits: Limits | None = None,
        workers: int | None = None,
        keep_descriptors: bool = True,
    ) -> None:
        """Puts a collection and a model together.

        Args:
            collection: An open collection; ``close`` closes it.
            model: The model it was made with; None for the embedded one.
            limits: What this machine may spend on one picture.
            workers: Threads for batch work; None for one a core.
            keep_descriptors: Hold the descriptors in memory between searches. A single search is quicker
                without.

        Raises:
            SettingsError: The collection was made with another model.
        """
        self.collection = collection
        self._limits = limits or Limits()
        self._workers = workers or processors()
        self._model: Backbone | None = None
        self._worker_model: Backbone | None = None
        self._encoder: Encoder | None = None
        self._encoder_of = -1
        # Threads that work beside each other need the model at the same moment; one of them loads it.
        self._loading = threading.RLock()
        self._index = DescriptorIndex(collection) if keep_descriptors else None
        if model is not None:
            self._model = require_model(model, collection)

    @classmethod
    def open(
        cls,
        address: str | os.PathLike[str],
        *,
        model: Backbone | None = None,
        settings: Settings | None = None,
        whitening: Whitening | None = None,
        create: bool = False,
        limits: Limits | None = None,
        workers: int | None = None,
        keep_descriptors: bool = True,
    ) -> "Engine":
        """Opens a collection, or makes it.

        Args:
            address: The collection's folder.
            model: The model; None for the embedded one.
            settings: What a new collection is made with, and what an existing one must have been made with;
                None for the defaults and for whatever it has.
            whitening: What a new collection's descriptors are whitened with; an existing one keeps its own.
            create: Make the collection if there is none.
            limits: What this machine may spend on one picture.
            workers: Threads for batch work; None for one a core.
            keep_descriptors: Hold the descriptors in memory between searches.

        Raises:
            CollectionError: It cannot be opened or made.
            SettingsError: It was made with another model or other settings.
            ModelError: The model cannot be loaded.
        """
        try:
            collection = open_collection(os.fspath(address))
        except NoCollectionError:
            if not create:
                raise
            wanted = settings or Settings()
            model = model or load_model(layer=wanted.layer)
            collection = create_collection(os.fspath(address), new_profile(model, wanted, whitening))
        try:
            require_settings(collection, settings)
            return cls(
                collection,
                model=model,
                limits=limits,
                workers=workers,
                keep_descriptors=keep_descriptors,
            )
        except BaseException:
            collection.close()
            raise

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the collection."""
        self.collection.close()

    @property
    def settings(self) -> Settings:
        """The settings of the collection."""
        return self.collection.profile.settings

    @property
    def model(self) -> Backbone:
        """The model, loaded now if it was not.

        Raises:
            ModelError: It cannot be loaded.
            SettingsError: The collection was made with another.
        """
        with self._loading:
            if self._model is None:
                self._model = require_model(load_model(layer=self.settings.layer), self.collection)
            return self._model

    @property
    def encoder(self) -> Encoder:
        """What makes descriptors, as the collection wants them."""
        with self._loading:
            profile = self.collection.profile
            # Another process may have fitted a whitening meanwhile.
            if self._encoder is None or self._encoder_of != profile.generation:
                whitening, self._encoder_of = profile.whitening, profile.generation
                self._encoder = Encoder(
                    self.settings.encoding,
                    self.model.classifier_weights,
                    self.model.classifier_bias,
                    Whitening.from_bytes(whitening) if whitening is not None else None,
                    np.array(self.settings.predefined, np.int64) if self.settings.predefined else None,
                )
            return self._encoder

    @property
    def reader(self) -> PictureReader:
        """How pictures are read, as the collection and the model want them."""
        return PictureReader.of(self.model, self.settings.size, self._limits)

    # -- bringing pictures in and out ---------------------------------------------------------------------

    def index(
        self,
        root: str | os.PathLike[str],
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        allow_removal: bool = False,
        progress: Progress | None = None,
    ) -> IndexReport:
        """Makes the collection hold what a folder holds: new, changed and gone pictures are brought in line.

        Only what this root brought is touched. What was done is kept whenever the run ends.

        Args:
            root: The folder.
            include: Patterns of the files to take; all where there are none.
            exclude: Patterns of files and folders to leave out.
            allow_removal: Let a root that is suddenly empty or missing take its pictures along.
            progress: Told how far the run is.

        Raises:
            SourceError: The folder is missing, unreadable, empty, or suddenly empty.
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        started = time.perf_counter()
        name = absolute(root)
        with self.collection.write(_command("index")) as writer:
            found = find_pictures(name, include=include, exclude=exclude, known=self._knows(name))
            report = IndexReport(self.collection.address)
            run = self._run(writer, report, writer.root(name), progress)
            run.reconcile(name, found, allow_removal=allow_removal)
        report.seconds = time.perf_counter() - started
        return report

    def add(
        self, paths: Iterable[str | os.PathLike[str]], *, progress: Progress | None = None
    ) -> IndexReport:
        """Brings in single files; they stay until ``remove``, whatever becomes of them.

        Raises:
            SourceError: A folder is among them.
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        started = time.perf_counter()
        files, skipped = find_files(absolute(path) for path in paths)
        report = IndexReport(self.collection.address, skipped=skipped)
        with self.collection.write(_command("add")) as writer:
            self._run(writer, report, ADDED_BY_HAND, progress).add(files)
        report.seconds = time.perf_counter() - started
        return report

    def fit(
        self,
        *,
        on: str | os.PathLike[str] | None = None,
        dimensions: int | None = None,
        sample_classes: int | None = None,
        max_samples: int = 20_000,
        allow_removal: bool = False,
        progress: Progress | None = None,
    ) -> "FitReport":
        """Fits PCA-whitening on the user's own pictures and encodes the collection anew (METHOD step 5).

        ``camseek.engine.refitting.fit`` says what the arguments are and what is raised.
        """
        from camseek.engine import refitting

        return refitting.fit(
            self,
            on=on,
            dimensions=dimensions,
            sample_classes=sample_classes,
            max_samples=max_samples,
            allow_removal=allow_removal,
            workers=self._workers,
            progress=progress,
        )

    def remove(self, paths: Iterable[str | os.PathLike[str]]) -> tuple[int, list[bytes]]:
        """Takes files, and whatever lies under folders, out of the collection; the disk is not touched.

        Files that could not be used are forgotten, and so are roots of which nothing is left. Files that
        still lie in an indexed folder come back with its next index run.

        Returns:
            How many files left, and the names of which nothing was known.

        Raises:
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        removed, unknown = 0, list[bytes]()
        with self.collection.write(_command("remove")) as writer:
            known = writer.files()
            for path in paths:
                name = absolute(path)
                under = name.rstrip(b"/") + b"/"
                found = [file for file in known if file == name or file.startswith(under)]
                left = writer.release(found, None)
                removed += len(left)
                if not writer.forget(name) and not found:
                    unknown.append(name)
                for file in left:
                    del known[file]
        return removed, unknown

    def _knows(self, root: bytes) -> bool:
        return root in self.collection.info().roots

    def _run(self, writer: Writer, report: IndexReport, root: int, progress: Progress | None) -> IndexRun:
        return IndexRun(
            writer,
            self._describe,
            report,
            root=root,
            reader=self.reader,
            workers=self._workers,
            progress=progress or Quiet(),
        )

    def _describe(self, picture: Picture) -> Float32[F32, " D"]:
        return self.encoder.describe(self._in_worker().run(picture.pixels))[0]

    def _in_worker(self) -> Backbone:
        """The model for threads that work beside each other: one core each."""
        with self._loading:
            if self._worker_model is None:
                self._worker_model = self.model.with_threads(1)
            return self._worker_model

    # -- searching ----------------------------------------------------------------------------------------

    def search(
        self,
        query: Source | Sequence[QueryPart],
        *,
        region: Box | None = None,
        reading: RegionReading = "crop",
        top: int = 20,
        plan: Plan | None = None,
        boxes: bool = True,
        without_self: bool = False,
        views: bool = False,
        progress: Progress | None = None,
    ) -> SearchResult:
        """Finds the pictures that show the same thing.

        Args:
            query: The query picture, or several pictures or regions of one thing.
            region: The box of the thing in a single picture, pixels of the upright picture, half-open; None
                for all of it.
            reading: How a region is read: ``crop`` encodes its pixels alone, ``cells`` crops the maps of the
                whole picture (METHOD, "Query").
            top: How many hits at most, 1 or more.
            plan: Aggregation, re-ranking and expansion; None to compare stored descriptors alone.
            boxes: Box where the network looks for the query's classes in each hit; reads the hits' files.
            without_self: Leave the query's own pictures out, known by their content.
            views: Keep the pictures and heat maps, for a report.
            progress: Told how many pictures the plan looks at.

        Raises:
            PictureError: The query is no picture that can be used.
            RegionError: The region is empty, reversed or outside the picture.
            FeaturelessError: The network sees nothing in the query.
            SettingsError: The plan does not fit the model.
            CollectionError: The collection cannot be read.
        """
        if top < 1:
            raise ValueError(f"top is {top}, below 1")
        if reading not in get_args(RegionReading):
            raise ValueError(f"there is no region reading {reading!r}")
        started = time.perf_counter()
        plan = plan or Plan()
        sought = read_query(_parts(query, region), self.model, self.encoder, self.reader, reading)
        wanted = sought.attention(plan.attend)
        # One thread a picture where many are looked at; a plain search never loads that model.
        model = self._in_worker() if plan.looks or boxes or views else self.model
        with self.collection.snapshot():
            search = Search(
                collection=self.collection,
                index=self._index,
                model=model,
                encoder=self.encoder,
                reader=self.reader,
                workers=self._workers,
                progress=progress or Quiet(),
            )
            found, searched = search.run(
                sought, plan, top=top, without_self=without_self, boxes=wanted if boxes or views else None
            )
        located = self._locate(found, wanted, views=views) if boxes or views else [None] * len(found)
        return SearchResult(
            query=Query(
                tuple(QueryPicture(part.name, part.part.region, part.picture.size) for part in sought.parts),
                class_scores(self.model, sought.scores, _TOLD_CLASSES),
            ),
            collection=self.collection.address,
            settings={
                **self.settings.to_json(),
                "model": self.collection.profile.model,
                "region_reading": reading if any(part.part.region for part in sought.parts) else None,
                "top": top,
                "plan": plan.to_json(),
                "boxes": boxes,
                "without_self": without_self,
            },
            seconds=time.perf_counter() - started,
            searched=searched,
            hits=tuple(map(_hit, range(1, len(found) + 1), found, located)),
            stages=tuple(search.stages),
            query_views=sought.views(self.model, self.reader, wanted) if views else (),
            views=tuple(where.view if where else None for where in located) if views else (),
        )

    def classes(
        self,
        *,
        like: Sequence[str | os.PathLike[str]] | None = None,
        per_picture: int = 64,
        sample: int = 1000,
        progress: Progress | None = None,
    ) -> ClassTally:
        """Counts the classes that pictures show most, for a predefined list (METHOD, "Predefined classes").

        Args:
            like: Pictures or folders of one theme; None for the collection's own pictures.
            per_picture: N_C: how many of each picture's most probable classes count.
            sample: Read so many pictures at most, spread evenly.
            progress: Told how far it is.

        Raises:
            SettingsError: The model has no classifier.
            SourceError: A folder is unreadable or empty, or none of the pictures can be read.
        """
        if per_picture < 1 or sample < 1:
            raise ValueError("per_picture and sample are 1 or more")
        paths = self._stored_files(sample) if like is None else _files(like, sample)
        found = tally(
            self._in_worker(),
            paths,
            reader=self.reader,
            per_picture=per_picture,
            workers=self._workers,
            progress=progress or Quiet(),
        )
        if not found.pictures:
            why = f": {path_text(found.skipped[0].path)}: {found.skipped[0].reason}" if found.skipped else ""
            raise SourceError(
                f"none of {len(paths)} pictures could be read{why}", remedy="check the names of the pictures"
            )
        return found

    def _stored_files(self, most: int) -> list[bytes]:
        """A file of each of the collection's pictures, or of so many, spread evenly."""
        with self.collection.snapshot():
            records = _spread(self.collection.record_numbers().tolist(), most)
            pictures = self.collection.pictures(records)
        return [pictures[record].paths[0] for record in records if pictures[record].paths]

    def _locate(self, found: Sequence[Found], wanted: Attention, *, views: bool) -> list[Located]:
        """Where the hits have what is wanted: what was seen on the way is not looked at again."""
        model, reader = self._in_worker(), self.reader

        def look(item: Found) -> Located:
            seen = item.looked
            if seen is not None and (not views or seen.reason is not None):
                return Located(seen.box, seen.reason or seen.box_reason, None)
            where = locate(model, item.picture.paths, item.picture.content, wanted, reader=reader)
            return where if seen is None else replace(where, box=seen.box, reason=seen.box_reason)

        return list(ordered(look, found, workers=self._workers))


def _spread(items: list[Item], most: int) -> list[Item]:
    """All items, or ``most`` of them, spread evenly."""
    if len(items) <= most:
        return items
    return [items[place * len(items) // most] for place in range(most)]


def _files(pictures: Sequence[str | os.PathLike[str]], most: int) -> list[bytes]:
    """The files of pictures and folders."""
    names: list[bytes] = []
    for picture in map(absolute, pictures):
        found = find_pictures(picture).files if os.path.isdir(picture) else ()
        names += [file.path for file in found] or [picture]
    return _spread(names, most)


def _parts(query: Source | Sequence[QueryPart], region: Box | None) -> tuple[QueryPart, ...]:
    if isinstance(query, Sequence) and not isinstance(query, str):
        if not query or region is not None:
            raise ValueError("several pictures have a region each, and there is at least one")
        return tuple(query)
    return (QueryPart(query, region),)


def _hit(rank: int, found: Found, located: Located | None) -> Hit:
    return Hit(
        rank=rank,
        record=found.picture.record,
        paths=found.picture.paths,
        score=found.score,
        size=found.picture.size,
        box=located.box if located else None,
        box_reason=located.reason if located and located.box is None else None,
        kept=found.looked.reason if found.looked else None,
    )


def _command(verb: str) -> str:
    """What to call this process to another one that wants to write."""
    program = os.path.basename(sys.argv[0]) or "python"
    return f"{'camseek' if program == '__main__.py' else program} {verb}"
