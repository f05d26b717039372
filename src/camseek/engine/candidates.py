"""Candidates looked at again: described with the query's classes, and compared region by region."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.backbones import Activations, Backbone
from camseek.engine.encoder import Encoder, activation_maps
from camseek.engine.protocol import Reranking
from camseek.engine.reading import PictureReader
from camseek.engine.viewing import Attention, grid_of, look, no_box, read_again
from camseek.images import Picture
from camseek.regions import Cells, crop, heat_map
from camseek.reranking import best, propose
from camseek.results import Box
from camseek.store import StoredPicture

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rematch:
    """What candidates' regions are compared with (METHOD, "Local-aware re-ranking").

    Attributes:
        classes: (1, C): the query's N_re most probable classes.
        query: (D,): the query's descriptor made with these.
    """

    classes: Int64[I64, "1 C"]
    query: Float32[F32, " D"]


@dataclass(frozen=True, slots=True, eq=False)
class RegionMatch:
    """The region of a candidate that matches best.

    Attributes:
        score: Cosine with the query's descriptor.
        descriptor: (D,).
        box: Pixels of the upright picture.
    """

    score: float
    descriptor: Float32[F32, " D"]
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A stored picture looked at again.

    Attributes:
        reason: Why it could not be, or None; then nothing else is known of it.
        descriptor: (D,): made with the classes wanted, where some were.
        region: Its best region, where regions were compared and one could be.
        box: Where the network looks for the query's classes.
        box_reason: Why there is none.
    """

    reason: str | None = None
    descriptor: Float32[F32, " D"] | None = None
    region: RegionMatch | None = None
    box: Box | None = None
    box_reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CandidateReader:
    """Looks at candidates: one network pass each.

    Attributes:
        model: The network.
        encoder: What describes them.
        reader: How pictures are read.
        classes: (1, C): describe them with these; None not to.
        rematch: Compare their regions; None not to.
        boxes: What to box; None for no boxes.
    """

    model: Backbone
    encoder: Encoder
    reader: PictureReader
    classes: Int64[I64, "1 C"] | None
    rematch: Rematch | None
    boxes: Attention | None

    def look(self, item: StoredPicture) -> Candidate:
        """Reads a candidate's file and looks at it; one that has gone or changed says so."""
        picture = read_again(item.paths, item.content, self.reader)
        if isinstance(picture, str):
            return Candidate(reason=picture)
        activations = self.model.run(picture.pixels)
        descriptor = None
        if self.classes is not None:
            descriptor = self.encoder.describe(activations, classes=self.classes)[0]
        region = self._best_region(picture, activations)
        box = None
        if self.boxes is not None:
            box = region.box if region else look(self.model, picture, activations, self.boxes)[1]
        missing = no_box(self.boxes) if self.boxes is not None and box is None else None
        return Candidate(None, descriptor, region, box, missing)

    def _best_region(self, picture: Picture, activations: Activations) -> RegionMatch | None:
        if self.rematch is None:
            return None
        found = match_regions(self.encoder, activations, self.rematch, Reranking())
        if found is None:
            return None
        cells, score, descriptor = found
        return RegionMatch(score, descriptor, grid_of(picture, self.model.stride).box(cells))


def match_regions(
    encoder: Encoder, activations: Activations, rematch: Rematch, reranking: Reranking
) -> tuple[Cells, float, Float32[F32, " D"]] | None:
    """Compares the regions of one picture with a query (METHOD, "Local-aware re-ranking").

    Returns:
        The best region, its cosine and its descriptor; None where the network sees nothing in any.
    """
    regions = _proposed(encoder, activations, rematch.classes, reranking)
    descriptors = encoder.describe_regions(activations, rematch.classes, regions)
    found = best(rematch.query, descriptors)
    return None if found is None else (regions[found[0]], found[1], descriptors[found[0]])


def _proposed(
    encoder: Encoder, activations: Activations, classes: Int64[I64, "1 C"], reranking: Reranking
) -> tuple[Cells, ...]:
    """The regions that the mean of the maps of the query's first classes proposes (METHOD, re-ranking).

    Where it proposes none (nothing lights up, or all are too small) the whole picture.
    """
    maps: F32 = activation_maps(
        activations,
        encoder.classifier_weights,
        classes[:, : reranking.heat_classes],
        encoding=encoder.encoding,
    )
    equal = np.ones(maps.shape[1], np.float32)
    heat = heat_map(maps[0], equal)
    rows, columns = int(activations.mask[0].any(axis=1).sum()), int(activations.mask[0].any(axis=0).sum())
    whole = (0, rows, 0, columns)
    found = propose(
        crop(heat, whole),
        thresholds=reranking.thresholds,
        smallest=reranking.smallest,
        by=reranking.largest,
    )
    return found or (whole,)
