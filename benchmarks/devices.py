"""How far descriptors in half precision are from those in single precision.

What is asked is the network that a GPU is given with --precision float16, computed on the processor.

    python benchmarks/devices.py [FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

from camseek import load_model
from camseek.backbones.devices import new_session
from camseek.backbones.halving import in_float16
from camseek.backbones.library import EMBEDDED
from camseek.backbones.onnx_backbone import Backbone
from camseek.backbones.passes import Passes
from camseek.config import Limits, Settings
from camseek.extraction.describer import Describer
from camseek.extraction.extractor import Extractor

ROOT = Path(__file__).resolve().parents[1]


def halved(model: Backbone) -> Backbone:
    """The same network in half precision, on the processor."""
    names = [model.card.layers[model.layer].output, *([model.card.scores] if model.card.scores else [])]
    session = new_session(in_float16(EMBEDDED / model.card.model.file, names), 1)
    made = model.with_input(model.card.input)
    made._passes = Passes(session, model.card.input.name)  # pyright: ignore[reportPrivateUsage]  # a GPU's
    return made


def descriptors(model: Backbone, paths: list[Path]) -> np.ndarray:
    """One for each picture, of unit norm."""
    describer = Describer(model, Settings(), Limits())
    extractor = Extractor.of(model, Settings().size, Limits())
    found: list[np.ndarray] = []
    for path in paths:
        seen = extractor.extract(path)
        found.append(describer.describe(seen))
    return np.array(found, np.float64)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "examples/groceries/photos")
    paths = sorted(path for path in parser.parse_args().folder.rglob("*") if path.is_file())
    model = load_model(threads=1)
    single, half = descriptors(model, paths), descriptors(halved(model), paths)
    cosines = np.einsum("nd,nd->n", single, half)
    distances = np.linalg.norm(single - half, axis=1)
    scores, others = single @ single.T, half @ single.T
    apart = ~np.eye(len(paths), dtype=bool)
    first = [np.argsort(-np.where(apart, values, -2), axis=1, kind="stable") for values in (scores, others)]
    ten = np.mean([len(set(one[:10]) & set(two[:10])) / 10 for one, two in zip(*first, strict=True)])
    print("| half precision against single, the demo photographs | |\n|---|---:|")
    print(f"| pictures | {len(paths)} |")
    print(f"| 1 - cosine of a picture's two descriptors: mean | {np.mean(1 - cosines):.1e} |")
    print(f"| the largest | {np.max(1 - cosines):.1e} |")
    print(f"| their distance: the largest | {distances.max():.4f} |")
    print(f"| a score between two pictures moves by at most | {np.abs(scores - others)[apart].max():.4f} |")
    print(f"| of the ten nearest pictures, the same | {ten:.3f} |")


if __name__ == "__main__":
    main()
