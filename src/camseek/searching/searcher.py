"""From a query as people give it to hits as people read them."""

import os
import time
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from typing import Any, TypeVar

import numpy as np

from camseek.arguments import whole_number
from camseek.config import RegionReading
from camseek.errors import (
    CamseekError,
    CollectionChangedError,
    CorruptCollectionError,
    FeaturelessError,
    NotAPictureError,
    PictureError,
    RegionError,
    SettingsError,
)
from camseek.extraction.attention import class_scores
from camseek.extraction.describer import Describer, Describers
from camseek.extraction.extractor import Extractor, FileMaps, MapSource, RegionRules
from camseek.extraction.faults import one_picture
from camseek.extraction.sources import Source, content_of
from camseek.job import Job
from camseek.names import absolute, there_first
from camseek.results import Box, Chance, Hit, MatchEvidence, Query, QueryPicture, SearchResult, Skipped, View
from camseek.searching.looks import BoxLook, Unreadable, ViewLook, digest
from camseek.searching.plan import Plan
from camseek.searching.query import QueryPart, Sought, query_parts, query_views, read_query
from camseek.searching.search import Found, run
from camseek.searching.stages import Candidates, Nearest, Searching, Step
from camseek.searching.stored import StoredDatabase
from camseek.store import FINE, POINTS, SKETCH, Collection, Profile, Ranking, StoredPicture, Traces

# So many of the query's classes are told; the descriptor may sum more.
_TOLD_CLASSES = 5
# So often a search is done again because the collection changed under it; then its error is told.
_TRIES = 3
# Queries that are compared in one go.
_TOGETHER = 32

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Request:
    """How to search.

    Attributes:
        plan: The stages.
        reading: How a query's region is read.
        top: How many hits at most, 1 or more.
        boxes: Box where the network looks for the query's classes in each hit; reads the hits' files.
        without_self: Leave the query's own pictures out, known by their content.
        views: Keep the pictures and heat maps, for a report.

    Raises:
        ValueError: ``top`` is below 1.
        TypeError: ``plan`` is no plan, or ``top`` no whole number.
    """

    plan: Plan
    reading: RegionReading
    top: int
    boxes: bool
    without_self: bool
    views: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "top", whole_number(self.top, "top"))
        if self.top < 1:
            raise ValueError(f"top is {self.top}, below 1")
        given: Any = self.plan
        if not isinstance(given, Plan):
            raise TypeError(f"a plan is a camseek.Plan, not {given!r}")

    def to_json(self, parts: Sequence[QueryPart]) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "region_reading": self.reading if any(part.region for part in parts) else None,
            "top": self.top,
            "plan": self.plan.to_json(),
            "boxes": self.boxes,
            "without_self": self.without_self,
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A query that was read, the plan bound to it, the records of its own pictures; what that took."""

    parts: tuple[QueryPart, ...]
    sought: Sought
    steps: tuple[Step, ...]
    own: frozenset[int]
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Searcher:
    """Searches a collection whose descriptors are those of one moment.

    Attributes:
        collection: The collection.
        profile: What its descriptors are made with; where that has changed, a search says so.
        describer: Describes queries.
        looker: Gives the same for candidates, one thread a pass; asked where pictures are seen again.
        job: Threads and progress.
        last: Whether it is not done again: a picture that has left since it was ranked is then no hit.
        maps: Where the maps of stored pictures come from, for what sees pictures: their files.
    """

    collection: Collection
    profile: Profile
    describer: Describer
    looker: Callable[[], Describer]
    job: Job
    last: bool = False
    maps: Callable[[Extractor, Traces], MapSource] = FileMaps

    def search(
        self,
        parts: Sequence[QueryPart],
        request: Request,
        staged: Callable[[SearchResult], None] | None = None,
    ) -> SearchResult:
        """Finds the pictures that show the same thing.

        Args:
            parts: The query.
            request: How to search.
            staged: Told what was found so far, before each stage but the first.

        Raises:
            CollectionChangedError: A whitening was fitted, or a picture left, so that it must be done again.
            CamseekError: As ``Engine.search``.
        """
        asked = self._asked(self.describer, parts, request, workers=self.job.workers)
        return self._finish(asked, request, {}, staged)

    def search_many(
        self, queries: "Sequence[Sequence[QueryPart] | Skipped]", request: Request
    ) -> list[SearchResult | Skipped]:
        """Searches with several queries beside each other; descriptors are compared in one go.

        Args:
            queries: Their pictures are names or contents; or why one cannot be used.
            request: How to search.

        Returns:
            For each query what was found, or why it cannot be used.

        Raises:
            CollectionChangedError, CollectionError: As ``search``.
        """
        quiet = replace(self, job=self.job.quiet())
        asked = list(quiet.job.map(partial(self._try_asked, self.looker(), request), queries))
        usable = [item for item in asked if isinstance(item, _Asked)]
        ranked = self._ranked(usable, request)
        # Searches go on beside each other; where they are few, each has several threads.
        workers = max(self.job.workers // max(len(usable), 1), 1)
        alone = replace(quiet, job=replace(quiet.job, workers=workers))
        found: list[SearchResult | Skipped] = []
        self.job.progress.start(len(asked))
        for item in quiet.job.map(partial(alone._try_finish, request, ranked), asked):
            found.append(item)
            self.job.progress.step()
        return found

    def _try_finish(
        self, request: Request, ranked: Mapping[bytes, Ranking], item: "_Asked | Skipped"
    ) -> SearchResult | Skipped:
        if isinstance(item, Skipped):
            return item
        try:
            return self._finish(item, request, ranked)
        except PictureError as error:  # its file has gone since, and a view shows it
            return _skipped(item.parts, error)

    def _try_asked(
        self, describer: Describer, request: Request, parts: "Sequence[QueryPart] | Skipped"
    ) -> "_Asked | Skipped":
        if isinstance(parts, Skipped):
            return parts
        try:
            with one_picture():
                return self._asked(describer, parts, request, workers=1)
        except (PictureError, RegionError, FeaturelessError) as error:
            return _skipped(parts, error)

    def _ranked(self, asked: "Sequence[_Asked]", request: Request) -> dict[bytes, Ranking]:
        """The nearest pictures of each query, by the digest of its descriptor."""
        reach = request.plan.reach(request.top)
        if not asked or reach is None or not isinstance(request.plan.first, Nearest):
            return {}
        # Whatever is left out of one query's ranking, as many are there.
        most = reach + max(len(item.own) for item in asked)
        queries = [item.steps[0].terms.descriptor for item in asked]
        found = self.collection.vectors.nearest(np.stack(queries), most, generation=self.profile.generation)
        return dict(zip(map(digest, queries), found, strict=True))

    def _asked(
        self, describer: Describer, parts: Sequence[QueryPart], request: Request, *, workers: int
    ) -> "_Asked":
        """Reads a query and binds the plan to it; so many threads share the work on one picture."""
        started = time.perf_counter()
        request.plan.require(describer.model)
        require_parts(request.plan, self.collection.address, self.profile.keeps)
        rules = RegionRules(reading=request.reading)
        plan = request.plan
        sought = read_query(
            describer.extractor,
            parts,
            rules,
            features=plan.needs_features,
            fine=plan.needs_fine and FINE in self.profile.keeps,
            cells=plan.needs_sketches,
            workers=workers,
        )
        steps = request.plan.bind(sought, describer.encoder)
        return _Asked(tuple(parts), sought, steps, self._own(sought), time.perf_counter() - started)

    def _finish(
        self,
        asked: "_Asked",
        request: Request,
        ranked: Mapping[bytes, Ranking],
        staged: Callable[[SearchResult], None] | None = None,
    ) -> SearchResult:
        """Goes through the stages, and tells what was found."""
        started = time.perf_counter() - asked.seconds
        plan, sought, parts = request.plan, asked.sought, asked.parts
        wanted = sought.attention(plan.attend)
        looks = [step.look for step in asked.steps if step.look is not None]
        # A plain search never loads the second network.
        looker = self.looker() if request.boxes or request.views or looks else self.describer
        box = BoxLook(looker.model, wanted) if request.boxes else None
        database = StoredDatabase(
            self.collection,
            self.profile.generation,
            self.maps(looker.extractor, self.collection.traces),
            [*looks, *([box] if box else [])],
            self.job,
            ranked,
        )
        without = asked.own if request.without_self else frozenset[int]()
        search = Searching(database, plan.reach(request.top), without, asked.own)

        def between(found: Found) -> None:
            if staged is not None:
                pictures = self._pictures(found.candidates.first(request.top))
                staged(self._result(asked, request, found, pictures, started))

        outcome = run(plan, asked.steps, search, between)
        pictures = self._pictures(outcome.candidates.first(request.top))
        records = [picture.record for _, picture in pictures]
        # Views first: what is seen for its view is boxed by the way.
        shown = ViewLook(looker.model, wanted)
        views = _views(database.quiet(), shown, records) if request.views else ()
        boxes: list[tuple[Box | None, str | None]] = []
        if box is not None:
            boxes = _boxes(database.quiet(), box, outcome.candidates, records)
        seen = query_views(self.describer.extractor, parts, sought, wanted) if request.views else ()
        found = self._result(asked, request, outcome, pictures, started, boxes)
        return replace(found, query_views=seen, views=views)

    def _result(
        self,
        asked: "_Asked",
        request: Request,
        outcome: Found,
        pictures: "Sequence[tuple[int, StoredPicture]]",
        started: float,
        boxes: "Sequence[tuple[Box | None, str | None]]" = (),
    ) -> SearchResult:
        """What was found, in the words of results; without views."""
        sought = asked.sought
        # It was measured for the first stage's scores alone.
        known = outcome.candidates.chance if len(outcome.stages) == 1 else None
        boxes = boxes or [(None, None)] * len(pictures)
        return SearchResult(
            query=Query(
                tuple(QueryPicture(part.name, part.region, part.picture.size) for part in sought.parts),
                class_scores(self.describer.model, sought.scores, _TOLD_CLASSES),
            ),
            collection=self.collection.address,
            settings={
                **self.profile.settings.to_json(),
                "model": self.profile.model,
                **request.to_json(asked.parts),
            },
            seconds=time.perf_counter() - started,
            searched=outcome.stages[0].pictures,
            hits=tuple(map(partial(_hit, outcome, known), count(1), pictures, boxes)),
            stages=outcome.stages,
            chance=known,
        )

    def _own(self, sought: Sought) -> frozenset[int]:
        """The records of the query's own pictures."""
        found = (self.collection.catalogue.find(part.content) for part in sought.parts)
        return frozenset(record for record in found if record is not None)

    def _pictures(self, records: Sequence[int]) -> list[tuple[int, StoredPicture]]:
        """The pictures of records that were found, and their places.

        Raises:
            CollectionChangedError: One has left since, and the search can be done again.
            CorruptCollectionError: One has a descriptor, but no picture or no file.
        """
        with self.collection.snapshot():
            pictures = self.collection.catalogue.pictures(records)
            lost = [record for record in records if record not in pictures or not pictures[record].paths]
            there = self.collection.vectors.has(np.array(lost, np.int64))
        if there.any():
            raise CorruptCollectionError(
                f"{self.collection.address} is damaged: a descriptor has no picture or no file",
                remedy="restore it from a copy, or index the pictures into a new collection",
            )
        if lost and not self.last:
            raise CollectionChangedError(
                f"a picture left {self.collection.address} during the search", remedy="search again"
            )
        return [(place, pictures[record]) for place, record in enumerate(records) if record not in lost]


def searched(
    collection: Collection,
    describers: Describers,
    job: Job,
    parts: Sequence[QueryPart],
    request: Callable[[Profile], Request],
    staged: Callable[[SearchResult], None] | None = None,
) -> SearchResult:
    """One search of a collection as it is now; done again where that changes under it.

    Args:
        collection: The collection.
        describers: What describes the query for it.
        job: Threads and progress.
        parts: The query.
        request: How to search a collection of a profile.
        staged: Told what was found so far, before each stage but the first; from the first one on again where
            the search is done again.

    Raises:
        CollectionChangedError: It changes all the time.
        CamseekError: As ``Engine.search``.
    """

    def search(last: bool) -> SearchResult:
        searcher = _searcher(collection, describers, job, last)
        return searcher.search(parts, request(searcher.profile), staged)

    return _tried(search)


def searched_many(
    collection: Collection,
    describers: Describers,
    job: Job,
    queries: Iterator[Any],
    request: Callable[[Profile], Request],
) -> Generator[SearchResult | Skipped]:
    """Searches of a collection, some queries at a time; they are as people give them."""
    # Images, arrays and open files are read as they come: the next one may be the same object with other
    # pixels, and threads would read one that stands in several queries at once.
    # The pixels of every hit of a result would fill the memory where many are made together.
    most = 1 if request(describers.profile()).views else _TOGETHER
    while some := [_content_of(query) for query in islice(queries, most)]:
        yield from _tried(partial(_search_some, collection, describers, job, some, request))


def _search_some(
    collection: Collection,
    describers: Describers,
    job: Job,
    queries: "Sequence[Sequence[QueryPart] | Skipped]",
    request: Callable[[Profile], Request],
    last: bool,
) -> list[SearchResult | Skipped]:
    searcher = _searcher(collection, describers, job, last)
    return searcher.search_many(queries, request(searcher.profile))


def _searcher(collection: Collection, describers: Describers, job: Job, last: bool) -> Searcher:
    profile = describers.profile()
    looker = partial(describers.of, profile, single=True)
    return Searcher(collection, profile, describers.of(profile, single=False), looker, job, last)


def _tried(search: Callable[[bool], Result]) -> Result:
    """A search, done again where the collection changed under it; it is told whether this is the last try."""
    for _ in range(_TRIES - 1):
        with suppress(CollectionChangedError):
            return search(False)
    return search(True)


def _content_of(query: Any) -> "Sequence[QueryPart] | Skipped":
    """Parts whose pictures are names or contents, which threads may read; or why there are none."""
    parts: Sequence[QueryPart] = ()
    try:
        parts = query_parts(query, together=True)
        return [replace(part, picture=_to_read(part.picture)) for part in parts]
    except (PictureError, RegionError) as error:
        return _skipped(parts, error)
    except (TypeError, ValueError) as error:  # a caller's bug, which ends none of the other queries
        return _skipped(parts, NotAPictureError(str(error), remedy="leave it out"))


def _to_read(picture: Source) -> Source:
    """A picture's name or content.

    Raises:
        PictureError, TypeError, ValueError: As ``content_of``; the name is empty.
    """
    if isinstance(picture, str | os.PathLike):
        absolute(picture)
        return picture
    return picture if isinstance(picture, bytes) else content_of(picture)


def require_parts(plan: Plan, address: str, keeps: Container[str]) -> None:
    """Makes sure that a collection keeps points, and sketches, if a plan compares them.

    Raises:
        SettingsError: It does not.
    """
    for part, what, needed in (
        (POINTS, "points", plan.needs_features),
        (SKETCH, "sketches", plan.needs_sketches),
    ):
        if needed and part not in keeps:
            raise SettingsError(
                f"{address} keeps no {what} of its pictures to compare",
                remedy="have it keep them with: camseek enrich COLLECTION",
            )


def _skipped(parts: Sequence[QueryPart], error: CamseekError) -> Skipped:
    """Why a query cannot be used; by its first name, if it has one."""
    names = [part.picture for part in parts if isinstance(part.picture, str | os.PathLike)]
    return Skipped(absolute(names[0]) if names and os.fspath(names[0]) else b"", error.message, error.code)


def _views(database: StoredDatabase, look: ViewLook, records: Sequence[int]) -> tuple[View | str, ...]:
    """Each hit's picture with the heat map, or why it cannot be seen."""
    found = database.look(look, records)
    return tuple(item.reason if isinstance(item, Unreadable) else item for item in found)


def _boxes(
    database: StoredDatabase, look: BoxLook, candidates: Candidates, records: Sequence[int]
) -> "list[tuple[Box | None, str | None]]":
    """A box for each hit, or why there is none; what was seen on the way is not looked at again."""
    found: list[tuple[Box | None, str | None]] = []
    for record, answer in zip(records, database.look(look, records), strict=True):
        region = candidates.detail(record).region
        if isinstance(answer, Unreadable):
            found.append((None, answer.reason))
        else:
            found.append((region.box, None) if region else answer)
    return found


def _hit(
    outcome: Found,
    known: Chance | None,
    rank: int,
    found: tuple[int, StoredPicture],
    box: "tuple[Box | None, str | None]",
) -> Hit:
    candidates, (place, picture) = outcome.candidates, found
    score = float(candidates.scores[place])
    detail = candidates.judged(picture.record, score)
    matches = [item for item in detail.evidence if isinstance(item, MatchEvidence)]
    outlines = matches[-1].outlines if matches else ()
    return Hit(
        rank=rank,
        record=picture.record,
        paths_bytes=there_first(picture.paths),
        score=score,
        scored_by=detail.by or candidates.by,
        size=picture.size,
        box=outlines[0].box if outlines else box[0],
        box_reason=None if outlines else box[1],
        kept=detail.kept,
        evidence=detail.evidence,
        verdict=detail.verdict,
        outlines=outlines,
        stands_out=None if known is None else score >= known.score,
    )
