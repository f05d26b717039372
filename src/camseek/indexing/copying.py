"""A collection copied to another address as it is: nothing is encoded, and no picture is read."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from camseek.address import is_server, real_address
from camseek.errors import CollectionChangedError, NoCollectionError, SettingsError
from camseek.indexing.pace import Pace
from camseek.job import Job
from camseek.patterns import Patterns
from camseek.store import (
    Collection,
    FileEntry,
    PictureRecord,
    Profile,
    SkippedEntry,
    StoredPicture,
    Writer,
    create_collection,
    open_collection,
)

# Pictures that are read together, and those of which the writer makes one commit.
_TOGETHER, _COMMIT = 64, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """What was copied.

    Attributes:
        source: The address of the collection that was copied.
        target: That of the copy.
        pictures: Pictures of the first.
        copied: Of these, the ones that the copy had not.
        files: Names that the copy had not, or had otherwise.
        damaged: Parts of pictures that are damaged in the first, and are not copied: ``camseek enrich`` makes
            them anew.
        left: What else was not copied: ``kept``, what was in use before an upgrade, or ``unfinished``, what a
            fit or an upgrade is making; or nothing.
        seconds: Duration of the run.
    """

    source: str
    target: str
    pictures: int
    copied: int
    files: int
    damaged: int
    left: str | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "source": self.source,
            "target": self.target,
            "pictures": self.pictures,
            "copied": self.copied,
            "files": self.files,
            "damaged": self.damaged,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class _Known:
    """What a collection knows of files, at one moment.

    Attributes:
        files: Every file.
        claims: The folders that brought it, by their paths: empty for what was added by hand.
        patterns: What the index runs of each folder take and leave out.
        skipped: What could not be used of each folder.
    """

    files: dict[bytes, FileEntry]
    claims: dict[bytes, set[bytes]] = field(default_factory=dict[bytes, set[bytes]])
    patterns: dict[bytes, Patterns] = field(default_factory=dict[bytes, Patterns])
    skipped: dict[bytes, dict[bytes, SkippedEntry]] = field(
        default_factory=dict[bytes, dict[bytes, SkippedEntry]]
    )

    @classmethod
    def of(cls, collection: Collection) -> "_Known":
        """That of a collection; inside a snapshot, or while it is written to."""
        ledger = collection.catalogue.ledger()
        roots = ledger.roots()
        known = cls(ledger.files(), patterns={path: root.patterns for path, root in roots.items()})
        for path, number in {b"": 0, **{path: root.number for path, root in roots.items()}}.items():
            for file in ledger.claimed(number):
                known.claims.setdefault(file, set()).add(path)
            known.skipped[path] = ledger.skipped(number)
        return known


def copy(source: Collection, address: str, *, job: Job) -> CopyReport:
    """Copies a collection to an address: all of it, or what an earlier run has not copied.

    Pictures come with their descriptors, traces and names, folders with their patterns, under whole names.
    What is at the address and not in the collection stays. A representation beside the one in use is not
    copied: the report tells of it.

    Args:
        source: The collection.
        address: Where the copy is to be; a collection that is there is of the same model and settings.
        job: Progress, and whether to go on.

    Raises:
        SettingsError: What is there was made otherwise, or the address lies in the collection's own folder.
        CollectionChangedError: All descriptors were replaced meanwhile.
        CollectionError: One of them cannot be read or written.
    """
    started = time.perf_counter()
    within = real_address(source.address), real_address(address)
    if not any(map(is_server, within)) and os.path.commonpath(within) == within[0] != within[1]:
        raise SettingsError(
            f"{address} lies in the folder of {source.address} itself", remedy="copy to another place"
        )
    with source.snapshot():
        profile, known = source.profile, _Known.of(source)
        records = source.catalogue.records().tolist()
        beside = source.catalogue.info().beside
    target = _opened(address, profile)
    try:
        with target.write("camseek copy") as writer:
            copying = _Copying(source, profile, known, target, writer)
            job.progress.start(len(records))
            pace = Pace(writer, pictures=_COMMIT)
            for picture, record in copying.records(records):
                job.check()
                copying.put(picture, record)
                pace.step()
                job.progress.step()
            copying.finish()
    finally:
        target.close()
    return CopyReport(
        source=source.address,
        target=target.address,
        pictures=len(records),
        copied=copying.copied,
        files=copying.files,
        damaged=copying.damaged,
        left=None if beside is None else "kept" if beside.kept else "unfinished",
        seconds=time.perf_counter() - started,
    )


def _opened(address: str, profile: Profile) -> Collection:
    """The collection at an address, which is made if there is none."""
    wanted = replace(profile, generation=0)
    try:
        found = open_collection(address, keep_vectors=False)
    except NoCollectionError:
        return create_collection(address, wanted, keep_vectors=False)
    has = replace(found.profile, generation=0)
    if has != wanted:
        told = found.address
        found.close()
        parts = {
            "model": (has.model_checksum, wanted.model_checksum),
            "settings": (has.settings, wanted.settings),
            "whitening": (has.whitening, wanted.whitening),
            "parts of each picture": (has.keeps, wanted.keeps),
        }
        other = ", ".join(name for name, (one, two) in parts.items() if one != two) or "profile"
        raise SettingsError(
            f"there is a collection at {told} already, and it has another {other}",
            remedy="copy to a place where there is none; a copy from before an upgrade or fit stays as it is",
        )
    return found


class _Copying:
    """What a run takes over into a collection that may have some of it."""

    def __init__(
        self, source: Collection, profile: Profile, known: _Known, target: Collection, writer: Writer
    ) -> None:
        self._source, self._profile, self._known, self._writer = source, profile, known, writer
        with target.snapshot():
            self._there = _Known.of(target)
        self._roots = {b"": 0}
        self._names: dict[int, list[bytes]] = {}
        for path, entry in known.files.items():
            self._names.setdefault(entry.record, []).append(path)
        for path, patterns in known.patterns.items():
            self._roots[path] = writer.root(path)
            if self._there.patterns.get(path, Patterns()) != patterns:
                writer.set_patterns(self._roots[path], patterns)
        self.copied = self.files = self.damaged = 0

    def records(self, records: list[int]) -> Iterator[tuple[StoredPicture, PictureRecord | None]]:
        """Pictures of the source in their order, each with what is stored of it where it is new."""
        for start in range(0, len(records), _TOGETHER):
            some = records[start : start + _TOGETHER]
            with self._source.snapshot():
                if self._source.profile.generation != self._profile.generation:
                    raise CollectionChangedError(
                        f"{self._source.address} was fitted while it was being copied", remedy="copy it again"
                    )
                pictures = self._source.catalogue.pictures(some)
                new = [
                    record
                    for record in some
                    if record in pictures and self._writer.find(pictures[record].content) is None
                ]
                made = self._stored(pictures, new)
            yield from ((pictures[record], made.get(record)) for record in some if record in pictures)

    def _stored(self, pictures: dict[int, StoredPicture], records: list[int]) -> dict[int, PictureRecord]:
        """What is stored of pictures; inside a snapshot."""
        described = [record for record in records if not pictures[record].featureless]
        rows = self._source.vectors.of(np.array(described, np.int64), generation=self._profile.generation)
        vectors = dict(zip(described, rows, strict=True))
        traces: dict[int, dict[str, bytes]] = {record: {} for record in records}
        for kind in self._source.traces.kinds():
            damaged: set[int] = set()
            for record, data in self._source.traces.get(kind, records, damaged=damaged).items():
                traces[record][kind] = data
            self.damaged += len(damaged)
        return {
            record: PictureRecord(
                content=pictures[record].content,
                size=pictures[record].size,
                format=pictures[record].format,
                frames=pictures[record].frames,
                descriptor=vectors.get(record),
                traces=traces[record],
            )
            for record in records
        }

    def put(self, picture: StoredPicture, made: PictureRecord | None) -> None:
        """Takes over a picture with its names; what is there already stays as it is."""
        with self._writer.unit():
            record = self._writer.find(picture.content) if made is None else self._writer.insert(made)
            self.copied += made is not None
            for path in self._names.get(picture.record, ()) if record is not None else ():
                entry, claims = self._known.files[path], self._known.claims.get(path, set())
                wanted = FileEntry(record or 0, entry.signature)
                if self._there.files.get(path) == wanted and claims <= self._there.claims.get(path, set()):
                    continue
                self.files += 1
                for root in sorted(claims):
                    self._writer.point(path, wanted.record, entry.signature, self._roots[root])

    def finish(self) -> None:
        """Takes over what could not be used."""
        for root, entries in self._known.skipped.items():
            for path, entry in entries.items():
                if self._there.skipped.get(root, {}).get(path) != entry:
                    self._writer.remember(entry, self._roots[root])
