"""What is searched for: pictures or regions of one thing, read and passed through the network."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
from jaxtyping import Float32

from camseek.arguments import Region, read_region
from camseek.config import RegionReading
from camseek.encoding.activations import probabilities
from camseek.encoding.aggregation import mean_probabilities, most_probable
from camseek.encoding.encoder import Encoder, add_up
from camseek.encoding.likeness import QueryCells
from camseek.errors import FeaturelessError
from camseek.extraction.attention import Attention, attention, view
from camseek.extraction.extractor import Extraction, Extractor, RegionRules
from camseek.extraction.fine import FineQuery
from camseek.extraction.sources import Source
from camseek.matching.words import QueryWords
from camseek.names import path_text
from camseek.numerics import F32, is_usable, l2_normalise
from camseek.results import View


@dataclass(frozen=True, slots=True, eq=False)
class QueryPart:
    """A picture of the thing sought, or a region of one.

    Attributes:
        picture: A file's name, an open binary file, its content, a PIL image or an array of pixels.
        region: The box of the thing: pixels of the upright picture, half-open; ``Shares`` of it; or either as
            text (``"10%,20%,50%,60%"``). None for all of it.

    Raises:
        RegionError: The region is none of these.
    """

    picture: Source
    region: Region | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "region", read_region(self.region))


class Sought:
    """The query: one part or several of one thing. Descriptors that were made are remembered.

    Attributes:
        parts: At least one.
        scores: (1, classes), float32: one part's logits; of several, the logarithms of the means of their
            probabilities.
    """

    parts: tuple[Extraction, ...]
    scores: Float32[F32, "1 classes"]

    def __init__(self, parts: Sequence[Extraction]) -> None:
        """Puts parts of one thing together."""
        scores = np.concatenate([part.inside.scores for part in parts])
        if len(parts) > 1 and scores.shape[1]:
            mean = mean_probabilities(probabilities(scores))
            scores = np.log(np.maximum(mean, np.finfo(np.float32).tiny))[None]
        self.parts = tuple(parts)
        self.scores = scores[:1]
        self._known: dict[Hashable, F32] = {}
        self._vectors: dict[Hashable, tuple[tuple[int, ...], F32]] = {}

    @property
    def name(self) -> str:
        """What to call it in a message."""
        names = [path_text(part.name) for part in self.parts if part.name is not None]
        return ", ".join(names) if len(names) == len(self.parts) else "the query"

    def classes(self, count: int) -> tuple[int, ...]:
        """Ids of the query's most probable classes."""
        return tuple(most_probable(self.scores, count)[0].tolist())

    def descriptor(self, encoder: Encoder, classes: Sequence[int] | None = None) -> Float32[F32, " D"]:
        """The normalised sum of the parts' descriptors; of one part its own.

        Args:
            encoder: What describes it.
            classes: The classes to sum (``cam`` only); None for each part's own, or the predefined ones.

        Raises:
            FeaturelessError: The network sees nothing in it.
        """
        key = encoder.key, None if classes is None else tuple(classes)
        if key not in self._known:
            self._known[key] = self._describe(encoder, classes)
        return self._known[key]

    def _describe(self, encoder: Encoder, classes: Sequence[int] | None) -> Float32[F32, " D"]:
        found = np.concatenate([self._part(encoder, place, classes) for place in range(len(self.parts))])
        descriptor = found[0] if len(found) == 1 else l2_normalise(found.sum(axis=0))
        if not is_usable(descriptor):
            raise FeaturelessError(
                f"the network sees nothing in {self.name}", remedy="use a larger region or another picture"
            )
        return descriptor

    def _part(self, encoder: Encoder, place: int, classes: Sequence[int] | None) -> Float32[F32, "1 D"]:
        part = self.parts[place]
        if encoder.encoding.name != "cam":
            return encoder.describe(part.activations, part.cells)
        # The region's classes, wherever its scores come from.
        chosen = tuple(encoder.classes(part.inside)[0].tolist()) if classes is None else tuple(classes)
        return add_up(self._class_vectors(encoder, place, chosen))

    def _class_vectors(self, encoder: Encoder, place: int, chosen: tuple[int, ...]) -> Float32[F32, "1 C D"]:
        """Whitened class vectors of a part, those of a longer choice that begins with the same classes."""
        kind = encoder.unchosen()
        key = kind.key, place, chosen[:1], encoder.predefined is None
        known, vectors = self._vectors.get(key, ((), None))
        if vectors is None or known[: len(chosen)] != chosen:
            if kind.whitening is None:
                part = self.parts[place]
                wanted = np.array(chosen, np.int64)[None]
                vectors = kind.parts(part.activations, part.cells, classes=wanted)
            else:
                vectors = kind.whiten(self._class_vectors(encoder.unwhitened(), place, chosen))
            if len(chosen) > len(known):
                self._vectors[key] = chosen, vectors
        return vectors[:, : len(chosen)]

    def words(self, *, mirrored: bool = False) -> tuple[QueryWords, ...]:
        """The visual words of each part, or of its points as they look in a mirror.

        Raises:
            TypeError: The query was read without its local features.
        """
        found = tuple(part.words[mirrored] for part in self.parts if part.words is not None)
        if len(found) != len(self.parts):
            raise TypeError("a query that was read without its local features")
        return found

    def fine(self) -> tuple[FineQuery, ...]:
        """What finds each part's fine points.

        Raises:
            TypeError: The query was read without its local features.
        """
        found = tuple(part.fine for part in self.parts if part.fine is not None)
        if len(found) != len(self.parts):
            raise TypeError("a query that was read without its local features")
        return found

    def cells(self) -> QueryCells:
        """What the cells of all parts say.

        Raises:
            TypeError: The query was read without its cells.
        """
        found = [part.looked for part in self.parts if part.looked is not None]
        if len(found) != len(self.parts):
            raise TypeError("a query that was read without its cells")
        return QueryCells.together(found)

    def attention(self, attend: Sequence[int]) -> Attention:
        """What to look for in the hits: the classes the user named, or those the network sees."""
        if attend:
            return Attention(np.array(attend, np.int64), np.ones(len(attend), np.float32))
        return attention(self.scores)


def read_query(
    extractor: Extractor,
    parts: Sequence[QueryPart],
    rules: RegionRules,
    *,
    features: bool,
    cells: bool,
    fine: bool = False,
    workers: int = 1,
) -> Sought:
    """Reads the pictures of a query and passes them through the network.

    Args:
        extractor: Reads them.
        parts: The pictures.
        rules: How their regions are read.
        features: Whether the plan compares local features.
        cells: Whether it compares cells with sketches.
        fine: Whether it compares fine points, and the pictures that are searched have some.
        workers: Threads that share the work on one picture.

    Raises:
        PictureError: One cannot be used.
        RegionError: A region is empty, reversed, too small or outside its picture.
        SettingsError: The model has no axes to compare cells on.
    """
    return Sought(
        [
            extractor.extract(
                part.picture,
                part.region,
                rules,
                features=features,
                fine=fine,
                cells=cells,
                workers=workers,
            )
            for part in parts
        ]
    )


def query_views(
    extractor: Extractor, parts: Sequence[QueryPart], sought: Sought, wanted: Attention
) -> tuple[View, ...]:
    """Each part's whole picture with the heat map."""
    whole = [
        # Of a crop only the region's pixels were looked at.
        seen if seen.region is None or seen.cells is not None else extractor.extract(part.picture)
        for part, seen in zip(parts, sought.parts, strict=True)
    ]
    return tuple(view(extractor.model, seen, wanted) for seen in whole)


def query_parts(query: Any, region: Any = None, *, together: bool) -> tuple[QueryPart, ...]:
    """The parts of a query as people give it: a picture, or several parts of one thing.

    Args:
        query: A picture, a ``QueryPart``, or a list of them.
        region: Of a single picture.
        together: Whether it was said that several are one query: of two things the sum is neither.

    Raises:
        ValueError: There is no part, a region beside a part or several, or several that nobody said are one.
        RegionError: The region is none.
    """
    if isinstance(query, QueryPart):
        query = (query,)
    if not isinstance(query, list | tuple):
        return (QueryPart(query, region),)
    given = cast("Sequence[Any]", query)
    if not given:
        raise ValueError("a query is at least one picture, and here is none")
    if region is not None:
        raise ValueError("a list of pictures has their regions in QueryPart; none goes beside it")
    if len(given) > 1 and not together:
        raise ValueError(
            f"{len(given)} pictures are one query only with together=True, where all show the same thing; "
            "search_many searches with each of them"
        )
    return tuple(part if isinstance(part, QueryPart) else QueryPart(part) for part in given)


def require_reading(reading: str) -> None:
    """Refuses a reading of regions that there is not.

    Raises:
        ValueError: There is none of the name.
    """
    if reading not in get_args(RegionReading):
        raise ValueError(f"there is no region reading {reading!r}")
