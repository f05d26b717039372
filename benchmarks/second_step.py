"""What the second step of verification decides where words cannot: ``python benchmarks/second_step.py``.

XFeat (Potje et al., CVPR 2024) bears no turning, so the query is first turned as the words say: as their
outline is where there is one, else as most correspondences are; and it is always looked at upright. It is
matched at two sizes, the picture at one, as it is stored: 32 numbers of four bits a point. All of it is what
a search does (``camseek.matching.fine``, ``camseek.extraction.fine``), for every pair, decided or not.
"""

import argparse
import os
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from common import Table, find_data
from verification import Query, Seen, SeenPicture, seen_query, some

from camseek.config import DEFAULT_SIZE
from camseek.datasets import TruthQuery, read_ground_truth
from camseek.evaluation import intersection_over_union
from camseek.extraction.fine import FineQuery, stored_fine
from camseek.extraction.points import QUERY_SIZE
from camseek.images import read_picture
from camseek.matching.fine import QUERIED, TURN, FinePoints, embedded_axes, likely_turn, verify_fine
from camseek.matching.geometry import CHANCE, LEAST, Match, verify
from camseek.matching.words import Correspondences, correspondences

_SETS = (
    "paintings/ground_truth_walls.json",
    "covers/ground_truth_photos.json",
    "buildings/ground_truth.json",
    "groceries/ground_truth.json",
)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Of each pair the inliers of both steps; of right ones also the overlaps of both boxes."""

    right: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    wrong: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    overlaps: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


def main() -> None:
    """Measures every set and prints a table."""
    parser = argparse.ArgumentParser(description="Measures XFeat as a second step of verification.")
    parser.add_argument("--queries", type=int, default=20, help="of each set (default: 20)")
    given = parser.parse_args()
    data = find_data()
    if data is None:
        sys.exit("there are no photographs: set CAMSEEK_TEST_DATA")
    heading = (
        "set",
        "right pairs",
        "undecided by words",
        "of them above chance",
        "wrong: 95 %",
        "all",
        "boxes",
        "words at IoU 0.75",
        "second step",
    )
    table = Table("The second step of verification", heading)
    for name in _SETS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        table.rows.append((name, *_row(_tally(data / name, given.queries))))
    table.notes.append(
        f"Undecided: not more than {CHANCE} inliers by words. Above chance: more inliers of the "
        "second step than any wrong pair of the set."
    )
    print(table.markdown())


def _row(tally: _Tally) -> tuple[str, ...]:
    wrong = np.array([second for _, second in tally.wrong])
    left = [second for first, second in tally.right if first <= CHANCE]
    overlaps = np.array(tally.overlaps).reshape(-1, 2)
    shares = [f"{np.mean(one >= 0.75):.0%}" if len(one) else "" for one in overlaps.T]
    return (
        str(len(tally.right)),
        str(len(left)),
        str(sum(second > wrong.max() for second in left)),
        f"{np.percentile(wrong, 95):.0f}",
        str(wrong.max()),
        str(len(overlaps)) if len(overlaps) else "",
        *shares,
    )


def _tally(path: Path, queries: int) -> _Tally:
    truth, seen, tally, rng = read_ground_truth(path), Seen(), _Tally(), np.random.default_rng(0)
    names = sorted(os.listdir(truth.database))

    @cache
    def fine_points(name: bytes) -> FinePoints:
        return _stored(os.path.join(truth.database, name))

    for item in truth.queries[:queries]:
        query, fine = seen_query(item), _fine_query(item)
        positives = sorted(item.positives - {item.own})
        others = [name for name in names if name not in item.positives | item.junk | {item.own}]
        for name in positives[:3] + some(rng, others, 3):
            picture = seen.picture(os.path.join(truth.database, name))
            pairs = correspondences(query.words, picture.words)
            first = verify(query.words, picture.words, pairs, query.outline, picture.size)
            turns = sorted({0, _turn(first, query, picture, pairs)})
            sides = (fine.points(turn, amount) for turn in turns for amount in QUERIED)
            second = verify_fine(sides, fine_points(name), query.outline, picture.size, least=LEAST)
            inliers = (first[0].inliers if first else 0), (second[0].inliers if second else 0)
            (tally.right if name in item.positives else tally.wrong).append(inliers)
            if box := item.boxes.get(name):
                drawn = (matches[0].box if matches else None for matches in (first, second))
                overlaps = [intersection_over_union(one, box) if one else 0.0 for one in drawn]
                tally.overlaps.append((overlaps[0], overlaps[1]))
    return tally


def _turn(first: tuple[Match, ...], query: Query, picture: SeenPicture, pairs: Correspondences) -> int:
    """How the words say that the thing is turned."""
    if first:
        return round(first[0].turn / TURN) * TURN % 360
    return likely_turn(query.words, picture.words, pairs).degrees


def _fine_query(item: TruthQuery) -> FineQuery:
    with open(item.image, "rb") as file:
        picture = read_picture(file, resize=QUERY_SIZE, region=item.region)
    return FineQuery.of(picture, item.region or (0, 0, *picture.size))


def _stored(path: bytes) -> FinePoints:
    with open(path, "rb") as file:
        picture = read_picture(file, resize=DEFAULT_SIZE)
    return embedded_axes().unpack(stored_fine(picture), picture.size)


if __name__ == "__main__":
    main()
