"""Everything a service is made of, put together once."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from camseek.backbones import Backbone
from camseek.errors import SettingsError
from camseek.job import processors
from camseek.service.dates import Dates
from camseek.service.folders import Folders
from camseek.service.jobs import Job, Jobs, Work
from camseek.service.metrics import Metrics
from camseek.service.problems import ApiError
from camseek.service.remote import Remote
from camseek.service.renders import Renders
from camseek.service.searches import Searches
from camseek.service.settings import ServiceSettings
from camseek.service.shelf import Shelf
from camseek.service.state import State
from camseek.service.surveys import Surveys
from camseek.service.tables import Tables
from camseek.service.tokens import TokenFile
from camseek.service.upgrades import Upgrades
from camseek.service.uploads import Uploads
from camseek.service.watching import Watcher
from camseek.service.work import Works

Result = TypeVar("Result")

# Decoding and drawing beside searches: each has a process of its own.
_DRAWING = 4
_FETCHING = 4
_OTHERS = 16
# So many searches may wait; whoever comes then is asked to come again.
_PATIENCE = 64
# A search may take so many seconds.
_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Rooms:
    """How many of each kind of work go on at once; all others wait, and hold no thread."""

    searching: CapacityLimiter
    drawing: CapacityLimiter
    fetching: CapacityLimiter
    others: CapacityLimiter


class House:
    """A service without its addresses.

    Attributes:
        settings: How it is run.
        tokens: Who may do what; None where whoever reaches it may do everything.
        shelf: The collections.
        tables: What users know of their pictures.
        uploads: Query pictures.
        renders: Small pictures.
        remote: Other servers' files.
        searches: Searches.
        jobs: Work that goes on by itself.
        folders: Folders of this machine that may be added.
        works: What jobs do that change a collection.
        surveys: What those do that only read.
        state: What it remembers.
        metrics: What it counts.
    """

    def __init__(self, settings: ServiceSettings, model: Backbone | None = None) -> None:
        """Puts it together; nothing goes on yet.

        Args:
            settings: How it is run.
            model: A model that is loaded already, for all collections; None for each one's own.

        Raises:
            SettingsError: The file of tokens cannot be used.
            StorageError: The service's own folder cannot.
        """
        self.settings = settings
        self.tokens = TokenFile(settings.token_file) if settings.token_file else None
        self.state = State(settings.state, settings.command)
        try:
            self._furnish(model)
        except BaseException:
            self.state.close()
            raise

    def _furnish(self, model: Backbone | None) -> None:
        settings = self.settings
        # Its folders begin with a dot: where it lies among pictures, index runs leave them out.
        self.tables = Tables(settings.state)
        dates = Dates(self.state, allowed=settings.dates)
        self.shelf = Shelf(settings, self.tables, dates, model)
        self.renders = Renders(settings.state, settings.limits)
        self.uploads = Uploads(settings.state, self.renders, settings.upload_bytes)
        self.searches = Searches(self.uploads, self.state, self.renders)
        self.remote = Remote(settings.remotes, settings.upload_bytes)
        self.folders = Folders(settings.folders)
        self.works = Works(self.shelf, self.renders, self.remote, dates, settings.state)
        self.surveys = Surveys(
            self.shelf, self.searches, self.remote, self.state, self.works.incoming, whole=settings.paths
        )
        upgrades = Upgrades(self.shelf, self.works.sweep_renders)
        works = self.works.by_kind() | self.surveys.by_kind() | upgrades.by_kind()
        kinds = {kind: partial(_by_name, self.shelf, work) for kind, work in works.items()}
        keys = {hosted.name: hosted.key for hosted in self.shelf}
        self.jobs = Jobs(self.state, kinds, keys, whole=settings.paths, ended=self.works.clear)
        self.metrics = Metrics()
        self._watcher = Watcher(self.shelf, self.jobs, settings) if settings.watch else None
        self._rooms: Rooms | None = None

    @property
    def rooms(self) -> Rooms:
        """How much goes on at once; of the event loop that asks first."""
        if self._rooms is None:
            self._rooms = Rooms(
                CapacityLimiter(max(processors(), 1)),
                CapacityLimiter(_DRAWING),
                CapacityLimiter(_FETCHING),
                CapacityLimiter(_OTHERS),
            )
        return self._rooms

    def begin(self) -> None:
        """Takes up work that had not ended, and opens the collections meanwhile."""
        self.works.sweep(self.jobs.open_folders())
        self.jobs.begin(writing=not self.settings.read_only)
        if self.settings.dates:
            for hosted in self.shelf:
                self.jobs.ask("dates", hosted.name, {})
        if self._watcher is not None:
            self._watcher.begin()
        threading.Thread(target=self._open, name="opening", daemon=True).start()

    def _open(self) -> None:
        for hosted in self.shelf:
            _ = hosted.problem  # whoever asks for its health hears of it

    def close(self) -> None:
        """Ends work, to be taken up by the next service, and closes what is open."""
        if self._watcher is not None:
            self._watcher.close()
        self.jobs.close()
        self.shelf.close()
        self.state.close()


def _by_name(shelf: Shelf, work: Work, job: Job) -> dict[str, Any]:
    """Work on a collection; what is wrong with its settings is told by its name, not by its place."""
    try:
        return work(job)
    except SettingsError as error:
        hosted = shelf[job.collection]
        message = error.message.replace(hosted.engine.collection.address, hosted.name)
        raise SettingsError(message, remedy=error.remedy) from error


@asynccontextmanager
async def one_search(rooms: Rooms, gone: threading.Event) -> AsyncGenerator[None]:
    """Makes sure that a search is not one too many, and ends it where it takes too long.

    Raises:
        ApiError: Too many wait.
    """
    if rooms.searching.statistics().tasks_waiting >= _PATIENCE:
        raise ApiError(
            503, "busy", "too many searches wait", "ask again in some seconds", **{"retry-after": "5"}
        )
    late = asyncio.get_running_loop().call_later(_SECONDS, gone.set)
    try:
        yield
    finally:
        late.cancel()


async def in_thread(room: CapacityLimiter, work: Callable[[], Result]) -> Result:
    """Does something that blocks, in a thread, once there is room."""
    return await to_thread.run_sync(work, limiter=room)


async def until_gone(receive: Callable[[], Any], gone: threading.Event) -> None:
    """Waits until the client has gone, and says so."""
    while (await receive())["type"] != "http.disconnect":
        await anyio.sleep(0)
    gone.set()
