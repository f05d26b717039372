"""Visual instance search: find every picture that shows the same thing, and see where.

``Engine`` indexes folders into a collection and searches it; ``load_model`` loads the classifier whose
features and class activation maps do the work (Jimenez et al., BMVC 2017).
"""

import importlib
from typing import TYPE_CHECKING, Any

from camseek.version import VERSION

if TYPE_CHECKING:
    from camseek.backbones import Backbone, load_model
    from camseek.config import Encoding, Limits, Settings
    from camseek.engine import Engine, explain
    from camseek.errors import CamseekError
    from camseek.results import Box, Hit, IndexReport, SearchResult
    from camseek.whitening import Whitening, fit_whitening

__version__ = VERSION

__all__ = [
    "Backbone",
    "Box",
    "CamseekError",
    "Encoding",
    "Engine",
    "Hit",
    "IndexReport",
    "Limits",
    "SearchResult",
    "Settings",
    "Whitening",
    "__version__",
    "explain",
    "fit_whitening",
    "load_model",
]

# Loaded when they are first used: the command line answers --help before NumPy would be there.
_HOMES = {
    "camseek.backbones": ("Backbone", "load_model"),
    "camseek.config": ("Encoding", "Limits", "Settings"),
    "camseek.engine": ("Engine", "explain"),
    "camseek.errors": ("CamseekError",),
    "camseek.results": ("Box", "Hit", "IndexReport", "SearchResult"),
    "camseek.whitening": ("Whitening", "fit_whitening"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
