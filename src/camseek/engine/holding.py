"""What the engine says of a collection."""

import threading
from collections.abc import Iterator, Sequence

from jaxtyping import Float32, Int64

from camseek.arguments import several
from camseek.config import NEAR_COPY
from camseek.engine.base import Opened
from camseek.job import Progress
from camseek.listing import Copies, Match, copies, descriptor_blocks, every_picture
from camseek.names import path_text
from camseek.numerics import F32, I64
from camseek.store import CollectionInfo, StoredPicture


class Holding(Opened):
    """What a collection holds; ``len`` and iteration."""

    def __len__(self) -> int:
        return self.collection.catalogue.count()

    def __bool__(self) -> bool:
        return True  # also while it holds nothing

    def __iter__(self) -> Iterator[StoredPicture]:
        return every_picture(self.collection)

    def pictures(self, match: Sequence[str] = ()) -> Iterator[StoredPicture]:
        """The pictures in the order in which they came, some read at a time.

        Args:
            match: Patterns of names, as ``camseek.listing.Match`` says; a picture comes with the names that
                one of them matches. Without any all come, as iterating gives them.

        Raises:
            SettingsError: A pattern cannot be read.
        """
        return Match(tuple(several(match, "patterns"))).pictures(self.collection)

    def copies(
        self,
        threshold: float | None = NEAR_COPY,
        *,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> Iterator[Copies]:
        """Pictures that are there more than once: under several names, or as near copies.

        Args:
            threshold: The cosine of two descriptors from which on they are near copies, in (0, 1]; None for
                files of the same content alone.
            progress: Told how many pictures were compared.
            cancelled: Whoever sets it ends it with ``CancelledError``.

        Raises:
            ValueError: The threshold is out of range.
            CollectionChangedError: All descriptors were replaced meanwhile.
        """
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"a threshold of {threshold}")
        return copies(self.collection, threshold, self._job.told(progress, cancelled))

    def descriptor_blocks(
        self, records: Int64[I64, " N"] | None = None
    ) -> Iterator[tuple[list[StoredPicture], Float32[F32, "n D"]]]:
        """Pictures and their descriptors, (n, D), of unit norm, some at a time, ascending by record.

        Args:
            records: Which of those that have a descriptor, in this order; None for all.

        Raises:
            KeyError: One has none, or has left meanwhile.
        """
        return descriptor_blocks(self.collection, records)

    def info(self) -> CollectionInfo:
        """Counts, sizes and settings."""
        return self.collection.catalogue.info()

    def descriptors(self) -> tuple[list[str], Float32[F32, "N D"]]:
        """A name of each picture that has a descriptor, and the descriptors, (N, D), of unit norm."""
        with self.collection.snapshot():
            records = self.collection.vectors.records()
            pictures = self.collection.catalogue.pictures(records.tolist())
            vectors = self.collection.vectors.of(records)
        return [path_text(pictures[record].paths[0]) for record in records.tolist()], vectors
