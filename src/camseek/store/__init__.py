"""The collection: pictures, their names, descriptors and traces, and the search in them."""

import importlib
from pathlib import Path
from typing import Any

from camseek.address import is_server, milvus_address
from camseek.store.database import as_stored
from camseek.store.database import require_free as require_free_folder
from camseek.store.folder import FolderCollection
from camseek.store.interface import (
    Catalogue,
    Collection,
    Ledger,
    Refitter,
    Scribe,
    Traces,
    Vectors,
    WordsSearch,
    Writer,
    pictures_of,
)
from camseek.store.memory import MemoryVectors
from camseek.store.own import collection_files as files_of_folder
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
from camseek.store.sharing import ScoredWords, WordsRanking, looked_up, told_apart

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
    "ScoredWords",
    "Scribe",
    "Signature",
    "SkippedEntry",
    "StoredPicture",
    "Traces",
    "Vectors",
    "WhiteningNote",
    "WordsRanking",
    "WordsSearch",
    "Writer",
    "as_stored",
    "collection_files",
    "create_collection",
    "looked_up",
    "open_collection",
    "pictures_of",
    "require_free",
    "step_of",
    "told_apart",
]


def open_collection(address: str, *, keep_vectors: bool = True) -> Collection:
    """Opens the collection at an address: a folder, or ``milvus://HOST:PORT/NAME``.

    Args:
        address: Where it is; ``camseek.address`` says what can be written.
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


def require_free(address: str) -> None:
    """Makes sure that a new collection may be made at an address, as far as can be told without trying.

    Raises:
        CollectionError: Somebody's files are there.
        StorageError: It cannot be told.
        SettingsError: The address is none.
    """
    if milvus_address(address) is None:
        require_free_folder(Path(address))


def collection_files(address: str) -> list[bytes]:
    """The files of this machine that are the collection at an address, sorted: of one on a server none.

    Raises:
        OSError: The folder cannot be read.
    """
    return [] if is_server(address) else files_of_folder(address)


def _on_milvus() -> Any:
    """The class of collections on Milvus servers, loaded when it is needed: hardly anybody needs it."""
    return importlib.import_module("camseek.store.milvus").MilvusCollection
