"""A user's own table: what is known of pictures beside their pixels, by the names of their files."""

import csv
import io
import json
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from camseek.files import read_regular
from camseek.service.problems import ApiError
from camseek.writing import write_whole

_BYTES = 1 << 28
_ROWS = 2_000_000
_COLUMNS = 50
_CELL = 2000
# What the column of files is called in tables that people have; otherwise it is the first.
_FILE = ("file", "filename", "file name", "file_name", "name", "path", "datei", "fichier")
_REMEDY = "send CSV, UTF-8, with a heading and a column of the files' names"
_PLACE = re.compile(r"\{([^{}]*)\}")
# The host is written out: no cell of a table decides where a link leads.
_TEMPLATE = re.compile(r"https?://[^\s/?#{}@\\]+(?:[/?#][^\s{}\\]*(?:\{[^{}]*\}[^\s{}\\]*)*)?", re.IGNORECASE)
_TEMPLATE_LENGTH = 1000


class Table:
    """Rows by the names of files, whole or from any folder on.

    Attributes:
        columns: Beside that of the names.
        links: What values of a column lead to, by the column: addresses with ``{COLUMN}`` where they stand.
    """

    def __init__(
        self,
        columns: tuple[str, ...],
        rows: Mapping[str, dict[str, str]],
        links: Mapping[str, str] | None = None,
    ) -> None:
        self.columns = columns
        self.links = dict(links or {})
        self._rows = rows

    def with_links(self, links: Mapping[str, str]) -> "Table":
        """The same, whose columns lead elsewhere.

        Raises:
            ApiError: There is no such column, or what it is to lead to is no address.
        """
        for column, template in links.items():
            unknown = {column, *_PLACE.findall(template)} - set(self.columns)
            if unknown:
                raise ApiError(
                    422, "table", f"the table has no column {min(unknown)!r}", "name one that it has"
                )
            if not _leads(template):
                raise ApiError(
                    422,
                    "table",
                    "this is no address that a column can lead to",
                    "write it from https:// on, with {COLUMN} behind its host where a value is to stand",
                )
        return Table(self.columns, self._rows, links)

    def addresses(self, row: Mapping[str, str]) -> dict[str, str]:
        """Where what a row says leads, by the column; of values that are there."""
        found: dict[str, str] = {}
        for column, template in self.links.items():
            wanted = {column, *_PLACE.findall(template)}
            if all(row.get(name) for name in wanted):
                found[column] = _PLACE.sub(lambda place: quote(row[place[1]], safe=""), template)
        return found

    def __len__(self) -> int:
        return len(self._rows)

    def key(self, name: str) -> str | None:
        """The row of a picture of this name, by as much of it as the table has; None where there is none."""
        parts = name.split("/")
        found = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((key for key in found if key in self._rows), None)

    def row(self, key: str) -> dict[str, str]:
        """What a row says."""
        return self._rows[key]


def read_table(content: bytes) -> Table:
    """Reads a table.

    Raises:
        ApiError: It is none, or larger than a table of pictures is.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(422, "table", "the table is not UTF-8 text", _REMEDY) from error
    # Of the heading alone: csv.Sniffer takes minutes on some texts, and mistakes others.
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: dict[str, dict[str, str]] = {}
    try:
        nothing: list[str] = []
        columns = [cell.strip()[:100] for cell in next(reader, nothing)]
        if not any(columns) or len(columns) > _COLUMNS:
            raise ApiError(422, "table", f"the table has no heading of 1 to {_COLUMNS} columns", _REMEDY)
        small = [column.casefold() for column in columns]
        place = next((small.index(name) for name in _FILE if name in small), 0)
        for row in reader:
            if place < len(row) and (name := row[place].strip().replace("\\", "/").removeprefix("./")):
                told = {
                    column: cell[:_CELL]
                    for number, (column, cell) in enumerate(zip(columns, row, strict=False))
                    if number != place and column and cell
                }
                rows.setdefault(name, told)
            if len(rows) > _ROWS:
                raise ApiError(413, "too_large", f"the table has more than {_ROWS:,} rows")
    except csv.Error as error:
        raise ApiError(422, "table", f"line {reader.line_num} cannot be read: {error}", _REMEDY) from error
    return Table(tuple(column for number, column in enumerate(columns) if number != place), rows)


_NONE = Table((), {})


def _leads(template: str) -> bool:
    """Whether a text is an address that a column can lead to."""
    return len(template) <= _TEMPLATE_LENGTH and _TEMPLATE.fullmatch(template) is not None


class Tables:
    """Each collection's table, kept as it came."""

    def __init__(self, folder: Path) -> None:
        """Takes a folder of the service's own."""
        self._folder = folder / ".tables"
        self._lock = threading.Lock()
        self._read: dict[str, Table] = {}

    def __getitem__(self, collection: str) -> Table:
        """A collection's table; one without columns where there is none."""
        with self._lock:
            if collection not in self._read:
                found = _NONE
                with suppress(FileNotFoundError, NotADirectoryError, ApiError):
                    found = read_table(read_regular(self._place(collection), _BYTES, follow=False))
                    found = found.with_links(_read_links(self._links(collection), found.columns))
                self._read[collection] = found
            return self._read[collection]

    def put(self, collection: str, table: Table, content: bytes) -> None:
        """Takes a table, as it was read, in the place of the one that is there; links of its columns stay."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._place(collection), content, replace=True)
        with self._lock:
            self._read[collection] = table.with_links(_read_links(self._links(collection), table.columns))

    def link(self, collection: str, links: Mapping[str, str]) -> Table:
        """Has columns lead elsewhere: those that are named, and no others.

        Raises:
            ApiError: As ``Table.with_links``.
        """
        table = self[collection].with_links(links)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._links(collection), json.dumps(table.links).encode(), replace=True)
        with self._lock:
            self._read[collection] = table
        return table

    def drop(self, collection: str) -> None:
        """Forgets a table, and what its columns lead to."""
        self._place(collection).unlink(missing_ok=True)
        self._links(collection).unlink(missing_ok=True)
        with self._lock:
            self._read[collection] = _NONE

    def _links(self, collection: str) -> Path:
        return self._folder / f"{collection}.links.json"

    def _place(self, collection: str) -> Path:
        return self._folder / f"{collection}.csv"


def _read_links(place: Path, columns: tuple[str, ...]) -> dict[str, str]:
    """What columns lead to, of those that are there; nothing where the file is none of ours."""
    try:
        found: Any = json.loads(read_regular(place, _BYTES, follow=False))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    named: dict[Any, Any] = found  # pyright: ignore[reportUnknownVariableType]
    return {
        column: template
        for column, template in named.items()
        if isinstance(template, str)
        and _leads(template)
        and {column, *_PLACE.findall(template)} <= set(columns)
    }
