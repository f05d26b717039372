"""Every picture of a collection encoded anew, for a whitening that takes another's place."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from camseek.encoding.whitening import Whitening, apply_whitening
from camseek.errors import is_settled
from camseek.extraction.describer import Describer, describe_to_store
from camseek.extraction.extractor import FileMaps
from camseek.extraction.faults import tried
from camseek.indexing.pace import Pace
from camseek.indexing.sampling import Sampler, Samples, gather
from camseek.job import Job
from camseek.numerics import F32, is_usable, l2_normalise
from camseek.results import Skipped
from camseek.store import Collection, Refit, StoredPicture, Writer, pictures_of

# Descriptors that are read at a time.
_CHUNK = 512


@dataclass(slots=True)
class Recoded:
    """What became of a collection's pictures.

    Attributes:
        encoded: How many were encoded anew.
        lost: Records whose pictures could not be, and why.
        waiting: Pictures that could not be now, though their files are there as they were.
        newly_featureless: Pictures that had a descriptor and have none now.
        removed: Files of the lost ones that left the collection.
    """

    encoded: int = 0
    lost: list[tuple[int, Skipped]] = field(default_factory=list[tuple[int, Skipped]])
    waiting: list[Skipped] = field(default_factory=list[Skipped])
    newly_featureless: int = 0
    removed: list[Skipped] = field(default_factory=list[Skipped])

    def replace_all(self, collection: Collection, writer: Writer) -> None:
        """Puts the new descriptors in the place of the old ones; what is lost leaves the collection."""
        before = set(collection.vectors.records().tolist())
        with writer.unit():
            for record, item in self.lost:
                names = writer.names(record)
                self.removed += [replace(item, path=name) for name in names]
                writer.release(names, None)
            writer.refitter.finish()
        writer.compact()
        after = set(collection.vectors.records().tolist())
        self.newly_featureless = len(before - after - {record for record, _ in self.lost})


class Recoder:
    """Takes a collection's pictures through the network again; inside ``write``.

    Attributes:
        collection: The collection.
        pictures: How many it holds.
        channels: Length of a vector before it is whitened, K.
        from_stored: Whether the stored descriptors are what a whitening takes: no picture need be read.
    """

    def __init__(
        self, collection: Collection, describer: Callable[[], Describer], writer: Writer, job: Job
    ) -> None:
        """Looks at the collection.

        Args:
            collection: The collection.
            describer: Gives what describes its pictures now, one thread a pass; asked when a picture is read.
            writer: The collection's writer.
            job: Threads and progress.
        """
        self.collection = collection
        self._make_describer = describer
        self._writer = writer
        self._job = job
        profile = collection.profile
        whitening = profile.whitening
        self.channels = len(Whitening.from_bytes(whitening).mean) if whitening else profile.dimensions
        self.from_stored = whitening is None and profile.settings.encoding.one_vector
        self._featureless_stay = whitening is None
        self.pictures = collection.catalogue.count()

    @cached_property
    def _describer(self) -> Describer:
        return self._make_describer()

    @cached_property
    def _maps(self) -> FileMaps:
        return FileMaps(self._describer.extractor, self.collection.traces)

    def start(self, total: int | None = None) -> None:
        """So many pictures are read or counted in all; None for those of the collection."""
        self._job.progress.start(self.pictures if total is None else total)

    def samples_of_files(self, paths: Sequence[bytes], top: int, most: int) -> Samples:
        """The samples of files, N_pca = ``top``; ``most`` of them at most."""
        work, count = self._sampler(top).of_file, len(paths)
        return gather(work, paths, channels=self.channels, count=count, most=most, job=self._job)

    def own_records(self) -> list[int]:
        """The records of the collection's own pictures that may give samples, by their contents.

        That order is the same however the pictures came, and has nothing to do with what they show. Of those
        without a descriptor some may have one once the whitening is another.
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
            some = np.array(records[:most], np.int64)
            vectors = l2_normalise(self.collection.vectors.of(some))
            return Samples(vectors, len(vectors), 0, ())
        self.start(len(records) + self.pictures)
        work = partial(self._sampler(top).of_stored, self._maps)
        pictures = self._stored(records)
        drawn = gather(work, pictures, channels=self.channels, most=most, count=len(records), job=self._job)
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

    def encode_all(self, refit: Refit) -> Recoded:
        """Gives every picture that has none yet its new descriptor; the work is made permanent often."""
        done = Recoded()
        matrix = refit.profile.whitening
        whitening = None if matrix is None else Whitening.from_bytes(matrix)
        seen = set(self.collection.vectors.records().tolist())
        pending = self._writer.refitter.pending()
        for record in pending:
            if record not in seen and self._featureless_stay:
                self._writer.refitter.put(record, None)
                self._job.progress.step()
        if self._featureless_stay:
            pending = [record for record in pending if record in seen]
        if whitening is not None and self.from_stored:
            self._whiten_stored(pending, whitening, done)
        else:
            self._encode_files(pending, whitening, seen, done)
        self._writer.commit()
        return done

    def _whiten_stored(self, records: Sequence[int], whitening: Whitening, done: Recoded) -> None:
        for start in range(0, len(records), _CHUNK):
            self._job.check()
            some = records[start : start + _CHUNK]
            vectors = l2_normalise(self.collection.vectors.of(np.array(some, np.int64)))
            for record, vector in zip(some, vectors, strict=True):
                # One at a time, as pictures that are read: products of many round in another way.
                self._put(record, apply_whitening(vector[None], whitening)[0], done)
            self._writer.commit()

    def _encode_files(
        self, records: Sequence[int], whitening: Whitening | None, seen: set[int], done: Recoded
    ) -> None:
        encoder, maps = replace(self._describer.encoder, whitening=whitening), self._maps

        def encode(item: StoredPicture) -> tuple[StoredPicture, F32 | Skipped]:
            return item, tried(b"".join(item.paths[:1]), partial(anew, item))

        def anew(item: StoredPicture) -> F32 | Skipped:
            seen = maps.see(item)
            return seen if isinstance(seen, Skipped) else describe_to_store(encoder, seen.activations)

        pace = Pace(self._writer)
        with closing(self._job.map(encode, self._stored(records))) as encoded:
            for item, vector in encoded:
                if not isinstance(vector, Skipped):
                    self._put(item.record, vector, done)
                elif item.record not in seen:
                    # No search found it before, and none will: no reason to stop.
                    self._writer.refitter.put(item.record, None)
                    self._job.progress.step()
                else:
                    # What says nothing of a file that is there: it may be read tomorrow.
                    if not is_settled(vector.code) and any(map(os.path.lexists, item.paths)):
                        done.waiting.append(vector)
                    else:
                        done.lost.append((item.record, vector))
                    self._job.progress.step()
                pace.step()

    def _put(self, record: int, vector: F32, done: Recoded) -> None:
        self._writer.refitter.put(record, vector if is_usable(vector) else None)
        self._job.progress.step()
        done.encoded += 1
