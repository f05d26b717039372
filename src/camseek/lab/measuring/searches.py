"""The searches of all queries under all protocols of a group; each picture is seen as seldom as possible."""

from collections.abc import Callable, Generator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial

from camseek.evaluation import Overlap
from camseek.extraction.extractor import Extraction, Extractor
from camseek.extraction.faults import tried
from camseek.job import Job
from camseek.lab.measuring.answers import Answers, MeasuredDatabase, NotSeenError
from camseek.lab.measuring.asking import Asked
from camseek.lab.measuring.database import FirstPass, Rows
from camseek.lab.measuring.scratch import Scratch
from camseek.lab.measuring.tasks import Key, Task
from camseek.results import Skipped
from camseek.searching import Searching, run
from camseek.searching.looks import Look, LookSet
from camseek.searching.stages import Candidates
from camseek.store import FINE, POINTS, SKETCH, MemoryVectors


@dataclass(slots=True, eq=False)
class Searches:
    """Runs plans over a ground truth's pictures, as a search runs them over a collection.

    First every picture is described, and seen for what stages want to know of all of them. Then the searches
    are tried: those that want to know more of some pictures wait until these were seen again.

    Attributes:
        tasks: The protocols.
        asked: The queries.
        rows: The pictures.
        scratch: Gives arrays.
    """

    tasks: Sequence[Task]
    asked: Sequence[Asked]
    rows: Rows
    scratch: Scratch
    _answers: Answers = field(init=False)
    _vectors: dict[Key, MemoryVectors] = field(default_factory=dict[Key, MemoryVectors])

    def __post_init__(self) -> None:
        self._answers = Answers(self.scratch, len(self.rows.paths))

    def describe(
        self,
        extractor: Extractor,
        job: Job,
        boxed: AbstractSet[bytes] = frozenset(),
        compare: "Callable[[Extraction, tuple[bytes, ...]], list[Overlap]] | None" = None,
    ) -> list[Overlap]:
        """Describes the pictures; those that cannot be read are told in ``rows``.

        Args:
            extractor: Reads them, one thread a pass.
            job: Threads and progress.
            boxed: Names in the database of the pictures whose boxes are compared.
            compare: Compares them.
        """
        looks = LookSet(
            step.look
            for number, task in enumerate(self.tasks)
            for item in self.asked
            for stage, step in zip(task.protocol.plan.then, (item.ready[number] or ())[1:], strict=False)
            if step.look is not None and stage.reach is None
        )
        self._answers.expect(looks.looks.values())
        plans = [task.protocol.plan for task in self.tasks]
        parts = [POINTS] * any(plan.needs_features for plan in plans)
        parts += [FINE] * any(plan.needs_fine for plan in plans)
        parts += [SKETCH] * any(plan.needs_sketches for plan in plans)
        first = FirstPass(
            self.tasks,
            self.rows,
            self.scratch,
            self._answers,
            parts,
            boxed,
            compare or (lambda seen, names: []),
        )
        self._vectors, overlaps = first.run(extractor, looks, job)
        return overlaps

    def look(
        self, extractor: Extractor, job: Job, own: Sequence[frozenset[int]], removed: Sequence[bool]
    ) -> None:
        """Sees the pictures again of which stages want to know more.

        Args:
            extractor: Reads them, one thread a pass.
            job: Threads and progress.
            own: For each query the rows of its own picture.
            removed: For each protocol, whether these are taken out.
        """
        while wanted := self._wanted(own, removed):
            job.progress.start(len(wanted))
            sets = {row: LookSet(looks) for row, looks in wanted.items()}
            self._answers.expect(look for looks in sets.values() for look in looks.looks.values())
            for _ in job.map(partial(self._see, extractor), sorted(sets.items())):
                job.progress.step()

    def rankings(
        self, number: int, own: Sequence[frozenset[int]], *, removed: bool
    ) -> Generator[Candidates | None]:
        """What each query found under one protocol; None where the network sees nothing in the query.

        Raises:
            NotSeenError: Stages want to know more of some pictures.
        """
        for query in range(len(self.asked)):
            yield self._search(number, query, own[query], removed=removed)

    def _search(self, number: int, query: int, own: frozenset[int], *, removed: bool) -> Candidates | None:
        steps = self.asked[query].ready[number]
        if steps is None:
            return None
        task = self.tasks[number]
        database = MeasuredDatabase(self._vectors[task.pictures], self._answers)
        search = Searching(database, None, own if removed else frozenset(), own)
        return run(task.protocol.plan, steps, search).candidates

    def _wanted(self, own: Sequence[frozenset[int]], removed: Sequence[bool]) -> dict[int, list[Look]]:
        """What searches want to know, of which pictures."""
        wanted: dict[int, list[Look]] = {}
        for number in range(len(self.tasks)):
            for query in range(len(self.asked)):
                looks = self._looks(number, query)
                if not looks:
                    continue  # what is wanted of every picture was seen in the first pass
                try:
                    self._search(number, query, own[query], removed=removed[number])
                except NotSeenError as more:
                    # While the picture is seen, for the other stages of the plan too.
                    for row in more.rows:
                        wanted.setdefault(row, []).extend([more.look, *looks])
        return wanted

    def _looks(self, number: int, query: int) -> list[Look]:
        """What the stages of one search want to know of the pictures that they come across."""
        then, steps = self.tasks[number].protocol.plan.then, self.asked[query].ready[number] or ()
        pairs = zip(then, steps[1:], strict=False)
        return [step.look for stage, step in pairs if step.look is not None and stage.reach is not None]

    def _see(self, extractor: Extractor, item: tuple[int, LookSet]) -> None:
        row, looks = item
        fault = tried(self.rows.paths[row], partial(self._take, extractor, row, looks))
        if fault is not None:
            self._answers.unreadable(row, fault.reason)  # it keeps its place

    def _take(self, extractor: Extractor, row: int, looks: LookSet) -> Skipped | None:
        seen = self.rows.see(extractor, row)
        if isinstance(seen, Skipped):
            return seen
        self._answers.take(row, looks, seen)
        return None
