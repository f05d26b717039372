"""Tokens: who may read and who may write, kept as hashes in a file."""

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from camseek.errors import SettingsError
from camseek.files import read_regular, reason_of
from camseek.writing import write_whole

Scope = Literal["read", "write"]
SCOPES: tuple[Scope, ...] = ("read", "write")
_MOST_BYTES = 1_000_000
# So often it is looked whether the file has changed, seconds.
_LOOK = 1.0
_LOG = logging.getLogger("camseek.service")
_LINE = re.compile(r"([A-Za-z0-9_.@-]{1,64}) (read|read,write) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Whose hashed token may do what.

    Attributes:
        known: Name, scopes and SHA-256 of each.
    """

    known: tuple[tuple[str, tuple[Scope, ...], bytes], ...]

    def scopes(self, token: str) -> tuple[Scope, ...]:
        """What a token allows; nothing where it is none. Takes as long for every token."""
        given, found = _digest(token), ()
        for _, scopes, digest in self.known:
            # No end before the last: how long it takes would tell which are there.
            if hmac.compare_digest(given, digest):
                found = scopes
        return found


class TokenFile:
    """A file of tokens as it is now: who is taken out of it may do nothing from then on."""

    def __init__(self, path: Path) -> None:
        """Reads it.

        Raises:
            SettingsError: As ``read_tokens``.
        """
        self._path = path
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._seen = _signature(path)
        self._tokens = read_tokens(path)

    def scopes(self, token: str) -> tuple[Scope, ...]:
        """What a token allows; nothing where it is none, or the file cannot be read any more."""
        with self._lock:
            if time.monotonic() - self._looked >= _LOOK:
                self._looked = time.monotonic()
                seen = _signature(self._path)
                if seen != self._seen:
                    self._seen = seen
                    self._read()
            tokens = self._tokens
        return tokens.scopes(token)

    def _read(self) -> None:
        try:
            self._tokens = read_tokens(self._path)
        except SettingsError as error:
            _LOG.warning("nobody is let in: %s", error)
            self._tokens = Tokens(())


def _signature(path: Path) -> tuple[int, ...]:
    """What changes with a file; nothing of one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)


def read_tokens(path: Path) -> Tokens:
    """Reads a file of tokens: on each line a name, scopes and the hash.

    Raises:
        SettingsError: It cannot be read, others than its owner may, or a line is none.
    """
    remedy = "make it with: camseek token NAME --token-file FILE"
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others than its owner", remedy=f"chmod 600 {path}")
        lines = read_regular(path, _MOST_BYTES).decode("utf-8").splitlines()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {reason_of(error)}", remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text", remedy=remedy) from error
    known: list[tuple[str, tuple[Scope, ...], bytes]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise SettingsError(f"{path}, line {number}, is no token", remedy=remedy)
        scopes: tuple[Scope, ...] = SCOPES if "write" in found[2] else ("read",)
        known.append((found[1], scopes, bytes.fromhex(found[3])))
    if not known:
        raise SettingsError(f"{path} holds no token", remedy=remedy)
    return Tokens(tuple(known))


def add_token(path: Path, name: str, *, write: bool) -> str:
    """Makes a token and adds its hash to a file; an earlier one of the name goes.

    Returns:
        The token, which is nowhere else.

    Raises:
        SettingsError: The name cannot be, or the file cannot be used.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,64}", name):
        raise SettingsError(
            f"a token cannot be called {name!r}", remedy="use letters, digits and . _ @ -, 64 at most"
        )
    lines: list[str] = []
    if os.path.lexists(path):
        read_tokens(path)
        lines = path.read_text("utf-8").splitlines()
    token = secrets.token_urlsafe(32)
    kept = [line for line in lines if line.split(" ")[0] != name]
    kept.append(f"{name} {'read,write' if write else 'read'} {_digest(token).hex()}")
    try:
        if not os.path.lexists(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write_whole(path, "".join(f"{line}\n" for line in kept).encode(), replace=True)
    except OSError as error:
        raise SettingsError(
            f"cannot write {path}: {reason_of(error)}", remedy="name a file in a folder of yours"
        ) from error
    return token


def _digest(token: str) -> bytes:
    # 256 random bits: nothing slower is needed to keep them from being guessed.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
