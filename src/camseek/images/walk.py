"""Find the pictures in a folder."""

import errno
import os
import stat

from camseek.errors import NotAPictureError, SourceError
from camseek.files import DATABASE, is_own_name, kind_of_file, open_regular, reason_of
from camseek.images.files import unreadable
from camseek.images.formats import HEAD_BYTES, claims_picture, sniff
from camseek.images.found import FoundFile, Walk
from camseek.images.remote import walk_remote
from camseek.names import is_remote, path_text
from camseek.patterns import Patterns, Selection

_DATABASE = os.fsencode(DATABASE)


def walk(root: bytes, patterns: Patterns | None = None) -> Walk:
    """Finds the pictures in a folder, or beneath an address (``walk_remote``), and the folders beneath it.

    A file is a picture by its name's ending, unopened, or else by its first 32 bytes. Symbolic links to
    folders are not followed (the root itself may be one), links to files are. Left out are folders that
    hold a camseek collection (where the root does, the collection's own files alone), and what ``Selection``
    leaves out.

    Args:
        root: Absolute path of a folder, or an address.
        patterns: Which files and folders count; None for all.

    Raises:
        SourceError: The root is missing, no folder, or cannot be read.
    """
    if is_remote(root):
        return walk_remote(root, patterns or Patterns())
    if not os.path.isabs(root):
        raise ValueError("root must be absolute")
    return _Walker(root, patterns or Patterns()).run()


class _Walker:
    def __init__(self, root: bytes, patterns: Patterns) -> None:
        self.root = root.rstrip(b"/") or b"/"
        self.selection = Selection(patterns)
        self.found = Walk()

    def run(self) -> Walk:
        # Folders still to read, with their path from the root. A list and no recursion: trees may be deeper
        # than the interpreter's stack.
        todo = [(self.root, "")]
        while todo:
            folder, relative = todo.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = list(entries)
            except OSError as error:
                self._unreadable(folder, error)
                continue
            collection = any(entry.name == _DATABASE for entry in listed)
            if relative and collection:
                continue
            for entry in listed:
                name = os.fsdecode(entry.name)
                # Not even opened: a process that closes one lets go of every lock that it holds on it.
                if collection and is_own_name(name):
                    continue
                path = f"{relative}/{name}" if relative else name
                try:
                    is_folder = entry.is_dir(follow_symlinks=False)
                except OSError as error:
                    self._unknown(entry.path, error)
                    continue
                if is_folder:
                    if self.selection.enters(path):
                        todo.append((entry.path, path))
                elif self.selection.takes(path):
                    self._file(entry)
        self.found.idle = self.selection.idle
        self.found.sort()
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
