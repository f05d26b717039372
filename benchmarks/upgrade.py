"""What an upgrade takes of the disk, and how long its last step is, without any network's passes.

    python benchmarks/upgrade.py [--pictures 20000]

Pictures are made up: a descriptor of 1,280 numbers and a sketch of 2,300 bytes each, about what the default
settings give (without points, which an upgrade leaves alone).
"""

import argparse
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from camseek.config import Settings
from camseek.store import (
    SKETCH_TRACE,
    FolderCollection,
    PictureRecord,
    Profile,
    Refit,
    Signature,
)

DIMENSIONS, SKETCH = 1280, 2300
PROFILE = Profile(
    model="one", model_checksum="aa" * 32, settings=Settings(), dimensions=DIMENSIONS, keeps=("sketch",)
)
OTHER = Refit(
    asked="benchmark", profile=replace(PROFILE, model="two", model_checksum="bb" * 32), kinds=(SKETCH_TRACE,)
)


class Peak:
    """The most bytes that a folder's files have while the block runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bytes = folder, 0
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.bytes = max(self.bytes, size_of(self.folder))

    def __enter__(self) -> "Peak":
        self._watcher.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._watcher.join()


def size_of(folder: Path) -> int:
    """The bytes of a folder's files."""
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    count = parser.parse_args().pictures
    random = np.random.default_rng(0)

    def unit() -> np.ndarray:
        vector = random.standard_normal(DIMENSIONS).astype(np.float32)
        return vector / np.linalg.norm(vector)

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "c"
        with (
            FolderCollection.create(folder, PROFILE) as collection,
            collection.write("benchmark") as writer,
        ):
            root = writer.root(b"/r")
            for number in range(count):
                picture = PictureRecord(
                    content=number.to_bytes(32, "big"),
                    size=(640, 480),
                    format="JPEG",
                    frames=1,
                    descriptor=unit(),
                    traces={SKETCH_TRACE: random.bytes(SKETCH)},
                )
                writer.point(b"/r/%d" % number, writer.insert(picture), Signature(1, 2, 3), root)
            writer.compact()
        told = {"before": size_of(folder)}
        with FolderCollection(folder) as collection:
            with collection.write("benchmark") as writer:
                writer.refitter.begin(OTHER)
                for record in writer.refitter.pending():
                    writer.refitter.put(record, unit(), {SKETCH_TRACE: random.bytes(SKETCH)})
                    if record % 500 == 0:
                        writer.commit()
            told["all is made"] = size_of(folder)
            seconds: dict[str, float] = {}
            for name in ("switch", "undo"):
                started = time.perf_counter()
                with Peak(folder) as peak, collection.write("benchmark") as writer:
                    writer.refitter.finish(keep=True)
                seconds[name] = time.perf_counter() - started
                told[f"{name}: at most"] = peak.bytes
            with collection.write("benchmark") as writer:
                writer.refitter.discard()
                writer.compact()
        told["forgotten"] = size_of(folder)
    print("| moment | bytes a picture |\n|---|---:|")
    for name, size in told.items():
        print(f"| {name} | {size / count:,.0f} |")
    for name, took in seconds.items():
        print(f"| {name}: seconds for a million pictures | {took / count * 1e6:,.0f} |")


if __name__ == "__main__":
    main()
