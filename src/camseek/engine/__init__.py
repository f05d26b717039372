"""The only composition of stages: index, search, explain."""

from camseek.engine.encoder import Encoder
from camseek.engine.engine import Engine
from camseek.engine.fitting import require_settings
from camseek.engine.indexing import Progress
from camseek.engine.querying import QueryPart
from camseek.engine.sources import find_files, find_pictures
from camseek.engine.viewing import explain

__all__ = [
    "Encoder",
    "Engine",
    "Progress",
    "QueryPart",
    "explain",
    "find_files",
    "find_pictures",
    "require_settings",
]
