"""Holidays and UKBench: pictures whose numbers tell what they show."""

import os
import re
from collections import defaultdict

from camseek.datasets.faults import Fault, Report
from camseek.datasets.folders import picture_folder
from camseek.datasets.truth import GroundTruth, TruthQuery

_HOLIDAYS = re.compile(rb"(\d{4})(\d\d)")
_UKBENCH = re.compile(rb"ukbench(\d{5})")
_FOUR = 4


def read_holidays(folder: bytes, report: Report) -> GroundTruth:
    """Reads Holidays: of each hundred numbers the first picture is a query, the others its positives.

    The query's own picture is in the database and taken out of its ranking (Jégou et al., ECCV 2008).

    Args:
        folder: Its folder, absolute.
        report: Told what is missing.

    Raises:
        GroundTruthError: There are no pictures, or ``report`` raises.
    """
    pictures = picture_folder(folder, (b"jpg", b"images", b"."), report)
    groups: defaultdict[bytes, dict[bytes, bytes]] = defaultdict(dict)
    for stem, name in pictures.names.items():
        if found := _HOLIDAYS.fullmatch(stem):
            groups[found[1]][found[2]] = name
    queries: list[TruthQuery] = []
    for group, names in sorted(groups.items()):
        own = names.pop(b"00", None)
        if own is None or not names:
            stem = group + (b"00" if own is None else b"01")
            what = "missing; it is the group's query" if own is None else "missing; the query has no other"
            report(Fault(os.path.join(pictures.path, stem + b".jpg"), what, "missing"))
        if own is not None:
            image = os.path.join(pictures.path, own)
            good = frozenset(names.values())
            queries.append(TruthQuery((group + b"00").decode(), image, None, good, own=own))
    files = sorted(name for stem, name in pictures.names.items() if _HOLIDAYS.fullmatch(stem))
    return GroundTruth(
        pictures.path,
        pictures.path,
        tuple(queries),
        name="holidays",
        query_in_database="removed",
        files=tuple(files),
    )


def read_ukbench(folder: bytes, report: Report) -> GroundTruth:
    """Reads UKBench: four pictures in a row show one thing, and each is a query.

    The query is in the database and one of its own positives (Nistér and Stewénius, CVPR 2006).

    Args:
        folder: Its folder, absolute.
        report: Told what is missing.

    Raises:
        GroundTruthError: There are no pictures, or ``report`` raises.
    """
    pictures = picture_folder(folder, (b"full", b"jpg", b"images", b"."), report)
    numbers = {
        int(found[1]): name
        for stem, name in pictures.names.items()
        if (found := _UKBENCH.fullmatch(stem)) is not None
    }
    for number in range(max(numbers, default=-1) // _FOUR * _FOUR + _FOUR):
        if number not in numbers:
            name = b"ukbench%05d.jpg" % number
            report(
                Fault(os.path.join(pictures.path, name), "missing; its group of four has a gap", "missing")
            )
    groups: defaultdict[int, set[bytes]] = defaultdict(set)
    for number, name in numbers.items():
        groups[number // _FOUR].add(name)
    queries = [
        TruthQuery(
            f"ukbench{number:05}",
            os.path.join(pictures.path, name),
            None,
            frozenset(groups[number // _FOUR]),
            own=name,
        )
        for number, name in sorted(numbers.items())
    ]
    files = tuple(name for _, name in sorted(numbers.items()))
    return GroundTruth(pictures.path, pictures.path, tuple(queries), name="ukbench", n_s=True, files=files)
