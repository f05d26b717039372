"""The one writer of a collection in a folder."""

import os
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from camseek.patterns import Patterns
from camseek.store.database import FORMAT_VERSION, translated, typed
from camseek.store.ledger import UNDER, FolderLedger, under
from camseek.store.meta import keeps_rows
from camseek.store.places import is_relative
from camseek.store.records import (
    ADDED_BY_HAND,
    POINTS_TRACE,
    PictureRecord,
    Signature,
    SkippedEntry,
)
from camseek.store.refitter import FolderRefitter, packed
from camseek.store.traces import FEATURELESS, MARK, require_kind
from camseek.store.words import WORDS_KEY


class FolderWriter(FolderLedger):
    """The one writer of a folder collection (the ``Writer`` interface)."""

    def __init__(self, database: sqlite3.Connection, address: str, folder: bytes) -> None:
        self._database = database
        # ``find`` is called from the threads that read pictures.
        self._lock = threading.Lock()
        # Records that lost a file since the last commit.
        self._bereft: set[int] = set()
        # True from a unit's beginning to its end, whole or undone: what is there must not become permanent.
        self.torn = False
        self._refitter = FolderRefitter(self._do, address)
        super().__init__(self._do, address, folder, FORMAT_VERSION)
        for root in self._places.roots:
            # What was indexed by its whole name where the collection has been moved to.
            whole = self._places.whole(root)
            self._rename(whole, root)
            self._merge(whole, root)
        self.commit()

    @property
    def refitter(self) -> FolderRefitter:
        """Replaces the representation of all pictures at once."""
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
        self._publish()
        with self._lock, translated(self._address):
            if self._database.in_transaction:
                self._database.execute("COMMIT")
        self._bereft.clear()

    def _publish(self) -> None:
        """What is about to become permanent here is the truth; of a mirror it is told elsewhere first."""

    def name_beside(self, key: str, token: str) -> None:
        """Names the file that was made of what is there now (``camseek.store.beside``).

        Args:
            key: The row of ``meta`` for it.
            token: What it is named by.
        """
        self._name(key, token)
        self.commit()

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

    def root(self, path: bytes, *, relative: bool = False) -> int:
        """The number of a root, made if it is new.

        Args:
            path: The folder.
            relative: A new one is found from the collection's folder on, wherever both lie; an old one stays
                as it is.
        """
        way = self._places.way_to(path)
        known = self._do("SELECT id FROM roots WHERE path IN (?, ?)", (path, way))
        if known:
            return known[0][0]
        inserted = "INSERT INTO roots (path) VALUES (?) RETURNING id"
        number: int = self._do(inserted, (way if relative else path,))[0][0]
        if relative:
            self._take_in(way)
        return number

    def anchor(self, number: int, *, relative: bool) -> None:
        """Has a root, and what lies in it, found from the collection's folder on, or by whole names.

        What lies in another relative root, too, stays so. Not in a ``unit``.
        """
        [(stored,)] = self._do("SELECT path FROM roots WHERE id = ?", (number,), (bytes,))
        if relative and not is_relative(stored):
            way = self._places.way_to(stored)
            self._merge(way, stored)
            self._do("UPDATE roots SET path = ? WHERE id = ?", (way, number))
            self._take_in(way, stored)
        elif not relative and is_relative(stored):
            self._do("UPDATE roots SET path = ? WHERE id = ?", (self._places.whole(stored), number))
            self._let_out(stored)

    def _merge(self, old: bytes, new: bytes) -> None:
        """Makes a root one with another, where there is one of the old stored name."""
        sql = "SELECT one.id, two.id FROM roots one, roots two WHERE one.path = ? AND two.path = ?"
        for one, two in self._do(sql, (old, new), (int, int)):
            for table in ("claims", "skipped"):
                self._do(f"UPDATE OR IGNORE {table} SET root = ? WHERE root = ?", (two, one))  # noqa: S608  # names from above
                self._do(f"DELETE FROM {table} WHERE root = ?", (one,))  # noqa: S608  # names from above
            self._do("DELETE FROM roots WHERE id = ?", (one,))

    def _take_in(self, root: bytes, given: bytes | None = None) -> None:
        """Makes names in a root relative that has become so; ``given``: its name so far, through a link."""
        whole = self._places.whole(root)
        forms = self._places.forms(whole)
        self._places = self._look_at_places()
        for form in dict.fromkeys((*forms, given or whole)):
            self._rename(form, root)
        # Roots in it go with it.
        sql = f"SELECT id FROM roots WHERE {UNDER} ORDER BY path"  # noqa: S608  # a constant
        for (number,) in self._do(sql, under(whole), (int,)):
            self.anchor(number, relative=True)

    def _let_out(self, root: bytes) -> None:
        """Makes names whole that lay in a root that was relative; those in other such roots stay."""
        whole = self._places.whole(root)
        self._places = self._look_at_places()
        for stored in self._places.beneath(whole):
            if stored != whole:
                # Those of roots in it, whose names begin like its own.
                self._rename(stored, self._places.whole(stored))
        self._rename(root, whole)
        for other in self._places.roots:
            self._rename(self._places.whole(other), other)

    def _rename(self, old: bytes, new: bytes) -> None:
        """Stores every file of a name and beneath it under another; what is there already is one with it."""
        if old == new:
            return
        self._do("PRAGMA defer_foreign_keys = 1")
        stem, place = old.rstrip(b"/"), new.rstrip(b"/")
        for table in ("claims", "files", "skipped"):
            rows = self._do(f"SELECT DISTINCT path FROM {table} WHERE {UNDER}", under(old), (bytes,))  # noqa: S608  # names from above
            for (path,) in rows:
                name = new if path == old else place + path[len(stem) :]
                self._do(f"UPDATE OR IGNORE {table} SET path = ? WHERE path = ?", (name, path))  # noqa: S608  # names from above
                gone = self._do(f"DELETE FROM {table} WHERE path = ? RETURNING *", (path,))  # noqa: S608  # names from above
                if table == "files":
                    self._bereft.update(row[1] for row in gone)

    def set_patterns(self, root: int, patterns: Patterns) -> None:
        """What a root's index runs take and leave out from now on."""
        self._do("DELETE FROM patterns WHERE root = ?", (root,))
        for kind, items in (("include", patterns.include), ("exclude", patterns.exclude)):
            for place, pattern in enumerate(items):
                values = (root, kind, place, os.fsencode(pattern))
                self._do("INSERT INTO patterns VALUES (?, ?, ?, ?)", values)

    def drop_root(self, number: int) -> None:
        """Forgets a root, and what of it could not be used. Not in a ``unit``.

        Raises:
            ValueError: Files are there that it brought.
        """
        if self._do("SELECT 1 FROM claims WHERE root = ? LIMIT 1", (number,)):
            raise ValueError("a root still has files")
        self._do("DELETE FROM skipped WHERE root = ?", (number,))
        [(stored,)] = self._do("DELETE FROM roots WHERE id = ? RETURNING path", (number,), (bytes,))
        if is_relative(stored):
            self._let_out(stored)

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
        else:
            self._do(MARK, (record, FEATURELESS))
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
        require_kind(kind)
        self.drop_trace(record, kind)
        self._put_trace(record, kind, data)

    def _put_trace(self, record: int, kind: str, data: bytes) -> None:
        """Stores a trace of a kind that the picture has none of."""
        require_kind(kind)
        sql = "INSERT INTO traces (picture, kind, data, crc) VALUES (?, ?, ?, ?)"
        self._do(sql, (record, kind, data, zlib.crc32(data)))

    def keep(self, parts: tuple[str, ...]) -> None:
        """Has these kept of each picture from now on; traces of pictures that are there stay as they are."""
        self._do("DELETE FROM meta WHERE key = 'keeps'")
        for row in keeps_rows(parts).items():
            self._do("INSERT INTO meta VALUES (?, ?)", row)

    def drop_traces(self, kind: str) -> int:
        """Drops the traces of a kind of all pictures; how many there were."""
        require_kind(kind)
        [(count,)] = self._do("SELECT count(*) FROM traces WHERE kind = ?", (kind,), (int,))
        self._do("DELETE FROM traces WHERE kind = ?", (kind,))
        self._dropped(kind, count)
        return count

    def drop_trace(self, record: int, kind: str) -> None:
        """Drops a trace of a picture, if it has one."""
        sql = "DELETE FROM traces WHERE picture = ? AND kind = ? RETURNING picture"
        self._dropped(kind, len(self._do(sql, (record, kind))))

    def _dropped(self, kind: str, count: int) -> None:
        """Where points were dropped others may come: no index that was made of them is right any more."""
        if kind == POINTS_TRACE and count:
            self._name(WORDS_KEY, secrets.token_hex(16))

    def _name(self, key: str, token: str) -> None:
        self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, token))

    def point(self, path: bytes, record: int, signature: Signature, root: int) -> None:
        """A file holds this picture, for this root."""
        stored = self._places.stored(path)
        before = self._do("SELECT picture FROM files WHERE path = ?", (stored,))
        self._bereft.update(row[0] for row in before)
        values = (record, signature.size, signature.mtime_ns, signature.ctime_ns)
        # Not INSERT OR REPLACE, which would take the claims of other roots along.
        self._do(
            "INSERT INTO files (picture, size, mtime_ns, ctime_ns, path) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (path) DO UPDATE SET picture = excluded.picture, size = excluded.size, "
            "mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns",
            (*values, stored),
        )
        self.claim(path, root)
        self._do("DELETE FROM skipped WHERE path = ?", (stored,))

    def claim(self, path: bytes, root: int) -> None:
        """A known file belongs to this root too."""
        self._do("INSERT OR IGNORE INTO claims VALUES (?, ?)", (self._places.stored(path), root))

    def skip(self, entry: SkippedEntry, root: int) -> bool:
        """Remembers a file that cannot be used and drops what it held, unless it was added by hand.

        Returns:
            Whether something was dropped.
        """
        gone = self._do(
            "DELETE FROM files WHERE path = ? AND NOT EXISTS "
            "(SELECT 1 FROM claims WHERE claims.path = files.path AND root = ?) RETURNING picture",
            (self._places.stored(entry.skipped.path), ADDED_BY_HAND),
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
                self._places.stored(skipped.path),
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
            stored = self._places.stored(path)
            if root is None:
                self._do("DELETE FROM claims WHERE path = ?", (stored,))
            else:
                self._do("DELETE FROM claims WHERE path = ? AND root = ?", (stored, root))
            gone = self._do(
                "DELETE FROM files WHERE path = ? AND NOT EXISTS "
                "(SELECT 1 FROM claims WHERE claims.path = files.path) RETURNING picture",
                (stored,),
            )
            self._bereft.update(row[0] for row in gone)
            left += [path] * len(gone)
        return left

    def forget_skipped(self, paths: Sequence[bytes], root: int) -> None:
        """Forgets files of a root that could not be used."""
        for path in paths:
            values = (self._places.stored(path), root)
            self._do("DELETE FROM skipped WHERE path = ? AND root = ?", values)

    def forget(self, name: bytes) -> bool:
        """Forgets skipped files and idle roots of this name, or beneath it; whether there were any.

        Raises:
            ValueError: The name is empty.
        """
        if not name:
            raise ValueError("a name is empty")
        found = self.skipped_under(name)
        for path, root in found:
            self.forget_skipped([path], root)
        # Seldom any: claims are not kept by root, and each is looked for among all.
        idle = [
            row[0]
            for stored in self._places.beneath(name)
            for row in self._do(
                f"SELECT id FROM roots WHERE {UNDER} AND id <> ? "  # noqa: S608  # a constant
                "AND NOT EXISTS (SELECT 1 FROM claims WHERE root = roots.id) "
                "AND NOT EXISTS (SELECT 1 FROM skipped WHERE root = roots.id)",
                (*under(stored), ADDED_BY_HAND),
            )
        ]
        for number in idle:
            self.drop_root(number)
        return bool(found or idle)
