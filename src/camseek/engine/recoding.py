"""Every picture of a collection encoded anew, for a whitening that takes another's place."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from camseek.backbones import Backbone
from camseek.engine.engine import Engine
from camseek.engine.indexing import Progress
from camseek.engine.pipeline import ordered
from camseek.engine.sampling import Sampler, Samples, gather
from camseek.engine.viewing import read_again
from camseek.errors import UnreadableFileError
from camseek.numerics import is_usable, l2_normalise
from camseek.results import Skipped
from camseek.store import Collection, Refit, StoredPicture, Writer
from camseek.whitening import Whitening, apply_whitening

F32 = NDArray[np.float32]

# Encodings whose stored descriptor is the one vector that a whitening takes, where it was not whitened.
_POOLED = frozenset({"sum", "ucrow", "crow", "gem"})
# How often the work is made permanent, as in an index run.
_COMMIT_PICTURES = 16
_COMMIT_SECONDS = 1.0
# Pictures whose rows are read at a time.
_CHUNK = 512


@dataclass(slots=True)
class Recoded:
    """What became of a collection's pictures.

    Attributes:
        encoded: How many were encoded anew.
        lost: Records whose pictures could not be, and why.
        newly_featureless: Pictures that had a descriptor and have none now.
        removed: Files of the lost ones that left the collection.
    """

    encoded: int = 0
    lost: list[tuple[int, Skipped]] = field(default_factory=list[tuple[int, Skipped]])
    newly_featureless: int = 0
    removed: list[Skipped] = field(default_factory=list[Skipped])

    def replace_all(self, collection: Collection, writer: Writer) -> None:
        """Puts the new descriptors in the place of the old ones; what is lost leaves the collection."""
        before = set(collection.record_numbers().tolist())
        with writer.unit():
            for record, item in self.lost:
                names = writer.names(record)
                self.removed += [replace(item, path=name) for name in names]
                writer.release(names, None)
            writer.refitter.finish()
        writer.compact()
        after = set(collection.record_numbers().tolist())
        self.newly_featureless = len(before - after - {record for record, _ in self.lost})


class Recoder:
    """Takes a collection's pictures through the network again; inside ``write``.

    Attributes:
        collection: The collection.
        pictures: How many it holds.
        channels: Length of a vector before it is whitened, K.
        from_stored: Whether the stored descriptors are what a whitening takes: no picture need be read.
    """

    def __init__(self, engine: Engine, writer: Writer, workers: int, progress: Progress) -> None:
        """Looks at the collection.

        Args:
            engine: The collection and its model, which is loaded when a picture is read.
            writer: The collection's writer.
            workers: Threads.
            progress: Told of each picture.
        """
        self.collection = engine.collection
        self._engine = engine
        self._writer = writer
        self._workers = workers
        self._progress = progress
        profile = engine.collection.profile
        whitening = profile.whitening
        self.channels = len(Whitening.from_bytes(whitening).mean) if whitening else profile.dimensions
        self.from_stored = whitening is None and profile.settings.encoding.name in _POOLED
        self._featureless_stay = whitening is None
        self.pictures = engine.collection.info().pictures

    @cached_property
    def _model(self) -> Backbone:
        return self._engine.model.with_threads(1)

    def start(self, total: int | None = None) -> None:
        """So many pictures are read or counted in all; None for those of the collection."""
        self._progress.start(self.pictures if total is None else total)

    def sampler(self, top: int) -> Sampler:
        """Gives samples of pictures, N_pca = ``top``."""
        return Sampler(self._model, self._engine.encoder, self._engine.reader, top)

    def gather(
        self,
        work: Callable[..., tuple[bytes, Float32[F32, "S K"]] | Skipped],
        items: Iterable[bytes | StoredPicture],
        most: int,
    ) -> Samples:
        """The samples of pictures, with this collection's progress and threads."""
        return gather(
            work,
            items,
            channels=self.channels,
            most=most,
            workers=self._workers,
            progress=self._progress,
        )

    def stored(self, records: Sequence[int]) -> Iterator[StoredPicture]:
        """The pictures of records, in their order."""
        for start in range(0, len(records), _CHUNK):
            some = records[start : start + _CHUNK]
            found = self.collection.pictures(some)
            yield from (found[record] for record in some)

    def encode_all(self, refit: Refit) -> Recoded:
        """Gives every picture that has none yet its new descriptor; the work is made permanent often."""
        done = Recoded()
        whitening = None if refit.whitening is None else Whitening.from_bytes(refit.whitening)
        seen = set(self.collection.record_numbers().tolist())
        pending = self._writer.refitter.pending()
        for record in pending:
            if record not in seen and self._featureless_stay:
                self._writer.refitter.put(record, None)
                self._progress.step()
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
            some = records[start : start + _CHUNK]
            vectors = l2_normalise(self.collection.descriptors_of(np.array(some, np.int64)))
            for record, vector in zip(some, apply_whitening(vectors, whitening), strict=True):
                self._put(record, vector, done)
            self._writer.commit()

    def _encode_files(
        self, records: Sequence[int], whitening: Whitening | None, seen: set[int], done: Recoded
    ) -> None:
        encoder = replace(self._engine.encoder, whitening=whitening)
        model, reader = self._model, self._engine.reader

        def encode(item: StoredPicture) -> tuple[StoredPicture, F32 | str]:
            picture = read_again(item.paths, item.content, reader)
            if isinstance(picture, str):
                return item, picture
            return item, encoder.describe(model.run(picture.pixels))[0]

        committed, waiting = time.monotonic(), 0
        with closing(ordered(encode, self.stored(records), workers=self._workers)) as encoded:
            for item, vector in encoded:
                if not isinstance(vector, str):
                    self._put(item.record, vector, done)
                elif item.record not in seen:
                    # No search found it before, and none will: no reason to stop.
                    self._writer.refitter.put(item.record, None)
                    self._progress.step()
                else:
                    name = item.paths[0] if item.paths else b""
                    done.lost.append((item.record, Skipped(name, vector, UnreadableFileError.code)))
                    self._progress.step()
                waiting += 1
                if waiting >= _COMMIT_PICTURES or time.monotonic() - committed >= _COMMIT_SECONDS:
                    self._writer.commit()
                    committed, waiting = time.monotonic(), 0

    def _put(self, record: int, vector: F32, done: Recoded) -> None:
        self._writer.refitter.put(record, vector if is_usable(vector) else None)
        self._progress.step()
        done.encoded += 1
