"""One picture seen once: its file, and a region of it, read and passed through the network."""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import BinaryIO, Literal, Protocol, TypeVar, get_args, runtime_checkable

from camseek.arguments import Region, read_region
from camseek.backbones import Backbone
from camseek.config import Limits, RegionReading, Resize
from camseek.encoding.activations import Activations
from camseek.encoding.likeness import QUERY_SIDE, QueryCells
from camseek.encoding.regions import CellGrid, Cells
from camseek.errors import PictureError, SettingsError, TooLargeError, UnreadableFileError
from camseek.extraction.faults import one_picture, tried
from camseek.extraction.fine import FineQuery
from camseek.extraction.points import QUERY_SIZE, query_words
from camseek.extraction.reading import PictureReader, check_region_size
from camseek.extraction.sources import Source, opened
from camseek.images import Picture, check_region, fingerprint, open_file
from camseek.images.files import MOST_BYTES
from camseek.job import one_blas_thread
from camseek.matching.fine import QUERIED
from camseek.matching.words import QueryWords
from camseek.names import is_given, is_remote
from camseek.results import Box, Skipped
from camseek.store import FILE_TRACE, StoredPicture

_CELLS_SIZE = Resize("longer", QUERY_SIDE, QUERY_SIDE)

CHANGED = "changed"
"""The code of a stored picture whose file holds something else now."""
_CHANGED = "its file has changed since it was indexed"

Seen = TypeVar("Seen")

Reading = RegionReading | Literal["whole"]
"""How a query's region is read; ``whole`` takes no notice of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRules:
    """How a region becomes cells, and where its class scores come from.

    The defaults are the paper's reading; the other values are those of its research code, and count for the
    reading ``cells`` alone.

    Attributes:
        reading: ``crop`` encodes the region's pixels alone, ``cells`` crops the maps of the whole picture
            (the paper's reading), ``whole`` takes no notice of it.
        scores: Class scores of the ``cells``, pooled, or of a pass over the ``crop`` at its own size.
        box: The region goes with the picture as it was ``resized``, or its ``original`` pixels are divided by
            the stride, though the maps are of a resized picture.

    Raises:
        SettingsError: There is no such value.
    """

    reading: Reading = "crop"
    scores: Literal["cells", "crop"] = "cells"
    box: Literal["resized", "original"] = "resized"

    def __post_init__(self) -> None:
        choices = {
            "reading": (*get_args(RegionReading), "whole"),
            "scores": ("cells", "crop"),
            "box": ("resized", "original"),
        }
        for key, known in choices.items():
            if getattr(self, key) not in known:
                raise SettingsError(
                    f"a region's {key} cannot be {getattr(self, key)!r}", remedy=f"use {' or '.join(known)}"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extraction:
    """A picture, or a region of one, as the network saw it.

    Attributes:
        name: The file's name, or None for a picture that has none.
        content: SHA-256 of the whole file.
        region: The region that was asked for, in pixels, or None.
        picture: What the network saw: all of the picture, or the region's pixels alone.
        activations: What it gave.
        grid: How the maps' cells lie over the picture.
        cells: The region on the maps, for the reading ``cells``; else None.
        inside: The activations in the region; all of them where there is none.
        words: Its visual words, of the region alone, where they were asked for, and those of its points as
            they look in a mirror.
        fine: And what finds its fine points, once somebody asks.
        looked: What its cells say, of the region alone, where that was asked for.
    """

    name: bytes | None
    content: bytes
    region: Box | None
    picture: Picture
    activations: Activations
    grid: CellGrid
    cells: Cells | None
    inside: Activations
    words: tuple[QueryWords, QueryWords] | None = None
    fine: FineQuery | None = None
    looked: QueryCells | None = None

    @property
    def outline(self) -> Box:
        """What of the picture was asked for: the region, or all of it."""
        return self.region or (0, 0, *self.picture.size)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What the network is to see; ``own`` is the region alone, where its scores are of that."""

    picture: Picture
    grid: CellGrid
    region: Box | None
    cells: Cells | None = None
    own: Picture | None = None

    @property
    def outline(self) -> Box:
        """What of the picture was asked for: the region, or all of it."""
        return self.region or (0, 0, *self.picture.size)


@dataclass(frozen=True, slots=True)
class Extractor:
    """Reads pictures and passes them through the network; threads may share one, and it can be pickled.

    Attributes:
        model: The network.
        reader: How pictures are read for it.
    """

    model: Backbone
    reader: PictureReader

    @classmethod
    def of(cls, model: Backbone, size: Resize, limits: Limits) -> "Extractor":
        """The extractor of a model.

        Args:
            model: The network.
            size: The size at which pictures are read.
            limits: What this machine may spend on one picture.
        """
        return cls(model, PictureReader.of(model, size, limits))

    def extract(
        self,
        source: Source,
        region: Region | str | None = None,
        rules: RegionRules | None = None,
        *,
        features: bool = False,
        fine: bool = False,
        cells: bool = False,
        workers: int = 1,
    ) -> Extraction:
        """Reads a picture, or a region of it.

        Args:
            source: A file's name, an open file, its content, or pixels.
            region: The box of the thing, pixels or shares of the upright picture; None for all of it.
            rules: How the region is read; None to encode its pixels alone.
            features: Whether its local features are wanted, as of a query.
            fine: Whether its upright fine points are found beside them, as they will be asked for.
            cells: Whether its cells are to be compared with sketches, as of a query.
            workers: Threads that share the work, 1 or more.

        Raises:
            PictureError: The picture cannot be used.
            RegionError: The region is none, empty, reversed, too small or outside the picture.
            SettingsError: The model has no axes of sketches to compare cells on.
        """
        with opened(source) as (name, file):
            content = fingerprint(file)
            read = self._read(file, region, rules or RegionRules())
            if not (features or cells):
                return self._seen(name, content, read)
            # One thread alone reads the file, and first.
            closer = self._closer.read(file, read.region) if features else None
            smaller = self._smaller.read(file, read.region) if cells else None
            with one_blas_thread(), ThreadPoolExecutor(workers, "camseek") as pool:
                # What takes longest comes first.
                words = None if closer is None else pool.submit(query_words, closer, read.outline)
                whole = pool.submit(self._seen, name, content, read)
                points = None if closer is None else FineQuery.of(closer, read.outline, self.model.device)
                early = QUERIED[::-1] if points is not None and fine else ()
                found = [] if points is None else [pool.submit(points.points, 0, amount) for amount in early]
                looked = None if smaller is None else pool.submit(self._cells, smaller)
                seen = whole.result()
                for one in found:
                    one.result()
                return replace(
                    seen,
                    words=None if words is None else words.result(),
                    fine=points,
                    looked=None if looked is None else looked.result(),
                )

    @property
    def _closer(self) -> PictureReader:
        """Reads a query's picture for its local features, more closely than stored pictures are looked at."""
        return replace(self.reader, resize=QUERY_SIZE, multiple=1, fitted_to=None)

    @property
    def _smaller(self) -> PictureReader:
        """Reads a query's picture for its cells, which are of another pass, over fewer pixels."""
        self.model.require_sketcher()
        return replace(self.reader, resize=_CELLS_SIZE)

    def _cells(self, picture: Picture) -> QueryCells:
        """What its cells say."""
        return QueryCells.of(
            self.model.require_sketcher(), self.model.run(picture.pixels), self.grid(picture)
        )

    def extract_file(
        self,
        file: BinaryIO,
        name: bytes | None,
        content: bytes,
        region: Region | str | None = None,
        rules: RegionRules | None = None,
    ) -> Extraction:
        """The same of an open file whose SHA-256 is known.

        Raises:
            PictureError, RegionError: As ``extract``.
        """
        return self._seen(name, content, self._read(file, region, rules or RegionRules()))

    def _read(self, file: BinaryIO, region: Region | str | None, rules: RegionRules) -> "_Read":
        """The pixels that the network is to see, and where the region is on its maps."""
        region = None if rules.reading == "whole" else read_region(region)
        cropped = region if rules.reading == "crop" else None
        picture = self.reader.read(file, cropped)
        grid = self.grid(picture)
        box = None if region is None else check_region(region, picture.size)
        if region is None or box is None or cropped is not None:
            return _Read(picture, grid, box)
        across, down = (one / other for one, other in zip(grid.resized, grid.original, strict=True))
        check_region_size(region, picture.size, across, down)
        cells = _unscaled(grid, box) if rules.box == "original" else grid.cells(box)
        own = _own_size(self.reader, box).read(file, box) if rules.scores == "crop" else None
        return _Read(picture, grid, box, cells, own)

    def _seen(self, name: bytes | None, content: bytes, read: "_Read") -> Extraction:
        """What the network says of it."""
        activations = inside = self.model.run(read.picture.pixels)
        if read.cells is not None:
            weights, bias = self.model.classifier_weights, self.model.classifier_bias
            inside = activations.inside(read.cells, weights, bias)
        if read.own is not None:
            inside = replace(inside, scores=self.model.run(read.own.pixels).scores)
        return Extraction(
            name=name,
            content=content,
            region=read.region,
            picture=read.picture,
            activations=activations,
            grid=read.grid,
            cells=read.cells,
            inside=inside,
        )

    def try_file(self, path: bytes) -> Extraction | Skipped:
        """A whole picture of many, or why there is none: one picture never ends a run."""
        return tried(path, partial(self._whole, path))

    def _whole(self, path: bytes) -> Extraction:
        with open_file(path) as file:
            return self.extract_file(file, path, fingerprint(file))

    def grid(self, picture: Picture) -> CellGrid:
        """How the maps' cells lie over a picture that was read."""
        height, width, _ = picture.pixels.shape
        return CellGrid(original=picture.size, resized=(width, height), stride=self.model.stride)


@runtime_checkable
class MapSource(Protocol):
    """Where the maps of a stored picture come from; asked by several threads at once."""

    def maps(self, picture: StoredPicture) -> Extraction | str:
        """The picture seen again, or why it cannot be."""
        ...


@runtime_checkable
class Contents(Protocol):
    """Where the contents are of pictures that came without a file: a collection's traces, say."""

    def get(self, kind: str, records: Sequence[int]) -> Mapping[int, bytes]:
        """As ``Traces.get``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FileMaps:
    """Maps of stored pictures from their files, read again.

    Attributes:
        extractor: What reads them.
        traces: Where the files' contents are of pictures that came without one.
    """

    extractor: Extractor
    traces: Contents

    def maps(self, picture: StoredPicture) -> Extraction | str:
        """The picture, from the first of its files that still holds its content; or why it cannot be seen."""
        seen = self.see(picture)
        return seen.reason if isinstance(seen, Skipped) else seen

    def see(self, picture: StoredPicture) -> Extraction | Skipped:
        """The same, with the picture's name where it cannot be seen: one picture never ends a run."""
        return self._of_file(
            picture, lambda file, path: self.extractor.extract_file(file, path, picture.content)
        )

    def read(self, picture: StoredPicture) -> Picture | Skipped:
        """Its pixels as the network would see them, without a pass of the network."""
        return self._of_file(picture, lambda file, path: self.extractor.reader.read(file))

    def content(self, picture: StoredPicture) -> bytes | Skipped:
        """The whole content of its file; or why there is none."""

        def read(file: BinaryIO, path: bytes) -> bytes:
            file.seek(0)
            return file.read(picture.lengths.get(path, MOST_BYTES))

        return self._of_file(picture, read)

    def _of_file(self, picture: StoredPicture, use: Callable[[BinaryIO, bytes], Seen]) -> Seen | Skipped:
        reason, code = "it has no file", UnreadableFileError.code
        for path in picture.paths:
            try:
                if not _may_hold(picture, path):
                    reason, code = _CHANGED, CHANGED
                    continue
                with one_picture(), self._open(picture, path) as file:
                    if _holds(file, picture, path):
                        return use(file, path)
                    reason, code = _CHANGED, CHANGED
            except PictureError as error:
                grown = is_remote(path) and isinstance(error, TooLargeError)
                reason, code = (_CHANGED, CHANGED) if grown else (error.message, error.code)
        return Skipped(picture.paths[0] if picture.paths else b"", reason, code)

    def _open(self, picture: StoredPicture, path: bytes) -> BinaryIO:
        if is_given(path):
            return BytesIO(self.traces.get(FILE_TRACE, [picture.record]).get(picture.record, b""))
        if path not in picture.lengths:
            # A collection may come from anybody, and name any file.
            raise UnreadableFileError(
                "its file lies in none of the collection's folders",
                remedy="index the folder, or add the file",
            )
        return open_file(path, most=picture.lengths[path])


def _may_hold(picture: StoredPicture, path: bytes) -> bool:
    """Whether to open a file, by what the system says of it: one of another length is another.

    No picture is empty, as some files are whose reading does something. Of one that is not there, or
    is no file, opening it tells that, and what lies elsewhere is asked when it is fetched.
    """
    said = picture.lengths.get(path)
    if said is None or is_given(path) or is_remote(path):
        return True
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return True
    return not stat.S_ISREG(found.st_mode) or 0 < said == found.st_size


def _holds(file: BinaryIO, picture: StoredPicture, path: bytes) -> bool:
    """Whether a file is what it was; no more of it is read than the collection says that it has."""
    said = picture.lengths.get(path, MOST_BYTES)
    return fingerprint(file, most=min(said, MOST_BYTES)) == picture.content


def _own_size(reader: PictureReader, region: Box) -> PictureReader:
    """A reader that scales nothing, and only rounds sides down to what the network takes."""
    longest = max(region[2] - region[0], region[3] - region[1])
    return replace(reader, resize=Resize("longer", longest, longest))


def _unscaled(grid: CellGrid, box: Box) -> Cells:
    """The cells of a box of the original's pixels, as if the picture had not been resized; at least one."""
    x1, y1, x2, y2 = box
    top, left = min(y1 // grid.stride, grid.rows - 1), min(x1 // grid.stride, grid.columns - 1)
    bottom = min(max(-(-y2 // grid.stride), top + 1), grid.rows)
    right = min(max(-(-x2 // grid.stride), left + 1), grid.columns)
    return top, bottom, left, right
