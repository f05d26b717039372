"""Files written beside their places and moved there whole: the one way in which files are written."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator
from typing import BinaryIO

# Not every system has all of them.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"))
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS


@contextlib.contextmanager
def whole_file(path: str | bytes | os.PathLike[str], *, replace: bool) -> Generator[BinaryIO]:
    """A file to write to, which comes to its place whole on leaving, or not at all where an error leaves.

    It is written under a name of its own in the same folder, through no link. What replaces a file keeps its
    permissions; what replaces a link is a file in the link's place.

    Args:
        path: The place.
        replace: Whether it takes the place of what is there.

    Raises:
        FileExistsError: Something is there, and is not to be replaced, or came there meanwhile.
        OSError: It cannot be written.
    """
    place = os.fsencode(path)
    folder, name = os.path.split(place)
    if not replace and os.path.lexists(place):
        raise FileExistsError(errno.EEXIST, "it is there already", path)
    part = os.path.join(folder, b"." + name[:100] + b"." + secrets.token_hex(8).encode() + b".part")
    file = os.fdopen(os.open(part, _NEW, 0o666), "wb")
    try:
        with file:
            _take_over_mode(place, file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(part, place)
        else:
            _put(part, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def write_whole(path: str | bytes | os.PathLike[str], data: bytes, *, replace: bool) -> None:
    """Writes a file as ``whole_file`` does.

    Raises:
        OSError: As there.
    """
    with whole_file(path, replace=replace) as file:
        file.write(data)


def _take_over_mode(place: bytes, descriptor: int) -> None:
    """Gives a file the permissions of the one that it replaces, whatever new ones would get."""
    with contextlib.suppress(OSError):
        before = os.lstat(place)
        if stat.S_ISREG(before.st_mode) and hasattr(os, "fchmod"):
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o777)


def _put(part: bytes, place: bytes) -> None:
    """Moves a file to a free place; renaming would replace what has come there meanwhile."""
    try:
        os.link(part, place)
    except FileExistsError:
        raise
    except OSError:
        # A file system without second names for a file.
        if os.path.lexists(place):
            raise FileExistsError(errno.EEXIST, "it is there already", place) from None
        os.rename(part, place)
    else:
        os.unlink(part)
