"""Ground truth in camseek's own form: which pictures of a folder show the same thing as a query.

A ground-truth file is JSON. ``database`` is a folder, relative to the file, and every picture in it is
searched. Each of ``queries`` has

- ``id``: its name, of its own;
- ``image``: the query picture, relative to the file;
- ``region``: ``[x1, y1, x2, y2]``, pixels of the upright picture, half-open, or null for the whole picture;
- ``good`` and ``ok``: files of the database, relative to it, that show the same thing (the positives);
- ``junk``: files of the database that count neither way;
- ``boxes``, where known: for a positive's name where the thing is in it, ``[x1, y1, x2, y2]``;
- ``absent``, where known: how many of the things in the query picture are in no picture of the database.

``database`` and ``image`` may be absolute, too. Missing ``region``, ``ok`` and ``junk`` are none; further
keys are notes, and not read.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from camseek.datasets.reading import (
    LONGEST_NAME,
    MOST_JSON_BYTES,
    RefusalError,
    parse_json,
    read_file,
    refused,
)
from camseek.datasets.truth import GroundTruth, TruthQuery, name_within
from camseek.errors import GroundTruthError
from camseek.names import path_text, shown
from camseek.results import Box

_FILE_KEYS = frozenset({"database", "queries"})
_QUERY_KEYS = frozenset({"id", "image", "good"})
# So many offending names are told.
_TOLD_NAMES = 3
_REMEDY = "correct the file; docs/datasets.md describes its form"


def read_ground_truth(path: str | bytes | os.PathLike[str]) -> GroundTruth:
    """Reads a ground-truth file and makes sure that it can be used.

    Args:
        path: The file.

    Raises:
        GroundTruthError: It cannot be read, is no JSON, or says what cannot be: the message names the query
            and the key.
    """
    name = os.path.abspath(os.fsencode(path))
    data = _load(name)
    folder = os.path.dirname(name)
    top = _Place(name, "")
    _check_keys(data, top, _FILE_KEYS)
    database = _any_path(data["database"], folder, top.key("database"))
    if not os.path.isdir(database):
        raise top.key("database").error(f"there is no folder {path_text(database)}")
    entries = data["queries"]
    if not isinstance(entries, list) or not entries:
        raise top.key("queries").error("it is not a list of one query or more")
    queries: dict[str, TruthQuery] = {}
    for number, entry in enumerate(cast(list[Any], entries), 1):
        query = _query(entry, number, name, folder=folder, database=database)
        if query.id in queries:
            raise _Place(name, f"query {query.id!r}").key("id").error("an earlier query has the same id")
        queries[query.id] = query
    return GroundTruth(name, database, tuple(queries.values()))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a file something stands, for messages."""

    file: bytes
    query: str
    name: str = ""

    def key(self, name: str) -> "_Place":
        return _Place(self.file, self.query, name)

    def error(self, what: str) -> GroundTruthError:
        where = [path_text(self.file), self.query, self.name]
        return GroundTruthError(f"{', '.join(filter(None, where))}: {what}", remedy=_REMEDY)


def _load(path: bytes) -> dict[str, Any]:
    place = _Place(path, "")
    content = read_file(path, "name a ground-truth file", MOST_JSON_BYTES)

    def object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # The last of two equal keys would win in silence.
        if twice := _repeated(key for key, _ in pairs):
            raise place.error(f"the key {shown(twice[0])} stands twice in one object")
        return dict(pairs)

    try:
        data = parse_json(content, object_once)
    except RefusalError as error:
        raise refused(path_text(path), error, _REMEDY) from error
    return _object(data, place)


def _query(entry: Any, number: int, file: bytes, *, folder: bytes, database: bytes) -> TruthQuery:
    """Reads and checks one query."""
    place = _Place(file, f"query number {number}")
    data = _object(entry, place)
    if not isinstance(data.get("id"), str) or not data["id"]:
        raise place.key("id").error("it is missing, empty or no text")
    if len(data["id"]) > LONGEST_NAME:
        raise place.key("id").error(f"it has {len(data['id']):,} characters")
    place = _Place(file, f"query {data['id']!r}")
    _check_keys(data, place, _QUERY_KEYS)
    image = _any_path(data["image"], folder, place.key("image"))
    if not os.path.isfile(image):
        raise place.key("image").error(f"there is no picture {path_text(image)}")
    names = {key: _names(data.get(key, []), place.key(key)) for key in ("good", "ok", "junk")}
    _check_once(names, place)
    query = TruthQuery(
        id=data["id"],
        image=image,
        region=None if data.get("region") is None else _box(data["region"], place.key("region")),
        good=frozenset(names["good"]),
        ok=frozenset(names["ok"]),
        junk=frozenset(names["junk"]),
        boxes=_boxes(data.get("boxes", {}), place.key("boxes")),
        absent=_count(data["absent"], place.key("absent")) if "absent" in data else None,
        own=name_within(image, database),
    )
    for key, listed in names.items():
        missing = [item for item in listed if not os.path.isfile(os.path.join(database, item))]
        if missing:
            raise place.key(key).error(f"not in the database folder: {_told(missing)}")
    if others := [item for item in query.boxes if item not in query.positives]:
        raise place.key("boxes").error(f"neither good nor ok: {_told(others)}")
    return query


def _object(value: Any, place: _Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise place.error("it is not a JSON object")
    return cast(dict[str, Any], value)


def _check_keys(data: dict[str, Any], place: _Place, required: frozenset[str]) -> None:
    # Further keys are notes of whoever made the file.
    if missing := sorted(required - set(data)):
        raise place.error(f"missing: {', '.join(missing)}")


def _check_once(names: dict[str, list[bytes]], place: _Place) -> None:
    """A picture is good, ok or junk, and said to be so once."""
    seen: dict[bytes, str] = {}
    for key, listed in names.items():
        for item in listed:
            if item in seen:
                also = "twice" if seen[item] == key else f"and in {seen[item]}"
                raise place.key(key).error(f"{path_text(item)} is in {key} {also}")
            seen[item] = key


def _plain_path(value: Any, place: _Place) -> bytes:
    """A path as bytes, without detours."""
    if not isinstance(value, str) or not value:
        raise place.error(f"a path must be a text that is not empty, not {shown(value)}")
    if len(value) > LONGEST_NAME:
        raise place.error(f"a path has {len(value):,} characters: {shown(value)}")
    if "\0" in value:
        raise place.error("a path holds a zero character")
    try:
        return os.path.normpath(os.fsencode(value))
    except UnicodeEncodeError as error:
        raise place.error(f"{shown(value)} cannot be a path") from error


def _path(value: Any, place: _Place) -> bytes:
    """The name of a picture in the database folder, relative to it."""
    name = _plain_path(value, place)
    if os.path.isabs(name):
        raise place.error(f"{shown(value)} is absolute, but names are relative to the database")
    if name.split(os.fsencode(os.sep), 1)[0] == b"..":
        raise place.error(f"{shown(value)} leaves its folder")
    return name


def _any_path(value: Any, folder: bytes, place: _Place) -> bytes:
    """A path relative to the file's folder, or absolute."""
    return os.path.normpath(os.path.join(folder, _plain_path(value, place)))


def _names(value: Any, place: _Place) -> list[bytes]:
    if not isinstance(value, list):
        raise place.error("it is not a list of file names")
    return [_path(item, place) for item in cast(list[Any], value)]


def _box(value: Any, place: _Place) -> Box:
    numbers = cast(list[Any], value) if isinstance(value, list) else []
    # True and False are ints to Python.
    if len(numbers) != 4 or any(type(number) is not int for number in numbers):
        raise place.error("a box is four whole numbers, [x1, y1, x2, y2]")
    x1, y1, x2, y2 = cast(list[int], numbers)
    if x1 < 0 or y1 < 0:
        raise place.error(f"the box {numbers} begins outside the picture")
    if x1 >= x2 or y1 >= y2:
        raise place.error(f"the box {numbers} is empty or reversed")
    return x1, y1, x2, y2


def _boxes(value: Any, place: _Place) -> dict[bytes, Box]:
    if not isinstance(value, dict):
        raise place.error("it is not an object of names and boxes")
    found: dict[bytes, Box] = {}
    for key, box in cast(dict[str, Any], value).items():
        name = _path(key, place)
        if name in found:
            raise place.error(f"{path_text(name)} has two boxes")
        found[name] = _box(box, place.key(f"boxes, {key!r}"))
    return found


def _count(value: Any, place: _Place) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise place.error("it is neither a whole number of 0 or more nor null")
    return value


def _repeated(items: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [item for item in items if item in seen or seen.add(item)]


def _told(names: list[bytes]) -> str:
    more = f" and {len(names) - _TOLD_NAMES} more" if len(names) > _TOLD_NAMES else ""
    return ", ".join(path_text(name) for name in names[:_TOLD_NAMES]) + more
