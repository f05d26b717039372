"""Local features of pictures that were read, as visual words: those that are stored, and a query's."""

from dataclasses import replace

import numpy as np

from camseek.config import Resize
from camseek.images import Picture
from camseek.matching.codebook import embedded_codebook
from camseek.matching.features import INDEXED, QUERIED, LocalFeatures, extract_features, shrunk
from camseek.matching.words import QueryWords, WordPoints
from camseek.results import Box

QUERY_SIZE = Resize("longer", QUERIED.side, QUERIED.side)
"""The size at which a query's points are looked for; a smaller one is not enlarged."""


def query_words(picture: Picture, outline: Box) -> tuple[QueryWords, QueryWords]:
    """The visual words of a query's picture, and those of its points as they look in a mirror.

    Args:
        picture: The pixels of the outline alone.
        outline: What of the picture is sought, pixels.

    Returns:
        Both with points in pixels of the whole picture.
    """
    x1, y1, x2, y2 = outline
    found = extract_features(picture.pixels, (x2 - x1, y2 - y1), QUERIED.count)
    found = replace(found, points=found.points + np.array([x1, y1], np.float32))
    book = embedded_codebook()
    return book.query_words(found), book.query_words(found.mirrored())


def stored_points(picture: Picture) -> WordPoints:
    """What a collection stores of a whole picture's local features: they as visual words."""
    return embedded_codebook().picture_words(stored_features(picture))


def stored_features(picture: Picture) -> LocalFeatures:
    """The local features that a collection stores of a whole picture, strongest first.

    Whatever the size at which the collection's network sees pictures, no larger one is looked at here.
    """
    return extract_features(shrunk(picture.pixels, INDEXED.side), picture.size, INDEXED.count)
