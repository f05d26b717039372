"""A writer of a collection on a server: what it does to the mirror is told the server with each commit.

It is a writer of the mirror, which notes what has changed; a commit compares the notes with what is there now
and writes that down: rows that are there are put in the place of those of their keys, others are taken away.
So each commit may be done twice, and several writers need no lock.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from camseek.errors import CollectionChangedError, CollectionOvertakenError, SettingsError
from camseek.patterns import Patterns
from camseek.results import Skipped
from camseek.store.meta import Slot, slot_of
from camseek.store.milvus import sweeping
from camseek.store.milvus.beside import EPOCHS, epochs_of
from camseek.store.milvus.elsewhere import (
    HELD,
    MIRRORED,
    held_length,
    is_placeholder,
    placeholder,
    put_whitening,
)
from camseek.store.milvus.leaving import Leaving, trace_keys
from camseek.store.milvus.pulling import State, state_of
from camseek.store.milvus.refitter import MilvusRefitter
from camseek.store.milvus.rows import (
    HEAD_KEYS,
    Come,
    FileRow,
    Head,
    HeadBeside,
    Names,
    PictureRow,
    as_vector,
    file_text,
    gone_text,
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
from camseek.store.milvus.server import ROWS, TRACES, Server, pictures_of_length
from camseek.store.milvus.sweeping import ended, forget, idle, sweep_epoch, unheld
from camseek.store.records import Signature, SkippedEntry
from camseek.store.traces import FEATURELESS
from camseek.store.writer import FolderWriter

# Pictures, or contents, that are looked at together.
_SOME = 100
_MOST_BEFORE = 20
# Seconds after which it is looked again whether somebody else is about to write a head.
_POLL = 0.1
_SLOT = ("refit", "refit_whitening")
_OF_HEAD = (*HEAD_KEYS, "whitening", *_SLOT)
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
# Gives a picture as it is in an epoch, and its descriptor.
_Found = Callable[[bytes], tuple[PictureRow, bytes | None] | None]


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
    # Traces that are not there any more, or replaced: what lay in the mirror, or how long that was.
    database.execute("CREATE TEMP TABLE dropped (content, kind, held, crc)")
    for table in ("traces", "refit_traces"):
        what = f"content, OLD.kind, {HELD.replace('data', 'OLD.data')}, OLD.crc FROM main.pictures"
        database.execute(
            f"CREATE TEMP TRIGGER drop_{table} AFTER DELETE ON main.{table} "
            f"BEGIN INSERT INTO dropped SELECT {what} WHERE id = OLD.picture; END"
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
        self._took_at: int = come.took
        self._open: bool = come.open
        # Contents that this writer gave a file, and whether it brought them.
        self._leant_on: dict[bytes, bool] = {}
        # Contents of which it wrote a trace, but for what is beside.
        self._traced: set[bytes] = set()
        # Contents of which this writer put something beside.
        self._put_aside: set[bytes] = set()
        # Epochs that this writer has put out of use.
        self._retired: list[str] = []
        self._overtaken = False
        take_notes(database)
        super().__init__(database, str(server.address), folder)
        self._own = MilvusRefitter(self._do, str(server.address), server, self._commit_whole)

    @property
    def refitter(self) -> MilvusRefitter:
        """Replaces the representation of all pictures at once."""
        return self._own

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

    def _commit_whole(self) -> None:
        """Commits, where nothing is in the middle.

        Raises:
            ValueError: A ``unit`` is.
        """
        if self.torn:
            raise ValueError("what is to be permanent at once is begun in a unit")
        self.commit()

    def compact(self) -> None:
        """Commits, gives freed space of the mirror back, and takes away what was replaced on the server."""
        super().compact()
        head, now = state_of(self._server, strong=True)
        self._sweep_epochs(head.before)
        self._retired.clear()
        there = "SELECT 1 FROM pictures WHERE content = ?"
        whole = ended(self._state, now)
        stray = unheld(self._server, head.lengths, whole, lambda one: bool(self._do(there, (one,))))
        if stray:
            with self._apart(takes=True):
                Leaving(self._server, self._session, self._seq).pictures(stray)
        if gone := idle(self._state, now) - {self._session}:
            with self._apart():
                # Before they are gone: who is behind would miss what they have written.
                self._put_head(self._state.epoch, self._state.beside, set(), forgot=1)
                forget(self._server, gone)
                known = {session: come for session, come in self._state.known.items() if session not in gone}
                self._state = replace(self._state, known=known)

    def _know(self, come: Come) -> None:
        """The mirror has what this writer has done."""
        own = self._session
        looked = {session: times for session, times in self._state.looked.items() if session != own}
        self._state = replace(self._state, known=self._state.known | {own: come}, looked=looked)
        for values in self._state.rows():
            self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)

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
        _, now = self._require_same(strong=True, beside=bool(self._put_aside))
        # Who takes something says so before: who has not said so yet sees this writer's rows.
        whole = ended(self._state, self._state)
        took = any(come.took > whole.get(session, 0) for session, come in self._others(now).items())
        self._sweep_traces()
        self._sweep_epochs(self._retired)
        self._retired.clear()
        if took:
            self._require_kept()
        else:
            self._leant_on.clear()
            self._traced.clear()
            self._put_aside.clear()
            self.commit()

    def _require_kept(self) -> None:
        """Looks whether what this writer gave files, or traces, is still there; what is not is forgotten.

        Raises:
            CollectionChangedError: Some is not.
        """
        leant, traced, aside = self._leant_on, self._traced, self._put_aside
        self._leant_on, self._traced, self._put_aside = {}, set(), set()
        contents = [
            content for content in sorted({*leant, *traced, *aside}) if self._picture(content) is not None
        ]
        brought = traced | {content for content, brought in leant.items() if brought}
        missing = self._missing(contents, self._state.epoch, self._dimensions(), brought)
        lost = {
            content for content in missing.keys() & leant.keys() if missing[content] is None or leant[content]
        }
        for content in sorted(lost):
            sql = "SELECT f.path FROM files f JOIN pictures p ON p.id = f.picture WHERE p.content = ?"
            self.release([path for (path,) in self._do(sql, (content,), (bytes,))], None)
        bare = {content: kinds for content, kinds in missing.items() if kinds and content in traced - lost}
        for content, kinds in sorted(bare.items()):
            if (record := self.find(content)) is not None:
                for kind in sorted(kinds):
                    # Nobody has its data any more: it is made again by whoever asks for it.
                    self.drop_trace(record, kind)
        again = {content for content in aside & missing.keys() if missing[content] is None}
        if (slot := self._own.slot()) is not None:
            there = [content for content in contents if content in aside]
            length = slot.refit.profile.dimensions
            again.update(self._missing(there, self._state.beside, length, aside))
        for content in sorted(again):
            if (record := self.find(content)) is not None:
                self._own.take_back(record)
        self.commit()
        if lost:
            raise CollectionChangedError(
                f"another writer took pictures out of {self._address} to which files were added here",
                remedy="do it again",
            )
        if bare:
            raise CollectionChangedError(
                f"another writer dropped parts of pictures of {self._address} that were made here meanwhile",
                remedy="do it again",
            )

    def _missing(
        self, contents: Sequence[bytes], epoch: str, dimensions: int, traced: Container[bytes]
    ) -> dict[bytes, set[str] | None]:
        """What an epoch lacks of pictures, where it lacks anything.

        Args:
            contents: Theirs.
            epoch: The epoch.
            dimensions: The length of its descriptors.
            traced: Those whose traces are looked for, too.

        Returns:
            The kinds of traces that their rows name and that are not there; None where there is no row.
        """
        missing: dict[bytes, set[str] | None] = {}
        pictures = pictures_of_length(dimensions)
        for start in range(0, len(contents), _SOME):
            some = {
                self._names.picture(epoch, content): content for content in contents[start : start + _SOME]
            }
            missing |= dict.fromkeys(some.values())
            parts: dict[str, tuple[bytes, str]] = {}
            for found in self._server.rows_of(pictures, some, ("key", "content", "text"), strong=True):
                content = some[found["key"]]
                missing[content] = set()
                if content in traced:
                    for kind, keys in trace_keys(self._server, found).items():
                        parts |= dict.fromkeys(keys, (content, kind))
            there = {found["key"] for found in self._server.rows_of(TRACES, parts, ("key",), strong=True)}
            for content, kind in {told for key, told in parts.items() if key not in there}:
                kinds = missing[content]
                if kinds is not None:
                    kinds.add(kind)
        return {content: kinds for content, kinds in missing.items() if kinds is None or kinds}

    def _sweep_traces(self) -> None:
        """Takes traces away that were dropped here, unless somebody names them by now."""
        sql = (
            "SELECT DISTINCT content, kind, held, crc FROM temp.dropped d WHERE kind <> ? AND NOT EXISTS "
            "(SELECT 1 FROM {} t JOIN pictures p ON p.id = t.picture WHERE p.content = d.content "
            "AND t.kind = d.kind AND t.crc = d.crc) "
        )
        # Where places change, each trace goes from one table to the other.
        both = f"{sql.format('traces')} INTERSECT {sql.format('refit_traces')} ORDER BY content, kind"
        dropped = self._do(both, (FEATURELESS, FEATURELESS))
        if dropped:
            wanted = [
                (content, self._names.trace(content, kind, held_length(held, crc), crc))
                for content, kind, held, crc in dropped
            ]
            # Who made the same ones anew meanwhile looks whether they are there.
            with self._apart(takes=True):
                Leaving(self._server, self._session, self._seq).traces(wanted)
        self._do("DELETE FROM temp.dropped")

    # -- what a commit tells the server ------------------------------------------------------------------

    def _publish(self) -> None:
        try:
            self._tell()
        except CollectionChangedError:
            # All that was not committed goes back, so that nothing of it is told again at the end.
            self.abandon()
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
        told = {key.decode() for key, _ in kinds.get("head", [])}
        epoch, beside = epochs_of(self._do("SELECT value FROM meta WHERE key = ?", (EPOCHS,), (str,))[0][0])
        switched = epoch != self._state.epoch
        contents = [content for content, _ in kinds.get("picture", [])]
        aside = [content for content, _ in kinds.get("beside", [])]
        there = "SELECT 1 FROM pictures WHERE content = ?"
        gone = [content for content in contents if not self._do(there, (content,))]
        if switched:
            # Before minutes of work, and again after it.
            self._require_alone()
        else:
            # What is not seen yet is seen by ``settle``.
            self._require_same(strong=bool(gone), beside=bool(aside))
        put, lost = self._rows(kinds)
        slot = self._slot()
        back = [content for content in aside if slot and self._beside(content, slot) is None]
        if gone or lost or back:
            self._took_at = self._seq
        if back:
            self._gone_at = self._seq
        for content in gone:
            told_gone = gone_text("picture", (content,))
            key = self._names.gone("picture", content)
            put.append(row(key, told_gone, self._session, self._seq, content=content.hex()))
        # Rows take the place of those that others had written: were this process killed before the commit is
        # whole, nobody would look for them, but for this.
        self._say(open=True)
        early = not switched and beside not in ("", self._state.beside)
        if early:
            # Named before there is a row of it.
            self._put_head(epoch, beside, told)
        # In this order: whoever sees a row finds what it names.
        self._put_traces(kinds.get("trace", []), aside)
        if switched:
            self._put_all(epoch, set(aside))
        else:
            self._put_pictures(epoch, self._dimensions(), self._picture, contents)
        if slot and not switched:
            # What was in use until now is as it was written then. Until the head says otherwise it is in use:
            # of what others write there this writer knows nothing. It is looked at when it comes back.
            length = slot.refit.profile.dimensions
            self._put_pictures(beside, length, partial(self._beside, slot=slot), aside)
            keys = [self._names.picture(beside, content) for content in back]
            self._server.delete(pictures_of_length(length), keys)
        if switched:
            # Nothing leaves before that is done: it may yet fail.
            self._put_head(epoch, beside, told)
        self._put_rows(put, lost)
        if gone:
            Leaving(self._server, self._session, self._seq).pictures(gone)
        if told and not (early or switched):
            self._put_head(epoch, beside, told)
        self._state = replace(self._state, epoch=epoch, beside=beside)
        self._put_aside.update(aside)
        self._know(self._say(open=False))
        self._do("DELETE FROM temp.noted")

    def _say(self, *, open: bool, head: bool = False) -> Come:
        """Says how far this writer has come."""
        come = Come(self._seq, self._gone_at, self._took_at, open, head)
        said = row(self._names.session(self._session), session_text(come), self._session, self._seq)
        self._server.upsert(ROWS, [said])
        self._open = open
        return come

    def _require_same(self, *, strong: bool, beside: bool) -> tuple[Head, State]:
        """Makes sure that descriptors are still made as this writer makes them.

        Args:
            strong: With everything that was written before.
            beside: Those that are beside, too.

        Returns:
            What the collection says of itself, and how far everybody has come.

        Raises:
            CollectionChangedError: Another writer has replaced them, or what is beside.
        """
        head, now = state_of(self._server, strong=strong)
        if not strong and not self._is_same(now, beside=beside):
            # This writer's own switch may not be seen yet.
            head, now = state_of(self._server, strong=True)
        if not self._is_same(now, beside=beside):
            raise self._changed(now)
        return head, now

    def _is_same(self, now: State, *, beside: bool) -> bool:
        own = self._state
        same = (now.identity, now.epoch) == (own.identity, own.epoch)
        return same and (now.beside == own.beside or not beside)

    def _changed(self, now: State) -> CollectionChangedError:
        """The error for descriptors that are others than this writer's."""
        if now.identity != self._state.identity:
            what, remedy = "was made anew", "open it again"
        elif now.epoch != self._state.epoch:
            what, remedy = "was fitted or upgraded by another process", "do it again"
        else:
            what, remedy = "has something else beside now, or nothing", "look: camseek upgrade --status"
        return CollectionChangedError(f"{self._address} {what} while it was being written to", remedy=remedy)

    def _require_alone(self) -> tuple[Head, State]:
        """Makes sure that nobody else has written since this writer's mirror was brought in step.

        Returns:
            What the collection says of itself, and how far everybody has come.

        Raises:
            CollectionOvertakenError: Somebody has: what they brought has no place among other descriptors.
            CollectionChangedError: Descriptors are others already.
        """
        head, now = self._require_same(strong=True, beside=True)
        if self._others(now) != self._others(self._state):
            raise CollectionOvertakenError(
                f"others wrote to {self._address} while its descriptors were being replaced; "
                "they are as before",
                remedy="do it again: what was encoded is kept",
            )
        return head, now

    def _others(self, state: State) -> dict[int, Come]:
        """How far other writers have come."""
        return {session: told for session, told in state.known.items() if session != self._session}

    def _dimensions(self) -> int:
        return self._do("SELECT value FROM meta WHERE key = 'dimensions'", (), (int,))[0][0]

    def _put_traces(self, traces: Sequence[tuple[bytes, bytes]], aside: Sequence[bytes]) -> None:
        """Writes the data of traces; of those that a mirror does not have, lengths take its place.

        Args:
            traces: Contents and kinds.
            aside: Contents whose traces beside are written, too.
        """
        named = (
            ("traces", ((content, kind.decode()) for content, kind in traces), "AND t.kind = ?"),
            ("refit_traces", ((content,) for content in aside), ""),
        )
        sent: list[tuple[str, int, int]] = []

        def rows() -> Iterator[dict[str, Any]]:
            for table, wanted, also in named:
                sql = (
                    f"SELECT p.content, t.kind, t.rowid, t.data, t.crc FROM {table} t "  # noqa: S608  # names from above
                    f"JOIN pictures p ON p.id = t.picture WHERE p.content = ? {also} ORDER BY t.kind"
                )
                for values in wanted:
                    kinds = (bytes, str, int, bytes, int)
                    for content, kind, number, data, crc in self._do(sql, values, kinds):
                        if kind == FEATURELESS or is_placeholder(data, crc):
                            continue  # there is nothing, or it was sent before
                        keys = self._names.trace(content, kind, len(data), crc)
                        yield from pieces(keys, data, self._session, self._seq, content.hex())
                        if table == "traces":
                            self._traced.add(content)
                        if kind not in MIRRORED:
                            sent.append((table, number, len(data)))

        self._server.upsert(TRACES, rows())
        for table, number, length in sent:
            self._do(f"UPDATE {table} SET data = ? WHERE rowid = ?", (placeholder(length), number))  # noqa: S608  # names from above

    def _put_pictures(self, epoch: str, dimensions: int, of: _Found, contents: Iterable[bytes]) -> None:
        """Writes pictures of an epoch, those that are there.

        Args:
            epoch: The epoch.
            dimensions: The length of its descriptors.
            of: Gives a picture as it is in that epoch.
            contents: Of the pictures.
        """

        def rows() -> Iterator[dict[str, Any]]:
            for content in contents:
                found = of(content)
                if found is None:
                    continue
                picture, stored = found
                key, text = self._names.picture(epoch, content), picture_text(picture)
                vector = as_vector(stored, dimensions)
                yield row(key, text, self._session, self._seq, content=content.hex(), vector=vector)

        self._server.upsert(pictures_of_length(dimensions), rows())

    def _put_all(self, epoch: str, sure: set[bytes]) -> None:
        """Writes the pictures of an epoch that comes into use, where the server has none or another text.

        Most are there: they were written when they were made, or when the epoch was in use.

        Args:
            epoch: The epoch.
            sure: Contents of pictures that are written anyway.
        """
        there: set[bytes] = set()
        dimensions = self._dimensions()
        pictures, fields = pictures_of_length(dimensions), ("key", "content", "text")
        for found in self._server.walk(pictures, self._names.epoch(epoch), fields):
            picture = picture_of(self._address, found["content"], found["text"])
            wanted = self._picture(picture.content)
            # Each mirror numbers pictures in its own way.
            if wanted is not None and replace(picture, came=wanted[0].came) == wanted[0]:
                there.add(picture.content)
        every = [content for (content,) in self._do("SELECT content FROM pictures ORDER BY id", (), (bytes,))]
        left = (content for content in every if content in sure or content not in there)
        self._put_pictures(epoch, dimensions, self._picture, left)

    def _picture(self, content: bytes) -> tuple[PictureRow, bytes | None] | None:
        """A picture as the mirror has it, and its descriptor."""
        rows = self._do(
            "SELECT p.id, p.width, p.height, p.format, p.frames, d.vector FROM pictures p "
            "LEFT JOIN descriptors d ON d.picture = p.id WHERE p.content = ?",
            (content,),
        )
        if not rows:
            return None
        [(record, *facts, stored)] = rows
        return self._row(content, record, facts, stored is None, self._told_traces("traces", record)), stored

    def _beside(self, content: bytes, slot: Slot) -> tuple[PictureRow, bytes | None] | None:
        """A picture as it is in what is beside."""
        rows = self._do(
            "SELECT p.id, p.width, p.height, p.format, p.frames, r.vector FROM pictures p "
            "JOIN refit r ON r.picture = p.id WHERE p.content = ?",
            (content,),
        )
        if not rows:
            return None
        [(record, *facts, stored)] = rows
        common = self._told_traces("traces", record).items()
        traces = {kind: told for kind, told in common if kind not in slot.refit.kinds}
        traces |= self._told_traces("refit_traces", record)
        return self._row(content, record, facts, stored is None, traces), stored

    def _told_traces(self, table: str, record: int) -> dict[str, tuple[int, int]]:
        """Length and checksum of the traces of a picture, by kind."""
        sql = f"SELECT kind, {HELD}, crc FROM {table} WHERE picture = ? AND kind <> ?"  # noqa: S608  # names from above
        rows = self._do(sql, (record, FEATURELESS))
        return {kind: (held_length(held, crc), crc) for kind, held, crc in rows}

    def _row(
        self,
        content: bytes,
        record: int,
        facts: Sequence[Any],
        featureless: bool,
        traces: dict[str, tuple[int, int]],
    ) -> PictureRow:
        width, height, form, frames = facts
        return PictureRow(
            content=content,
            size=(width, height),
            format=form,
            frames=frames,
            featureless=featureless,
            came=record,
            traces=traces,
        )

    def _slot(self) -> Slot | None:
        """The representation beside, as this writer has left it."""
        return slot_of(self._address, dict(self._do("SELECT key, value FROM meta")))

    def _rows(self, kinds: dict[str, list[tuple[bytes, bytes]]]) -> tuple[list[dict[str, Any]], list[str]]:
        """The rows of folders, files and what was skipped, and the keys of those that are not any more."""
        put: list[dict[str, Any]] = []
        gone: list[str] = []

        def note(kind: str, parts: Sequence[bytes], text: str | None, content: str = "") -> None:
            key = self._names.row(kind, *parts)
            if text is None:
                gone.append(key)
                # Mirrors are told, so that they need not look at everything.
                told = gone_text(kind, parts)
                put.append(row(self._names.gone(kind, *parts), told, self._session, self._seq))
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

    def _put_head(self, epoch: str, beside: str, told: set[str], *, forgot: int = 0) -> None:
        """Writes what the collection says of itself: whoever reads it from now on reads these descriptors.

        Args:
            epoch: That in use from now on.
            beside: That beside it, or empty.
            told: The rows of ``meta`` of which something is new; others are those of the server.
            forgot: How often writers are about to be forgotten.

        Raises:
            CollectionChangedError: Another one has replaced the descriptors, or what is beside.
        """
        switched, aside = epoch != self._state.epoch, not told.isdisjoint(_SLOT)
        rows = dict(self._do("SELECT key, value FROM meta"))
        slot = None
        if aside and beside:
            # It takes seconds, in which others may write a head: before it is looked at.
            self._server.prepare(json.loads(rows["refit"])["dimensions"])
            whitening = rows.get("refit_whitening")
            new = put_whitening(self._server, beside, whitening, self._session, self._seq)
            slot = HeadBeside(beside, new, rows["refit"])
        before, seen = self._claim_head(switched=switched, aside=aside)
        parts = before.parts
        if switched:
            parts = parts_of(len(rows["whitening"])) if "whitening" in rows else 0
        out = [old for old in (self._state.epoch, self._state.beside) if old and old not in (epoch, beside)]
        told = set(HEAD_KEYS) if switched else told
        known = {key: before.meta[key] for key in HEAD_KEYS if key in before.meta and key not in told}
        head = Head(
            identity=before.identity,
            epoch=epoch,
            before=(*before.before, *out)[-_MOST_BEFORE:],
            parts=parts,
            meta=known | {key: rows[key] for key in HEAD_KEYS if key in told and key in rows},
            beside=slot if aside else before.beside,
            forgot=before.forgot + forgot,
        )
        self._server.upsert(ROWS, [row(self._names.head, head_text(head), self._session, self._seq)])
        _, now = state_of(self._server, strong=True)
        if now.head != (self._session, self._seq):
            # One for whom nobody waited any more.
            raise self._changed(now)
        # Nobody can be kept from writing between that look and this: one who did saw the old epoch to the
        # end, or is told by its own ``settle``.
        if switched:
            self._overtaken = self._others(now) != self._others(self._state)
        self._retired += out
        # What another head said in between the mirror has not: it takes this one in when it looks next.
        at = now.head if seen.head == self._state.head else self._state.head
        self._state = replace(self._state, head=at, forgot=head.forgot)
        self._say(open=True)

    def _claim_head(self, *, switched: bool, aside: bool) -> tuple[Head, State]:
        """Says that this writer is about to write a head, and waits until nobody else is.

        Of two who say so, and look after that, one at least sees the other. The one whose session has the
        greater number gives way. So nobody writes a head for what another one has replaced meanwhile, or has
        begun to take away. Arguments and errors as for ``_put_head``.

        Returns:
            What the collection says of itself, and how far everybody has come.
        """
        since: dict[tuple[int, Come], float] = {}
        self._say(open=True, head=True)
        claimed = True
        while True:
            if switched:
                head, now = self._require_alone()
            else:
                head, now = self._require_same(strong=True, beside=aside)
            looked = time.time()
            others = {
                session
                for session, come in self._about_to_write(now).items()
                if looked - since.setdefault((session, come), looked) <= sweeping.HEAD_TAKES
            }
            if not others:
                if claimed:
                    return head, now
                claimed = True
                self._say(open=True, head=True)
                continue
            if claimed and self._session > min(others):
                claimed = False
                self._say(open=True)
            time.sleep(_POLL)

    def _about_to_write(self, now: State) -> dict[int, Come]:
        """Other sessions that are about to write a head, but those that must have done so, or were killed."""
        late = idle(self._state, now, sweeping.HEAD_TAKES)
        told = self._others(now).items()
        return {session: come for session, come in told if come.head and come.open and session not in late}

    def _sweep_epochs(self, epochs: Iterable[str]) -> None:
        """Takes descriptors away that are not in use any more, unless a head may be about to name them."""
        for epoch in epochs:
            head, now = state_of(self._server, strong=True)
            if head.identity != self._state.identity or self._about_to_write(now):
                return  # the head tells of them: whoever compacts next takes them away
            if epoch not in head.lengths:
                sweep_epoch(self._server, epoch)

    @contextmanager
    def _apart(self, *, takes: bool = False) -> Generator[None]:
        """A commit in which nothing of the mirror is told; ``takes``: something goes."""
        self._seq += 1
        if takes:
            self._took_at = self._seq
        self._say(open=True)
        try:
            yield
        except CollectionChangedError:
            self._say(open=False)
            raise
        self._know(self._say(open=False))


def _require_whole(relative: bool) -> None:
    if relative:
        raise SettingsError(
            "a collection on a server has no folder from which pictures could be found",
            remedy="index without --relative",
        )
