"""What a collection keeps of each picture: made when it is indexed, gained later, dropped."""

import os
import sqlite3
import zlib
from contextlib import closing

import numpy as np
import pytest

from camseek import Engine, Plan
from camseek.config import PARTS, parts_without
from camseek.errors import CorruptCollectionError, SettingsError
from camseek.extraction.fine import stored_fine
from camseek.extraction.points import stored_points
from camseek.indexing import pace
from camseek.matching.words import WordPoints
from camseek.searching import Nearest, Verify, Words
from camseek.store import FINE_TRACE, POINTS_TRACE, SKETCH_TRACE, TRACES, open_collection


def everything(pictures):
    """The traces of all parts, of so many pictures."""
    return dict.fromkeys(TRACES.values(), pictures)


def kept(engine):
    return engine.collection.profile.keeps, engine.collection.traces.kinds()


@pytest.fixture
def bare(address, model, photos):
    """A collection of six pictures that keeps nothing of them."""
    with Engine.open(address, model=model, create=True, workers=2, without=PARTS) as engine:
        engine.index(photos(6))
        yield engine


def test_a_new_collection_keeps_everything(address, model, photos):
    folder = photos(2)
    with Engine.open(address, model=model, create=True) as engine:
        engine.index(folder)
        assert kept(engine) == (PARTS, everything(2))
        [record, _] = engine.collection.catalogue.records().tolist()
        stored, fine = (
            engine.collection.traces.get(kind, [record])[record] for kind in (POINTS_TRACE, FINE_TRACE)
        )
        reader = engine._describers.single().extractor.reader
        with open(folder / "0.jpg", "rb") as file:
            picture = reader.read(file)
        assert stored == stored_points(picture).pack(picture.size)
        assert fine == stored_fine(picture)
    with open_collection(str(address)) as collection:
        assert collection.profile.keeps == PARTS


def test_what_is_left_out_is_not_made(bare):
    assert kept(bare) == ((), {})
    with pytest.raises(SettingsError, match="keeps no points") as error:
        bare.search(os.fsdecode(next(iter(bare)).paths[0]), plan=Plan(Words()))
    assert "camseek enrich" in error.value.remedy


def test_an_older_collection_gains_it_and_finds_the_same(bare, tmp_path, model):
    report = bare.enrich()
    assert (report.keeps, report.pictures, report.enriched, report.dropped) == (PARTS, 6, 6, 0)
    assert kept(bare) == (PARTS, everything(6))
    again = bare.enrich()
    assert (again.enriched, again.dropped, again.skipped) == (0, 0, ())
    query = os.fsdecode(next(iter(bare)).paths[0])
    with Engine.open(tmp_path / "other", model=model, create=True) as other:
        other.index(tmp_path / "photos")
        scores = [
            {hit.path: hit.score for hit in engine.search(query, plan=Plan(Words())).hits}
            for engine in (bare, other)
        ]
        assert scores[0] == scores[1]
        for kind in TRACES.values():  # a sketch too, for which the network sees a picture again
            held = [
                sorted(
                    (picture.content, engine.collection.traces.get(kind, [picture.record])[picture.record])
                    for picture in engine
                )
                for engine in (bare, other)
            ]
            assert held[0] == held[1]


def test_what_an_earlier_codebook_gave_is_made_anew(bare):
    bare.enrich()
    with bare.collection.write("test") as writer:
        [first, *_] = bare.collection.catalogue.records().tolist()
        writer.drop_traces(POINTS_TRACE)
        writer.put_trace(first, "points-0", b"as it was then")
    query = os.fsdecode(next(iter(bare)).paths[0])
    assert len(bare.search(query).hits) == 6  # by descriptors
    report = bare.enrich()
    assert (report.enriched, report.dropped) == (6, 1)
    assert kept(bare) == (PARTS, everything(6))


def test_what_comes_later_is_kept_too(bare, tmp_path, encoded):
    bare.enrich()
    (tmp_path / "photos" / "new.jpg").write_bytes(encoded(50))
    bare.index(tmp_path / "photos")
    assert bare.collection.traces.kinds() == everything(7)


def test_it_is_dropped_again(bare):
    bare.enrich()
    report = bare.enrich(without=["points"])
    assert (report.keeps, report.enriched, report.dropped) == ((), 0, 18)
    assert kept(bare) == ((), {})


def test_fine_points_go_alone_and_come_again(bare):
    """Points without them serve; they are of no use without points, and go with these."""
    bare.enrich()
    report = bare.enrich(without=["fine"])
    assert (report.keeps, report.enriched, report.dropped) == (("points", "sketch"), 0, 6)
    assert kept(bare) == (("points", "sketch"), {POINTS_TRACE: 6, SKETCH_TRACE: 6})
    query = os.fsdecode(next(iter(bare)).paths[0])
    found = bare.search(query)
    assert (found.stages[-1].name, found.stages[-1].details["second"]) == ("verification", 0)
    assert len(found.hits) == 6
    assert (bare.enrich().enriched, kept(bare)) == (6, (PARTS, everything(6)))
    assert parts_without(["points"]) == ()


def test_a_picture_that_has_gone_is_told_and_tried_again(bare, tmp_path):
    gone = tmp_path / "photos" / "3.jpg"
    content = gone.read_bytes()
    gone.unlink()
    report = bare.enrich()
    assert report.enriched == 5
    [skipped] = report.skipped
    assert skipped.path == bytes(gone)
    gone.write_bytes(content)
    assert (bare.enrich().enriched, bare.enrich().enriched) == (1, 0)


def test_a_run_that_ends_goes_on(bare, monkeypatch):
    monkeypatch.setattr(pace, "_PICTURES", 1)

    class StoppedError(Exception):
        pass

    class Progress:
        seen = 0

        def start(self, total):
            assert total in (4, 6)

        def step(self):
            self.seen += 1
            if self.seen == 2:
                raise StoppedError

    with pytest.raises(StoppedError):
        bare.enrich(progress=Progress())
    assert kept(bare) == (PARTS, everything(2))
    assert bare.enrich().enriched == 4


def test_another_process_sees_it_at_once(bare, address, model):
    with Engine.open(address, model=model) as other:
        assert other.collection.profile.keeps == ()
        bare.enrich()
        query = os.fsdecode(next(iter(other)).paths[0])
        assert other.search(query).stages[0].name == "joined"
        bare.enrich(without=["points"])
        assert other.search(query).stages[0].name == "ranking"


def test_parts_that_there_are_not():
    with pytest.raises(SettingsError, match="no part 'point' to leave out; did you mean points"):
        parts_without(["point"])
    with pytest.raises(TypeError, match="a list"):
        parts_without("points")


@pytest.mark.parametrize("damage", [b"", b"cwp1", bytes(40), None, "tag"])
def test_damaged_points_are_a_clear_error_of_words_and_no_reason_for_a_hit(address, model, photos, damage):
    """By descriptors the picture is found all the same, and keeps its place."""
    folder = photos(3)
    with Engine.open(address, model=model, create=True) as engine:
        engine.index(folder)
    with closing(sqlite3.connect(address / "collection.sqlite")) as database, database:
        if damage == "tag":  # another codebook
            sql = "SELECT data FROM traces WHERE kind = ? AND picture = 2"
            [(data,)] = database.execute(sql, (POINTS_TRACE,)).fetchall()
            damage = data[:4] + bytes(4) + data[8:]
        if damage is None:  # words that the codebook has not
            [(data,)] = database.execute(
                "SELECT data FROM traces WHERE kind = ? AND picture = 2", (POINTS_TRACE,)
            ).fetchall()
            damage = data[:18] + b"\xff\xff" + data[20:]
            assert WordPoints.unpack(damage, (64, 48)).words.max() == np.uint16(0xFFFF)
        sql = "UPDATE traces SET data = ?, crc = ? WHERE kind = 'points-1' AND picture = 2"
        database.execute(sql, (damage, zlib.crc32(damage)))
    with Engine.open(address, model=model) as engine:
        with pytest.raises(CorruptCollectionError):
            engine.search(folder / "0.jpg", plan=Plan(Words()))
        found = engine.search(folder / "0.jpg", plan=Plan(Nearest(), (Verify(3),)))
        assert len(found.hits) == 3


@pytest.mark.parametrize("kind", [POINTS_TRACE, FINE_TRACE, SKETCH_TRACE])
def test_a_flipped_bit_costs_that_one_picture_until_it_is_made_anew(address, model, photos, kind):
    folder = photos(3)
    with Engine.open(address, model=model, create=True) as engine:
        engine.index(folder)
        [before] = engine.collection.traces.get(kind, [2]).values()
        expected = [hit.to_json() for hit in engine.search(folder / "0.jpg").hits]
    with closing(sqlite3.connect(address / "collection.sqlite")) as database, database:
        flipped = before[:20] + bytes([before[20] ^ 4]) + before[21:]
        database.execute("UPDATE traces SET data = ? WHERE kind = ? AND picture = 2", (flipped, kind))
    with Engine.open(address, model=model) as engine:
        with pytest.raises(CorruptCollectionError, match="record 2 has another checksum"):
            engine.collection.traces.get(kind, [1, 2, 3])
        assert engine.collection.traces.damaged(kind) == [2]
        hits = engine.search(folder / "0.jpg").hits
        assert {hit.record for hit in hits} == {1, 2, 3}
        if kind == POINTS_TRACE:
            [kept] = [hit.kept for hit in hits if hit.record == 2]
            assert kept == "what is stored of it is damaged: camseek enrich makes it anew"
        assert any("another checksum" in fault for fault in engine.collection.catalogue.check())
        report = engine.enrich()
        assert (report.enriched, report.skipped) == (1, ())
        assert engine.collection.traces.get(kind, [2]) == {2: before}
        assert [hit.to_json() for hit in engine.search(folder / "0.jpg").hits] == expected
        assert engine.enrich().enriched == 0
