"""From a request to a search and back: parts, plan, hits as they are told."""

import io
import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from camseek.config import NEAR_COPY
from camseek.errors import CamseekError
from camseek.matching.change import change
from camseek.results import Hit, SearchResult, Skipped, last_shown
from camseek.searching import Plan, QueryPart
from camseek.searching.searcher import require_parts
from camseek.searching.wishes import Wishes
from camseek.service.problems import ApiError
from camseek.service.renders import Renders, Side
from camseek.service.schema import (
    MOST_HITS,
    ClassScoreRecord,
    EvidenceRecord,
    HitRecord,
    MissedRecord,
    OutlineRecord,
    Part,
    Picture,
    QueryRecord,
    SearchOptions,
    SearchRecord,
    SearchRequest,
    StageRecord,
    VerdictRecord,
)
from camseek.service.shelf import THUMBNAIL, Hosted
from camseek.service.state import Said, State
from camseek.service.uploads import Uploads
from camseek.store import StoredPicture

_SHOWN_PLACES = 6
_NOTHING = Said(None, None)
# Pictures of a query are held whole.
_MOST_BYTES = 1 << 28


def query_key(parts: Sequence[Part]) -> str:
    """What a query is known by, whatever the order of its parts."""
    told = sorted(part.model_dump_json(exclude_none=True) for part in parts)
    return f"[{','.join(told)}]"


def parts_of(key: str) -> list[Part]:
    """The parts of a query's key."""
    return [Part.model_validate(item) for item in json.loads(key)]


def wishes_of(options: SearchOptions) -> Wishes:
    """What a request's options ask for."""
    given: dict[str, Any] = {**options.model_dump(), "attend": tuple(options.attend)}
    return Wishes(**given)


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """Searches for a service.

    Attributes:
        uploads: Where query pictures are.
        state: What was said of hits.
        renders: Small pictures of those that are compared.
    """

    uploads: Uploads
    state: State
    renders: Renders

    def search(
        self,
        hosted: Hosted,
        request: SearchRequest,
        staged: Callable[[SearchRecord], None] | None = None,
        cancelled: threading.Event | None = None,
        given: Sequence[QueryPart] | None = None,
    ) -> SearchRecord:
        """Searches, and tells what was found so far before each later stage.

        Raises:
            ApiError: A picture of the query is not there.
            CamseekError: As ``Engine.search``.
        """

        def told(result: SearchResult) -> None:
            if staged is not None:
                staged(self.record(hosted, request, result, final=False))

        between = told if staged is not None else None
        result = self.result(hosted, request, between, cancelled, given=given)
        return self.record(hosted, request, result, final=True)

    def result(
        self,
        hosted: Hosted,
        request: SearchRequest,
        staged: Callable[[SearchResult], None] | None = None,
        cancelled: threading.Event | None = None,
        *,
        views: bool = False,
        given: Sequence[QueryPart] | None = None,
    ) -> SearchResult:
        """The same as the engine tells it, with views for a report where they are asked for.

        ``given`` are the pictures of the query's parts, where they are at hand.

        Raises:
            ApiError, CamseekError: As ``search``.
        """
        engine = hosted.engine
        wishes = wishes_of(request.options)

        def plan(keeps: Collection[str]) -> Plan:
            planned = wishes.plan(keeps, request.top)
            require_parts(planned, f"the collection {hosted.name}", keeps)  # by its name, not its folder
            return planned

        parts = list(given) if given is not None else self._parts(hosted, request.query)
        return engine.search(
            parts,
            together=True,
            top=request.top,
            plan=plan,
            without_self=request.without_self,
            views=views,
            staged=staged,
            cancelled=cancelled,
        )

    def _parts(self, hosted: Hosted, query: Sequence[Part]) -> list[QueryPart]:
        """Several regions of a picture read it once."""
        read: dict[str, bytes] = {}
        for part in query:
            name = cast(str, part.upload or part.picture)
            if name not in read:
                read[name] = self.content(hosted, part)
            if sum(map(len, read.values())) > _MOST_BYTES:
                raise ApiError(413, "too_large", "the query's pictures are too large together")
        return [QueryPart(read[cast(str, part.upload or part.picture)], part.region) for part in query]

    def part(self, hosted: Hosted, part: Part) -> QueryPart:
        """A part of a query with its picture's content.

        Raises:
            ApiError: It is not there.
        """
        return QueryPart(self.content(hosted, part), part.region)

    def content(self, hosted: Hosted, part: Part) -> bytes:
        """The content of a part's picture.

        Raises:
            ApiError: It is not there.
        """
        if part.upload is not None:
            return self.uploads.content(part.upload)
        stored = hosted.find(cast(str, part.picture))
        if stored.bytes > _MOST_BYTES:
            raise ApiError(413, "too_large", "the picture's file is too large to search with")
        content = hosted.files().content(stored)
        if isinstance(content, Skipped):
            raise ApiError(410, content.code, f"the picture cannot be read any more: {content.reason}")
        return content

    def record(
        self, hosted: Hosted, request: SearchRequest, result: SearchResult, *, final: bool
    ) -> SearchRecord:
        """What was found as it is told."""
        marks = self.state.marks_of(hosted.key, query_key(request.query))
        records = [hit.record for hit in result.hits]
        stored = hosted.engine.collection.catalogue.pictures(records)
        pictures = {record: hosted.picture(found) for record, found in stored.items()}
        hits = [hit for hit in result.hits if hit.record in pictures]  # others have left since
        under = _copies(hosted, hits) if final and request.fold else {}
        changes = self._changes(hosted, request, result, stored) if final and request.changes else {}
        told = [
            _hit(
                hit,
                pictures[hit.record],
                [pictures[copy] for copy in under.get(hit.record, ())],
                marks.get(pictures[hit.record].id, _NOTHING),
                points=request.points and final,
                change=changes.get(hit.record),
            )
            for hit in hits
            if hit.record not in {copy for copies in under.values() for copy in copies}
        ]
        verified = any(hit.verdict for hit in hits)
        shown = last_shown(result.hits)
        weak = next((hit.rank for hit in hits if hit.stands_out is False), None)
        return SearchRecord(
            collection=hosted.name,
            model=result.settings["model"],
            final=final,
            seconds=round(result.seconds, 4),
            searched=result.searched,
            pictures=hosted.info().pictures,
            classes=[ClassScoreRecord.model_validate(item.to_json()) for item in result.query.classes],
            query=[
                QueryRecord(
                    id=cast(str, part.upload or part.picture),
                    upload=part.upload is not None,
                    region=seen.region,
                    size=seen.size,
                )
                for part, seen in zip(request.query, result.query.pictures, strict=True)
            ],
            hits=told,
            stages=[StageRecord.model_validate(item.to_json()) for item in result.stages],
            present=sum(bool(hit.verdict and hit.verdict.same) for hit in hits),
            not_here=final and verified and shown == 0,
            weak_from=shown + 1 if verified and shown is not None and shown < len(result.hits) else weak,
            missed=_missed(hosted, marks, {hit.picture.id for hit in told}) if final else [],
        )

    def _changes(
        self,
        hosted: Hosted,
        request: SearchRequest,
        result: SearchResult,
        stored: Mapping[int, StoredPicture],
    ) -> dict[int, float]:
        """How much each hit with an outline was changed, by its record; of small pictures, which are kept."""
        looks: dict[int, tuple[UInt8[np.ndarray, "h w 3"], Float64[np.ndarray, "4 2"]]] = {}
        found: dict[int, float] = {}
        for hit in result.hits:
            if not hit.outlines or hit.record not in stored:
                continue
            outline = hit.outlines[0]
            try:
                if outline.query_picture not in looks:
                    looks[outline.query_picture] = self._look(hosted, request, result, outline.query_picture)
                place = self.renders.place(hosted, stored[hit.record], THUMBNAIL)
                pixels = _pixels(place.read_bytes())
            except (ApiError, CamseekError, OSError):
                continue  # its file has gone, or no small picture can be kept of it
            corners = np.array(outline.corners, np.float64) * _scale(pixels, stored[hit.record].size)
            found[hit.record] = round(change(*looks[outline.query_picture], pixels, corners), 4)
        return found

    def _look(
        self, hosted: Hosted, request: SearchRequest, result: SearchResult, number: int
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Float64[np.ndarray, "4 2"]]:
        """A picture of the query as it is compared, and the corners in it of what was searched for."""
        part, seen = request.query[number], result.query.pictures[number]
        if part.upload is not None:
            content = self.renders.of_upload(part.upload, self.uploads.content(part.upload), Side.SMALL)
        else:
            content = self.renders.place(
                hosted, hosted.find(cast(str, part.picture)), Side.SMALL
            ).read_bytes()
        pixels = _pixels(content)
        x1, y1, x2, y2 = seen.region or (0, 0, *seen.size)
        corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float64)
        return pixels, corners * _scale(pixels, seen.size)


def _pixels(content: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Of a JPEG file that was made here."""
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        return np.asarray(image.convert("RGB"))


def _scale(pixels: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> Float64[np.ndarray, "2"]:
    """From places in a picture to those in a smaller one of it."""
    height, width = pixels.shape[:2]
    return np.array([width, height], np.float64) / size


def _missed(hosted: Hosted, marks: Mapping[str, Said], hits: Collection[str]) -> list[MissedRecord]:
    """Pictures that are no hits, and are marked as right; those that have left are left out."""
    found: list[MissedRecord] = []
    for picture, said in marks.items():
        if said.mark == "right" and picture not in hits:
            with suppress(ApiError):
                stored = hosted.find(picture)
                found.append(MissedRecord(picture=hosted.picture(stored), region=said.region))
    return found[:MOST_HITS]


def _hit(
    hit: Hit, picture: Picture, copies: list[Picture], said: Said, *, points: bool, change: float | None
) -> HitRecord:
    return HitRecord(
        rank=hit.rank,
        picture=picture,
        score=round(hit.score, _SHOWN_PLACES),
        scored_by=hit.scored_by,
        verdict=VerdictRecord.model_validate(hit.verdict.to_json()) if hit.verdict else None,
        outlines=[OutlineRecord.model_validate(item.to_json(points=points)) for item in hit.outlines],
        evidence=[EvidenceRecord.model_validate(_without_outlines(item.to_json())) for item in hit.evidence],
        kept=hit.kept,
        stands_out=hit.stands_out,
        copies=copies,
        mark=cast(Any, said.mark),
        marked_region=said.region,
        change=change,
    )


def _without_outlines(evidence: dict[str, Any]) -> dict[str, Any]:
    """They stand beside it."""
    return {key: value for key, value in evidence.items() if key != "outlines"}


def _copies(hosted: Hosted, hits: Sequence[Hit]) -> dict[int, list[int]]:
    """Near copies among hits, by the record of the first of them.

    A copy has the same verdict: what is decided of one by its points must not hide under another.
    """
    vectors = hosted.engine.collection.vectors
    there = vectors.has(np.array([hit.record for hit in hits], np.int64))
    seen = [hit for hit, has in zip(hits, there.tolist(), strict=True) if has]
    if len(seen) < 2:
        return {}
    try:
        found = vectors.of(np.array([hit.record for hit in seen], np.int64))
    except KeyError:  # one has just left
        return {}
    near = (found @ found.T) >= NEAR_COPY
    under: dict[int, list[int]] = {}
    taken: set[int] = set()
    for place, hit in enumerate(seen):
        if place in taken:
            continue
        for other in np.flatnonzero(near[place]).tolist():
            if other > place and other not in taken and _same(hit, seen[other]):
                under.setdefault(hit.record, []).append(seen[other].record)
                taken.add(other)
    return under


def _same(one: Hit, other: Hit) -> bool:
    return (one.verdict and one.verdict.word) == (other.verdict and other.verdict.word)
