"""What a collection in a folder knows of files: asked by whoever writes it, and by whoever only looks."""

import json
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Protocol

from camseek.errors import SettingsError
from camseek.names import alike
from camseek.patterns import Patterns
from camseek.results import Skipped
from camseek.store.database import corrupt
from camseek.store.places import Places, is_relative
from camseek.store.records import ADDED_BY_HAND, FileEntry, Root, Signature, SkippedEntry

# The first format whose roots have patterns.
_PATTERNS_SINCE = 4


class Ask(Protocol):
    """A connection."""

    def __call__(self, sql: str, values: Sequence[Any] = (), kinds: Sequence[type] = ()) -> list[Any]:
        """The rows of a query; of these types, where any are given."""
        ...


class FolderLedger:
    """What is known of files (the ``Ledger`` interface), as one connection sees it."""

    def __init__(self, ask: Ask, address: str, folder: bytes, format_version: int) -> None:
        """Looks at the roots.

        Args:
            ask: The connection.
            address: The collection's, for errors.
            folder: The collection's folder.
            format_version: Of its file.
        """
        self._ask = ask
        self._address = address
        self._folder = folder
        self._format = format_version
        self._places = self._look_at_places()

    def _look_at_places(self) -> Places:
        # From a dot to what follows it: the relative ones.
        rows = self._ask("SELECT path FROM roots WHERE path >= ? AND path < ?", (b".", b"/"), (bytes,))
        return Places(self._folder, [row[0] for row in rows])

    def roots(self) -> dict[bytes, Root]:
        """The indexed folders by path, sorted."""
        counts = dict(self._ask("SELECT root, count(*) FROM claims GROUP BY root", (), (int, int)))
        patterns = self._patterns()
        rows = self._ask("SELECT id, path FROM roots WHERE id <> ?", (ADDED_BY_HAND,), (int, bytes))
        paths = {self._places.whole(path): (number, is_relative(path)) for number, path in rows}
        return {
            path: Root(
                number=number,
                path=path,
                files=counts.get(number, 0),
                relative=relative,
                patterns=patterns.get(number, Patterns()),
                within=_nearest_above(path, paths),
            )
            for path, (number, relative) in sorted(paths.items())
        }

    def _patterns(self) -> dict[int, Patterns]:
        if self._format < _PATTERNS_SINCE:
            return {}
        sql = "SELECT root, kind, pattern FROM patterns ORDER BY root, kind, place"
        found: dict[int, dict[str, list[str]]] = {}
        for root, kind, pattern in self._ask(sql, (), (int, str, bytes)):
            if kind not in ("include", "exclude"):
                raise corrupt(self._address, ValueError(f"a pattern is of the kind {kind!r:.20}"))
            kinds = found.setdefault(root, {"include": [], "exclude": []})
            kinds[kind].append(os.fsdecode(pattern))
        try:
            return {
                root: Patterns(tuple(kinds["include"]), tuple(kinds["exclude"]))
                for root, kinds in found.items()
            }
        except SettingsError as error:
            raise corrupt(self._address, error) from error

    def files(self) -> dict[bytes, FileEntry]:
        """Every known file."""
        sql = "SELECT path, picture, size, mtime_ns, ctime_ns FROM files"
        rows = self._ask(sql, (), (bytes, int, int, int, int))
        whole = self._places.whole
        return {whole(path): FileEntry(record, Signature(*signature)) for path, record, *signature in rows}

    def files_under(self, name: bytes) -> list[bytes]:
        """The known file of this name and those beneath it, sorted; no other file is looked at.

        Raises:
            ValueError: The name is empty.
        """
        return sorted({path for path, *_ in self._under("files", name)})

    def files_like(self, name: bytes) -> list[bytes]:
        """The same of names that are the same for people, accents composed or not; looks at every file."""
        rows = self._ask("SELECT path FROM files", (), (bytes,))
        return alike(name, (self._places.whole(row[0]) for row in rows))

    def contents(self) -> dict[bytes, int]:
        """The record of every content."""
        return dict(self._ask("SELECT content, id FROM pictures", (), (bytes, int)))

    def contents_of_sizes(self, sizes: Iterable[int]) -> dict[int, set[bytes]]:
        """The contents of known files of these sizes in bytes, by size; a size of no file is left out."""
        found: dict[int, set[bytes]] = {}
        # One walk through the files, however many sizes.
        sql = (
            "SELECT DISTINCT files.size, content FROM files JOIN pictures ON pictures.id = files.picture "
            "WHERE files.size IN (SELECT value FROM json_each(?))"
        )
        for size, content in self._ask(sql, (json.dumps(list(sizes)),), (int, bytes)):
            found.setdefault(size, set()).add(content)
        return found

    def claimed(self, root: int) -> set[bytes]:
        """The files that a root brought."""
        rows = self._ask("SELECT path FROM claims WHERE root = ?", (root,), (bytes,))
        return {self._places.whole(row[0]) for row in rows}

    def claimants(self, path: bytes) -> set[int]:
        """The roots that brought a file."""
        rows = self._ask("SELECT root FROM claims WHERE path = ?", (self._places.stored(path),), (int,))
        return {row[0] for row in rows}

    def skipped(self, root: int) -> dict[bytes, SkippedEntry]:
        """The files of a root that could not be used."""
        rows = self._ask(
            "SELECT path, size, mtime_ns, ctime_ns, reason, code, tried_with FROM skipped WHERE root = ?",
            (root,),
            (bytes, int, int, int, str, str, str),
        )
        found: dict[bytes, SkippedEntry] = {}
        for stored, size, mtime, ctime, reason, code, tried in rows:
            path = self._places.whole(stored)
            found[path] = SkippedEntry(Signature(size, mtime, ctime), Skipped(path, reason, code), tried)
        return found

    def skipped_under(self, name: bytes) -> list[tuple[bytes, int]]:
        """Path and root of each file of this name or beneath it that could not be used."""
        return [(path, root) for path, root in self._under("skipped", name, ", root", (int,))]

    def find(self, content: bytes) -> int | None:
        """The record of a content, from any thread."""
        rows = self._ask("SELECT id FROM pictures WHERE content = ?", (content,), (int,))
        return rows[0][0] if rows else None

    def record(self, path: bytes) -> int | None:
        """The record that a file points to, or None."""
        rows = self._ask("SELECT picture FROM files WHERE path = ?", (self._places.stored(path),), (int,))
        return rows[0][0] if rows else None

    def names(self, record: int) -> list[bytes]:
        """The names of a record."""
        rows = self._ask("SELECT path FROM files WHERE picture = ?", (record,), (bytes,))
        return [self._places.whole(row[0]) for row in rows]

    def _under(
        self, table: str, name: bytes, also: str = "", kinds: Sequence[type] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """The paths of rows of this name or beneath it, and other columns."""
        for stored in self._places.beneath(name):
            sql = f"SELECT path{also} FROM {table} WHERE {UNDER}"  # noqa: S608  # names from above
            for path, *rest in self._ask(sql, under(stored), (bytes, *kinds)):
                yield self._places.whole(path), *rest


# A name itself, and what starts with it and a slash: the next byte after a slash is 0. Found in the path's
# index, without a look at any other.
UNDER = "(path = ? OR (path >= ? AND path < ?))"


def under(name: bytes) -> tuple[bytes, bytes, bytes]:
    """The values of ``UNDER``.

    Raises:
        ValueError: The name is empty.
    """
    if not name:
        raise ValueError("a name is empty")
    stem = name.rstrip(b"/")
    return name, stem + b"/", stem + b"0"


def _nearest_above(path: bytes, folders: Container[bytes]) -> bytes | None:
    """The folder that a path lies in, the deepest of these; None where it lies in none."""
    while (above := os.path.dirname(path)) != path:
        if above in folders:
            return above
        path = above
    return None
