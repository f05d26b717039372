"""Queries of a ground truth, read and described for every protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from camseek.aggregation import most_probable
from camseek.backbones import Activations, Backbone
from camseek.config import Resize
from camseek.datasets import GroundTruth, TruthQuery
from camseek.engine.candidates import Rematch
from camseek.engine.encoder import Encoder
from camseek.engine.measuring.tasks import Key, Task
from camseek.engine.reading import PictureReader
from camseek.engine.viewing import Attention, attention, grid_of
from camseek.errors import GroundTruthError, PictureError, RegionError
from camseek.images import Picture, check_region, fingerprint, open_file
from camseek.names import path_text
from camseek.regions import CellGrid, Cells
from camseek.results import Box

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A query under one protocol.

    Attributes:
        descriptor: (D,), zero where the network sees nothing.
        classes: (1, C): the classes that are summed in every picture (online), or None.
        rematch: What candidates' regions are compared with, or None.
    """

    descriptor: Float32[F32, " D"]
    classes: Int64[I64, "1 C"] | None
    rematch: Rematch | None


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A query, read.

    Attributes:
        query: It.
        content: SHA-256 of its picture's file.
        ready: It under each protocol.
        wanted: What to look for in the pictures, as the first protocol reads it.
    """

    query: TruthQuery
    content: bytes
    ready: tuple[Ready, ...]
    wanted: Attention


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What one reading of a query's region gives."""

    activations: Activations
    cells: Cells | None
    inside: Activations


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Reads queries; threads may share one."""

    truth: GroundTruth
    tasks: Sequence[Task]
    reader: PictureReader

    @property
    def _model(self) -> Backbone:
        return self.tasks[0].model

    def ask(self, query: TruthQuery) -> Asked:
        """Reads a query and describes it for every protocol.

        Raises:
            GroundTruthError: Its picture or region cannot be used.
        """
        try:
            content, seen = self._read(query)
        except (PictureError, RegionError) as error:
            key = "region" if isinstance(error, RegionError) else "image"
            raise truth_error(self.truth, query.id, key, error.message, remedy=error.remedy) from error
        ready = tuple(_ready(task, seen[task.asked]) for task in self.tasks)
        return Asked(query, content, ready, attention(seen[self.tasks[0].asked].inside.scores))

    def _read(self, query: TruthQuery) -> tuple[bytes, dict[Key, _Seen]]:
        seen: dict[Key, _Seen] = {}
        passes: dict[str, tuple[Picture, Activations]] = {}
        with open_file(query.image) as file:
            content = fingerprint(file)

            def passed(kind: str) -> tuple[Picture, Activations]:
                if kind not in passes:
                    region = None if kind == "whole" else query.region
                    reader = self.reader if kind != "own size" else _own_size(self.reader, query.region)
                    picture = reader.read(file, region)
                    passes[kind] = picture, self._model.run(picture.pixels)
                return passes[kind]

            for task in self.tasks:
                if task.asked in seen:
                    continue
                protocol = task.protocol
                region = query.region if protocol.reading != "whole" else None
                picture, activations = passed("crop" if region and protocol.reading == "crop" else "whole")
                if region is None or protocol.reading == "crop":
                    seen[task.asked] = _Seen(activations, None, activations)
                    continue
                check_region(region, picture.size)
                grid = grid_of(picture, self._model.stride)
                cells = _unscaled(grid, region) if protocol.query_box == "original" else grid.cells(region)
                inside = task.encoder.inside(activations, cells)
                if protocol.query_scores == "crop":
                    inside = replace(inside, scores=passed("own size")[1].scores)
                seen[task.asked] = _Seen(activations, cells, inside)
        return content, seen


def _ready(task: Task, seen: _Seen) -> Ready:
    plan = task.protocol.plan

    def described(encoder: Encoder, classes: Int64[I64, "1 C"] | None) -> Float32[F32, " D"]:
        if classes is None and encoder.encoding.name == "cam":
            classes = encoder.classes(seen.inside)  # the region's, wherever its scores come from
        return encoder.describe(seen.activations, seen.cells, classes=classes)[0]

    classes = None if task.online is None else most_probable(seen.inside.scores, task.online)
    rematch = None
    if plan.rerank:
        attended = np.array(plan.attend, np.int64)[None]
        again = (
            attended if plan.attend else most_probable(seen.inside.scores, task.protocol.reranking.classes)
        )
        rematch = Rematch(again, described(task.encoder, again))
    return Ready(described(task.encoder, classes), classes, rematch)


def _own_size(reader: PictureReader, region: Box | None) -> PictureReader:
    """A reader that scales nothing, and only rounds sides down to what the network takes."""
    longest = max(region[2] - region[0], region[3] - region[1]) if region else reader.resize.longer
    return replace(reader, resize=Resize("longer", longest, longest))


def _unscaled(grid: CellGrid, box: Box) -> Cells:
    """The cells of a box of the original's pixels, as if the picture had not been resized; at least one."""
    x1, y1, x2, y2 = box
    top, left = min(y1 // grid.stride, grid.rows - 1), min(x1 // grid.stride, grid.columns - 1)
    bottom = min(max(-(-y2 // grid.stride), top + 1), grid.rows)
    right = min(max(-(-x2 // grid.stride), left + 1), grid.columns)
    return top, bottom, left, right


def truth_error(truth: GroundTruth, query: str, key: str, what: str, *, remedy: str) -> GroundTruthError:
    """An error that names the place in the ground truth."""
    return GroundTruthError(f"{path_text(truth.path)}, query {query!r}, {key}: {what}", remedy=remedy)
