"""Where a collection lies: a folder of this machine, or a name on a server. The one place that tells."""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from camseek.errors import NoCollectionError, SettingsError
from camseek.names import absolute, path_text, without_secrets

TOKEN = "CAMSEEK_MILVUS_TOKEN"  # noqa: S105  # the name of a variable
"""The environment's ``user:password``, or token, for addresses that have none."""

_PORT = 19530
# pathlib makes one slash of two.
_SERVER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_CREDENTIALS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+:/+)(.*)@", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_FORM = "milvus://HOST:PORT/NAME"


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """A collection on a Milvus server.

    Attributes:
        host: The server's name or number.
        port: Its port.
        name: The collection's name there.
        database: The server's database; empty for its usual one.
        tls: Whether the connection is encrypted.
        token: ``user:password`` or a token; never shown, never stored.
    """

    host: str
    port: int
    name: str
    database: str = ""
    tls: bool = False
    token: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        """The address as it may be shown and kept: without what lets one in."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "milvus+tls" if self.tls else "milvus"
        return f"{scheme}://{host}:{self.port}/{f'{self.database}/' if self.database else ''}{self.name}"


def is_server(address: str | bytes | os.PathLike[str]) -> bool:
    """Whether an address names a server, known here or not, and no folder."""
    return _SERVER.match(os.fsdecode(address)) is not None


def milvus_address(address: str) -> MilvusAddress | None:
    """What an address says of a collection on a server; None for that of a folder.

    ``milvus://[USER:PASSWORD@|TOKEN@]HOST[:PORT]/[DATABASE/]NAME``, ``milvus+tls://`` where the connection is
    to be encrypted. What stands for a sign in user and password may be written ``%40``, say. Without any, the
    environment's ``CAMSEEK_MILVUS_TOKEN`` lets in.

    Raises:
        NoCollectionError: It names a server of another kind.
        SettingsError: It is none.
    """
    found = _SERVER.match(address)
    if found is None:
        return None
    scheme, shown = found[1].lower(), without_credentials(address)
    if scheme not in ("milvus", "milvus+tls"):
        raise NoCollectionError(
            f"{shown}: this camseek keeps collections in folders and on Milvus servers",
            remedy=f"name a folder, or {_FORM}",
        )
    # What lets in stands before the last @, whatever it holds: a name has none.
    known = _CREDENTIALS.match(address)
    rest = address[known.end() if known else found.end() :]
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _no_address(scheme) from None
    *above, name = parts.path.strip("/").split("/")
    named = _NAME.fullmatch(name) and all(map(_NAME.fullmatch, above)) and len(above) <= 1
    if not (host and named) or parts.query or parts.fragment:
        raise _no_address(scheme)
    token = unquote(known[2]) if known else os.environ.get(TOKEN, "")
    return MilvusAddress(
        host=host,
        port=_PORT if port is None else port,
        name=name,
        database=above[0] if above else "",
        tls=scheme.endswith("tls"),
        token=token,
    )


def whole_address(address: str | os.PathLike[str]) -> str:
    """The address by which a collection is known wherever it is named from: absolute, without credentials.

    Raises:
        NoCollectionError: It names a server of a kind that is not known.
        SettingsError: It is none.
        ValueError: It is empty.
    """
    place = os.fspath(address)
    found = milvus_address(place)
    return os.fsdecode(absolute(place)) if found is None else str(found)


def real_address(address: str | os.PathLike[str]) -> str:
    """The address of what lies there, under whatever name: ``whole_address``, a folder's links followed.

    Raises: As ``whole_address``.
    """
    place = whole_address(address)
    return place if is_server(place) else os.path.realpath(place)


def opening_address(address: str | os.PathLike[str]) -> str:
    """The address with which a collection can be opened from any working folder: with what lets in.

    Raises: As ``whole_address``.
    """
    place = os.fspath(address)
    return place if is_server(place) else os.fsdecode(absolute(place))


def without_credentials(address: str | bytes | os.PathLike[str]) -> str:
    """A collection's address for people and for what is kept, whatever else is wrong with it.

    What is secret in an address is for ``without_secrets`` to say. Here one thing more is known: the name of
    a collection holds no @, so that all before the last one lets in, whatever it holds.
    """
    text = path_text(os.fsencode(address))
    return without_secrets(_CREDENTIALS.sub(r"\1", text))


def _no_address(scheme: str) -> SettingsError:
    # Nothing else of it: what lets in may stand anywhere in an address that is none.
    return SettingsError(
        f"this address with {scheme}:// is no address of a collection",
        remedy=f"write {_FORM}; a name is 1 to 60 letters, digits and . _ -, and begins with no sign",
    )
