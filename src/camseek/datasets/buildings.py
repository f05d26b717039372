"""Oxford5k and Paris6k: the ground truth of the Oxford group's text files.

For each query ``LANDMARK_N`` there are ``LANDMARK_N_query.txt`` (the picture's name and the four sides of the
box) and ``_good.txt``, ``_ok.txt`` and ``_junk.txt`` (names, one a line, without ending). Oxford's query
files write ``oxc1_`` before the name, no other does. (Philbin et al., CVPR 2007 and 2008.)
"""

import os
import re
from dataclasses import replace
from typing import Literal

from camseek.datasets.faults import Fault, Report
from camseek.datasets.folders import (
    FLICKR,
    PictureFolder,
    distractor_folder,
    picture_folder,
    read_or_report,
    region_of,
)
from camseek.datasets.reading import LONGEST_NAME
from camseek.datasets.truth import GroundTruth, TruthQuery
from camseek.errors import GroundTruthError
from camseek.names import path_text, shown

PARIS_CORRUPT = frozenset(
    f"paris_{name}".encode()
    for name in (
        "louvre_000136",
        "louvre_000146",
        "moulinrouge_000422",
        "museedorsay_001059",
        "notredame_000188",
        "pantheon_000284",
        "pantheon_000960",
        "pantheon_000974",
        "pompidou_000195",
        "pompidou_000196",
        "pompidou_000201",
        "pompidou_000467",
        "pompidou_000640",
        "sacrecoeur_000299",
        "sacrecoeur_000330",
        "sacrecoeur_000353",
        "triomphe_000662",
        "triomphe_000833",
        "triomphe_000863",
        "triomphe_000867",
    )
)
"""The 20 files of Paris6k's archive that are no pictures (its page's ``corrupt.txt``), without ending."""

_KINDS = ("good", "ok", "junk")
_PICTURES = {
    "oxford5k": (b"jpg", b"images", b"oxbuild_images", b"."),
    "paris6k": (b"jpg", b"images", b"paris", b"."),
}
_TRUTH = {
    "oxford5k": (b"gt_files_170407", b"gt_files", b"gt", b"."),
    "paris6k": (b"gt_files_120310", b"paris_120310", b"gt_files", b"gt", b"."),
}
_PREFIX = {"oxford5k": b"oxc1_", "paris6k": b""}
_QUERY = re.compile(rb"(.+)_query\.txt")


def read_buildings(
    name: Literal["oxford5k", "paris6k"], folder: bytes, report: Report, *, distractors: bool = False
) -> GroundTruth:
    """Reads Oxford5k or Paris6k.

    Positives are good and ok. A query's own picture is in the database and listed among them. Of Paris6k the
    20 files that are no pictures are left out of ``files``.

    Args:
        name: Which.
        folder: Its folder, absolute.
        report: Told what is missing.
        distractors: Search the 100,000 pictures of Flickr too.

    Raises:
        GroundTruthError: There are no pictures, no query files or no distractors, or ``report`` raises.
    """
    pictures = picture_folder(folder, _PICTURES[name], report)
    truth = _truth_folder(folder, _TRUTH[name])
    queries: list[TruthQuery] = []
    for file in sorted(os.listdir(truth)):
        if found := _QUERY.fullmatch(file):
            query = _query(os.path.join(truth, found[1]), _PREFIX[name], pictures, report)
            if query is not None:
                queries.append(query)
    known = PARIS_CORRUPT if name == "paris6k" else frozenset[bytes]()
    read = GroundTruth(
        truth,
        pictures.path,
        tuple(queries),
        name=name,
        ap_form="trapezoid",
        files=tuple(sorted(file for stem, file in pictures.names.items() if stem not in known)),
    )
    if not distractors:
        return read
    larger = {"oxford5k": "oxford105k", "paris6k": "paris106k"}[name]
    return replace(read, name=larger, distractors=(distractor_folder(folder, FLICKR),))


def _truth_folder(folder: bytes, candidates: tuple[bytes, ...]) -> bytes:
    for candidate in candidates:
        place = os.path.normpath(os.path.join(folder, candidate))
        if os.path.isdir(place) and any(map(_QUERY.fullmatch, os.listdir(place))):
            return place
    places = ", ".join(path_text(os.path.normpath(os.path.join(folder, item))) for item in candidates)
    raise GroundTruthError(
        f"no ground truth: no file ..._query.txt in any of {places}",
        remedy="unpack the ground truth files there; camseek datasets show NAME tells where they are",
    )


def _query(stem: bytes, prefix: bytes, pictures: PictureFolder, report: Report) -> TruthQuery | None:
    """Reads the four files of one query; None where its own file is of no use."""
    lists: dict[str, frozenset[bytes]] = {}
    seen: dict[bytes, str] = {}
    for kind in _KINDS:
        lists[kind] = frozenset(_names(b"%s_%s.txt" % (stem, kind.encode()), kind, seen, pictures, report))
    path = stem + b"_query.txt"
    content = read_or_report(path, report)
    if content is None:
        return None
    words = content.split()
    if len(words) != 5 or b"\0" in words[0] or max(map(len, words)) > LONGEST_NAME:
        report(Fault(path, "it is not a name and the four sides of a box", "ground_truth", 1))
        return None
    own = pictures.names.get(words[0].removeprefix(prefix))
    if own is None:
        missing = os.path.join(pictures.path, words[0].removeprefix(prefix) + b".jpg")
        report(Fault(missing, f"missing; the query of {path_text(path)}", "missing"))
        return None
    image = os.path.join(pictures.path, own)
    try:
        sides = [float(word) for word in words[1:]]
    except ValueError:
        sides_told = shown(path_text(b" ".join(words[1:])))
        report(Fault(path, f"{sides_told} is not four numbers", "ground_truth", 1))
        return None
    region = region_of(sides, image, path, report, 1)
    name = path_text(os.path.basename(stem))
    return TruthQuery(name, image, region, lists["good"], lists["ok"], lists["junk"], own=own)


def _names(
    path: bytes, kind: str, seen: dict[bytes, str], pictures: PictureFolder, report: Report
) -> list[bytes]:
    """Reads one list; ``seen`` holds what the query's others listed."""
    found: list[bytes] = []
    for number, line in enumerate((read_or_report(path, report) or b"").splitlines(), 1):
        stem = line.strip()
        if not stem:
            continue
        if b"/" in stem or b"\0" in stem or len(stem.split()) > 1 or len(stem) > LONGEST_NAME:
            report(Fault(path, f"{shown(path_text(stem))} is no picture's name", "ground_truth", number))
            continue
        if stem in seen:
            message = f"{path_text(stem)} is in {kind} and in {seen[stem]}"
            report(Fault(path, message, "ground_truth", number))
        elif stem not in pictures.names:
            missing = os.path.join(pictures.path, stem + b".jpg")
            report(Fault(missing, f"missing; it is listed in {path_text(path)}, line {number}", "missing"))
        else:
            found.append(pictures.names[stem])
        seen.setdefault(stem, kind)
    return found
