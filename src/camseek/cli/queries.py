"""What a search is asked: pictures, folders of them, and the regions that follow them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from camseek.arguments import Region
    from camseek.results import Skipped
    from camseek.searching import QueryPart

# No name on a disk holds a NUL.
_REGION = "\0region:"


class QueryCommand(click.Command):
    """Keeps the place of each ``--region`` among the pictures: it belongs to the one before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments, regions among them."""
        return super().parse_args(ctx, list(_placed(args)))


def _placed(args: Sequence[str]) -> Iterable[str]:
    """The arguments, regions as arguments among the pictures."""
    waiting = iter(args)
    for arg in waiting:
        if arg == "--":
            yield arg
            yield from waiting
        elif arg == "--region" and (value := next(waiting, None)) is not None:
            yield _REGION + value
        elif arg.startswith("--region="):
            yield _REGION + arg.partition("=")[2]
        else:
            yield arg


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries of a command, in the order given.

    Attributes:
        queries: The parts of each, or why there are none.
        several: Whether they are told as several, also where it turned out to be one: a folder was given.
    """

    queries: "tuple[tuple[QueryPart, ...] | Skipped, ...]"
    several: bool


def read_queries(given: Sequence[str], *, together: bool) -> Asked:
    """The queries that the arguments name.

    A folder stands for the pictures in it. A region belongs to the picture before it, or to the only one;
    several of one picture are queries of their own, as several pictures are.

    Args:
        given: Names, and regions in their places.
        together: All of them are one query.

    Raises:
        click.UsageError: No picture, a region that is none, or one before several pictures.
        SourceError: The only folder cannot be read, or holds no picture; or one of those together.
    """
    from camseek.errors import SourceError
    from camseek.names import path_text
    from camseek.results import Skipped
    from camseek.searching import QueryPart

    pairs = _named(given)
    found: list[QueryPart | Skipped] = []
    for name, regions in pairs:
        pictures = _in_folder(name, alone=together or len(pairs) == 1) if os.path.isdir(name) else [name]
        for picture in pictures:
            if isinstance(picture, Skipped):
                found.append(picture)
            else:
                found.extend(QueryPart(picture, region) for region in regions or [None])
    if together:
        for item in found:
            if isinstance(item, Skipped):
                raise SourceError(
                    f"{path_text(item.path)}: {item.reason}", remedy="take it away, or leave out --together"
                )
        return Asked((tuple(part for part in found if isinstance(part, QueryPart)),), several=False)
    queries = tuple((part,) if isinstance(part, QueryPart) else part for part in found)
    return Asked(queries, several=len(queries) > 1 or any(os.path.isdir(name) for name, _ in pairs))


def named(given: Sequence[str]) -> list[str]:
    """The names among the arguments."""
    return [item for item in given if not item.startswith(_REGION)]


def _named(given: Sequence[str]) -> "list[tuple[str, list[Region | None]]]":
    """Each name with its regions."""
    named: list[tuple[str, list[Region | None]]] = []
    early: list[Region | None] = []
    for item in given:
        if not item.startswith(_REGION):
            named.append((item, []))
        elif named:
            named[-1][1].append(_region(item))
        else:
            early.append(_region(item))
    if not named:
        _wrong("no picture is given")
    if early and len(named) > 1:
        _wrong("a --region stands before several pictures; put it behind the one that it belongs to")
    named[0][1][:0] = early
    return named


def _region(item: str) -> "Region | None":
    from camseek.arguments import read_region
    from camseek.errors import RegionError

    try:
        return read_region(item.removeprefix(_REGION))
    except RegionError as error:
        _wrong(f"--region: {error.message}; {error.remedy}")


def _wrong(message: str) -> Any:
    raise click.UsageError(message, click.get_current_context(silent=True))


def _in_folder(name: str, *, alone: bool) -> "list[str | Skipped]":
    """The pictures in a folder and those beneath it, as an index run finds them; or why there are none."""
    from camseek.errors import SourceError
    from camseek.images.walk import walk
    from camseek.names import absolute
    from camseek.results import Skipped

    root = absolute(name)
    try:
        seen = walk(root)
        if not (seen.files or seen.unknown or seen.skipped):
            raise SourceError(f"{name} holds no pictures", remedy="name a picture, or a folder of pictures")
    except SourceError as error:
        if alone:
            raise
        return [Skipped(root, error.message, error.code)]
    unusable = [Skipped(*item) for item in (*seen.unknown, *seen.skipped)]
    return [*(os.fsdecode(file.path) for file in seen.files), *unusable]
