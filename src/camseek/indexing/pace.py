"""How often long work is made permanent."""

import time

from camseek.store import Scribe

# A killed run loses at most this much.
_PICTURES = 16
_SECONDS = 1.0


class Pace:
    """Makes the work of a run permanent every second, or every so many pictures."""

    def __init__(self, writer: Scribe, *, pictures: int | None = None) -> None:
        self._writer, self._pictures = writer, pictures or _PICTURES
        self._committed, self._waiting = time.monotonic(), 0

    def step(self) -> None:
        """One picture more is done."""
        self._waiting += 1
        if self._waiting >= self._pictures or time.monotonic() - self._committed >= _SECONDS:
            self._writer.commit()
            self._committed, self._waiting = time.monotonic(), 0
