"""The one writer of a collection in a folder."""

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from camseek.results import Skipped
from camseek.store.database import translated, typed
from camseek.store.interface import ADDED_BY_HAND, FileEntry, PictureRecord, Signature, SkippedEntry
from camseek.store.refitter import FolderRefitter, packed


class FolderWriter:
    """The one writer of a folder collection (the ``Writer`` interface)."""

    def __init__(self, database: sqlite3.Connection, address: str) -> None:
        self._database = database
        self._address = address
        # ``find`` is called from the threads that read pictures.
        self._lock = threading.Lock()
        # Records that lost a file since the last commit.
        self._bereft: set[int] = set()
        # True from a unit's beginning to its end, whole or undone: what is there must not become permanent.
        self.torn = False
        self._refitter = FolderRefitter(self._do, address)

    @property
    def refitter(self) -> FolderRefitter:
        """Replaces every descriptor at once."""
        return self._refitter

    def _do(self, sql: str, values: Sequence[Any] = (), kinds: Sequence[type] = ()) -> list[Any]:
        with self._lock, translated(self._address):
            if not self._database.in_transaction:
                self._database.execute("BEGIN IMMEDIATE")
            rows = self._database.execute(sql, values).fetchall()
        return typed(self._address, rows, *kinds) if kinds else rows

    @contextmanager
    def unit(self) -> Generator[None]:
        """What is done inside is done whole or not at all, whatever interrupts it."""
        self._do("SAVEPOINT unit")
        self.torn = True
        try:
            yield
        except BaseException:
            # A full disk may have undone the whole transaction already.
            if self._database.in_transaction:
                self._do("ROLLBACK TO unit")
                self._do("RELEASE unit")
            self.torn = False
            raise
        self._do("RELEASE unit")
        self.torn = False

    def commit(self) -> None:
        """Removes pictures that no file holds any more, then makes what was done so far permanent."""
        for record in self._bereft:
            self._do(
                "DELETE FROM pictures WHERE id = ? AND NOT EXISTS (SELECT 1 FROM files WHERE picture = ?)",
                (record, record),
            )
        with self._lock, translated(self._address):
            if self._database.in_transaction:
                self._database.execute("COMMIT")
        self._bereft.clear()

    def compact(self) -> None:
        """Commits, and gives freed space back to the disk, where there is room to do so."""
        self.commit()
        # Only a service: the file is whole without it. A copy of the database is made on the way.
        with self._lock, suppress(sqlite3.OperationalError):
            self._database.execute("VACUUM")

    def abandon(self) -> None:
        """Undoes what was not committed."""
        with self._lock, translated(self._address):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def root(self, path: bytes) -> int:
        """The number of a root, made if it is new."""
        self._do("INSERT OR IGNORE INTO roots (path) VALUES (?)", (path,))
        return self._do("SELECT id FROM roots WHERE path = ?", (path,))[0][0]

    def files(self) -> dict[bytes, FileEntry]:
        """Every known file."""
        sql = "SELECT path, picture, size, mtime_ns, ctime_ns FROM files"
        rows = self._do(sql, kinds=(bytes, int, int, int, int))
        return {path: FileEntry(record, Signature(*signature)) for path, record, *signature in rows}

    def claimed(self, root: int) -> set[bytes]:
        """The files that a root brought."""
        return {row[0] for row in self._do("SELECT path FROM claims WHERE root = ?", (root,), (bytes,))}

    def skipped(self, root: int) -> dict[bytes, SkippedEntry]:
        """The files of a root that could not be used."""
        rows = self._do(
            "SELECT path, size, mtime_ns, ctime_ns, reason, code, tried_with FROM skipped WHERE root = ?",
            (root,),
            (bytes, int, int, int, str, str, str),
        )
        return {
            path: SkippedEntry(Signature(size, mtime, ctime), Skipped(path, reason, code), tried)
            for path, size, mtime, ctime, reason, code, tried in rows
        }

    def find(self, content: bytes) -> int | None:
        """The record of a content, from any thread."""
        rows = self._do("SELECT id FROM pictures WHERE content = ?", (content,), (int,))
        return rows[0][0] if rows else None

    def insert(self, picture: PictureRecord) -> int:
        """Stores a picture and returns its record; a known content keeps its own.

        Raises:
            ValueError: The descriptor is zero, not finite or of another length.
        """
        if (known := self.find(picture.content)) is not None:
            return known
        width, height = picture.size
        record: int = self._do(
            "INSERT INTO pictures (content, width, height, format, frames) "
            "VALUES (?, ?, ?, ?, ?) RETURNING id",
            (picture.content, width, height, picture.format, picture.frames),
        )[0][0]
        if picture.descriptor is not None:
            dimensions = self._do("SELECT value FROM meta WHERE key = 'dimensions'", (), (int,))[0][0]
            self._do(
                "INSERT INTO descriptors VALUES (?, ?, ?)", (record, *packed(picture.descriptor, dimensions))
            )
        return record

    def names(self, record: int) -> list[bytes]:
        """The names of a record."""
        return [row[0] for row in self._do("SELECT path FROM files WHERE picture = ?", (record,))]

    def point(self, path: bytes, record: int, signature: Signature, root: int) -> None:
        """A file holds this picture, for this root."""
        before = self._do("SELECT picture FROM files WHERE path = ?", (path,))
        self._bereft.update(row[0] for row in before)
        values = (record, signature.size, signature.mtime_ns, signature.ctime_ns)
        # Not INSERT OR REPLACE, which would take the claims of other roots along.
        self._do(
            "INSERT INTO files (picture, size, mtime_ns, ctime_ns, path) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET picture = excluded.picture, size = excluded.size, "
            "mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns",
            (*values, path),
        )
        self.claim(path, root)
        self._do("DELETE FROM skipped WHERE path = ?", (path,))

    def claim(self, path: bytes, root: int) -> None:
        """A known file belongs to this root too."""
        self._do("INSERT OR IGNORE INTO claims VALUES (?, ?)", (path, root))

    def skip(self, entry: SkippedEntry, root: int) -> bool:
        """Remembers a file that cannot be used and drops what it held, unless it was added by hand.

        Returns:
            Whether something was dropped.
        """
        gone = self._do(
            "DELETE FROM files WHERE path = ? AND NOT EXISTS "
            "(SELECT 1 FROM claims WHERE claims.path = files.path AND root = ?) RETURNING picture",
            (entry.skipped.path, ADDED_BY_HAND),
        )
        self._bereft.update(row[0] for row in gone)
        self.remember(entry, root)
        return bool(gone)

    def remember(self, entry: SkippedEntry, root: int) -> None:
        """Remembers a file that cannot be used; what is known of it stays."""
        signature, skipped = entry.signature, entry.skipped
        self._do(
            "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                skipped.path,
                root,
                signature.size,
                signature.mtime_ns,
                signature.ctime_ns,
                skipped.code,
                skipped.reason,
                entry.tried_with,
            ),
        )

    def release(self, paths: Sequence[bytes], root: int | None) -> list[bytes]:
        """These files no longer belong to a root (None: to any); returns those that left with that."""
        left: list[bytes] = []
        for path in paths:
            if root is None:
                self._do("DELETE FROM claims WHERE path = ?", (path,))
            else:
                self._do("DELETE FROM claims WHERE path = ? AND root = ?", (path, root))
            gone = self._do(
                "DELETE FROM files WHERE path = ? AND NOT EXISTS "
                "(SELECT 1 FROM claims WHERE claims.path = files.path) RETURNING picture",
                (path,),
            )
            self._bereft.update(row[0] for row in gone)
            left += [path] * len(gone)
        return left

    def forget_skipped(self, paths: Sequence[bytes], root: int) -> None:
        """Forgets files of a root that could not be used."""
        for path in paths:
            self._do("DELETE FROM skipped WHERE path = ? AND root = ?", (path, root))

    def forget(self, name: bytes) -> bool:
        """Forgets skipped files and idle roots of this name, or beneath it; whether there were any."""
        under = name.rstrip(b"/") + b"/"
        values = (name, len(under), under)
        gone = self._do(
            "DELETE FROM skipped WHERE path = ? OR substr(path, 1, ?) = ? RETURNING 1",
            values,
        )
        gone += self._do(
            "DELETE FROM roots WHERE id <> ? AND (path = ? OR substr(path, 1, ?) = ?) "
            "AND id NOT IN (SELECT root FROM claims) AND id NOT IN (SELECT root FROM skipped) RETURNING 1",
            (ADDED_BY_HAND, *values),
        )
        return bool(gone)
