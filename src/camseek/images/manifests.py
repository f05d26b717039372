"""The pictures of a IIIF manifest that is named as a folder would be, and of a collection of manifests.

A manifest may name any address. What it names on other servers is taken where everybody can reach that; a
server of the outer world sends nobody into a network that it cannot see.
"""

import socket
from collections.abc import Iterator
from io import BytesIO
from ipaddress import ip_address
from typing import BinaryIO, Protocol
from urllib.parse import quote, urlsplit

from camseek.errors import ManifestError, NotPermittedError, PictureError, SourceError
from camseek.images.found import UNMARKED, FoundFile, Walk
from camseek.images.iiif import read_manifest
from camseek.names import absolute, is_remote, without_secrets

MOST_OF_LIST = 32 << 20
"""A page of links, or a manifest, has at most so many bytes."""
# Manifests and collections in all, their pictures, and the servers of these.
_MANIFESTS, _PICTURES, _SERVERS = 1_000, 100_000, 100
# Bytes of an address that is told.
_LONGEST = 2_000
_REMEDY = "name smaller collections, or manifests, one by one"


class Fetch(Protocol):
    """``Web.fetch``."""

    def __call__(self, path: bytes, file: BinaryIO, *, most: int, only: int | None = None) -> FoundFile:
        """As that."""
        ...


def escaped(address: str) -> bytes:
    """An address in which what may not stand there is written with percent signs."""
    return quote(address, safe="%/:?#[]@!$&'()*+,;=~").encode()


class Manifests:
    """What a manifest names, and the manifests of a collection."""

    def __init__(self, fetch: Fetch, root: bytes, walk: Walk) -> None:
        """Takes a root.

        Args:
            fetch: Fetches a manifest.
            root: The manifest's address, or the collection's.
            walk: Gains manifests that cannot be read, of a collection, and pictures that cannot be used.
        """
        self._fetch, self._root, self._walk = fetch, root, walk
        self._host = _host_of(root)
        # Whether pictures are taken from a server.
        self._hosts = {self._host: True}

    def pictures(self) -> Iterator[FoundFile]:
        """The pictures, of none more than its address; each once.

        Raises:
            PictureError: The root cannot be read.
            ManifestError: It is no manifest, or names too much.
        """
        todo, manifests, named = [self._root], {self._root}, set[bytes]()
        refused: dict[bytes, SourceError | PictureError] = {}
        while todo:
            address, content = todo.pop(), BytesIO()
            try:
                self._fetch(address, content, most=MOST_OF_LIST)
                found = read_manifest(content.getvalue())
            except (PictureError, ManifestError) as error:
                if address == self._root:
                    raise
                self._lacks(address, error)
                continue
            for other in found.others:
                place = self._place(other)
                if isinstance(place, SourceError | PictureError):
                    self._lacks(self._told(other), place)
                elif place not in manifests:
                    manifests.add(place)
                    todo.append(place)
            for canvas in found.canvases:
                place = self._place(canvas.url)
                if isinstance(place, SourceError | PictureError):
                    refused[self._told(canvas.url)] = place
                elif place not in named:
                    named.add(place)
                    yield FoundFile(place, -1, -1, UNMARKED)
            if len(manifests) > _MANIFESTS or len(named) > _PICTURES:
                raise ManifestError(
                    f"it has more than {_MANIFESTS:,} manifests, or {_PICTURES:,} pictures", remedy=_REMEDY
                )
        self._walk.skipped += [(path, error.message, error.code) for path, error in refused.items()]

    def _lacks(self, address: bytes, error: SourceError | PictureError) -> None:
        """A manifest that cannot be read: nobody knows which pictures it names."""
        self._walk.unknown.append((address, error.message, error.code))
        self._walk.whole = False

    def _told(self, text: str) -> bytes:
        """What is named, as it may be kept and shown: without what may be a secret."""
        address = escaped(without_secrets(text).partition("?")[0].partition("#")[0])[:_LONGEST]
        return address if is_remote(address) else self._root

    def _place(self, text: str) -> bytes | SourceError | PictureError:
        """The address of what a manifest names; or why it is not asked for.

        Raises:
            ManifestError: It names too many servers.
        """
        address = escaped(text)
        try:
            if not address.startswith((b"http://", b"https://")):
                return SourceError("it is no address of the web", remedy="name it by itself: camseek add")
            name = absolute(address)
            host = _host_of(name)
        except SourceError as error:
            return error
        except ValueError:
            return SourceError("it is no address", remedy="look into the manifest")
        if host not in self._hosts:
            if len(self._hosts) >= _SERVERS:
                raise ManifestError(f"it names more than {_SERVERS} servers", remedy=_REMEDY)
            self._hosts[host] = may_lead(self._host, host)
        if self._hosts[host]:
            return name
        return NotPermittedError(
            f"the manifest's server sends us into a network of this place: {host}",
            remedy="name that address itself, if it is meant: camseek add",
        )


def may_lead(old: str, new: str) -> bool:
    """Whether one server may send us to another: all can reach that, or both are of a private network."""
    there = _addresses_of(new)
    if all(ip_address(item).is_global for item in there):
        return True  # or it is not known here, and nothing is reached
    here = _addresses_of(old)
    return bool(here) and all(map(_is_inside, here | there))


def _is_inside(address: str) -> bool:
    """Whether an address is one of a private network, and of no machine's own or of what runs it."""
    found = ip_address(address)
    own = found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast
    return found.is_private and not (own or found.is_reserved)


def _addresses_of(host: str) -> set[str]:
    try:
        return {str(item[4][0]).partition("%")[0] for item in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return set()


def _host_of(address: bytes) -> str:
    """The server's name.

    Raises:
        ValueError: It has none.
    """
    host = urlsplit(address.decode()).hostname
    if not host:
        raise ValueError("an address without a server")
    return host
