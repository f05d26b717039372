"""What goes over the wire: the API's own records, and those of results as ``to_json`` writes them.

A test holds these against ``camseek.results``: what one says the other knows.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Identity = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a picture's whole file, hexadecimal: what it is known by."""
Number = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Region = tuple[Number, Number, Number, Number]
Mark = Literal["right", "wrong"]


class Strict(BaseModel):
    """A record that knows no more than it says."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable word for programs.")
    remedy: str | None = Field(default=None, description="What to do about it.")


class Picture(Strict):
    """A picture of a collection."""

    id: Identity
    name: str = Field(description="From the folder on that was indexed; text, never HTML.")
    names: list[str] = Field(description="Every name of this content.")
    size: tuple[int, int] = Field(description="Width and height, upright, pixels.")
    format: str
    bytes: int
    featureless: bool = Field(description="The network sees nothing in it: it is found by its points alone.")
    present: bool | None = Field(
        default=None, description="Whether its file is there; told of single pictures."
    )
    date: str | None = Field(
        default=None, description="When its file was last written, UTC; null where it has none."
    )
    taken: str | None = Field(
        default=None,
        description="When it was taken, as its EXIF data says, local time; where that may be told.",
    )
    columns: dict[str, str] | None = Field(default=None, description="What the user's own table says of it.")
    links: dict[str, str] | None = Field(
        default=None, description="Where that leads, by the column, for columns that lead anywhere."
    )


class PicturePage(Strict):
    """Some pictures of a list."""

    total: int
    offset: int
    next: str | None = Field(description="`after` of the next page; null behind the last.")
    pictures: list[Picture]


class Folder(Strict):
    """A folder within an indexed one, as pictures' names begin with it."""

    name: str
    files: int


class ServerFolder(Strict):
    """A folder of the machine that may be added, by a name that says nothing of where it lies."""

    name: str
    folders: list[str] = Field(description="Names of those in it, to be looked into or added.")


class SkippedFile(Strict):
    """A file that could not be used."""

    name: str
    reason: str
    code: str


class CollectionLimits(Strict):
    """What the service takes."""

    upload_bytes: int
    top: int
    parts: int


class JobRecord(Strict):
    """Work that goes on by itself."""

    id: str
    kind: str
    collection: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int
    total: int | None
    rate: float | None = Field(description="How many a second.")
    seconds_left: float | None
    created: str
    ended: str | None
    report: dict[str, Any] | None
    problem: Problem | None


class ModelRecord(Strict):
    """A network that is here."""

    name: str
    checksum: str = Field(description="SHA-256 of its file.")


class BesideRecord(Strict):
    """How another network describes the pictures, beside the one in use."""

    model: str
    checksum: str
    layer: str
    kept: bool = Field(
        description="It was in use before an upgrade, and can be gone back to; otherwise it is in the making."
    )
    done: int = Field(description="Pictures that are described by it.")


class CollectionRecord(Strict):
    """A collection."""

    name: str
    pictures: int
    files: int
    skipped: int
    featureless: int
    created: str
    model: str = Field(description="The network that pictures are told apart by.")
    model_checksum: str
    layer: str
    beside: BesideRecord | None = Field(
        default=None, description="What an upgrade has in the making, or keeps to go back to."
    )
    keeps: list[str]
    columns: list[str] = Field(description="Of the user's own table.")
    classifier: bool
    writable: bool
    roots: list[Folder]
    job: JobRecord | None
    held: int = Field(
        description="Files that are gone and were held back, as so many must be asked for (`allow_removal`)."
    )
    limits: CollectionLimits


class UnusableCollection(Strict):
    """A collection that cannot be used just now."""

    name: str
    problem: Problem


class CollectionHealth(Strict):
    """Whether a collection can be used."""

    name: str
    status: Literal["ok", "failed"]
    reason: str | None = None
    code: str | None = Field(default=None, description="The reason's word, as requests for it are answered.")


class Health(Strict):
    """Whether everything can be used."""

    status: Literal["ok", "degraded"]
    version: str
    collections: list[CollectionHealth]


class Session(Strict):
    """What whoever asks may do."""

    scopes: list[Literal["read", "write"]]
    needs_token: bool
    folders: bool = Field(
        default=False, description="Folders of this machine may be added by their names (`/folders`)."
    )
    hosts: list[str] = Field(default=[], description="Hosts from which pictures and manifests are fetched.")


class Token(Strict):
    """A token, to be kept as a cookie."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Upload(Strict):
    """A query picture."""

    id: Identity
    size: tuple[int, int]
    format: str
    kept: bool
    warnings: list[str]


class Part(Strict):
    """A picture of the thing sought, or a region of one."""

    upload: Identity | None = None
    picture: Identity | None = None
    region: Region | None = Field(
        default=None,
        description="x1, y1, x2, y2: pixels, upright, half-open; null for all of it.",
    )

    @model_validator(mode="after")
    def _one(self) -> "Part":
        if (self.upload is None) == (self.picture is None):
            raise ValueError("a part is an upload or a picture of the collection")
        return self


class SearchOptions(Strict):
    """What is asked beyond the usual; each is `camseek search`'s option of the name."""

    first: Literal["descriptors", "words", "joined"] | None = None
    verify: Annotated[int, Field(ge=0, le=1000)] | None = None
    late_interaction: Annotated[int, Field(ge=0, le=1000)] | None = None
    expand_verified: Annotated[int, Field(ge=0, le=100)] | None = None
    false_alarms: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    attend: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(max_length=100)] = []
    classes: Annotated[int, Field(ge=1, le=1000)] | None = None
    rerank: Annotated[int, Field(ge=0, le=1000)] = 0
    expand: Annotated[int, Field(ge=0, le=100)] = 0


MOST_HITS = 1000
MOST_PARTS = 32


class SearchSettings(Strict):
    """How to search."""

    top: Annotated[int, Field(ge=1, le=MOST_HITS)] = 50
    without_self: bool = True
    points: bool = False
    fold: bool = Field(default=True, description="Near copies under the first of them.")
    changes: bool = Field(default=False, description="Tell how much each hit with an outline was changed.")
    options: SearchOptions = SearchOptions()


class SearchRequest(SearchSettings):
    """A search; several parts are one query of one thing."""

    query: Annotated[list[Part], Field(min_length=1, max_length=MOST_PARTS)]


class ClassScoreRecord(Strict):
    """A class the network sees."""

    id: int
    name: str
    probability: float


class ClassRecord(Strict):
    """A class the network knows."""

    id: int
    name: str


class VerdictRecord(Strict):
    """Whether a picture shows the same thing."""

    verdict: Literal["present", "unsure", "not shown"]
    same: bool | None
    probability: float
    reason: str


class OutlineRecord(Strict):
    """Where a picture shows it."""

    corners: list[tuple[float, float]]
    box: tuple[int, int, int, int]
    points: int
    turn: float
    scale: float
    mirrored: bool
    query_picture: int
    matching_points: list[tuple[float, float, float, float]] | None = None


class EvidenceRecord(BaseModel):
    """What one stage said; some say more."""

    model_config = ConfigDict(extra="allow")
    stage: str
    score: float | None


class StageRecord(BaseModel):
    """What a search did; some say more."""

    model_config = ConfigDict(extra="allow")
    stage: str
    pictures: int
    classes: list[int]


class HitRecord(Strict):
    """A result."""

    rank: int
    picture: Picture
    score: float
    scored_by: str
    verdict: VerdictRecord | None
    outlines: list[OutlineRecord]
    evidence: list[EvidenceRecord]
    kept: str | None
    stands_out: bool | None
    copies: list[Picture] = Field(description="Near copies of it that were hits, too.")
    mark: Mark | None
    marked_region: Region | None = Field(default=None, description="Where the user says that it is.")
    change: float | None = Field(
        default=None,
        description="How much it differs from the query within its outline, 0 (a copy) to 1; if asked for.",
    )


class MissedRecord(Strict):
    """A picture that the user says is right, and that was not among the hits."""

    picture: Picture
    region: Region | None = Field(description="Where it shows it, as the user drew it.")


class QueryRecord(Strict):
    """A part of the query, as it was read."""

    id: Identity
    upload: bool
    region: tuple[int, int, int, int] | None
    size: tuple[int, int]


class SearchRecord(Strict):
    """What a search found, so far or at its end."""

    collection: str
    model: str = Field(description="The network that it was made with: another one once an upgrade is done.")
    final: bool
    seconds: float
    searched: int
    pictures: int
    classes: list[ClassScoreRecord]
    query: list[QueryRecord]
    hits: list[HitRecord]
    stages: list[StageRecord]
    present: int = Field(description="Hits that are found to show it.")
    not_here: bool = Field(description="Verified, and none is found to show it or may do so.")
    weak_from: int | None = Field(description="From this rank on none is found to show it.")
    missed: list[MissedRecord] = Field(
        default=[], description="Pictures that the user marked as right, and that are no hits."
    )


class MarkRequest(Strict):
    """What the user says of a hit, or of a picture that was missed."""

    query: Annotated[list[Part], Field(min_length=1, max_length=MOST_PARTS)]
    picture: Identity
    mark: Mark | None
    region: Region | None = Field(
        default=None,
        description="right: where the picture shows it, as the user drew it; `Part.region`'s form.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "MarkRequest":
        if self.region is not None and self.mark != "right":
            raise ValueError("only what is right has a place")
        return self


class MarkRecord(Strict):
    """What the user said of a hit."""

    query: list[Part]
    picture: Picture | None = Field(description="Null where it has left the collection.")
    id: Identity
    mark: Mark
    region: Region | None
    at: str


class Marked(Strict):
    """What is now said of it."""

    mark: Mark | None
    region: Region | None = None


class Removed(Strict):
    """What left the collection, or will."""

    removed: int
    coming_back: int = Field(description="Of these, files that the next update of a folder brings back.")
    job: JobRecord | None = Field(
        default=None, description="That is to remove it, where the collection is written to just now."
    )


class JobRequest(Strict):
    """Work to be done."""

    kind: Literal[
        "index", "enrich", "fit", "groups", "upgrade", "undo_upgrade", "forget_upgrade", "discard_upgrade"
    ]
    collection: str
    folder: Annotated[str, StringConstraints(max_length=4096)] | None = Field(
        default=None,
        description="index: a folder of the server's by its name (`/folders`), or, where paths are allowed, "
        "by its path; null: those known.",
    )
    allow_removal: bool = Field(
        default=False,
        description="index: let go whatever has gone; upgrade, undo_upgrade: let go pictures whose files "
        "have gone or changed.",
    )
    model: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="upgrade: the network to go over to, by its name (`/models`)."
    )
    layer: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="upgrade: the layer of it that gives the maps; null for its own choice."
    )

    @model_validator(mode="after")
    def _fits(self) -> "JobRequest":
        if (self.kind == "upgrade") != (self.model is not None) or (self.layer and not self.model):
            raise ValueError("an upgrade, and nothing else, names a model")
        if self.folder is not None and self.kind != "index":
            raise ValueError("a folder is indexed, and nothing else is done with it")
        return self


class GroupRecord(Strict):
    """Pictures that show the same thing."""

    id: str
    size: int
    pictures: list[Picture]


class BatchQuery(Strict):
    """One of many queries."""

    name: Annotated[str, StringConstraints(max_length=500)]
    query: Annotated[list[Part], Field(min_length=1, max_length=MOST_PARTS)]


MOST_QUERIES = 1000


class BatchRequest(Strict):
    """Many queries, each answered on its own."""

    queries: Annotated[list[BatchQuery], Field(min_length=1, max_length=MOST_QUERIES)]
    top: Annotated[int, Field(ge=1, le=100)] = 5
    without_self: bool = True
    options: SearchOptions = SearchOptions()


class BatchHit(Strict):
    """A hit of one of many queries."""

    id: Identity
    name: str
    score: float
    verdict: str | None
    probability: float | None
    box: tuple[int, int, int, int] | None


class BatchRow(Strict):
    """What one of many queries found, or why it could not be used."""

    number: int
    query: str
    region: tuple[int, int, int, int] | None = None
    verdict: str | None = Field(default=None, description="Of its first hit.")
    hits: list[BatchHit]
    problem: str | None = None


class TableRecord(Strict):
    """The user's own table of pictures."""

    columns: list[str] = Field(description="Beside that of the files' names.")
    rows: int
    matched: int = Field(description="Pictures of the collection of which it says something.")
    ambiguous: list[str] = Field(
        description="Names in it that several pictures have, in several folders: of none of them it is told."
    )
    links: dict[str, str] = Field(
        description="What values of a column lead to: an address with `{COLUMN}` in the place of values."
    )


class TableLinks(Strict):
    """What values of the user's own table lead to."""

    links: Annotated[dict[str, str], Field(max_length=50)] = Field(
        description="By the column, addresses with `{COLUMN}` behind their hosts in the place of values."
    )


class ValueRecord(Strict):
    """What a column of the user's own table says."""

    value: str = Field(description="Empty for pictures of which it says nothing.")
    pictures: int


class RemotePicture(Strict):
    """A picture on another server."""

    url: Annotated[str, StringConstraints(max_length=4096)]


class ManifestRequest(Strict):
    """A IIIF manifest, and what its pictures are for."""

    url: Annotated[str, StringConstraints(max_length=4096)]
    use: Literal["add", "batch"] = Field(description="Into the collection, or as queries of it.")
