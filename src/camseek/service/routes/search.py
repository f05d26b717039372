"""Query pictures, searches, what is taken away of them."""

import asyncio
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from camseek.service import exports
from camseek.service.house import House, in_thread, one_search, until_gone
from camseek.service.problems import ApiError
from camseek.service.renders import Side
from camseek.service.routes.access import may_write
from camseek.service.routes.given import Which
from camseek.service.schema import (
    MOST_PARTS,
    Part,
    RemotePicture,
    SearchRecord,
    SearchRequest,
    SearchSettings,
    Upload,
)
from camseek.service.streaming import EVENTS, event, events_of, headers

_PRIVATE = {"cache-control": "private, max-age=3600"}
_FIELD_BYTES = 1 << 16
_PICTURE = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/SearchRequest"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["picture"],
                    "properties": {
                        "picture": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "region": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "x1,y1,x2,y2 of the picture in the same place; empty: all.",
                        },
                        "options": {
                            "type": "string",
                            "description": "SearchRequest without its query, as JSON.",
                        },
                    },
                }
            },
        },
    }
}
_SEARCHED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {EVENTS: {"schema": {"type": "string"}}},
        "description": "What was found; as events `stage`, `result` and `problem` where these are accepted.",
    }
}


def routes(house: House) -> APIRouter:
    """Their addresses."""
    api = APIRouter(tags=["search"])

    @api.post("/uploads", status_code=201, openapi_extra=_PICTURE)
    async def upload(request: Request) -> Upload:
        """Takes a query picture, held for an hour; the body is its file."""
        try:
            content = await request.body()
            found = await in_thread(house.rooms.drawing, lambda: house.uploads.add(content))
        except Exception:
            house.metrics.uploads.labels("refused").inc()
            raise
        house.metrics.uploads.labels("taken").inc()
        return found

    @api.post("/uploads/remote", status_code=201)
    async def upload_remote(wanted: RemotePicture) -> Upload:
        """The same of a picture on another server, of hosts that the owner allowed."""
        return await in_thread(
            house.rooms.fetching, lambda: house.uploads.add(house.remote.fetch(wanted.url))
        )

    @api.get("/uploads/remote", include_in_schema=False)
    async def remote() -> None:
        """It is no upload of this name."""
        raise HTTPException(405, headers={"allow": "POST"})

    @api.get("/uploads/{identity}")
    async def uploaded(identity: Which) -> Upload:
        """A query picture that is still there."""
        return await in_thread(house.rooms.drawing, lambda: house.uploads.told(identity))

    @api.get("/uploads/{identity}/view", response_class=Response)
    async def upload_view(identity: Which, side: Side = Side.LARGE) -> Response:
        """A query picture as a JPEG."""

        def draw() -> bytes:
            return house.renders.of_upload(identity, house.uploads.content(identity), side)

        content = await in_thread(house.rooms.drawing, draw)
        return Response(content, media_type="image/jpeg", headers=_PRIVATE)

    @api.post("/uploads/{identity}/keep")
    async def keep(identity: Which, request: Request) -> Upload:
        """Keeps a query picture on the server, so that a link to a search with it goes on to work."""
        may_write(request)
        return await in_thread(house.rooms.others, lambda: house.uploads.keep(identity))

    @api.post("/collections/{name}/search", openapi_extra=_REQUEST, responses=_SEARCHED)
    async def search(name: str, request: Request) -> SearchRecord:
        """Finds the pictures that show the same thing.

        As JSON, with pictures that are there; or as a form with the pictures themselves. Answers once at the
        end, or, where `text/event-stream` is accepted, after each stage.
        """
        hosted = house.shelf[name]
        wanted = await _wanted(house, request)
        if EVENTS in request.headers.get("accept", ""):

            def work(tell: Callable[[bytes], None], gone: threading.Event) -> None:
                with house.metrics.search(name):
                    found = house.searches.search(
                        hosted, wanted, lambda record: tell(event("stage", record)), gone
                    )
                tell(event("result", found))

            # FastAPI takes an answer that is made already for what it is.
            return StreamingResponse(  # pyright: ignore[reportReturnType]
                events_of(work, house.rooms, whole=house.settings.paths), media_type=EVENTS, headers=headers()
            )

        def once(gone: threading.Event) -> bytes:
            # Written out here: a thousand hits with their points would hold up everybody else.
            return house.searches.search(hosted, wanted, None, gone).model_dump_json().encode()

        found = await _alone(house, request, once)
        return Response(found, media_type="application/json")  # pyright: ignore[reportReturnType]

    @api.post("/collections/{name}/search/export", response_class=Response)
    async def export(
        name: str,
        wanted: SearchRequest,
        request: Request,
        format: Annotated[Literal["csv", "json", "annotations", "html"], Query()] = "csv",
    ) -> Response:
        """A search as a file: a table, JSON, annotations (W3C, IIIF), or a page that needs nothing else."""
        hosted = house.shelf[name]

        def made(gone: threading.Event) -> bytes:
            if format == "html":
                result = house.searches.result(hosted, wanted, None, gone, views=True)
                return exports.page(result, hosted.naming, hosted.name)
            found = house.searches.search(hosted, wanted, None, gone)
            if format == "annotations":
                base = f"{str(request.base_url).rstrip('/')}/api/v1/collections/{name}/pictures"
                return exports.annotations(found, base)
            return exports.table(found) if format == "csv" else exports.as_json(found)

        kind, suffix = _KINDS[format]
        content = await _alone(house, request, made)
        told = {"content-disposition": f'attachment; filename="{name}-hits.{suffix}"'}
        return Response(content, media_type=kind, headers=told)

    return api


_KINDS = {
    "csv": ("text/csv; charset=utf-8", "csv"),
    "json": ("application/json", "json"),
    "annotations": ('application/ld+json; profile="http://www.w3.org/ns/anno.jsonld"', "annotations.json"),
    "html": ("text/html; charset=utf-8", "html"),
}


async def _alone(house: House, request: Request, work: Callable[[threading.Event], Any]) -> Any:
    """A search that answers once; it is stopped where the client goes."""
    gone = threading.Event()
    watching = asyncio.ensure_future(until_gone(request.receive, gone))
    try:
        with house.metrics.search(str(request.path_params["name"])):
            async with one_search(house.rooms, gone):
                return await in_thread(house.rooms.searching, lambda: work(gone))
    finally:
        watching.cancel()


async def _wanted(house: House, request: Request) -> SearchRequest:
    """What is asked for, as JSON or as a form.

    Raises:
        RequestValidationError: It is no search.
        ApiError: It is neither of the two.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            return SearchRequest.model_validate_json(await request.body())
        if kind == "multipart/form-data":
            return await _of_form(house, request)
    except ValidationError as error:
        raise RequestValidationError(_placed(error)) from error
    raise ApiError(415, "unsupported_media_type", "a search is JSON or a form", "send application/json")


async def _of_form(house: House, request: Request) -> SearchRequest:
    async with request.form(
        max_files=MOST_PARTS, max_fields=MOST_PARTS + 1, max_part_size=_FIELD_BYTES
    ) as form:
        pictures = [item for item in form.getlist("picture") if isinstance(item, UploadFile)]
        regions = [item if isinstance(item, str) else "" for item in form.getlist("region")]
        options = form.get("options") or "{}"
        if not pictures or len(regions) > len(pictures) or not isinstance(options, str):
            raise ApiError(
                422, "invalid", "a form has pictures, a region for each at most, and options as text"
            )
        contents = [await item.read() for item in pictures]
    uploads = [
        await in_thread(house.rooms.drawing, lambda content=content: house.uploads.add(content))
        for content in contents
    ]
    parts = [
        Part.model_validate({"upload": item.id, "region": _region(text)})
        for item, text in zip(uploads, [*regions, *[""] * len(uploads)], strict=False)
    ]
    asked = SearchSettings.model_validate_json(options)
    return SearchRequest(query=parts, **asked.model_dump())


def _region(text: str) -> list[str] | None:
    return text.split(",") if text.strip() else None


def _placed(error: ValidationError) -> list[Any]:
    return [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
