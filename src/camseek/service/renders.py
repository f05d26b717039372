"""Pictures as pages show them: small upright JPEGs without anything of their files but pixels."""

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from camseek.config import Limits, Resize
from camseek.extraction.attention import Attention, attention, view
from camseek.extraction.classes import require_class_ids
from camseek.extraction.extractor import Extractor, FileMaps
from camseek.extraction.reading import PictureReader
from camseek.images import Picture
from camseek.report import heat_overlay
from camseek.results import Skipped
from camseek.service.problems import ApiError
from camseek.service.shelf import THUMBNAIL, Hosted
from camseek.store import StoredPicture
from camseek.writing import write_whole


class Side(IntEnum):
    """The longer side of a view, pixels."""

    SMALL = 640
    MEDIUM = 1024
    LARGE = 1600
    LARGEST = 2560


_QUALITY = {THUMBNAIL: 78}
# Views on the disk, and those of uploads in memory, take so much at most.
_DISK = 1 << 29
_MEMORY = 1 << 25
_SWEEP = 64


def jpeg(picture: Picture, quality: int = 85) -> bytes:
    """A picture's pixels as a JPEG file; they are sRGB, so it says nothing more."""
    data = io.BytesIO()
    Image.fromarray(picture.pixels).save(data, "JPEG", quality=quality)
    return data.getvalue()


class Renders:
    """Small pictures of stored ones, made once and kept in files; thumbnails for good."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Takes a folder of the service's own."""
        self._thumbnails = folder / ".thumbnails"
        self._views = folder / ".views"
        self._limits = limits
        self._made = 0
        self._lock = threading.Lock()
        self._uploads: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._held = 0

    def made(self, picture: StoredPicture, side: int) -> Path | None:
        """The file of a picture that was made already, or None."""
        place = self._place(picture, side)
        with suppress(OSError):
            if side != THUMBNAIL:
                os.utime(place)  # what is looked at is swept out last
            return place if place.is_file() else None
        return None

    def place(self, hosted: Hosted, picture: StoredPicture, side: int) -> Path:
        """The file of a stored picture at a longer side, made now if it is not there.

        Raises:
            ApiError: Its file has gone or cannot be used, and it was never made.
            StorageError: It cannot be kept.
        """
        place = self._place(picture, side)
        if not place.is_file():
            seen = hosted.files(side).read(picture)
            if isinstance(seen, Skipped):
                raise ApiError(410, seen.code, f"it cannot be shown: {seen.reason}")
            self._keep(place, jpeg(seen, _QUALITY.get(side, 85)))
            if side != THUMBNAIL:
                self._sweep()
        return place

    def heat(self, hosted: Hosted, picture: StoredPicture, classes: Sequence[int]) -> bytes:
        """A PNG of where the network looks in a stored picture, to be stretched over it.

        Args:
            hosted: The collection.
            picture: The picture.
            classes: Ids of what to look for; none for what it sees most.

        Raises:
            ApiError: Its file has gone or cannot be used.
            SettingsError: There is no such class.
        """
        engine = hosted.engine
        require_class_ids(engine.model, classes)
        extractor = Extractor.of(engine.model, engine.settings.size, self._limits)
        seen = FileMaps(extractor, engine.collection.traces).see(picture)
        if isinstance(seen, Skipped):
            raise ApiError(410, seen.code, f"it cannot be shown: {seen.reason}")
        wanted = Attention(np.array(classes, np.int64), np.ones(len(classes), np.float32))
        return heat_overlay(
            view(engine.model, seen, wanted if classes else attention(seen.activations.scores))
        )

    def has_thumbnail(self, picture: StoredPicture) -> bool:
        """Whether a picture's thumbnail is kept."""
        return self._place(picture, THUMBNAIL).is_file()

    def drop(self, identity: str) -> None:
        """Lets a picture's small ones go, which has left every collection."""
        for place in (self._thumbnail(identity), *(self._view(identity, side) for side in Side)):
            place.unlink(missing_ok=True)

    def keep_only(self, wanted: Collection[str]) -> None:
        """Lets all of those go whose pictures are not among these."""
        kept = (*self._thumbnails.glob("??/*.jpg"), *self._views.glob("*.jpg"))
        for place in kept:
            if place.stem.partition("-")[0] not in wanted:
                place.unlink(missing_ok=True)

    def of_upload(self, identity: str, content: bytes, side: int) -> bytes:
        """A query picture as a JPEG file, which no disk keeps.

        Raises:
            PictureError: It cannot be used.
        """
        key = identity, side
        with self._lock:
            if key in self._uploads:
                self._uploads.move_to_end(key)
                return self._uploads[key]
        made = jpeg(self.read(io.BytesIO(content), side))
        with self._lock:
            if key not in self._uploads:
                self._uploads[key] = made
                self._held += len(made)
            while self._held > _MEMORY and len(self._uploads) > 1:
                self._held -= len(self._uploads.popitem(last=False)[1])
        return made

    def read(self, file: BinaryIO, side: int) -> Picture:
        """Decodes a picture at a longer side.

        Raises:
            PictureError: It cannot be used.
        """
        return PictureReader(Resize("longer", side, side), 1, self._limits).read(file)

    def _place(self, picture: StoredPicture, side: int) -> Path:
        name = picture.content.hex()
        return self._thumbnail(name) if side == THUMBNAIL else self._view(name, side)

    def _thumbnail(self, identity: str) -> Path:
        return self._thumbnails / identity[:2] / f"{identity}.jpg"

    def _view(self, identity: str, side: int) -> Path:
        return self._views / f"{identity}-{side}.jpg"

    def _keep(self, place: Path, content: bytes) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        # Another thread may have made the same meanwhile.
        write_whole(place, content, replace=True)

    def _sweep(self) -> None:
        """Lets the oldest views go where they are many."""
        with self._lock:
            self._made += 1
            if self._made % _SWEEP:
                return
        found: list[tuple[float, int, str]] = []
        with os.scandir(self._views) as entries:
            for entry in entries:
                with suppress(OSError):
                    said = entry.stat()
                    found.append((said.st_mtime, said.st_size, entry.path))
        over = sum(size for _, size, _ in found) - _DISK
        for _, size, path in sorted(found):
            if over <= 0:
                return
            with suppress(OSError):
                os.unlink(path)
                over -= size
