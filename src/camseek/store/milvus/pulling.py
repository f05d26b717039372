"""A mirror is brought in step with its server: what others wrote since is read, nothing else."""

import json
import os
import secrets
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from camseek.errors import CollectionChangedError, CorruptCollectionError, NoCollectionError
from camseek.patterns import Patterns
from camseek.store.milvus.beside import EPOCHS, BesidePull, epochs_of, epochs_text
from camseek.store.milvus.elsewhere import MIRRORED, placeholder, read_traces, whitening_of
from camseek.store.milvus.parts import WHOLE, Part
from camseek.store.milvus.rows import (
    Come,
    FileRow,
    Head,
    Names,
    PictureRow,
    as_stored,
    damaged,
    file_of,
    gone_of,
    head_of,
    picture_of,
    root_of,
    session_of,
    skipped_of,
)
from camseek.store.milvus.server import CONNECTING, PAGE, ROWS, Server, pictures_of_length
from camseek.store.records import ADDED_BY_HAND, POINTS_TRACE, SkippedEntry
from camseek.store.traces import FEATURELESS, MARK
from camseek.store.words import WORDS_KEY

_STATE = "mirror"
# Pictures whose descriptors and traces are held at a time.
_SOME = 256
# Seconds until a commit that is not whole is looked at once more.
_LOOK_AGAIN = 1.0
# Sessions that are asked for at a time.
_SESSIONS = 50
_INSERT_PICTURE = "INSERT INTO pictures (content, width, height, format, frames) VALUES (?, ?, ?, ?, ?)"
_PUT_FILE = (
    "INSERT INTO files (path, picture, size, mtime_ns, ctime_ns) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (path) DO UPDATE SET picture = excluded.picture, size = excluded.size, "
    "mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns"
)
_PUT_TRACE = "INSERT OR REPLACE INTO traces (picture, kind, data, crc) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class State:
    """How far a mirror is in step.

    Attributes:
        identity: Of the collection.
        epoch: Of the descriptors in the mirror.
        beside: Of those beside them; empty for none.
        forgot: How often writers were forgotten.
        head: Session and commit in which the head was written that the mirror knows.
        known: How far each session had come when the mirror was last brought in step.
        looked: When each was first seen as far as that, and, where its last commit is not whole, last looked
            at: seconds of this machine's clock.
    """

    identity: str
    epoch: str = ""
    beside: str = ""
    forgot: int = 0
    head: tuple[int, int] = (0, 0)
    known: dict[int, Come] = field(default_factory=dict[int, Come])
    looked: dict[int, tuple[float, float]] = field(
        default_factory=dict[int, tuple[float, float]], compare=False
    )

    @classmethod
    def of(cls, database: sqlite3.Connection) -> "State | None":
        """That of a mirror; None of one that is not whole."""
        rows = dict(database.execute("SELECT key, value FROM meta WHERE key IN (?, ?)", (_STATE, EPOCHS)))
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            data, (epoch, beside) = json.loads(rows[_STATE]), epochs_of(rows[EPOCHS])
            known = {
                int(session): Come(int(seq), int(gone), int(took), bool(is_open), bool(head))
                for session, (seq, gone, took, is_open, head) in data["known"].items()
            }
            looked = {
                int(session): (float(first), float(last)) for session, (first, last) in data["looked"].items()
            }
            at = int(data["head"][0]), int(data["head"][1])
            forgot = int(data["forgot"])
            return cls(str(data["identity"]), epoch, beside, forgot, at, known, looked)
        return None

    def rows(self) -> list[tuple[str, str]]:
        """The rows of ``meta`` for it."""
        data = {
            "identity": self.identity,
            "forgot": self.forgot,
            "head": self.head,
            "known": self.known,
            "looked": self.looked,
        }
        return [(_STATE, json.dumps(data)), (EPOCHS, epochs_text(self.epoch, self.beside))]

    def has(self, now: "State") -> bool:
        """Whether a mirror of this state has all of another, as far as it need look."""
        return self == now and not any(map(self.is_due, self.looked))

    def looked_at(self, now: "State", when: float, seen: set[int]) -> dict[int, tuple[float, float]]:
        """``looked`` of another state that a mirror of this one was brought to.

        Args:
            now: The other.
            when: That was begun, seconds.
            seen: The sessions of which all was read.
        """
        looked: dict[int, tuple[float, float]] = {}
        for session, come in now.known.items():
            before = self.looked.get(session) if self.known.get(session) == come else None
            first, last = before or (when, when)
            looked[session] = min(first, when), when if session in seen else last
        return looked

    def is_due(self, session: int) -> bool:
        """Whether it is time to look again at a commit that is not whole.

        A commit that goes on is looked at whenever it has taken twice as long as when it was last looked at:
        of one whose writer was killed all is seen at last, and it costs less and less.
        """
        if session not in self.known or not self.known[session].open:
            return False
        first, last = self.looked.get(session, (0.0, 0.0))
        return not last <= time.time() < last + max(_LOOK_AGAIN, last - first)


def state_of(server: Server, *, strong: bool) -> tuple[Head, State]:
    """What a collection says of itself now, and the state of a mirror that has all of it.

    Raises:
        NoCollectionError: There is none of this name.
        CollectionVersionError: A later camseek made it.
        CorruptCollectionError: It is damaged.
    """
    address, names = str(server.address), Names(server.address.name)
    fields = ("key", "session", "seq", "text")
    head, at, known = None, (0, 0), dict[int, Come]()
    # Every search may wait for this: a server that is gone is told soon.
    for row in server.walk(ROWS, names.state, fields, strong=strong, patience=CONNECTING):
        if row["key"] == names.head:
            head, at = head_of(address, row["text"]), (int(row["session"]), int(row["seq"]))
        else:
            session, come = session_of(address, row["key"], row["seq"], row["text"])
            known[session] = come
    if head is None:
        raise no_collection(address)
    beside = head.beside.epoch if head.beside else ""
    return head, State(head.identity, head.epoch, beside, head.forgot, at, known)


def no_collection(address: str) -> NoCollectionError:
    """The error for a name that no collection of a server has."""
    return NoCollectionError(
        f"{address} does not exist", remedy="make one with: camseek index PHOTOS --collection COLLECTION"
    )


class Pull:
    """One look at a server, and what follows from it.

    The server is the truth: what a mirror has more than it leaves the mirror, too. A file whose picture is
    not there is not known, and its next index run brings it again; a picture that no file holds is not known
    either. Both are what writers leave behind that were killed between two writes.

    Attributes:
        dangling: Files whose pictures are not there.
    """

    def __init__(self, server: Server, database: sqlite3.Connection, part: Part = WHOLE) -> None:
        """Begins to look.

        Args:
            server: The server.
            database: The mirror's.
            part: Which pictures the mirror is of.
        """
        self._server = server
        self._part = part
        self._database = database
        self._address, self._names = str(server.address), Names(server.address.name)
        self.dangling = 0

    def run(self, head: Head, now: State, *, whole: bool = False) -> bool:
        """Brings the mirror in step with a state of the server (``state_of``).

        Args:
            head: What the collection says of itself.
            now: How far its writers have come.
            whole: Look at everything, whatever the mirror has.

        Returns:
            Whether it is; not where the descriptors were replaced meanwhile: their rows may be gone, and the
            mirror is as it was.

        Raises:
            CollectionChangedError: Another collection has the name now.
            CorruptCollectionError: Something that camseek has not written is there.
            StorageError: The server cannot be asked.
        """
        known = State.of(self._database)
        if known is None or known.identity != now.identity:
            raise CollectionChangedError(
                f"{self._address} was made anew while it was open", remedy="open it again"
            )
        if known.has(now) and not whole:
            return True
        began = time.time()
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.execute("PRAGMA defer_foreign_keys = 1")
            if known.head != now.head:
                self._take_head(head, known)
            beside = BesidePull(self._server, self._database, head)
            # Rows of a commit that is not whole took the place of others': they are all that there is now.
            since = {
                session: known.known.get(session, Come()).whole
                for session, come in now.known.items()
                if come.open or known.known.get(session) != come
            }
            # Something went, of which there is no row any more that could say so.
            going = [session for session, seq in since.items() if now.known[session].gone > seq]
            whole = whole or (known.epoch, known.forgot) != (now.epoch, now.forgot)
            whole = whole or not set(known.known) <= set(now.known)
            whole = whole or any(
                known.known.get(session) != now.known[session] or known.is_due(session) for session in going
            )
            self._take_in(head, now, since, whole=whole, fitted=known.epoch != now.epoch)

            def changed(collection: str, prefix: str, fields: Sequence[str], whole: bool) -> Iterator[Any]:
                return self._changed(collection, prefix, fields, self._part.condition, now, since, whole)

            beside.take_in(changed, self._came, whole=whole)
            seen = {session for session in since if whole or session not in going}
            state = replace(now, looked=known.looked_at(now, began, seen))
            self._database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", state.rows())
            if self._is_overtaken(now):
                self._database.execute("ROLLBACK")
                return False
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, CorruptCollectionError) and self._is_overtaken(now):
                return False
            raise
        return True

    def _is_overtaken(self, now: State) -> bool:
        """Whether the collection has other descriptors by now, or is another one."""
        for row in self._server.rows_of(ROWS, [self._names.head], ("text",), strong=True):
            head = head_of(self._address, row["text"])
            beside = head.beside.epoch if head.beside else ""
            return (head.identity, head.epoch, beside) != (now.identity, now.epoch, now.beside)
        return True

    # -- what the collection says of itself --------------------------------------------------------------

    def _take_head(self, head: Head, known: State) -> None:
        rows, fitted = dict(head.meta), known.epoch != head.epoch
        if known.epoch:
            # Readers know by it that descriptors were replaced: two that fitted at once gave the same number.
            [(generation,)] = self._database.execute("SELECT value FROM meta WHERE key = 'generation'")
            rows["generation"] = max(rows["generation"], generation + fitted)
        if fitted:
            self._database.execute("DELETE FROM meta WHERE key = 'whitening'")
            if head.parts:
                rows["whitening"] = whitening_of(self._server, head.epoch, head.parts)
        self._database.execute("DELETE FROM meta WHERE key IN ('keeps', 'whitening_note')")
        self._database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows.items())

    # -- pictures and files ------------------------------------------------------------------------------

    def _take_in(self, head: Head, now: State, since: dict[int, int], *, whole: bool, fitted: bool) -> None:
        self._epoch, self._dimensions = head.epoch, head.dimensions
        self._came: list[bytes] = []
        self.dangling = 0
        self._pictures = pictures_of_length(head.dimensions)
        self._server.require_pictures(head.dimensions)
        prefix, fields = self._names.epoch(head.epoch), ("key", "content", "text")
        rows = self._changed(self._pictures, prefix, fields, self._part.condition, now, since, whole)
        self._put_all(rows, whole=whole, fitted=fitted)
        if whole:
            # What is there is put in again; files that no root claims then are no more.
            for table in ("claims", "patterns", "skipped"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608  # names from above
        # Of what changed all files are looked at: one that had a picture of this part may have another now.
        ours = self._part.condition_of_rows if whole else ""
        roots, gone = set[bytes](), list[tuple[str, tuple[bytes, ...]]]()
        rows = self._changed(ROWS, self._names.rows, fields, ours, now, since, whole)
        while some := list(islice(rows, PAGE)):
            told: dict[str, list[dict[str, Any]]] = {}
            for row in some:
                told.setdefault(self._names.kind_of(row["key"]), []).append(row)
            texts = {kind: [row["text"] for row in rows] for kind, rows in told.items()}
            self._put_files(
                [file_of(self._address, row["content"], row["text"]) for row in told.get("file", [])]
            )
            roots |= self._put_roots([root_of(self._address, text) for text in texts.get("root", [])])
            self._put_skipped([skipped_of(self._address, text) for text in texts.get("skip", [])])
            gone += [] if whole else [gone_of(self._address, text) for text in texts.get("gone", [])]
        if whole:
            self._database.execute("DELETE FROM files WHERE path NOT IN (SELECT path FROM claims)")
            self._drop_roots(roots)
        else:
            self._take_away(gone)
        self._database.execute("DELETE FROM pictures WHERE id NOT IN (SELECT picture FROM files)")

    def _put_all(self, rows: Iterator[dict[str, Any]], *, whole: bool, fitted: bool) -> None:
        """Puts pictures in, in the order in which they came: however many, few are held at a time.

        Args:
            rows: Theirs.
            whole: These are all that there are.
            fitted: All have another descriptor.
        """
        # They come in the order of their keys.
        self._database.execute("CREATE TEMP TABLE pulled (came, content PRIMARY KEY, text) WITHOUT ROWID")
        try:
            for row in rows:
                picture = picture_of(self._address, row["content"], row["text"])
                values = picture.came, picture.content, row["text"]
                self._database.execute("INSERT OR REPLACE INTO pulled VALUES (?, ?, ?)", values)
            if whole:
                sql = "DELETE FROM pictures WHERE content NOT IN (SELECT content FROM pulled)"
                self._database.execute(sql)
            last: tuple[int, bytes] = (-1, b"")
            sql = (
                "SELECT came, content, text FROM pulled WHERE (came, content) > (?, ?) ORDER BY 1, 2 LIMIT ?"
            )
            self._database.execute("CREATE INDEX temp.pulled_by_came ON pulled (came, content)")
            while some := self._database.execute(sql, (*last, _SOME)).fetchall():
                last = some[-1][:2]
                pictures = [picture_of(self._address, content.hex(), text) for _, content, text in some]
                self._put_pictures(pictures, fitted=fitted)
                if whole:
                    self._came.clear()  # nobody asks which are new, where all are looked at
        finally:
            self._database.execute("DROP TABLE temp.pulled")

    def _changed(
        self,
        collection: str,
        prefix: str,
        fields: Sequence[str],
        of: str,
        now: State,
        since: dict[int, int],
        whole: bool,
    ) -> Iterator[dict[str, Any]]:
        """All rows of a prefix, or those that sessions wrote since then; of a condition beside."""
        parts = [
            f"(session == {session} and seq > {seq} and seq <= {now.known[session].seq})"
            for session, seq in since.items()
        ]
        if whole:
            yield from self._server.walk(collection, prefix, fields, also=of)
        for start in range(0, 0 if whole else len(parts), _SESSIONS):
            also = f" and ({' or '.join(parts[start : start + _SESSIONS])}){of}"
            yield from self._server.walk(collection, prefix, fields, also=also)

    def _records(self, contents: Iterable[bytes]) -> dict[bytes, int]:
        """The records of contents, of those that the mirror has."""
        sql = "SELECT id FROM pictures WHERE content = ?"
        found = {content: self._database.execute(sql, (content,)).fetchall() for content in contents}
        return {content: rows[0][0] for content, rows in found.items() if rows}

    def _put_pictures(self, pictures: Sequence[PictureRow], *, fitted: bool = False) -> None:
        """Puts some pictures in; ``fitted``: all have another descriptor."""
        known = self._records(picture.content for picture in pictures)
        for picture in pictures:
            if picture.content not in known:
                values = picture.content, *picture.size, picture.format, picture.frames
                known[picture.content] = self._database.execute(_INSERT_PICTURE, values).lastrowid or 0
                self._came.append(picture.content)
        self._put_descriptors(pictures, known, fitted=fitted)
        self._put_traces(pictures, known)

    def _put_descriptors(
        self, pictures: Iterable[PictureRow], known: dict[bytes, int], *, fitted: bool
    ) -> None:
        """Reads the descriptors that are missing; all where they were made anew."""
        wanted: dict[str, PictureRow] = {}
        for picture in pictures:
            record = known[picture.content]
            if fitted:
                self._database.execute("DELETE FROM descriptors WHERE picture = ?", (record,))
                mark = "DELETE FROM traces WHERE picture = ? AND kind = ?"
                self._database.execute(mark, (record, FEATURELESS))
            if picture.featureless:
                self._database.execute(MARK, (record, FEATURELESS))
            elif not self._database.execute(
                "SELECT 1 FROM descriptors WHERE picture = ?", (record,)
            ).fetchall():
                wanted[self._names.picture(self._epoch, picture.content)] = picture
        for row in self._server.rows_of(self._pictures, wanted, ("key", "vector")):
            picture = wanted[row["key"]]
            try:
                stored = as_stored(row["vector"], self._dimensions)
            except ValueError as error:
                raise damaged(self._address, f"the picture {picture.content.hex()}", error) from error
            self._database.execute(
                "INSERT INTO descriptors VALUES (?, ?, ?)",
                (known[picture.content], stored, zlib.crc32(stored)),
            )

    def _put_traces(self, pictures: Iterable[PictureRow], known: dict[bytes, int]) -> None:
        """Notes the traces of pictures; the data of some kinds is read."""
        wanted: dict[tuple[bytes, str], tuple[int, int]] = {}
        for picture in pictures:
            record = known[picture.content]
            sql = "SELECT kind, length(data), crc FROM traces WHERE picture = ? AND kind <> ?"
            rows = self._database.execute(sql, (record, FEATURELESS))
            there = {kind: (length, crc) for kind, length, crc in rows}
            if POINTS_TRACE in there and there[POINTS_TRACE] != picture.traces.get(POINTS_TRACE):
                # An index knows a picture by its number: it is made anew, as it is for a writer of points.
                self._database.execute(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", (WORDS_KEY, secrets.token_hex(16))
                )
            for kind in set(there) - set(picture.traces):
                self._database.execute("DELETE FROM traces WHERE picture = ? AND kind = ?", (record, kind))
            for kind, (length, crc) in picture.traces.items():
                if kind not in MIRRORED:
                    self._database.execute(_PUT_TRACE, (record, kind, placeholder(length), crc))
                elif there.get(kind) != (length, crc):
                    wanted[picture.content, kind] = length, crc
        for (content, kind), data in read_traces(self._server, wanted):
            self._database.execute(_PUT_TRACE, (known[content], kind, data, wanted[content, kind][1]))

    def _put_roots(self, roots: Sequence[tuple[bytes, Patterns]]) -> set[bytes]:
        """Puts folders in; their names."""
        for path, patterns in roots:
            number = self._root(path)
            self._database.execute("DELETE FROM patterns WHERE root = ?", (number,))
            for kind, items in (("include", patterns.include), ("exclude", patterns.exclude)):
                values = [(number, kind, place, os.fsencode(item)) for place, item in enumerate(items)]
                self._database.executemany("INSERT INTO patterns VALUES (?, ?, ?, ?)", values)
        return {path for path, _ in roots}

    def _root(self, path: bytes) -> int:
        """The number of a root in this mirror, made if it is new."""
        if not path:
            return ADDED_BY_HAND
        rows = self._database.execute("SELECT id FROM roots WHERE path = ?", (path,)).fetchall()
        if rows:
            return rows[0][0]
        return self._database.execute("INSERT INTO roots (path) VALUES (?)", (path,)).lastrowid or 0

    def _put_files(self, files: Sequence[FileRow]) -> None:
        if not self._part.is_whole:
            elsewhere = [(file.path,) for file in files if not self._part.holds(file.content)]
            self._database.executemany("DELETE FROM files WHERE path = ?", elsewhere)
            files = [file for file in files if self._part.holds(file.content)]
        known = self._records({file.content for file in files})
        unknown = sorted({file.content for file in files} - set(known))
        for start in range(0, len(unknown), _SOME):
            # They left this mirror with their last file, and came back with another.
            keys = [self._names.picture(self._epoch, content) for content in unknown[start : start + _SOME]]
            rows = self._server.rows_of(self._pictures, keys, ("key", "content", "text"))
            found = [picture_of(self._address, row["content"], row["text"]) for row in rows]
            self._put_pictures(found)
            known |= self._records(picture.content for picture in found)
        for file in files:
            if file.content not in known:
                self.dangling += 1
                continue
            signature = file.signature
            values = signature.size, signature.mtime_ns, signature.ctime_ns
            self._database.execute(_PUT_FILE, (file.path, known[file.content], *values))
            root = self._root(file.root)
            self._database.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (file.path, root))

    def _put_skipped(self, entries: Sequence[tuple[bytes, SkippedEntry]]) -> None:
        for root, entry in entries:
            signature, skipped = entry.signature, entry.skipped
            times = signature.size, signature.mtime_ns, signature.ctime_ns
            told = skipped.code, skipped.reason, entry.tried_with
            values = skipped.path, self._root(root), *times, *told
            self._database.execute("INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def _take_away(self, told: Sequence[tuple[str, tuple[bytes, ...]]]) -> None:
        """Takes away what went, where it has not come again."""
        there: set[str] = set()
        for collection, of_pictures in ((self._pictures, True), (ROWS, False)):
            keys = [self._key(kind, *parts) for kind, parts in told if (kind == "picture") == of_pictures]
            there |= {row["key"] for row in self._server.rows_of(collection, keys, ("key",), strong=True)}
        for kind, parts in told:
            if self._key(kind, *parts) not in there:
                self._take_one_away(kind, parts)

    def _key(self, kind: str, *parts: bytes) -> str:
        return (
            self._names.picture(self._epoch, *parts) if kind == "picture" else self._names.row(kind, *parts)
        )

    def _take_one_away(self, kind: str, parts: tuple[bytes, ...]) -> None:
        if kind == "picture":
            # A file that names it is one without its picture.
            sql = "SELECT path FROM files WHERE picture = (SELECT id FROM pictures WHERE content = ?)"
            files = self._database.execute(sql, parts).fetchall()
            self.dangling += len(files)
            self._database.executemany("DELETE FROM files WHERE path = ?", files)
        elif kind == "root":
            number = "SELECT id FROM roots WHERE path = ?"
            self._database.execute(f"DELETE FROM patterns WHERE root IN ({number})", parts)  # noqa: S608  # a constant
            every = {path for (path,) in self._database.execute("SELECT path FROM roots")}
            self._drop_roots(every - set(parts))
        else:
            table = "claims" if kind == "file" else "skipped"
            sql = f"DELETE FROM {table} WHERE path = ? AND root IN (SELECT id FROM roots WHERE path = ?)"  # noqa: S608  # names from above
            self._database.execute(sql, parts)
            sql = "DELETE FROM files WHERE path = ? AND path NOT IN (SELECT path FROM claims)"
            self._database.execute(sql, parts[:1])

    def _drop_roots(self, kept: set[bytes]) -> None:
        """Forgets the roots that are not there any more; one that files name stays."""
        for number, path in self._database.execute("SELECT id, path FROM roots").fetchall():
            if number != ADDED_BY_HAND and path not in kept:
                self._database.execute(
                    "DELETE FROM roots WHERE id = ? AND id NOT IN (SELECT root FROM claims) "
                    "AND id NOT IN (SELECT root FROM skipped)",
                    (number,),
                )
