"""The collection: pictures, their names, descriptors and traces, and the search in them."""

import importlib
from pathlib import Path
from typing import Any

from camseek.store.address import (
    MilvusAddress,
    is_server,
    milvus_address,
    opening_address,
    whole_address,
    without_credentials,
)
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
    "MilvusAddress",
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
    "is_server",
    "milvus_address",
    "open_collection",
    "opening_address",
    "pictures_of",
    "require_free",
    "step_of",
    "whole_address",
    "without_credentials",
]


def open_collection(address: str, *, keep_vectors: bool = True) -> Collection:
    """Opens the collection at an address: a folder, or ``milvus://HOST:PORT/NAME``.

    Args:
        address: Where it is; ``camseek.store.address`` says what can be written.
        keep_vectors: Whether ``vectors.nearest`` keeps the descriptors in memory between calls: up to half a
            gigabyte as they are, beyond that codes of them. Without, it reads the file each time, which is
            quicker for a single call.

    Raises:
        CollectionError: There is none, or it cannot be used.
        SettingsError: The address is none.
    """
    server = milvus_address(address)
    if server is None:
        return FolderCollection(Path(address), keep_vectors=keep_vectors)
    return _on_milvus()(server, keep_vectors=keep_vectors)


def create_collection(address: str, profile: Profile, *, keep_vectors: bool = True) -> Collection:
    """Makes an empty collection at an address and opens it, as ``open_collection``.

    Raises:
        CollectionError: It cannot be made there.
        SettingsError: The address is none.
    """
    server = milvus_address(address)
    if server is None:
        return FolderCollection.create(Path(address), profile, keep_vectors=keep_vectors)
    return _on_milvus().make(server, profile, keep_vectors=keep_vectors)


def _on_milvus() -> Any:
    """The class of collections on Milvus servers, loaded when it is needed: hardly anybody needs it."""
    return importlib.import_module("camseek.store.milvus").MilvusCollection
