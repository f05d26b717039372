"""The pictures of a collection in a folder, and what is told of the whole."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from camseek.files import BESIDE, DATABASE
from camseek.names import may_bring
from camseek.numerics import I64
from camseek.results import Skipped
from camseek.store.checking import faults
from camseek.store.ledger import FolderLedger
from camseek.store.meta import slot_of
from camseek.store.places import Places
from camseek.store.reader import Reader
from camseek.store.records import ADDED_BY_HAND, Beside, CollectionInfo, StoredPicture
from camseek.store.traces import FolderTraces


class FolderCatalogue:
    """The pictures of a folder collection (the ``Catalogue`` interface)."""

    def __init__(self, reader: Reader, traces: FolderTraces) -> None:
        self._reader = reader
        self._traces = traces
        self._folder = os.fsencode(reader.folder)
        self._places = Places(self._folder)

    def ledger(self) -> FolderLedger:
        """What is known of files; inside ``snapshot``."""
        reader = self._reader
        return FolderLedger(reader.query, reader.address, self._folder, reader.format_version)

    def count(self) -> int:
        """How many pictures there are."""
        return self._count("pictures")

    def records(self) -> Int64[I64, " N"]:
        """The records of all pictures, featureless ones too, ascending."""
        rows = self._reader.query("SELECT id FROM pictures ORDER BY id", kinds=(int,))
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def pictures(self, records: Sequence[int]) -> dict[int, StoredPicture]:
        """The pictures of these records; one that has gone is left out."""
        names: dict[int, dict[bytes, int | None]] = {}
        sizes: dict[int, int] = {}
        times: dict[int, int] = {}
        found: dict[int, StoredPicture] = {}
        with self._reader.snapshot():
            sql = "SELECT id, path FROM roots WHERE id <> ?"
            rows = self._reader.query(sql, (ADDED_BY_HAND,), (int, bytes))
            roots = {number: self._places.whole(path) for number, path in rows}
            sql = (
                "SELECT f.picture, f.path, f.size, f.mtime_ns, coalesce(c.root, -1) FROM files f "
                "LEFT JOIN claims c ON c.path = f.path WHERE f.picture IN (RECORDS)"
            )
            kinds = (int, bytes, int, int, int)
            for record, path, sizes[record], time, root in self._reader.query_of(sql, records, kinds=kinds):
                if time >= 0:
                    times[record] = min(time, times.get(record, time))
                whole = self._places.whole(path)
                ours = root == ADDED_BY_HAND or (root in roots and may_bring(roots[root], whole))
                known = names.setdefault(record, {})
                known[whole] = sizes[record] if ours else known.get(whole)
            sql = (
                "SELECT id, content, width, height, format, frames, "
                "NOT EXISTS (SELECT 1 FROM descriptors WHERE picture = pictures.id) "
                "FROM pictures WHERE id IN (RECORDS)"
            )
            kinds = (int, bytes, int, int, str, int, int)
            for record, content, width, height, form, frames, featureless in self._reader.query_of(
                sql, records, kinds=kinds
            ):
                known = names.get(record, {})
                found[record] = StoredPicture(
                    record=record,
                    content=content,
                    size=(width, height),
                    paths=tuple(sorted(known)),
                    lengths={path: length for path, length in known.items() if length is not None},
                    format=form,
                    bytes=sizes.get(record, 0),
                    featureless=bool(featureless),
                    modified_ns=times.get(record),
                    frames=frames,
                )
        return found

    def find(self, content: bytes) -> int | None:
        """The record of a content, or None."""
        rows = self._reader.query("SELECT id FROM pictures WHERE content = ?", (content,), (int,))
        return rows[0][0] if rows else None

    def names(self) -> list[bytes]:
        """Every name that is known, sorted: of pictures, and of files that could not be used."""
        sql = "SELECT path FROM files UNION SELECT path FROM skipped"
        return sorted({self._places.whole(row[0]) for row in self._reader.query(sql, kinds=(bytes,))})

    def info(self) -> CollectionInfo:
        """Counts, sizes and settings."""
        reader = self._reader
        with reader.snapshot():
            pictures = self.count()
            sql = "SELECT DISTINCT path, reason, code FROM skipped"
            rows = reader.query(sql, kinds=(bytes, str, str))
            skipped = sorted((Skipped(self._places.whole(path), *rest) for path, *rest in rows), key=_path)
            by_hand = "SELECT count(*) FROM claims WHERE root = ?"
            return CollectionInfo(
                address=reader.address,
                profile=reader.profile,
                format_version=reader.format_version,
                created=reader.meta()["created"],
                pictures=pictures,
                files=self._count("files"),
                featureless=pictures - self._count("descriptors"),
                skipped=skipped,
                roots=self.ledger().roots(),
                added_by_hand=reader.query(by_hand, (ADDED_BY_HAND,))[0][0],
                bytes=self._bytes(),
                traces=self._traces.kinds(),
                beside=self._beside(),
            )

    def _beside(self) -> Beside | None:
        """The representation beside the one in use."""
        slot = slot_of(self._reader.address, self._reader.meta())
        return None if slot is None else Beside(refit=slot.refit, kept=slot.kept, done=self._count("refit"))

    def _bytes(self) -> int:
        """What it takes where it lies; inside a snapshot."""
        return sum(map(_bytes_of, _files_in(self._reader.folder)))

    def _count(self, table: str) -> int:
        return self._reader.query(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608  # names from above

    def check(self) -> list[str]:
        """Reads everything; each fault in a sentence, none when the collection is sound."""
        with self._reader.snapshot():
            return faults(self._reader, self._traces)


def _path(item: Skipped) -> bytes:
    return item.path


def _files_in(folder: Path) -> list[Path]:
    """What holds the collection: the database with its logs, and what lies beside it."""
    return [*folder.glob(f"{DATABASE}*"), *(folder / name for name in BESIDE)]


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # a log that its last user has just taken away
