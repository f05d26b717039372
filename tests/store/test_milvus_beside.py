"""Another network for a collection on a server: begun on one machine, gone on with and taken back on others.

The server is a stand-in: no real one stops where a test wants it to.
"""

import json
from dataclasses import replace

import pytest

from camseek.errors import CollectionChangedError, CollectionError, CorruptCollectionError
from camseek.store import SKETCH_TRACE, Signature
from camseek.store.milvus import sweeping
from milvus_stand_in import Killed
from milvus_upgrades import HEAD, OTHER, content, faults, forget, go_on, held, numbers_of, put, undo, wanted


def test_any_machine_goes_on_and_goes_back(fresh, bring, stand_in):
    one, searching = fresh(), fresh()
    bring(one, range(1, 6))
    go_on(one, 2)
    two = fresh()
    for collection in (one, two, searching):
        told = collection.catalogue.info().beside
        assert (told.refit, told.kept, told.done) == (OTHER, False, 2)
        assert held(collection) == wanted("toy", range(1, 6))
        assert faults(collection) == []
    go_on(two)
    three = fresh()
    for collection in (one, two, three, searching):
        assert held(collection) == wanted("other", range(1, 6))
        told = collection.catalogue.info().beside
        assert (told.kept, told.done, told.refit.profile.model) == (True, 5, "toy")
        assert faults(collection) == []
    undo(three)
    four = fresh()
    for collection in (one, two, three, four, searching):
        assert held(collection) == wanted("toy", range(1, 6))
        assert (collection.catalogue.info().beside.kept, faults(collection)) == (True, [])
    undo(four)
    forget(one)
    for collection in (two, three, fresh()):
        assert held(collection) == wanted("other", range(1, 6))
        assert collection.catalogue.info().beside is None
        assert faults(collection) == []
    # Nothing of the other network is left.
    assert not stand_in.data["camseek_pictures_16"]
    assert len(stand_in.data["camseek_pictures_4"]) == 5
    texts = [row["content"] for row in stand_in.data["camseek_traces"].values()]
    assert sorted(texts) == sorted(2 * [content(number).hex() for number in range(1, 6)])


def test_nothing_is_read_or_written_twice(fresh, bring, stand_in):
    """What was put is not written again when places change, and searchers do not read what is beside."""
    one, searching = fresh(), fresh()
    bring(one, range(1, 6))
    assert searching.catalogue.count() == 5
    go_on(one, 5)
    written, read = [], []

    def write(what, where, told):
        if what == "upsert" and where != "camseek_rows":
            written.append(told)

    def query(what, where, told):
        if "vector" in told:
            read.append(told)

    one._server.before, searching._server.before = write, query
    assert searching.catalogue.info().beside.done == 5
    assert read == []
    go_on(one)
    undo(one)
    assert written == []


def test_pictures_come_change_and_go_on_other_machines(fresh, bring):
    one, two, searching = fresh(), fresh(), fresh()
    bring(one, range(1, 6))
    go_on(one, 3)
    bring(two, [7, 8])
    with two.write("remove") as writer:
        writer.release([b"/photos/1"], None)
    with two.write("enrich") as writer:
        for record, number in numbers_of(two, two.catalogue.records().tolist()).items():
            writer.put_trace(record, "points-1", b"points %d" % number + b"!" * (number == 2))
    go_on(one)
    expected = wanted("other", [2, 3, 4, 5, 7, 8])
    expected[1][2] = (expected[1][2][0], b"points 2!", expected[1][2][2])
    for collection in (one, two, searching, fresh()):
        assert held(collection) == expected
        assert faults(collection) == []
    bring(two, [9])
    with two.write("remove") as writer:
        writer.release([b"/photos/4"], None)
    undo(fresh())
    for collection in (one, two, searching, fresh()):
        network, pictures = held(collection)
        assert network[0] == "toy"
        assert sorted(pictures) == [2, 3, 5, 7, 8, 9]
        assert pictures[9] == wanted("toy", [9])[1][9]
        assert pictures[2][1] == b"points 2!"
        assert faults(collection) == []


def test_sketches_of_what_is_kept_stay_where_another_machine_drops_its_own(fresh, bring):
    one = fresh()
    bring(one, [1, 2])
    go_on(one)
    two = fresh()
    with two.write("enrich") as writer:
        writer.drop_traces(SKETCH_TRACE)
    with two.write("enrich") as writer:
        for record in two.catalogue.records().tolist():
            writer.put_trace(record, SKETCH_TRACE, b"something else")
    undo(one)
    for collection in (one, two, fresh()):
        assert held(collection) == wanted("toy", [1, 2])
        assert faults(collection) == []


class TestTwoAtOnce:
    def test_of_two_that_begin_the_first_is_told(self, fresh, bring, stand_in):
        one, two = fresh(), fresh()
        bring(one, [1, 2, 3])
        go_on(one, 1)
        with pytest.raises(CollectionChangedError, match="something else beside"), one.write("one") as writer:
            put(one, writer, writer.refitter.pending())
            with two.write("two") as other:
                other.refitter.begin(replace(OTHER, asked="other"))
                put(two, other, other.refitter.pending()[:1])
        for collection in (one, two, fresh()):
            told = collection.catalogue.info().beside
            assert (told.refit.asked, told.done) == ("other", 1)
            assert held(collection) == wanted("toy", [1, 2, 3])
            assert faults(collection) == []
        with one.write("compact") as writer:
            writer.compact()
        assert len(stand_in.data["camseek_pictures_4"]) == 1

    def test_of_two_that_go_on_the_slower_one_is_told(self, fresh, bring):
        one, two = fresh(), fresh()
        bring(one, [1, 2, 3])
        go_on(one, 1)
        with pytest.raises(CollectionChangedError, match="fitted or upgraded"), one.write("one") as writer:
            put(one, writer, writer.refitter.pending())
            go_on(two)
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("other", [1, 2, 3])
            assert faults(collection) == []

    def test_who_writes_while_places_change_is_told(self, fresh, bring):
        one, two = fresh(), fresh()
        bring(one, [1, 2, 3])
        go_on(one, 3)
        with pytest.raises(CollectionChangedError, match="fitted or upgraded"), two.write("index") as writer:
            number = writer.root(b"/photos")
            writer.point(b"/photos/again", two.catalogue.find(content(1)), Signature(1, 2, 3), number)
            go_on(one)
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("other", [1, 2, 3])
            assert faults(collection) == []

    def test_where_others_write_meanwhile_nothing_changes_and_it_can_be_done_again(self, fresh, bring):
        one, two = fresh(), fresh()
        bring(one, [1, 2, 3])
        go_on(one, 3)
        with pytest.raises(CollectionChangedError, match="as before"), one.write("one") as writer:
            writer.refitter.finish(keep=True)
            bring(two, [4])
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("toy", [1, 2, 3, 4])
            assert collection.catalogue.info().beside.done == 3
        go_on(one)
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("other", [1, 2, 3, 4])

    def test_what_says_of_itself_another_thing_meanwhile(self, fresh, bring):
        """Rows of the head that two write are both there."""
        one, two = fresh(), fresh()
        bring(one, [1])
        with one.write("keep") as writer:
            go_on(two, 1)
            writer.keep(("points", "fine", "sketch"))
        for collection in (one, two, fresh()):
            with collection.snapshot():
                assert collection.profile.keeps == ("points", "fine", "sketch")
            assert collection.catalogue.info().beside.done == 1

    def test_a_picture_that_another_takes_out_while_it_is_put_beside(self, fresh, bring, stand_in):
        one, two = fresh(), fresh()
        bring(one, [1, 2])
        go_on(one, 0)

        def before(what, where, told):
            # Its traces are written, and its row is not.
            if what == "upsert" and where == "camseek_pictures_4":
                one._server.before = None
                with two.write("remove") as writer:
                    writer.release([b"/photos/1"], None)
                bring(two, [1])

        one._server.before = before
        go_on(one, 2)
        with one.write("upgrade") as writer:
            assert list(numbers_of(one, writer.refitter.pending()).values()) == [1]
        go_on(fresh())
        for collection in (one, two, fresh()):
            assert held(collection) == wanted("other", [1, 2])
            assert faults(collection) == []


def test_killed_at_any_write(fresh, bring, stand_in, nobody_waits):
    """Of an upgrade, the way back, and letting go: searchers see one of two, and any machine goes on."""
    one, two, searching = fresh(), fresh(), fresh()
    bring(one, [1, 3])
    start = {name: dict(rows) for name, rows in stand_in.data.items()}
    left = [0]

    def before(what, where, told):
        if what != "query":
            left[0] -= 1
            if left[0] < 0:
                one._server.killed = True
                raise Killed

    one._server.before = before
    for at in range(100):
        stand_in.data.clear()
        stand_in.data.update({name: dict(rows) for name, rows in start.items()})
        left[0] = at
        try:
            for step in (lambda c: go_on(c, 1), go_on, undo, forget):
                step(one)
            break
        except Killed:
            one._server.killed = False
        network, _ = held(searching)
        assert held(searching) == held(two) == wanted(network[0], [1, 3]), at
        beside = two.catalogue.info().beside
        assert (beside is None or not beside.kept) <= (network[0] == "toy"), at
        if beside is not None and beside.kept:
            undo(two)
        else:
            go_on(two)
        other = "toy" if network[0] == "other" else "other"
        for collection in (two, searching):
            assert held(collection) == wanted(other, [1, 3]), at
        assert faults(two) == [], at
    assert 20 < at < 99


class TestStrangers:
    @pytest.mark.parametrize(
        "beside",
        [
            5,
            ["../x", 0, "{}"],
            ["0" * 16, 0, "{}"],
            ["0" * 16, 0, '{"dimensions": 0}'],
            ["0" * 16, 0, '{"dimensions": 4}'],
            ["0" * 16, 2, None],
        ],
    )
    def test_a_head_that_cannot_be(self, fresh, bring, stand_in, beside):
        bring(fresh(), [1])
        row = stand_in.data["camseek_rows"][HEAD]
        row["text"] = json.dumps(json.loads(row["text"]) | {"beside": beside})
        with pytest.raises(CollectionError):
            fresh()

    def test_traces_of_pixels_beside(self, fresh, bring, stand_in):
        bring(fresh(), [1])
        go_on(fresh(), 1)
        row = stand_in.data["camseek_rows"][HEAD]
        data = json.loads(row["text"])
        data["beside"][2] = json.dumps(json.loads(data["beside"][2]) | {"kinds": ["points-1"]})
        row["text"] = json.dumps(data)
        with pytest.raises(CorruptCollectionError, match="of pixels"):
            fresh()

    def test_what_is_damaged_is_told(self, fresh, bring, stand_in):
        one = fresh()
        bring(one, [1, 2, 4])
        go_on(one, 3)
        rows = stand_in.data["camseek_pictures_4"]
        key = next(key for key in rows if key.endswith(content(1).hex()))
        rows[key]["vector"] = [0.5] * 3 + [0.1]
        for key in [key for key in stand_in.data["camseek_traces"] if content(2).hex() in key]:
            if "sketch" in key and stand_in.data["camseek_traces"][key]["text"].startswith("b3"):
                del stand_in.data["camseek_traces"][key]
        two = fresh()
        assert faults(two) == [
            "the descriptor beside of record 1 is lost, or not as it was written",
            "the sketch-1 beside of record 2 is lost, or not as it was written",
        ]
        with pytest.raises(CorruptCollectionError, match="not as it was written"):
            go_on(two)
        assert held(two) == wanted("toy", [1, 2, 4])

    def test_rows_that_left(self, fresh, bring, stand_in):
        one = fresh()
        bring(one, [1, 2])
        go_on(one, 2)
        two = fresh()
        stand_in.data["camseek_pictures_4"].clear()
        with pytest.raises(CollectionChangedError, match="2 pictures of what is beside"):
            go_on(two)
        assert faults(two) == []
        go_on(two)
        assert held(two) == wanted("other", [1, 2])


def test_it_is_begun_outside_of_units(fresh, bring):
    one = fresh()
    bring(one, [1])
    with one.write("test") as writer, pytest.raises(ValueError, match="in a unit"), writer.unit():
        writer.refitter.begin(OTHER)
    assert one.catalogue.info().beside is None


def test_a_picture_without_a_file_is_swept_on_both_sides(fresh, bring, stand_in, monkeypatch):
    one, two = fresh(), fresh()
    bring(one, [1])
    go_on(one)

    def before(what, where, told):
        if what == "upsert" and where == "camseek_rows" and "/row/" in told[0]["key"]:
            two._server.killed = True
            raise Killed

    two._server.before = before
    with pytest.raises(Killed):
        bring(two, [2])
    stray = dict(stand_in.data["camseek_pictures_4"])
    stand_in.data["camseek_pictures_16"] |= {
        key.replace(key.split("/")[1], next(iter(stand_in.data["camseek_pictures_16"])).split("/")[1]): row
        for key, row in stray.items()
        if row["content"] == content(2).hex()
    }
    monkeypatch.setattr(sweeping, "DEAD", -1.0)
    one.catalogue.count()
    with one.write("compact") as writer:
        writer.compact()
    assert [len(stand_in.data[f"camseek_pictures_{length}"]) for length in (4, 16)] == [1, 1]
    assert held(one) == wanted("other", [1])
