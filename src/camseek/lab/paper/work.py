"""Finished work, kept so that a run goes on where it stopped."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camseek.encoding.whitening import Whitening
from camseek.errors import OutputError
from camseek.version import VERSION
from camseek.writing import write_whole

Key = Mapping[str, Any]
"""What decides a piece of work, plain values: equal keys, the same result."""


@dataclass(frozen=True, slots=True)
class Work:
    """A folder of finished pieces, a file each, which is there whole or not at all.

    A piece is found by all that decides it and camseek's version; one that is damaged counts as not there.

    Attributes:
        folder: It; made when the first piece is kept.
    """

    folder: Path

    def get(self, kind: str, key: Key) -> dict[str, Any] | None:
        """A piece, or None where it is not there."""
        try:
            found: Any = json.loads(self._path(kind, key, "json").read_bytes())
            return found["value"] if found["key"] == _told(key) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, kind: str, key: Key, value: Mapping[str, Any]) -> None:
        """Keeps a piece.

        Raises:
            OutputError: It cannot be written.
        """
        text = json.dumps({"key": _told(key), "value": dict(value)}, indent=1, allow_nan=False)
        self._write(self._path(kind, key, "json"), text.encode())

    def get_whitening(self, key: Key) -> tuple[Whitening, str] | None:
        """A whitening and what it was fitted on, or None."""
        told = self.get("whitening", key)
        if told is None:
            return None
        try:
            whitening = Whitening.from_bytes(self._path("whitening", key, "bin").read_bytes())
        except (OSError, ValueError):
            return None
        return (whitening, told["note"]) if whitening.checksum == told["checksum"] else None

    def put_whitening(self, key: Key, whitening: Whitening, note: str) -> None:
        """Keeps a whitening.

        Raises:
            OutputError: It cannot be written.
        """
        self._write(self._path("whitening", key, "bin"), whitening.to_bytes())
        self.put("whitening", key, {"note": note, "checksum": whitening.checksum})

    def _path(self, kind: str, key: Key, ending: str) -> Path:
        digest = hashlib.sha256(json.dumps(_told(key), sort_keys=True).encode()).hexdigest()
        return self.folder / f"{kind}-{digest[:32]}.{ending}"

    def _write(self, path: Path, data: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, data, replace=True)
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror}",
                remedy="name a folder with --work that is writable and has space",
            ) from error


def _told(key: Key) -> dict[str, Any]:
    """The key as JSON gives it back."""
    return json.loads(json.dumps({**key, "version": VERSION}))
