"""One contract for all that compares descriptors, and what is kept in memory of a collection."""

import threading
import time

import numpy as np
import pytest

from camseek.store import (
    Catalogue,
    Collection,
    MemoryVectors,
    Signature,
    Traces,
    Vectors,
    Writer,
    beside,
    open_collection,
    ranking,
)
from camseek.store import vectors as vectors_module

SIGNATURE = Signature(1, 2, 3)


def remove(collection, numbers):
    with collection.write("test") as writer:
        writer.release([b"/photos/%d.jpg" % number for number in numbers], None)


def nearest(vectors, query, k=1, **options):
    [ranking] = vectors.nearest(query[None], k, **options)
    return ranking


@pytest.fixture
def coded(monkeypatch):
    """More than ten pictures are many, of which codes are kept; they propose whatever is asked for."""
    monkeypatch.setattr("camseek.store.memory.ROOM", 10 * 4 * 16)
    monkeypatch.setattr(vectors_module, "_PROPOSED", 0)
    monkeypatch.setattr("camseek.store.proposing._LEAST", 4)
    monkeypatch.setattr(beside, "LEAST_SAVED", 1 << 30)


@pytest.fixture
def saved(coded, monkeypatch):
    """They lie beside the database, too."""
    monkeypatch.setattr(beside, "LEAST_SAVED", 5)


@pytest.fixture(params=["kept", "streamed", "coded", "beside", "memory"])
def vectors(request, collection, fill, picture, unit, monkeypatch):
    """Descriptors of records 1 to 60, without 3, 20 and 60, which have left, and 5, which is featureless."""
    if request.param in ("coded", "beside"):
        request.getfixturevalue({"coded": "coded", "beside": "saved"}[request.param])
    fill(collection, range(4))
    with collection.write("test") as writer:
        root = writer.root(b"/photos")
        writer.point(b"/photos/none.jpg", writer.insert(picture(999, None)), SIGNATURE, root)
    fill(collection, range(4, 59))
    remove(collection, [2, 18, 58])
    records = np.array([r for r in range(1, 60) if r not in (3, 20)])
    if request.param == "memory":
        rows = np.array([unit(r - 1 - (r > 5)) for r in records]).astype(np.float16)
        rows[records == 5] = 0
        yield MemoryVectors(records, rows)
        return
    monkeypatch.setattr(vectors_module, "_READ", 16)
    with open_collection(collection.address, keep_vectors=request.param in ("kept", "coded")) as opened:
        yield opened.vectors


RECORDS = [r for r in range(1, 60) if r not in (3, 5, 20)]


class TestContract:
    def test_what_it_is(self, vectors):
        assert isinstance(vectors, Vectors)
        assert (vectors.dimensions, vectors.generation) == (16, 0)
        assert vectors.records().tolist() == RECORDS
        assert vectors.records().dtype == np.int64
        asked = np.array([0, 3, 5, 9, 9, 1, 20, 60, 10**15])
        assert vectors.has(asked).tolist() == np.isin(asked, RECORDS).tolist()
        assert vectors.has(asked[:0]).tolist() == []

    def test_descriptors_of_records(self, vectors, unit):
        found = vectors.of(np.array([9, 1, 9]))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(
            found, np.array([unit(7), unit(0), unit(7)]).astype(np.float16).astype(np.float32)
        )
        assert vectors.of(np.array([], np.int64)).shape == (0, 16)

    @pytest.mark.parametrize("record", [0, 3, 5, 20, 60, 10**15])
    def test_a_record_without_one(self, vectors, record):
        with pytest.raises(KeyError):
            vectors.of(np.array([1, record]))

    @pytest.mark.parametrize("k", [0, 1, 7, 56, 99])
    @pytest.mark.parametrize("without", [(), (2, 3, 40, 10**15)])
    def test_nearest_is_a_plain_loop(self, vectors, unit, k, without):
        queries = np.array([unit(i) for i in (0, 500, 501, 502, 503)])
        stored = {r: row.astype(float) for r, row in zip(RECORDS, vectors.of(np.array(RECORDS)), strict=True)}
        rankings = vectors.nearest(queries, k, without=without)
        assert len(rankings) == 5
        for query, found in zip(queries.astype(float), rankings, strict=True):
            scores = {r: sum(a * b for a, b in zip(stored[r], query, strict=True)) for r in RECORDS}
            wanted = sorted((r for r in RECORDS if r not in without), key=lambda r: (-scores[r], r))
            assert found.records.tolist() == wanted[:k]
            np.testing.assert_allclose(found.scores, [scores[r] for r in wanted[:k]], atol=1e-12)
            assert found.compared == len(wanted)

    def test_what_a_caller_may_not_ask(self, vectors, unit):
        with pytest.raises(ValueError, match="below 0"):
            nearest(vectors, unit(0), -1)
        with pytest.raises(ValueError, match="15 numbers, descriptors of 16"):
            nearest(vectors, unit(0)[1:] / 2, 1)


def test_the_parts_of_a_collection(collection):
    assert isinstance(collection, Collection)
    assert isinstance(collection.catalogue, Catalogue)
    assert isinstance(collection.traces, Traces)
    with collection.write("test") as writer:
        assert isinstance(writer, Writer)


@pytest.mark.parametrize("keep", [True, False])
def test_an_empty_collection(collection, unit, keep):
    with open_collection(collection.address, keep_vectors=keep) as opened:
        found = nearest(opened.vectors, unit(0), 5)
        assert (len(found.records), found.compared) == (0, 0)


class TestMemory:
    """What is kept follows what other connections write."""

    @pytest.fixture(params=[(4, None), (4096, None), (4, "coded"), (4, "saved")])
    def reader(self, request, collection, monkeypatch):
        """With blocks of a few rows, as a large collection has many, with one, and with codes."""
        rows, codes = request.param
        if codes:
            request.getfixturevalue(codes)
        monkeypatch.setattr("camseek.store.memory.ROWS", rows)
        monkeypatch.setattr(vectors_module, "_READ", rows - 1)
        with open_collection(collection.address) as opened:
            yield opened

    def same_as_the_file(self, reader, query):
        with open_collection(reader.address, keep_vectors=False) as other:
            one, two = nearest(reader.vectors, query, 99), nearest(other.vectors, query, 99)
        assert one.records.tolist() == two.records.tolist()
        assert one.scores.tolist() == two.scores.tolist()
        assert one.compared == two.compared == len(one.records)
        return one.records.tolist()

    def test_it_follows_what_comes_and_goes(self, collection, reader, fill, unit):
        assert self.same_as_the_file(reader, unit(0)) == []
        fill(collection, range(5))
        assert self.same_as_the_file(reader, unit(3))[0] == 4
        fill(collection, range(5, 9))
        assert self.same_as_the_file(reader, unit(7))[0] == 8
        remove(collection, [7, 0])
        assert sorted(self.same_as_the_file(reader, unit(7))) == [2, 3, 4, 5, 6, 7, 9]
        fill(collection, [20])
        assert self.same_as_the_file(reader, unit(20))[0] == 10
        # The last ones, all of one block, and something new in the same moment.
        remove(collection, [20, 8])
        remove(collection, [1, 2, 3])
        fill(collection, range(30, 40))
        assert sorted(self.same_as_the_file(reader, unit(7))) == [5, 6, 7, *range(11, 21)]
        remove(collection, [4, 5, 6, *range(30, 40)])
        assert self.same_as_the_file(reader, unit(7)) == []
        fill(collection, range(50, 53))
        assert sorted(self.same_as_the_file(reader, unit(7))) == [21, 22, 23]

    def test_whatever_comes_and_goes(self, collection, reader, fill, unit):
        rng = np.random.default_rng(11)
        there, following = [], 0
        for _ in range(25):
            come = list(range(following, following + int(rng.integers(0, 12))))
            following += len(come)
            fill(collection, come)
            there += come
            gone = [n for n in there if rng.random() < 0.25]
            remove(collection, gone)
            there = [n for n in there if n not in gone]
            assert sorted(r - 1 for r in self.same_as_the_file(reader, unit(0))) == there

    def test_nothing_is_read_when_nothing_changed(self, collection, reader, fill, unit, monkeypatch):
        fill(collection, range(30))
        assert nearest(reader.vectors, unit(3)).compared == 30
        monkeypatch.setattr(reader.vectors, "_read", None)
        monkeypatch.setattr(reader.vectors, "_drop_lost", None)
        assert nearest(reader.vectors, unit(3)).compared == 30

    def test_one_picture_more_is_one_descriptor_read(self, collection, reader, fill, unit, monkeypatch):
        fill(collection, range(30))
        nearest(reader.vectors, unit(3))
        before = reader.vectors._kept.blocks
        read = []
        real = reader.vectors._read
        monkeypatch.setattr(reader.vectors, "_read", lambda *args: read.append(block := real(*args)) or block)
        fill(collection, [40])
        assert nearest(reader.vectors, unit(40)).records.tolist() == [31]
        assert [len(block.records) for block in read] == [1]
        remove(collection, [4])
        assert nearest(reader.vectors, unit(4)).compared == 30
        assert sum(len(block.records) for block in read) == 1
        # What was there stays where it was, whatever came or left.
        after = reader.vectors._kept.blocks
        assert sum(any(new is old for new in after) for old in before) >= len(before) - 2

    def test_what_another_process_writes_about_itself_changes_nothing(self, collection, reader, fill, unit):
        fill(collection, range(3))
        nearest(reader.vectors, unit(0))
        with collection.write("test") as writer:
            writer.root(b"/new")
        assert nearest(reader.vectors, unit(0)).compared == 3

    def test_codes_that_came_with_the_file_are_followed_by_those_that_did_not(
        self, collection, saved, fill, unit, monkeypatch
    ):
        fill(collection, range(30))
        monkeypatch.setattr(beside, "LEAST_SAVED", 1000)
        fill(collection, range(30, 34))
        remove(collection, [3, 31])
        with open_collection(collection.address) as opened:
            read = []
            real = opened.vectors._read
            monkeypatch.setattr(opened.vectors, "_read", lambda *args: read.append(real(*args)) or read[-1])
            found = nearest(opened.vectors, unit(33), 99)
            assert found.records[0] == 34
            assert sorted(r - 1 for r in found.records.tolist()) == [n for n in range(34) if n not in (3, 31)]
            assert sum(len(block.records) for block in read) == 3

    def test_inside_a_snapshot_it_is_of_that_moment(self, collection, reader, fill, unit):
        fill(collection, range(5))
        with reader.snapshot():
            assert nearest(reader.vectors, unit(0)).compared == 5
            fill(collection, range(5, 9))
            assert nearest(reader.vectors, unit(7), 9).compared == 5
        assert nearest(reader.vectors, unit(7)).records.tolist() == [8]


def in_threads(*works):
    """Runs them beside each other; the first fault is raised."""
    faults = []

    def guarded(work):
        try:
            work()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread waits for ever"
    if faults:
        raise faults[0]


@pytest.mark.parametrize("keep", [True, False])
class TestThreads:
    @pytest.fixture
    def shared(self, collection, keep, monkeypatch):
        monkeypatch.setattr("camseek.store.memory.ROWS", 32)
        monkeypatch.setattr(vectors_module, "_READ", 16)
        with open_collection(collection.address, keep_vectors=keep) as opened:
            yield opened

    def test_searches_while_a_writer_writes(self, shared, fill, unit):
        fill(shared, range(100))
        done = threading.Event()

        def search(within):
            while not done.is_set():
                if within:
                    with shared.snapshot():
                        found = nearest(shared.vectors, unit(50), 200)
                        assert found.compared == len(shared.vectors.records())
                else:
                    found = nearest(shared.vectors, unit(50), 200)
                # Never removed, and always the nearest.
                assert found.records[0] == 51
                assert (np.diff(found.scores) <= 0).all()
                assert len(set(found.records.tolist())) == len(found.records) == found.compared
                # All of it is there that was there all the time.
                assert {record for record in range(1, 101) if record % 7} <= set(found.records.tolist())

        def write():
            try:
                for turn in range(12):
                    fill(shared, range(100 + 5 * turn, 105 + 5 * turn))
                    remove(shared, [7 * turn + 6, 100 + 5 * turn])
            finally:
                done.set()

        in_threads(write, *[lambda within=within: search(within) for within in (0, 0, 0, 1)])
        left = set(range(160)) - {7 * turn + 6 for turn in range(12)} - set(range(100, 160, 5))
        assert sorted(r - 1 for r in nearest(shared.vectors, unit(50), 200).records) == sorted(left)

    def test_a_search_holds_up_no_writer(self, shared, fill, unit, monkeypatch):
        fill(shared, range(20))
        comparing, written = threading.Event(), threading.Event()
        real = ranking._Contest.enter

        def enter(contest, part):
            comparing.set()
            assert written.wait(30)
            real(contest, part)

        monkeypatch.setattr(ranking._Contest, "enter", enter)

        def write():
            assert comparing.wait(30)
            fill(shared, [30])
            assert shared.catalogue.find((30).to_bytes(32, "big")) == 21
            written.set()

        in_threads(lambda: nearest(shared.vectors, unit(3)), write)

    def test_reading_many_holds_up_no_writer(self, shared, fill, unit, monkeypatch):
        fill(shared, range(400))
        reads, at_write = [], []
        real = shared.vectors._read

        def read(*args):
            reads.append(args)
            time.sleep(0.01)
            return real(*args)

        monkeypatch.setattr(shared.vectors, "_read", read)

        def write():
            while not reads:
                time.sleep(0.001)
            fill(shared, [500])
            at_write.append(len(reads))

        in_threads(lambda: nearest(shared.vectors, unit(3)), write)
        assert at_write[0] < len(reads)
