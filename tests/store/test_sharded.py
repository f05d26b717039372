"""A collection of which shards hold the parts: the same answers as a folder's, whatever becomes of a shard.

The shards are in this process; what they are asked is pickled, as it is for others. The server is a stand-in.
"""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from camseek.errors import (
    CamseekError,
    CollectionChangedError,
    CollectionError,
    CorruptCollectionError,
    NoCollectionError,
    SettingsError,
)
from camseek.store import (
    Catalogue,
    Collection,
    FolderCollection,
    Refit,
    Signature,
    Traces,
    Vectors,
    beside,
    open_shards,
    tell_shards,
)
from camseek.store.interface import Words, WordsSearch
from camseek.store.milvus import MilvusCollection
from camseek.store.milvus import collection as collection_module
from camseek.store.milvus.parts import Part, number_of
from camseek.store.reader import changed
from camseek.store.records import POINTS_TRACE, SKETCH_TRACE
from camseek.store.sharded import ShardedCollection, asking
from camseek.store.sharded.actor import NotBegunError, Shard
from camseek.store.sharded.numbers import Numbers
from milvus_stand_in import StandIn
from parted import ADDRESS, as_query, content, packed, points

COUNT = 40


class Here:
    """Shards of this process, asked as a group of actors is."""

    def __init__(self, of):
        self.address = ADDRESS
        self.parts = [Part(number, of) for number in range(of)]
        self.shards = [Shard() for _ in range(of)]
        self.names = [shard.begin(ADDRESS, part) for shard, part in zip(self.shards, self.parts, strict=True)]
        self.asked = []

    def lives(self):
        return list(self.names)

    def ask(self, name, given, lives, **more):
        self.asked.append(name)
        if any(self.names[number] != lives[number] for number in given):
            raise changed(str(ADDRESS))
        found, failed = {}, []
        for number, args in given.items():
            try:
                found[number] = self._answer(number, name, args, more)
            except CamseekError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return found

    def _answer(self, number, name, args, more):
        args, shard = pickle.loads(pickle.dumps(args)), self.shards[number]
        try:
            return pickle.loads(pickle.dumps(shard.ask(self.names[number], name, *args, **more)))
        except NotBegunError:
            life, self.names[number] = self.names[number], shard.begin(ADDRESS, self.parts[number])
        if life != self.names[number]:
            raise changed(str(ADDRESS))
        return self._answer(number, name, args, more)

    def lose(self, number, *, mirror=False):
        """A shard's process ends; its mirror, too, where it was on a machine that has gone."""
        collection, answers = self.shards[number]._held
        folder = collection._folder
        self.shards[number]._let_go(answers)
        if mirror:
            (folder / "collection.sqlite").unlink()
        self.shards[number] = Shard()

    def close(self):
        for shard in self.shards:
            if shard._held is not None:
                shard._let_go(shard._held[1])


@pytest.fixture
def server(monkeypatch):
    kind = type("OwnStandIn", (StandIn,), {"data": {}})
    monkeypatch.setattr(collection_module, "Server", kind)
    monkeypatch.setattr(collection_module, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(asking, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(Shard, "_keep", lambda *_: None)
    return kind


@pytest.fixture
def put(picture):
    def do(collection, numbers):
        with collection.write("test") as writer:
            root = writer.root(b"/r")
            for number in numbers:
                featureless = {"descriptor": None} if number % 9 == 4 else {}
                traces = {POINTS_TRACE: packed(number), "note": b"of %d" % number}
                made = replace(picture(number), content=content(number), traces=traces, **featureless)
                writer.point(b"/r/%d" % number, writer.insert(made), Signature(number, 2, 3), root)

    return do


def remove(collection, numbers):
    with collection.write("test") as writer:
        writer.release([b"/r/%d" % number for number in numbers], None)


def fit(collection, numbers):
    """Gives all pictures other descriptors."""
    with collection.write("fit") as writer:
        writer.refitter.begin(Refit(asked="so", profile=collection.profile))
        for record in writer.refitter.pending():
            writer.refitter.put(record, np.eye(16, dtype=np.float32)[(record + numbers) % 16])
        writer.refitter.finish()
        writer.compact()


@pytest.fixture
def whole(server, profile, put):
    with MilvusCollection.make(ADDRESS, profile) as made:
        put(made, range(COUNT))
        yield made


@pytest.fixture
def folder(tmp_path, profile, put):
    with FolderCollection.create(tmp_path / "folder", profile) as made:
        put(made, range(COUNT))
        yield made


@pytest.fixture
def here(whole, request):
    made = Here(getattr(request, "param", 3))
    yield made
    made.close()


@pytest.fixture
def sharded(here):
    with ShardedCollection(here) as made:
        yield made


EACH = pytest.mark.parametrize("here", [1, 2, 3], indirect=True)


def contents(collection, records):
    pictures = collection.catalogue.pictures(np.asarray(records).tolist())
    return [pictures[record].content for record in np.asarray(records).tolist()]


def records_of(collection, numbers):
    return [collection.catalogue.find(content(number)) for number in numbers]


@EACH
class TestSameAnswers:
    def test_it_is_a_collection(self, sharded):
        parts = sharded, sharded.catalogue, sharded.vectors, sharded.words, sharded.traces
        kinds = Collection, Catalogue, Vectors, Words, Traces
        assert all(isinstance(part, kind) for part, kind in zip(parts, kinds, strict=True))
        assert isinstance(sharded.words.search(), WordsSearch)
        assert sharded.address == str(ADDRESS)

    @pytest.mark.parametrize("k", [0, 1, 7, 99])
    def test_nearest(self, folder, sharded, unit, k):
        queries = np.array([unit(0), unit(500)])
        left = records_of(folder, [2, 3]), records_of(sharded, [2, 3])
        one = folder.vectors.nearest(queries, k, without=left[0], generation=0)
        two = sharded.vectors.nearest(queries, k, without=left[1], generation=0)
        for wanted, found in zip(one, two, strict=True):
            assert contents(sharded, found.records) == contents(folder, wanted.records)
            assert found.scores.tolist() == wanted.scores.tolist()
            assert found.compared == wanted.compared
            if k:
                assert found.spread.tolist() == wanted.spread.tolist()
                assert found.moments() == wanted.moments()

    def test_words(self, folder, sharded):
        queries = [as_query(points(number, 200)) for number in (3, 7, 900)]
        found = []
        for collection in (folder, sharded):
            search = collection.words.search()
            asked = np.array(records_of(collection, [30, 11, 25]))
            options = {"without": records_of(collection, [5]), "own": records_of(collection, [3])}
            alone = search.ranked(queries[:1], 6, asked=asked, **options)
            both = search.ranked(queries, 6, asked=asked, **options)
            assert contents(collection, both.records) != contents(collection, alone.records)
            found.append((contents(collection, both.records), both, alone))
        (names, wanted, first), (others, both, alone) = found
        assert others == names
        for one, two in ((wanted, both), (first, alone)):
            assert two.scores.tolist() == one.scores.tolist(), "weights are of the whole collection"
            assert two.asked.tolist() == one.asked.tolist()
            assert (two.compared, two.moments.count) == (one.compared, one.moments.count)
            told = [(m.mean, m.variance, m.best) for m in (one.moments, two.moments)]
            assert told[1] == pytest.approx(told[0], rel=1e-12)

    def test_descriptors(self, folder, sharded):
        numbers = [1, 30, 17, 30]
        one, two = (
            collection.vectors.of(np.array(records_of(collection, numbers)), generation=0)
            for collection in (folder, sharded)
        )
        assert two.dtype == np.float32
        np.testing.assert_array_equal(one, two)
        asked = np.array([*records_of(sharded, [1, 4, 13]), 10**15, 0])
        assert sharded.vectors.has(asked).tolist() == [True, False, False, False, False]
        with pytest.raises(KeyError):
            sharded.vectors.of(asked)
        assert sharded.vectors.of(asked[:0]).shape == (0, 16)
        assert len(sharded.vectors.records()) == len(folder.vectors.records())
        assert (np.diff(sharded.vectors.records()) > 0).all()
        assert (sharded.vectors.dimensions, sharded.vectors.generation) == (16, 0)

    def test_pictures_and_what_is_told_of_them(self, folder, sharded):
        assert sharded.catalogue.count() == COUNT
        records = sharded.catalogue.records().tolist()
        assert sorted(records) == records
        found = sharded.catalogue.pictures([*records, 10**15])
        assert {record: picture.record for record, picture in found.items()} == {r: r for r in records}
        wanted = folder.catalogue.pictures(folder.catalogue.records().tolist())
        plain = [
            sorted((replace(picture, record=0) for picture in some.values()), key=lambda one: one.content)
            for some in (found, wanted)
        ]
        assert plain[0] == plain[1]
        assert sharded.catalogue.find(bytes(32)) is None
        assert sharded.catalogue.names() == folder.catalogue.names()
        one, two = folder.catalogue.info(), sharded.catalogue.info()
        counts = "pictures", "files", "featureless", "added_by_hand", "skipped", "traces"
        assert [getattr(two, key) for key in counts] == [getattr(one, key) for key in counts]
        assert {path: root.files for path, root in two.roots.items()} == {b"/r": COUNT}
        assert (two.address, two.profile) == (str(ADDRESS), folder.profile)
        assert sharded.catalogue.check() == []

    def test_traces(self, folder, sharded, server):
        for kind in (POINTS_TRACE, "note"):
            one, two = (
                collection.traces.get(kind, [*records_of(collection, range(20)), 10**15])
                for collection in (folder, sharded)
            )
            assert [*one.values()] == [two[record] for record in records_of(sharded, range(20))]
        assert sharded.traces.kinds() == folder.traces.kinds()
        assert sharded.traces.missing("fine-1") == sharded.catalogue.records().tolist()
        assert sharded.traces.damaged("note") == []
        [key] = [
            key for key in server.data["camseek_traces"] if key.startswith(f"parts/{content(7).hex()}/note")
        ]
        del server.data["camseek_traces"][key]
        [lost] = records_of(sharded, [7])
        assert sharded.traces.damaged("note") == [lost]
        damaged = set()
        assert lost not in sharded.traces.get("note", records_of(sharded, range(20)), damaged=damaged)
        assert damaged == {lost}
        with pytest.raises(CorruptCollectionError):
            sharded.traces.get("note", [lost])
        [fault] = sharded.catalogue.check()
        assert fault.startswith(
            f"shard {Part(number_of(content(7), len(sharded._shards.parts)), len(sharded._shards.parts))}:"
        )

    def test_what_comes_and_goes_is_seen(self, folder, whole, sharded, put, unit):
        before = dict(zip(records_of(sharded, range(COUNT)), range(COUNT), strict=True))
        for collection in (folder, whole):
            put(collection, range(COUNT, COUNT + 9))
            remove(collection, [3, 20, 41])
        assert sharded.catalogue.count() == COUNT + 6
        query = unit(41)[None]
        [one], [two] = (collection.vectors.nearest(query, 60) for collection in (folder, sharded))
        assert contents(sharded, two.records) == contents(folder, one.records)
        for number in range(COUNT):
            record = sharded.catalogue.find(content(number))
            assert record is None if number in (3, 20) else before[record] == number

    def test_it_is_only_read(self, sharded):
        for refused in (lambda: sharded.write("test"), lambda: sharded.catalogue.ledger()):
            with pytest.raises(CollectionError, match="is only read where it is searched in shards"):
                refused()


@pytest.mark.parametrize("numbers", [[], [0], [4]])
def test_shards_without_pictures(server, profile, put, unit, numbers):
    """Also where the only one is featureless."""
    with MilvusCollection.make(ADDRESS, profile) as made:
        put(made, numbers)
        with ShardedCollection(Here(3)) as sharded:
            assert sharded.catalogue.count() == len(numbers)
            [found] = sharded.vectors.nearest(unit(0)[None], 5)
            assert (len(found.records), found.compared) == (numbers == [0], numbers == [0])
            words = sharded.words.search().ranked([as_query(points(0))], 5, asked=sharded.catalogue.records())
            assert (len(words.records), words.compared, len(words.asked)) == (len(numbers),) * 3
            assert sharded.catalogue.info().pictures == len(numbers)


class TestMoments:
    def test_a_fit_is_another_generation(self, whole, sharded, unit):
        before = sharded.profile
        query = unit(3)[None]
        fit(whole, 1)
        with pytest.raises(CollectionChangedError):
            sharded.vectors.nearest(query, 3, generation=0)
        with sharded.snapshot():
            assert sharded.profile.generation == sharded.vectors.generation == 1
        assert sharded.profile is not before
        [found] = sharded.vectors.nearest(query, 3, generation=1)
        [wanted] = whole.vectors.nearest(query, 3)
        assert found.scores.tolist() == wanted.scores.tolist()
        with pytest.raises(CollectionChangedError):
            sharded.vectors.of(np.array(records_of(sharded, [1])), generation=0)

    def test_what_is_beside_is_told_and_gone_over_to_and_back(self, whole, sharded, unit):
        query = unit(3)[None]
        before = sharded.vectors.nearest(query, 3)[0]
        with whole.write("fit") as writer:
            writer.refitter.begin(Refit(asked="so", profile=whole.profile))
            for record in writer.refitter.pending()[:25]:
                writer.refitter.put(record, unit(record))
        told = sharded.catalogue.info().beside
        assert (told.done, told.kept) == (25, False)
        with whole.write("fit") as writer:
            for record in writer.refitter.pending():
                writer.refitter.put(record, unit(record))
            writer.refitter.finish(keep=True)
        generations, found = [], []
        for _ in range(2):
            with sharded.snapshot():
                generations.append(sharded.vectors.generation)
            told = sharded.catalogue.info().beside
            assert (told.done, told.kept) == (COUNT, True)
            found.append(sharded.vectors.nearest(query, 3)[0].records.tolist())
            with whole.write("undo") as writer:
                writer.refitter.finish(keep=True)
        assert generations == [1, 2]
        assert found[0] != before.records.tolist()
        assert found[1] == before.records.tolist()

    def test_a_profile_stays_the_same_object(self, whole, sharded):
        with sharded.snapshot():
            one = sharded.profile
        with sharded.snapshot():
            assert sharded.profile is one
        with whole.write("keep") as writer:
            writer.keep(("points",))
        with sharded.snapshot():
            assert sharded.profile.keeps == ("points",)
            assert sharded.vectors.generation == 0

    def test_a_shard_that_is_behind_catches_up(self, whole, here, sharded, unit, monkeypatch):
        query = unit(3)[None]
        behind, _ = here.shards[1]._held
        monkeypatch.setattr(behind, "_refresh", lambda: None)
        behind._reader._refresh_from = lambda: None
        fit(whole, 1)
        with pytest.raises(CollectionChangedError):
            sharded.vectors.nearest(query, 3, generation=0)
        with sharded.snapshot():
            generation = sharded.vectors.generation
        assert generation == 1
        assert "caught_up" in here.asked
        [found] = sharded.vectors.nearest(query, 3, generation=1)
        [wanted] = whole.vectors.nearest(query, 3)
        assert found.scores.tolist() == wanted.scores.tolist()

    def test_shards_that_never_agree_are_told(self, here, sharded, monkeypatch):
        ask = here.ask

        def differ(name, given, *rest, **more):
            found = ask(name, given, *rest, **more)
            return (
                {n: replace(seen, epoch=f"{n}") for n, seen in found.items()}
                if "up" in name or name == "seen"
                else found
            )

        monkeypatch.setattr(here, "ask", differ)
        with pytest.raises(CollectionChangedError), sharded.snapshot():
            pass

    def test_sketches_are_of_the_generation_that_is_told(self, whole, sharded, unit, monkeypatch):
        """Those of another network are compared with no query of this one's."""
        with whole.write("test") as writer:
            for record in whole.catalogue.records().tolist():
                writer.put_trace(record, SKETCH_TRACE, b"old")
        with sharded.snapshot():
            pass
        monkeypatch.setattr(asking, "_LOOK_EVERY", 1e9)
        records = records_of(sharded, range(5))

        def told():
            with sharded.snapshot():
                found = sharded.traces.get(SKETCH_TRACE, records)
                return sharded.vectors.generation, set(found.values()), sharded.traces.missing(SKETCH_TRACE)

        assert told() == (0, {b"old"}, [])
        with whole.write("upgrade") as writer:
            writer.refitter.begin(Refit(asked="so", profile=whole.profile, kinds=(SKETCH_TRACE,)))
            for record in writer.refitter.pending():
                writer.refitter.put(record, unit(record), {SKETCH_TRACE: b"new"})
            writer.refitter.finish(keep=True)
        for ask in (
            lambda: sharded.traces.get(SKETCH_TRACE, records),
            lambda: sharded.traces.missing(SKETCH_TRACE),
            lambda: sharded.traces.damaged(SKETCH_TRACE),
            lambda: sharded.traces.kinds(),
            lambda: sharded.vectors.has(np.array(records)),
            lambda: sharded.vectors.records(),
        ):
            sharded._asked._soon = False
            with pytest.raises(CollectionChangedError), sharded.snapshot():
                assert sharded.vectors.generation == 0
                ask()
        assert told() == (1, {b"new"}, [])

    def test_an_answer_is_of_one_generation(self, whole, here, unit, monkeypatch):
        """The collection goes over to another network while the server is asked for sketches."""
        _, answers = here.shards[0]._held
        epoch, read = answers.seen().epoch, answers._collection.traces.get

        def get(*given, **more):
            fit(whole, 1)
            answers.caught_up()
            return read(*given, **more)

        monkeypatch.setattr(answers._collection.traces, "get", get)
        with pytest.raises(CollectionChangedError):
            answers.traces(epoch, SKETCH_TRACE, [1, 2], ask=True)

    def test_another_thread_does_not_change_a_moment(self, whole, sharded):
        def elsewhere():
            with sharded.snapshot():
                return sharded.profile, sharded.vectors.generation

        with ThreadPoolExecutor(1) as threads, sharded.snapshot():
            before = sharded.profile
            fit(whole, 1)
            another, generation = threads.submit(elsewhere).result()
            assert (another.generation, generation) == (1, 1)
            assert sharded.profile is before
            assert sharded.vectors.generation == 0
        with sharded.snapshot():
            assert sharded.profile is another

    def test_one_thread_looks_for_all(self, here, sharded, monkeypatch):
        monkeypatch.setattr(asking, "_LOOK_EVERY", 1e9)
        sharded._asked.look_soon()
        del here.asked[:]
        ask, all_there = here.ask, threading.Barrier(4, timeout=10)

        def slow(name, *given, **more):
            time.sleep(0.1)  # the others come while it looks
            return ask(name, *given, **more)

        monkeypatch.setattr(here, "ask", slow)

        def moment(_):
            all_there.wait()
            with sharded.snapshot():
                return sharded.vectors.generation

        with ThreadPoolExecutor(4) as threads:
            assert [*threads.map(moment, range(4))] == [0] * 4
        assert here.asked == ["seen"]

    def test_within_a_moment_nobody_looks(self, here, sharded):
        with sharded.snapshot():
            del here.asked[:]
            with sharded.snapshot():
                sharded.catalogue.count()
        assert here.asked == ["count"]


class TestLost:
    def test_with_its_mirror_it_goes_on(self, here, sharded):
        records = records_of(sharded, range(COUNT))
        here.lose(1)
        assert contents(sharded, records) == [content(number) for number in range(COUNT)]
        assert records_of(sharded, range(COUNT)) == records

    def test_without_its_mirror_its_records_are_nobodys(self, here, sharded, unit):
        records = records_of(sharded, range(COUNT))
        here.lose(1, mirror=True)
        with pytest.raises(CollectionChangedError):
            sharded.catalogue.pictures(records)
        ours = [number for number in range(COUNT) if number_of(content(number), 3) == 1]
        found = sharded.catalogue.pictures(records)
        assert {picture.content for picture in found.values()} == {
            content(number) for number in range(COUNT) if number not in ours
        }
        again = records_of(sharded, range(COUNT))
        assert len(set(again) | set(records)) == COUNT + len(ours), "no number is used twice"
        assert contents(sharded, again) == [content(number) for number in range(COUNT)]
        gone = np.array([records[number] for number in ours])
        assert not sharded.vectors.has(gone).any()
        with pytest.raises(KeyError):
            sharded.vectors.of(gone)
        [found] = sharded.vectors.nearest(unit(3)[None], 99, without=gone.tolist())
        assert found.compared == len(sharded.vectors.records())

    def test_a_collection_that_was_made_anew_is_opened_anew(self, whole, here, sharded, server, profile, put):
        records = records_of(sharded, range(COUNT))
        server.data.clear()
        with MilvusCollection.make(ADDRESS, profile) as another:
            put(another, range(100, 105))
        for _ in range(3):
            try:
                count = sharded.catalogue.count()
                break
            except CollectionChangedError:
                with sharded.snapshot():
                    pass
        assert count == 5
        assert sharded.catalogue.pictures(records) == {}

    def test_what_searches_need_is_made_before_it_has_begun(self, whole, monkeypatch):
        monkeypatch.setattr(beside, "LEAST_SAVED", 5)
        shard = Shard()
        life = shard.begin(ADDRESS, Part(0, 2))
        collection, answers = shard._held
        assert (collection._folder / "words.index").exists()
        assert shard.begin(ADDRESS, Part(0, 2)) == life
        shard._let_go(answers)
        # While it begins, whoever asks is told so at once.
        with shard._beginning:
            with pytest.raises(NotBegunError):
                shard.ask(life, "count")
            assert shard.tell()[1] is None

    def test_what_it_does_not_hold_is_told(self, server):
        with pytest.raises(NoCollectionError):
            Shard().begin(ADDRESS, Part(0, 2))
        with pytest.raises(NotBegunError):
            Shard().ask("", "count")
        assert Shard().tell()[1] is None

    def test_what_is_let_go_in_the_middle_of_a_question_is_begun_again(self, here, sharded, monkeypatch):
        """Another thread learnt that the collection was made anew."""
        _, answers = here.shards[0]._held
        count = type(answers._collection.catalogue).count

        def closed(catalogue):
            here.shards[0]._let_go(answers)
            return count(catalogue)

        monkeypatch.setattr(
            answers._collection.catalogue, "count", closed.__get__(answers._collection.catalogue)
        )
        assert sharded.catalogue.count() == COUNT

    def test_what_another_thread_learns_meanwhile_changes_no_record(self, here, sharded):
        """Records of one mirror are never taken for those of another."""
        records = records_of(sharded, range(COUNT))
        before = sharded._asked.now()
        here.lose(1, mirror=True)
        with pytest.raises(CollectionChangedError):
            sharded.catalogue.count()
        with pytest.raises(CollectionChangedError):
            before.ask_of("pictures", np.array(records))
        now = sharded._asked.now()
        own = now.ask_of("pictures", np.array(records))
        assert sorted(shard for shard, _, _ in own) == [0, 2]


class TestNumbers:
    def test_there_and_back(self):
        mirrors = Numbers(3).now(["a", "b", "c"])
        own = [np.array([1, 5, 10**9]), np.array([1]), np.array([], np.int64)]
        every = np.concatenate([mirrors.outward(shard, records) for shard, records in enumerate(own)])
        assert len(set(every.tolist())) == 4
        shares = mirrors.shares(every)
        assert sorted(shares) == [0, 1]
        for shard, share in shares.items():
            assert share.records.tolist() == own[shard].tolist()
            np.testing.assert_array_equal(mirrors.outward(shard, share.records), every[share.places])

    def test_another_mirror_has_other_numbers(self):
        numbers = Numbers(2)
        one = numbers.now(["a", "b"])
        before = one.outward(1, np.array([7]))
        two = numbers.now(["a", "c"])
        after = two.outward(1, np.array([7]))
        assert one.outward(1, np.array([7])).tolist() == before.tolist()
        assert after[0] > before[0]
        assert after[0] < 2**53, "JavaScript counts so far"
        assert two.shares(before) == one.shares(after) == {}
        assert two.shares(after)[1].records.tolist() == [7]
        assert numbers.now(["a", "b"]) == one


def test_a_folder_has_no_shards(tmp_path):
    with pytest.raises(SettingsError, match="is a folder"):
        open_shards(str(tmp_path), 2, "auto")
    with pytest.raises(SettingsError, match="is a folder"):
        tell_shards(str(tmp_path), "auto")


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_so_many_shards_there_cannot_be(count):
    with pytest.raises(SettingsError, match=r"cannot have .* shards"):
        open_shards(str(ADDRESS), count, "auto")
