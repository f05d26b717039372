"""Reading the database of a collection in a folder: one connection, which threads share."""

import os
import shutil
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from camseek.errors import CollectionChangedError, CollectionError, NoCollectionError, StorageError
from camseek.files import DATABASE
from camseek.store.database import (
    DISK_ERRORS,
    corrupt,
    open_database,
    primary_code,
    require_ours,
    translated,
    typed,
)
from camseek.store.meta import MOST_BYTES, MOST_ROWS, keeps_rows, profile_of
from camseek.store.own import require_plain
from camseek.store.records import Profile


def _as_it_is() -> None:
    """A folder's database is the truth: nothing has to be looked at before it."""


class Reader:
    """A connection for reading.

    Readers see one moment and are never blocked by the writer (SQLite's write-ahead log). Threads take turns
    with the connection, statement by statement, or for the length of a ``snapshot``.
    """

    def __init__(
        self, folder: Path, *, address: str | None = None, refresh: Callable[[], None] = _as_it_is
    ) -> None:
        """Opens an existing collection.

        Args:
            folder: Where the database lies.
            address: What the collection is called, where that is not its folder.
            refresh: Called before a moment is looked at: outside the lock, so that nobody waits for it, and
                never by a thread that is inside one.

        Raises:
            NoCollectionError: There is none.
            CollectionVersionError: A later camseek made it.
            CorruptCollectionError: Its file is damaged.
            StorageError: It cannot be read.
        """
        self._folder = folder
        self._address = str(folder) if address is None else address
        self._refresh_from = refresh
        self._lock = threading.RLock()
        # The thread that is inside a moment.
        self._inside: int | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._closed = False
        self._require_database()
        try:
            with translated(self.address):
                self._database = self._connect()
                try:
                    self._version: int = self._database.execute("PRAGMA data_version").fetchone()[0]
                    meta = self.meta()
                    self._profile = profile_of(self.address, meta)
                    self._format: int = meta["format_version"]
                except BaseException:
                    self._database.close()
                    raise
        except BaseException:
            self._drop_copy()
            raise

    @property
    def folder(self) -> Path:
        """Where the database lies."""
        return self._folder

    @property
    def address(self) -> str:
        """What the collection is called: the folder, but where it is another's mirror."""
        return self._address

    @property
    def profile(self) -> Profile:
        """What the descriptors were made with when a snapshot was last taken."""
        return self._profile

    @property
    def format_version(self) -> int:
        """The format that the file had when a snapshot was last taken."""
        return self._format

    @property
    def version(self) -> int:
        """Inside a snapshot: a number that is another whenever the content is."""
        return self._version

    def close(self) -> None:
        """Lets go of the database."""
        with self._lock:
            self._closed = True
            self._database.close()
            self._drop_copy()

    def _require_open(self) -> None:
        if self._closed:
            raise CollectionError(f"{self.address} was closed", remedy="open it again")

    # -- opening ------------------------------------------------------------------------------------------

    def _require_database(self) -> None:
        try:
            # Not Path.is_file, which may take a folder one may not enter for an empty one.
            found = stat.S_ISREG(os.lstat(self._folder / DATABASE).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            found = False
        except OSError as error:
            raise StorageError(
                f"cannot read {self.address}: {error.strerror}", remedy="check that you may read it"
            ) from error
        if not found:
            require_plain(self.address)
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

    # -- reading ------------------------------------------------------------------------------------------

    def query(self, sql: str, values: Sequence[Any] = (), kinds: Sequence[type] = ()) -> list[Any]:
        """The rows of a query; of these types, where any are given.

        Raises:
            CorruptCollectionError: The file is damaged, or a value has another type.
            StorageError: It cannot be read.
        """
        self._look()
        rows = self._run(sql, values)
        return typed(self.address, rows, *kinds) if kinds else rows

    def _look(self) -> None:
        if self._inside != threading.get_ident():
            self._refresh_from()

    def _run(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock, translated(self.address):
            self._require_open()
            return self._database.execute(sql, values).fetchall()

    def query_of(
        self, sql: str, records: Sequence[int], values: Sequence[Any] = (), kinds: Sequence[type] = ()
    ) -> Iterator[Any]:
        """The rows of a query of these records, some hundred at a time.

        Args:
            sql: The query; ``RECORDS`` in it stands for a list of records.
            records: The records.
            values: What other question marks stand for; they come first.
            kinds: As in ``query``.
        """
        for start in range(0, len(records), _CHUNK):
            some = [int(record) for record in records[start : start + _CHUNK]]
            yield from self.query(sql.replace("RECORDS", ",".join("?" * len(some))), (*values, *some), kinds)

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """What is read inside belongs to one moment, and ``profile``, too. Other threads wait meanwhile."""
        self._look()
        with self._lock:
            self._require_open()
            if self._inside is not None:
                yield
                return
            self._run("BEGIN")
            self._inside = threading.get_ident()
            try:
                self._refresh()
                yield
            finally:
                self._inside = None
                self._run("COMMIT")

    def meta(self) -> dict[str, Any]:
        """What the collection says of itself.

        Raises:
            CorruptCollectionError: It says more than it can have to say.
        """
        # Before any of it is read: anybody may have written it.
        sql = "SELECT count(1), coalesce(max(length(key)), 0), coalesce(sum(length(value)), 0) FROM meta"
        [(rows, key, values)] = self.query(sql)
        if rows > MOST_ROWS or key > MOST_ROWS or values > MOST_BYTES:
            raise corrupt(self.address, ValueError("it says more of itself than it can have to say"))
        return dict(self.query("SELECT key, value FROM meta"))

    def require(self, generation: int | None) -> None:
        """Makes sure that the descriptors of this moment are of this generation; None: of any.

        Raises:
            CollectionChangedError: They are not.
        """
        if generation not in (None, self._profile.generation):
            raise changed(self.address)

    def _refresh(self) -> None:
        """Brings the profile in line with the moment that is being read."""
        # SQLite's number for what other connections have written; this one writes nothing.
        version = self.query("PRAGMA data_version")[0][0]
        if version == self._version:
            return
        rows = self.query(
            "SELECT key, value FROM meta WHERE key IN ('generation', 'format_version', 'keeps')"
        )
        # Format 1 had no generations.
        now = {"generation": 0, **dict(rows)}
        known = {"generation": self._profile.generation, "format_version": self._format}
        if now != known | keeps_rows(self._profile.keeps):
            with translated(self.address):
                require_ours(self._database, self.address)
            meta = self.meta()
            self._profile, self._format = profile_of(self.address, meta), meta["format_version"]
        self._version = version


_CHUNK = 500


def changed(address: str) -> CollectionChangedError:
    """The error for descriptors that were replaced between two looks at them."""
    return CollectionChangedError(
        f"{address} was fitted or upgraded while it was being read", remedy="do it again"
    )
