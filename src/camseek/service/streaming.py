"""Server-sent events."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable

from pydantic import BaseModel

from camseek.errors import CancelledError
from camseek.service.house import Rooms, in_thread, one_search
from camseek.service.problems import ApiError, told

_LOG = logging.getLogger("camseek.service")
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
    work: Callable[[Callable[[bytes], None], threading.Event], None],
    rooms: Rooms,
    *,
    whole: bool,
) -> AsyncGenerator[bytes]:
    """What work tells, as it tells it; it is stopped when nobody listens any more.

    Args:
        work: Called in a thread with what takes an event, and with what says that nobody listens.
        rooms: How many searches go on at once.
        whole: As ``problem_of`` has it.
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
            if not isinstance(error, ApiError | CancelledError):  # whoever asked has gone
                _LOG.warning("a search failed", exc_info=error)
            tell(event("problem", told(error, whole=whole)))
        finally:
            tell(None)

    async def begin() -> None:
        try:
            async with one_search(rooms, gone):
                await in_thread(rooms.searching, run)
        except ApiError as error:
            waiting.put_nowait(event("problem", error.problem))
            waiting.put_nowait(None)

    task = asyncio.ensure_future(begin())
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
