"""What callers give, looked at before any work: whole numbers, several things rather than one, names."""

import operator
import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, cast

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
