"""What a service remembers of its own: marks, jobs, rows of tables."""

import json
import os
import re
import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from camseek.errors import CamseekError, CollectionBusyError, StorageError
from camseek.files import read_regular, reason_of
from camseek.store.lock import WriterLock
from camseek.writing import write_whole

_VERSION = 3
_ADDRESS_BYTES = 300
_SCHEMA = """
CREATE TABLE marks (
  collection TEXT NOT NULL, query TEXT NOT NULL, picture TEXT NOT NULL, mark TEXT NOT NULL, at TEXT NOT NULL,
  region TEXT,
  PRIMARY KEY (collection, query, picture)
) WITHOUT ROWID;
CREATE TABLE dates (picture TEXT PRIMARY KEY, taken TEXT) WITHOUT ROWID;
CREATE TABLE jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, collection TEXT NOT NULL, arguments TEXT NOT NULL,
  state TEXT NOT NULL, done INTEGER NOT NULL, total INTEGER, created TEXT NOT NULL, ended TEXT,
  report TEXT, problem TEXT
) WITHOUT ROWID;
CREATE TABLE rows (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INTEGER NOT NULL, row TEXT NOT NULL,
  PRIMARY KEY (job, number)
) WITHOUT ROWID;
"""


# From one version to the next.
_STEPS = {
    1: "ALTER TABLE marks ADD COLUMN region TEXT;",
    2: "CREATE TABLE dates (picture TEXT PRIMARY KEY, taken TEXT) WITHOUT ROWID;",
}

Region = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a picture for a query.

    Attributes:
        mark: ``right`` or ``wrong``; None for nothing.
        region: Where it shows what is sought, if that was drawn: x1, y1, x2, y2, pixels, upright, half-open.
    """

    mark: str | None
    region: Region | None


def _address_in(place: Path) -> str | None:
    """An address of this machine that stands in a file, or None."""
    try:
        text = read_regular(place, _ADDRESS_BYTES, follow=False).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch(r"http://[\w.:\[\]-]+/", text) else None


def _region_in(text: str | None) -> Region | None:
    return None if text is None else tuple(json.loads(text))


def now() -> str:
    """This moment, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class State:
    """One small database; threads may share it."""

    def __init__(self, folder: Path, command: str = "camseek serve") -> None:
        """Opens it, or makes it.

        Args:
            folder: Where it lies.
            command: What runs the service, for whoever comes second.

        Raises:
            StorageError: It cannot be written, or is another's.
            CollectionBusyError: A service runs over it; where its page is, is told.
        """
        self._lock = threading.RLock()
        self._place = folder / "service.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._failed(reason_of(error)) from error
        # One service: another would take up what this one does.
        self._address = folder / "address"
        try:
            self._held = WriterLock(os.fsencode(folder), command)
        except CollectionBusyError as error:
            where = _address_in(self._address)
            if where is None:
                raise
            raise CollectionBusyError(
                f"the page is there already, at {where}: {error.message}",
                remedy="open that address, or stop the other one first",
            ) from error
        try:
            self._database = sqlite3.connect(self._place, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA foreign_keys = ON")
            [(version,)] = self._database.execute("PRAGMA user_version")
            if version == 0:
                self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
                version = _VERSION
            while version in _STEPS:
                step, version = _STEPS[version], version + 1
                self._database.executescript(f"BEGIN; {step} PRAGMA user_version = {version}; COMMIT;")
            if version != _VERSION:
                raise self._failed("another version of camseek made it")
        except (CamseekError, sqlite3.Error) as error:
            self._held.release()
            raise error if isinstance(error, CamseekError) else self._failed(str(error)) from error

    def _failed(self, reason: str) -> StorageError:
        return StorageError(
            f"the service's own folder {self._place.parent} cannot be used: {reason}",
            remedy="name another with --state",
        )

    def say(self, address: str) -> None:
        """Notes where the page is, for whoever opens another over the same."""
        write_whole(self._address, address.encode(), replace=True)

    def close(self) -> None:
        """Closes it."""
        with self._lock:
            self._database.close()
        self._address.unlink(missing_ok=True)
        self._held.release()

    @contextmanager
    def _told(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                raise self._failed(str(error)) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a question gives.

        Raises:
            StorageError: The database fails.
        """
        with self._told() as database:
            return database.execute(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Changes something, for good.

        Raises:
            StorageError: The database fails.
        """
        with self._told() as database:
            database.execute(sql, values)

    # -- marks ----------------------------------------------------------------------------------------------

    def mark(
        self, collection: str, query: str, picture: str, mark: str | None, region: Region | None = None
    ) -> None:
        """Says of a picture whether it shows what a query seeks, and where; None takes it back."""
        if mark is None:
            self.run(
                "DELETE FROM marks WHERE collection = ? AND query = ? AND picture = ?",
                (collection, query, picture),
            )
        else:
            self.run(
                "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?)",
                (collection, query, picture, mark, now(), None if region is None else json.dumps(region)),
            )

    def marks_of(self, collection: str, query: str) -> dict[str, Said]:
        """What was said of which picture for a query, as it was first said."""
        found = self.rows(
            "SELECT picture, mark, region FROM marks WHERE collection = ? AND query = ? ORDER BY at, picture",
            (collection, query),
        )
        return {picture: Said(mark, _region_in(region)) for picture, mark, region in found}

    def marks(self, collection: str) -> list[tuple[str, str, str, Said]]:
        """Query, picture, when, and what was said, the latest first."""
        found = self.rows(
            "SELECT query, picture, at, mark, region FROM marks WHERE collection = ? "
            "ORDER BY at DESC, query, picture",
            (collection,),
        )
        return [
            (query, picture, at, Said(mark, _region_in(region))) for query, picture, at, mark, region in found
        ]

    # -- rows of tables -------------------------------------------------------------------------------------

    def add_row(self, job: str, number: int, row: Any) -> None:
        """Keeps a row of a job's table."""
        self.run("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (job, number, json.dumps(row)))

    def table(self, job: str) -> dict[int, Any]:
        """The rows of a job's table that are there, by number."""
        found = self.rows("SELECT number, row FROM rows WHERE job = ? ORDER BY number", (job,))
        return {number: json.loads(row) for number, row in found}
