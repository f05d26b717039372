"""The command line: parse, call the engine, print."""

from camseek.cli.app import main, run

__all__ = ["main", "run"]
