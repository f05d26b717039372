"""Index runs: what a folder holds and what a collection knows are brought together."""

import os
import time
from collections.abc import Generator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from camseek.errors import PictureError, SourceError, UnreadableFileError
from camseek.extraction.describer import Describer
from camseek.extraction.faults import one_picture
from camseek.images import FoundFile, Walk, open_file
from camseek.job import Job
from camseek.names import path_text
from camseek.results import IndexReport, Skipped
from camseek.store import ADDED_BY_HAND, FILE_TRACE, FileEntry, PictureRecord, Signature, SkippedEntry, Writer
from camseek.version import VERSION

# How often the work is made permanent: a killed run loses at most this much.
_COMMIT_PICTURES = 16
_COMMIT_SECONDS = 1.0
# A file written less than this before it was read may be written again within one tick of its clock.
_TICK_NS = 2_000_000_000

# No file has this signature: what is remembered with it is tried again every time.
_NEVER = Signature(-1, -1, -1)


@dataclass(frozen=True, slots=True)
class Given:
    """A picture that has no file: its name, what its file would hold and the SHA-256 of that, or an error."""

    name: bytes
    data: bytes
    content: bytes
    error: PictureError | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    """One file to read, and the contents known of files of its size: what it holds may be one of them."""

    file: FoundFile
    known: AbstractSet[bytes] = frozenset()


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
        describer: Describer,
        report: IndexReport,
        *,
        root: int,
        job: Job,
    ) -> None:
        """Looks at what the collection knows.

        Args:
            writer: The collection's writer.
            describer: What makes records of files; its model has one thread a pass.
            report: Told what is done.
            root: The root's number.
            job: Threads, progress, and whether to go on.
        """
        self._writer = writer
        self._describer = describer
        self._report = report
        self._root = root
        self._job = job
        self._tried_with = f"{VERSION}/{describer.limits.key}"
        self._files = writer.files()
        # Of the sizes of the files that are read in this run.
        self._contents: dict[int, set[bytes]] = {}
        self._gone: set[bytes] = set()
        self._moved_from: set[bytes] = set()
        self._committed, self._pending = time.monotonic(), 0

    def reconcile(self, root: bytes, walk: Walk, *, allow_removal: bool) -> None:
        """Makes the root's part of the collection what the walk found.

        Raises:
            SourceError: The root is suddenly empty and ``allow_removal`` is not given.
        """
        claimed = self._writer.claimed(self._root)
        remembered = self._writer.skipped(self._root)
        seen = {file.path for file in walk.files}
        self._report.ignored = walk.ignored
        self._report.unknown = [Skipped(*item) for item in walk.unknown]
        self._report.skipped = [Skipped(*item) for item in walk.skipped]
        kept = [path for path, _, _ in walk.unknown]
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

    def give(self, pictures: Iterable[Given], total: int) -> None:
        """Brings in pictures that have no file: the collection keeps what it would hold.

        Args:
            pictures: They; asked for one after the other, few at a time.
            total: How many there are.
        """
        self._job.progress.start(total)
        with closing(self._job.map(partial(_read_given, self._describer), self._known(pictures))) as reading:
            for read, data in reading:
                if read.picture is None and read.content and self._writer.find(read.content) is None:
                    # It went when the name that had it took another content.
                    read, _ = _read_given(
                        self._describer, (Given(read.file.path, data, read.content), frozenset())
                    )
                with self._writer.unit():
                    self._settle(read)
                    if read.error is None:
                        record = self._files[read.file.path].record
                        self._writer.put_trace(record, FILE_TRACE, data)
                self._done_with_one()
        self._writer.commit()

    def _known(self, pictures: Iterable[Given]) -> Generator[tuple[Given, frozenset[bytes]]]:
        """With each picture its content, where the collection has it: that is not described again."""
        for given in pictures:
            known = given.error is None and self._writer.find(given.content) is not None
            yield given, frozenset((given.content,) if known else ())

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

    def _read_all(self, files: Sequence[FoundFile]) -> None:
        """Reads files, and writes down what became of each."""
        self._contents = self._writer.contents_of_sizes({file.size for file in files})
        self._job.progress.start(len(files))
        first = {file.size: file for file in reversed(files)}
        alone = [file for file in files if first[file.size] is file]
        # Copies have one size: the first of each is settled before the others are read, which then know it.
        for some in (alone, [file for file in files if first[file.size] is not file]):
            self._read_some(some)

    def _read_some(self, files: Sequence[FoundFile]) -> None:
        # Not copies: of a thousand frames of one size each would have a thousand contents.
        tasks = (_Task(file, self._contents.setdefault(file.size, set())) for file in files)
        # Closed before an error goes on: no thread may work for a collection that is being closed.
        with closing(self._job.map(partial(_read, self._describer), tasks)) as reading:
            for read in reading:
                with self._writer.unit():
                    self._settle(read)
                self._done_with_one()

    def _done_with_one(self) -> None:
        """Tells of it, and makes the work permanent now and then."""
        self._job.progress.step()
        self._pending += 1
        if self._pending >= _COMMIT_PICTURES or time.monotonic() - self._committed >= _COMMIT_SECONDS:
            self._writer.commit()
            self._committed, self._pending = time.monotonic(), 0

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
            self._contents.setdefault(read.file.size, set()).add(read.content)
        else:
            found = self._writer.find(read.content)
            if found is None:
                # Its last other file changed since it was read, and the picture went with that.
                self._settle(_read(self._describer, _Task(read.file)))
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
        if not error.settled:
            # What it holds is unknown: what was known of it stays, and it is tried again next time.
            if self._root != ADDED_BY_HAND:
                self._writer.remember(SkippedEntry(_NEVER, skipped, self._tried_with), self._root)
            return
        if self._root != ADDED_BY_HAND and read.signature is not None:
            entry = SkippedEntry(read.signature, skipped, self._tried_with)
            self._report.removed += self._writer.skip(entry, self._root)


def _read(describer: Describer, task: _Task) -> _Read:
    """Reads, recognises and, where it is new, encodes one file; runs in a thread, or elsewhere."""
    found = task.file
    try:
        with one_picture(), open_file(found.path) as file:
            started = time.time_ns()
            before = os.fstat(file.fileno())
            content, picture, warnings = describer.record(file, found.path, known=task.known)
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
    return _Read(found, signature, content, picture, warnings)


def _read_given(describer: Describer, item: tuple[Given, frozenset[bytes]]) -> tuple[_Read, bytes]:
    """The same for a picture without a file."""
    given, known = item
    found = FoundFile(given.name, len(given.data), -1, -1)
    signature = Signature(len(given.data), -1, -1)
    try:
        if given.error is not None:
            raise given.error
        with one_picture():
            content, picture, warnings = describer.record(BytesIO(given.data), given.name, known=known)
    except PictureError as error:
        return _Read(found, signature, error=error), given.data
    return _Read(found, signature, content, picture, warnings), given.data


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
