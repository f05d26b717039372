"""JSON from elsewhere: how much it holds is looked at before it is built."""

import json
from collections.abc import Callable
from typing import Any

_LONGEST_NUMBER = 400  # characters; converting takes the square of them


class TooMuchError(ValueError):
    """It holds more, deeper, or longer numbers than it can be meant to."""


def loads(
    content: bytes,
    most: int,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The values in JSON.

    Args:
        content: The JSON.
        most: So many values are built at most.
        object_pairs_hook: As ``json.loads`` takes it.

    Raises:
        TooMuchError: It holds more values, values too deep within values, or a number of hundreds of digits.
        ValueError: It is no JSON.
    """
    # Each value but the first follows one of these; those within texts count as well.
    if (values := sum(map(content.count, (b",", b"[", b"{", b":")))) > most:
        raise TooMuchError(f"it holds some {values:,} values, and {most:,} are read at most")
    try:
        return json.loads(content, object_pairs_hook=object_pairs_hook, parse_int=_whole, parse_float=_real)
    except RecursionError as error:
        raise TooMuchError("its values lie too deep within each other") from error


def _whole(text: str) -> int:
    return int(_short(text))


def _real(text: str) -> float:
    return float(_short(text))


def _short(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        raise TooMuchError(f"it holds a number of {len(text):,} characters")
    return text
