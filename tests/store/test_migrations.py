"""Collections of every format there was: read as they are, moved by the first write, killed or not."""

import json
import os
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from camseek.config import Encoding, Resize
from camseek.encoding.whitening import Whitening
from camseek.errors import CollectionVersionError, CorruptCollectionError, StorageError
from camseek.store import Refit, Signature, WhiteningNote, open_collection
from camseek.store import folder as folder_module
from camseek.store.database import FORMAT_VERSION
from camseek.store.migrations import OLDEST, STEPS, Migration, migrate

# The tables as the releases of these formats made them.
FORMAT_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE pictures (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    content BLOB NOT NULL UNIQUE,      -- SHA-256 of the whole file
    width   INTEGER NOT NULL,          -- of the upright picture, pixels
    height  INTEGER NOT NULL,
    format  TEXT NOT NULL,
    frames  INTEGER NOT NULL,
    CHECK (length(content) = 32 AND width > 0 AND height > 0 AND frames > 0)
);
CREATE TABLE descriptors (
    picture INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE,
    vector  BLOB NOT NULL,             -- little-endian float16
    crc     INTEGER NOT NULL           -- CRC-32 of the vector
);
CREATE INDEX descriptors_by_picture ON descriptors (picture);
CREATE TABLE files (
    path     BLOB PRIMARY KEY,
    picture  INTEGER NOT NULL REFERENCES pictures (id),
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,         -- -1: written too recently to trust
    CHECK (size >= 0)
) WITHOUT ROWID;
CREATE INDEX files_by_picture ON files (picture);
CREATE TABLE roots (
    id   INTEGER PRIMARY KEY,          -- 0: what was added by hand
    path BLOB NOT NULL UNIQUE
);
CREATE TABLE claims (
    path BLOB NOT NULL REFERENCES files (path) ON DELETE CASCADE,
    root INTEGER NOT NULL REFERENCES roots (id),
    PRIMARY KEY (path, root)
) WITHOUT ROWID;
CREATE TABLE skipped (
    path       BLOB NOT NULL,
    root       INTEGER NOT NULL REFERENCES roots (id),
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    ctime_ns   INTEGER NOT NULL,
    code       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    tried_with TEXT NOT NULL,
    PRIMARY KEY (path, root)
) WITHOUT ROWID;
"""
FORMAT_2 = (
    FORMAT_1
    + """
CREATE TABLE refit (
    picture INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE,
    vector  BLOB,
    crc     INTEGER NOT NULL
);
"""
)
FORMAT_3 = (
    FORMAT_2
    + """
CREATE TABLE traces (
    number  INTEGER PRIMARY KEY,
    picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    data    BLOB NOT NULL,
    crc     INTEGER NOT NULL,          -- CRC-32 of the data
    UNIQUE (picture, kind)
);
"""
)
FORMAT_4 = (
    FORMAT_3
    + """
CREATE TABLE patterns (
    root    INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL,             -- include or exclude
    place   INTEGER NOT NULL,
    pattern BLOB NOT NULL,             -- bytes as names are
    PRIMARY KEY (root, kind, place),
    CHECK (kind IN ('include', 'exclude'))
) WITHOUT ROWID;
"""
)
MATRIX = Whitening(np.zeros(16, np.float32), np.eye(16, dtype=np.float32))
NOTE = WhiteningNote(
    folder=b"/held",
    pictures=6,
    samples=12,
    sample_classes=2,
    channels=16,
    dimensions=16,
    fitted="2026-01-02T03:04:05+00:00",
    checksum=MATRIX.checksum,
)
COMMON = {
    "created": "2026-01-01T00:00:00+00:00",
    "model": "toy",
    "model_checksum": "ab" * 32,
    "dimensions": 16,
}
META = {
    1: {
        "settings": json.dumps({"encoding": "cam:maps=minmax", "longer_side": 512, "layer": "head"}),
        "whitening": MATRIX.to_bytes(),
    },
    2: {
        "settings": json.dumps(
            {"encoding": "rmac", "size": "smaller:512", "layer": "head", "predefined": []}
        ),
        "generation": 4,
        "whitening": MATRIX.to_bytes(),
        "whitening_note": json.dumps(NOTE.to_json()),
        "refit": json.dumps({"asked": "so", "dimensions": 4, "note": None}),
    },
}
META[3] = META[4] = META[2]


@pytest.fixture(params=[1, 2, 3, 4])
def version(request):
    return request.param


@pytest.fixture
def address(tmp_path, version, unit):
    """A collection of an older format: pictures 1 to 5 of one root, the fourth featureless."""
    folder = tmp_path / "old.camseek"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "collection.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA page_size = 16384")
        database.executescript({1: FORMAT_1, 2: FORMAT_2, 3: FORMAT_3, 4: FORMAT_4}[version])
        meta = {"format_version": version, **COMMON, **META[version]}
        database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        database.executemany("INSERT INTO roots VALUES (?, ?)", [(0, b""), (1, b"/r")])
        for record in range(1, 6):
            content = record.to_bytes(32, "big")
            database.execute("INSERT INTO pictures VALUES (?, ?, 3, 2, 'JPEG', 1)", (record, content))
            vector = unit(record).astype("<f2").tobytes()
            if record != 4:
                values = record, vector, zlib.crc32(vector)
                database.execute("INSERT INTO descriptors VALUES (?, ?, ?)", values)
            database.execute("INSERT INTO files VALUES (?, ?, 7, 8, 9)", (b"/r/%d" % record, record))
            database.execute("INSERT INTO claims VALUES (?, 1)", (b"/r/%d" % record,))
        if version >= 4:
            sql = "INSERT INTO traces (picture, kind, data, crc) VALUES (4, '!featureless', x'', 0)"
            database.execute(sql)
        database.execute("PRAGMA journal_mode = WAL")
    return str(folder)


def format_of(address):
    with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database:
        return database.execute("SELECT value FROM meta WHERE key = 'format_version'").fetchone()[0]


def tables_of(address):
    """Every table and index as it was made, less comments and spaces."""
    with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {
        name: " ".join("".join(line.split("--")[0] + " " for line in sql.split("\n")).split())
        .replace("( ", "(")
        .replace(" )", ")")
        for name, sql in rows
    }


def holds_what_it_held(collection, version, unit):
    profile = collection.profile
    assert (profile.model, profile.dimensions, profile.whitening) == ("toy", 16, MATRIX.to_bytes())
    assert profile.generation == collection.vectors.generation == (0 if version == 1 else 4)
    assert profile.whitening_note == (None if version == 1 else NOTE)
    settings = profile.settings
    assert settings.encoding == Encoding.parse("cam:maps=minmax" if version == 1 else "rmac")
    assert settings.size == Resize.parse("512" if version == 1 else "smaller:512")
    assert collection.vectors.records().tolist() == [1, 2, 3, 5]
    [found] = collection.vectors.nearest(unit(3)[None], 9)
    assert (found.records[0], found.compared) == (3, 4)
    assert collection.catalogue.pictures([2])[2].paths == (b"/r/2",)
    assert collection.traces.get("any", [1]) == {}
    assert collection.traces.kinds() == {}
    assert collection.catalogue.check() == []


def test_the_steps_lead_from_each_format_to_the_next():
    assert [step.before for step in STEPS] == list(range(OLDEST, FORMAT_VERSION))


@pytest.mark.parametrize("keep", [True, False])
def test_it_is_read_as_it_is(address, version, unit, keep):
    with open_collection(address, keep_vectors=keep) as collection:
        holds_what_it_held(collection, version, unit)
        info = collection.catalogue.info()
        assert (info.format_version, info.pictures, info.featureless) == (version, 5, 1)
        assert info.traces == {}
    assert format_of(address) == version


def test_the_first_write_moves_it(address, version, unit, collection):
    with open_collection(address) as moved, open_collection(address) as bystander:
        holds_what_it_held(bystander, version, unit)
        with moved.write("test") as writer:
            assert format_of(address) == FORMAT_VERSION
            refit = writer.refitter.unfinished()
            assert (refit is None) if version == 1 else (refit.asked == "so")
            if refit is not None:
                # It changed the whitening alone.
                was = bystander.profile
                assert refit == Refit(
                    asked="so",
                    profile=replace(was, generation=0, dimensions=4, whitening=None, whitening_note=None),
                )
        for either in (moved, bystander):
            holds_what_it_held(either, version, unit)
            assert either.catalogue.info().format_version == FORMAT_VERSION
        with bystander.write("test") as writer:
            writer.put_trace(2, "any", b"thing")
        assert moved.traces.get("any", [1, 2]) == {2: b"thing"}
    assert tables_of(address) == tables_of(collection.address)


def test_its_settings_are_written_as_they_are_today(address):
    with open_collection(address) as moved:
        before = moved.profile.settings
        with moved.write("test"):
            pass
    with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database:
        [(text,)] = database.execute("SELECT value FROM meta WHERE key = 'settings'").fetchall()
    # Nothing of an old name is left, or a later reader would refuse it.
    assert "longer_side" not in json.loads(text)
    with open_collection(address) as again:
        assert again.profile.settings == before


class TestInterrupted:
    @pytest.mark.parametrize(
        ("version", "broken"), [(1, 0), (1, 1), (1, 3), (2, 1), (2, 2), (3, 2), (4, 3)], indirect=["version"]
    )
    def test_between_a_table_and_its_version(self, address, version, unit, monkeypatch, broken):
        def interrupt(database):
            STEPS[broken].advance(database)
            raise KeyboardInterrupt

        steps = list(STEPS)
        steps[broken] = Migration(STEPS[broken].before, interrupt)
        with open_collection(address) as collection:
            with monkeypatch.context() as patch:
                patch.setattr(folder_module, "migrate", lambda database: migrate(database, steps))
                with pytest.raises(KeyboardInterrupt), collection.write("test"):
                    pass
            assert format_of(address) == STEPS[broken].before
            holds_what_it_held(collection, version, unit)
            with collection.write("test"):
                pass
            holds_what_it_held(collection, version, unit)
        assert format_of(address) == FORMAT_VERSION

    CODE = """
import os, sys
from camseek.store import folder, open_collection
from camseek.store.migrations import STEPS, Migration, migrate

def die(database):
    STEPS[-1].advance(database)
    os._exit(9)

folder.migrate = lambda database: migrate(database, [*STEPS[:-1], Migration(STEPS[-1].before, die)])
with open_collection(sys.argv[1]) as collection, collection.write("test"):
    pass
"""

    def test_by_a_kill(self, address, version, unit):
        done = subprocess.run([sys.executable, "-c", self.CODE, address], check=False)
        assert done.returncode == 9
        assert format_of(address) == FORMAT_VERSION - 1
        with open_collection(address) as collection:
            holds_what_it_held(collection, version, unit)
            with collection.write("test") as writer:
                writer.put_trace(1, "any", b"thing")
            assert collection.catalogue.check() == []
        assert format_of(address) == FORMAT_VERSION

    def test_a_large_step_goes_on_where_it_stopped(self, address, version):
        """A step of many pieces, each of which remembers how far the work is."""
        moved = []

        def advance(database, die_at=None):
            [(done,)] = database.execute(
                "SELECT coalesce((SELECT value FROM meta WHERE key = 'moved'), 0)"
            ).fetchall()
            rows = database.execute("SELECT id FROM pictures WHERE id > ? ORDER BY id LIMIT 2", (done,))
            records = [row[0] for row in rows]
            if not records:
                database.execute("DELETE FROM meta WHERE key = 'moved'")
                return True
            database.execute("INSERT OR REPLACE INTO meta VALUES ('moved', ?)", (records[-1],))
            if die_at in records:
                raise KeyboardInterrupt
            moved.extend(records)
            return False

        with closing(
            sqlite3.connect(os.path.join(address, "collection.sqlite"), isolation_level=None)
        ) as database:
            with pytest.raises(KeyboardInterrupt):
                migrate(database, [Migration(version, lambda database: advance(database, 4))])
            assert moved == [1, 2]
            migrate(database, [Migration(version, advance)])
            assert moved == [1, 2, 3, 4, 5]
            # Whole, and not once more.
            migrate(database, [Migration(version, advance)])
        assert moved == [1, 2, 3, 4, 5]
        assert format_of(address) == version + 1

    @pytest.mark.needs_root
    def test_by_a_disk_that_cannot_be_written(self, address, version, small_disk, unit):
        import shutil

        disk = small_disk(2)
        shutil.copytree(address, disk / "c")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with open_collection(str(disk / "c")) as collection:
            holds_what_it_held(collection, version, unit)
            with pytest.raises(StorageError), collection.write("test"):
                pass
        assert format_of(address) == version


class TestOtherFormats:
    def change(self, address, value):
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
            database.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", (value,))

    @pytest.mark.parametrize("value", [FORMAT_VERSION + 1, 99])
    def test_a_later_one_is_refused_by_name(self, address, value):
        self.change(address, value)
        with pytest.raises(
            CollectionVersionError, match=f"format {value}; this camseek knows formats 1 to {FORMAT_VERSION}"
        ) as error:
            open_collection(address)
        assert error.value.remedy == "upgrade camseek"

    def test_a_later_one_that_came_meanwhile(self, address):
        with open_collection(address) as collection:
            self.change(address, FORMAT_VERSION + 1)
            with pytest.raises(CollectionVersionError), collection.snapshot():
                pass
            with pytest.raises(CollectionVersionError), collection.write("test"):
                pass
        assert format_of(address) == FORMAT_VERSION + 1

    def test_none_that_ever_was(self, address):
        self.change(address, 0)
        with pytest.raises(CollectionVersionError, match="format 0"):
            open_collection(address)

    def test_settings_that_are_not_of_the_format(self, address):
        with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
            database.execute("UPDATE meta SET value = '[]' WHERE key = 'settings'")
        with pytest.raises(CorruptCollectionError):
            open_collection(address)

    def test_an_old_file_is_written_like_any(self, address, picture):
        with open_collection(address) as collection, collection.write("test") as writer:
            writer.point(b"/r/new", writer.insert(picture(77)), Signature(1, 1, 1), writer.root(b"/r"))
        with open_collection(address) as again:
            assert again.vectors.records().tolist() == [1, 2, 3, 5, 6]
            assert np.isfinite(again.vectors.of(np.array([6]))).all()
