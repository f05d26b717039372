"""The search: a plan of one first stage and later ones, the only one there is."""

from camseek.searching.plan import Aggregation, Plan
from camseek.searching.query import QueryPart, Sought
from camseek.searching.search import Found, run
from camseek.searching.searcher import Request, Searcher, searched, searched_many
from camseek.searching.stages import (
    DescribeAnew,
    Expand,
    ExpandVerified,
    Joined,
    LateInteraction,
    MatchRegions,
    Nearest,
    Searching,
    Verify,
    Words,
)

__all__ = [
    "Aggregation",
    "DescribeAnew",
    "Expand",
    "ExpandVerified",
    "Found",
    "Joined",
    "LateInteraction",
    "MatchRegions",
    "Nearest",
    "Plan",
    "QueryPart",
    "Request",
    "Searcher",
    "Searching",
    "Sought",
    "Verify",
    "Words",
    "run",
    "searched",
    "searched_many",
]
