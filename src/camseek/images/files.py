"""Open pictures' files, and know their content."""

import errno
import hashlib
import io
import os
from typing import Any, BinaryIO, cast

from camseek.errors import NotPermittedError, TooLargeError, UnreadableFileError
from camseek.files import is_collection_file, open_regular, reason_of

_REMEDIES = {
    errno.ENOENT: "check its name",
    errno.ENOTDIR: "check its name",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.ENAMETOOLONG: "move it to a shorter path",
}
_BUFFER, _PIECE = 1 << 16, 1 << 20
MOST_BYTES = 1 << 32
"""No larger file is read as a picture: a file that is all hole can have any length, and takes as long."""


def unreadable(error: OSError) -> UnreadableFileError:
    """The error to raise where a file cannot be opened or read."""
    kind = NotPermittedError if error.errno in (errno.EACCES, errno.EPERM) else UnreadableFileError
    remedy = _REMEDIES.get(error.errno or 0, "give a file that can be read")
    return kind(reason_of(error), remedy=remedy)


def open_file(path: bytes) -> BinaryIO:
    """Opens a picture's file.

    Raises:
        UnreadableFileError: It is missing or not a regular file; the message says which.
        NotPermittedError: Its permissions forbid it.
    """
    try:
        # Closing one would let go of the locks that this process holds on it.
        if is_collection_file(path):
            raise UnreadableFileError("it is a file of a camseek collection", remedy="give a picture's file")
        return open_regular(path)
    except OSError as error:
        raise unreadable(error) from error
    except ValueError:
        raise UnreadableFileError("its name holds a zero byte", remedy="check its name") from None


def whole_reads(file: BinaryIO) -> BinaryIO:
    """The same file, whose ``read(n)`` gives ``n`` bytes wherever there are so many.

    Sockets, unbuffered files and other people's objects may give fewer, which every decoder takes for the
    file's end. Closing what is returned does not close the file.
    """
    known = io.BytesIO | io.BufferedReader | io.BufferedRandom
    if isinstance(cast(object, file), known):
        return file
    return io.BufferedReader(_Pieces(file), _BUFFER)


class _Pieces(io.RawIOBase):
    """A file as Python's buffers want it: whatever else it can, it reads and goes to a place."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = self._file.seek(offset, whence)
        # Some return nothing.
        return place if isinstance(place, int) else self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read(len(buffer))
        if piece is None:
            raise OSError("it has nothing to read yet: it is open without waiting")
        if len(piece) > len(buffer):
            raise OSError("it gives more than it was asked for")
        buffer[: len(piece)] = piece
        return len(piece)


def fingerprint(file: BinaryIO, *, most: int = MOST_BYTES) -> bytes:
    """SHA-256 of the whole content, 32 bytes; the file stands at its beginning afterwards.

    Args:
        file: The file.
        most: No file with more bytes is wanted: nothing of it is read where the system says so, and no more
            than one further byte where it does not.

    Raises:
        UnreadableFileError: Reading failed.
        TooLargeError: It has more bytes.
    """
    digest, left = hashlib.sha256(), most
    try:
        if (size_of(file) or 0) <= most:
            file = whole_reads(file)
            file.seek(0)
            while left >= 0 and (piece := file.read(min(_PIECE, left + 1))):
                digest.update(piece)
                left -= len(piece)
            if left >= 0:
                file.seek(0)
                return digest.digest()
    except OSError as error:
        raise unreadable(error) from error
    raise TooLargeError(f"it has more than {most:,} bytes", remedy="give a smaller picture")


def size_of(file: BinaryIO) -> int | None:
    """How many bytes the system says that an open file has; None where it is none of the system's."""
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError, ValueError, TypeError):
        return None
