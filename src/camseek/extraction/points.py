"""Local features of pictures that were read: stored ones as visual words, and a query's."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from camseek.config import Resize
from camseek.extraction.fine import stored_fine
from camseek.images import Picture
from camseek.matching.codebook import embedded_codebook
from camseek.matching.features import INDEXED, QUERIED, LocalFeatures, extract_features, shrunk
from camseek.matching.words import WordPoints
from camseek.results import Box
from camseek.store import FINE, FINE_TRACE, POINTS, POINTS_TRACE

QUERY_SIZE = Resize("longer", QUERIED.side, QUERIED.side)
"""The size at which a query's points are looked for; a smaller one is not enlarged."""


def query_features(picture: Picture, outline: Box) -> LocalFeatures:
    """The local features of a query's picture.

    Args:
        picture: The pixels of the outline alone.
        outline: What of the picture is sought, pixels.

    Returns:
        Points in pixels of the whole picture.
    """
    x1, y1, x2, y2 = outline
    found = extract_features(picture.pixels, (x2 - x1, y2 - y1), QUERIED.count)
    return replace(found, points=found.points + np.array([x1, y1], np.float32))


def stored_points(picture: Picture) -> WordPoints:
    """What a collection stores of a whole picture's local features: they as visual words."""
    return embedded_codebook().picture_words(stored_features(picture))


def traces_of(picture: Picture, parts: Iterable[str]) -> dict[str, bytes]:
    """The traces of a whole picture, by their kinds.

    Args:
        picture: As the network sees it.
        parts: Which parts of it are kept, of ``camseek.config.PARTS``.
    """
    return {TRACES[part]: _MAKERS[part](picture) for part in parts}


def stored_features(picture: Picture) -> LocalFeatures:
    """The local features that a collection stores of a whole picture, strongest first.

    Whatever the size at which the collection's network sees pictures, no larger one is looked at here.
    """
    return extract_features(shrunk(picture.pixels, INDEXED.side), picture.size, INDEXED.count)


TRACES = {POINTS: POINTS_TRACE, FINE: FINE_TRACE}
"""The kind of trace that each part of a collection is kept in."""

_MAKERS: dict[str, Callable[[Picture], bytes]] = {
    POINTS: lambda picture: stored_points(picture).pack(picture.size),
    FINE: stored_fine,
}
