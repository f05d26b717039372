"""Data of a collection that its mirror has not: what stands in their place, and how they are read."""

import zlib
from collections.abc import Iterator
from contextlib import suppress

from camseek.store.database import corrupt
from camseek.store.milvus.rows import Names, joined, parts_of, pieces
from camseek.store.milvus.server import TRACES, Server
from camseek.store.records import POINTS_TRACE

MIRRORED = frozenset({POINTS_TRACE})
"""The kinds of traces whose data a mirror has: the index of words is made of them. Of others it has lengths
alone."""
UNREAD = b""
"""What a mirror has in the place of a descriptor beside those in use that it has not read."""
HELD = "CASE WHEN length(data) > 20 THEN length(data) ELSE data END"
"""What is read of a trace's data for ``held_length``."""


def placeholder(length: int) -> bytes:
    """What a mirror has in the place of a trace's data that it has not: how long it is."""
    return b"%d" % length


def is_placeholder(held: bytes, crc: int) -> bool:
    """Whether what a mirror has of a trace is a ``placeholder``.

    Args:
        held: That.
        crc: The checksum of the trace's data.
    """
    return held.isdigit() and zlib.crc32(held) != crc


def held_length(held: bytes | int, crc: int) -> int:
    """The length of a trace of which a mirror has the data, their length (``placeholder``), or a number."""
    if isinstance(held, int):
        return held
    return int(held) if is_placeholder(held, crc) else len(held)


def length_of(held: bytes) -> int:
    """The length that a ``placeholder`` tells.

    Raises:
        ValueError: It is none.
    """
    return int(held)


def read_traces(
    server: Server, wanted: dict[tuple[bytes, str], tuple[int, int]]
) -> Iterator[tuple[tuple[bytes, str], bytes]]:
    """Traces by content and kind; one that is not there, or not whole, is left out.

    Args:
        server: The server.
        wanted: Length and checksum of each. What is given may have another: whoever asked compares.
    """
    names = Names(server.address.name)
    keys = {pair: names.trace(*pair, *told) for pair, told in wanted.items()}
    every = [key for some in keys.values() for key in some]
    parts = {row["key"]: row["text"] for row in server.rows_of(TRACES, every, ("key", "text"))}
    for pair, own in keys.items():
        with suppress(ValueError, TypeError):
            if all(key in parts for key in own):
                yield pair, joined(parts[key] for key in own)


def whitening_of(server: Server, epoch: str, parts: int) -> bytes:
    """The whitening of an epoch of a collection, which has so many parts.

    Raises:
        CorruptCollectionError: It is not there, or not whole.
    """
    keys = Names(server.address.name).whitening(epoch, parts)
    found = {row["key"]: row["text"] for row in server.rows_of(TRACES, keys, ("key", "text"))}
    try:
        return joined(found[key] for key in keys)
    except (KeyError, ValueError, TypeError) as error:
        raise corrupt(str(server.address), ValueError("its whitening is not whole")) from error


def put_whitening(server: Server, epoch: str, whitening: bytes | None, session: int, seq: int) -> int:
    """Writes the whitening of an epoch, if it has one; in how many parts."""
    if whitening is None:
        return 0
    parts = parts_of(len(whitening))
    keys = Names(server.address.name).whitening(epoch, parts)
    server.upsert(TRACES, pieces(keys, whitening, session, seq))
    return parts
