"""What a shard answers: the questions of a collection's parts, about the pictures that it holds."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64
from numpy.typing import NDArray

from camseek.matching.index import WordCounts
from camseek.matching.words import QueryWords
from camseek.numerics import BOOL, F32, I64
from camseek.store.memory import THREADS
from camseek.store.milvus import MilvusCollection
from camseek.store.reader import changed
from camseek.store.records import CollectionInfo, Profile, Ranking, StoredPicture
from camseek.store.sharing import ScoredWords, WordsRanking

F16 = NDArray[np.float16]

# Searches whose first comparison of words is kept: 16 bytes a picture of each.
_SEARCHES = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a shard is.

    Attributes:
        epoch: Of its descriptors; the same word in all shards.
        profile: What tells its profile from others, but for the generation, which each mirror counts by
            itself.
    """

    epoch: str
    profile: str


class Answers:
    """Answers from a mirror of a part. Records are the mirror's own. Safe to use from several threads."""

    def __init__(self, collection: MilvusCollection) -> None:
        self._collection = collection
        self._known: tuple[Profile, str] | None = None
        self._searches: OrderedDict[str, ScoredWords] = OrderedDict()
        self._lock = threading.Lock()

    # -- the moment --------------------------------------------------------------------------------------

    def seen(self) -> Seen:
        """How far it is."""
        return self.profile()[0]

    def caught_up(self) -> Seen:
        """How far it is, with everything that was written before."""
        self._collection.catch_up()
        return self.seen()

    def profile(self) -> tuple[Seen, Profile]:
        """How far it is, and what its descriptors are made with."""
        with self._collection.snapshot():
            epoch, profile = self._collection.epoch(), self._collection.profile
        known = self._known
        if known is None or known[0] is not profile:
            self._known = known = profile, _told_apart(profile)
        return Seen(epoch, known[1]), profile

    @contextmanager
    def _of(self, epoch: str) -> Generator[None]:
        """What is read inside is of this epoch.

        It is not one moment: the server may be asked inside, and others would wait for that.

        Raises:
            CollectionChangedError: The collection is of another, or went over to another meanwhile.
        """
        generation = self._generation(epoch)
        try:
            yield
        finally:
            # Also where that is why it failed. Numbers of generations are not used twice, as epochs may be.
            with self._collection.snapshot():
                now = self._collection.vectors.generation
            if now != generation:
                raise changed(self._collection.address)

    def _generation(self, epoch: str) -> int:
        """This mirror's number for an epoch.

        Raises:
            CollectionChangedError: The descriptors are of another.
        """
        with self._collection.snapshot():
            if self._collection.epoch() != epoch:
                raise changed(self._collection.address)
            return self._collection.vectors.generation

    # -- descriptors -------------------------------------------------------------------------------------

    def nearest(
        self, epoch: str, queries: Float32[F32, "Q D"], k: int, without: Sequence[int]
    ) -> list[Ranking]:
        """As ``Vectors.nearest``."""
        generation = self._generation(epoch)
        return self._collection.vectors.nearest(queries, k, without=without, generation=generation)

    def descriptors(self, epoch: str, records: Int64[I64, " N"]) -> Float16[F16, "N D"] | None:
        """The descriptors of records, as they are stored: half the bytes; None where one has none."""
        try:
            found = self._collection.vectors.of(records, generation=self._generation(epoch))
        except KeyError:
            return None
        return found.astype(np.float16)

    def described(self, epoch: str) -> Int64[I64, " N"]:
        """The records that have descriptors."""
        with self._of(epoch):
            return self._collection.vectors.records()

    def has(self, epoch: str, records: Int64[I64, " N"]) -> Bool[BOOL, " N"]:
        """Which of these records have descriptors."""
        with self._of(epoch):
            return self._collection.vectors.has(records)

    # -- words -------------------------------------------------------------------------------------------

    def counts(self, search: str, queries: Sequence[QueryWords]) -> list[WordCounts]:
        """How common the words of queries are here."""
        return self._search(search).counts(queries)

    def ranked(
        self,
        search: str,
        queries: Sequence[QueryWords],
        k: int | None,
        without: Sequence[int],
        own: Sequence[int],
        asked: Int64[I64, " M"],
        counts: Sequence[WordCounts],
    ) -> WordsRanking:
        """As ``WordsSearch.ranked``, by the counts of all shards."""
        return self._search(search).ranked(queries, k, without=without, own=own, asked=asked, counts=counts)

    def _search(self, token: str) -> ScoredWords:
        with self._lock:
            found = self._searches.pop(token, None) or self._collection.words.search(workers=THREADS)
            self._searches[token] = found
            while len(self._searches) > _SEARCHES:
                self._searches.popitem(last=False)
            return found

    # -- pictures and traces -----------------------------------------------------------------------------

    def count(self) -> int:
        """How many pictures it has."""
        return self._collection.catalogue.count()

    def records(self) -> Int64[I64, " N"]:
        """The records of its pictures."""
        return self._collection.catalogue.records()

    def pictures(self, records: Sequence[int]) -> dict[int, StoredPicture]:
        """The pictures of records."""
        return self._collection.catalogue.pictures(records)

    def find(self, content: bytes) -> int | None:
        """The record of a content."""
        return self._collection.catalogue.find(content)

    def names(self) -> list[bytes]:
        """Every name that it knows."""
        return self._collection.catalogue.names()

    def info(self) -> CollectionInfo:
        """What is told of it."""
        return self._collection.catalogue.info()

    def check(self) -> list[str]:
        """Its faults."""
        return self._collection.catalogue.check()

    def traces(
        self, epoch: str, kind: str, records: Sequence[int], *, ask: bool
    ) -> tuple[dict[int, bytes], set[int]]:
        """The traces of records, and those that are damaged; where nobody asks for these, it is an error."""
        damaged: set[int] = set()
        with self._of(epoch):
            found = self._collection.traces.get(kind, records, damaged=damaged if ask else None)
        return found, damaged

    def damaged(self, epoch: str, kind: str) -> list[int]:
        """The records whose trace is damaged."""
        with self._of(epoch):
            return self._collection.traces.damaged(kind)

    def missing(self, epoch: str, kind: str) -> list[int]:
        """The records without a trace."""
        with self._of(epoch):
            return self._collection.traces.missing(kind)

    def kinds(self, epoch: str) -> dict[str, int]:
        """How many traces of which kind it has."""
        with self._of(epoch):
            return self._collection.traces.kinds()


def _told_apart(profile: Profile) -> str:
    plain = repr(replace(profile, generation=0, whitening=None))
    return hashlib.sha256(plain.encode() + b"\0" + (profile.whitening or b"")).hexdigest()
