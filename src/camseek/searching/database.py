"""What a search asks of the pictures that it searches."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64

from camseek.encoding.sketch import Sketch
from camseek.matching.fine import FinePoints, embedded_axes
from camseek.matching.words import QueryWords, WordPoints
from camseek.numerics import F32, F64, I64
from camseek.results import Size
from camseek.searching.looks import Look, Unreadable, cosines
from camseek.store import Ranking, Vectors, WordsRanking

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class StoredPoints:
    """What is stored of a picture's local features.

    Attributes:
        words: They, as visual words.
        size: Width and height of the upright picture, pixels.
    """

    words: WordPoints
    size: Size


NO_FINE = Unreadable("none of its fine points are stored")


def fine_of(data: bytes, size: Size) -> FinePoints | Unreadable:
    """A picture's fine points as they lie in its trace."""
    try:
        return embedded_axes().unpack(data, size)
    except ValueError as error:
        return Unreadable(f"its stored fine points are damaged: {error}")


NO_SKETCH = Unreadable("none of its cells are stored")


def sketch_of(data: bytes) -> Sketch | Unreadable:
    """A picture's sketch as it lies in its trace."""
    try:
        return Sketch.unpack(data)
    except ValueError as error:
        return Unreadable(f"its stored cells are damaged: {error}")


@runtime_checkable
class Database(Protocol):
    """The pictures of one search: a collection's, or a ground truth's."""

    def nearest(self, descriptor: Float32[F32, " D"], count: int | None, without: Collection[int]) -> Ranking:
        """The records nearest to a descriptor, by score, then record; ``count`` None for all."""
        ...

    def descriptors(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The stored descriptors of records."""
        ...

    def cosines(self, descriptor: Float32[F32, " D"], records: Int64[I64, " N"]) -> Float64[F64, " N"]:
        """The cosines of records with a descriptor; NaN of featureless pictures."""
        ...

    def words(
        self,
        queries: Sequence[QueryWords],
        count: int | None,
        *,
        without: Collection[int] = (),
        own: Collection[int] = (),
        asked: Int64[I64, " M"],
    ) -> WordsRanking:
        """The records that share most words with a query's pictures, and what ``asked`` records share.

        As ``camseek.store.WordsSearch.ranked``; ``count`` None for all.
        """
        ...

    def points(self, records: Sequence[int]) -> "list[StoredPoints | Unreadable]":
        """The points of records; ``Unreadable`` for one that has none."""
        ...

    def fine(self, records: Sequence[int]) -> "list[FinePoints | Unreadable]":
        """The fine points of records; ``Unreadable`` for one that has none, or damaged ones."""
        ...

    def sketches(self, records: Sequence[int]) -> "list[Sketch | Unreadable]":
        """The sketches of records; ``Unreadable`` for one that has none, or a damaged one."""
        ...

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Work that no picture need be seen for, shared by threads; answers in the order of the items."""
        ...

    def look(self, look: Look, records: Sequence[int]) -> list[Any]:
        """The answers to a question about pictures, seen again; ``Unreadable`` for one that cannot be."""
        ...


def cosines_with(
    vectors: Vectors,
    descriptor: Float32[F32, " D"],
    records: Int64[I64, " N"],
    *,
    generation: int | None = None,
) -> Float64[F64, " N"]:
    """The cosines of records with a descriptor; NaN of those that have none.

    Raises:
        CollectionChangedError: The descriptors are no longer of ``generation``.
    """
    found = np.full(len(records), np.nan)
    try:
        known, held = np.ones(len(records), bool), vectors.of(records, generation=generation)
    except KeyError:
        known = vectors.has(records)
        held = vectors.of(records[known], generation=generation)
    query = np.broadcast_to(descriptor.astype(np.float64), held.shape)
    found[known] = cosines(query, held)
    return found
