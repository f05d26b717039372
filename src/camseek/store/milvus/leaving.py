"""Pictures and traces leave a server on which others may come to need them in the same moment.

Nothing there is locked. Who takes something away has said so before (``Come.took``), takes it, looks again
whether anybody names it by now, and puts it back then. Who names something looks at the end of its work,
where anybody has said so, whether it is still there. Of the two one sees the other.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from camseek.store.milvus.pulling import state_of
from camseek.store.milvus.rows import Names, picture_of
from camseek.store.milvus.server import ROWS, TRACES, Server, contents_in, pictures_of_length, within

_WHOLE = ("key", "session", "seq", "content", "text", "vector")
_SOME = 100
"""Pictures that are looked at together."""
# Traces are held while they leave: so many, or so many bytes.
_ROWS, _BYTES = 500, 16_000_000


def trace_keys(server: Server, found: dict[str, Any]) -> dict[str, list[str]]:
    """The keys of the traces that the row of a picture names, by kind.

    Raises:
        CorruptCollectionError: It is no picture's.
    """
    names, picture = (
        Names(server.address.name),
        picture_of(str(server.address), found["content"], found["text"]),
    )
    return {kind: names.trace(picture.content, kind, *told) for kind, told in picture.traces.items()}


class Leaving:
    """Has pictures and traces leave, unless somebody needs them."""

    def __init__(self, server: Server, session: int, seq: int) -> None:
        """Names who takes them away.

        Args:
            server: The server.
            session: The writer, which has said that something goes.
            seq: With this commit.
        """
        self._server, self._names = server, Names(server.address.name)
        # What is put back is this writer's: others come across what they have known as it was.
        self._own = {"session": session, "seq": seq}

    def pictures(self, contents: Sequence[bytes]) -> None:
        """Takes pictures away that no file holds any more, of all representations, with their traces."""
        for start in range(0, len(contents), _SOME):
            free = self._unheld(contents[start : start + _SOME])
            kept: dict[str, list[dict[str, Any]]] = {}
            done: set[str] = set()
            # Another one may begin meanwhile: whoever puts a picture there after it has gone here sees that.
            while todo := self._lengths(done):
                for epoch, length in todo.items():
                    keys = [self._names.picture(epoch, content) for content in free]
                    pictures = pictures_of_length(length)
                    rows = self._server.rows_of(pictures, keys, _WHOLE, strong=True)
                    kept.setdefault(pictures, []).extend(rows)
                    self._server.delete(pictures, keys)
                done |= todo.keys()
            left = set(self._unheld(free))
            for pictures, found in kept.items():
                back = [row for row in found if bytes.fromhex(row["content"]) not in left]
                self._server.upsert(pictures, [row | self._own for row in back])
            self._traces(
                row
                for content in sorted(left)
                for row in self._server.walk(
                    TRACES, f"{self._names.all}{content.hex()}/", _WHOLE, strong=False
                )
            )

    def traces(self, wanted: Sequence[tuple[bytes, Sequence[str]]]) -> None:
        """Takes traces away that no picture names any more.

        Args:
            wanted: Contents of pictures, and keys of traces.
        """
        for start in range(0, len(wanted), _SOME):
            some = wanted[start : start + _SOME]
            named = self._named({content for content, _ in some})
            keys = sorted({key for _, own in some for key in own} - named)
            self._traces(self._server.rows_of(TRACES, keys, _WHOLE, strong=True))

    def _traces(self, rows: Iterable[dict[str, Any]]) -> None:
        """Takes rows of traces away, and puts back what is named by then."""
        held: list[dict[str, Any]] = []
        size = 0
        for row in rows:
            held.append(row)
            size += len(row["text"])
            if len(held) >= _ROWS or size >= _BYTES:
                self._traces_held(held)
                held, size = [], 0
        self._traces_held(held)

    def _traces_held(self, held: list[dict[str, Any]]) -> None:
        if not held:
            return
        self._server.delete(TRACES, [row["key"] for row in held])
        named = self._named({bytes.fromhex(row["content"]) for row in held})
        self._server.upsert(TRACES, [row | self._own for row in held if row["key"] in named])

    def _named(self, contents: set[bytes]) -> set[str]:
        """The keys of traces that pictures of these contents name, in use or beside."""
        named: set[str] = set()
        for epoch, length in self._lengths().items():
            keys = [self._names.picture(epoch, content) for content in sorted(contents)]
            fields = ("key", "content", "text")
            for found in self._server.rows_of(pictures_of_length(length), keys, fields, strong=True):
                named.update(*trace_keys(self._server, found).values())
        return named

    def _lengths(self, done: Collection[str] = ()) -> dict[str, int]:
        """The lengths of descriptors by epoch, in use and beside, as of now; without these."""
        head, _ = state_of(self._server, strong=True)
        return {epoch: length for epoch, length in head.lengths.items() if epoch not in done}

    def _unheld(self, contents: Sequence[bytes]) -> list[bytes]:
        """Those of contents that no file holds."""
        if not contents:
            return []
        some = contents_in([content.hex() for content in contents])
        condition = f"{within(self._names.of_kind('file'))} and {some}"
        rows = self._server.query(ROWS, condition, ("content",), strong=True)
        held = {bytes.fromhex(found["content"]) for found in rows}
        return [content for content in contents if content not in held]
