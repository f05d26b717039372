"""Collections and their pictures."""

import asyncio
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from camseek.errors import CamseekError
from camseek.names import is_given, is_remote
from camseek.service.house import House, in_thread
from camseek.service.jobs import INCOMING, Job
from camseek.service.problems import ApiError, told
from camseek.service.renders import Side
from camseek.service.routes.access import may_write
from camseek.service.routes.given import FILES, Which, files_of
from camseek.service.schema import (
    MOST_HITS,
    MOST_PARTS,
    CollectionLimits,
    CollectionRecord,
    Folder,
    JobRecord,
    Picture,
    PicturePage,
    Removed,
    SkippedFile,
    TableLinks,
    TableRecord,
    UnusableCollection,
    ValueRecord,
)
from camseek.service.shelf import THUMBNAIL, Hosted, Listed, Wanted
from camseek.service.tables import read_table
from camseek.service.upgrades import beside

_FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}
_FOR_AN_HOUR = {"cache-control": "private, max-age=3600"}
_FOLDER_DEPTH = 2
# A removal that takes longer is told as a job; whether it is done is looked at so often, seconds.
_PATIENCE = 2.0
_LOOK = 0.02


def routes(house: House) -> APIRouter:
    """Their addresses."""
    api = APIRouter(prefix="/collections", tags=["collections"])

    def record(hosted: Hosted, scopes: tuple[str, ...]) -> CollectionRecord:
        info, naming = hosted.info(), hosted.naming
        house.metrics.pictures.labels(hosted.name).set(info.pictures)
        job = house.jobs.running(hosted.name)
        return CollectionRecord(
            name=hosted.name,
            pictures=info.pictures,
            files=info.files,
            skipped=len(info.skipped),
            featureless=info.featureless,
            created=info.created,
            model=info.profile.model,
            model_checksum=info.profile.model_checksum,
            layer=info.profile.settings.layer,
            beside=beside(info),
            keeps=list(info.profile.keeps),
            columns=list(house.tables[hosted.key].columns),
            classifier=bool(hosted.engine.model.class_names),
            writable="write" in scopes,
            roots=[Folder(name=naming.root(path), files=root.files) for path, root in info.roots.items()],
            job=job.record() if job else None,
            held=house.jobs.held(hosted.name),
            limits=CollectionLimits(
                upload_bytes=house.settings.upload_bytes, top=MOST_HITS, parts=MOST_PARTS
            ),
        )

    @api.get("")
    async def collections(request: Request) -> list[CollectionRecord | UnusableCollection]:
        """Every collection; of one that cannot be used just now, why."""
        scopes = request.state.scopes

        def one(hosted: Hosted) -> CollectionRecord | UnusableCollection:
            if (problem := hosted.problem) is None:
                try:
                    return record(hosted, scopes)
                except (ApiError, CamseekError) as error:  # it went in this moment
                    problem = told(error, whole=house.settings.paths)
            return UnusableCollection(name=hosted.name, problem=problem)

        return await in_thread(house.rooms.others, lambda: [one(hosted) for hosted in house.shelf])

    @api.get("/{name}")
    async def collection(name: str, request: Request) -> CollectionRecord:
        """One of them."""
        return await in_thread(house.rooms.others, lambda: record(house.shelf[name], request.state.scopes))

    @api.get("/{name}/pictures")
    async def pictures(
        name: str,
        after: Annotated[
            str | None,
            Query(pattern=r"^[A-Za-z0-9_-]{1,32768}$", description="`next` of a page, of the same list."),
        ] = None,
        offset: Annotated[int, Query(ge=0, lt=10**12)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        order: Literal["added", "newest", "name", "date", "oldest"] = "added",
        folder: Annotated[str, Query(max_length=4096)] = "",
        text: Annotated[str, Query(max_length=200)] = "",
        column: Annotated[str, Query(max_length=100, description="Of the user's own table.")] = "",
        value: Annotated[str, Query(max_length=2000, description="What it says; empty for nothing.")] = "",
    ) -> PicturePage:
        """The pictures, some at a time: as they came, the newest first, by name, or by their files' dates."""
        wanted = Wanted(order=order, folder=folder, text=text, column=column, value=value)

        def page() -> PicturePage:
            hosted = house.shelf[name]
            found = hosted.listed(wanted)
            start = offset if after is None else _behind(found, after, order)
            shown = found[start : start + limit]
            some = hosted.stored(shown)
            return PicturePage(
                total=len(found),
                offset=start,
                next=_cursor(shown[-1]) if start + limit < len(found) else None,
                pictures=[hosted.picture(item) for item in some],
            )

        return await in_thread(house.rooms.others, page)

    @api.post("/{name}/pictures", status_code=202, openapi_extra=FILES)
    async def add(name: str, request: Request) -> JobRecord:
        """Brings in pictures that are uploaded; the collection keeps them. The same picture is there once."""
        may_write(request)
        hosted = house.shelf[name]
        async with files_of(request) as (names, streams):

            def ask() -> Job:
                arguments = {"names": names, INCOMING: house.works.receive(streams)}
                return house.jobs.ask("add", hosted.name, arguments)

            job = await in_thread(house.rooms.others, ask)
        return job.record()

    @api.get("/{name}/pictures/{identity}")
    async def picture(name: str, identity: Which) -> Picture:
        """One picture, and whether a file of it is there."""

        def look() -> Picture:
            hosted = house.shelf[name]
            stored = hosted.find(identity)
            there = any(
                is_given(path) or is_remote(path) or Path(path.decode(errors="surrogateescape")).is_file()
                for path in stored.paths
            )
            return hosted.picture(stored, present=there)

        return await in_thread(house.rooms.others, look)

    @api.delete("/{name}/pictures/{identity}", responses={202: {"model": Removed}})
    async def remove(name: str, identity: Which, request: Request, response: Response) -> Removed:
        """Takes a picture, by all its names, out of the collection; no file is touched.

        202 with a job where the collection is written to just now: an update gives way to it.
        """
        may_write(request)

        def ask() -> Job:
            hosted = house.shelf[name]
            hosted.find(identity)
            return house.jobs.ask("remove", hosted.name, {"pictures": [identity]})

        job = await in_thread(house.rooms.others, ask)
        until = time.monotonic() + _PATIENCE
        while not job.over and time.monotonic() < until:
            await asyncio.sleep(_LOOK)
        if job.problem is not None:
            raise ApiError.of(job.problem)
        response.status_code = 200 if job.over else 202
        report = job.report or {}
        return Removed(
            removed=report.get("removed", 0),
            coming_back=report.get("coming_back", 0),
            job=None if job.over else job.record(),
        )

    @api.get("/{name}/pictures/{identity}/thumbnail", response_class=FileResponse)
    async def thumbnail(name: str, identity: Which) -> Response:
        """A small JPEG, kept also where the file has gone."""
        return await shown(name, identity, THUMBNAIL)

    @api.get("/{name}/pictures/{identity}/view", response_class=FileResponse)
    async def view(name: str, identity: Which, side: Side = Side.LARGE) -> Response:
        """A JPEG of a longer side, upright, sRGB, without anything that the file says beside its pixels."""
        return await shown(name, identity, side)

    @api.get("/{name}/pictures/{identity}/heat", response_class=Response)
    async def heat(
        name: str,
        identity: Which,
        classes: Annotated[str, Query(pattern=r"^([0-9]{1,9}(,[0-9]{1,9}){0,99})?$")] = "",
    ) -> Response:
        """Where the network looks for some classes, or for what it sees most: a PNG to lay over the view."""

        def draw() -> bytes:
            hosted = house.shelf[name]
            return house.renders.heat(
                hosted, hosted.find(identity), [int(item) for item in classes.split(",") if item]
            )

        content = await in_thread(house.rooms.drawing, draw)
        return Response(content, media_type="image/png", headers=_FOR_AN_HOUR)

    async def shown(name: str, identity: str, side: int) -> Response:
        hosted = house.shelf[name]
        stored = await in_thread(house.rooms.others, lambda: hosted.find(identity))
        place = house.renders.made(stored, side)
        if place is None:  # only what is to be decoded waits for a decoder
            place = await in_thread(house.rooms.drawing, lambda: house.renders.place(hosted, stored, side))
        return FileResponse(place, media_type="image/jpeg", headers=_FOR_EVER)

    @api.get("/{name}/folders")
    async def folders(name: str) -> list[Folder]:
        """Indexed folders and those in them, with how many pictures lie in each."""

        def count() -> list[Folder]:
            counts: dict[str, int] = {}
            for item in house.shelf[name].listed(Wanted()):
                parts = item.name.split("/")[:-1]
                for depth in range(1, min(len(parts), _FOLDER_DEPTH) + 1):
                    place = "/".join(parts[:depth])
                    counts[place] = counts.get(place, 0) + 1
            return [Folder(name=place, files=files) for place, files in sorted(counts.items())]

        return await in_thread(house.rooms.others, count)

    @api.get("/{name}/skipped")
    async def skipped(name: str) -> list[SkippedFile]:
        """Files that could not be used, and why."""

        def look() -> list[SkippedFile]:
            hosted = house.shelf[name]
            naming = hosted.naming
            return [
                SkippedFile(name=naming.shown(item.path), reason=item.reason, code=item.code)
                for item in hosted.info().skipped
            ]

        return await in_thread(house.rooms.others, look)

    @api.get("/{name}/table")
    async def table(name: str) -> TableRecord:
        """The user's own table: its columns are told beside each picture, and searched as text."""

        def look() -> TableRecord:
            return house.shelf[name].table()

        return await in_thread(house.rooms.others, look)

    @api.put("/{name}/table", openapi_extra=_TABLE)
    async def put_table(name: str, request: Request) -> TableRecord:
        """Takes a table (CSV, UTF-8) in the place of the one that is there; a column has the files' names."""
        may_write(request)
        hosted = house.shelf[name]
        content = await request.body()

        def put() -> TableRecord:
            table = read_table(content)
            matched = hosted.told_of(table)
            if hosted.info().pictures and not matched.matched:
                raise ApiError(
                    422,
                    "table",
                    "no row of the table is of a picture that is here",
                    "give it a column of the files' names, called file",
                )
            house.tables.put(hosted.key, table, content)
            return matched

        return await in_thread(house.rooms.others, put)

    @api.put("/{name}/table/links")
    async def put_links(name: str, given: TableLinks, request: Request) -> TableRecord:
        """Has values of columns lead to addresses: of those that are named, and of no others."""
        may_write(request)
        hosted = house.shelf[name]
        await in_thread(house.rooms.others, lambda: house.tables.link(hosted.key, given.links))
        return await in_thread(house.rooms.others, hosted.table)

    @api.get("/{name}/table/values")
    async def values(
        name: str,
        column: Annotated[str, Query(max_length=100)],
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> list[ValueRecord]:
        """What a column says, and of how many pictures; the most frequent first."""

        def look() -> list[ValueRecord]:
            found = house.shelf[name].values(column)[:limit]
            return [ValueRecord(value=value, pictures=pictures) for value, pictures in found]

        return await in_thread(house.rooms.others, look)

    @api.delete("/{name}/table", status_code=204)
    async def drop_table(name: str, request: Request) -> None:
        """Forgets the table."""
        may_write(request)
        hosted = house.shelf[name]
        await in_thread(house.rooms.others, lambda: house.tables.drop(hosted.key))

    return api


def _cursor(item: Listed) -> str:
    """Where a page ended: by what is there, so that what comes and goes before it moves nothing."""
    told = json.dumps([item.record, item.name, item.modified], ensure_ascii=False)
    return urlsafe_b64encode(told.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def _behind(found: Sequence[Listed], after: str, order: str) -> int:
    """The place behind a cursor, whose picture may have left.

    Raises:
        ApiError: It is none.
    """
    try:
        told = urlsafe_b64decode(after + "=" * (-len(after) % 4)).decode("utf-8", "surrogatepass")
        record, name, modified = json.loads(told)
        key = Listed(int(record), str(name), int(modified)).key(order)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ApiError(422, "invalid", "after is no next of a page") from error
    return bisect_right(found, key, key=lambda item: item.key(order))


_TABLE = {"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}
