"""Many queries at once, and groups of pictures that show the same thing."""

from collections.abc import Callable
from io import BytesIO
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from camseek.images.iiif import canvases
from camseek.service.house import House, in_thread
from camseek.service.jobs import INCOMING
from camseek.service.problems import ApiError
from camseek.service.routes.access import may_write
from camseek.service.routes.given import FILES, Which, files_of
from camseek.service.schema import BatchRequest, BatchRow, GroupRecord, Identity, JobRecord, ManifestRequest
from camseek.service.surveys import table_of

_USUAL: dict[str, Any] = {
    "top": BatchRequest.model_fields["top"].default,
    "without_self": True,
    "options": {},
}


def routes(house: House) -> APIRouter:
    """Their addresses."""
    api = APIRouter(tags=["surveys"])

    async def ask(name: str, arguments: Callable[[], dict[str, Any]]) -> JobRecord:
        job = await in_thread(house.rooms.others, lambda: house.jobs.ask("batch", name, arguments()))
        return job.record()

    @api.post("/collections/{name}/batch", status_code=202)
    async def batch(name: str, wanted: BatchRequest, request: Request) -> JobRecord:
        """Searches with many queries, each on its own: a job, whose table grows."""
        may_write(request)
        hosted = house.shelf[name]
        queries = [
            {"name": item.name, "parts": [part.model_dump(mode="json") for part in item.query]}
            for item in wanted.queries
        ]
        arguments = {**wanted.model_dump(mode="json"), "queries": queries}
        uploads = {part.upload for item in wanted.queries for part in item.query if part.upload}

        def with_uploads() -> dict[str, Any]:
            # An upload is held for an hour, and a job may wait for longer.
            contents = {name: BytesIO(house.uploads.content(name)) for name in sorted(uploads)}
            return {**arguments, INCOMING: house.works.receive(contents)} if contents else arguments

        return await ask(hosted.name, with_uploads)

    @api.post("/collections/{name}/batch/files", status_code=202, openapi_extra=FILES)
    async def batch_of_files(name: str, request: Request) -> JobRecord:
        """The same with uploaded pictures (`files`), each of which is a query."""
        may_write(request)
        hosted = house.shelf[name]
        async with files_of(request) as (names, streams):
            queries = [{"name": item} for item in names]
            return await ask(
                hosted.name, lambda: {**_USUAL, "queries": queries, INCOMING: house.works.receive(streams)}
            )

    @api.post("/collections/{name}/manifest", status_code=202)
    async def manifest(name: str, wanted: ManifestRequest, request: Request) -> JobRecord:
        """Takes the pictures of a IIIF manifest (Presentation 2 or 3) into the collection, or as queries.

        They are fetched by the service, from hosts that its owner allowed.
        """
        may_write(request)
        hosted = house.shelf[name]

        def begin() -> JobRecord:
            found = canvases(house.remote.fetch(wanted.url))
            for item in found:
                house.remote.check(item.url)
            if wanted.use == "batch":
                queries = [{"name": item.name, "url": item.url} for item in found]
                asked = {**_USUAL, "queries": queries}
                return house.jobs.ask("batch", hosted.name, asked).record()
            names = [f"{item.name.replace('/', ' ')}.jpg" for item in found]
            arguments = {
                "names": names,
                "urls": [item.url for item in found],
                INCOMING: house.works.receive({}),
            }
            return house.jobs.ask("add", hosted.name, arguments).record()

        return await in_thread(house.rooms.fetching, begin)

    @api.get(
        "/jobs/{identity}/table", responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
    )
    async def table(identity: str, format: Literal["json", "csv"] = "json") -> list[BatchRow]:
        """What the queries of a batch have found so far."""
        job = house.jobs[identity]
        if job.kind != "batch":
            raise ApiError(404, "no_table", "this job has no table")
        rows = await in_thread(house.rooms.others, lambda: house.surveys.table(job.id))
        if format == "json":
            return rows
        told = {"content-disposition": f'attachment; filename="{job.collection}-batch.csv"'}
        return Response(table_of(rows), media_type="text/csv; charset=utf-8", headers=told)  # pyright: ignore[reportReturnType]

    @api.get("/collections/{name}/groups")
    async def groups(
        name: str,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[
            Identity | None, Query(description="The id of the last one of the page before.")
        ] = None,
    ) -> list[GroupRecord]:
        """Groups of pictures that show the same thing, the largest first, as the last job found them."""

        def look() -> list[GroupRecord]:
            hosted = house.shelf[name]
            job = house.jobs.latest("groups", hosted.name)
            return house.surveys.groups(hosted, job, after, limit) if job else []

        return await in_thread(house.rooms.others, look)

    @api.get("/collections/{name}/groups/{identity}")
    async def group(name: str, identity: Which) -> GroupRecord:
        """All of a group: it is known by the least of its pictures' ids."""

        def look() -> GroupRecord:
            hosted = house.shelf[name]
            job = house.jobs.latest("groups", hosted.name)
            found = house.surveys.group(hosted, job, identity) if job else None
            if found is None:
                raise ApiError(404, "no_group", "there is no such group")
            return found

        return await in_thread(house.rooms.others, look)

    return api
