"""What a stage of a search is, and what passes from one to the next."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from camseek.arguments import whole_number, whole_numbers
from camseek.backbones import Backbone
from camseek.encoding.encoder import Encoder
from camseek.errors import SettingsError
from camseek.numerics import F32, F64, I64
from camseek.results import Box, Chance, Evidence, Stage, Verdict, plain
from camseek.searching.database import Database
from camseek.searching.looks import DescribeLook, Look, cosine
from camseek.searching.query import Sought
from camseek.searching.reranking import reorder
from camseek.store import Ranking

OwnEntry = Literal["picture", "query"]
"""What the entry of a query's own picture in the database is: that ``picture``, or the ``query`` itself."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionMatch:
    """The region of a picture that matches a query best.

    Attributes:
        score: Cosine with the query's descriptor.
        descriptor: (D,); None where no later stage needs it.
        box: Pixels of the upright picture.
    """

    score: float
    descriptor: Float32[F32, " D"] | None
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """What stages said of one candidate.

    Attributes:
        evidence: In the order of the stages.
        by: The stage whose score it has; None for that of all others.
        kept: Why it could not be looked at again, so that it kept its place.
        region: Its best region, where regions were compared and something was seen in one.
        anew: Whether it was described anew.
        verdict: What a stage decided.
    """

    evidence: tuple[Evidence, ...] = ()
    by: str | None = None
    kept: str | None = None
    region: RegionMatch | None = None
    anew: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Pictures on their way to becoming hits, best first.

    Attributes:
        records: (N,), int64.
        scores: (N,), float64: of the last stage that could compare each.
        by: The stage that ranked them, but for those whose detail names another.
        details: What later stages said, by record.
        chance: From where on those of the first stage look no better than chance, where that is known.
        compared: How many pictures the first stage compared.
    """

    records: Int64[I64, " N"]
    scores: Float64[F64, " N"]
    by: str
    details: Mapping[int, Detail] = field(default_factory=dict[int, Detail])
    chance: Chance | None = None
    compared: int = 0

    def __len__(self) -> int:
        return len(self.records)

    def detail(self, record: int) -> Detail:
        """What stages said of one."""
        return self.details.get(record, Detail())

    def judged(self, record: int, score: float) -> Detail:
        """The detail of one with the evidence of its present score, which most have in common."""
        known = self.detail(record)
        if known.by is not None:
            return known
        return replace(known, evidence=(*known.evidence, Evidence(self.by, score)))

    def first(self, count: int | None) -> list[int]:
        """The first records; None for all."""
        return self.records[:count].tolist()

    def reordered(self, name: str, told: "Sequence[Told]") -> "Candidates":
        """The first candidates by new scores; those that a stage could not judge keep their places.

        Args:
            name: The stage.
            told: What it said of each of the first, in their order; the others stay behind them.
        """
        count, details = len(told), dict(self.details)
        places = reorder([item.score for item in told])
        scores = self.scores.copy()
        records = self.records.copy()
        for place, old in enumerate(places):
            records[place] = self.records[old]
            score = told[old].score
            scores[place] = self.scores[old] if score is None else score
        before = self.records[:count].tolist()
        for record, score, item in zip(before, self.scores[:count].tolist(), told, strict=True):
            details[record] = item.added(self.judged(record, score), name)
        return replace(self, records=records, scores=scores, details=details)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a stage says of one candidate that it judged.

    Attributes:
        score: The new score; None where it cannot tell, and the candidate keeps its place.
        evidence: What is told of it; None for the score alone.
        kept: Why it could not be looked at.
        region: The region found.
        anew: It was described anew.
        verdict: What it decided; None leaves an earlier one.
    """

    score: float | None
    evidence: Evidence | None = None
    kept: str | None = None
    region: RegionMatch | None = None
    anew: bool = False
    verdict: Verdict | None = None

    def added(self, before: Detail, name: str) -> Detail:
        """The candidate's detail with this."""
        if self.score is None:
            kept, verdict = self.kept or before.kept, self.verdict or before.verdict
            if self.evidence is not None:  # it says something, and leaves the score to whoever gave it
                by = before.by or before.evidence[-1].stage
                evidence = (*before.evidence, self.evidence)
                return replace(before, evidence=evidence, by=by, kept=kept, verdict=verdict)
            evidence = before.evidence if before.by is not None else before.evidence[:-1]
            return replace(before, evidence=evidence, kept=kept, verdict=verdict)
        return Detail(
            evidence=(*before.evidence, self.evidence or Evidence(name, self.score)),
            by=name,
            kept=before.kept,
            region=self.region or before.region,
            anew=self.anew or before.anew,
            verdict=self.verdict or before.verdict,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """In which terms pictures are compared at this point of a search.

    Attributes:
        encoder: What describes regions.
        descriptor: (D,): the query's.
        anew: How pictures were described anew; None where stored descriptors serve.
        keep: Whether a later stage sums descriptors.
    """

    encoder: Encoder
    descriptor: Float32[F32, " D"]
    anew: DescribeLook | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A stage bound to a query.

    Attributes:
        terms: In which terms it compares pictures.
        look: What it wants to know of pictures that are seen again, or None.
        features: What it took from the query for itself.
    """

    terms: Terms
    look: Look | None = None
    features: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Searching:
    """Where a search looks, and for how much; what is sought is bound to the stages' steps.

    Attributes:
        database: The pictures.
        wanted: How many candidates a ranking of all must give; None for all of them.
        without: Records that may not be found.
        own: Records of the query's own pictures.
    """

    database: Database
    wanted: int | None
    without: frozenset[int] = frozenset()
    own: frozenset[int] = frozenset()

    def nearest(self, descriptor: Float32[F32, " D"], entries: Mapping[int, Float32[F32, " D"]]) -> Ranking:
        """The pictures nearest to a descriptor.

        Args:
            descriptor: (D,), unit.
            entries: Descriptors that stand for those of some records.
        """
        replaced = {record: vector for record, vector in entries.items() if record not in self.without}
        found = self.database.nearest(descriptor, self.wanted, self.without | set(replaced))
        if not replaced:
            return found
        new = [cosine(descriptor, vector) for vector in replaced.values()]
        records = np.concatenate([found.records, np.array(list(replaced), np.int64)])
        scores = np.concatenate([found.scores, np.array(new)])
        order = np.lexsort((records, -scores))[: self.wanted]
        return Ranking(records[order], scores[order], found.compared + len(replaced))


def class_ids(classes: Any) -> tuple[int, ...]:
    """Classes of the model by their numbers.

    Raises:
        TypeError: They are not: names, say.
    """
    try:
        return whole_numbers(classes, "class")
    except TypeError as error:
        raise TypeError(
            f"{error}; camseek.extraction.classes.resolve_classes(model, names) gives the numbers of names"
        ) from error


class _Settings:
    """What every stage has.

    What it needs is asked for when the plan is bound to a query, and then the query is let go:

    - ``look`` is a question about pictures that are seen again. Threads ask it, each picture is seen once for
      the looks of all stages, and answers come to the stage through ``Database.look``. What it compares
      pictures with (the query's descriptor, its local features) goes into the look.
    - ``features`` are what the stage itself takes from the query for ``rank`` or ``apply``, and no look sees.

    A look gets an ``Extraction``: the picture at the collection's size after a pass of the network.

    Attributes:
        name: What it is called in what was done, in ``Hit.scored_by`` and in evidence.
        needs_classifier: Whether a plain backbone cannot do it.
        needs_features: Whether it compares local features, the query's with those that are stored.
        needs_fine: Whether it compares fine points too, where they are stored.
        needs_sketches: Whether it compares cells, the query's with those of stored sketches.
    """

    name: ClassVar[str]
    needs_classifier: ClassVar[bool] = False
    needs_features: ClassVar[bool] = False
    needs_fine: ClassVar[bool] = False
    needs_sketches: ClassVar[bool] = False

    def require(self, model: Backbone) -> None:
        """Refuses a model that the stage cannot work with.

        Raises:
            SettingsError: It has no classifier where one is needed, or too few classes.
        """

    def look(self, query: Sought, terms: Terms) -> Look | None:
        """What it wants to know of pictures, so that each is seen once for all stages; None for nothing."""
        return None

    def features(self, query: Sought, terms: Terms) -> Any:
        """What it takes from the query besides its descriptor, such as local features; None for nothing.

        The query itself is held no longer when the stage is at work.
        """
        return None

    def _require_least(self, key: str, least: int, what: str) -> None:
        """Makes a setting a whole number, and refuses one below the least; for ``__post_init__``.

        Raises:
            SettingsError: It is below; ``what`` begins the message.
            TypeError: It is no whole number.
        """
        number = whole_number(getattr(self, key), key)
        object.__setattr__(self, key, number)
        if number < least:
            raise SettingsError(f"{what} {least} or more", remedy=f"use {least} or more")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON: the stage, and every setting."""
        told: dict[str, Any] = {"stage": type(self).__name__}
        for item in fields(self):  # pyright: ignore[reportArgumentType]  # every stage is a dataclass
            told[item.name] = plain(getattr(self, item.name))
        return told


class FirstStage(_Settings, ABC):
    """Ranks the whole database; a frozen dataclass that checks its own settings."""

    @abstractmethod
    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        """The ``search.wanted`` best pictures, and what was done."""


class LaterStage(_Settings, ABC):
    """Takes candidates and gives them back in another order; a frozen dataclass that checks its settings.

    ``Candidates.reordered`` orders the first of them by new scores, in whatever unit the stage counts; a
    ``Told`` without a score leaves a picture in its place, with what it says of it.

    Attributes:
        sums: Whether it needs the descriptors that earlier stages made.
    """

    sums: ClassVar[bool] = False

    @property
    def reach(self) -> int | None:
        """How many of the first candidates it works on; None for all."""
        return 0

    def terms(self, query: Sought, before: Terms) -> Terms:
        """The terms from this stage on.

        Raises:
            FeaturelessError: The network sees nothing in the query.
        """
        return before

    @abstractmethod
    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """The candidates in their new order, and what was done; None where there was nothing to do."""
