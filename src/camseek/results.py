"""What searches and index runs give back, and their JSON forms."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from camseek.names import path_json, path_text
from camseek.patterns import Patterns

Size = tuple[int, int]
"""Width and height, in pixels."""

Box = tuple[int, int, int, int]
"""``(x1, y1, x2, y2)``, pixels of the original upright picture, half-open."""


@dataclass(frozen=True, slots=True)
class View:
    """A picture as the network saw it, and where it looked.

    Attributes:
        pixels: (height, width, 3), uint8: the picture scaled down, upright, sRGB.
        heat: (rows, columns), float32 in [0, 1]: one value for each cell of the feature maps.
        stride: A cell covers ``stride`` x ``stride`` of the pixels, from the top left corner on.
        size: Width and height of the original, pixels.
    """

    pixels: UInt8[NDArray[np.uint8], "height width 3"]
    heat: Float32[NDArray[np.float32], "rows columns"]
    stride: int
    size: Size


@dataclass(frozen=True, slots=True)
class ClassScore:
    """A class the network sees, with its probability in [0, 1]."""

    id: int
    name: str
    probability: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"id": self.id, "name": self.name, "probability": round(self.probability, 6)}


@dataclass(frozen=True, slots=True)
class QueryPicture:
    """A picture of what was searched for.

    Attributes:
        path: Its name, or None for one that came as bytes.
        region: The user's box, or None for the whole picture.
        size: Width and height of the upright picture, pixels.
    """

    path: bytes | None
    region: Box | None
    size: Size

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **(path_json(self.path) if self.path is not None else {"path": None}),
            "region": list(self.region) if self.region else None,
            "size": list(self.size),
        }


@dataclass(frozen=True, slots=True)
class Query:
    """What was searched for: one thing, in one picture or several.

    Attributes:
        pictures: At least one.
        classes: The classes the network sees in them, most probable first; none without a classifier.
    """

    pictures: tuple[QueryPicture, ...]
    classes: tuple[ClassScore, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "pictures": [item.to_json() for item in self.pictures],
            "classes": [item.to_json() for item in self.classes],
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that a search did, in order.

    Attributes:
        name: ``ranking`` (stored descriptors), ``online`` or ``predefined`` (pictures described anew),
            ``re-ranking``, ``expansion``, or what another stage is called.
        pictures: How many pictures it compared, looked at or summed.
        classes: Ids of the query's classes that it used.
        details: What else is to say, plain values.
    """

    name: str
    pictures: int
    classes: tuple[int, ...] = ()
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"stage": self.name, "pictures": self.pictures, "classes": list(self.classes)} | self.details


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one stage said of a picture; stages with more to say have a class of their own.

    Attributes:
        stage: The stage's name.
        score: Its score, or None where it saw nothing to compare.
    """

    stage: str
    score: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON: every field."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}


@dataclass(frozen=True, slots=True)
class RegionEvidence(Evidence):
    """The region of a picture that matches the query best.

    Attributes:
        box: Pixels of the upright picture; None where nothing was seen in any region.
    """

    box: Box | None = None


@dataclass(frozen=True, slots=True)
class CellEvidence(Evidence):
    """How alike a picture's cells are to the query's.

    Attributes:
        likeness: From -1 to 1: the weighted mean of the best cosines.
    """

    likeness: float = -1.0


Corner = tuple[float, float]
"""x and y, pixels of the original upright picture; outside of it where a thing is cut off."""


MOST_POINTS = 200
"""The most matching points that are told of an outline."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchingPoints:
    """Correspondences that agree: points of the query's picture and of the hit's that show the same.

    Equal where all of them are.

    Attributes:
        query: float32 (N, 2), x to the right and y down, pixels of the query's original upright picture, all
            of it where a region was searched for; the most similar first. Read-only.
        picture: float32 (N, 2), for each the point of the hit's original upright picture. Read-only.

    Raises:
        ValueError: They are not equally many.
    """

    query: Float32[NDArray[np.float32], "N 2"]
    picture: Float32[NDArray[np.float32], "N 2"]

    def __post_init__(self) -> None:
        for name in ("query", "picture"):
            fixed = np.array(getattr(self, name), np.float32) + np.float32(0)  # no -0.0, which equals 0.0
            fixed.flags.writeable = False
            object.__setattr__(self, name, fixed)
        if len(self.query) != len(self.picture):
            raise ValueError(f"{len(self.query)} points of a query do not match {len(self.picture)} of a hit")

    def __len__(self) -> int:
        return len(self.query)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MatchingPoints):
            return NotImplemented
        return np.array_equal(self.query, other.query) and np.array_equal(self.picture, other.picture)

    def __hash__(self) -> int:
        return hash((self.query.tobytes(), self.picture.tobytes()))

    def __repr__(self) -> str:
        return f"<{len(self)} matching points>"

    def to_json(self) -> list[list[float]]:
        """Plain values for JSON: x and y in the query's picture, x and y in the hit's, for each."""
        return np.hstack([self.query, self.picture]).astype(np.float64).round(2).tolist()


@dataclass(frozen=True, slots=True)
class Outline:
    """Where a picture shows the thing once.

    Attributes:
        corners: Where the query's corners lie: of its region, or of all of it; from its top left one on, as
            the hands of a clock go.
        box: What of it is in the picture.
        points: How many points lie as those of the query do.
        turn: How far it is turned against the query, degrees in (-180, 180], as the hands of a clock go.
        scale: How many pixels of the picture one of the query has become, above 0.
        mirrored: Left and right are exchanged.
        query_picture: Which of the query's pictures it shows it as, from 0: its place in ``Query.pictures``.
        matching_points: Those that lie alike, the 200 most similar at most. They may be more than ``points``,
            where one whose place could also be another counts for its share alone.
    """

    corners: tuple[Corner, Corner, Corner, Corner]
    box: Box
    points: int
    turn: float
    scale: float
    mirrored: bool
    query_picture: int
    matching_points: MatchingPoints

    def __str__(self) -> str:
        """In words: ``turned by 30 degrees, 0.8 times as large, mirrored``; ``of the same size`` at 1."""
        turned = f"turned by {self.turn:.0f} degrees, " if abs(self.turn) >= 1 else ""
        mirrored = ", mirrored" if self.mirrored else ""
        times = f"{self.scale:.2g}"
        size = "of the same size" if times == "1" else f"{times} times as large"
        return f"{turned}{size}{mirrored}"

    def to_json(self, *, points: bool = False) -> dict[str, Any]:
        """Plain values for JSON.

        Args:
            points: With the matching points.
        """
        told = {"matching_points": self.matching_points.to_json()} if points else {}
        return {
            "corners": [[round(x, 2), round(y, 2)] for x, y in self.corners],
            "box": list(self.box),
            "points": self.points,
            "turn": round(self.turn, 1),
            "scale": round(self.scale, 4),
            "mirrored": self.mirrored,
            "query_picture": self.query_picture,
            **told,
        }


@dataclass(frozen=True, slots=True)
class MatchEvidence(Evidence):
    """Whether points of a picture lie as those of the query do.

    Attributes:
        points: How many do, at the place where most do; 0 where no place was found.
        outlines: Where the thing is shown, most points first; none where as many agree by chance.
        fine: How many fine points do, where the words' leave it undecided and such are stored; 0 where no
            more do than by chance. None where it was not looked at.
    """

    points: int = 0
    outlines: tuple[Outline, ...] = ()
    fine: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a picture shows the same thing, in the words of a stage that decides.

    Attributes:
        same: True, False, or None where the stage is not sure enough of either.
        probability: Of its showing the thing, in [0, 1].
        reason: Why, for people.
    """

    same: bool | None
    probability: float
    reason: str = ""

    @property
    def word(self) -> str:
        """``present``, ``unsure`` or ``not shown``."""
        return {True: "present", False: "not shown", None: "unsure"}[self.same]

    def __str__(self) -> str:
        """In words: ``present (93 %): 41 points agree``."""
        return f"{self.word} ({self.probability:.0%})" + (f": {self.reason}" if self.reason else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "verdict": self.word,
            "same": self.same,
            "probability": round(self.probability, 6),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Chance:
    """From where on hits look no better than those of a thing that the collection does not hold.

    Attributes:
        score: A hit stands out from this score on.
        others: What the collection's pictures reach that are most like the query without showing it.
        pictures: Of how many pictures this was seen.
    """

    score: float
    others: float
    pictures: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"score": round(self.score, 6), "others": round(self.others, 6), "pictures": self.pictures}


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search.

    Attributes:
        rank: From 1.
        record: The picture's number in the collection.
        paths_bytes: Every name of this content as the disk has it, those that are there first, else sorted;
            copies are one hit.
        score: What the last stage that could compare it gave; those of different stages do not compare.
            Stages of descriptors give the cosine with the query's, in [-1, 1], and -1 where one looked and
            saw nothing of the query's classes; joined ones standard deviations above the collection's mean,
            to which verification adds.
        scored_by: That stage.
        size: Width and height of the upright picture, pixels.
        box: Where the network looked for the query's classes (after re-ranking the region that matches best);
            None where there is none, or boxes were not asked for.
        box_reason: Why there is no box, though boxes were asked for, or None.
        kept: Why it could not be looked at again, so that it kept its place among those that were, or None.
        evidence: What each stage said, in order.
        verdict: Whether it shows the same thing; None where no stage decided.
        outlines: Where it shows the thing, if its points were compared with the query's and lie alike; all as
            one of the query's pictures does.
        stands_out: Whether its score is one that pictures of other things seldom reach; None where that
            cannot be told.
    """

    rank: int
    record: int
    paths_bytes: tuple[bytes, ...]
    score: float
    size: Size
    scored_by: str = "ranking"
    box: Box | None = None
    box_reason: str | None = None
    kept: str | None = None
    evidence: tuple[Evidence, ...] = ()
    verdict: Verdict | None = None
    outlines: tuple[Outline, ...] = ()
    stands_out: bool | None = None

    @property
    def path(self) -> str:
        """The first name, for people; one that is not UTF-8 shows U+FFFD and is opened by ``path_bytes``."""
        return path_text(self.paths_bytes[0])

    @property
    def path_bytes(self) -> bytes:
        """The first name as the disk has it: ``open`` takes it."""
        return self.paths_bytes[0]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every name, for people."""
        return tuple(map(path_text, self.paths_bytes))

    def to_json(self, *, points: bool = False) -> dict[str, Any]:
        """Plain values for JSON.

        Args:
            points: With the matching points of each of ``outlines``, some kilobytes each.
        """
        names = [path_json(path) for path in self.paths_bytes]
        record: dict[str, Any] = {
            "rank": self.rank,
            **names[0],
            "paths": [name["path"] for name in names],
            "score": self.score,
            "scored_by": self.scored_by,
            "box": list(self.box) if self.box else None,
            "size": list(self.size),
            "evidence": [item.to_json() for item in self.evidence],
            "verdict": self.verdict.to_json() if self.verdict else None,
            "outlines": [item.to_json(points=points) for item in self.outlines],
            "stands_out": self.stands_out,
        }
        if any("path_bytes" in name for name in names):
            record["paths_bytes"] = [name.get("path_bytes") for name in names]
        if self.box_reason:
            record["box_reason"] = self.box_reason
        if self.kept:
            record["kept"] = self.kept
        return record

    def to_row(self) -> dict[str, Any]:
        """One flat row of a table: plain values under fixed names."""
        x1, y1, x2, y2 = self.box or (None, None, None, None)
        return {
            "rank": self.rank,
            "score": self.score,
            "path": self.path,
            "record": self.record,
            "scored_by": self.scored_by,
            "width": self.size[0],
            "height": self.size[1],
            "x1": x1,
            "y1": y1,
            "x2": x2,
            "y2": y2,
            "copies": len(self.paths_bytes) - 1,
            "verdict": self.verdict.word if self.verdict else None,
            "probability": self.verdict.probability if self.verdict else None,
            "stands_out": self.stands_out,
        }


def last_shown(hits: Sequence[Hit]) -> int | None:
    """How many hits go before all that are found not to show the thing; None where no verdict says so.

    Hits behind the last one that may show it, where one of those has a verdict.
    """
    count = max((hit.rank for hit in hits if hit.verdict and hit.verdict.same is not False), default=0)
    return count if any(hit.verdict for hit in hits[count:]) else None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A search and its hits, best first.

    Attributes:
        query: What was searched for.
        collection: The collection's address.
        settings: What the search was made with, plain values.
        seconds: From reading the query to the last box.
        searched: Number of pictures compared.
        hits: Best first; but for those that keep their place, by score, then record.
        stages: What was done, in order.
        chance: From where on hits look no better than chance; None where that cannot be told (fewer than 100
            pictures, or stages after the first, whose scores it was not measured for).
        query_views: For each picture of the query it and its heat map, where views were asked for.
        views: For each hit its picture and heat map, or why it cannot be seen; none where none were asked
            for.
    """

    query: Query
    collection: str
    settings: dict[str, Any]
    seconds: float
    searched: int
    hits: tuple[Hit, ...]
    stages: tuple[Stage, ...] = ()
    chance: Chance | None = None
    query_views: tuple[View, ...] = ()
    views: tuple[View | str, ...] = ()

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __getitem__(self, place: int) -> Hit:
        """A hit by its place, from 0."""
        return self.hits[place]

    def rows(self) -> list[dict[str, Any]]:
        """A flat row for each hit: ``pandas.DataFrame(result.rows())`` is a table."""
        return [hit.to_row() for hit in self.hits]

    def to_json(self, *, points: bool = False) -> dict[str, Any]:
        """Plain values for JSON; arguments as ``Hit.to_json``."""
        return {
            "query": self.query.to_json(),
            "collection": self.collection,
            "settings": self.settings,
            "seconds": round(self.seconds, 4),
            "searched": self.searched,
            "stages": [stage.to_json() for stage in self.stages],
            "chance": self.chance.to_json() if self.chance else None,
            "hits": [hit.to_json(points=points) for hit in self.hits],
        }


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be used, and why."""

    path: bytes
    reason: str
    code: str

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**path_json(self.path), "reason": self.reason, "code": self.code}


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Files that leave a collection, or would.

    Attributes:
        files: How many.
        of: How many the root had.
        reasons: How many for each reason: ``missing``, ``excluded`` (by patterns, or hidden), or a code of
            skipped files such as ``damaged`` or ``not_a_picture``.
        folders: How many for each folder, most first: the highest that is missing, or the file's own.
        more_folders: Folders beyond those.
        names: They, sorted.
        held: They stay, as so many must be asked for.
    """

    files: int
    of: int
    reasons: Mapping[str, int]
    folders: Mapping[bytes, int]
    more_folders: int = 0
    names: tuple[bytes, ...] = ()
    held: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "files": self.files,
            "of": self.of,
            "held": self.held,
            "reasons": dict(self.reasons),
            "folders": [path_json(path) | {"files": files} for path, files in self.folders.items()],
            "more_folders": self.more_folders,
            "names": [path_json(path) for path in self.names],
        }


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file.

    Attributes:
        what: ``added``, ``changed``, ``moved``, ``removed`` or ``skipped``.
        path: Its name.
        old: Its name before, where it was moved.
    """

    what: str
    path: bytes
    old: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        moved = {"from": path_json(self.old)} if self.old is not None else {}
        return {"change": self.what, **path_json(self.path), **moved}


@dataclass(frozen=True, slots=True)
class OldRoot:
    """An indexed folder that is not there any more, and whose pictures the run found in another.

    Attributes:
        path: Its name.
        files: How many of its files were found.
        of: How many it had.
        moved: It was moved, or renamed: its names went. Else what was found may be a copy: they stay.
    """

    path: bytes
    files: int
    of: int
    moved: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**path_json(self.path), "files": self.files, "of": self.of, "moved": self.moved}


@dataclass(slots=True)
class IndexReport:
    """What an index run did; counts are files, not contents.

    Attributes:
        collection: The collection's address.
        added: Files that came in.
        changed: Files whose content is another than before.
        unchanged: Files with the content they had, touched ones included.
        moved: Files whose content stood under a name that is gone.
        removed: Files that left the collection.
        copies: Of the added and changed files, those whose content was there already.
        encoded: Pictures that went through the network.
        featureless: Of those, pictures on which the network sees nothing: they have no descriptor.
        ignored: Other files in the folder, no pictures.
        skipped: Files that could not be used.
        unknown: Folders that could not be read; what was known of them is kept.
        warnings: What was odd about pictures that were indexed all the same.
        seconds: Duration of the run.
        dry_run: Nothing was done: it is what would be.
        skipped_before: Names of skipped files that an earlier run skipped for the same reason.
        removal: What left, or was held back because so many files must be asked for; None: nothing.
        patterns: What the run took and left out.
        patterns_from: ``given``, ``stored`` with the root, or ``moved`` along with it.
        patterns_before: Those of earlier runs that are not among the ones that the run was given, which take
            their place.
        idle_patterns: Patterns that nothing matched.
        old_roots: Roots that are not there any more and whose pictures the run found.
        changes: What becomes of each file that does not stay as it is; kept by dry runs alone.
    """

    collection: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    copies: int = 0
    encoded: int = 0
    featureless: int = 0
    ignored: int = 0
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    unknown: list[Skipped] = field(default_factory=list[Skipped])
    warnings: list[Skipped] = field(default_factory=list[Skipped])
    seconds: float = 0.0
    dry_run: bool = False
    skipped_before: set[bytes] = field(default_factory=set[bytes])
    removal: Removal | None = None
    patterns: Patterns = field(default_factory=Patterns)
    patterns_from: str = "given"
    patterns_before: Patterns = field(default_factory=Patterns)
    idle_patterns: tuple[str, ...] = ()
    old_roots: list[OldRoot] = field(default_factory=list[OldRoot])
    changes: list[Change] = field(default_factory=list[Change])

    @property
    def held(self) -> bool:
        """Whether files were to leave and stayed: so many must be asked for (``allow_removal``)."""
        return self.removal is not None and self.removal.held

    @property
    def pictures_per_second(self) -> float:
        """Encoded pictures a second, walking and writing included."""
        return self.encoded / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        changes = {"changes": [item.to_json() for item in self.changes]} if self.dry_run else {}
        return {
            "collection": self.collection,
            "dry_run": self.dry_run,
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "moved": self.moved,
            "removed": self.removed,
            "copies": self.copies,
            "encoded": self.encoded,
            "featureless": self.featureless,
            "ignored": self.ignored,
            "removal": self.removal.to_json() if self.removal else None,
            "skipped": [item.to_json() for item in self.skipped],
            "skipped_before": len(self.skipped_before),
            "unknown_folders": [item.to_json() for item in self.unknown],
            "warnings": [item.to_json() for item in self.warnings],
            "patterns": self.patterns.to_json()
            | {
                "from": self.patterns_from,
                "idle": list(self.idle_patterns),
                "before": self.patterns_before.to_json() if self.patterns_before else None,
            },
            "old_roots": [item.to_json() for item in self.old_roots],
            "seconds": round(self.seconds, 3),
            "pictures_per_second": round(self.pictures_per_second, 2),
            **changes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveReport:
    """What left a collection because it was asked to.

    Attributes:
        collection: The collection's address.
        files: The files that left, sorted.
        names: How many for each name that was given, as the collection has it.
        unknown: Names of which nothing was known.
        dry_run: Nothing was done: it is what would be.
    """

    collection: str
    files: tuple[bytes, ...]
    names: Mapping[bytes, int]
    unknown: tuple[bytes, ...]
    dry_run: bool = False

    @property
    def removed(self) -> int:
        """How many files left."""
        return len(self.files)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "collection": self.collection,
            "dry_run": self.dry_run,
            "removed": self.removed,
            "names": [path_json(path) | {"files": files} for path, files in self.names.items()],
            "files": [path_json(path) for path in self.files],
            "unknown": [path_json(path) for path in self.unknown],
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the network sees in one picture.

    Attributes:
        path: The picture's name, or None for one that came without a file.
        size: Width and height of the upright picture, pixels.
        classes: Its most probable classes, most probable first.
        views: For each class, the picture with the class's activation map.
    """

    path: bytes | None
    size: Size
    classes: tuple[ClassScore, ...]
    views: tuple[View, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **(path_json(self.path) if self.path is not None else {"path": None}),
            "size": list(self.size),
            "classes": [item.to_json() for item in self.classes],
        }


def plain(value: Any) -> Any:
    """A setting as JSON takes it: tuples as lists, what has a JSON form in it, all else as it is."""
    if isinstance(value, tuple):
        return [plain(item) for item in cast("tuple[Any, ...]", value)]
    return value.to_json() if hasattr(value, "to_json") else value
