"""How a service is run: frozen, and checked when it is made."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from camseek.address import is_server
from camseek.config import Limits
from camseek.errors import SettingsError

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # what is asked for, not where this listens
_MB = 1 << 20


def collection_name(text: str) -> str:
    """A name for addresses, made of whatever a folder is called: small letters, digits and dashes."""
    words = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_")[:64].strip("-_")
    return words or "pictures"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How a service is run.

    Attributes:
        collections: The address of each collection, a folder mostly, by its name in those of the service:
            1 to 64 of ``a-z 0-9 _ -``.
        state: A folder of the service's own: thumbnails, marks, jobs, query pictures that are kept.
        host: Where it listens.
        port: Likewise; 0 for a free one.
        names: Host names under which it is reached beside its own, behind a proxy, say.
        token_file: Hashed tokens (``camseek token``); None on loopback alone, for whoever uses this machine.
        read_only: Nothing is added, changed or removed.
        paths: Who may write may also name folders of this machine to be indexed.
        limits: What this machine may spend on one picture.
        upload_bytes: The largest upload, bytes, 1 or more.
        remotes: Hosts from which pictures and IIIF manifests may be fetched, with a port where it is not the
            scheme's own.
        watch: Indexed folders are watched, and what changes in them is brought in.
        folders: Folders of this machine that whoever may write may have indexed by name, and those in them.
        dates: When photographs were taken is read from their EXIF data, told, and sorted by.
        command: What the user ran, for messages.
        shards: Search the collections in so many shards each, which are on a server then, and are only read.
        cluster: The Ray cluster of the shards.

    Raises:
        SettingsError: A name cannot be, there is no collection, or others than this machine would reach it
            without a token.
    """

    # An address may hold what lets one in.
    collections: Mapping[str, str] = field(repr=False)
    state: Path
    host: str = "127.0.0.1"
    port: int = 8357
    names: tuple[str, ...] = ()
    token_file: Path | None = None
    read_only: bool = False
    paths: bool = False
    limits: Limits = field(default_factory=Limits)
    upload_bytes: int = 64 * _MB
    remotes: tuple[str, ...] = ()
    watch: bool = False
    folders: tuple[Path, ...] = ()
    dates: bool = False
    command: str = "camseek serve"
    shards: int | None = None
    cluster: str = "auto"

    def __post_init__(self) -> None:
        if not self.collections:
            raise SettingsError("there is no collection to serve", remedy="give --collection NAME=FOLDER")
        for name in self.collections:
            if not _NAME.fullmatch(name):
                raise SettingsError(
                    f"a collection cannot be called {name!r}",
                    remedy=f"use small letters, digits and dashes, such as {collection_name(name)}",
                )
        if self.token_file is None and not is_loopback(self.host):
            raise SettingsError(
                f"whoever reaches {self.host} would see every picture",
                remedy="give --token-file, which camseek token makes, or listen on 127.0.0.1",
            )
        if self.read_only and self.watch:
            raise SettingsError(
                "what is only read is not brought up to date by itself", remedy="give --read-only or --watch"
            )
        if self.shards is not None and not self.read_only:
            raise SettingsError(
                "a collection that is searched in shards is only read", remedy="give --read-only, too"
            )
        folders = [name for name, place in self.collections.items() if not is_server(place)]
        if self.shards is not None and folders:
            raise SettingsError(
                f"{', '.join(folders)}: only a collection on a server has shards",
                remedy="serve folders without --shards",
            )
        if self.upload_bytes < 1:
            raise SettingsError("uploads of less than a byte", remedy="allow at least one megabyte")

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names by which a browser may reach it: another one's was made to point here.

        None for all, where it listens everywhere and was given none: then there are tokens, and no browser
        sends a cookie to a name that it did not get it from.
        """
        if self.host in _EVERYWHERE and not self.names:
            return None
        own = (self.host, *_LOCAL) if is_loopback(self.host) or self.host in _EVERYWHERE else (self.host,)
        return frozenset(name.lower().strip("[]") for name in (*own, *self.names))
