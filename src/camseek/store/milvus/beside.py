"""The representation beside the one in use, as a mirror knows it: who has it, and what it is of few.

Which pictures have it is in the tables of a folder's, so that what a folder does with it is done to a mirror.
Of what others put there the descriptors are read when it comes into use, and by ``camseek check``.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from camseek.errors import CollectionChangedError
from camseek.store.meta import Slot, slot_of
from camseek.store.milvus.elsewhere import (
    HELD,
    MIRRORED,
    UNREAD,
    held_length,
    placeholder,
    read_traces,
    whitening_of,
)
from camseek.store.milvus.rows import Head, Names, PictureRow, as_stored, damaged, picture_of
from camseek.store.milvus.server import Server, pictures_of_length
from camseek.store.reader import Reader
from camseek.words import counted

EPOCHS = "mirror_epochs"
"""The row of a mirror's ``meta`` for the epochs in use and beside."""
_FIELDS = ("key", "content", "text")
# Pictures whose descriptors are held at a time.
_SOME = 256
_PUT_TRACE = "INSERT INTO refit_traces VALUES (?, ?, ?, ?, ?)"


def epochs_text(epoch: str, beside: str) -> str:
    """The value of ``EPOCHS``; ``epochs_of`` reads it."""
    return f"{epoch}/{beside}"


def epochs_of(text: str) -> tuple[str, str]:
    """The epochs in use and beside; one that is not there is empty.

    Raises:
        ValueError: They are none.
    """
    epoch, beside = text.split("/")
    return epoch, beside


def epoch_in_use(reader: Reader) -> str:
    """Of which epoch the descriptors in a mirror are: all mirrors know it by the same word."""
    rows = reader.query("SELECT value FROM meta WHERE key = ?", (EPOCHS,), (str,))
    return epochs_of(rows[0][0])[0] if rows else ""


class BesidePull:
    """Brings what a mirror knows of the representation beside in step with the server."""

    def __init__(self, server: Server, database: sqlite3.Connection, head: Head) -> None:
        """Takes over what the collection says of it.

        Args:
            server: The server.
            database: The mirror's, in a transaction.
            head: What the collection says of itself; the mirror knows the rest of it already.

        Raises:
            CorruptCollectionError: It cannot be.
        """
        self._server, self._database, self._head = server, database, head
        self._address, self._names = str(server.address), Names(server.address.name)
        meta = dict(database.execute("SELECT key, value FROM meta"))
        told = head.beside.told if head.beside else None
        # The same pictures may be beside in another way: what was in the making may have been in use since.
        self.anew = (epochs_of(meta[EPOCHS])[1], meta.get("refit")) != (
            head.beside.epoch if head.beside else "",
            told,
        )
        if self.anew:
            for table in ("refit", "refit_traces"):
                database.execute(f"DELETE FROM {table}")  # noqa: S608  # names from above
            meta = {key: value for key, value in meta.items() if key not in ("refit", "refit_whitening")}
            database.execute("DELETE FROM meta WHERE key IN ('refit', 'refit_whitening')")
            if head.beside:
                new: dict[str, Any] = {"refit": told}
                if head.beside.parts:
                    new["refit_whitening"] = whitening_of(server, head.beside.epoch, head.beside.parts)
                meta |= new
                database.executemany("INSERT INTO meta VALUES (?, ?)", new.items())
        self._slot: Slot | None = slot_of(self._address, meta) if head.beside else None
        if self._slot and not MIRRORED.isdisjoint(self._slot.refit.kinds):
            raise damaged(self._address, "what is beside", ValueError("it has traces that are of pixels"))

    def take_in(
        self,
        changed: Callable[[str, str, Sequence[str], bool], Iterable[dict[str, Any]]],
        came: Iterable[bytes],
        *,
        whole: bool,
    ) -> None:
        """Notes which pictures have it.

        Args:
            changed: Gives the rows of a Milvus collection whose keys begin with a prefix: fields of those
                that were written since the mirror was last brought in step, or of all.
            came: Contents that are new in the mirror.
            whole: Look at all of them.
        """
        if self._slot is None or self._head.beside is None:
            return
        dimensions = self._slot.refit.profile.dimensions
        self._server.require_pictures(dimensions)
        pictures, prefix = pictures_of_length(dimensions), self._names.epoch(self._head.beside.epoch)
        whole = whole or self.anew
        self._database.execute("CREATE TEMP TABLE listed (record INTEGER PRIMARY KEY)")
        try:
            for record in self._note(changed(pictures, prefix, _FIELDS, whole), replace=not whole):
                self._database.execute("INSERT OR IGNORE INTO listed VALUES (?)", (record,))
            for table in ("refit", "refit_traces") if whole else ():
                gone = f"DELETE FROM {table} WHERE picture NOT IN (SELECT record FROM listed)"  # noqa: S608  # names from above
                self._database.execute(gone)
        finally:
            self._database.execute("DROP TABLE temp.listed")
        if not whole:
            # Another mirror may have known them, and one that has no file here may have had one there.
            keys = [prefix + content.hex() for content in came]
            found = self._server.rows_of(pictures, keys, _FIELDS, strong=True) if keys else ()
            for _ in self._note(found, replace=True):
                pass

    def _note(self, rows: Iterable[dict[str, Any]], *, replace: bool) -> Iterator[int]:
        """Notes pictures that have it; their records.

        Args:
            rows: Theirs.
            replace: They were written since; otherwise what the mirror has of the same is left as it is.
        """
        for row in rows:
            picture = picture_of(self._address, row["content"], row["text"])
            sql = "SELECT id FROM pictures WHERE content = ?"
            for (record,) in self._database.execute(sql, (picture.content,)).fetchall():
                if replace or not self._has(record, picture):
                    self._put(record, picture)
                yield record

    def _traces(self, picture: PictureRow) -> dict[str, tuple[int, int]]:
        kinds = self._slot.refit.kinds if self._slot else ()
        return {kind: told for kind, told in picture.traces.items() if kind in kinds}

    def _has(self, record: int, picture: PictureRow) -> bool:
        """Whether the mirror knows this of a picture."""
        sql = "SELECT vector IS NULL FROM refit WHERE picture = ?"
        if self._database.execute(sql, (record,)).fetchall() != [(picture.featureless,)]:
            return False
        sql = "SELECT kind, crc FROM refit_traces WHERE picture = ?"
        held = dict(self._database.execute(sql, (record,)))
        return held == {kind: crc for kind, (_, crc) in self._traces(picture).items()}

    def _put(self, record: int, picture: PictureRow) -> None:
        side = self._slot.side if self._slot else 0
        vector = None if picture.featureless else UNREAD
        self._database.execute("INSERT OR REPLACE INTO refit VALUES (?, ?, 0)", (record, vector))
        self._database.execute("DELETE FROM refit_traces WHERE picture = ?", (record,))
        for kind, (length, crc) in self._traces(picture).items():
            self._database.execute(_PUT_TRACE, (record, kind, side, placeholder(length), crc))


def fetch(server: Server, do: Callable[..., list[Any]], epoch: str, dimensions: int) -> None:
    """Reads the descriptors beside that a mirror has not.

    Args:
        server: The server.
        do: Asks the mirror's database.
        epoch: Theirs.
        dimensions: Their length.

    Raises:
        CollectionChangedError: Some are not there.
        CorruptCollectionError: One cannot be.
    """
    sql = (
        "SELECT r.picture, p.content FROM refit r JOIN pictures p ON p.id = r.picture "
        "WHERE r.vector = ? ORDER BY r.picture LIMIT ?"
    )
    while waiting := do(sql, (UNREAD, _SOME), (int, bytes)):
        records = {content: record for record, content in waiting}
        for content, stored in _descriptors(server, epoch, dimensions, list(records)):
            if stored is None:
                fault = ValueError("its descriptor is not as it was written")
                raise damaged(str(server.address), f"the picture {content.hex()} beside", fault)
            values = stored, zlib.crc32(stored), records.pop(content)
            do("UPDATE refit SET vector = ?, crc = ? WHERE picture = ?", values)
        if records:
            raise CollectionChangedError(
                f"{counted(len(records), 'picture')} of what is beside {server.address} left the server",
                remedy="camseek check tells what is there; then do it again",
            )


def _descriptors(
    server: Server, epoch: str, dimensions: int, contents: Sequence[bytes]
) -> Iterator[tuple[bytes, bytes | None]]:
    """The stored descriptors of pictures that are there, by content; None where it cannot be one."""
    names = Names(server.address.name)
    keys = {names.picture(epoch, content): content for content in contents}
    for row in server.rows_of(pictures_of_length(dimensions), keys, ("key", "vector")):
        stored = None
        with suppress(ValueError):
            stored = as_stored(row["vector"], dimensions)
        yield keys[row["key"]], stored


def beside_faults(server: Server, reader: Reader) -> Iterator[str]:
    """Reads what is beside and not in the mirror; each fault in a sentence. Inside a snapshot."""
    meta = reader.meta()
    slot = slot_of(reader.address, meta)
    if slot is None:
        return
    epoch, dimensions = epochs_of(meta[EPOCHS])[1], slot.refit.profile.dimensions
    lost = "is lost, or not as it was written"
    sql = (
        "SELECT r.picture, p.content FROM refit r JOIN pictures p ON p.id = r.picture "
        "WHERE r.picture > ? AND r.vector = ? ORDER BY r.picture LIMIT ?"
    )
    after = -(1 << 63)
    while waiting := reader.query(sql, (after, UNREAD, _SOME), (int, bytes)):
        after = waiting[-1][0]
        found = dict(_descriptors(server, epoch, dimensions, [content for _, content in waiting]))
        for record, content in waiting:
            if found.get(content) is None:
                yield f"the descriptor beside of record {record} {lost}"
    sql = (
        f"SELECT t.rowid, t.picture, p.content, t.kind, {HELD}, t.crc FROM refit_traces t "  # noqa: S608  # a constant
        "JOIN pictures p ON p.id = t.picture WHERE t.rowid > ? ORDER BY t.rowid LIMIT ?"
    )
    after = -(1 << 63)
    while rows := reader.query(sql, (after, _SOME)):
        after = rows[-1][0]
        wanted = {(content, kind): (held_length(held, crc), crc) for _, _, content, kind, held, crc in rows}
        found = dict(read_traces(server, wanted))
        for _, record, content, kind, _, crc in rows:
            if (content, kind) not in found or zlib.crc32(found[content, kind]) != crc:
                yield f"the {kind} beside of record {record} {lost}"
