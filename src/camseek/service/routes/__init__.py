"""The addresses of the API, by what they are about."""

from fastapi import APIRouter

from camseek.service.house import House
from camseek.service.routes import collections, jobs, marks, search, status, surveys


def every_route(house: House) -> APIRouter:
    """All of them."""
    api = APIRouter(prefix="/api/v1")
    for part in (status, collections, search, marks, surveys, jobs):
        api.include_router(part.routes(house))
    return api
