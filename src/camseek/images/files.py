"""Open files that are files, and know their content."""

import errno
import hashlib
import os
import stat
from typing import Any, BinaryIO, cast

from camseek.errors import UnreadableFileError

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
_REMEDIES = {
    errno.ENOENT: "check its name",
    errno.ENOTDIR: "check its name",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.ENAMETOOLONG: "move it to a shorter path",
}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class IrregularFileError(OSError):
    """It is a folder, a named pipe, a socket or a device."""


def kind_of_file(mode: int) -> str:
    """What a file's ``st_mode`` says it is, with an article."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def reason_of(error: OSError) -> str:
    """Why a system call failed, without the path."""
    if isinstance(error, IrregularFileError):
        return str(error)
    return _REASONS.get(error.errno or 0) or (os.strerror(error.errno) if error.errno else str(error))


def open_regular(path: bytes) -> BinaryIO:
    """Opens a regular file to read it; a named pipe is never opened, so nothing can block.

    Raises:
        OSError: The system's, or ``IrregularFileError``.
    """
    _check_regular(os.stat(path).st_mode)
    # The file may have been exchanged since: a pipe opened without O_NONBLOCK would wait for a writer.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        _check_regular(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise IrregularFileError(f"it is {kind_of_file(mode)}, not a file")


def unreadable(error: OSError) -> UnreadableFileError:
    """The error to raise where a file cannot be opened or read."""
    remedy = _REMEDIES.get(error.errno or 0, "give a file that can be read")
    return UnreadableFileError(reason_of(error), remedy=remedy)


def open_file(path: bytes) -> BinaryIO:
    """Opens a picture's file.

    Raises:
        UnreadableFileError: It is missing, not permitted, or not a regular file; the message says which.
    """
    try:
        return open_regular(path)
    except OSError as error:
        raise unreadable(error) from error
    except ValueError:
        raise UnreadableFileError("its name holds a zero byte", remedy="check its name") from None


def fingerprint(file: BinaryIO) -> bytes:
    """SHA-256 of the whole content, 32 bytes; the file stands at its beginning afterwards.

    Raises:
        UnreadableFileError: Reading failed.
    """
    try:
        file.seek(0)
        digest = hashlib.file_digest(cast(Any, file), "sha256").digest()
        file.seek(0)
    except OSError as error:
        raise unreadable(error) from error
    return digest
