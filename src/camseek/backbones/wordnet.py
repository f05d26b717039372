"""WordNet's names of ImageNet's classes, which papers use."""

from collections.abc import Sequence
from functools import cache

from camseek.backbones.library import EMBEDDED

_FILE = EMBEDDED.parent / "imagenet" / "wordnet.txt"
"""The names of the synset of each class, by WordNet id: the order of nearly every network."""


@cache
def _imagenet() -> tuple[tuple[str, str], ...]:
    """What camseek calls each of ImageNet's classes, and WordNet's names of it, as they are written there."""
    own = (EMBEDDED / "classes.txt").read_text("utf-8").splitlines()
    return tuple(zip(own, _FILE.read_text("utf-8").splitlines(), strict=True))


@cache
def _wordnet_names(class_names: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    known = _imagenet()
    if len(class_names) != len(known):
        return (frozenset[str](),) * len(class_names)
    found: list[frozenset[str]] = []
    for name, (own, line) in zip(map(str.casefold, class_names), known, strict=True):
        names = frozenset(line.casefold().split(", "))
        found.append(names if name in {own.casefold(), line.casefold(), *names} else frozenset[str]())
    return tuple(found)


def wordnet_names(class_names: Sequence[str]) -> tuple[frozenset[str], ...]:
    """WordNet's names of each class of a model, in lower case; none of a class that is not ImageNet's.

    Args:
        class_names: The model's, in the order of the scores: camseek's names, or one or all of WordNet's.
    """
    return _wordnet_names(tuple(class_names))
