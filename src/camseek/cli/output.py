"""What the command line prints: data on stdout, everything else on stderr."""

import contextlib
import json
import os
import sys
from typing import Any

import click

from camseek.errors import OutputError
from camseek.names import path_text


class ReaderGoneError(Exception):
    """Whoever read our output has gone, as with ``| head``: nothing more to say, and nobody to say it to."""


def say(text: str) -> None:
    """A line of data on stdout.

    Raises:
        ReaderGoneError: Nobody reads it any more.
        OutputError: It cannot be written: the disk is full, say.
    """
    try:
        click.echo(text)
    except OSError as error:
        # What could not be written would be tried again when the process ends.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError from error
        raise OutputError(
            f"cannot write the output: {error.strerror}", remedy="send it where there is space"
        ) from error


def emit(data: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    say(json_line(data))


def json_line(data: dict[str, Any]) -> str:
    """One JSON object on one line, in ASCII."""
    return json.dumps(data, ensure_ascii=True, allow_nan=False)


def shown(path: bytes) -> str:
    """A name on one line: line breaks and control characters are written out."""
    return printable(path_text(path))


def printable(text: str) -> str:
    """Text on one line that a terminal cannot mistake for commands."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def note(text: str) -> None:
    """A remark for people, on stderr; where it cannot be written, the work goes on all the same."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def speak_utf8() -> None:
    """Names of any language go out whole, whatever the terminal's locale says."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
