"""Records of pictures that shards hold: each says in which one it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from camseek.numerics import I64

_BITS = 40
"""Of a record, for its number within a shard, times the shards; above it stands the mirror."""


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The records of one shard among others.

    Attributes:
        places: int64 (n,): where they stand among the others.
        records: int64 (n,): what its mirror calls them.
    """

    places: Int64[I64, " n"]
    records: Int64[I64, " n"]


class Numbers:
    """Numbers for the pictures of all shards, and back.

    A shard that begins again from nothing numbers its pictures anew. So a record also says of which of its
    mirrors it is: one of a mirror that is no more has left, as a picture leaves.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        # Of each shard the names of its mirrors, as one came after the other.
        self._lives: list[list[str]] = [[] for _ in range(count)]

    def live(self, lives: Sequence[str]) -> None:
        """Says which mirrors there are now; of the same shards under the caller's lock."""
        for known, life in zip(self._lives, lives, strict=True):
            if life and (not known or known[-1] != life):
                known.append(life)

    def outward(self, shard: int, records: Int64[I64, " n"]) -> Int64[I64, " n"]:
        """What a shard's records are called."""
        mirror = max(len(self._lives[shard]) - 1, 0)
        return (mirror << _BITS) + records * self._count + shard

    def shares(self, records: Int64[I64, " N"]) -> dict[int, Share]:
        """The records of each shard that has some; those of mirrors that are no more are nobody's."""
        mirrors, numbers = records >> _BITS, records & ((1 << _BITS) - 1)
        shards = numbers % self._count
        found: dict[int, Share] = {}
        for shard in range(self._count):
            mirror = max(len(self._lives[shard]) - 1, 0)
            places: I64 = np.flatnonzero((shards == shard) & (mirrors == mirror))
            if len(places):
                found[shard] = Share(places, numbers[places] // self._count)
        return found
