"""Parts of a collection on a server, each of which another process holds: ranges of contents."""

from dataclasses import dataclass

from camseek.arguments import whole_number
from camseek.store.records import MOST_SHARDS

_DIGITS = 8
_ALL = 16**_DIGITS


@dataclass(frozen=True, slots=True)
class Part:
    """The pictures whose contents lie in one of several ranges that are as wide.

    Contents are digests: the parts are about as large, and nobody need write down what lies where.

    Attributes:
        number: Which, from 0.
        of: How many there are.

    Raises:
        ValueError: There is no such part.
        TypeError: A number is no whole one.
    """

    number: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        for key in ("number", "of"):
            object.__setattr__(self, key, whole_number(getattr(self, key), key))
        if not 1 <= self.of <= MOST_SHARDS or not 0 <= self.number < self.of:
            raise ValueError(f"there is no part {self.number} of {self.of}")

    def __str__(self) -> str:
        """For people, who count from 1."""
        return f"{self.number + 1} of {self.of}"

    @property
    def is_whole(self) -> bool:
        """Whether it is everything."""
        return self.of == 1

    def holds(self, content: bytes) -> bool:
        """Whether a picture of this content is in it."""
        return number_of(content, self.of) == self.number

    @property
    def condition(self) -> str:
        """What is added to a filter for rows of pictures, or of their files."""
        low, high = (_bound(number, self.of) for number in (self.number, self.number + 1))
        above = f' and content >= "{low}"' if self.number else ""
        return above + (f' and content < "{high}"' if self.number + 1 < self.of else "")

    @property
    def condition_of_rows(self) -> str:
        """The same for rows some of which are of no picture: these are in every part."""
        return "" if self.is_whole else f' and (content == "" or ({self.condition.removeprefix(" and ")}))'


WHOLE = Part()
"""All of a collection."""


def number_of(content: bytes, of: int) -> int:
    """In which of so many parts a content is."""
    # The last that begins at it or before it: a bound is rounded up.
    return int(content.hex()[:_DIGITS] or "0", 16) * of // _ALL


def _bound(number: int, of: int) -> str:
    """Where a part begins: the least digits that belong to it."""
    return f"{-(-number * _ALL // of):0{_DIGITS}x}"
