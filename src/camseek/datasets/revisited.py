"""The revisited Oxford and Paris (Radenović et al., CVPR 2018), with or without their million distractors."""

import os
from dataclasses import replace
from typing import Literal

from camseek.datasets.faults import Fault, Report
from camseek.datasets.folders import (
    MILLION,
    PictureFolder,
    distractor_folder,
    existing,
    picture_folder,
    region_of,
)
from camseek.datasets.lists import Entry, read_lists
from camseek.datasets.truth import SETUPS, GroundTruth, TruthQuery
from camseek.names import path_text

_PICTURES = {
    "roxford5k": (b"jpg", b"images", b"oxbuild_images", b"."),
    "rparis6k": (b"jpg", b"images", b"paris", b"."),
}


def read_revisited(
    name: Literal["roxford5k", "rparis6k"], folder: bytes, report: Report, *, distractors: bool = False
) -> GroundTruth:
    """Reads ROxford5k or RParis6k: ``gnd_NAME.pkl``, ``.mat`` or ``.json``, and the pictures.

    A query's easy pictures are its ``good`` ones, its hard ones ``ok``. The database is what the file lists:
    the queries' own pictures are not in it.

    Args:
        name: Which.
        folder: Its folder, absolute.
        report: Told what is missing.
        distractors: Search R1M too.

    Raises:
        GroundTruthError: There are no pictures, no ground truth or no distractors, or ``report`` raises.
    """
    forms = tuple(f"gnd_{name}.{form}".encode() for form in ("pkl", "mat", "json"))
    path = existing(folder, (*forms, *(b"../" + form for form in forms)))
    lists = read_lists(path, ("easy", "hard", "junk"), report)
    pictures = picture_folder(folder, _PICTURES[name], report)
    # A picture that is missing keeps its name: it is never retrieved.
    files = [_file(image, pictures, report, "imlist") for image in lists.images]
    queries = [_query(entry, path, files, pictures, report) for entry in lists.entries]
    read = GroundTruth(
        path,
        pictures.path,
        tuple(query for query in queries if query is not None),
        name=name,
        ap_form="trapezoid",
        query_in_database="absent",
        setups=SETUPS,
        files=tuple(files),
    )
    if not distractors:
        return read
    place = distractor_folder(folder, MILLION)
    inner = os.path.join(place, b"jpg")
    return replace(read, name=f"{name}+r1m", distractors=(inner if os.path.isdir(inner) else place,))


def _file(image: str, pictures: PictureFolder, report: Report, key: str) -> bytes:
    """A picture's name in the folder; of one that is missing the name it should have."""
    stem = os.path.basename(os.fsencode(image))
    stem = stem.removesuffix(b".jpg")
    if (found := pictures.names.get(stem)) is not None:
        return found
    report(Fault(os.path.join(pictures.path, stem + b".jpg"), f"missing; it is listed in {key}", "missing"))
    return stem + b".jpg"


def _query(
    entry: Entry, path: bytes, files: list[bytes], pictures: PictureFolder, report: Report
) -> TruthQuery | None:
    stem = os.path.basename(os.fsencode(entry.name)).removesuffix(b".jpg")
    name = _file(entry.name, pictures, report, f"qimlist of {path_text(path)}")
    if stem not in pictures.names:
        return None
    image = os.path.join(pictures.path, name)
    good, ok, junk = (
        frozenset(files[place] for place in entry.places[key]) for key in ("easy", "hard", "junk")
    )
    return TruthQuery(entry.name, image, region_of(entry.box, image, path, report), good, ok, junk)
