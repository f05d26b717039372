"""Errors as problem records: the library's one tree, and what HTTP adds to it."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from camseek.errors import (
    CamseekError,
    CancelledError,
    ClusterError,
    CollectionBusyError,
    CollectionError,
    DecoderError,
    DeviceError,
    FeaturelessError,
    ManifestError,
    ModelError,
    PictureError,
    RegionError,
    ServerError,
    SettingsError,
    StorageError,
    TooLargeError,
    TooSlowError,
    UnreadableFileError,
)
from camseek.service.schema import Problem

# The first that fits: the tree's branches come before its trunk.
_STATUS: tuple[tuple[type[CamseekError], int], ...] = (
    (TooLargeError, 413),
    (TooSlowError, 413),
    (UnreadableFileError, 409),
    (PictureError, 422),
    (CollectionBusyError, 409),
    (ServerError, 503),
    (StorageError, 507),
    (CollectionError, 503),
    (ClusterError, 503),
    (ModelError, 503),
    (DecoderError, 503),
    (DeviceError, 503),
    (CancelledError, 409),
    (CamseekError, 422),
)
# What these say names no place of the server: queries have none, plans are refused by a collection's name.
_PLACELESS = (PictureError, RegionError, FeaturelessError, SettingsError, CancelledError, ManifestError)
TYPE = "application/problem+json"
OPENING = "opening"
"""The code of a collection's that is not open yet."""
_LOG = logging.getLogger("camseek.service")


class ApiError(Exception):
    """Something that only a service knows: nothing is there, or whoever asks may not.

    Attributes:
        problem: The record.
        headers: Of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, remedy: str | None = None, **headers: str
    ) -> None:
        super().__init__(detail)
        self.problem = problem(status, code, detail, remedy)
        self.headers = headers

    @classmethod
    def of(cls, record: Problem) -> "ApiError":
        """What a record says."""
        return cls(record.status, record.code, record.detail, record.remedy)


def problem(status: int, code: str, detail: str, remedy: str | None = None) -> Problem:
    """A problem record."""
    title = HTTPStatus(status).phrase
    return Problem(title=title, status=status, detail=detail, code=code, remedy=remedy)


def problem_of(error: CamseekError, *, whole: bool = False) -> Problem:
    """The record of one of the library's errors.

    Args:
        error: The error.
        whole: In its own words, for the owner of this machine. Others are told its kind where its words may
            name places of the server.
    """
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if whole or isinstance(error, _PLACELESS):
        return problem(status, error.code, error.message, error.remedy)
    kind = (type(error).__doc__ or "It failed.").splitlines()[0].rstrip(".")
    return problem(status, error.code, kind[0].lower() + kind[1:], "whoever runs the service can see more")


def unexpected() -> Problem:
    """A fault of ours: what it is stands in the log, and not before strangers."""
    return problem(500, "internal", "something failed that nobody foresaw", "the server's log says what")


def answer(found: Problem, headers: Any = None) -> JSONResponse:
    """A problem as an answer."""
    content = found.model_dump(exclude_none=True)
    return JSONResponse(content, found.status, headers=headers, media_type=TYPE)


def told(error: BaseException, *, whole: bool = False) -> Problem:
    """Whatever was raised, as a record; ``whole`` as ``problem_of`` has it."""
    if isinstance(error, ApiError):
        return error.problem
    if isinstance(error, CamseekError):
        return problem_of(error, whole=whole)
    return unexpected()


def handle_problems(app: FastAPI, *, whole: bool) -> None:
    """Has an application answer with problem records alone; ``whole`` as ``problem_of`` has it."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, ApiError):
            _LOG.warning("%s: %s", type(error).__name__, error)
        return answer(told(error, whole=whole), getattr(error, "headers", None))

    async def http(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        status, headers = error.status_code, error.headers
        methods = _methods(app, request.url.path) if status in (404, 405) else []
        if methods and request.method not in methods:
            # Where it knows another method, the page's files were looked through for it.
            status, headers = 405, {"allow": ", ".join(methods)}
        phrase = HTTPStatus(status).phrase
        detail = str(error.detail) if status == error.status_code else phrase
        return answer(problem(status, phrase.lower().replace(" ", "_"), detail), headers)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        first: dict[str, Any] = error.errors()[0]
        place = ".".join(str(part) for part in first.get("loc", ())[1:])[:200]
        return answer(problem(422, "invalid", f"{place or 'the request'} {_in_words(first)}"[:500]))

    app.add_exception_handler(ApiError, ours)
    app.add_exception_handler(CamseekError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, ours)


# What is wrong with a value, in words, by pydantic's names for it.
_WRONG = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "too_long": "has {actual_length} parts, and may have {max_length}",
    "too_short": "has {actual_length} parts, and needs {min_length}",
    "string_too_long": "may have {max_length} characters",
    "string_pattern_mismatch": "does not have the form that is expected",
    "literal_error": "is one of {expected}",
    "enum": "is one of {expected}",
    "int_parsing": "is no whole number",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
    "float_type": "is no number",
    "string_type": "is no text",
    "list_type": "is no list",
    "greater_than_equal": "is {ge} at least",
    "less_than_equal": "is {le} at most",
    "less_than": "is less than {lt}",
    "value_error": "cannot be: {error}",
}


def _in_words(fault: Mapping[str, Any]) -> str:
    form = _WRONG.get(str(fault.get("type")))
    if form is None:
        return f"cannot be: {fault.get('msg', 'it is invalid')}"
    return form.format(**fault.get("ctx", {})).replace("'", "")


def _methods(app: FastAPI, path: str) -> list[str]:
    """What an address answers to: each of its methods is a route of its own, which knows no other."""
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    like = (methods for place, methods in paths.items() if compile_path(place)[0].match(path))
    found = [paths[path]] if path in paths else list(like)
    return sorted({method.upper() for methods in found for method in methods})
