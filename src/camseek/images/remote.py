"""Pictures that lie elsewhere: in object storage, read through fsspec's drivers, and on the web.

A name is the whole address. Which account is used, and which server, is the driver's business, told by its
own environment variables and files: nothing of it passes through here.
"""

import importlib
import io
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, Protocol

from camseek.errors import (
    CamseekError,
    ManifestError,
    NotAPictureError,
    NotPermittedError,
    PictureError,
    SourceError,
    TooLargeError,
    UnreadableFileError,
)
from camseek.images.formats import claims_picture, describe, sniff
from camseek.images.found import RATE, SECONDS, UNMARKED, FoundFile, Walk, mark_of
from camseek.names import LOGINS, path_text, way_from, without_secrets
from camseek.patterns import Patterns, Selection

# What fsspec reads through these: the package, and the extra that has it.
_DRIVERS = {b"s3": "s3fs", b"gs": "gcsfs", b"memory": "fsspec"}
_SCHEMES = b"s3 gs http https memory".split()
_PIECE = 16 << 20
_PATIENCE = SECONDS + _PIECE / RATE
# A bucket of a hundred million objects is listed in six hours, at a thousand in a fifth of a second.
_LISTING = 6 * 3600.0
# The first of these that a driver tells says when a file was written, and tells its content from others.
_TIMES = ("LastModified", "mtime", "updated", "created")
_MARKS = ("ETag", "etag", "generation", "md5Hash", "created")


class Fetched(io.BufferedRandom):
    """The content of a file that lies elsewhere, in an unnamed file of this machine.

    Attributes:
        found: What its server said of it when it was read.
    """

    found: FoundFile


class _Driver(Protocol):
    """What reads the files of one kind of address; ``Web`` says what each is."""

    def fetch(self, path: bytes, file: BinaryIO, *, most: int, only: int | None = None) -> FoundFile: ...

    def look(self, path: bytes) -> FoundFile: ...

    def listing(self, root: bytes, walk: Walk, enters: Callable[[bytes], bool]) -> Iterator[FoundFile]: ...

    def complete(self, files: list[FoundFile], walk: Walk) -> list[FoundFile]: ...


def fetch(path: bytes, *, most: int, only: int | None = None) -> Fetched:
    """Fetches a picture's file.

    It is whole and of one moment: what a server says of it is asked before and after.

    Args:
        path: Its address.
        most: A file that has more bytes is not wanted: nothing of it is read.
        only: Fetch so many bytes of it; None for all.

    Raises:
        NotPermittedError: Who asks may not read it.
        UnreadableFileError: It is not there, changed while it was read, does not come, or comes too slowly;
            or no driver is installed.
        TooLargeError: It has more bytes.
        NotAPictureError: Its name has no ending, and it is no picture.
    """
    driver = _driver_of(path)
    try:
        file = Fetched(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115  # who asks closes it
    except OSError as error:
        raise UnreadableFileError(
            f"there is no place to put it: {error.strerror}", remedy="free some space, or set TMPDIR"
        ) from error
    try:
        file.found = driver.fetch(path, file, most=most, only=only)
        file.seek(0)
    except OSError as error:
        file.close()
        raise UnreadableFileError(
            f"there is no place to put it: {error.strerror or error}", remedy="free some space, or set TMPDIR"
        ) from error
    except BaseException:
        file.close()
        raise
    return file


def look(path: bytes) -> FoundFile:
    """What a server says of a file; errors as ``fetch``."""
    return _driver_of(path).look(path)


def walk_remote(root: bytes, patterns: Patterns) -> Walk:
    """Finds the pictures beneath an address, or those of a IIIF manifest.

    A file is a picture by its name's ending. One without an ending is taken for a picture, too: reading it
    tells. All others are ignored, and none is opened. A manifest says itself what is one.

    Args:
        root: The address of a bucket or a folder, of a IIIF manifest, or of a collection of some.
        patterns: What of it counts.

    Raises:
        SourceError: It cannot be listed, or not to its end: what was found until then is nothing to go by.
    """
    walk, selection = Walk(), Selection(patterns)
    folders = {b"": True}

    def enters(inner: bytes) -> bool:
        """Whether a folder counts, told from the root on, and all above it do."""
        if inner not in folders:
            folders[inner] = enters(inner.rpartition(b"/")[0]) and selection.enters(os.fsdecode(inner))
        return folders[inner]

    files: list[FoundFile] = []
    try:
        driver = _driver_of(root)
        for file in driver.listing(root, walk, enters):
            inner = way_from(root, file.path)
            folder, _, name = inner.rpartition(b"/")
            if not enters(folder) or not selection.takes(os.fsdecode(inner)):
                continue
            beneath = file.path.startswith(root + b"/")
            if beneath and not claims_picture(name) and os.path.splitext(name)[1]:
                walk.ignored += 1
            elif file.size == 0:
                walk.skipped.append((file.path, "it is empty", NotAPictureError.code))
            else:
                files.append(file)
        walk.files = driver.complete(files, walk)
    except (PictureError, ManifestError) as error:
        raise SourceError(
            f"{path_text(root)} cannot be listed: {error.message}", remedy=error.remedy
        ) from error
    walk.idle = selection.idle
    walk.sort()
    return walk


def _driver_of(path: bytes) -> _Driver:
    """What reads an address.

    Raises:
        UnreadableFileError: Nothing does, or it is not installed.
    """
    scheme = path.partition(b"://")[0]
    if scheme not in _SCHEMES:
        raise UnreadableFileError(
            f"pictures are not read from {path_text(scheme)}://",
            remedy="give a folder, or an address that begins with s3://, gs://, http:// or https://",
        )
    # A process that was forked off has no connection of its own yet.
    return _driver(scheme, os.getpid())


@lru_cache(maxsize=8)
def _driver(scheme: bytes, process: int) -> _Driver:
    if scheme not in (b"http", b"https"):
        return _Objects(scheme)
    # Here, as it loads TLS, which decoders and most runs have no use for.
    from camseek.images.web import Web

    return Web()


class _Objects:
    """The files of an object storage. Threads may share one."""

    def __init__(self, scheme: bytes) -> None:
        self._scheme = scheme
        package = _DRIVERS[scheme]
        try:
            # Not typed in a way that a strict checker can follow, and absent from a plain install.
            module: Any = importlib.import_module("fsspec")
            importlib.import_module(package)
            # What was listed a minute ago is not what is there, and neither is what others asked for.
            self._files: Any = module.filesystem(
                scheme.decode(), use_listings_cache=False, skip_instance_cache=True
            )
        except ImportError as error:
            extra = "'camseek[remote]'" if package != "gcsfs" else "'camseek[remote]' gcsfs"
            raise UnreadableFileError(
                f"reading {scheme.decode()}:// needs the package {package}, which cannot be loaded: {error}",
                remedy=f"pip install {extra}",
            ) from error

    def fetch(self, path: bytes, file: BinaryIO, *, most: int, only: int | None = None) -> FoundFile:
        before, at = self.look(path), 0
        if before.size > most:
            raise TooLargeError(f"it has more than {most:,} bytes", remedy="give a smaller picture")
        end = before.size if only is None else min(only, before.size)
        while at < end:
            until = min(at + _PIECE, end)
            data = self._ask("cat_file", self._key(path), start=at, end=until)
            if len(data) != until - at:
                raise _changed()
            if not at and not claims_picture(path) and sniff(data) is None:
                raise NotAPictureError(describe(data[:4096]), remedy="give a picture, or leave the file out")
            file.write(data)
            at = until
        # One version of it: each piece was of whatever was there at its moment.
        if only is None and self.look(path) != before:
            raise _changed()
        return before

    def look(self, path: bytes) -> FoundFile:
        told = self._ask("info", self._key(path))
        if told.get("type") == "directory":
            raise UnreadableFileError(
                "it is a folder, not a file", remedy="bring in folders with: camseek index"
            )
        return self._found(path, told)

    def listing(self, root: bytes, walk: Walk, enters: Callable[[bytes], bool]) -> Iterator[FoundFile]:
        # One listing of all that is beneath. What fails on its way is raised, and nothing is left out.
        listed = self._ask("find", self._key(root), detail=True, seconds=_LISTING)
        for name, told in listed.items():
            path = self._scheme + b"://" + os.fsencode(name).lstrip(b"/")
            if told.get("type") == "file" and path.startswith(root + b"/") and not path.endswith(b"/"):
                yield self._found(path, told)

    def complete(self, files: list[FoundFile], walk: Walk) -> list[FoundFile]:
        return files

    def _key(self, path: bytes) -> str:
        return os.fsdecode(path.partition(b"://")[2])

    def _ask(self, method: str, *given: Any, seconds: float = _PATIENCE, **more: Any) -> Any:
        if self._files.async_impl:
            more["timeout"] = seconds
        with _driver_errors(self._scheme):
            return getattr(self._files, method)(*given, **more)

    def _found(self, path: bytes, told: dict[str, Any]) -> FoundFile:
        size, time = told.get("size"), next((told[key] for key in _TIMES if told.get(key)), None)
        mark = next((told[key] for key in _MARKS if told.get(key)), None)
        return FoundFile(
            path,
            size if isinstance(size, int) else -1,
            # Some tell fractions of a second in a list, and none of a single file.
            int(time.timestamp()) * 10**9 if isinstance(time, datetime) else -1,
            UNMARKED if mark is None else mark_of(str(mark)),
        )


def _changed() -> UnreadableFileError:
    return UnreadableFileError(
        "it was being written while it was read", remedy="index again when it is complete"
    )


@contextmanager
def _driver_errors(scheme: bytes) -> Generator[None]:
    """Whatever a driver raises as an error of camseek's; a driver may raise anything."""
    try:
        yield
    except (CamseekError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise UnreadableFileError("there is no such file or bucket", remedy="check its address") from error
    except TimeoutError as error:
        raise UnreadableFileError("its server does not answer in time", remedy="try it later") from error
    except Exception as error:  # whatever a driver, or a library below it, comes up with
        told = without_secrets(" ".join(str(error).split()))[:200]
        kind = type(error).__name__
        if isinstance(error, PermissionError) or "Credential" in kind:
            raise NotPermittedError(
                f"there is no permission to read it: {told}",
                remedy=f"check its rights, and who asks: {LOGINS.get(scheme, 'nobody')} in the environment",
            ) from error
        raise UnreadableFileError(
            f"its server or the driver fails: {kind}: {told}", remedy="check its address, or try it later"
        ) from error
