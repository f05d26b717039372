"""The traces of pictures of a collection in a folder."""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence

from camseek.store.database import corrupt
from camseek.store.reader import Reader

TRACES_SINCE = 3
"""The first format that has them."""
FEATURELESS = "!featureless"
"""What marks a picture that has no descriptor, so that one that was lost is missed. None that others know."""
MARK = "INSERT OR IGNORE INTO traces (picture, kind, data, crc) VALUES (?, ?, x'', 0)"
"""Marks a picture, of a record, with a kind."""
_READ = 64  # traces at a time
_KIND = re.compile(r"[a-z0-9_-]{1,40}")


def require_kind(kind: str) -> None:
    """Makes sure that a name can be a trace's kind.

    Raises:
        ValueError: It is not 1 to 40 of ``a-z 0-9 _ -``.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"a trace's kind is 1 to 40 of a-z 0-9 _ -, not {kind!r:.60}")


class FolderTraces:
    """The traces of a folder collection (the ``Traces`` interface)."""

    _lost = "has another checksum than when it was written"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self, kind: str, records: Sequence[int], *, damaged: set[int] | None = None) -> dict[int, bytes]:
        """The traces of this kind of these records; a record that has none is left out.

        Raises:
            CorruptCollectionError: One is damaged, and nobody asked which (``damaged``).
            ValueError: The kind is none.
        """
        require_kind(kind)
        found: dict[int, bytes] = {}
        for record, data in self._read(kind, records):
            if data is not None:
                found[record] = data
            elif damaged is not None:
                damaged.add(record)
            else:
                fault = f"the {kind} of record {record} {self._lost}"
                raise corrupt(self._reader.address, ValueError(fault))
        return found

    def _read(self, kind: str, records: Sequence[int]) -> Iterable[tuple[int, bytes | None]]:
        """The traces of records that have one; None for what is not as it was written."""
        sql = "SELECT picture, data, crc FROM traces WHERE kind = ? AND picture IN (RECORDS)"
        with self._reader.snapshot():
            if self._reader.format_version < TRACES_SINCE:
                return []
            rows = self._reader.query_of(sql, records, (kind,), (int, bytes, int))
            return [(record, data if zlib.crc32(data) == crc else None) for record, data, crc in rows]

    def is_whole(self, data: bytes, crc: int) -> bool:
        """Whether what lies in the database of a trace is what was written there."""
        return zlib.crc32(data) == crc

    def is_here(self, vector: bytes) -> bool:
        """Whether a descriptor beside those in use lies in the database itself."""
        return True

    def missing(self, kind: str) -> list[int]:
        """The records that have no trace of this kind, ascending.

        Raises:
            ValueError: The kind is none.
        """
        require_kind(kind)
        sql = "SELECT id FROM pictures"
        with self._reader.snapshot():
            if self._reader.format_version < TRACES_SINCE:
                return [record for (record,) in self._reader.query(f"{sql} ORDER BY id", (), (int,))]
            sql += " WHERE id NOT IN (SELECT picture FROM traces WHERE kind = ?) ORDER BY id"
            return [record for (record,) in self._reader.query(sql, (kind,), (int,))]

    def damaged(self, kind: str) -> list[int]:
        """The records whose trace of this kind has another checksum than when it was written, ascending.

        All of them are read.

        Raises:
            ValueError: The kind is none.
        """
        require_kind(kind)
        found: list[int] = []
        after = -(1 << 63)
        sql = "SELECT picture, data, crc FROM traces WHERE kind = ? AND picture > ? ORDER BY picture LIMIT ?"
        while True:
            with self._reader.snapshot():
                old = self._reader.format_version < TRACES_SINCE
                rows = [] if old else self._reader.query(sql, (kind, after, _READ), (int, bytes, int))
            if not rows:
                return found
            found += [record for record, data, crc in rows if zlib.crc32(data) != crc]
            after = rows[-1][0]

    def kinds(self) -> dict[str, int]:
        """How many pictures have a trace, by its kind."""
        with self._reader.snapshot():
            if self._reader.format_version < TRACES_SINCE:
                return {}
            sql = "SELECT kind, count(*) FROM traces WHERE kind <> ? GROUP BY kind ORDER BY kind"
            return dict(self._reader.query(sql, (FEATURELESS,), (str, int)))

    def faults(self) -> Iterator[str]:
        """Reads all of them; each fault in a sentence. Inside a snapshot."""
        if self._reader.format_version < TRACES_SINCE:
            return
        after = 0
        # One at a time: one may be a whole file.
        sql = "SELECT number, picture, kind, data, crc FROM traces WHERE number > ? ORDER BY number LIMIT 1"
        while rows := self._reader.query(sql, (after,), (int, int, str, bytes, int)):
            after = rows[-1][0]
            for _, record, kind, data, crc in rows:
                if not _KIND.fullmatch(kind) and kind != FEATURELESS:
                    yield f"record {record} has a trace of the impossible kind {kind!r:.60}"
                if zlib.crc32(data) != crc:
                    yield f"the {kind} of record {record} {self._lost}"
