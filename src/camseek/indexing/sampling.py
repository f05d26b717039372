"""The vectors that a whitening is fitted on."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from camseek.config import Settings
from camseek.encoding.activations import Activations
from camseek.encoding.encoder import Encoder
from camseek.errors import FeaturelessError, SettingsError
from camseek.extraction.describer import held
from camseek.extraction.extractor import Extraction, Extractor
from camseek.extraction.faults import tried
from camseek.indexing.travelling import Carried, given_up
from camseek.job import Job
from camseek.numerics import F32
from camseek.results import Skipped

Item = TypeVar("Item")

DEFAULT_SAMPLE_CLASSES = 1
"""N_pca: first classes of each picture whose class vectors are samples (paper section 4.3)."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Vectors to fit a whitening on.

    Attributes:
        vectors: (N, K), float32, each of unit norm: unwhitened.
        pictures: How many pictures gave them.
        zero: How many vectors were zero (a class that is nowhere seen, say) and left out.
        skipped: Pictures that gave none, and why.
    """

    vectors: Float32[F32, "N K"]
    pictures: int
    zero: int
    skipped: tuple[Skipped, ...]


def samples(
    encoder: Encoder, activations: Activations, *, top: int = DEFAULT_SAMPLE_CLASSES
) -> Float32[F32, "S K"]:
    """The unwhitened vectors of one picture that a whitening is fitted on (paper section 3.2).

    Args:
        encoder: Its whitening, if it has one, is not applied.
        activations: Of one picture, B = 1.
        top: N_pca, 1 or more: for ``cam`` the class vectors of so many first classes, of those that the
            picture is described with: the predefined ones, or its own most probable ones (paper section
            4.3). Other encodings take no notice: ``rmac`` gives its region vectors, the others their one
            pooled vector.

    Returns:
        (S, K), float32: rows of unit norm, or zero.
    """
    classes = encoder.classes(activations, top) if encoder.encoding.name == "cam" else None
    return encoder.parts(activations, classes=classes)[0]


def require_sample_classes(settings: Settings, top: int | None) -> None:
    """Makes sure that there are so many classes to take samples of.

    Raises:
        SettingsError: The encoding has no classes, or the list of predefined ones is shorter.
    """
    if top is None:
        return
    if top < 1 or settings.encoding.name != "cam":
        raise SettingsError(
            f"{top} sample classes cannot be with the encoding {settings.encoding}",
            remedy="use 1 or more with cam; leave them out with other encodings",
        )
    if settings.predefined and top > len(settings.predefined):
        raise SettingsError(
            f"{top} sample classes are more than the class list has: {len(settings.predefined)}",
            remedy="ask for fewer sample classes, or make a longer list",
        )


def told_classes(has_classes: bool, top: int, predefined: Sequence[int]) -> str:
    """Which classes' vectors are samples, for people; a text that goes on behind others."""
    if not has_classes:
        return ""
    return f", N_pca {top}" + (" of the class list" if predefined else "")


def collect_samples(
    extractor: Extractor,
    paths: Sequence[bytes],
    encoder: Encoder,
    *,
    top: int = DEFAULT_SAMPLE_CLASSES,
    job: Job,
) -> tuple[Float32[F32, "N K"], list[Skipped]]:
    """The vectors of many pictures that a whitening is fitted on, in the order of the names.

    Args:
        extractor: Reads the pictures; its model has one thread a pass: several are read at once.
        paths: The pictures.
        encoder: The encoding to be whitened.
        top: N_pca, as for ``samples``.
        job: Threads; its progress is started with the number of pictures, and told of each.

    Returns:
        The vectors that are not zero, and the pictures that gave none: unreadable or featureless.
    """
    job.progress.start(len(paths))
    work = Sampler(extractor, encoder, top).of_file
    channels, count = extractor.model.channels, len(paths)
    gathered = gather(work, paths, channels=channels, count=count, name_of=bytes, job=job)
    return gathered.vectors, list(gathered.skipped)


@dataclass(frozen=True, slots=True)
class Sampler:
    """Gives the samples of one picture, wherever that is read; attributes as ``collect_samples``."""

    extractor: Extractor
    encoder: Encoder
    top: int

    def of_file(self, path: bytes) -> tuple[bytes, Float32[F32, "S K"]] | Skipped:
        """The name and the samples of a file, or why it has none."""
        return tried(path, partial(self._of_file, path))

    def of_stored(self, item: Carried) -> tuple[bytes, Float32[F32, "S K"]] | Skipped:
        """The same of a picture of a collection: of what its descriptor is made of there."""
        return tried(item.name, partial(self._of_stored, item))

    def _of_file(self, path: bytes) -> tuple[bytes, Float32[F32, "S K"]] | Skipped:
        seen = self.extractor.try_file(path)
        return seen if isinstance(seen, Skipped) else (path, self._of(seen))

    def _of_stored(self, item: Carried) -> tuple[bytes, Float32[F32, "S K"]] | Skipped:
        seen = item.maps(self.extractor).see(item.picture)
        if isinstance(seen, Skipped):
            return seen
        return item.name, held(self.encoder, self._of(seen))

    def _of(self, seen: Extraction) -> Float32[F32, "S K"]:
        return samples(self.encoder, seen.activations, top=self.top)


def gather(
    work: Callable[[Item], tuple[bytes, Float32[F32, "S K"]] | Skipped],
    items: Iterable[Item],
    *,
    channels: int,
    count: int,
    most: int | None = None,
    name_of: Callable[[Item], bytes],
    job: Job,
) -> Samples:
    """Collects the samples of pictures, those of the first ones first.

    Args:
        work: Gives a picture's name and vectors, or why it has none; called in threads, or elsewhere.
        items: The pictures.
        channels: K.
        count: How many pictures there are.
        most: So many samples at most; later pictures are then not read. None for all.
        name_of: Gives the name of a picture on which workers die.
        job: Threads, or machines; its progress is told of each picture that is done with, also of those that
            need not be read.
    """

    def lost(item: Item, reason: str) -> Skipped:
        return given_up(name_of(item), reason)

    rows: list[F32] = []
    skipped: list[Skipped] = []
    pictures = zero = taken = done = 0

    with closing(job.spread(work, items, lost=lost)) as found:
        for item in found:
            done += 1
            job.progress.step()
            if isinstance(item, Skipped):
                skipped.append(item)
                continue
            name, vectors = item
            seen = vectors[vectors.any(axis=1)]
            zero += len(vectors) - len(seen)
            if not len(seen):
                skipped.append(Skipped(name, "the network sees nothing in it", FeaturelessError.code))
                continue
            rows.append(seen[: None if most is None else most - taken])
            taken += len(rows[-1])
            pictures += 1
            if taken == most:
                break
    for _ in range(done, count):
        job.progress.step()
    vectors = np.concatenate(rows) if rows else np.empty((0, channels), np.float32)
    return Samples(vectors, pictures, zero, tuple(skipped))
