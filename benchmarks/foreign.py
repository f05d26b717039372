"""False alarms: pairs of pictures that share nothing, and which of them a search says are present.

Queries of each set are asked of the collections of all other sets, and of generated brick, tiles,
chessboards, text, foliage and sky; and those patterns of each other, alone, and where few of each lie among
photographs, so that they stand out. Of each search the first hundred pictures, those most like the query, are
verified as always: each is a pair. Sets of churches and of landmarks, which may show the same, are not asked
of each other.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scenes
from common import Table, find_data, pictures_in
from numpy.typing import NDArray
from verdicts import TRUTHS, collection_of

from camseek import Box, Engine, Plan
from camseek.datasets import GroundTruth, read_ground_truth
from camseek.results import MatchEvidence
from camseek.searching.plan import VERIFIED

_EACH = 30
"""Generated pictures of each pattern."""
_AMONG = 4, 40
"""So many of each pattern lie among so many photographs."""
_ALIKE = frozenset({"buildings", "landmarks"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A query: of which set, and what is sought."""

    folder: str
    picture: str | NDArray[np.uint8]
    region: Box | None = None


@dataclass(slots=True)
class Counts:
    """What searches for what is not there said."""

    searches: int = 0
    pairs: int = 0
    alarms: int = 0
    present: int = 0
    highest: float = 0.0
    most: tuple[int, int] = (0, 0)


def chosen(truth: GroundTruth, folder: str, count: int) -> Iterator[Asked]:
    """Some of a set's queries, from all over it."""
    last = len(truth.queries) - 1
    places = sorted({round(place * last / max(count - 1, 1)) for place in range(count)})
    for place in places:
        query = truth.queries[place]
        yield Asked(folder, query.image.decode(), query.region)


def patterns() -> dict[str, list[NDArray[np.uint8]]]:
    """Generated pictures that share a pattern, and nothing else."""
    return {name: [make(seed) for seed in range(_EACH)] for name, make in scenes.PATTERNS.items()}


def ask(engine: Engine, query: Asked, counts: Counts) -> None:
    """One search for what is not there."""
    plan = Plan.of(first="joined", verify=VERIFIED)
    result = engine.search(query.picture, region=query.region, plan=plan, top=VERIFIED, without_self=True)
    told = [
        (hit.verdict, match)
        for hit in result.hits
        for match in hit.evidence
        if isinstance(match, MatchEvidence)
    ]
    counts.searches += 1
    counts.pairs += len(told)
    present = [verdict is not None and verdict.same is True for verdict, _ in told]
    counts.present += sum(present)
    counts.alarms += any(present)
    counts.highest = max(
        [counts.highest, *(verdict.probability for verdict, _ in told if verdict is not None)]
    )
    points, fine = (max((number(match) for _, match in told), default=0) for number in (_points, _fine))
    counts.most = max(counts.most[0], points), max(counts.most[1], fine)


def _points(match: MatchEvidence) -> int:
    return match.points


def _fine(match: MatchEvidence) -> int:
    return match.fine or 0


def measure(data: Path, work: Path, count: int) -> Table:
    """Asks all that is foreign."""
    truths: dict[str, GroundTruth] = {}
    queries: list[Asked] = []
    for name in TRUTHS:
        truth = read_ground_truth(data / TRUTHS[name])
        folder = TRUTHS[name].split("/")[0]
        truths.setdefault(folder, truth)
        queries += chosen(truth, folder, count)
    counts: dict[str, Counts] = {}
    for folder, truth in truths.items():
        alike = _ALIKE if folder in _ALIKE else {folder}
        with collection_of(work, truth.database) as engine:
            for query in queries:
                if query.folder not in alike:
                    ask(engine, query, counts.setdefault(f"photographs in {folder}", Counts()))
    made = patterns()
    with Engine.open(work / "patterns", create=True) as engine:
        engine.add(
            {f"{name}-{place}": pixels for name, some in made.items() for place, pixels in enumerate(some)}
        )
        for query in queries:
            ask(engine, query, counts.setdefault("photographs in patterns", Counts()))
        for name, some in made.items():
            for pixels in some[:count]:
                ask(engine, Asked("patterns", pixels), counts.setdefault(f"{name} in patterns", Counts()))
    few, photographs = _AMONG
    with Engine.open(work / "patterns-among-photographs", create=True) as engine:
        engine.add(
            {
                f"{name}-{place}": pixels
                for name, some in made.items()
                for place, pixels in enumerate(some[:few])
            }
        )
        engine.add(map(str, pictures_in(data / "groceries" / "photos")[:photographs]))
        for name, some in made.items():
            for pixels in some[few : few + count]:
                counted = counts.setdefault(f"{name} among photographs", Counts())
                ask(engine, Asked("patterns", pixels), counted)
    return _table(counts)


def _table(counts: dict[str, Counts]) -> Table:
    heading = ("", "searches", "pairs", "called present", "searches with one", "highest", "points", "fine")
    table = Table("Pairs that share nothing", heading)
    for name, one in [*counts.items(), ("all", _together(list(counts.values())))]:
        shares = one.present / max(one.pairs, 1), one.alarms / max(one.searches, 1)
        table.rows.append(
            (
                name,
                str(one.searches),
                str(one.pairs),
                f"{one.present} ({shares[0]:.2%})",
                f"{one.alarms} ({shares[1]:.1%})",
                f"{one.highest:.2f}",
                *map(str, one.most),
            )
        )
    return table


def _together(counts: Sequence[Counts]) -> Counts:
    return Counts(
        sum(one.searches for one in counts),
        sum(one.pairs for one in counts),
        sum(one.alarms for one in counts),
        sum(one.present for one in counts),
        max(one.highest for one in counts),
        (max(one.most[0] for one in counts), max(one.most[1] for one in counts)),
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="False alarms of pairs that share nothing.")
    parser.add_argument("--work", type=Path, required=True, help="a folder for collections")
    parser.add_argument("--queries", type=int, default=6, help="of each set and pattern")
    options = parser.parse_args()
    data = find_data()
    if data is None:
        raise SystemExit("there are no photographs: set CAMSEEK_TEST_DATA")
    options.work.mkdir(parents=True, exist_ok=True)
    print(measure(data, options.work, options.queries).markdown())


if __name__ == "__main__":
    main()
