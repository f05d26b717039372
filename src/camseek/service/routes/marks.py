"""What the user says of hits."""

import io
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from camseek.errors import RegionError
from camseek.rows import CsvRows
from camseek.service.house import House, in_thread
from camseek.service.problems import ApiError
from camseek.service.routes.access import may_write
from camseek.service.schema import Marked, MarkRecord, MarkRequest
from camseek.service.searches import parts_of, query_key
from camseek.service.shelf import Hosted


def routes(house: House) -> APIRouter:
    """Their addresses."""
    api = APIRouter(prefix="/collections/{name}/marks", tags=["marks"])

    @api.put("")
    async def mark(name: str, given: MarkRequest, request: Request) -> Marked:
        """Says of a picture that it shows what a query seeks, and where, or not; null takes that back."""
        may_write(request)
        hosted = house.shelf[name]

        def keep() -> Marked:
            stored, region = hosted.find(given.picture), given.region
            if region is not None:
                x1, y1, x2, y2 = region
                width, height = stored.size
                if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
                    raise RegionError(
                        f"the region {x1},{y1},{x2},{y2} is not in the picture of {width} by {height} pixels",
                        remedy="draw it on the picture",
                    )
            house.state.mark(hosted.key, query_key(given.query), given.picture, given.mark, region)
            return Marked(mark=given.mark, region=region)

        return await in_thread(house.rooms.others, keep)

    @api.get("", responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}})
    async def marks(name: str, format: Literal["json", "csv"] = "json") -> list[MarkRecord]:
        """All that was said, the latest first."""
        hosted = house.shelf[name]
        found = await in_thread(house.rooms.others, lambda: _marks(house, hosted))
        if format == "json":
            return found
        told = {"content-disposition": f'attachment; filename="{name}-marks.csv"'}
        return Response(_table(found), media_type="text/csv; charset=utf-8", headers=told)  # pyright: ignore[reportReturnType]

    return api


def _marks(house: House, hosted: Hosted) -> list[MarkRecord]:
    found: list[MarkRecord] = []
    for query, identity, at, said in house.state.marks(hosted.key):
        try:
            picture = hosted.picture(hosted.find(identity))
        except ApiError:
            picture = None
        told = {"query": parts_of(query), "picture": picture, "id": identity, "at": at}
        found.append(MarkRecord.model_validate({**told, "mark": said.mark, "region": said.region}))
    return found


def _table(marks: list[MarkRecord]) -> bytes:
    file = io.BytesIO()
    rows = CsvRows(file, ("query", "name", "id", "mark", "at", "x1", "y1", "x2", "y2"))
    for item in marks:
        parts = [
            (part.upload or part.picture or "")
            + (f" {','.join(map(str, part.region))}" if part.region else "")
            for part in item.query
        ]
        name = item.picture.name if item.picture else None
        rows.write(("\n".join(parts), name, item.id, item.mark, item.at, *(item.region or (None,) * 4)))
    return file.getvalue()
