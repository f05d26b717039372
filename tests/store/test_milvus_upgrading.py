"""The moment in which another representation comes into use on a server, and what others do in it.

The server is a stand-in: no real one stops where a test wants it to.
"""

import threading
import time

import pytest

from camseek.errors import CollectionChangedError
from camseek.store import SKETCH_TRACE, Refit
from camseek.store.milvus import collection as collection_module
from camseek.store.milvus import sweeping
from milvus_stand_in import Killed
from milvus_upgrades import (
    HEAD,
    OTHER,
    faults,
    forget,
    go_on,
    held,
    numbers_of,
    put,
    sketch,
    undo,
    vector,
    wanted,
)

BETTER = {1: b"better 1", 2: b"better 2"}


def enrich(collection):
    """Makes the points of all pictures anew."""
    with collection.write("enrich") as writer:
        for record, number in numbers_of(collection, collection.catalogue.records().tolist()).items():
            writer.put_trace(record, "points-1", BETTER[number])


def points(collection):
    records = collection.catalogue.records().tolist()
    found = collection.traces.get("points-1", records)
    return {number: found.get(record) for record, number in numbers_of(collection, records).items()}


@pytest.fixture
def again(stand_in):
    """Has the server as it is now again, as often as that is called."""
    start = {}

    def do():
        if not start:
            start.update({name: dict(rows) for name, rows in stand_in.data.items()})
        stand_in.data.clear()
        stand_in.data.update({name: dict(rows) for name, rows in start.items()})

    return do


def switch(collection, steps, also=None):
    """Has the representations change places; what is done before some of the steps in which it is told.

    Args:
        collection: The collection.
        steps: What is done, by the number of the step; what was done is taken out.
        also: What is done to the writer at once with it.
    """
    count = [-1]

    def before(*told):
        count[0] += 1
        if (what := steps.pop(count[0], None)) is not None:
            what()

    try:
        with collection.write("upgrade") as writer:
            with writer.unit():
                if also is not None:
                    also(writer)
                writer.refitter.finish(keep=True)
            collection._server.before = before
    finally:
        collection._server.before = None
        collection._server.killed = False


def tried(what, *given):
    """What somebody was told of, or nothing."""
    try:
        what(*given)
    except CollectionChangedError as error:
        return [str(error)]
    except Killed:
        pass
    return []


@pytest.fixture
def when():
    """Has something done once, before a collection's writer does something that meets a condition."""

    def do(collection, meets, what):
        def before(*told):
            if meets(*told):
                collection._server.before = None
                what()

        collection._server.before = before

    return do


class TestWrittenWhilePlacesChange:
    """Of what somebody else writes nothing is lost of which nobody is told."""

    @pytest.fixture(autouse=True)
    def at_once(self, nobody_waits):
        pass

    def require(self, *collections, at):
        for collection in collections:
            assert points(collection) == BETTER, at
            assert faults(collection) == [], at

    def test_at_any_step(self, fresh, bring, again):
        one, two = fresh(), fresh()
        bring(one, [1, 2])
        go_on(one, 2)
        outcomes = set()
        for at in range(100):
            again()
            told = []
            steps = {at: lambda told=told: told.extend(tried(enrich, two))}
            told += tried(switch, one, steps)
            if steps:
                break
            outcomes.update(text.partition(" while ")[2][:30] for text in told or [""])
            if told and "as before" not in told[0]:
                enrich(two)
            self.require(one, two, at=at)
            undone = one.catalogue.info().beside.kept
            (undo if undone else go_on)(two)
            self.require(one, two, at=at)
        assert 5 < at < 99
        assert len(outcomes) > 1

    def test_where_it_is_killed_after_that(self, fresh, bring, again):
        one, two = fresh(), fresh()
        bring(one, [1, 2])
        go_on(one, 2)

        def kill():
            one._server.killed = True
            raise Killed

        for end in range(2, 100):
            again()
            steps = {1: lambda: enrich(two), end: kill}
            tried(switch, one, steps)
            if steps:
                break
            self.require(two, at=end)
        assert 4 < end < 99


class TestPicturesThatCannotBeDescribedLeave:
    """As with ``--allow-removal``: what leaves does so with the switch, or not at all."""

    @pytest.fixture(autouse=True)
    def at_once(self, nobody_waits):
        pass

    @staticmethod
    def let_go(collection, steps):
        """Lets the first picture go, and has the representations change places."""
        switch(collection, steps, lambda writer: writer.release([b"/photos/1"], None))

    def test_overtaken_or_killed_before_it_nothing_left(self, fresh, bring, again):
        one, two = fresh(), fresh()
        bring(one, [1, 2, 4])
        with one.write("upgrade") as writer:
            writer.refitter.begin(OTHER)
            put(one, writer, writer.refitter.pending()[1:])

        def kill():
            one._server.killed = True
            raise Killed

        seen = set()
        for at in range(100):
            again()
            steps = {at: kill}
            tried(self.let_go, one, steps)
            network, pictures = held(two)
            if network[0] == "toy":
                assert pictures == wanted("toy", [1, 2, 4])[1], at
                go_on(two)
                expected = [1, 2, 4]
            else:
                # Its file has no picture, or has left; beside it is as long as the file is there.
                told = [fault.partition(" ")[2].partition(" on the ")[0] for fault in faults(two)]
                assert set(told) <= {"picture", "file without a picture"}, at
                expected = [2, 4]
            seen.add((network[0], len(expected)))
            assert held(two) == wanted("other", expected), at
            if steps:
                break
        assert 5 < at < 99
        assert seen == {("toy", 3), ("other", 2)}

    def test_overtaken_it_is_told_again(self, fresh, bring):
        one, two = fresh(), fresh()
        bring(one, [1, 2, 4])
        with one.write("upgrade") as writer:
            writer.refitter.begin(OTHER)
            put(one, writer, writer.refitter.pending()[1:])
        assert "as before" in tried(self.let_go, one, {2: lambda: bring(two, [7])})[0]
        with one.write("upgrade") as writer:
            [first, last] = writer.refitter.pending()
            assert [writer.names(record) for record in (first, last)] == [[b"/photos/1"], [b"/photos/7"]]
            put(one, writer, [last])
        self.let_go(one, {})
        for collection in (one, two):
            assert held(collection) == wanted("other", [2, 4, 7])
            assert faults(collection) == []


class TestTracesLeave:
    """Those of what is let go, while somebody else makes the very same ones again."""

    @staticmethod
    def sketches_go(what, where, told):
        return what == "delete" and where == "camseek_traces" and any("sketch" in key for key in told)

    def require(self, *collections):
        for collection in collections:
            assert held(collection) == wanted("other", [1, 2])
            assert faults(collection) == []

    def test_the_same_upgrade_is_begun_again_before_they_go(self, fresh, bring, when):
        one, two = fresh(), fresh()
        bring(one, [1, 2])
        go_on(one, 2)
        when(one, self.sketches_go, lambda: go_on(two, 2))
        with one.write("upgrade") as writer:
            writer.refitter.discard()
        assert two.catalogue.info().beside.done == 2
        go_on(two)
        self.require(one, two, fresh())

    def test_they_are_named_after_they_went(self, fresh, bring, when):
        one, two = fresh(), fresh()
        bring(one, [1, 2])

        def make():
            with two.write("enrich") as writer:
                for record, number in numbers_of(two, two.catalogue.records().tolist()).items():
                    writer.put_trace(record, SKETCH_TRACE, sketch("toy", number))

        def drop():
            with one.write("enrich") as writer:
                writer.drop_traces(SKETCH_TRACE)

        # Its sketches are written, and the pictures that name them are not.
        when(two, lambda what, where, told: (what, where) == ("upsert", "camseek_pictures_16"), drop)
        with pytest.raises(CollectionChangedError, match="parts of pictures"):
            make()
        for collection in (one, two, fresh()):
            assert collection.traces.get(SKETCH_TRACE, collection.catalogue.records().tolist()) == {}
            assert faults(collection) == []
        make()
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("toy", [1, 2])

    def test_an_upgrade_begins_while_a_picture_leaves(self, fresh, bring, when):
        one, two, three = fresh(), fresh(), fresh()
        bring(one, [1, 2])

        def files_go(what, where, told):
            return (what, where) == ("delete", "camseek_rows") and bool(told)

        when(two, files_go, lambda: go_on(one, 2))
        with two.write("remove") as writer:
            writer.release([b"/photos/1"], None)
        bring(three, [1])
        go_on(three)
        self.require(one, two, fresh())


class TestHeads:
    """Two are about to write what the collection says of itself, each after it has looked."""

    @staticmethod
    def in_a_thread(what):
        told = []
        thread = threading.Thread(target=lambda: told.extend(tried(what)))
        thread.start()
        return thread, told

    @staticmethod
    def fit(collection):
        """Descriptors made anew for a fit, which only have to be switched to."""
        with collection.write("fit") as writer:
            writer.refitter.begin(Refit(asked="fit", profile=collection.profile))
            for record, number in numbers_of(collection, writer.refitter.pending()).items():
                writer.refitter.put(record, vector(number, 16))

    @staticmethod
    def end(collection):
        with collection.write("fit") as writer:
            writer.refitter.finish()
            writer.compact()

    @staticmethod
    def begin(collection):
        with collection.write("upgrade") as writer:
            writer.refitter.begin(OTHER)

    @pytest.mark.parametrize("moment", ["prepares", "is about to write"])
    def test_an_upgrade_begins_while_a_fit_ends(self, fresh, bring, monkeypatch, when, moment):
        """The fit is about to write its head; what begins has looked at the one before, or does so now."""
        one, two = fresh(), fresh()
        bring(one, [1, 2, 4])
        self.fit(one)
        ready, go = threading.Event(), threading.Event()
        prepare, threads = two._server.prepare, []

        def prepares(dimensions):
            prepare(dimensions)
            if moment == "prepares":
                ready.set()
                assert go.wait(10)

        def begins():
            threads.append(self.in_a_thread(lambda: self.begin(two)))
            if moment == "prepares":
                assert ready.wait(10)
            else:
                threads[0][0].join(0.5)
                assert threads[0][0].is_alive()

        monkeypatch.setattr(two._server, "prepare", prepares)
        when(one, head_comes, begins)
        # Whether the other one brought anything is not to be seen in that moment.
        assert all("which is done" in text for text in tried(self.end, one))
        go.set()
        thread, told = threads[0]
        thread.join(10)
        assert "fitted or upgraded" in told[0]
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("toy", [1, 2, 4])
            assert faults(collection) == []
            assert collection.catalogue.info().beside is None

    def test_a_fit_ends_while_an_upgrade_begins(self, fresh, bring, when):
        one, two = fresh(), fresh()
        bring(one, [1, 2, 4])
        self.fit(one)
        threads = []

        def ends():
            threads.append(self.in_a_thread(lambda: self.end(one)))
            threads[0][0].join(0.5)
            assert threads[0][0].is_alive()

        when(two, head_comes, ends)
        self.begin(two)
        thread, told = threads[0]
        thread.join(10)
        assert "something else beside" in told[0]
        go_on(two)
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("other", [1, 2, 4])
            assert faults(collection) == []

    def test_what_is_kept_is_said_while_an_upgrade_begins(self, fresh, bring, monkeypatch):
        one, two = fresh(), fresh()
        bring(one, [1])
        prepare = two._server.prepare

        def prepares(dimensions):
            prepare(dimensions)
            with one.write("enrich") as writer:
                writer.keep(("points", "fine", "sketch"))

        monkeypatch.setattr(two._server, "prepare", prepares)
        self.begin(two)
        for collection in (one, two, fresh()):
            with collection.snapshot():
                assert collection.profile.keeps == ("points", "fine", "sketch")
            assert collection.catalogue.info().beside.done == 0

    def test_one_who_was_killed_is_waited_for_and_not_for_good(self, fresh, bring, kill, monkeypatch):
        monkeypatch.setattr(sweeping, "HEAD_TAKES", 0.3)
        one, two = fresh(), fresh()
        bring(one, [1])
        kill(one, lambda row: row["key"] == HEAD)
        assert tried(self.begin, one) == []
        started = time.monotonic()
        self.begin(two)
        assert 0.3 <= time.monotonic() - started < 10
        assert two.catalogue.info().beside.refit == OTHER

    def test_nothing_is_swept_while_somebody_may_name_it(self, fresh, bring, when, stand_in):
        one, two, three = fresh(), fresh(), fresh()
        bring(one, [1, 2])
        go_on(one)

        def compact():
            with three.write("compact") as writer:
                writer.compact()

        def forget_and_compact():
            before = {name: dict(rows) for name, rows in stand_in.data.items() if "pictures" in name}
            compact()
            assert {name: rows for name, rows in stand_in.data.items() if "pictures" in name} == before

        when(two, head_comes, forget_and_compact)
        undo(two)
        for collection in (one, two, three, fresh()):
            assert held(collection) == wanted("toy", [1, 2])


def head_comes(what, where, told):
    """Whether a head is about to be written."""
    return what == "upsert" and where == "camseek_rows" and told[0]["key"] == HEAD


def test_sketches_of_what_was_let_go_are_not_called_damaged(fresh, bring, monkeypatch):
    """A mirror that has not looked since somebody went back, and let go what it still uses."""
    one, searching = fresh(), fresh()
    bring(one, [1, 2])
    go_on(one)
    assert held(searching) == wanted("other", [1, 2])
    records = searching.catalogue.records().tolist()
    undo(one)
    forget(one)
    monkeypatch.setattr(collection_module, "_LOOK_EVERY", 60.0)
    searching._looked = time.monotonic()
    with pytest.raises(CollectionChangedError, match="while it was being read"):
        searching.traces.get(SKETCH_TRACE, records)
    searching.catch_up()
    assert searching.traces.get(SKETCH_TRACE, records) == {
        record: sketch("toy", number) for record, number in numbers_of(searching, records).items()
    }
