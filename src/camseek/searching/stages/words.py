"""The second first stage: visual words compared."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from camseek.matching.words import QueryWords
from camseek.results import Stage
from camseek.searching.query import Sought
from camseek.searching.stages.base import Candidates, FirstStage, Searching, Step, Terms


@dataclass(frozen=True, slots=True)
class Words(FirstStage):
    """Ranks pictures by the visual words that they share with the query (ASMK*: Tolias et al., ICCV 2013).

    Pictures of which no points are stored are not found.
    """

    name: ClassVar[str] = "words"
    needs_features: ClassVar[bool] = True

    def features(self, query: Sought, terms: Terms) -> tuple[QueryWords, ...]:
        """The query's visual words, of each of its pictures."""
        return query.words()

    def rank(self, search: Searching, step: Step) -> tuple[Candidates, Stage]:
        """The pictures that share most."""
        found = search.database.words(
            step.features, search.wanted, without=search.without, asked=np.empty(0, np.int64)
        )
        ranked = Candidates(found.records, found.scores, self.name, compared=found.compared)
        return ranked, Stage(self.name, found.compared)
