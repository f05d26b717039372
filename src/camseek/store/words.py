"""The visual words of a collection in a folder, and the search in them."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import numpy as np
from jaxtyping import Float64, Int64

from camseek.files import WORDS_INDEX
from camseek.matching.codebook import embedded_codebook
from camseek.matching.index import WordCounts, WordsIndex
from camseek.matching.words import QueryWords, WordPoints
from camseek.numerics import F64, I64
from camseek.store.beside import Saved, named, taken_up
from camseek.store.database import corrupt
from camseek.store.reader import Reader
from camseek.store.records import POINTS_TRACE
from camseek.store.sharing import ScoredWords
from camseek.store.traces import TRACES_SINCE, FolderTraces

# Pictures whose points are read at a time, while other threads wait for the connection.
_READ = 256
# Seconds between two such reads: whoever waits for the connection gets it.
_PAUSE = 0.0002
_KEPT = "SELECT picture FROM traces WHERE kind = ? ORDER BY picture"
_COUNT = "SELECT count(*), coalesce(sum(picture > ?), 0) FROM traces WHERE kind = ?"
_SIZES = "SELECT id, width, height FROM pictures WHERE id IN (RECORDS)"

Answer = TypeVar("Answer")

WORDS_KEY = "words_index"
"""The row of ``meta`` that names the file's token."""


class FolderWords:
    """The visual words of a folder collection (the ``Words`` interface).

    The traces are the truth. An inverted index of them is brought in step with them before each search: what
    changed since the last one is read, nothing else. A large collection's lies beside the database, in one
    mapped file, and only what came since then is kept in memory; its writer saves it anew when that is much.

    The file says by a token which database it was made of, and the database names the token; whatever gives
    pictures other points names a new one. Numbers of pictures are never used twice: what the file tells of
    one is right as long as the picture is there, whatever came and went since. A file that is lost, damaged,
    or of another token is not used, and a process that stays open takes up a new one.
    """

    def __init__(self, reader: Reader, traces: FolderTraces) -> None:
        self._reader = reader
        self._traces = traces
        # These change under the reader's lock only, some pictures at a time: others may want it in between.
        self._index: WordsIndex | None = None
        self._saved = Saved()
        self._token: str | None = None
        self._waiting: list[int] = []
        self._looked_at: int | None = None

    def search(self, *, workers: int = 1) -> ScoredWords:
        """Begins to ask for one search (see ``Words``)."""
        return ScoredWords(self, workers=workers)

    def counts(self, query: QueryWords) -> WordCounts:
        """How many pictures' points are stored, and how many of these have each of a query's words.

        Raises: As ``scores``.
        """
        return self._asked(lambda index: index.counts(query))

    def scores(
        self, query: QueryWords, *, workers: int = 1, counts: WordCounts | None = None
    ) -> tuple[Int64[I64, " N"], Float64[F64, " N"]]:
        """The records whose points are stored, ascending, and how much of a query's words each shares.

        Args:
            query: The query's words.
            workers: Threads that may share the work.
            counts: How common its words are, where these pictures are a part of others.

        Raises:
            CorruptCollectionError: Stored points are damaged.
        """
        return self._asked(lambda index: index.scores(query, workers=workers, counts=counts))

    def _asked(self, ask: Callable[[WordsIndex], Answer]) -> Answer:
        """What the index of this moment says."""
        while True:
            index = self._in_step()
            try:
                return ask(index)
            except ValueError:
                with self._reader.snapshot():
                    if not self._forget_saved():
                        raise

    def _in_step(self) -> WordsIndex:
        """The index of this moment."""
        while True:
            with self._reader.snapshot():
                index = self._step()
            if index is not None:
                return index
            time.sleep(_PAUSE)

    def save(self, remember: Callable[[str], None]) -> None:
        """Writes the index beside the database where that is worth it. For the one writer alone.

        Args:
            remember: Takes the token that the database must name from now on.

        Raises:
            CorruptCollectionError: Stored points are damaged.
            StorageError: The database cannot be read.
            OSError: The file cannot be written.
        """
        with self._reader.snapshot():
            if self._reader.format_version < TRACES_SINCE:
                return
            self._open()
            [(there, newer)] = self._reader.query(_COUNT, (self._saved.last, POINTS_TRACE), (int, int))
        if not self._saved.needs(there, newer):
            return
        try:
            index = self._in_step()
            index.check()
        except ValueError:
            # The old file's entries would go into the new one.
            with self._reader.snapshot():
                self._forget_saved()
            index = self._in_step()
        token = secrets.token_hex(16)
        index.save(self._reader.folder / WORDS_INDEX, _stamp(token))
        remember(token)

    def _open(self) -> WordsIndex:
        """The index: that of the file, where there is a new one."""
        if self._index is not None:
            known = self._reader.version == self._looked_at
            if known or named(self._reader, WORDS_KEY) == self._token:
                return self._index
        self._index, self._saved = WordsIndex(embedded_codebook(), self._reader.folder), Saved()
        self._token, self._looked_at = named(self._reader, WORDS_KEY), None
        with suppress(ValueError, OSError):
            found = saved_index(self._reader, self._token)
            if found is not None:
                records = found.records
                self._index, self._saved = found, Saved(len(records), int(records.max(initial=0)))
        return self._index

    def _forget_saved(self) -> bool:
        """Begins without the file, which is damaged; whether there was one."""
        there = self._saved.pictures > 0
        self._index, self._saved = WordsIndex(embedded_codebook(), self._reader.folder), Saved()
        self._looked_at = None
        return there

    def _step(self) -> WordsIndex | None:
        """Brings the index nearer to this moment; itself if it is there."""
        version = self._reader.version
        index = self._open()
        if version != self._looked_at:
            old = self._reader.format_version < TRACES_SINCE
            rows = [] if old else self._reader.query(_KEPT, (POINTS_TRACE,), (int,))
            there = np.fromiter((record for (record,) in rows), np.int64, len(rows))
            known = index.records
            gone = np.setdiff1d(known, there, assume_unique=True)
            if len(gone):
                index.remove_many(gone)
            self._waiting = np.setdiff1d(there, known, assume_unique=True)[::-1].tolist()
            self._looked_at = version
        some = [self._waiting.pop() for _ in range(min(_READ, len(self._waiting)))]
        try:
            whole = self._add(index, some)
        except BaseException:
            self._looked_at = None  # what was taken is looked for again
            raise
        return index if whole and not self._waiting else None

    def _add(self, index: WordsIndex, records: list[int]) -> bool:
        """Adds pictures; whether the index could take them."""
        # One that is damaged shares no word: the check tells of it, and enriching makes it anew.
        traces = self._traces.get(POINTS_TRACE, records, damaged=set())
        sizes = {
            record: (width, height)
            for record, width, height in self._reader.query_of(_SIZES, records, (), (int, int, int))
        }
        some = [record for record in records if record in traces and record in sizes]
        try:
            points = [WordPoints.unpack(traces[record], sizes[record]) for record in some]
            index.add(some, points)
        except ValueError as error:
            # Adding looks at what lies in the file, too.
            if self._forget_saved():
                return False
            raise corrupt(self._reader.address, error) from error
        return True


def saved_index(reader: Reader, token: str | None) -> WordsIndex | None:
    """The index in the file beside the database, as it was when it was written; None where there is none.

    Inside a snapshot.

    Args:
        reader: The database.
        token: What it names (``camseek.store.beside.named``).

    Raises:
        ValueError: The file is damaged, or of many more pictures than there are.
        OSError: It cannot be read, or is a link.
    """
    if token is None:
        return None
    [(there, _)] = reader.query(_COUNT, (0, POINTS_TRACE), (int, int))

    def read(most: int) -> tuple[WordsIndex, bytes]:
        place = reader.folder / WORDS_INDEX
        found = WordsIndex.open(place, embedded_codebook(), most=most, aside=reader.folder)
        return found, found.stamp

    return taken_up(token, _stamp, there, read)


def _stamp(token: str) -> bytes:
    return f"{POINTS_TRACE} {token}".encode()
