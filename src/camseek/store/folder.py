"""A collection in a folder: one SQLite database, the source of truth for everything in it."""

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from camseek.errors import CamseekError, StorageError
from camseek.files import DATABASE
from camseek.names import absolute
from camseek.store.catalogue import FolderCatalogue
from camseek.store.database import create_database, open_database, require_free, translated
from camseek.store.lock import WriterLock
from camseek.store.meta import profile_rows
from camseek.store.migrations import migrate
from camseek.store.reader import Reader, changed
from camseek.store.records import Profile
from camseek.store.traces import FolderTraces
from camseek.store.vectors import CODES_KEY, FolderVectors
from camseek.store.words import WORDS_KEY, FolderWords
from camseek.store.writer import FolderWriter

BESIDE_KEYS = (WORDS_KEY, CODES_KEY)
"""The rows of ``meta`` that name the files beside the database."""


class FolderCollection:
    """A collection in a folder on this machine (the ``Collection`` interface).

    Readers see one moment and are never blocked by the writer. A collection on a read-only disk can be read.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep_vectors: bool = True) -> None:
        """Opens an existing collection.

        Args:
            path: The folder.
            keep_vectors: Keep the descriptors in memory between searches.

        Raises:
            NoCollectionError: There is none.
            CollectionVersionError: A later camseek made it.
            CorruptCollectionError: Its file is damaged.
            StorageError: It cannot be read.
        """
        reader = Reader(Path(os.fsdecode(absolute(path))))
        traces = FolderTraces(reader)
        self._hold(reader, traces, FolderCatalogue(reader, traces), keep_vectors=keep_vectors)

    def _hold(
        self, reader: Reader, traces: FolderTraces, catalogue: FolderCatalogue, *, keep_vectors: bool
    ) -> None:
        """Puts the parts together."""
        self._folder = reader.folder
        self._reader, self._traces, self._catalogue = reader, traces, catalogue
        self._vectors = FolderVectors(reader, keep=keep_vectors)
        self._words = FolderWords(reader, traces)

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], profile: Profile, *, keep_vectors: bool = True
    ) -> "FolderCollection":
        """Makes an empty collection and opens it.

        Raises:
            CollectionError: Something else is there already.
            CollectionBusyError: Another process is making it.
            StorageError: The disk is full or read-only.
        """
        folder = Path(os.fsdecode(absolute(path)))
        require_free(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot make {folder}: {error.strerror}", remedy="choose a folder that you may write to"
            ) from error
        lock = WriterLock(os.fsencode(folder), "create")
        try:
            if not (folder / DATABASE).exists():
                with translated(str(folder)):
                    create_database(folder, profile_rows(profile))
        finally:
            lock.release()
        return cls(folder, keep_vectors=keep_vectors)

    @property
    def address(self) -> str:
        """What it is called: its folder."""
        return self._reader.address

    @property
    def profile(self) -> Profile:
        """What the descriptors were made with: true inside ``snapshot`` and ``write``.

        Elsewhere another process may have fitted a whitening since. The same object until it changes.
        """
        return self._reader.profile

    @property
    def catalogue(self) -> FolderCatalogue:
        """Its pictures and their names."""
        return self._catalogue

    @property
    def vectors(self) -> FolderVectors:
        """Its descriptors."""
        return self._vectors

    @property
    def words(self) -> FolderWords:
        """The visual words of its pictures' points."""
        return self._words

    @property
    def traces(self) -> FolderTraces:
        """What else is kept of its pictures."""
        return self._traces

    def __enter__(self) -> "FolderCollection":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the collection."""
        self._reader.close()

    def snapshot(self) -> AbstractContextManager[None]:
        """What this thread reads inside belongs to one moment. For a few short reads: other threads wait."""
        return self._reader.snapshot()

    @contextmanager
    def write(self, command: str) -> Generator[FolderWriter]:
        """Becomes the one writer; what was done is kept on leaving, also when an error leaves.

        A collection of an older format is moved to this one first.

        Raises:
            CollectionBusyError: Another process is; the message names it.
            StorageError: The disk is full or read-only.
        """
        lock = WriterLock(os.fsencode(self._folder), command)
        try:
            with self._in_step():
                yield from self._written()
        finally:
            lock.release()

    def _written(self) -> Generator[FolderWriter]:
        """The writer, while this process is the only one."""
        with translated(self.address):
            database = open_database(self._folder / DATABASE, "mode=rw")
        try:
            with translated(self.address):
                migrate(database)
            self._require_current(database)
            writer = self._writer(database)
            try:
                yield writer
            except StorageError:
                writer.abandon()
                raise
            except BaseException:
                # Torn where a second interrupt came while the first one's unit was being undone.
                writer.abandon() if writer.torn else writer.commit()
                raise
            writer.commit()
            self._save_beside(writer.name_beside, writer.abandon)
            with self.snapshot():
                pass  # the profile that this writer may have made
        finally:
            database.close()

    def _in_step(self) -> AbstractContextManager[None]:
        """Inside, what is written to is as it is, but for this writer; a mirror is brought in step first."""
        return nullcontext()

    def _writer(self, database: sqlite3.Connection) -> FolderWriter:
        """What writes to a database that is open and of this format."""
        return FolderWriter(database, self.address, os.fsencode(self._folder))

    def _save_beside(self, name: Callable[[str, str], None], undo: Callable[[], None]) -> None:
        """Saves what is made of the database, where that is worth it.

        Args:
            name: Has the database name a file by its token, under a key.
            undo: What a failure leaves is undone.
        """
        for key, part in zip(BESIDE_KEYS, (self._words, self._vectors), strict=True):
            try:
                part.save(partial(name, key))
            except (CamseekError, OSError):
                undo()  # searches begin sooner with it, nothing else

    def _require_current(self, database: sqlite3.Connection) -> None:
        """Makes the profile that of now: no other process can change it while this one is the writer.

        Raises:
            CollectionChangedError: The caller is in a snapshot of a time before another whitening was fitted.
        """
        with self.snapshot():
            known = self.profile.generation
        with translated(self.address):
            now = database.execute("SELECT value FROM meta WHERE key = 'generation'").fetchall()
        if now != [(known,)]:
            raise changed(self.address)
