"""The shards of a collection: found or made, asked together, and made again where they are lost.

They are *detached* actors with names of their own: all searchers of a collection with as many shards use the
same ones, they outlive the commands that made them, and are there until they are ended (``end_shards``).
"""

import hashlib
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from camseek.address import MilvusAddress
from camseek.clusters import (
    NAMESPACE,
    SAME_VERSION,
    join,
    leave,
    require_head,
    text_of,
    told,
    translated,
)
from camseek.errors import CamseekError, ClusterError
from camseek.store.milvus.parts import Part
from camseek.store.reader import changed
from camseek.store.records import ShardTold
from camseek.store.sharded.actor import NotBegunError, Shard
from camseek.version import VERSION

# Seconds until the cluster must have found room for an actor, and until a question must be answered.
_ROOM, _ASKING = 120.0, 60.0
# So long a search waits for a shard that was lost and is made again.
_MAKING = 60.0
# Between two tries to reach one.
_PAUSE = 0.2
# Questions that a shard answers at a time.
_AT_ONCE = 8
_TELLING = 10.0


@dataclass(eq=False, slots=True)
class _Member:
    """An actor as this process knows it: Ray's handle, and its mirror's name."""

    handle: Any
    life: str


class Group:
    """The shards of a collection. Safe to use from several threads."""

    def __init__(self, address: MilvusAddress, count: int, cluster: str) -> None:
        """Finds the shards, or makes them; waits until each has read its part.

        Args:
            address: The collection's.
            count: How many.
            cluster: ``HOST:PORT`` of its head, or ``auto``.

        Raises:
            ClusterError: There is no cluster, it has no room, or another camseek.
            CamseekError: As ``MilvusCollection``.
        """
        self._address = address
        self._parts = [Part(number, count) for number in range(count)]
        self._ray = join(cluster)
        self._closing, self._closed = threading.Lock(), False
        self._locks = [threading.Lock() for _ in self.parts]
        self._members: list[_Member | None] = [None] * count
        made: list[Any] = []
        try:
            # All of them begin at once, and then each is waited for.
            with translated(self._ray):
                self._begin_all(made)
        except BaseException:
            # Some without the others are of no use to anybody; those that were there are others'.
            for handle in made:
                self._ray.kill(handle)
            self.close()
            raise

    def _begin_all(self, made: list[Any]) -> None:
        """Finds or makes all shards; those that are made are put into ``made``."""
        handles = [self._handle(part, made) for part in self.parts]
        greetings = [handle.greet.remote() for handle in handles]
        begun = [
            handle.begin.remote(self.address, part) for handle, part in zip(handles, self.parts, strict=True)
        ]
        for part, handle, greeting, answer in zip(self.parts, handles, greetings, begun, strict=True):
            try:
                self._require_here(part, greeting, _ROOM)
                self._members[part.number] = self._begun(part, handle, answer, None)
            except self._ray.exceptions.RayError:
                self._again(part.number, None)  # it had just ended

    @property
    def address(self) -> MilvusAddress:
        """The collection's."""
        return self._address

    @property
    def parts(self) -> list[Part]:
        """The part that each of them holds."""
        return self._parts

    def close(self) -> None:
        """Leaves the shards as they are, for others."""
        with self._closing:
            if not self._closed:
                self._closed = True
                leave()

    def lives(self) -> list[str]:
        """The name of each shard's mirror, as they were last known."""
        return ["" if member is None else member.life for member in self._members]

    def ask(
        self, name: str, given: Mapping[int, Sequence[Any]], lives: Sequence[str], **more: Any
    ) -> dict[int, Any]:
        """Asks some shards the same question at once.

        A shard that is lost meanwhile is made again and asked again.

        Args:
            name: The question, of ``Answers``.
            given: What each of them is given, by its number; records are those of its mirror.
            lives: The name of each shard's mirror, as whoever asks knows it.
            more: What all of them are given.

        Returns:
            Their answers, by number.

        Raises:
            CollectionChangedError: A shard was made again from nothing: records are others now.
            ClusterError: A shard cannot be had.
            CamseekError: As the question.
        """
        self._require_open()
        with translated(self._ray):
            return self._ask(name, given, lives, more)

    def _require_open(self) -> None:
        if self._closed:
            raise ClusterError(f"{self.address} was closed", remedy="open it again")

    def _ask(
        self, name: str, given: Mapping[int, Sequence[Any]], lives: Sequence[str], more: Mapping[str, Any]
    ) -> dict[int, Any]:
        asked = {number: self._member(number) for number in given}
        if any(member.life != lives[number] for number, member in asked.items()):
            raise changed(str(self.address))
        answers = {
            number: member.handle.ask.remote(member.life, name, *given[number], **more)
            for number, member in asked.items()
        }
        found: dict[int, Any] = {}
        failed: CamseekError | None = None
        for number, answer in answers.items():
            try:
                found[number] = self._answer(number, asked[number], answer, name, given[number], more)
            except CamseekError as error:
                # The others are heard all the same: what is to be begun again is so in one go.
                failed = failed or error
        if failed is not None:
            raise failed
        return found

    def _member(self, number: int) -> _Member:
        member = self._members[number]
        return self._again(number, None) if member is None else member

    def _answer(
        self,
        number: int,
        member: _Member,
        answer: Any,
        name: str,
        given: Sequence[Any],
        more: Mapping[str, Any],
    ) -> Any:
        """The answer of one shard, which may have to be made again."""
        until = time.monotonic() + _MAKING
        while True:
            try:
                return self._ray.get(answer, timeout=_ASKING)
            except self._ray.exceptions.GetTimeoutError:
                raise ClusterError(
                    f"shard {self.parts[number]} of {self.address} does not answer",
                    remedy="look with: ray status; search again",
                ) from None
            except self._ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, NotBegunError):
                    raise told(error) from error
            except self._ray.exceptions.RayError as error:
                if time.monotonic() > until:
                    raise self._is_lost(number, error) from error
                time.sleep(_PAUSE)
            life, member = member.life, self._again(number, member)
            if member.life != life:
                # What was asked names records of a mirror that is no more.
                raise changed(str(self.address))
            answer = member.handle.ask.remote(member.life, name, *given, **more)

    def _again(self, number: int, lost: _Member | None) -> _Member:
        """A shard that was lost, made again by this process or another one.

        Raises:
            ClusterError: It takes longer than a search waits.
        """
        with self._locks[number]:
            known = self._members[number]
            if known is not None and known is not lost:
                return known  # another thread was quicker
            part, until = self.parts[number], time.monotonic() + _MAKING
            while True:
                self._require_open()
                require_head()
                try:
                    handle = self._handle(part, [])
                    self._require_here(part, handle.greet.remote(), _MAKING)
                    begun = self._begun(part, handle, handle.begin.remote(self.address, part), until)
                except self._ray.exceptions.RayError as error:
                    # Of a machine that has gone Ray knows after some seconds.
                    if time.monotonic() > until:
                        raise self._is_lost(number, error) from error
                    time.sleep(_PAUSE)
                    continue
                self._members[number] = begun
                return begun

    def _handle(self, part: Part, made: list[Any]) -> Any:
        """The actor of a part, which is made where there is none.

        Args:
            part: The part.
            made: Gains it in that case.
        """
        name = _name(self.address, part)
        with suppress(ValueError):
            return self._ray.get_actor(name, namespace=NAMESPACE)
        kind = self._ray.remote(Shard)
        handle = kind.options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=1,
            max_restarts=0,  # who asks makes it again: it must be begun in any case
            max_concurrency=_AT_ONCE,
            scheduling_strategy="SPREAD",
        ).remote()
        made.append(handle)
        return handle

    def _require_here(self, part: Part, greeting: Any, patience: float) -> None:
        """Makes sure that an actor runs, and the same camseek.

        Raises:
            ClusterError: It does not.
        """
        try:
            version, host = self._ray.get(greeting, timeout=patience)
        except self._ray.exceptions.GetTimeoutError:
            raise ClusterError(
                f"the cluster has no room for shard {part} of {self.address}",
                remedy="look with: ray status; each shard takes a core, and others may have them all",
            ) from None
        except self._ray.exceptions.RayTaskError as error:
            raise told(error) from error
        if version != VERSION:
            raise ClusterError(
                f"shard {part} on {host} has camseek {version}, and this machine {VERSION}",
                remedy=f"{SAME_VERSION}, and end the old shards: camseek shards --stop",
            )

    def _begun(self, part: Part, handle: Any, answer: Any, until: float | None) -> _Member:
        """An actor that has read its part.

        Args:
            part: Its part.
            handle: The actor.
            answer: That to its beginning.
            until: When it must have done so, of the clock that only goes on; None: whenever it has.

        Raises:
            CamseekError: It cannot be opened.
            ClusterError: It takes longer.
        """
        # A wait that ends now and then: an interrupt comes through.
        while not self._ray.wait([answer], timeout=1.0)[0]:
            if until is not None and time.monotonic() > until:
                raise ClusterError(
                    f"shard {part} of {self.address} was lost and is being made again",
                    remedy="search again in some minutes: it reads what it has not from the server",
                )
        try:
            return _Member(handle, str(self._ray.get(answer)))
        except self._ray.exceptions.RayTaskError as error:
            # It holds nothing, and nobody could use it.
            self._ray.kill(handle)
            raise told(error) from error

    def _is_lost(self, number: int, error: BaseException) -> ClusterError:
        return ClusterError(
            f"shard {self.parts[number]} of {self.address} was lost: {text_of(error)}",
            remedy="look with: ray status; search again; where it was started anew, start this again, too",
        )


def _name(address: MilvusAddress, part: Part) -> str:
    return f"{_beginning(address)}{part.number + 1}-of-{part.of}"


def _beginning(address: MilvusAddress) -> str:
    """How the names of a collection's shards begin: its address without what lets one in."""
    return f"shard-{hashlib.sha256(str(address).encode()).hexdigest()[:16]}-"


def tell_shards(address: MilvusAddress, cluster: str) -> list[ShardTold]:
    """What shards a collection has, however many make it up; in the order of their names.

    Raises:
        ClusterError: There is no cluster, or it cannot be asked.
    """
    with _running(address, cluster) as (ray, running):
        found: list[ShardTold] = []
        for part, handle in running:
            try:
                host, pictures, memory = ray.get(handle.tell.remote(), timeout=_TELLING)
                found.append(ShardTold(part, host, pictures, memory))
            except ray.exceptions.RayError:
                found.append(ShardTold(part, "", None, 0))
        return found


def end_shards(address: MilvusAddress, cluster: str) -> int:
    """Ends all shards of a collection; how many there were. Who searches with them makes them again.

    Raises:
        ClusterError: There is no cluster, or it cannot be asked.
    """
    with _running(address, cluster) as (ray, running):
        for _, handle in running:
            ray.kill(handle)
        return len(running)


@contextmanager
def _running(address: MilvusAddress, cluster: str) -> Generator[tuple[Any, list[tuple[str, Any]]]]:
    """Ray, and the actors of a collection's shards with the part that each holds."""
    beginning = _beginning(address)
    ray = join(cluster)
    try:
        with translated(ray):
            found: list[tuple[str, Any]] = []
            for name in sorted(ray.util.list_named_actors()):
                if name.startswith(beginning):
                    with suppress(ValueError):  # it has just ended
                        handle = ray.get_actor(name, namespace=NAMESPACE)
                        found.append((name.removeprefix(beginning).replace("-", " "), handle))
            yield ray, found
    finally:
        leave()
