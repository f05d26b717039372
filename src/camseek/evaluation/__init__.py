"""How good rankings and boxes are: average precision, recall, overlap, and how sure the numbers are."""

from camseek.evaluation.bootstrap import bootstrap_interval, paired_bootstrap
from camseek.evaluation.boxes import (
    CENTRE_SHARE,
    OVERLAP_PARTS,
    Overlap,
    OverlapPart,
    centre_box,
    intersection_over_union,
    overlap,
)
from camseek.evaluation.rankings import average_precision, n_s, precision_at, recall_at
from camseek.evaluation.scores import (
    PRECISION_RANKS,
    RECALL_MEANING,
    RECALL_RANKS,
    EncodingScores,
    QueryScore,
    SetupMeans,
    SetupScore,
    score_query,
    score_ranking,
)
from camseek.evaluation.summary import Evaluation, PairedDifference

__all__ = [
    "CENTRE_SHARE",
    "OVERLAP_PARTS",
    "PRECISION_RANKS",
    "RECALL_MEANING",
    "RECALL_RANKS",
    "EncodingScores",
    "Evaluation",
    "Overlap",
    "OverlapPart",
    "PairedDifference",
    "QueryScore",
    "SetupMeans",
    "SetupScore",
    "average_precision",
    "bootstrap_interval",
    "centre_box",
    "intersection_over_union",
    "n_s",
    "overlap",
    "paired_bootstrap",
    "precision_at",
    "recall_at",
    "score_query",
    "score_ranking",
]
