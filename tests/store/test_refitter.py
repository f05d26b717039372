"""All descriptors of a collection replaced at once."""

import json
import os
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from camseek.address import is_server
from camseek.config import Settings
from camseek.encoding.whitening import Whitening
from camseek.errors import (
    CollectionBusyError,
    CollectionChangedError,
    CorruptCollectionError,
    StorageError,
)
from camseek.store import SKETCH_TRACE, Profile, Refit, Signature, WhiteningNote, open_collection
from camseek.store import vectors as vectors_module
from camseek.store import writer as writer_module

# In a folder, and on a Milvus server.
EITHER = pytest.mark.parametrize("collection", ["folder", "milvus"], indirect=True)
# The same, on a server in memory: what is asked of a real one is the same as where ``EITHER`` stands.
BOTH = pytest.mark.parametrize("collection", ["folder", "stand-in"], indirect=True)

NEW = 4
MATRIX = Whitening(np.zeros(16, np.float32), np.eye(16, NEW, dtype=np.float32))
NOTE = WhiteningNote(
    folder=b"/held/\xff out",
    pictures=6,
    samples=12,
    sample_classes=2,
    channels=16,
    dimensions=NEW,
    fitted="2026-01-02T03:04:05+00:00",
    checksum=MATRIX.checksum,
)
PLAIN = Profile(model="toy", model_checksum="ab" * 32, settings=Settings(), dimensions=16)
REFIT = Refit(
    asked="so",
    profile=replace(PLAIN, whitening=MATRIX.to_bytes(), dimensions=NEW, whitening_note=NOTE),
)


def new(record):
    """The new descriptor of a record."""
    vector = np.random.default_rng(100 + record).standard_normal(NEW).astype(np.float32)
    return vector / np.linalg.norm(vector)


def refit_all(collection, refit=REFIT, without=()):
    with collection.write("test") as writer:
        writer.refitter.begin(refit)
        for record in writer.refitter.pending():
            writer.refitter.put(record, None if record in without else new(record))
        writer.refitter.finish()


def alter(collection, sql, values=()):
    with sqlite3.connect(os.path.join(collection.address, "collection.sqlite")) as connection:
        connection.execute(sql, values)
    connection.close()


def vectors_of(collection):
    with collection.snapshot():
        records = collection.vectors.records()
        return dict(zip(records.tolist(), collection.vectors.of(records), strict=True))


@EITHER
def test_everything_is_replaced_at_once(collection, fill, profile):
    fill(collection, range(5))
    old = vectors_of(collection)
    with open_collection(collection.address) as reader:
        with collection.write("test") as writer:
            writer.refitter.begin(REFIT)
            for record in writer.refitter.pending():
                writer.refitter.put(record, new(record))
            writer.commit()
            assert writer.refitter.pending() == []
            # The old ones serve while the new ones are made.
            assert vectors_of(reader).keys() == old.keys()
            assert all((vectors_of(reader)[record] == old[record]).all() for record in old)
            assert reader.catalogue.check() == []
            writer.refitter.finish()
        found = vectors_of(reader)
        assert found.keys() == old.keys()
        for record, vector in found.items():
            np.testing.assert_allclose(vector, new(record), atol=2**-11)
        wanted = replace(
            profile, dimensions=NEW, whitening=MATRIX.to_bytes(), whitening_note=NOTE, generation=1
        )
        assert reader.profile == collection.profile == wanted
        assert reader.catalogue.check() == []
    with open_collection(collection.address) as again:
        assert again.profile == wanted
        assert again.catalogue.info().to_json()["whitening"]["samples"] == 12
    with collection.write("test") as writer:
        assert writer.refitter.unfinished() is None


@EITHER
def test_it_can_be_taken_back(collection, fill, profile):
    fill(collection, range(3))
    refit_all(collection)
    with collection.write("test") as writer:
        writer.refitter.begin(Refit(asked="remove", profile=replace(PLAIN, dimensions=2)))
        for record in writer.refitter.pending():
            writer.refitter.put(record, np.array([0, 1], np.float32))
        writer.refitter.finish()
    with open_collection(collection.address) as again:
        assert again.profile == replace(profile, dimensions=2, generation=2)
        assert again.catalogue.info().to_json()["whitening"] is None


@BOTH
def test_what_is_unfinished_waits_for_the_next_run(collection, fill, picture):
    fill(collection, range(4))
    with collection.write("test") as writer:
        writer.refitter.begin(REFIT)
        for record in (1, 2, 4):
            writer.refitter.put(record, new(record))
    with collection.write("test") as writer:
        # Meanwhile one picture leaves and one comes.
        writer.release([b"/photos/0.jpg"], None)
        writer.point(b"/late", writer.insert(picture(9)), Signature(1, 1, 1), writer.root(b"/"))
    with open_collection(collection.address) as later, later.write("test") as writer:
        assert writer.refitter.unfinished() == REFIT
        # Another mirror has other numbers for the same pictures.
        third, late = writer.refitter.pending()
        pictures = later.catalogue.pictures([third, late])
        assert [pictures[r].paths for r in (third, late)] == [(b"/photos/2.jpg",), (b"/late",)]
        with pytest.raises(ValueError, match="2 pictures have no new descriptor"):
            writer.refitter.finish()
        writer.refitter.put(third, new(3))
        writer.refitter.put(late, None)
        writer.refitter.finish()
    info = collection.catalogue.info()
    assert (info.pictures, info.featureless) == (4, 1)
    assert sorted(vectors_of(collection)) == [2, 3, 4]
    assert collection.catalogue.check() == []


@BOTH
def test_other_wishes_begin_again(collection, fill):
    fill(collection, range(2))
    other = Refit(asked="other", profile=replace(PLAIN, dimensions=NEW))
    with collection.write("test") as writer:
        writer.refitter.begin(REFIT)
        writer.refitter.put(1, new(1))
        writer.refitter.begin(other)
        assert writer.refitter.pending() == [1, 2]
        assert writer.refitter.unfinished() == other
        writer.refitter.discard()
        assert writer.refitter.unfinished() is None
        with pytest.raises(ValueError, match="no refit was begun"):
            writer.refitter.put(1, new(1))
        with pytest.raises(ValueError, match="no refit was begun"):
            writer.refitter.finish()
    assert collection.profile.generation == 0
    assert len(vectors_of(collection)[1]) == 16


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (np.zeros(NEW, np.float32), "norm"),
        (np.full(NEW, np.nan, np.float32), "norm"),
        (np.array([1, 0], np.float32), "2 numbers, not 4"),
    ],
)
def test_a_descriptor_that_cannot_be(collection, fill, bad, why):
    fill(collection, range(1))
    with collection.write("test") as writer:
        writer.refitter.begin(REFIT)
        with pytest.raises(ValueError, match=why):
            writer.refitter.put(1, bad)


@BOTH
def test_an_interrupt_while_all_is_replaced_leaves_the_old(collection, fill, monkeypatch):
    fill(collection, range(3))
    old = vectors_of(collection)
    with pytest.raises(KeyboardInterrupt), collection.write("test") as writer:
        writer.refitter.begin(REFIT)
        for record in writer.refitter.pending():
            writer.refitter.put(record, new(record))
        with writer.unit():
            writer.refitter.finish()
            raise KeyboardInterrupt
    assert collection.profile.generation == 0
    assert all((vectors_of(collection)[record] == old[record]).all() for record in old)
    with collection.write("test") as writer:
        assert writer.refitter.pending() == []
        writer.refitter.finish()
    assert collection.profile.generation == 1


class TestWhoeverHasItOpen:
    """Readers and writers that opened the collection before it was fitted."""

    @pytest.fixture
    def other(self, collection, fill):
        fill(collection, range(6))
        with open_collection(collection.address) as opened:
            yield opened

    @EITHER
    def test_a_snapshot_keeps_its_moment(self, collection, other):
        with other.snapshot():
            before = vectors_of(other)
            refit_all(collection)
            assert other.profile.generation == 0
            assert all((vectors_of(other)[record] == before[record]).all() for record in before)
            assert other.vectors.of(np.array([2])).shape == (1, 16)
        assert other.vectors.of(np.array([2])).shape == (1, NEW)
        assert other.profile.whitening_note == NOTE

    def test_the_profile_stays_the_same_object_until_it_changes(self, collection, other, fill):
        profile = other.profile
        fill(collection, range(20, 22))
        with other.snapshot():
            assert other.profile is profile
        refit_all(collection)
        with other.snapshot():
            assert other.profile is not profile

    def test_while_a_search_reads_the_file(self, collection, other, unit, monkeypatch):
        monkeypatch.setattr(vectors_module, "_READ", 4)
        with open_collection(collection.address, keep_vectors=False) as reader:
            read = reader.vectors._read

            def read_and_be_overtaken(*args):
                block = read(*args)
                refit_all(collection)
                return block

            monkeypatch.setattr(reader.vectors, "_read", read_and_be_overtaken)
            with pytest.raises(CollectionChangedError, match="while it was being read") as error:
                reader.vectors.nearest(unit(0)[None], 1)
            assert isinstance(error.value, CollectionBusyError)
            assert error.value.code == "changed"

    @BOTH
    @pytest.mark.parametrize("keep", [True, False])
    def test_descriptors_are_of_the_moment(self, collection, fill, unit, keep):
        fill(collection, range(6))
        with open_collection(collection.address, keep_vectors=keep) as other:

            def found(query, k=1):
                [ranking] = other.vectors.nearest(query[None], k)
                return ranking

            assert found(unit(3)).records.tolist() == [4]
            # Record 2 has no descriptor for one generation, and one again in the next.
            refit_all(collection, without=[2])
            for record in (1, 3, 4, 5, 6):
                assert found(new(record)).records.tolist() == [record]
            assert found(new(1), 9).compared == 5
            assert 2 not in found(new(2), 9).records
            refit_all(collection)
            assert found(new(2)).records.tolist() == [2]
            assert found(new(1), 9).compared == 6
            assert other.vectors.dimensions == NEW
            assert other.vectors.generation == 2

    @BOTH
    @pytest.mark.parametrize("keep", [True, False])
    def test_a_generation_that_has_gone_is_told(self, collection, fill, unit, keep):
        fill(collection, range(6))
        with open_collection(collection.address, keep_vectors=keep) as other:
            asked = other.vectors.generation
            assert len(other.vectors.nearest(unit(0)[None], 2, generation=asked)[0].records) == 2
            assert len(other.vectors.of(np.array([1]), generation=asked)) == 1
            refit_all(collection)
            with pytest.raises(CollectionChangedError):
                other.vectors.nearest(unit(0)[None], 2, generation=asked)
            with pytest.raises(CollectionChangedError):
                other.vectors.of(np.array([1]), generation=asked)
            # A query of the old ones that does not say so.
            with pytest.raises(ValueError, match="16 numbers, descriptors of 4"):
                other.vectors.nearest(unit(0)[None], 2)
            assert other.vectors.nearest(new(1)[None], 1, generation=asked + 1)[0].records.tolist() == [1]

    def test_it_writes_what_fits_now(self, collection, other, picture):
        refit_all(collection)
        with other.write("test") as writer:
            assert other.profile.dimensions == NEW
            root = writer.root(b"/r")
            with pytest.raises(ValueError, match="16 numbers, not 4"), writer.unit():
                writer.insert(picture(50))
            writer.point(b"/r/n", writer.insert(picture(51, new(51))), Signature(1, 1, 1), root)
        assert other.catalogue.check() == []

    @EITHER
    def test_it_cannot_write_out_of_an_older_snapshot(self, collection, other):
        with other.snapshot():
            other.vectors.records()
            refit_all(collection)
            with pytest.raises(CollectionBusyError, match="while it was being read"), other.write("test"):
                pass
        with other.write("test"):
            pass


OTHER = Refit(
    asked="upgrade",
    profile=replace(
        PLAIN,
        model="other",
        model_checksum="cd" * 32,
        settings=Settings(layer="head"),
        dimensions=NEW,
        keeps=("sketch",),
    ),
    kinds=(SKETCH_TRACE,),
)


@pytest.fixture
def filled(collection, fill):
    """Pictures 1 to 5 with points and sketches, the third featureless."""
    fill(collection, range(5))
    with collection.write("test") as writer:
        writer.keep(("points", "sketch"))
        for record in range(1, 6):
            writer.put_trace(record, "points-1", b"points %d" % record)
            writer.put_trace(record, SKETCH_TRACE, b"old %d" % record)
    return collection


def put_other(writer, record):
    writer.refitter.put(record, None if record == 3 else new(record), {SKETCH_TRACE: b"new %d" % record})


def switch(collection, keep=True):
    with collection.write("test") as writer:
        writer.refitter.begin(OTHER)
        for record in writer.refitter.pending():
            put_other(writer, record)
        writer.refitter.finish(keep=keep)


def sketches(collection):
    return {key: data.decode() for key, data in collection.traces.get(SKETCH_TRACE, range(1, 9)).items()}


def faults(collection):
    """Less what the sketches and points of these tests are."""
    return [fault for fault in collection.catalogue.check() if "damaged" not in fault]


@BOTH
class TestAnotherNetwork:
    """A representation with traces of its own, and the one before that is kept."""

    def test_it_is_in_the_making(self, filled):
        before = vectors_of(filled)
        with filled.write("test") as writer:
            writer.refitter.begin(OTHER)
            put_other(writer, 1)
            put_other(writer, 3)
            put_other(writer, 3)  # a worker that was thought lost
        info = filled.catalogue.info()
        assert (info.beside.refit, info.beside.kept, info.beside.done) == (OTHER, False, 2)
        told = info.to_json()["beside"]
        assert (told["model"], told["layer"], told["done"], told["kept"]) == ("other", "head", 2, False)
        assert info.traces == {"points-1": 5, SKETCH_TRACE: 5}
        assert sketches(filled)[3] == "old 3"
        assert {key: vector.tobytes() for key, vector in vectors_of(filled).items()} == {
            key: vector.tobytes() for key, vector in before.items()
        }
        assert faults(filled) == []
        with filled.write("test") as writer:
            assert writer.refitter.pending() == [2, 4, 5]
            assert writer.refitter.kept() is None
            writer.refitter.discard()
        assert filled.catalogue.info().beside is None
        assert faults(filled) == []

    @pytest.mark.parametrize("keep", [True, False])
    def test_all_of_it_changes_in_one_step(self, filled, keep):
        with open_collection(filled.address) as reader, reader.snapshot():
            switch(filled, keep)
            # On a server what nobody keeps has gone for those, too, who have not looked yet.
            if keep or not is_server(filled.address):
                assert sketches(reader)[2] == "old 2"
            assert reader.profile.model == "toy"
        profile = filled.profile
        assert (profile.model, profile.model_checksum, profile.settings.layer) == ("other", "cd" * 32, "head")
        assert (profile.dimensions, profile.generation) == (NEW, 1)
        assert profile.keeps == ("points", "sketch")
        assert sorted(vectors_of(filled)) == [1, 2, 4, 5]
        assert sketches(filled) == {record: f"new {record}" for record in range(1, 6)}
        assert filled.traces.get("points-1", [2]) == {2: b"points 2"}
        assert filled.catalogue.info().featureless == 1
        assert faults(filled) == []
        beside = filled.catalogue.info().beside
        assert (beside is not None) == keep
        if beside:
            assert (beside.kept, beside.done, beside.refit.profile.model) == (True, 5, "toy")

    def test_there_and_back_and_there_again(self, filled, profile):
        before = vectors_of(filled)
        switch(filled)
        for generation, model, dimensions in ((2, "toy", 16), (3, "other", NEW)):
            with filled.write("test") as writer:
                assert writer.refitter.unfinished() is None
                assert writer.refitter.kept().profile.model == model
                assert writer.refitter.pending() == []
                writer.refitter.finish(keep=True)
            found = filled.profile
            assert (found.generation, found.model, found.dimensions) == (generation, model, dimensions)
            assert faults(filled) == []
            if model == "toy":
                assert replace(found, generation=0) == replace(profile, keeps=("points", "sketch"))
                assert {key: vector.tobytes() for key, vector in vectors_of(filled).items()} == {
                    key: vector.tobytes() for key, vector in before.items()
                }
                assert sketches(filled)[4] == "old 4"
        assert sketches(filled)[4] == "new 4"

    def test_pictures_that_come_and_go_meanwhile(self, filled, picture):
        switch(filled)
        with filled.write("test") as writer:
            writer.release([b"/photos/0.jpg"], None)
            late = picture(9, new(9))
            writer.point(b"/late", writer.insert(late), Signature(1, 1, 1), writer.root(b"/"))
        with filled.write("test") as writer:
            assert writer.refitter.pending() == [6]
            with pytest.raises(ValueError, match="1 pictures have no new descriptor"):
                writer.refitter.finish(keep=True)
            assert filled.profile.generation == 1
            vector = np.zeros(16, np.float32)
            vector[0] = 1
            writer.refitter.put(6, vector, {SKETCH_TRACE: b"old 6"})
            writer.refitter.put(77, vector, {SKETCH_TRACE: b"of one that has gone"})
            writer.refitter.finish(keep=True)
        assert sorted(vectors_of(filled)) == [2, 3, 4, 5, 6]
        assert sketches(filled) == {record: f"old {record}" for record in range(2, 7)}
        assert faults(filled) == []

    def test_what_is_kept_of_each_is_the_networks_own(self, filled):
        """One without axes makes no sketches; other parts are the collection's, whatever became of them."""
        with filled.write("test") as writer:
            writer.refitter.begin(replace(OTHER, profile=replace(OTHER.profile, keeps=())))
            for record in writer.refitter.pending():
                writer.refitter.put(record, new(record))
            writer.keep(("points", "fine", "sketch"))
            writer.refitter.finish(keep=True)
        assert filled.profile.keeps == ("points", "fine")
        assert sketches(filled) == {}
        with filled.write("test") as writer:
            writer.keep(("fine",))
            writer.refitter.finish(keep=True)
        assert filled.profile.keeps == ("fine", "sketch")
        assert len(sketches(filled)) == 5

    def test_the_next_one_takes_its_room(self, filled):
        switch(filled)
        with filled.write("test") as writer:
            writer.refitter.begin(REFIT)
            assert writer.refitter.kept() is None
            assert writer.refitter.pending() == [1, 2, 3, 4, 5]
        assert faults(filled) == []

    def test_traces_of_a_kind_it_does_not_have(self, filled):
        with filled.write("test") as writer:
            writer.refitter.begin(OTHER)
            with pytest.raises(ValueError, match="points-1"):
                writer.refitter.put(1, new(1), {"points-1": b""})

    def test_an_interrupt_while_places_change(self, filled):
        before = vectors_of(filled)
        with pytest.raises(KeyboardInterrupt), filled.write("test") as writer:
            writer.refitter.begin(OTHER)
            for record in writer.refitter.pending():
                put_other(writer, record)
            with writer.unit():
                writer.refitter.finish(keep=True)
                raise KeyboardInterrupt
        assert filled.profile.model == "toy"
        assert {key: vector.tobytes() for key, vector in vectors_of(filled).items()} == {
            key: vector.tobytes() for key, vector in before.items()
        }
        assert sketches(filled)[1] == "old 1"
        with filled.write("test") as writer:
            assert writer.refitter.pending() == []
            writer.refitter.finish(keep=True)
        assert faults(filled) == []


class TestWhatAStrangerSaysOfIt:
    """What lies in a folder beside the representation in use."""

    @pytest.mark.parametrize(
        ("sql", "told"),
        [
            ("UPDATE refit_traces SET data = x'00' WHERE picture = 2", "another checksum"),
            (
                "UPDATE refit_traces SET side = 1 - side WHERE picture = 2",
                "a representation that is not there",
            ),
            ("UPDATE refit_traces SET kind = 'any' WHERE picture = 2", "a representation that is not there"),
            ("UPDATE refit SET vector = zeroblob(32) WHERE picture = 2", "kept descriptor of record 2"),
        ],
    )
    def test_check_reads_it(self, filled, sql, told):
        switch(filled)
        alter(filled, sql)
        [fault] = faults(filled)
        assert told in fault

    @pytest.mark.parametrize(
        "change",
        [
            {"kinds": ["points"]},
            {"kinds": "sketch-1"},
            {"side": 2},
            {"kept": 1},
            {"model_checksum": "../../etc"},
            {"model": ""},
            {"settings": "[]"},
            {"generation": "x", "dimensions": 1 << 20},
        ],
    )
    def test_what_a_stranger_says_of_it(self, filled, change):
        switch(filled)
        with sqlite3.connect(os.path.join(filled.address, "collection.sqlite")) as connection:
            [told] = connection.execute("SELECT value FROM meta WHERE key = 'refit'").fetchone()
        connection.close()
        alter(
            filled, "UPDATE meta SET value = ? WHERE key = 'refit'", (json.dumps(json.loads(told) | change),)
        )
        with open_collection(filled.address) as opened, pytest.raises(CorruptCollectionError):
            opened.catalogue.info()
        with pytest.raises(CorruptCollectionError), filled.write("test") as writer:
            writer.refitter.kept()


class TestDamage:
    def test_check_reads_unfinished_descriptors_too(self, collection, fill):
        fill(collection, range(3))
        with collection.write("test") as writer:
            writer.refitter.begin(REFIT)
            writer.refitter.put(1, new(1))
            writer.refitter.put(2, new(2))
            writer.refitter.put(3, None)
        assert collection.catalogue.check() == []
        alter(collection, "UPDATE refit SET vector = zeroblob(8) WHERE picture = 2")
        [fault] = collection.catalogue.check()
        assert "unfinished descriptor of record 2" in fault
        assert "checksum" in fault

    @pytest.mark.parametrize("value", ["{", "{}", "null", '{"asked": "x", "dimensions": "y", "note": 1}'])
    def test_notes_that_are_none(self, collection, value):
        alter(collection, "INSERT INTO meta VALUES ('refit', ?)", (value,))
        with pytest.raises(CorruptCollectionError), collection.write("test") as writer:
            writer.refitter.unfinished()
        assert len(collection.catalogue.check()) == 1

    @pytest.mark.parametrize("value", ["{", "{}", '{"folder": 3}', b"bytes"])
    def test_a_note_of_the_whitening_that_is_none(self, collection, value):
        alter(collection, "INSERT INTO meta VALUES ('whitening_note', ?)", (value,))
        with pytest.raises(CorruptCollectionError):
            open_collection(collection.address)


class TestSpace:
    def test_freed_space_goes_back(self, collection, fill):
        fill(collection, range(2000))
        with collection.write("test") as writer:
            writer.compact()
        before = collection.catalogue.info().bytes
        with collection.write("test") as writer:
            writer.refitter.begin(REFIT)
            for record in writer.refitter.pending():
                writer.refitter.put(record, new(record))
            writer.refitter.finish()
            writer.compact()
        collection.close()
        with open_collection(collection.address) as again:
            # 2,000 descriptors of 12 numbers less, at two bytes each.
            assert again.catalogue.info().bytes <= before - 32_768
            assert again.catalogue.check() == []

    def test_no_room_to_give_space_back(self, collection, fill, monkeypatch):
        fill(collection, range(3))

        class Full:
            def __init__(self, database):
                self._database = database

            def execute(self, sql, *values):
                if sql == "VACUUM":
                    raise sqlite3.OperationalError("database or disk is full")
                return self._database.execute(sql, *values)

            def __getattr__(self, name):
                return getattr(self._database, name)

        real = writer_module.FolderWriter.__init__
        monkeypatch.setattr(
            writer_module.FolderWriter,
            "__init__",
            lambda self, database, *rest: real(self, Full(database), *rest),
        )
        with collection.write("test") as writer:
            writer.refitter.begin(REFIT)
            for record in writer.refitter.pending():
                writer.refitter.put(record, new(record))
            writer.refitter.finish()
            writer.compact()
        assert sorted(vectors_of(collection)) == [1, 2, 3]
        assert collection.catalogue.info().profile.generation == 1

    @pytest.mark.needs_root
    def test_a_full_disk_leaves_the_old_ones(self, small_disk, profile, fill):
        from camseek.store import create_collection

        with create_collection(str(small_disk(1) / "c"), replace(profile, dimensions=16)) as collection:
            fill(collection, range(1200))
            wide = Refit(asked="wide", profile=replace(profile, dimensions=300))
            with pytest.raises(StorageError, match="full"), collection.write("test") as writer:
                writer.refitter.begin(wide)
                writer.commit()
                for record in writer.refitter.pending():
                    vector = np.zeros(300, np.float32)
                    vector[record % 300] = 1
                    writer.refitter.put(record, vector)
                    if record % 16 == 0:
                        writer.commit()
            assert len(vectors_of(collection)) == 1200
            assert collection.catalogue.check() == []
            with open_collection(collection.address) as again:
                assert again.profile.dimensions == 16


def test_a_note_tells_people(collection):
    assert str(NOTE) == (
        "16 to 4 dimensions, fitted 2026-01-02T03:04:05+00:00 on 12 samples of 6 pictures "
        f"(/held/\ufffd out, 2 classes each), checksum {MATRIX.checksum[:12]}"
    )
    own = replace(NOTE, folder=None, sample_classes=None)
    assert "(the collection's own)" in str(own)
    assert WhiteningNote.from_json(own.to_json()) == own
