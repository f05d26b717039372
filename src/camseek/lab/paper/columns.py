"""What the experiments run on: the paper's data sets, and ground truths of one's own."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from camseek.config import Resize
from camseek.datasets import GroundTruth, open_truth, read_dataset
from camseek.errors import GroundTruthError
from camseek.lab.measuring.database import Rows, read_rows
from camseek.lab.paper.numbers import TITLES, PaperSet

PAPER_SIZE = Resize.parse("smaller:720")
OWN_SIZE = Resize.parse("640")

# Whose pictures the paper fits the whitening of each set on (section 4.1).
_OTHER: dict[PaperSet, PaperSet] = {
    "oxford5k": "paris6k",
    "paris6k": "oxford5k",
    "oxford105k": "paris6k",
    "paris106k": "oxford5k",
}
# The larger sets may lie in the smaller one's folder, with the distractors beside.
_SMALLER: dict[PaperSet, PaperSet] = {"oxford105k": "oxford5k", "paris106k": "paris6k"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A data set.

    Attributes:
        name: Unique among the columns.
        title: For people.
        paper: The paper's data set that it is, or None.
        truth: Its ground truth, trapezoidal average precision; None where it is not there.
        size: At which its pictures are read.
        missing: Why it is not there; None where it was not asked for.
    """

    name: str
    title: str
    paper: PaperSet | None = None
    truth: GroundTruth | None = None
    size: Resize = OWN_SIZE
    missing: str | None = None


def paper_columns(data: str | None, *, size: Resize | None = None) -> list[Column]:
    """The paper's four data sets, as far as they are in a folder; None for the two small ones, unasked.

    Args:
        data: Holds ``oxford5k/``, ``paris6k/``, and perhaps ``oxford105k/`` and ``paris106k/``.
        size: At which pictures are read; None for the paper's smaller side of 720.
    """
    if data is None:
        return [Column(name=name, title=TITLES[name], paper=name) for name in ("oxford5k", "paris6k")]
    return [_paper_column(name, Path(data), size or PAPER_SIZE) for name in TITLES]


def _paper_column(name: PaperSet, data: Path, size: Resize) -> Column:
    places = [data / name, *([data / _SMALLER[name]] if name in _SMALLER else [])]
    column = Column(name=name, title=TITLES[name], paper=name, size=size)
    place = next((place for place in places if place.is_dir()), places[0])
    try:
        return replace(column, truth=replace(read_dataset(name, place), ap_form="trapezoid"))
    except GroundTruthError as error:
        return replace(column, missing=f"{error.message}; {error.remedy}")


def own_columns(truths: Sequence[str], *, size: Resize | None = None) -> list[Column]:
    """Ground truths of one's own, each with a name of its own.

    Raises:
        GroundTruthError: One cannot be read.
    """
    columns: list[Column] = []
    seen: list[str] = []
    for text in truths:
        name = _column_name(text)
        count = seen.count(name)
        seen.append(name)
        columns.append(
            Column(
                name=f"own {len(columns) + 1}",
                title=f"{name} {count + 1}" if count else name,
                truth=replace(open_truth(text), ap_form="trapezoid"),
                size=size or OWN_SIZE,
            )
        )
    return columns


def _column_name(text: str) -> str:
    """``paintings`` of ``paintings/ground_truth.json``, ``paintings regions`` of ``..._regions.json``."""
    if not os.path.exists(text):
        return text.partition("=")[0]
    path = Path(os.path.abspath(text))
    rest = path.stem.removeprefix("ground_truth").strip("_ ").replace("_", " ")
    return path.parent.name + (f" {rest}" if rest else "")


def fitted_on(column: Column, columns: Sequence[Column]) -> list[Column]:
    """The sets whose pictures a set's whitening is fitted on: held out of it.

    Of the paper's sets the other one. Of one's own all others that share no picture with it (neither of its
    database nor of its queries), each database once.
    """
    if column.paper is not None:
        wanted = _OTHER[column.paper]
        return [item for item in columns if item.paper == wanted and item.truth is not None]
    own = set(picture_paths(column)) | {query.image for query in _truth(column).queries}
    found: dict[frozenset[bytes], Column] = {}
    for item in columns:
        if item.paper is None and item.truth is not None and item is not column:
            paths = frozenset(picture_paths(item))
            if not own & paths:
                found.setdefault(paths, item)
    return list(found.values())


def picture_paths(column: Column) -> list[bytes]:
    """The pictures of a set's database, without distractors."""
    truth = replace(_truth(column), distractors=())
    return read_rows(truth, truth.queries, None).expected


def theme(column: Column, columns: Sequence[Column]) -> Column:
    """The set whose queries make a list of predefined classes: Paris6k for the paper's sets, or itself."""
    if column.paper is None:
        return column
    paris = (item for item in columns if item.paper == "paris6k" and item.truth is not None)
    return next(paris, column)


def rows_of(column: Column) -> Rows:
    """Every picture that is searched."""
    truth = _truth(column)
    return read_rows(truth, truth.queries, None)


def fingerprint_truth(column: Column) -> str:
    """SHA-256 of what is asked of which files: equal, the same measurement."""
    truth = _truth(column)
    told = [
        [
            query.id,
            _file(query.image),
            query.region,
            *(sorted(map(os.fsdecode, names)) for names in (query.good, query.ok, query.junk)),
            os.fsdecode(query.own or b""),
        ]
        for query in truth.queries
    ]
    head = [truth.ap_form, truth.query_in_database, list(truth.setups), truth.n_s]
    return _sha256([head, told, _files(rows_of(column).paths)])


def fingerprint_pictures(column: Column) -> str:
    """SHA-256 of a set's pictures: their names, sizes and times."""
    return _sha256(_files(picture_paths(column)))


def fingerprint_queries(column: Column) -> str:
    """SHA-256 of a set's queries: pictures and regions."""
    return _sha256([[_file(query.image), query.region] for query in _truth(column).queries])


def _files(paths: Sequence[bytes]) -> list[list[str | int]]:
    return [_file(path) for path in sorted(paths)]


def _file(path: bytes) -> list[str | int]:
    try:
        found = os.stat(path)
    except OSError:
        return [os.fsdecode(path)]
    return [os.fsdecode(path), found.st_size, found.st_mtime_ns]


def _sha256(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode("utf-8", "surrogateescape")).hexdigest()


def _truth(column: Column) -> GroundTruth:
    if column.truth is None:
        raise ValueError(f"{column.title} is not there")
    return column.truth
