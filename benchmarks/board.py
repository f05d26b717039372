"""What each stage of a search adds, set by set: descriptors, words, both, cells, verified.

One setting for all sets: the plans that a search has. Mean average precision, trapezoidal.
"""

from common import Options, Report, Table

from camseek import LateInteraction, Nearest, Plan, Settings
from camseek.config import PARTS, parts_without
from camseek.datasets import read_ground_truth
from camseek.extraction.extractor import RegionRules
from camseek.lab.measuring import measure as measure_protocols
from camseek.lab.protocol import Protocol
from camseek.searching import Joined, Verify, Words

TRUTHS = {
    "paintings": "paintings/ground_truth.json",
    "regions": "paintings/ground_truth_regions.json",
    "walls": "paintings/ground_truth_walls.json",
    "covers": "covers/ground_truth.json",
    "covers, the other way": "covers/ground_truth_photos.json",
    "buildings": "buildings/ground_truth.json",
    "groceries": "groceries/ground_truth.json",
    "landmarks": "landmarks/ground_truth.json",
    "objects": "objects/ground_truth.json",
    "animals": "objects/ground_truth_animals.json",
}
PLANS = {
    "descriptors": Plan(Nearest()),
    "words": Plan(Words()),
    "joined": Plan(Joined()),
    "descriptors, verified": Plan(Nearest(), (Verify(100),)),
    "joined, verified": Plan(Joined(), (Verify(100),)),
    "and expanded": Plan.usual(parts_without(["sketch"])),
    "joined, cells": Plan(Joined(), (LateInteraction(),)),
    "everything": Plan.usual(PARTS),
}


def measure(options: Options) -> Report:
    """Measures on the shared sets; nothing where there are none."""
    report = Report()
    if options.data is None:
        return report
    names = ["buildings"] if options.quick else list(TRUTHS)
    protocols = {
        name: Protocol(settings=Settings(), plan=plan, rules=RegionRules(reading="crop"), ap_form="trapezoid")
        for name, plan in PLANS.items()
    }
    table = Table("What each stage adds, mAP (trapezoid)", ("set", "queries", *PLANS))
    for name in names:
        found = measure_protocols(read_ground_truth(options.data / TRUTHS[name]), protocols)
        means = [item.mean_average_precision for item in found.encodings]
        queries = len(found.encodings[0].queries)
        table.rows.append((name, str(queries), *(f"{mean:.3f}" for mean in means)))
    report.tables.append(table)
    return report
