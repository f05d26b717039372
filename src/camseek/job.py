"""How a piece of work is done: limits, threads, progress, and whether to go on."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from threadpoolctl import threadpool_limits

from camseek.arguments import whole_number
from camseek.config import Limits
from camseek.errors import CancelledError

Item = TypeVar("Item")
Result = TypeVar("Result")

# So many results may wait for one slow picture before the threads wait too.
_WAITING = 4


@runtime_checkable
class Progress(Protocol):
    """Told how far a run is."""

    def start(self, total: int) -> None:
        """So many pictures will be read."""
        ...

    def step(self) -> None:
        """One more picture is done."""
        ...


class Quiet:
    """No progress."""

    def start(self, total: int) -> None:
        """Says nothing."""

    def step(self) -> None:
        """Says nothing."""


@runtime_checkable
class Executor(Protocol):
    """What does work that can travel elsewhere than in this process's threads."""

    def map(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        lost: Callable[[Item, str], Result],
        check: Callable[[], None],
    ) -> Generator[Result]:
        """Results in the order of the items, few held at a time.

        Args:
            work: What is done; it can be pickled, and so can items and results. An exception from it is
                raised here.
            items: What to work on; asked for here, one after the other.
            lost: Makes the result of an item on which workers die, and why.
            check: Called at least every few seconds; raises where the work is to stop.
        """
        ...


def processors() -> int:
    """Processors that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run may spend, whom it tells, and who may stop it.

    Attributes:
        limits: What this machine may spend on one picture.
        workers: Threads, 1 or more.
        progress: Told of each picture.
        cancelled: Whoever sets it stops the run after the pictures that are under way.
        executor: What does work that can travel; None for the threads.

    Raises:
        ValueError: ``workers`` is below 1.
        TypeError: ``workers`` is no whole number, or ``limits`` are none.
    """

    limits: Limits = field(default_factory=Limits)
    workers: int = field(default_factory=processors)
    progress: Progress = field(default_factory=Quiet)
    cancelled: threading.Event | None = None
    executor: Executor | None = None

    def __post_init__(self) -> None:
        given: Any = self.limits
        if not isinstance(given, Limits):
            raise TypeError(f"limits are camseek.Limits, not {given!r}")
        object.__setattr__(self, "workers", whole_number(self.workers, "workers"))
        if self.workers < 1:
            raise ValueError(f"{self.workers} workers")
        if self.cancelled is not None and not hasattr(self.cancelled, "is_set"):
            raise TypeError(f"cancelled is a threading.Event, not {self.cancelled!r}")

    @classmethod
    def of(
        cls,
        limits: Limits | None,
        workers: int | None,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Job":
        """A job of what callers give: None for the default limits, one thread a core, and nobody told."""
        return cls(
            limits=limits or Limits(),
            workers=processors() if workers is None else workers,
            progress=progress or Quiet(),
            cancelled=cancelled,
        )

    def quiet(self) -> "Job":
        """The same without progress."""
        return replace(self, progress=Quiet())

    def told(self, progress: Progress | None, cancelled: threading.Event | None = None) -> "Job":
        """The same with another's progress and stop, where there are any.

        Raises:
            CancelledError: It was stopped before it began.
        """
        told = replace(self, progress=progress or self.progress, cancelled=cancelled or self.cancelled)
        told.check()
        return told

    def check(self) -> None:
        """Stops here where somebody has asked for it.

        Raises:
            CancelledError: Somebody has.
        """
        if self.cancelled is not None and self.cancelled.is_set():
            raise CancelledError("the work was cancelled", remedy="start it again; what was done is kept")

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result]:
        """``ordered`` with this job's threads.

        Raises:
            CancelledError: Somebody has asked to stop.
        """
        with closing(ordered(work, items, workers=self.workers)) as results:
            for result in results:
                yield result
                self.check()

    def spread(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        lost: Callable[[Item, str], Result],
    ) -> Generator[Result]:
        """``map`` of work that can travel: with this job's executor, where it has one.

        Args:
            work: As ``Executor.map``, and so are the others.
            items: What to work on.
            lost: Makes the result of an item on which workers die.

        Raises:
            CancelledError: Somebody has asked to stop.
        """
        if self.executor is None:
            results = self.map(work, items)
        else:
            results = self.executor.map(work, items, lost=lost, check=self.check)
        with closing(results):
            for result in results:
                yield result
                self.check()


class _OneThread:
    """Keeps BLAS to one thread while any work is under way; a limit is the whole process's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._keeper: ThreadPoolExecutor | None = None
        self._limits: Future[Any] | None = None

    @contextmanager
    def __call__(self) -> Generator[None]:
        with self._lock:
            # Each would put back what it found: of two that overlap, the one that leaves last would put back
            # the other's limit, and BLAS would have one thread for ever.
            if not self._inside:
                # A limit is lifted by the thread that set it alone (threadpoolctl 3.8), and whoever leaves
                # last may be another than whoever came first: so by a thread of its own, which then ends.
                self._keeper = ThreadPoolExecutor(1, "one-blas-thread")
                self._limits = self._keeper.submit(threadpool_limits, 1, user_api="blas")
            self._inside += 1
            limits = self._limits
        try:
            if limits is not None:
                limits.result()
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside and self._keeper is not None and limits is not None:
                    self._keeper.submit(_lift, limits)
                    self._keeper.shutdown()
                    self._keeper = self._limits = None


def _lift(limits: Future[Any]) -> None:
    limits.result().restore_original_limits()


one_blas_thread = _OneThread()
"""A context in which BLAS has one thread; several may be open at once, in any order."""


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
    with one_blas_thread(), ThreadPoolExecutor(workers, "camseek") as pool:
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
