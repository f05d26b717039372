"""Measures every figure: ``python benchmarks/run.py [--only NAME ...] [--quick] [--size]``.

Prints Markdown on standard output and what it is doing on standard error. Nothing is compared with another
machine or another day: both sides of a ratio come from the same run, in turns. A full run takes about half
an hour on two cores and some gigabytes of disk.

The photographs with ground truth are looked for in ``../shared/data`` beside the checkout, or in the folder
that ``CAMSEEK_TEST_DATA`` names; what needs them is left out where there are none.
"""

import argparse
import importlib
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import PIL
from common import Figure, Options, Report, Watch, find_data, summary

from camseek import __version__

SUBJECTS = (
    "encoding",
    "indexing",
    "cluster",
    "ranking",
    "on_milvus",
    "shards",
    "warm",
    "boxes",
    "startup",
    "memory",
    "geometry",
    "quality",
    "attention",
    "candidates",
    "together",
    "queries",
    "service",
    "page",
    "copies",
    "chance",
    "board",
    "verification",
    "words",
)


def main() -> None:
    """Runs the subjects asked for and prints their tables."""
    parser = argparse.ArgumentParser(description="Measures camseek's figures; prints Markdown.")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="few pictures and repeats: nothing to quote")
    parser.add_argument("--size", action="store_true", help="weigh the installation in a quick run, too")
    parser.add_argument("--folder", help="where the temporary folder is made (some gigabytes)")
    given = parser.parse_args()
    figures: list[Figure] = []
    print(_machine())
    for name in given.only:
        print(f"{name} ...", file=sys.stderr, flush=True)
        # A folder for each: what one leaves does not fill the disk for the next.
        with tempfile.TemporaryDirectory(prefix="camseek-benchmark-", dir=given.folder) as folder:
            options = Options(quick=given.quick, size=given.size, folder=Path(folder), data=find_data())
            started = time.perf_counter()
            with Watch() as watch:
                report: Report = importlib.import_module(name).measure(options)
        figures += report.figures
        print(f"\n## {name.capitalize()}\n")
        for table in report.tables:
            print(table.markdown())
        print(f"{time.perf_counter() - started:.0f} s. {watch.told()}", flush=True)
    if figures:
        print("\n## Summary\n")
        print(summary(figures).markdown())


def _machine() -> str:
    """One line on what this is measured with."""
    return (
        f"camseek {__version__}, Python {platform.python_version()}, ONNX Runtime {onnxruntime.__version__}, "
        f"NumPy {np.__version__}, Pillow {PIL.__version__}; {platform.system()}, {platform.machine()}, "
        f"{os.cpu_count()} cores."
    )


if __name__ == "__main__":
    main()
