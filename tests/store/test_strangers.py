"""A collection from a stranger: what its folder and database may hold, and what is never done with it."""

import json
import os
import socket
import sqlite3
import struct
import time
from contextlib import closing

import numpy as np
import pytest

from camseek.encoding.whitening import Whitening
from camseek.errors import CollectionBusyError, CollectionError, CorruptCollectionError, SettingsError
from camseek.store import Signature, create_collection, open_collection
from camseek.store.database import FORMAT_VERSION
from camseek.store.migrations import OLDEST, STEPS
from camseek.store.schema import foreign_parts


@pytest.fixture
def address(collection, picture):
    """A closed collection of one picture."""
    with collection.write("test") as writer:
        writer.point(b"/r/1", writer.insert(picture(1)), Signature(1, 1, 1), writer.root(b"/r"))
    collection.close()
    return collection.address


@pytest.fixture
def alter(address):
    """Changes the database behind camseek's back."""

    def do(*statements):
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    return do


def use(address):
    """Everything that is done with a collection."""
    with open_collection(address) as collection:
        collection.catalogue.check()
        with collection.write("test") as writer:
            writer.root(b"/other")


OWN = (
    "collection.sqlite-wal",
    "collection.sqlite-shm",
    "collection.sqlite-journal",
    "writer.lock",
    "writer.json",
)


def odd(path, kind, goal):
    """Puts something that is no file in a file's place."""
    if os.path.lexists(path):
        os.rename(path, path + "~")
    match kind:
        case "link" | "dangling":
            os.symlink(goal if kind == "link" else goal + "-none", path)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            os.mkdir(path)
        case "socket":
            here = os.getcwd()
            os.chdir(os.path.dirname(path))  # a socket's name is short
            try:
                with socket.socket(socket.AF_UNIX) as made:
                    made.bind(os.path.basename(path))
            finally:
                os.chdir(here)


class TestFolder:
    @pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder", "socket"])
    @pytest.mark.parametrize("name", ["collection.sqlite", *OWN])
    def test_what_is_no_file_is_not_opened(self, address, tmp_path, name, kind):
        goal = tmp_path / "goal"
        goal.write_bytes(b"precious")
        odd(os.path.join(address, name), kind, str(goal))
        with pytest.raises(
            CorruptCollectionError, match=f"{name} is not as camseek makes it: it is a"
        ) as error:
            use(address)
        assert "take it away first" in error.value.remedy
        assert goal.read_bytes() == b"precious"
        assert not os.path.lexists(f"{goal}-none")

    @pytest.mark.needs_root
    def test_a_device(self, address):
        os.mknod(os.path.join(address, "writer.other"), 0o20666, os.makedev(1, 5))  # /dev/zero
        with pytest.raises(CorruptCollectionError, match="it is a device"):
            use(address)

    @pytest.mark.parametrize("name", ["collection.sqlite.new", "collection.sqlite.new-wal", *OWN])
    def test_nor_where_a_collection_is_made(self, tmp_path, profile, name):
        goal, folder = tmp_path / "goal", tmp_path / "folder"
        goal.write_bytes(b"precious")
        folder.mkdir()
        (folder / name).symlink_to(goal)
        with pytest.raises(CorruptCollectionError):
            create_collection(str(folder), profile)
        assert goal.read_bytes() == b"precious"

    def test_the_folder_itself_may_be_a_link(self, address, tmp_path):
        (tmp_path / "link").symlink_to(address)
        use(str(tmp_path / "link"))

    def test_a_holders_note_is_replaced_and_not_written_through(self, address, tmp_path):
        """Also where it has two names."""
        goal = tmp_path / "goal"
        goal.write_bytes(b"precious")
        os.unlink(os.path.join(address, "writer.json"))
        os.link(goal, os.path.join(address, "writer.json"))
        use(address)
        assert goal.read_bytes() == b"precious"

    @pytest.mark.parametrize(
        "note",
        [
            b"[]",
            b"{}",
            b"null",
            b"\xff",
            b"[" * 4000,
            b'{"pid": 1, "host": "h", "command": "c"}',
            b" " * 10_000_000,
        ],
    )
    def test_a_holders_note_that_is_none(self, address, note):
        with open_collection(address) as one, one.write("test"):
            with open(os.path.join(address, "writer.json"), "wb") as file:
                file.write(note)
            with (
                open_collection(address) as other,
                pytest.raises(CollectionBusyError, match="is being written by another process"),
                other.write("test"),
            ):
                pass

    def test_a_holders_note_is_short(self, address):
        note = {"pid": 10**200, "host": "h" * 300, "command": "c" * 300, "since": [1] * 300}
        with open_collection(address) as one, one.write("test"):
            with open(os.path.join(address, "writer.json"), "w") as file:
                json.dump(note, file)
            with open_collection(address) as other, pytest.raises(CollectionBusyError) as error:
                other.write("test").__enter__()
        assert len(error.value.message) < 700 + len(address)

    @pytest.mark.parametrize("name", ["collection.sqlite", "writer.lock"])
    def test_a_log_that_names_a_file_has_it_not_deleted(self, address, tmp_path, name):
        """SQLite deletes what a rollback journal names as its superior, whatever it is."""
        victim = tmp_path / "victim"
        victim.write_bytes(b"precious")
        database = os.path.join(address, name)
        if name == "writer.lock":
            with closing(sqlite3.connect(database)) as lock:
                lock.execute("CREATE TABLE t (a)")
        pages = os.path.getsize(database) // 4096
        magic, named = bytes.fromhex("d9d505f920a163d7"), os.fsencode(victim)
        head = (magic + struct.pack(">IIIII", 0, 0, pages, 512, 4096)).ljust(512, b"\0")
        tail = struct.pack(">II", len(named), sum(named)) + magic
        with open(database + "-journal", "wb") as file:
            file.write(head + struct.pack(">I", (1 << 30) // 4096 + 1) + named + tail)
        if name == "writer.lock":
            use(address)
        else:
            with pytest.raises(CorruptCollectionError, match="a log of a kind that no collection has"):
                use(address)
        assert victim.read_bytes() == b"precious"


BOMB = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"


class TestDefinitions:
    @pytest.mark.parametrize(
        ("statements", "parts"),
        [
            (
                ["ALTER TABLE pictures RENAME TO p", f"CREATE VIEW pictures AS {BOMB} x FROM n"],
                "table p",
            ),
            (["CREATE VIEW endless AS SELECT 1"], "view endless"),
            (
                ["CREATE TRIGGER gone AFTER INSERT ON roots BEGIN DELETE FROM pictures; END"],
                "trigger gone",
            ),
            (["CREATE INDEX odd ON files (hex(path))"], "index odd"),
            (["CREATE INDEX part ON files (size) WHERE size > 7"], "index part"),
            (["CREATE TABLE other (a)"], "table other"),
            (["CREATE VIRTUAL TABLE v USING fts5(a)"], "table v"),
            (["DROP INDEX files_by_picture"], "index files_by_picture"),
            (["DROP TABLE traces"], "table traces"),
            (["ALTER TABLE pictures ADD COLUMN more GENERATED ALWAYS AS (hex(content))"], "table pictures"),
            (["ALTER TABLE files RENAME COLUMN size TO large"], "table files"),
            (
                ["DROP TABLE skipped", "CREATE TABLE skipped (path TEXT COLLATE NOCASE)"],
                "table skipped",
            ),
            (
                [
                    "DROP TABLE meta",
                    "CREATE TABLE m (key, value)",
                    f"CREATE VIEW meta AS {BOMB} x AS key, x AS value FROM n",
                ],
                "table meta",
            ),
            (["DROP TABLE meta"], "table meta"),
        ],
    )
    def test_others_than_ours_are_refused(self, address, alter, statements, parts):
        alter(*statements)
        started = time.monotonic()
        with pytest.raises(CorruptCollectionError, match=f"was altered .*{parts}") as error:
            use(address)
        assert time.monotonic() - started < 5
        assert "index the pictures into a new collection" in error.value.remedy

    def test_that_came_while_it_was_open(self, address, alter):
        with open_collection(address) as collection:
            alter("CREATE VIEW endless AS SELECT 1", "UPDATE meta SET value = 7 WHERE key = 'generation'")
            with pytest.raises(CorruptCollectionError, match="view endless"), collection.snapshot():
                pass

    def test_what_sqlite_adds_itself_is_allowed(self, address, alter):
        alter("ANALYZE")
        use(address)
        with open_collection(address) as collection, collection.write("test") as writer:
            writer.compact()

    def test_text_that_only_looks_the_same(self):
        """Comments are none of ours to read: what SQLite reads is compared."""
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE TABLE t (a TEXT DEFAULT '--', b)")
            assert "table t" in foreign_parts(database, FORMAT_VERSION)

    @pytest.mark.parametrize("version", range(OLDEST, FORMAT_VERSION))
    def test_every_format_has_its_own(self, address, alter, version):
        """What a step makes is not there before, and must be there afterwards."""
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database:
            for step in reversed(STEPS[version - OLDEST :]):
                for table in step.tables:
                    database.execute(f"DROP TABLE {table}")
                assert foreign_parts(database, step.before) == []
                assert foreign_parts(database, step.before + 1) != []

    def test_another_programs_database(self, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        with closing(sqlite3.connect(folder / "collection.sqlite")) as database:
            database.execute("CREATE TABLE mail (text)")
        with pytest.raises(CorruptCollectionError, match="it is another's database"):
            open_collection(str(folder))

    def test_limits_and_settings(self, address):
        with open_collection(address) as collection:
            database = collection._reader._database
            for name, value in {"trusted_schema": 0, "cell_size_check": 1, "foreign_keys": 1}.items():
                assert database.execute(f"PRAGMA {name}").fetchone() == (value,)
            assert database.getlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH) == 100


NOTE = {
    "folder": None,
    "pictures": 1,
    "samples": 1,
    "sample_classes": None,
    "channels": 16,
    "dimensions": 16,
    "fitted": "2026-01-02T03:04:05+00:00",
}
MATRIX = Whitening(np.zeros(16, np.float32), np.eye(16, dtype=np.float32))
SETTINGS = {"encoding": "cam", "size": "640", "layer": "head"}


def floats(value):
    """A whitening of 16 to 16 dimensions that holds this number."""
    return MATRIX.to_bytes()[:-4] + struct.pack("<f", value)


class TestWhatItSaysOfItself:
    """Looked at when it is opened, before anything is built of it."""

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("created", "yesterday"),
            ("created", "\x1b[2J"),
            ("created", "2" * 300),
            ("model", ""),
            ("model", "a\0b"),
            ("model", "m" * 1_000_000),
            ("model_checksum", "ab"),
            ("model_checksum", "../../etc/passwd"),
            ("dimensions", 0),
            ("dimensions", -1),
            ("dimensions", 2**62),
            ("generation", -1),
            ("generation", 2**62),
            ("settings", "[" * 100_000),
            ("settings", "{"),
            ("settings", "null"),
            ("settings", "[1]"),
            ("settings", json.dumps({**SETTINGS, "predefined": [float("nan")]})),
            ("settings", json.dumps({**SETTINGS, "predefined": "all"})),
            ("settings", json.dumps({**SETTINGS, "layer": "l" * 100_000})),
            ("settings", json.dumps({**SETTINGS, "layer": 7})),
            ("settings", " " * 2_000_000),
            ("whitening", b""),
            ("whitening", b"\0matrix"),
            ("whitening", MATRIX.to_bytes()[:-1]),
            ("whitening", Whitening(MATRIX.mean, MATRIX.projection[:, :8]).to_bytes()),
            ("whitening", floats(float("nan"))),
            ("whitening", floats(float("inf"))),
            ("whitening", struct.pack("<20sII", b"camseek whitening 1\n", 2**32 - 1, 2**32 - 1)),
            ("whitening", bytes(200_000_000)),
            ("whitening_note", json.dumps({**NOTE, "checksum": "ab" * 32})),
            ("whitening_note", "[" * 100_000),
            ("refit", "[" * 100_000),
            ("refit", "[]"),
            ("refit", json.dumps({"asked": "so", "dimensions": 2**62, "note": None})),
            ("refit", json.dumps({"asked": "so", "dimensions": 1e3, "note": None})),
            ("refit", json.dumps({"asked": 7, "dimensions": 4, "note": None})),
            ("k" * 1000, 1),
        ],
    )
    def test_what_cannot_be(self, address, key, value):
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
            database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        with pytest.raises(CorruptCollectionError) as error, open_collection(address) as collection:
            [fault] = collection.catalogue.check()
            raise CorruptCollectionError(fault, remedy="")
        assert len(error.value.message) < 600 + len(address)

    @pytest.mark.parametrize(
        "note",
        [
            NOTE | {"checksum": "ab" * 32},
            NOTE | {"checksum": MATRIX.checksum, "channels": 8},
            NOTE | {"checksum": MATRIX.checksum, "pictures": -1},
            NOTE | {"checksum": MATRIX.checksum, "samples": 2**62},
            NOTE | {"checksum": MATRIX.checksum, "samples": "many"},
            NOTE | {"checksum": MATRIX.checksum, "fitted": "f" * 1000},
            NOTE | {"checksum": MATRIX.checksum, "folder": 7},
            NOTE | {"checksum": MATRIX.checksum, "more": 7},
            NOTE,
            [],
        ],
    )
    def test_a_note_that_is_not_of_its_whitening(self, address, note):
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
            database.execute("INSERT INTO meta VALUES ('whitening', ?)", (MATRIX.to_bytes(),))
            database.execute("INSERT INTO meta VALUES ('whitening_note', ?)", (json.dumps(note),))
        with pytest.raises(CorruptCollectionError):
            open_collection(address)

    def test_settings_that_no_camseek_has(self, address):
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
            text = json.dumps({**SETTINGS, "encoding": "\x1b[2J"})
            database.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (text,))
        with pytest.raises(SettingsError, match="there is no encoding"):
            open_collection(address)

    def test_more_rows_than_it_can_have(self, address):
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
            database.executemany("INSERT INTO meta VALUES (?, 1)", [(f"k{n}",) for n in range(200)])
        with pytest.raises(CorruptCollectionError, match="more of itself than it can have to say"):
            open_collection(address)


class TestAddresses:
    @pytest.mark.parametrize(
        "name",
        [
            "a#b?c%20d",
            "a?mode=memory",
            "new\nline",
            "tab\tand \x1b[31m",
            "trailing/",
            os.fsdecode(b"no \xff text"),
            "ü",
            "u\u0308",
            "n" * 200,
            "'; DROP TABLE meta; --",
            "file:x",
            "-",
            " ",
        ],
    )
    def test_odd_names(self, tmp_path, profile, picture, name):
        address = f"{tmp_path}/{name}"
        with create_collection(address, profile) as made, made.write("test") as writer:
            writer.point(b"/r/1", writer.insert(picture(1)), Signature(1, 1, 1), writer.root(b"/r"))
        with open_collection(address) as collection:
            assert collection.catalogue.count() == 1
            assert collection.catalogue.check() == []
        assert os.listdir(tmp_path) == [name.rstrip("/")]

    @pytest.mark.parametrize("front", ["/", "//", "/./", "///"])
    def test_slashes_in_front(self, address, front):
        use(front + address)
        with open_collection(front + address) as collection:
            assert collection.address == address

    @pytest.mark.parametrize("name", ["made.camseek", "./made.camseek", "made.camseek/../made.camseek/."])
    def test_relative(self, address, monkeypatch, name):
        monkeypatch.chdir(os.path.dirname(address))
        use(name)

    def test_the_working_folder(self, address, monkeypatch):
        monkeypatch.chdir(address)
        use(".")

    @pytest.mark.parametrize("name", ["n" * 300, "n/" * 3000])
    def test_too_long(self, tmp_path, profile, name):
        with pytest.raises(CollectionError, match="File name too long"):
            open_collection(f"{tmp_path}/{name}")
        with pytest.raises(CollectionError, match="File name too long"):
            create_collection(f"{tmp_path}/{name}", profile)
