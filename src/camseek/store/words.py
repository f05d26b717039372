"""The visual words of a collection in a folder, and the search in them."""

import time

from jaxtyping import Float64, Int64

from camseek.matching.codebook import embedded_codebook
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords, WordPoints
from camseek.numerics import F64, I64
from camseek.store.database import corrupt
from camseek.store.reader import Reader
from camseek.store.records import POINTS_TRACE
from camseek.store.traces import TRACES_SINCE, FolderTraces

# Pictures whose points are read at a time, while other threads wait for the connection.
_READ = 256
# Seconds between two such reads: whoever waits for the connection gets it.
_PAUSE = 0.0002
_KEPT = "SELECT picture FROM traces WHERE kind = ? ORDER BY picture"
_SIZES = "SELECT id, width, height FROM pictures WHERE id IN (RECORDS)"


class FolderWords:
    """The visual words of a folder collection (the ``Words`` interface).

    The traces are the truth. An inverted index of them is kept in memory and brought in step with them before
    each search: what changed since the last one is read, nothing else.
    """

    def __init__(self, reader: Reader, traces: FolderTraces) -> None:
        self._reader = reader
        self._traces = traces
        self._index = WordsIndex(embedded_codebook())
        # These change under the reader's lock only, some pictures at a time: others may want it in between.
        self._known: set[int] = set()
        self._waiting: list[int] = []
        self._looked_at: int | None = None

    def scores(self, query: QueryWords) -> tuple[Int64[I64, " N"], Float64[F64, " N"]]:
        """The records whose points are stored, ascending, and how much of a query's words each shares.

        Raises:
            CorruptCollectionError: Stored points are damaged.
        """
        while True:
            with self._reader.snapshot():
                if self._step():
                    return self._index.scores(query)
            time.sleep(_PAUSE)

    def _step(self) -> bool:
        """Brings the index nearer to this moment; whether it is there."""
        version = self._reader.version
        if version != self._looked_at:
            old = self._reader.format_version < TRACES_SINCE
            rows = [] if old else self._reader.query(_KEPT, (POINTS_TRACE,), (int,))
            there = {record for (record,) in rows}
            for record in self._known - there:
                self._index.remove(record)
            self._known &= there
            self._waiting = sorted(there - self._known, reverse=True)
            self._looked_at = version
        some = [self._waiting.pop() for _ in range(min(_READ, len(self._waiting)))]
        try:
            self._add(some)
        except BaseException:
            self._looked_at = None  # what was taken is looked for again
            raise
        return not self._waiting

    def _add(self, records: list[int]) -> None:
        traces = self._traces.get(POINTS_TRACE, records)
        sizes = {
            record: (width, height)
            for record, width, height in self._reader.query_of(_SIZES, records, (), (int, int, int))
        }
        some = [record for record in records if record in traces and record in sizes]
        try:
            points = [WordPoints.unpack(traces[record], sizes[record]) for record in some]
            self._index.add(some, points)
        except ValueError as error:
            raise corrupt(self._reader.address, error) from error
        self._known.update(some)
