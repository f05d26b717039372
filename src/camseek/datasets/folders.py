"""Where a data set's pictures and lists lie in its folder."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from camseek.config import Resize
from camseek.datasets.faults import Fault, Report
from camseek.errors import GroundTruthError, PictureError
from camseek.files import read_regular, reason_of
from camseek.images import open_file, read_picture
from camseek.names import path_text
from camseek.results import Box, Size

FLICKR = (b"oxc1_100k", b"flickr100k")
"""Where the distractors of Oxford105k and Paris106k may lie."""

MILLION = (b"revisitop1m", b"r1m")
"""Where the million distractors of the revisited sets may lie."""

SHOW = "camseek datasets show NAME tells how the folder must look"
"""What to do where a folder looks otherwise."""

# Oxford's longest list has less than ten thousand.
_LONGEST_LIST = 1_000_000
_SUFFIXES = (b".jpg", b".jpeg", b".png")
# The size of a picture comes from decoding it: this small, which costs least.
_TINY = Resize("longer", 16, 16)


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The pictures of a folder and the folders beneath it.

    Attributes:
        path: The folder, absolute.
        names: A picture's name without folder and ending, and its name relative to ``path``.
    """

    path: bytes
    names: Mapping[bytes, bytes]


def picture_folder(root: bytes, candidates: Sequence[bytes], report: Report) -> PictureFolder:
    """The first of some folders that has pictures, and those.

    Args:
        root: The data set's folder, absolute.
        candidates: Names of folders in it, ``.`` for itself; folders of distractors are left out of that.
        report: Told of names that stand twice: the first is taken.

    Raises:
        GroundTruthError: None has.
    """
    for candidate in candidates:
        path = os.path.normpath(os.path.join(root, candidate))
        if found := pictures_beneath(path):
            names: dict[bytes, bytes] = {}
            for name in found:
                stem = os.path.splitext(os.path.basename(name))[0]
                if (other := names.setdefault(stem, name)) != name:
                    message = f"{path_text(os.path.join(path, other))} has the same name"
                    report(Fault(os.path.join(path, name), message, "twice"))
            return PictureFolder(path, names)
    places = ", ".join(path_text(os.path.normpath(os.path.join(root, item))) for item in candidates)
    raise GroundTruthError(f"no pictures in any of: {places}", remedy=SHOW)


def pictures_beneath(folder: bytes) -> list[bytes]:
    """Names of the pictures in a folder and those beneath it, by their ending, relative to it, sorted."""
    found: list[bytes] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in FLICKR + MILLION and name[:1] != b"."]
        found += [
            os.path.relpath(os.path.join(place, name), folder)
            for name in files
            if name.lower().endswith(_SUFFIXES) and name[:1] != b"."
        ]
    return sorted(found)


def distractor_folder(root: bytes, names: Sequence[bytes]) -> bytes:
    """The folder of distractors, in a data set's folder or beside it.

    Raises:
        GroundTruthError: There is none.
    """
    places = [os.path.join(place, name) for place in (root, os.path.dirname(root)) for name in names]
    for place in places:
        if os.path.isdir(place):
            return place
    told = ", ".join(map(path_text, places))
    raise GroundTruthError(f"no folder of distractors: none of {told}", remedy=SHOW)


def existing(root: bytes, candidates: Sequence[bytes]) -> bytes:
    """The first of some files that is there.

    Raises:
        GroundTruthError: None is.
    """
    for candidate in candidates:
        if os.path.lexists(path := os.path.join(root, candidate)):  # reading it says what is wrong with it
            return path
    places = ", ".join(path_text(os.path.join(root, item)) for item in candidates)
    raise GroundTruthError(f"no ground truth: none of {places}", remedy=SHOW)


def read_or_report(path: bytes, report: Report) -> bytes | None:
    """A file's content, or None where it cannot be read, which is reported."""
    try:
        return read_regular(path, _LONGEST_LIST)
    except FileNotFoundError:
        report(Fault(path, "missing", "missing"))
    except OSError as error:
        report(Fault(path, f"it cannot be read: {reason_of(error)}", "damaged"))
    return None


def picture_size(path: bytes) -> Size:
    """Width and height of a picture, upright.

    Raises:
        PictureError: It cannot be read.
    """
    with open_file(path) as file:
        return read_picture(file, resize=_TINY).size


def whole_pixels(sides: Sequence[float], image: bytes) -> Box:
    """A box of whole pixels that holds one given in fractions, clipped to its picture.

    The left and upper side are rounded down, the right and lower up: nothing of what was marked is lost. The
    official files do not say how to round.

    Args:
        sides: x1, y1, x2, y2.
        image: The picture, absolute.

    Raises:
        ValueError: The sides are no box, or none of it lies in the picture.
        PictureError: The picture cannot be read.
    """
    if len(sides) != 4 or not all(math.isfinite(side) for side in sides):
        raise ValueError(f"a box is four numbers, x1 y1 x2 y2, not {' '.join(map(str, sides))}")
    width, height = picture_size(image)
    x1, y1 = max(math.floor(sides[0]), 0), max(math.floor(sides[1]), 0)
    x2, y2 = min(math.ceil(sides[2]), width), min(math.ceil(sides[3]), height)
    if x1 >= x2 or y1 >= y2:
        raise ValueError(
            f"the box {' '.join(f'{side:g}' for side in sides)} is empty, reversed or outside the picture, "
            f"which is {width} x {height} pixels"
        )
    return x1, y1, x2, y2


def region_of(
    sides: Sequence[float], image: bytes, where: bytes, report: Report, line: int | None = None
) -> Box | None:
    """``whole_pixels``, or None where it cannot be, which is reported."""
    try:
        return whole_pixels(sides, image)
    except ValueError as error:
        report(Fault(where, str(error), "ground_truth", line))
    except PictureError as error:
        report(Fault(image, error.message, "missing" if not os.path.exists(image) else "damaged"))
    return None
