"""How well boxes agree."""

from dataclasses import dataclass
from typing import Literal, get_args

from camseek.results import Box, Size

CENTRE_SHARE = 0.64
"""Share of a picture's area that the centred box of the same proportions has, a baseline for boxes."""

OverlapPart = Literal["maps", "whole", "centre"]
OVERLAP_PARTS: tuple[OverlapPart, ...] = get_args(OverlapPart)
"""What is compared with the truth's box: the heat map's box, the whole picture, the centred box."""


def intersection_over_union(a: Box, b: Box) -> float:
    """How well two boxes agree: the area they share over the area they cover, in [0, 1].

    Raises:
        ValueError: A box is empty or reversed.
    """
    for box in (a, b):
        if box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(f"box {box} is empty or reversed")
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (_area(a) + _area(b) - shared)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def centre_box(size: Size) -> Box:
    """The centred box of 0.8 times a picture's width and height, in whole pixels."""
    width, height = size
    side = CENTRE_SHARE**0.5
    margins = round(width * (1 - side) / 2), round(height * (1 - side) / 2)
    return margins[0], margins[1], width - margins[0], height - margins[1]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Intersection over union of one box of the ground truth with what could have been drawn.

    Attributes:
        query: The query.
        name: The positive, relative to the database.
        maps: With the box that the heat map gives; 0 where it gives none.
        whole: With the whole picture.
        centre: With the centred box (``centre_box``).
    """

    query: str
    name: bytes
    maps: float
    whole: float
    centre: float


def overlap(query: str, name: bytes, truth: Box, drawn: Box | None, size: Size) -> Overlap:
    """Compares the box that was drawn, and the two baselines, with the truth's."""
    return Overlap(
        query,
        name,
        maps=intersection_over_union(drawn, truth) if drawn else 0.0,
        whole=intersection_over_union((0, 0, *size), truth),
        centre=intersection_over_union(centre_box(size), truth),
    )
