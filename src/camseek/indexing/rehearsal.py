"""An index run that changes nothing: the same run, over what is known, writing to memory alone."""

import hashlib
import os
from collections.abc import Generator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

from camseek.config import Limits
from camseek.errors import NotAPictureError
from camseek.images import fingerprint, sniff
from camseek.images.formats import HEAD_BYTES, describe
from camseek.indexing.leaving import under_any
from camseek.names import alike
from camseek.patterns import Patterns
from camseek.store import ADDED_BY_HAND, FileEntry, Ledger, PictureRecord, Root, Signature, SkippedEntry


@dataclass(frozen=True, slots=True)
class Onlooker:
    """Takes the place of what describes pictures: says whether a content is known, and decodes nothing.

    Attributes:
        limits: What this machine may spend on one picture.
    """

    limits: Limits

    def needs(self, known: AbstractSet[bytes]) -> int | None:
        """How much of a file it looks at; None for all, where its content may be one of ``known``."""
        return None if known else HEAD_BYTES

    def record(
        self, file: BinaryIO, name: bytes | None = None, *, known: AbstractSet[bytes] = frozenset()
    ) -> tuple[bytes, PictureRecord | None, tuple[str, ...]]:
        """What a collection would store of a picture, as far as can be told without decoding it.

        Raises:
            PictureError: It is no picture, or cannot be read.
        """
        if known and (content := fingerprint(file)) in known:
            return content, None, ()
        file.seek(0)
        head = file.read(HEAD_BYTES)
        if sniff(head) is None:
            raise NotAPictureError(describe(head), remedy="give a picture, or leave the file out")
        # Nothing that is known has its size: it is new, whatever its content is.
        content = fingerprint(file) if known else hashlib.sha256(name or b"").digest()
        record = PictureRecord(content=content, size=(1, 1), format="", frames=1, descriptor=None)
        return content, record, ()


class Rehearsal:
    """The ``Scribe`` of a run that changes nothing: what was known at one moment, and what is made of it."""

    def __init__(self, ledger: Ledger | None) -> None:
        """Takes down what is known; the ledger is asked nothing later.

        Args:
            ledger: What is known, of one moment; None for a collection that is not there yet.
        """
        self._files = ledger.files() if ledger else {}
        self._roots = ledger.roots() if ledger else {}
        self._records = ledger.contents() if ledger else {}
        self._claims: dict[bytes, set[int]] = {}
        self._skipped: dict[int, dict[bytes, SkippedEntry]] = {}
        for number in (ADDED_BY_HAND, *(root.number for root in self._roots.values())) if ledger else ():
            self._skipped[number] = ledger.skipped(number) if ledger else {}
            for path in ledger.claimed(number) if ledger else ():
                self._claims.setdefault(path, set()).add(number)
        self._names: dict[int, set[bytes]] = {}
        for path, entry in self._files.items():
            self._names.setdefault(entry.record, set()).add(path)

    # -- what is known ------------------------------------------------------------------------------------

    def roots(self) -> dict[bytes, Root]:
        """As ``Ledger``, and so are all of these."""
        return dict(self._roots)

    def files(self) -> dict[bytes, FileEntry]:
        """Every known file."""
        return dict(self._files)

    def files_under(self, name: bytes) -> list[bytes]:
        """The known file of this name and those beneath it, sorted."""
        return sorted(path for path in self._files if under_any(path, [name]))

    def files_like(self, name: bytes) -> list[bytes]:
        """The same of names that are the same for people."""
        return alike(name, self._files)

    def contents(self) -> dict[bytes, int]:
        """The record of every content."""
        return dict(self._records)

    def contents_of_sizes(self, sizes: Iterable[int]) -> dict[int, set[bytes]]:
        """The contents of known files of these sizes, by size."""
        wanted, of_record = set(sizes), {record: content for content, record in self._records.items()}
        found: dict[int, set[bytes]] = {}
        for entry in self._files.values():
            if entry.signature.size in wanted and entry.record in of_record:
                found.setdefault(entry.signature.size, set()).add(of_record[entry.record])
        return found

    def claimed(self, root: int) -> set[bytes]:
        """The files that a root brought."""
        return {path for path, roots in self._claims.items() if root in roots}

    def claimants(self, path: bytes) -> set[int]:
        """The roots that brought a file."""
        return set(self._claims.get(path, ()))

    def skipped(self, root: int) -> dict[bytes, SkippedEntry]:
        """The files of a root that could not be used."""
        return dict(self._skipped.get(root, {}))

    def skipped_under(self, name: bytes) -> list[tuple[bytes, int]]:
        """Path and root of each file of this name or beneath it that could not be used."""
        found = ((path, root) for root, entries in self._skipped.items() for path in entries)
        return [(path, root) for path, root in found if under_any(path, [name])]

    def find(self, content: bytes) -> int | None:
        """The record of a content."""
        return self._records.get(content)

    def record(self, path: bytes) -> int | None:
        """The record that a file points to, or None."""
        known = self._files.get(path)
        return None if known is None else known.record

    def names(self, record: int) -> list[bytes]:
        """The names of a record."""
        return list(self._names.get(record, ()))

    # -- what would be written ----------------------------------------------------------------------------

    def root(self, path: bytes, *, relative: bool = False) -> int:
        """The number of a root, or one that no root has."""
        known = self._roots.get(path)
        if known is None:
            number = max((root.number for root in self._roots.values()), default=ADDED_BY_HAND) + 1
            known = self._roots[path] = Root(number=number, path=path, files=0, relative=relative)
        return known.number

    def anchor(self, number: int, *, relative: bool) -> None:
        """Has a root, and what lies in it, found from the collection's folder on: links are followed then."""
        [root] = (root for root in self._roots.values() if root.number == number)
        if not relative or root.relative:
            return  # names that become whole are those that they were
        place = os.path.realpath(root.path)
        del self._roots[root.path]
        merged = self._roots.pop(place, None)
        self._roots[place] = replace(root, path=place, relative=True)
        if merged is not None:
            for roots in self._claims.values():
                if merged.number in roots:
                    roots.discard(merged.number)
                    roots.add(number)
            self._skipped[number] = self._skipped.pop(merged.number, {}) | self._skipped.get(number, {})
        self._rename(root.path, place)
        for other in [*self._roots.values()]:
            if other.path != place and under_any(other.path, [place]):
                self.anchor(other.number, relative=True)

    def _rename(self, old: bytes, new: bytes) -> None:
        """Knows every file of a name and beneath it by another; what is there already is one with it."""
        if old == new:
            return
        for path in self.files_under(old):
            name, entry = new + path[len(old) :], self._files[path]
            self._claims.setdefault(name, set()).update(self._claims.pop(path, ()))
            self._forget(path)
            if name not in self._files:
                self._files[name] = entry
                self._names.setdefault(entry.record, set()).add(name)
        for entries in self._skipped.values():
            for path in [path for path in entries if under_any(path, [old])]:
                entries.setdefault(new + path[len(old) :], entries.pop(path))

    def insert(self, picture: PictureRecord) -> int:
        """A record for a content; negative ones are nobody's."""
        return self._records.setdefault(picture.content, -1 - len(self._records))

    def point(self, path: bytes, record: int, signature: Signature, root: int) -> None:
        """A file holds this picture, for this root."""
        self._forget(path)
        self._files[path] = FileEntry(record, signature)
        self._names.setdefault(record, set()).add(path)
        self.claim(path, root)

    def claim(self, path: bytes, root: int) -> None:
        """A known file belongs to this root too."""
        self._claims.setdefault(path, set()).add(root)

    def release(self, paths: Sequence[bytes], root: int | None) -> list[bytes]:
        """These files no longer belong to a root (None: to any); returns those that left with that."""
        left: list[bytes] = []
        for path in paths:
            claims = self._claims.get(path, set())
            claims.clear() if root is None else claims.discard(root)
            if not claims and path in self._files:
                self._forget(path)
                left.append(path)
        return left

    def skip(self, entry: SkippedEntry, root: int) -> bool:
        """Drops what a file held that cannot be used, unless it was added by hand."""
        path = entry.skipped.path
        if path not in self._files or ADDED_BY_HAND in self._claims.get(path, ()):
            return False
        self._claims.pop(path, None)
        self._forget(path)
        return True

    def _forget(self, path: bytes) -> None:
        known = self._files.pop(path, None)
        if known is not None:
            self._names.get(known.record, set()).discard(path)

    @contextmanager
    def unit(self) -> Generator[None]:
        """Nothing is to be undone."""
        yield

    def remember(self, entry: SkippedEntry, root: int) -> None:
        """Nothing is remembered, here and below."""

    def forget_skipped(self, paths: Sequence[bytes], root: int) -> None:
        """Nothing is forgotten."""

    def put_trace(self, record: int, kind: str, data: bytes) -> None:
        """Nothing is stored."""

    def set_patterns(self, root: int, patterns: Patterns) -> None:
        """No pattern is kept."""

    def drop_root(self, number: int) -> None:
        """No root is dropped."""

    def commit(self) -> None:
        """Nothing is made permanent."""
