"""Online and predefined aggregation: candidates described with classes that the query chooses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from camseek.arguments import whole_number
from camseek.backbones import Backbone
from camseek.encoding.encoder import Encoder
from camseek.errors import SettingsError
from camseek.extraction.classes import require_class_ids
from camseek.results import Evidence, Stage
from camseek.searching.looks import UNSEEN, Described, DescribeLook, Unreadable
from camseek.searching.query import Sought
from camseek.searching.stages.base import (
    Candidates,
    LaterStage,
    OwnEntry,
    Searching,
    Step,
    Terms,
    Told,
    class_ids,
)
from camseek.searching.stages.nearest import require_entry


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAnew(LaterStage):
    """Describes the first candidates, and the query, with the same classes (paper sections 3.2 and 4.3).

    The classes are the query's own most probable ones (online aggregation), those of a list (predefined), or
    those that the user names. Where the stored descriptors were made with the same list, nothing is done.

    Attributes:
        classes: N_C, how many of the query's or of the list's; None for as many as the encoding sums.
        predefined: Class ids of a list, most wanted first.
        attend: Class ids to attend to, all of them.
        shortlist: How many candidates; None for all, which is the paper's own and reads every file.
        own_entry: What the entry of the query's own picture is, as in ``Nearest``.

    Raises:
        SettingsError: Settings that do not go together.
        TypeError: A number is no whole number.
    """

    needs_classifier: ClassVar[bool] = True
    name: ClassVar[str] = "online"
    classes: int | None = None
    predefined: tuple[int, ...] = ()
    attend: tuple[int, ...] = ()
    shortlist: int | None = 100
    own_entry: OwnEntry = "picture"

    def __post_init__(self) -> None:
        for key in ("predefined", "attend"):
            object.__setattr__(self, key, class_ids(getattr(self, key)))
        for key in ("classes", "shortlist"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, whole_number(getattr(self, key), key))
        if (self.classes is not None and self.classes < 1) or (
            self.shortlist is not None and self.shortlist < 1
        ):
            raise SettingsError("classes and shortlist are 1 or more", remedy="use 1 or more")
        if self.predefined and self.attend:
            raise SettingsError(
                "a list of classes and classes to attend to both choose the classes", remedy="give one"
            )
        if self.attend and self.classes is not None:
            raise SettingsError(
                "the classes to attend to are all summed", remedy="leave out the number of classes"
            )
        require_entry(self.own_entry)

    @property
    def reach(self) -> int | None:
        """The shortlist."""
        return self.shortlist

    @property
    def aggregation(self) -> str:
        """``online`` or ``predefined``: what it is called in what was done."""
        return "predefined" if self.predefined else self.name

    def require(self, model: Backbone) -> None:
        """Refuses a model without a classifier, or with fewer classes than are named."""
        model.require_classifier(f"{self.aggregation} aggregation")
        require_class_ids(model, (*self.predefined, *self.attend))

    def terms(self, query: Sought, before: Terms) -> Terms:
        """Class-weighted from here on, with the chosen classes."""
        chosen = self._chosen(query, before.encoder)
        if self._stored(before.encoder, chosen):
            return before
        encoder = before.encoder.class_weighted().unchosen()
        descriptor = query.descriptor(encoder, chosen)
        return replace(
            before,
            encoder=encoder,
            descriptor=descriptor,
            anew=DescribeLook(encoder, chosen, descriptor, before.keep),
        )

    def look(self, query: Sought, terms: Terms) -> DescribeLook | None:
        """A description of each candidate."""
        return terms.anew

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """The shortlist by its new cosines; what cannot be read keeps its place."""
        anew = step.terms.anew
        if anew is None:
            return found, None
        records = found.first(self.shortlist)
        answers: Sequence[Described | Unreadable] = search.database.look(anew, records)
        own = search.own if self.own_entry == "query" else frozenset[int]()
        told = [
            Told(1.0, anew=True) if record in own else _told(self.aggregation, answer)
            for record, answer in zip(records, answers, strict=True)
        ]
        kept = sum(item.score is None for item in told)
        stage = Stage(self.aggregation, len(told), anew.classes, {"kept": kept})
        return found.reordered(self.aggregation, told), stage

    def _chosen(self, query: Sought, encoder: Encoder) -> tuple[int, ...]:
        count = self.classes or encoder.encoding.classes
        if self.predefined:
            return self.predefined[:count]
        return self.attend or query.classes(count)

    def _stored(self, encoder: Encoder, chosen: tuple[int, ...]) -> bool:
        """Whether the stored descriptors were made with the same list of classes."""
        if encoder.predefined is None or not self.predefined:
            return False
        return tuple(encoder.predefined[: encoder.encoding.classes].tolist()) == chosen


def _told(name: str, answer: Described | Unreadable) -> Told:
    if isinstance(answer, Unreadable):
        return Told(None, kept=answer.reason)
    evidence = Evidence(name, None if answer.score == UNSEEN else answer.score)
    return Told(answer.score, evidence, anew=True)
