"""The descriptors of a collection in a folder, and the search in them."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64
from numpy.typing import NDArray

from camseek.files import CODES_INDEX
from camseek.numerics import BOOL, F32, I64
from camseek.store.beside import Saved, named, taken_up
from camseek.store.codes import SAMPLE, Axes
from camseek.store.codes_file import Codes, read_codes, write_codes
from camseek.store.database import STORED, corrupt
from camseek.store.memory import THREADS, Kept, most_exact
from camseek.store.proposing import nearest_by_codes
from camseek.store.ranking import Block, as_records, nearest_in, require_askable, require_length, widen
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
_THESE = "SELECT picture, vector FROM descriptors WHERE picture IN (RECORDS)"
_WHICH = "SELECT picture FROM descriptors WHERE picture IN (RECORDS)"
_COUNT = "SELECT count(*) FROM descriptors"
_NEWER = "SELECT count(*) FROM descriptors WHERE picture > ?"
_SPAN = "SELECT coalesce(min(picture), 0), coalesce(max(picture), 0) FROM descriptors"
_FROM = "SELECT picture, vector FROM descriptors WHERE picture >= ? ORDER BY picture LIMIT 1"
# Axes are fitted anew for so many times the descriptors.
_GROWN = 2
# More than one in so many are not proposed by codes, but compared all: reading them one by one takes longer.
_PROPOSED = 16

CODES_KEY = "descriptor_codes"
"""The row of ``meta`` that names the file's token."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What lies in memory of a moment: descriptors, or with ``axes`` codes of them."""

    blocks: tuple[Block, ...]
    axes: Axes | None
    generation: int

    @property
    def count(self) -> int:
        """How many."""
        return sum(len(block.records) for block in self.blocks)


class FolderVectors:
    """The descriptors of a folder collection (the ``Vectors`` interface).

    The file is the truth. What is kept in memory is brought in step with it before each search; what changed
    since the last one is read, nothing else.

    Of a collection larger than ``most_exact`` codes are kept in their place: they propose what is read and
    compared. They lie beside the database, in one mapped file that the writer saves
    (``camseek.store.beside``); where there is none, they are made of all descriptors first.
    """

    def __init__(self, reader: Reader, *, keep: bool) -> None:
        """Takes the descriptors of a collection.

        Args:
            reader: The collection's.
            keep: Keep them in memory between searches. A single search is quicker, and needs no memory,
                without; codes are used where they lie beside the database.
        """
        self._reader = reader
        self._keep = keep
        # These change under the reader's lock only.
        self._kept = Kept(reader.profile.dimensions)
        self._kept_generation = reader.profile.generation
        self._kept_at: int | None = None
        self._checked_at: int | None = None
        self._chosen_at: tuple[int, bool] | None = None
        # What codes are made with, once there are any, and what of them lies in the file.
        self._axes: Axes | None = None
        self._token: str | None = None
        self._saved = Saved()

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

    def has(self, records: Int64[I64, " N"]) -> Bool[BOOL, " N"]:
        """Which of these records have a descriptor."""
        rows = self._reader.query_of(_WHICH, records.tolist(), kinds=(int,))
        return np.isin(records, [record for (record,) in rows])

    def of(self, records: Int64[I64, " N"], *, generation: int | None = None) -> Float32[F32, "N D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
            CollectionChangedError: They are no longer of ``generation``.
        """
        with self._reader.snapshot():
            self._reader.require(generation)
            found = self._vectors_of(records)
            return self._unpack([found[record] for record in records.tolist()]).astype(np.float32)

    def _stored(self, records: Int64[I64, " N"], generation: int) -> Block:
        """The descriptors of those of these records that are still there, in their order."""
        with self._reader.snapshot():
            self._reader.require(generation)
            found = self._vectors_of(records)
            there = [record for record in records.tolist() if record in found]
            return Block(np.array(there, np.int64), self._unpack([found[record] for record in there]))

    def _vectors_of(self, records: Int64[I64, " N"]) -> dict[int, bytes]:
        return dict(self._reader.query_of(_THESE, records.tolist(), kinds=(int, bytes)))

    def nearest(
        self,
        queries: Float32[F32, "Q D"],
        k: int,
        *,
        without: Iterable[int] = (),
        generation: int | None = None,
    ) -> list[Ranking]:
        """The records nearest to each query: by score, then by record (see ``Vectors``).

        The collection is read under its lock; everything is compared outside of it.

        Raises:
            CollectionChangedError: The descriptors are no longer of ``generation``, or were replaced while
                they were being compared.
            ValueError: k is negative, or the queries are not finite or of another length.
        """
        coded = self._keep or self._is_coded(generation)
        held = self._in_step(generation, fit=self._keep) if coded else None
        if held is not None and held.axes is None:
            return nearest_in(held.blocks, queries, k, without=without, threads=THREADS)
        if held is None or held.axes is None or k * _PROPOSED > held.count:
            # In this thread alone, which may be within a snapshot: no other one could read.
            return nearest_in(self._streamed(generation), queries, k, without=without)
        require_askable(queries, k)
        require_length(queries, self.dimensions)

        def read(records: Int64[I64, " n"]) -> Block:
            return self._stored(records, held.generation)

        return nearest_by_codes(
            held.blocks, held.axes, queries, k, read=read, left_out=as_records(without), threads=THREADS
        )

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

    def _is_coded(self, generation: int | None) -> bool:
        """Whether codes are there of this moment's descriptors, or may be had from the file beside them."""
        with self._reader.snapshot():
            self._reader.require(generation)
            self._choose(fit=False)
            return self._axes is not None

    def _in_step(self, generation: int | None, *, fit: bool) -> _Held:
        """What is kept of all descriptors of this moment."""
        while True:
            with self._reader.snapshot():
                self._reader.require(generation)
                self._choose(fit=fit)
                if self._step():
                    return _Held(self._kept.blocks, self._axes, self._kept_generation)
            # Many are to be read: others may want the connection in between.
            time.sleep(_PAUSE)

    def _choose(self, *, fit: bool) -> None:
        """Decides what is kept of this moment's descriptors: themselves, or codes of them.

        Args:
            fit: Make codes of many descriptors where none lie beside them.
        """
        version, profile = self._reader.version, self._reader.profile
        if self._chosen_at == (version, fit):
            return
        if self._kept_generation != profile.generation:
            # A whitening was fitted: every descriptor is another.
            self._begin(None)
            self._kept_generation = profile.generation
        most = most_exact(profile.dimensions)
        [(count,)] = self._reader.query(_COUNT, (), (int,))
        token = named(self._reader, CODES_KEY) if count > most // 2 else None
        if token is None and self._axes is not None and count <= most // 2:
            # Far fewer than there were: not as soon as one has gone, or one that comes would begin it anew.
            self._begin(None)
        elif token != self._token:
            with suppress(ValueError, OSError):
                found = saved_codes(self._reader, token)
                if found is not None:
                    self._begin(found)
        self._token = token
        if fit and self._axes is None and count > most:
            self._begin(self._fitted(count))
        self._chosen_at = version, fit

    def _begin(self, codes: Codes | None) -> None:
        """Begins anew, with what codes there are; None: with descriptors."""
        self._axes = None if codes is None else codes.axes
        if codes is None:
            self._kept, self._saved = Kept(self._reader.profile.dimensions), Saved()
        else:
            self._kept = Kept(codes.axes.width, np.uint8, codes.records, codes.codes)
            self._saved = Saved(len(codes.records), self._kept.last)
        self._kept_at = self._checked_at = None

    def _fitted(self, count: int) -> Codes:
        """New axes for so many descriptors, and no codes yet.

        Others wait for the connection meanwhile, for a second or two: axes are fitted seldom.

        Raises:
            CorruptCollectionError: The descriptors are none.
        """
        [(first, last)] = self._reader.query(_SPAN, (), (int, int))
        found = dict[int, bytes]()
        for place in range(first, last + 1, max(1, (last - first) // SAMPLE)):
            found |= dict(self._reader.query(_FROM, (place,), (int, bytes)))
        vectors = self._unpack(list(found.values()))
        sample = np.empty(vectors.shape, np.float32)
        widen(vectors, sample)
        try:
            return Codes.none(Axes.fit(sample, count))
        except ValueError as error:
            raise corrupt(self._reader.address, error) from error

    def save(self, remember: Callable[[str], None]) -> None:
        """Writes codes beside the database where that is worth it. For the one writer alone.

        Args:
            remember: Takes the token that the database must name from now on.

        Raises:
            CorruptCollectionError: A stored descriptor is damaged.
            StorageError: The database cannot be read.
            OSError: The file cannot be written.
        """
        with self._reader.snapshot():
            self._choose(fit=True)
            if self._axes is None:
                return
            [(there,)] = self._reader.query(_COUNT, (), (int,))
            [(newer,)] = self._reader.query(_NEWER, (self._saved.last,), (int,))
            if there >= _GROWN * self._axes.fitted:
                self._begin(self._fitted(there))
            elif not self._saved.needs(there, newer):
                return
        held = self._in_step(None, fit=True)
        if held.axes is None:
            return  # they have become few meanwhile
        token = secrets.token_hex(16)
        place = self._reader.folder / CODES_INDEX
        write_codes(place, held.axes, held.blocks, _stamp(held.generation, token))
        remember(token)

    def _step(self) -> bool:
        """Brings memory nearer to this moment; whether it is there."""
        version = self._reader.version
        if self._kept_at == version:
            return True
        # Record numbers only grow and in between no descriptor changes: new ones are above the last.
        if self._checked_at != version:
            self._drop_lost()
            self._checked_at = version
        block = self._read(self._kept.last)
        self._kept.append(
            block.records, block.vectors if self._axes is None else self._axes.encode(block.vectors)
        )
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


def saved_codes(reader: Reader, token: str | None) -> Codes | None:
    """The codes in the file beside the database, as they were written; None where there are none.

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
    profile = reader.profile
    [(there,)] = reader.query(_COUNT, (), (int,))
    read = partial(read_codes, reader.folder / CODES_INDEX, profile.dimensions)
    return taken_up(token, partial(_stamp, profile.generation), there, read)


def _stamp(generation: int, token: str) -> bytes:
    return f"descriptors {generation} {token}".encode()
