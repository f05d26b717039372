"""Files by name, by what lies beneath, and by size, in collections of many files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camseek.results import Skipped
from camseek.store import ADDED_BY_HAND, Signature, SkippedEntry, create_collection

NAMES = [
    b"/",
    b"/a",
    b"/a!",
    b"/a!/x",
    b"/a.jpg",
    b"/a/",
    b"/a/b",
    b"/a/b/c",
    b"/a/\xff\xff",
    b"/a0",
    b"/a0/b",
]
NAMES += [b"/aa", b"/a\x00", b"/A/b", b"/\xff", b"/\xff/a", b"relative", b"relative/a"]


def plainly_under(names, name):
    under = name.rstrip(b"/") + b"/"
    return sorted(file for file in names if file == name or file.startswith(under))


@pytest.fixture
def named(collection, picture):
    with collection.write("test") as writer:
        record = writer.insert(picture(1))
        for name in NAMES:
            writer.point(name, record, Signature(1, 2, 3), ADDED_BY_HAND)
    return collection


@pytest.mark.parametrize("name", [*NAMES, b"/a//", b"//", b"/b", b"/a/b/", b"/\xff/"])
def test_odd_names(named, name):
    with named.write("test") as writer:
        assert writer.files_under(name) == plainly_under(NAMES, name)


def test_an_empty_name_is_a_callers_bug(named):
    with named.write("test") as writer:
        for ask in (writer.files_under, writer.forget):
            with pytest.raises(ValueError, match="empty"):
                ask(b"")


def test_what_lies_beneath_leaves_and_nothing_else(named):
    with named.write("test") as writer:
        left = writer.release(writer.files_under(b"/a"), None)
    assert left == [b"/a", b"/a/", b"/a/b", b"/a/b/c", b"/a/\xff\xff"]
    assert named.catalogue.pictures([1])[1].paths == tuple(sorted(set(NAMES) - set(left)))


PARTS = st.lists(st.sampled_from([b"a", b"/", b"0", b"!", b"\xff", b"\x00"]), max_size=5)


@settings(max_examples=40)
@given(st.sets(PARTS.map(lambda parts: b"/" + b"".join(parts)), max_size=12), PARTS)
def test_any_names(tmp_path_factory, names, parts):
    name = b"/" + b"".join(parts)
    from camseek.config import Settings
    from camseek.store import PictureRecord, Profile

    profile = Profile(model="toy", model_checksum="ab" * 32, settings=Settings(), dimensions=2)
    with (
        create_collection(str(tmp_path_factory.mktemp("c")), profile) as made,
        made.write("test") as writer,
    ):
        record = writer.insert(
            PictureRecord(content=bytes(32), size=(1, 1), format="JPEG", frames=1, descriptor=None)
        )
        for file in names:
            writer.point(file, record, Signature(1, 2, 3), ADDED_BY_HAND)
            writer.remember(SkippedEntry(Signature(1, 1, 1), Skipped(file, "broken", "damaged"), "0"), 0)
        under = plainly_under(names, name)
        assert writer.files_under(name) == under
        assert writer.forget(name) is bool(under)
        assert sorted(writer.skipped(0)) == sorted(names - set(under))


class TestForgetting:
    def test_roots_beneath_that_are_idle(self, collection, picture):
        with collection.write("test") as writer:
            for path in (b"/a", b"/a/idle", b"/a/used", b"/a/skips", b"/a0", b"/a!"):
                writer.root(path)
            used, skips = writer.root(b"/a/used"), writer.root(b"/a/skips")
            writer.point(b"/elsewhere", writer.insert(picture(1)), Signature(1, 2, 3), used)
            entry = SkippedEntry(Signature(1, 1, 1), Skipped(b"/far", "broken", "damaged"), "0")
            writer.remember(entry, skips)
            assert writer.forget(b"/a")
            assert not writer.forget(b"/a")
        assert set(collection.catalogue.info().roots) == {b"/a/used", b"/a/skips", b"/a0", b"/a!"}

    def test_what_was_added_by_hand_is_no_root(self, collection):
        with collection.write("test") as writer:
            assert not writer.forget(b"/")
            assert writer.root(b"/x") != ADDED_BY_HAND
            assert writer.forget(b"/")


def test_contents_of_sizes(collection, picture):
    def content(number):
        return number.to_bytes(32, "big")

    with collection.write("test") as writer:
        root = writer.root(b"/r")
        # Two contents of a size, one content under two names, and one whose two names differ in size.
        for number, size in ((1, 100), (2, 100), (3, 2**40), (3, 7), (1, 100)):
            record = writer.insert(picture(number))
            writer.point(b"/r/%d-%d-%d" % (number, size, record), record, Signature(size, 1, 1), root)
        writer.point(b"/r/again", writer.insert(picture(1)), Signature(100, 1, 1), root)
        assert writer.contents_of_sizes({100, 7, 8}) == {100: {content(1), content(2)}, 7: {content(3)}}
        assert writer.contents_of_sizes([2**40]) == {2**40: {content(3)}}
        assert writer.contents_of_sizes(range(200, 3000)) == {}
        assert writer.contents_of_sizes([]) == {}
