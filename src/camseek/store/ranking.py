"""Exact search: cosine with every descriptor, ordered by score, then record."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from camseek.store.interface import Collection

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# A float32 dot product of unit vectors of up to some thousand dimensions is off by less than this.
_MARGIN = 1e-4
# 512 descriptors of 1,280 dimensions are 2.6 MB: read, converted and multiplied while in the cache's reach.
_BLOCK = 512


@runtime_checkable
class DescriptorSource(Protocol):
    """Where descriptors come from: a collection's file, or memory."""

    def descriptors(
        self, *, after: int = 0, block: int = _BLOCK
    ) -> Iterator[tuple[Int64[I64, " N"], Float32[F32, "N D"]]]:
        """Record numbers and descriptors in blocks, ascending."""
        ...

    def descriptors_of(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The descriptors of these records."""
        ...


def rank(
    source: DescriptorSource, query: Float32[F32, " D"], top: int, *, without: Iterable[int] = ()
) -> tuple[Int64[I64, " k"], Float64[F64, " k"], int]:
    """The records nearest to a query.

    All descriptors are compared by matrix products, whose last digits depend on a row's place; those within
    their error of the ``top``-th are compared again one by one, so that equal descriptors have equal scores
    and the first k are always a prefix of the first k + 1.

    Args:
        source: The descriptors.
        query: Unit descriptor, float32.
        top: How many records at most, 0 or more.
        without: Records to leave out.

    Returns:
        Record numbers; their cosines in [-1, 1], float64, descending, equal ones by record; how many
        descriptors were compared.
    """
    if top < 0:
        raise ValueError(f"top is {top}, below 0")
    records, rough = _all_scores(source, query)
    if left_out := list(without):
        kept = ~np.isin(records, left_out)
        records, rough = records[kept], rough[kept]
    compared = len(records)
    top = min(top, compared)
    if top == 0:
        return np.empty(0, np.int64), np.empty(0, np.float64), compared
    least = np.partition(rough, compared - top)[compared - top] - 2 * _MARGIN
    candidates = records[rough >= least]
    # In pieces: a pile of black frames or blank scans may be all alike.
    wide = query.astype(np.float64)
    pieces = [
        (source.descriptors_of(candidates[start : start + _BLOCK]) * wide).sum(axis=1)
        for start in range(0, len(candidates), _BLOCK)
    ]
    # Stored descriptors are rounded: a picture with itself may come out a hair above 1.
    scores = np.concatenate(pieces).clip(-1.0, 1.0)
    order = np.lexsort((candidates, -scores))[:top]
    return candidates[order], scores[order], compared


def _all_scores(
    source: DescriptorSource, query: Float32[F32, " D"]
) -> tuple[Int64[I64, " N"], Float32[F32, " N"]]:
    blocks = [(records, vectors @ query) for records, vectors in source.descriptors(block=_BLOCK)]
    if not blocks:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    records, scores = zip(*blocks, strict=True)
    return np.concatenate(records), np.concatenate(scores)


class DescriptorIndex:
    """A collection's descriptors in memory, kept in step with it.

    The collection's file is the truth; what changed since the last look is read, nothing else.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._version: object = None
        self._generation = collection.profile.generation
        self._records: Int64[I64, " N"] = np.empty(0, np.int64)
        self._vectors: Float32[F32, "N D"] = np.empty((0, collection.profile.dimensions), np.float32)

    def refresh(self) -> None:
        """Brings memory in step with the collection; call it inside a ``snapshot``."""
        version = self._collection.version()
        if version == self._version:
            return
        profile = self._collection.profile
        if profile.generation != self._generation:
            # A whitening was fitted: every descriptor is another.
            self._records = np.empty(0, np.int64)
            self._vectors = np.empty((0, profile.dimensions), np.float32)
            self._generation = profile.generation
        # Record numbers only grow and in between no descriptor changes: new ones are above the last.
        last = int(self._records[-1]) if len(self._records) else 0
        records = self._collection.record_numbers()
        kept = np.isin(self._records, records, assume_unique=True)
        if not kept.all() or len(records) != len(self._records):
            vectors = np.empty((len(records), self._vectors.shape[1]), np.float32)
            filled = int(kept.sum())
            vectors[:filled] = self._vectors[kept]
            for numbers, block in self._collection.descriptors(after=last):
                vectors[filled : filled + len(numbers)] = block
                filled += len(numbers)
            self._records, self._vectors = records, vectors
        self._version = version

    def descriptors(
        self, *, after: int = 0, block: int = _BLOCK
    ) -> Iterator[tuple[Int64[I64, " N"], Float32[F32, "N D"]]]:
        """Record numbers above ``after`` and their descriptors: one block, since all are here."""
        start = int(np.searchsorted(self._records, after, side="right"))
        if start < len(self._records):
            yield self._records[start:], self._vectors[start:]

    def descriptors_of(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
        """
        places = np.searchsorted(self._records, records)
        if (places >= len(self._records)).any() or (self._records[places] != records).any():
            raise KeyError("a record has no descriptor")
        return self._vectors[places]
