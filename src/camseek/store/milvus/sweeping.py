"""What is on a server and of no use any more: who may take it away, and when."""

import time
from collections.abc import Callable, Mapping
from itertools import islice

from camseek.store.milvus.pulling import State
from camseek.store.milvus.rows import Names
from camseek.store.milvus.server import PAGE, ROWS, TRACES, Server, pictures_of_length

DEAD = 3600.0
"""Seconds after which a commit that is not whole is nobody's any more, and a writer that has done nothing may
be forgotten."""
HEAD_TAKES = 90.0
"""Seconds after which nobody waits for one who was about to write a head: a call takes 60 at most."""


def sweep_epoch(server: Server, epoch: str) -> None:
    """Takes away descriptors, and their whitening, that are not in use."""
    names = Names(server.address.name)
    for name in server.picture_collections():
        rows = server.walk(name, names.epoch(epoch), ("key",))
        while some := list(islice(rows, PAGE)):
            server.delete(name, [row["key"] for row in some])
    old = server.walk(TRACES, f"{names.all}!w/{epoch}/", ("key",))
    server.delete(TRACES, [row["key"] for row in old])


def ended(mirror: State, now: State) -> dict[int, int]:
    """The last commit of each session that nobody goes on with: whole, or of one that was killed.

    Args:
        mirror: The state of a mirror, which remembers since when it knows of each.
        now: How far everybody has come.
    """
    over = idle(mirror, now)
    return {session: come.seq if session in over else come.whole for session, come in now.known.items()}


def idle(mirror: State, now: State, seconds: float | None = None) -> set[int]:
    """The sessions of which a mirror has seen nothing new for long: ``DEAD``; arguments as for ``ended``."""
    long_ago = time.time() - (DEAD if seconds is None else seconds)
    return {
        session
        for session, (first, _) in mirror.looked.items()
        if mirror.known.get(session) == now.known.get(session, ()) and first < long_ago
    }


def unheld(
    server: Server, lengths: Mapping[str, int], whole: Mapping[int, int], is_known: Callable[[bytes], bool]
) -> list[bytes]:
    """The contents of pictures that no file names: two had another idea of a file, or one was killed.

    Args:
        server: The server.
        lengths: The lengths of descriptors by epoch (``Head.lengths``).
        whole: The last commit of each session that nobody goes on with (``ended``): whoever is writing may be
            about to name one.
        is_known: Whether a mirror that is in step has a picture of this content.
    """
    names, fields = Names(server.address.name), ("key", "session", "seq", "content")
    found: set[bytes] = set()
    for epoch, length in lengths.items():
        for row in server.walk(pictures_of_length(length), names.epoch(epoch), fields):
            session, content = int(row["session"]), bytes.fromhex(row["content"])
            # One that is not there was forgotten after it had ended.
            if (session not in whole or int(row["seq"]) <= whole[session]) and not is_known(content):
                found.add(content)
    return sorted(found)


def forget(server: Server, sessions: set[int]) -> None:
    """Takes away the rows of sessions, and those that say what they took away.

    Whoever knows none of them, or not how far they came, looks at everything: the head has said so before.
    """
    names = Names(server.address.name)
    told = server.walk(ROWS, names.of_kind("gone"), ("key", "session"))
    server.delete(ROWS, [row["key"] for row in told if int(row["session"]) in sessions])
    server.delete(ROWS, [names.session(session) for session in sorted(sessions)])
