"""What a collection holds, told some pictures at a time: lists, copies, descriptors."""

import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from camseek.job import Job
from camseek.names import is_remote
from camseek.numerics import F32, I64
from camseek.patterns import Patterns, Selection
from camseek.results import Skipped
from camseek.store import Collection, StoredPicture, Vectors, pictures_of

# Descriptors that are read at a time.
_ROWS = 512
# Descriptors that all later ones are compared with in one pass: 40 MB of 1,280 numbers.
_HEADS = 8192


@dataclass(frozen=True, slots=True)
class Copies:
    """A picture and those that are like it.

    Attributes:
        picture: The one that came into the collection first; several names of it, in their order, are the
            same content.
        near: Other contents, each with the cosine of its descriptor and this one's, at least the threshold.
    """

    picture: StoredPicture
    near: tuple[tuple[StoredPicture, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        near = [item.to_json() | {"score": round(score, 4)} for item, score in self.near]
        return self.picture.to_json() | {"near": near}


class Match:
    """Which names are meant.

    Patterns are those of ``camseek index``: ``*.jpg`` and ``2019`` stand for names at any depth, one with a
    slash within for a place, from the working folder on unless it begins with ``/`` or ``**/``. Names that
    begin with a dot match as all others do: whoever brought them in has decided that already.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Takes patterns, of which one at least must match; without any, everything does.

        Raises:
            SettingsError: One cannot be read.
        """
        root = os.path.abspath(os.sep).encode()
        whole = Patterns.of(root, [_from_root(pattern) for pattern in patterns], ())
        self._selection = Selection(whole, hidden=True) if patterns else None

    def __call__(self, path: bytes) -> bool:
        """Whether a name is meant."""
        return self._selection is None or self._selection.takes(_from_top(path))

    def pictures(self, collection: Collection) -> Iterator[StoredPicture]:
        """The pictures of which a name is meant, with those names alone, in the order in which they came."""
        for picture in every_picture(collection):
            if self._selection is None:
                yield picture
            elif paths := tuple(filter(self, picture.paths)):
                yield replace(picture, paths=paths)

    def skipped(self, collection: Collection) -> list[Skipped]:
        """The files that could not be used, and why."""
        return [item for item in collection.catalogue.info().skipped if self(item.path)]


def _from_top(path: bytes) -> str:
    """A name as patterns see it; of an address the scheme is the first folder."""
    text = os.fsdecode(path)
    return text.replace("://", ":/", 1) if is_remote(path) else text.lstrip("/")


def _from_root(pattern: str) -> str:
    taken_back, text = pattern.startswith("!"), pattern.removeprefix("!")
    if is_remote(os.fsencode(text)):
        text = "/" + text.replace("://", ":/", 1)
    elif "/" in text.rstrip("/") and not text.startswith(("/", "**/")):
        here = re.sub(r"([\\*?\[\] ])", r"\\\1", os.getcwd())
        text = f"{here}/{text.removeprefix('./')}"
    return "!" * taken_back + text


def every_picture(collection: Collection) -> Iterator[StoredPicture]:
    """All pictures, in the order in which they came. One that comes or goes meanwhile is there or not."""
    return pictures_of(collection.catalogue, collection.catalogue.records().tolist())


def descriptor_blocks(
    collection: Collection, records: Int64[I64, " N"] | None = None
) -> Generator[tuple[list[StoredPicture], Float32[F32, "n D"]]]:
    """Pictures and their descriptors, some at a time, in the order of ``records``.

    Args:
        collection: Where; inside ``snapshot``, where all is to be of one moment.
        records: Which have a descriptor; None for all that do.

    Yields:
        n pictures and (n, D), of unit length.

    Raises:
        KeyError: One has none, or has left meanwhile.
    """
    wanted = collection.vectors.records() if records is None else records
    for start in range(0, len(wanted), _ROWS):
        some = wanted[start : start + _ROWS]
        with collection.snapshot():
            pictures = collection.catalogue.pictures(some.tolist())
            yield [pictures[record] for record in some.tolist()], collection.vectors.of(some)


def copies(collection: Collection, threshold: float | None, job: Job) -> Iterator[Copies]:
    """Pictures that are there more than once.

    Several names of one content; and contents whose descriptors have a cosine of ``threshold`` or more. Each
    picture is compared with all that came before it and are no copies themselves, and belongs to the one that
    it is most like. What is held is some descriptors, and some bytes for each picture.

    Args:
        collection: Where.
        threshold: In (0, 1]; None where no descriptors are compared, and names of one content are all.
        job: Told how many pictures were compared.

    Raises:
        CancelledError: Whoever started it has stopped it.
        CollectionChangedError: All descriptors were replaced meanwhile.
    """
    records = np.empty(0, np.int64) if threshold is None else collection.vectors.records()
    head, score = _heads(collection.vectors, records, threshold or 1.0, job)
    near: dict[int, list[int]] = {}
    for place in np.flatnonzero(head != np.arange(len(records))).tolist():
        near.setdefault(int(records[head[place]]), []).append(place)
    followers = set(records[[place for places in near.values() for place in places]].tolist())
    for picture in every_picture(collection):
        places = near.get(picture.record, [])
        if picture.record in followers or (not places and len(picture.paths) < 2):
            continue
        places.sort(key=lambda place: (-score[place], place))
        # One that has left meanwhile is no copy any more; and what has no copy left is none.
        found = collection.catalogue.pictures(records[places].tolist())
        like = [
            (found[record], float(score[place]))
            for place, record in zip(places, records[places].tolist(), strict=True)
            if record in found
        ]
        if like or len(picture.paths) > 1:
            yield Copies(picture, tuple(like))


def _heads(
    vectors: Vectors, records: Int64[I64, " N"], threshold: float, job: Job
) -> tuple[Int64[I64, " N"], Float32[F32, " N"]]:
    """For each record the place of the one it is a copy of, its own where there is none, and their cosine."""
    count, generation = len(records), vectors.generation
    head, score = np.arange(count), np.full(count, -1, np.float32)
    job.progress.start(count)
    for start in range(0, count, _HEADS):
        stop = min(start + _HEADS, count)
        heads = _Heads(stop - start, vectors.dimensions, threshold)
        for first in range(start, count, _ROWS):
            job.check()
            some = slice(first, min(first + _ROWS, count))
            part = _read(vectors, records[some], generation)
            heads.claim(part, head[some], score[some])
            if first < stop:
                heads.grow(part, first, head[some], score[some])
                for _ in part:
                    job.progress.step()
    return head, score


def _read(vectors: Vectors, records: Int64[I64, " n"], generation: int) -> Float32[F32, "n D"]:
    """The descriptors of these records; zeros where one has left meanwhile."""
    try:
        return vectors.of(records, generation=generation)
    except KeyError:
        found = np.zeros((len(records), vectors.dimensions), np.float32)
        for place in np.flatnonzero(vectors.has(records)).tolist():
            with suppress(KeyError):
                found[place] = vectors.of(records[place : place + 1], generation=generation)[0]
        return found


class _Heads:
    """Some pictures that are no copies of others."""

    def __init__(self, most: int, dimensions: int, threshold: float) -> None:
        self._vectors = np.empty((most, dimensions), np.float32)
        self._places = np.empty(most, np.int64)
        self._count = 0
        self._threshold = threshold

    def claim(self, part: Float32[F32, "n D"], head: Int64[I64, " n"], score: Float32[F32, " n"]) -> None:
        """Makes those of the part copies that are more like one of these than like any before."""
        if not self._count:
            return
        cosines = self._vectors[: self._count] @ part.T
        nearest = cosines.argmax(axis=0)
        best = cosines[nearest, np.arange(len(part))].clip(max=1)
        better = (best >= self._threshold) & (best > score)
        head[better] = self._places[nearest[better]]
        score[better] = best[better]

    def grow(
        self, part: Float32[F32, "n D"], first: int, head: Int64[I64, " n"], score: Float32[F32, " n"]
    ) -> None:
        """Takes in those of the part that are no copies, in their order, and those like them as copies."""
        cosines = (part @ part.T).clip(max=1)
        for row in range(len(part)):
            if head[row] != first + row:
                continue
            self._vectors[self._count], self._places[self._count] = part[row], first + row
            self._count += 1
            later = cosines[row, row + 1 :]
            better = (later >= self._threshold) & (later > score[row + 1 :])
            head[row + 1 :][better] = first + row
            score[row + 1 :][better] = later[better]
