"""Where answers become noise: mean average precision of queries scaled down to a smaller side of few pixels.

``python benchmarks/least_sizes.py TRUTH [TRUTH ...]``

Prints the table of docs/pictures.md, from which ``camseek.config.LEAST_SIDE`` comes. Queries are pictures, or
the pixels of regions, scaled by Pillow's Lanczos filter; the database is as it is, the encoding the default.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from camseek import load_model
from camseek.config import Limits, Settings
from camseek.datasets import TruthQuery, open_truth
from camseek.evaluation import average_precision
from camseek.extraction.describer import Describer
from camseek.numerics import F32

SIDES = (192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 4)


def pixels(query: TruthQuery, side: int) -> np.ndarray:
    """A query's pixels with a smaller side of so many."""
    with Image.open(bytes(query.image).decode()) as file:
        image = file.convert("RGB")
    image = image.crop(query.region) if query.region else image
    scale = side / min(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def measured(describer: Describer, path: Path) -> list[float]:
    """Mean average precision at every side, and by chance."""
    truth = open_truth(str(path))
    database = Path(truth.database.decode())
    names = sorted(item.name.encode() for item in database.iterdir() if item.suffix.lower() == ".jpg")
    seen = (describer.extractor.extract(str(database / name.decode())) for name in names)
    descriptors = np.stack([describer.describe(item) for item in seen])
    queries = [query for query in truth.queries if query.positives]

    def precision(query: TruthQuery, scores: F32) -> float:
        order: list[int] = np.argsort(-scores, kind="stable").tolist()
        ranking = [names[at] for at in order if names[at] != query.own]
        return average_precision(ranking, query.positives, query.junk)

    means: list[float] = []
    for side in SIDES:
        found: list[float] = []
        for query in queries:
            activations = describer.model.run(pixels(query, side))
            found.append(precision(query, descriptors @ describer.encoder.describe(activations)[0]))
        means.append(float(np.mean(found)))
    draws = np.random.default_rng(0).random((20, len(names)), np.float32)
    means.append(float(np.mean([precision(query, scores) for query in queries for scores in draws])))
    return means


def main() -> None:
    """Measures, and prints a table."""
    describer = Describer(load_model(threads=2), Settings(), Limits())
    print("| smaller side |", " | ".join(map(str, SIDES)), "| chance |")
    print("|---" * (len(SIDES) + 2) + "|")
    for text in sys.argv[1:]:
        means = measured(describer, Path(text))
        print(f"| {Path(text).parent.name} |", " | ".join(f"{mean:.3f}" for mean in means), "|", flush=True)


if __name__ == "__main__":
    main()
