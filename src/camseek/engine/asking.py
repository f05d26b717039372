"""How the engine searches a collection."""

import threading
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from typing import Any

from camseek.arguments import Region, several
from camseek.config import RegionReading
from camseek.engine.base import Opened
from camseek.extraction.sources import Source
from camseek.job import Progress
from camseek.results import SearchResult, Skipped
from camseek.searching import Plan, QueryPart, Request, searched, searched_many
from camseek.searching.query import query_parts, require_reading
from camseek.store import Profile

Planning = Plan | Callable[[Collection[str]], Plan] | None


class Asking(Opened):
    """Searches."""

    def search(
        self,
        query: Source | QueryPart | Sequence[Source | QueryPart],
        *,
        region: Region | str | None = None,
        together: bool = False,
        reading: RegionReading = "crop",
        top: int = 20,
        plan: Planning = None,
        boxes: bool = False,
        without_self: bool = False,
        views: bool = False,
        staged: Callable[[SearchResult], None] | None = None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> SearchResult:
        """Finds the pictures that show the same thing.

        Args:
            query: The query picture (a file's name, an open file, its content, a PIL image, an array), or a
                region of one; or a list of several that all show the same thing.
            region: The box of the thing in a single picture: pixels of the upright picture, half-open, or
                ``Shares`` of it, or either as text (``"10%,20%,50%,60%"``); None for all of it.
            together: Several pictures or regions are one query, the sum of their descriptors. Pictures of
                different things are queries of their own: ``search_many``.
            reading: How a region is read: ``crop`` encodes its pixels alone, ``cells`` crops the maps of the
                whole picture (the paper's reading).
            top: How many hits at most, 1 or more.
            plan: The stages; or what makes them of what the collection keeps of each picture; None for the
                collection's usual one (``Plan.usual``).
            boxes: Box where the network looks for the query's classes in each hit: a guide to the eye, no
                outline. Reads the hits' files.
            without_self: Leave the query's own pictures out, known by their content.
            views: Keep the pictures and heat maps, for a report.
            staged: Told what was found so far (without boxes and views), before each stage but the first: the
                first look is there long before the last verdict. Called in this thread. From the first stage
                on again where the collection changed under the search.
            progress: Told how many pictures the plan looks at.
            cancelled: Whoever sets it ends the search with ``CancelledError``.

        Raises:
            ValueError: Several pictures without ``together``, or something that cannot be.
            PictureError: The query is no picture that can be used.
            RegionError: The region is none, empty, reversed, too small or outside the picture.
            FeaturelessError: The network sees nothing in the query.
            SettingsError: The plan does not fit the model.
            CollectionError: The collection cannot be read, or changes all the time.
        """
        require_reading(reading)
        parts = query_parts(query, region, together=together)
        wanted = self._wanted(plan, reading, top, boxes, without_self, views)
        job = self._job.told(progress, cancelled)
        return searched(self.collection, self._describers, job, parts, wanted, staged)

    def search_many(
        self,
        queries: Iterable[Source | QueryPart | Sequence[Source | QueryPart]],
        *,
        reading: RegionReading = "crop",
        top: int = 20,
        plan: Planning = None,
        boxes: bool = False,
        without_self: bool = False,
        views: bool = False,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> Generator[SearchResult | Skipped]:
        """Searches with many queries, each on its own; arguments as ``search``.

        A list among the queries is one query: several pictures or regions of the same thing.

        Queries are read beside each other and compared with the collection some at a time, which takes much
        less than one by one.

        Yields:
            For each query, in order, what was found; or why not, where its picture cannot be used or it is
            none: one bad query ends none of the others.
        """
        require_reading(reading)
        wanted = self._wanted(plan, reading, top, boxes, without_self, views)
        job, waiting = self._job.told(progress, cancelled), iter(several(queries, "queries"))
        return searched_many(self.collection, self._describers, job, waiting, wanted)

    def _wanted(self, plan: Planning, *options: Any) -> Callable[[Profile], Request]:
        """What is asked of a collection of a profile; looked at now: the collection may be another later."""

        def request(profile: Profile) -> Request:
            chosen = Plan.usual if plan is None else plan
            return Request(chosen(profile.keeps) if callable(chosen) else chosen, *options)

        request(self._describers.profile())
        return request
