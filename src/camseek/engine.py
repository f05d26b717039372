"""The engine: a collection and the model that reads it."""

import os
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jaxtyping import Float32, Int64

from camseek.arguments import Region, several
from camseek.backbones import Backbone, as_model
from camseek.config import NEAR_COPY, Encoding, Limits, RegionReading, Settings
from camseek.encoding.whitening import Whitening
from camseek.errors import NoCollectionError
from camseek.extraction.agreement import new_profile, require_settings
from camseek.extraction.classes import ClassTally
from camseek.extraction.describer import Describers
from camseek.extraction.sources import Source
from camseek.indexing import bringing, refitting
from camseek.indexing.counting import count_classes
from camseek.indexing.refitting import FitReport
from camseek.job import Job, Progress
from camseek.listing import Copies, Match, copies, descriptor_blocks, every_picture
from camseek.names import path_text
from camseek.numerics import F32, I64
from camseek.results import IndexReport, RemoveReport, SearchResult, Skipped
from camseek.searching import Plan, QueryPart, Request, searched, searched_many
from camseek.searching.query import query_parts, require_reading
from camseek.store import Collection, CollectionInfo, StoredPicture, create_collection, open_collection


class Engine:
    """Indexes pictures into a collection and searches it.

    ``len`` is the number of its pictures, and iterating gives them. The model is loaded when it is first
    needed. Several threads may search at once, also while one of them, or another process, writes.

    Attributes:
        collection: The collection.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        model: Backbone | str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
        workers: int | None = None,
    ) -> None:
        """Puts a collection and a model together.

        Args:
            collection: An open collection; ``close`` closes it.
            model: The model it was made with, or its name; None for the embedded one.
            limits: What this machine may spend on one picture.
            workers: Threads of one index run or search; None for one a core.

        Raises:
            SettingsError: The collection was made with another model.
        """
        self.collection = collection
        self._job = Job.of(limits, workers)
        layer = collection.profile.settings.layer
        loaded = None if model is None else as_model(model, layer)
        self._describers = Describers(collection, loaded, self._job.limits)

    @classmethod
    def open(
        cls,
        address: str | os.PathLike[str],
        *,
        model: Backbone | str | os.PathLike[str] | None = None,
        settings: Settings | Encoding | str | Mapping[str, Any] | None = None,
        whitening: Whitening | None = None,
        create: bool = False,
        limits: Limits | None = None,
        workers: int | None = None,
        keep_descriptors: bool = True,
    ) -> "Engine":
        """Opens a collection, or makes it.

        Args:
            address: The collection's folder.
            model: The model, or its name; None for the embedded one.
            settings: What a new collection is made with, and what an existing one must have been made with:
                settings, or an encoding's name, or a dictionary; None for the defaults and for whatever it
                has.
            whitening: What a new collection's descriptors are whitened with; an existing one keeps its own.
            create: Make the collection if there is none.
            limits: What this machine may spend on one picture.
            workers: Threads of one index run or search; None for one a core.
            keep_descriptors: Hold the descriptors in memory between searches. A single search is quicker
                without.

        Raises:
            CollectionError: It cannot be opened or made.
            SettingsError: It was made with another model or other settings.
            ModelError: The model cannot be loaded.
        """
        wanted, place = Settings.of(settings), os.fspath(address)
        try:
            collection = open_collection(place, keep_vectors=keep_descriptors)
        except NoCollectionError:
            if not create:
                raise
            chosen = wanted or Settings()
            Job.of(limits, workers)  # what is wrong with these must not leave a collection behind
            model = as_model(model, chosen.layer)
            profile = new_profile(model, chosen, whitening)
            collection = create_collection(place, profile, keep_vectors=keep_descriptors)
        try:
            require_settings(collection, wanted)
            return cls(collection, model=model, limits=limits, workers=workers)
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
        """The model, loaded now if it was not; raises as ``open``."""
        return self._describers.model

    # -- what it holds ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.collection.catalogue.count()

    def __bool__(self) -> bool:
        return True  # also while it holds nothing

    def __iter__(self) -> Iterator[StoredPicture]:
        return every_picture(self.collection)

    def pictures(self, match: Sequence[str] = ()) -> Iterator[StoredPicture]:
        """The pictures in the order in which they came, some read at a time.

        Args:
            match: Patterns of names, as ``camseek.listing.Match`` says; a picture comes with the names that
                one of them matches. Without any all come, as iterating gives them.

        Raises:
            SettingsError: A pattern cannot be read.
        """
        return Match(tuple(several(match, "patterns"))).pictures(self.collection)

    def copies(
        self,
        threshold: float | None = NEAR_COPY,
        *,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> Iterator[Copies]:
        """Pictures that are there more than once: under several names, or as near copies.

        Args:
            threshold: The cosine of two descriptors from which on they are near copies, in (0, 1]; None for
                files of the same content alone.
            progress: Told how many pictures were compared.
            cancelled: Whoever sets it ends it with ``CancelledError``.

        Raises:
            ValueError: The threshold is out of range.
            CollectionChangedError: All descriptors were replaced meanwhile.
        """
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"a threshold of {threshold}")
        return copies(self.collection, threshold, self._job.told(progress, cancelled))

    def descriptor_blocks(
        self, records: Int64[I64, " N"] | None = None
    ) -> Iterator[tuple[list[StoredPicture], Float32[F32, "n D"]]]:
        """Pictures and their descriptors, (n, D), of unit norm, some at a time, ascending by record.

        Args:
            records: Which of those that have a descriptor, in this order; None for all.

        Raises:
            KeyError: One has none, or has left meanwhile.
        """
        return descriptor_blocks(self.collection, records)

    def info(self) -> CollectionInfo:
        """Counts, sizes and settings."""
        return self.collection.catalogue.info()

    def descriptors(self) -> tuple[list[str], Float32[F32, "N D"]]:
        """A name of each picture that has a descriptor, and the descriptors, (N, D), of unit norm."""
        with self.collection.snapshot():
            records = self.collection.vectors.records()
            pictures = self.collection.catalogue.pictures(records.tolist())
            vectors = self.collection.vectors.of(records)
        return [path_text(pictures[record].paths[0]) for record in records.tolist()], vectors

    # -- pictures in and out ------------------------------------------------------------------------------

    def index(
        self,
        root: str | os.PathLike[str],
        *,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        allow_removal: bool = False,
        relative: bool | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> IndexReport:
        """Makes the collection hold what a folder holds: new, changed and gone pictures are brought in line.

        What this folder brought is touched, and what lies in it. What was done is kept whenever the run ends.
        Where more than 20 files and a tenth of what was known would leave, or all of it, nothing of it does
        unless ``allow_removal`` is given: ``IndexReport.held``.

        Args:
            root: The folder.
            include: Patterns of the files to take (``camseek.patterns``); all where there are none. Patterns
                are kept with the folder: None, for both, for those of its last run, ``()`` for none.
            exclude: Patterns of files and folders to leave out.
            allow_removal: Let go whatever has gone, or counts no more.
            relative: Have the folder found from the collection's folder on, so that both can be moved
                together; False: by its whole name; None: as it is, and by its whole name where it is new.
            dry_run: Only say what would be done: nothing is written, and no picture is decoded.
            progress: Told how far the run is.
            cancelled: Whoever sets it ends the run with ``CancelledError``.

        Raises:
            SourceError: The folder is missing, unreadable or empty, and was never indexed.
            SettingsError: A pattern cannot be read.
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        job = self._job.told(progress, cancelled)
        asked = bringing.Asked(root, include, exclude, relative, allow_removal)
        if dry_run:
            return bringing.rehearse(self.collection, self.collection.address, asked, job=job)
        return bringing.index(self.collection, self._describers.single, asked, job=job)

    def add(
        self,
        pictures: Iterable[Source] | Mapping[str, Source],
        *,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> IndexReport:
        """Brings in single pictures; they stay until ``remove``, whatever becomes of their files.

        Args:
            pictures: Names of files; or contents, PIL images and arrays, which the collection then keeps
                under the names ``camseek:NAME`` of a mapping, or under names made of their contents.
            progress: Told how far the run is.
            cancelled: Whoever sets it ends the run with ``CancelledError``.

        Raises:
            SourceError: A folder is among them.
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        job = self._job.told(progress, cancelled)
        return bringing.add(self.collection, self._describers.single, pictures, job=job)

    def remove(
        self, paths: Iterable[str | bytes | os.PathLike[str]], *, dry_run: bool = False
    ) -> RemoveReport:
        """Takes files, and whatever lies under folders, out of the collection; the disk is not touched.

        Files that could not be used are forgotten, and so are roots of which nothing is left. Files that
        still lie in an indexed folder come back with its next index run.

        Args:
            paths: Names of files and folders.
            dry_run: Only say what would leave: nothing is written.

        Raises:
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        return bringing.remove(self.collection, paths, dry_run=dry_run)

    def fit(
        self,
        *,
        on: str | os.PathLike[str] | None = None,
        dimensions: int | None = None,
        sample_classes: int | None = None,
        max_samples: int = refitting.DEFAULT_MAX_SAMPLES,
        allow_removal: bool = False,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> FitReport:
        """Fits PCA-whitening on the user's own pictures and encodes the collection anew (paper section 4.1).

        ``camseek.indexing.refitting.fit`` says what the arguments are and what is raised.
        """
        return refitting.fit(
            self.collection,
            self._describers.single,
            on=on,
            dimensions=dimensions,
            sample_classes=sample_classes,
            max_samples=max_samples,
            allow_removal=allow_removal,
            job=self._job.told(progress, cancelled),
        )

    def unfit(
        self,
        *,
        allow_removal: bool = False,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> FitReport:
        """Takes the whitening out again; ``camseek.indexing.refitting.unfit`` says what is raised."""
        job = self._job.told(progress, cancelled)
        return refitting.unfit(self.collection, self._describers.single, allow_removal=allow_removal, job=job)

    def classes(
        self,
        *,
        like: Sequence[str | os.PathLike[str]] | None = None,
        per_picture: int = 64,
        sample: int = 1000,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> ClassTally:
        """Counts the classes that pictures show most, for a predefined list (paper section 4.3).

        Args:
            like: Pictures or folders of one theme; None for the collection's own pictures.
            per_picture: N_C: how many of each picture's most probable classes count.
            sample: Read so many pictures at most, spread evenly.
            progress: Told how far it is.
            cancelled: Whoever sets it ends it with ``CancelledError``.

        Raises:
            SettingsError: The model has no classifier.
            SourceError: A folder is unreadable or empty, or none of the pictures can be read.
        """
        return count_classes(
            self.collection,
            self._describers.single().extractor,
            like=like,
            per_picture=per_picture,
            sample=sample,
            job=self._job.told(progress, cancelled),
        )

    # -- searching ----------------------------------------------------------------------------------------

    def search(
        self,
        query: Source | QueryPart | Sequence[Source | QueryPart],
        *,
        region: Region | str | None = None,
        together: bool = False,
        reading: RegionReading = "crop",
        top: int = 20,
        plan: Plan | None = None,
        boxes: bool = False,
        without_self: bool = False,
        views: bool = False,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> SearchResult:
        """Finds the pictures that show the same thing.

        Args:
            query: The query picture (a file's name, an open file, its content, a PIL image, an array), or a
                region of one; or a list of several that all show the same thing.
            region: The box of the thing in a single picture: pixels of the upright picture, half-open, or
                ``Shares`` of it, or either as text (``"10%,20%,50%,60%"``); None for all of it.
            together: Several pictures or regions are one query, the sum of their descriptors. Pictures of
                different things are queries of their own: ``search_many``.
            reading: How a region is read: ``crop`` encodes its pixels alone, ``cells`` crops the maps of the
                whole picture (the paper's reading).
            top: How many hits at most, 1 or more.
            plan: The stages: aggregation, re-ranking, expansion; None to compare stored descriptors alone.
            boxes: Box where the network looks for the query's classes in each hit: a guide to the eye, no
                outline. Reads the hits' files.
            without_self: Leave the query's own pictures out, known by their content.
            views: Keep the pictures and heat maps, for a report.
            progress: Told how many pictures the plan looks at.
            cancelled: Whoever sets it ends the search with ``CancelledError``.

        Raises:
            ValueError: Several pictures without ``together``, or something that cannot be.
            PictureError: The query is no picture that can be used.
            RegionError: The region is none, empty, reversed, too small or outside the picture.
            FeaturelessError: The network sees nothing in the query.
            SettingsError: The plan does not fit the model.
            CollectionError: The collection cannot be read, or changes all the time.
        """
        require_reading(reading)
        parts = query_parts(query, region, together=together)
        wanted = Request(plan or Plan(), reading, top, boxes, without_self, views)
        job = self._job.told(progress, cancelled)
        return searched(self.collection, self._describers, job, parts, wanted)

    def search_many(
        self,
        queries: Iterable[Source | QueryPart | Sequence[Source | QueryPart]],
        *,
        reading: RegionReading = "crop",
        top: int = 20,
        plan: Plan | None = None,
        boxes: bool = False,
        without_self: bool = False,
        views: bool = False,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> Generator[SearchResult | Skipped]:
        """Searches with many queries, each on its own; arguments as ``search``.

        A list among the queries is one query: several pictures or regions of the same thing.

        Queries are read beside each other and compared with the collection some at a time, which takes much
        less than one by one.

        Yields:
            For each query, in order, what was found; or why not, where its picture cannot be used or it is
            none: one bad query ends none of the others.
        """
        require_reading(reading)
        wanted = Request(plan or Plan(), reading, top, boxes, without_self, views)
        job, waiting = self._job.told(progress, cancelled), iter(several(queries, "queries"))
        return searched_many(self.collection, self._describers, job, waiting, wanted)
