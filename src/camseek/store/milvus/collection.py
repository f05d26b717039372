"""A collection on a Milvus server: the truth lies there, and what searches read is a mirror of it here."""

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime

from camseek.address import MilvusAddress
from camseek.errors import CamseekError, CollectionError, NoCollectionError
from camseek.files import DATABASE
from camseek.store.beside import named
from camseek.store.catalogue import FolderCatalogue
from camseek.store.checking import faults
from camseek.store.database import FORMAT_VERSION, open_database, translated
from camseek.store.folder import BESIDE_KEYS, FolderCollection
from camseek.store.meta import profile_of, profile_rows
from camseek.store.milvus.beside import epoch_in_use
from camseek.store.milvus.elsewhere import HELD, held_length, put_whitening, whitening_of
from camseek.store.milvus.mirrors import Mirror
from camseek.store.milvus.parts import WHOLE, Part
from camseek.store.milvus.pulling import Pull, State, no_collection, state_of
from camseek.store.milvus.rows import HEAD_KEYS, Head, Names, head_text, row
from camseek.store.milvus.server import ROWS, Server
from camseek.store.milvus.sweeping import ended, unheld
from camseek.store.milvus.traces import MilvusTraces
from camseek.store.milvus.writer import MilvusWriter
from camseek.store.reader import Reader, changed
from camseek.store.records import Profile
from camseek.store.traces import FEATURELESS
from camseek.store.writer import FolderWriter
from camseek.words import counted

# Seconds for which it is not looked again whether others have written something.
_LOOK_EVERY = 1.0
# How often a mirror is begun anew, where descriptors are replaced while it reads them.
_TRIES = 5
# The row of the mirror's ``meta`` for its own name.
_MADE = "mirror_made"
_NAME_UNLESS_CHANGED = (
    "INSERT OR REPLACE INTO meta SELECT ?, ? WHERE (SELECT value FROM meta WHERE key = ?) IS ?"
)


class MilvusCollection(FolderCollection):
    """A collection on a Milvus server (the ``Collection`` interface).

    The server is the truth. A mirror of it lies in the user's cache on this machine: names, descriptors and
    points, in a folder's format, so that what searches it is what searches a folder; other traces are asked
    for when they are wanted. It can be taken away at any time. Before something is read it is looked, once a
    second at most, whether others have written; only what changed since is read then.

    Several processes may write at once. Record numbers are those of the mirror: another machine may number
    the same pictures in another way.
    """

    def __init__(self, address: MilvusAddress, *, keep_vectors: bool = True, part: Part = WHOLE) -> None:
        """Opens an existing collection.

        Args:
            address: Where it is.
            keep_vectors: Keep the descriptors in memory between searches.
            part: Open a part of its pictures alone, to be read.

        Raises:
            NoCollectionError: There is none.
            CollectionVersionError: A later camseek made it, or the server is too old.
            CorruptCollectionError: It is damaged, or the server's collections of these names are another's.
            StorageError: The server does not answer, or the mirror cannot be written.
        """
        self._server = Server(address)
        self._part = part
        # Held while the mirror is changed: by one look at the server, or as long as somebody writes.
        self._changing = threading.Lock()
        self._looked = 0.0
        self._session = _new_session()
        self._mirror: Mirror | None = None
        try:
            if not self._server.is_prepared():
                raise no_collection(str(address))
            head, now = state_of(self._server, strong=True)
            self._mirror = Mirror(address, part)
            self._make_mirror(self._mirror, head, now)
            self._made = self._named_mirror()
            self._pull((head, now))
            reader = Reader(self._mirror.folder, address=str(address), refresh=self._refresh)
            traces = MilvusTraces(reader, self._server)
            catalogue = _Catalogue(reader, traces, self)
            self._hold(reader, traces, catalogue, keep_vectors=keep_vectors)
        except BaseException:
            self._let_go()
            raise

    @classmethod
    def make(
        cls, address: MilvusAddress, profile: Profile, *, keep_vectors: bool = True
    ) -> "MilvusCollection":
        """Makes an empty collection and opens it; one that is there already is opened.

        Raises: As ``MilvusCollection``.
        """
        with closing(Server(address)) as server:
            server.prepare(profile.dimensions)
            try:
                state_of(server, strong=True)
            except NoCollectionError:
                _write_head(server, profile)
        return cls(address, keep_vectors=keep_vectors)

    def close(self) -> None:
        """Lets go of the collection."""
        super().close()
        self._let_go()

    def _let_go(self) -> None:
        if self._mirror is not None:
            self._mirror.release()
            self._mirror = None
        self._server.close()

    # -- the mirror --------------------------------------------------------------------------------------

    def _make_mirror(self, mirror: Mirror, head: Head, now: State) -> None:
        """Uses the mirror that is there, where it is one of this collection, or makes it anew."""
        place = mirror.folder / DATABASE
        with suppress(CamseekError, sqlite3.Error, OSError):
            with closing(open_database(place, "mode=rw")) as database:
                known = State.of(database)
                made = database.execute("SELECT value FROM meta WHERE key = 'format_version'").fetchall()
            if known is not None and known.identity == now.identity and made == [(FORMAT_VERSION,)]:
                return
        mirror.clear()
        rows = dict(head.meta)
        if head.parts:
            rows["whitening"] = whitening_of(self._server, head.epoch, head.parts)
        made = FolderCollection.create(mirror.folder, profile_of(str(self._server.address), rows))
        made.close()
        with translated(str(self._server.address)), closing(open_database(place, "mode=rw")) as database:
            # Nothing of it is there yet.
            empty = [*State(now.identity).rows(), ("created", rows["created"])]
            database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", empty)

    def _named_mirror(self) -> str:
        """The mirror's name, another one for each that is begun; given to one that has none."""
        with self._mirrored() as database:
            database.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (_MADE, secrets.token_hex(8)))
            [(name,)] = database.execute("SELECT value FROM meta WHERE key = ?", (_MADE,)).fetchall()
        return str(name)

    @contextmanager
    def _mirrored(self) -> Generator[sqlite3.Connection]:
        """The mirror's database."""
        if self._mirror is None:
            raise CollectionError(f"{self._server.address} was closed", remedy="open it again")
        place = self._mirror.folder / DATABASE
        with translated(str(self._server.address)), closing(open_database(place, "mode=rw")) as database:
            yield database

    def _pull(self, seen: tuple[Head, State] | None = None, *, whole: bool = False) -> Pull:
        """Brings the mirror in step with the server. Nobody else changes it meanwhile.

        Args:
            seen: What was just seen, with everything that was written before.
            whole: As for ``Pull.run``.

        Raises:
            CollectionChangedError: Its descriptors were replaced again and again meanwhile.
        """
        with self._mirrored() as database:
            pull = Pull(self._server, database, self._part)
            for _ in range(_TRIES):
                if pull.run(*(seen or state_of(self._server, strong=True)), whole=whole):
                    self._looked = time.monotonic()
                    return pull
                seen = None
        raise changed(str(self._server.address))

    def _refresh(self) -> None:
        """Looks whether others have written, where nobody else does so and it is time."""
        if time.monotonic() - self._looked < _LOOK_EVERY or not self._changing.acquire(blocking=False):
            return
        try:
            # It may be seconds old, and older than the mirror: it can say that nothing changed, nothing else.
            _, lately = state_of(self._server, strong=False)
            with self._mirrored() as database:
                known = State.of(database)
            if known is None or not known.has(lately):
                self._pull()
        finally:
            # After a failure, too: those who search do not wait for a dead server one after the other.
            self._looked = time.monotonic()
            self._changing.release()

    def look(self) -> Pull:
        """Brings the mirror in step with everything that is on the server now, whatever the mirror has."""
        with self._changing:
            return self._pull(whole=True)

    def stray(self) -> int:
        """How many pictures on the server no file names, where nobody may be about to."""
        head, now = state_of(self._server, strong=True)
        with self._changing, self._mirrored() as database:
            known = State.of(database) or State("")
            sql = "SELECT 1 FROM pictures WHERE content = ?"

            def is_known(content: bytes) -> bool:
                # Of another part this mirror knows nothing.
                return not self._part.holds(content) or bool(database.execute(sql, (content,)).fetchall())

            return len(unheld(self._server, head.lengths, ended(known, now), is_known))

    @property
    def mirror_name(self) -> str:
        """What tells this mirror from others: within it, a record's number is never used twice."""
        return self._made

    def epoch(self) -> str:
        """Of which epoch the descriptors are, inside ``snapshot``: all mirrors know it by the same word."""
        return epoch_in_use(self._reader)

    def catch_up(self) -> None:
        """Brings the mirror in step with everything that was written before, unless somebody is writing."""
        if self._changing.acquire(timeout=_LOOK_EVERY):
            try:
                self._pull()
            finally:
                self._changing.release()

    def save(self) -> None:
        """Saves what is made of the mirror where that is worth it: who opens it next begins sooner.

        The mirror may be brought in step meanwhile. A file that was made of what is no longer right then is
        not named.
        """
        with self._reader.snapshot():
            known = {key: named(self._reader, key) for key in BESIDE_KEYS}

        def name(key: str, token: str) -> None:
            with self._mirrored() as database:
                database.execute(_NAME_UNLESS_CHANGED, (key, token, key, known[key]))

        self._save_beside(name, lambda: None)

    # -- writing -----------------------------------------------------------------------------------------

    @contextmanager
    def write(self, command: str) -> Generator[FolderWriter]:
        """Becomes a writer, of which there may be several; what was done is kept on leaving, as in a folder.

        Raises:
            CollectionError: It is a part of one.
            CollectionBusyError: This process is writing already, through the same open collection.
            CollectionChangedError: Another writer fitted a whitening meanwhile, or took pictures away to
                which this one gave files.
            StorageError: The server does not answer, or the mirror cannot be written.
        """
        if not self._part.is_whole:
            raise CollectionError(
                f"a part of {self._server.address} cannot be written to", remedy="open all of it"
            )
        try:
            with super().write(command) as writer:
                yield writer
                if isinstance(writer, MilvusWriter):
                    writer.settle()
        except BaseException:
            # Rows of a commit that did not become whole may be there: no later one may make them so.
            self._session = _new_session()
            raise

    @contextmanager
    def _in_step(self) -> Generator[None]:
        with self._changing:
            self._pull()
            yield

    def _writer(self, database: sqlite3.Connection) -> FolderWriter:
        state = State.of(database) or State("")
        if self._session not in state.known:
            # It never wrote, or was forgotten: its old rows are of commits that are no more counted.
            self._session = _new_session()
        return MilvusWriter(database, os.fsencode(self._folder), self._server, state, self._session)


class _Catalogue(FolderCatalogue):
    """The pictures of a collection on a server, as its mirror knows them (the ``Catalogue`` interface)."""

    def __init__(self, reader: Reader, traces: MilvusTraces, collection: MilvusCollection) -> None:
        super().__init__(reader, traces)
        self._collection = collection

    def check(self) -> list[str]:
        """Reads everything; each fault in a sentence, none when the collection is sound.

        Files whose pictures the server has not are told, too: writers that were killed leave them behind, and
        the next index run makes them good.
        """
        pull = self._collection.look()
        found: list[str] = []
        if stray := self._collection.stray():
            found.append(
                f"{counted(stray, 'picture')} on the server that no file names: what is compacted next "
                "(camseek fit, or upgrade --forget) takes them away"
            )
        if pull.dangling:
            found.append(
                f"{counted(pull.dangling, 'file')} without a picture on the server: index the folder again"
            )
        with self._reader.snapshot():
            return found + faults(self._reader, self._traces)

    def _bytes(self) -> int:
        """What the descriptors and traces take on the server, without its own overhead."""
        [(vectors,)] = self._reader.query("SELECT count(*) FROM descriptors")
        numbers, traces = vectors * self._reader.profile.dimensions, 0
        if beside := self._beside():
            [(vectors,)] = self._reader.query("SELECT count(vector) FROM refit")
            numbers += vectors * beside.refit.profile.dimensions
        for table in ("traces", "refit_traces"):
            sql = f"SELECT {HELD}, crc FROM {table} WHERE kind <> ?"  # noqa: S608  # names from above
            traces += sum(held_length(*row) for row in self._reader.query(sql, (FEATURELESS,)))
        return 4 * numbers + 4 * traces // 3


def _write_head(server: Server, profile: Profile) -> None:
    """Makes an empty collection."""
    session, names = _new_session(), Names(server.address.name)
    meta = profile_rows(profile) | {"created": datetime.now(UTC).isoformat(timespec="seconds")}
    epoch = secrets.token_hex(8)
    head = Head(
        identity=secrets.token_hex(8),
        epoch=epoch,
        before=(),
        parts=put_whitening(server, epoch, profile.whitening, session, 1),
        meta={key: meta[key] for key in HEAD_KEYS if key in meta},
    )
    server.upsert(ROWS, [row(names.head, head_text(head), session, 1)])


def _new_session() -> int:
    return 1 + secrets.randbelow((1 << 62) - 1)
