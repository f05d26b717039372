"""Open pictures' files, and know their content."""

import errno
import hashlib
from typing import Any, BinaryIO, cast

from camseek.errors import UnreadableFileError
from camseek.files import open_regular, reason_of

_REMEDIES = {
    errno.ENOENT: "check its name",
    errno.ENOTDIR: "check its name",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.ENAMETOOLONG: "move it to a shorter path",
}


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
