"""Progress on stderr: a bar where there is a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import click

from camseek.cli.output import note
from camseek.words import counted

# So often a plain line is printed.
_SECONDS = 10.0

# What may be counted, in the plural, and one of it.
_ONE = {"pictures": "picture", "queries": "query"}


class _Bar:
    """A bar with rate and time left."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Any = None
        self._started = time.monotonic()

    def start(self, total: int) -> None:
        if self._bar is not None:
            self._bar.length += total  # another pass
        elif total:
            self._started = time.monotonic()
            self._bar = click.progressbar(
                length=total,
                label=self._what,
                file=sys.stderr,
                show_pos=True,
                show_eta=True,
                item_show_func=self._rate,
            )
            self._bar.render_progress()

    def _rate(self, _: object) -> str:
        seconds = time.monotonic() - self._started
        return f"{self._bar.pos / seconds:.1f} a second" if self._bar and seconds > 0 else ""

    def step(self) -> None:
        self._bar.update(1)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.render_finish()


class _Lines:
    """A line now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._total = self._done = 0
        self._started = self._told = time.monotonic()

    def start(self, total: int) -> None:
        # Work of several passes starts once for each, and the counts go on.
        self._total = self._done + total
        self._told = time.monotonic()
        if not self._done:
            self._started = self._told
        if total:
            note(f"{self._counted(total)} to read")

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        # Of the last one ``close`` tells.
        if now - self._told >= _SECONDS and self._done < self._total:
            self._told = now
            rate = self._done / (now - self._started)
            left = (self._total - self._done) / rate
            note(f"{self._done:,} of {self._counted(self._total)}, {rate:.1f} a second, {left:.0f} s left")

    def close(self) -> None:
        if self._done:
            seconds = max(time.monotonic() - self._started, 1e-9)
            note(f"{self._done:,} of {self._counted(self._total)}, {self._done / seconds:.1f} a second")

    def _counted(self, number: int) -> str:
        return counted(number, _ONE[self._what], self._what)


class Steps:
    """Tells of work whose parts do not know how much there is in all; the total is known at once."""

    def __init__(self, told: _Bar | _Lines, total: int) -> None:
        self._told = told
        told.start(total)

    def start(self, total: int) -> None:
        """A part begins."""

    def step(self) -> None:
        """One more is done."""
        self._told.step()


@contextmanager
def progress(what: str = "pictures") -> Generator[_Bar | _Lines]:
    """Shows how far a run is until it leaves.

    Args:
        what: What is counted, in the plural.
    """
    shown = _Bar(what) if sys.stderr.isatty() else _Lines(what)
    try:
        yield shown
    finally:
        shown.close()
