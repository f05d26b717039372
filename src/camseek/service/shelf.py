"""The collections that a service serves, and what their pictures are called."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from camseek.backbones import Backbone
from camseek.config import Resize
from camseek.engine import Engine
from camseek.errors import CamseekError
from camseek.extraction.extractor import Extractor, FileMaps
from camseek.extraction.reading import PictureReader
from camseek.service.naming import Naming
from camseek.service.problems import ApiError, problem_of
from camseek.service.schema import Picture
from camseek.service.settings import ServiceSettings
from camseek.service.tables import Tables
from camseek.store import CollectionInfo, StoredPicture

# A collection that cannot be used is tried again so often.
_AGAIN = 5.0
# Counts and folders are as old as this, seconds; a list's names too, where no picture came or went.
_COUNTED = 1.0
_LISTED = 60.0
THUMBNAIL = 360
"""The longer side of a thumbnail, pixels."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture of a list: its number, and its first name as it is shown."""

    record: int
    name: str


class Hosted:
    """A collection under its name; opened when it is first wanted, and again where that failed."""

    def __init__(
        self, name: str, address: str, settings: ServiceSettings, tables: Tables, model: Backbone | None
    ) -> None:
        """Takes a collection's name and folder."""
        self._tables = tables
        self.name = name
        self.address = address
        # Its name is anybody's; what is remembered of it is not to be taken for another's.
        self.key = hashlib.sha256(os.fsencode(os.path.realpath(address))).hexdigest()[:32]
        self._settings = settings
        self._model = model
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._failed: tuple[float, CamseekError] | None = None
        self._info: tuple[float, CollectionInfo] | None = None
        self._listed: tuple[float, tuple[int, ...], list[Listed]] | None = None

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            CamseekError: The collection or its model cannot be used.
        """
        if (opened := self._engine) is not None:
            return opened
        with self._lock:
            if self._engine is None:
                if self._failed and time.monotonic() - self._failed[0] < _AGAIN:
                    raise self._failed[1]
                try:
                    engine = Engine.open(self.address, model=self._model, limits=self._settings.limits)
                    _ = engine.model  # loaded now: the first search need not wait, and health knows
                except CamseekError as error:
                    self._failed = time.monotonic(), error
                    raise
                self._engine, self._failed = engine, None
            return self._engine

    @property
    def reason(self) -> str | None:
        """Why it cannot be used, or None."""
        try:
            _ = self.engine.collection.profile
        except CamseekError as error:
            # Its message may name folders of the server.
            return f"{problem_of(error).title}: {error.code}"
        return None

    def close(self) -> None:
        """Closes it."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None

    def info(self) -> CollectionInfo:
        """Counts, a second old at most."""
        known = self._info
        if known is None or time.monotonic() - known[0] > _COUNTED:
            self._info = known = time.monotonic(), self.engine.info()
        return known[1]

    @property
    def naming(self) -> Naming:
        """What its pictures are called."""
        return Naming(self.info().roots)

    def forget(self) -> None:
        """Counts and lists are made anew: something was changed here."""
        self._info = self._listed = None

    def files(self, side: int = THUMBNAIL) -> FileMaps:
        """What reads its pictures' files, at a longer side, once they are seen to be what was indexed."""
        engine = self.engine
        reader = PictureReader(Resize("longer", side, side), 1, self._settings.limits)
        return FileMaps(Extractor(engine.model, reader), engine.collection.traces)

    def has(self, identity: str) -> bool:
        """Whether the collection has the picture of a content."""
        return self.engine.collection.catalogue.find(bytes.fromhex(identity)) is not None

    def find(self, identity: str) -> StoredPicture:
        """The picture of a content.

        Raises:
            ApiError: There is none.
        """
        catalogue = self.engine.collection.catalogue
        record = catalogue.find(bytes.fromhex(identity))
        found = None if record is None else catalogue.pictures([record]).get(record)
        if found is None:
            raise ApiError(404, "no_picture", "there is no such picture in the collection")
        return found

    def picture(self, stored: StoredPicture, **more: Any) -> Picture:
        """A picture as it is told."""
        naming = self.naming
        names = [naming.shown(path) for path in stored.paths]
        return Picture(
            id=stored.content.hex(),
            name=names[0] if names else "",
            names=names,
            size=stored.size,
            format=stored.format,
            bytes=stored.bytes,
            featureless=stored.featureless,
            columns=self.columns(names),
            **more,
        )

    def columns(self, names: Sequence[str]) -> dict[str, str] | None:
        """What the user's table says of a picture of these names."""
        table = self._tables[self.key]
        return next((row for name in names if (row := table.of(name)) is not None), None)

    def listed(self, order: str, folder: str, text: str) -> list[Listed]:
        """The pictures of a list, in order.

        Args:
            order: ``added``, ``newest`` or ``name``.
            folder: Only those whose names begin with this folder; empty for all.
            text: Only those in whose names, or in what the user's table says of them, this stands, in any
                case; empty for all.
        """
        found = self._all()
        if folder:
            beginning = folder.rstrip("/") + "/"
            found = [item for item in found if item.name.startswith(beginning)]
        if text:
            wanted = text.casefold()
            found = [item for item in found if wanted in self._text(item.name)]
        if order == "newest":
            return found[::-1]
        return (
            sorted(found, key=lambda item: (item.name.casefold(), item.record)) if order == "name" else found
        )

    def _text(self, name: str) -> str:
        return "\n".join([name, *(self.columns([name]) or {}).values()]).casefold()

    def _all(self) -> list[Listed]:
        catalogue = self.engine.collection.catalogue
        records = catalogue.records()
        count = len(records)
        mark = (count, int(records[-1]), int(records.sum())) if count else (0, 0, 0)
        known = self._listed
        if known and known[1] == mark and time.monotonic() - known[0] < _LISTED:
            return known[2]
        naming = self.naming
        found = [
            Listed(picture.record, naming.shown(picture.paths[0])) for picture in self.engine if picture.paths
        ]
        self._listed = time.monotonic(), mark, found
        return found

    def stored(self, some: list[Listed]) -> list[StoredPicture]:
        """Pictures of a list; those that have left are left out."""
        found = self.engine.collection.catalogue.pictures([item.record for item in some])
        return [found[item.record] for item in some if item.record in found]


class Shelf:
    """Every collection by its name."""

    def __init__(self, settings: ServiceSettings, tables: Tables, model: Backbone | None = None) -> None:
        """Takes what is to be served; nothing is opened yet."""
        self._hosted = {
            name: Hosted(name, address, settings, tables, model)
            for name, address in settings.collections.items()
        }

    def __iter__(self) -> Iterator[Hosted]:
        return iter(self._hosted.values())

    def __getitem__(self, name: str) -> Hosted:
        """A collection.

        Raises:
            ApiError: There is none of the name.
        """
        found = self._hosted.get(name)
        if found is None:
            raise ApiError(404, "no_collection", "there is no such collection")
        return found

    def close(self) -> None:
        """Closes them all."""
        for hosted in self:
            hosted.close()
