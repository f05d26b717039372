"""Matching points: the query's picture and a hit's side by side, with a line from each point to its match.

Pictures are drawn where they stand on the page already, under their ids: none is embedded twice, and nothing
is loaded or run.
"""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from camseek.numerics import F64, I64
from camseek.report.markup import Markup, element
from camseek.report.parts import shapes
from camseek.results import Box, Outline, Size
from camseek.words import counted

MOST_LINES = 150
"""So many lines are drawn for one hit, those of the most similar points: more are a tangle."""

_SIDE = 500.0  # the longer side of a picture in a drawing
_GAP = 40.0  # between both
# Room for a drawing, in pixels: beside each other on a screen, below each other on a telephone.
_ROOMS = {"for-wide": (1100.0, 640.0), "for-narrow": (340.0, 620.0)}
_HUES = 12
_LIGHTNESS = 0.68


@dataclass(frozen=True, slots=True)
class Pane:
    """A picture of the page, and what is shown of it.

    Attributes:
        id: The id of its image there, which is as large as the original: ``framed``.
        name: What it is called, for people.
        size: Width and height of the upright picture, pixels.
        part: What is shown of it, its pixels.
    """

    id: str
    name: str
    size: Size
    part: Box

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height of what is shown, pixels of the picture."""
        x1, y1, x2, y2 = self.part
        return x2 - x1, y2 - y1


@dataclass(frozen=True, slots=True)
class _Placed:
    """A pane in a drawing: where its top left corner is, and how large one of its pixels."""

    pane: Pane
    left: float
    top: float
    zoom: float

    @property
    def size(self) -> tuple[float, float]:
        width, height = self.pane.extent
        return width * self.zoom, height * self.zoom

    def points(self, pixels: Float64[F64, "N 2"]) -> Float64[F64, "N 2"]:
        """Points of the picture in the drawing."""
        return (pixels - self.pane.part[:2]) * self.zoom + (self.left, self.top)

    def frame(self) -> Float64[F64, "4 2"]:
        """The corners of what is shown."""
        x1, y1, x2, y2 = self.pane.part
        return self.points(np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64))


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Two panes beside each other, or one below the other."""

    query: _Placed
    hit: _Placed
    size: tuple[float, float]

    @classmethod
    def of(cls, query: Pane, hit: Pane, *, across: bool) -> "_Drawing":
        """Both of one longer side, in the middle of the other axis."""
        one, other = (_Placed(pane, 0.0, 0.0, _SIDE / max(pane.extent)) for pane in (query, hit))
        (width, height), (wide, high) = one.size, other.size
        if across:
            size = width + _GAP + wide, max(height, high)
            one = replace(one, top=(size[1] - height) / 2)
            return cls(one, replace(other, left=width + _GAP, top=(size[1] - high) / 2), size)
        size = max(width, wide), height + _GAP + high
        one = replace(one, left=(size[0] - width) / 2)
        return cls(one, replace(other, left=(size[0] - wide) / 2, top=height + _GAP), size)

    def scale(self, room: tuple[float, float]) -> float:
        """How large it can be in a room."""
        return min(have / need for have, need in zip(room, self.size, strict=True))


def matching_points(query: Pane, hit: Pane, outlines: Sequence[Outline], rank: int) -> Markup:
    """A fold that shows the points of a hit that lie as the query's do.

    Args:
        query: The picture of the query that the outlines are of.
        hit: The hit.
        outlines: At least one.
        rank: The hit's.
    """
    both = [_Drawing.of(query, hit, across=across) for across in (True, False)]
    chosen: dict[int, list[str]] = {}
    for kind, room in _ROOMS.items():
        best = max(range(len(both)), key=lambda place: both[place].scale(room))
        chosen.setdefault(best, []).append(kind)
    label = (
        f"{_counts(outlines)} of hit {rank}, {hit.name}, joined by lines with those of the query, "
        f"{query.name}; outlined: {'; '.join(map(str, outlines))}"
    )
    drawings = [_drawn(both[place], outlines, label, " ".join(kinds)) for place, kinds in chosen.items()]
    summary = element(
        "summary", element("span", "Matching points", element("span", f" of hit {rank}", class_="unseen"))
    )
    caption = element(
        "p", f"{_counts(outlines)} of this picture and ", element("bdi", query.name), _aside(outlines)
    )
    figure = element("figure", *drawings, element("figcaption", caption))
    return element("details", summary, figure, class_="matching")


def _counts(outlines: Sequence[Outline]) -> str:
    """How many points are drawn."""
    numbers = [len(lines) for lines in _lines(outlines)]
    if len(numbers) == 1:
        return counted(numbers[0], "matching point")
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]} matching points in {len(numbers)} places"


def _aside(outlines: Sequence[Outline]) -> str:
    """Why the numbers are others than those that the hit is told with."""
    drawn, agreeing = sum(map(len, _lines(outlines))), sum(item.points for item in outlines)
    if drawn < max(agreeing, sum(len(item.matching_points) for item in outlines)):
        return ", the most similar."
    return f"; they count as {agreeing}, as some could also lie elsewhere." if agreeing < drawn else "."


def _lines(outlines: Sequence[Outline]) -> list[Float64[F64, "N 4"]]:
    """What is drawn of each outline: x and y in the query's picture, x and y in the hit's."""
    most = MOST_LINES // len(outlines)
    points = [item.matching_points for item in outlines]
    return [np.hstack([item.query[:most], item.picture[:most]]).astype(np.float64) for item in points]


def _drawn(drawing: _Drawing, outlines: Sequence[Outline], label: str, kinds: str) -> Markup:
    query, hit = drawing.query, drawing.hit
    pairs = np.concatenate(_lines(outlines))
    start, end = query.points(pairs[:, :2]), hit.points(pairs[:, 2:])
    hues = _hue(pairs[:, :2])
    coloured = [
        _of_colour(start[hues == hue], end[hues == hue], _colour(hue)) for hue in np.unique(hues).tolist()
    ]
    parts = [
        _picture(query),
        _picture(hit, element("g", *shapes([item.corners for item in outlines]), class_="shape")),
        element("g", *shapes([query.frame().tolist()]), class_="shape"),
        element("g", *(lines for lines, _ in coloured), class_="lines"),
        element("g", *(dots for _, dots in coloured), class_="dots"),
    ]
    width, height = (math.ceil(side) for side in drawing.size)
    box = f"0 0 {width} {height}"
    return element("svg", *parts, class_=f"pairs {kinds}", role="img", aria_label=label, viewBox=box)


def _picture(placed: _Placed, *over: Markup) -> Markup:
    """A part of a picture of the page, and what lies over it; what reaches beyond is cut off."""
    (x1, y1, _, _), (across, down) = placed.pane.part, placed.pane.extent
    width, height = placed.size
    place = {"x": placed.left, "y": placed.top, "width": width, "height": height}
    return element(
        "svg",
        element("use", href=f"#{placed.pane.id}"),
        *over,
        **{name: f"{value:.1f}" for name, value in place.items()},
        viewBox=f"{x1} {y1} {across} {down}",
        preserveAspectRatio="none",
    )


def _hue(points: Float64[F64, "N 2"]) -> Int64[I64, " N"]:
    """One of the colours for each point of the query, by its direction from the middle of them all."""
    low, high = points.min(axis=0), points.max(axis=0)
    away = (points - (low + high) / 2) / np.maximum(high - low, 1.0)
    turns = np.arctan2(away[:, 1], away[:, 0]) / (2 * np.pi)
    return np.floor(turns * _HUES).astype(np.int64) % _HUES


def _colour(hue: int) -> str:
    shares = colorsys.hls_to_rgb(hue / _HUES, _LIGHTNESS, 1.0)
    return "#" + "".join(f"{round(share * 255):02x}" for share in shares)


def _of_colour(start: Float64[F64, "N 2"], end: Float64[F64, "N 2"], colour: str) -> tuple[Markup, Markup]:
    """Lines of one colour, and the dots at their ends."""
    both = [(*one, *other) for one, other in zip(start.tolist(), end.tolist(), strict=True)]
    lines = [element("path", d=f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}") for x, y, u, v in both]
    dots = "".join(f"M{x:.1f} {y:.1f}h0M{u:.1f} {v:.1f}h0" for x, y, u, v in both)
    return element("g", *lines, stroke=colour), element("path", d=dots, stroke=colour)
