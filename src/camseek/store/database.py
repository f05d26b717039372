"""The SQLite database of a collection in a folder: making it, opening it, and its errors in users' words."""

import os
import sqlite3
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Float32

from camseek.errors import CollectionBusyError, CollectionError, CorruptCollectionError, StorageError
from camseek.files import DATABASE, is_own_name
from camseek.numerics import F32, l2_normalise
from camseek.store.migrations import OLDEST
from camseek.store.own import collection_files, require_plain
from camseek.store.records import ADDED_BY_HAND
from camseek.store.schema import foreign_parts, known_table, schema_statements

FORMAT_VERSION = 5
STORED = np.dtype("<f2")
"""How descriptors are stored: half the bytes; a score moves by 2^-11 (5e-4) at most."""


def as_stored(vectors: Float32[F32, "*shape D"]) -> Float32[F32, "*shape D"]:
    """Vectors of unit length as they come back from a collection: rounded, and normalised again."""
    return l2_normalise(vectors.astype(STORED).astype(np.float32))


# Primary codes of SQLite's errors: the disk or the machine is to blame, or another program is.
DISK_ERRORS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}
# Seconds to wait for another program's lock.
_PATIENCE = 10.0
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def primary_code(error: sqlite3.Error) -> int:
    """The primary code of an error; 0 where Python raised it, over text that is no UTF-8, say."""
    # The low byte: SQLITE_IOERR_WRITE and its kin are kinds of SQLITE_IOERR.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def translated(address: str) -> Generator[None]:
    """SQLite's errors in the words of a user. Misuse of a connection is a caller's bug and passes."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except UnicodeDecodeError as error:
        raise corrupt(address, error) from error
    except sqlite3.DatabaseError as error:
        code = primary_code(error)
        if code in _BUSY:
            raise CollectionBusyError(
                f"{address} is locked by another program: {error}", remedy="wait until it has ended"
            ) from error
        if code in DISK_ERRORS:
            raise StorageError(
                f"{address}: {error}",
                remedy="free space on its disk and check that it is writable; what was done before is kept",
            ) from error
        raise corrupt(address, error) from error


def typed(address: str, rows: list[Any], *kinds: type) -> list[Any]:
    """Rows whose values have the types they were written with; in a damaged file they may not.

    Raises:
        CorruptCollectionError: One has another type.
    """
    for row in rows:
        if not all(map(isinstance, row, kinds)):
            raise corrupt(address, ValueError(f"a row holds {row!r:.80}"))
    return rows


def corrupt(address: str, error: Exception) -> CorruptCollectionError:
    """The error for a collection whose file is damaged."""
    return CorruptCollectionError(
        f"{address} is damaged: {error}",
        remedy="restore it from a copy, or index the pictures into a new collection",
    )


# What statements of ours can need, of what SQLite allows: a limit by its number.
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 10,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 20,
    sqlite3.SQLITE_LIMIT_ATTACHED: 1,  # what gives space back needs one
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


def open_database(path: Path, options: str) -> sqlite3.Connection:
    """Opens a collection's database, which anybody may have made.

    Args:
        path: Its file.
        options: Those of an SQLite address, such as ``mode=ro``.

    Raises:
        sqlite3.Error: It cannot be read.
        CorruptCollectionError: It, or what lies beside it, is not as camseek makes it.
    """
    require_plain(path.parent)
    # The name may hold ? % # and bytes that are no text: quoted, it is a URI all the same. Without the first
    # two slashes, two in front of a name would begin the name of a machine.
    uri = f"file://{quote(os.fsencode(path.absolute()))}?{options}"
    database = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=_PATIENCE, check_same_thread=False
    )
    try:
        # SQLite opens by name: nothing has taken the file's place meanwhile.
        require_plain(path.parent)
        for limit, most in _LIMITS.items():
            database.setlimit(limit, most)
        # From Python 3.12 on: nothing that is said can damage the file itself.
        if sys.version_info >= (3, 12):
            database.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        database.execute("PRAGMA trusted_schema = 0")
        database.execute("PRAGMA cell_size_check = 1")
        database.execute("PRAGMA foreign_keys = 1")
        database.execute("PRAGMA synchronous = NORMAL")
        # The first read of the file: it fails here, not later, where it cannot be read.
        require_ours(database, str(path.parent))
    except BaseException:
        database.close()
        raise
    return database


def require_ours(database: sqlite3.Connection, address: str) -> None:
    """Makes sure that a database is defined as its format is, and by nothing else.

    Raises:
        CorruptCollectionError: It is not.
    """
    within = database.in_transaction
    if not within:
        database.execute("BEGIN")
    try:
        parts = [] if known_table(database, "meta") else ["table meta"]
        if not parts:
            rows = database.execute("SELECT value FROM meta WHERE key = 'format_version'").fetchall()
            version = rows[0][0] if rows else None
            # A format that is not known is refused by its number.
            if isinstance(version, int) and OLDEST <= version <= FORMAT_VERSION:
                parts = foreign_parts(database, version)
    finally:
        if not within:
            database.execute("COMMIT")
    if parts:
        raise CorruptCollectionError(
            f"{address} is not as camseek makes it: it is another's database, or was altered "
            f"({', '.join(parts[:5])})",
            remedy="restore it from a copy, or index the pictures into a new collection",
        )


def create_database(folder: Path, facts: dict[str, Any]) -> None:
    """Writes an empty database beside its place and moves it there whole.

    Args:
        folder: The collection's folder.
        facts: What the collection says of itself: rows of the table ``meta``.
    """
    path = folder / f"{DATABASE}.new"
    # What a creation that was killed has left, or anybody put there: links are not followed.
    for left in collection_files(os.fsencode(folder)):
        if os.path.basename(left).startswith(os.fsencode(path.name)):
            os.unlink(left)
    database = sqlite3.connect(path, isolation_level=None)
    try:
        # Three descriptors of 1,280 dimensions a page; the default page would hold one and waste a third. Of
        # a larger one, parts of 7 to 12 KB leave a quarter empty; of this one they fill several whole.
        database.execute("PRAGMA page_size = 8192")
        database.execute("PRAGMA journal_mode = MEMORY")
        database.execute("BEGIN")
        for statement in schema_statements():
            database.execute(statement)
        meta = {
            "format_version": FORMAT_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        }
        database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        database.execute("INSERT INTO roots VALUES (?, ?)", (ADDED_BY_HAND, b""))
        database.execute("COMMIT")
        # Only now: what a log holds is moved into the file on closing, and a failure there goes untold.
        database.execute("PRAGMA journal_mode = WAL")
    finally:
        database.close()
    os.replace(path, folder / DATABASE)


def require_free(folder: Path) -> None:
    """A new collection takes an empty place, never a folder of somebody's files."""
    try:
        names = {entry.name for entry in folder.iterdir()} if folder.exists() else set[str]()
    except NotADirectoryError:
        raise CollectionError(f"{folder} is a file", remedy="name a folder") from None
    except OSError as error:
        raise StorageError(
            f"cannot read {folder}: {error.strerror}", remedy="check its permissions"
        ) from error
    # What a creation that was interrupted may have left, or one that goes on in another process.
    strangers = [name for name in names if not is_own_name(name)]
    if DATABASE not in names and strangers:
        raise CollectionError(
            f"{folder} is not a collection and not empty",
            remedy="name a folder that is empty or does not exist yet",
        )
