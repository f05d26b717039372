"""Late interaction: cells of the query compared with those that sketches of the candidates hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float64

from camseek.backbones import Backbone
from camseek.encoding.likeness import QueryCells, likeness
from camseek.encoding.sketch import Sketch
from camseek.numerics import BOOL, F64
from camseek.results import CellEvidence, Stage
from camseek.searching.looks import Unreadable
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, Detail, LaterStage, Searching, Step, Terms, Told

_WEIGHT = 0.5
"""What a standard deviation of likeness counts beside the joined first stages, whose weights sum to 2."""
_LEAST_DEVIATION = 0.01
"""Of likenesses: where pictures are alike to the last digits none stands out. Real sets have 0.05 to 0.12."""
_TOGETHER = 32
"""Sketches that one thread takes at a time: 5 MB of cells."""


@dataclass(frozen=True, slots=True)
class LateInteraction(LaterStage):
    """Compares the cells of the query's maps with those that are stored of the first candidates.

    Each of the query's cells with the most similar one of the picture (``camseek.encoding.likeness``): so a
    thing is found that fills little of its picture. The likenesses, standardised over the candidates but the
    query's own picture, are added to their scores, half a point a deviation. It comes after ``Joined``, whose
    scores are of that kind. After an expansion it knows the pictures that it compared before; where the
    scores have their likenesses in them, it does nothing.

    Attributes:
        count: How many candidates.

    Raises:
        SettingsError: ``count`` is below 1.
        TypeError: It is no whole number.
    """

    name: ClassVar[str] = "late interaction"
    needs_sketches: ClassVar[bool] = True
    count: int = 300

    def __post_init__(self) -> None:
        self._require_least("count", 1, "the number of pictures compared cell by cell is")

    @property
    def reach(self) -> int | None:
        """How many are compared."""
        return self.count

    def require(self, model: Backbone) -> None:
        """Refuses a model without axes of sketches."""
        model.require_sketcher()

    def features(self, query: Sought, terms: Terms) -> QueryCells:
        """The query's cells, of all its pictures."""
        return query.cells()

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """The first candidates by their scores and how alike their cells are."""
        records = found.first(self.count)
        if any(_counted(found.detail(record)) for record in records):
            return found, None
        known = {record: alike for record in records if (alike := _known(found.detail(record))) is not None}
        new = [record for record in records if record not in known]
        sketches = search.database.sketches(new)
        blocks = [sketches[start : start + _TOGETHER] for start in range(0, len(new), _TOGETHER)]
        answers = search.database.map(partial(_likenesses, step.features), blocks)
        known |= zip(new, (alike for block in answers for alike in block.tolist()), strict=True)
        alike = np.array([known[record] for record in records], np.float64)
        others = ~np.isin(records, list(search.own))
        scores = found.scores[: len(records)] + _WEIGHT * _standardised(alike, others)
        told = [
            Told(score, CellEvidence(self.name, score, how)) if math.isfinite(how) else Told(None)
            for score, how in zip(scores.tolist(), alike.tolist(), strict=True)
        ]
        kept = sum(item.score is None for item in told)
        return found.reordered(self.name, told), Stage(self.name, len(new), (), {"kept": kept})


def _counted(detail: Detail) -> bool:
    """Whether a candidate's score has its likeness in it: after an expansion it has not."""
    return detail.by is not None and any(isinstance(item, CellEvidence) for item in detail.evidence)


def _known(detail: Detail) -> float | None:
    """How alike a candidate is, where an expansion came after it was compared."""
    return next((item.likeness for item in detail.evidence if isinstance(item, CellEvidence)), None)


def _likenesses(query: QueryCells, sketches: Sequence[Sketch | Unreadable]) -> Float64[F64, " N"]:
    """How alike pictures are; NaN of those that have no sketch, or one on other axes."""
    found = np.full(len(sketches), np.nan)
    usable = {
        place: sketch
        for place, sketch in enumerate(sketches)
        if isinstance(sketch, Sketch) and query.sketcher.made(sketch)
    }
    found[list(usable)] = likeness(query, list(usable.values()))
    return found


def _standardised(values: Float64[F64, " N"], others: Bool[BOOL, " N"]) -> Float64[F64, " N"]:
    """Values minus the mean, over the deviation, of the others among them; 0 where there are none."""
    known = values[others & np.isfinite(values)]
    if not len(known):
        return np.zeros_like(values)
    return (values - known.mean()) / max(float(known.std()), _LEAST_DEVIATION)
