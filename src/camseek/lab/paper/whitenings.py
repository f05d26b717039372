"""Whitening for every set, fitted on the pictures of the others, with one pass for all encodings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from camseek.backbones import Backbone
from camseek.config import Encoding, Resize
from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import Whitening, fit_whitening
from camseek.extraction.extractor import Extractor
from camseek.indexing.sampling import samples
from camseek.job import Job
from camseek.lab.paper.columns import Column, fingerprint_pictures, fitted_on, picture_paths
from camseek.lab.paper.experiments import Experiment
from camseek.lab.paper.networks import model_key
from camseek.lab.paper.work import Work
from camseek.numerics import F32
from camseek.results import Skipped

Wanted = tuple[Encoding, int]
"""An encoding, its number of classes left open, and N_pca."""


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
    _vectors: "dict[tuple[str, str], dict[Encoding, _Vectors]]" = field(
        default_factory=dict[tuple[str, str], "dict[Encoding, _Vectors]"]
    )

    def fit(self, column: Column, experiments: Iterable[Experiment]) -> dict[Wanted, tuple[Whitening, str]]:
        """The whitenings of some experiments on a set, and what each was fitted on.

        Those that cannot be fitted are left out: there is no other set, or it gives too few vectors.
        """
        wanted = dict.fromkeys((item.family, item.sample_classes) for item in experiments if item.whitened)
        others = fitted_on(column, self.columns)
        if not others:
            return {}
        keys = {item: self._key(column, others, item) for item in wanted}
        found = {item: self.work.get_whitening(key) for item, key in keys.items()}
        missing = [item for item, known in found.items() if known is None]
        tops: dict[Encoding, int] = {}
        for family, top in missing:
            tops[family] = max(top, tops.get(family, 0))
        for item in missing:
            fitted = self._fit(column, others, item, tops)
            found[item] = fitted
            if fitted is not None:
                self.work.put_whitening(keys[item], *fitted)
        return {item: known for item, known in found.items() if known is not None}

    def _key(self, column: Column, others: Sequence[Column], wanted: Wanted) -> dict[str, object]:
        return {
            **model_key(self.model, self.job.limits),
            "layer": self.model.layer,
            "size": str(column.size),
            "encoding": str(wanted[0]),
            "sample_classes": wanted[1],
            "dimensions": self.dimensions,
            "sets": [[item.title, fingerprint_pictures(item)] for item in others],
        }

    def _fit(
        self, column: Column, others: Sequence[Column], wanted: Wanted, tops: Mapping[Encoding, int]
    ) -> tuple[Whitening, str] | None:
        family, top = wanted
        pictures = [
            vectors for other in others for vectors in self._of(other, column.size, tops)[family].pictures
        ]
        rows = [vectors[:top] if family.name == "cam" else vectors for vectors in pictures]
        rows = [vectors[vectors.any(axis=1)] for vectors in rows]
        used = np.concatenate([*rows, np.empty((0, self.model.channels), np.float32)])
        dimensions = min(self.dimensions, self.model.channels, len(used) - 1)
        if dimensions < 1:
            return None
        classes = f", N_pca {top}" if family.name == "cam" else ""
        names = ", ".join(other.title for other in others)
        count = sum(bool(len(vectors)) for vectors in rows)
        note = f"{len(used)} vectors of {count} pictures of {names}{classes}"
        return fit_whitening(used, dimensions=dimensions), f"{note}, {dimensions} dimensions"

    def _of(
        self, column: Column, size: Resize, tops: Mapping[Encoding, int]
    ) -> "Mapping[Encoding, _Vectors]":
        """The vectors of a set's pictures for each encoding; in one pass for those that are missing."""
        known = self._vectors.setdefault((column.name, str(size)), {})
        missing = {
            family: top for family, top in tops.items() if family not in known or known[family].top < top
        }
        if missing:
            weights, bias = self.model.classifier_weights, self.model.classifier_bias
            encoders = {family: Encoder(family, weights, bias) for family in missing}
            extractor = Extractor.of(self.model, size, self.job.limits)
            paths = picture_paths(column)
            self.job.progress.start(len(paths))
            known |= {family: _Vectors(top) for family, top in missing.items()}
            work = partial(_samples, extractor, encoders, missing)
            for vectors in self.job.map(work, paths):
                self.job.progress.step()
                for family, own in vectors.items():
                    known[family].pictures.append(own)
        return known


def _samples(
    extractor: Extractor,
    encoders: Mapping[Encoding, Encoder],
    tops: Mapping[Encoding, int],
    path: bytes,
) -> dict[Encoding, F32]:
    seen = extractor.try_file(path)
    if isinstance(seen, Skipped):
        return {}  # measuring tells of it, where it counts
    return {
        family: samples(encoder, seen.activations, top=tops[family]) for family, encoder in encoders.items()
    }
