"""Index runs: what a folder holds and what a collection knows are brought together."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from camseek.engine.pipeline import ordered
from camseek.engine.reading import PictureReader
from camseek.errors import PictureError, SourceError, UnreadableFileError
from camseek.images import FoundFile, Picture, Walk, fingerprint, open_file
from camseek.names import path_text
from camseek.numerics import is_usable
from camseek.results import IndexReport, Skipped
from camseek.store import ADDED_BY_HAND, FileEntry, PictureRecord, Signature, SkippedEntry, Writer
from camseek.version import VERSION

F32 = NDArray[np.float32]

# How often the work is made permanent: a killed run loses at most this much.
_COMMIT_PICTURES = 16
_COMMIT_SECONDS = 1.0
# A file written less than this before it was read may be written again within one tick of its clock.
_TICK_NS = 2_000_000_000

# No file has this signature: what is remembered with it is tried again every time.
_NEVER = Signature(-1, -1, -1)

Describe = Callable[[Picture], Float32[F32, " D"]]


@runtime_checkable
class Progress(Protocol):
    """Told how far an index run is."""

    def start(self, total: int) -> None:
        """So many pictures will be read."""
        ...

    def step(self) -> None:
        """One more picture is done."""
        ...


class Quiet:
    """No progress."""

    def start(self, total: int) -> None:
        """Says nothing."""

    def step(self) -> None:
        """Says nothing."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What became of one file: a known content, a new picture, or an error."""

    file: FoundFile
    signature: Signature | None = None
    content: bytes | None = None
    picture: PictureRecord | None = None
    warnings: tuple[str, ...] = ()
    error: PictureError | None = None


class IndexRun:
    """One run over files, for one root."""

    def __init__(
        self,
        writer: Writer,
        describe: Describe,
        report: IndexReport,
        *,
        root: int,
        reader: PictureReader,
        workers: int,
        progress: Progress,
    ) -> None:
        self._writer = writer
        self._describe = describe
        self._report = report
        self._root = root
        self._reader = reader
        self._workers = workers
        self._progress = progress
        self._tried_with = f"{VERSION}/{reader.max_pixels}"
        self._files = writer.files()
        self._gone: set[bytes] = set()
        self._moved_from: set[bytes] = set()

    def reconcile(self, root: bytes, walk: Walk, *, allow_removal: bool) -> None:
        """Makes the root's part of the collection what the walk found.

        Raises:
            SourceError: The root is suddenly empty and ``allow_removal`` is not given.
        """
        claimed = self._writer.claimed(self._root)
        remembered = self._writer.skipped(self._root)
        seen = {file.path for file in walk.files}
        self._report.ignored = walk.ignored
        self._report.unknown = [
            Skipped(path, reason, UnreadableFileError.code) for path, reason in walk.unknown
        ]
        self._report.skipped = [Skipped(*item) for item in walk.skipped]
        kept = [path for path, _ in walk.unknown]
        self._gone = {path for path in claimed - seen if not _under_any(path, kept)}
        with self._writer.unit():
            for item in self._report.skipped:
                self._writer.remember(SkippedEntry(_NEVER, item, self._tried_with), self._root)
        skipped = {item.path for item in self._report.skipped}
        self._read_all(self._sort_out(walk.files, remembered))
        # An unmounted disk looks like an empty folder: where no picture is left, none is let go.
        if self._gone and not allow_removal and not seen & self._writer.claimed(self._root):
            raise _suddenly_empty(root, len(self._gone))
        with self._writer.unit():
            left = set(self._writer.release(sorted(self._gone), self._root))
            forgotten = [path for path in remembered if path not in seen | skipped]
            self._writer.forget_skipped(
                [path for path in forgotten if not _under_any(path, kept)], self._root
            )
        # An old name that another root still holds was no move.
        stayed = len(self._moved_from - left)
        self._report.moved -= stayed
        self._report.added += stayed
        self._report.removed += len(left - self._moved_from)
        self._writer.commit()

    def add(self, files: Sequence[FoundFile]) -> None:
        """Brings in single files; nothing else is touched."""
        self._read_all(self._sort_out(files, {}))
        self._writer.commit()

    def _sort_out(self, files: Sequence[FoundFile], remembered: dict[bytes, SkippedEntry]) -> list[FoundFile]:
        """Settles the files whose signature says that nothing changed; returns the others."""
        unread: list[FoundFile] = []
        for file in files:
            known = self._files.get(file.path)
            tried = remembered.get(file.path)
            signature = _signature(file.size, file.mtime_ns, file.ctime_ns)
            if known is not None and known.signature == signature:
                self._writer.claim(file.path, self._root)
                self._report.unchanged += 1
                if tried is not None:
                    self._writer.forget_skipped([file.path], self._root)
            elif tried is not None and tried.signature == signature and tried.tried_with == self._tried_with:
                self._report.skipped.append(tried.skipped)
            else:
                unread.append(file)
        return unread

    def _read_all(self, files: list[FoundFile]) -> None:
        self._progress.start(len(files))
        committed, pending = time.monotonic(), 0
        # Closed before an error goes on: no thread may ask a collection that is being closed.
        with closing(ordered(self._read, files, workers=self._workers)) as reading:
            for read in reading:
                with self._writer.unit():
                    self._settle(read)
                self._progress.step()
                pending += 1
                if pending >= _COMMIT_PICTURES or time.monotonic() - committed >= _COMMIT_SECONDS:
                    self._writer.commit()
                    committed, pending = time.monotonic(), 0

    def _read(self, found: FoundFile) -> _Read:
        """Reads, recognises and, where it is new, encodes one file; runs in a worker thread."""
        try:
            with open_file(found.path) as file:
                started = time.time_ns()
                before = os.fstat(file.fileno())
                content = fingerprint(file)
                picture: Picture | None = None
                if self._writer.find(content) is None:
                    picture = self._reader.read(file)
                after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise UnreadableFileError(
                    "it was being written while it was read", remedy="index again when it is complete"
                )
        except PictureError as error:
            return _Read(found, _signature(found.size, found.mtime_ns, found.ctime_ns), error=error)
        recent = (
            before.st_ctime_ns > started - _TICK_NS
            or abs(before.st_mtime_ns - started) < _TICK_NS  # where ctime is the time of creation
        )
        signature = _signature(before.st_size, before.st_mtime_ns, -1 if recent else before.st_ctime_ns)
        if picture is None:
            return _Read(found, signature, content)
        descriptor = self._describe(picture)
        record = PictureRecord(
            content=content,
            size=picture.size,
            format=picture.format,
            frames=picture.frames,
            descriptor=descriptor if is_usable(descriptor) else None,
        )
        warnings = picture.warnings
        if picture.frames > 1:
            warnings += (f"it has {picture.frames} frames; the first one is indexed",)
        return _Read(found, signature, content, record, warnings)

    def _settle(self, read: _Read) -> None:
        """Writes down what became of one file."""
        path, previous = read.file.path, self._files.get(read.file.path)
        if read.error is not None:
            self._settle_error(read, read.error)
            return
        if read.content is None or read.signature is None:
            raise ValueError("a file was read without a content")
        if read.picture is not None:
            self._report.encoded += 1
            self._report.featureless += read.picture.descriptor is None
            self._report.warnings += [Skipped(path, warning, "warning") for warning in read.warnings]
            record = self._writer.insert(read.picture)
        else:
            found = self._writer.find(read.content)
            if found is None:
                # Its last other file changed since it was read, and the picture went with that.
                self._settle(self._read(read.file))
                return
            record = found
        if previous is None:
            names = self._writer.names(record)
            old = next((name for name in names if name in self._gone and name not in self._moved_from), None)
            if old is None:
                self._report.added += 1
            else:
                self._moved_from.add(old)
                self._report.moved += 1
        elif previous.record == record:
            self._report.unchanged += 1
        else:
            self._report.changed += 1
        self._writer.point(path, record, read.signature, self._root)
        self._files[path] = FileEntry(record, read.signature)

    def _settle_error(self, read: _Read, error: PictureError) -> None:
        skipped = Skipped(read.file.path, error.message, error.code)
        self._report.skipped.append(skipped)
        if isinstance(error, UnreadableFileError):
            # What it holds is unknown: what was known of it stays, and it is tried again next time.
            if self._root != ADDED_BY_HAND:
                self._writer.remember(SkippedEntry(_NEVER, skipped, self._tried_with), self._root)
            return
        if self._root != ADDED_BY_HAND and read.signature is not None:
            entry = SkippedEntry(read.signature, skipped, self._tried_with)
            self._report.removed += self._writer.skip(entry, self._root)


def _signature(size: int, mtime_ns: int, ctime_ns: int) -> Signature:
    # Times before 1678 and after 2262 do not fit into a database's whole numbers.
    return Signature(size, *(max(-(2**63), min(time, 2**63 - 1)) for time in (mtime_ns, ctime_ns)))


def _under_any(path: bytes, folders: Sequence[bytes]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip(b"/") + b"/") for folder in folders)


def _suddenly_empty(root: bytes, files: int) -> SourceError:
    return SourceError(
        f"{path_text(root)} is missing or holds no pictures any more, but {files} files of it are in the "
        "collection; they are kept",
        remedy="if a disk is not mounted, mount it; if --include or --exclude leaves nothing, change them; "
        "if they are really gone, index with --allow-removal",
    )
