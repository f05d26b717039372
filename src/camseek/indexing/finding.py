"""What is to be indexed: folders of pictures, and files by name."""

import os
from collections.abc import Iterable

from camseek.errors import PictureError, SourceError
from camseek.images import FoundFile, Walk, look_at, unreadable, walk
from camseek.names import is_remote, path_text
from camseek.patterns import Patterns
from camseek.results import Skipped

_MISSING = "does not exist"


def find_pictures(root: bytes, patterns: Patterns | None = None, *, known: bool = False) -> Walk:
    """Walks a root and makes sure that there is something to index.

    Args:
        root: The folder, or its address.
        patterns: Which files and folders count; None for all.
        known: The collection holds pictures of this root: an empty or missing one is then a question of
            removal, not of a wrong name.

    Raises:
        SourceError: It is missing, no folder, unreadable or empty.
    """
    if not (is_remote(root) or os.path.isdir(root)):
        fault = _fault(root)
        if known and fault == _MISSING:
            return Walk()
        raise SourceError(f"{path_text(root)} {fault}", remedy="name the folder of your pictures")
    found = walk(root, patterns)
    if not (known or found.files or found.skipped or found.unknown):
        raise SourceError(
            f"{path_text(root)} holds no pictures",
            remedy="name the folder of your pictures; hidden files and excluded ones do not count",
        )
    return found


def _fault(root: bytes) -> str:
    """Why something is no folder to index. What may not be looked at is not missing."""
    try:
        os.lstat(root)
    except (FileNotFoundError, NotADirectoryError):
        return _MISSING
    except OSError as error:
        return f"cannot be read: {unreadable(error).message}"
    return "is not a folder"


def find_files(paths: Iterable[bytes]) -> tuple[list[FoundFile], list[Skipped]]:
    """Looks at single files by name; those that are no files are told with the reason.

    Raises:
        SourceError: A folder is among them.
    """
    files: dict[bytes, FoundFile] = {}
    skipped: list[Skipped] = []
    for path in paths:
        try:
            found = look_at(path)
        except PictureError as error:
            skipped.append(Skipped(path, error.message, error.code))
            continue
        if found is None:
            raise SourceError(f"{path_text(path)} is a folder", remedy="bring in folders with: camseek index")
        files[path] = found
    return [files[path] for path in sorted(files)], skipped
