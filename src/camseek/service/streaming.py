"""Server-sent events."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

from pydantic import BaseModel

from camseek.service.house import in_thread
from camseek.service.problems import told

_QUIET = 15.0
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
EVENTS = "text/event-stream"


def event(name: str, record: BaseModel) -> bytes:
    """An event of a record."""
    return f"event: {name}\ndata: {record.model_dump_json()}\n\n".encode()


def headers() -> dict[str, str]:
    """Of an answer that comes bit by bit: nothing in between may hold it back."""
    return dict(_HEADERS)


async def events_of(
    work: Callable[[Callable[[bytes], None], threading.Event], None], room: Any
) -> AsyncGenerator[bytes]:
    """What work tells, as it tells it; it is stopped when nobody listens any more.

    Args:
        work: Called in a thread with what takes an event, and with what says that nobody listens.
        room: How much of such work goes on at once.
    """
    loop, waiting, gone = asyncio.get_running_loop(), asyncio.Queue[bytes | None](), threading.Event()

    def tell(item: bytes | None) -> None:
        # Where the loop has ended nobody listens.
        if not loop.is_closed():
            loop.call_soon_threadsafe(waiting.put_nowait, item)

    def run() -> None:
        try:
            work(tell, gone)
        except Exception as error:  # what failed is an event, too: the answer has begun
            tell(event("problem", told(error)))
        finally:
            tell(None)

    task = asyncio.ensure_future(in_thread(room, run))
    try:
        while True:
            try:
                item = await asyncio.wait_for(waiting.get(), _QUIET)
            except TimeoutError:
                yield b": still there\n\n"
                continue
            if item is None:
                return
            yield item
    finally:
        gone.set()
        # It ends by itself, and holds no client.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
