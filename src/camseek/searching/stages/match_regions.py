"""Local-aware re-ranking: candidates compared region by region."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Int64

from camseek.arguments import whole_number
from camseek.backbones import Backbone
from camseek.encoding.activations import Activations
from camseek.encoding.encoder import Encoder, activation_maps
from camseek.encoding.regions import Cells, crop, heat_map
from camseek.errors import SettingsError
from camseek.extraction.classes import require_class_ids
from camseek.extraction.extractor import Extraction
from camseek.numerics import F32, I64
from camseek.results import RegionEvidence, Stage
from camseek.searching.looks import UNSEEN, Unreadable, digest
from camseek.searching.query import Sought
from camseek.searching.reranking import THRESHOLDS, best, propose
from camseek.searching.stages.base import (
    Candidates,
    LaterStage,
    RegionMatch,
    Searching,
    Step,
    Terms,
    Told,
    class_ids,
)


@dataclass(frozen=True, slots=True)
class MatchRegions(LaterStage):
    """Compares the regions of the first candidates with the query (paper section 4.5).

    The mean of the activation maps of the query's first classes proposes regions in each candidate; the best
    cosine of a region is its score. The other candidates keep their places behind them.

    Attributes:
        count: R, how many candidates.
        classes: N_re, the query's most probable classes that regions are described with.
        heat_classes: Of these, how many make the map that proposes regions.
        thresholds: Shares of that map's maximum, each from 0 to below 1. The research code boxes five and
            scores four.
        smallest: Regions of fewer rows or columns are left out; 1 keeps all, the research code takes 5.
        largest: The component that counts as the largest: by ``cells``, or by the area of its ``contour``
            (the research code).
        attend: Class ids in place of the query's.

    Raises:
        SettingsError: A number is out of range.
        TypeError: One is no whole number.
    """

    needs_classifier: ClassVar[bool] = True
    name: ClassVar[str] = "re-ranking"
    count: int = 100
    classes: int = 6
    heat_classes: int = 2
    thresholds: tuple[float, ...] = THRESHOLDS
    smallest: int = 1
    largest: Literal["cells", "contour"] = "cells"
    attend: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", tuple(self.thresholds))
        object.__setattr__(self, "attend", class_ids(self.attend))
        for key in ("count", "classes", "heat_classes", "smallest"):
            object.__setattr__(self, key, whole_number(getattr(self, key), key))
        if min(self.count, self.classes, self.heat_classes, self.smallest) < 1:
            raise SettingsError("the numbers of a re-ranking are 1 or more", remedy="use 1 or more")
        if not all(0 <= threshold < 1 for threshold in self.thresholds):
            raise SettingsError("a threshold is from 0 to below 1", remedy="give shares of the maximum")
        if self.largest not in ("cells", "contour"):
            raise SettingsError(f"there is no largest by {self.largest!r}", remedy="use cells or contour")

    @property
    def reach(self) -> int | None:
        """R."""
        return self.count

    def require(self, model: Backbone) -> None:
        """Refuses a model without a classifier, or with fewer classes than are named."""
        model.require_classifier(self.name)
        require_class_ids(model, self.attend)

    def look(self, query: Sought, terms: Terms) -> "RegionLook":
        """The best region of each candidate."""
        chosen = self.attend or query.classes(self.classes)
        encoder = terms.encoder.unchosen()
        descriptor = query.descriptor(encoder, chosen)
        return RegionLook(encoder, self, chosen, descriptor, terms.keep)

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """The first candidates by their best regions."""
        if not isinstance(step.look, RegionLook):
            raise TypeError("a re-ranking that was not bound to its query")
        records = found.first(self.count)
        answers: Sequence[RegionMatch | Unreadable | None] = search.database.look(step.look, records)
        told = [_told(answer) for answer in answers]
        kept = sum(item.score is None for item in told)
        return found.reordered(self.name, told), Stage(
            self.name, len(told), step.look.classes, {"kept": kept}
        )


def _told(answer: RegionMatch | Unreadable | None) -> Told:
    if isinstance(answer, Unreadable):
        return Told(None, kept=answer.reason)
    if answer is None:
        return Told(UNSEEN, RegionEvidence(MatchRegions.name, None))
    evidence = RegionEvidence(MatchRegions.name, answer.score, answer.box)
    return Told(answer.score, evidence, region=answer)


@dataclass(frozen=True, slots=True, eq=False)
class RegionLook:
    """Finds the region of a picture that matches a query best.

    Attributes:
        encoder: What describes regions.
        how: The stage's settings.
        classes: What regions are described with.
        query: (D,), unit: the query's descriptor made with these.
        keep: Whether a later stage needs the winning region's descriptor.
    """

    encoder: Encoder
    how: MatchRegions
    classes: tuple[int, ...]
    query: Float32[F32, " D"]
    keep: bool

    @property
    def key(self) -> Hashable:
        """All that decides the answer; how many candidates are asked about does not."""
        how = self.how
        rules = how.heat_classes, how.thresholds, how.smallest, how.largest
        return "regions", self.encoder.key, self.classes, digest(self.query), rules, self.keep

    @property
    def whole(self) -> "RegionLook":
        """The same with the winning region's descriptor."""
        return replace(self, keep=True)

    def part(self, answer: RegionMatch | None) -> RegionMatch | None:
        """The best region without its descriptor."""
        return answer if answer is None else replace(answer, descriptor=None)

    def see(self, seen: Extraction) -> RegionMatch | None:
        """The best region of one picture; None where the network sees nothing in any."""
        chosen = np.array(self.classes, np.int64)[None]
        regions = self._proposed(seen.activations, chosen)
        descriptors = self.encoder.describe_regions(seen.activations, chosen, regions)
        found = best(self.query, descriptors)
        if found is None:
            return None
        place, score = found
        descriptor = descriptors[place] if self.keep else None
        return RegionMatch(score, descriptor, seen.grid.box(regions[place]))

    def _proposed(self, activations: Activations, classes: Int64[I64, "1 C"]) -> tuple[Cells, ...]:
        """The regions that the map proposes; where it proposes none, the whole picture."""
        maps = activation_maps(
            activations,
            self.encoder.classifier_weights,
            classes[:, : self.how.heat_classes],
            encoding=self.encoder.encoding,
        )
        equal = np.ones(len(maps[0]), np.float32)
        heat = heat_map(maps[0], equal)
        mask = activations.mask[0]
        whole = (0, int(mask.any(axis=1).sum()), 0, int(mask.any(axis=0).sum()))
        found = propose(
            crop(heat, whole),
            thresholds=self.how.thresholds,
            smallest=self.how.smallest,
            by=self.how.largest,
        )
        return found or (whole,)
