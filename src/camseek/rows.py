"""Tables for spreadsheets and programs."""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from typing import IO, Any

# What spreadsheets begin a formula with, in its wide forms, too.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


class CsvRows:
    """A table for spreadsheets and programs: UTF-8, commas, a line feed after each row.

    A cell of text that a spreadsheet would take for a formula gets an apostrophe in front. Names are cells as
    they are; beside one that is not UTF-8 stands its ``path_bytes`` in base64, as in JSON.
    """

    def __init__(self, file: IO[bytes], columns: Sequence[str], *, mark: bool = True) -> None:
        """Writes the heading.

        Args:
            file: Where the table goes.
            columns: Their names.
            mark: Begin with the mark by which spreadsheets know UTF-8, and which programs at the end of a
                pipe do not expect.
        """
        file.write(codecs.BOM_UTF8 if mark else b"")
        self._file = file
        self._line = io.StringIO(newline="")
        # A carriage return in a cell is quoted where rows end with one.
        self._writer = csv.writer(self._line, lineterminator="\r\n")
        self.write(columns)

    def write(self, row: Iterable[Any]) -> None:
        """Writes a row; None is an empty cell."""
        self._writer.writerow([_safe_cell(cell) if isinstance(cell, str) else cell for cell in row])
        self._file.write(self._line.getvalue().removesuffix("\r\n").encode("utf-8") + b"\n")
        self._line.seek(0)
        self._line.truncate()


def _safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula and runs."""
    return f"'{text}" if text.startswith(_FORMULA) else text
