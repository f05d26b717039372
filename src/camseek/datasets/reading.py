"""Files of ground truths, read whole: what they may hold is bounded before it is built.

A few hundred bytes can unfold to gigabytes: as a pickle that names one list again and again, as a compressed
variable, as an array whose shape is a lie. Every reader spends from a ``Budget`` before it builds, and says
in the same three words what is wrong: the file is *damaged*, *not supported*, or *not permitted*.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from camseek.errors import DamagedTruthError, ForbiddenTruthError, GroundTruthError, UnsupportedTruthError
from camseek.files import LargeFileError, read_regular, reason_of
from camseek.jsontext import TooMuchError, loads
from camseek.names import path_text

MOST_BYTES = 16_000_000
"""The largest file of a public data set that is read; the official ones have less than two megabytes."""

MOST_JSON_BYTES = 64_000_000
"""The largest file of JSON: one's own may have a name for each of a million answers."""

MOST_VALUES = 500_000
"""Values that a public data set may unfold to; INSTRE, the largest, has some 170,000."""

MOST_JSON_VALUES = 1_000_000
"""The same for JSON."""

MOST_DEPTH = 64
"""Values within values; ground truths have four levels."""

LONGEST_NAME = 4096
"""Characters of a picture's name or a query's id."""

_TEXT_UNIT = 64  # characters that cost as much as one value
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
}
_OFFICIAL = "get the official file again, or write its content as JSON (docs/datasets.md)"


class RefusalError(Exception):
    """A part of a file cannot be used; its reader adds where the part stands.

    Attributes:
        kind: Which of the three errors it is.
    """

    def __init__(self, kind: type[GroundTruthError], what: str) -> None:
        super().__init__(what)
        self.kind = kind


def damaged(what: str) -> RefusalError:
    """The file is broken."""
    return RefusalError(DamagedTruthError, what)


def unsupported(what: str) -> RefusalError:
    """The file is of a kind that is not read."""
    return RefusalError(UnsupportedTruthError, what)


def forbidden(what: str) -> RefusalError:
    """The file would take or do too much."""
    return RefusalError(ForbiddenTruthError, what)


_WORDS: dict[type[GroundTruthError], str] = {
    DamagedTruthError: "damaged",
    UnsupportedTruthError: "not supported",
    ForbiddenTruthError: "not permitted",
}


def refused(where: str, error: RefusalError, remedy: str = _OFFICIAL) -> GroundTruthError:
    """The error that people see: where, which of the three words, and what."""
    return error.kind(f"{where}: {_WORDS[error.kind]}: {error}", remedy=remedy)


@dataclass(slots=True)
class Budget:
    """What a file may still unfold to.

    What is named twice counts twice, so that a small file stays small.
    """

    left: int = MOST_VALUES
    most: int = MOST_VALUES

    def spend(self, values: int = 1) -> None:
        """Takes account of values that are about to be built.

        Raises:
            RefusalError: There is not so much left.
        """
        self.left -= values
        if self.left < 0:
            raise forbidden(f"it unfolds to more than {self.most:,} values, which no ground truth has")

    def spend_text(self, length: int) -> None:
        """The same for a text, or bytes, of a length."""
        self.spend(1 + length // _TEXT_UNIT)


def check_depth(depth: int) -> None:
    """Refuses values within values within values.

    Raises:
        RefusalError: It is deeper than ``MOST_DEPTH``.
    """
    if depth > MOST_DEPTH:
        raise forbidden(f"its values lie more than {MOST_DEPTH} levels deep, or within themselves")


def read_file(path: bytes, remedy: str, most: int = MOST_BYTES) -> bytes:
    """A file's content.

    Args:
        path: The file.
        remedy: What to do where it cannot be read.
        most: The bytes that it may have.

    Raises:
        GroundTruthError: It cannot be read, is no regular file, or is larger.
    """
    try:
        return read_regular(path, most)
    except LargeFileError as error:
        raise refused(path_text(path), forbidden(str(error)), remedy) from error
    except OSError as error:
        raise GroundTruthError(
            f"{path_text(path)} cannot be read: {reason_of(error)}", remedy=remedy
        ) from error


def check_plain(content: bytes) -> None:
    """Refuses compressed files by name: nothing is unpacked here.

    Raises:
        RefusalError: It is one.
    """
    for start, form in _COMPRESSED.items():
        if content.startswith(start):
            raise unsupported(f"it is compressed ({form}); unpack it first")


def parse_json(
    content: bytes, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The values in JSON.

    Args:
        content: The JSON.
        object_pairs_hook: As ``json.loads`` takes it.

    Raises:
        RefusalError: It is no JSON, too large, too deep, or holds a number of hundreds of digits.
    """
    check_plain(content)
    try:
        return loads(content, MOST_JSON_VALUES, object_pairs_hook)
    except TooMuchError as error:
        raise forbidden(str(error)) from error
    except ValueError as error:
        raise damaged(f"it is not JSON ({error})") from error
