"""Work on many pictures at once: a few threads, in order, with bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

# So many results may wait for one slow picture before the threads wait too.
_WAITING = 4


def ordered(work: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Generator[Result]:
    """``map`` over threads: results come in the order of the items, few are held at a time.

    Each thread takes a picture from the disk to its descriptor, with one core each for the decoder, the
    network and NumPy. One core for each of several pictures beats several cores for one picture: nothing
    waits for its slowest part, and BLAS's threads never fight the network's.

    When the caller stops early (an interrupt), what has not begun is never begun.

    Args:
        work: Called in a thread; an exception from it is raised here, in its turn.
        items: What to work on.
        workers: Number of threads, 1 or more.
    """
    stopped = threading.Event()

    def guarded(item: Item) -> Result | None:
        return None if stopped.is_set() else work(item)

    waiting: deque[Future[Result | None]] = deque()
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers, "camseek") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(guarded, item))
                if len(waiting) >= workers * _WAITING:
                    yield waiting.popleft().result()  # pyright: ignore[reportReturnType]  # not stopped
            while waiting:
                yield waiting.popleft().result()  # pyright: ignore[reportReturnType]  # not stopped
        finally:
            stopped.set()
            for future in waiting:
                future.cancel()
