"""The engine: a collection and the model that reads it."""

from camseek.engine.facade import Engine

__all__ = ["Engine"]
