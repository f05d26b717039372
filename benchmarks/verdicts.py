"""How far a verdict can be trusted: fitted on all sets but one, and tried on that one, each in turn.

Each query is asked once of its set's pictures. Its first hits are samples: does this picture show the thing?
With the positives taken out it is asked of a thing that is absent: the first hits of those that are left.
The logistic curve has two numbers of a hit: what its points, or fine points, agree in beyond chance, and how
far it stands out by the joined first stages, in what the best of so many pictures reaches by chance.

- AUROC: how often the first hit of a present query is more probable than the first one of an absent query;
- error: expected calibration error in ten equal steps, over the first hits of both;
- called present: which share of right first hits is, and of those of absent queries (false alarms).

The curve of all sets together but objects and animals is the one in ``camseek.matching.verdict``, and so is
one of points alone, for collections of so few pictures that nothing can stand out, and the probabilities that
few absent queries' hits reach. Nothing of a picture is in them but these numbers. Collections are made in a
folder of ``--work``, and kept there.
"""

import argparse
import math
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from board import TRUTHS
from common import Table, find_data

from camseek import Engine, Plan
from camseek.datasets import read_ground_truth
from camseek.matching.verdict import FALSE_ALARMS, PRESENT, Curve, gain, standing
from camseek.numerics import F64
from camseek.results import MatchEvidence, SearchResult
from camseek.searching import Joined
from camseek.searching.plan import VERIFIED

_FIRST = 5
_NEVER_FITTED = ("objects", "animals")
"""Things photographed on one floor: it verifies, and rightly, and is called wrong by their ground truth."""
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """First hits: (N, 2) numbers of each, whether it shows the thing, and whether its query's thing is there.

    Attributes:
        numbers: What ``gain`` and ``standing`` say of it.
        shows: (N,), 1 or 0.
        first: (N,): 1 for the first hit of a present query, 0 of an absent one, -1 for all others.
    """

    numbers: F64
    shows: F64
    first: F64

    @classmethod
    def of(cls, parts: "Sequence[Samples]") -> "Samples":
        """Several as one."""
        return cls(
            np.concatenate([part.numbers for part in parts]),
            np.concatenate([part.shows for part in parts]),
            np.concatenate([part.first for part in parts]),
        )


@contextmanager
def collection_of(work: Path, database: bytes) -> Generator[Engine]:
    """A collection of a set's pictures, in a folder where it is kept."""
    with Engine.open(work / database.hex()[-40:], create=True) as engine:
        engine.index(os.fsdecode(database))
        yield engine


def sampled(data: Path, name: str, work: Path) -> Samples:
    """The first hits of a set's queries."""
    truth = read_ground_truth(data / TRUTHS[name])
    numbers: list[tuple[float, float]] = []
    shows: list[float] = []
    first: list[float] = []
    with collection_of(work, truth.database) as engine:
        # Not expanded: what is taken out for the absent queries must not have joined them.
        plan = Plan.of(first="joined", verify=VERIFIED)
        for query in truth.queries:
            labels = truth.labels(query)
            image = os.fsdecode(query.image)
            result = engine.search(image, region=query.region, plan=plan, top=60, without_self=True)
            hits = [
                (item, os.path.relpath(result.hits[place].path_bytes, truth.database))
                for place, item in enumerate(_numbers(result))
            ]
            hits = [(item, path) for item, path in hits if path not in labels.ignored]
            absent = [(item, path) for item, path in hits if path not in labels.positives]
            for present, some in ((bool(labels.positives), hits), (False, absent)):
                if present or some is absent:
                    for place, (item, path) in enumerate(some[:_FIRST]):
                        numbers.append(item)
                        shows.append(float(path in labels.positives))
                        first.append(float(present) if place == 0 else -1.0)
    return Samples(np.array(numbers), np.array(shows), np.array(first))


def _numbers(result: SearchResult) -> list[tuple[float, float]]:
    """What the curve knows of each hit that was verified."""
    found: list[tuple[float, float]] = []
    for hit in result.hits:
        match = next((item for item in hit.evidence if isinstance(item, MatchEvidence)), None)
        joined = next((item.score for item in hit.evidence if item.stage == Joined.name), None)
        if match is not None and joined is not None:
            found.append((gain(match.points, match.fine), standing(joined, result.searched)))
    return found


def fitted(samples: Samples) -> Curve:
    """Bias and weights: logistic regression with a small ridge, by Newton's method."""
    rows = np.column_stack([np.ones(len(samples.numbers)), samples.numbers])
    weights = np.zeros(rows.shape[1])
    ridge = _RIDGE * len(rows) * np.diag([0.0, *[1.0] * (rows.shape[1] - 1)])
    for _ in range(100):
        probability = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (samples.shows - probability) - ridge @ weights
        curve = rows.T @ (rows * (probability * (1 - probability))[:, None]) + ridge
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-10:
            break
    return Curve(*weights.tolist())


def judged(samples: Samples, curve: Curve) -> F64:
    """The probability of each sample."""
    return np.array([curve.probability(*numbers) for numbers in samples.numbers.tolist()])


def auroc(present: F64, absent: F64) -> float:
    """How often one of the first is above one of the second; half where they are equal."""
    above = (present[:, None] > absent).mean() + 0.5 * (present[:, None] == absent).mean()
    return float(above)


def calibration_error(probability: F64, shows: F64) -> float:
    """Expected calibration error, ten equal steps."""
    step = np.minimum((probability * 10).astype(int), 9)
    return float(
        sum(
            (step == place).mean() * abs(probability[step == place].mean() - shows[step == place].mean())
            for place in range(10)
            if (step == place).any()
        )
    )


def reached(parts: Sequence[tuple[Samples, F64]], share: float) -> float:
    """The probability, to a thousandth, that no more than a share of absent queries' first hits reached."""
    absent = np.sort(np.concatenate([probability[part.first == 0] for part, probability in parts]))[::-1]
    return math.ceil(float(absent[int(share * len(absent))]) * 1000) / 1000


def main() -> None:
    """Prints the table and the curve."""
    parser = argparse.ArgumentParser(description="How far a verdict can be trusted.")
    parser.add_argument("--work", type=Path, required=True, help="a folder for collections")
    parser.add_argument("--sets", nargs="+", choices=TRUTHS, default=list(TRUTHS))
    options = parser.parse_args()
    data = find_data()
    if data is None:
        raise SystemExit("there are no photographs: set CAMSEEK_TEST_DATA")
    options.work.mkdir(parents=True, exist_ok=True)
    samples = {name: sampled(data, name, options.work) for name in options.sets}
    table = Table(
        "Verdicts on a set that the curve was not fitted on",
        ("set", "queries", "AUROC", "error", "called present, shown", "called present, absent"),
    )
    everything: dict[str, tuple[Samples, F64]] = {}
    fit_on = [name for name in samples if name not in _NEVER_FITTED]
    for name, mine in samples.items():
        curve = fitted(Samples.of([samples[other] for other in fit_on if other != name]))
        everything[name] = mine, judged(mine, curve)
        table.rows.append(_row(name, [everything[name]]))
    left_out = [everything[name] for name in fit_on]
    table.rows.append(_row("all that a curve was fitted on, each left out", left_out))
    print(table.markdown())
    print("FALSE_ALARMS =", tuple((share, reached(left_out, share)) for share, _ in FALSE_ALARMS))
    together = Samples.of([samples[name] for name in fit_on])
    print("JOINED =", fitted(together))
    alone = replace(together, numbers=together.numbers[:, :1])
    print("ALONE =", fitted(alone))


def _row(name: str, parts: Sequence[tuple[Samples, F64]]) -> tuple[str, ...]:
    first = np.concatenate([part.first for part, _ in parts])
    shows = np.concatenate([part.shows for part, _ in parts])
    probability = np.concatenate([item for _, item in parts])
    present, absent, asked = first == 1, first == 0, first >= 0
    right = present & (shows == 1)
    return (
        name,
        str(int(present.sum())),
        f"{auroc(probability[present], probability[absent]):.3f}",
        f"{calibration_error(probability[asked], shows[asked]):.3f}",
        f"{(probability[right] >= PRESENT).mean():.3f}",
        f"{(probability[absent] >= PRESENT).mean():.3f}",
    )


if __name__ == "__main__":
    main()
