"""Formats of a collection's file, and how an older one becomes this one.

Older formats are read as they are; the first write moves them. Each step is a row of pieces of work, and each
piece is a transaction: a process that is killed leaves a file of the old format, and whoever writes next goes
on where it stopped. Steps spell out their tables: what ``schema.sql`` says later is not what they made.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Migration:
    """From one format to the next.

    Attributes:
        before: The format that it takes.
        advance: Does the next piece, inside a transaction of its own, and says whether that was the last.
            Where data is large, a piece is a part of it, and what says how far the work is must be written
            with it.
        tables: The tables that it makes: an older format has all but these.
    """

    before: int
    advance: Callable[[sqlite3.Connection], bool]
    tables: tuple[str, ...] = ()


def migrate(database: sqlite3.Connection, steps: Sequence[Migration] | None = None) -> None:
    """Moves a file to this format; one that has it is left alone.

    The caller holds the writer's lock.

    Args:
        database: Open for writing, in no transaction.
        steps: What leads from format to format; None for those below.
    """
    for step in STEPS if steps is None else steps:
        while _version(database) == step.before:
            database.execute("BEGIN IMMEDIATE")
            try:
                if step.advance(database):
                    sql = "UPDATE meta SET value = ? WHERE key = 'format_version'"
                    database.execute(sql, (step.before + 1,))
                database.execute("COMMIT")
            except BaseException:
                # A full disk may have undone it already.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


def _version(database: sqlite3.Connection) -> int:
    return database.execute("SELECT value FROM meta WHERE key = 'format_version'").fetchone()[0]


def settings_of(version: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as this format writes them; what was not there yet is left out and takes its default.

    Raises:
        KeyError: They are not of that format.
    """
    if version == 1:
        # A size was a longer side.
        settings = dict(settings)
        settings["size"] = str(settings.pop("longer_side"))
    return settings


def _generations(database: sqlite3.Connection) -> bool:
    """1 to 2: descriptors can be replaced, all at once; sizes are not longer sides only."""
    database.execute(
        "CREATE TABLE refit (picture INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE, "
        "vector BLOB, crc INTEGER NOT NULL)"
    )
    [(settings,)] = database.execute("SELECT value FROM meta WHERE key = 'settings'").fetchall()
    moved = json.dumps(settings_of(1, json.loads(settings)))
    database.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (moved,))
    database.execute("INSERT INTO meta VALUES ('generation', 0)")
    return True


def _traces(database: sqlite3.Connection) -> bool:
    """2 to 3: pictures have traces."""
    database.execute(
        "CREATE TABLE traces (number INTEGER PRIMARY KEY, "
        "picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE, "
        "kind TEXT NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL, UNIQUE (picture, kind))"
    )
    return True


def _patterns(database: sqlite3.Connection) -> bool:
    """3 to 4: roots have patterns, and may lie where the collection lies; featureless pictures are marked."""
    database.execute(
        "INSERT INTO traces (picture, kind, data, crc) SELECT id, '!featureless', x'', 0 FROM pictures "
        "WHERE id NOT IN (SELECT picture FROM descriptors)"
    )
    database.execute(
        "CREATE TABLE patterns (root INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE, "
        "kind TEXT NOT NULL, place INTEGER NOT NULL, pattern BLOB NOT NULL, "
        "PRIMARY KEY (root, kind, place), CHECK (kind IN ('include', 'exclude'))) WITHOUT ROWID"
    )
    return True


def _refit_traces(database: sqlite3.Connection) -> bool:
    """4 to 5: another representation of the pictures has traces, too, and is kept when it was replaced."""
    database.execute(
        "CREATE TABLE refit_traces (picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE, "
        "kind TEXT NOT NULL, side INTEGER NOT NULL, data BLOB NOT NULL, crc INTEGER NOT NULL, "
        "PRIMARY KEY (picture, kind, side))"
    )
    return True


STEPS = (
    Migration(1, _generations, ("refit",)),
    Migration(2, _traces, ("traces",)),
    Migration(3, _patterns, ("patterns",)),
    Migration(4, _refit_traces, ("refit_traces",)),
)
"""One for each older format, in order."""
OLDEST = STEPS[0].before
"""The oldest format that is known."""
