"""What encoding adds to the network pass.

Compared: one pass of the network on a photograph of 640 x 480 pixels, and the same pass followed by the
encoding of what it gave, measured in one go, photograph by photograph: (pass + encoding) / pass. BLAS has
one thread, as in the pipeline; the network has one (as in the pipeline) or two (as for a query).
"""

import statistics
import time

import numpy as np
from common import CHECKOUT, Figure, Options, Report, Table, pictures_in, spread
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from camseek import Encoding, Whitening, load_model
from camseek.backbones import Backbone
from camseek.encoding.encoder import Encoder

_NAMES = ("cam", "sum", "spoc", "ucrow", "crow", "gem", "gem:prior=centre", "cam:maps=minmax", "cam:power=3")
_WHITENED = "cam, whitened 1280 to 512"


def measure(options: Options) -> Report:
    """Measures every encoding."""
    pictures = _pictures()[: options.pick(30, 5)]
    model = load_model(threads=1)
    report = Report()
    with threadpool_limits(1, user_api="blas"):
        for threads in (1, 2):
            ratios = _ratios(model.with_threads(threads), pictures, options.pick(4, 1))
            plural = "" if threads == 1 else "s"
            table = Table(
                f"Encoding beside the network pass, {threads} thread{plural}",
                ("encoding", "added, median", "middle half"),
            )
            for name, values in ratios.items():
                added = [100 * (value - 1) for value in values]
                table.rows.append((name, f"{statistics.median(added):.1f} %", f"{spread(added, '{:.1f}')} %"))
            report.tables.append(table)
            for name, limit in (("cam", 1.07), (_WHITENED, 1.12)):
                label = f"pass and encoding ({name}, 64 classes) over the pass, {threads} thread{plural}"
                report.figures.append(Figure(label, statistics.median(ratios[name]), limit, "{:.3f}"))
    return report


def _pictures() -> list[NDArray[np.uint8]]:
    paths = pictures_in(CHECKOUT / "examples" / "groceries")
    return [np.asarray(Image.open(path).convert("RGB").resize((640, 480))) for path in paths]


def _ratios(model: Backbone, pictures: list[NDArray[np.uint8]], rounds: int) -> dict[str, list[float]]:
    encoders = _encoders(model)
    ratios: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(rounds):
        for pixels in pictures:
            for name, encoder in encoders.items():
                started = time.perf_counter()
                activations = model.run(pixels)
                between = time.perf_counter()
                encoder.describe(activations)
                ratios[name].append((time.perf_counter() - started) / (between - started))
    return ratios


def _encoders(model: Backbone) -> dict[str, Encoder]:
    def made(name: str, whitening: Whitening | None = None) -> Encoder:
        return Encoder(Encoding.parse(name), model.classifier_weights, model.classifier_bias, whitening)

    # Any matrix of the right size takes as long as a fitted one.
    projection = np.random.default_rng(0).standard_normal((model.channels, 512), np.float32)
    whitening = Whitening(np.zeros(model.channels, np.float32), projection)
    return {name: made(name) for name in _NAMES} | {_WHITENED: made("cam", whitening)}
