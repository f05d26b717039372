"""When a photograph was taken, as its EXIF data says."""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import BinaryIO

from camseek.images.directories import first_directory

# Of a file so many parts are looked at, and EXIF data of so many bytes at most.
_MOST_PARTS = 500
_MOST_BYTES = 1 << 20
_EXIF = 0x8769
_TAGS = (0x9003, 0x9004)
"""When it was taken; when it was scanned."""


def taken(file: BinaryIO) -> str | None:
    """When a picture was taken: EXIF's ``DateTimeOriginal``, or else ``DateTimeDigitized``.

    Of JPEG, TIFF, PNG and WebP files. Nothing else of the data is read, and by no native code.

    Args:
        file: A picture's file.

    Returns:
        Local time without a zone, ISO 8601 (``2019-05-04T17:03:00``); None where none is said.
    """
    for exif in _found(file):
        data = io.BytesIO(exif) if isinstance(exif, bytes) else exif
        first = first_directory(data)
        inner = first.at(first.whole(_EXIF)) if first is not None else None
        for tag in _TAGS:
            with suppress(ValueError):
                text = "" if inner is None else inner.text(tag)
                return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()
    return None


def _found(file: BinaryIO) -> Iterator[bytes | BinaryIO]:
    """EXIF data in a file, each from its TIFF header on."""
    file.seek(0)
    head = file.read(12)
    if head.startswith(b"\xff\xd8"):
        parts = _jpeg(file)
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        parts = _chunks(file, 8, ">I4s", b"eXIf")
    elif head.startswith(b"RIFF") and head[8:] == b"WEBP":
        parts = _chunks(file, 12, "<4sI", b"EXIF")
    else:
        yield file  # a TIFF file, or nothing
        return
    for part in parts:
        yield part.removeprefix(b"Exif\0\0")


def _jpeg(file: BinaryIO) -> Iterator[bytes]:
    at = 2
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):
            return
        length = int.from_bytes(head[2:], "big")
        if head[1] == 0xE1:
            body = file.read(max(length - 2, 0))
            if body.startswith(b"Exif\0\0"):
                yield body
        at += 2 + max(length, 2)


def _chunks(file: BinaryIO, at: int, form: str, wanted: bytes) -> Iterator[bytes]:
    """Bodies of a name in a PNG file (a checksum is behind each), or in a RIFF file (of even length)."""
    png = form[0] == ">"
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        one, other = struct.unpack(form, head)
        length, name = (one, other) if png else (other, one)
        if name == wanted and length <= _MOST_BYTES:
            yield file.read(length)
        at += 8 + length + (4 if png else length % 2)
