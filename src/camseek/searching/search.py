"""The search: a plan's stages, one after the other. There is no other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from camseek.results import Stage
from camseek.searching.plan import Plan
from camseek.searching.stages import Candidates, Searching, Step


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found.

    Attributes:
        candidates: Best first.
        stages: What was done, in order; the first says how many pictures were compared.
    """

    candidates: Candidates
    stages: tuple[Stage, ...]


def run(
    plan: Plan,
    steps: Sequence[Step],
    search: Searching,
    between: Callable[[Found], None] | None = None,
) -> Found:
    """Takes a query through a plan.

    Args:
        plan: What to do.
        steps: The plan bound to the query, ``Plan.bind``.
        search: Where, and how much.
        between: Told what was found so far, before each later stage.

    Raises:
        CamseekError: As the database.
    """
    found, done = plan.first.rank(search, steps[0])
    stages = [done]
    for stage, step in zip(plan.then, steps[1:], strict=True):
        if between is not None:
            between(Found(found, tuple(stages)))
        found, told = stage.apply(search, step, found)
        if told is not None:
            stages.append(told)
    return Found(found, tuple(stages))
