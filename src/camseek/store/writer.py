"""The one writer of a collection in a folder."""

import json
import sqlite3
import threading
import zlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from camseek.results import Skipped
from camseek.store.database import translated, typed
from camseek.store.records import ADDED_BY_HAND, FileEntry, PictureRecord, Signature, SkippedEntry
from camseek.store.refitter import FolderRefitter, packed
from camseek.store.traces import require_kind


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

    def files_under(self, name: bytes) -> list[bytes]:
        """The known file of this name and those beneath it, sorted; no other file is looked at.

        Raises:
            ValueError: The name is empty.
        """
        sql = f"SELECT path FROM files WHERE {_UNDER} ORDER BY path"  # noqa: S608  # a constant
        return [row[0] for row in self._do(sql, _under(name), (bytes,))]

    def contents_of_sizes(self, sizes: Iterable[int]) -> dict[int, set[bytes]]:
        """The contents of known files of these sizes in bytes, by size; a size of no file is left out."""
        found: dict[int, set[bytes]] = {}
        # One walk through the files, however many sizes.
        sql = (
            "SELECT DISTINCT files.size, content FROM files JOIN pictures ON pictures.id = files.picture "
            "WHERE files.size IN (SELECT value FROM json_each(?))"
        )
        for size, content in self._do(sql, (json.dumps(list(sizes)),), (int, bytes)):
            found.setdefault(size, set()).add(content)
        return found

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
        """Stores a picture and returns its record; a known content keeps its own, and what is stored of it.

        Raises:
            ValueError: The descriptor is zero, not finite or of another length, or a trace's kind cannot be.
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
        for kind, data in picture.traces.items():
            self._put_trace(record, kind, data)
        return record

    def put_trace(self, record: int, kind: str, data: bytes) -> None:
        """Stores a trace of a picture, in the place of the one of this kind that it has.

        Raises:
            KeyError: There is no such picture.
            ValueError: The kind is not 1 to 40 of ``a-z 0-9 _ -``.
        """
        if not self._do("SELECT 1 FROM pictures WHERE id = ?", (record,)):
            raise KeyError(record)
        self._put_trace(record, kind, data)

    def _put_trace(self, record: int, kind: str, data: bytes) -> None:
        require_kind(kind)
        self._do(
            "INSERT INTO traces (picture, kind, data, crc) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (picture, kind) DO UPDATE SET data = excluded.data, crc = excluded.crc",
            (record, kind, data, zlib.crc32(data)),
        )

    def drop_trace(self, record: int, kind: str) -> None:
        """Drops a trace of a picture, if it has one."""
        self._do("DELETE FROM traces WHERE picture = ? AND kind = ?", (record, kind))

    def record(self, path: bytes) -> int | None:
        """The record that a file points to, or None."""
        rows = self._do("SELECT picture FROM files WHERE path = ?", (path,), (int,))
        return rows[0][0] if rows else None

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
        """Forgets skipped files and idle roots of this name, or beneath it; whether there were any.

        Raises:
            ValueError: The name is empty.
        """
        span = _under(name)
        gone = self._do(f"DELETE FROM skipped WHERE {_UNDER} RETURNING 1", span)  # noqa: S608  # a constant
        # Seldom any: claims are not kept by root, and each is looked for among all.
        for (root,) in self._do(f"SELECT id FROM roots WHERE ({_UNDER}) AND id <> ?", (*span, ADDED_BY_HAND)):  # noqa: S608  # a constant
            gone += self._do(
                "DELETE FROM roots WHERE id = ? AND NOT EXISTS (SELECT 1 FROM claims WHERE root = roots.id) "
                "AND NOT EXISTS (SELECT 1 FROM skipped WHERE root = roots.id) RETURNING 1",
                (root,),
            )
        return bool(gone)


# A name itself, and what starts with it and a slash: the next byte after a slash is 0. Found in the path's
# index, without a look at any other.
_UNDER = "path = ? OR (path >= ? AND path < ?)"


def _under(name: bytes) -> tuple[bytes, bytes, bytes]:
    """The values of ``_UNDER``."""
    if not name:
        raise ValueError("a name is empty")
    stem = name.rstrip(b"/")
    return name, stem + b"/", stem + b"0"
