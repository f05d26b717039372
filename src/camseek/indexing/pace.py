"""How often long work is made permanent."""

import time

from camseek.store import Scribe

# A killed run loses at most this much.
_PICTURES = 16
_SECONDS = 1.0


class Pace:
    """Makes the work of a run permanent every second, or every 16 pictures."""

    def __init__(self, writer: Scribe) -> None:
        self._writer = writer
        self._committed, self._waiting = time.monotonic(), 0

    def step(self) -> None:
        """One picture more is done."""
        self._waiting += 1
        if self._waiting >= _PICTURES or time.monotonic() - self._committed >= _SECONDS:
            self._writer.commit()
            self._committed, self._waiting = time.monotonic(), 0
