"""What requests bring: pictures by their ids, and files."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, BinaryIO

from fastapi import Path, Request
from starlette.datastructures import UploadFile

from camseek.service.problems import ApiError
from camseek.service.schema import Identity

_MOST_FILES = 1000
Which = Annotated[Identity, Path()]
"""A picture's id in an address."""
FILES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}
"""The body of a request that brings files, for the OpenAPI text."""


@asynccontextmanager
async def files_of(request: Request) -> AsyncGenerator[tuple[list[str], dict[str, BinaryIO]]]:
    """The names of a form's files, and their streams by place; open inside alone.

    Raises:
        ApiError: There is none.
    """
    async with request.form(max_files=_MOST_FILES, max_fields=0) as form:
        files = [item for item in form.getlist("files") if isinstance(item, UploadFile)]
        if not files:
            raise ApiError(400, "empty", "no file came", "send some in the field `files`")
        yield [_base_name(item.filename) for item in files], _numbered([item.file for item in files])


def _base_name(name: str | None) -> str:
    """A file's own name, without the folders that some browsers send."""
    last = (name or "").replace("\\", "/").rpartition("/")[2].replace("\0", "").strip()
    return last[-200:] or "picture"


def _numbered(files: Sequence[BinaryIO]) -> dict[str, BinaryIO]:
    """Files by their places, which no name that a client sends can be."""
    return {str(number): file for number, file in enumerate(files)}
