"""Measures protocols, encodings or a collection against a ground truth."""

from camseek.engine.measuring.measure import evaluate, measure
from camseek.engine.protocol import EvaluationReading

__all__ = ["EvaluationReading", "evaluate", "measure"]
