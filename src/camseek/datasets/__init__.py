"""Ground truth: which pictures of a folder show the same thing as a query, and the public data sets."""

from camseek.datasets.checking import Checked, check_dataset, check_truth
from camseek.datasets.doubts import doubts
from camseek.datasets.faults import Fault
from camseek.datasets.json_truth import read_ground_truth
from camseek.datasets.opening import open_truth, read_dataset
from camseek.datasets.registry import Dataset, dataset, known_datasets
from camseek.datasets.truth import SETUPS, GroundTruth, Labels, QueryPlace, Setup, TruthQuery

__all__ = [
    "SETUPS",
    "Checked",
    "Dataset",
    "Fault",
    "GroundTruth",
    "Labels",
    "QueryPlace",
    "Setup",
    "TruthQuery",
    "check_dataset",
    "check_truth",
    "dataset",
    "doubts",
    "known_datasets",
    "open_truth",
    "read_dataset",
    "read_ground_truth",
]
