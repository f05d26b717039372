"""What an index run lets go of: found by it bit by bit, settled at its end, and never much of it unasked."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from camseek.images import FoundFile, Walk
from camseek.names import is_remote, way_from
from camseek.patterns import Patterns, Selection
from camseek.results import Removal
from camseek.store import ADDED_BY_HAND, FileEntry, Ledger, Root, Signature

MISSING, EXCLUDED, NO_PICTURE = "missing", "excluded", "not_a_picture"

# More than so many files, and more than so large a part of a root's, leave only where that is asked for.
_MANY, _PART = 20, 10
# So many folders are told.
_TOLD = 10

# File systems without a time of change show that of the content, in steps of 10 ms or more (FAT and exFAT).
_COARSE_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class Departure:
    """A known file that is gone, or does not count any more.

    Attributes:
        reason: Why: ``missing``, ``excluded``, or a code of a skipped file.
        roots: The roots that let it go.
        leaves: Whether it leaves the collection with that.
    """

    reason: str
    roots: frozenset[int]
    leaves: bool


def departures(
    ledger: Ledger, number: int, place: bytes, walk: Walk, patterns: Patterns
) -> dict[bytes, Departure]:
    """The known files in a folder that its walk did not find, sorted.

    A file that is not there any more leaves every root that brought it; one that does not count any more
    leaves this root alone. Of what the walk could not see nothing is known.

    Args:
        ledger: What is known.
        number: The root.
        place: Its folder.
        walk: What the folder holds.
        patterns: What of it counts.
    """
    selection = Selection(patterns)
    seen = {file.path for file in walk.files}
    if not walk.whole:
        return {}
    own = ledger.claimed(number)
    unknown = [path for path, *_ in walk.unknown]
    codes = {path: code for path, _, code in walk.skipped}
    found: dict[bytes, Departure] = {}
    for path in sorted(own.union(ledger.files_under(place)) - seen):
        if under_any(path, unknown):
            continue
        claimants, counts = ledger.claimants(path), selection.would_take(way_from(place, path))
        # A list of what lies elsewhere is whole; of what does not count it says nothing.
        missing = counts and path not in codes if is_remote(path) else is_missing(path)
        # What a manifest names no more may be there all the same, and named by another.
        roots = claimants - {ADDED_BY_HAND} if missing and under_any(path, [place]) else {number}
        if path not in own and not (missing and counts):
            continue
        reason = MISSING if missing else EXCLUDED if not counts else codes.get(path, NO_PICTURE)
        if roots:
            found[path] = Departure(reason, frozenset(roots), not claimants - roots)
    return found


@dataclass(frozen=True, slots=True)
class Vanished:
    """A root whose folder is not there any more, and what of it lies in the folder that was walked.

    Attributes:
        root: It.
        found: Its files, and names that their contents have now.
        left: Its files whose contents are nowhere in the walked folder.
        moved: Whether the folder was moved, or renamed, to where the walk found it.
    """

    root: Root
    found: Mapping[bytes, Sequence[bytes]]
    left: Sequence[bytes]
    moved: bool


def vanished(
    ledger: Ledger, place: bytes, files: Mapping[bytes, FileEntry], walked: Iterable[FoundFile]
) -> list[Vanished]:
    """The roots that are not there any more, and of whose files the folder holds half or more.

    A folder that was renamed is told from a copy of one that is not mounted by its files themselves: moving
    leaves their times alone, the time of change too, and no copy has that.

    Args:
        ledger: What is known.
        place: The folder that was walked.
        files: Every known file.
        walked: What the walk found.
    """
    here: dict[int, list[FoundFile]] = {}
    others = [root for root in gone_roots(ledger) if not under_any(root.path, [place])]
    for file in walked if others else ():
        if (known := files.get(file.path)) is not None:
            here.setdefault(known.record, []).append(file)
    told: list[Vanished] = []
    for root in others:
        known = sorted(path for path in ledger.claimed(root.number) if path in files)
        found = {path: here[files[path].record] for path in known if files[path].record in here}
        if not found or 2 * len(found) < len(known):
            continue
        same = Counter(
            _any_of(same_file(files[path].signature, file) for file in some) for path, some in found.items()
        )
        told.append(
            Vanished(
                root=root,
                found={path: [file.path for file in some] for path, some in found.items()},
                left=[path for path in known if path not in found],
                moved=same[True] > same[False],
            )
        )
    return told


def coming_back(roots: Mapping[bytes, Root], files: Iterable[bytes]) -> dict[bytes, int]:
    """How many files that left the next run of each root would bring in again: they are there, and count.

    Args:
        roots: The collection's, by their folders.
        files: What left.
    """
    counts = {place: Selection(root.patterns) for place, root in roots.items()}
    found: dict[bytes, int] = {}
    for path in files:
        for place, selection in counts.items():
            inner = way_from(place, path)
            if under_any(path, [place]) and selection.would_take(inner) and not is_missing(path):
                found[place] = found.get(place, 0) + 1
    return found


def moved_here(ledger: Ledger, place: bytes, files: Mapping[bytes, FileEntry]) -> Root | None:
    """The root that lies in a new folder now, as far as can be told before it is walked: file by file."""
    for root in gone_roots(ledger):
        names = [path for path in ledger.claimed(root.number) if path in files]
        same = 0
        for path in names:
            file = _look(place.rstrip(b"/") + path[len(root.path.rstrip(b"/")) :])
            same += file is not None and same_file(files[path].signature, file) is True
        if names and 2 * same >= len(names):
            return root
    return None


def gone_roots(ledger: Ledger) -> list[Root]:
    """The roots whose folders are not there any more."""
    return [root for root in ledger.roots().values() if is_missing(root.path)]


def same_file(known: Signature, file: FoundFile) -> bool | None:
    """Whether a file of a known content is the very one that was known, under another name; None: unclear."""
    if (known.size, known.mtime_ns) != (file.size, file.mtime_ns):
        return False
    if file.ctime_ns % _COARSE_NS == 0:
        return None
    if known.ctime_ns == -1:
        # It was read so soon after it was written that this was not kept. Nothing changed it since: no copy.
        return True if file.ctime_ns == file.mtime_ns else None
    return known.ctime_ns == file.ctime_ns


def _any_of(answers: Iterable[bool | None]) -> bool | None:
    known = set(answers)
    return True if True in known else None if None in known else False


def _look(path: bytes) -> FoundFile | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return FoundFile(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_missing(path: bytes) -> bool:
    """Whether nothing has this name; of what may not be looked at, or lies elsewhere, that is not known."""
    if is_remote(path):
        return False
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def under_any(path: bytes, folders: Sequence[bytes]) -> bool:
    """Whether a name is one of these, or lies beneath one."""
    return any(path == folder or path.startswith(folder.rstrip(b"/") + b"/") for folder in folders)


def removal_of(place: bytes, leaving: Mapping[bytes, str], of: int) -> Removal | None:
    """What is to be said of files that leave.

    Args:
        place: The root's folder.
        leaving: They, with their reasons.
        of: How many the root had.
    """
    if not leaving:
        return None
    tops: dict[bytes, bytes] = {}
    folders = Counter(
        _top(os.path.dirname(path), place, tops) if reason == MISSING else os.path.dirname(path)
        for path, reason in leaving.items()
    )
    return Removal(
        files=len(leaving),
        of=of,
        reasons=dict(Counter(leaving.values()).most_common()),
        folders=dict(folders.most_common(_TOLD)),
        more_folders=max(0, len(folders) - _TOLD),
        names=tuple(sorted(leaving)),
    )


def too_many(files: int, of: int) -> bool:
    """Whether so many of a root's files leave that it must be asked for."""
    return files > _MANY and files * _PART > of


def _top(folder: bytes, place: bytes, known: dict[bytes, bytes]) -> bytes:
    """The highest folder that is missing, too: it names all that went with it."""
    if folder not in known:
        above = os.path.dirname(folder)
        higher = folder != place and above != folder and is_missing(above)
        known[folder] = _top(above, place, known) if higher else folder
    return known[folder]
