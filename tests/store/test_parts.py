"""Parts of a collection on a server, each with a mirror of its own.

The server is a stand-in, and its contents are digests, as those of pictures are.
"""

from dataclasses import replace

import numpy as np
import pytest

from camseek.errors import CollectionError
from camseek.matching.index import WordsIndex
from camseek.matching.words import WordPoints
from camseek.store import POINTS_TRACE, Refit, Signature, beside
from camseek.store.milvus import MilvusCollection
from camseek.store.milvus import collection as collection_module
from camseek.store.milvus.parts import WHOLE, Part, number_of
from camseek.store.records import MOST_SHARDS
from milvus_stand_in import StandIn
from parted import ADDRESS, as_query, content, packed, points


@pytest.fixture
def server(monkeypatch):
    kind = type("OwnStandIn", (StandIn,), {"data": {}})
    monkeypatch.setattr(collection_module, "Server", kind)
    monkeypatch.setattr(collection_module, "_LOOK_EVERY", 0.0)
    return kind


@pytest.fixture
def whole(server, profile):
    with MilvusCollection.make(ADDRESS, profile) as made:
        yield made


@pytest.fixture
def opened(whole):
    """Opens all parts of so many."""
    made = []

    def do(of):
        made.extend(MilvusCollection(ADDRESS, part=Part(number, of)) for number in range(of))
        return made[-of:]

    yield do
    for collection in made:
        collection.close()


@pytest.fixture
def put(picture):
    """Puts pictures of numbers, each under the name of another one where that is said."""

    def do(collection, numbers, **names):
        with collection.write("test") as writer:
            root = writer.root(b"/r")
            for number in numbers:
                record = writer.insert(
                    replace(picture(number), content=content(number), traces={POINTS_TRACE: packed(number)})
                )
                name = names.get(f"_{number}", number)
                writer.point(b"/r/%d" % name, record, Signature(1, 2, 3), root)

    return do


def held(collection):
    """The names of each content."""
    pictures = collection.catalogue.pictures(collection.catalogue.records().tolist())
    return {picture.content: picture.paths for picture in pictures.values()}


def together(parts):
    found = {}
    for part in parts:
        own = held(part)
        assert not found.keys() & own.keys()
        found |= own
    return found


@pytest.mark.parametrize("of", [1, 2, 3, 7, MOST_SHARDS])
def test_each_content_is_in_one_part_and_in_its_filter(of):
    contents = [content(number) for number in range(300)]
    contents += [
        bytes(32),
        b"\xff" * 32,
        *(bytes.fromhex(f"{n * 2**32 // of:08x}".ljust(64, "0")) for n in range(of)),
    ]
    for one in contents:
        number = number_of(one, of)
        for part in {number, max(number - 1, 0), min(number + 1, of - 1)}:
            condition = Part(part, of).condition.removeprefix(" and ") or "True"
            assert eval(condition, {}, {"content": one.hex()}) == (part == number)
            assert Part(part, of).holds(one) == (part == number)
    counts = np.bincount([number_of(content(n), min(of, 7)) for n in range(2000)])
    assert counts.min() > 200


@pytest.mark.parametrize(("number", "of"), [(0, 0), (-1, 2), (2, 2), (0, MOST_SHARDS + 1)])
def test_parts_that_there_are_not(number, of):
    with pytest.raises(ValueError, match="there is no part"):
        Part(number, of)


def test_words_for_people():
    assert str(Part(1, 3)) == "2 of 3"
    assert WHOLE.is_whole
    assert WHOLE.condition == WHOLE.condition_of_rows == ""


@pytest.mark.parametrize("of", [1, 2, 3])
def test_parts_together_are_the_whole(whole, opened, put, of):
    put(whole, range(20))
    parts = opened(of)
    assert together(parts) == held(whole)
    assert len(held(whole)) == 20
    assert all(part.catalogue.count() for part in parts)
    # What comes and goes is seen by the parts that it is of.
    put(whole, range(20, 26))
    with whole.write("test") as writer:
        writer.release([b"/r/3", b"/r/21"], None)
    assert together(parts) == held(whole)
    assert len(held(whole)) == 24
    assert [part.catalogue.check() for part in parts] == [[]] * of
    assert sum(part.catalogue.info().files for part in parts) == 24


def test_a_file_that_has_another_picture_leaves_its_part(whole, opened, put):
    two = next(number for number in range(1, 99) if number_of(content(number), 2) != number_of(content(0), 2))
    put(whole, [0])
    put(whole, [0], _0=500)  # another file of the same picture, so that this stays
    parts = opened(2)
    assert together(parts) == {content(0): (b"/r/0", b"/r/500")}
    put(whole, [two], **{f"_{two}": 0})
    assert together(parts) == held(whole) == {content(0): (b"/r/500",), content(two): (b"/r/0",)}


def test_a_part_is_only_read(whole, opened):
    with pytest.raises(CollectionError, match="a part of milvus://"), opened(2)[0].write("test"):
        pass


def test_mirrors_of_parts_are_kept_and_have_names(whole, opened, put):
    put(whole, range(9))
    first = opened(3)
    names = [part.mirror_name for part in first]
    assert len(set(names)) == 3
    asked = [part.catalogue.records().tolist() for part in first]
    for part in first:
        part.close()
    again = opened(3)
    assert [part.mirror_name for part in again] == names
    assert [part.catalogue.records().tolist() for part in again] == asked
    assert sum(part._server.asked["camseek_pictures_16"] for part in again) == 0
    [other, *_] = opened(2)
    assert other.mirror_name not in names
    # A second one of the same part has a place of its own.
    [beside_it, *_] = opened(3)
    assert beside_it.mirror_name not in names


def test_epochs_are_the_same_word_everywhere(whole, opened, put):
    put(whole, range(6))
    parts = opened(2)

    def epochs():
        found = set()
        for part in (whole, *parts):
            with part.snapshot():
                found.add(part.epoch())
        return found

    before = epochs()
    assert len(before) == 1
    with whole.write("fit") as writer:
        writer.refitter.begin(Refit(asked="so", profile=whole.profile))
        for record in writer.refitter.pending():
            writer.refitter.put(record, np.eye(16, dtype=np.float32)[record % 16])
        writer.refitter.finish()
    for part in parts:
        part.catch_up()
    assert len(epochs()) == 1
    assert epochs() != before


def test_what_is_made_of_a_mirror_is_saved(whole, opened, put, monkeypatch):
    monkeypatch.setattr(beside, "LEAST_SAVED", 5)
    put(whole, range(20))
    [part] = opened(1)
    part.save()
    assert (part._folder / "words.index").exists()
    part.close()
    read = []
    unpack = WordPoints.unpack
    monkeypatch.setattr(WordPoints, "unpack", lambda *given: read.append(given) or unpack(*given))
    [again] = opened(1)
    query = as_query(points(3))
    assert len(again.words.scores(query)[0]) == 20
    assert read == []


def test_points_that_are_replaced_while_it_is_saved_are_seen(whole, opened, put, monkeypatch):
    """Searches pull beside whoever saves: what was made of the old points is not named for the new ones."""
    monkeypatch.setattr(beside, "LEAST_SAVED", 2)
    put(whole, range(4))
    [part] = opened(1)
    query, record = as_query(points(77)), part.catalogue.find(content(2))
    written = WordsIndex.save

    def save(index, *given):
        written(index, *given)
        with whole.write("enrich") as writer:
            writer.put_trace(whole.catalogue.find(content(2)), POINTS_TRACE, packed(77))
        part.catalogue.count()  # a search of another thread

    with monkeypatch.context() as patch:
        patch.setattr(WordsIndex, "save", save)
        part.save()

    def best(collection):
        records, scores = collection.words.scores(query)
        assert scores.max() > 0.9
        return records[scores.argmax()]

    assert best(part) == record
    part.close()
    [again] = opened(1)
    assert best(again) == record
    again.save()
    assert best(again) == record


def test_points_that_were_replaced_are_seen(whole, opened, put):
    put(whole, range(4))
    [part] = opened(1)
    query = as_query(points(77))
    assert part.words.scores(query)[1].max() < 0.5
    with whole.write("test") as writer:
        writer.put_trace(whole.catalogue.find(content(2)), POINTS_TRACE, packed(77))
    records, scores = part.words.scores(query)
    assert records[scores.argmax()] == part.catalogue.find(content(2))
    assert scores.max() > 0.9
