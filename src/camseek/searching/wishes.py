"""What people ask of a search, as options, and the plan that is meant."""

from collections.abc import Collection
from dataclasses import dataclass

from camseek.searching.plan import COMPARED, EXPANDED, VERIFIED, Aggregation, First, Plan
from camseek.store import POINTS, SKETCH

_SHORTLIST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Options of a search; what nobody asks for is what is usual where it goes with the others.

    Attributes:
        first: What all pictures are ranked by; None for whatever the others mean.
        verify: How many pictures are verified, 0 for none; None for as many as usual.
        late_interaction: How many are compared cell by cell, 0 for none; None for as many as usual.
        expand_verified: How many verified hits join the query, 0 for none; None for as many as usual.
        false_alarms: As ``Plan.of``.
        aggregation: As ``Plan.of``; None for whatever the others mean.
        classes: As ``Plan.of``.
        predefined: Class ids of a list: ``predefined`` aggregation.
        attend: Class ids to attend to: ``online`` aggregation.
        expand: As ``Plan.of``.
        expand_with_query: As ``Plan.of``.
        rerank: As ``Plan.of``.
        shortlist: How many pictures are described anew; None for the default.
    """

    first: First | None = None
    verify: int | None = None
    late_interaction: int | None = None
    expand_verified: int | None = None
    false_alarms: float | None = None
    aggregation: Aggregation | None = None
    classes: int | None = None
    predefined: tuple[int, ...] = ()
    attend: tuple[int, ...] = ()
    expand: int = 0
    expand_with_query: bool = False
    rerank: int = 0
    shortlist: int | None = None

    @property
    def meant(self) -> Aggregation:
        """The aggregation that is meant."""
        chosen: Aggregation = "online" if self.attend else "predefined" if self.predefined else "offline"
        return self.aggregation or chosen

    def plan(self, keeps: Collection[str], top: int | None) -> Plan:
        """The plan that is meant.

        Args:
            keeps: What the collection keeps of each picture, of ``camseek.config.PARTS``.
            top: How many hits are wanted: so many at least are described anew, 100 by default, and what is
                usual in searches is done. None for a ranking of all, of which all are described by default.

        Raises:
            SettingsError: The wishes do not go together.
        """
        if self == Wishes() and top is not None:
            return Plan.usual(keeps)
        papers = self.aggregation or self.attend or self.predefined or self.rerank or self.expand
        ranked, verified, cells, expanded = (
            self.first,
            self.verify,
            self.late_interaction,
            self.expand_verified,
        )
        if ranked is None:
            # Leaving one out of what is usual leaves the others in.
            less = top is not None and POINTS in keeps and 0 in (cells, expanded)
            asked = expanded or self.false_alarms is not None or less
            verifies = verified or (verified is None and asked)
            ranked = "joined" if (verifies or cells) and not papers else "descriptors"
        usual = top is not None and ranked == "joined" and not papers
        if verified is None:
            verified = VERIFIED if top is not None and ranked != "descriptors" else 0
        if cells is None:
            cells = COMPARED if usual and SKETCH in keeps else 0
        if expanded is None:
            expanded = EXPANDED if usual and verified else 0
        return Plan.of(
            self.meant,
            classes=self.classes,
            predefined=self.predefined,
            attend=self.attend,
            shortlist=self.shortlist if top is None else max(self.shortlist or _SHORTLIST, top),
            rerank=self.rerank,
            expand=self.expand,
            expand_with_query=self.expand_with_query,
            first=ranked,
            late_interaction=cells,
            verify=verified,
            expand_verified=expanded,
            false_alarms=self.false_alarms,
        )
