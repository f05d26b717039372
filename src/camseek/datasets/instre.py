"""INSTRE (Wang and Jiang 2015) with the protocol of Iscen et al. (CVPR 2017 and 2018)."""

import os

from camseek.datasets.faults import Fault, Report
from camseek.datasets.folders import existing, region_of
from camseek.datasets.lists import read_lists
from camseek.datasets.truth import GroundTruth, TruthQuery
from camseek.names import path_text


def read_instre(folder: bytes, report: Report) -> GroundTruth:
    """Reads ``gnd_instre.mat`` (or ``.json``), whose names lead from the folder to the pictures.

    Args:
        folder: The folder that holds ``INSTRE-S1``, ``INSTRE-S2`` and ``INSTRE-M``, absolute.
        report: Told what is missing.

    Raises:
        GroundTruthError: There is no ground truth, or ``report`` raises.
    """
    path = existing(folder, (b"gnd_instre.mat", b"gnd_instre.pkl", b"gnd_instre.json"))
    lists = read_lists(path, ("ok",), report)
    files = [os.path.normpath(os.fsencode(name)) for name in lists.images]
    for name in files:
        if not os.path.isfile(image := os.path.join(folder, name)):
            report(Fault(image, "missing; it is listed in imlist", "missing"))
    queries: list[TruthQuery] = []
    for entry in lists.entries:
        image = os.path.join(folder, os.path.normpath(os.fsencode(entry.name)))
        if not os.path.isfile(image):
            report(Fault(image, f"missing; it is listed in qimlist of {path_text(path)}", "missing"))
            continue
        good = frozenset(files[place] for place in entry.places["ok"])
        queries.append(TruthQuery(entry.name, image, region_of(entry.box, image, path, report), good))
    return GroundTruth(
        path,
        folder,
        tuple(queries),
        name="instre",
        ap_form="trapezoid",
        query_in_database="absent",
        files=tuple(files),
    )
