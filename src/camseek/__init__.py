"""Visual instance search: find every picture that shows the same thing, and see where.

``Engine`` indexes folders into a collection and searches it; ``load_model`` loads the classifier whose
features and class activation maps do the work (Jimenez et al., BMVC 2017).
"""

import importlib
from typing import TYPE_CHECKING, Any

from camseek.version import VERSION

if TYPE_CHECKING:
    from camseek.arguments import Shares
    from camseek.backbones import Backbone, load_model
    from camseek.config import Device, Encoding, Limits, Resize, Settings
    from camseek.encoding.whitening import Whitening, fit_whitening
    from camseek.engine import Engine
    from camseek.errors import CamseekError, CollectionBusyError, RegionError
    from camseek.extraction.attention import explain
    from camseek.lab import Protocol, audit, evaluate, measure
    from camseek.results import Box, Hit, IndexReport, Outline, SearchResult, Skipped, Verdict
    from camseek.searching import (
        DescribeAnew,
        Expand,
        ExpandVerified,
        Joined,
        LateInteraction,
        MatchRegions,
        Nearest,
        Plan,
        QueryPart,
        Verify,
        Words,
    )

__version__ = VERSION

__all__ = [
    "Backbone",
    "Box",
    "CamseekError",
    "CollectionBusyError",
    "DescribeAnew",
    "Device",
    "Encoding",
    "Engine",
    "Expand",
    "ExpandVerified",
    "Hit",
    "IndexReport",
    "Joined",
    "LateInteraction",
    "Limits",
    "MatchRegions",
    "Nearest",
    "Outline",
    "Plan",
    "Protocol",
    "QueryPart",
    "RegionError",
    "Resize",
    "SearchResult",
    "Settings",
    "Shares",
    "Skipped",
    "Verdict",
    "Verify",
    "Whitening",
    "Words",
    "__version__",
    "audit",
    "evaluate",
    "explain",
    "fit_whitening",
    "load_model",
    "measure",
]

# Loaded when they are first used: the command line answers --help before NumPy would be there.
_HOMES = {
    "camseek.arguments": ("Shares",),
    "camseek.backbones": ("Backbone", "load_model"),
    "camseek.config": ("Device", "Encoding", "Limits", "Resize", "Settings"),
    "camseek.encoding.whitening": ("Whitening", "fit_whitening"),
    "camseek.engine": ("Engine",),
    "camseek.errors": ("CamseekError", "CollectionBusyError", "RegionError"),
    "camseek.extraction.attention": ("explain",),
    "camseek.lab": ("Protocol", "audit", "evaluate", "measure"),
    "camseek.results": ("Box", "Hit", "IndexReport", "Outline", "SearchResult", "Skipped", "Verdict"),
    "camseek.searching": (
        *("DescribeAnew", "Expand", "ExpandVerified", "Joined", "LateInteraction", "MatchRegions"),
        *("Nearest", "Plan", "QueryPart", "Verify", "Words"),
    ),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
