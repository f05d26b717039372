"""Whether a database is one that camseek made: its definitions are those of its format, and nothing else.

A database brings definitions of its own: views, triggers, generated columns and indices over expressions are
programs that run when the tables are read or written. So before anything else is asked of a database, its
definitions are compared, word for word, with those of its format.
"""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from camseek.store.migrations import STEPS

# What SQLite itself may add, at anybody's wish: statistics for its planner.
_STATISTICS = {
    "sqlite_stat1": "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "sqlite_stat4": "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}
# As SQLite reads it: texts and quoted names are one word, comments none.
_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\w+|[^\w\s]""", re.ASCII)
# What an object is, its name, its table, and the words of its definition: none for an automatic index.
_Object = tuple[str, str, str, tuple[str, ...]]
_SQL = "SELECT type, name, tbl_name, sql FROM sqlite_schema"


def schema_statements() -> list[str]:
    """The statements that make an empty database of this format."""
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8").split(";\n")


def foreign_parts(database: sqlite3.Connection, version: int) -> list[str]:
    """What a database has that its format has not, and what it lacks: names of tables and other objects.

    Args:
        database: Nothing but its list of definitions is read.
        version: The format that it says it has.

    Returns:
        Names, sorted; none where it is as camseek made it.
    """
    allowed = {_read("table", name, name, sql) for name, sql in _STATISTICS.items()}
    different = (_objects(database.execute(_SQL)) - allowed) ^ _of_format(version)
    return sorted({f"{kind} {name}" for kind, name, _, _ in different})


def known_table(database: sqlite3.Connection, name: str) -> bool:
    """Whether a database has this table as every format has it: it can be asked for its format."""
    found = {item for item in _objects(database.execute(_SQL)) if name in item[1:3]}
    return found == {item for item in _of_format(STEPS[-1].before + 1) if name in item[1:3]}


@cache
def _of_format(version: int) -> frozenset[_Object]:
    """The objects of a format: those of this one, without what the steps from there on make."""
    with closing(sqlite3.connect(":memory:")) as database:
        for statement in schema_statements():
            database.execute(statement)
        found = _objects(database.execute(_SQL))
    later = {table for step in STEPS if step.before >= version for table in step.tables}
    return frozenset(item for item in found if item[2] not in later)


def _objects(rows: Iterable[Any]) -> frozenset[_Object]:
    return frozenset(_read(*row) for row in rows)


def _read(kind: Any, name: Any, table: Any, sql: Any) -> _Object:
    words = (word for word in _WORD.findall(str(sql or "")) if not word.startswith("--"))
    return str(kind), str(name), str(table), tuple(words)
