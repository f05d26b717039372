"""Several processes at one collection on a server, where one fails or overtakes another, step by step.

The server is a stand-in: no real one stops where a test wants it to.
"""

import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import grpc
import numpy as np
import pymilvus
import pytest

from camseek.address import milvus_address
from camseek.errors import CollectionBusyError, CollectionChangedError, CorruptCollectionError, StorageError
from camseek.patterns import Patterns
from camseek.results import Skipped
from camseek.store import Refit, Signature, SkippedEntry
from camseek.store.milvus import collection as collection_module
from camseek.store.milvus import pulling, sweeping
from camseek.store.milvus import server as server_module
from camseek.store.milvus import writer as writer_module
from camseek.store.milvus.pulling import state_of
from camseek.store.milvus.server import Server
from milvus_stand_in import Killed

ADDRESS = milvus_address("milvus://127.0.0.1:1/name")


@pytest.fixture
def put(picture):
    def do(writer, numbers, root=b"/photos"):
        number_of_root = writer.root(root)
        for number in numbers:
            record = writer.insert(picture(number))
            writer.point(root + b"/%d.jpg" % number, record, Signature(1, 2, 3), number_of_root)

    return do


def names(collection):
    with collection.snapshot():
        return sorted(collection.catalogue.ledger().files())


@pytest.fixture
def fit(unit):
    """Replaces all descriptors of a collection."""

    def do(collection, number, **options):
        with collection.write("fit") as writer:
            writer.refitter.begin(Refit(asked="so", profile=collection.profile))
            for record in writer.refitter.pending():
                writer.refitter.put(record, unit(number))
            writer.refitter.finish(**options)
            writer.compact()

    return do


class TestLooking:
    def test_a_failed_look_leaves_no_reader_in_an_old_moment(self, opened, fill):
        one, two = opened(), opened()
        fill(one, [1, 2])
        assert two.catalogue.count() == 2
        with two.snapshot():
            two._server.down = True
            assert two.catalogue.count() == 2
        with pytest.raises(StorageError, match="down"):
            two.catalogue.count()
        with pytest.raises(StorageError, match="down"), two.snapshot():
            pass
        two._server.down = False
        fill(one, [3])
        assert two.catalogue.count() == 3
        assert not two._reader._database.in_transaction

    def test_nobody_is_kept_waiting_by_a_look(self, opened, fill):
        one, two = opened(), opened()
        fill(one, [1])
        assert two.catalogue.count() == 1
        begun, go = threading.Event(), threading.Event()

        def stall(*told):
            begun.set()
            assert go.wait(10)

        two._server.before = stall
        slow = threading.Thread(target=two.catalogue.count)
        slow.start()
        try:
            assert begun.wait(10)
            with two.snapshot():
                assert two.catalogue.count() == 1
        finally:
            go.set()
            slow.join()

    def test_a_writer_that_is_refused_leaves_the_other_its_mirror(self, opened, put, fill):
        one, two = opened(), opened()
        with one.write("one") as writer:
            put(writer, [1])
            with pytest.raises(CollectionBusyError), one.write("another"):
                pass
            fill(two, [2])
            assert one.catalogue.count() == 0
        assert one.catalogue.count() == 2

    def test_a_server_that_is_down_is_not_asked_again_at_once(self, opened, monkeypatch):
        collection = opened()
        collection._server.down = True
        with pytest.raises(StorageError):
            collection.catalogue.count()
        monkeypatch.setattr(collection_module, "_LOOK_EVERY", 60.0)
        assert collection.catalogue.count() == 0


class TestOvertaken:
    """A mirror that is brought in step while the descriptors are replaced."""

    def descriptors(self, collection):
        with collection.snapshot():
            records = collection.vectors.records()
            return collection.vectors.of(records)

    def test_an_answer_that_is_late_changes_nothing(self, opened, fill, fit, monkeypatch):
        collection = opened()
        fill(collection, [1, 2, 3])
        late = state_of(collection._server, strong=True)
        fit(collection, 50)
        before = self.descriptors(collection)
        monkeypatch.setattr(
            collection_module,
            "state_of",
            lambda server, strong: state_of(server, strong=True) if strong else late,
        )
        with collection.write("test") as writer:
            writer.refitter.begin(Refit(asked="other", profile=collection.profile))
        assert collection.catalogue.count() == 3
        np.testing.assert_array_equal(self.descriptors(collection), before)
        with collection.write("test") as writer:
            assert writer.refitter.unfinished().asked == "other"

    @pytest.mark.parametrize("times", [1, 2])
    def test_descriptors_that_go_while_they_are_read(self, opened, fill, fit, times):
        one, two = opened(), opened()
        fill(one, [1, 2, 3])
        records = two.catalogue.records().tolist()
        fill(one, [4])
        with one.write("test") as writer:
            writer.release([b"/photos/4.jpg"], None)
        left = [50 + n for n in range(times)]

        def replace(what, collection, told):
            if what == "query" and collection == "camseek_pictures_16" and left:
                fit(one, left.pop())

        two._server.before = replace
        assert two.catalogue.count() == 3
        assert left == []
        assert two.catalogue.records().tolist() == records
        np.testing.assert_array_equal(self.descriptors(two), self.descriptors(one))

    def test_it_is_given_up_at_last(self, opened, fill, fit, monkeypatch):
        monkeypatch.setattr(collection_module, "_TRIES", 2)
        one, two = opened(), opened()
        fill(one, [1])
        two._server.before = lambda what, *told: (
            fit(one, 50) if what == "query" and told[0].startswith("camseek_pictures") else None
        )
        with pytest.raises(CollectionChangedError, match="while it was being read"):
            two.catalogue.count()
        two._server.before = None
        assert two.catalogue.count() == 1


class TestWrittenWhileFitting:
    """Others bring pictures while one replaces all descriptors."""

    @pytest.fixture
    def moment(self, stand_in):
        """Has something done once, just before a collection's session writes what meets a condition."""

        def do(collection, meets, what):
            def before(kind, where, told):
                if kind == "upsert" and any(meets(where, row) for row in told):
                    collection._server.before = None
                    what()

            collection._server.before = before

        return do

    def begin(self, collection, unit):
        with collection.write("fit") as writer:
            writer.refitter.begin(Refit(asked="so", profile=collection.profile))
            for record in writer.refitter.pending():
                writer.refitter.put(record, unit(77))

    def finish(self, collection, unit):
        """As somebody who does it again; how many pictures were left."""
        with collection.write("fit") as writer:
            left = writer.refitter.pending()
            for record in left:
                writer.refitter.put(record, unit(78))
            writer.refitter.finish()
            writer.compact()
        return len(left)

    def test_before_the_head_nothing_is_replaced_and_what_was_done_is_kept(
        self, opened, fill, unit, moment, stand_in
    ):
        one, two, three = opened(), opened(), opened()
        fill(one, [1, 2])
        self.begin(one, unit)
        moment(one, lambda where, row: "/!/s/" in row["key"], lambda: fill(two, [3, 4, 5]))
        with pytest.raises(CollectionChangedError, match="as before"):
            self.finish(one, unit)
        for collection in (one, two, three):
            assert len(names(collection)) == collection.catalogue.count() == 5
        assert self.finish(one, unit) == 3
        for collection in (one, two, three):
            assert len(names(collection)) == collection.catalogue.count() == 5
            assert collection.catalogue.check() == []
            assert collection.vectors.generation == 1

    def test_in_the_very_moment_somebody_is_told(self, opened, fill, unit, moment):
        one, two = opened(), opened()
        fill(one, [1, 2])
        self.begin(one, unit)
        moment(one, lambda where, row: row["key"].endswith("/!/head"), lambda: fill(two, [3]))
        with pytest.raises(CollectionChangedError, match="in the moment"):
            self.finish(one, unit)
        fill(two, [3])
        assert len(names(one)) == one.catalogue.count() == 3
        assert one.catalogue.check() == []

    def test_a_writer_that_ends_under_other_descriptors_is_told(self, opened, fill, fit, put):
        one, two = opened(), opened()
        fill(one, [1])
        with pytest.raises(CollectionChangedError, match="fitted"), two.write("index") as writer:
            put(writer, [2])
            writer.commit()
            fit(one, 77)
        fill(two, [2])
        assert len(names(one)) == one.catalogue.count() == 2


class TestKilled:
    """A writer ends in the middle of a commit, which took the place of what others had written."""

    @staticmethod
    def at_the_end(row):
        return "/!/s/" in row["key"] and not json.loads(row["text"])["open"]

    @staticmethod
    def at_the_files(row):
        return "/row/file/" in row["key"]

    @pytest.mark.parametrize("where", ["at_the_files", "at_the_end"])
    def test_what_others_had_written_is_there(self, opened, fresh, fill, put, kill, where):
        one, two, in_step, behind = opened(), opened(), opened(), opened()
        assert in_step.catalogue.count() == 0
        with pytest.raises(Killed), two.write("two") as writer:
            put(writer, [1, 2, 3])
            fill(one, [1, 2, 3])
            assert in_step.catalogue.count() == 3
            kill(two, getattr(self, where))
            writer.commit()
        for collection in (one, in_step, behind, fresh()):
            assert collection.catalogue.count() == len(names(collection)) == 3
        fill(one, [4])
        for collection in (one, in_step, behind, fresh()):
            assert collection.catalogue.count() == len(names(collection)) == 4
            assert collection.catalogue.check() == []

    def test_a_removal_is_seen_everywhere_or_nowhere(self, opened, fresh, fill, kill):
        one, in_step = opened(), opened()
        fill(one, [1, 2])
        assert in_step.catalogue.count() == 2
        with pytest.raises(Killed), one.write("remove") as writer:
            writer.release([b"/photos/1.jpg"], None)
            kill(one, self.at_the_end)
            writer.commit()
        other = fresh()
        assert names(in_step) == names(other) == [b"/photos/2.jpg"]
        fill(other, [7])
        assert names(in_step) == names(other) == [b"/photos/2.jpg", b"/photos/7.jpg"]

    def test_rows_that_came_after_a_look_are_seen_later_and_it_costs_less_and_less(
        self, opened, fill, put, kill, monkeypatch
    ):
        clock = [1000.0]
        monkeypatch.setattr(pulling, "time", SimpleNamespace(time=lambda: clock[0]))
        one, in_step = opened(), opened()
        fill(one, [1, 2, 3])
        assert in_step.catalogue.count() == 3
        with pytest.raises(Killed), one.write("both") as writer:
            writer.release([b"/photos/1.jpg"], None)
            put(writer, [5])
            kill(one, lambda row: self.at_the_end(row) or seen(row))

            def seen(row):
                # Nothing but that it begins is written.
                if self.at_the_files(row):
                    assert in_step.catalogue.count() == 3
                return False

            writer.commit()
        clock[0] += 1
        assert names(in_step) == [b"/photos/2.jpg", b"/photos/3.jpg", b"/photos/5.jpg"]
        asked = in_step._server.asked
        looks = 0
        for _ in range(100):
            clock[0] += 10
            before = asked["camseek_pictures_16"]
            assert in_step.catalogue.count() == 3
            looks += asked["camseek_pictures_16"] > before
        assert 5 < looks < 15


class TestCallsThatFail:
    """What the client passes on, or makes of what failed."""

    class Failed(grpc.RpcError):
        def __init__(self, code, details=None):
            self._code, self._details = code, details

        def code(self):
            return self._code

        def details(self):
            return self._details

    @pytest.fixture
    def failing(self):
        """A connection of which every question fails with an error."""

        def do(error, cause=None):
            def query(*args, **options):
                raise error from cause

            connection = object.__new__(Server)
            connection.address = milvus_address("milvus://someone:s3cret@127.0.0.1:1/name")
            connection._package, connection._grpc = pymilvus, grpc
            connection._client = SimpleNamespace(query=query)
            return connection

        return do

    @pytest.mark.parametrize(
        ("code", "details", "said"),
        [
            ("DEADLINE_EXCEEDED", "Deadline Exceeded", "does not answer: Deadline Exceeded"),
            ("RESOURCE_EXHAUSTED", None, "does not answer: RESOURCE_EXHAUSTED"),
            ("UNAUTHENTICATED", "no such s3cret\nmore", r"let one in: no such \*\*\*$"),
            ("PERMISSION_DENIED", "", "let one in: PERMISSION_DENIED"),
        ],
    )
    def test_they_are_told_in_words(self, failing, code, details, said):
        connection = failing(self.Failed(grpc.StatusCode[code], details))
        with pytest.raises(StorageError, match=said):
            connection.query("camseek_rows", "", (), strong=True)

    def test_what_lies_under_a_failed_connection_counts(self, failing):
        made = pymilvus.MilvusException(message="Fail connecting to server")
        connection = failing(made, self.Failed(grpc.StatusCode.UNAUTHENTICATED))
        with pytest.raises(StorageError, match="does not let one in"):
            connection.query("camseek_rows", "", (), strong=True)


class TestTakenOutMeanwhile:
    """One brings a picture in the moment in which another takes it out."""

    @pytest.mark.parametrize("step", ["camseek_traces", "camseek_pictures_16"])
    def test_who_brings_it_is_told_and_it_stays_nowhere(self, opened, picture, step, stand_in):
        one, two = opened(), opened()

        def bring(writer):
            brought = replace(picture(1), traces={"points-1": b"points", "other": b"data"})
            root = writer.root(b"/photos")
            writer.point(b"/photos/1.jpg", writer.insert(brought), Signature(1, 2, 3), root)

        with one.write("one") as writer:
            bring(writer)
        with one.write("one") as writer:
            writer.release([b"/photos/1.jpg"], None)
        with pytest.raises(CollectionChangedError, match="another writer took"), two.write("two") as writer:
            with one.write("one") as first:
                bring(first)
            bring(writer)

            def before(what, where, told):
                # When its traces, or its picture, are written and its file is not.
                rows = what == "upsert" and where == "camseek_rows"
                if (rows and "/row/" in told[0]["key"]) or (
                    step == "camseek_traces" and what == "upsert" and where == "camseek_pictures_16"
                ):
                    two._server.before = None
                    with one.write("one") as first:
                        first.release([b"/photos/1.jpg"], None)

            two._server.before = before
        for collection in (one, two, opened()):
            assert names(collection) == []
            assert collection.catalogue.count() == 0
        assert not stand_in.data["camseek_pictures_16"]
        assert not stand_in.data["camseek_traces"]
        with two.write("two") as writer:
            bring(writer)
        assert names(one) == [b"/photos/1.jpg"]
        assert one.catalogue.count() == 1

    def test_nothing_is_asked_where_nobody_took_anything(self, opened, fill, put):
        one, two = opened(), opened()
        fill(one, [1, 2])
        asked = two._server.asked
        with two.write("two") as writer:
            before = asked["camseek_pictures_16"]
            put(writer, [3, 4])
            fill(one, [5])
        assert asked["camseek_pictures_16"] == before

    def test_a_removal_that_was_killed_long_ago_takes_nothing(self, opened, fill, monkeypatch):
        one, two = opened(), opened()
        fill(one, [1, 2])

        def before(what, where, told):
            if what == "upsert" and "/!/s/" in told[0]["key"] and '"open":false' in told[0]["text"]:
                one._server.killed = True
                raise Killed

        with pytest.raises(Killed), one.write("one") as writer:
            writer.release([b"/photos/1.jpg"], None)
            one._server.before = before
            writer.commit()
        counts = []
        for dead in (3600.0, -1.0):
            monkeypatch.setattr(sweeping, "DEAD", dead)
            looked = []
            lost = writer_module.MilvusWriter._require_kept
            with monkeypatch.context() as patch:
                patch.setattr(
                    writer_module.MilvusWriter,
                    "_require_kept",
                    lambda self, lost=lost, looked=looked: looked.append(1) or lost(self),
                )
                fill(two, [10 + len(counts)])
            counts.append(len(looked))
        assert counts == [1, 0]


class TestLeftBehind:
    """Pictures on the server that no file names are taken away when it is compacted."""

    def test_where_two_had_another_idea_of_a_file(self, opened, picture, put, stand_in):
        one, two = opened(), opened()
        with one.write("one") as first, two.write("two") as second:
            put(first, [1])
            root = second.root(b"/photos")
            second.point(b"/photos/1.jpg", second.insert(picture(2)), Signature(1, 2, 3), root)
            first.commit()
            second.commit()
        assert len(stand_in.data["camseek_pictures_16"]) == 2
        for collection in (one, two):
            [fault] = collection.catalogue.check()
            assert fault.startswith("1 picture on the server that no file names")
        with one.write("compact") as writer:
            writer.compact()
        assert len(stand_in.data["camseek_pictures_16"]) == 1
        for collection in (one, two, opened()):
            assert collection.catalogue.count() == 1
            assert collection.catalogue.check() == []

    def test_of_one_that_was_killed_after_an_hour(self, opened, put, stand_in, monkeypatch):
        one, two = opened(), opened()

        def before(what, where, told):
            if what == "upsert" and "/row/" in told[0]["key"]:
                two._server.killed = True
                raise Killed

        with pytest.raises(Killed), two.write("two") as writer:
            put(writer, [1])
            two._server.before = before
            writer.commit()
        assert one.catalogue.count() == 0
        with one.write("compact") as writer:
            writer.compact()
        # Its writer might go on.
        assert len(stand_in.data["camseek_pictures_16"]) == 1
        monkeypatch.setattr(sweeping, "DEAD", -1.0)
        with one.write("compact") as writer:
            writer.compact()
        assert stand_in.data["camseek_pictures_16"] == {}
        assert one.catalogue.check() == []


class TestGone:
    """What one takes away the others learn of by what is told of it."""

    def test_it_costs_what_went(self, opened, fresh, fill):
        one, in_step = opened(), fresh()
        fill(one, range(60))
        assert in_step.catalogue.count() == 60
        before = sum(in_step._server.asked.values())
        with one.write("remove") as writer:
            writer.release([b"/photos/7.jpg"], None)
        assert in_step.catalogue.count() == 59
        assert sum(in_step._server.asked.values()) - before < 15

    def test_each_kind_of_it(self, opened, fresh, fill, put):
        one, in_step = opened(), fresh()
        fill(one, [1, 2, 3])
        bad = SkippedEntry(Signature(1, 2, 3), Skipped(b"/other/bad", "none", "not_a_picture"), "1")
        with one.write("index") as writer:
            put(writer, [1, 4], b"/other")
            writer.point(b"/photos/1.jpg", writer.find((1).to_bytes(32, "big")), Signature(1, 2, 3), 0)
            writer.remember(bad, writer.root(b"/other"))
        assert len(names(in_step)) == 5

        def told(collection):
            with collection.snapshot():
                ledger = collection.catalogue.ledger()
                claims = {path: len(ledger.claimants(path)) for path in ledger.files()}
                roots = ledger.roots()
                skipped = {path: list(ledger.skipped(root.number)) for path, root in roots.items()}
                return collection.catalogue.count(), claims, skipped

        assert told(in_step)[2] == {b"/other": [b"/other/bad"], b"/photos": []}
        with one.write("remove") as writer:
            root = writer.root(b"/other")
            writer.release([b"/photos/1.jpg"], writer.root(b"/photos"))
            writer.release([b"/other/1.jpg", b"/other/4.jpg"], root)
            writer.forget_skipped([b"/other/bad"], root)
            writer.drop_root(root)
        for collection in (one, in_step, fresh()):
            files = {b"/photos/%d.jpg" % number: 1 for number in (1, 2, 3)}
            assert told(collection) == (3, files, {b"/photos": []})
            assert collection.catalogue.check() == []

    def test_it_may_have_come_again(self, opened, fresh, fill):
        one, two, in_step = opened(), opened(), fresh()
        fill(one, [1, 2])
        assert in_step.catalogue.count() == 2
        with one.write("remove") as writer:
            writer.release([b"/photos/1.jpg", b"/photos/2.jpg"], None)
        fill(two, [2])
        for collection in (one, two, in_step, fresh()):
            assert names(collection) == [b"/photos/2.jpg"]
            assert collection.catalogue.check() == []

    def test_a_file_without_its_picture_is_nowhere(self, opened, fresh, put, fill, kill):
        one, two, in_step = opened(), opened(), fresh()
        fill(one, [1])
        assert in_step.catalogue.count() == 1
        with pytest.raises(Killed), two.write("two") as writer:
            put(writer, [1], b"/other")

            def last(row):
                if "/!/s/" in row["key"] and not json.loads(row["text"])["open"]:
                    return True
                if "/row/file/" in row["key"]:
                    # Its file is about to be written, after nobody held the picture any more.
                    with one.write("remove") as first:
                        first.release([b"/photos/1.jpg"], None)
                return False

            kill(two, last)
            writer.commit()
        for collection in (one, in_step, fresh()):
            assert names(collection) == []
            assert collection.catalogue.count() == 0
        assert in_step.catalogue.check() == ["1 file without a picture on the server: index the folder again"]

    @pytest.mark.parametrize(
        "text", ["", '{"gone": "x", "parts": []}', '{"gone": "file", "parts": ["YQ==", ""]}', '{"gone": 1}']
    )
    def test_of_a_stranger(self, opened, fresh, fill, stand_in, text):
        one, in_step = opened(), fresh()
        fill(one, [1])
        assert in_step.catalogue.count() == 1
        with one.write("remove") as writer:
            writer.release([b"/photos/1.jpg"], None)
        for key, row in stand_in.data["camseek_rows"].items():
            if "/row/gone/" in key:
                row["text"] = text
        with pytest.raises(CorruptCollectionError, match="what went"):
            in_step.catalogue.count()


def test_a_mirror_is_made_of_few_rows_at_a_time(opened, fresh, fill, put, monkeypatch):
    one = opened()
    fill(one, [9, 2, 7, 1, 8])
    with one.write("index") as writer:
        put(writer, [5, 4, 7], b"/other")
        writer.set_patterns(writer.root(b"/other"), Patterns(("*.jpg",), ()))
        for number in range(5):
            skipped = Skipped(b"/other/bad%d" % number, "none", "not_a_picture")
            writer.remember(SkippedEntry(Signature(1, 2, 3), skipped, "1"), writer.root(b"/other"))
    behind = fresh()
    for module, what, some in ((pulling, "_SOME", 2), (pulling, "PAGE", 3), (server_module, "PAGE", 3)):
        monkeypatch.setattr(module, what, some)
    with one.write("upgrade") as writer:
        writer.refitter.begin(Refit(asked="so", profile=one.profile))
    far = fresh()
    for collection in (behind, far):
        assert names(collection) == names(one)
        told, wanted = (c.catalogue.info().to_json() for c in (collection, one))
        assert (told["skipped"], told["roots"]) == (wanted["skipped"], wanted["roots"])
        assert collection.catalogue.check() == []
    # In the order in which they came.
    records = far.catalogue.records().tolist()
    pictures = far.catalogue.pictures(records)
    assert [pictures[record].content[-1] for record in records] == [9, 2, 7, 1, 8, 5, 4]
    assert not far._reader.query("SELECT 1 FROM sqlite_temp_schema")


class TestForgotten:
    def sessions(self, stand_in):
        return [key for key in stand_in.data["camseek_rows"] if "/!/s/" in key]

    def test_writers_are_forgotten_and_nothing_that_they_did(
        self, opened, fresh, fill, stand_in, monkeypatch
    ):
        writers = [opened() for _ in range(5)]
        in_step, behind = fresh(), fresh()
        for number, writer in enumerate(writers):
            fill(writer, [number, number + 10])
            in_step.catalogue.count()
        with writers[0].write("remove") as writer:
            writer.release([b"/photos/10.jpg"], None)
        assert in_step.catalogue.count() == 9
        last = fresh()
        fill(last, [30])
        with last.write("compact") as writer:
            writer.compact()
        assert len(self.sessions(stand_in)) == 6
        monkeypatch.setattr(sweeping, "DEAD", -1.0)
        with last.write("compact") as writer:
            writer.compact()
        assert len(self.sessions(stand_in)) == 1
        assert not [key for key in stand_in.data["camseek_rows"] if "/row/gone/" in key]
        expected = sorted(b"/photos/%d.jpg" % number for number in (0, 1, 2, 3, 4, 11, 12, 13, 14, 30))
        for collection in (in_step, behind, last, fresh(), writers[1]):
            assert names(collection) == expected
            assert collection.catalogue.check() == []
        # One that was forgotten goes on, and is seen.
        fill(writers[2], [40])
        for collection in (in_step, behind, last, fresh()):
            assert names(collection) == sorted([*expected, b"/photos/40.jpg"])

    def test_before_they_are_gone_it_is_said(self, opened, fresh, fill, stand_in, monkeypatch):
        """One that is killed between loses nothing: who is behind looks at everything."""
        one, two, behind = opened(), opened(), fresh()
        fill(one, [1])
        fill(two, [2])
        monkeypatch.setattr(sweeping, "DEAD", -1.0)

        def before(what, where, told):
            if what == "delete" and any("/!/s/" in key for key in told):
                two._server.killed = True
                raise Killed

        two._server.before = before
        with pytest.raises(Killed), two.write("compact") as writer:
            writer.compact()
        for key in self.sessions(stand_in):
            del stand_in.data["camseek_rows"][key]
        for collection in (behind, fresh()):
            assert names(collection) == [b"/photos/1.jpg", b"/photos/2.jpg"]
