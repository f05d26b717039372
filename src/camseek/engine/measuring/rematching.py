"""The second pass: candidates compared with queries region by region, for every protocol at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from camseek.backbones import Activations
from camseek.engine.candidates import match_regions
from camseek.engine.indexing import Progress
from camseek.engine.measuring.asking import Asked
from camseek.engine.measuring.database import Rows
from camseek.engine.measuring.scratch import Scratch
from camseek.engine.measuring.tasks import Key, Task
from camseek.engine.pipeline import ordered
from camseek.engine.reading import PictureReader
from camseek.errors import PictureError
from camseek.images import open_file

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How well a candidate's regions match a query.

    Attributes:
        score: The best cosine; 0 where the network sees nothing in any region.
        descriptor: (D,): the winning region's; None where there is none.
    """

    score: float
    descriptor: Float32[F32, " D"] | None


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """The matches of one way to compare regions.

    Attributes:
        places: For (query, row) where its match stands; pictures that could not be read again have none.
        scores: (P,).
        descriptors: (P, D), zero where there is none.
    """

    places: dict[tuple[int, int], int]
    scores: Float32[F32, " P"]
    descriptors: Float32[F32, "P D"]

    def get(self, query: int, row: int) -> Match | None:
        """The match of a query with a picture, or None where that could not be read again."""
        place = self.places.get((query, row))
        if place is None:
            return None
        descriptor = np.asarray(self.descriptors[place])
        return Match(float(self.scores[place]), descriptor if descriptor.any() else None)


@dataclass(frozen=True, slots=True, eq=False)
class Rematcher:
    """Looks again at the pictures that some query ranked first.

    Attributes:
        tasks: Protocols that re-rank, one for each ``Task.region_key``, with their places in ``Asked.ready``.
        asked: The queries.
        rows: The pictures.
        reader: How they are read.
    """

    tasks: Mapping[Key, tuple[int, Task]]
    asked: Sequence[Asked]
    rows: Rows
    reader: PictureReader

    def run(
        self,
        wanted: Mapping[Key, Sequence[Sequence[int]]],
        scratch: Scratch,
        workers: int,
        progress: Progress,
    ) -> dict[Key, Matches]:
        """Compares candidates.

        Args:
            wanted: For each key the rows that each query ranked first.
            scratch: Gives the arrays.
            workers: Threads.
            progress: Started with the number of pictures.
        """
        jobs: dict[int, list[tuple[Key, int]]] = {}
        found: dict[Key, Matches] = {}
        for key, by_query in wanted.items():
            pairs = [(query, row) for query, rows in enumerate(by_query) for row in dict.fromkeys(rows)]
            for query, row in pairs:
                jobs.setdefault(row, []).append((key, query))
            shape = (len(pairs), self.tasks[key][1].dimensions)
            found[key] = Matches({}, scratch.array(shape[:1]), scratch.array(shape))
        progress.start(len(jobs))
        rows = sorted(jobs)
        for row, seen in zip(rows, ordered(partial(self._look, jobs), rows, workers=workers), strict=True):
            progress.step()
            for (key, query), match in seen:
                matches = found[key]
                place = matches.places[query, row] = len(matches.places)
                matches.scores[place] = match.score
                if match.descriptor is not None:
                    matches.descriptors[place] = match.descriptor
        return found

    def _look(
        self, jobs: Mapping[int, Sequence[tuple[Key, int]]], row: int
    ) -> list[tuple[tuple[Key, int], Match]]:
        try:
            with open_file(self.rows.paths[row]) as file:
                picture = self.reader.read(file)
        except PictureError:
            return []  # it keeps its place
        activations = next(iter(self.tasks.values()))[1].model.run(picture.pixels)
        return [((key, query), self._match(key, query, activations)) for key, query in jobs[row]]

    def _match(self, key: Key, query: int, activations: Activations) -> Match:
        place, task = self.tasks[key]
        rematch = self.asked[query].ready[place].rematch
        if rematch is None:
            raise ValueError("a protocol without re-ranking")
        found = match_regions(task.encoder, activations, rematch, task.protocol.reranking)
        return Match(0.0, None) if found is None else Match(found[1], found[2])
