"""Open pictures' files, and know their content."""

import errno
import hashlib
import io
import os
import stat
import time
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from camseek.errors import NotPermittedError, TooLargeError, UnreadableFileError
from camseek.files import is_collection_file, open_regular, reason_of
from camseek.images.found import UNMARKED, FoundFile
from camseek.images.remote import Fetched, fetch, look
from camseek.names import is_remote

_REMEDIES = {
    errno.ENOENT: "check its name",
    errno.ENOTDIR: "check its name",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.ENAMETOOLONG: "move it to a shorter path",
}
_BUFFER, _PIECE = 1 << 16, 1 << 20
# A file written less than this before it was read may be written again within one tick of its clock.
_TICK_NS = 2_000_000_000
MOST_BYTES = 1 << 32
"""No larger file is read as a picture: a file that is all hole can have any length, and takes as long."""


def unreadable(error: OSError) -> UnreadableFileError:
    """The error to raise where a file cannot be opened or read."""
    kind = NotPermittedError if error.errno in (errno.EACCES, errno.EPERM) else UnreadableFileError
    remedy = _REMEDIES.get(error.errno or 0, "give a file that can be read")
    return kind(reason_of(error), remedy=remedy)


def open_file(path: bytes, *, most: int = MOST_BYTES, only: int | None = None) -> BinaryIO:
    """Opens a picture's file, wherever it lies.

    Args:
        path: Its name, or its address: then it is fetched, whole.
        most: Of more bytes nothing is fetched. What lies here is not looked at for its length.
        only: So many of its bytes are wanted, and no more are fetched; None for all.

    Raises:
        UnreadableFileError: It is missing or not a regular file; the message says which.
        NotPermittedError: Its permissions forbid it.
        TooLargeError, NotAPictureError: As ``remote.fetch``.
    """
    if is_remote(path):
        return fetch(path, most=most, only=only)
    try:
        # Closing one would let go of the locks that this process holds on it.
        if is_collection_file(path):
            raise UnreadableFileError("it is a file of a camseek collection", remedy="give a picture's file")
        return open_regular(path)
    except OSError as error:
        raise unreadable(error) from error
    except ValueError:
        raise UnreadableFileError("its name holds a zero byte", remedy="check its name") from None


def look_at(path: bytes) -> FoundFile | None:
    """What is said of a file without reading it; None of a folder.

    Raises:
        UnreadableFileError: Nothing is: it is missing, say.
        NotPermittedError: Permissions forbid to ask.
    """
    if is_remote(path):
        return look(path)
    try:
        status = os.stat(path)
    except OSError as error:
        raise unreadable(error) from error
    except ValueError:
        raise UnreadableFileError("its name holds a zero byte", remedy="check its name") from None
    if stat.S_ISDIR(status.st_mode):
        return None
    return FoundFile(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class FileState:
    """What is said of an open file.

    Attributes:
        size: Bytes.
        mtime_ns: When its content changed last, nanoseconds.
        ctime_ns: As ``FoundFile``; -1 where a further change could go unnoticed.
    """

    size: int
    mtime_ns: int
    ctime_ns: int


def state_of(file: BinaryIO) -> FileState:
    """What is said of a file that ``open_file`` gave; of one that was fetched, when it was.

    Raises:
        OSError: The system does not say.
    """
    if isinstance(file, Fetched):
        found = file.found
        return FileState(found.size, found.mtime_ns, -1 if found.ctime_ns == UNMARKED else found.ctime_ns)
    now, status = time.time_ns(), os.fstat(file.fileno())
    recent = (
        status.st_ctime_ns > now - _TICK_NS
        or abs(status.st_mtime_ns - now) < _TICK_NS  # where ctime is the time of creation
    )
    return FileState(status.st_size, status.st_mtime_ns, -1 if recent else status.st_ctime_ns)


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
