"""Work that goes on by itself: told how far it is, stopped, taken up again.

Each collection has one writer at a time, and one reader beside it. What a user asks for does not wait for an
update that takes hours: the update gives way, and goes on behind it.
"""

import itertools
import json
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from camseek.errors import CancelledError, CollectionBusyError, CollectionChangedError
from camseek.service.problems import OPENING, ApiError, told
from camseek.service.schema import JobRecord, Problem
from camseek.service.state import State, now

_LOG = logging.getLogger("camseek.service")
# Jobs of each kind and collection that are remembered once they have ended, and those that may wait.
_REMEMBERED = 100
_WAITING = 100
# Seconds until a job is tried again whose collection another process writes to.
_BUSY = 5.0
INCOMING = "incoming"
"""The argument that names the folder of a job's uploads."""
_ENDED = frozenset({"done", "failed", "cancelled"})
READING = frozenset({"batch", "groups", "dates"})
"""Kinds that change nothing: they wait for no writer, and no writer for them."""
_SHORT, _USUAL, _LONG = 1, 2, 3
_UPGRADES = ("upgrade", "undo_upgrade", "forget_upgrade", "discard_upgrade")
_URGENCY = {"add": _SHORT, "remove": _SHORT, **dict.fromkeys(_UPGRADES, _LONG)}
"""What a user waits for is done before everything else, and everything else before what takes the longest."""
_GIVING_WAY = frozenset({"index", "enrich", "upgrade", "undo_upgrade"})
"""What goes on where it was when it is begun again: it gives way to what is more urgent."""

Work = Callable[["Job"], dict[str, Any]]
"""Does a job and says what it did."""


@dataclass(slots=True, eq=False)
class Job:
    """A piece of work; a ``camseek.job.Progress`` of itself.

    Attributes:
        id: What it is known by.
        kind: What is done.
        collection: Of which.
        arguments: How, plain values.
        state: ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
        done: How many pictures are.
        total: Of how many; None where nobody knows yet.
        created: When it was asked for, UTC.
        ended: When it ended.
        report: What it did.
        problem: Why it failed.
        cancelled: Set to stop it.
        stopped: A user did so: it is not taken up again.
        paused: It gives way to another, and goes on behind it.
        carried: What it did before it gave way, by the names of its report.
    """

    id: str
    kind: str
    collection: str
    arguments: dict[str, Any]
    state: str = "waiting"
    done: int = 0
    total: int | None = None
    created: str = field(default_factory=now)
    ended: str | None = None
    report: dict[str, Any] | None = None
    problem: Problem | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False
    paused: bool = False
    carried: dict[str, int] = field(default_factory=dict[str, int])
    since: float = 0.0

    def start(self, total: int) -> None:
        """So many more pictures will be read."""
        if not self.since:
            self.since = time.monotonic()
        self.total = self.done + total

    def step(self) -> None:
        """One more picture is done."""
        self.done += 1

    def check(self) -> None:
        """Stops here where somebody has asked for it.

        Raises:
            CancelledError: Somebody has.
        """
        if self.cancelled.is_set():
            raise CancelledError("the work was cancelled", remedy="ask for it again")

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in _ENDED

    def record(self) -> JobRecord:
        """As it is told."""
        rate = left = None
        if self.state == "running" and self.done and self.since:
            rate = self.done / max(time.monotonic() - self.since, 1e-6)
            left = (self.total - self.done) / rate if self.total is not None else None
        return JobRecord(
            id=self.id,
            kind=self.kind,
            collection=self.collection,
            state=self.state,  # pyright: ignore[reportArgumentType]  # one of the five
            done=self.done,
            total=self.total,
            rate=None if rate is None else round(rate, 2),
            seconds_left=None if left is None else round(left, 1),
            created=self.created,
            ended=self.ended,
            report=self.report,
            problem=self.problem,
        )


class Jobs:
    """All work of a service, remembered; what was under way when it ended is taken up again."""

    def __init__(
        self,
        state: State,
        works: Mapping[str, Work],
        keys: Mapping[str, str],
        *,
        whole: bool = False,
        ended: Callable[[Job], None] = lambda _: None,
    ) -> None:
        """Takes what each kind of job does; ``begin`` starts the work.

        Args:
            state: Where jobs are remembered.
            works: What each kind does.
            keys: What each collection is known by from one service to the next, by its name: jobs of others
                are left alone.
            whole: Whether what fails is told in its own words (``problem_of``).
            ended: Told of each job that has ended, for good.
        """
        self._state, self._works, self._keys = state, works, dict(keys)
        self._whole, self._ended = whole, ended
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._queues: dict[str, queue.PriorityQueue[_Turn]] = {}
        self._turns = itertools.count()
        self._threads: list[threading.Thread] = []
        self._begun = self._closed = False
        names = {key: name for name, key in self._keys.items()}
        for row in state.rows(
            "SELECT id, kind, collection, arguments, state, done, total, created, ended, report, problem "
            "FROM jobs ORDER BY created, id"
        ):
            if row[2] in names:
                job = _job_of(row, names[row[2]])
                if not job.over:
                    job.state, job.done, job.total = "waiting", 0, None
                self._jobs[job.id] = job

    def begin(self, *, writing: bool = True) -> None:
        """Starts work: what was asked for, and what an earlier service had not ended.

        Args:
            writing: Whether jobs that change a collection are done; else they wait for another service.
        """
        self._begun = True
        for job in self.all()[::-1]:
            if not job.over and (writing or job.kind in READING):
                self._put(job)

    def open_folders(self) -> set[str]:
        """The folders of uploads that are still to be worked on."""
        return {job.arguments[INCOMING] for job in self.all() if not job.over and INCOMING in job.arguments}

    def knows(self, kind: str) -> bool:
        """Whether there is work of a kind."""
        return kind in self._works

    def ask(self, kind: str, collection: str, arguments: Mapping[str, Any]) -> Job:
        """Has work done; the same work that waits already is that one.

        Raises:
            StorageError: It cannot be remembered.
            ApiError: Too much waits already.
        """
        given = dict(arguments)
        with self._lock:
            waiting = [
                job for job in self._jobs.values() if job.collection == collection and job.state == "waiting"
            ]
            for job in waiting:
                if (job.kind, job.arguments) == (kind, given):
                    return job
            if len(waiting) >= _WAITING:
                raise ApiError(429, "busy", "so much waits already", "ask again when some of it is done")
            job = Job(secrets.token_hex(8), kind, collection, given)
            self._jobs[job.id] = job
        try:
            self._keep(job)
        except BaseException:
            with self._lock:
                del self._jobs[job.id]
            raise
        self._forget(job)
        if self._begun:
            self._put(job)
        return job

    def __getitem__(self, identity: str) -> Job:
        """A job.

        Raises:
            ApiError: There is none.
        """
        found = self._jobs.get(identity)
        if found is None:
            raise ApiError(404, "no_job", "there is no such job")
        return found

    def all(self, collection: str | None = None) -> list[Job]:
        """Those that are known, the latest first."""
        with self._lock:
            known = list(self._jobs.values())
        return [job for job in known if collection in (None, job.collection)][::-1]

    def running(self, collection: str) -> Job | None:
        """What changes a collection now, or will next."""
        found = (job for job in self.all(collection)[::-1] if not job.over)
        return next((job for job in found if job.kind not in READING), None)

    def latest(self, kind: str, collection: str) -> Job | None:
        """The last one of a kind that is done."""
        found = (job for job in self.all(collection) if job.kind == kind and job.state == "done")
        return next(found, None)

    def held(self, collection: str) -> int:
        """How many files the last update of a collection held back that are gone, and must be asked for."""
        found = self.latest("index", collection)
        return int((found.report or {}).get("held", 0)) if found else 0

    def cancel(self, job: Job) -> None:
        """Stops a job after the pictures that are under way; no later service takes it up."""
        with self._lock:
            waited = job.state == "waiting"
            if waited:
                job.state, job.ended = "cancelled", now()
            job.stopped = True
        job.cancelled.set()
        self._keep(job, "cancelled" if not job.over else job.state)
        if waited:
            self._ended(job)

    def close(self) -> None:
        """Stops what goes on, to be taken up by the next service, and waits for it."""
        with self._lock:
            self._closed = True
            queues, threads = list(self._queues.values()), list(self._threads)
        for job in self.all():
            job.cancelled.set()
        for waiting in queues:
            waiting.put(_Turn(0, 0, None))
        for thread in threads:
            thread.join()

    def _put(self, job: Job) -> None:
        place = _place(job)
        with self._lock:
            if place not in self._queues:
                waiting = self._queues[place] = queue.PriorityQueue[_Turn]()
                thread = threading.Thread(target=self._work, args=(waiting,), name=f"jobs {place}")
                thread.daemon = True
                self._threads.append(thread)
                thread.start()
            urgency = _urgency(job)
            for other in self._jobs.values():
                gives_way = other.kind in _GIVING_WAY and _urgency(other) > urgency
                if other.state == "running" and gives_way and _place(other) == place:
                    other.paused = True
                    other.cancelled.set()
            self._queues[place].put(_Turn(urgency, next(self._turns), job))

    def _work(self, waiting: "queue.PriorityQueue[_Turn]") -> None:
        while (job := waiting.get().job) is not None:
            try:
                if not self._closed and not job.over:
                    self._do(job)
            except Exception as error:  # whatever it is costs this job, and none that waits
                _LOG.exception("the job %s (%s) could not be told", job.id, job.kind)
                job.problem, job.state, job.ended = told(error, whole=self._whole), "failed", now()

    def _do(self, job: Job) -> None:
        with self._lock:
            if job.over:
                return
            job.state = "running"
        self._keep(job)
        state, report, problem = "done", None, None
        try:
            report = self._patiently(job)
        except CancelledError:
            if self._goes_on(job):
                return
            state = "cancelled"
        except Exception as error:  # the last place before the user: it is told, and the rest goes on
            _LOG.warning("the job %s (%s) failed", job.id, job.kind, exc_info=error)
            problem, state = told(error, whole=self._whole), "failed"
        job.report, job.problem, job.ended = report, problem, now()
        job.state = state
        self._keep(job)
        self._ended(job)

    def _goes_on(self, job: Job) -> bool:
        """Whether work that was stopped is to go on: by the next service, or behind what it gives way to."""
        with self._lock:
            if job.stopped:
                return False
            if self._closed:
                return True
            again, job.paused = job.paused, False
            if again:
                job.state, job.cancelled = "waiting", threading.Event()
        if again:
            self._put(job)
        return again

    def _patiently(self, job: Job) -> dict[str, Any]:
        """Does a job; while another process writes to its collection, again after some seconds."""
        while True:
            try:
                return self._works[job.kind](job)
            except CollectionChangedError:
                raise
            except (CollectionBusyError, ApiError) as error:
                if isinstance(error, ApiError) and error.problem.code != OPENING:
                    raise
                job.cancelled.wait(_BUSY)
            job.check()

    def _keep(self, job: Job, state: str | None = None) -> None:
        """Remembers a job, as in another state than it is where that is to hold for the next service."""
        values = (
            *(job.id, job.kind, self._keys[job.collection], json.dumps(job.arguments), state or job.state),
            *(job.done, job.total, job.created, job.ended),
            None if job.report is None else json.dumps(job.report),
            None if job.problem is None else job.problem.model_dump_json(),
        )
        marks = ", ".join("?" * len(values))
        # Not REPLACE: its rows would go with the old one.
        self._state.run(
            f"INSERT INTO jobs VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET state = excluded.state, "  # noqa: S608
            "done = excluded.done, total = excluded.total, ended = excluded.ended, report = excluded.report, "
            "problem = excluded.problem",
            values,
        )

    def _forget(self, like: Job) -> None:
        """Lets the oldest of a kind that have ended go, but never the last one that is done."""
        with self._lock:
            ended = [
                job
                for job in self._jobs.values()
                if job.over and (job.kind, job.collection) == (like.kind, like.collection)
            ]
            done = [job for job in ended if job.state == "done"][-1:]
            old = [job for job in ended[: max(len(ended) - _REMEMBERED, 0)] if job not in done]
            for job in old:
                del self._jobs[job.id]
        for job in old:
            self._state.run("DELETE FROM jobs WHERE id = ?", (job.id,))


@dataclass(frozen=True, slots=True, order=True)
class _Turn:
    """When a job's turn comes: the most urgent first, then as they came. Without one all is over."""

    urgency: int
    number: int
    job: Job | None = field(compare=False)


def _urgency(job: Job) -> int:
    return _URGENCY.get(job.kind, _USUAL)


def _place(job: Job) -> str:
    """Whose turn comes only when this one has ended."""
    return f"{job.collection} {'read' if job.kind in READING else 'write'}"


def _job_of(row: tuple[Any, ...], collection: str) -> Job:
    identity, kind, _, arguments, state, done, total, created, ended, report, problem = row
    return Job(
        *(identity, kind, collection, json.loads(arguments), state, done, total, created, ended),
        report=None if report is None else json.loads(report),
        problem=None if problem is None else Problem.model_validate_json(problem),
    )
