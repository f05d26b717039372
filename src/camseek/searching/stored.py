"""A collection as one search sees it."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from camseek.encoding.sketch import Sketch
from camseek.errors import CollectionChangedError, PictureError
from camseek.extraction.extractor import MapSource
from camseek.extraction.faults import one_picture
from camseek.job import Job
from camseek.matching.codebook import embedded_codebook
from camseek.matching.fine import FinePoints
from camseek.matching.words import QueryWords, WordPoints
from camseek.numerics import F32, F64, I64
from camseek.results import Size
from camseek.searching.database import (
    NO_FINE,
    NO_SKETCH,
    Item,
    Result,
    StoredPoints,
    cosines_with,
    fine_of,
    sketch_of,
)
from camseek.searching.looks import Look, LookSet, Unreadable, digest
from camseek.store import (
    FINE_TRACE,
    POINTS_TRACE,
    SKETCH_TRACE,
    Collection,
    Ranking,
    StoredPicture,
    WordsRanking,
    WordsSearch,
    step_of,
)

_DAMAGED = Unreadable("what is stored of it is damaged: camseek enrich makes it anew")
# A ranking of all pictures has no more than this.
_ALL = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class StoredDatabase:
    """A collection's pictures (the ``Database`` interface), for one search.

    No lock is held while a picture is seen.

    Attributes:
        collection: The collection.
        generation: Of the descriptors that the query was made for.
        maps: Where the maps of its pictures come from.
        looks: What the plan's stages will want to know: a picture is seen once for all of it.
        job: Threads and progress.
        ranked: The nearest of all pictures to some descriptors, by their digests: enough of them whatever is
            left out.
    """

    collection: Collection
    generation: int
    maps: MapSource
    looks: Sequence[Look]
    job: Job
    ranked: Mapping[bytes, Ranking] = field(default_factory=dict[bytes, Ranking])
    _seen: dict[int, dict[Hashable, Any] | Unreadable] = field(
        default_factory=dict[int, dict[Hashable, Any] | Unreadable]
    )
    # Its questions about words go on from each other: there is one.
    _words: list[WordsSearch] = field(default_factory=list[WordsSearch])

    def quiet(self) -> "StoredDatabase":
        """The same, with what was seen so far, and nobody told."""
        return replace(self, job=self.job.quiet())

    def nearest(self, descriptor: Float32[F32, " D"], count: int | None, without: Set[int]) -> Ranking:
        """The records nearest to a descriptor.

        Raises:
            CollectionChangedError: A whitening was fitted meanwhile.
        """
        known = self.ranked.get(digest(descriptor)) if self.ranked and count is not None else None
        if known is not None:
            left = ~np.isin(known.records, list(without))
            spread, out = known.spread, 0
            for gone in self._descriptors_of(without):
                out += 1
                if spread is not None:
                    spread, step = spread.copy(), step_of(np.vecdot(gone, descriptor)[None])
                    # In a large collection it may have been counted a step beside.
                    spread[step] = np.maximum(spread[step] - 1, 0)
            scores = known.scores[left][:count]
            return Ranking(known.records[left][:count], scores, known.compared - out, spread)
        wanted = _ALL if count is None else count
        return self.collection.vectors.nearest(
            descriptor[None], wanted, without=without, generation=self.generation
        )[0]

    def _descriptors_of(self, records: Set[int]) -> Iterator[Float32[F32, " D"]]:
        """The descriptors of those records that have one."""
        for record in records:
            with suppress(KeyError):
                yield self.collection.vectors.of(np.array([record]), generation=self.generation)[0]

    def descriptors(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The stored descriptors of records.

        Raises:
            CollectionChangedError: A whitening was fitted meanwhile, or a picture has gone.
        """
        try:
            return self.collection.vectors.of(records, generation=self.generation)
        except KeyError as error:
            raise CollectionChangedError(
                f"a picture left {self.collection.address} during the search", remedy="search again"
            ) from error

    def cosines(self, descriptor: Float32[F32, " D"], records: Int64[I64, " N"]) -> Float64[F64, " N"]:
        """The cosines of records with a descriptor; NaN of featureless pictures.

        Raises:
            CollectionChangedError: A whitening was fitted meanwhile.
        """
        return cosines_with(self.collection.vectors, descriptor, records, generation=self.generation)

    def words(
        self,
        queries: Sequence[QueryWords],
        count: int | None,
        *,
        without: Set[int] = (),
        own: Set[int] = (),
        asked: Int64[I64, " M"],
    ) -> WordsRanking:
        """The records that share most words with a query's pictures, and what ``asked`` records share."""
        if not self._words:
            self._words.append(self.collection.words.search(workers=self.job.workers))
        return self._words[0].ranked(queries, count, without=without, own=own, asked=asked)

    def points(self, records: Sequence[int]) -> list[StoredPoints | Unreadable]:
        """The points of records; ``Unreadable`` for one that has none, or damaged ones."""
        return self._read(POINTS_TRACE, records, _unpacked, Unreadable("none of its points are stored"))

    def fine(self, records: Sequence[int]) -> list[FinePoints | Unreadable]:
        """The fine points of records; ``Unreadable`` for one that has none, or damaged ones."""
        return self._read(FINE_TRACE, records, fine_of, NO_FINE)

    def sketches(self, records: Sequence[int]) -> list[Sketch | Unreadable]:
        """The sketches of records; ``Unreadable`` for one that has none, or a damaged one.

        Raises:
            CollectionChangedError: The collection has gone over to another network meanwhile.
        """
        with self.collection.snapshot():
            if self.collection.vectors.generation != self.generation:
                raise CollectionChangedError(
                    f"{self.collection.address} was fitted or upgraded during the search",
                    remedy="search again",
                )
            traces = self._traces(SKETCH_TRACE, records, NO_SKETCH)
        return [data if isinstance(data, Unreadable) else sketch_of(data) for data in traces]

    def _read(
        self,
        kind: str,
        records: Sequence[int],
        read: Callable[[bytes, Size], Result | Unreadable],
        none: Unreadable,
    ) -> list[Result | Unreadable]:
        """What is read of the traces of a kind; ``none`` of a record without one."""
        with self.collection.snapshot():
            traces = self._traces(kind, records, none)
            pictures = self.collection.catalogue.pictures(records)
        return [
            data
            if isinstance(data, Unreadable)
            else read(data, pictures[record].size)
            if record in pictures
            else none
            for record, data in zip(records, traces, strict=True)
        ]

    def _traces(self, kind: str, records: Sequence[int], none: Unreadable) -> list[bytes | Unreadable]:
        """The traces of a kind; ``none`` of a record without one."""
        damaged: set[int] = set()
        found = self.collection.traces.get(kind, records, damaged=damaged)
        return [found.get(record, _DAMAGED if record in damaged else none) for record in records]

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Work that no picture need be seen for, shared by threads; answers in the order of the items."""
        return list(self.job.quiet().map(work, items))

    def look(self, look: Look, records: Sequence[int]) -> list[Any]:
        """The answers to a question about pictures."""
        key = look.key  # a digest of the query: once, not for each picture
        missing = [record for record in dict.fromkeys(records) if not self._knows(record, key)]
        if missing:
            pictures = self.collection.catalogue.pictures(missing)
            self.job.progress.start(len(missing))
            every, alone = LookSet([*self.looks, look]), LookSet([look])
            work = [
                (record, pictures.get(record), alone if record in self._seen else every) for record in missing
            ]
            for record, answers in self.job.map(self._see, work):
                self.job.progress.step()
                known = self._seen.get(record)
                if isinstance(answers, dict) and isinstance(known, dict):
                    answers = known | answers
                self._seen[record] = answers
        return [self._answer(record, key) for record in records]

    def _see(
        self, work: tuple[int, StoredPicture | None, LookSet]
    ) -> tuple[int, dict[Hashable, Any] | Unreadable]:
        record, picture, looks = work
        if picture is None:
            return record, Unreadable("it has left the collection")
        try:
            with one_picture():
                seen = self.maps.maps(picture)
                return record, Unreadable(seen) if isinstance(seen, str) else looks.see(seen)
        except PictureError as error:
            return record, Unreadable(error.message)  # it keeps its place

    def _knows(self, record: int, key: Hashable) -> bool:
        known = self._seen.get(record)
        return known is not None and (isinstance(known, Unreadable) or key in known)

    def _answer(self, record: int, key: Hashable) -> Any:
        known = self._seen[record]
        return known if isinstance(known, Unreadable) else known[key]


def _unpacked(data: bytes, size: Size) -> StoredPoints | Unreadable:
    try:
        words = WordPoints.unpack(data, size)
        embedded_codebook().require(words)
        return StoredPoints(words, size)
    except ValueError as error:
        return Unreadable(f"its stored points are damaged: {error}")
