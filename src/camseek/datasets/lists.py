"""Ground truth of positions in lists of names: ``imlist``, ``qimlist`` and ``gnd``.

The revisited Oxford and Paris and INSTRE come in this form, as a pickle, a MAT-file or JSON. ``imlist`` and
``qimlist`` name the database's and the queries' pictures; each entry of ``gnd`` belongs to one query and has
its box ``bbx`` and lists of positions in ``imlist``, from 0 (in a MAT-file from 1).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from camseek.datasets.faults import Fault, Report
from camseek.datasets.folders import SHOW
from camseek.datasets.matlab import read_matlab
from camseek.datasets.reading import (
    LONGEST_NAME,
    RefusalError,
    check_depth,
    parse_json,
    read_file,
    refused,
)
from camseek.datasets.unpickling import read_pickle
from camseek.errors import GroundTruthError
from camseek.names import path_text, shown


@dataclass(frozen=True, slots=True)
class Entry:
    """One query.

    Attributes:
        name: Its picture's name, as it stands in the file.
        box: Its sides x1, y1, x2, y2.
        places: By key, the pictures' positions in the list of names, from 0.
    """

    name: str
    box: tuple[float, ...]
    places: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Lists:
    """What such a file holds.

    Attributes:
        path: The file.
        images: The names of the database's pictures.
        entries: The queries.
    """

    path: bytes
    images: tuple[str, ...]
    entries: tuple[Entry, ...]


def read_lists(path: bytes, keys: Sequence[str], report: Report) -> Lists:
    """Reads such a file.

    Args:
        path: Its name; the ending tells its form: ``.pkl``, ``.mat`` or ``.json``.
        keys: The lists of positions that each query has.
        report: Told of queries that are of no use.

    Raises:
        GroundTruthError: It cannot be read, or is something else.
    """
    content, first = _load(path)
    if not isinstance(content, dict):
        raise _error(path, "it is no dictionary")
    data = cast(dict[str, Any], content)
    if missing := [key for key in ("imlist", "qimlist", "gnd") if key not in data]:
        raise _error(path, f"missing: {', '.join(missing)}")
    images = _texts(data["imlist"], path, "imlist")
    queries = _texts(data["qimlist"], path, "qimlist")
    gnd = data["gnd"]
    if not isinstance(gnd, list) or len(cast(list[Any], gnd)) != len(queries):
        raise _error(path, f"gnd is no list of {len(queries)} entries, one for each of qimlist")
    entries: list[Entry] = []
    for number, (name, entry) in enumerate(zip(queries, cast(list[Any], gnd), strict=True)):
        try:
            entries.append(_entry(name, entry, keys, first=first, images=len(images)))
        except (ValueError, RefusalError) as error:
            report(Fault(path, f"gnd, entry {number} ({name}): {error}", "ground_truth"))
    return Lists(path, images, tuple(entries))


def _load(path: bytes) -> tuple[Any, int]:
    """The file's values, and from where its positions count."""
    content = read_file(path, SHOW)
    match os.path.splitext(path)[1].lower():
        case b".pkl" | b".pickle":
            return read_pickle(content, path), 0
        case b".mat":
            return read_matlab(content, path), 1
        case _:
            try:
                return parse_json(content), 0
            except RefusalError as error:
                raise refused(path_text(path), error) from error


def _texts(value: Any, path: bytes, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise _error(path, f"{key} is no list of names")
    names: dict[str, None] = {}
    for item in cast(list[Any], value):
        name = _name(item)
        if name is None:
            raise _error(path, f"{key} holds {shown(item)}, which is no picture's name")
        if name in names:
            raise _error(path, f"{key} names {shown(name)} twice")
        names[name] = None
    return tuple(names)


def _name(item: Any) -> str | None:
    """A picture's name, or None where it can be none, or would lead out of its folder."""
    if not isinstance(item, bytes | str) or not 0 < len(item) <= LONGEST_NAME:
        return None
    text = item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return None
    return None if "\0" in text or os.path.isabs(text) or ".." in text.split("/") else text


def _entry(name: str, entry: Any, keys: Sequence[str], *, first: int, images: int) -> Entry:
    """Checks one query.

    Raises:
        ValueError: It is of no use.
    """
    if not isinstance(entry, dict):
        raise ValueError("it is no dictionary")
    data = cast(dict[str, Any], entry)
    if missing := [key for key in ("bbx", *keys) if key not in data]:
        raise ValueError(f"missing: {', '.join(missing)}")
    box = _flat(data["bbx"])
    if len(box) != 4:
        raise ValueError(f"bbx holds {len(box)} numbers, not x1, y1, x2, y2")
    places: dict[str, tuple[int, ...]] = {}
    seen: set[int] = set()
    for key in keys:
        numbers = _flat(data[key])
        if any(number != int(number) or not first <= number < images + first for number in numbers):
            raise ValueError(f"{key} holds a position that is none of imlist, which has {images} names")
        places[key] = tuple(int(number) - first for number in numbers)
        if len(set(places[key])) != len(places[key]) or seen & set(places[key]):
            raise ValueError(f"{key} holds a position that stands twice, in it or in another list")
        seen |= set(places[key])
    return Entry(name, tuple(box), places)


def _flat(value: Any, depth: int = 0) -> list[float]:
    """Numbers out of lists in lists."""
    if isinstance(value, list):
        check_depth(depth)
        return [number for item in cast(list[Any], value) for number in _flat(item, depth + 1)]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError(f"{shown(value)} is no number")
    return [float(value)]


def _error(path: bytes, what: str) -> GroundTruthError:
    return GroundTruthError(f"{path_text(path)}: {what}", remedy="get the official file again")
