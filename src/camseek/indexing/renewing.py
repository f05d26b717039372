"""A collection's representation replaced by another one: what ``fit`` and ``upgrade`` have in common.

The new one is made beside the one in use. Pictures are encoded outside of the writer's lock, and what came of
them is stored in short turns: others may write in between, and the pictures that they bring are encoded, too.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace

from camseek.errors import (
    CamseekError,
    CollectionBusyError,
    CollectionChangedError,
    CollectionOvertakenError,
    UnreadPicturesError,
)
from camseek.indexing.recoding import Recoded, Recoder
from camseek.job import Job
from camseek.names import path_text
from camseek.results import Skipped
from camseek.store import Collection, Profile, Refit, Writer
from camseek.words import counted

# Seconds after which the writer's lock is tried for again, while another process has it.
_AGAIN = 0.1
# What was encoded is stored after a second, sooner where that takes little time beside the encoding, and
# later where it takes long, as on a server; so many pictures wait for it at most.
_SECONDS, _SHARE, _SLOW, _PICTURES = 1.0, 20.0, 4.0, 512
# How often the places are to change where others write meanwhile.
_TRIES = 5
# So many names are told in an error.
_TOLD_NAMES = 10


@dataclass(frozen=True, slots=True)
class Turns:
    """Turns at writing a collection.

    Attributes:
        collection: The collection.
        command: Who writes, for others who want to.
        job: Who may stop the waiting.
    """

    collection: Collection
    command: str
    job: Job

    @contextmanager
    def take(self, *, wait: bool = True) -> Generator[Writer]:
        """Becomes the writer for a moment.

        Args:
            wait: Wait until another writer has ended, however long that takes.

        Raises:
            CollectionBusyError: Another one is writing, and nobody wants to wait.
            StorageError: The disk is full or read-only.
        """
        with ExitStack() as stack:
            while True:
                try:
                    writer = stack.enter_context(self.collection.write(self.command))
                    break
                except CollectionBusyError as error:
                    if not wait or isinstance(error, CollectionChangedError):
                        raise
                self.job.check()
                time.sleep(_AGAIN)
            yield writer

    def begin(self, refit: Refit, before: Profile) -> Refit:
        """Begins a representation beside the one in use.

        Args:
            refit: It.
            before: What the descriptors were made with when it was thought of.

        Returns:
            The same as it is stored.

        Raises:
            CollectionChangedError: The descriptors are others now.
        """
        with self.take() as writer:
            if self.collection.profile.generation != before.generation:
                raise self.changed()
            writer.refitter.begin(refit)
            begun = writer.refitter.unfinished()
        return refit if begun is None else begun

    def changed(self) -> CollectionChangedError:
        """The error where somebody else has begun, or ended, the like."""
        return CollectionChangedError(
            f"{self.collection.address} was fitted or upgraded by another process meanwhile",
            remedy="see what it is now: camseek info",
        )


@dataclass(slots=True)
class Renewed:
    """What became of a collection's pictures.

    Attributes:
        encoded: How many were encoded anew.
        lost: Why pictures could not be, by their records.
        waiting: Why others could not be now, though their files are there as they were.
        newly_featureless: Pictures that had a descriptor and have none now.
        removed: Files of the lost ones that left the collection.
        tried: The names under which pictures were looked for in vain, by their records.
    """

    encoded: int = 0
    lost: dict[int, Skipped] = field(default_factory=dict[int, Skipped])
    waiting: dict[int, Skipped] = field(default_factory=dict[int, Skipped])
    newly_featureless: int = 0
    removed: list[Skipped] = field(default_factory=list[Skipped])
    tried: dict[int, frozenset[bytes]] = field(default_factory=dict[int, frozenset[bytes]])

    def forget_found(self, writer: Writer) -> None:
        """Pictures with other names than those that were tried are not lost: an index run found them."""
        for record, tried in list(self.tried.items()):
            if not tried.issuperset(writer.names(record)):
                for known in (self.lost, self.waiting):
                    known.pop(record, None)
                del self.tried[record]


@dataclass(frozen=True, slots=True)
class Renewal:
    """Puts another representation in the place of the one in use.

    Attributes:
        turns: When the collection is written.
        recoder: Encodes its pictures.
        refit: The representation beside: it was begun, or is kept.
        keep: Whether what is in use is kept then.
    """

    turns: Turns
    recoder: Recoder
    refit: Refit
    keep: bool

    def run(self, *, allow_removal: bool) -> Renewed:
        """Encodes what is pending until nothing is, and has the two change places.

        Args:
            allow_removal: Let pictures whose files have gone or changed leave the collection.

        Raises:
            UnreadPicturesError: Pictures cannot be encoded anew: now, or at all, and ``allow_removal`` is not
                given. What was done is kept.
            CollectionChangedError: Somebody else has begun, or ended, the like.
            StorageError: The disk is full or read-only.
        """
        done, tries = Renewed(), 0
        while True:
            try:
                with self.turns.take() as writer:
                    pending = self._pending(writer, done, allow_removal=allow_removal)
                    if not pending:
                        self._change_places(writer, done)
                        return done
            except CollectionOvertakenError:
                # What they brought is pending now.
                tries += 1
                if tries == _TRIES:
                    raise
                continue
            self._encode(pending, done)

    def _pending(self, writer: Writer, done: Renewed, *, allow_removal: bool) -> list[int]:
        """The pictures that are to be encoded; none where the places may change."""
        self._require(writer)
        done.forget_found(writer)
        left = writer.refitter.pending()
        pending = [record for record in left if record not in done.lost | done.waiting]
        if not pending:
            # Of those that could not be encoded, some may have left.
            for known in (done.lost, done.waiting):
                for record in known.keys() - set(left):
                    del known[record]
            if done.lost and not allow_removal:
                raise _cannot_encode([*done.lost.values(), *done.waiting.values()])
            if done.waiting:
                raise _cannot_encode(list(done.waiting.values()), passing=True)
        return pending

    def _require(self, writer: Writer) -> None:
        """Makes sure that what is beside is still what was begun."""
        now = self.turns.collection.profile.generation
        beside = writer.refitter.unfinished() or writer.refitter.kept()
        if now != self.recoder.before.generation or beside != self.refit:
            raise self.turns.changed()

    def _encode(self, pending: Sequence[int], done: Renewed) -> None:
        progress, waiting = self.recoder.progress, _Waiting(self._store)
        with closing(self.recoder.encoded(pending, self.refit)) as found:
            try:
                for item in found:
                    if item.fault is None:
                        waiting.add(item)
                        done.encoded += not item.kept
                    else:
                        (done.waiting if item.passing else done.lost)[item.record] = item.fault
                        done.tried[item.record] = frozenset(item.tried)
                    progress.step()
                    waiting.store_in_time()
            except BaseException:
                # What was done is kept; nobody waits for another writer to end before this one may.
                with suppress(CamseekError):
                    self._store(waiting.items, wait=False)
                raise
        waiting.store()

    def _store(self, items: Sequence[Recoded], *, wait: bool = True) -> None:
        with self.turns.take(wait=wait) as writer:
            self._require(writer)
            for item in items:
                writer.refitter.put(item.record, item.descriptor, item.traces)

    def _change_places(self, writer: Writer, done: Renewed) -> None:
        """What is lost leaves the collection with it."""
        vectors = self.turns.collection.vectors
        before, removed = set(vectors.records().tolist()), list[Skipped]()
        with writer.unit():
            for record, item in done.lost.items():
                names = writer.names(record)
                removed += [replace(item, path=name) for name in names]
                writer.release(names, None)
            writer.refitter.finish(keep=self.keep)
        if self.keep:
            writer.commit()
        else:
            writer.compact()
        done.removed, after = removed, set(vectors.records().tolist())
        done.newly_featureless = len(before - after - done.lost.keys())


class _Waiting:
    """What was encoded and is not stored yet."""

    def __init__(self, store: Callable[[Sequence[Recoded]], None]) -> None:
        self._store = store
        self._stored, self._took = time.monotonic(), 0.0
        self.items: list[Recoded] = []

    def add(self, item: Recoded) -> None:
        self.items.append(item)

    def store_in_time(self) -> None:
        """Stores it when it is time to."""
        least = max(min(_SECONDS, _SHARE * self._took), _SLOW * self._took)
        if time.monotonic() - self._stored >= least or len(self.items) >= _PICTURES:
            self.store()

    def store(self) -> None:
        """Stores it now."""
        if self.items:
            started = time.monotonic()
            some, self.items = self.items, []
            self._store(some)
            self._stored = time.monotonic()
            self._took = self._stored - started


def unwhitened(profile: Profile, channels: int) -> Profile:
    """A profile without its whitening."""
    return replace(profile, whitening=None, whitening_note=None, dimensions=channels)


def _cannot_encode(lost: Sequence[Skipped], *, passing: bool = False) -> UnreadPicturesError:
    named = "; ".join(f"{path_text(item.path)}: {item.reason}" for item in lost[:_TOLD_NAMES])
    return UnreadPicturesError(
        f"{counted(len(lost), 'picture')} cannot be encoded anew, and the collection is as it was: {named}"
        + ("; ..." if len(lost) > _TOLD_NAMES else ""),
        remedy="this may pass: do the same again; what was encoded is kept for the next run"
        if passing
        else "bring it in line with its folders first (camseek index), or let these pictures go with "
        "--allow-removal; what was encoded is kept for the next run",
        files=tuple((item.path, item.reason) for item in lost),
        passing=passing,
    )
