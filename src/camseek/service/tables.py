"""A user's own table: what is known of pictures beside their pixels, by the names of their files."""

import csv
import io
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

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


class Table:
    """Rows by the names of files, whole or from any folder on."""

    def __init__(self, columns: tuple[str, ...], rows: Mapping[str, dict[str, str]]) -> None:
        self.columns = columns
        self._rows = rows

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
                self._read[collection] = found
            return self._read[collection]

    def put(self, collection: str, table: Table, content: bytes) -> None:
        """Takes a table, as it was read, in the place of the one that is there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._place(collection), content, replace=True)
        with self._lock:
            self._read[collection] = table

    def drop(self, collection: str) -> None:
        """Forgets a table."""
        self._place(collection).unlink(missing_ok=True)
        with self._lock:
            self._read[collection] = _NONE

    def _place(self, collection: str) -> Path:
        return self._folder / f"{collection}.csv"
