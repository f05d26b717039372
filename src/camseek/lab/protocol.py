"""How an evaluation is done: what papers and their code decide differently, as named options."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from camseek.config import AveragePrecisionForm, Encoding, Settings
from camseek.encoding.whitening import Whitening
from camseek.errors import SettingsError
from camseek.extraction.extractor import Reading, RegionRules
from camseek.searching import DescribeAnew, Expand, Nearest, Plan
from camseek.searching.stages import OwnEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to search a ground truth's database. The defaults are the paper's reading.

    Attributes:
        settings: Encoding, size of the pictures, layer, and predefined classes.
        plan: The stages, as a search's. The paper describes the whole database anew where aggregation is
            online: a shortlist of None.
        whitening: Applied to the parts of each descriptor, or None.
        whitening_note: What it was fitted on, for people.
        rules: How query regions are read.
        own_picture: Whether a query's own picture may be found: ``kept``, or ``removed`` from the ranking and
            from the positives; ``protocol`` for what the ground truth's official protocol says.
        ap_form: How average precision is computed; None for the ground truth's own.

    Raises:
        SettingsError, TypeError: A value cannot be.
    """

    settings: Settings = field(default_factory=lambda: Settings(encoding=Encoding.parse("cam")))
    plan: Plan = field(default_factory=Plan)
    whitening: Whitening | None = None
    whitening_note: str | None = None
    rules: RegionRules = field(default_factory=lambda: RegionRules(reading="cells"))
    own_picture: Literal["protocol", "kept", "removed"] = "protocol"
    ap_form: AveragePrecisionForm | None = None

    def __post_init__(self) -> None:
        given: Any = self.settings
        object.__setattr__(self, "settings", Settings.of(given))
        for key, kind in (("plan", Plan), ("rules", RegionRules)):
            if not isinstance(getattr(self, key), kind):
                raise TypeError(f"{key} is a {kind.__name__}, not {getattr(self, key)!r}")
        if self.own_picture not in ("protocol", "kept", "removed"):
            raise SettingsError(
                f"an own picture cannot be {self.own_picture!r}", remedy="use protocol, kept or removed"
            )
        if self.ap_form not in (None, *get_args(AveragePrecisionForm)):
            raise SettingsError(
                f"there is no average precision {self.ap_form!r}", remedy="use mean or trapezoid"
            )

    @property
    def reading(self) -> Reading:
        """How a query's region is read."""
        return self.rules.reading

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.settings.to_json(),
            "plan": self.plan.to_json(),
            "whitening": self.whitening.checksum if self.whitening else None,
            "whitening_note": self.whitening_note,
            "region_reading": self.rules.reading,
            "query_scores": self.rules.scores,
            "query_box": self.rules.box,
            "own_picture": self.own_picture,
            "ap_form": self.ap_form,
        }


def own_entries(plan: Plan) -> tuple[OwnEntry, OwnEntry]:
    """What the entry of the query's own picture is in the first ranking, and from an expansion on."""
    first, expand = plan.stage(Nearest), plan.stage(Expand)
    return first.own_entry if first else "picture", expand.own_entry if expand else "picture"


def with_own_entries(plan: Plan, ranking: OwnEntry, expansion: OwnEntry) -> Plan:
    """A plan with the entries of the query's own picture chosen.

    Args:
        plan: The plan.
        ranking: The entry in the first ranking, and in a description anew.
        expansion: The entry from an expansion on, in the sum and in the ranking that follows.
    """
    ranked = plan.changed(Nearest, own_entry=ranking).changed(DescribeAnew, own_entry=ranking)
    return ranked.changed(Expand, own_entry=expansion)
