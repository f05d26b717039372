"""Query pictures that were uploaded: held for an hour in memory, on the disk where that is asked for."""

import hashlib
import io
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from camseek.files import read_regular
from camseek.service.problems import ApiError
from camseek.service.renders import Renders
from camseek.service.schema import Upload
from camseek.writing import write_whole

_SECONDS = 3600.0
_BYTES = 1 << 28
_LOOKED_AT = 640


@dataclass(frozen=True, slots=True)
class _Held:
    content: bytes
    until: float
    told: Upload


class Uploads:
    """Query pictures by the hash of their content: the same picture is the same query, whoever sends it."""

    def __init__(self, folder: Path, renders: Renders, upload_bytes: int) -> None:
        """Takes a folder for those that are kept."""
        self._folder = folder / ".queries"
        self._renders = renders
        self._most = upload_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._bytes = 0

    def add(self, content: bytes) -> Upload:
        """Takes a picture, decoded once to see that it is one.

        Raises:
            PictureError: It cannot be used.
            ApiError: There is nothing in it.
        """
        if not content:
            raise ApiError(400, "empty", "there is no picture in it", "send the file as the body")
        identity = hashlib.sha256(content).hexdigest()
        seen = self._renders.read(io.BytesIO(content), _LOOKED_AT)
        told = Upload(
            id=identity,
            size=seen.size,
            format=seen.format,
            kept=self._place(identity).is_file(),
            warnings=list(seen.warnings),
        )
        with self._lock:
            self._drop(identity)
            self._held[identity] = _Held(content, time.monotonic() + _SECONDS, told)
            self._bytes += len(content)
            self._tidy()
        return told

    def told(self, identity: str) -> Upload:
        """A picture that is still there; one that is held is not decoded again.

        Raises:
            ApiError: It is not there any more.
        """
        with self._lock:
            self._tidy()
            found = self._held.get(identity)
        if found is None:
            return self.add(self.content(identity))
        return found.told.model_copy(update={"kept": self._place(identity).is_file()})

    def content(self, identity: str) -> bytes:
        """A picture's content.

        Raises:
            ApiError: It is not there any more.
        """
        with self._lock:
            self._tidy()
            found = self._held.get(identity)
            if found is not None:
                self._held.move_to_end(identity)
                return found.content
        try:
            return read_regular(self._place(identity), self._most, follow=False)
        except OSError:
            raise ApiError(
                404, "no_upload", "the query's picture is not here any more", "upload it again"
            ) from None

    def keep(self, identity: str) -> Upload:
        """Keeps a picture on the disk, so that a link to a search with it works tomorrow.

        Raises:
            ApiError: It is not there any more.
        """
        content = self.content(identity)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._place(identity), content, replace=True)
        return self.told(identity)

    def _place(self, identity: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", identity):
            raise ValueError(f"{identity!r:.80} names no upload")
        return self._folder / identity

    def _drop(self, identity: str) -> None:
        known = self._held.pop(identity, None)
        if known is not None:
            self._bytes -= len(known.content)

    def _tidy(self) -> None:
        now = time.monotonic()
        for identity in [name for name, item in self._held.items() if item.until < now]:
            self._drop(identity)
        while self._bytes > _BYTES and len(self._held) > 1:
            self._drop(next(iter(self._held)))
