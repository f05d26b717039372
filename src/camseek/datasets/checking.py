"""Make sure that a public data set is whole."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from camseek.config import Resize
from camseek.datasets.buildings import PARIS_CORRUPT
from camseek.datasets.doubts import doubts
from camseek.datasets.faults import Fault
from camseek.datasets.folders import pictures_beneath
from camseek.datasets.json_truth import read_ground_truth
from camseek.datasets.opening import read_dataset
from camseek.datasets.registry import Dataset
from camseek.datasets.truth import GroundTruth
from camseek.errors import GroundTruthError, PictureError
from camseek.files import open_regular, reason_of
from camseek.images import open_file, read_picture, walk
from camseek.names import absolute, path_text

# Decoding at the smallest scale reads every byte, and costs least.
_SMALL = Resize("longer", 64, 64)
# So many pictures are handed to the threads at a time.
_AT_A_TIME = 512
# Of the list of a million distractors.
_MOST_LINES, _LONGEST_LINE = 2_000_000, 4096


@runtime_checkable
class Progress(Protocol):
    """Told how far a check is."""

    def start(self, total: int) -> None:
        """There are so many pictures to read."""
        ...

    def step(self) -> None:
        """One is read."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        dataset: The data set.
        folder: Where it lies, absolute.
        pictures: Pictures of the database that are there and sound.
        queries: Queries that can be asked.
        distractors: Distractors that are there and sound.
        faults: What is missing or damaged; none where the set is whole.
        doubts: Why figures of it would mean little; it may be whole all the same.
        known: Damaged files that every copy of the set has, and that are left out.
    """

    dataset: str
    folder: bytes
    pictures: int
    queries: int
    distractors: int
    faults: tuple[Fault, ...]
    known: tuple[Fault, ...]
    doubts: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "dataset": self.dataset,
            "folder": path_text(self.folder),
            "sound": self.sound,
            "pictures": self.pictures,
            "queries": self.queries,
            "distractors": self.distractors,
            "faults": [fault.to_json() for fault in self.faults],
            "known": [fault.to_json() for fault in self.known],
            "doubts": list(self.doubts),
        }


def check_dataset(
    wanted: Dataset,
    folder: str | bytes | os.PathLike[str],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Checked:
    """Reads a data set's lists and every one of its pictures.

    Args:
        wanted: Which; its numbers are those that are expected.
        folder: Where it lies.
        workers: Threads that decode, 1 or more.
        progress: Told how far it is.

    Raises:
        GroundTruthError: There is no such folder.
    """
    place = absolute(folder)
    faults: list[Fault] = []
    try:
        truth = read_dataset(wanted.name, place, report=faults.append)
    except GroundTruthError as error:
        if not os.path.isdir(place):
            raise
        # Nothing more can be known, but what was seen until here is.
        faults.append(Fault(place, error.message, "ground_truth"))
        return Checked(wanted.name, place, 0, 0, 0, tuple(_once(faults)), ())
    database = [os.path.join(truth.database, name) for name in truth.files or ()]
    distractors = _distractors(truth, faults)
    queries = [query.image for query in truth.queries]
    known = _known(wanted, truth)
    missing = {fault.path for fault in faults if fault.code == "missing"}
    damaged = _damaged({*database, *distractors, *queries} - missing, workers, progress, faults)
    lost = missing | damaged
    faults += _counts(
        wanted, truth, len(set(database) - missing), len(set(distractors) - missing), len(truth.queries)
    )
    return Checked(
        wanted.name,
        place,
        len(set(database) - lost),
        sum(image not in lost for image in queries),
        len(set(distractors) - lost),
        tuple(_once(faults)),
        tuple(known),
        doubts(truth),
    )


def check_truth(
    path: str | bytes | os.PathLike[str], *, workers: int = 1, progress: Progress | None = None
) -> Checked:
    """Reads a ground truth of one's own and every one of its pictures.

    Args:
        path: The file, as ``read_ground_truth`` reads it.
        workers: Threads that decode, 1 or more.
        progress: Told how far it is.

    Raises:
        GroundTruthError: It cannot be read, or says what cannot be.
    """
    truth = read_ground_truth(path)
    found = walk(truth.database)
    database = {item.path for item in found.files}
    faults = [Fault(item, reason, "damaged") for item, reason, _ in (*found.unknown, *found.skipped)]
    listed = {name for query in truth.queries for name in query.positives | query.junk}
    faults += [
        Fault(item, "it is listed in the ground truth, and is no picture", "ground_truth")
        for item in sorted({os.path.join(truth.database, name) for name in listed} - database)
    ]
    lost = _damaged(database | {query.image for query in truth.queries}, workers, progress, faults)
    return Checked(
        path_text(truth.path),
        truth.database,
        len(database - lost),
        sum(query.image not in lost for query in truth.queries),
        0,
        tuple(_once(faults)),
        (),
        doubts(truth),
    )


def _damaged(
    paths: Iterable[bytes], workers: int, progress: Progress | None, faults: list[Fault]
) -> set[bytes]:
    """The pictures that cannot be read, whose faults are noted."""
    everything = sorted(paths)
    if progress is not None:
        progress.start(len(everything))
    damaged: set[bytes] = set()
    for path, fault in zip(everything, _decoded(everything, workers), strict=True):
        if progress is not None:
            progress.step()
        if fault is not None:
            damaged.add(path)
            faults.append(fault)
    return damaged


def _once(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once: a picture that is missing is listed for five queries and more."""
    first: dict[tuple[object, ...], Fault] = {}
    for fault in faults:
        what = "" if fault.code == "missing" else fault.message
        first.setdefault((fault.path, fault.code, fault.line, what), fault)
    return list(first.values())


def _distractors(truth: GroundTruth, faults: list[Fault]) -> list[bytes]:
    """The distractors that are there; of R1M the list tells which are not."""
    found: list[bytes] = []
    for folder in truth.distractors:
        names = pictures_beneath(folder)
        found += [os.path.join(folder, name) for name in names]
        for place in (folder, os.path.dirname(folder)):
            listing = os.path.join(place, b"revisitop1m.txt")
            if not os.path.lexists(listing):
                continue
            faults += _missing(listing, folder, set(names))
            break
    return found


def _missing(listing: bytes, folder: bytes, there: set[bytes]) -> Iterator[Fault]:
    """What a list of names holds and a folder has not."""
    try:
        with open_regular(listing) as lines:
            for number in range(1, _MOST_LINES + 1):
                line = lines.readline(_LONGEST_LINE)
                if not line:
                    return
                name = line.strip()
                if len(line) == _LONGEST_LINE or b"\0" in name:
                    yield Fault(listing, "it is no list of names: a line is none", "damaged", number)
                    return
                if name and os.path.normpath(name) not in there:
                    message = f"missing; it is listed in {path_text(listing)}, line {number}"
                    yield Fault(os.path.join(folder, name), message, "missing")
        yield Fault(listing, f"it has more than {_MOST_LINES:,} lines; the others were not read", "damaged")
    except OSError as error:
        yield Fault(listing, f"it cannot be read: {reason_of(error)}", "damaged")


def _known(wanted: Dataset, truth: GroundTruth) -> list[Fault]:
    """Files that are no pictures in every copy."""
    if wanted.family != "paris6k":
        return []
    return [
        Fault(os.path.join(truth.database, name), "no picture in any copy; left out", "known")
        for name in pictures_beneath(truth.database)
        if os.path.splitext(os.path.basename(name))[0] in PARIS_CORRUPT
    ]


def _decoded(paths: Sequence[bytes], workers: int) -> Iterator[Fault | None]:
    """What is wrong with each picture."""
    rest = iter(paths)
    with ThreadPoolExecutor(workers) as pool:
        while some := list(islice(rest, _AT_A_TIME)):
            yield from pool.map(_damage, some)


def _damage(path: bytes) -> Fault | None:
    try:
        with open_file(path) as file:
            read_picture(file, resize=_SMALL)
    except PictureError as error:
        return Fault(path, error.message, "damaged" if os.path.exists(path) else "missing")
    return None


def _counts(
    wanted: Dataset, truth: GroundTruth, pictures: int, distractors: int, queries: int
) -> list[Fault]:
    """Numbers that are not those of the whole set."""
    places = (truth.database, truth.distractors[0] if truth.distractors else truth.database, truth.path)
    whole = (wanted.pictures, wanted.distractors, wanted.queries)
    what = ("pictures", "distractors", "queries")
    return [
        Fault(place, f"{found} {name}, not {expected}", "count")
        for place, expected, name, found in zip(
            places, whole, what, (pictures, distractors, queries), strict=True
        )
        if found != expected
    ]
