"""Where the network looks: heat maps and boxes of pictures, made from their files."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.aggregation import most_probable
from camseek.backbones import Activations, Backbone, probabilities
from camseek.config import DEFAULT_SIZE, Encoding, Limits, Resize
from camseek.engine.encoder import activation_maps
from camseek.engine.reading import PictureReader
from camseek.engine.sources import opened
from camseek.errors import PictureError
from camseek.images import Picture, fingerprint, open_file
from camseek.names import absolute
from camseek.regions import CellGrid, attention_box, heat_map
from camseek.results import Box, ClassScore, Explanation, View

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

# The heat map is the mean of the maps of the query's ten most probable classes, each counting by its
# probability, and its box that of the largest part above this share of its maximum. The paper proposes
# regions from two classes that count alike (METHOD, re-ranking): on photographed paintings this frames
# better, and seldom frames everything. Other numbers and thresholds: benchmarks/README.md.
HEAT_CLASSES = 10
BOX_THRESHOLD = 0.35
# Cells are cut into 4 x 4 by interpolation, so that boxes do not jump by 32 pixels.
BOX_FACTOR = 4
# Maps are shown and boxed as the paper normalises them, whatever the encoding does.
_SHOWN = Encoding.parse("cam")


@dataclass(frozen=True, slots=True)
class Located:
    """A stored picture looked at again: its box and view, or the reason why there are none."""

    box: Box | None
    reason: str | None
    view: View | None


def grid_of(picture: Picture, stride: int) -> CellGrid:
    """How cells lie over a picture."""
    height, width, _ = picture.pixels.shape
    return CellGrid(original=picture.size, resized=(width, height), stride=stride)


@dataclass(frozen=True, slots=True)
class Attention:
    """What to look for: class ids, (C,), and how much each counts, (C,), above 0."""

    classes: Int64[I64, " C"]
    shares: Float32[F32, " C"]


def attention(scores: Float32[F32, "1 classes"]) -> Attention:
    """What the network sees in a query, to be looked for in its hits; nothing without a classifier."""
    classes = most_probable(scores, HEAT_CLASSES)[0]
    if not len(classes):
        return Attention(classes, np.empty(0, np.float32))
    # A class of no probability at all still counts a little, or a sure query would leave nothing to share.
    shares = probabilities(scores)[0][classes].clip(np.finfo(np.float32).tiny)
    return Attention(classes, shares)


def view(model: Backbone, picture: Picture, activations: Activations, wanted: Attention) -> View:
    """A picture with the heat map of some classes; it is all zero where there are none."""
    if not len(wanted.classes):
        dark = np.zeros(activations.features.shape[2:], np.float32)
        return View(picture.pixels, dark, model.stride, picture.size)
    maps = activation_maps(activations, model.classifier_weights, wanted.classes[None], encoding=_SHOWN)
    return View(picture.pixels, heat_map(maps[0], wanted.shares), model.stride, picture.size)


def look(
    model: Backbone, picture: Picture, activations: Activations, wanted: Attention
) -> tuple[View, Box | None]:
    """The view of a picture for some classes, and the box around what they light up, if anything."""
    seen = view(model, picture, activations, wanted)
    return seen, attention_box(seen.heat, BOX_THRESHOLD, grid_of(picture, model.stride), factor=BOX_FACTOR)


def locate(
    model: Backbone,
    paths: Sequence[bytes],
    content: bytes,
    wanted: Attention,
    *,
    reader: PictureReader,
) -> Located:
    """Boxes where the network looks for some classes in a stored picture.

    The first of its files that still holds the content is used.
    """
    picture = read_again(paths, content, reader)
    if not isinstance(picture, str):
        seen, box = look(model, picture, model.run(picture.pixels), wanted)
        return Located(box, None if box else no_box(wanted), seen)
    return Located(None, picture, None)


def read_again(paths: Sequence[bytes], content: bytes, reader: PictureReader) -> Picture | str:
    """A stored picture, from the first of its files that still holds the content; or why there is none."""
    reason = "it has no file"
    for path in paths:
        try:
            with open_file(path) as file:
                if fingerprint(file) == content:
                    return reader.read(file)
                reason = "its file has changed since it was indexed"
        except PictureError as error:
            reason = error.message
    return reason


def no_box(wanted: Attention) -> str:
    """Why a picture that was looked at has no box."""
    if not len(wanted.classes):
        return "the model has no classifier, so it knows no classes to look for"
    return "the network sees none of the query's classes in it"


def class_scores(model: Backbone, scores: Float32[F32, "1 classes"], top: int) -> tuple[ClassScore, ...]:
    """The most probable classes of one picture; none without a classifier."""
    if not scores.shape[1]:
        return ()
    shares = probabilities(scores)[0]
    numbers: list[int] = most_probable(scores, top)[0].tolist()
    return tuple(ClassScore(number, model.class_names[number], float(shares[number])) for number in numbers)


def explain(
    model: Backbone,
    path: str | os.PathLike[str],
    *,
    top: int = 5,
    size: Resize = DEFAULT_SIZE,
    limits: Limits | None = None,
) -> Explanation:
    """Shows what the network sees in a picture, and where.

    Args:
        model: The classifier.
        path: The picture.
        top: How many classes, 1 or more.
        size: The size at which the picture is read.
        limits: What this machine may spend on it.

    Raises:
        PictureError: The picture cannot be used.
    """
    if top < 1:
        raise ValueError(f"top is {top}, below 1")
    model.require_classifier("an explanation")
    reader = PictureReader.of(model, size, limits or Limits())
    with opened(path) as (_, file):
        picture = reader.read(file)
    activations = model.run(picture.pixels)
    classes = class_scores(model, activations.scores, top)
    alone = np.ones(1, np.float32)
    views = tuple(
        view(model, picture, activations, Attention(np.array([item.id]), alone)) for item in classes
    )
    return Explanation(absolute(path), picture.size, classes, views)
