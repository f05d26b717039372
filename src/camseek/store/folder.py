"""A collection in a folder: one SQLite database, the source of truth for everything in it."""

import os
import shutil
import sqlite3
import stat
import tempfile
import threading
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.errors import CollectionBusyError, NoCollectionError, StorageError
from camseek.results import Skipped
from camseek.store.database import (
    DATABASE,
    DISK_ERRORS,
    FORMAT_VERSION,
    STORED,
    corrupt,
    create_database,
    open_database,
    primary_code,
    require_free,
    translated,
    typed,
)
from camseek.store.interface import ADDED_BY_HAND, CollectionInfo, Profile, StoredPicture
from camseek.store.lock import WriterLock
from camseek.store.meta import profile_of, profile_rows, refit_of
from camseek.store.writer import FolderWriter

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

# Faults that no foreign key can name.
_ORPHANS = {
    "pictures without a file": ("SELECT count(*) FROM pictures WHERE id NOT IN (SELECT picture FROM files)"),
    "files that no root claims": "SELECT count(*) FROM files WHERE path NOT IN (SELECT path FROM claims)",
}


class FolderCollection:
    """A collection in a folder on this machine (the ``Collection`` interface).

    Readers see one moment and are never blocked by the writer (SQLite's write-ahead log). A collection on a
    read-only disk can be read. An instance may be used from several threads, one at a time.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens an existing collection.

        Raises:
            NoCollectionError: There is none.
            CollectionVersionError: Another version of camseek made it.
            CorruptCollectionError: Its file is damaged.
            StorageError: It cannot be read.
        """
        self._folder = Path(os.path.abspath(path))
        self._lock = threading.RLock()
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._require_database()
        try:
            with translated(self.address):
                self._database = self._connect()
                try:
                    # What the profile was read of: SQLite's number for what other connections have written.
                    self._read_at = self._database.execute("PRAGMA data_version").fetchone()[0]
                    self._profile = profile_of(self.address, self._meta())
                except BaseException:
                    self._database.close()
                    raise
        except BaseException:
            self._drop_copy()
            raise

    @classmethod
    def create(cls, path: str | os.PathLike[str], profile: Profile) -> "FolderCollection":
        """Makes an empty collection and opens it.

        Raises:
            CollectionError: Something else is there already.
            CollectionBusyError: Another process is making it.
            StorageError: The disk is full or read-only.
        """
        folder = Path(os.path.abspath(path))
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
        return cls(folder)

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder)

    @property
    def profile(self) -> Profile:
        """What the descriptors were made with: true inside ``snapshot`` and ``write``.

        Elsewhere another process may have fitted a whitening since. The same object until it changes.
        """
        return self._profile

    def __enter__(self) -> "FolderCollection":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the collection."""
        with self._lock:
            self._database.close()
            self._drop_copy()

    # -- opening ------------------------------------------------------------------------------------------

    def _require_database(self) -> None:
        try:
            # Not Path.is_file, which may take a folder one may not enter for an empty one.
            found = stat.S_ISREG(os.stat(self._folder / DATABASE).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            found = False
        except OSError as error:
            raise StorageError(
                f"cannot read {self.address}: {error.strerror}", remedy="check that you may read it"
            ) from error
        if not found:
            what = "is not a collection" if self._folder.exists() else "does not exist"
            raise NoCollectionError(
                f"{self.address} {what}", remedy="make one with: camseek index PHOTOS --collection COLLECTION"
            )

    def _connect(self) -> sqlite3.Connection:
        """Opens for reading, by the gentlest way that works.

        A connection that may write tidies up after a killed writer; one that may not needs the log's index,
        and where nobody can make that (a full disk, too), the log is either empty (the file alone is the
        truth) or read from a private copy.
        """
        path = self._folder / DATABASE
        log = self._folder / f"{DATABASE}-wal"
        writable = os.access(path, os.W_OK) and os.access(self._folder, os.W_OK)
        for mode in ("rw", "ro") if writable else ("ro",):
            try:
                database = open_database(path, f"mode={mode}")
            except sqlite3.OperationalError as error:
                if primary_code(error) not in DISK_ERRORS or not os.access(path, os.R_OK):
                    raise
            else:
                database.execute("PRAGMA query_only = 1")
                return database
        if log.exists() and log.stat().st_size > 0:
            try:
                self._copy = tempfile.TemporaryDirectory(prefix="camseek-")
                for part in (path, log):
                    shutil.copy(part, self._copy.name)
            except OSError as error:
                raise StorageError(
                    f"cannot copy the log of {self.address}: {error.strerror}",
                    remedy="free space, or let a user who may write there open it once",
                ) from error
            return open_database(Path(self._copy.name) / DATABASE, "mode=rw")
        return open_database(path, "mode=ro&immutable=1")

    def _drop_copy(self) -> None:
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    def _meta(self) -> dict[str, Any]:
        return dict(self._query("SELECT key, value FROM meta"))

    def _refresh_profile(self) -> None:
        """Brings the profile in line with the moment that is being read."""
        read_at = self._query("PRAGMA data_version")[0][0]
        if read_at == self._read_at:
            return
        generation = self._query("SELECT value FROM meta WHERE key = 'generation'", kinds=(int,))
        if generation != [(self._profile.generation,)]:
            self._profile = profile_of(self.address, self._meta())
        self._read_at = read_at

    # -- reading ------------------------------------------------------------------------------------------

    def _query(self, sql: str, values: Sequence[Any] = (), kinds: Sequence[type] = ()) -> list[Any]:
        with self._lock, translated(self.address):
            rows = self._database.execute(sql, values).fetchall()
        return typed(self.address, rows, *kinds) if kinds else rows

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """What is read inside belongs to one moment."""
        with self._lock:
            if self._database.in_transaction:
                yield
                return
            self._query("BEGIN")
            try:
                self._refresh_profile()
                yield
            finally:
                self._query("COMMIT")

    def version(self) -> object:
        """A token that is another whenever the content is."""
        return (self._query("PRAGMA data_version")[0][0], self._database.total_changes)

    def descriptors(
        self, *, after: int = 0, block: int = 4096
    ) -> Iterator[tuple[Int64[I64, " N"], Float32[F32, "N D"]]]:
        """Record numbers above ``after`` and their descriptors, in blocks, ascending.

        Raises:
            CollectionBusyError: Outside a ``snapshot``, a whitening was fitted meanwhile.
        """
        sql = "SELECT picture, vector FROM descriptors WHERE picture > ? ORDER BY picture LIMIT ?"
        first: int | None = None
        while True:
            with self.snapshot():
                first = self._profile.generation if first is None else first
                if first != self._profile.generation:
                    raise _changed(self.address)
                rows = self._query(sql, (after, block))
                if not rows:
                    return
                records, vectors = zip(*rows, strict=True)
                found = np.array(records, np.int64), self._unpack(vectors)
            after = rows[-1][0]
            yield found

    def descriptors_of(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
        """
        found: dict[int, bytes] = {}
        with self.snapshot():
            for some in _chunks([int(record) for record in records]):
                marks = ",".join("?" * len(some))
                found.update(
                    self._query(
                        f"SELECT picture, vector FROM descriptors WHERE picture IN ({marks})",  # noqa: S608  # only question marks are put in
                        some,
                        (int, bytes),
                    )
                )
            return self._unpack([found[int(record)] for record in records])

    def _unpack(self, vectors: Sequence[bytes]) -> Float32[F32, "N D"]:
        try:
            packed = np.frombuffer(b"".join(vectors), STORED).reshape(len(vectors), self._profile.dimensions)
        except (ValueError, TypeError) as error:
            raise corrupt(self.address, error) from error
        return packed.astype(np.float32)

    def record_numbers(self) -> Int64[I64, " N"]:
        """The records that have descriptors, ascending."""
        rows = self._query("SELECT picture FROM descriptors ORDER BY picture", kinds=(int,))
        return np.array([row[0] for row in rows], np.int64)

    def pictures(self, records: Sequence[int]) -> dict[int, StoredPicture]:
        """The pictures of these records; one that has gone is left out."""
        found: dict[int, StoredPicture] = {}
        for some in _chunks(records):
            marks = ",".join("?" * len(some))
            names: dict[int, list[bytes]] = {}
            for record, path in self._query(
                f"SELECT picture, path FROM files WHERE picture IN ({marks}) ORDER BY path",  # noqa: S608  # as above
                some,
                (int, bytes),
            ):
                names.setdefault(record, []).append(path)
            for record, content, width, height in self._query(
                f"SELECT id, content, width, height FROM pictures WHERE id IN ({marks})",  # noqa: S608  # as above
                some,
                (int, bytes, int, int),
            ):
                found[record] = StoredPicture(record, content, (width, height), tuple(names.get(record, ())))
        return found

    def find(self, content: bytes) -> int | None:
        """The record of a content, or None."""
        rows = self._query("SELECT id FROM pictures WHERE content = ?", (content,), (int,))
        return rows[0][0] if rows else None

    def info(self) -> CollectionInfo:
        """Counts, sizes and settings."""
        with self.snapshot():

            def count(table: str) -> int:
                return self._query(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608  # names from below

            pictures = count("pictures")
            claims = dict(self._query("SELECT root, count(*) FROM claims GROUP BY root"))
            return CollectionInfo(
                address=self.address,
                profile=self._profile,
                format_version=FORMAT_VERSION,
                created=self._meta()["created"],
                pictures=pictures,
                files=count("files"),
                featureless=pictures - count("descriptors"),
                skipped=[
                    Skipped(*row)
                    for row in self._query(
                        "SELECT DISTINCT path, reason, code FROM skipped ORDER BY path",
                        kinds=(bytes, str, str),
                    )
                ],
                roots={
                    path: claims.get(root, 0)
                    for root, path in self._query(
                        "SELECT id, path FROM roots ORDER BY path", kinds=(int, bytes)
                    )
                    if root != ADDED_BY_HAND
                },
                added_by_hand=claims.get(ADDED_BY_HAND, 0),
                bytes=sum(map(_bytes_of, self._folder.glob(f"{DATABASE}*"))),
            )

    def check(self) -> list[str]:
        """Reads everything; each fault in a sentence, none when the collection is sound."""
        with self.snapshot():
            faults = [
                f"the database: {row[0]}"
                for row in self._query("PRAGMA integrity_check(20)")
                if row[0] != "ok"
            ]
            if faults:
                return faults
            for table, _, parent, _ in self._query("PRAGMA foreign_key_check"):
                faults.append(f"a row of {table} points to a row of {parent} that is not there")
            for kind, sql in _ORPHANS.items():
                if number := self._query(sql)[0][0]:
                    faults.append(f"{number} {kind}")
            faults += self._faulty_descriptors("descriptors", "descriptor", self._profile.dimensions)
            if refit := refit_of(self.address, self._meta()):
                faults += self._faulty_descriptors("refit", "unfinished descriptor", refit.dimensions)
            return faults

    def _faulty_descriptors(self, table: str, name: str, dimensions: int) -> Iterator[str]:
        length = dimensions * STORED.itemsize
        after = 0
        sql = (
            f"SELECT picture, vector, crc FROM {table} "  # noqa: S608  # names from above
            "WHERE picture > ? AND vector IS NOT NULL ORDER BY picture LIMIT 4096"
        )
        while rows := self._query(sql, (after,), (int, bytes, int)):
            after = rows[-1][0]
            for record, vector, crc in rows:
                if len(vector) != length:
                    yield f"the {name} of record {record} has {len(vector)} bytes, not {length}"
                elif zlib.crc32(vector) != crc:
                    yield f"the {name} of record {record} has another checksum than when it was written"
                elif not abs(float(np.linalg.norm(np.frombuffer(vector, STORED).astype(float))) - 1) < 0.01:
                    yield f"the {name} of record {record} is not of unit length"

    # -- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def write(self, command: str) -> Generator[FolderWriter]:
        """Becomes the one writer; what was done is kept on leaving, also when an error leaves.

        Raises:
            CollectionBusyError: Another process is; the message names it.
            StorageError: The disk is full or read-only.
        """
        lock = WriterLock(os.fsencode(self._folder), command)
        try:
            with translated(self.address):
                database = open_database(self._folder / DATABASE, "mode=rw")
            try:
                self._require_current(database)
                writer = FolderWriter(database, self.address)
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
                with self.snapshot():
                    pass  # the profile that this writer may have made
            finally:
                database.close()
        finally:
            lock.release()

    def _require_current(self, database: sqlite3.Connection) -> None:
        """Makes the profile that of now: no other process can change it while this one is the writer.

        Raises:
            CollectionBusyError: The caller is in a snapshot of a time before another whitening was fitted.
        """
        with self.snapshot():
            known = self._profile.generation
        with translated(self.address):
            now = database.execute("SELECT value FROM meta WHERE key = 'generation'").fetchall()
        if now != [(known,)]:
            raise _changed(self.address)


def _changed(address: str) -> CollectionBusyError:
    return CollectionBusyError(
        f"{address} was fitted with another whitening while it was being read", remedy="do it again"
    )


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # a log that its last user has just taken away


def _chunks(records: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]
