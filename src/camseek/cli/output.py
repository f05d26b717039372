"""What the command line prints: data on stdout, everything else on stderr."""

import contextlib
import json
import os
import sys
from collections.abc import Generator
from typing import Any

import click

from camseek.errors import OutputError
from camseek.names import name_text, prints


class ReaderGoneError(Exception):
    """Whoever read our output has gone, as with ``| head``: nothing more to say, and nobody to say it to."""


def say(text: str) -> None:
    """Data on stdout: lines without what a terminal could take for commands, wherever they come from.

    Raises:
        ReaderGoneError: Nobody reads it any more.
        OutputError: It cannot be written: the disk is full, or there is no stdout.
    """
    _put_out(_lines(text) + "\n")


def pour(data: bytes) -> None:
    """Data for programs on stdout, UTF-8, as it is; on a terminal as ``say`` has it.

    Raises:
        ReaderGoneError, OutputError: As ``say``.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()  # pyright: ignore[reportUnnecessaryComparison]
    _put_out(_lines(data.decode("utf-8")) if terminal else data)


def _put_out(data: str | bytes) -> None:
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # the shell's >&-
        raise OutputError("cannot write the output: stdout is closed", remedy="leave it open")
    with to_stdout():
        click.echo(data, nl=False)


@contextlib.contextmanager
def to_stdout() -> Generator[None]:
    """Around what prints on stdout, where there is one, and does nothing else.

    Raises:
        ReaderGoneError, OutputError: As ``say``.
    """
    try:
        yield
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
    """A name on one line, to the byte."""
    return name_text(path)


def printable(text: str) -> str:
    """Text on one line that a terminal cannot mistake for commands."""
    return "".join(char if prints(char) else char.encode("unicode_escape").decode("ascii") for char in text)


def note(text: str) -> None:
    """A remark for people, on stderr; where it cannot be written, the work goes on all the same."""
    with contextlib.suppress(OSError):
        click.echo(_lines(text), err=True)


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def hold_standard_files() -> None:
    """Puts something in the place of standard files that are closed.

    The next file that is opened would get the place, and whatever a library prints: a collection, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]  # the shell's 2>&-
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # as long as the process


def speak_utf8() -> None:
    """Names of any language go out whole, whatever the terminal's locale says."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
