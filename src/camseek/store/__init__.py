"""The collection: pictures, their names, descriptors and traces, and the search in them."""

import importlib
from pathlib import Path
from typing import Any

from camseek.address import MilvusAddress, is_server, milvus_address
from camseek.errors import SettingsError
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
    MOST_SHARDS,
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
    ShardTold,
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
    "MOST_SHARDS",
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
    "ShardTold",
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
    "end_shards",
    "looked_up",
    "open_collection",
    "open_shards",
    "pictures_of",
    "require_free",
    "step_of",
    "tell_shards",
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


def open_shards(address: str, count: int, cluster: str) -> Collection:
    """Opens the collection of a server in shards: actors of a Ray cluster that hold a part each.

    They are made where they are not there, and stay when it is closed (``end_shards``). It is only read.

    Args:
        address: Where it is.
        count: How many shards, 1 to 1,024.
        cluster: ``HOST:PORT`` of the cluster's head, or ``auto`` for the one of which this machine is a part.

    Raises:
        SettingsError: It is no collection on a server, or there cannot be so many shards.
        ClusterError: The cluster does not answer, has no room, or another camseek.
        CollectionError: There is none, or it cannot be used.
    """
    server = _sharded_address(address)
    if not 1 <= count <= MOST_SHARDS:
        raise SettingsError(
            f"a collection cannot have {count:,} shards", remedy=f"give a number of 1 to {MOST_SHARDS:,}"
        )
    return _sharded().ShardedCollection.open(server, count, cluster)


def tell_shards(address: str, cluster: str) -> list[ShardTold]:
    """The shards that there are of a collection of a server, however many make it up.

    Raises:
        SettingsError: As ``open_shards``.
        ClusterError: The cluster does not answer.
    """
    return _sharded().tell_shards(_sharded_address(address), cluster)


def end_shards(address: str, cluster: str) -> int:
    """Ends all shards of a collection; how many there were. Who searches with them makes them again.

    Raises: As ``tell_shards``.
    """
    return _sharded().end_shards(_sharded_address(address), cluster)


def _sharded_address(address: str) -> MilvusAddress:
    server = milvus_address(address)
    if server is None:
        raise SettingsError(
            f"{address} is a folder: only a collection on a server has shards",
            remedy="search it without shards, or camseek copy it to a server",
        )
    return server


def _sharded() -> Any:
    """What searches in shards, loaded when it is needed: it needs Ray and a server's client."""
    return importlib.import_module("camseek.store.sharded")


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
