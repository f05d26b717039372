"""One contract for every store: the same tests in a folder and on a Milvus server."""

from dataclasses import replace

import numpy as np
import pytest

from camseek.config import Settings
from camseek.results import Skipped
from camseek.store import (
    ADDED_BY_HAND,
    SKETCH_TRACE,
    Refit,
    Signature,
    SkippedEntry,
    open_collection,
)

pytestmark = pytest.mark.parametrize("collection", ["folder", "milvus"], indirect=True)

SIGNATURE = Signature(1, 2, 3)


def test_what_was_written_is_read_again(collection, fill, unit):
    fill(collection, range(5))
    with open_collection(collection.address) as again:
        assert again.profile == collection.profile
        assert again.vectors.records().tolist() == [1, 2, 3, 4, 5]
        assert again.catalogue.records().tolist() == [1, 2, 3, 4, 5]
        assert again.catalogue.count() == 5
        vectors = again.vectors.of(np.arange(1, 6))
        # float16 holds 11 bits.
        np.testing.assert_allclose(vectors, [unit(i) for i in range(5)], atol=2**-11)
        exact = np.array([unit(i) for i in range(5)], np.float64)
        assert abs(vectors @ exact.T - exact @ exact.T).max() <= 2**-11
        np.testing.assert_array_equal(again.vectors.of(np.array([4, 2])), vectors[[3, 1]])
        assert again.catalogue.pictures([3, 99]).keys() == {3}
        assert again.catalogue.pictures([3])[3].paths == (b"/photos/2.jpg",)
        assert again.catalogue.find((2).to_bytes(32, "big")) == 3
        assert again.catalogue.find(bytes(32 * [7])) is None


def test_a_missing_descriptor_is_a_key_error(collection, fill):
    fill(collection, range(2))
    with pytest.raises(KeyError):
        collection.vectors.of(np.array([1, 7]))


def test_copies_are_one_picture_with_several_names(collection, picture):
    with collection.write("test") as writer:
        root = writer.root(b"/r")
        first, second = writer.insert(picture(1)), writer.insert(picture(1))
        assert first == second
        writer.point(b"/r/b", first, SIGNATURE, root)
        writer.point(b"/r/a", first, SIGNATURE, root)
    assert collection.catalogue.pictures([first])[first].paths == (b"/r/a", b"/r/b")
    assert (collection.catalogue.info().pictures, collection.catalogue.info().files) == (1, 2)


def test_a_picture_leaves_with_its_last_file(collection, picture):
    with collection.write("test") as writer:
        root = writer.root(b"/r")
        record = writer.insert(picture(1))
        writer.point(b"/r/a", record, SIGNATURE, root)
        writer.point(b"/r/b", record, SIGNATURE, root)
    with collection.write("test") as writer:
        assert writer.release([b"/r/a"], root) == [b"/r/a"]
    assert collection.catalogue.find((1).to_bytes(32, "big")) == record
    with collection.write("test") as writer:
        writer.release([b"/r/b"], root)
    assert collection.catalogue.find((1).to_bytes(32, "big")) is None
    assert collection.vectors.records().tolist() == []
    assert collection.catalogue.check() == []


def test_record_numbers_are_never_used_twice(collection, fill):
    fill(collection, [1])
    with collection.write("test") as writer:
        writer.release([b"/photos/1.jpg"], None)
    fill(collection, [2])
    assert collection.vectors.records().tolist() == [2]


def test_a_file_stays_while_any_root_claims_it(collection, picture):
    with collection.write("test") as writer:
        outer, inner = writer.root(b"/r"), writer.root(b"/r/s")
        writer.point(b"/r/s/a", writer.insert(picture(1)), SIGNATURE, outer)
        writer.claim(b"/r/s/a", inner)
        writer.claim(b"/r/s/a", ADDED_BY_HAND)
        assert writer.release([b"/r/s/a"], outer) == []
        assert writer.release([b"/r/s/a"], inner) == []
        assert writer.release([b"/r/s/a"], ADDED_BY_HAND) == [b"/r/s/a"]


def test_a_file_that_changes_keeps_the_claims_of_other_roots(collection, picture):
    with collection.write("test") as writer:
        one, two = writer.root(b"/1"), writer.root(b"/2")
        writer.point(b"/x", writer.insert(picture(1)), SIGNATURE, one)
        writer.claim(b"/x", two)
        writer.point(b"/x", writer.insert(picture(2)), SIGNATURE, one)
        assert writer.claimed(two) == {b"/x"}
    assert collection.catalogue.info().pictures == 1


def test_skipped_files_are_remembered_and_forgotten(collection, picture):
    entry = SkippedEntry(Signature(5, -6, 2**60), Skipped(b"/r/\xff\n", "broken", "damaged"), "0/1")
    with collection.write("test") as writer:
        root = writer.root(b"/r")
        writer.point(b"/r/\xff\n", writer.insert(picture(1)), SIGNATURE, root)
        writer.skip(entry, root)
        assert writer.skipped(root) == {b"/r/\xff\n": entry}
    assert collection.catalogue.info().pictures == 0
    assert list(collection.catalogue.info().skipped) == [entry.skipped]
    with collection.write("test") as writer:
        writer.forget_skipped([b"/r/\xff\n"], root)
        assert writer.skipped(root) == {}


@pytest.mark.parametrize("bad", [np.zeros(16, np.float32), np.full(16, np.nan, np.float32)])
def test_a_zero_or_nan_descriptor_never_enters(collection, picture, bad):
    with collection.write("test") as writer, pytest.raises(ValueError, match="norm"), writer.unit():
        writer.insert(picture(1, bad))
    assert collection.catalogue.info().pictures == 0


def test_a_descriptor_of_another_length_never_enters(collection, picture):
    with collection.write("test") as writer, pytest.raises(ValueError, match="15 numbers"), writer.unit():
        writer.insert(picture(1, np.full(15, 15**-0.5, np.float32)))


def test_skipped_files_and_idle_roots_are_forgotten_by_name(collection, picture):
    entry = SkippedEntry(Signature(1, 1, 1), Skipped(b"/r/s/x", "broken", "damaged"), "0")
    with collection.write("test") as writer:
        root, other = writer.root(b"/r"), writer.root(b"/rs")
        writer.remember(entry, root)
        writer.point(b"/rs/a", writer.insert(picture(1)), SIGNATURE, other)
        assert not writer.forget(b"/r/s/other")
        assert writer.forget(b"/r")
        assert not writer.forget(b"/r")
    assert {path: root.files for path, root in collection.catalogue.info().roots.items()} == {b"/rs": 1}
    assert collection.catalogue.info().skipped == []


def test_a_featureless_picture_is_counted_and_has_no_descriptor(collection, picture):
    with collection.write("test") as writer:
        writer.point(b"/a", writer.insert(picture(1, None)), SIGNATURE, writer.root(b"/"))
    info = collection.catalogue.info()
    assert (info.pictures, info.featureless) == (1, 1)
    assert collection.vectors.records().tolist() == []
    assert collection.catalogue.records().tolist() == [1]
    assert collection.catalogue.count() == 1
    assert collection.catalogue.check() == []


def test_a_unit_that_is_interrupted_leaves_nothing(collection, picture):
    with pytest.raises(KeyboardInterrupt), collection.write("test") as writer:
        root = writer.root(b"/r")
        with writer.unit():
            writer.point(b"/r/a", writer.insert(picture(1)), SIGNATURE, root)
        with writer.unit():
            writer.insert(picture(2))
            raise KeyboardInterrupt
    # The first one is kept, the second has left no trace.
    assert collection.catalogue.info().pictures == 1
    assert collection.catalogue.check() == []


def test_readers_see_one_moment_and_never_wait(collection, fill, picture):
    fill(collection, range(3))
    with open_collection(collection.address) as reader, reader.snapshot():
        assert len(reader.vectors.records()) == 3
        with collection.write("test") as writer:
            writer.point(b"/n", writer.insert(picture(9)), SIGNATURE, writer.root(b"/"))
            writer.commit()
            assert len(reader.vectors.records()) == 3
    assert len(collection.vectors.records()) == 4


def test_info_counts_bytes_and_roots(collection, fill):
    fill(collection, range(3), b"/one")
    fill(collection, range(4, 6), b"/two")
    info = collection.catalogue.info()
    assert {path: root.files for path, root in info.roots.items()} == {b"/one": 3, b"/two": 2}
    assert info.bytes >= 5 * 2 * 16
    data = info.to_json()
    assert data["bytes_per_picture"] == round(info.bytes / 5)
    assert data["settings"]["encoding"] == str(Settings().encoding)


def test_another_network_and_back(collection, profile, fill, picture, unit):
    """Descriptors, sketches and profile change in one step, both ways; pictures come and go in between."""
    other = Refit(
        asked="upgrade",
        profile=replace(profile, model="other", model_checksum="cd" * 32, keeps=("sketch",)),
        kinds=(SKETCH_TRACE,),
    )
    fill(collection, range(4))
    with collection.write("test") as writer:
        writer.keep(("points", "sketch"))
        for record in collection.catalogue.records().tolist():
            writer.put_trace(record, "points-1", b"points")
            writer.put_trace(record, SKETCH_TRACE, b"old")

    def held(reader):
        """By content, which vector each picture has, and its traces: numbers are each reader's own."""
        with reader.snapshot():
            records = reader.vectors.records()
            pictures = reader.catalogue.pictures(records.tolist())
            vectors = reader.vectors.of(records)
            traces = [reader.traces.get(kind, list(pictures)) for kind in ("points-1", SKETCH_TRACE)]
        row = [unit(place) for place in range(300)]
        return {
            pictures[record].content[-1]: (
                int(np.argmax(row @ vector)),
                *(found.get(record, b"").decode() for found in traces),
            )
            for record, vector in zip(records.tolist(), vectors, strict=True)
        }

    def put(writer, records):
        content = {record: collection.catalogue.pictures([record])[record].content[-1] for record in records}
        for record in records:
            writer.refitter.put(record, unit(100 + content[record]), {SKETCH_TRACE: b"new"})

    before = {number: (number, "points", "old") for number in range(4)}
    with collection.write("test") as writer:
        writer.refitter.begin(other)
        put(writer, writer.refitter.pending()[:2])
    # In the making: nobody sees it, and it is there for the next turn.
    assert (held(collection), collection.profile.model) == (before, "toy")
    told = collection.catalogue.info().beside
    assert (told.kept, told.done, told.refit.profile.model) == (False, 2, "other")
    with collection.write("test") as writer:
        writer.release([b"/photos/0.jpg"], None)
        writer.point(b"/photos/9", writer.insert(picture(9)), SIGNATURE, writer.root(b"/photos"))
    del before[0]
    before[9] = 9, "", ""
    assert held(collection) == before
    with collection.write("test") as writer:
        assert writer.refitter.unfinished() is not None
        assert len(writer.refitter.pending()) == 3
        put(writer, writer.refitter.pending())
        writer.refitter.finish(keep=True)
    after = {number: (100 + number, before[number][1], "new") for number in before}
    with open_collection(collection.address) as reader:
        for one in (collection, reader):
            assert held(one) == after
            assert (one.profile.model, one.profile.keeps) == ("other", ("points", "sketch"))
    with collection.write("test") as writer:
        writer.point(b"/photos/8", writer.insert(picture(8)), SIGNATURE, writer.root(b"/photos"))
    with collection.write("test") as writer:
        assert writer.refitter.kept().profile.model == "toy"
        [late] = writer.refitter.pending()
        writer.refitter.put(late, unit(8), {SKETCH_TRACE: b"old"})
        writer.refitter.finish(keep=True)
    before[8] = 8, "", "old"
    with open_collection(collection.address) as reader:
        for one in (collection, reader):
            assert held(one) == before
            assert one.profile.model == "toy"
    with collection.write("test") as writer:
        writer.refitter.discard()
        writer.compact()
    assert held(collection) == before
    assert collection.catalogue.info().beside is None
