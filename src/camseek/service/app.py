"""The application: the API, the page, and what every request passes before."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from camseek.service.guard import Guard
from camseek.service.house import House, in_thread
from camseek.service.problems import TYPE, handle_problems
from camseek.service.routes import every_route
from camseek.service.schema import Problem
from camseek.version import VERSION

_DESCRIPTION = """Visual instance search: every picture of a collection that shows the same thing.

Errors are problem records (RFC 9457) whose `code` is a stable word. What changes something carries a token
(`Authorization: Bearer`), JSON, or the header `X-Camseek`.
"""
PAGE = "page"


def application(house: House) -> ASGIApp:
    """An ASGI application of a service; it begins and closes the service with itself."""
    api = fast_api(house)
    return Guard(api, house.settings, house.tokens)


def fast_api(house: House) -> FastAPI:
    """The same without its guard: for the OpenAPI text."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        house.begin()
        try:
            yield
        finally:
            await in_thread(house.rooms.others, house.close)

    app = FastAPI(
        title="camseek",
        version=VERSION,
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # it would load its page from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
        responses={"default": {"model": Problem, "content": {TYPE: {}}, "description": "What went wrong."}},
    )
    handle_problems(app, whole=house.settings.paths)
    app.include_router(every_route(house))

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(house.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    place = page_folder()
    if place.is_dir():
        app.mount("/", _Page(directory=place, html=True), name="page")
    return app


def page_folder() -> Path:
    """Where the page lies: it is built from ``web/``."""
    return Path(str(resources.files("camseek.service").joinpath(PAGE)))


class _Page(StaticFiles):
    """The page's own files: what has a hash in its name stays as it is."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        found = super().file_response(*args, **kwargs)
        hashed = "/assets/" in str(args[0])
        found.headers["cache-control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return found
