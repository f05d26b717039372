"""How shards are asked: in which numbers, of which moment, and whether they agree on it."""

import threading
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int64

from camseek.address import MilvusAddress
from camseek.errors import CollectionChangedError
from camseek.numerics import I64
from camseek.store.milvus.parts import Part
from camseek.store.reader import changed
from camseek.store.records import Profile
from camseek.store.sharded.answers import Seen
from camseek.store.sharded.numbers import Mirrors, Numbers, Share

# Seconds for which it is not asked again how far the shards are, and how often where they do not agree.
_LOOK_EVERY = 1.0
_TRIES = 5


class Shards(Protocol):
    """What reaches the shards: a ``Group``, mostly."""

    @property
    def address(self) -> MilvusAddress:
        """The collection's."""
        ...

    @property
    def parts(self) -> list[Part]:
        """The part that each of them holds."""
        ...

    def lives(self) -> list[str]:
        """The name of each shard's mirror."""
        ...

    def ask(
        self, name: str, given: Mapping[int, Sequence[Any]], lives: Sequence[str], **more: Any
    ) -> dict[int, Any]:
        """Asks some of them the same question, about mirrors of these names."""
        ...

    def close(self) -> None:
        """Lets go of them."""
        ...


@dataclass(frozen=True, slots=True)
class _View:
    """What all shards agree on.

    Attributes:
        seen: How far they are.
        profile: What their descriptors are made with; the generation is counted here.
    """

    seen: Seen
    profile: Profile


class Asked:
    """What the parts of a sharded collection ask by: who is asked, and in which numbers."""

    def __init__(self, shards: Shards) -> None:
        """Looks how far the shards are.

        Raises:
            CamseekError: As ``Shards.ask``.
        """
        self.shards = shards
        self.address = str(shards.address)
        self._numbers = Numbers(len(shards.parts))
        self._lock = threading.Lock()
        # Of this thread: what was agreed on where its moment began.
        self._inside = threading.local()
        # One thread looks at a time; these change under its lock only, but for ``_soon``.
        self._looking = threading.Lock()
        self._view: _View | None = None
        self._looked = 0.0
        self._soon = True
        self._look_where_due()

    @property
    def every(self) -> range:
        """The numbers of all shards."""
        return range(len(self.shards.parts))

    @property
    def view(self) -> _View:
        """What they agreed on when it was last looked; inside a moment, when that began."""
        view: _View | None = getattr(self._inside, "view", None) or self._view
        if view is None:
            raise changed(self.address)
        return view

    def now(self) -> "Now":
        """What questions that belong together are asked by."""
        with self._lock:
            return Now(self, self._numbers.now(self.shards.lives()))

    def look_soon(self) -> None:
        """Has it looked before the next moment how far the shards are."""
        self._soon = True

    # -- the moment --------------------------------------------------------------------------------------

    @contextmanager
    def moment(self) -> Generator[None]:
        """Inside, what the shards agreed on stays as it is; it is a second old at most where it begins."""
        if getattr(self._inside, "view", None) is not None:
            yield
            return
        self._look_where_due()
        self._inside.view = self._view
        try:
            yield
        finally:
            self._inside.view = None

    def _look_where_due(self) -> None:
        """Looks how far the shards are, unless another thread just did."""
        if not self._is_due():
            return
        with self._looking:
            if not self._is_due():
                return
            # Whoever wants another look from here on gets one after this.
            self._soon = False
            try:
                self._look()
            finally:
                # After a failure, too: those who search do not wait for a lost shard one after the other.
                self._looked = time.monotonic()

    def _is_due(self) -> bool:
        return self._soon or time.monotonic() - self._looked >= _LOOK_EVERY

    def _look(self) -> None:
        """Looks how far the shards are; brings them in step where they are not of one epoch.

        Raises:
            CollectionChangedError: Their descriptors are replaced again and again.
        """
        question = "seen"
        for _ in range(_TRIES):
            try:
                now = self.now()
                found: list[Seen] = now.ask_all(question)
                if len(set(found)) == 1 and self._agree(now, found[0]):
                    return
            except CollectionChangedError:
                pass
            question = "caught_up"
        raise changed(self.address)

    def _agree(self, now: "Now", seen: Seen) -> bool:
        """Takes up what all shards have seen; not where one has gone on meanwhile."""
        known = self._view
        if known is not None and known.seen == seen:
            return True
        profile: Profile
        of, profile = now.ask("profile", {0: ()})[0]
        if of != seen:
            return False
        generation = profile.generation
        if known is not None:
            # Each mirror counts by itself: here it goes up with each epoch, too.
            generation = known.profile.generation + (known.seen.epoch != seen.epoch)
        self._view = _View(seen, replace(profile, generation=generation))
        return True

    def epoch(self, generation: int | None) -> str:
        """The shards' word for a generation.

        Raises:
            CollectionChangedError: It is no longer in use.
        """
        view = self.view
        if generation not in (None, view.profile.generation):
            raise changed(self.address)
        return view.seen.epoch

    def epoch_now(self) -> str:
        """The shards' word for the generation of this moment; where there is none, of one that begins."""
        with self.moment():
            return self.view.seen.epoch


@dataclass(frozen=True, slots=True)
class Now:
    """Questions that are asked of the same mirrors.

    Other threads may learn meanwhile that a shard has another one: then these are refused, and nobody takes
    the records of one for those of the other.

    Attributes:
        asked: Who asks.
        mirrors: Those that the shards had when it began.
    """

    asked: Asked
    mirrors: Mirrors

    @property
    def every(self) -> range:
        """The numbers of all shards."""
        return self.asked.every

    def ask(self, name: str, given: Mapping[int, Sequence[Any]], **more: Any) -> dict[int, Any]:
        """Asks some shards.

        Raises:
            CollectionChangedError: Their descriptors, or records, are others by now: it is looked before the
                next question how far they are.
            CamseekError: As ``Shards.ask``.
        """
        try:
            return self.asked.shards.ask(name, given, self.mirrors.names, **more) if given else {}
        except CollectionChangedError:
            self.asked.look_soon()
            raise

    def ask_all(self, name: str, *given: Any, **more: Any) -> list[Any]:
        """Asks all shards the same; their answers in order."""
        found = self.ask(name, dict.fromkeys(self.every, given), **more)
        return [found[number] for number in self.every]

    def ask_of(
        self, name: str, records: Int64[I64, " N"], *before: Any, **more: Any
    ) -> list[tuple[int, Share, Any]]:
        """Asks the shards that have some of these records; the shard, its records, and its answer."""
        shares = self.mirrors.shares(records)
        found = self.ask(name, {shard: (*before, own.records) for shard, own in shares.items()}, **more)
        return [(shard, own, found[shard]) for shard, own in shares.items()]

    def share_of_all(self, records: Iterable[int]) -> list[list[int]]:
        """Of each shard those of some records that are its own, as its mirror calls them."""
        shares = self.mirrors.shares(np.array(list(records), np.int64))
        return [shares[number].records.tolist() if number in shares else [] for number in self.every]

    def one(self, shard: int, record: int) -> int:
        """What a shard's record is called here."""
        return int(self.mirrors.outward(shard, np.array([record], np.int64))[0])

    def merged(self, answers: Sequence[Any]) -> Int64[I64, " N"]:
        """Records that each shard gave, ascending."""
        every = (
            self.mirrors.outward(shard, np.asarray(found, np.int64)) for shard, found in enumerate(answers)
        )
        return np.sort(np.concatenate([*every]))
