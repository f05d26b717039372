"""What was seen of a ground truth's pictures, for all searches of all protocols."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from camseek.encoding.sketch import Sketch
from camseek.extraction.extractor import Extraction
from camseek.lab.measuring.scratch import Scratch
from camseek.matching.codebook import embedded_codebook
from camseek.matching.fine import FinePoints
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords
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
from camseek.searching.looks import Described, DescribeLook, Look, LookSet, Unreadable
from camseek.searching.stages import RegionMatch
from camseek.store import MemoryVectors, Ranking, ScoredWords, WordsRanking


class NotSeenError(Exception):
    """A search wants to know something of pictures that were not looked at for that yet.

    Attributes:
        look: What it wants to know.
        rows: Of which pictures.
    """

    def __init__(self, look: Look, rows: Sequence[int]) -> None:
        super().__init__(f"{len(rows)} pictures were not seen yet")
        self.look = look
        self.rows = rows


@dataclass(frozen=True, slots=True, eq=False)
class _Descriptions:
    """The pictures described anew for one query: (N,) cosines, NaN where not seen yet, and (N, D) or None."""

    scores: Float64[F64, " N"]
    descriptors: Float32[F32, "N D"] | None


class Answers:
    """Takes what was seen, each picture in a thread of its own, and gives it to searches.

    Descriptions are kept as arrays, which may lie on the disk: there are as many as queries and pictures.
    """

    def __init__(self, scratch: Scratch, rows: int) -> None:
        """Nothing was seen yet.

        Args:
            scratch: Gives arrays.
            rows: How many pictures there are, N.
        """
        self._scratch = scratch
        self._rows = rows
        self._unreadable: dict[int, Unreadable] = {}
        self._described: dict[Hashable, _Descriptions] = {}
        self._vectors: dict[Hashable, F32] = {}
        self._others: dict[Hashable, dict[int, Any]] = {}
        self._points: dict[int, StoredPoints] = {}
        self._fine: dict[int, tuple[bytes, Size]] = {}
        self._sketches: dict[int, bytes] = {}
        self._index: WordsIndex | None = None

    def take_points(self, row: int, points: StoredPoints) -> None:
        """Remembers a picture's points; before any search asks for them."""
        self._points[row] = points

    def take_fine(self, row: int, data: bytes, size: Size) -> None:
        """Remembers a picture's fine points, packed: unpacked they are seven times as large."""
        self._fine[row] = data, size

    def fine(self, rows: Sequence[int]) -> list[FinePoints | Unreadable]:
        """The fine points of pictures."""
        return [
            fine_of(*self._fine[row]) if row in self._fine else self._unreadable.get(row, NO_FINE)
            for row in rows
        ]

    def take_sketch(self, row: int, data: bytes) -> None:
        """Remembers a picture's sketch, packed."""
        self._sketches[row] = data

    def sketches(self, rows: Sequence[int]) -> list[Sketch | Unreadable]:
        """The sketches of pictures."""
        return [
            sketch_of(self._sketches[row]) if row in self._sketches else self._unreadable.get(row, NO_SKETCH)
            for row in rows
        ]

    @property
    def index(self) -> WordsIndex:
        """The inverted index of all points that were taken."""
        if self._index is None:
            self._index = WordsIndex(embedded_codebook())
            self._index.add(list(self._points), (item.words for item in self._points.values()))
        return self._index

    def points(self, rows: Sequence[int]) -> list[StoredPoints | Unreadable]:
        """The points of pictures."""
        none = Unreadable("it has no points")
        return [self._points.get(row) or self._unreadable.get(row) or none for row in rows]

    def expect(self, looks: Iterable[Look]) -> None:
        """Makes room for the answers to some looks; before threads take them."""
        same: dict[Hashable, dict[Hashable, DescribeLook]] = {}
        for look in looks:
            if not isinstance(look, DescribeLook):
                self._others.setdefault(look.key, {})
            elif look.key not in self._described:
                same.setdefault((look.encoder.key, look.keep), {})[look.key] = look
        # One array for all that share an encoder: there may be as many looks as queries.
        for group in same.values():
            self._lay_out(group)

    def _lay_out(self, looks: Mapping[Hashable, DescribeLook]) -> None:
        scores = self._scratch.array((len(looks), self._rows), np.float64)
        scores[...] = np.nan
        kept = {look.descriptor_key: look for look in looks.values() if look.keep}
        new = [key for key in kept if key not in self._vectors]
        if new:
            length = len(kept[new[0]].query)
            vectors = self._scratch.array((len(new), self._rows, length))
            self._vectors |= dict(zip(new, vectors, strict=True))
        for place, (key, look) in enumerate(looks.items()):
            vectors = self._vectors[look.descriptor_key] if look.keep else None
            self._described[key] = _Descriptions(scores[place], vectors)

    def take(self, row: int, looks: LookSet, seen: Extraction) -> None:
        """Asks everything about a picture, and remembers the answers."""
        for key, answer in looks.see(seen).items():
            if key not in self._described:
                self._others[key][row] = self._laid_down(answer)
                continue
            known = self._described[key]
            if known.descriptors is not None and answer.descriptor is not None:
                known.descriptors[row] = answer.descriptor
            known.scores[row] = answer.score

    def unreadable(self, row: int, reason: str) -> None:
        """A picture that cannot be seen."""
        self._unreadable[row] = Unreadable(reason)

    def get(self, look: Look, rows: Sequence[int]) -> list[Any]:
        """The answers for some pictures.

        Raises:
            NotSeenError: Some of them were not looked at for this.
        """
        known = self._described.get(look.key)
        if known is None:
            others = self._others.get(look.key, {})
            missing = [row for row in rows if row not in others and row not in self._unreadable]
            if missing:
                raise NotSeenError(look, missing)
            return [self._unreadable.get(row) or others[row] for row in rows]
        scores: list[float] = known.scores[rows].tolist()
        missing = [
            row
            for row, score in zip(rows, scores, strict=True)
            if score != score and row not in self._unreadable
        ]
        if missing:
            raise NotSeenError(look, missing)
        vectors = known.descriptors
        return [
            self._unreadable.get(row) or Described(score, None if vectors is None else vectors[row])
            for row, score in zip(rows, scores, strict=True)
        ]

    def _laid_down(self, answer: Any) -> Any:
        """An answer whose descriptor lies where there is room for many."""
        if isinstance(answer, RegionMatch) and answer.descriptor is not None:
            return replace(answer, descriptor=self._scratch.vector(answer.descriptor))
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredDatabase:
    """A ground truth's pictures (the ``Database`` interface); records are rows.

    Attributes:
        vectors: The stored descriptors.
        answers: What was seen of pictures.
    """

    vectors: MemoryVectors
    answers: Answers

    def nearest(self, descriptor: Float32[F32, " D"], count: int | None, without: Collection[int]) -> Ranking:
        """The rows nearest to a descriptor."""
        wanted = len(self.vectors.records()) if count is None else count
        return self.vectors.nearest(descriptor[None], wanted, without=without)[0]

    def descriptors(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The descriptors of rows."""
        return self.vectors.of(records)

    def cosines(self, descriptor: Float32[F32, " D"], records: Int64[I64, " N"]) -> Float64[F64, " N"]:
        """The cosines of rows with a descriptor; NaN of featureless pictures."""
        return cosines_with(self.vectors, descriptor, records)

    def words(
        self,
        queries: Sequence[QueryWords],
        count: int | None,
        *,
        without: Collection[int] = (),
        own: Collection[int] = (),
        asked: Int64[I64, " M"],
    ) -> WordsRanking:
        """The rows that share most words with a query's pictures, and what ``asked`` rows share."""
        words = ScoredWords(self.answers.index)
        return words.ranked(queries, count, without=without, own=own, asked=asked)

    def points(self, records: Sequence[int]) -> list[StoredPoints | Unreadable]:
        """The points of rows; ``Unreadable`` for one that has none."""
        return self.answers.points(records)

    def fine(self, records: Sequence[int]) -> list[FinePoints | Unreadable]:
        """The fine points of rows; ``Unreadable`` for one that has none."""
        return self.answers.fine(records)

    def sketches(self, records: Sequence[int]) -> list[Sketch | Unreadable]:
        """The sketches of rows; ``Unreadable`` for one that has none."""
        return self.answers.sketches(records)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Work that no picture need be seen for; in this thread, as an evaluation has many searches."""
        return list(map(work, items))

    def look(self, look: Look, records: Sequence[int]) -> list[Any]:
        """The answers to a question about pictures.

        Raises:
            NotSeenError: Some were not looked at for this.
        """
        return self.answers.get(look, records)
