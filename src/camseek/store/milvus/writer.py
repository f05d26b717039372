"""A writer of a collection on a server: what it does to the mirror is told the server with each commit.

It is a writer of the mirror, which notes what has changed; a commit compares the notes with what is there now
and writes that down: rows that are there are put in the place of those of their keys, others are taken away.
So each commit may be done twice, and several writers need no lock.
"""

import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from camseek.errors import CollectionChangedError, SettingsError
from camseek.patterns import Patterns
from camseek.results import Skipped
from camseek.store.milvus.pulling import MIRRORED, State, is_placeholder, placeholder, state_of
from camseek.store.milvus.rows import (
    HEAD_KEYS,
    Come,
    FileRow,
    Head,
    Names,
    PictureRow,
    as_vector,
    file_text,
    head_text,
    parts_of,
    picture_of,
    picture_text,
    pieces,
    root_text,
    row,
    session_text,
    skipped_text,
)
from camseek.store.milvus.server import ROWS, TRACES, Server, contents_in, pictures_of_length, within
from camseek.store.records import Signature, SkippedEntry
from camseek.store.refitter import FolderRefitter
from camseek.store.traces import FEATURELESS
from camseek.store.writer import FolderWriter

# Pictures, or contents, that are looked at together.
_SOME = 100
_MOST_BEFORE = 20
# Seconds after which a commit that is not whole is nobody's any more.
_DEAD = 3600.0
_OF_HEAD = (*HEAD_KEYS, "whitening")
# What is noted: of which table and when, under which kind, and by which names. What has left already by the
# time that what hangs on it goes is not asked for by name: it was noted itself.
_NOTES = (
    ("pictures", ("INSERT", "DELETE"), "'picture', {row}.content, x''"),
    (
        "descriptors",
        ("INSERT", "UPDATE", "DELETE"),
        "'picture', content, x'' FROM main.pictures WHERE id = {row}.picture",
    ),
    (
        "traces",
        ("INSERT", "UPDATE", "DELETE"),
        "'picture', content, x'' FROM main.pictures WHERE id = {row}.picture",
    ),
    (
        "traces",
        ("INSERT", "UPDATE"),
        "'trace', content, CAST({row}.kind AS BLOB) FROM main.pictures WHERE id = {row}.picture",
    ),
    (
        "traces",
        ("DELETE",),
        "'dropped', content, CAST({row}.kind AS BLOB) FROM main.pictures WHERE id = {row}.picture",
    ),
    ("files", ("INSERT", "UPDATE", "DELETE"), "'path', {row}.path, x''"),
    (
        "claims",
        ("INSERT", "UPDATE", "DELETE"),
        "'file', {row}.path, path FROM main.roots WHERE id = {row}.root",
    ),
    (
        "skipped",
        ("INSERT", "UPDATE", "DELETE"),
        "'skip', {row}.path, path FROM main.roots WHERE id = {row}.root",
    ),
    ("roots", ("INSERT", "UPDATE", "DELETE"), "'root', {row}.path, x''"),
    (
        "patterns",
        ("INSERT", "UPDATE", "DELETE"),
        "'root', path, x'' FROM main.roots WHERE id = {row}.root",
    ),
    (
        "meta",
        ("INSERT", "UPDATE", "DELETE"),
        f"'head', CAST({{row}}.key AS BLOB), x'' WHERE {{row}}.key IN {_OF_HEAD}",
    ),
)


def take_notes(database: sqlite3.Connection) -> None:
    """Has a connection note what changes, in a table of its own that nobody else sees."""
    # Without a rule that a note stands there once: what a statement says of conflicts is said of these, too.
    database.execute("CREATE TEMP TABLE noted (kind, one, two)")
    for place, (table, events, what) in enumerate(_NOTES):
        for event in events:
            for which in {"INSERT": ("NEW",), "DELETE": ("OLD",), "UPDATE": ("OLD", "NEW")}[event]:
                database.execute(
                    f"CREATE TEMP TRIGGER note_{place}_{event}_{which} AFTER {event} ON main.{table} "
                    f"BEGIN INSERT INTO noted SELECT {what.format(row=which)}; END"
                )


class MilvusRefitter(FolderRefitter):
    """Replaces the descriptors of a collection on a server.

    What is in the making lies in the mirror alone: who loses that loses work. What was in use must not lie
    there, as no other machine could go back to it.
    """

    def require_keeping(self) -> None:
        """Refuses.

        Raises:
            SettingsError: Always.
        """
        raise SettingsError(
            "a collection on a server cannot be upgraded in its place: it keeps nothing to go back to",
            remedy="camseek copy it to a folder, upgrade that, and copy it back, under another name",
        )


class MilvusWriter(FolderWriter):
    """A writer of a collection on a server (the ``Writer`` interface)."""

    def __init__(
        self, database: sqlite3.Connection, folder: bytes, server: Server, state: State, session: int
    ) -> None:
        """Begins to write to a mirror that is in step.

        Args:
            database: The mirror's.
            folder: Where it lies.
            server: The server.
            state: That of the mirror.
            session: A number that no other writer has, and none had whose last commit was not whole.
        """
        self._server = server
        self._names = Names(server.address.name)
        self._state, self._session = state, session
        self._began = state.known.get(session)
        come = self._began or Come()
        self._seq: int = come.seq
        self._gone_at: int = come.gone
        self._open: bool = come.open
        # Contents that this writer gave a file, and whether it brought them.
        self._leant_on: dict[bytes, bool] = {}
        # Content and kind of traces that are not there any more, or replaced.
        self._dropped_traces: set[tuple[bytes, bytes]] = set()
        # Of the descriptors that this writer is writing in the place of all.
        self._making: str | None = None
        self._overtaken = False
        take_notes(database)
        super().__init__(database, str(server.address), folder)
        self._refitter = MilvusRefitter(self._do, str(server.address))

    # -- what a folder can, and a server cannot ----------------------------------------------------------

    def root(self, path: bytes, *, relative: bool = False) -> int:
        """The number of a root in this mirror, made if it is new.

        Raises:
            SettingsError: It is to be found from the collection's folder on: there is none.
        """
        _require_whole(relative)
        return super().root(path)

    def anchor(self, number: int, *, relative: bool) -> None:
        """Nothing is to be done: every name is whole.

        Raises:
            SettingsError: As ``root``.
        """
        _require_whole(relative)

    def set_patterns(self, root: int, patterns: Patterns) -> None:
        """What a root's index runs take and leave out from now on.

        Raises:
            SettingsError: They are longer than a server's row takes.
        """
        try:
            root_text(b"", patterns)
        except ValueError as error:
            raise SettingsError(
                f"the patterns are too many for {self._address}: {error}", remedy="give fewer or shorter ones"
            ) from error
        super().set_patterns(root, patterns)

    def point(self, path: bytes, record: int, signature: Signature, root: int) -> None:
        """A file holds this picture, for this root."""
        [(content, noted)] = self._do(
            "SELECT content, content IN (SELECT one FROM temp.noted WHERE kind = 'picture') "
            "FROM pictures WHERE id = ?",
            (record,),
            (bytes, int),
        )
        self._leant_on[content] = bool(noted) or self._leant_on.get(content, False)
        super().point(path, record, signature, root)

    def compact(self) -> None:
        """Commits, gives freed space of the mirror back, and takes away what was replaced on the server."""
        super().compact()
        head, now = state_of(self._server, strong=True)
        for epoch in head.before:
            self._sweep_epoch(epoch)
        self._sweep_unheld(now)

    def _sweep_epoch(self, epoch: str) -> None:
        """Takes away descriptors that are not in use."""
        for name in self._server.picture_collections():
            keys = [row["key"] for row in self._server.walk(name, self._names.epoch(epoch), ("key",))]
            self._server.delete(name, keys)
        old = self._server.walk(TRACES, f"{self._names.all}!w/{epoch}/", ("key",))
        self._server.delete(TRACES, [row["key"] for row in old])

    def _sweep_unheld(self, now: State) -> None:
        """Takes away pictures that no file names: two had another idea of a file, or one was killed.

        Whoever is writing may be about to name one: what is not whole is left alone for an hour, and who was
        slower yet is told.
        """
        ended = self._ended(now)
        fields = "key", "session", "seq", "content"
        prefix = self._names.epoch(self._state.epoch)
        unheld = [
            bytes.fromhex(found["content"])
            for found in self._server.walk(pictures_of_length(self._dimensions()), prefix, fields)
            if int(found["seq"]) <= ended.get(int(found["session"]), 0)
            and not self._do("SELECT 1 FROM pictures WHERE content = ?", (bytes.fromhex(found["content"]),))
        ]
        if not unheld:
            return
        self._seq += 1
        self._gone_at = self._seq
        self._say(open=True)
        self._take_out(unheld)
        come = self._say(open=False)
        self._state = replace(self._state, known=self._state.known | {self._session: come})
        self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", self._state.row())

    def _ended(self, state: State) -> dict[int, int]:
        """The last commit of each session that nobody goes on with: whole, or of one that was killed."""
        long_ago = time.time() - _DEAD
        ended: dict[int, int] = {}
        for session, come in state.known.items():
            first = self._state.looked.get(session, (time.time(), 0.0))[0]
            dead = self._state.known.get(session) == come and first < long_ago
            ended[session] = come.seq if dead else come.whole
        return ended

    def settle(self) -> None:
        """Takes dropped traces away, and makes sure that what this writer leant on is still there.

        Not before everything is written: until then others read what they know.

        Raises:
            CollectionChangedError: Another writer fitted a whitening, or took away pictures that this one
                gave further files in the same moment. Those files are not known now. Or this one fitted, and
                others wrote to what it replaced in the moment in which it did.
        """
        self.commit()
        if self._state.known.get(self._session) == self._began:
            return
        if self._overtaken:
            self._overtaken = False
            raise CollectionChangedError(
                f"others wrote to {self._address} in the moment in which its descriptors were replaced, "
                "which is done: what they brought may not be there",
                remedy="index the folders again that were being indexed",
            )
        now = self._require_same_epoch(strong=True)
        self._sweep_traces()
        # Who takes something says so before: who has not said so yet sees this writer's files.
        ended = self._ended(self._state)
        took = any(come.gone > ended.get(session, 0) for session, come in self._others(now).items())
        lost = self._lost() if took else []
        self._leant_on.clear()
        for content in lost:
            sql = "SELECT f.path FROM files f JOIN pictures p ON p.id = f.picture WHERE p.content = ?"
            self.release([path for (path,) in self._do(sql, (content,), (bytes,))], None)
        if lost:
            self.commit()
            raise CollectionChangedError(
                f"another writer took pictures out of {self._address} to which files were added here",
                remedy="do it again",
            )

    def _lost(self) -> list[bytes]:
        """The contents that got a file here and are not there now, or not with all that was brought."""
        lost: list[bytes] = []
        pictures = pictures_of_length(self._dimensions())
        contents = sorted(self._leant_on)
        for start in range(0, len(contents), _SOME):
            some = {
                self._names.picture(self._state.epoch, content): content
                for content in contents[start : start + _SOME]
                if self._picture(content) is not None
            }
            parts: dict[str, bytes] = {}
            missing = set(some)
            for found in self._server.rows_of(pictures, some, ("key", "content", "text"), strong=True):
                missing.discard(found["key"])
                content = some[found["key"]]
                if self._leant_on[content]:
                    picture = picture_of(self._address, found["content"], found["text"])
                    for kind, told in picture.traces.items():
                        parts |= dict.fromkeys(self._names.trace(content, kind, *told), content)
            there = {found["key"] for found in self._server.rows_of(TRACES, parts, ("key",), strong=True)}
            bare = {content for key, content in parts.items() if key not in there}
            lost += sorted(bare | {some[key] for key in missing})
        return lost

    def _sweep_traces(self) -> None:
        dropped = sorted(self._dropped_traces)
        for start in range(0, len(dropped), _SOME):
            some = dropped[start : start + _SOME]
            kept: set[str] = set()
            for content in {content for content, _ in some}:
                found = self._picture(content)
                for kind, told in found[0].traces.items() if found else ():
                    kept.update(self._names.trace(content, kind, *told))
            stems = tuple(f"{self._names.all}{content.hex()}/{kind.decode()}/" for content, kind in some)
            contents = contents_in(sorted({content.hex() for content, _ in some}))
            rows = self._server.walk(TRACES, self._names.all, ("key",), also=f" and {contents}", strong=False)
            keys = [row["key"] for row in rows]
            self._server.delete(TRACES, [key for key in keys if key.startswith(stems) and key not in kept])
        self._dropped_traces.clear()

    # -- what a commit tells the server ------------------------------------------------------------------

    def _publish(self) -> None:
        try:
            self._tell()
        except CollectionChangedError:
            # All that was not committed goes back, so that nothing of it is told again at the end.
            self.abandon()
            if self._making is not None:
                self._sweep_epoch(self._making)
            if self._open:
                self._say(open=False)
            raise

    def _tell(self) -> None:
        sql = "SELECT DISTINCT kind, one, two FROM temp.noted ORDER BY kind, one, two"
        noted = self._do(sql, (), (str, bytes, bytes))
        if not noted:
            return
        kinds: dict[str, list[tuple[bytes, bytes]]] = {}
        for kind, one, two in noted:
            kinds.setdefault(kind, []).append((one, two))
        self._seq += 1
        fitted = (b"generation", b"") in kinds.get("head", [])
        if fitted:
            # Before hours of work, and again after it.
            self._require_alone()
        else:
            # What is not seen yet is seen by ``settle``.
            self._require_same_epoch(strong=False)
        epoch = secrets.token_hex(8) if fitted else self._state.epoch
        self._making = epoch if fitted else None
        contents = [content for content, _ in kinds.get("picture", [])]
        if fitted:
            every = self._do("SELECT content FROM pictures", (), (bytes,))
            contents = [*dict.fromkeys([*contents, *(content for (content,) in every)])]
            self._server.prepare(self._dimensions())
        self._dropped_traces.update(kinds.get("dropped", []))
        there = "SELECT 1 FROM pictures WHERE content = ?"
        gone = [content for content in contents if not self._do(there, (content,))]
        put, lost = self._rows(kinds)
        if gone or lost:
            self._gone_at = self._seq
        # Rows take the place of those that others had written: were this process killed before the commit is
        # whole, nobody would look for them, but for this.
        self._say(open=True)
        # In this order: whoever sees a row finds what it names.
        self._put_traces(kinds.get("trace", []))
        self._put_pictures(epoch, contents)
        self._put_rows(put, lost)
        if gone:
            self._take_out(gone)
        if "head" in kinds:
            self._put_head(epoch, fitted=fitted)
        come = self._say(open=False)
        self._state = replace(self._state, epoch=epoch, known=self._state.known | {self._session: come})
        self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", self._state.row())
        self._do("DELETE FROM temp.noted")

    def _say(self, *, open: bool) -> Come:
        """Says how far this writer has come."""
        come = Come(self._seq, self._gone_at, open)
        said = row(self._names.session(self._session), session_text(come), self._session, self._seq)
        self._server.upsert(ROWS, [said])
        self._open = open
        return come

    def _require_same_epoch(self, *, strong: bool) -> State:
        """Makes sure that descriptors are still made as this writer makes them.

        Returns:
            How far everybody has come.

        Raises:
            CollectionChangedError: Another writer has fitted a whitening.
        """
        own = self._state.identity, self._state.epoch
        _, now = state_of(self._server, strong=strong)
        if (now.identity, now.epoch) != own and not strong:
            # This writer's own switch may not be seen yet.
            _, now = state_of(self._server, strong=True)
        if (now.identity, now.epoch) != own:
            raise _fitted_meanwhile(self._address)
        return now

    def _require_alone(self) -> Head:
        """Makes sure that nobody else has written since this writer's mirror was brought in step.

        Returns:
            What the collection says of itself.

        Raises:
            CollectionChangedError: Somebody has: what they brought has no place among other descriptors.
        """
        head, now = state_of(self._server, strong=True)
        if (now.identity, now.epoch) != (self._state.identity, self._state.epoch):
            raise _fitted_meanwhile(self._address)
        if self._others(now) != self._others(self._state):
            raise CollectionChangedError(
                f"others wrote to {self._address} while its descriptors were being replaced; "
                "they are as before",
                remedy="do it again: what was encoded is kept",
            )
        return head

    def _others(self, state: State) -> dict[int, Come]:
        """How far other writers have come."""
        return {session: told for session, told in state.known.items() if session != self._session}

    def _dimensions(self) -> int:
        return self._do("SELECT value FROM meta WHERE key = 'dimensions'", (), (int,))[0][0]

    def _put_traces(self, traces: Sequence[tuple[bytes, bytes]]) -> None:
        """Writes the data of traces; of those that a mirror does not have, lengths take its place."""
        sql = (
            "SELECT t.number, t.data, t.crc FROM traces t JOIN pictures p ON p.id = t.picture "
            "WHERE p.content = ? AND t.kind = ?"
        )
        sent: list[tuple[int, int]] = []

        def rows() -> Iterator[dict[str, Any]]:
            for content, coded in traces:
                kind = coded.decode()
                if kind == FEATURELESS:
                    continue
                for number, data, crc in self._do(sql, (content, kind), (int, bytes, int)):
                    if is_placeholder(data, crc):
                        continue  # it was sent before
                    keys = self._names.trace(content, kind, len(data), crc)
                    yield from pieces(keys, data, self._session, self._seq, content.hex())
                    if kind not in MIRRORED:
                        sent.append((number, len(data)))

        self._server.upsert(TRACES, rows())
        for number, length in sent:
            self._do("UPDATE traces SET data = ? WHERE number = ?", (placeholder(length), number))

    def _put_pictures(self, epoch: str, contents: Sequence[bytes]) -> None:
        """Writes pictures, those that are there."""
        dimensions = self._dimensions()
        pictures = pictures_of_length(dimensions)

        def rows() -> Iterator[dict[str, Any]]:
            for content in contents:
                found = self._picture(content)
                if found is None:
                    continue
                picture, stored = found
                key, text = self._names.picture(epoch, content), picture_text(picture)
                vector = as_vector(stored, dimensions)
                yield row(key, text, self._session, self._seq, content=content.hex(), vector=vector)

        self._server.upsert(pictures, rows())

    def _picture(self, content: bytes) -> tuple[PictureRow, bytes | None] | None:
        """A picture as the mirror has it, and its descriptor."""
        rows = self._do(
            "SELECT p.id, p.width, p.height, p.format, p.frames, d.vector FROM pictures p "
            "LEFT JOIN descriptors d ON d.picture = p.id WHERE p.content = ?",
            (content,),
        )
        if not rows:
            return None
        [(record, width, height, form, frames, stored)] = rows
        sql = "SELECT kind, data, length(data), crc FROM traces WHERE picture = ? AND kind <> ?"
        traces = {
            kind: (length if kind in MIRRORED else int(data), crc)
            for kind, data, length, crc in self._do(sql, (record, FEATURELESS))
        }
        picture = PictureRow(
            content=content,
            size=(width, height),
            format=form,
            frames=frames,
            featureless=stored is None,
            came=record,
            traces=traces,
        )
        return picture, stored

    def _rows(self, kinds: dict[str, list[tuple[bytes, bytes]]]) -> tuple[list[dict[str, Any]], list[str]]:
        """The rows of folders, files and what was skipped, and the keys of those that are not any more."""
        put: list[dict[str, Any]] = []
        gone: list[str] = []

        def note(kind: str, parts: Sequence[bytes], text: str | None, content: str = "") -> None:
            key = self._names.row(kind, *parts)
            if text is None:
                gone.append(key)
            else:
                put.append(row(key, text, self._session, self._seq, content=content))

        for path, _ in kinds.get("root", []):
            found = self.roots().get(path) if path else None
            if path:
                note("root", [path], root_text(path, found.patterns) if found else None)
        files = dict.fromkeys(kinds.get("file", []))
        sql = "SELECT r.path FROM claims c JOIN roots r ON r.id = c.root WHERE c.path = ?"
        for path, _ in kinds.get("path", []):
            files |= dict.fromkeys((path, root) for (root,) in self._do(sql, (path,), (bytes,)))
        for path, root in files:
            file = self._file(path, root)
            content = file.content.hex() if file else ""
            note("file", [path, root], file_text(file) if file else None, content)
        for path, root in kinds.get("skip", []):
            entry = self._skipped(path, root)
            note("skip", [path, root], skipped_text(entry, root) if entry else None)
        return put, gone

    def _put_rows(self, put: list[dict[str, Any]], gone: list[str]) -> None:
        self._server.upsert(ROWS, put)
        self._server.delete(ROWS, gone)

    def _file(self, path: bytes, root: bytes) -> FileRow | None:
        rows = self._do(
            "SELECT p.content, f.size, f.mtime_ns, f.ctime_ns FROM claims c JOIN roots r ON r.id = c.root "
            "JOIN files f ON f.path = c.path JOIN pictures p ON p.id = f.picture "
            "WHERE c.path = ? AND r.path = ?",
            (path, root),
            (bytes, int, int, int),
        )
        return FileRow(path, root, rows[0][0], Signature(*rows[0][1:])) if rows else None

    def _skipped(self, path: bytes, root: bytes) -> SkippedEntry | None:
        rows = self._do(
            "SELECT s.size, s.mtime_ns, s.ctime_ns, s.reason, s.code, s.tried_with FROM skipped s "
            "JOIN roots r ON r.id = s.root WHERE s.path = ? AND r.path = ?",
            (path, root),
            (int, int, int, str, str, str),
        )
        if not rows:
            return None
        size, mtime, ctime, reason, code, tried = rows[0]
        return SkippedEntry(Signature(size, mtime, ctime), Skipped(path, reason[:10_000], code), tried[:1000])

    def _take_out(self, contents: Sequence[bytes]) -> None:
        """Takes pictures away that no file holds any more, on the whole server.

        Another writer may give one a file in the same moment. Either this one sees that file after the
        picture has gone, and puts it back, or that one sees that it has gone, when it looks (``settle``).
        """
        pictures = pictures_of_length(self._dimensions())
        for start in range(0, len(contents), _SOME):
            free = self._unheld(contents[start : start + _SOME])
            keys = {content: self._names.picture(self._state.epoch, content) for content in free}
            kept = list(self._server.rows_of(pictures, keys.values(), _WHOLE, strong=True))
            self._server.delete(pictures, [*keys.values()])
            left = set(self._unheld(free))
            back = [found for found in kept if bytes.fromhex(found["content"]) not in left]
            # As this one's: others come across what they have known as it was.
            own = {"session": self._session, "seq": self._seq}
            self._server.upsert(pictures, [found | own for found in back])
            for content in sorted(left):
                found = self._server.walk(
                    TRACES, f"{self._names.all}{content.hex()}/", ("key",), strong=False
                )
                self._server.delete(TRACES, [trace["key"] for trace in found])

    def _unheld(self, contents: Sequence[bytes]) -> list[bytes]:
        """Those of contents that no file holds."""
        if not contents:
            return []
        some = contents_in([content.hex() for content in contents])
        condition = f"{within(self._names.of_kind('file'))} and {some}"
        rows = self._server.query(ROWS, condition, ("content",), strong=True)
        held = {bytes.fromhex(found["content"]) for found in rows}
        return [content for content in contents if content not in held]

    def _put_head(self, epoch: str, *, fitted: bool) -> None:
        """Writes what the collection says of itself: whoever reads it from now on reads these descriptors."""
        if fitted:
            before = self._require_alone()
        else:
            before, now = state_of(self._server, strong=True)
            if now.epoch != self._state.epoch:
                raise _fitted_meanwhile(self._address)
        rows = dict(self._do("SELECT key, value FROM meta"))
        parts = before.parts
        if fitted:
            whitening = rows.get("whitening")
            parts = 0 if whitening is None else parts_of(len(whitening))
            if whitening is not None:
                keys = self._names.whitening(epoch, parts)
                self._server.upsert(TRACES, pieces(keys, whitening, self._session, self._seq))
        head = Head(
            identity=before.identity,
            epoch=epoch,
            before=(*before.before, before.epoch)[-_MOST_BEFORE:] if fitted else before.before,
            parts=parts,
            meta={key: rows[key] for key in HEAD_KEYS if key in rows},
        )
        self._server.upsert(ROWS, [row(self._names.head, head_text(head), self._session, self._seq)])
        if fitted:
            self._making = None
            # Nobody can be kept from writing between that look and this: one who did saw the old epoch to the
            # end, or is told by its own ``settle``.
            _, now = state_of(self._server, strong=True)
            self._overtaken = self._others(now) != self._others(self._state)
        self._state = replace(self._state, head=(self._session, self._seq))


_WHOLE = ("key", "session", "seq", "content", "text", "vector")


def _fitted_meanwhile(address: str) -> CollectionChangedError:
    return CollectionChangedError(
        f"{address} was fitted with another whitening while it was being written to", remedy="do it again"
    )


def _require_whole(relative: bool) -> None:
    if relative:
        raise SettingsError(
            "a collection on a server has no folder from which pictures could be found",
            remedy="index without --relative",
        )
