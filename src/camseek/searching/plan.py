"""What a search does: one first stage, and the stages after it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, cast, get_args

from camseek.arguments import whole_number
from camseek.backbones import Backbone
from camseek.encoding.encoder import Encoder
from camseek.errors import SettingsError
from camseek.searching.query import Sought
from camseek.searching.stages import (
    DescribeAnew,
    Expand,
    ExpandVerified,
    FirstStage,
    Joined,
    LateInteraction,
    LaterStage,
    MatchRegions,
    Nearest,
    Step,
    Terms,
    Verify,
    Words,
)
from camseek.searching.stages.base import class_ids
from camseek.store import POINTS, SKETCH

Aggregation = Literal["offline", "online", "predefined"]
First = Literal["descriptors", "words", "joined"]
VERIFIED = 100
"""How many pictures a search verifies that says nothing of it."""
COMPARED = 300
"""How many are compared cell by cell before that, where sketches are kept."""
EXPANDED = 10
"""How many verified hits join the query of such a search at most."""
_FIRST: dict[str, type[FirstStage]] = {"descriptors": Nearest, "words": Words, "joined": Joined}
Kind = TypeVar("Kind", bound=FirstStage | LaterStage)


@dataclass(frozen=True, slots=True)
class Plan:
    """A search: one first stage, then any others in their order.

    Attributes:
        first: Ranks the whole database.
        then: Each takes the candidates of the one before.

    Raises:
        TypeError: Something is no stage of its kind.
        SettingsError: Pictures are described anew twice.
    """

    first: FirstStage = field(default_factory=Nearest)
    then: tuple[LaterStage, ...] = ()

    def __post_init__(self) -> None:
        given = cast(Any, self.then)  # people give one stage, or a list
        then = tuple(cast("Iterable[Any]", given)) if isinstance(given, Iterable) else (given,)
        for stage, kind in ((self.first, FirstStage), *((stage, LaterStage) for stage in then)):
            if not isinstance(stage, kind):
                raise TypeError(f"{stage!r} is no {kind.__name__}")
        if sum(isinstance(stage, DescribeAnew) for stage in then) > 1:
            raise SettingsError("pictures are described anew twice", remedy="leave one of the two out")
        object.__setattr__(self, "then", then)

    @classmethod
    def of(
        cls,
        aggregation: Aggregation = "offline",
        *,
        classes: int | None = None,
        predefined: Sequence[int] = (),
        attend: Sequence[int] = (),
        shortlist: int | None = 100,
        rerank: int = 0,
        expand: int = 0,
        expand_with_query: bool = False,
        first: First = "descriptors",
        late_interaction: int = 0,
        verify: int = 0,
        expand_verified: int = 0,
        false_alarms: float | None = None,
    ) -> "Plan":
        """Searches by their options: a first stage, the paper's later ones, verification.

        Args:
            aggregation: ``offline``: what the collection's descriptors hold. ``online``: the query's own most
                probable classes. ``predefined``: those of ``predefined``.
            classes: N_C for ``online`` and ``predefined``; None for the encoding's (64).
            predefined: Class ids of ``predefined``, most wanted first.
            attend: Class ids that the user wants attended to: ``online`` with these in place of the query's.
            shortlist: How many pictures are described anew, and at least as many as the later stages take;
                None for all.
            rerank: R, how many of the first are compared region by region; 0 for none.
            expand: Top results whose descriptors are summed into a new query; 0 for no expansion.
            expand_with_query: The query's own descriptor is in that sum (CroW's form).
            first: What the whole database is ranked by: ``descriptors``, ``words``, or both ``joined``.
            late_interaction: How many of the first pictures are compared with the query cell by cell, before
                all else, and again after an expansion over verified hits; 0 for none.
            verify: How many of the first results are verified; 0 for none.
            expand_verified: The query is joined by so many verified hits at most, where several are, all is
                ranked again by both first stages, and what is new verified; 0 for none.
            false_alarms: As of ``Verify``.

        Raises:
            SettingsError: Options that do not go together.
            TypeError: A number is no whole number, or a class no id.
        """
        rerank, expand = whole_number(rerank, "rerank"), whole_number(expand, "expand")
        late_interaction = whole_number(late_interaction, "late_interaction")
        verify = whole_number(verify, "verify")
        expand_verified = whole_number(expand_verified, "expand_verified")
        predefined, attend = class_ids(predefined), class_ids(attend)
        _require(aggregation, classes, predefined, attend)
        if min(rerank, expand, late_interaction, verify, expand_verified) < 0:
            raise SettingsError(
                "expand, rerank, late_interaction, verify and expand_verified are 0 or more",
                remedy="use 0 for none",
            )
        if late_interaction and not (first == "joined" and aggregation == "offline"):
            raise SettingsError(
                "late interaction adds to the scores of both first stages",
                remedy="use joined first stages, without another aggregation",
            )
        if expand_verified and not (verify and first == "joined" and aggregation == "offline"):
            raise SettingsError(
                "verified hits join the query of a search by both first stages that verifies",
                remedy="use joined first stages and verify, without another aggregation",
            )
        if false_alarms is not None and not verify:
            raise SettingsError("false alarms are of verdicts, which verification gives", remedy="verify")
        if first not in _FIRST:
            raise SettingsError(f"there is no first stage {first!r}", remedy=f"use {' or '.join(_FIRST)}")
        if expand_with_query and not expand:
            raise SettingsError(
                "the query joins an expansion that there is none of",
                remedy="say how many results with --expand",
            )
        if shortlist is not None:
            shortlist = whole_number(shortlist, "shortlist")
            if shortlist < 1:
                raise SettingsError("a shortlist is 1 or more", remedy="use 1 or more")
        cells = [LateInteraction(late_interaction)] if late_interaction else []
        then: list[LaterStage] = [*cells]
        if aggregation != "offline":
            then.append(
                DescribeAnew(
                    classes=classes,
                    predefined=predefined,
                    attend=attend,
                    shortlist=None if shortlist is None else max(shortlist, rerank, expand, verify),
                )
            )
        if rerank:
            then.append(MatchRegions(rerank, attend=attend))
        if expand:
            then.append(Expand(expand, expand_with_query))
        if verify:
            then.append(Verify(verify, false_alarms))
        if expand_verified:
            then += [ExpandVerified(expand_verified), *cells, Verify(verify, false_alarms)]
        return cls(_FIRST[first](), tuple(then))

    @classmethod
    def usual(cls, keeps: Collection[str]) -> "Plan":
        """What a search does that asks for nothing else.

        Args:
            keeps: What the collection keeps of each picture: with ``points`` hits are found by descriptors
                and words, the first 100 verified, and where several are, found and verified again with what
                these show; with ``sketch`` as well, the first 300 are compared cell by cell before. Else
                stored descriptors alone are compared.
        """
        if POINTS not in keeps:
            return cls()
        cells = COMPARED if SKETCH in keeps else 0
        return cls.of(first="joined", late_interaction=cells, verify=VERIFIED, expand_verified=EXPANDED)

    def stage(self, kind: type[Kind]) -> Kind | None:
        """The first stage of a kind, or None."""
        return next((stage for stage in (self.first, *self.then) if isinstance(stage, kind)), None)

    def changed(self, kind: type[FirstStage | LaterStage], **settings: Any) -> "Plan":
        """The plan with other settings of every stage of a kind."""

        def with_settings(stage: Any) -> Any:
            return replace(cast(Any, stage), **settings) if isinstance(stage, kind) else stage

        return Plan(with_settings(self.first), tuple(map(with_settings, self.then)))

    @property
    def attend(self) -> tuple[int, ...]:
        """The class ids that the user wants attended to."""
        anew = self.stage(DescribeAnew)
        return anew.attend if anew else ()

    @property
    def predefined(self) -> tuple[int, ...]:
        """The class ids of the list that pictures are described with."""
        anew = self.stage(DescribeAnew)
        return anew.predefined if anew else ()

    @property
    def aggregation(self) -> str:
        """``offline``, ``online`` or ``predefined``."""
        anew = self.stage(DescribeAnew)
        return anew.aggregation if anew else "offline"

    @property
    def needs_classifier(self) -> bool:
        """Whether a plain backbone cannot do it."""
        return any(stage.needs_classifier for stage in (self.first, *self.then))

    @property
    def needs_features(self) -> bool:
        """Whether it compares local features."""
        return any(stage.needs_features for stage in (self.first, *self.then))

    @property
    def needs_fine(self) -> bool:
        """Whether it compares fine points too, where they are stored."""
        return any(stage.needs_fine for stage in (self.first, *self.then))

    @property
    def needs_sketches(self) -> bool:
        """Whether it compares cells with those of stored sketches."""
        return any(stage.needs_sketches for stage in (self.first, *self.then))

    def reach(self, top: int | None) -> int | None:
        """How many candidates a ranking must give for ``top`` hits; None for all."""
        counts = [top, *(stage.reach for stage in self.then)]
        known = [count for count in counts if count is not None]
        return max(known) if len(known) == len(counts) else None

    def require(self, model: Backbone) -> None:
        """Refuses a model that one of the stages cannot work with.

        Raises:
            SettingsError: It has no classifier where one is needed, or too few classes.
        """
        for stage in (self.first, *self.then):
            stage.require(model)

    def bind(self, query: Sought, encoder: Encoder) -> tuple[Step, ...]:
        """The terms of each stage, the first one's first, and what each wants to know of pictures.

        Args:
            query: What is sought.
            encoder: The collection's.

        Raises:
            FeaturelessError: The network sees nothing in the query.
        """
        keep = any(stage.sums for stage in self.then)
        terms = Terms(encoder, query.descriptor(encoder), keep=keep)
        steps = [_bound(self.first, query, terms)]
        for stage in self.then:
            terms = stage.terms(query, terms)
            steps.append(_bound(stage, query, terms))
        return tuple(steps)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"first": self.first.to_json(), "then": [stage.to_json() for stage in self.then]}


def _bound(stage: FirstStage | LaterStage, query: Sought, terms: Terms) -> Step:
    return Step(terms, stage.look(query, terms), stage.features(query, terms))


def _require(aggregation: str, classes: int | None, predefined: Sequence[int], attend: Sequence[int]) -> None:
    """Refuses options of an aggregation that it does not have; what is wrong in itself its stage refuses."""
    if aggregation not in get_args(Aggregation):
        raise SettingsError(
            f"there is no aggregation {aggregation!r}", remedy="use offline, online or predefined"
        )
    if aggregation == "predefined" and not predefined:
        raise SettingsError(
            "predefined aggregation without a list of classes", remedy="give one with --class-list"
        )
    if predefined and aggregation != "predefined":
        raise SettingsError(
            "a list of classes goes with predefined aggregation", remedy="use --aggregation predefined"
        )
    if attend and aggregation != "online":
        raise SettingsError(
            "classes to attend to are a kind of online aggregation", remedy="use --aggregation online"
        )
    if classes is not None and aggregation == "offline":
        raise SettingsError(
            "the number of classes of offline aggregation is the collection's",
            remedy="use --aggregation online, or index with --encoding cam:classes=N",
        )
