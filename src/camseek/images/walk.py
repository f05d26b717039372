"""Find the pictures in a folder."""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from camseek.errors import NotAPictureError, SourceError
from camseek.files import kind_of_file, open_regular, reason_of
from camseek.images.files import unreadable
from camseek.images.formats import HEAD_BYTES, claims_picture, sniff
from camseek.names import path_text

COLLECTION_FILE = b"collection.sqlite"
"""A folder with a file of this name is a camseek collection, no place for pictures."""

_LEFT_OUT = b"@eaDir"  # thumbnails that Synology's disks keep beside the pictures


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A picture, or a file that claims to be one.

    Attributes:
        path: Its absolute name; of a symbolic link the link's name, with the target's size and times.
        size: Bytes.
        mtime_ns: When its content changed last, nanoseconds.
        ctime_ns: When its content or its entry changed last, nanoseconds.
    """

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(slots=True)
class Walk:
    """What a folder holds.

    Attributes:
        files: Pictures by name or by content, sorted by the bytes of their paths.
        unknown: Path, reason and code (``unreadable``, ``not_permitted``) of each folder that could not be
            read (nothing beneath it is known), and of each file that could not be looked into.
        skipped: Path, reason and code of what is no picture for certain: ``not_a_file`` (named pipes,
            sockets, devices), ``broken_link``, ``not_a_picture`` (empty files with a picture's name).
        ignored: Number of other files. What is hidden, excluded or not included is not counted.
    """

    files: list[FoundFile] = field(default_factory=list[FoundFile])
    unknown: list[tuple[bytes, str, str]] = field(default_factory=list[tuple[bytes, str, str]])
    skipped: list[tuple[bytes, str, str]] = field(default_factory=list[tuple[bytes, str, str]])
    ignored: int = 0


def walk(root: bytes, *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Walk:
    """Finds the pictures in a folder and the folders beneath it.

    A file is a picture by its name's ending, unopened, or else by its first 32 bytes. Symbolic links to
    folders are not followed (the root itself may be one), links to files are. Left out are folders that
    hold a camseek collection (not the root), ``@eaDir``, and what is hidden (its name begins with a dot),
    unless an ``include`` pattern spells the dot or ``@eaDir``.

    Patterns are those of ``fnmatch`` (``*``, ``?``, ``[...]``), case-sensitive on every system; ``*``
    matches slashes too. Each is held against an entry's name and against its path from the root. One
    that matches a folder stands for all beneath it.

    Args:
        root: Absolute path of a folder.
        include: If there are any, only files that match one are taken.
        exclude: Files and folders that match one are left out; this wins over ``include``.

    Raises:
        SourceError: The root is missing, no folder, or cannot be read.
    """
    if not os.path.isabs(root):
        raise ValueError("root must be absolute")
    return _Walker(root, include, exclude).run()


class _Walker:
    def __init__(self, root: bytes, include: Sequence[str], exclude: Sequence[str]) -> None:
        self.root = root.rstrip(b"/") or b"/"
        self.include = [pattern.strip("/") for pattern in include]
        self.exclude = [pattern.strip("/") for pattern in exclude]
        self.found = Walk()

    def run(self) -> Walk:
        # Folders still to read, with their path from the root and whether all beneath is included. A
        # list and no recursion: trees may be deeper than the interpreter's stack.
        todo = [(self.root, "", not self.include)]
        while todo:
            folder, relative, included = todo.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = list(entries)
            except OSError as error:
                self._unreadable(folder, error)
                continue
            if relative and any(entry.name == COLLECTION_FILE for entry in listed):
                continue
            for entry in listed:
                name = os.fsdecode(entry.name)
                path = f"{relative}/{name}" if relative else name
                if self._left_out(name) or self._matches(self.exclude, name, path):
                    continue
                taken = included or self._matches(self.include, name, path)
                try:
                    is_folder = entry.is_dir(follow_symlinks=False)
                except OSError as error:
                    self._unknown(entry.path, error)
                    continue
                if is_folder:
                    todo.append((entry.path, path, taken))
                elif taken:
                    self._file(entry)
        self.found.files.sort(key=lambda file: file.path)
        self.found.unknown.sort()
        self.found.skipped.sort()
        return self.found

    def _unreadable(self, folder: bytes, error: OSError) -> None:
        if folder == self.root:
            raise SourceError(
                f"{path_text(folder)} cannot be read: {reason_of(error)}",
                remedy="check its name and its permissions, and that its disk is there",
            ) from error
        # A folder removed meanwhile holds nothing; any other failure leaves open what it holds.
        if not isinstance(error, FileNotFoundError):
            self._unknown(folder, error)

    def _unknown(self, path: bytes, error: OSError) -> None:
        told = unreadable(error)
        self.found.unknown.append((path, told.message, told.code))

    def _left_out(self, name: str) -> bool:
        if not name.startswith(".") and name != os.fsdecode(_LEFT_OUT):
            return False
        parts = (part for pattern in self.include for part in pattern.split("/"))
        return not any(part.startswith((".", "@eaDir")) and fnmatchcase(name, part) for part in parts)

    @staticmethod
    def _matches(patterns: list[str], name: str, path: str) -> bool:
        return any(fnmatchcase(name, pattern) or fnmatchcase(path, pattern) for pattern in patterns)

    def _file(self, entry: os.DirEntry[bytes]) -> None:
        path = entry.path
        try:
            status = entry.stat()
        except OSError as error:
            self._no_status(entry, error)
            return
        if stat.S_ISDIR(status.st_mode):
            return  # a link to a folder
        if not stat.S_ISREG(status.st_mode):
            reason = f"it is {kind_of_file(status.st_mode)}, not a file"
            self.found.skipped.append((path, reason, "not_a_file"))
            return
        if claims_picture(entry.name):
            if status.st_size == 0:
                self.found.skipped.append((path, "it is empty", NotAPictureError.code))
                return
        else:
            try:
                with open_regular(path) as file:
                    picture = sniff(file.read(HEAD_BYTES)) is not None
            except FileNotFoundError:
                return
            except OSError as error:
                self._unknown(path, error)
                return
            if not picture:
                self.found.ignored += 1
                return
        self.found.files.append(FoundFile(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns))

    def _no_status(self, entry: os.DirEntry[bytes], error: OSError) -> None:
        broken = isinstance(error, FileNotFoundError) or error.errno == errno.ELOOP
        if broken and entry.is_symlink():
            reason = "it is a symbolic link to nothing"
            self.found.skipped.append((entry.path, reason, "broken_link"))
        elif not isinstance(error, FileNotFoundError):
            self._unknown(entry.path, error)
