"""What callers give, looked at first: whole numbers, regions, several things rather than one, names."""

import math
import operator
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from difflib import get_close_matches
from typing import Any, cast

from camseek.errors import RegionError

_SINGLE: Any = (str, bytes, bytearray, memoryview, os.PathLike)


def whole_number(value: Any, what: str) -> int:
    """A whole number, whatever its type.

    Args:
        value: Python's, NumPy's, or another that counts.
        what: What it is, for the message.

    Raises:
        TypeError: It is none: text, a fraction, nothing, or a truth value.
    """
    try:
        if type(value) is not bool:
            return operator.index(value)
    except TypeError:
        pass
    raise TypeError(f"{what} is a whole number, not {value!r}")


def whole_numbers(values: Any, what: str) -> tuple[int, ...]:
    """Several whole numbers.

    Args:
        values: A list, say.
        what: What each is, for the message.

    Raises:
        TypeError: They are none, or a single one.
    """
    if hasattr(values, "tolist"):  # an array's rows are no numbers
        values = values.tolist()
    return tuple(whole_number(value, f"a {what}") for value in several(values, "numbers"))


def several(values: Any, what: str) -> Iterable[Any]:
    """Things of which there may be many, as they are.

    Args:
        values: A list, say. A single name or picture is refused, though its letters, rows or lines could be
            gone through as well.
        what: What they are, in the plural, for the message.

    Raises:
        TypeError: It is a single thing, or nothing.
    """
    kind = cast(Any, type(values))
    # An image of Pillow's, or an array that is no stack of pictures.
    pixels = hasattr(kind, "__array_interface__") and getattr(values, "ndim", 2) in (2, 3)
    if isinstance(values, _SINGLE) or hasattr(values, "read") or pixels or not isinstance(values, Iterable):
        raise TypeError(f"{what} are a list, also where there is one, not {kind.__name__}")
    return cast("Iterable[Any]", values)


def near(name: str, known: Iterable[str]) -> list[str]:
    """The one of the known names that a misspelt one is most like, whatever the case, or none."""
    by_fold = {item.casefold(): item for item in known}
    return [by_fold[item] for item in get_close_matches(name.casefold(), by_fold, 1)]


def meant(name: str, known: Iterable[str]) -> str:
    """What to say after a name that is not known: ``; did you mean gem?``, or nothing."""
    found = near(name, known)
    return f"; did you mean {found[0]}?" if found else ""


@dataclass(frozen=True, slots=True)
class Shares:
    """A region of a picture whose size need not be known: shares of its upright width and height.

    Attributes:
        x1: Where it begins, of the width, in [0, 1].
        y1: Where it begins, of the height.
        x2: Where it ends.
        y2: Where it ends.

    Raises:
        RegionError: A share is out of range, or the region is empty or reversed.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        if not (0 <= self.x1 < self.x2 <= 1 and 0 <= self.y1 < self.y2 <= 1):
            raise RegionError(
                f"the region {self} is empty, reversed or outside the picture",
                remedy="give x1,y1,x2,y2 with 0% <= x1 < x2 <= 100% and 0% <= y1 < y2 <= 100%",
            )

    def __str__(self) -> str:
        return ",".join(f"{100 * share:.10g}%" for share in astuple(self))

    def of(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The region in pixels of a picture of this width and height, each side to the nearest pixel."""
        width, height = size
        return (
            round(self.x1 * width),
            round(self.y1 * height),
            round(self.x2 * width),
            round(self.y2 * height),
        )


Region = tuple[int, int, int, int] | Shares
"""A region: ``(x1, y1, x2, y2)`` in pixels of the upright picture, half-open; or shares of the picture."""


def region_text(region: Region | None) -> str:
    """A region as people write it, so that ``read_region`` reads the same; nothing of all of the picture."""
    if region is None:
        return ""
    return ",".join(map(str, region)) if isinstance(region, tuple) else str(region)


def _no_region(value: Any) -> RegionError:
    return RegionError(
        f"{value!r} is no region",
        remedy="give x1,y1,x2,y2: four whole numbers of pixels (10,20,300,400), or four of per cent "
        "(10%,20%,50%,60%)",
    )


def read_region(value: Any) -> Region | None:
    """A region as people give it.

    Args:
        value: Four whole numbers; text such as ``"10,20,300,400"`` (pixels) or ``"10%,20%,50%,60%"``;
            ``Shares``; ``"whole"`` or None for all of the picture.

    Returns:
        The region; whether it lies within its picture is seen when that is opened.

    Raises:
        RegionError: It is none of these, or shares that cannot be.
    """
    if value is None or isinstance(value, Shares):
        return value
    if isinstance(value, str):
        return None if value.strip() == "whole" else _written(value)
    try:
        x1, y1, x2, y2 = whole_numbers(value, "corner")
    except (TypeError, ValueError) as error:
        raise _no_region(value) from error
    return x1, y1, x2, y2


def _written(text: str) -> Region:
    """A region from text."""
    parts = [part.strip() for part in text.split(",")]
    try:
        if all(part.endswith("%") for part in parts):
            x1, y1, x2, y2 = (float(part[:-1]) / 100 for part in parts)
            if not all(map(math.isfinite, (x1, y1, x2, y2))):
                raise ValueError
        else:
            x1, y1, x2, y2 = map(int, parts)
            return x1, y1, x2, y2
    except ValueError as error:
        raise _no_region(text) from error
    return Shares(x1, y1, x2, y2)
