"""The collection: pictures, their descriptors and their names, and exact search in them."""

from pathlib import Path

from camseek.errors import NoCollectionError
from camseek.store.folder import FolderCollection
from camseek.store.interface import (
    ADDED_BY_HAND,
    Collection,
    CollectionInfo,
    FileEntry,
    PictureRecord,
    Profile,
    Refit,
    Refitter,
    Signature,
    SkippedEntry,
    StoredPicture,
    WhiteningNote,
    Writer,
)
from camseek.store.ranking import DescriptorIndex, rank

__all__ = [
    "ADDED_BY_HAND",
    "Collection",
    "CollectionInfo",
    "DescriptorIndex",
    "FileEntry",
    "FolderCollection",
    "PictureRecord",
    "Profile",
    "Refit",
    "Refitter",
    "Signature",
    "SkippedEntry",
    "StoredPicture",
    "WhiteningNote",
    "Writer",
    "create_collection",
    "open_collection",
    "rank",
]


def open_collection(address: str) -> Collection:
    """Opens the collection at an address: a folder.

    Raises:
        CollectionError: There is none, or it cannot be used.
    """
    _refuse_servers(address)
    return FolderCollection(Path(address))


def create_collection(address: str, profile: Profile) -> Collection:
    """Makes an empty collection at an address and opens it.

    Raises:
        CollectionError: It cannot be made there.
    """
    _refuse_servers(address)
    return FolderCollection.create(Path(address), profile)


def _refuse_servers(address: str) -> None:
    if "://" in address:
        raise NoCollectionError(
            f"{address}: this camseek keeps collections in folders only", remedy="name a folder"
        )
