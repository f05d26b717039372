"""Makes the codebook of visual words that ships, from photographs whose licence allows it.

Run it from the root of the checkout, with the Grocery Store Dataset's photographs (MIT) beside it::

    python tools/make_codebook.py ../shared/data/groceries

It writes ``src/camseek/matching/data/codebook.bin`` and the licence of the photographs beside it. On nothing
else may be fitted what ships. The same photographs give the same codebook, but for the last bits of another
machine's sums.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from camseek.config import DEFAULT_SIZE
from camseek.images import read_picture
from camseek.matching.codebook import Codebook, fit_codebook
from camseek.matching.features import INDEXED, extract_features, shrunk
from camseek.numerics import F32

FOLDER = Path(__file__).resolve().parent.parent / "src/camseek/matching/data"
LICENCE = "LICENSE"
WORDS = 4096
DESCRIPTORS = 300_000


def descriptors_of(folder: Path, most: int = DESCRIPTORS) -> F32:
    """The descriptors of all JPEGs of a folder, picture by picture in the order of their names.

    Args:
        folder: Looked through with all that lies in it.
        most: Where there are more descriptors, so many of them, evenly spread.
    """
    found: list[F32] = []
    for path in sorted(folder.rglob("*.jpg"), key=lambda path: path.relative_to(folder).as_posix()):
        with open(path, "rb") as file:
            picture = read_picture(file, resize=DEFAULT_SIZE)
        pixels = shrunk(picture.pixels, INDEXED.side)
        found.append(extract_features(pixels, picture.size, INDEXED.count).descriptors)
    if not found:
        sys.exit(f"there is no JPEG in {folder}")
    together = np.concatenate(found)
    if len(together) <= most:
        return together
    return together[np.linspace(0, len(together) - 1, most).round().astype(np.int64)]


def make(folder: Path, target: Path, words: int = WORDS) -> Codebook:
    """Fits a codebook on a folder of photographs and writes it, with their licence."""
    codebook = fit_codebook(descriptors_of(folder), words=words)
    target.mkdir(parents=True, exist_ok=True)
    (target / "codebook.bin").write_bytes(codebook.to_bytes())
    (target / LICENCE).write_text((folder / LICENCE).read_text("utf-8"), "utf-8")
    return codebook


def main() -> None:
    """Makes it."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument(
        "photographs", type=Path, help="the folder of the Grocery Store Dataset's photographs"
    )
    parser.add_argument("--to", type=Path, default=FOLDER, help="where to write (%(default)s)")
    given = parser.parse_args()
    print(make(given.photographs, given.to).checksum)


if __name__ == "__main__":
    main()
