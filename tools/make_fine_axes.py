"""Makes the axes of fine points that ship, from photographs whose licence allows it.

Run it from the root of the checkout, with the Grocery Store Dataset's photographs (MIT) beside it::

    python tools/make_fine_axes.py ../shared/data/groceries

It writes ``src/camseek/matching/data/fine.bin``; the photographs' licence lies there already, as
``tools/make_codebook.py`` puts it. On nothing else may be fitted what ships. The same photographs give the
same axes, but for the last bits of another machine's sums.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from camseek.config import DEFAULT_SIZE
from camseek.extraction.fine import fine_points, grey_of
from camseek.images import read_picture
from camseek.matching.features import shrunk
from camseek.matching.fine import INDEXED, FineAxes, fit_axes
from camseek.numerics import F32

TARGET = Path(__file__).resolve().parent.parent / "src/camseek/matching/data/fine.bin"


def descriptors_of(folder: Path) -> F32:
    """The descriptors of all JPEGs of a folder, picture by picture in the order of their names."""
    found: list[F32] = []
    for path in sorted(folder.rglob("*.jpg"), key=lambda path: path.relative_to(folder).as_posix()):
        with open(path, "rb") as file:
            picture = read_picture(file, resize=DEFAULT_SIZE)
        found.append(fine_points(grey_of(shrunk(picture.pixels, INDEXED.side)), INDEXED.count)[1])
    if not found:
        sys.exit(f"there is no JPEG in {folder}")
    return np.concatenate(found)


def make(folder: Path, target: Path) -> FineAxes:
    """Fits axes on a folder of photographs and writes them."""
    axes = fit_axes(descriptors_of(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(axes.to_bytes())
    return axes


def main() -> None:
    """Makes them."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument(
        "photographs", type=Path, help="the folder of the Grocery Store Dataset's photographs"
    )
    parser.add_argument("--to", type=Path, default=TARGET, help="where to write (%(default)s)")
    given = parser.parse_args()
    print(make(given.photographs, given.to).checksum)


if __name__ == "__main__":
    main()
