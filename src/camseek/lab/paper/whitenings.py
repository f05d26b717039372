"""Whitening for every set, fitted on the pictures of the others, with one pass for all encodings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from camseek.backbones import Backbone
from camseek.config import Encoding, Resize, Settings
from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import Whitening
from camseek.extraction.extractor import Extractor
from camseek.extraction.faults import tried
from camseek.indexing.sampling import samples, told_classes
from camseek.job import Job
from camseek.lab.measuring.held_out import fit_noted
from camseek.lab.paper.columns import Column, fingerprint_pictures, fitted_on, picture_paths
from camseek.lab.paper.experiments import Experiment, SampleKind
from camseek.lab.paper.networks import model_key
from camseek.lab.paper.work import Work
from camseek.numerics import F32
from camseek.results import Skipped

Listed = tuple[int, ...]
"""A list of predefined classes; empty for each picture's own."""

_Kind = tuple[Encoding, Listed]
"""Vectors of one kind: an encoding, its number of classes left open, and whose classes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Vectors:
    """Of a set's pictures, (S, K) each, S at most ``top`` where the encoding has classes."""

    top: int
    pictures: list[F32] = field(default_factory=list[F32])


@dataclass(frozen=True, slots=True, eq=False)
class Whitener:
    """Fits whitenings for one network; vectors of a set's pictures are made once for all that need them.

    Attributes:
        model: The network, with one thread.
        columns: Every set.
        work: Where whitenings are kept.
        dimensions: D, where there can be so many.
        job: Limits, threads, and who is told of each picture.
    """

    model: Backbone
    columns: Sequence[Column]
    work: Work
    dimensions: int
    job: Job
    _vectors: "dict[tuple[str, str], dict[_Kind, _Vectors]]" = field(
        default_factory=dict[tuple[str, str], "dict[_Kind, _Vectors]"]
    )

    def fit(
        self, column: Column, experiments: Iterable[Experiment], listed: Listed = ()
    ) -> dict[SampleKind, tuple[Whitening, str]]:
        """The whitenings of some experiments on a set, and what each was fitted on.

        Those that cannot be fitted are left out: there is no other set, or it gives too few vectors.

        Args:
            column: The set.
            experiments: What will be measured on it.
            listed: The predefined classes, most wanted first.
        """
        wanted = dict.fromkeys(item.samples for item in experiments if item.whitened)
        others = fitted_on(column, self.columns)
        if not others:
            return {}
        keys = {item: self._key(column, others, item, listed) for item in wanted}
        found = {item: self.work.get_whitening(key) for item, key in keys.items()}
        missing = [item for item, known in found.items() if known is None]
        tops: dict[_Kind, int] = {}
        for item in missing:
            kind = _kind(item, listed)
            tops[kind] = max(item.classes, tops.get(kind, 0))
        for item in missing:
            fitted = self._fit(column, others, item, listed, tops)
            found[item] = fitted
            if fitted is not None:
                self.work.put_whitening(keys[item], *fitted)
        for known in self._vectors.values():
            # Another set has another list: what only this one needs would fill the memory.
            for kind in [kind for kind in known if kind[1]]:
                del known[kind]
        return {item: known for item, known in found.items() if known is not None}

    def _key(
        self, column: Column, others: Sequence[Column], wanted: SampleKind, listed: Listed
    ) -> dict[str, object]:
        return {
            **model_key(self.model, self.job.limits),
            "layer": self.model.layer,
            "size": str(column.size),
            "encoding": str(wanted.family),
            "sample_classes": wanted.classes,
            "predefined": list(_kind(wanted, listed)[1]),
            "one_each": wanted.one_each,
            "dimensions": self.dimensions,
            "sets": [[item.title, fingerprint_pictures(item)] for item in others],
        }

    def _fit(
        self,
        column: Column,
        others: Sequence[Column],
        wanted: SampleKind,
        listed: Listed,
        tops: Mapping[_Kind, int],
    ) -> tuple[Whitening, str] | None:
        kind, top = _kind(wanted, listed), wanted.classes
        pictures = [
            vectors for other in others for vectors in self._of(other, column.size, tops)[kind].pictures
        ]
        has_classes = wanted.family.name == "cam"
        rows = [vectors[:top] if has_classes else vectors for vectors in pictures]
        rows = [vectors[vectors.any(axis=1)] for vectors in rows]
        used = np.concatenate([*rows, np.empty((0, self.model.channels), np.float32)])
        count = sum(bool(len(vectors)) for vectors in rows)
        if wanted.one_each:
            used = used[np.sort(np.random.default_rng(0).permutation(len(used))[:count])]
        dimensions = min(self.dimensions, self.model.channels, len(used) - 1)
        if dimensions < 1:
            return None
        names = ", ".join(other.title for other in others)
        classes = told_classes(has_classes, top, kind[1])
        return fit_noted(used, dimensions, pictures=count, name=names, classes=classes)

    def _of(self, column: Column, size: Resize, tops: Mapping[_Kind, int]) -> "Mapping[_Kind, _Vectors]":
        """The vectors of a set's pictures of each kind; in one pass for those that are missing."""
        known = self._vectors.setdefault((column.name, str(size)), {})
        missing = {kind: top for kind, top in tops.items() if kind not in known or known[kind].top < top}
        if missing:
            encoders = {kind: self._encoder(size, kind) for kind in missing}
            extractor = Extractor.of(self.model, size, self.job.limits)
            paths = picture_paths(column)
            self.job.progress.start(len(paths))
            known |= {kind: _Vectors(top) for kind, top in missing.items()}
            work = partial(_samples, extractor, encoders, missing)
            for vectors in self.job.map(work, paths):
                self.job.progress.step()
                for kind, own in vectors.items():
                    known[kind].pictures.append(own)
        return known

    def _encoder(self, size: Resize, kind: _Kind) -> Encoder:
        family, listed = kind
        settings = Settings(encoding=family, size=size, layer=self.model.layer, predefined=listed)
        return Encoder.of(settings, self.model.classifier_weights, self.model.classifier_bias, None)


def _kind(wanted: SampleKind, listed: Listed) -> _Kind:
    return wanted.family, listed if wanted.predefined else ()


def _samples(
    extractor: Extractor,
    encoders: Mapping[_Kind, Encoder],
    tops: Mapping[_Kind, int],
    path: bytes,
) -> dict[_Kind, F32]:
    def made() -> dict[_Kind, F32] | Skipped:
        seen = extractor.try_file(path)
        if isinstance(seen, Skipped):
            return seen
        return {
            kind: samples(encoder, seen.activations, top=tops[kind]) for kind, encoder in encoders.items()
        }

    found = tried(path, made)
    return {} if isinstance(found, Skipped) else found  # measuring tells of it, where it counts
