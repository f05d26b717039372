"""Where the network looks: heat maps and boxes of pictures, made from their files."""

import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from camseek.backbones import Backbone, as_model
from camseek.config import DEFAULT_SIZE, Encoding, Limits, Resize
from camseek.encoding.activations import probabilities
from camseek.encoding.aggregation import most_probable
from camseek.encoding.encoder import activation_maps
from camseek.encoding.regions import attention_box, heat_map
from camseek.extraction.extractor import Extraction, Extractor
from camseek.extraction.sources import Source
from camseek.images import prepare
from camseek.numerics import F32, I64
from camseek.results import Box, ClassScore, Explanation, View

# The heat map is the mean of the maps of the query's ten most probable classes, each counting by its
# probability, and its box that of the largest part above this share of its maximum. The paper proposes
# regions from two classes that count alike (section 4.5): on photographed paintings this frames
# better, and seldom frames everything. Other numbers and thresholds: benchmarks/README.md.
HEAT_CLASSES = 10
BOX_THRESHOLD = 0.35
# Cells are cut into 4 x 4 by interpolation, so that boxes do not jump by 32 pixels.
BOX_FACTOR = 4
# Maps are shown and boxed as the paper normalises them, whatever the encoding does.
_SHOWN = Encoding.parse("cam")


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


def view(model: Backbone, seen: Extraction, wanted: Attention) -> View:
    """A picture with the heat map of some classes; it is all zero where there are none."""
    picture, activations = seen.picture, seen.activations
    if not len(wanted.classes):
        dark = np.zeros(activations.features.shape[2:], np.float32)
        return View(picture.pixels, dark, model.stride, picture.size)
    maps = activation_maps(activations, model.classifier_weights, wanted.classes[None], encoding=_SHOWN)
    return View(picture.pixels, heat_map(maps[0], wanted.shares), model.stride, picture.size)


def look(model: Backbone, seen: Extraction, wanted: Attention) -> tuple[View, Box | None]:
    """The view of a picture for some classes, and the box around what they light up, if anything."""
    shown = view(model, seen, wanted)
    return shown, attention_box(shown.heat, BOX_THRESHOLD, seen.grid, factor=BOX_FACTOR)


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
    model: Backbone | str | os.PathLike[str],
    source: Source,
    *,
    top: int = 5,
    size: Resize | str | int = DEFAULT_SIZE,
    limits: Limits | None = None,
) -> Explanation:
    """Shows what the network sees in a picture, and where.

    Args:
        model: The classifier, or its name.
        source: The picture.
        top: How many classes, 1 or more.
        size: The size at which the picture is read.
        limits: What this machine may spend on it.

    Raises:
        PictureError: The picture cannot be used.
    """
    if top < 1:
        raise ValueError(f"top is {top}, below 1")
    prepare()  # it starts while the model is loaded
    model = as_model(model)
    model.require_classifier("an explanation")
    seen = Extractor.of(model, Resize.of(size), limits or Limits()).extract(source)
    classes = class_scores(model, seen.activations.scores, top)
    alone = np.ones(1, np.float32)
    views = tuple(view(model, seen, Attention(np.array([item.id]), alone)) for item in classes)
    return Explanation(seen.name, seen.picture.size, classes, views)
