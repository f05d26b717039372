"""Indexed folders that are watched: what changes in them is brought in by itself."""

import logging
import os
import threading

from watchfiles import watch

from camseek.address import is_server
from camseek.errors import CamseekError
from camseek.patterns import Patterns, Selection
from camseek.service.jobs import Jobs
from camseek.service.problems import ApiError
from camseek.service.settings import ServiceSettings
from camseek.service.shelf import Shelf

# Copies of large pictures come in pieces: brought in once nothing has come for so long, milliseconds.
_STILL = 2000
_LONGEST = 30_000
# Folders that are new, or were away, are looked for so often, seconds.
_LOOK = 10.0
# And while there is none at all.
_FIRST = 1.0
_LOG = logging.getLogger("camseek.service")


class Watcher:
    """Asks for an update of a folder whenever something in it has changed that an update would look at."""

    def __init__(self, shelf: Shelf, jobs: Jobs, settings: ServiceSettings) -> None:
        """Takes what is watched.

        Args:
            shelf: The collections whose folders are watched.
            jobs: Who is asked.
            settings: Where the service's own files lie: what it writes itself is no change.
        """
        self._shelf = shelf
        self._jobs = jobs
        folders = (place for place in settings.collections.values() if not is_server(place))
        own = (settings.state, *folders)
        self._own = tuple(os.path.realpath(place) + os.sep for place in own)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def begin(self) -> None:
        """Watches from now on."""
        self._thread.start()

    def close(self) -> None:
        """Watches no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _roots(self) -> dict[tuple[str, str], Patterns]:
        found: dict[tuple[str, str], Patterns] = {}
        for hosted in self._shelf:
            try:
                roots = hosted.info().roots.values()
            except (CamseekError, ApiError):
                continue  # its health says so
            there = ((os.fsdecode(root.path), root.patterns) for root in roots)
            found |= {(hosted.name, path): patterns for path, patterns in there if os.path.isdir(path)}
        return found

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                roots = self._roots()
                if roots:
                    self._watch(roots)
                else:
                    self._stop.wait(_FIRST)
            except Exception as error:  # too many folders for the system, a disk that went: others go on
                _LOG.warning("folders could not be watched, and are tried again: %s", error)
                self._stop.wait(_LOOK)

    def _watch(self, roots: dict[tuple[str, str], Patterns]) -> None:
        """Watches folders until there are others."""
        for collection, root in sorted(roots):
            # What changed before they were watched.
            self._jobs.ask("index", collection, {"folder": root})
        for changes in watch(
            *{root for _, root in roots},
            stop_event=self._stop,
            step=_STILL,
            debounce=_LONGEST,
            rust_timeout=int(_LOOK * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            self._ask(roots, {path for _, path in changes})
            if self._roots() != roots:
                return

    def _ask(self, roots: dict[tuple[str, str], Patterns], paths: set[str]) -> None:
        others = [path for path in paths if not os.path.realpath(path).startswith(self._own)]
        for (collection, root), patterns in sorted(roots.items(), key=lambda item: item[0]):
            inside, selection = root.rstrip(os.sep) + os.sep, Selection(patterns)
            inner = (os.fsencode(path[len(inside) :]) for path in others if path.startswith(inside))
            if any(map(selection.would_take, inner)):
                self._jobs.ask("index", collection, {"folder": root})
