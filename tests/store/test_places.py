"""Roots that are found from the collection's folder on, and names that are the same for people."""

import os
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camseek.names import absolute
from camseek.patterns import Patterns
from camseek.store import ADDED_BY_HAND, Signature, create_collection, open_collection
from camseek.store.places import Places

SIGNATURE = Signature(1, 2, 3)


class TestPlaces:
    def places(self, *roots):
        return Places(b"/disk/c", roots)

    @pytest.mark.parametrize(
        ("root", "stored"),
        [
            (b"/disk/photos", b".1/photos"),
            (b"/disk/c/photos", b".0/photos"),
            (b"/disk/c", b".0"),
            (b"/disk", b".1"),
            (b"/", b".2"),
            (b"/other/p", b".2/other/p"),
            (b"/disk/.hidden", b".1/.hidden"),
            (b"/disk/c/..dots", b".0/..dots"),
        ],
    )
    def test_the_way_there_and_back(self, root, stored):
        assert self.places().way_to(root) == stored
        assert self.places().whole(stored) == root
        places = self.places(stored)
        for name in (root, root.rstrip(b"/") + b"/a.jpg", root.rstrip(b"/") + b"/x/\xff\n"):
            assert places.whole(places.stored(name)) == name
            assert places.stored(name).startswith(stored)

    def test_others_are_stored_whole(self):
        places = self.places(b".1/photos")
        for name in (b"/disk/photos2", b"/disk/phot", b"/disk", b"camseek:a", b"/x"):
            assert places.stored(name) == name

    def test_the_innermost_root_counts(self):
        places = self.places(b".2", b".1/photos")
        assert places.stored(b"/disk/photos/a") == b".1/photos/a"
        assert places.stored(b"/disk/a") == b".2/disk/a"
        assert places.beneath(b"/disk") == [b"/disk", b".2/disk", b".1/photos"]

    @pytest.mark.parametrize("stored", [b".", b"./a", b"..", b"../a", b".x", b".1x/a", b".99999/a"])
    def test_what_nobody_stored_lies_nowhere_near_the_working_folder(self, stored):
        assert self.places().whole(stored).startswith(b"/")

    PARTS = st.lists(st.sampled_from([b"disk", b"c", b"photos", b"x"]), max_size=4)

    @settings(max_examples=200)
    @given(st.lists(PARTS, max_size=3), PARTS)
    def test_any(self, roots, name):
        path = b"/" + b"/".join(name)
        plain = self.places()
        places = self.places(*{plain.way_to(b"/" + b"/".join(root)) for root in roots})
        assert places.whole(places.stored(path)) == path
        assert all(places.whole(form) == path for form in places.forms(path))
        assert places.stored(path) in places.beneath(path)


@pytest.fixture
def disk(tmp_path, profile, picture):
    """A disk with a collection, and photos beside it: names a/1, a/2, b/3."""
    place = tmp_path / "disk"
    (place / "photos").mkdir(parents=True)
    photos = os.fsencode(place / "photos")
    with create_collection(str(place / "c"), profile) as made, made.write("test") as writer:
        root = writer.root(photos)
        for number, name in enumerate((b"a/1", b"a/2", b"b/3"), 1):
            writer.point(photos + b"/" + name, writer.insert(picture(number)), SIGNATURE, root)
        writer.set_patterns(root, Patterns(("*",), ("raw/", "\udcff*")))
    return place


def stored_paths(disk, table="files"):
    with closing(sqlite3.connect(disk / "c" / "collection.sqlite")) as database:
        return sorted(row[0] for row in database.execute(f"SELECT path FROM {table} WHERE path <> x''"))


def known(disk):
    """Names that the collection gives, less the disk's own."""
    with open_collection(str(disk / "c")) as collection:
        assert collection.catalogue.check() == []
        records = collection.catalogue.records().tolist()
        paths = [path for found in collection.catalogue.pictures(records).values() for path in found.paths]
        with collection.snapshot():
            assert sorted(paths) == sorted(collection.catalogue.ledger().files())
        return sorted(os.path.relpath(os.fsdecode(path), disk) for path in paths)


class TestRelativeRoots:
    NAMES = ("photos/a/1", "photos/a/2", "photos/b/3")

    def test_they_move_with_the_disk(self, disk, tmp_path):
        with open_collection(str(disk / "c")) as collection:
            with collection.write("test") as writer:
                [root] = writer.roots().values()
                writer.anchor(root.number, relative=True)
                writer.anchor(root.number, relative=True)
            assert collection.catalogue.info().roots[root.path].relative
        assert stored_paths(disk) == [b".1/photos/a/1", b".1/photos/a/2", b".1/photos/b/3"]
        assert stored_paths(disk, "roots") == [b".1/photos"]
        assert known(disk) == list(self.NAMES)
        moved = tmp_path / "elsewhere" / "mounted"
        moved.parent.mkdir()
        disk.rename(moved)
        assert known(moved) == list(self.NAMES)
        with open_collection(str(moved / "c")) as collection, collection.write("test") as writer:
            photos = os.fsencode(moved / "photos")
            [root] = writer.roots().values()
            assert (root.path, root.files, root.relative) == (photos, 3, True)
            assert root.patterns == Patterns(("*",), ("raw/", "\udcff*"))
            assert writer.root(photos) == root.number
            assert writer.claimed(root.number) == set(writer.files())
            assert writer.files_under(photos + b"/a") == [photos + b"/a/1", photos + b"/a/2"]
            assert writer.files_under(os.fsencode(tmp_path)) == sorted(writer.files())
            assert writer.record(photos + b"/a/1") == 1
            assert writer.claimants(photos + b"/a/1") == {root.number}
            assert writer.release([photos + b"/a/1"], root.number) == [photos + b"/a/1"]
        assert known(moved) == list(self.NAMES[1:])

    def test_and_become_whole_again(self, disk):
        with open_collection(str(disk / "c")) as collection, collection.write("test") as writer:
            [root] = writer.roots().values()
            whole = sorted(writer.files())
            inner = writer.root(os.fsencode(disk / "photos" / "a"))
            writer.claim(os.fsencode(disk / "photos/a/1"), inner)
            writer.anchor(root.number, relative=True)
            assert writer.roots()[os.fsencode(disk / "photos/a")].relative
            writer.anchor(root.number, relative=False)
            writer.anchor(inner, relative=False)
        assert stored_paths(disk) == whole
        assert known(disk) == list(self.NAMES)

    def test_one_in_another(self, disk):
        with open_collection(str(disk / "c")) as collection, collection.write("test") as writer:
            [root] = writer.roots().values()
            outer = writer.root(os.fsencode(disk.parent), relative=True)
            writer.anchor(root.number, relative=True)
            writer.claim(os.fsencode(disk / "photos/a/1"), outer)
            assert known_paths(writer, disk) == list(self.NAMES)
        # Stored from the innermost on.
        assert stored_paths(disk)[0] == b".1/photos/a/1"
        with open_collection(str(disk / "c")) as collection, collection.write("test") as writer:
            assert writer.roots()[os.fsencode(disk / "photos")].within == os.fsencode(disk.parent)
            writer.anchor(root.number, relative=False)
            assert known_paths(writer, disk) == list(self.NAMES)
        assert stored_paths(disk)[0] == b".2/disk/photos/a/1"
        with open_collection(str(disk / "c")) as collection, collection.write("test") as writer:
            writer.release(writer.files_under(b"/"), None)
            writer.point(os.fsencode(disk / "x"), 1, SIGNATURE, ADDED_BY_HAND)
            writer.drop_root(outer)
        # What was added by hand stays, by its whole name.
        assert stored_paths(disk) == [os.fsencode(disk / "x")]
        assert known(disk) == ["x"]

    def test_a_copy_was_indexed_where_the_disk_is_now(self, disk, tmp_path, picture):
        moved = tmp_path / "new"
        with open_collection(str(disk / "c")) as collection, collection.write("test") as writer:
            [root] = writer.roots().values()
            writer.anchor(root.number, relative=True)
            other = writer.root(os.fsencode(moved / "photos"))
            for number, name in ((1, b"a/1"), (9, b"a/9")):
                path = os.fsencode(moved / "photos") + b"/" + name
                writer.point(path, writer.insert(picture(number)), SIGNATURE, other)
        disk.rename(moved)
        assert known(moved) == ["photos/a/1", "photos/a/2", "photos/a/9", "photos/b/3"]
        with open_collection(str(moved / "c")) as collection, collection.write("test") as writer:
            assert writer.claimants(os.fsencode(moved / "photos/a/1")) == {root.number}
            assert [(item.number, item.files) for item in writer.roots().values()] == [(root.number, 4)]
            assert other != root.number
        assert known(moved) == ["photos/a/1", "photos/a/2", "photos/a/9", "photos/b/3"]
        assert all(path.startswith(b".1/photos/") for path in stored_paths(moved))

    def test_links_to_both(self, disk, tmp_path):
        (tmp_path / "link").symlink_to(disk)
        (tmp_path / "far").mkdir()
        (tmp_path / "far" / "c").symlink_to(disk / "c")
        with (
            open_collection(str(tmp_path / "far" / "c")) as collection,
            collection.write("test") as writer,
        ):
            number = writer.root(os.fsencode(tmp_path / "link" / "photos" / "new"), relative=True)
            assert writer.root(os.fsencode(disk / "photos" / "new")) == number
            assert os.fsencode(disk / "photos" / "new") in writer.roots()
            # The same folder, indexed by either name before.
            number = writer.root(os.fsencode(tmp_path / "link"))
            writer.root(os.fsencode(disk), relative=True)
            writer.anchor(number, relative=True)
            assert [path for path in writer.roots() if path.endswith(b"disk")] == [os.fsencode(disk)]


def known_paths(writer, disk):
    return sorted(os.path.relpath(os.fsdecode(path), disk) for path in writer.files())


class TestSpelling:
    @pytest.fixture
    def spelt(self, tmp_path):
        place = tmp_path / "e\u0301te\u0301"
        place.mkdir()
        (place / "\u00e0.jpg").write_bytes(b"")
        return place

    def test_a_name_as_the_disk_has_it(self, spelt):
        there = os.fsencode(spelt / "\u00e0.jpg")
        assert absolute(spelt.parent / "\u00e9t\u00e9" / "a\u0300.jpg") == there
        assert absolute(there) == there
        # What is not there stays as it was given, beneath what is.
        assert absolute(spelt.parent / "\u00e9t\u00e9" / "\u00e9.jpg") == os.fsencode(spelt / "\u00e9.jpg")
        assert absolute("/no\u00e9/\u00e9") == "/no\u00e9/\u00e9".encode()

    def test_the_exact_one_wins(self, spelt):
        (spelt / "a\u0300.jpg").write_bytes(b"")
        for name in ("a\u0300.jpg", "\u00e0.jpg"):
            assert absolute(spelt / name) == os.fsencode(spelt / name)

    def test_a_stored_name_of_something_that_is_gone(self, collection, picture):
        with collection.write("test") as writer:
            record = writer.insert(picture(1))
            for name in ("/\u00e9/1", "/\u00e9/\u00e0", "/e\u0301\u0301", "/other"):
                writer.point(name.encode(), record, SIGNATURE, ADDED_BY_HAND)
            assert writer.files_like("/e\u0301".encode()) == ["/\u00e9/1".encode(), "/\u00e9/\u00e0".encode()]
            assert writer.files_like("/e\u0301/a\u0300".encode()) == ["/\u00e9/\u00e0".encode()]
            assert writer.files_like(b"/other") == []
            assert writer.files_like(b"/e") == []
