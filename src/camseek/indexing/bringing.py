"""Pictures in and out of a collection: folders, single files, and pictures that have no file."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence, Sized
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from camseek.arguments import several
from camseek.errors import PictureError, SourceError, out_of_memory
from camseek.extraction.describer import Describer
from camseek.extraction.sources import Source, content_of
from camseek.images import FoundFile
from camseek.indexing.cluster import on_cluster
from camseek.indexing.finding import find_files, find_pictures
from camseek.indexing.leaving import is_missing, moved_here, under_any
from camseek.indexing.rehearsal import Onlooker, Rehearsal
from camseek.indexing.runs import Given, IndexRun
from camseek.job import Job
from camseek.names import GIVEN, absolute, is_given, is_remote, known_name, path_text, same_text
from camseek.patterns import Patterns
from camseek.results import IndexReport, RemoveReport, Skipped
from camseek.store import ADDED_BY_HAND, FILE_TRACE, Collection, Ledger, Root, Scribe

Path = str | os.PathLike[str]
_NAMES: Any = (str, os.PathLike)

# So many pictures that a caller makes one after the other are held at a time.
_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of an index run; ``Engine.index`` says what each is for.

    Raises:
        TypeError: Patterns are a single one.
    """

    root: Path
    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    relative: bool | None = None
    allow_removal: bool = False
    cluster: str | None = None

    def __post_init__(self) -> None:
        for patterns in (self.include, self.exclude):
            if patterns is not None:
                several(patterns, "patterns")


def index(
    collection: Collection, describer: Callable[[], Describer], asked: Asked, *, job: Job
) -> IndexReport:
    """Makes a collection hold what a folder holds; errors as ``Engine.index``."""
    started = time.perf_counter()
    report = IndexReport(collection.address)
    machines = on_cluster(job, asked.cluster, describer, sees=[absolute(asked.root)])
    with machines as spread, collection.write(_command("index")) as writer:
        _bring_in_line(writer, describer, asked, report, spread)
    report.seconds = time.perf_counter() - started
    return report


def rehearse(collection: Collection | None, address: str, asked: Asked, *, job: Job) -> IndexReport:
    """What ``index`` would do; nothing is written, no lock taken, no picture decoded.

    Args:
        collection: The collection; None where there is none yet.
        address: Its address.
        asked: What is asked.
        job: As for ``index``.
    """
    started = time.perf_counter()
    report = IndexReport(address, dry_run=True)
    with nullcontext() if collection is None else collection.snapshot():
        known = Rehearsal(None if collection is None else collection.catalogue.ledger())
    _bring_in_line(known, lambda: Onlooker(job.limits), asked, report, job)
    report.seconds = time.perf_counter() - started
    return report


def _bring_in_line(
    writer: Scribe,
    describer: Callable[[], Describer | Onlooker],
    asked: Asked,
    report: IndexReport,
    job: Job,
) -> None:
    """One run for one root."""
    place, root = _root_of(writer, absolute(asked.root))
    if asked.relative and is_remote(place):
        raise SourceError(
            f"{path_text(place)} has no way from the collection's folder", remedy="leave out --relative"
        )
    heir = None if root is not None else moved_here(writer, place, writer.files())
    relative = heir.relative if heir is not None and asked.relative is None else asked.relative
    if relative:
        place = os.path.realpath(place)
    stored = root or heir
    if asked.include is not None or asked.exclude is not None:
        report.patterns = Patterns.of(place, asked.include or (), asked.exclude or ())
        if stored is not None:
            report.patterns_before = stored.patterns.without(report.patterns)
    elif stored is not None:
        report.patterns = stored.patterns
        report.patterns_from = "moved" if root is None else "stored"
    found = find_pictures(place, report.patterns, known=root is not None)
    number = root.number if root is not None else writer.root(place, relative=bool(relative))
    if root is not None and relative is not None:
        writer.anchor(number, relative=relative)
        if relative:
            # It may have become one with the root that lies where a link led.
            number = writer.root(place)
    run = IndexRun(writer, describer(), report, root=number, job=job)
    run.reconcile(place, found, report.patterns, allow_removal=asked.allow_removal)


def _root_of(ledger: Ledger, name: bytes) -> tuple[bytes, Root | None]:
    """The folder of a name, and the root that it is, if it is one.

    A folder that is not there may have been indexed under a name that is the same for people.
    """
    roots = ledger.roots()
    others = [path for path in roots if same_text(path) == same_text(name)] if is_missing(name) else []
    linked = name if is_remote(name) else os.path.realpath(name)
    if name not in roots and linked in roots and roots[linked].relative:
        name = linked
    place = name if name in roots or not others else others[0]
    return place, roots.get(place)


def add(
    collection: Collection,
    describer: Callable[[], Describer],
    pictures: "Iterable[Source] | Mapping[str, Source]",
    *,
    job: Job,
) -> IndexReport:
    """Brings in single pictures; arguments and errors as ``Engine.add``."""
    started = time.perf_counter()
    report = IndexReport(collection.address)
    parts = _parts(several(pictures, "pictures"))
    # What is wrong in a list is refused before the collection is locked.
    first = next(parts)
    with collection.write(_command("add")) as writer:
        run = IndexRun(writer, describer(), report, root=ADDED_BY_HAND, job=job)
        for part in chain((first,), parts):
            report.skipped += part.skipped
            if part.files:
                run.add(part.files)
            if part.given:
                run.give(map(_given, part.given), len(part.given))
    report.seconds = time.perf_counter() - started
    return report


def remove(collection: Collection, paths: Iterable[Path | bytes], *, dry_run: bool = False) -> RemoveReport:
    """Takes files out of a collection; arguments and errors as ``Engine.remove``."""
    # Before anything goes: one name in place of a list would be gone through letter by letter, "/" first.
    names = [known_name(path) for path in several(paths, "names to remove")]
    files: dict[bytes, None] = {}
    counts: dict[bytes, int] = {}
    unknown: list[bytes] = []
    if dry_run:
        with collection.snapshot():
            ledger = collection.catalogue.ledger()
            roots = ledger.roots()
            for name in names:
                number, elsewhere = _brought(ledger, name)
                elsewhere = [path for path in elsewhere if ledger.claimants(path) == {number}]
                found = [path for path in _known_files(ledger, name) + elsewhere if path not in files]
                idle = any(under_any(path, [name]) and not root.files for path, root in roots.items())
                _note(name, found, files, counts)
                if not (found or idle or ledger.skipped_under(name) or _known_files(ledger, name)):
                    unknown.append(name)
        return _removed(collection, files, counts, unknown, dry_run=True)
    with collection.write(_command("remove")) as writer:
        for name in names:
            found = _known_files(writer, name)
            held = {writer.record(path) for path in found if is_given(path)}
            number, elsewhere = _brought(writer, name)
            _note(name, writer.release(found, None) + writer.release(elsewhere, number), files, counts)
            if elsewhere:
                writer.forget_skipped([*writer.skipped(number)], number)
            for record in held:
                # Kept for the names of pictures without a file, and for nothing else.
                if record is not None and not any(map(is_given, writer.names(record))):
                    writer.drop_trace(record, FILE_TRACE)
            if not writer.forget(name) and not found and not under_any(name, [*counts]):
                unknown.append(name)
    return _removed(collection, files, counts, unknown, dry_run=False)


def _known_files(ledger: Ledger, name: bytes) -> list[bytes]:
    """The known files of a name and beneath it; where there are none, of one that is the same for people."""
    found = ledger.files_under(name)
    if not (found or is_given(name) or is_remote(name)):
        linked = os.path.realpath(name)
        found = ledger.files_under(linked) if linked != name else []
    # One that is there is itself, and not another of its looks.
    return found or ([] if name.isascii() or not is_missing(name) else ledger.files_like(name))


def _brought(ledger: Ledger, name: bytes) -> tuple[int, list[bytes]]:
    """The root of a name, and what it brought that lies elsewhere: the pictures that a manifest names.

    These go where no other root has them, too; what lies in a folder goes with it.
    """
    root = ledger.roots().get(name) if is_remote(name) else None
    if root is None:
        return ADDED_BY_HAND, []
    return root.number, sorted(path for path in ledger.claimed(root.number) if not under_any(path, [name]))


def _note(name: bytes, found: Iterable[bytes], files: dict[bytes, None], counts: dict[bytes, int]) -> None:
    """Notes what leaves under a name."""
    here = list(found)
    files |= dict.fromkeys(here)
    if here:
        counts[name] = counts.get(name, 0) + len(here)


def _removed(
    collection: Collection,
    files: Iterable[bytes],
    counts: Mapping[bytes, int],
    unknown: Iterable[bytes],
    *,
    dry_run: bool,
) -> RemoveReport:
    return RemoveReport(
        collection=collection.address,
        files=tuple(sorted(files)),
        names=counts,
        unknown=tuple(unknown),
        dry_run=dry_run,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the pictures to bring in.

    Attributes:
        files: Those that are named.
        skipped: Names that are no files.
        given: Names, or None for ones made of the contents, and pictures without a file; or their contents.
    """

    files: list[FoundFile]
    skipped: list[Skipped]
    given: "list[tuple[bytes | None, Source] | Given]"


def _parts(pictures: Iterable[Any]) -> Generator[_Part]:
    """All pictures in one part; those that are made one after the other, which may be many, some at a time.

    Raises:
        TypeError: Something is no picture.
        ValueError: A name is empty.
        SourceError: A folder is among them.
    """
    if isinstance(pictures, Mapping):
        named = cast("Mapping[Any, Any]", pictures)
        names = [_given_name(name) for name in named]
        if len(set(names)) != len(names):
            raise ValueError("two of the names are one, with and without what a given name begins with")
        yield _Part([], [], list(zip(names, map(_picture, named.values()), strict=True)))
        return
    most = None if isinstance(pictures, Sized) else _TOGETHER
    names: list[bytes] = []
    given: list[tuple[bytes | None, Source] | Given] = []
    for picture in pictures:
        # Names are small, and one walk through what is known serves for all of them.
        if isinstance(picture, _NAMES):
            names.append(absolute(picture))
        else:
            # What is made one after the other may be the same object each time, with other pixels.
            given.append((None, _picture(picture)) if most is None else _given((None, _picture(picture))))
        if len(given) == most:
            yield _Part([], [], given)
            given = []
    yield _Part(*find_files(names), given)


def _picture(source: Any) -> Source:
    """Something that may be a picture; its content is made later.

    Raises:
        TypeError: It cannot be one.
    """
    known = isinstance(source, (*_NAMES, bytes, bytearray, memoryview)) or hasattr(source, "read")
    kind = cast(Any, type(source))
    if not known and not hasattr(kind, "__array_interface__"):
        content_of(source)  # says what a picture is
    return source


def _given(item: "tuple[bytes | None, Source] | Given") -> Given:
    """A picture with its content. In the caller's thread: an image or a file may stand in the list twice."""
    if isinstance(item, Given):
        return item
    name, source = item
    try:
        data = content_of(source)
    except PictureError as error:
        return Given(name or b"", b"", b"", error)
    except MemoryError:
        return Given(name or b"", b"", b"", out_of_memory())
    content = hashlib.sha256(data)
    return Given(name or _given_name(content.hexdigest()[:16]), data, content.digest())


def _given_name(name: Any) -> bytes:
    if not isinstance(name, str) or name in ("", GIVEN):
        raise ValueError(f"the name of a picture without a file is text and not empty, not {name!r}")
    return os.fsencode(name if name.startswith(GIVEN) else GIVEN + name)


def _command(verb: str) -> str:
    """What to call this process to another one that wants to write."""
    program = os.path.basename(sys.argv[0]) or "python"
    return f"{'camseek' if program == '__main__.py' else program} {verb}"
