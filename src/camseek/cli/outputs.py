"""The files that a verb was asked to write: one way for all of them.

Without ``--force`` nothing that is there is written over; with it no file that the command reads, none of a
collection, no picture and no database. Nothing is put into a collection's folder.
"""

import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import click

from camseek.errors import OutputError
from camseek.files import DATABASE, is_collection, open_regular
from camseek.names import absolute, path_text
from camseek.writing import whole_file

if TYPE_CHECKING:
    from camseek.store import Collection

force_option = click.option("--force", is_flag=True, help="Write over an output that is there.")

_ELSEWHERE = "give the output a name of its own"
# What a picture that camseek drew holds near its beginning: a report may take the place of an older one.
_OURS = b"Software\0camseek"


class Outputs:
    """Places of files to be written, looked at before the work.

    ::

        outputs = Outputs([report], force=force, reads=queries)
        ...
        outputs.spare(engine.collection)
        ...
        outputs.write(report, page)
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        force: bool,
        reads: Sequence[str | None] = (),
        model: str | None = None,
    ) -> None:
        """Makes sure that each can be written, and may be.

        Args:
            paths: As given.
            force: Whether files that are there may be written over.
            reads: Names of what the command reads, as given: files, and folders with all in them. None: left
                out.
            model: What the option ``--model`` says; its folder is read, too.

        Raises:
            OutputError: One cannot be written, must not be, or is named twice.
            ModelError: An output is there already, and no such model.
        """
        # What is there now, by device and number; None for nothing. Every name by that of its place.
        self._there: dict[bytes, tuple[int, int] | None] = {}
        self._force = force
        for path in paths:
            place = _place(path)
            if place in self._there:
                raise OutputError(f"{path} is named twice", remedy="give each output a name of its own")
            self._there[place] = self._look(path, place, reads, model)

    def _look(
        self, path: str, place: bytes, reads: Sequence[str | None], model: str | None
    ) -> tuple[int, int] | None:
        folder, name = os.path.split(place)
        if is_collection(folder):
            raise OutputError(
                f"{path} is in a collection's folder", remedy="give the output another folder than that"
            )
        if name == DATABASE.encode():
            raise OutputError(f"{path} would make a collection of its folder", remedy=_ELSEWHERE)
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            _require_folder(path, place)
            return None
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error
        for name in (*reads, _model_place(model)):
            if name is not None and _is_of(place, found, name):
                raise OutputError(f"{path} is what this command reads: {name}", remedy=_ELSEWHERE)
        if not stat.S_ISREG(found.st_mode):
            raise OutputError(f"{path} is there already, and no plain file", remedy=_ELSEWHERE)
        if not self._force:
            raise OutputError(
                f"{path} is there already", remedy="give another name, or --force to write over it"
            )
        if what := _precious(path, place):
            raise OutputError(f"{path} is {what}: --force does not write over it", remedy=_ELSEWHERE)
        _require_folder(path, place)
        return found.st_dev, found.st_ino

    def spare(self, collection: "Collection") -> None:
        """Makes sure that none is a file of a collection, or one that it knows: by name, and through links.

        Raises:
            OutputError: One is.
        """
        from camseek.store import collection_files

        if not self._there:
            return
        names = (*collection_files(collection.address), *collection.catalogue.names())
        for name in names:
            if name in self._there:
                raise _taken(name, f"in the collection {collection.address}")
        self._spare(names, f"in the collection {collection.address}")

    def spare_files(self, names: Sequence[bytes]) -> None:
        """Makes sure that none is one of these files, which the command turned out to read.

        Raises:
            OutputError: One is.
        """
        self._spare(names, "what this command reads")

    def _spare(self, names: Sequence[bytes], what: str) -> None:
        there = {numbers: place for place, numbers in self._there.items() if numbers is not None}
        for name in names if there else ():
            numbers = _numbers(name)
            if numbers is not None and numbers in there:
                raise _taken(there[numbers], what)

    @contextmanager
    def open(self, path: str) -> Generator[BinaryIO]:
        """A file to write an output to; it comes to its place whole on leaving.

        Args:
            path: One of those looked at.

        Raises:
            OutputError: It cannot be written, or another file has come there since.
            KeyError: It was not looked at.
        """
        place = _place(path)
        before = self._there[place]
        if before is not None and _numbers(place, follow=False) not in (before, None):
            raise OutputError(f"{path} has become another file meanwhile", remedy=_ELSEWHERE)
        try:
            with whole_file(place, replace=before is not None) as file:
                yield file
        except OSError as error:
            raise _unwritable(path, error) from error
        self._there[place] = _numbers(place, follow=False)

    def write(self, path: str, content: str | bytes) -> None:
        """Writes an output.

        Raises:
            OutputError, KeyError: As ``open``.
        """
        with self.open(path) as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)


def _taken(place: bytes, what: str) -> OutputError:
    return OutputError(f"{path_text(place)} is {what}", remedy=_ELSEWHERE)


def _model_place(model: str | None) -> str:
    from camseek.backbones import find_model
    from camseek.backbones.library import EMBEDDED

    return os.fspath(EMBEDDED if model is None else find_model(model))


def _place(path: str) -> bytes:
    """A name with the links on its way followed, but not a link at its end."""
    folder, name = os.path.split(absolute(path))
    return os.path.join(os.path.realpath(folder), name)


def _numbers(name: bytes, *, follow: bool = True) -> tuple[int, int] | None:
    try:
        found = os.stat(name, follow_symlinks=follow)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _is_of(place: bytes, found: os.stat_result, read: str) -> bool:
    """Whether a file is what is read, or lies in the folder that is."""
    numbers = {(found.st_dev, found.st_ino), _numbers(place)}
    if _numbers(absolute(read)) in numbers - {None}:
        return True
    folder = os.path.realpath(absolute(read))
    return os.path.isdir(folder) and os.path.realpath(place).startswith(folder.rstrip(b"/") + b"/")


def _precious(path: str, place: bytes) -> str | None:
    """What a file is that nobody can have meant: a picture that camseek did not draw, or a database."""
    from camseek.images import sniff

    try:
        with open_regular(place) as file:
            head = file.read(4096)
    except OSError as error:
        raise _unwritable(path, error) from error
    if head.startswith(b"SQLite format 3\0"):
        return "a database"
    return "a picture" if sniff(head) is not None and _OURS not in head else None


def _require_folder(path: str, place: bytes) -> None:
    folder = os.path.dirname(place)
    if not os.access(folder, os.W_OK | os.X_OK):
        fault = "Permission denied" if os.path.isdir(folder) else "there is no such folder"
        raise OutputError(f"cannot write {path}: {fault}", remedy="choose a place that is writable")


def _unwritable(path: str, error: OSError | ValueError) -> OutputError:
    if isinstance(error, FileExistsError):
        return OutputError(f"{path} has come there meanwhile", remedy=_ELSEWHERE)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return OutputError(
        f"cannot write {path}: {reason or error}", remedy="choose a place that is writable and has space"
    )
