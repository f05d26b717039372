"""A collection's pictures as work that can travel to machines that have no collection."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from camseek.extraction.extractor import Extractor, FileMaps
from camseek.indexing.cluster import died
from camseek.names import is_given
from camseek.results import Skipped
from camseek.store import FILE_TRACE, Collection, StoredPicture, pictures_of


@dataclass(frozen=True, slots=True)
class Carried:
    """A picture of a collection, with all of it that lies nowhere else.

    Attributes:
        picture: It.
        content: What its file would hold, where it came without one; else None.
    """

    picture: StoredPicture
    content: bytes | None = None

    @property
    def name(self) -> bytes:
        """Its first name; empty where a damaged collection has none."""
        return b"".join(self.picture.paths[:1])

    def maps(self, extractor: Extractor) -> FileMaps:
        """What reads it, wherever this is."""
        return FileMaps(extractor, self)

    def get(self, kind: str, records: Sequence[int]) -> dict[int, bytes]:
        """Its content, in the place of the collection's traces."""
        return {} if self.content is None else dict.fromkeys(records, self.content)


def carried(collection: Collection, records: Sequence[int]) -> Iterator[Carried]:
    """The pictures of records in their order, few held at a time; one that has gone is left out."""
    for picture in pictures_of(collection.catalogue, records):
        content = None
        if any(map(is_given, picture.paths)):
            content = collection.traces.get(FILE_TRACE, [picture.record]).get(picture.record)
        yield Carried(picture, content)


def given_up(name: bytes, reason: str) -> Skipped:
    """What becomes of one picture of many on which workers die."""
    error = died(reason)
    return Skipped(name, error.message, error.code)


def folders_of(collection: Collection, *more: bytes | None) -> list[bytes]:
    """The folders that a machine must see to read a collection's pictures, of those that are here.

    Args:
        collection: The collection.
        more: Another folder that is read.
    """
    with collection.snapshot():
        roots = [*collection.catalogue.ledger().roots()]
    return [folder for folder in (*roots, *more) if folder is not None and os.path.isdir(folder)]
