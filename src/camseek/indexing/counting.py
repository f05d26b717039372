"""The classes that a collection's pictures, or others of a theme, show most."""

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

from camseek.arguments import several
from camseek.errors import SourceError
from camseek.extraction.classes import ClassTally, tally
from camseek.extraction.extractor import Extractor, FileMaps
from camseek.indexing.finding import find_pictures
from camseek.job import Job
from camseek.names import absolute, path_text
from camseek.store import Collection, StoredPicture
from camseek.words import counted

Item = TypeVar("Item")


def count_classes(
    collection: Collection,
    extractor: Extractor,
    *,
    like: Sequence[str | os.PathLike[str]] | None,
    per_picture: int,
    sample: int,
    job: Job,
) -> ClassTally:
    """Counts classes for a predefined list; arguments and errors as ``Engine.classes``."""
    if per_picture < 1 or sample < 1:
        raise ValueError("per_picture and sample are 1 or more")
    model = extractor.model
    if like is None:
        maps = FileMaps(extractor, collection.traces)
        pictures = _stored(collection, sample)
        count, found = len(pictures), tally(model, maps.see, pictures, per_picture=per_picture, job=job)
    else:
        paths = _files(several(like, "pictures"), sample)
        count, found = len(paths), tally(model, extractor.try_file, paths, per_picture=per_picture, job=job)
    if not found.pictures:
        why = f": {path_text(found.skipped[0].path)}: {found.skipped[0].reason}" if found.skipped else ""
        raise SourceError(
            f"none of {counted(count, 'picture')} could be read{why}",
            remedy="check the names of the pictures",
        )
    return found


def _stored(collection: Collection, most: int) -> list[StoredPicture]:
    """The collection's pictures, or so many of them, spread evenly."""
    with collection.snapshot():
        records = _spread(collection.vectors.records().tolist(), most)
        pictures = collection.catalogue.pictures(records)
    return [pictures[record] for record in records]


def _files(pictures: Iterable[str | os.PathLike[str]], most: int) -> list[bytes]:
    """The files of pictures and folders."""
    names: list[bytes] = []
    for picture in map(absolute, pictures):
        found = find_pictures(picture).files if os.path.isdir(picture) else ()
        names += [file.path for file in found] or [picture]
    return _spread(names, most)


def _spread(items: list[Item], most: int) -> list[Item]:
    """All items, or ``most`` of them, spread evenly."""
    if len(items) <= most:
        return items
    return [items[place * len(items) // most] for place in range(most)]
