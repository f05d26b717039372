"""The descriptors of a collection in a folder, and the search in them."""

import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float16, Float32, Int64
from numpy.typing import NDArray

from camseek.numerics import F32, I64
from camseek.store.database import STORED, corrupt
from camseek.store.memory import THREADS, KeptVectors
from camseek.store.ranking import Block, nearest_in
from camseek.store.reader import Reader
from camseek.store.records import Ranking

F16 = NDArray[np.float16]

# Descriptors that are read at a time, while other threads wait for the connection.
_READ = 512
# Seconds between two such reads: whoever waits for the connection gets it.
_PAUSE = 0.0002
_BLOCK = "SELECT picture, vector FROM descriptors WHERE picture > ? ORDER BY picture LIMIT ?"
# Answered from an index: nothing walks through the vectors.
_WITHIN = "FROM descriptors WHERE picture BETWEEN ? AND ?"


class FolderVectors:
    """The descriptors of a folder collection (the ``Vectors`` interface).

    The file is the truth. What is kept in memory is brought in step with it before each search; what changed
    since the last one is read, nothing else.
    """

    def __init__(self, reader: Reader, *, keep: bool) -> None:
        """Takes the descriptors of a collection.

        Args:
            reader: The collection's.
            keep: Keep them in memory between searches. A single search is quicker, and needs no memory,
                without.
        """
        self._reader = reader
        self._keep = keep
        # These change under the reader's lock only.
        self._kept = KeptVectors(reader.profile.dimensions)
        self._kept_generation = reader.profile.generation
        self._kept_at: int | None = None
        self._checked_at: int | None = None

    @property
    def dimensions(self) -> int:
        """D, the length of a descriptor."""
        return self._reader.profile.dimensions

    @property
    def generation(self) -> int:
        """Goes up by 1 whenever all descriptors are replaced."""
        return self._reader.profile.generation

    def records(self) -> Int64[I64, " N"]:
        """The records that have descriptors, ascending."""
        rows = self._reader.query("SELECT picture FROM descriptors ORDER BY picture", kinds=(int,))
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def of(self, records: Int64[I64, " N"], *, generation: int | None = None) -> Float32[F32, "N D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
            CollectionChangedError: They are no longer of ``generation``.
        """
        wanted: list[int] = records.tolist()
        sql = "SELECT picture, vector FROM descriptors WHERE picture IN (RECORDS)"
        with self._reader.snapshot():
            self._reader.require(generation)
            found: dict[int, bytes] = dict(self._reader.query_of(sql, wanted, kinds=(int, bytes)))
            return self._unpack([found[record] for record in wanted]).astype(np.float32)

    def nearest(
        self,
        queries: Float32[F32, "Q D"],
        k: int,
        *,
        without: Iterable[int] = (),
        generation: int | None = None,
    ) -> list[Ranking]:
        """The records nearest to each query, exactly: by score, then by record (see ``Vectors``).

        The collection is read under its lock; everything is compared outside of it.

        Raises:
            CollectionChangedError: The descriptors are no longer of ``generation``, or were replaced while
                they were being compared.
            ValueError: k is negative, or the queries are not finite or of another length.
        """
        if self._keep:
            return nearest_in(self._in_step(generation), queries, k, without=without, threads=THREADS)
        # In this thread alone, which may be within a snapshot: no other one could read.
        return nearest_in(self._streamed(generation), queries, k, without=without)

    def _streamed(self, generation: int | None) -> Iterator[Block]:
        """All descriptors from the file. A picture that comes or goes meanwhile is there or not."""
        after = 0
        while True:
            with self._reader.snapshot():
                self._reader.require(generation)
                generation = self._reader.profile.generation
                block = self._read(after)
            if len(block.records) == 0:
                return
            after = int(block.records[-1])
            yield block

    def _in_step(self, generation: int | None) -> tuple[Block, ...]:
        """All descriptors of this moment, in memory."""
        while True:
            with self._reader.snapshot():
                self._reader.require(generation)
                if self._step():
                    return self._kept.blocks
            # Many are to be read: others may want the connection in between.
            time.sleep(_PAUSE)

    def _step(self) -> bool:
        """Brings memory nearer to this moment; whether it is there."""
        version, profile = self._reader.version, self._reader.profile
        if self._kept_generation != profile.generation:
            # A whitening was fitted: every descriptor is another.
            self._kept, self._kept_at = KeptVectors(profile.dimensions), None
            self._kept_generation = profile.generation
        if self._kept_at == version:
            return True
        # Record numbers only grow and in between no descriptor changes: new ones are above the last.
        if self._checked_at != version:
            self._drop_lost()
            self._checked_at = version
        block = self._read(self._kept.last)
        self._kept.append(block.records, block.vectors)
        if len(block.records) == _READ:
            return False
        self._kept_at = version
        return True

    def _drop_lost(self) -> None:
        """Drops from memory what has left the collection."""
        # From the last to the first: what becomes of one block does not move those before it.
        for place in reversed(range(len(self._kept.blocks))):
            block = self._kept.blocks[place]
            span = int(block.records[0]), int(block.records[-1])
            [(count,)] = self._reader.query(f"SELECT count(*) {_WITHIN}", span)
            if count != block.count:
                rows = self._reader.query(f"SELECT picture {_WITHIN}", span, (int,))
                left = np.fromiter((row[0] for row in rows), np.int64, len(rows))
                self._kept.retain(place, np.isin(block.records, left, assume_unique=True))

    def _read(self, after: int) -> Block:
        """The next descriptors of records above ``after``, ascending, float16."""
        rows = self._reader.query(_BLOCK, (after, _READ), (int, bytes))
        records = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return Block(records, self._unpack([row[1] for row in rows]))

    def _unpack(self, vectors: Sequence[bytes]) -> Float16[F16, "N D"]:
        """Raises: CorruptCollectionError: One has another length."""
        dimensions = self._reader.profile.dimensions
        length = dimensions * STORED.itemsize
        for vector in vectors:
            if len(vector) != length:
                raise corrupt(
                    self._reader.address, ValueError(f"a descriptor has {len(vector)} bytes, not {length}")
                )
        packed = np.frombuffer(b"".join(vectors), STORED).reshape(len(vectors), dimensions)
        return packed.astype(np.float16, copy=False)
