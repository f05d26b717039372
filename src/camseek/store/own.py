"""The files of a collection in a folder: which they are, and that each is a file and nothing else.

A collection may come from anybody. A link in a file's place would have another file read or written, a pipe
would never end: neither is opened. Files are looked at by name and not opened to be looked at, as a process
that closes one lets go of every lock that SQLite holds on it.
"""

import os
import stat

from camseek.errors import CorruptCollectionError, StorageError
from camseek.files import DATABASE, is_own_name, kind_of_file
from camseek.names import path_text

LOCK, HOLDER = b"writer.lock", b"writer.json"
# A log with which SQLite undoes what a killed process began. No collection has one, as its database is in
# write-ahead mode. It can name another file, anywhere, which SQLite then deletes.
_JOURNAL = DATABASE.encode() + b"-journal"


def collection_files(folder: str | bytes | os.PathLike[str]) -> list[bytes]:
    """The files of a collection in a folder, sorted.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(os.fsencode(folder)) as entries:
        return sorted(entry.path for entry in entries if is_own_name(os.fsdecode(entry.name)))


def require_plain(folder: str | bytes | os.PathLike[str]) -> None:
    """Makes sure that what a collection's folder holds of its own are files, as camseek makes them.

    Raises:
        CorruptCollectionError: One is a link, a folder, a pipe, a socket or a device, or a log that no
            collection has.
        StorageError: The folder cannot be read.
    """
    try:
        for path in collection_files(folder):
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                continue  # its last user has just taken it away: a log, or a note that is in its place now
            if not stat.S_ISREG(found.st_mode):
                raise _odd(path, f"it is {kind_of_file(found.st_mode)}, not a file")
            if os.path.basename(path) == _JOURNAL and found.st_size:
                raise _odd(path, "it is a log of a kind that no collection has")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StorageError(
            f"cannot read {path_text(os.fsencode(folder))}: {error.strerror}",
            remedy="check that you may read it",
        ) from error


def _odd(path: bytes, reason: str) -> CorruptCollectionError:
    return CorruptCollectionError(
        f"{path_text(path)} is not as camseek makes it: {reason}",
        remedy="use this collection only if you know who made that, and take it away first",
    )
