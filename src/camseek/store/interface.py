"""The one interface through which a collection is reached, wherever it lies."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.config import Settings
from camseek.names import path_json, path_text
from camseek.results import Size, Skipped

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

ADDED_BY_HAND = 0
"""The root of files that ``add`` brought: no folder reconciles them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiteningNote:
    """What a collection's whitening was fitted on.

    Attributes:
        folder: The folder of the pictures; None for the collection's own.
        pictures: Pictures that gave samples.
        samples: Vectors it was fitted on.
        sample_classes: N_pca, the classes of each picture that gave class vectors; None for an encoding that
            has none.
        channels: Length of a vector before it.
        dimensions: Length of a vector after it.
        fitted: When, UTC.
        checksum: SHA-256 of the matrix, hexadecimal.
    """

    folder: bytes | None
    pictures: int
    samples: int
    sample_classes: int | None
    channels: int
    dimensions: int
    fitted: str
    checksum: str

    def __str__(self) -> str:
        """One line for people."""
        of = "the collection's own" if self.folder is None else path_text(self.folder)
        classes = "" if self.sample_classes is None else f", {self.sample_classes} classes each"
        return (
            f"{self.channels} to {self.dimensions} dimensions, fitted {self.fitted} on {self.samples} "
            f"samples of {self.pictures} pictures ({of}{classes}), checksum {self.checksum[:12]}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_json`` reads them back."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"folder": None if self.folder is None else path_json(self.folder)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "WhiteningNote":
        """Reads what ``to_json`` gave.

        Raises:
            ValueError, TypeError, KeyError: It did not give this.
        """
        values, folder = dict(data), data["folder"]
        if folder is not None:
            coded = folder.get("path_bytes")
            values["folder"] = folder["path"].encode() if coded is None else base64.b64decode(coded)
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What every descriptor of a collection was made with.

    Attributes:
        model: The model's name, for people.
        model_checksum: SHA-256 of its file, hexadecimal.
        settings: How pictures become descriptors.
        dimensions: Length of a descriptor.
        whitening: The matrix applied, as bytes, or None.
        whitening_note: What it was fitted on; None where there is none or nobody said.
        generation: Goes up by 1 whenever all descriptors are replaced (``camseek fit``).
    """

    model: str
    model_checksum: str
    settings: Settings
    dimensions: int
    whitening: bytes | None = None
    whitening_note: WhiteningNote | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """New descriptors for a whole collection, in the making.

    Attributes:
        asked: What was asked for: a run that asks for the same goes on with it.
        whitening: The matrix of the new descriptors, as bytes; None for unwhitened ones.
        dimensions: Their length.
        note: What the matrix was fitted on.
    """

    asked: str
    whitening: bytes | None
    dimensions: int
    note: WhiteningNote | None


@dataclass(frozen=True, slots=True)
class Signature:
    """What the file system says of a file; when it is the same, so is the content.

    ``ctime_ns`` is -1 where the file was written so recently that a further write could go unnoticed.
    """

    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A known file: its picture's record number and its signature when it was read."""

    record: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """A file that could not be used, when it was tried, and with which camseek and limits."""

    signature: Signature
    skipped: Skipped
    tried_with: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRecord:
    """A picture to store. ``descriptor`` is None where it is featureless."""

    content: bytes
    size: Size
    format: str
    frames: int
    descriptor: Float32[F32, " D"] | None


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture of the collection, with every name of its content, sorted."""

    record: int
    content: bytes
    size: Size
    paths: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a collection holds."""

    address: str
    profile: Profile
    format_version: int
    created: str
    pictures: int
    files: int
    featureless: int
    skipped: Sequence[Skipped]
    roots: Mapping[bytes, int]
    added_by_hand: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "collection": self.address,
            "format_version": self.format_version,
            "created": self.created,
            "model": self.profile.model,
            "model_checksum": self.profile.model_checksum,
            "settings": self.profile.settings.to_json(),
            "dimensions": self.profile.dimensions,
            "whitened": self.profile.whitening is not None,
            "whitening": self.profile.whitening_note.to_json() if self.profile.whitening_note else None,
            "pictures": self.pictures,
            "files": self.files,
            "featureless": self.featureless,
            "skipped": [item.to_json() for item in self.skipped],
            "roots": [path_json(path) | {"files": count} for path, count in self.roots.items()],
            "added_by_hand": self.added_by_hand,
            "bytes": self.bytes,
            "bytes_per_picture": round(self.bytes / self.pictures) if self.pictures else None,
        }


@runtime_checkable
class Refitter(Protocol):
    """Replaces every descriptor of a collection at once; part of a ``Writer``.

    The new ones are stored beside the old ones, which serve until ``finish``. ``commit`` of the writer makes
    the work permanent.
    """

    def unfinished(self) -> Refit | None:
        """What an earlier run began and did not finish."""
        ...

    def begin(self, refit: Refit) -> None:
        """Begins; what was unfinished is thrown away."""
        ...

    def pending(self) -> list[int]:
        """The records that have no new descriptor yet, ascending: pictures that came meanwhile, too."""
        ...

    def put(self, record: int, descriptor: Float32[F32, " D"] | None) -> None:
        """Stores a picture's new descriptor, None where it is featureless.

        Raises:
            ValueError: Nothing was begun, or the descriptor is zero, not finite or of another length.
        """
        ...

    def finish(self) -> None:
        """Puts the new descriptors and the new whitening in the place of the old ones, with ``commit``.

        Raises:
            ValueError: Nothing was begun, or a picture that has files is still pending.
        """
        ...

    def discard(self) -> None:
        """Throws away what is unfinished."""
        ...


@runtime_checkable
class Writer(Protocol):
    """The one writer of a collection. What it does is kept from ``commit`` on, and on leaving."""

    @property
    def refitter(self) -> Refitter:
        """Replaces every descriptor at once."""
        ...

    def root(self, path: bytes) -> int:
        """The number of a root, made if it is new."""
        ...

    def files(self) -> dict[bytes, FileEntry]:
        """Every known file."""
        ...

    def claimed(self, root: int) -> set[bytes]:
        """The files that a root brought."""
        ...

    def skipped(self, root: int) -> dict[bytes, SkippedEntry]:
        """The files of a root that could not be used."""
        ...

    def find(self, content: bytes) -> int | None:
        """The record of a content, from any thread."""
        ...

    def insert(self, picture: PictureRecord) -> int:
        """Stores a picture and returns its record; a known content keeps its own."""
        ...

    def names(self, record: int) -> list[bytes]:
        """The names of a record."""
        ...

    def point(self, path: bytes, record: int, signature: Signature, root: int) -> None:
        """A file holds this picture, for this root."""
        ...

    def claim(self, path: bytes, root: int) -> None:
        """A known file belongs to this root too."""
        ...

    def skip(self, entry: SkippedEntry, root: int) -> bool:
        """Remembers a file that cannot be used and drops what it held, unless it was added by hand.

        Returns:
            Whether something was dropped.
        """
        ...

    def remember(self, entry: SkippedEntry, root: int) -> None:
        """Remembers a file that cannot be used; what is known of it stays."""
        ...

    def forget(self, name: bytes) -> bool:
        """Forgets skipped files and idle roots of this name, or beneath it; whether there were any."""
        ...

    def release(self, paths: Sequence[bytes], root: int | None) -> list[bytes]:
        """These files no longer belong to a root (None: to any); returns those that left with that."""
        ...

    def forget_skipped(self, paths: Sequence[bytes], root: int) -> None:
        """Forgets files of a root that could not be used."""
        ...

    def unit(self) -> AbstractContextManager[None]:
        """What is done inside is done whole or not at all."""
        ...

    def commit(self) -> None:
        """Removes pictures that no file holds any more, then makes what was done so far permanent."""
        ...

    def compact(self) -> None:
        """Commits, and gives freed space back to the disk, where there is room to do so."""
        ...


@runtime_checkable
class Collection(Protocol):
    """Pictures, their descriptors and their names."""

    @property
    def address(self) -> str:
        """Where the collection is."""
        ...

    @property
    def profile(self) -> Profile:
        """What its descriptors were made with: true inside ``snapshot`` and ``write``.

        Elsewhere another process may have fitted a whitening since. The same object until it changes.
        """
        ...

    def write(self, command: str) -> AbstractContextManager[Writer]:
        """Becomes the one writer.

        Raises:
            CollectionBusyError: Another process is; the message names it.
            StorageError: The disk is full or read-only.
        """
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """What is read inside belongs to one moment."""
        ...

    def version(self) -> object:
        """A token that is another whenever the content is."""
        ...

    def descriptors(
        self, *, after: int = 0, block: int = 4096
    ) -> Iterator[tuple[Int64[I64, " N"], Float32[F32, "N D"]]]:
        """Record numbers above ``after`` and their descriptors, in blocks, in the order of the numbers."""
        ...

    def descriptors_of(self, records: Int64[I64, " N"]) -> Float32[F32, "N D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
        """
        ...

    def record_numbers(self) -> Int64[I64, " N"]:
        """The records that have descriptors, ascending."""
        ...

    def pictures(self, records: Sequence[int]) -> dict[int, StoredPicture]:
        """The pictures of these records; one that has gone is left out."""
        ...

    def find(self, content: bytes) -> int | None:
        """The record of a content, or None."""
        ...

    def info(self) -> CollectionInfo:
        """Counts, sizes and settings."""
        ...

    def check(self) -> list[str]:
        """Reads everything; each fault in a sentence, none when it is sound."""
        ...

    def close(self) -> None:
        """Lets go of the collection."""
        ...

    def __enter__(self) -> "Collection": ...

    def __exit__(self, *exc: object) -> None: ...
