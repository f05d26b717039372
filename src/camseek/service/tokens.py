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
from camseek.service.problems import ApiError
from camseek.writing import write_whole

Scope = Literal["read", "write"]
SCOPES: tuple[Scope, ...] = ("read", "write")
_MOST_BYTES = 1_000_000
# So often it is looked whether the file has changed, seconds.
_LOOK = 1.0
_LOG = logging.getLogger("camseek.service")
_LINE = re.compile(r"([A-Za-z0-9_.@-]{1,64}) (read|read,write) ([0-9a-f]{64})")
_REMEDY = "make it with: camseek token NAME --token-file FILE"


_Known = tuple[str, tuple[Scope, ...], bytes]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Whose hashed token may do what.

    Attributes:
        known: Name, scopes and SHA-256 of each.
    """

    known: tuple[_Known, ...]

    def scopes(self, token: str) -> tuple[Scope, ...]:
        """What a token allows; nothing where it is none. Takes as long for every token."""
        given, found = _digest(token), ()
        for _, scopes, digest in self.known:
            # No end before the last: how long it takes would tell which are there.
            if hmac.compare_digest(given, digest):
                found = scopes
        return found


class TokenFile:
    """A file of tokens as it is now: who is taken out of it may do nothing from then on.

    While others than its owner may read or change it, or a line of it is none, nobody new is let in by it;
    those stay who were let in before and whose lines are still there. So a line can be taken out with any
    tool, and no slip of it locks everybody out.
    """

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
        self._faulty = False

    def scopes(self, token: str) -> tuple[Scope, ...]:
        """What a token allows; nothing where it is none, or the file cannot be used any more."""
        with self._lock:
            if time.monotonic() - self._looked >= _LOOK:
                self._looked = time.monotonic()
                seen = _signature(self._path)
                if seen != self._seen:
                    self._seen = seen
                    self._read()
            tokens = self._tokens
        return tokens.scopes(token)

    def refusal(self) -> ApiError:
        """What is said to whoever comes with a token that allows nothing."""
        if self._faulty:
            return ApiError(
                503,
                "tokens",
                "the service's tokens cannot be read",
                "tell whoever runs it: its log says why",
                **{"retry-after": "60"},
            )
        return ApiError(401, "token", "that is no token of this service", "ask whoever runs it for one")

    def _read(self) -> None:
        known: list[_Known] = []
        try:
            lines = _lines_of(self._path)
            known, fault = _known_in(self._path, lines)
            fault = _open_to_others(self._path) or fault
        except SettingsError as error:
            fault = error
        self._faulty = fault is not None
        if fault is not None:
            _LOG.warning("nobody new is let in, until it is mended: %s; %s", fault, fault.remedy)
            known = [item for item in known if item in self._tokens.known]
        self._tokens = Tokens(tuple(known))


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
    lines = _lines_of(path)
    known, fault = _known_in(path, lines)
    if fault := _open_to_others(path) or fault:
        raise fault
    if not known:
        raise SettingsError(f"{path} holds no token", remedy=_REMEDY)
    return Tokens(tuple(known))


def _open_to_others(path: Path) -> SettingsError | None:
    """What is wrong with a file that others than its owner may read or change."""
    try:
        if os.name != "posix" or not path.stat().st_mode & 0o077:
            return None
    except OSError as error:
        return SettingsError(f"cannot read {path}: {reason_of(error)}", remedy=_REMEDY)
    return SettingsError(f"{path} can be read by others than its owner", remedy=f"chmod 600 {path}")


def _lines_of(path: Path) -> list[str]:
    try:
        return read_regular(path, _MOST_BYTES).decode("utf-8").splitlines()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {reason_of(error)}", remedy=_REMEDY) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text", remedy=_REMEDY) from error


def _known_in(path: Path, lines: list[str]) -> tuple[list[_Known], SettingsError | None]:
    """The tokens of a file's lines, and what is wrong with the first line that is none."""
    known: list[_Known] = []
    fault = None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        if found := _LINE.fullmatch(line.strip()):
            scopes: tuple[Scope, ...] = SCOPES if "write" in found[2] else ("read",)
            known.append((found[1], scopes, bytes.fromhex(found[3])))
        elif fault is None:
            fault = SettingsError(f"{path}, line {number}, is no token", remedy="take that line out")
    return known, fault


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
        lines = _lines_of(path)
    token = secrets.token_urlsafe(32)
    kept = [line for line in lines if line.split(" ")[0] != name]
    kept.append(f"{name} {'read,write' if write else 'read'} {_digest(token).hex()}")
    _write(path, kept)
    return token


def revoke_token(path: Path, name: str) -> None:
    """Takes the token of a name out of a file, whatever else is wrong with the file.

    Raises:
        SettingsError: There is none of the name, or the file cannot be used.
    """
    lines = _lines_of(path)
    kept = [line for line in lines if line.split(" ")[0] != name]
    if kept == lines:
        raise SettingsError(f"{path} has no token of {name}", remedy="its lines begin with the names")
    _write(path, kept)


def _write(path: Path, lines: list[str]) -> None:
    try:
        if not os.path.lexists(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write_whole(path, "".join(f"{line}\n" for line in lines).encode(), replace=True)
    except OSError as error:
        raise SettingsError(
            f"cannot write {path}: {reason_of(error)}", remedy="name a file in a folder of yours"
        ) from error


def _digest(token: str) -> bytes:
    # 256 random bits: nothing slower is needed to keep them from being guessed.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
