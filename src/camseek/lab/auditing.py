"""Audits an evaluation: its whole protocol, and what each disputed point of it decides."""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from camseek.backbones import Backbone, as_model
from camseek.config import Encoding, Limits, Resize, Settings
from camseek.datasets import GroundTruth
from camseek.evaluation import Evaluation, paired_bootstrap
from camseek.job import Progress
from camseek.lab.measuring.measure import measure, truth_of
from camseek.lab.measuring.scoring import removes_own
from camseek.lab.protocol import Protocol, own_entries, with_own_entries
from camseek.names import path_text
from camseek.searching import DescribeAnew, Expand, MatchRegions, Nearest, Plan
from camseek.searching.stages import OwnEntry
from camseek.words import counted

BASE = "base"
SQUEEZED = "squeezed"
DEFAULT_SETTINGS = Settings(encoding=Encoding.parse("cam"), size=Resize.parse("smaller:720"))
"""The paper's: class-weighted features, the smaller side 720."""
DEFAULT_RERANK = 20
DEFAULT_EXPAND = 5
"""Something is re-ranked and expanded, or most disputed points would decide nothing."""

# The research code squeezes to this, whatever the aspect.
_SQUEEZED = (1024, 720)
_SMALLEST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One disputed point, decided the other way; everything else is as in ``against``.

    Attributes:
        name: What it is called.
        text: What differs, for people.
        against: The protocol it is compared with.
        protocol: The protocol, or None where the point decides nothing here.
        model: The network, where it is another one than the base's.
        reason: Why the point decides nothing here.
    """

    name: str
    text: str
    against: str = BASE
    protocol: Protocol | None = None
    model: Backbone | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a variant makes of it.

    Attributes:
        variant: It.
        mean_average_precision: A fraction; None where it was not measured.
        difference: From the protocol it is compared with.
        interval: 95 % paired bootstrap interval of that.
        changed: How many queries' average precision is another.
    """

    variant: Variant
    mean_average_precision: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    changed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        item = self.variant
        told: dict[str, Any] = {"name": item.name, "text": item.text, "against": item.against}
        if self.mean_average_precision is None or self.difference is None or self.interval is None:
            return told | {"reason": item.reason}
        return told | {
            "mAP": round(self.mean_average_precision, 6),
            "difference": round(self.difference, 6),
            "interval": [round(end, 6) for end in self.interval],
            "queries_changed": self.changed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An evaluation, its protocol, and its disputed points.

    Attributes:
        truth: What it was measured on.
        evaluation: The base, first, and the variants.
        base: The base's protocol.
        model: Its network.
        outcomes: What each variant makes of it.
    """

    truth: GroundTruth
    evaluation: Evaluation
    base: Protocol
    model: Backbone
    outcomes: tuple[Outcome, ...]

    def facts(self) -> dict[str, str]:
        """The whole protocol, for people."""
        truth, base, told = self.truth, self.base, self.evaluation.settings
        queries = self.evaluation.queries
        own, named = told["queries_in_database"], told["queries_in_database_by_name"]
        regions = sum(query.region is not None for query in truth.queries)
        junk = sum(len(query.junk) for query in truth.queries)
        reading = {"cells": "cut from the whole picture's maps", "crop": "cut from the pixels"}
        return {
            "ground truth": path_text(truth.path) + (f" ({truth.name})" if truth.name else ""),
            "queries": f"{queries}, of them {self.evaluation.left_out} without positives and in no mean",
            "query crop": f"{counted(regions, 'query has', 'queries have')} a region, "
            + reading.get(base.reading, "of which no notice is taken"),
            "class scores of a region": "pooled from its cells"
            if base.rules.scores == "cells"
            else "a pass over its pixels",
            "database": f"{counted(self.evaluation.database, 'picture')}, "
            f"{counted(self.evaluation.distractors, 'distractor')}, {len(self.evaluation.skipped)} skipped",
            "queries in the database": f"{own} ({named} by name, {own - named} by content alone), "
            + ("taken out" if removes_own(base, truth) else "kept"),
            "own entry": "the {}; in an expansion the {}".format(*own_entries(base.plan)),
            "junk": f"{junk} labels: taken out of a ranking before it is scored",
            "average precision": base.ap_form or truth.ap_form,
            "model": f"{self.model.card.name}, layer {self.model.layer}, sha256 {self.model.checksum}",
            "input": f"{self.model.card.input.channel_order}, means {self.model.card.input.mean}",
            "encoding": str(base.settings.encoding),
            "whitening": base.whitening_note or ("none" if base.whitening is None else "of unknown origin"),
            "size": f"{base.settings.size}, aspect "
            + ("not kept" if base.settings.size.kind == "squeezed" else "kept"),
            "aggregation": base.plan.aggregation,
            "re-ranking": _reranking(base),
            "expansion": _expansion(base),
        } | {
            type(stage).__name__: ", ".join(f"{key} {value}" for key, value in stage.to_json().items())
            for stage in (base.plan.first, *base.plan.then)
            if not isinstance(stage, Nearest | DescribeAnew | MatchRegions | Expand)
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        first = self.evaluation.encodings[0]
        return {
            "facts": self.facts(),
            "protocol": self.evaluation.settings["protocols"][BASE],
            "queries": self.evaluation.queries,
            "left_out": self.evaluation.left_out,
            "mAP": round(first.mean_average_precision, 6),
            "mAP_interval": [round(end, 6) for end in first.interval],
            "variants": [item.to_json() for item in self.outcomes],
            "skipped": [item.to_json() for item in self.evaluation.skipped],
            "seconds": round(self.evaluation.seconds, 3),
        }


def audit(
    truth: GroundTruth | str | os.PathLike[str],
    base: Protocol | None = None,
    *,
    model: Backbone | str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    cancelled: threading.Event | None = None,
) -> Audit:
    """Measures a protocol, and again with each disputed point decided the other way.

    A whitening stays the base's in all of them.

    Args:
        truth: A JSON file, ``NAME=FOLDER`` of a public data set, or what ``camseek.datasets`` read.
        base: The protocol; None for the paper's settings, with something re-ranked and expanded.
        model: Loaded with its layer, or its name; None for the embedded one.
        limits: What this machine may spend on one picture.
        workers: Threads; None for one a core.
        progress: Started for each pass through pictures.
        cancelled: Whoever sets it ends the audit with ``CancelledError``.

    Raises:
        CamseekError: As ``measure``.
    """
    truth = truth_of(truth)
    base = base or Protocol(
        settings=DEFAULT_SETTINGS, plan=Plan.of(rerank=DEFAULT_RERANK, expand=DEFAULT_EXPAND)
    )
    if not isinstance(cast(Any, base), Protocol):
        raise TypeError(f"what is audited is a Protocol, not {base!r}")
    model = as_model(model, base.settings.layer)
    known = variants(truth, base, model)
    protocols = {BASE: base} | {item.name: item.protocol for item in known if item.protocol is not None}
    models = {item.name: item.model or model for item in known if item.protocol is not None}
    found = measure(
        truth,
        protocols,
        model={BASE: model} | models,
        limits=limits,
        workers=workers,
        progress=progress,
        cancelled=cancelled,
    )
    scores = {item.name: item.average_precisions for item in found.encodings}
    inside = bool(found.settings["queries_in_database"])
    outcomes = tuple(_outcome(item, scores, inside=inside) for item in known)
    return Audit(truth=truth, evaluation=found, base=base, model=model, outcomes=outcomes)


def _outcome(variant: Variant, scores: Mapping[str, Sequence[float]], *, inside: bool) -> Outcome:
    if variant.name in _OF_OWN_PICTURES and not inside:
        return Outcome(variant=replace(variant, reason="no query's picture is in the database"))
    if variant.protocol is None:
        return Outcome(variant=variant)
    own, other = np.array(scores[variant.name]), np.array(scores[variant.against])
    return Outcome(
        variant=variant,
        mean_average_precision=float(own.mean()),
        difference=float((own - other).mean()),
        interval=paired_bootstrap(own, other),
        changed=int((own != other).sum()),
    )


_OF_OWN_PICTURES = ("own picture", "own entry", "own entry throughout")


def variants(truth: GroundTruth, base: Protocol, model: Backbone) -> tuple[Variant, ...]:
    """The points on which the paper and its research code differ, each decided the other way."""
    return (*_of_queries(truth, base), *_of_pictures(truth, base, model), *_of_searches(truth, base))


def _of_queries(truth: GroundTruth, base: Protocol) -> list[Variant]:
    removed = removes_own(base, truth)
    other = "kept" if removed else "removed"
    gone = "the queries' own pictures are taken out" if removed else None
    ranking, expansion = own_entries(base.plan)
    turned: OwnEntry = "query" if ranking == "picture" else "picture"
    replaced = replace(base, plan=with_own_entries(base.plan, turned, expansion))
    throughout = replace(base, plan=with_own_entries(base.plan, "query", "query"))
    entry = f"a query picture's entry in the database is the {turned}"
    scores = "crop" if base.rules.scores == "cells" else "cells"
    return [
        Variant(
            name="own picture",
            text=f"the queries' own pictures are {other}" + ("" if removed else " from the database"),
            protocol=replace(base, own_picture=other),
        ),
        Variant(name="own entry", text=entry, protocol=None if gone else replaced, reason=gone),
        Variant(
            name="own entry throughout",
            text="that entry is the query, in an expansion too",
            protocol=None if gone or base.plan.stage(Expand) is None else throughout,
            reason=gone or "nothing is expanded",
        ),
        _of_cells(
            truth,
            base,
            Variant(
                name="class scores",
                text="a region's class scores are "
                + ("from its pixels at their own size" if scores == "crop" else "of its cells"),
                protocol=replace(base, rules=replace(base.rules, scores=scores)),
            ),
        ),
    ]


def _of_cells(truth: GroundTruth, base: Protocol, variant: Variant) -> Variant:
    """A point that only regions cut from maps have."""
    if base.reading != "cells" or not any(query.region for query in truth.queries):
        return replace(variant, protocol=None, reason="no region is cut from the maps")
    return variant


def _of_pictures(truth: GroundTruth, base: Protocol, model: Backbone) -> list[Variant]:
    size, encoding = base.settings.size, base.settings.encoding
    turned = _turned(size)
    squeezed = replace(base, settings=replace(base.settings, size=turned))
    kept = size.kind == "squeezed"
    box = replace(base if kept else squeezed, rules=replace(base.rules, box="original"))
    maps = "clipped" if encoding.maps == "flipped" else "flipped"
    taken = model.card.input
    bgr = taken.channel_order == "BGR" and taken.mean != taken.mean[::-1]
    return [
        Variant(
            name="aspect kept" if kept else SQUEEZED,
            text=f"pictures are read at {turned}, their aspect {'kept' if kept else 'not kept'}",
            protocol=squeezed,
        ),
        _of_cells(
            truth,
            base,
            Variant(
                name="box",
                text=f"a region's pixels, before squeezing, are divided by {model.stride}",
                against=BASE if kept else SQUEEZED,
                protocol=box,
            ),
        ),
        Variant(
            name="maps",
            text=f"activation maps are {maps}",
            protocol=replace(base, settings=replace(base.settings, encoding=replace(encoding, maps=maps)))
            if encoding.name == "cam"
            else None,
            reason=f"the encoding {encoding} has no activation maps",
        ),
        Variant(
            name="means",
            text="the means are subtracted in the order RGB from BGR",
            protocol=base if bgr else None,
            model=model.with_input(replace(taken, mean=taken.mean[::-1])) if bgr else None,
            reason=f"the model takes {taken.channel_order}",
        ),
    ]


def _of_searches(truth: GroundTruth, base: Protocol) -> list[Variant]:
    plan = base.plan
    how, expand = plan.stage(MatchRegions) or MatchRegions(), plan.stage(Expand)
    reranks = plan.stage(MatchRegions) is not None
    regions = [
        (
            "thresholds",
            f"{len(how.thresholds) - 1} thresholds",
            plan.changed(MatchRegions, thresholds=how.thresholds[:-1]),
        ),
        (
            "small boxes",
            f"boxes of less than {_SMALLEST} x {_SMALLEST} cells are left out",
            plan.changed(MatchRegions, smallest=_SMALLEST),
        ),
        (
            "contour",
            "the largest component is that of the largest contour",
            plan.changed(MatchRegions, largest="contour"),
        ),
    ]
    ap_form = "mean" if (base.ap_form or truth.ap_form) == "trapezoid" else "trapezoid"
    with_query = not (expand and expand.with_query)
    database = "overwritten" if expand and expand.database == "untouched" else "untouched"
    query = replace(base, plan=plan.changed(Expand, with_query=with_query)) if expand else None
    ranked = replace(base, plan=plan.changed(Expand, database=database))
    return [
        *(
            Variant(
                name=name,
                text=text,
                protocol=replace(base, plan=changed) if reranks else None,
                reason="nothing is re-ranked",
            )
            for name, text, changed in regions
        ),
        Variant(
            name="expansion",
            text=f"the expansion sums the results {'and the query' if with_query else 'alone'}",
            protocol=query,
            reason="nothing is expanded",
        ),
        Variant(
            name="expansion database",
            text=f"the expansion is ranked against the {database} database",
            protocol=ranked if expand and reranks else None,
            reason="nothing is re-ranked and expanded",
        ),
        Variant(
            name="average precision",
            text=f"average precision is the {ap_form} form",
            protocol=replace(base, ap_form=ap_form),
        ),
    ]


def _turned(size: Resize) -> Resize:
    """The size with the aspect not kept, or kept again, at as many pixels as there can be."""
    longer, smaller = _SQUEEZED
    match size.kind:
        case "squeezed":
            return Resize.parse(f"smaller:{size.smaller}")
        case "smaller":
            return Resize("squeezed", round(size.smaller * longer / smaller), size.smaller)
        case "longer":
            return Resize("squeezed", size.longer, round(size.longer * smaller / longer))


def _reranking(base: Protocol) -> str:
    how = base.plan.stage(MatchRegions)
    if how is None:
        return "none"
    shares = ", ".join(f"{share:.0%}" for share in how.thresholds)
    return (
        f"the first {how.count}; {how.classes} classes, heat map of {how.heat_classes}; thresholds "
        f"{shares}; the largest component by {how.largest}"
    )


def _expansion(base: Protocol) -> str:
    expand = base.plan.stage(Expand)
    if expand is None:
        return "none"
    query = " and the query" if expand.with_query else ", without the query"
    reranks = base.plan.stage(MatchRegions) is not None
    against = f"; ranked against the {expand.database} database" if reranks else ""
    return f"the first {expand.count}{query}{against}"
