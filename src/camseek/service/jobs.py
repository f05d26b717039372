"""Work that goes on by itself: told how far it is, stopped, taken up again.

Each collection has one writer at a time, and one reader beside it.
"""

import json
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from camseek.errors import CancelledError
from camseek.service.problems import ApiError, told
from camseek.service.schema import JobRecord, Problem
from camseek.service.state import State, now

_LOG = logging.getLogger("camseek.service")
_REMEMBERED = 200
_ENDED = frozenset({"done", "failed", "cancelled"})
READING = frozenset({"batch", "groups"})
"""Kinds that change nothing: they wait for no writer, and no writer for them."""

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
    since: float = 0.0

    def start(self, total: int) -> None:
        """So many more pictures will be read."""
        if not self.since:
            self.since = time.monotonic()
        self.total = self.done + total

    def step(self) -> None:
        """One more picture is done."""
        self.done += 1

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

    def __init__(self, state: State, works: Mapping[str, Work], *, whole: bool = False) -> None:
        """Takes what each kind of job does; ``begin`` starts the work.

        Args:
            state: Where jobs are remembered.
            works: What each kind does.
            whole: Whether what fails is told in its own words (``problem_of``).
        """
        self._whole = whole
        self._state = state
        self._works = works
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._queues: dict[str, queue.Queue[Job | None]] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False
        for row in state.rows(
            "SELECT id, kind, collection, arguments, state, done, total, created, ended, report, problem "
            "FROM jobs ORDER BY created, id"
        ):
            self._jobs[row[0]] = _job_of(row)

    def begin(self) -> None:
        """Takes up what had not ended."""
        for job in list(self._jobs.values()):
            if not job.over:
                job.state, job.done, job.total = "waiting", 0, None
                self._put(job)

    def knows(self, kind: str) -> bool:
        """Whether there is work of a kind."""
        return kind in self._works

    def ask(self, kind: str, collection: str, arguments: Mapping[str, Any]) -> Job:
        """Has work done; the same work that waits already is that one.

        Raises:
            StorageError: It cannot be remembered.
        """
        given = dict(arguments)
        with self._lock:
            for job in self._jobs.values():
                same = (job.kind, job.collection, job.arguments) == (kind, collection, given)
                if same and job.state == "waiting":
                    return job
            job = Job(secrets.token_hex(8), kind, collection, given)
            self._jobs[job.id] = job
        self._keep(job)
        self._forget()
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
        found = [job for job in self._jobs.values() if collection in (None, job.collection)]
        return found[::-1]

    def running(self, collection: str) -> Job | None:
        """What changes a collection now, or will next."""
        found = (job for job in self._jobs.values() if job.collection == collection and not job.over)
        return next((job for job in found if job.kind not in READING), None)

    def latest(self, kind: str, collection: str) -> Job | None:
        """The last one of a kind that is done."""
        found = (job for job in self.all(collection) if job.kind == kind and job.state == "done")
        return next(found, None)

    def cancel(self, job: Job) -> None:
        """Stops a job after the pictures that are under way."""
        job.cancelled.set()
        with self._lock:
            if job.state == "waiting":
                job.state, job.ended = "cancelled", now()
        self._keep(job)

    def close(self) -> None:
        """Stops what goes on, to be taken up by the next service, and waits for it."""
        self._closed = True
        for job in self._jobs.values():
            job.cancelled.set()
        for waiting in self._queues.values():
            waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _put(self, job: Job) -> None:
        place = f"{job.collection} {'read' if job.kind in READING else 'write'}"
        with self._lock:
            if place not in self._queues:
                waiting = self._queues[place] = queue.Queue[Job | None]()
                thread = threading.Thread(target=self._work, args=(waiting,), name=f"jobs {place}")
                thread.daemon = True
                self._threads.append(thread)
                thread.start()
            self._queues[place].put(job)

    def _work(self, waiting: "queue.Queue[Job | None]") -> None:
        while (job := waiting.get()) is not None:
            if not self._closed and not job.over:
                self._do(job)

    def _do(self, job: Job) -> None:
        with self._lock:
            if job.over:
                return
            job.state = "running"
        self._keep(job)
        try:
            job.report = self._works[job.kind](job)
            job.state = "done"
        except CancelledError:
            if self._closed:
                return  # it is taken up again
            job.state = "cancelled"
        except (
            Exception
        ) as error:  # the last place before the user: what failed is told, and the rest goes on
            _LOG.warning("the job %s (%s) failed", job.id, job.kind, exc_info=error)
            job.problem, job.state = told(error, whole=self._whole), "failed"
        job.ended = now()
        self._keep(job)

    def _keep(self, job: Job) -> None:
        values = (
            *(job.id, job.kind, job.collection, json.dumps(job.arguments), job.state, job.done, job.total),
            *(job.created, job.ended, None if job.report is None else json.dumps(job.report)),
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

    def _forget(self) -> None:
        """Lets the oldest that have ended go."""
        with self._lock:
            ended = [job for job in self._jobs.values() if job.over]
            old = ended[: max(len(self._jobs) - _REMEMBERED, 0)]
            for job in old:
                del self._jobs[job.id]
        for job in old:
            self._state.run("DELETE FROM jobs WHERE id = ?", (job.id,))


def _job_of(row: tuple[Any, ...]) -> Job:
    identity, kind, collection, arguments, state, done, total, created, ended, report, problem = row
    return Job(
        *(identity, kind, collection, json.loads(arguments), state, done, total, created, ended),
        report=None if report is None else json.loads(report),
        problem=None if problem is None else Problem.model_validate_json(problem),
    )
