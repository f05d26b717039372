"""How the engine brings pictures into a collection, and what it makes of them all."""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence

from camseek.backbones import Backbone
from camseek.config import parts_without
from camseek.engine.base import Opened
from camseek.extraction.classes import ClassTally
from camseek.extraction.sources import Source
from camseek.extraction.traces import possible
from camseek.indexing import bringing, copying, enriching, refitting, upgrading
from camseek.indexing.copying import CopyReport
from camseek.indexing.counting import count_classes
from camseek.indexing.enriching import EnrichReport
from camseek.indexing.fitting import DEFAULT_MAX_SAMPLES
from camseek.indexing.refitting import FitReport
from camseek.indexing.upgrading import UpgradeReport
from camseek.job import Progress
from camseek.results import IndexReport, RemoveReport
from camseek.store import SKETCH


class Keeping(Opened):
    """Pictures in and out, and what is made of all of them."""

    def index(
        self,
        root: str | os.PathLike[str],
        *,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        allow_removal: bool = False,
        relative: bool | None = None,
        dry_run: bool = False,
        cluster: str | None = None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> IndexReport:
        """Makes the collection hold what a folder holds: new, changed and gone pictures are brought in line.

        What this folder brought is touched, and what lies in it. What was done is kept whenever the run ends.
        Where more than 20 files and a tenth of what was known would leave, or all of it, nothing of it does
        unless ``allow_removal`` is given: ``IndexReport.held``.

        Args:
            root: The folder, or an address (``s3://bucket/folder``, ``gs://``, ``http://``, also that of a
                IIIF manifest).
            include: Patterns of the files to take (``camseek.patterns``); all where there are none. Patterns
                are kept with the folder: None, for both, for those of its last run, ``()`` for none.
            exclude: Patterns of files and folders to leave out.
            allow_removal: Let go whatever has gone, or counts no more.
            relative: Have the folder found from the collection's folder on, so that both can be moved
                together; False: by its whole name; None: as it is, and by its whole name where it is new.
            dry_run: Only say what would be done: nothing is written, and no picture is decoded.
            cluster: Have pictures read and encoded by the workers of this Ray cluster, ``HOST:PORT`` or
                ``auto``; each must see ``root`` under the same name. This process alone writes.
            progress: Told how far the run is.
            cancelled: Whoever sets it ends the run with ``CancelledError``.

        Raises:
            SourceError: The folder is missing, unreadable or empty, and was never indexed; or an address
                cannot be listed to its end.
            SettingsError: A pattern cannot be read.
            ClusterError: The cluster does not answer, or its workers cannot do the work.
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        job = self._job.told(progress, cancelled)
        asked = bringing.Asked(root, include, exclude, relative, allow_removal, cluster)
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
        max_samples: int = DEFAULT_MAX_SAMPLES,
        allow_removal: bool = False,
        cluster: str | None = None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> FitReport:
        """Fits PCA-whitening on the user's own pictures and encodes the collection anew (paper section 4.1).

        ``camseek.indexing.refitting.fit`` says what the arguments are and what is raised.
        """
        return refitting.fit(
            self.collection,
            self._describers.beside,
            on=on,
            dimensions=dimensions,
            sample_classes=sample_classes,
            max_samples=max_samples,
            allow_removal=allow_removal,
            cluster=cluster,
            job=self._job.told(progress, cancelled),
        )

    def enrich(
        self,
        *,
        without: Iterable[str] = (),
        cluster: str | None = None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> EnrichReport:
        """Has the collection keep what can be kept of each picture, also of those that are in it already.

        A collection of an earlier camseek so gains what is new. Only pictures that lack something are read
        again; what was done is kept whenever the run ends, and the next one goes on from there.

        Args:
            without: What is not kept, of ``camseek.config.PARTS``; what there is of it is dropped.
            cluster: Have pictures read by the workers of this Ray cluster, as ``index``; each must see the
                collection's folders.
            progress: Told how far the run is.
            cancelled: Whoever sets it ends the run with ``CancelledError``.

        Raises:
            SettingsError: There is no such part.
            ClusterError: The cluster does not answer, or its workers cannot do the work.
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        job, parts = self._job.told(progress, cancelled), parts_without(without)
        if SKETCH in parts:
            parts = possible(self._describers.model_of(self._describers.profile()), parts)
        return enriching.enrich(self.collection, self._describers.single, parts, cluster=cluster, job=job)

    def copy(
        self,
        address: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> CopyReport:
        """Copies the collection to another address as it is; no picture is read, and nothing encoded.

        A run that was stopped goes on where it ended. What is there already and not in the collection stays.

        Args:
            address: Where the copy is to be: a folder, or ``milvus://HOST:PORT/NAME``.
            progress: Told how far it is.
            cancelled: Whoever sets it ends it with ``CancelledError``.

        Raises:
            SettingsError: A collection of another model or other settings is there.
            CollectionChangedError: All descriptors were replaced meanwhile.
            CollectionBusyError: Another process is writing to the copy.
            StorageError: One of them cannot be read or written.
        """
        return copying.copy(self.collection, os.fspath(address), job=self._job.told(progress, cancelled))

    def unfit(
        self,
        *,
        allow_removal: bool = False,
        cluster: str | None = None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> FitReport:
        """Takes the whitening out again; ``camseek.indexing.refitting.unfit`` says what is raised."""
        return refitting.unfit(
            self.collection,
            self._describers.beside,
            allow_removal=allow_removal,
            cluster=cluster,
            job=self._job.told(progress, cancelled),
        )

    def upgrade(
        self,
        model: Backbone | str | os.PathLike[str],
        *,
        layer: str | None = None,
        on: str | os.PathLike[str] | None = None,
        allow_removal: bool = False,
        cluster: str | None = None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> UpgradeReport:
        """Encodes the collection anew with another network, and goes over to it in one step.

        Searches go on with the present one meanwhile, and pictures may come and go. What was in use before
        is kept: ``undo_upgrade`` goes back to it, and ``forget_upgrade`` lets it go. ``info().beside`` tells
        what is unfinished or kept.

        Args:
            model: The network, or its name or folder.
            layer: The layer that gives the feature maps; None for the model's own choice.
            on: A folder of held-out pictures to fit a whitened collection's whitening on; None for the one
                that it was fitted on.
            allow_removal: Let pictures whose files have gone or changed leave the collection.
            cluster: Have pictures read by the workers of this Ray cluster, as ``index``; each must see the
                collection's folders.
            progress: Told how far the run is.
            cancelled: Whoever sets it ends the run with ``CancelledError``; what was done is kept.

        Raises:
            ModelError: The model cannot be loaded.
            CamseekError: As ``camseek.indexing.upgrading.upgrade`` says.
        """
        job = self._job.told(progress, cancelled)
        loaded = self._describers.know(model, layer)
        if layer is not None and loaded.layer != layer:
            raise ValueError(f"the model was loaded with the layer {loaded.layer}, not {layer}")
        return upgrading.upgrade(
            self.collection,
            self._describers.beside,
            loaded,
            classes=lambda: self.model.class_names,
            on=on,
            allow_removal=allow_removal,
            cluster=cluster,
            job=job,
        )

    def undo_upgrade(
        self,
        *,
        allow_removal: bool = False,
        cluster: str | None = None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> UpgradeReport:
        """Goes back to what was in use before the last upgrade; ``camseek.indexing.upgrading.undo``."""
        return upgrading.undo(
            self.collection,
            self._describers.beside,
            allow_removal=allow_removal,
            cluster=cluster,
            job=self._job.told(progress, cancelled),
        )

    def forget_upgrade(self) -> None:
        """Lets go of what was in use before the last upgrade.

        Raises:
            SettingsError: Nothing is kept.
            CollectionBusyError: Another process is writing.
            StorageError: The disk is full or read-only.
        """
        upgrading.forget(self.collection)

    def discard_upgrade(self) -> None:
        """Throws away what an upgrade, or a fit, began and did not finish; raises as ``forget_upgrade``."""
        upgrading.discard(self.collection)

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
