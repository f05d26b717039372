"""What a learned feature decides that the words leave open: ``python benchmarks/second_step.py XFEAT``.

XFeat (Potje et al., CVPR 2024) bears no turning, so the query is first turned as the words say: as their
outline is where there is one, else as most correspondences are. It is matched at two sizes, the picture at
one, and what matches is verified as the words are, at each of four zooms. No search has it yet: this is what
it would be worth. ``tools/export_xfeat.py`` makes the network.
"""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from common import Table, find_data
from jaxtyping import Float32, Float64, UInt8
from numpy.typing import NDArray
from verification import Query, Seen, SeenPicture, seen_query, some

from camseek.config import Resize
from camseek.datasets import TruthQuery, read_ground_truth
from camseek.evaluation import intersection_over_union
from camseek.images import read_picture
from camseek.matching.geometry import CHANCE, Match, verify
from camseek.matching.words import Correspondences, correspondences
from camseek.results import Size

F32 = NDArray[np.float32]
Pixels = UInt8[NDArray[np.uint8], "height width 3"]
Extract = Callable[[Pixels, int], tuple[F32, F32]]

_CELL, _STRIDE = 8, 32
_CORNER = 0.05  # least probability of a corner
_ALIKE = 0.82
_QUERY_SIDES = ((384, 800), (1024, 1500))
_PICTURE_SIDE = 640, 850
_STEP = 10  # degrees
_ZOOMS = (0.25, 0.5, 1.0, 2.0)
_SETS = (
    "paintings/ground_truth_walls.json",
    "covers/ground_truth_photos.json",
    "buildings/ground_truth.json",
    "groceries/ground_truth.json",
)


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Points that have all one scale and one angle (``geometry.Located``)."""

    points: Float32[F32, "N 2"]
    scales: Float32[F32, " N"]
    angles: Float32[F32, " N"]


@dataclass(frozen=True, slots=True)
class _Tally:
    """Of each pair the inliers of both steps; of right ones also the overlaps of both boxes."""

    right: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    wrong: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    overlaps: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


def main() -> None:
    """Measures every set and prints a table."""
    parser = argparse.ArgumentParser(description="Measures XFeat as a second step of verification.")
    parser.add_argument("network", type=Path, help="xfeat.onnx, as tools/export_xfeat.py writes it")
    parser.add_argument("--queries", type=int, default=20, help="of each set (default: 20)")
    given = parser.parse_args()
    data = find_data()
    if data is None:
        sys.exit("there are no photographs: set CAMSEEK_TEST_DATA")
    extract = _network(given.network)
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
    table = Table("A second step: XFeat, turned as the words say", heading)
    for name in _SETS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        table.rows.append((name, *_row(_tally(data / name, extract, given.queries))))
    table.notes.append(
        f"Undecided: not more than {CHANCE} inliers by words. Above chance: more XFeat inliers than any "
        "wrong pair of the set."
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


def _tally(path: Path, extract: Extract, queries: int) -> _Tally:
    truth, seen, tally, rng = read_ground_truth(path), Seen(), _Tally(), np.random.default_rng(0)
    names = sorted(os.listdir(truth.database))

    @cache
    def picture_points(name: bytes) -> tuple[F32, F32]:
        return _extracted(extract, os.path.join(truth.database, name), *_PICTURE_SIDE)

    for item in truth.queries[:queries]:
        query = seen_query(item)
        turned = cache(partial(_turned_query, extract, item))
        positives = sorted(item.positives - {item.own})
        others = [name for name in names if name not in item.positives | item.junk | {item.own}]
        for name in positives[:3] + some(rng, others, 3):
            picture = seen.picture(os.path.join(truth.database, name))
            pairs = correspondences(query.words, picture.words)
            first = verify(query.words, picture.words, pairs, query.outline, picture.size)
            turn = first[0].turn if first else _likely_turn(query, picture, pairs)
            degrees = round(turn / _STEP) * _STEP % 360
            second = _second(turned(degrees), picture_points(name), query, picture.size, degrees)
            inliers = (first[0].inliers if first else 0), (second.inliers if second else 0)
            (tally.right if name in item.positives else tally.wrong).append(inliers)
            if box := item.boxes.get(name):
                drawn = (match.box if match else None for match in (next(iter(first), None), second))
                overlaps = [intersection_over_union(one, box) if one else 0.0 for one in drawn]
                tally.overlaps.append((overlaps[0], overlaps[1]))
    return tally


def _likely_turn(query: Query, picture: SeenPicture, pairs: Correspondences) -> int:
    """The turn in degrees that most correspondences have, the similar ones above all."""
    turns = picture.words.angles[pairs.picture_index] - query.words.angles[pairs.query_index]
    cells = np.floor(np.rad2deg(turns) / 10).astype(np.int64) % 36
    votes = np.bincount(cells, weights=pairs.similarity**3, minlength=36)
    return 10 * int(np.argmax(votes + 0.5 * (np.roll(votes, 1) + np.roll(votes, -1)))) + 5


def _second(
    turned: list[tuple[F32, F32]], there: tuple[F32, F32], query: Query, size: Size, degrees: int
) -> Match | None:
    """The match with the most inliers, over the query's sizes and the zooms."""
    best: Match | None = None
    for points, descriptors in turned:
        pairs = _mutual(descriptors, there[1])
        one = _Points(points, np.ones(len(points), np.float32), np.zeros(len(points), np.float32))
        for zoom in _ZOOMS:
            count = len(there[0])
            angles = np.full(count, np.deg2rad(degrees), np.float32)
            other = _Points(there[0], np.full(count, zoom, np.float32), angles)
            for match in verify(one, other, pairs, query.outline, size)[:1]:
                if best is None or match.inliers > best.inliers:
                    best = match
    return best


def _mutual(query: F32, picture: F32) -> Correspondences:
    """Points that are each other's nearest, and near."""
    if not len(query) or not len(picture):
        nothing = np.zeros(0, np.int64)
        return Correspondences(nothing, nothing, np.zeros(0, np.float32))
    cosines = query @ picture.T
    there, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    rows = np.flatnonzero(back[there] == np.arange(len(query)))
    rows = rows[cosines[rows, there[rows]] >= _ALIKE]
    return Correspondences(rows, there[rows], np.minimum(cosines[rows, there[rows]], 1).astype(np.float32))


def _turned_query(extract: Extract, item: TruthQuery, degrees: int) -> list[tuple[F32, F32]]:
    """The query's points at each size, in its own pixels, seen when it is turned to the right."""
    found: list[tuple[F32, F32]] = []
    for side, count in _QUERY_SIDES:
        with open(item.image, "rb") as file:
            picture = read_picture(file, resize=Resize.parse(str(side)), region=item.region)
        height, width, _ = picture.pixels.shape
        left, top, right, bottom = item.region or (0, 0, *picture.size)
        forth = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0).astype(np.float64)
        cosine, sine = np.abs(forth[0, :2])
        across, along = (
            int(np.ceil(width * cosine + height * sine)),
            int(np.ceil(width * sine + height * cosine)),
        )
        forth[:, 2] += [(across - width) / 2, (along - height) / 2]
        ground = [float(value) for value in picture.pixels.reshape(-1, 3).mean(axis=0)]
        turned = cv2.warpAffine(picture.pixels, forth, (across, along), borderValue=ground)
        points, descriptors = extract(np.asarray(turned, np.uint8), count)
        back = cv2.invertAffineTransform(forth)
        places = (points @ back[:, :2].T + back[:, 2]) * np.array(
            [(right - left) / width, (bottom - top) / height]
        )
        found.append(((places + np.array([left, top])).astype(np.float32), descriptors))
    return found


def _extracted(extract: Extract, path: bytes, side: int, count: int) -> tuple[F32, F32]:
    with open(path, "rb") as file:
        picture = read_picture(file, resize=Resize.parse(str(side)))
    points, descriptors = extract(picture.pixels, count)
    height, width, _ = picture.pixels.shape
    zoom = np.array([picture.size[0] / width, picture.size[1] / height], np.float32)
    return points * zoom, descriptors


def _network(path: Path) -> Extract:
    """What finds the strongest points of pixels: places (N, 2) in them, and descriptors (N, 64) of norm 1."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.fspath(path), options)

    def extract(pixels: Pixels, count: int) -> tuple[F32, F32]:
        height, width, _ = pixels.shape
        rows, columns = (max(round(side / _STRIDE), 1) * _STRIDE for side in (height, width))
        fitted = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR)
        given = np.asarray(fitted, np.float32).transpose(2, 0, 1)[None]
        maps, corners, reliability = (
            np.asarray(out, np.float32)[0] for out in session.run(None, {"pixels": given})
        )
        maps /= np.maximum(np.linalg.norm(maps, axis=0), np.float32(1e-9))
        y, x, strength = _corners(corners)
        strength *= _sampled(reliability, x, y, cv2.INTER_LINEAR)[:, 0]
        order = np.argsort(-strength, kind="stable")[:count]
        x, y = x[order], y[order]
        found = _sampled(maps, x, y, cv2.INTER_CUBIC)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-9))
        places = np.stack([(x + 0.5) * (width / columns), (y + 0.5) * (height / rows)], axis=1)
        return places.astype(np.float32), found

    return extract


def _corners(
    logits: Float32[F32, "65 h w"],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Float32[F32, " N"]]:
    """Pixels that are more of a corner than all within two of them: rows, columns and probabilities."""
    shares = np.exp(logits - logits.max(axis=0))
    shares /= shares.sum(axis=0)
    _, rows, columns = shares.shape
    cells = shares[:64].reshape(_CELL, _CELL, rows, columns).transpose(2, 0, 3, 1)
    corner = np.ascontiguousarray(cells.reshape(rows * _CELL, columns * _CELL))
    y, x = np.nonzero((corner == cv2.dilate(corner, np.ones((5, 5), np.uint8))) & (corner > _CORNER))
    return y, x, corner[y, x]


def _sampled(
    maps: Float32[F32, "C h w"], x: NDArray[np.int64], y: NDArray[np.int64], how: int
) -> Float32[F32, "N C"]:
    """What maps of an eighth of the size hold at pixels."""
    if not len(x):
        return np.zeros((0, len(maps)), np.float32)
    places: tuple[Float64[NDArray[np.float64], " N"], ...] = (
        (x + 0.5) / _CELL - 0.5,
        (y + 0.5) / _CELL - 0.5,
    )
    across, along = (place.astype(np.float32)[None] for place in places)
    planes = [
        cv2.remap(np.ascontiguousarray(plane), across, along, how, borderMode=cv2.BORDER_REPLICATE)[0]
        for plane in maps
    ]
    return np.stack(planes, axis=1).astype(np.float32)


if __name__ == "__main__":
    main()
