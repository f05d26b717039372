"""One search: stored descriptors, then what its plan asks for (the arrows of docs/architecture.md)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from camseek.backbones import Backbone
from camseek.config import RERANK_CLASSES, Plan
from camseek.engine.candidates import Candidate, CandidateReader, Rematch
from camseek.engine.classes import require_class_ids
from camseek.engine.encoder import Encoder
from camseek.engine.indexing import Progress
from camseek.engine.pipeline import ordered
from camseek.engine.querying import ReadQuery
from camseek.engine.reading import PictureReader
from camseek.engine.viewing import Attention
from camseek.errors import CorruptCollectionError, FeaturelessError
from camseek.expansion import expand
from camseek.numerics import is_usable
from camseek.reranking import reorder
from camseek.results import Stage
from camseek.store import Collection, DescriptorIndex, StoredPicture, rank

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Found:
    """A picture on its way to becoming a hit.

    Attributes:
        picture: The stored picture.
        score: Cosine of the last stage that could compare it.
        looked: What looking at it again gave, where that was done.
    """

    picture: StoredPicture
    score: float
    looked: Candidate | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What a search works with; ``run`` does it.

    Attributes:
        collection: Where the stored descriptors are.
        index: They in memory, or None to read them from the collection.
        model: One pass a thread.
        encoder: The collection's.
        reader: How pictures are read.
        workers: Threads.
        progress: Told how far the looking at candidates is.
        stages: Takes what was done.
    """

    collection: Collection
    index: DescriptorIndex | None
    model: Backbone
    encoder: Encoder
    reader: PictureReader
    workers: int
    progress: Progress
    stages: list[Stage] = field(default_factory=list[Stage])

    def run(
        self,
        query: ReadQuery,
        plan: Plan,
        *,
        top: int,
        without_self: bool,
        boxes: Attention | None,
    ) -> tuple[list[Found], int]:
        """Finds the ``top`` pictures; inside a ``snapshot`` of the collection.

        Args:
            query: What is sought.
            plan: What to do.
            top: How many, 1 or more.
            without_self: Leave the query's own pictures out, known by their content.
            boxes: What to box in pictures that are looked at.

        Returns:
            They, best first, and how many pictures were compared.

        Raises:
            FeaturelessError: The network sees nothing in the query.
            SettingsError: The plan wants class maps of a model that has no classifier.
        """
        anew = self._classes_anew(query, plan)
        if plan.rerank:
            self.model.require_classifier("re-ranking")
        descriptor = _usable(query, query.descriptor(self.encoder))
        own = _own(self.collection, query) if without_self else []
        wanted = max(top, plan.rerank, plan.expand, plan.shortlist if anew is not None else 0)
        found, searched = self._rank(descriptor, wanted, own)
        self.stages.append(Stage("ranking", searched))
        encoder = self.encoder if anew is None else self.encoder.class_weighted()
        if anew is not None:
            descriptor = _usable(query, query.descriptor(encoder, anew))
        rematch = _rematch(query, encoder, plan) if plan.rerank else None
        look = CandidateReader(self.model, encoder, self.reader, anew, rematch, boxes)
        if anew is not None:
            found = self._describe_anew(
                found, descriptor, look, "predefined" if plan.predefined else "online"
            )
        if rematch is not None:
            found = self._rerank(found, plan.rerank, look)
        if plan.expand:
            new = self._expanded(found, plan, descriptor, stored=anew is None)
            if anew is None:
                found = self._again(found, self._rank(new, top, own)[0])
            else:
                found = _reordered(found, [_cosine(new, item) for item in found])
        return found[:top], searched

    def _classes_anew(self, query: ReadQuery, plan: Plan) -> Int64[I64, "1 C"] | None:
        """The classes that pictures must be described with anew; None where stored descriptors serve."""
        settings = self.collection.profile.settings
        count = plan.classes or settings.encoding.classes
        match plan.aggregation:
            case "offline":
                return None
            case "online":
                self.model.require_classifier("online aggregation")
                chosen = np.array(plan.attend, np.int64)[None] if plan.attend else query.classes(count)
            case "predefined":
                stored = settings.predefined[: settings.encoding.classes]
                if plan.predefined[:count] == stored:
                    return None
                self.model.require_classifier("predefined aggregation")
                chosen = np.array(plan.predefined[:count], np.int64)[None]
        require_class_ids(self.model, chosen[0].tolist())
        return chosen

    # -- the stages ---------------------------------------------------------------------------------------

    def _rank(self, descriptor: Float32[F32, " D"], top: int, own: Sequence[int]) -> tuple[list[Found], int]:
        """Compares stored descriptors."""
        threads: AbstractContextManager[Any] = nullcontext()
        source = self.collection
        if self.index is not None:
            self.index.refresh()
            source = self.index
        else:
            # From the file in small blocks: what threads gain there, waiting for each other takes away,
            # and several times over where other programs want the cores too.
            threads = threadpool_limits(1, user_api="blas")
        with threads:
            records, scores, searched = rank(source, descriptor, top, without=own)
        stored = self.collection.pictures(records.tolist())
        return [
            Found(_whole(stored.get(record), self.collection.address), float(score))
            for record, score in zip(records.tolist(), scores, strict=True)
        ], searched

    def _describe_anew(
        self, found: list[Found], query: Float32[F32, " D"], look: CandidateReader, name: str
    ) -> list[Found]:
        """Online aggregation: every picture of the shortlist with the query's classes."""
        found = self._looked(found, look)
        self.stages.append(_stage(name, found, look.classes))
        return _reordered(found, [_cosine(query, item) for item in found])

    def _rerank(self, found: list[Found], count: int, look: CandidateReader) -> list[Found]:
        """The first ``count`` compared region by region; the others keep their place behind them."""
        first = found[:count]
        if any(item.looked is None for item in first):
            first = self._looked(first, look)
        self.stages.append(_stage("re-ranking", first, look.rematch.classes if look.rematch else None))
        return _reordered(first, [_region_score(item) for item in first]) + found[count:]

    def _expanded(
        self, found: Sequence[Found], plan: Plan, query: Float32[F32, " D"], *, stored: bool
    ) -> Float32[F32, " D"]:
        """The query that the first results make: of those re-ranked their regions, else the pictures.

        A picture that should have been described anew and could not be has no part in it.
        """
        vectors: list[Float32[F32, " D"]] = []
        for place, item in enumerate(found[: plan.expand]):
            looked = item.looked
            if place < plan.rerank and looked is not None and looked.region is not None:
                vectors.append(looked.region.descriptor)
            elif looked is not None and looked.descriptor is not None:
                vectors.append(looked.descriptor)
            elif stored:
                vectors.append(self.collection.descriptors_of(np.array([item.picture.record]))[0])
        details = {"with_query": plan.expand_with_query}
        self.stages.append(Stage("expansion", len(vectors), (), details))
        if not vectors:
            return query
        new = expand(np.array(vectors), query if plan.expand_with_query else None)
        return new if is_usable(new) else query

    def _looked(self, found: Sequence[Found], look: CandidateReader) -> list[Found]:
        self.progress.start(len(found))
        results: list[Found] = []
        pictures = [item.picture for item in found]
        for item, looked in zip(found, ordered(look.look, pictures, workers=self.workers), strict=True):
            self.progress.step()
            results.append(Found(item.picture, item.score, looked))
        return results

    @staticmethod
    def _again(before: Sequence[Found], found: Sequence[Found]) -> list[Found]:
        """What was seen of pictures that were found before."""
        known = {item.picture.record: item.looked for item in before}
        return [replace(item, looked=known.get(item.picture.record)) for item in found]


def _reordered(found: Sequence[Found], scores: Sequence[float | None]) -> list[Found]:
    return [
        replace(found[place], score=found[place].score if scores[place] is None else scores[place])
        for place in reorder(scores)
    ]


def _cosine(query: Float32[F32, " D"], item: Found) -> float | None:
    """Cosine with a candidate described anew, 0 where nothing was seen in it; None where it could not be."""
    vector = item.looked.descriptor if item.looked else None
    if vector is None:
        return None
    if not is_usable(vector):
        return 0.0
    return float(np.clip(vector.astype(np.float64) @ query.astype(np.float64), -1, 1))


def _region_score(item: Found) -> float | None:
    """The best region's cosine, 0 where nothing was seen in any; None where the file could not be read."""
    if item.looked is None or item.looked.reason is not None:
        return None
    return item.looked.region.score if item.looked.region else 0.0


def _stage(name: str, found: Sequence[Found], classes: Int64[I64, "1 C"] | None) -> Stage:
    kept = sum(item.looked is None or item.looked.reason is not None for item in found)
    numbers = () if classes is None else tuple(map(int, classes[0]))
    return Stage(name, len(found), numbers, {"kept": kept})


def _rematch(query: ReadQuery, encoder: Encoder, plan: Plan) -> Rematch:
    classes = np.array(plan.attend, np.int64)[None] if plan.attend else query.classes(RERANK_CLASSES)
    return Rematch(classes, _usable(query, query.descriptor(encoder, classes)))


def _usable(query: ReadQuery, descriptor: Float32[F32, " D"]) -> Float32[F32, " D"]:
    if not is_usable(descriptor):
        raise FeaturelessError(
            f"the network sees nothing in {query.name}", remedy="use a larger region or another picture"
        )
    return descriptor


def _own(collection: Collection, query: ReadQuery) -> list[int]:
    """The records of the query's own pictures."""
    found = (collection.find(part.content) for part in query.parts)
    return [record for record in found if record is not None]


def _whole(picture: StoredPicture | None, address: str) -> StoredPicture:
    """A picture that has a record and a file, as all have in a sound collection."""
    if picture is None or not picture.paths:
        raise CorruptCollectionError(
            f"{address} is damaged: a descriptor has no picture or no file",
            remedy="restore it from a copy, or index the pictures into a new collection",
        )
    return picture
