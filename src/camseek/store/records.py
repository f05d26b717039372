"""What is stored and what is told of it: plain values."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from camseek.config import PARTS, Settings
from camseek.names import path_json, path_text, paths_json
from camseek.numerics import F32, F64, I64
from camseek.patterns import Patterns
from camseek.results import Size, Skipped
from camseek.words import counted

STEPS = 1000
"""Of how many steps of a cosine from 0 to 1 it is counted how many have it."""


def step_of(scores: Float32[F32, "..."]) -> Int64[I64, "..."]:
    """The steps of cosines, as ``Ranking.spread`` counts them."""
    steps = np.floor((scores + 1) * STEPS).astype(np.int64)
    return steps.clip(0, 2 * STEPS - 1)


MOST_SHARDS = 1024
"""In so many parts at most a collection on a server is searched."""

ADDED_BY_HAND = 0
"""The root of files that ``add`` brought: no folder reconciles them."""

POINTS = "points"
"""The part of a collection that its pictures' local features are (``camseek.config.PARTS``)."""
POINTS_TRACE = "points-1"
"""The trace of a picture's local features, as visual words of the codebook that ships. Another codebook is
another number: what was made with the one before is then missing, and ``camseek enrich`` makes it anew."""

FINE = "fine"
"""The part of a collection that its pictures' fine points are; without ``points`` nobody asks for them."""
FINE_TRACE = "fine-1"
"""The trace of a picture's fine points, by the network and on the axes that ship; as ``POINTS_TRACE``."""

SKETCH = "sketch"
"""The part of a collection that its pictures' sketches are (``camseek.encoding.sketch``); without ``points``
nobody asks for them."""
SKETCH_TRACE = "sketch-1"
"""The trace of a picture's sketch: it names its axes itself."""

TRACES = {POINTS: POINTS_TRACE, FINE: FINE_TRACE, SKETCH: SKETCH_TRACE}
"""The kind of trace that each part of a collection is kept in."""

FILE_TRACE = "file"
"""The trace of a picture that came without a file: what its file would hold."""


NO_TRACES: Mapping[str, bytes] = MappingProxyType({})
"""Of a picture that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiteningNote:
    """What a collection's whitening was fitted on.

    Attributes:
        folder: The folder of the pictures; None for the collection's own.
        pictures: Pictures that gave samples.
        samples: Vectors it was fitted on.
        sample_classes: N_pca, the classes of each picture that gave class vectors; None for an encoding that
            has none.
        predefined: Whether these were the first of the collection's class list (paper section 4.3). Earlier
            versions took each picture's own, also where there was a list.
        channels: Length of a vector before it.
        dimensions: Length of a vector after it.
        fitted: When, UTC.
        checksum: SHA-256 of the matrix, hexadecimal.
    """

    folder: bytes | None
    pictures: int
    samples: int
    sample_classes: int | None
    channels: int
    dimensions: int
    fitted: str
    checksum: str
    predefined: bool = False

    def __str__(self) -> str:
        """One line for people."""
        of = "the collection's own" if self.folder is None else path_text(self.folder)
        classes = ""
        if self.sample_classes is not None:
            listed = " of the class list" if self.predefined else ""
            classes = f", {counted(self.sample_classes, 'class', 'classes')}{listed} each"
        return (
            f"{self.channels} to {counted(self.dimensions, 'dimension')}, fitted {self.fitted} on "
            f"{counted(self.samples, 'sample')} of {counted(self.pictures, 'picture')} ({of}{classes}), "
            f"checksum {self.checksum[:12]}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_json`` reads them back."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"folder": None if self.folder is None else path_json(self.folder)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "WhiteningNote":
        """Reads what ``to_json`` gave.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: It did not give this.
        """
        values, folder = dict(data), data["folder"]
        if folder is not None:
            coded = folder.get("path_bytes")
            values["folder"] = folder["path"].encode() if coded is None else base64.b64decode(coded)
        made = cls(**values)
        counts = (made.pictures, made.samples, made.channels, made.dimensions, made.sample_classes or 0)
        texts = (made.fitted, made.checksum)
        if not all(type(count) is int and 0 <= count < 1 << 53 for count in counts):
            raise ValueError("a count of a whitening's note is none")
        if not all(isinstance(text, str) and len(text) < 100 for text in texts):  # pyright: ignore[reportUnnecessaryIsInstance]  # damaged files
            raise TypeError("a text of a whitening's note is none")
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What every descriptor of a collection was made with.

    Attributes:
        model: The model's name, for people.
        model_checksum: SHA-256 of its file, hexadecimal.
        settings: How pictures become descriptors.
        dimensions: Length of a descriptor.
        whitening: The matrix applied, as bytes, or None.
        whitening_note: What it was fitted on; None where there is none or nobody said.
        generation: Goes up by 1 whenever all descriptors are replaced (``camseek fit``).
        keeps: What is stored of each picture beside its descriptor, of ``PARTS``: traces of these kinds.
    """

    model: str
    model_checksum: str
    settings: Settings
    dimensions: int
    whitening: bytes | None = field(default=None, repr=False)  # megabytes
    whitening_note: WhiteningNote | None = None
    generation: int = 0
    keeps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """Another representation of a whole collection: its descriptors, and the traces that go with them.

    Attributes:
        asked: What was asked for: a run that asks for the same goes on with it.
        profile: The collection's once this is in use. Its ``generation`` is the collection's own affair, and
            so are those of its ``keeps`` that no ``kinds`` belong to.
        kinds: The kinds of traces (values of ``TRACES``) that it has in the place of the collection's: none
            where the network is the same, the sketches where it is another. What is made of pixels alone,
            such as points, belongs to the pictures, whatever represents them.
    """

    asked: str
    profile: Profile
    kinds: tuple[str, ...] = ()

    def kept_after(self, keeps: tuple[str, ...]) -> tuple[str, ...]:
        """What a collection that keeps these parts keeps once this is in use."""
        ours = {part for part, kind in TRACES.items() if kind in self.kinds}
        wanted = (set(keeps) - ours) | (set(self.profile.keeps) & ours)
        return tuple(part for part in PARTS if part in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The representation beside the one in use: there is room for one.

    Attributes:
        refit: What it is.
        kept: It was in use, and is kept so that one can go back to it; otherwise it is in the making.
        done: How many pictures have it, featureless ones too.
    """

    refit: Refit
    kept: bool
    done: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        profile = self.refit.profile
        return {
            "kept": self.kept,
            "done": self.done,
            "model": profile.model,
            "model_checksum": profile.model_checksum,
            "layer": profile.settings.layer,
            "dimensions": profile.dimensions,
            "whitened": profile.whitening is not None,
        }


@dataclass(frozen=True, slots=True)
class Signature:
    """What the file system says of a file; when it is the same, so is the content.

    ``ctime_ns`` is -1 where the file was written so recently that a further write could go unnoticed.
    """

    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A known file: its picture's record number and its signature when it was read."""

    record: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """A file that could not be used, when it was tried, and with which camseek and limits."""

    signature: Signature
    skipped: Skipped
    tried_with: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRecord:
    """A picture to store.

    Attributes:
        content: SHA-256 of the whole file, 32 bytes.
        size: Of the upright picture, pixels.
        format: ``JPEG``, say.
        frames: How many pictures the file holds.
        descriptor: Float32, of unit length; None where the picture is featureless.
        traces: What else is kept of it: data by kind (1 to 40 of ``a-z 0-9 _ -``).
    """

    content: bytes
    size: Size
    format: str
    frames: int
    descriptor: Float32[F32, " D"] | None
    traces: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture of the collection.

    Attributes:
        record: Its number.
        content: SHA-256 of the whole file, 32 bytes.
        size: Width and height of the upright picture, pixels.
        paths: Every name of its content, sorted.
        lengths: How many bytes each of its files had, by name: of those that may be read again. What lies in
            none of the collection's folders may only where somebody brought it by hand.
        format: ``JPEG``, say.
        bytes: Size of the file.
        featureless: It has no descriptor: the network sees nothing in it.
        modified_ns: When the oldest of its files was last written, nanoseconds since 1970; None where it has
            no file.
        frames: How many pictures its files hold.
    """

    record: int
    content: bytes
    size: Size
    paths: tuple[bytes, ...]
    lengths: Mapping[bytes, int] = field(default_factory=dict[bytes, int])
    format: str = ""
    bytes: int = 0
    featureless: bool = False
    modified_ns: int | None = None
    frames: int = 1

    @property
    def path(self) -> str:
        """The first name, for people; empty where a damaged collection has none."""
        return path_text(self.paths[0]) if self.paths else ""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "record": self.record,
            **paths_json(self.paths),
            "size": list(self.size),
            "format": self.format,
            "bytes": self.bytes,
            "sha256": self.content.hex(),
            "featureless": self.featureless,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The records nearest to one query.

    Attributes:
        records: (k,), int64.
        scores: (k,), float64: their cosines in [-1, 1], descending; equal ones are ordered by record.
        compared: How many descriptors the query was compared with.
        spread: (2000,), int64: how many of these had which cosine, in steps of 0.001 from -1 on; None where
            nobody counted. Of a large collection cosines far from the best are rough (``Vectors.nearest``).
    """

    records: Int64[I64, " k"]
    scores: Float64[F64, " k"]
    compared: int
    spread: Int64[I64, " steps"] | None = None

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the scores of everything that was compared; 0 and 0 of nothing.

        Where not all scores are here, to half a step of the ``spread``, and as rough as that is.

        Raises:
            ValueError: Not all scores are here, and nobody counted them.
        """
        if self.spread is not None:
            values = (np.arange(len(self.spread)) + 0.5) / STEPS - 1
            counts = self.spread
        elif len(self.scores) == self.compared:
            values, counts = self.scores, np.ones(len(self.scores))
        else:
            raise ValueError("the scores of what was compared were not counted")
        total = counts.sum()
        if not total:
            return 0.0, 0.0
        mean = float(values @ counts / total)
        return mean, float(np.sqrt(np.square(values - mean) @ counts / total))

    def score_at(self, place: int) -> float | None:
        """The score at a place from the best on, from 1, to the step below it; None where nobody counted."""
        if self.spread is None or not 1 <= place <= self.compared:
            return None
        step = np.searchsorted(self.spread[::-1].cumsum(), place)
        return float(len(self.spread) - 1 - step) / STEPS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """An indexed folder.

    Attributes:
        number: Its number in the collection.
        path: Where it lies.
        files: How many files it brought.
        relative: Whether it is found from the collection's folder on, wherever both lie.
        patterns: What its index runs take and leave out.
        within: The innermost other root in which it lies, or None.
    """

    number: int
    path: bytes
    files: int
    relative: bool = False
    patterns: Patterns = field(default_factory=Patterns)
    within: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **path_json(self.path),
            "files": self.files,
            "relative": self.relative,
            "within": path_json(self.within) if self.within is not None else None,
            **self.patterns.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a collection holds.

    Attributes:
        address: Where it is.
        profile: What its descriptors were made with.
        format_version: Of its file: an older one moves with the next write.
        created: When, UTC.
        pictures: Contents, whatever their names.
        files: Names.
        featureless: Pictures without a descriptor: the network sees nothing on them.
        traces: How many pictures have a trace, by its kind.
        skipped: Files that could not be used.
        roots: Indexed folders by path, sorted.
        added_by_hand: Files that no folder brought.
        bytes: What it takes on the disk.
        beside: The representation beside the one in use, if there is one.
    """

    address: str
    profile: Profile
    format_version: int
    created: str
    pictures: int
    files: int
    featureless: int
    skipped: Sequence[Skipped]
    roots: Mapping[bytes, Root]
    added_by_hand: int
    bytes: int
    traces: Mapping[str, int] = field(default_factory=dict[str, int])
    beside: Beside | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "collection": self.address,
            "format_version": self.format_version,
            "created": self.created,
            "model": self.profile.model,
            "model_checksum": self.profile.model_checksum,
            "settings": self.profile.settings.to_json(),
            "dimensions": self.profile.dimensions,
            "keeps": list(self.profile.keeps),
            "whitened": self.profile.whitening is not None,
            "whitening": self.profile.whitening_note.to_json() if self.profile.whitening_note else None,
            "pictures": self.pictures,
            "files": self.files,
            "featureless": self.featureless,
            "traces": dict(self.traces),
            "skipped": [item.to_json() for item in self.skipped],
            "roots": [root.to_json() for root in self.roots.values()],
            "added_by_hand": self.added_by_hand,
            "bytes": self.bytes,
            "bytes_per_picture": round(self.bytes / self.pictures) if self.pictures else None,
            "beside": self.beside.to_json() if self.beside else None,
        }


@dataclass(frozen=True, slots=True)
class ShardTold:
    """What is told of a shard.

    Attributes:
        part: Which, such as ``1 of 3``.
        host: The machine on which it runs; empty where it does not answer.
        pictures: How many it holds; None where it does not answer, or has only begun.
        memory: Bytes that its process takes; 0 where nobody knows.
    """

    part: str
    host: str
    pictures: int | None
    memory: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"part": self.part, "host": self.host, "pictures": self.pictures, "memory": self.memory}
