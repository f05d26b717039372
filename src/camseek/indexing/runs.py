"""Index runs: what a folder holds and what a collection knows are brought together."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

from camseek.errors import PictureError, UnreadableFileError
from camseek.extraction.describer import Describer
from camseek.extraction.faults import one_picture
from camseek.images import FoundFile, Walk, open_file, state_of
from camseek.indexing.cluster import died
from camseek.indexing.leaving import (
    EXCLUDED,
    MISSING,
    Departure,
    Vanished,
    departures,
    gone_roots,
    is_missing,
    removal_of,
    too_many,
    under_any,
    vanished,
)
from camseek.indexing.pace import Pace
from camseek.indexing.rehearsal import Onlooker
from camseek.job import Job
from camseek.patterns import Patterns
from camseek.results import Change, IndexReport, OldRoot, Removal, Skipped
from camseek.store import (
    ADDED_BY_HAND,
    FILE_TRACE,
    FileEntry,
    PictureRecord,
    Scribe,
    Signature,
    SkippedEntry,
)
from camseek.version import VERSION

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
        writer: Scribe,
        describer: Describer | Onlooker,
        report: IndexReport,
        *,
        root: int,
        job: Job,
    ) -> None:
        """Looks at what the collection knows.

        Args:
            writer: The collection's writer, or a rehearsal.
            describer: What makes records of files; its model has one thread a pass.
            report: Told what is done.
            root: The root's number.
            job: Threads, progress, and whether to go on.
        """
        self._writer = writer
        self._describer = describer
        # One value for the whole run: an executor knows by it that its workers have it already.
        self._work = partial(_read, describer)
        self._report = report
        self._root = root
        self._job = job
        self._tried_with = f"{VERSION}/{describer.limits.key}"
        self._files = writer.files()
        # Of the sizes of the files that are read in this run.
        self._contents: dict[int, set[bytes]] = {}
        self._gone: dict[bytes, Departure] = {}
        self._moved_from: set[bytes] = set()
        # Files that are new here, of contents that the collection has.
        self._fresh: set[bytes] = set()
        # Known files that cannot be used any more.
        self._damaged: list[SkippedEntry] = []
        self._became: dict[bytes, Change] = {}
        self._pace = Pace(writer)

    def reconcile(self, place: bytes, walk: Walk, patterns: Patterns, *, allow_removal: bool) -> None:
        """Makes the root's part of the collection what the walk found.

        What has gone leaves at the end: nothing of it where none of the root's pictures would be left, or
        where it is much, and ``allow_removal`` is not given. An unmounted disk looks like an empty folder,
        one that fails like damaged files, and a pattern may leave out more than was meant.

        Args:
            place: The root's folder.
            walk: What it holds.
            patterns: What of it counts: kept with the root, unless what they leave out is held back.
            allow_removal: Let go whatever has gone.
        """
        writer, report, number = self._writer, self._report, self._root
        claimed, remembered = writer.claimed(number), writer.skipped(number)
        report.ignored, report.idle_patterns = walk.ignored, walk.idle
        report.unknown = [Skipped(*item) for item in walk.unknown]
        report.skipped = [Skipped(*item) for item in walk.skipped]
        self._gone = departures(writer, number, place, walk, patterns)
        leaves_out = any(item.reason == EXCLUDED for item in self._gone.values())
        with writer.unit():
            for item in report.skipped:
                writer.remember(SkippedEntry(_NEVER, item, self._tried_with), number)
            if not leaves_out:
                writer.set_patterns(number, patterns)
        self._read_all(self._sort_out(walk.files, remembered))
        before = {path: entry.skipped for path, entry in remembered.items()}
        report.skipped_before = {item.path for item in report.skipped if before.get(item.path) == item}
        old = self._tell_old_roots(place, vanished(writer, place, self._files, walk.files))
        report.removal = self._removal(place, walk, len(claimed.union(self._gone)), old, allow_removal)
        held = report.held
        with writer.unit():
            self._let_go(old, held=held)
            self._forget_skipped(place, walk, remembered)
            if leaves_out and not held:
                writer.set_patterns(number, patterns)
        for root in gone_roots(writer):
            its_own = under_any(root.path, [place]) or any(item.root.number == root.number for item in old)
            if its_own and root.number != number and not writer.claimed(root.number):
                writer.drop_root(root.number)
        writer.commit()
        report.changes = [self._became[path] for path in sorted(self._became)]

    def _tell_old_roots(self, place: bytes, found: Sequence[Vanished]) -> list[Vanished]:
        """Puts roots that are not there any more into the report; returns those that were moved here."""
        for item in found:
            new = self._new_names(place, item)
            if item.moved or new:
                count = len(item.found)
                told = OldRoot(item.root.path, count, count + len(item.left), item.moved)
                self._report.old_roots.append(told)
            for old, name in new.items() if item.moved else ():
                self._fresh.discard(name)
                self._report.added -= 1
                self._report.moved += 1
                self._becomes("moved", name, old)
        return [item for item in found if item.moved]

    def _new_names(self, place: bytes, item: Vanished) -> dict[bytes, bytes]:
        """What came in the place of an old root's files; of copies each has a name of its own."""
        start, files = len(item.root.path.rstrip(b"/")), self._files
        own = {old: place.rstrip(b"/") + old[start:] for old in item.found}
        new = {
            old: name
            for old, name in own.items()
            if name in self._fresh and files[name].record == files[old].record
        }
        taken = set(new.values())
        free: dict[int, Iterator[bytes]] = {}
        for old, names in item.found.items():
            some = (name for name in names if name in self._fresh and name not in taken)
            others = free.setdefault(files[old].record, some)
            if old not in new and (name := next(others, None)) is not None:
                new[old] = name
        return new

    def _removal(
        self, place: bytes, walk: Walk, known: int, old: Sequence[Vanished], allowed: bool
    ) -> Removal | None:
        """What leaves the collection, and whether it is held back."""
        leaving = {
            path: item.reason
            for path, item in self._gone.items()
            if item.leaves and path not in self._moved_from
        }
        damaged = {entry.skipped.path: entry.skipped.code for entry in self._damaged}
        leaving |= damaged | {path: MISSING for item in old for path in item.left}
        known += sum(len(item.found) + len(item.left) for item in old)
        removal = removal_of(place, leaving, known)
        if removal is None or allowed:
            return removal
        claimed = self._writer.claimed(self._root)
        some_left = any(file.path in claimed and file.path not in damaged for file in walk.files)
        much = too_many(removal.files, removal.of) or self._empties_another(leaving)
        return replace(removal, held=much or not some_left)

    def _empties_another(self, leaving: Mapping[bytes, str]) -> bool:
        """Whether a root within the walked one loses much, which may be little of the larger one."""
        losses = Counter(
            root for path in leaving if (item := self._gone.get(path)) is not None for root in item.roots
        )
        return any(too_many(files, len(self._writer.claimed(root))) for root, files in losses.items())

    def _let_go(self, old: Sequence[Vanished], *, held: bool) -> None:
        """Lets go of what has gone; of what leaves the collection only where that is not held back."""
        writer = self._writer
        for path, item in self._gone.items():
            leaves = item.leaves and path not in self._moved_from
            if not (leaves and held):
                for number in item.roots:
                    writer.release([path], number)
            if leaves and not held:
                self._becomes("removed", path)
        for entry in self._damaged:
            if held:
                writer.remember(replace(entry, signature=_NEVER), self._root)
            else:
                writer.skip(entry, self._root)
        for item in old:
            writer.release([*item.found], item.root.number)
            if not held:
                writer.release(item.left, item.root.number)
                for path in item.left:
                    self._becomes("removed", path)
        if self._report.removal is not None and not held:
            self._report.removed += self._report.removal.files

    def _forget_skipped(self, place: bytes, walk: Walk, remembered: Mapping[bytes, SkippedEntry]) -> None:
        """Forgets files that could not be used and are not there any more, or do not count."""
        kept = [path for path, *_ in walk.unknown]
        still = {file.path for file in walk.files}.union(path for path, *_ in walk.skipped)
        gone = [(path, self._root) for path in remembered if path not in still]
        gone += [
            (path, root)
            for path, root in self._writer.skipped_under(place)
            if root != self._root and is_missing(path)
        ]
        for path, root in gone:
            if not under_any(path, kept):
                self._writer.forget_skipped([path], root)

    def _becomes(self, what: str, path: bytes, old: bytes | None = None) -> None:
        if self._report.dry_run:
            self._became[path] = Change(what, path, old)

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
        with closing(self._job.spread(self._work, tasks, lost=_given_up)) as reading:
            for read in reading:
                with self._writer.unit():
                    self._settle(read)
                self._done_with_one()

    def _done_with_one(self) -> None:
        """Tells of it, and makes the work permanent now and then."""
        self._job.progress.step()
        self._pace.step()

    def _settle(self, read: _Read) -> None:
        """Writes down what became of one file."""
        path, previous = read.file.path, self._files.get(read.file.path)
        if read.error is not None:
            self._settle_error(read, read.error)
            return
        if read.content is None or read.signature is None:
            raise ValueError("a file was read without a content")
        known = read.picture is None
        if read.picture is not None:
            # Copies that come together are encoded beside each other.
            known = self._writer.find(read.content) is not None
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
            self._came(path, record, known=known)
        elif previous.record == record:
            self._report.unchanged += 1
        else:
            self._report.changed += 1
            self._report.copies += known
            self._becomes("changed", path)
        self._writer.point(path, record, read.signature, self._root)
        self._files[path] = FileEntry(record, read.signature)

    def _came(self, path: bytes, record: int, *, known: bool) -> None:
        """Counts a new name: of a new content, or of one that is known under others."""
        for old in sorted(self._writer.names(record)) if known else ():
            gone = self._gone.get(old)
            if gone is not None and gone.leaves and old not in self._moved_from:
                self._moved_from.add(old)
                self._report.moved += 1
                self._becomes("moved", path, old)
                return
        if known:
            self._fresh.add(path)
        self._report.added += 1
        self._report.copies += known
        self._becomes("added", path)

    def _settle_error(self, read: _Read, error: PictureError) -> None:
        skipped = Skipped(read.file.path, error.message, error.code)
        self._report.skipped.append(skipped)
        self._becomes("skipped", read.file.path)
        if self._root == ADDED_BY_HAND:
            return
        if not error.settled:
            # What it holds is unknown: what was known of it stays, and it is tried again next time.
            self._writer.remember(SkippedEntry(_NEVER, skipped, self._tried_with), self._root)
        elif read.signature is not None:
            entry = SkippedEntry(read.signature, skipped, self._tried_with)
            known = read.file.path in self._files
            if known and ADDED_BY_HAND not in self._writer.claimants(read.file.path):
                self._damaged.append(entry)
            else:
                self._writer.remember(entry, self._root)


def _read(describer: Describer | Onlooker, task: _Task) -> _Read:
    """Reads, recognises and, where it is new, encodes one file; runs in a thread, or elsewhere."""
    found = task.file
    try:
        with one_picture(), open_file(found.path, only=describer.needs(task.known)) as file:
            before = state_of(file)
            content, picture, warnings = describer.record(file, found.path, known=task.known)
            after = state_of(file)
        if (before.size, before.mtime_ns) != (after.size, after.mtime_ns):
            raise UnreadableFileError(
                "it was being written while it was read", remedy="index again when it is complete"
            )
    except PictureError as error:
        return _Read(found, _signature(found.size, found.mtime_ns, found.ctime_ns), error=error)
    signature = _signature(before.size, before.mtime_ns, before.ctime_ns)
    return _Read(found, signature, content, picture, warnings)


def _given_up(task: _Task, reason: str) -> _Read:
    """What became of a file whose reading ended one process after the other."""
    found = task.file
    return _Read(found, _signature(found.size, found.mtime_ns, found.ctime_ns), error=died(reason))


def _read_given(describer: Describer | Onlooker, item: tuple[Given, frozenset[bytes]]) -> tuple[_Read, bytes]:
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
