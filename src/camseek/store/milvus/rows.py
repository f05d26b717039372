"""How a collection is written down in a Milvus server's rows, and read again: anybody may have written them.

Keys begin with the collection's name and a slash (``NAME`` below); a piece of a key is a digest or a word of
``a-z 0-9 _ - !``.

====================================  ================  =====================================================
key                                   in                what
====================================  ================  =====================================================
``NAME/!/head``                       ``ROWS``          what the collection says of itself
``NAME/!/s/SESSION``                  ``ROWS``          how far a writer has come: its last commit
``NAME/row/root/DIGEST``              ``ROWS``          an indexed folder, with its patterns
``NAME/row/file/DIGEST``              ``ROWS``          a file of a folder: its content and signature
``NAME/row/skip/DIGEST``              ``ROWS``          a file of a folder that could not be used
``NAME/row/gone/DIGEST``              ``ROWS``          that one of these, or a picture, went
``NAME/EPOCH/CONTENT``                pictures          a picture with its descriptor
``NAME/CONTENT/KIND/CRC/PART``        ``TRACES``        part of a trace, base64
``NAME/!w/EPOCH/PART``                ``TRACES``        part of a whitening, base64
====================================  ================  =====================================================

An *epoch* is a set of descriptors that were made alike. One is in use; another one may be beside it, which
``camseek fit`` or ``camseek upgrade`` has begun or keeps. A *session* is one writer, and each row says in
which of its commits it was written.
"""

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Float32

from camseek.errors import CollectionVersionError, CorruptCollectionError, SettingsError
from camseek.names import is_given, is_remote
from camseek.numerics import F32
from camseek.patterns import Patterns
from camseek.results import Size, Skipped
from camseek.store.database import FORMAT_VERSION, STORED, corrupt
from camseek.store.meta import PROFILE_KEYS
from camseek.store.milvus.server import TEXT
from camseek.store.records import Signature, SkippedEntry

FORMAT = 1
"""The version of this."""
HEAD_KEYS = ("created", *(key for key in PROFILE_KEYS if key != "whitening"))
"""The rows of a folder's ``meta`` that a collection's head repeats; the whitening lies apart."""

_CONTENT, _TOKEN = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{16}")
_KIND = re.compile("[a-z0-9_-]{1,40}")
_CODE = re.compile("[a-z_]{1,40}")
# A whitening of 65,536 x 65,536 is refused by ``meta`` anyway.
_MOST_PARTS = 10_000
_MOST_KINDS = 50
_NO_VECTOR = [0.0, 0.0]


@dataclass(frozen=True, slots=True)
class HeadBeside:
    """What a collection says of the representation beside the one in use.

    Attributes:
        epoch: Of its descriptors.
        parts: Of its whitening.
        told: The row of ``meta`` for it (``camseek.store.meta.slot_rows``).
    """

    epoch: str
    parts: int
    told: str

    @property
    def dimensions(self) -> int:
        """The length of its descriptors."""
        return int(json.loads(self.told)["dimensions"])


@dataclass(frozen=True, slots=True)
class Head:
    """What a collection says of itself.

    Attributes:
        identity: Another for each collection that is made, also under an old name.
        epoch: Of its descriptors.
        before: Epochs of which rows may still be there.
        parts: Of its whitening.
        meta: Rows of ``meta``, without the whitening.
        beside: The representation beside the one in use, if there is one.
        forgot: How often writers were forgotten: whoever knows another number looks at everything.
    """

    identity: str
    epoch: str
    before: tuple[str, ...]
    parts: int
    meta: dict[str, Any]
    beside: HeadBeside | None = None
    forgot: int = 0

    @property
    def dimensions(self) -> int:
        """D, the length of a descriptor."""
        return int(self.meta["dimensions"])

    @property
    def lengths(self) -> dict[str, int]:
        """The lengths of descriptors by epoch: of the one in use, and of the one beside."""
        beside = self.beside
        return {self.epoch: self.dimensions} | ({beside.epoch: beside.dimensions} if beside else {})


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A picture.

    Attributes:
        content: SHA-256 of its file, 32 bytes.
        size: Of the upright picture, pixels.
        format: ``JPEG``, say.
        frames: How many pictures the file holds.
        featureless: It has no descriptor.
        came: Its record with the writer that brought it: by this the mirrors number pictures.
        traces: Length and CRC-32 of its traces by kind.
    """

    content: bytes
    size: Size
    format: str
    frames: int
    featureless: bool
    came: int
    traces: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file that a folder brought, or somebody by hand (an empty root)."""

    path: bytes
    root: bytes
    content: bytes
    signature: Signature


class Names:
    """The keys of a collection."""

    def __init__(self, name: str) -> None:
        self.all = f"{name}/"
        self.state = f"{name}/!/"
        self.head = f"{name}/!/head"
        self.rows = f"{name}/row/"

    def session(self, session: int) -> str:
        """The key of a writer's row."""
        return f"{self.state}s/{session}"

    def of_kind(self, kind: str) -> str:
        """How the keys of a kind of rows begin."""
        return f"{self.rows}{kind}/"

    def kind_of(self, key: str) -> str:
        """The kind of a row."""
        return key[len(self.rows) :].partition("/")[0]

    def gone(self, kind: str, *parts: bytes) -> str:
        """The key of the row that says that another one went."""
        return self.row("gone", kind.encode(), *parts)

    def row(self, kind: str, *parts: bytes) -> str:
        """The key of a row of a kind about these names."""
        told = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        return f"{self.of_kind(kind)}{hashlib.sha256(told).hexdigest()[:32]}"

    def epoch(self, epoch: str) -> str:
        """How the keys of an epoch's pictures begin."""
        return f"{self.all}{epoch}/"

    def picture(self, epoch: str, content: bytes) -> str:
        """The key of a picture."""
        return f"{self.epoch(epoch)}{content.hex()}"

    def trace(self, content: bytes, kind: str, length: int, crc: int) -> list[str]:
        """The keys of a trace of so many bytes and this checksum: one that replaces it has others."""
        stem = f"{self.all}{content.hex()}/{kind}/{crc:08x}"
        return [f"{stem}/{part:04}" for part in range(parts_of(length))]

    def whitening(self, epoch: str, parts: int) -> list[str]:
        """The keys of a whitening."""
        return [f"{self.all}!w/{epoch}/{part:04}" for part in range(parts)]


def parts_of(length: int) -> int:
    """In how many parts so many bytes are written; even of nothing there is one."""
    return max(1, math.ceil(4 * math.ceil(length / 3) / TEXT))


def pieces(
    keys: Sequence[str], data: bytes, session: int, seq: int, content: str = ""
) -> Iterable[dict[str, Any]]:
    """The rows of some bytes."""
    text = base64.b64encode(data).decode("ascii")
    for place, key in enumerate(keys):
        yield row(key, text[place * TEXT : (place + 1) * TEXT], session, seq, content=content)


def joined(parts: Iterable[str]) -> bytes:
    """The bytes of ``pieces``.

    Raises:
        ValueError: They are none.
    """
    return base64.b64decode("".join(parts), validate=True)


def row(
    key: str, text: str, session: int, seq: int, *, content: str = "", vector: list[float] | None = None
) -> dict[str, Any]:
    """A row as Milvus takes it."""
    return {
        "key": key,
        "session": session,
        "seq": seq,
        "content": content,
        "text": text,
        "vector": _NO_VECTOR if vector is None else vector,
    }


def text_of(data: dict[str, Any]) -> str:
    """What is written into a row.

    Raises:
        ValueError: It is longer than a row takes.
    """
    text = json.dumps(data, separators=(",", ":"))
    if len(text) > TEXT:
        raise ValueError(f"a row would have {len(text):,} bytes; a Milvus server takes {TEXT:,}")
    return text


def as_vector(stored: bytes | None, dimensions: int) -> list[float]:
    """A stored descriptor as Milvus takes it: the same numbers; zeros for none."""
    if stored is None:
        return [0.0] * dimensions
    return np.frombuffer(stored, STORED).astype(np.float32).tolist()


def as_stored(vector: Any, dimensions: int) -> bytes:
    """A descriptor of Milvus's as a folder stores it.

    Raises:
        ValueError: It is not of unit length, or has other numbers than it was written with.
    """
    numbers: Float32[F32, " D"] = np.asarray(vector, np.float32)
    if numbers.shape != (dimensions,) or not abs(float(np.linalg.norm(numbers)) - 1) < 0.01:
        raise ValueError("a descriptor is not of unit length")
    stored = numbers.astype(STORED)
    if not np.array_equal(stored.astype(np.float32), numbers):
        raise ValueError("a descriptor is not of half precision")
    return stored.tobytes()


# -- what rows say ------------------------------------------------------------------------------------------


def head_text(head: Head) -> str:
    """The text of a head's row; ``head_of`` reads it."""
    return text_of(
        {
            "camseek": FORMAT,
            "identity": head.identity,
            "epoch": head.epoch,
            "before": head.before,
            "whitening": head.parts,
            "meta": head.meta,
            "forgot": head.forgot,
            "beside": head.beside and [head.beside.epoch, head.beside.parts, head.beside.told],
        }
    )


def head_of(address: str, text: str) -> Head:
    """What a collection says of itself.

    Raises:
        CollectionVersionError: A later camseek made it.
        CorruptCollectionError: It is damaged.
    """
    try:
        data = _object(text)
        version = _whole(data["camseek"], 1, 1 << 31)
        if version > FORMAT:
            raise CollectionVersionError(
                f"{address} has format {version} of collections on servers; this camseek knows {FORMAT}",
                remedy="upgrade camseek",
            )
        meta = dict(data["meta"])
        if not set(meta) <= set(HEAD_KEYS):
            raise ValueError("it says what no collection says of itself")
        return Head(
            identity=_match(_TOKEN, data["identity"]),
            epoch=_match(_TOKEN, data["epoch"]),
            before=tuple(_match(_TOKEN, epoch) for epoch in list(data["before"])),
            parts=_whole(data["whitening"], 0, _MOST_PARTS),
            meta=meta | {"format_version": FORMAT_VERSION},
            beside=_beside(data.get("beside")),
            forgot=_whole(data.get("forgot", 0), 0, 1 << 62),
        )
    except _WRONG as error:
        raise damaged(address, "what it says of itself", error) from error


def _beside(data: Any) -> HeadBeside | None:
    if data is None:
        return None
    epoch, parts, told = data
    _whole(_object(told)["dimensions"], 1, 1 << 16)
    return HeadBeside(_match(_TOKEN, epoch), _whole(parts, 0, _MOST_PARTS), told)


def picture_text(picture: PictureRow) -> str:
    """The text of a picture's row; ``picture_of`` reads it."""
    return text_of(
        {
            "size": picture.size,
            "format": picture.format,
            "frames": picture.frames,
            "featureless": picture.featureless,
            "came": picture.came,
            "traces": picture.traces,
        }
    )


def picture_of(address: str, content: Any, text: Any) -> PictureRow:
    """The picture of a row.

    Raises:
        CorruptCollectionError: It is none.
    """
    try:
        data = _object(text)
        width, height = data["size"]
        kinds = cast("dict[str, Any]", dict(data["traces"]))
        if len(kinds) > _MOST_KINDS or type(data["featureless"]) is not bool:
            raise ValueError("it has too many traces, or nobody says whether it has a descriptor")
        traces: dict[str, tuple[int, int]] = {}
        for kind, (length, crc) in kinds.items():
            traces[_match(_KIND, kind)] = _whole(length, 0, 1 << 31), _whole(crc, 0, (1 << 32) - 1)
        if not (
            isinstance(data["format"], str) and 0 < len(data["format"]) <= 40 and data["format"].isprintable()
        ):
            raise ValueError("it is of an impossible format")
        return PictureRow(
            content=bytes.fromhex(_match(_CONTENT, content)),
            size=(_whole(width, 1, (1 << 32) - 1), _whole(height, 1, (1 << 32) - 1)),
            format=data["format"],
            frames=_whole(data["frames"], 1, (1 << 32) - 1),
            featureless=data["featureless"],
            came=_whole(data["came"], 0, (1 << 63) - 1),
            traces=traces,
        )
    except _WRONG as error:
        raise damaged(address, f"the picture {content!r:.80}", error) from error


def file_text(file: FileRow) -> str:
    """The text of a file's row; ``file_of`` reads it."""
    return text_of({"path": _coded(file.path), "root": _coded(file.root), **_signature_json(file.signature)})


def file_of(address: str, content: Any, text: Any) -> FileRow:
    """The file of a row.

    Raises:
        CorruptCollectionError: It is none.
    """
    try:
        data = _object(text)
        return FileRow(
            path=_name(data["path"]),
            root=_root(data["root"]),
            content=bytes.fromhex(_match(_CONTENT, content)),
            signature=_signature(data),
        )
    except _WRONG as error:
        raise damaged(address, "a file", error) from error


def skipped_text(entry: SkippedEntry, root: bytes) -> str:
    """The text of the row of a file that could not be used; ``skipped_of`` reads it."""
    skipped = entry.skipped
    return text_of(
        {
            "path": _coded(skipped.path),
            "root": _coded(root),
            **_signature_json(entry.signature),
            "code": skipped.code,
            "reason": skipped.reason,
            "tried_with": entry.tried_with,
        }
    )


def skipped_of(address: str, text: Any) -> tuple[bytes, SkippedEntry]:
    """The root and the entry of a file that could not be used.

    Raises:
        CorruptCollectionError: It is none.
    """
    try:
        data = _object(text)
        reason, tried = data["reason"], data["tried_with"]
        if not (isinstance(reason, str) and isinstance(tried, str)) or len(reason) + len(tried) > 11_000:
            raise ValueError("it was skipped for no reason that camseek has")
        skipped = Skipped(_name(data["path"]), reason, _match(_CODE, data["code"]))
        return _root(data["root"]), SkippedEntry(_signature(data), skipped, tried)
    except _WRONG as error:
        raise damaged(address, "a file that could not be used", error) from error


def root_text(path: bytes, patterns: Patterns) -> str:
    """The text of a folder's row; ``root_of`` reads it."""
    kinds = {"include": patterns.include, "exclude": patterns.exclude}
    return text_of(
        {
            "path": _coded(path),
            **{kind: [_coded(os.fsencode(item)) for item in items] for kind, items in kinds.items()},
        }
    )


def root_of(address: str, text: Any) -> tuple[bytes, Patterns]:
    """A folder and its patterns.

    Raises:
        CorruptCollectionError: It is none, or the patterns cannot be.
    """
    try:
        data = _object(text)
        include, exclude = (
            tuple(os.fsdecode(_bytes(item)) for item in list(data[kind])) for kind in ("include", "exclude")
        )
        path = _root(data["path"])
        if not path:
            raise ValueError("a folder has no name")
        return path, Patterns(include, exclude)
    except _WRONG as error:
        raise damaged(address, "a folder", error) from error


def gone_text(kind: str, parts: Sequence[bytes]) -> str:
    """The text of a row that says that another one went; ``gone_of`` reads it.

    Args:
        kind: ``file``, ``skip`` or ``root``, or ``picture``.
        parts: What its key is made of: path and root, or path; or the content.
    """
    return text_of({"gone": kind, "parts": [_coded(part) for part in parts]})


def gone_of(address: str, text: Any) -> tuple[str, tuple[bytes, ...]]:
    """What went, as ``gone_text`` was given it.

    Raises:
        CorruptCollectionError: It is nothing that goes.
    """
    try:
        data = _object(text)
        read = _PARTS[data["gone"]]
        return data["gone"], tuple(one(part) for one, part in zip(read, list(data["parts"]), strict=True))
    except _WRONG as error:
        raise damaged(address, "what went", error) from error


class Come(NamedTuple):
    """How far a writer has come.

    Attributes:
        seq: Its last commit.
        gone: The last with which something went of which no row tells.
        took: The last with which anything went, or may go.
        open: Whether the last one is not whole: it is being written, or its writer was killed.
        head: Whether what the collection says of itself is about to be written with it.
    """

    seq: int = 0
    gone: int = 0
    took: int = 0
    open: bool = False
    head: bool = False

    @property
    def whole(self) -> int:
        """The last commit that is whole."""
        return self.seq - self.open


def session_text(come: Come) -> str:
    """The text of a writer's row; ``session_of`` reads it."""
    return text_of({"gone": come.gone, "took": come.took, "open": come.open, "head": come.head})


def session_of(address: str, key: str, seq: int, text: Any) -> tuple[int, Come]:
    """The session of a row, and how far it has come.

    Raises:
        CorruptCollectionError: It is none.
    """
    try:
        data = _object(text)
        head = data.get("head", False)
        if type(data["open"]) is not bool or type(head) is not bool:
            raise ValueError("nobody says whether its last commit is whole")
        gone, took = (_whole(data[name], 0, 1 << 62) for name in ("gone", "took"))
        return int(key.rpartition("/")[2]), Come(int(seq), gone, took, data["open"], head)
    except _WRONG as error:
        raise damaged(address, "what a writer says", error) from error


def damaged(address: str, what: str, error: Exception) -> CorruptCollectionError:
    """The error for a row that camseek has not written."""
    return corrupt(address, ValueError(f"{what} cannot be: {error!s:.200}"))


_WRONG = (ValueError, TypeError, KeyError, AttributeError, OverflowError, SettingsError)


def _object(text: Any) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > TEXT:
        raise ValueError("a text is none, or too long")
    try:
        data: Any = json.loads(text)
    except RecursionError:
        raise ValueError("a text in JSON is too deep") from None
    if not isinstance(data, dict):
        raise ValueError("a text in JSON says nothing by name")
    return cast("dict[str, Any]", data)


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"a number is outside {low} to {high}")
    return value


def _match(pattern: re.Pattern[str], text: Any) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError(f"{text!r:.80} is not as it is written here")
    return text


def _coded(name: bytes) -> str:
    return base64.b64encode(name).decode("ascii")


def _bytes(coded: Any) -> bytes:
    return base64.b64decode(str(coded), validate=True)


def _name(coded: Any) -> bytes:
    """A file's name: whole, as there is no folder from which it could be told."""
    name = _bytes(coded)
    if b"\0" in name or not (os.path.isabs(name) or is_given(name) or is_remote(name)):
        raise ValueError(f"{name!r:.80} is no name of a file")
    return name


def _root(coded: Any) -> bytes:
    name = _bytes(coded)
    if name and (b"\0" in name or not (os.path.isabs(name) or is_remote(name))):
        raise ValueError(f"{name!r:.80} is no folder's name")
    return name


def _content(coded: Any) -> bytes:
    content = _bytes(coded)
    if len(content) != hashlib.sha256().digest_size:
        raise ValueError(f"{content!r:.80} is no content")
    return content


_PARTS = {"file": (_name, _root), "skip": (_name, _root), "root": (_root,), "picture": (_content,)}


def _signature_json(signature: Signature) -> dict[str, int]:
    return {"bytes": signature.size, "mtime_ns": signature.mtime_ns, "ctime_ns": signature.ctime_ns}


def _signature(data: dict[str, Any]) -> Signature:
    times = (_whole(data[key], -(1 << 63), (1 << 63) - 1) for key in ("mtime_ns", "ctime_ns"))
    return Signature(_whole(data["bytes"], -1, 1 << 60), *times)
