"""Indexed folders that are watched: what changes in them is brought in by itself."""

import os
import threading
from collections.abc import Iterator

from watchfiles import watch

from camseek.errors import CamseekError
from camseek.service.jobs import Jobs
from camseek.service.shelf import Shelf

# Copies of large pictures come in pieces: brought in once nothing has come for so long, milliseconds.
_STILL = 2000
_LONGEST = 30_000
# Folders that are new, or were away, are looked for so often, seconds.
_LOOK = 10.0
# And while there is none at all.
_FIRST = 1.0


class Watcher:
    """Asks for an update of a folder whenever something in it has changed."""

    def __init__(self, shelf: Shelf, jobs: Jobs) -> None:
        self._shelf = shelf
        self._jobs = jobs
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

    def _roots(self) -> Iterator[tuple[str, str]]:
        for hosted in self._shelf:
            try:
                roots = list(hosted.info().roots)
            except CamseekError:
                continue  # its health says so
            for root in map(os.fsdecode, roots):
                if os.path.isdir(root):
                    yield hosted.name, root

    def _run(self) -> None:
        known: set[tuple[str, str]] = set()
        while not self._stop.is_set():
            roots = set(self._roots())
            for collection, root in sorted(roots - known):
                # What changed before it was watched.
                self._jobs.ask("index", collection, {"folder": root})
            known = roots
            if roots:
                self._watch(roots)
            else:
                self._stop.wait(_FIRST)

    def _watch(self, roots: set[tuple[str, str]]) -> None:
        """Watches folders until there are others."""
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
            if set(self._roots()) != roots:
                return

    def _ask(self, roots: set[tuple[str, str]], paths: set[str]) -> None:
        for collection, root in sorted(roots):
            inside = root.rstrip(os.sep) + os.sep
            if any(path.startswith(inside) for path in paths):
                self._jobs.ask("index", collection, {"folder": root})
