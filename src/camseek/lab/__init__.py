"""The laboratory: protocols measured, their disputed points, the paper's experiments.

It uses the engine's rooms as they are, and nothing below imports it.
"""

from camseek.lab.auditing import audit
from camseek.lab.measuring import evaluate, measure
from camseek.lab.protocol import Protocol

__all__ = ["Protocol", "audit", "evaluate", "measure"]
