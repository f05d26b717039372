"""Files beside the database, made of what it holds: which of them it names, and when one is written anew.

Such a file says by a token which database it was made of, and the database names the token. Numbers of
pictures are never used twice: what a file tells of one is right as long as the picture is there, whatever
came and went since. One that is lost, damaged, or of another token is not used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from camseek.store.reader import Reader

LEAST_SAVED = 1000
"""Of fewer pictures a file is made anew sooner than it is worth writing."""

# More are not read by every process that begins, however large the collection.
_MOST_UNSAVED = 20_000
_NAMED = "SELECT value FROM meta WHERE key = ?"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Saved:
    """What lies in a file: of how many pictures, and the last of them."""

    pictures: int = 0
    last: int = 0

    def needs(self, there: int, newer: int) -> bool:
        """Whether it is worth writing anew.

        Args:
            there: How many pictures there are now.
            newer: How many of them came after its last one.
        """
        new = max(there - self.pictures, newer)
        gone = self.pictures - (there - new)
        return new + gone >= min(max(LEAST_SAVED, self.pictures // 8), _MOST_UNSAVED)


def named(reader: Reader, key: str) -> str | None:
    """The token of the file that the database names in this row of ``meta``, or None. Inside a snapshot."""
    rows = reader.query(_NAMED, (key,), (str,))
    return rows[0][0] if rows else None


def taken_up(
    token: str, stamp: Callable[[str], bytes], there: int, read: Callable[[int], tuple[Found, bytes]]
) -> Found | None:
    """What lies in a file, as it was when it was written; None where there is none, or one of another token.

    Args:
        token: What the database names (``named``).
        stamp: What a file says that was written for a token.
        there: How many pictures there are.
        read: Opens the file, unless it is of more pictures than it is given; with what the file says.

    Raises:
        ValueError: The file is damaged, or of many more pictures than there are.
        OSError: It cannot be read, or is a link.
    """
    try:
        # It is written anew long before it has become twice as large as the collection.
        found, said = read(2 * (there + LEAST_SAVED))
    except FileNotFoundError:
        return None
    return found if said == stamp(token) else None
