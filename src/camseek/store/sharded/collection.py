"""A collection on a server of which nothing lies here: shards answer what is asked of it."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import NoReturn

import numpy as np
from jaxtyping import Bool, Float32, Int64

from camseek.address import MilvusAddress
from camseek.errors import CollectionError
from camseek.matching.index import WordCounts
from camseek.matching.words import QueryWords
from camseek.numerics import BOOL, F32, I64
from camseek.store.interface import Ledger, Writer
from camseek.store.milvus.parts import number_of
from camseek.store.ranking import joined, require_askable, require_length
from camseek.store.records import Beside, CollectionInfo, Profile, Ranking, Root, StoredPicture
from camseek.store.sharded.asking import Asked, Now, Shards
from camseek.store.sharded.group import Group
from camseek.store.sharing import WordsRanking


class ShardedCollection:
    """A collection on a Milvus server (the ``Collection`` interface) whose pictures lie in shards.

    Each shard is an actor of a Ray cluster with a mirror of one part of the pictures. Here are the plan of a
    search and what it joins: nothing that grows with the collection. It is only read.

    Records say in which shard a picture is. As those of any collection on a server they are of this open
    collection alone.
    """

    def __init__(self, shards: Shards) -> None:
        """Takes shards; ``close`` lets go of them.

        Raises:
            CamseekError: They cannot be asked.
        """
        self._shards = shards
        self._asked = Asked(shards)
        self._catalogue = _Catalogue(self._asked)
        self._vectors = _Vectors(self._asked)
        self._words = _Words(self._asked)
        self._traces = _Traces(self._asked)

    @classmethod
    def open(cls, address: MilvusAddress, count: int, cluster: str) -> "ShardedCollection":
        """Opens a collection in so many shards of a cluster, which are made where they are not there.

        Raises:
            ClusterError: There is no cluster, or it has no room for them.
            CollectionError: There is no collection, or it cannot be used.
            StorageError: The server does not answer a shard, or its mirror cannot be written.
        """
        group = Group(address, count, cluster)
        try:
            return cls(group)
        except BaseException:
            group.close()
            raise

    @property
    def address(self) -> str:
        """Where the collection is."""
        return self._asked.address

    @property
    def profile(self) -> Profile:
        """What its descriptors were made with: true inside ``snapshot``."""
        return self._asked.view.profile

    @property
    def catalogue(self) -> "_Catalogue":
        """Its pictures and their names."""
        return self._catalogue

    @property
    def vectors(self) -> "_Vectors":
        """Its descriptors."""
        return self._vectors

    @property
    def words(self) -> "_Words":
        """The visual words of its pictures' points."""
        return self._words

    @property
    def traces(self) -> "_Traces":
        """What else is kept of its pictures."""
        return self._traces

    def snapshot(self) -> AbstractContextManager[None]:
        """The profile inside is of one moment.

        Shards are read one question after the other, each of them of a moment of its own: what comes and goes
        meanwhile is there or not, as it is for a search that is not inside.
        """
        return self._asked.moment()

    def write(self, command: str) -> AbstractContextManager[Writer]:
        """Refuses.

        Raises:
            CollectionError: Always.
        """
        return _refuse(self.address)

    def close(self) -> None:
        """Leaves the shards, which go on."""
        self._shards.close()

    def __enter__(self) -> "ShardedCollection":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Catalogue:
    """The pictures of all shards (the ``Catalogue`` interface)."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def count(self) -> int:
        """How many pictures there are."""
        return sum(self._asked.now().ask_all("count"))

    def records(self) -> Int64[I64, " N"]:
        """The records of all pictures, featureless ones too, ascending."""
        now = self._asked.now()
        return now.merged(now.ask_all("records"))

    def pictures(self, records: Sequence[int]) -> dict[int, StoredPicture]:
        """The pictures of these records; one that has gone is left out."""
        wanted = np.array(list(records), np.int64)
        found: dict[int, StoredPicture] = {}
        for _, own, pictures in self._asked.now().ask_of("pictures", wanted):
            for place, record in zip(own.places.tolist(), own.records.tolist(), strict=True):
                if record in pictures:
                    name = int(wanted[place])
                    found[name] = replace(pictures[record], record=name)
        return found

    def find(self, content: bytes) -> int | None:
        """The record of a content, or None."""
        now, shard = self._asked.now(), number_of(content, len(self._asked.every))
        record = now.ask("find", {shard: (content,)})[shard]
        return None if record is None else now.one(shard, record)

    def names(self) -> list[bytes]:
        """Every name that is known, sorted: of pictures, and of files that could not be used."""
        # Each shard knows of all files that could not be used: they have no content.
        return sorted({name for names in self._asked.now().ask_all("names") for name in names})

    def ledger(self) -> Ledger:
        """Refuses: what is known of files is asked for by who writes.

        Raises:
            CollectionError: Always.
        """
        return _refuse(self._asked.address)

    def info(self) -> CollectionInfo:
        """Counts, sizes and settings."""
        with self._asked.moment():
            parts: list[CollectionInfo] = self._asked.now().ask_all("info")
            profile = self._asked.view.profile
        files: dict[bytes, int] = {}
        roots: dict[bytes, Root] = {}
        kinds: dict[str, int] = {}
        for part in parts:
            for path, root in part.roots.items():
                files[path] = files.get(path, 0) + root.files
                roots.setdefault(path, root)
            for kind, count in part.traces.items():
                kinds[kind] = kinds.get(kind, 0) + count
        return replace(
            parts[0],
            address=self._asked.address,
            profile=profile,
            pictures=sum(part.pictures for part in parts),
            files=sum(part.files for part in parts),
            featureless=sum(part.featureless for part in parts),
            roots={path: replace(roots[path], files=files[path]) for path in sorted(roots)},
            added_by_hand=sum(part.added_by_hand for part in parts),
            bytes=sum(part.bytes for part in parts),
            traces=dict(sorted(kinds.items())),
            beside=_beside(parts),
        )

    def check(self) -> list[str]:
        """Reads everything; each fault in a sentence, none when it is sound."""
        found = self._asked.now().ask_all("check")
        return [
            f"shard {part}: {fault}"
            for part, faults in zip(self._asked.shards.parts, found, strict=True)
            for fault in faults
        ]


class _Vectors:
    """The descriptors of all shards (the ``Vectors`` interface)."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    @property
    def dimensions(self) -> int:
        """D, the length of a descriptor."""
        return self._asked.view.profile.dimensions

    @property
    def generation(self) -> int:
        """Goes up by 1 whenever all descriptors are replaced."""
        return self._asked.view.profile.generation

    def records(self) -> Int64[I64, " N"]:
        """The records that have descriptors, ascending."""
        now = self._asked.now()
        return now.merged(now.ask_all("described", self._asked.epoch_now()))

    def has(self, records: Int64[I64, " N"]) -> Bool[BOOL, " N"]:
        """Which of these records have a descriptor."""
        found = np.zeros(len(records), np.bool_)
        for _, own, has in self._asked.now().ask_of("has", records, self._asked.epoch_now()):
            found[own.places] = has
        return found

    def of(self, records: Int64[I64, " N"], *, generation: int | None = None) -> Float32[F32, "N D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
            CollectionChangedError: They are no longer of ``generation``.
        """
        now = self._asked.now()
        found = np.empty((len(records), self.dimensions), np.float32)
        missing = np.ones(len(records), np.bool_)
        for _, own, vectors in now.ask_of("descriptors", records, self._asked.epoch(generation)):
            if vectors is not None:
                found[own.places] = vectors
                missing[own.places] = False
        if missing.any():
            raise KeyError(int(records[missing][0]))
        return found

    def nearest(
        self,
        queries: Float32[F32, "Q D"],
        k: int,
        *,
        without: Iterable[int] = (),
        generation: int | None = None,
    ) -> list[Ranking]:
        """The records nearest to each query: by score, then by record (see ``Vectors``).

        Each shard gives its own k nearest, and how many of its pictures have which score.

        Raises:
            CollectionChangedError: The descriptors are no longer of ``generation``.
            ValueError: k is negative, or the queries are not finite or of another length.
        """
        require_askable(queries, k)
        require_length(queries, self.dimensions)
        now, epoch = self._asked.now(), self._asked.epoch(generation)
        left_out = now.share_of_all(without)
        found: dict[int, list[Ranking]] = now.ask(
            "nearest", {number: (epoch, queries, k, left_out[number]) for number in now.every}
        )
        return [
            joined([_renamed(now, number, found[number][query]) for number in now.every], k)
            for query in range(len(queries))
        ]


def _renamed(now: Now, shard: int, ranking: Ranking) -> Ranking:
    return replace(ranking, records=now.mirrors.outward(shard, ranking.records))


class _Words:
    """The visual words of all shards (the ``Words`` interface)."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def search(self, *, workers: int = 1) -> "_WordsSearch":
        """Begins to ask for one search; shards have threads of their own."""
        return _WordsSearch(self._asked)


class _WordsSearch:
    """What one search asks of all shards' words (the ``WordsSearch`` interface).

    How rare a word is, is told of the whole collection: it is counted first.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        # By this the shards know what they have compared already for this search.
        self._token = secrets.token_hex(8)

    def ranked(
        self,
        queries: Sequence[QueryWords],
        k: int | None,
        *,
        without: Iterable[int] = (),
        own: Iterable[int] = (),
        asked: Int64[I64, " M"],
    ) -> WordsRanking:
        """As ``WordsSearch.ranked``."""
        ask = self._asked.now()
        each: list[list[WordCounts]] = ask.ask_all("counts", self._token, queries)
        counts = [sum(some[1:], some[0]) for some in zip(*each, strict=True)]
        left_out, ours, shares = ask.share_of_all(without), ask.share_of_all(own), ask.mirrors.shares(asked)
        nothing = np.empty(0, np.int64)
        given = {
            number: (
                self._token,
                queries,
                k,
                left_out[number],
                ours[number],
                shares[number].records if number in shares else nothing,
                counts,
            )
            for number in ask.every
        }
        found: dict[int, WordsRanking] = ask.ask("ranked", given)
        parts: list[WordsRanking] = []
        for number, part in found.items():
            told = np.full(len(asked), np.nan)
            if number in shares:
                told[shares[number].places] = part.asked
            parts.append(replace(part, records=ask.mirrors.outward(number, part.records), asked=told))
        return WordsRanking.joined(parts, k)


class _Traces:
    """The traces of all shards (the ``Traces`` interface).

    Shards read them: they have points in their mirrors, and ask the server for the others, all at once.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def get(self, kind: str, records: Sequence[int], *, damaged: set[int] | None = None) -> dict[int, bytes]:
        """The traces of this kind of these records; a record that has none is left out.

        Raises:
            CorruptCollectionError: One is damaged, and nobody asked which (``damaged``).
            CollectionChangedError: The collection went over to another network meanwhile.
        """
        wanted = np.array(list(records), np.int64)
        found: dict[int, bytes] = {}
        epoch = self._asked.epoch_now()
        for _, own, (traces, wrong) in self._asked.now().ask_of(
            "traces", wanted, epoch, kind, ask=damaged is not None
        ):
            for place, record in zip(own.places.tolist(), own.records.tolist(), strict=True):
                name = int(wanted[place])
                if record in traces:
                    found[name] = traces[record]
                if damaged is not None and record in wrong:
                    damaged.add(name)
        return found

    def damaged(self, kind: str) -> list[int]:
        """The records whose trace of this kind is lost, or not as it was written, ascending."""
        now = self._asked.now()
        return now.merged(now.ask_all("damaged", self._asked.epoch_now(), kind)).tolist()

    def missing(self, kind: str) -> list[int]:
        """The records that have no trace of this kind, ascending."""
        now = self._asked.now()
        return now.merged(now.ask_all("missing", self._asked.epoch_now(), kind)).tolist()

    def kinds(self) -> dict[str, int]:
        """How many pictures have a trace, by its kind."""
        found: dict[str, int] = {}
        for kinds in self._asked.now().ask_all("kinds", self._asked.epoch_now()):
            for kind, count in kinds.items():
                found[kind] = found.get(kind, 0) + count
        return dict(sorted(found.items()))


def _beside(parts: Sequence[CollectionInfo]) -> Beside | None:
    """What is beside the representation in use; None also where not all shards know of it yet."""
    known = [part.beside for part in parts if part.beside is not None]
    if len(known) < len(parts) or len({(one.refit.asked, one.kept) for one in known}) > 1:
        return None
    return replace(known[0], done=sum(one.done for one in known))


def _refuse(address: str) -> NoReturn:
    raise CollectionError(
        f"{address} is only read where it is searched in shards",
        remedy="change it without shards: from a machine that has room for a mirror of it",
    )
