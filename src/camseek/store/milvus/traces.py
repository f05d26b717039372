"""The traces of pictures of a collection on a server: some lie in the mirror, others are asked for."""

import zlib
from collections.abc import Iterable, Iterator, Sequence

from camseek.errors import CorruptCollectionError
from camseek.store.database import corrupt
from camseek.store.milvus.beside import beside_faults, epoch_in_use
from camseek.store.milvus.elsewhere import MIRRORED, UNREAD, is_placeholder, length_of, read_traces
from camseek.store.milvus.pulling import state_of
from camseek.store.milvus.server import Server
from camseek.store.reader import Reader, changed
from camseek.store.traces import FEATURELESS, FolderTraces, require_kind

# Traces that are asked for at a time.
_SOME = 100
_HELD = (
    "SELECT t.picture, p.content, t.data, t.crc FROM traces t JOIN pictures p ON p.id = t.picture "
    "WHERE t.kind = ? AND t.picture IN (RECORDS)"
)


class MilvusTraces(FolderTraces):
    """The traces of a collection on a server (the ``Traces`` interface)."""

    _lost = "is lost, or not as it was written"

    def __init__(self, reader: Reader, server: Server) -> None:
        super().__init__(reader)
        self._server = server

    def get(self, kind: str, records: Sequence[int], *, damaged: set[int] | None = None) -> dict[int, bytes]:
        """The traces of this kind of these records, as in a folder.

        Raises:
            CollectionChangedError: Some are lost, and the descriptors were replaced meanwhile: they were of
                those before.
            CorruptCollectionError: As in a folder.
            StorageError: The server cannot be asked.
        """
        before = epoch_in_use(self._reader)
        try:
            return super().get(kind, records, damaged=damaged)
        except CorruptCollectionError:
            _, now = state_of(self._server, strong=True)
            if now.epoch != before:
                raise changed(self._reader.address) from None
            raise

    def _read(self, kind: str, records: Sequence[int]) -> Iterable[tuple[int, bytes | None]]:
        """The traces of records that have one; None for what is lost, or not as it was written.

        Raises:
            StorageError: The server cannot be asked.
        """
        if kind in MIRRORED:
            yield from super()._read(kind, records)
            return
        for start in range(0, len(records), _SOME):
            # No moment is held while the server is asked: a trace that goes meanwhile is lost.
            some = records[start : start + _SOME]
            rows = list(self._reader.query_of(_HELD, some, (kind,), (int, bytes, bytes, int)))
            try:
                wanted = {(content, kind): (length_of(data), crc) for _, content, data, crc in rows}
            except ValueError as error:
                raise corrupt(self._reader.address, error) from error
            found = dict(read_traces(self._server, wanted))
            for record, content, _, crc in rows:
                data = found.get((content, kind))
                yield record, data if data is not None and zlib.crc32(data) == crc else None

    def is_whole(self, data: bytes, crc: int) -> bool:
        """Whether what lies in the mirror of a trace is its data, or what stands in their place."""
        return super().is_whole(data, crc) or is_placeholder(data, crc)

    def is_here(self, vector: bytes) -> bool:
        """Whether a descriptor beside those in use lies in the mirror: others do on the server alone."""
        return vector != UNREAD

    def damaged(self, kind: str) -> list[int]:
        """The records whose trace of this kind is lost, or not as it was written, ascending.

        All of them are read.

        Raises:
            ValueError: The kind is none.
        """
        if kind in MIRRORED:
            return super().damaged(kind)
        require_kind(kind)
        sql = "SELECT picture FROM traces WHERE kind = ? ORDER BY picture"
        records = [record for (record,) in self._reader.query(sql, (kind,), (int,))]
        found: set[int] = set()
        for start in range(0, len(records), _SOME):
            self.get(kind, records[start : start + _SOME], damaged=found)
        return sorted(found)

    def faults(self) -> Iterator[str]:
        """Reads all of them; each fault in a sentence."""
        sql = "SELECT DISTINCT kind FROM traces WHERE kind <> ? ORDER BY kind"
        for (kind,) in self._reader.query(sql, (FEATURELESS,), (str,)):
            for record in self.damaged(kind):
                yield f"the {kind} of record {record} {self._lost}"
        yield from beside_faults(self._server, self._reader)
