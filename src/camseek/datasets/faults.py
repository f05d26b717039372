"""What is wrong with a data set's folder: told one by one, or refused at the first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from camseek.errors import GroundTruthError
from camseek.names import path_json, path_text


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is missing or damaged.

    Attributes:
        path: The file or folder, absolute.
        message: What is wrong with it.
        code: A stable word: ``missing``, ``damaged``, ``ground_truth``, ``twice``, ``count``.
        line: The line of a text file, from 1, or None.
    """

    path: bytes
    message: str
    code: str
    line: int | None = None

    def __str__(self) -> str:
        """One sentence that names the file and the line."""
        line = f", line {self.line}" if self.line is not None else ""
        return f"{path_text(self.path)}{line}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told = {**path_json(self.path), "code": self.code, "message": self.message}
        return told if self.line is None else {**told, "line": self.line}


Report = Callable[[Fault], None]
"""Takes a fault. A reader goes on after it as well as it can; or the function raises."""


def refuse(fault: Fault) -> None:
    """The report of a reader that takes sound data sets only.

    Raises:
        GroundTruthError: Always.
    """
    raise GroundTruthError(
        str(fault), remedy="camseek datasets check NAME FOLDER names everything that is missing or damaged"
    )
