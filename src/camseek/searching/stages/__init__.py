"""The stages of a search, a module each; ``base`` says what a stage is."""

from camseek.searching.stages.base import (
    Candidates,
    Detail,
    FirstStage,
    LaterStage,
    OwnEntry,
    RegionMatch,
    Searching,
    Step,
    Terms,
    Told,
)
from camseek.searching.stages.describe_anew import DescribeAnew
from camseek.searching.stages.expand import Expand
from camseek.searching.stages.expand_verified import ExpandVerified
from camseek.searching.stages.joined import Joined
from camseek.searching.stages.late_interaction import LateInteraction
from camseek.searching.stages.match_regions import MatchRegions, RegionLook
from camseek.searching.stages.nearest import Nearest
from camseek.searching.stages.verify import Verify
from camseek.searching.stages.words import Words

__all__ = [
    "Candidates",
    "DescribeAnew",
    "Detail",
    "Expand",
    "ExpandVerified",
    "FirstStage",
    "Joined",
    "LateInteraction",
    "LaterStage",
    "MatchRegions",
    "Nearest",
    "OwnEntry",
    "RegionLook",
    "RegionMatch",
    "Searching",
    "Step",
    "Terms",
    "Told",
    "Verify",
    "Words",
]
