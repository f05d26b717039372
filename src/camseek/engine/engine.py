"""The engine: a collection and the model that reads it. The only composition of stages."""

import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import get_args

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from camseek.backbones import Activations, Backbone, load_model, processors
from camseek.config import Limits, RegionReading, Settings
from camseek.engine.encoder import Encoder
from camseek.engine.fitting import new_profile, require_model, require_settings
from camseek.engine.indexing import IndexRun, Progress, Quiet
from camseek.engine.pipeline import ordered
from camseek.engine.reading import PictureReader
from camseek.engine.sources import Source, find_files, find_pictures, opened
from camseek.engine.viewing import Attention, Located, attention, class_scores, grid_of, locate, view
from camseek.errors import CorruptCollectionError, FeaturelessError, NoCollectionError
from camseek.images import Picture, check_region, fingerprint
from camseek.names import absolute, path_text
from camseek.numerics import is_usable
from camseek.results import Box, Hit, IndexReport, Query, SearchResult, View
from camseek.store import (
    ADDED_BY_HAND,
    Collection,
    DescriptorIndex,
    StoredPicture,
    Writer,
    create_collection,
    open_collection,
    rank,
)
from camseek.whitening import Whitening

F32 = NDArray[np.float32]

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
            if self._encoder is None:
                whitening = self.collection.profile.whitening
                self._encoder = Encoder(
                    self.settings.encoding,
                    self.model.classifier_weights,
                    self.model.classifier_bias,
                    Whitening.from_bytes(whitening) if whitening is not None else None,
                )
            return self._encoder

    @property
    def reader(self) -> PictureReader:
        """How pictures are read, as the collection and the model want them."""
        return PictureReader.of(self.model, self.settings.longer_side, self._limits)

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
        query: Source,
        *,
        region: Box | None = None,
        reading: RegionReading = "crop",
        top: int = 20,
        boxes: bool = True,
        without_self: bool = False,
        views: bool = False,
    ) -> SearchResult:
        """Finds the pictures that show the same thing.

        Args:
            query: The query picture.
            region: The box of the thing, pixels of the upright picture, half-open; None for all of it.
            reading: How a region is read: ``crop`` encodes its pixels alone, ``cells`` crops the maps of the
                whole picture (paper section 4).
            top: How many hits at most, 1 or more.
            boxes: Box where the network looks for the query's classes in each hit; reads the hits' files.
            without_self: Leave the query's own picture out, known by its content.
            views: Keep the pictures and heat maps, for a report.

        Raises:
            PictureError: The query is no picture that can be used.
            RegionError: The region is empty, reversed or outside the picture.
            FeaturelessError: The network sees nothing in the query.
            CollectionError: The collection cannot be read.
        """
        if top < 1:
            raise ValueError(f"top is {top}, below 1")
        if reading not in get_args(RegionReading):
            raise ValueError(f"there is no region reading {reading!r}")
        started = time.perf_counter()
        name, content, picture, activations, descriptor = self._read_query(query, region, reading)
        if not is_usable(descriptor):
            which = "the query" if name is None else path_text(name)
            raise FeaturelessError(
                f"the network sees nothing in {which}", remedy="use a larger region or another picture"
            )
        with self.collection.snapshot():
            own = self.collection.find(content) if without_self else None
            if self._index is not None:
                self._index.refresh()
                source, threads = self._index, nullcontext()
            else:
                # From the file in small blocks: what threads gain there, waiting for each other takes away,
                # and several times over where other programs want the cores too.
                source, threads = self.collection, threadpool_limits(1, user_api="blas")
            with threads:
                records, scores, searched = rank(
                    source, descriptor, top, without=[] if own is None else [own]
                )
            stored = self.collection.pictures(records.tolist())
        pictures = [_whole(stored.get(record), self.collection.address) for record in records.tolist()]
        wanted = attention(activations)
        located = self._locate(pictures, wanted) if boxes or views else [None] * len(pictures)
        query_view = None
        if views:
            # Of a region only a part of the picture or of its maps was looked at.
            whole = view(self.model, picture, activations, wanted) if region is None else None
            query_view = whole or self._whole_view(query, wanted)
        hits = tuple(
            Hit(
                rank=place,
                record=item.record,
                paths=item.paths,
                score=float(score),
                size=item.size,
                box=where.box if where else None,
                box_reason=where.reason if where else None,
            )
            for place, (item, score, where) in enumerate(zip(pictures, scores, located, strict=True), 1)
        )
        return SearchResult(
            query=Query(name, region, picture.size, class_scores(self.model, activations, _TOLD_CLASSES)),
            collection=self.collection.address,
            settings={
                **self.settings.to_json(),
                "model": self.collection.profile.model,
                "region_reading": reading if region else None,
                "top": top,
                "boxes": boxes,
                "without_self": without_self,
            },
            seconds=time.perf_counter() - started,
            searched=searched,
            hits=hits,
            query_view=query_view,
            views=tuple(where.view if where else None for where in located) if views else (),
        )

    def _read_query(
        self, query: Source, region: Box | None, reading: RegionReading
    ) -> tuple[bytes | None, bytes, Picture, Activations, Float32[F32, " D"]]:
        """The query's name, content, pixels, activations inside the region, and descriptor."""
        with opened(query) as (name, file):
            content = fingerprint(file)
            cropped = region if reading == "crop" else None
            picture = self.reader.read(file, cropped)
        activations = self.model.run(picture.pixels)
        if region is None or reading == "crop":
            return name, content, picture, activations, self.encoder.describe(activations)[0]
        cells = grid_of(picture, self.model.stride).cells(check_region(region, picture.size))
        inside = self.encoder.inside(activations, cells)
        return name, content, picture, inside, self.encoder.describe(activations, cells)[0]

    def _whole_view(self, query: Source, wanted: Attention) -> View:
        with opened(query) as (_, file):
            picture = self.reader.read(file)
        return view(self.model, picture, self.model.run(picture.pixels), wanted)

    def _locate(self, pictures: Sequence[StoredPicture], wanted: Attention) -> list[Located]:
        model, reader = self._in_worker(), self.reader

        def look(item: StoredPicture) -> Located:
            return locate(
                model,
                item.paths,
                item.content,
                wanted,
                reader=reader,
            )

        return list(ordered(look, pictures, workers=self._workers))


def _whole(picture: StoredPicture | None, address: str) -> StoredPicture:
    """A picture that has a record and a file, as all have in a sound collection."""
    if picture is None or not picture.paths:
        raise CorruptCollectionError(
            f"{address} is damaged: a descriptor has no picture or no file",
            remedy="restore it from a copy, or index the pictures into a new collection",
        )
    return picture


def _command(verb: str) -> str:
    """What to call this process to another one that wants to write."""
    program = os.path.basename(sys.argv[0]) or "python"
    return f"{'camseek' if program == '__main__.py' else program} {verb}"
