"""Query expansion: the first candidates become the next query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from camseek.errors import SettingsError
from camseek.numerics import F32, is_usable
from camseek.results import Evidence, Stage
from camseek.searching.expansion import expand
from camseek.searching.looks import UNSEEN, Described, Unreadable, cosine
from camseek.searching.stages.base import Candidates, LaterStage, OwnEntry, Searching, Step, Terms, Told
from camseek.searching.stages.nearest import require_entry


@dataclass(frozen=True, slots=True)
class Expand(LaterStage):
    """Searches again with the sum of the first candidates' descriptors (paper section 4.5).

    After a re-ranking the winning regions are summed. Where candidates were described anew, those are ordered
    again; else the whole database is ranked.

    Attributes:
        count: How many candidates are summed.
        with_query: The query's own descriptor is in that sum (CroW's form).
        own_entry: What the entry of the query's own picture is, in the sum and in the ranking: the
            ``picture``, which the research code puts back, or the ``query``. Of a re-ranked picture the sum
            has the winning region all the same.
        database: What the new query is ranked against after a re-ranking: the ``untouched`` database, or one
            whose entries the winning regions' descriptors have ``overwritten`` (the research code, where
            those of one query stay for the next ones; here each query has its own).

    Raises:
        SettingsError: A setting cannot be.
        TypeError: ``count`` is no whole number.
    """

    name: ClassVar[str] = "expansion"
    sums: ClassVar[bool] = True
    count: int = 10
    with_query: bool = False
    own_entry: OwnEntry = "picture"
    database: Literal["untouched", "overwritten"] = "untouched"

    def __post_init__(self) -> None:
        self._require_least("count", 1, "an expansion sums")
        if self.database not in ("untouched", "overwritten"):
            raise SettingsError(
                f"there is no database {self.database!r}", remedy="use untouched or overwritten"
            )
        require_entry(self.own_entry)

    @property
    def reach(self) -> int | None:
        """How many are summed."""
        return self.count

    def apply(self, search: Searching, step: Step, found: Candidates) -> tuple[Candidates, Stage | None]:
        """The candidates by their cosines with the new query."""
        terms, records = step.terms, found.first(self.count)
        own = dict.fromkeys(search.own, terms.descriptor) if self.own_entry == "query" else {}
        won = _won(found)
        known = _described(search, terms, found, [item for item in records if item not in own | won])
        known |= own | won
        vectors = [known[record] for record in records if record in known]
        stage = Stage(self.name, len(vectors), (), {"with_query": self.with_query})
        if not vectors:
            return found, stage
        new = expand(np.stack(vectors), terms.descriptor if self.with_query else None)
        new = new if is_usable(new) else terms.descriptor
        entries = own | won if self.database == "overwritten" else own
        if terms.anew is not None:
            return self._among(search, terms, found, new, entries), stage
        ranking = search.nearest(new, entries)
        details = {
            record: replace(found.judged(record, score), by=None)
            for record, score in zip(found.first(None), found.scores.tolist(), strict=True)
            # An evaluation ranks all pictures, and tells no evidence.
            if record in found.details or search.wanted is not None
        }
        expanded = Candidates(ranking.records, ranking.scores, self.name, details, compared=found.compared)
        return expanded, stage

    def _among(
        self,
        search: Searching,
        terms: Terms,
        found: Candidates,
        new: Float32[F32, " D"],
        entries: Mapping[int, Float32[F32, " D"]],
    ) -> Candidates:
        """The candidates that were described anew in their new order; the others keep their places."""
        records = found.first(None)
        vectors = _described(search, terms, found, [item for item in records if item not in entries])
        vectors |= entries
        told = [
            _told(cosine(new, vectors[record])) if record in vectors else Told(None) for record in records
        ]
        return found.reordered(self.name, told)


def _told(score: float) -> Told:
    return Told(score, Evidence(Expand.name, None if score == UNSEEN else score))


def _won(found: Candidates) -> dict[int, Float32[F32, " D"]]:
    """The winning regions' descriptors."""
    regions = {record: detail.region for record, detail in found.details.items()}
    return {
        record: region.descriptor
        for record, region in regions.items()
        if region is not None and region.descriptor is not None
    }


def _described(
    search: Searching, terms: Terms, found: Candidates, records: Sequence[int]
) -> dict[int, Float32[F32, " D"]]:
    """The descriptors of pictures: stored, or as they were described anew.

    One that should have been described anew and could not be has none.
    """
    if terms.anew is None:
        some = np.array(records, np.int64)
        # Words find featureless pictures, too: they have nothing to sum.
        some = some[~np.isnan(search.database.cosines(terms.descriptor, some))]
        return dict(zip(some.tolist(), search.database.descriptors(some), strict=True))
    seen = [record for record in records if found.detail(record).anew]
    answers: Sequence[Described | Unreadable] = search.database.look(terms.anew, seen)
    return {
        record: answer.descriptor
        for record, answer in zip(seen, answers, strict=True)
        if isinstance(answer, Described) and answer.descriptor is not None
    }
