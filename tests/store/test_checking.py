"""What is damaged in a collection is found: each check has a collection that is damaged in that way."""

import hashlib
import os
import sqlite3
import zlib
from contextlib import closing

import numpy as np
import pytest

from camseek.results import Skipped
from camseek.store import (
    ADDED_BY_HAND,
    FILE_TRACE,
    PictureRecord,
    Refit,
    Signature,
    SkippedEntry,
    open_collection,
)

CONTENT = b"what a file would hold"
ONE = Signature(1, 2, 3)


@pytest.fixture
def address(collection, picture):
    """Pictures 1 to 3 of a root, the third featureless; one without a file; a file that was skipped."""
    with collection.write("test") as writer:
        root = writer.root(b"/r")
        for number in (1, 2):
            writer.point(b"/r/%d" % number, writer.insert(picture(number)), ONE, root)
        writer.point(b"/r/3", writer.insert(picture(3, None)), ONE, root)
        given = PictureRecord(
            content=hashlib.sha256(CONTENT).digest(),
            size=(2, 2),
            format="PNG",
            frames=1,
            descriptor=picture(4).descriptor,
            traces={FILE_TRACE: CONTENT},
        )
        writer.point(b"camseek:x", writer.insert(given), ONE, ADDED_BY_HAND)
        writer.skip(SkippedEntry(ONE, Skipped(b"/r/bad", "it is broken", "damaged"), "1"), root)
    collection.close()
    return collection.address


def halves(value):
    """A descriptor with this number in it, and its checksum."""
    vector = np.full(16, 0.25, "<f2")
    vector[0] = value
    return vector.tobytes(), zlib.crc32(vector.tobytes())


def check(address):
    with open_collection(address) as collection:
        return collection.catalogue.check()


def damage(address, sql, values=(), *, checks=True):
    with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
        if not checks:
            database.execute("PRAGMA ignore_check_constraints = 1")
        database.execute(sql, values)


def test_a_sound_one(address):
    assert check(address) == []


@pytest.mark.parametrize(
    ("sql", "values", "fault"),
    [
        ("DELETE FROM descriptors WHERE picture = 2", (), "1 picture that has lost its descriptor"),
        ("DELETE FROM traces WHERE picture = 3", (), "1 picture that has lost its descriptor"),
        (
            "INSERT INTO descriptors VALUES (3, ?, ?)",
            halves(0.25),
            "1 picture that has a descriptor and is marked as having none",
        ),
        (
            "UPDATE descriptors SET vector = x'0000', crc = 0 WHERE picture = 1",
            (),
            "the descriptor of record 1 has 2 bytes, not 32",
        ),
        ("UPDATE descriptors SET crc = crc + 1 WHERE picture = 1", (), "has another checksum"),
        ("UPDATE descriptors SET vector = ?, crc = ?", halves(np.nan), "is not of unit length"),
        ("UPDATE descriptors SET vector = ?, crc = ?", halves(np.inf), "is not of unit length"),
        ("UPDATE descriptors SET vector = ?, crc = ?", halves(9), "is not of unit length"),
        ("UPDATE descriptors SET vector = 'text' WHERE picture = 1", (), "a row holds"),
        (
            "INSERT INTO descriptors VALUES (99, ?, ?)",
            halves(0.25),
            "a row of descriptors points to a row of",
        ),
        ("INSERT INTO refit VALUES (1, NULL, 0)", (), "1 unfinished descriptor of no run that is known"),
        ("DELETE FROM files WHERE path = x'2f722f31'", (), "1 picture without a file"),
        ("DELETE FROM claims WHERE path = x'2f722f31'", (), "1 file that no root claims"),
        ("UPDATE claims SET root = 77", (), "a row of claims points to a row of roots"),
        ("INSERT INTO claims VALUES (x'2f78', 1)", (), "a row of claims points to a row of files"),
        ("UPDATE files SET picture = 77 WHERE path = x'2f722f31'", (), "points to a row of pictures"),
        ("DELETE FROM roots WHERE id = 0", (), "the root of what was added by hand is missing"),
        ("UPDATE roots SET path = 'text' WHERE id = 1", (), "a row holds"),
        ("UPDATE roots SET path = x'61' WHERE id = 1", (), "the root 1 is no folder's name: b'a'"),
        ("UPDATE pictures SET width = ? WHERE id = 1", (2**62,), f"has {2**62} x 480 pixels"),
        ("UPDATE pictures SET width = 'wide' WHERE id = 1", (), "a row holds"),
        ("UPDATE pictures SET frames = ? WHERE id = 1", (2**62,), "frames"),
        ("UPDATE pictures SET format = ? WHERE id = 1", ("\x1b[2J",), "of the impossible format"),
        ("UPDATE pictures SET content = zeroblob(31) WHERE id = 1", (), "the database: CHECK constraint"),
        ("UPDATE pictures SET height = -1 WHERE id = 1", (), "the database: CHECK constraint"),
        ("UPDATE sqlite_sequence SET seq = 1", (), "record numbers would be used twice"),
        ("UPDATE files SET size = ? WHERE path = x'2f722f31'", (2**62,), f"has {2**62} bytes"),
        ("UPDATE files SET path = 'text' WHERE path = x'2f722f31'", (), "1 file has no name"),
        ("UPDATE files SET path = x'2f00' WHERE path = x'2f722f31'", (), "a file's name is no name"),
        ("UPDATE files SET path = x'61' WHERE path = x'2f722f31'", (), "a file's name is no name"),
        ("UPDATE skipped SET path = x'2f00'", (), "the name of a file that was skipped is no name"),
        ("UPDATE skipped SET code = 'no code'", (), "was skipped for no reason that camseek has"),
        ("UPDATE skipped SET reason = ?", ("r" * 20_000,), "was skipped for no reason that camseek has"),
        ("UPDATE skipped SET reason = x'00'", (), "a row holds"),
        ("DELETE FROM traces WHERE kind = 'file'", (), "what it would hold is not there"),
        (
            "UPDATE traces SET data = x'00', crc = ? WHERE kind = 'file'",
            (zlib.crc32(b"\0"),),
            "what the file of record 4 would hold is not its content",
        ),
        ("UPDATE traces SET crc = 1 WHERE kind = 'file'", (), "has another checksum"),
        ("UPDATE traces SET kind = 'No Kind' WHERE kind = 'file'", (), "of the impossible kind"),
        ("UPDATE traces SET picture = 77 WHERE kind = 'file'", (), "points to a row of pictures"),
    ],
)
def test_what_is_damaged(address, sql, values, fault):
    damage(address, sql, values, checks="CHECK" not in fault)
    faults = check(address)
    assert any(fault in text for text in faults), faults


@pytest.mark.parametrize(
    ("key", "value"), [("whitening", b"no matrix"), ("dimensions", 2**62), ("settings", "[" * 10_000)]
)
def test_what_it_says_of_itself_while_it_is_open(address, key, value):
    with open_collection(address) as collection:
        damage(address, "INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        assert len(collection.catalogue.check()) == 1


def test_one_fault_of_all_pictures_is_told_a_few_times(collection, fill):
    fill(collection, range(100))
    damage(collection.address, "UPDATE descriptors SET crc = crc + 1")
    faults = check(collection.address)
    assert len(faults) == 21
    assert faults[-1] == "and more of that kind"


def test_featureless_pictures_stay_marked(address, unit):
    """A whitening changes which they are; a picture that leaves takes its mark along."""
    with open_collection(address) as collection:
        with collection.write("test") as writer:
            writer.refitter.begin(Refit(asked="so", profile=collection.profile))
            for record in writer.refitter.pending():
                writer.refitter.put(record, None if record == 1 else unit(record))
            writer.refitter.finish()
        assert collection.catalogue.check() == []
        assert collection.vectors.records().tolist() == [2, 3, 4]
        assert collection.traces.kinds() == {FILE_TRACE: 1}
        with collection.write("test") as writer:
            writer.release([b"/r/1"], None)
        assert collection.catalogue.check() == []
    damage(address, "DELETE FROM descriptors WHERE picture = 2")
    assert check(address) == ["1 picture that has lost its descriptor"]


@pytest.mark.parametrize(
    ("kind", "pattern", "told"),
    [
        ("exclude", b"*a*a*a*a*a*b", "stars"),
        ("neither", b"*.jpg", "CHECK constraint"),
        ("include", "text", "row"),
    ],
)
def test_patterns_that_no_run_has_stored(address, kind, pattern, told):
    with closing(sqlite3.connect(os.path.join(address, "collection.sqlite"))) as database, database:
        database.execute("PRAGMA ignore_check_constraints = 1")
        [(root,)] = database.execute("SELECT id FROM roots WHERE path = ?", (b"/r",)).fetchall()
        database.execute("INSERT INTO patterns VALUES (?, ?, 0, ?)", (root, kind, pattern))
    [fault] = check(address)
    assert told in fault
