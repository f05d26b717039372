"""Open a ground truth by what a user calls it."""

import os

from camseek.arguments import meant
from camseek.datasets.buildings import read_buildings
from camseek.datasets.faults import Report, refuse
from camseek.datasets.groups import read_holidays, read_ukbench
from camseek.datasets.instre import read_instre
from camseek.datasets.json_truth import read_ground_truth
from camseek.datasets.registry import Dataset, dataset, known_datasets
from camseek.datasets.revisited import read_revisited
from camseek.datasets.truth import GroundTruth
from camseek.errors import GroundTruthError
from camseek.names import absolute, path_text


def read_dataset(
    name: str, folder: str | bytes | os.PathLike[str], *, report: Report = refuse
) -> GroundTruth:
    """Reads a public data set's ground truth.

    Args:
        name: One of ``known_datasets``: ``oxford5k``, ``roxford5k+r1m``, ...
        folder: Where it lies; ``dataset(name).tree`` shows how it must look.
        report: Told each fault. By default the first is raised.

    Raises:
        GroundTruthError: There is no such data set or folder, its ground truth cannot be found, or a fault;
            the message names the file and, of a text file, the line.
    """
    wanted = dataset(name)
    place = absolute(folder)
    if not os.path.isdir(place):
        raise GroundTruthError(
            f"there is no folder {path_text(place)}", remedy=f"camseek datasets show {wanted.name} helps"
        )
    try:
        truth = _read(wanted, place, report)
    except OSError as error:
        raise GroundTruthError(
            f"{path_text(place)} cannot be read: {error.strerror}",
            remedy="check its permissions and its disk",
        ) from error
    if not truth.queries:
        raise GroundTruthError(
            f"{path_text(truth.path)}: there is no query", remedy=f"camseek datasets show {wanted.name} helps"
        )
    return truth


def _read(wanted: Dataset, place: bytes, report: Report) -> GroundTruth:
    larger = wanted.distractors > 0
    match wanted.family:
        case "oxford5k" | "paris6k" as family:
            return read_buildings(family, place, report, distractors=larger)
        case "roxford5k" | "rparis6k" as family:
            return read_revisited(family, place, report, distractors=larger)
        case "holidays":
            return read_holidays(place, report)
        case "ukbench":
            return read_ukbench(place, report)
        case "instre":
            return read_instre(place, report)


def open_truth(text: str) -> GroundTruth:
    """Reads what a user named: ``NAME=FOLDER`` for a public data set, or a ground-truth file in JSON.

    Args:
        text: A file that is there is always read as a file.

    Raises:
        GroundTruthError: It can be neither, or has a fault.
    """
    name, equals, folder = text.partition("=")
    if not equals or os.path.exists(text):
        return read_ground_truth(text)
    if name.strip().lower() not in known_datasets():
        raise GroundTruthError(
            f"there is no file {text}, and no data set {name!r}{meant(name, known_datasets())}",
            remedy=f"name a ground-truth file, or NAME=FOLDER with one of {', '.join(known_datasets())}",
        )
    if not folder:
        raise GroundTruthError(
            f"{text} names no folder", remedy=f"write {name}=FOLDER, the folder where it lies"
        )
    return read_dataset(name, folder)
