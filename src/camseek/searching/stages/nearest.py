"""The first stage of the paper: stored descriptors compared."""

from dataclasses import dataclass
from typing import ClassVar, get_args

from camseek.errors import SettingsError
from camseek.results import Stage
from camseek.searching.chance import chance
from camseek.searching.stages.base import Candidates, FirstStage, OwnEntry, Searching, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest(FirstStage):
    """Ranks pictures by the cosine of their stored descriptor with the query's (paper section 3.2).

    Attributes:
        own_entry: What the entry of the query's own picture is: the ``picture``, or the ``query`` (the
            paper's research code).

    Raises:
        SettingsError: There is no such entry.
    """

    name: ClassVar[str] = "ranking"
    own_entry: OwnEntry = "picture"

    def __post_init__(self) -> None:
        require_entry(self.own_entry)

    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        """The nearest pictures."""
        terms = step.terms
        own = dict.fromkeys(search.own, terms.descriptor) if self.own_entry == "query" else {}
        found = search.nearest(terms.descriptor, own)
        ranked = Candidates(
            found.records, found.scores, self.name, chance=chance(found), compared=found.compared
        )
        return ranked, Stage(self.name, found.compared)


def require_entry(entry: str) -> None:
    """Refuses an entry that there is not.

    Raises:
        SettingsError: There is none of the name.
    """
    if entry not in get_args(OwnEntry):
        raise SettingsError(f"there is no own entry {entry!r}", remedy="use picture or query")
