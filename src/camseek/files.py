"""Open files that are files, and read no more of them than can be wanted."""

import errno
import os
import stat
from typing import BinaryIO

_REASONS = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file",
    errno.EACCES: "there is no permission to read it",
    errno.EPERM: "there is no permission to read it",
    errno.ELOOP: "its symbolic links go in a circle",
    errno.ENAMETOOLONG: "its path is longer than the system allows",
    errno.EIO: "the disk fails to read it",
    errno.ESTALE: "the network disk has lost it",
}
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


DATABASE = "collection.sqlite"
"""A folder with a file of this name is a camseek collection."""
WORDS_INDEX = "words.index"
"""Beside it: the index of visual words, made of what the database holds."""
CODES_INDEX = "descriptors.codes"
"""Beside it, too: codes of a large collection's descriptors."""
BESIDE = (WORDS_INDEX, CODES_INDEX)
"""What can be made anew of the database."""
# How the names of all files begin that a collection may have: the database, its logs, the writer's lock and
# note, what is made of it, and note and those while they are written, which a killed writer leaves behind.
_OWN = (DATABASE, "writer.", ".writer.", *BESIDE, *(f".{name}." for name in BESIDE))


class IrregularFileError(OSError):
    """It is a folder, a named pipe, a socket or a device."""


class LargeFileError(OSError):
    """It is larger than what it is read as can be."""


def kind_of_file(mode: int) -> str:
    """What a file's ``st_mode`` says it is, with an article."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def reason_of(error: OSError) -> str:
    """Why a system call failed, without the path."""
    if isinstance(error, IrregularFileError | LargeFileError):
        return str(error)
    return _REASONS.get(error.errno or 0) or (os.strerror(error.errno) if error.errno else str(error))


def open_regular(path: str | bytes | os.PathLike[str], *, follow: bool = True) -> BinaryIO:
    """Opens a regular file to read it; a named pipe is never opened, so nothing can block.

    Args:
        path: Its name.
        follow: Whether it may be a link to a file.

    Raises:
        OSError: The system's, or ``IrregularFileError``.
    """
    _check_regular(os.stat(path, follow_symlinks=follow).st_mode)
    # The file may have been exchanged since: a pipe opened without O_NONBLOCK would wait for a writer.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    flags |= 0 if follow else getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        _check_regular(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | bytes | os.PathLike[str], most: int, *, follow: bool = True) -> bytes:
    """The content of a regular file that has no more than ``most`` bytes; a larger one is not read.

    Raises:
        OSError: The system's, ``IrregularFileError`` or ``LargeFileError``.
    """
    with open_regular(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        # Files of the system say that they are empty, and may never end: what comes counts.
        content = b"" if size > most else file.read(most + 1)
    if size > most or len(content) > most:
        raise LargeFileError(f"it has more than {most:,} bytes")
    return content


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise IrregularFileError(f"it is {kind_of_file(mode)}, not a file")


def is_own_name(name: str) -> bool:
    """Whether a file of this name in a collection's folder is one of the collection."""
    return name.startswith(_OWN)


def is_collection(folder: str | bytes | os.PathLike[str]) -> bool:
    """Whether a folder is that of a collection, by what lies in it."""
    return os.path.lexists(os.path.join(os.fsencode(folder), DATABASE.encode()))


def is_collection_file(path: bytes) -> bool:
    """Whether a name is one that a file of a collection has, or may have, in a collection's folder."""
    folder, name = os.path.split(path)
    return is_own_name(os.fsdecode(name)) and is_collection(folder)
