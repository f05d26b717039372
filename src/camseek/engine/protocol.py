"""How an evaluation is done: what papers and their code decide differently, as named options."""

from dataclasses import dataclass, field
from typing import Any, Literal

from camseek.config import (
    HEAT_CLASSES,
    RERANK_CLASSES,
    AveragePrecisionForm,
    Encoding,
    Plan,
    RegionReading,
    Settings,
)
from camseek.reranking import THRESHOLDS
from camseek.whitening import Whitening

EvaluationReading = RegionReading | Literal["whole"]
"""How a query's region is read; ``whole`` takes no notice of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranking:
    """How candidates are compared region by region (METHOD, "Local-aware re-ranking").

    Attributes:
        classes: N_re, the query's most probable classes that regions are described with.
        heat_classes: Of these, how many make the heat map.
        thresholds: Shares of the heat map's maximum. The research code boxes five and scores four.
        smallest: Regions of fewer rows or columns are left out; 1 keeps all, the research code takes 5.
        largest: The component that counts as the largest: by ``cells``, or by the area of its ``contour``
            (the research code).
    """

    classes: int = RERANK_CLASSES
    heat_classes: int = HEAT_CLASSES
    thresholds: tuple[float, ...] = THRESHOLDS
    smallest: int = 1
    largest: Literal["cells", "contour"] = "cells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to search a ground truth's database. The defaults are the paper's reading.

    Attributes:
        settings: Encoding, size of the pictures, layer, and predefined classes.
        plan: Aggregation, expansion, re-ranking. ``shortlist`` is not read: an evaluation describes the whole
            database anew where ``online`` asks for it.
        whitening: Applied to the parts of each descriptor, or None.
        whitening_note: What it was fitted on, for people.
        reading: How query regions are read.
        query_scores: Where a region's class scores come from: its ``cells`` pooled, or a pass over the
            ``crop`` of its pixels at their own size (the research code). Only the reading ``cells`` asks.
        query_box: How a region becomes cells: with the picture, as it was ``resized``, or from its
            ``original`` pixels, though the maps are of a resized picture (the research code).
        reranking: How candidates are compared.
        query_entry: A query picture's own entry in the database: its whole ``picture``, or the ``query``
            itself (the research code; the Oxford protocol lists it among the positives).
        expansion_entry: The same entry from the expansion on, in the sum and in the ranking that follows: the
            research code puts the whole ``picture`` back. The part of a re-ranked picture in the sum is its
            winning region all the same.
        own_picture: Whether a query's own picture may be found: ``kept``, or ``removed`` from the ranking and
            from the positives; ``protocol`` for what the ground truth's official protocol says.
        expansion_database: What an expansion after re-ranking is ranked against: the ``untouched`` database,
            or one whose entries the winning regions' descriptors have ``overwritten`` (the research code,
            where those of one query stay for the next ones in offline aggregation; here each query has its
            own).
        ap_form: How average precision is computed; None for the ground truth's own.
    """

    settings: Settings = field(default_factory=lambda: Settings(encoding=Encoding.parse("cam")))
    plan: Plan = field(default_factory=Plan)
    whitening: Whitening | None = None
    whitening_note: str | None = None
    reading: EvaluationReading = "cells"
    query_scores: Literal["cells", "crop"] = "cells"
    query_box: Literal["resized", "original"] = "resized"
    reranking: Reranking = field(default_factory=Reranking)
    query_entry: Literal["picture", "query"] = "picture"
    expansion_entry: Literal["picture", "query"] = "picture"
    own_picture: Literal["protocol", "kept", "removed"] = "protocol"
    expansion_database: Literal["untouched", "overwritten"] = "untouched"
    ap_form: AveragePrecisionForm | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.settings.to_json(),
            "plan": self.plan.to_json(),
            "whitening": self.whitening.checksum if self.whitening else None,
            "whitening_note": self.whitening_note,
            "region_reading": self.reading,
            "query_scores": self.query_scores,
            "query_box": self.query_box,
            "reranking": {
                "classes": self.reranking.classes,
                "heat_classes": self.reranking.heat_classes,
                "thresholds": list(self.reranking.thresholds),
                "smallest": self.reranking.smallest,
                "largest": self.reranking.largest,
            },
            "query_entry": self.query_entry,
            "expansion_entry": self.expansion_entry,
            "own_picture": self.own_picture,
            "expansion_database": self.expansion_database,
            "ap_form": self.ap_form,
        }
