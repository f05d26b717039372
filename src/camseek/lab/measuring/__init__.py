"""Measures protocols, encodings or a collection against a ground truth."""

from camseek.lab.measuring.measure import evaluate, measure

__all__ = ["evaluate", "measure"]
