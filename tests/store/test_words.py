"""The index of visual words that lies beside the database."""

import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camseek.errors import CorruptCollectionError
from camseek.matching import mapped
from camseek.matching.codebook import embedded_codebook
from camseek.matching.index import WordsIndex
from camseek.matching.words import QueryWords, WordPoints, summed_signs
from camseek.store import POINTS_TRACE, Signature, beside, open_collection

BOOK = embedded_codebook()


def points(number, count=40):
    """Points of a few of the words, so that pictures share some."""
    generator = np.random.default_rng(number)
    ones = np.ones(count, np.float32)
    words = generator.integers(0, 50, count).astype(np.uint16)
    signs = np.uint64(0x5555_5555_5555_5555) ^ (np.uint64(1) << generator.integers(0, 8, count, np.uint64))
    return WordPoints(np.zeros((count, 2), np.float32), ones, ones, words, signs, BOOK.tag)


def query(number):
    own = points(number)
    words = own.words[:, None], own.signs[:, None], *summed_signs(own.words, own.signs)
    return QueryWords(own.points, own.scales, own.angles, *words, BOOK.tag)


@pytest.fixture(autouse=True)
def least(monkeypatch):
    monkeypatch.setattr(beside, "LEAST_SAVED", 10)


@pytest.fixture
def add(picture):
    def do(collection, numbers):
        with collection.write("test") as writer:
            root = writer.root(b"/r")
            for number in numbers:
                traces = {POINTS_TRACE: points(number).pack((640, 480))}
                record = writer.insert(replace(picture(number), traces=traces))
                writer.point(b"/r/%d" % number, record, Signature(1, 2, 3), root)

    return do


def places_of(content):
    """Where the arrays of a file begin and end."""
    numbers = mapped._HEAD.unpack_from(content)
    return mapped._Head(*numbers[1:5], (0, 0), b"").places()


def remove(collection, numbers):
    with collection.write("test") as writer:
        writer.release([b"/r/%d" % number for number in numbers], None)


def index_of(collection):
    return Path(collection.address) / "words.index"


def found(collection, number=3):
    records, scores = collection.words.scores(query(number))
    return dict(zip(records.tolist(), scores.tolist(), strict=True))


def anew(collection, number=3):
    """The same without the file."""
    index = WordsIndex(BOOK)
    with collection.snapshot():
        records = collection.catalogue.records().tolist()
        traces = collection.traces.get(POINTS_TRACE, records)
    index.add(list(traces), [WordPoints.unpack(data, (640, 480)) for data in traces.values()])
    return dict(zip(*(values.tolist() for values in index.scores(query(number))), strict=True))


@pytest.fixture
def unread(monkeypatch):
    """Counts the pictures whose points are read."""
    read = []
    unpack = WordPoints.unpack

    def count(data, size):
        read.append(size)
        return unpack(data, size)

    monkeypatch.setattr(WordPoints, "unpack", count)
    return read


def test_few_pictures_have_no_file(collection, add):
    add(collection, range(9))
    assert not index_of(collection).exists()
    assert len(found(collection)) == 9


def test_the_writer_saves_it_and_the_next_process_reads_no_points(collection, add, unread):
    add(collection, range(30))
    expected = anew(collection)
    assert index_of(collection).exists()
    del unread[:]
    with open_collection(collection.address) as again:
        assert found(again) == expected
    assert found(collection) == expected
    assert unread == []


def test_what_came_and_went_since_is_told_from_the_database(collection, add, unread):
    add(collection, range(30))
    before = index_of(collection).read_bytes()
    add(collection, range(30, 34))
    remove(collection, [2, 3, 31])
    assert index_of(collection).read_bytes() == before
    expected = anew(collection)
    del unread[:]
    with open_collection(collection.address) as again:
        assert found(again) == expected
        assert len(unread) == 3
        assert again.catalogue.check() == []


def test_it_is_saved_anew_when_much_has_changed(collection, add, unread):
    add(collection, range(30))
    add(collection, range(30, 41))
    del unread[:]
    with open_collection(collection.address) as again:
        assert len(found(again)) == 41
    assert unread == []
    large = index_of(collection).stat().st_size
    remove(collection, range(25, 41))
    assert index_of(collection).stat().st_size < large
    assert found(collection) == anew(collection)


def test_pictures_that_gain_points_later_are_saved_too(collection, picture):
    with collection.write("test") as writer:
        records = []
        for number in range(25):
            records.append(writer.insert(picture(number)))
            writer.point(b"/r/%d" % number, records[-1], Signature(1, 2, 3), writer.root(b"/r"))
    assert not index_of(collection).exists()
    with collection.write("test") as writer:
        for number, record in enumerate(records):
            writer.put_trace(record, POINTS_TRACE, points(number).pack((640, 480)))
    assert index_of(collection).exists()
    assert found(collection) == anew(collection)


def test_a_file_of_another_database_is_not_used(collection, add, tmp_path, profile):
    """As where an old database is put back: numbers of pictures are used again, for others."""
    database = Path(collection.address) / "collection.sqlite"
    add(collection, range(20))
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    kept = tmp_path / "backup.sqlite"
    shutil.copy(database, kept)
    add(collection, range(20, 60))
    collection.close()
    shutil.copy(kept, database)
    for log in database.parent.glob("collection.sqlite-*"):
        log.unlink()
    with open_collection(str(database.parent)) as restored:
        add(restored, range(100, 105))
        assert found(restored) == anew(restored)
        assert restored.catalogue.check() == []


@pytest.mark.parametrize("harm", ["lost", "short", "head", "rows", "other rows", "signs", "text"])
def test_a_file_that_is_lost_or_damaged_loses_nothing(collection, add, harm):
    add(collection, range(30))
    path = index_of(collection)
    expected = anew(collection)
    content = bytearray(path.read_bytes())
    if harm == "lost":
        path.unlink()
    elif harm == "short":
        path.write_bytes(content[:-8])
    elif harm == "head":
        content[350] ^= 255
        path.write_bytes(content)
    elif harm in ("rows", "other rows", "signs"):
        entries = 30 * len(summed_signs(points(0).words, points(0).signs)[0])
        begin, end = places_of(content)["signs" if harm == "signs" else "rows"]
        assert end - begin > entries
        other = b"\xff" if harm == "rows" else b"\0"
        content[begin:end] = other * (end - begin)
        path.write_bytes(content)
    else:
        path.write_bytes(b"no index")
    with open_collection(collection.address) as again:
        if harm != "signs":  # those are compared by whoever reads all of them
            assert found(again) == expected
        faults = again.catalogue.check()
        assert [fault.split(" ")[0] for fault in faults] == ([] if harm == "lost" else ["words.index"])
        add(again, range(30, 50))
        assert found(again) == anew(again)
        assert again.catalogue.check() == []


@pytest.mark.parametrize("harm", ["rows", "other rows"])
def test_a_writer_that_comes_first_to_a_damaged_file_makes_it_anew(collection, add, harm):
    add(collection, range(30))
    content = bytearray(index_of(collection).read_bytes())
    begin, end = places_of(content)["rows"]
    content[begin:end] = (b"\xff" if harm == "rows" else b"\0") * (end - begin)
    index_of(collection).write_bytes(content)
    with open_collection(collection.address) as again:
        add(again, range(30, 50))
        remove(again, [1])
        assert found(again) == anew(again)
        assert again.catalogue.check() == []


def test_a_process_that_stays_open_takes_up_the_new_file(collection, add, unread):
    add(collection, range(5))
    assert len(found(collection)) == 5
    with open_collection(collection.address) as other:
        add(other, range(5, 40))
    del unread[:]
    assert found(collection) == anew(collection)
    assert len(unread) == 40  # all of them by the comparison itself


def test_points_that_are_made_anew_are_not_taken_from_the_file(collection, add):
    add(collection, range(30))
    before = found(collection)
    [record, *_] = before
    with collection.write("test") as writer:
        writer.put_trace(record, POINTS_TRACE, points(777).pack((640, 480)))
    with open_collection(collection.address) as again:
        assert found(again) == found(collection) == anew(collection) != before
    with collection.write("test") as writer:
        writer.drop_trace(record, POINTS_TRACE)
    assert found(collection) == anew(collection)
    with collection.write("test") as writer:
        assert writer.drop_traces(POINTS_TRACE) == 29
    assert found(collection) == {}


def test_a_file_of_far_more_pictures_than_there_are_is_not_read(collection, add):
    add(collection, range(60))
    with sqlite3.connect(Path(collection.address) / "collection.sqlite") as connection:
        connection.execute("PRAGMA foreign_keys = 1")
        connection.execute("DELETE FROM files WHERE picture > 5")
        connection.execute("DELETE FROM pictures WHERE id > 5")
    connection.close()
    with open_collection(collection.address) as again:
        assert len(found(again)) == 5
        assert any("words.index is damaged" in fault for fault in again.catalogue.check())


def test_a_link_in_its_place_is_refused_as_that_of_any_file_of_a_collection(collection, add, tmp_path):
    add(collection, range(30))
    path = index_of(collection)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptCollectionError, match="it is a link"):
        open_collection(collection.address)


def test_a_disk_that_takes_no_file_costs_no_picture(collection, add, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WordsIndex, "save", full)
    add(collection, range(30))
    assert not index_of(collection).exists()
    assert len(found(collection)) == 30
    add(collection, range(30, 31))
    assert len(found(collection)) == 31


def test_a_writer_that_ends_between_file_and_database_leaves_what_is_not_used(collection, add, monkeypatch):
    add(collection, range(15))
    before = index_of(collection).read_bytes()
    add(collection, range(15, 20))
    monkeypatch.setattr(beside, "LEAST_SAVED", 1)

    def killed(token):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collection.words.save(killed)
    assert index_of(collection).read_bytes() != before
    with open_collection(collection.address) as again:
        assert found(again) == anew(again)
        assert again.catalogue.check() == []


def test_the_collection_can_only_be_read(collection, add):
    add(collection, range(30))
    expected = anew(collection)
    folder = collection.address
    collection.close()
    os.chmod(folder, 0o555)
    try:
        with open_collection(folder) as again:
            assert found(again) == expected
    finally:
        os.chmod(folder, 0o755)


def test_its_bytes_are_told(collection, add):
    add(collection, range(30))
    size = index_of(collection).stat().st_size
    told = collection.catalogue.info().bytes
    index_of(collection).unlink()
    assert told - collection.catalogue.info().bytes == size
