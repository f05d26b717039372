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


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Which mirrors the shards have: what was asked of these is about records of these.

    Attributes:
        names: The name of each shard's.
        places: How many each shard had before it.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]

    def outward(self, shard: int, records: Int64[I64, " n"]) -> Int64[I64, " n"]:
        """What a shard's records are called."""
        return (self.places[shard] << _BITS) + records * len(self.names) + shard

    def shares(self, records: Int64[I64, " N"]) -> dict[int, Share]:
        """The records of each shard that has some; those of mirrors that are no more are nobody's."""
        mirrors, numbers = records >> _BITS, records & ((1 << _BITS) - 1)
        shards = numbers % len(self.names)
        found: dict[int, Share] = {}
        for shard, mirror in enumerate(self.places):
            places: I64 = np.flatnonzero((shards == shard) & (mirrors == mirror))
            if len(places):
                found[shard] = Share(places, numbers[places] // len(self.names))
        return found


class Numbers:
    """Numbers for the pictures of all shards.

    A shard that begins again from nothing numbers its pictures anew. So a record also says of which of its
    mirrors it is: one of a mirror that is no more has left, as a picture leaves. One thread at a time.
    """

    def __init__(self, count: int) -> None:
        # Of each shard the names of its mirrors, as one came after the other.
        self._known: list[list[str]] = [[] for _ in range(count)]

    def now(self, names: Sequence[str]) -> Mirrors:
        """The mirrors of these names; each that is new comes after those that its shard had."""
        for known, name in zip(self._known, names, strict=True):
            if name not in known:
                known.append(name)
        return Mirrors(tuple(names), tuple(map(list[str].index, self._known, names)))
