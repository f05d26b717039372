"""Pictures in and out of a collection: folders, single files, and pictures that have no file."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from camseek.arguments import several
from camseek.errors import PictureError
from camseek.extraction.describer import Describer
from camseek.extraction.sources import Source, content_of
from camseek.images import FoundFile
from camseek.indexing.finding import find_files, find_pictures
from camseek.indexing.runs import Given, IndexRun
from camseek.job import Job
from camseek.names import GIVEN, absolute, is_given, known_name
from camseek.patterns import Patterns
from camseek.results import IndexReport, Skipped
from camseek.store import ADDED_BY_HAND, FILE_TRACE, Collection

Path = str | os.PathLike[str]
_NAMES: Any = (str, os.PathLike)

# So many pictures that a caller makes one after the other are held at a time.
_TOGETHER = 32


def index(
    collection: Collection,
    describer: Callable[[], Describer],
    root: Path,
    *,
    include: Sequence[str],
    exclude: Sequence[str],
    allow_removal: bool,
    job: Job,
) -> IndexReport:
    """Makes a collection hold what a folder holds; arguments and errors as ``Engine.index``."""
    started = time.perf_counter()
    name = absolute(root)
    for patterns in (include, exclude):
        several(patterns, "patterns")
    with collection.write(_command("index")) as writer:
        known = name in collection.catalogue.info().roots
        found = find_pictures(name, Patterns.of(name, include, exclude), known=known)
        report = IndexReport(collection.address)
        run = IndexRun(writer, describer(), report, root=writer.root(name), job=job)
        run.reconcile(name, found, allow_removal=allow_removal)
    report.seconds = time.perf_counter() - started
    return report


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


def remove(collection: Collection, paths: Iterable[Path | bytes]) -> tuple[int, list[bytes]]:
    """Takes files out of a collection; arguments and errors as ``Engine.remove``."""
    removed, unknown = 0, list[bytes]()
    # Before anything goes: one name in place of a list would be gone through letter by letter, "/" first.
    names = [known_name(path) for path in several(paths, "names to remove")]
    with collection.write(_command("remove")) as writer:
        for name in names:
            found = writer.files_under(name)
            held = {writer.record(path) for path in found if is_given(path)}
            removed += len(writer.release(found, None))
            for record in held:
                # Kept for the names of pictures without a file, and for nothing else.
                if record is not None and not any(map(is_given, writer.names(record))):
                    writer.drop_trace(record, FILE_TRACE)
            if not writer.forget(name) and not found:
                unknown.append(name)
    return removed, unknown


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
