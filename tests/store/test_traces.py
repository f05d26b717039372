import os
import sqlite3
from dataclasses import replace

import pytest

from camseek.errors import CorruptCollectionError
from camseek.store import Signature, open_collection

# In a folder, and on a Milvus server.
EITHER = pytest.mark.parametrize("collection", ["folder", "milvus"], indirect=True)

SIGNATURE = Signature(1, 2, 3)


@pytest.fixture
def add(picture):
    def do(collection, number, traces):
        with collection.write("test") as writer:
            record = writer.insert(replace(picture(number), traces=traces))
            writer.point(b"/r/%d" % number, record, SIGNATURE, writer.root(b"/r"))
        return record

    return do


def alter(collection, sql):
    with sqlite3.connect(os.path.join(collection.address, "collection.sqlite")) as connection:
        connection.execute(sql)
    connection.close()


@EITHER
def test_they_come_and_go_with_their_picture(collection, add):
    one = add(collection, 1, {"features": b"\x00one", "sketch-2_x": b""})
    two = add(collection, 2, {"features": b"two"})
    three = add(collection, 3, {})
    with open_collection(collection.address) as reader:
        assert reader.traces.get("features", [two, one, three, 99]) == {one: b"\x00one", two: b"two"}
        assert reader.traces.get("sketch-2_x", [one, two]) == {one: b""}
        assert reader.traces.get("features", [three]) == {}
        assert reader.traces.get("unknown", [one]) == {}
        assert reader.traces.kinds() == {"features": 2, "sketch-2_x": 1}
        assert reader.catalogue.info().traces == {"features": 2, "sketch-2_x": 1}
        assert reader.catalogue.info().to_json()["traces"] == {"features": 2, "sketch-2_x": 1}
        assert reader.catalogue.check() == []
        with collection.write("test") as writer:
            writer.release([b"/r/1"], None)
        assert reader.traces.kinds() == {"features": 1}
        assert reader.traces.get("features", [one, two]) == {two: b"two"}
        assert reader.catalogue.check() == []


@EITHER
def test_one_takes_the_place_of_another(collection, add):
    record = add(collection, 1, {"a": b"first", "b": b"kept"})
    with collection.write("test") as writer:
        writer.put_trace(record, "a", b"second")
        writer.put_trace(record, "c", b"new")
    assert collection.traces.get("a", [record]) == {record: b"second"}
    assert collection.traces.kinds() == {"a": 1, "b": 1, "c": 1}
    assert collection.catalogue.check() == []


def test_a_known_content_keeps_what_it_has(collection, add):
    record = add(collection, 1, {"a": b"first"})
    assert add(collection, 1, {"a": b"second", "b": b"more"}) == record
    assert collection.traces.get("a", [record]) == {record: b"first"}
    assert collection.traces.kinds() == {"a": 1}


def test_of_many_records(collection, picture):
    with collection.write("test") as writer:
        for number in range(1200):
            record = writer.insert(replace(picture(number, None), traces={"n": b"%d" % number}))
            writer.point(b"/%d" % number, record, SIGNATURE, 0)
    found = collection.traces.get("n", range(1, 1201))
    assert found == {number + 1: b"%d" % number for number in range(1200)}


@pytest.mark.parametrize("kind", ["", "A", "a b", "a/b", "a\n", "ä", "x" * 41])
def test_kinds_that_cannot_be(collection, add, picture, kind):
    record = add(collection, 1, {"x" * 40: b""})
    with collection.write("test") as writer:
        with pytest.raises(ValueError, match="kind"):
            writer.put_trace(record, kind, b"")
        with pytest.raises(ValueError, match="kind"), writer.unit():
            writer.insert(replace(picture(2), traces={kind: b""}))
    with pytest.raises(ValueError, match="kind"):
        collection.traces.get(kind, [record])
    assert collection.catalogue.count() == 1


def test_of_a_picture_that_is_not_there(collection):
    with collection.write("test") as writer, pytest.raises(KeyError):
        writer.put_trace(7, "a", b"")


def test_a_moment_has_its_traces(collection, add):
    record = add(collection, 1, {"a": b"first"})
    with open_collection(collection.address) as reader, reader.snapshot():
        assert reader.traces.get("a", [record]) == {record: b"first"}
        with collection.write("test") as writer:
            writer.put_trace(record, "a", b"second")
        assert reader.traces.get("a", [record]) == {record: b"first"}
    assert collection.traces.get("a", [record]) == {record: b"second"}


def test_damage_is_told(collection, add):
    one, two = add(collection, 1, {"a": b"abc"}), add(collection, 2, {"a": b"abc"})
    alter(collection, f"UPDATE traces SET data = x'616264' WHERE picture = {two}")
    assert collection.traces.get("a", [one]) == {one: b"abc"}
    with pytest.raises(CorruptCollectionError, match=f"the a of record {two} has another checksum"):
        collection.traces.get("a", [one, two])
    assert collection.catalogue.check() == [
        f"the a of record {two} has another checksum than when it was written"
    ]
    alter(collection, f"UPDATE traces SET kind = 'B c', data = x'616263' WHERE picture = {two}")
    assert collection.catalogue.check() == [f"record {two} has a trace of the impossible kind 'B c'"]
    alter(collection, f"UPDATE traces SET data = 7 WHERE picture = {one}")
    with pytest.raises(CorruptCollectionError):
        collection.traces.get("a", [one])


@EITHER
def test_a_kind_that_cannot_be_drops_nothing(collection, picture):
    """The mark of a picture without a descriptor has a name that no trace can have."""
    with collection.write("test") as writer:
        record = writer.insert(picture(1, descriptor=None))
        writer.point(b"/r/1", record, SIGNATURE, writer.root(b"/r"))
    with collection.write("test") as writer, pytest.raises(ValueError, match="a trace's kind"):
        writer.put_trace(record, "!featureless", b"")
    assert collection.catalogue.check() == []
