"""The collections that a service serves, and what their pictures are called."""

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from camseek.address import real_address
from camseek.backbones import Backbone
from camseek.config import Resize
from camseek.engine import Engine
from camseek.errors import CamseekError
from camseek.extraction.extractor import Extractor, FileMaps
from camseek.extraction.reading import PictureReader
from camseek.service.dates import Dates
from camseek.service.naming import Naming
from camseek.service.problems import OPENING, ApiError, told
from camseek.service.schema import Picture, Problem, TableRecord
from camseek.service.settings import ServiceSettings
from camseek.service.tables import Table, Tables
from camseek.store import CollectionInfo, StoredPicture

# A collection that cannot be used is tried again so often.
_AGAIN = 5.0
# Whoever asks waits so long, seconds, for one that is being opened.
_OPENING = 5.0
# Counts and folders are as old as this, seconds; a list's names too, where no picture came or went.
_COUNTED = 1.0
_LISTED = 60.0
# Lists that are kept of one moment, and names of a table that are told.
_LISTS = 16
_TOLD_NAMES = 100
THUMBNAIL = 360
"""The longer side of a thumbnail, pixels."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture of a list: its number, its first name as it is shown, and its date (nanoseconds; 0: none)."""

    record: int
    name: str
    modified: int = 0

    def key(self, order: str) -> "tuple[str, int, int]":
        """What pictures of an order are sorted by."""
        if order == "name":
            return self.name.casefold(), 0, self.record
        if order == "date":
            return "", -self.modified, self.record
        if order == "oldest":
            return "", self.modified, self.record
        return "", 0, -self.record if order == "newest" else self.record


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which pictures a list has, and in which order.

    Attributes:
        order: ``added``, ``newest``, ``name``, ``date`` (when they were taken, where that is told, or else of
            their files; the latest first) or ``oldest``.
        folder: Only those whose names begin with this folder; empty for all.
        text: Only those in whose names, or in what the user's table says of them, this stands, in any case;
            empty for all.
        column: Only those of which this column of the user's table says ``value``; empty for all.
        value: What it says of them; empty for those of which it says nothing.
    """

    order: str = "added"
    folder: str = ""
    text: str = ""
    column: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Listing:
    """All pictures at one moment, and lists of them that were asked for.

    Attributes:
        made: When.
        mark: What changes with the collection's pictures.
        all: They, as they came.
        table: The user's table that lists were made with.
        ambiguous: Names in it that several pictures have.
        lists: Those that were asked for.
    """

    made: float
    mark: tuple[int, ...]
    all: list[Listed]
    table: Table
    ambiguous: frozenset[str]
    lists: dict["Wanted", list[Listed]] = field(default_factory=dict["Wanted", list[Listed]])

    def columns(self, names: Sequence[str]) -> dict[str, str] | None:
        """What the table says of a picture of these names."""
        keys = (key for name in names if (key := self.table.key(name)) is not None)
        return next((self.table.row(key) for key in keys if key not in self.ambiguous), None)

    def value(self, name: str, column: str) -> str:
        """What a column says of a picture; empty where it says nothing."""
        return (self.columns([name]) or {}).get(column, "")


class Hosted:
    """A collection under its name; opened when it is first wanted, and again where that failed."""

    def __init__(
        self,
        name: str,
        address: str,
        settings: ServiceSettings,
        tables: Tables,
        dates: Dates,
        model: Backbone | None,
    ) -> None:
        """Takes a collection's name and address."""
        self._tables = tables
        self._dates = dates
        self.name = name
        self.address = address
        # Its name is anybody's; what is remembered of it is not to be taken for another's.
        self.key = hashlib.sha256(os.fsencode(real_address(address))).hexdigest()[:32]
        self._settings = settings
        self._model = model
        self._lock = threading.Lock()
        self._opener: threading.Thread | None = None
        self._since = 0.0
        self._closed = False
        self._engine: Engine | None = None
        self._failed: tuple[float, CamseekError] | None = None
        self._info: tuple[float, CollectionInfo] | None = None
        self._listing: _Listing | None = None
        self._looked = 0.0

    @property
    def engine(self) -> Engine:
        """The engine.

        It is opened in a thread of its own: where a disk does not answer, requests go away again.

        Raises:
            CamseekError: The collection or its model cannot be used.
            ApiError: It takes long to open.
        """
        if (opened := self._engine) is not None:
            return opened
        with self._lock:
            if self._opener is None:
                if self._failed and time.monotonic() - self._failed[0] < _AGAIN:
                    raise self._failed[1]
                self._since = time.monotonic()
                self._opener = threading.Thread(target=self._open, name=f"opening {self.name}", daemon=True)
                self._opener.start()
            opener = self._opener
        opener.join(max(self._since + _OPENING - time.monotonic(), 0.0))
        if (opened := self._engine) is not None:
            return opened
        if failed := self._failed:
            raise failed[1]  # that of the last time while it is tried again: a server that is down takes long
        later = {"retry-after": "5"}
        raise ApiError(503, OPENING, "the collection is being opened", "ask again in some seconds", **later)

    def _open(self) -> None:
        engine = failed = None
        try:
            engine = Engine.open(
                self.address,
                model=self._model,
                limits=self._settings.limits,
                shards=self._settings.shards,
                cluster=self._settings.cluster,
            )
            _ = engine.model  # loaded now: the first search need not wait, and health knows
        except CamseekError as error:
            if engine is not None:
                engine.close()
            engine, failed = None, error
        with self._lock:
            self._opener = None
            self._failed = None if failed is None else (time.monotonic(), failed)
            if not self._closed:
                self._engine = engine
                return
        if engine is not None:
            engine.close()

    @property
    def problem(self) -> Problem | None:
        """Why it cannot be used, or None."""
        try:
            engine = self.engine
            with engine.collection.snapshot():
                pass  # the descriptors of now: another program may have gone over to another network
            _ = engine.model
        except (ApiError, CamseekError) as error:
            return told(error, whole=self._settings.paths)
        return None

    def close(self) -> None:
        """Closes it."""
        with self._lock:
            self._closed = True
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
        self._info = self._listing = None

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
            date=_date(stored.modified_ns),
            taken=self._dates.of(stored.content),
            columns=(row := self.columns(names)),
            links=self._tables[self.key].addresses(row) if row else None,
            **more,
        )

    def columns(self, names: Sequence[str]) -> dict[str, str] | None:
        """What the user's table says of a picture of these names."""
        return self._listed().columns(names) if len(self._tables[self.key]) else None

    def values(self, column: str) -> list[tuple[str, int]]:
        """What a column of the user's table says, and of how many pictures; the most frequent first.

        Raises:
            ApiError: There is no such column.
        """
        listing = self._listed()
        if column not in listing.table.columns:
            raise ApiError(404, "no_column", "the table has no such column")
        counts = Counter(listing.value(item.name, column) for item in listing.all)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    def table(self) -> TableRecord:
        """What there is of the user's table, for the pictures that are here."""
        return self.told_of(self._tables[self.key])

    def told_of(self, table: Table) -> TableRecord:
        """The same of a table that may come in its place."""
        return _matched(table, self._listed().all)[0]

    def listed(self, wanted: Wanted) -> list[Listed]:
        """The pictures of a list, in order."""
        listing = self._listed()
        if (known := listing.lists.get(wanted)) is not None:
            return known
        found = listing.all
        if wanted.folder:
            beginning = wanted.folder.rstrip("/") + "/"
            found = [item for item in found if item.name.startswith(beginning)]
        if wanted.text:
            text = wanted.text.casefold()
            found = [item for item in found if text in self._text(item.name, listing)]
        if wanted.column:
            found = [item for item in found if listing.value(item.name, wanted.column) == wanted.value]
        if wanted.order != "added":
            found = sorted(found, key=lambda item: item.key(wanted.order))
        while len(listing.lists) >= _LISTS:
            listing.lists.pop(next(iter(listing.lists)), None)
        listing.lists[wanted] = found
        return found

    def _text(self, name: str, listing: _Listing) -> str:
        return "\n".join([name, *(listing.columns([name]) or {}).values()]).casefold()

    def _listed(self) -> _Listing:
        known, table = self._listing, self._tables[self.key]
        if known and known.table is table and time.monotonic() - self._looked < _COUNTED:
            return known
        records = self.engine.collection.catalogue.records()
        count = len(records)
        mark = (count, int(records[-1]), int(records.sum())) if count else (0, 0, 0)
        self._looked = time.monotonic()
        fresh = known and known.mark == mark and time.monotonic() - known.made < _LISTED
        if known and fresh and known.table is table:
            return known
        if known and fresh:
            found = known.all
        else:
            naming = self.naming
            found = [
                Listed(
                    picture.record,
                    naming.shown(picture.paths[0]),
                    self._dates.nanoseconds(picture.content) or picture.modified_ns or 0,
                )
                for picture in self.engine
                if picture.paths
            ]
        made = _Listing(time.monotonic(), mark, found, table, _matched(table, found)[1])
        self._listing = made
        return made

    def stored(self, some: list[Listed]) -> list[StoredPicture]:
        """Pictures of a list; those that have left are left out."""
        found = self.engine.collection.catalogue.pictures([item.record for item in some])
        return [found[item.record] for item in some if item.record in found]


def _date(nanoseconds: int | None) -> str | None:
    """A file's time; anybody may have set it, to years that no calendar has."""
    if nanoseconds is None:
        return None
    try:
        return datetime.fromtimestamp(nanoseconds // 10**9, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None


def _matched(table: Table, pictures: Sequence[Listed]) -> tuple[TableRecord, frozenset[str]]:
    """What a table says something of; names that several pictures have say nothing."""
    if not len(table):
        nothing = TableRecord(columns=list(table.columns), rows=0, matched=0, ambiguous=[], links=table.links)
        return nothing, frozenset()
    counts = Counter(key for item in pictures if (key := table.key(item.name)) is not None)
    several = sorted(key for key, count in counts.items() if count > 1)
    record = TableRecord(
        columns=list(table.columns),
        rows=len(table),
        matched=len(counts) - len(several),
        ambiguous=several[:_TOLD_NAMES],
        links=table.links,
    )
    return record, frozenset(several)


class Shelf:
    """Every collection by its name."""

    def __init__(
        self, settings: ServiceSettings, tables: Tables, dates: Dates, model: Backbone | None = None
    ) -> None:
        """Takes what is to be served; nothing is opened yet."""
        self._hosted = {
            name: Hosted(name, address, settings, tables, dates, model)
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
