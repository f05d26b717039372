"""What the user says of hits."""

import io
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

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
        """Says of a picture that it shows what a query seeks, or not; null takes that back."""
        may_write(request)
        hosted = house.shelf[name]

        def keep() -> Marked:
            hosted.find(given.picture)
            house.state.mark(hosted.key, query_key(given.query), given.picture, given.mark)
            return Marked(mark=given.mark)

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
    for query, identity, mark, at in house.state.marks(hosted.key):
        try:
            picture = hosted.picture(hosted.find(identity))
        except ApiError:
            picture = None
        record = {"query": parts_of(query), "picture": picture, "id": identity, "mark": mark, "at": at}
        found.append(MarkRecord.model_validate(record))
    return found


def _table(marks: list[MarkRecord]) -> bytes:
    file = io.BytesIO()
    rows = CsvRows(file, ("query", "name", "id", "mark", "at"))
    for item in marks:
        parts = [
            (part.upload or part.picture or "")
            + (f" {','.join(map(str, part.region))}" if part.region else "")
            for part in item.query
        ]
        name = item.picture.name if item.picture else None
        rows.write(("\n".join(parts), name, item.id, item.mark, item.at))
    return file.getvalue()
