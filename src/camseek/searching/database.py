"""What a search asks of the pictures that it searches."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float32, Int64

from camseek.numerics import F32, I64
from camseek.searching.looks import Look
from camseek.store import Ranking


@runtime_checkable
class Database(Protocol):
    """The pictures of one search: a collection's, or a ground truth's."""

    def nearest(self, descriptor: Float32[F32, " D"], count: int | None, without: Collection[int]) -> Ranking:
        """The records nearest to a descriptor, by score, then record; ``count`` None for all."""
        ...

    def descriptors(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The stored descriptors of records."""
        ...

    def look(self, look: Look, records: Sequence[int]) -> list[Any]:
        """The answers to a question about pictures, seen again; ``Unreadable`` for one that cannot be."""
        ...
