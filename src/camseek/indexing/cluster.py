"""Work on a Ray cluster: another executor behind the seam of threads.

Actors hold what encodes a picture, one a core, or one a GPU with several threads, whose pictures share
passes, and do a few pictures a call. Here, in the process that writes the collection, results are put back
into the order of the pictures; what a lost worker had is given to another; a picture on which workers die is
given up after some tries.
"""

import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from camseek.clusters import SAME_VERSION, join, leave, text_of, told, translated
from camseek.errors import ClusterError, FailedPictureError
from camseek.extraction.describer import Describer
from camseek.images import prepare
from camseek.job import Job, one_blas_thread, ordered
from camseek.names import is_remote, path_text
from camseek.version import VERSION

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3
"""A picture whose worker dies so often is given up."""

# Calls that an actor has, each of a picture for each of its threads: it never waits for us. A call costs two
# milliseconds, a picture a hundred or more; at the end of a run one actor may still have two while the others
# have none, which larger calls would make longer.
_AHEAD = 2
# So many results may wait for one slow picture, for each thread.
_WAITING = 12
# So often, in seconds, the run looks whether it is to go on, and whether the cluster has grown.
_LOOK = 1.0
# So long without any worker, and the run ends; so many may end before they begin.
_PATIENCE = 120.0
_STILLBORN = 4


class _Reader:
    """What runs in an actor."""

    def __init__(self) -> None:
        self._work: Callable[[Any], Any] | None = None
        self._threads = 1
        # From the first call to the last: to look for BLAS takes as long as all the rest of a call.
        self._limited = ExitStack()

    def begin(self, work: Callable[[Any], Any], threads: int, version: str, sees: Sequence[bytes]) -> None:
        """Takes what is done with a picture.

        Raises:
            ClusterError: This machine has another camseek, or lacks a folder.
        """
        if version != VERSION:
            raise ClusterError(
                f"a worker on {socket.gethostname()} has camseek {VERSION}, and this machine {version}",
                remedy=SAME_VERSION,
            )
        for folder in sees:
            if not os.path.isdir(folder):
                raise ClusterError(
                    f"a worker on {socket.gethostname()} does not see the folder {path_text(folder)}",
                    remedy="give every machine of the cluster it under the same name, or use a bucket",
                )
        prepare()
        if self._work is None:
            self._limited.enter_context(one_blas_thread())
        self._work, self._threads = work, threads

    def read(self, items: list[Any]) -> list[Any]:
        """Does it."""
        if self._work is None:
            raise ValueError("it has not begun")
        return list(ordered(self._work, items, workers=self._threads))


@contextmanager
def on_cluster(
    job: Job, address: str | None, describer: Callable[[], Describer], *, sees: Iterable[bytes]
) -> Generator[Job]:
    """A job on the machines that are asked for.

    Args:
        job: As it is for this machine.
        address: As for ``connected``; None for this machine alone.
        describer: Gives what pictures are read with; asked when one is read.
        sees: As for ``connected``.

    Raises:
        ClusterError: As ``connected``.
    """
    if address is None:
        yield job
        return
    with connected(address, sees=sees, gpus=lambda: describer().model.device.name != "cpu") as cluster:
        yield replace(job, executor=cluster)


def died(reason: str) -> FailedPictureError:
    """The error of a picture on which workers died, for the last one's ``reason``."""
    return FailedPictureError(
        f"the workers that read it died, one after the other ({reason})",
        remedy="leave it out, or use a smaller --max-megapixels",
    )


def _never() -> bool:
    return False


@contextmanager
def connected(
    address: str, *, sees: Iterable[bytes] = (), gpus: Callable[[], bool] = _never
) -> Generator["Cluster"]:
    """A cluster, for the time of one run.

    Args:
        address: ``HOST:PORT`` of its head, or ``auto`` for the one of which this machine is a part.
        sees: Folders that must be there on every machine; addresses are left out.
        gpus: Whether work may be done on GPUs, asked when there is some: where the cluster has GPUs, an actor
            is made for each of these, and none for other cores.

    Raises:
        ClusterError: There is none, or Ray is not installed here.
    """
    ray = join(address)
    cluster = Cluster(ray, [folder for folder in sees if not is_remote(folder)], gpus=gpus)
    # Where Ray tells of lost workers: standard output is for results.
    with redirect_stdout(sys.stderr):
        try:
            yield cluster
        finally:
            cluster.dismiss(cluster.members)
            leave()


@dataclass(eq=False, slots=True)
class _Member:
    """An actor: its handle, the answer to its beginning, and what it was given.

    Attributes:
        handle: Ray's.
        beginning: Becomes ready when it has begun; None from then on.
        threads: How many pictures it works on at a time.
        calls: How many calls it has.
        alone: It has a picture on which a worker died: nothing else may die with it.
    """

    handle: Any
    beginning: Any
    threads: int = 1
    calls: int = 0
    alone: bool = False


@dataclass(eq=False, slots=True)
class _Call(Generic[Item]):
    member: _Member
    items: list[tuple[int, Item]]


@dataclass(frozen=True, slots=True)
class _Room:
    """How many actors a cluster has room for, how many threads each has, and whether each has a GPU."""

    actors: int
    threads: int = 1
    gpu: bool = False

    @classmethod
    def of(cls, nodes: Iterable[dict[str, float]], *, gpus: bool) -> "_Room":
        """That of nodes.

        Args:
            nodes: What each has: ``CPU`` and ``GPU``.
            gpus: Whether GPUs are of use.
        """
        has = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
        with_gpu = [(cores, count) for cores, count in has if count] if gpus else []
        if not with_gpu:
            return cls(max(1, sum(cores for cores, _ in has)))
        # As many as the node with the fewest has for each: an actor that asks for more never begins there.
        threads = max(1, min(cores // count for cores, count in with_gpu))
        return cls(sum(count for _, count in with_gpu), threads, gpu=True)


class Cluster:
    """Ray's actors as an ``Executor``; they stay from one ``map`` to the next."""

    def __init__(self, ray: Any, sees: Sequence[bytes] = (), *, gpus: Callable[[], bool] = _never) -> None:
        """Takes a connection.

        Args:
            ray: The package, connected.
            sees: Folders that every worker must see.
            gpus: Whether to have the cluster's GPUs, where it has some; asked when there is work.
        """
        self.ray = ray
        self._asked_gpus = gpus
        self._gpus: bool | None = None
        self._kind: Any = ray.remote(_Reader)
        self.members: list[_Member] = []
        self._sees = list(sees)
        self._work: Any = None
        self._packed: Any = None
        self._room, self._looked = _Room(1), float("-inf")

    def map(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        lost: Callable[[Item, str], Result],
        check: Callable[[], None],
    ) -> Generator[Result]:
        """As ``Executor.map``.

        Raises:
            ClusterError: No worker can be had, or one has another camseek or no such folder.
        """
        if work is not self._work:
            # Once for all actors.
            self._work, self._packed = work, self.ray.put(work)
            for member in self.members:
                member.beginning = self._begin(member.handle, member.threads)
        try:
            yield from _Run(self, items, lost, check).results()
        except BaseException:
            # Nobody waits any more for what they do.
            self.dismiss(self.members)
            raise

    def room(self) -> "_Room":
        """What the cluster has room for, as far as was known a moment ago."""
        if time.monotonic() - self._looked > _LOOK:
            if self._gpus is None:
                self._gpus = self._asked_gpus()
            with translated(self.ray):
                nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
            self._room, self._looked = _Room.of(nodes, gpus=self._gpus), time.monotonic()
        return self._room

    def recruit(self) -> None:
        """Has as many actors as there is room for; they begin when they can."""
        room = self.room()
        for _ in range(room.actors - len(self.members)):
            handle = self._kind.options(
                num_cpus=room.threads, num_gpus=int(room.gpu), max_restarts=0
            ).remote()
            self.members.append(_Member(handle, self._begin(handle, room.threads), room.threads))

    def _begin(self, handle: Any, threads: int) -> Any:
        return handle.begin.remote(self._packed, threads, VERSION, self._sees)

    def dismiss(self, members: Iterable[_Member]) -> None:
        """Lets actors go at once, whatever they do; one that has gone already, too."""
        for member in [*members]:
            if member in self.members:
                self.members.remove(member)
            with suppress(Exception):
                self.ray.kill(member.handle)


class _Run(Generic[Item, Result]):
    """One ``map``."""

    def __init__(
        self,
        cluster: Cluster,
        items: Iterable[Item],
        lost: Callable[[Item, str], Result],
        check: Callable[[], None],
    ) -> None:
        self._cluster, self._ray, self._lost, self._check = cluster, cluster.ray, lost, check
        self._source: Iterator[tuple[int, Item]] = enumerate(items)
        self._exhausted = False
        self._calls: dict[Any, _Call[Item]] = {}
        # What was with a worker that died: each on its own from then on, so that the guilty one is found.
        self._again: deque[tuple[int, Item]] = deque()
        self._tries: dict[int, int] = {}
        self._done: dict[int, Result] = {}
        self._given = self._told = 0
        # Asked for before anybody is called: mostly nothing has changed.
        self._first = self._next(1)
        self._served = time.monotonic()
        self._stillborn = 0

    def results(self) -> Generator[Result]:
        while True:
            while self._told in self._done:
                result = self._done.pop(self._told)
                self._told += 1
                yield result
            if self._finished():
                return
            self._cluster.recruit()
            self._hand_out()
            if not self._finished():
                self._wait()

    def _finished(self) -> bool:
        return self._exhausted and not (self._first or self._calls or self._again)

    def _hand_out(self) -> None:
        """Gives work to whoever can take some."""
        for member in self._cluster.members:
            if member.beginning is not None:
                continue
            self._served = time.monotonic()
            while not member.alone and member.calls < _AHEAD:
                if self._again:
                    if member.calls:
                        break  # not before it has nothing else
                    member.alone = True
                    self._give(member, [self._again.popleft()])
                elif some := self._first or self._next(member.threads):
                    self._first = []
                    self._give(member, some)
                else:
                    break

    def _next(self, most: int) -> list[tuple[int, Item]]:
        """The next pictures, few at a time; none where too many results wait for a slow one."""
        some: list[tuple[int, Item]] = []
        threads = sum(member.threads for member in self._cluster.members)
        room = self._given - self._told < _WAITING * max(1, threads)
        while room and not self._exhausted and len(some) < most:
            item = next(self._source, None)
            if item is None:
                self._exhausted = True
            else:
                some.append(item)
        self._given += len(some)
        return some

    def _give(self, member: _Member, some: list[tuple[int, Item]]) -> None:
        member.calls += 1
        answer = member.handle.read.remote([item for _, item in some])
        self._calls[answer] = _Call(member, some)

    def _wait(self) -> None:
        """Takes in what is ready, and looks whether to go on."""
        beginnings = {
            member.beginning: member for member in self._cluster.members if member.beginning is not None
        }
        waited = [*self._calls, *beginnings]
        if not waited:
            return
        ready, _ = self._ray.wait(waited, num_returns=1, timeout=_LOOK)
        self._check()
        for answer in ready:
            if answer in beginnings:
                self._begun(beginnings[answer], answer)
            else:
                self._answered(self._calls.pop(answer), answer)
        if not ready and time.monotonic() - self._served > _PATIENCE:
            raise ClusterError(
                "the cluster has no worker to give",
                remedy="look with: ray status; its cores may be taken by others",
            )

    def _begun(self, member: _Member, answer: Any) -> None:
        """A worker that has begun, or could not.

        Raises:
            ClusterError: It cannot work here, or one after the other dies.
        """
        try:
            self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            raise told(error) from error
        except self._ray.exceptions.RayError as error:
            self._cluster.dismiss([member])
            self._stillborn += 1
            if self._stillborn > _STILLBORN * self._cluster.room().actors:
                raise ClusterError(
                    f"workers of the cluster end before they begin: {text_of(error)}",
                    remedy="check that every machine of it has camseek installed, and free memory",
                ) from error
            return
        member.beginning = None
        self._stillborn = 0

    def _answered(self, call: _Call[Item], answer: Any) -> None:
        """What came of a call, or a lost worker."""
        call.member.calls -= 1
        call.member.alone = False
        try:
            results = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            raise told(error) from error
        except self._ray.exceptions.RayError as error:
            self._cluster.dismiss([call.member])
            for number, item in call.items:
                tries = self._tries[number] = self._tries.get(number, 0) + 1
                if tries < TRIES:
                    self._again.append((number, item))
                else:
                    self._done[number] = self._lost(item, text_of(error))
        else:
            for (number, _), result in zip(call.items, results, strict=True):
                self._done[number] = result
