"""Every picture of a collection taken through a network again, for a representation beside the one in use."""

import os
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
from jaxtyping import Float32

from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import Whitening, apply_whitening
from camseek.errors import is_settled
from camseek.extraction.describer import Describer, describe_to_store
from camseek.extraction.faults import tried
from camseek.extraction.traces import traces_of
from camseek.indexing.sampling import Sampler, Samples, gather
from camseek.indexing.travelling import Carried, carried, given_up
from camseek.job import Job
from camseek.names import is_remote
from camseek.numerics import F32, is_usable, l2_normalise
from camseek.results import Skipped
from camseek.store import NO_TRACES, TRACES, Collection, Profile, Refit, StoredPicture, pictures_of

# Descriptors that are read at a time.
_CHUNK = 512


@dataclass(frozen=True, slots=True, eq=False)
class Recoded:
    """A picture that was encoded anew, or why it was not.

    Attributes:
        record: The picture's.
        descriptor: The new one; None where the picture is featureless, or was not encoded.
        traces: What else belongs to the new representation, by kind.
        fault: Why it could not be encoded, where it had a descriptor; None where all is well.
        passing: Whether that may pass: its file is there as it was, and says nothing against it.
        kept: It was not looked at: what it was, it stays.
        tried: The names under which one that has a fault was looked for.
    """

    record: int
    descriptor: Float32[F32, " D"] | None
    traces: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    fault: Skipped | None = None
    passing: bool = False
    kept: bool = False
    tried: tuple[bytes, ...] = ()


class Recoder:
    """Encodes a collection's pictures for another profile.

    Attributes:
        collection: The collection.
        before: What its descriptors are made with now.
        plain: The other profile, without a whitening.
        pictures: How many the collection holds.
        channels: Length of a vector before it is whitened, K.
        from_stored: Whether the stored descriptors are what a whitening takes: no picture need be read.
        progress: Told of each picture.
    """

    def __init__(
        self,
        collection: Collection,
        describer: Callable[[Profile], Describer],
        before: Profile,
        plain: Profile,
        job: Job,
    ) -> None:
        """Looks at the collection.

        Args:
            collection: The collection.
            describer: Gives what describes pictures for a profile; asked when a picture is read.
            before: What the collection's descriptors are made with now.
            plain: The other profile, without a whitening: its dimensions are the network's channels.
            job: Threads or machines, and progress.
        """
        self.collection, self.before, self.plain = collection, before, plain
        self._make_describer = describer
        self._work: tuple[Refit, partial[tuple[StoredPicture, Recoded | Skipped]]] | None = None
        self._job = job
        self.progress = job.progress
        # Then only the whitening is another.
        same = (before.model_checksum, before.settings) == (plain.model_checksum, plain.settings)
        self._featureless_stay = same and before.whitening is None
        self.channels = plain.dimensions
        self.from_stored = self._featureless_stay and plain.settings.encoding.one_vector
        self.pictures = collection.catalogue.count()

    @cached_property
    def _describer(self) -> Describer:
        return self._make_describer(self.plain)

    def start(self, total: int | None = None) -> None:
        """So many pictures are read or counted in all; None for those of the collection."""
        self._job.progress.start(self.pictures if total is None else total)

    def samples_of_files(self, paths: Sequence[bytes], top: int, most: int) -> Samples:
        """The samples of files, N_pca = ``top``; ``most`` of them at most."""
        work, count = self._sampler(top).of_file, len(paths)
        return gather(
            work, paths, channels=self.channels, count=count, most=most, name_of=bytes, job=self._job
        )

    def own_records(self) -> list[int]:
        """The records of the collection's own pictures that may give samples, by their contents.

        That order is the same however the pictures came, and has nothing to do with what they show. Of those
        without a descriptor some may have one once network or whitening are others.
        """
        collection = self.collection
        records = collection.vectors.records() if self._featureless_stay else collection.catalogue.records()
        contents = [(item.content, item.record) for item in self._stored(records.tolist())]
        return [record for _, record in sorted(contents)]

    def own_samples(self, top: int, most: int) -> Samples:
        """The samples of the collection's own pictures; arguments as for ``samples_of_files``."""
        records = self.own_records()
        if self.from_stored:
            self.start()
            vectors = self._vectors_of(records[:most])
            return Samples(vectors, len(vectors), 0, ())
        self.start(len(records) + self.pictures)
        drawn = gather(
            self._sampler(top).of_stored,
            carried(self.collection, records),
            channels=self.channels,
            most=most,
            count=len(records),
            name_of=lambda item: item.name,
            job=self._job,
        )
        if self._featureless_stay:
            return drawn
        seen = set(self.collection.vectors.records().tolist())
        unseen = self._stored([record for record in records if record not in seen])
        names = {name for item in unseen for name in item.paths}
        return replace(drawn, skipped=tuple(item for item in drawn.skipped if item.path not in names))

    def _sampler(self, top: int) -> Sampler:
        return Sampler(self._describer.extractor, self._describer.encoder, top)

    def _stored(self, records: Sequence[int]) -> Iterator[StoredPicture]:
        return pictures_of(self.collection.catalogue, records)

    def _vectors_of(self, records: Sequence[int]) -> Float32[F32, "N K"]:
        """The stored descriptors of those of these records that have one, as a whitening takes them.

        Raises:
            CollectionChangedError: They were replaced meanwhile.
        """
        with self.collection.snapshot():
            there = np.isin(records, self.collection.vectors.records())
            some = np.array(records, np.int64)[there]
            return l2_normalise(self.collection.vectors.of(some, generation=self.before.generation))

    def encoded(self, records: Sequence[int], refit: Refit) -> Generator[Recoded]:
        """What these pictures are in another representation; one that has gone is left out."""
        seen = set(self.collection.vectors.records().tolist())
        if self._featureless_stay:
            yield from (Recoded(record, None, kept=True) for record in records if record not in seen)
            records = [record for record in records if record in seen]
        if self.from_stored and refit.profile.whitening is not None:
            yield from self._whitened(records, Whitening.from_bytes(refit.profile.whitening))
            return
        items = carried(self.collection, records)
        with closing(self._job.spread(self._work_for(refit), items, lost=_given_up)) as found:
            for item, made in found:
                yield made if isinstance(made, Recoded) else _faulty(item, made, seen)

    def _work_for(self, refit: Refit) -> Callable[[Carried], "tuple[StoredPicture, Recoded | Skipped]"]:
        """What encodes a picture: one value for a whole run, by which machines know that they have it."""
        if self._work is None or self._work[0] != refit:
            matrix = refit.profile.whitening
            whitening = None if matrix is None else Whitening.from_bytes(matrix)
            encoder = replace(self._describer.encoder, whitening=whitening)
            parts = [part for part in refit.profile.keeps if TRACES[part] in refit.kinds]
            self._work = refit, partial(_encode, self._describer, encoder, parts)
        return self._work[1]

    def _whitened(self, records: Sequence[int], whitening: Whitening) -> Iterator[Recoded]:
        for start in range(0, len(records), _CHUNK):
            self._job.check()
            some = records[start : start + _CHUNK]
            with self.collection.snapshot():
                there = [item.record for item in self._stored(some)]
                vectors = self._vectors_of(there)
            for record, vector in zip(there, vectors, strict=True):
                # One at a time, as pictures that are read: products of many round in another way.
                yield _usable(record, apply_whitening(vector[None], whitening)[0])


def _encode(
    describer: Describer, encoder: Encoder, parts: Sequence[str], item: Carried
) -> tuple[StoredPicture, Recoded | Skipped]:
    """A picture encoded anew, or why it cannot be read; it goes with that, whose names are looked at here."""

    def anew() -> Recoded | Skipped:
        found = item.maps(describer.extractor).see(item.picture)
        if isinstance(found, Skipped):
            return found
        traces = traces_of(found, parts, describer.model)
        return _usable(item.picture.record, describe_to_store(encoder, found.activations), traces)

    return item.picture, tried(item.name, anew)


def _given_up(item: Carried, reason: str) -> tuple[StoredPicture, Skipped]:
    """What becomes of a picture on which workers die."""
    return item.picture, given_up(item.name, reason)


def _faulty(item: StoredPicture, fault: Skipped, seen: Container[int]) -> Recoded:
    """A picture that could not be encoded; ``seen`` are those that have a descriptor."""
    if item.record not in seen:
        # No search found it before, and none will: no reason to stop.
        return Recoded(item.record, None, kept=True)
    # What says nothing of a file that is there, or elsewhere: it may be read tomorrow. Looked for here, and
    # not where it was read: a machine that does not see it must not have it leave the collection.
    there = any(is_remote(path) or os.path.lexists(path) for path in item.paths)
    passing = not is_settled(fault.code) and there
    return Recoded(item.record, None, fault=fault, passing=passing, tried=item.paths)


def _usable(record: int, vector: F32, traces: Mapping[str, bytes] = NO_TRACES) -> Recoded:
    return Recoded(record, vector if is_usable(vector) else None, traces)
