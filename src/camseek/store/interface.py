"""The one interface through which a collection is reached, wherever it lies.

A ``Collection`` has three parts behind one address: its ``Catalogue`` of pictures and names, their
``Vectors`` and their ``Traces``. All of them may be used from several threads at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float32, Int64

from camseek.matching.words import QueryWords
from camseek.numerics import BOOL, F32, I64
from camseek.patterns import Patterns
from camseek.store.records import (
    NO_TRACES,
    CollectionInfo,
    FileEntry,
    PictureRecord,
    Profile,
    Ranking,
    Refit,
    Root,
    Signature,
    SkippedEntry,
    StoredPicture,
)
from camseek.store.sharing import WordsRanking

# Pictures whose rows are read at a time.
_AT_A_TIME = 512


@runtime_checkable
class Catalogue(Protocol):
    """The pictures of a collection and the names of their files."""

    def count(self) -> int:
        """How many pictures there are."""
        ...

    def records(self) -> Int64[I64, " N"]:
        """The records of all pictures, featureless ones too, ascending."""
        ...

    def pictures(self, records: Sequence[int]) -> dict[int, StoredPicture]:
        """The pictures of these records; one that has gone is left out."""
        ...

    def find(self, content: bytes) -> int | None:
        """The record of a content, or None."""
        ...

    def names(self) -> list[bytes]:
        """Every name that is known, sorted: of pictures, and of files that could not be used."""
        ...

    def ledger(self) -> "Ledger":
        """What is known of files; inside ``snapshot``."""
        ...

    def info(self) -> CollectionInfo:
        """Counts, sizes and settings."""
        ...

    def check(self) -> list[str]:
        """Reads everything; each fault in a sentence, none when it is sound."""
        ...


def pictures_of(catalogue: Catalogue, records: Sequence[int]) -> Iterator[StoredPicture]:
    """The pictures of records in their order, some hundred read at a time; one that has gone is left out."""
    for start in range(0, len(records), _AT_A_TIME):
        some = records[start : start + _AT_A_TIME]
        found = catalogue.pictures(some)
        yield from (found[record] for record in some if record in found)


@runtime_checkable
class Vectors(Protocol):
    """One descriptor a picture, of unit length; a featureless picture has none, and these find none.

    The order of what is found is that of the stored numbers, which are of half precision. An approximate
    index may propose what is compared; of a small collection everything is. Record numbers begin above 0,
    only grow and are never used twice, and what one has never changes within a generation. They are those of
    an open collection: of one on a server another machine may number the pictures otherwise, and what is to
    hold beyond a process names a picture by its content. Where the parts of a collection lie in different
    systems, a reader inside ``snapshot`` must see all of what a ``commit`` changed, or nothing.
    """

    @property
    def dimensions(self) -> int:
        """D, the length of a descriptor."""
        ...

    @property
    def generation(self) -> int:
        """Goes up by 1 whenever all descriptors are replaced: by other ones, or by those of before."""
        ...

    def records(self) -> Int64[I64, " N"]:
        """The records that have descriptors, ascending."""
        ...

    def has(self, records: Int64[I64, " N"]) -> Bool[BOOL, " N"]:
        """Which of these records have a descriptor."""
        ...

    def of(self, records: Int64[I64, " N"], *, generation: int | None = None) -> Float32[F32, "N D"]:
        """The descriptors of these records, in their order.

        Raises:
            KeyError: A record has none.
            CollectionChangedError: They are no longer of ``generation``.
        """
        ...

    def nearest(
        self,
        queries: Float32[F32, "Q D"],
        k: int,
        *,
        without: Iterable[int] = (),
        generation: int | None = None,
    ) -> list[Ranking]:
        """The records nearest to each query: by score, then by record.

        Scores are exact, and so is the order. Where a collection is so large that not every stored descriptor
        is compared, a record near the last place may be missing, and those behind it move up; of the 100
        nearest less than one in 200 is, in the mean over queries. The first k are a prefix of the first
        k + 1, but for such records. A ranking's ``spread``, and what is told from it, is rough then, but for
        the best: of everything else it counts estimates.

        Args:
            queries: Descriptors of unit length.
            k: How many records at most, 0 or more.
            without: Records to leave out.
            generation: That of which the queries are; None: whichever is there.

        Returns:
            One for each query.

        Raises:
            CollectionChangedError: The descriptors are no longer of ``generation``, or were replaced while
                they were being compared.
            ValueError: k is negative, or the queries are not finite or of another length.
        """
        ...


@runtime_checkable
class Traces(Protocol):
    """Named binary parts of pictures, such as local features: they come and go with their pictures.

    Those on a server may be asked for when they are wanted: one that another writer has replaced since the
    moment of a ``snapshot`` counts as damaged.
    """

    def get(self, kind: str, records: Sequence[int], *, damaged: set[int] | None = None) -> dict[int, bytes]:
        """The traces of this kind of these records; a record that has none is left out.

        Args:
            kind: Which.
            records: Whose.
            damaged: Gains the records whose trace has another checksum than when it was written, which are
                left out then: what is made of pictures can be made again (``camseek enrich``). None: such a
                trace is an error.

        Raises:
            CorruptCollectionError: One is damaged, and nobody asked which.
        """
        ...

    def damaged(self, kind: str) -> list[int]:
        """The records whose trace of this kind has another checksum than when it was written, ascending."""
        ...

    def missing(self, kind: str) -> list[int]:
        """The records that have no trace of this kind, ascending."""
        ...

    def kinds(self) -> dict[str, int]:
        """How many pictures have a trace, by its kind."""
        ...


@runtime_checkable
class WordsSearch(Protocol):
    """What one search asks of visual words."""

    def ranked(
        self,
        queries: Sequence[QueryWords],
        k: int | None,
        *,
        without: Iterable[int] = (),
        own: Iterable[int] = (),
        asked: Int64[I64, " M"],
    ) -> WordsRanking:
        """The pictures that share most words with a query of several pictures: in the mean over these.

        Scores are those of ASMK* (Tolias, Avrithis and Jegou, ICCV 2013), 0 where nothing is shared; they
        depend on what is stored now alone, not on how it came. Pictures of which no points are stored are
        not found.

        Args:
            queries: The words of each picture, one or more.
            k: How many records at most, 0 or more; None for all.
            without: Records to leave out.
            own: Records that are found as others, and count for nothing in the ``moments``.
            asked: Records whose scores are wanted wherever they stand, all different.

        Raises:
            CorruptCollectionError: Stored points are damaged.
        """
        ...


@runtime_checkable
class Words(Protocol):
    """The visual words of pictures' points, which the ``points`` traces hold."""

    def search(self, *, workers: int = 1) -> "WordsSearch":
        """Begins to ask for one search, which may ask several times.

        Args:
            workers: Threads that may share the work.
        """
        ...


@runtime_checkable
class Refitter(Protocol):
    """Replaces the representation of a whole collection at once; part of a ``Writer``.

    Beside the representation in use (the descriptors, and the traces of some kinds) a store has room for one
    other. It is either *in the making*, from ``begin`` to ``finish``, or *kept*: the one that was in use
    before. Searches never see it. ``commit`` of the writer makes the work permanent, and a writer that is
    killed leaves what was committed to the next one.

    What a store must see to:

    - Whoever reads sees all of one representation or all of the other, the profile, the descriptors, the
      traces of its kinds and which pictures are featureless, and never a part of each: ``finish`` is one
      step, and the collection's ``generation`` goes up by 1 with it, whichever way it goes. Whoever asks
      for descriptors of another generation gets ``CollectionChangedError``.
    - A picture that leaves the collection leaves both. One that comes, comes into the one in use, and is
      ``pending`` in the other.
    - Where several may write at once, pictures may come and go between any two calls; whoever replaces the
      representation puts what is pending until nothing is, and ``finish`` looks itself.
    - ``CollectionInfo.beside`` tells readers of it, for which nobody need write.
    """

    def unfinished(self) -> Refit | None:
        """What is in the making: an earlier run began it and did not finish."""
        ...

    def kept(self) -> Refit | None:
        """What was in use before, where it was kept."""
        ...

    def begin(self, refit: Refit) -> None:
        """Begins another; what was in the making, or kept, is thrown away. Not in a ``unit``.

        On a server that is permanent at once.
        """
        ...

    def pending(self) -> list[int]:
        """The records that lack what is beside, ascending: pictures that came meanwhile, too."""
        ...

    def put(
        self,
        record: int,
        descriptor: Float32[F32, " D"] | None,
        traces: Mapping[str, bytes] = NO_TRACES,
    ) -> None:
        """Stores what a picture has in the representation beside; where its picture has gone, nothing.

        Args:
            record: The picture's; what it had there is replaced.
            descriptor: Of unit length, None where it is featureless.
            traces: Data by kind, of the ``kinds`` that were begun with.

        Raises:
            ValueError: Nothing is beside, the descriptor is zero, not finite or of another length, or a trace
                is of another kind.
        """
        ...

    def finish(self, *, keep: bool = False) -> None:
        """Puts what is beside, in the making or kept, in the place of what is in use, with ``commit``.

        Args:
            keep: Keep what was in use, so that one can go back to it: ``finish`` again.

        Raises:
            ValueError: Nothing is beside, or a picture that has files is still pending.
        """
        ...

    def discard(self) -> None:
        """Throws away what is beside."""
        ...


@runtime_checkable
class Ledger(Protocol):
    """What a collection knows of files."""

    def roots(self) -> dict[bytes, Root]:
        """The indexed folders by path, sorted."""
        ...

    def files(self) -> dict[bytes, FileEntry]:
        """Every known file."""
        ...

    def files_under(self, name: bytes) -> list[bytes]:
        """The known file of this name and those beneath it, sorted; no other file is looked at.

        Raises:
            ValueError: The name is empty.
        """
        ...

    def files_like(self, name: bytes) -> list[bytes]:
        """The same of names that are the same for people, accents composed or not; looks at every file."""
        ...

    def contents(self) -> dict[bytes, int]:
        """The record of every content."""
        ...

    def contents_of_sizes(self, sizes: Iterable[int]) -> dict[int, set[bytes]]:
        """The contents of known files of these sizes in bytes, by size; a size of no file is left out."""
        ...

    def claimed(self, root: int) -> set[bytes]:
        """The files that a root brought."""
        ...

    def claimants(self, path: bytes) -> set[int]:
        """The roots that brought a file."""
        ...

    def skipped(self, root: int) -> dict[bytes, SkippedEntry]:
        """The files of a root that could not be used."""
        ...

    def skipped_under(self, name: bytes) -> list[tuple[bytes, int]]:
        """Path and root of each file of this name or beneath it that could not be used."""
        ...

    def find(self, content: bytes) -> int | None:
        """The record of a content, from any thread."""
        ...

    def record(self, path: bytes) -> int | None:
        """The record that a file points to, or None."""
        ...

    def names(self, record: int) -> list[bytes]:
        """The names of a record."""
        ...


@runtime_checkable
class Scribe(Ledger, Protocol):
    """What an index run writes: a ``Writer``, or what only rehearses."""

    def root(self, path: bytes, *, relative: bool = False) -> int:
        """The number of a root, made if it is new.

        Args:
            path: The folder.
            relative: A new one is found from the collection's folder on, wherever both lie; an old one stays
                as it is.
        """
        ...

    def anchor(self, number: int, *, relative: bool) -> None:
        """Has a root, and what lies in it, found from the collection's folder on, or by whole names.

        What lies in another relative root, too, stays so. Not in a ``unit``.
        """
        ...

    def set_patterns(self, root: int, patterns: Patterns) -> None:
        """What a root's index runs take and leave out from now on."""
        ...

    def drop_root(self, number: int) -> None:
        """Forgets a root, and what of it could not be used. Not in a ``unit``.

        Raises:
            ValueError: Files are there that it brought.
        """
        ...

    def insert(self, picture: PictureRecord) -> int:
        """Stores a picture and returns its record; a known content keeps its own, and what is stored of it.

        Raises:
            ValueError: The descriptor is zero, not finite or of another length, or a trace's kind cannot be.
        """
        ...

    def put_trace(self, record: int, kind: str, data: bytes) -> None:
        """Stores a trace of a picture, in the place of the one of this kind that it has.

        Raises:
            KeyError: There is no such picture.
            ValueError: The kind is not 1 to 40 of ``a-z 0-9 _ -``.
        """
        ...

    def point(self, path: bytes, record: int, signature: Signature, root: int) -> None:
        """A file holds this picture, for this root."""
        ...

    def claim(self, path: bytes, root: int) -> None:
        """A known file belongs to this root too."""
        ...

    def skip(self, entry: SkippedEntry, root: int) -> bool:
        """Remembers a file that cannot be used and drops what it held, unless it was added by hand.

        Returns:
            Whether something was dropped.
        """
        ...

    def remember(self, entry: SkippedEntry, root: int) -> None:
        """Remembers a file that cannot be used; what is known of it stays."""
        ...

    def release(self, paths: Sequence[bytes], root: int | None) -> list[bytes]:
        """These files no longer belong to a root (None: to any); returns those that left with that."""
        ...

    def forget_skipped(self, paths: Sequence[bytes], root: int) -> None:
        """Forgets files of a root that could not be used."""
        ...

    def unit(self) -> AbstractContextManager[None]:
        """What is done inside is done whole or not at all."""
        ...

    def commit(self) -> None:
        """Removes pictures that no file holds any more, then makes what was done so far permanent."""
        ...


@runtime_checkable
class Writer(Scribe, Protocol):
    """A writer of a collection. What it does is kept from ``commit`` on, and on leaving."""

    @property
    def refitter(self) -> Refitter:
        """Replaces the representation of all pictures at once."""
        ...

    def keep(self, parts: tuple[str, ...]) -> None:
        """Has these kept of each picture from now on; traces of pictures that are there stay as they are.

        Args:
            parts: Of ``camseek.config.PARTS``.
        """
        ...

    def drop_traces(self, kind: str) -> int:
        """Drops the traces of a kind of all pictures; how many there were.

        Raises:
            ValueError: The kind is none.
        """
        ...

    def drop_trace(self, record: int, kind: str) -> None:
        """Drops a trace of a picture, if it has one."""
        ...

    def forget(self, name: bytes) -> bool:
        """Forgets skipped files and idle roots of this name, or beneath it; whether there were any.

        Raises:
            ValueError: The name is empty.
        """
        ...

    def compact(self) -> None:
        """Commits, and gives freed space back to the disk, where there is room to do so."""
        ...


@runtime_checkable
class Collection(Protocol):
    """Pictures, their names, their descriptors and their traces, behind one address."""

    @property
    def address(self) -> str:
        """Where the collection is."""
        ...

    @property
    def profile(self) -> Profile:
        """What its descriptors were made with: true inside ``snapshot`` and ``write``.

        Elsewhere another process may have fitted a whitening since. The same object until it changes.
        """
        ...

    @property
    def catalogue(self) -> Catalogue:
        """Its pictures and their names."""
        ...

    @property
    def vectors(self) -> Vectors:
        """Its descriptors."""
        ...

    @property
    def words(self) -> Words:
        """The visual words of its pictures' points."""
        ...

    @property
    def traces(self) -> Traces:
        """What else is kept of its pictures."""
        ...

    def write(self, command: str) -> AbstractContextManager[Writer]:
        """Becomes the one writer; a collection of an older format is moved to this one first.

        On a server there may be several at once, each of another open collection.

        Raises:
            CollectionBusyError: Another process is; the message names it.
            CollectionChangedError: On leaving: another writer has made some of this one's work void.
            StorageError: The disk is full or read-only, or the server does not answer.
        """
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """What this thread reads inside belongs to one moment. For a few short reads: other threads wait."""
        ...

    def close(self) -> None:
        """Lets go of the collection."""
        ...

    def __enter__(self) -> "Collection": ...

    def __exit__(self, *exc: object) -> None: ...
