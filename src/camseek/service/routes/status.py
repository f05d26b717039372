"""Health, who asks, classes."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from camseek.service.guard import COOKIE
from camseek.service.house import House, in_thread
from camseek.service.routes.access import may_write
from camseek.service.schema import (
    ClassRecord,
    CollectionHealth,
    Health,
    ModelRecord,
    ServerFolder,
    Session,
    Token,
)
from camseek.service.upgrades import models
from camseek.version import VERSION


def routes(house: House) -> APIRouter:
    """Their addresses."""
    api = APIRouter(tags=["service"])

    @api.get("/health", responses={503: {"model": Health}})
    async def health(request: Request, response: Response) -> Health:
        """Whether every collection can be used; 503 where one cannot. Whoever may read is told which."""

        def look() -> list[CollectionHealth]:
            return [
                CollectionHealth(name=hosted.name, status="ok")
                if problem is None
                else CollectionHealth(
                    name=hosted.name, status="failed", reason=problem.detail, code=problem.code
                )
                for hosted in house.shelf
                for problem in (hosted.problem,)
            ]

        found = await in_thread(house.rooms.others, look)
        well = all(item.status == "ok" for item in found)
        response.status_code = 200 if well else 503
        return Health(
            status="ok" if well else "degraded",
            version=VERSION,
            collections=found if "read" in request.state.scopes else [],
        )

    @api.get("/session")
    async def session(request: Request) -> Session:
        """What whoever asks may do."""
        scopes = list(request.state.scopes)
        return Session(
            scopes=scopes,
            needs_token=house.tokens is not None,
            folders="write" in scopes and bool(house.folders),
            hosts=list(house.settings.remotes) if "read" in scopes else [],
        )

    @api.get("/folders")
    async def folders(request: Request, name: Annotated[str, Query(max_length=4096)] = "") -> ServerFolder:
        """Folders of the machine that may be added: those in one, or the ones to begin with."""
        may_write(request)
        found = await in_thread(house.rooms.others, lambda: house.folders.within(name))
        return ServerFolder(name=name, folders=found)

    @api.post("/session")
    async def begin_session(token: Token, request: Request, response: Response) -> Session:
        """Takes a token and keeps it as a cookie, which no script can read, for pictures and events."""
        if house.tokens is None:
            return Session(scopes=list(request.state.scopes), needs_token=False)
        scopes = house.tokens.scopes(token.token)
        if not scopes:
            raise house.tokens.refusal()
        response.set_cookie(
            COOKIE,
            token.token,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            max_age=30 * 86400,
        )
        return Session(
            scopes=[item for item in scopes if item == "read" or not house.settings.read_only],
            needs_token=True,
        )

    @api.delete("/session", status_code=204)
    async def end_session(response: Response) -> None:
        """Forgets the token."""
        response.delete_cookie(COOKIE)

    @api.get("/models")
    async def networks() -> list[ModelRecord]:
        """Networks that are here: a collection can go over to another of them (the job `upgrade`)."""
        return await in_thread(house.rooms.others, models)

    @api.get("/classes")
    async def classes(
        collection: str,
        text: Annotated[str, Query(max_length=100)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    ) -> list[ClassRecord]:
        """Classes that the collection's model knows, in whose names a text stands."""
        wanted = text.casefold()
        names = await in_thread(house.rooms.others, lambda: house.shelf[collection].engine.model.class_names)
        found = (ClassRecord(id=number, name=name) for number, name in enumerate(names))
        return [item for item in found if wanted in item.name.casefold()][:limit]

    return api
