"""The collection: pictures, their names, descriptors and traces, and the search in them."""

import re
from pathlib import Path

from camseek.errors import NoCollectionError
from camseek.store.database import as_stored, require_free
from camseek.store.folder import FolderCollection
from camseek.store.interface import (
    Catalogue,
    Collection,
    Ledger,
    Refitter,
    Scribe,
    Traces,
    Vectors,
    Writer,
    pictures_of,
)
from camseek.store.memory import MemoryVectors
from camseek.store.own import collection_files
from camseek.store.records import (
    ADDED_BY_HAND,
    FILE_TRACE,
    FINE,
    FINE_TRACE,
    NO_TRACES,
    POINTS,
    POINTS_TRACE,
    SKETCH,
    SKETCH_TRACE,
    TRACES,
    Beside,
    CollectionInfo,
    FileEntry,
    PictureRecord,
    Profile,
    Ranking,
    Refit,
    Root,
    Signature,
    SkippedEntry,
    StoredPicture,
    WhiteningNote,
    step_of,
)

__all__ = [
    "ADDED_BY_HAND",
    "FILE_TRACE",
    "FINE",
    "FINE_TRACE",
    "NO_TRACES",
    "POINTS",
    "POINTS_TRACE",
    "SKETCH",
    "SKETCH_TRACE",
    "TRACES",
    "Beside",
    "Catalogue",
    "Collection",
    "CollectionInfo",
    "FileEntry",
    "FolderCollection",
    "Ledger",
    "MemoryVectors",
    "PictureRecord",
    "Profile",
    "Ranking",
    "Refit",
    "Refitter",
    "Root",
    "Scribe",
    "Signature",
    "SkippedEntry",
    "StoredPicture",
    "Traces",
    "Vectors",
    "WhiteningNote",
    "Writer",
    "as_stored",
    "collection_files",
    "create_collection",
    "open_collection",
    "pictures_of",
    "require_free",
    "step_of",
]


def open_collection(address: str, *, keep_vectors: bool = True) -> Collection:
    """Opens the collection at an address: a folder.

    Args:
        address: The folder.
        keep_vectors: Whether ``vectors.nearest`` keeps the descriptors in memory between calls: up to half a
            gigabyte as they are, beyond that codes of them. Without, it reads the file each time, which is
            quicker for a single call.

    Raises:
        CollectionError: There is none, or it cannot be used.
    """
    _refuse_servers(address)
    return FolderCollection(Path(address), keep_vectors=keep_vectors)


def create_collection(address: str, profile: Profile, *, keep_vectors: bool = True) -> Collection:
    """Makes an empty collection at an address and opens it, as ``open_collection``.

    Raises:
        CollectionError: It cannot be made there.
    """
    _refuse_servers(address)
    return FolderCollection.create(Path(address), profile, keep_vectors=keep_vectors)


def _refuse_servers(address: str) -> None:
    # pathlib makes one slash of two.
    if re.match("[A-Za-z][A-Za-z0-9+.-]+:/", address):
        raise NoCollectionError(
            f"{address}: this camseek keeps collections in folders only", remedy="name a folder"
        )
