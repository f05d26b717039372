"""Fits the axes of the sketch of the embedded model, on pictures that may be built upon.

    python tools/fit_sketch.py ../shared/data/groceries

takes the shop photographs of the Grocery Store Dataset (MIT licence) and writes ``sketch.bin`` and
``LICENSE-groceries`` beside the embedded model, the same bytes each time on one machine, and adds both to its
card. Nothing is learned from the pictures but means and mean products of the last maps' channels.

For another model the same numbers can be fitted on a user's own pictures: a ``Sketcher`` is a value.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from camseek.backbones import load_model
from camseek.config import DEFAULT_SIZE, Limits
from camseek.encoding.sketch import Sketcher, fit_axes, kept_of
from camseek.extraction.extractor import Extractor

FOLDER = Path(__file__).resolve().parent.parent / "src/camseek/backbones/data/efficientnet_lite0"
DIMENSIONS = 128


def main() -> None:
    """Fits and writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="the folder of the Grocery Store Dataset, with its licence")
    data: Path = parser.parse_args().data
    # One thread: sums are made in one order, so the same bytes come every time.
    extractor = Extractor.of(load_model(FOLDER, threads=1), DEFAULT_SIZE, Limits())
    cells: list[np.ndarray] = []
    for path in sorted((data / "photos").glob("*.jpg")):
        maps = extractor.extract(str(path)).activations.features[0]
        flat = maps.reshape(len(maps), -1).T
        # Those that a sketch keeps.
        norms = np.linalg.norm(flat, axis=1)
        cells.append(flat[np.argsort(-norms, kind="stable")[: kept_of(len(flat))]])
    sketcher = Sketcher(fit_axes(np.concatenate(cells), dimensions=DIMENSIONS))
    content = sketcher.fitted.to_bytes()
    (FOLDER / "sketch.bin").write_bytes(content)
    shutil.copyfile(data / "LICENSE", FOLDER / "LICENSE-groceries")
    card = FOLDER / "card.json"
    told = json.loads(card.read_text())
    told["sketch"] = {"file": "sketch.bin", "sha256": hashlib.sha256(content).hexdigest(), "layer": "head"}
    card.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    print(f"{sum(map(len, cells))} cells of {len(cells)} pictures; sketch.bin: {told['sketch']['sha256']}")


if __name__ == "__main__":
    main()
