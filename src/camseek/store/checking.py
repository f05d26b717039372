"""Reads the whole of a collection in a folder, and tells each fault in a sentence."""

import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from camseek.encoding.sketch import Sketch
from camseek.errors import CamseekError
from camseek.files import CODES_INDEX, WORDS_INDEX, reason_of
from camseek.matching.codebook import embedded_codebook
from camseek.matching.fine import embedded_axes
from camseek.matching.words import WordPoints
from camseek.names import is_given, is_remote
from camseek.results import Size
from camseek.store.beside import named
from camseek.store.database import STORED
from camseek.store.ledger import FolderLedger
from camseek.store.meta import Slot, profile_of, slot_of
from camseek.store.places import is_relative
from camseek.store.reader import Reader
from camseek.store.records import ADDED_BY_HAND, FILE_TRACE, FINE_TRACE, POINTS_TRACE, SKETCH_TRACE
from camseek.store.traces import FEATURELESS, TRACES_SINCE, FolderTraces
from camseek.store.vectors import CODES_KEY, saved_codes
from camseek.store.words import WORDS_KEY, saved_index
from camseek.words import counted

# So many faults are told of each kind: one fault may be that of every picture.
_MOST = 20
_ROWS = 4096
_CODE = re.compile("[a-z_]{1,40}")
# Faults that no foreign key can name: what is counted.
_COUNTED = {
    ("picture without a file", "pictures without a file"): (
        "FROM pictures WHERE id NOT IN (SELECT picture FROM files)"
    ),
    ("file that no root claims", "files that no root claims"): (
        "FROM files WHERE path NOT IN (SELECT path FROM claims)"
    ),
}
# From the format on in which what is beside has traces.
_BESIDE_SINCE = 5
# From the format on whose pictures are marked that have no descriptor; each asks for marks.
_MARKED_SINCE = 4
_MARKED = {
    ("picture that has lost its descriptor", "pictures that have lost their descriptor"): (
        "FROM pictures WHERE id NOT IN (SELECT picture FROM descriptors) "
        "AND id NOT IN (SELECT picture FROM traces WHERE kind = ?)"
    ),
    (
        "picture that has a descriptor and is marked as having none",
        "pictures that have a descriptor and are marked as having none",
    ): "FROM traces WHERE kind = ? AND picture IN (SELECT picture FROM descriptors)",
}


def faults(reader: Reader, traces: FolderTraces) -> list[str]:
    """Every fault that is found, none where the collection is sound. Inside a snapshot."""
    found = list(_of_the_file(reader))
    if found:
        # What is read of a damaged file may be anything.
        return found
    parts: list[Callable[[Reader], Iterator[str]]] = [
        _of_itself,
        _of_pictures,
        lambda reader: _of_descriptors(reader, traces),
        _of_files,
        _of_roots,
        _of_patterns,
        _of_skipped,
        lambda _: traces.faults(),
        lambda reader: _of_points(reader, traces),
        _of_beside,
        lambda reader: _of_given(reader, traces),
    ]
    for part in parts:
        try:
            told = list(islice(part(reader), _MOST + 1))
        except CamseekError as error:  # a value of a type that nobody wrote
            told = [error.message]
        found += told[:_MOST] + ["and more of that kind"] * (len(told) > _MOST)
    return found


def _of_the_file(reader: Reader) -> Iterator[str]:
    for (fault,) in reader.query("PRAGMA integrity_check(20)"):
        if fault != "ok":
            yield f"the database: {fault}"


def _of_itself(reader: Reader) -> Iterator[str]:
    """What it says of itself, as on opening, and rows that point nowhere."""
    profile_of(reader.address, reader.meta())
    for table, _, parent, _ in reader.query("PRAGMA foreign_key_check"):
        yield f"a row of {table} points to a row of {parent} that is not there"
    marked = _MARKED if reader.format_version >= _MARKED_SINCE else {}
    for kinds, sql in (_COUNTED | marked).items():
        values = (FEATURELESS,) if kinds in marked else ()
        if number := reader.query(f"SELECT count(1) {sql}", values)[0][0]:
            yield counted(number, *kinds)
    last, known = (
        reader.query("SELECT coalesce(max(id), 0) FROM pictures")[0][0],
        dict(reader.query("SELECT name, seq FROM sqlite_sequence")).get("pictures", 0),
    )
    if not isinstance(known, int) or not isinstance(last, int) or known < last:
        yield f"record numbers would be used twice: the last is {last}, and {known} is remembered"


def _of_pictures(reader: Reader) -> Iterator[str]:
    sql = "SELECT id, content, width, height, format, frames FROM pictures WHERE id > ? ORDER BY id LIMIT ?"
    for record, content, width, height, kind, frames in _all(reader, sql, -(1 << 63), _PICTURE):
        if record < 1 or len(content) != hashlib.sha256().digest_size:
            yield f"record {record} is none, or its content is known by {len(content)} bytes"
        # A JPEG has 2^16 pixels a side at most, a TIFF 2^32.
        if not (0 < width < 1 << 32 and 0 < height < 1 << 32 and 0 < frames < 1 << 32):
            yield f"the picture of record {record} has {width} x {height} pixels and {frames} frames"
        if not (0 < len(kind) <= 40 and kind.isprintable()):
            yield f"the picture of record {record} is of the impossible format {kind!r:.60}"


def _of_descriptors(reader: Reader, traces: FolderTraces) -> Iterator[str]:
    yield from _faulty(reader, "descriptors", "descriptor", reader.profile.dimensions)
    if reader.format_version == 1:
        return  # it had no refits
    slot = slot_of(reader.address, reader.meta())
    if slot is not None:
        name = "kept descriptor" if slot.kept else "unfinished descriptor"
        yield from _faulty(reader, "refit", name, slot.refit.profile.dimensions, traces.is_here)
    elif number := reader.query("SELECT count(1) FROM refit")[0][0]:
        yield f"{counted(number, 'unfinished descriptor')} of no run that is known"
    if reader.format_version >= _BESIDE_SINCE:
        yield from _of_traces_beside(reader, traces, slot)


def _of_traces_beside(reader: Reader, traces: FolderTraces, slot: Slot | None) -> Iterator[str]:
    """The traces of the representation that is not in use."""
    kinds, side = ((), -1) if slot is None else (slot.refit.kinds, slot.side)
    sql = (
        "SELECT rowid, picture, kind, side, data, crc FROM refit_traces "
        "WHERE rowid > ? ORDER BY rowid LIMIT 64"
    )
    after = -(1 << 63)
    while rows := reader.query(sql, (after,), (int, int, str, int, bytes, int)):
        after = rows[-1][0]
        for _, record, kind, found, data, crc in rows:
            if kind not in kinds or found != side:
                yield f"record {record} has a trace {kind!r:.60} of a representation that is not there"
            elif not traces.is_whole(data, crc):
                yield f"the {kind} beside of record {record} has another checksum than when it was written"


def _faulty(
    reader: Reader, table: str, name: str, dimensions: int, here: Callable[[bytes], bool] = lambda _: True
) -> Iterator[str]:
    length = dimensions * STORED.itemsize
    sql = (
        f"SELECT picture, vector, crc FROM {table} "  # noqa: S608  # names from above
        "WHERE picture > ? AND vector IS NOT NULL ORDER BY picture LIMIT ?"
    )
    for record, vector, crc in _all(reader, sql, -(1 << 63), (int, bytes, int)):
        if not here(vector):
            continue
        if len(vector) != length:
            yield f"the {name} of record {record} has {len(vector)} bytes, not {length}"
        elif zlib.crc32(vector) != crc:
            yield f"the {name} of record {record} has another checksum than when it was written"
        elif not abs(float(np.linalg.norm(np.frombuffer(vector, STORED).astype(float))) - 1) < 0.01:
            yield f"the {name} of record {record} is not of unit length"


def _of_files(reader: Reader) -> Iterator[str]:
    sql = "SELECT path, size, mtime_ns, ctime_ns FROM files WHERE path > ? ORDER BY path LIMIT ?"
    for path, size, *_ in _all(reader, sql, b"", _FILE):
        if not _is_name(path):
            yield f"a file's name is no name: {path!r:.60}"
        if not 0 <= size < 1 << 60:
            yield f"the file {path!r:.60} has {size} bytes"
    if number := reader.query("SELECT count(1) FROM files WHERE typeof(path) <> 'blob' OR path = x''")[0][0]:
        yield counted(number, "file has no name", "files have no name")


def _of_roots(reader: Reader) -> Iterator[str]:
    rows = reader.query("SELECT id, path FROM roots ORDER BY id", kinds=(int, bytes))
    if (ADDED_BY_HAND, b"") not in rows:
        yield "the root of what was added by hand is missing"
    for number, path in rows:
        if number != ADDED_BY_HAND and not _is_place(path):
            yield f"the root {number} is no folder's name: {path!r:.60}"


def _of_patterns(reader: Reader) -> Iterator[str]:
    """Patterns as a run would use them; what they say is an error of its own."""
    FolderLedger(reader.query, reader.address, os.fsencode(reader.folder), reader.format_version).roots()
    yield from ()


def _of_skipped(reader: Reader) -> Iterator[str]:
    sql = (
        "SELECT path, size, mtime_ns, ctime_ns, code, reason, tried_with FROM skipped WHERE path > ? "
        "ORDER BY path LIMIT ?"
    )
    for path, _, _, _, code, reason, tried in _all(reader, sql, b"", (*_FILE, str, str, str)):
        if not _is_name(path):
            yield f"the name of a file that was skipped is no name: {path!r:.60}"
        if not _CODE.fullmatch(code) or len(reason) > 10_000 or len(tried) > 1_000:
            yield f"the file {path!r:.60} was skipped for no reason that camseek has: {code!r:.40}"


def _of_points(reader: Reader, traces: FolderTraces) -> Iterator[str]:
    """Stored points, fine ones and sketches, as a search would read them."""
    book, axes = embedded_codebook(), embedded_axes()
    kinds: dict[str, tuple[str, Callable[[bytes, Size], object]]] = {
        POINTS_TRACE: ("points", lambda data, size: book.require(WordPoints.unpack(data, size))),
        FINE_TRACE: ("fine points", axes.unpack),
        SKETCH_TRACE: ("cells", lambda data, size: Sketch.unpack(data)),
    }
    for kind, (what, read) in kinds.items():
        for record, size, data in _whole(reader, traces, kind, 64):
            try:
                read(data, size)
            except ValueError as error:
                yield f"the {what} of record {record} are damaged: {error}"


def _whole(reader: Reader, traces: FolderTraces, kind: str, some: int) -> Iterator[tuple[int, Size, bytes]]:
    """Record, size and data of the traces of a kind that have their checksum, so many read at a time."""
    if reader.format_version < TRACES_SINCE:
        return
    sql = (
        "SELECT t.picture, p.width, p.height FROM traces t JOIN pictures p ON p.id = t.picture "
        "WHERE t.picture > ? AND t.kind = ? ORDER BY t.picture LIMIT ?"
    )
    after = -(1 << 63)
    while rows := reader.query(sql, (after, kind, some), (int, int, int)):
        after = rows[-1][0]
        found = traces.get(kind, [row[0] for row in rows], damaged=set())
        for record, width, height in rows:
            if record in found:
                yield record, (width, height), found[record]


def _of_beside(reader: Reader) -> Iterator[str]:
    """What lies beside the database, where it is used."""
    if reader.format_version < TRACES_SINCE:
        return
    for name, look in ((WORDS_INDEX, _look_at_words), (CODES_INDEX, _look_at_codes)):
        try:
            look(reader)
        except ValueError as error:
            yield f"{name} is damaged: {error}; take it away, and it is made anew"
        except OSError as error:
            yield f"{name} cannot be read: {reason_of(error)}"


def _look_at_words(reader: Reader) -> None:
    index = saved_index(reader, named(reader, WORDS_KEY))
    if index is not None:
        index.check()


def _look_at_codes(reader: Reader) -> None:
    saved_codes(reader, named(reader, CODES_KEY))


def _of_given(reader: Reader, traces: FolderTraces) -> Iterator[str]:
    """Pictures without a file hold what their file would."""
    if reader.format_version < TRACES_SINCE:
        return
    sql = (
        "SELECT DISTINCT picture FROM files WHERE path >= ? AND path < ? AND picture NOT IN "
        "(SELECT picture FROM traces WHERE kind = ?)"
    )
    for (record,) in reader.query(sql, (b"camseek:", b"camseek;", FILE_TRACE), (int,)):
        yield f"record {record} came without a file, and what it would hold is not there"
    # One at a time: one may be a whole file.
    for record, _, data in _whole(reader, traces, FILE_TRACE, 1):
        content = reader.query("SELECT content FROM pictures WHERE id = ?", (record,), (bytes,))
        if content != [(hashlib.sha256(data).digest(),)]:
            yield f"what the file of record {record} would hold is not its content"


_PICTURE = (int, bytes, int, int, str, int)
_FILE = (bytes, int, int, int)


def _all(reader: Reader, sql: str, after: Any, kinds: tuple[type, ...]) -> Iterator[Any]:
    """All rows of a query that goes on after the first value of the last one, some thousand at a time."""
    while rows := reader.query(sql, (after, _ROWS), kinds):
        yield from rows
        after = rows[-1][0]


def _is_name(path: bytes) -> bool:
    """Whether a collection can know a file by this name."""
    return b"\0" not in path and (_is_place(path) or is_given(path))


def _is_place(path: bytes) -> bool:
    return os.path.isabs(path) or is_relative(path) or is_remote(path)
