"""Work that goes on by itself."""

import asyncio
import os
from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from camseek.service.house import House, in_thread
from camseek.service.jobs import Job
from camseek.service.problems import ApiError
from camseek.service.routes.access import may_write
from camseek.service.schema import JobRecord, JobRequest
from camseek.service.streaming import EVENTS, event, headers
from camseek.service.upgrades import require_model

_LOOK = 0.25
_QUIET = 15.0


def routes(house: House) -> APIRouter:
    """Their addresses."""
    api = APIRouter(prefix="/jobs", tags=["jobs"])

    @api.get("")
    async def jobs(collection: str | None = None) -> list[JobRecord]:
        """What goes on, and what has ended; the latest first."""
        return [job.record() for job in house.jobs.all(collection)]

    @api.post("", status_code=202)
    async def ask(wanted: JobRequest, request: Request) -> JobRecord:
        """Has something done; the same that waits already is done once."""
        may_write(request)
        hosted = house.shelf[wanted.collection]
        if not house.jobs.knows(wanted.kind):
            raise ApiError(422, "invalid", f"this service does not do {wanted.kind}")

        def begin() -> Job:
            arguments = wanted.model_dump(exclude={"kind", "collection"}, exclude_defaults=True)
            if wanted.folder is not None and not (house.settings.paths and os.path.isabs(wanted.folder)):
                if not house.folders:
                    raise ApiError(
                        403,
                        "not_permitted",
                        "folders of the server are not named from here",
                        "start the service with --allow-folder, or upload pictures",
                    )
                arguments["folder"] = str(house.folders.place(wanted.folder))
            if wanted.model is not None:
                require_model(wanted.model)
            return house.jobs.ask(wanted.kind, hosted.name, arguments)

        return (await in_thread(house.rooms.others, begin)).record()

    @api.get("/{identity}")
    async def job(identity: str) -> JobRecord:
        """How far one is."""
        return house.jobs[identity].record()

    @api.delete("/{identity}")
    async def cancel(identity: str, request: Request) -> JobRecord:
        """Stops one after what is under way; what was done is kept."""
        may_write(request)
        found = house.jobs[identity]
        await in_thread(house.rooms.others, lambda: house.jobs.cancel(found))
        return found.record()

    @api.get("/{identity}/events", response_class=StreamingResponse)
    async def events(identity: str) -> StreamingResponse:
        """How far one is, as it goes on, until it has ended."""
        found = house.jobs[identity]
        return StreamingResponse(_told(found), media_type=EVENTS, headers=headers())

    return api


async def _told(job: Job) -> AsyncGenerator[bytes]:
    last, quiet = b"", 0.0
    while True:
        over = job.over
        told = event("job", job.record())
        if told != last:
            yield told
            last, quiet = told, 0.0
        elif quiet > _QUIET:
            yield b": still there\n\n"
            quiet = 0.0
        if over:
            return
        await asyncio.sleep(_LOOK)
        quiet += _LOOK
