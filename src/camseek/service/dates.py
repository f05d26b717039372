"""When photographs were taken, where the service's owner lets that be told: read once, and remembered."""

import io
from datetime import UTC, datetime

from camseek.extraction.extractor import FileMaps
from camseek.images.taken import taken
from camseek.results import Skipped
from camseek.service.state import State
from camseek.store import StoredPicture


class Dates:
    """Of each picture that was looked at, when it was taken; nothing at all where that is not to be told."""

    def __init__(self, state: State, *, allowed: bool) -> None:
        """Takes what remembers them.

        Args:
            state: It.
            allowed: Whether they may be read and told.
        """
        self.allowed = allowed
        self._state = state
        self._known: dict[bytes, str | None] = {}
        if allowed:
            rows = state.rows("SELECT picture, taken FROM dates")
            self._known = {bytes.fromhex(picture): when for picture, when in rows}

    def of(self, content: bytes) -> str | None:
        """When the picture of a content was taken, as ``images.taken`` tells it; None where nobody knows."""
        return self._known.get(content)

    def nanoseconds(self, content: bytes) -> int | None:
        """The same to sort by, as if it were UTC."""
        when = self.of(content)
        if when is None:
            return None
        return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()) * 10**9

    def learn(self, files: FileMaps, picture: StoredPicture) -> None:
        """Looks at a picture's file, where that was not done; one that cannot be read is looked at again."""
        if not self.allowed or picture.content in self._known:
            return
        content = files.content(picture)
        if isinstance(content, Skipped):
            return
        when = taken(io.BytesIO(content))
        self._state.run("INSERT OR REPLACE INTO dates VALUES (?, ?)", (picture.content.hex(), when))
        self._known[picture.content] = when
