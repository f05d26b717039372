"""What holds of the paper's findings: paired differences between the cells of ``camseek paper``.

``python benchmarks/findings.py --truth TRUTH --truth TRUTH ... [--layer LAYER] [--work FOLDER] [--grid]``

Takes the cells that ``camseek paper`` keeps in its work folder, measures what is missing, and prints for each
set the difference of two settings in mean average precision with its 95 % interval, paired over queries; in
bold where that leaves out 0. ``--grid`` adds differences that need cells of the figures 4 and 5b.
"""

import argparse
import sys
from pathlib import Path

from camseek.evaluation import paired_bootstrap
from camseek.job import Job
from camseek.lab.paper import choose_networks, own_columns
from camseek.lab.paper.experiments import TABLES, Experiment, TableName, cams, predefined
from camseek.lab.paper.results import Measured
from camseek.lab.paper.runner import Runner
from camseek.lab.paper.work import Work
from camseek.places import work_folder

DIMENSIONS = 512


def row(table: TableName, label: str) -> tuple[str, Experiment]:
    """A row of VGG-16's in a table."""
    [found] = [
        item.experiment
        for item in TABLES[table].rows
        if item.label == label and item.slot == "VGG-16" and item.experiment is not None
    ]
    return label, found


OFFLINE = row("2a", "OfA, 64 CAMs")
CROW_PCA = row("1a", "raw + CroW + PCA")
PAIRS: list[tuple[tuple[str, Experiment], tuple[str, Experiment]]] = [
    (row("1a", "raw + PCA"), row("1a", "raw sum-pooling")),
    (row("1a", "64 CAMs"), row("1a", "64 CAMs, no PCA")),
    (row("1a", "64 CAMs, no PCA"), row("1a", "raw + CroW")),
    (row("1a", "64 CAMs"), row("1a", "raw + PCA")),
    (row("1a", "64 CAMs"), CROW_PCA),
    (row("1b", "8 CAMs"), row("1b", "1 CAM")),
    (row("1b", "64 CAMs"), row("1b", "8 CAMs")),
    (row("2a", "OnA, 64 CAMs"), OFFLINE),
    (row("2a", "SPoC"), OFFLINE),
    (row("2a", "CroW"), OFFLINE),
    (row("2a", "R-MAC"), OFFLINE),
    (row("2a", "R-MAC, samples as the others"), OFFLINE),
    *((row("2b", label), OFFLINE) for label in ("OfA, QE 10", "OfA, R 100", "OfA, R 1000")),
    (row("2b", "OfA, R 1000, QE 5"), OFFLINE),
    (row("2b", "OfA, R 1000, QE 5"), row("2b", "OfA, R 1000")),
]
GRID: list[tuple[tuple[str, Experiment], tuple[str, Experiment]]] = [
    (("OfA, N_pca 16", cams(sample_classes=16)), OFFLINE),
    (("OfA, N_pca 48", cams(sample_classes=48)), OFFLINE),
    (("OfA, N_pca 48", cams(sample_classes=48)), CROW_PCA),
    (("OnA, N_pca 48", cams(sample_classes=48, online=True)), ("OfA, N_pca 48", cams(sample_classes=48))),
    (("OfA, N_pca 48, 64 CAMs", cams(sample_classes=48)), ("8 CAMs", cams(8, sample_classes=48))),
    (("predefined, N_pca 1", predefined(64)), OFFLINE),
    (
        ("predefined, N_pca 48", predefined(64, sample_classes=48)),
        ("predefined, N_pca 1", predefined(64)),
    ),
    (
        ("predefined, N_pca 48", predefined(64, sample_classes=48)),
        ("OfA, N_pca 48", cams(sample_classes=48)),
    ),
]


def difference(one: Measured, two: Measured) -> str:
    """The difference of two cells, with its interval."""
    queries = list(one.average_precisions)
    values, against = ([item.average_precisions[query] for query in queries] for item in (one, two))
    low, high = paired_bootstrap(values, against)
    text = f"{one.mean - two.mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


def main() -> None:
    """Prints a table for each layer."""
    parser = argparse.ArgumentParser(description="Prints what holds of the paper's findings, in Markdown.")
    parser.add_argument("--truth", action="append", required=True)
    parser.add_argument("--layer", action="append", default=[])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--grid", action="store_true")
    given = parser.parse_args()
    columns = own_columns(given.truth)
    pairs = [*PAIRS, *(GRID if given.grid else [])]
    wanted = [experiment for pair in pairs for _, experiment in pair]

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    runner = Runner(columns, Work(given.work or work_folder()), DIMENSIONS, Job(), tell)
    for network in choose_networks(layers=given.layer):
        if not network.there or network.slot is not None:
            continue
        opened = runner.open(network)
        found = [opened.cells(column, wanted) for column in columns]
        print(f"\n{network.title}\n")
        print(f"| | less | {' | '.join(column.title for column in columns)} |")
        print(f"| --- | --- | {' | '.join('---:' for _ in columns)} |")
        for (name, one), (other, two) in pairs:
            cells = [
                difference(cell[one], cell[two]) if one in cell and two in cell else "-" for cell in found
            ]
            print(f"| {name} | {other} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
