"""What is searched for: pictures or regions of one thing, read and passed through the network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.aggregation import mean_probabilities, most_probable
from camseek.backbones import Activations, Backbone, probabilities
from camseek.config import RegionReading
from camseek.engine.encoder import Encoder
from camseek.engine.reading import PictureReader
from camseek.engine.sources import Source, opened
from camseek.engine.viewing import Attention, attention, grid_of, view
from camseek.images import Picture, check_region, fingerprint
from camseek.names import path_text
from camseek.numerics import l2_normalise
from camseek.regions import Cells
from camseek.results import Box, View

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryPart:
    """A picture of the thing sought, or a region of one.

    Attributes:
        picture: Its name, or an open binary file.
        region: The box of the thing, pixels of the upright picture, half-open; None for all of it.
    """

    picture: Source
    region: Box | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReadPart:
    """A part of the query, read.

    Attributes:
        part: What was read.
        name: The picture's name, or None for bytes.
        content: SHA-256 of the whole file.
        picture: What the network saw: all of the picture, or the region's pixels alone.
        activations: What it gave.
        cells: The region on the maps, for the reading ``cells``.
        inside: The activations in the region, or all of them.
    """

    part: QueryPart
    name: bytes | None
    content: bytes
    picture: Picture
    activations: Activations
    cells: Cells | None
    inside: Activations


@dataclass(frozen=True, slots=True, eq=False)
class ReadQuery:
    """The query: one part or several of one thing.

    Attributes:
        parts: At least one.
        scores: (1, classes), float32: one part's logits; of several, the logarithms of the means of their
            probabilities.
    """

    parts: tuple[ReadPart, ...]
    scores: Float32[F32, "1 classes"]

    @property
    def name(self) -> str:
        """What to call it in a message."""
        names = [path_text(part.name) for part in self.parts if part.name is not None]
        return ", ".join(names) if len(names) == len(self.parts) else "the query"

    def classes(self, count: int) -> Int64[I64, "1 C"]:
        """The query's most probable classes."""
        return most_probable(self.scores, count)

    def descriptor(self, encoder: Encoder, classes: Int64[I64, "1 C"] | None = None) -> Float32[F32, " D"]:
        """The normalised sum of the parts' descriptors; of one part its own."""
        found = np.concatenate(
            [encoder.describe(part.activations, part.cells, classes=classes) for part in self.parts]
        )
        return found[0] if len(found) == 1 else l2_normalise(found.sum(axis=0))

    def attention(self, attend: Sequence[int]) -> Attention:
        """What to look for in the hits: the classes the user named, or those the network sees."""
        if attend:
            return Attention(np.array(attend, np.int64), np.ones(len(attend), np.float32))
        return attention(self.scores)

    def views(self, model: Backbone, reader: PictureReader, wanted: Attention) -> tuple[View, ...]:
        """Each part's whole picture with the heat map."""
        return tuple(_whole_view(part, model, reader, wanted) for part in self.parts)


def _whole_view(part: ReadPart, model: Backbone, reader: PictureReader, wanted: Attention) -> View:
    if part.part.region is None or part.cells is not None:
        return view(model, part.picture, part.activations, wanted)
    # Only the region's pixels were looked at.
    with opened(part.part.picture) as (_, file):
        picture = reader.read(file)
    return view(model, picture, model.run(picture.pixels), wanted)


def read_query(
    parts: Sequence[QueryPart],
    model: Backbone,
    encoder: Encoder,
    reader: PictureReader,
    reading: RegionReading,
) -> ReadQuery:
    """Reads the pictures of a query and passes them through the network.

    Raises:
        PictureError: One cannot be used.
        RegionError: A region is empty, reversed or outside its picture.
    """
    read = tuple(_read(part, model, encoder, reader, reading) for part in parts)
    if len(read) == 1:
        return ReadQuery(read, read[0].inside.scores)
    scores = np.concatenate([part.inside.scores for part in read])
    if not scores.shape[1]:
        return ReadQuery(read, scores[:1])
    mean = mean_probabilities(probabilities(scores))
    return ReadQuery(read, np.log(np.maximum(mean, np.finfo(np.float32).tiny))[None])


def _read(
    part: QueryPart, model: Backbone, encoder: Encoder, reader: PictureReader, reading: RegionReading
) -> ReadPart:
    with opened(part.picture) as (name, file):
        content = fingerprint(file)
        picture = reader.read(file, part.region if reading == "crop" else None)
    activations = model.run(picture.pixels)
    if part.region is None or reading == "crop":
        return ReadPart(part, name, content, picture, activations, None, activations)
    cells = grid_of(picture, model.stride).cells(check_region(part.region, picture.size))
    return ReadPart(part, name, content, picture, activations, cells, encoder.inside(activations, cells))
