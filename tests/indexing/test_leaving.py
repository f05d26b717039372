"""What leaves a collection with an index run, what is only said, and roots that were moved."""

import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from camseek import Engine
from camseek.errors import DamagedPictureError, SettingsError, SourceError
from camseek.extraction.describer import Describer
from camseek.images import FoundFile, fingerprint
from camseek.indexing import bringing, leaving
from camseek.indexing.bringing import Asked, rehearse
from camseek.indexing.leaving import same_file
from camseek.job import Job
from camseek.patterns import Patterns
from camseek.store import PictureRecord, Signature

HEAD = b"\xff\xd8\xff\xe0"


@pytest.fixture(autouse=True)
def _nothing_is_decoded(monkeypatch):
    """Hundreds of files: each holds a head and a number, and is described in no time."""
    vector = np.zeros(1280, np.float32)
    vector[7] = 1

    def record(self, file, name=None, *, known=()):
        content = fingerprint(file)
        if content in known:
            return content, None, ()
        if file.read(4) != HEAD:
            raise DamagedPictureError("it is broken", remedy="restore it")
        return (
            content,
            PictureRecord(content=content, size=(4, 3), format="JPEG", frames=1, descriptor=vector),
            (),
        )

    monkeypatch.setattr(Describer, "record", record)


@pytest.fixture
def pile(tmp_path):
    """Makes files of contents of their own in a folder; gives the folder."""

    def make(names, folder="photos"):
        place = tmp_path / folder
        for name in names:
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(HEAD + os.fsencode(name))
        return place

    return make


def numbered(count, folder=""):
    return [f"{folder}{number}.jpg" for number in range(count)]


def known(engine):
    return {os.fsdecode(path) for picture in engine for path in picture.paths}


def content_of(address):
    """Everything in a collection, and its folder's files."""
    with closing(sqlite3.connect(address / "collection.sqlite")) as database:
        return [*database.iterdump()], sorted(os.listdir(address))


class TestMassRemoval:
    def test_an_unmounted_folder(self, engine, pile, tmp_path):
        folder = pile(numbered(80) + numbered(15, "disk/x/") + numbered(15, "disk/y/"))
        engine.index(folder)
        (folder / "disk").rename(tmp_path / "away")
        pile(["new.jpg"])
        (folder / "3.jpg").rename(folder / "three.jpg")
        report = engine.index(folder)
        assert report.held
        assert (report.added, report.moved, report.unchanged, report.removed) == (1, 1, 79, 0)
        removal = report.removal
        assert (removal.files, removal.of, removal.reasons) == (30, 110, {"missing": 30})
        # The folder that is away, and not each one in it.
        assert removal.folders == {os.fsencode(folder / "disk"): 30}
        assert len(removal.names) == 30
        assert str(folder / "3.jpg") not in known(engine)
        assert len(known(engine)) == 111
        # Back again, nothing has happened.
        (tmp_path / "away").rename(folder / "disk")
        report = engine.index(folder)
        assert (report.unchanged, report.removal) == (111, None)

    def test_it_goes_where_it_is_asked_for(self, engine, pile):
        folder = pile(numbered(80) + numbered(30, "gone/"))
        engine.index(folder)
        shutil.rmtree(folder / "gone")
        report = engine.index(folder, allow_removal=True)
        assert (report.removed, report.held, report.removal.files) == (30, False, 30)
        assert len(known(engine)) == 80

    @pytest.mark.parametrize(
        ("all_", "gone", "held"), [(100, 20, False), (100, 21, True), (300, 30, False), (300, 31, True)]
    )
    def test_how_much_is_much(self, engine, pile, all_, gone, held):
        folder = pile(numbered(all_))
        engine.index(folder)
        for name in numbered(gone):
            (folder / name).unlink()
        report = engine.index(folder)
        assert (report.held, report.removed) == (held, 0 if held else gone)

    def test_a_root_within_loses_much(self, engine, pile):
        folder = pile(numbered(300) + numbered(25, "sub/"))
        engine.index(folder / "sub")
        engine.index(folder)
        shutil.rmtree(folder / "sub")
        (folder / "sub").mkdir()
        report = engine.index(folder)
        # 25 of 325 would be less than a tenth: they are all that the other root has.
        assert (report.held, report.removed, len(known(engine))) == (True, 0, 325)
        assert engine.index(folder, allow_removal=True).removed == 25

    def test_patterns_that_leave_out_much_are_not_kept_until_it_is_allowed(self, engine, pile):
        folder = pile(numbered(50) + numbered(40, "raw/"))
        engine.index(folder)
        report = engine.index(folder, exclude=["raw/"])
        assert (report.held, report.removal.reasons) == (True, {"excluded": 40})
        assert report.removal.folders == {os.fsencode(folder / "raw"): 40}
        assert engine.index(folder).unchanged == 90
        report = engine.index(folder, exclude=["raw/"], allow_removal=True)
        assert (report.held, report.removed, report.patterns_before) == (False, 40, Patterns())
        for exclude in (["raw/"], ["none/", "raw/"], ["raw/", "none/"]):
            assert engine.index(folder, exclude=exclude).patterns_before == Patterns()
        report = engine.index(folder, exclude=["raw/"], include=["*.jpg"])
        assert report.patterns_before == Patterns(exclude=("none/",))
        assert engine.index(folder, exclude=["raw/"]).patterns_before == Patterns(include=("*.jpg",))
        report = engine.index(folder)
        assert (report.unchanged, report.patterns, report.patterns_from) == (
            50,
            Patterns(exclude=("raw/",)),
            "stored",
        )
        # Everything that is left: no disk is away, but a pattern may be wrong all the same.
        assert engine.index(folder, include=["*.png"]).held

    def test_a_disk_that_returns_garbage(self, engine, pile):
        folder = pile(numbered(60))
        engine.index(folder)
        for name in numbered(60)[:40]:
            (folder / name).write_bytes(b"garbage")
        for _ in range(2):
            report = engine.index(folder)
            assert (report.held, report.removal.reasons, report.removed) == (True, {"damaged": 40}, 0)
            assert len(report.skipped) == 40
            assert len(known(engine)) == 60
        assert len(engine.info().skipped) == 40
        # Tried again, and right again.
        pile(numbered(40))
        report = engine.index(folder)
        assert (report.unchanged, report.skipped, engine.info().skipped) == (60, [], [])
        for name in numbered(60)[:40]:
            (folder / name).write_bytes(b"garbage")
        report = engine.index(folder, allow_removal=True)
        assert (report.removed, len(known(engine))) == (40, 20)
        assert engine.index(folder).skipped_before == {os.fsencode(folder / name) for name in numbered(40)}

    def test_the_last_one_damaged(self, engine, pile):
        folder = pile(["only.jpg"])
        engine.index(folder)
        (folder / "only.jpg").write_bytes(b"garbage")
        assert engine.index(folder).held
        assert engine.index(folder, allow_removal=True).removed == 1

    def test_reasons_of_every_kind(self, engine, pile):
        folder = pile(["a", "b.jpg", "c/d.jpg", "e.jpg", "f.jpg", *numbered(20)])
        engine.index(folder)
        (folder / "a").write_bytes(b"text")
        (folder / "b.jpg").write_bytes(b"")
        (folder / "c").rename(folder / ".c")
        (folder / "e.jpg").unlink()
        (folder / "e.jpg").symlink_to("nowhere")
        (folder / "f.jpg").write_bytes(b"garbage")
        removal = engine.index(folder).removal
        assert removal.reasons == {"not_a_picture": 2, "missing": 1, "broken_link": 1, "damaged": 1}

    def test_what_another_root_holds_does_not_count(self, engine, pile):
        folder = pile(numbered(30, "in/") + numbered(30))
        engine.index(folder / "in")
        engine.index(folder)
        report = engine.index(folder, exclude=["in"])
        assert (report.held, report.removed, report.removal) == (False, 0, None)
        assert len(known(engine)) == 60


class TestDryRuns:
    def test_it_says_what_would_be_and_changes_nothing(self, engine, pile, address):
        folder = pile(["same.jpg", "change.jpg", "gone.jpg", "x/move.jpg", "touch.jpg"])
        engine.index(folder)
        pile(["new.jpg"])
        (folder / "copy.jpg").write_bytes((folder / "same.jpg").read_bytes())
        (folder / "change.jpg").write_bytes(HEAD + b"other")
        (folder / "gone.jpg").unlink()
        (folder / "x/move.jpg").rename(folder / "moved.jpg")
        (folder / "text.jpg").write_bytes(b"no picture")
        os.utime(folder / "touch.jpg")
        before = content_of(address)
        report = engine.index(folder, dry_run=True)
        assert content_of(address) == before
        changes = {(item.what, os.path.basename(item.path), item.old) for item in report.changes}
        assert changes == {
            ("added", b"new.jpg", None),
            ("added", b"copy.jpg", None),
            ("changed", b"change.jpg", None),
            ("removed", b"gone.jpg", None),
            ("moved", b"moved.jpg", os.fsencode(folder / "x/move.jpg")),
            ("skipped", b"text.jpg", None),
        }
        # The run itself says the same.
        done = engine.index(folder)
        for key in ("added", "changed", "unchanged", "moved", "removed", "encoded"):
            assert getattr(report, key) == getattr(done, key), key
        assert (report.dry_run, done.dry_run, done.changes) == (True, False, [])
        assert [item.path for item in report.skipped] == [item.path for item in done.skipped]
        assert report.to_json()["changes"]
        assert "changes" not in done.to_json()

    def test_what_would_be_held_back(self, engine, pile):
        folder = pile(numbered(60))
        engine.index(folder)
        report = engine.index(folder, exclude=["[1-5]?.jpg"], dry_run=True)
        assert (report.held, report.removal.files, report.removed) == (True, 50, 0)
        report = engine.index(folder, exclude=["[1-5]?.jpg"], allow_removal=True, dry_run=True)
        assert (report.held, report.removed, len(report.changes)) == (False, 50, 50)
        assert engine.index(folder).unchanged == 60

    @pytest.mark.parametrize("known", [("link",), ("link", "photos"), ("photos/in",), ("photos/in", "link")])
    @pytest.mark.parametrize("given", ["link", "photos"])
    def test_a_folder_behind_a_link_that_becomes_relative(self, engine, pile, tmp_path, known, given):
        """Its names become those of the place that the link leads to: nothing goes, and nothing comes."""
        folder = pile([*numbered(3), "deep/4.jpg"])
        (tmp_path / "link").symlink_to(folder)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/5.jpg").write_bytes(HEAD + b"five")
        (folder / "in").symlink_to(tmp_path / "elsewhere")
        for name in known:
            engine.index(tmp_path / name)
        (folder / "text.jpg").write_bytes(b"no picture")
        report = engine.index(tmp_path / given, relative=True, dry_run=True)
        done = engine.index(tmp_path / given, relative=True)
        for key in ("added", "changed", "unchanged", "moved", "removed", "encoded"):
            assert getattr(report, key) == getattr(done, key), key
        if given in known:
            assert (report.added, report.removed, report.changes[0].what) == (0, 0, "skipped")

    def test_it_is_of_one_moment(self, engine, pile, address, model, monkeypatch):
        """What another process does meanwhile does not mix with what was known."""
        folder = pile(numbered(3))
        engine.index(folder)
        (folder / "0.jpg").rename(folder / "moved.jpg")
        walk = bringing.find_pictures

        def meanwhile(*arguments, **options):
            with Engine.open(address, model=model) as other:
                other.remove([folder])
            return walk(*arguments, **options)

        monkeypatch.setattr(bringing, "find_pictures", meanwhile)
        report = engine.index(folder, dry_run=True)
        assert len(engine) == 0
        assert (report.unchanged, report.moved, report.added, report.encoded) == (2, 1, 0, 0)

    def test_without_a_collection(self, pile, tmp_path):
        folder = pile(numbered(3))
        report = rehearse(None, "there", Asked(folder, exclude=["2.jpg"]), job=Job())
        assert (report.added, report.encoded, report.collection) == (2, 2, "there")
        assert sorted(os.listdir(tmp_path)) == ["photos"]
        with pytest.raises(SourceError):
            rehearse(None, "there", Asked(tmp_path / "none"), job=Job())

    def test_while_another_process_writes(self, engine, pile, model, address):
        folder = pile(numbered(3))
        with (
            Engine.open(address, model=model) as other,
            other.collection.write("test") as writer,
            writer.unit(),
        ):
            assert engine.index(folder, dry_run=True).added == 3
            assert engine.remove([folder], dry_run=True).removed == 0

    def test_removals(self, engine, pile, address):
        folder = pile(["a.jpg", "in/b.jpg", "in/c.jpg"])
        engine.index(folder)
        before = content_of(address)
        names = [folder / "in", folder / "in" / "b.jpg", folder / "none.jpg"]
        told = engine.remove(names, dry_run=True)
        assert content_of(address) == before
        done = engine.remove(names)
        assert (told.files, told.names, told.unknown) == (done.files, done.names, done.unknown)
        assert told.names == {os.fsencode(folder / "in"): 2}
        assert told.unknown == (os.fsencode(folder / "none.jpg"),)
        assert (told.dry_run, done.dry_run) == (True, False)
        assert known(engine) == {str(folder / "a.jpg")}


class TestMovedRoots:
    NAMES = (*numbered(30), *numbered(10, "in/"))

    def test_one_that_was_renamed(self, engine, pile):
        folder = pile(self.NAMES)
        engine.index(folder, exclude=["none/"])
        other = folder.rename(folder.with_name("bilder"))
        report = engine.index(other)
        assert (report.moved, report.added, report.encoded, report.removed) == (40, 0, 0, 0)
        [old] = report.old_roots
        assert (old.path, old.files, old.of, old.moved) == (os.fsencode(folder), 40, 40, True)
        assert known(engine) == {str(other / name) for name in self.NAMES}
        # Its patterns went along.
        assert list(engine.info().roots) == [os.fsencode(other)]
        assert engine.info().roots[os.fsencode(other)].patterns == Patterns(exclude=("none/",))
        assert report.patterns_from == "moved"
        report = engine.index(other)
        assert (report.unchanged, report.old_roots, report.patterns_from) == (40, [], "stored")
        assert engine.collection.catalogue.check() == []

    def test_copies_move_as_all_others_do(self, engine, pile):
        folder = pile(["a.jpg", "b.jpg", "c.jpg"])
        for name in ("0.jpg", "in/a.jpg", "z.jpg"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes((folder / "a.jpg").read_bytes())
        engine.index(folder)
        other = folder.rename(folder.with_name("bilder"))
        # One more name of the content is new, and one of the old ones has another name now.
        (other / "1.jpg").write_bytes((other / "a.jpg").read_bytes())
        (other / "z.jpg").rename(other / "last.jpg")
        told = engine.index(other, dry_run=True)
        moved = {item.path: item.old for item in told.changes if item.what == "moved"}
        assert moved[os.fsencode(other / "in/a.jpg")] == os.fsencode(folder / "in/a.jpg")
        assert sorted(filter(None, moved.values())) == sorted(
            os.fsencode(folder / name) for name in ("0.jpg", "a.jpg", "b.jpg", "c.jpg", "in/a.jpg", "z.jpg")
        )
        report = engine.index(other)
        for counts in (told, report):
            assert (counts.moved, counts.added, counts.removed) == (6, 1, 0)
        assert report.encoded == 0

    def test_into_another_root(self, engine, pile):
        folder, archive = pile(self.NAMES), pile(["old.jpg"], "archive")
        engine.index(folder)
        engine.index(archive)
        folder.rename(archive / "photos")
        report = engine.index(archive)
        assert (report.moved, report.unchanged, report.encoded) == (40, 1, 0)
        assert list(engine.info().roots) == [os.fsencode(archive)]

    def test_with_the_roots_in_it(self, engine, pile):
        folder = pile(self.NAMES)
        engine.index(folder / "in")
        engine.index(folder)
        other = folder.rename(folder.with_name("bilder"))
        report = engine.index(other)
        assert (report.moved, report.encoded) == (40, 0)
        assert list(engine.info().roots) == [os.fsencode(other)]

    def test_a_run_that_was_stopped_goes_on(self, engine, pile):
        folder = pile(self.NAMES)
        engine.index(folder)
        other = folder.rename(folder.with_name("bilder"))

        class Stop:
            def start(self, total):
                self.left = 20

            def step(self):
                self.left -= 1
                if not self.left:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            engine.index(other, progress=Stop())
        report = engine.index(other)
        assert (report.encoded, report.unchanged, report.moved) == (0, 20, 20)
        assert known(engine) == {str(other / name) for name in self.NAMES}

    def test_some_of_it_is_gone(self, engine, pile):
        folder = pile(self.NAMES)
        engine.index(folder)
        other = folder.rename(folder.with_name("bilder"))
        (other / "0.jpg").unlink()
        report = engine.index(other)
        assert (report.moved, report.removed, report.old_roots[0].files) == (39, 1, 39)
        assert list(engine.info().roots) == [os.fsencode(other)]

    def test_too_much_of_it_is_gone(self, engine, pile):
        folder = pile(self.NAMES + tuple(numbered(22, "more/")))
        engine.index(folder)
        other = folder.rename(folder.with_name("bilder"))
        shutil.rmtree(other / "more")
        report = engine.index(other)
        assert (report.moved, report.held, report.removal.files) == (40, True, 22)
        # What was not found keeps its names, in the root that is not there.
        assert engine.info().roots[os.fsencode(folder)].files == 22
        report = engine.index(other, allow_removal=True)
        assert report.removed == 0
        assert engine.remove([folder]).removed == 22
        assert list(engine.info().roots) == [os.fsencode(other)]

    @pytest.mark.parametrize("copy", [shutil.copy, shutil.copy2])
    def test_a_copy_of_one_that_is_not_mounted_is_none(self, engine, pile, tmp_path, copy):
        folder = pile(self.NAMES)
        engine.index(folder)
        shutil.copytree(folder, tmp_path / "copy", copy_function=copy)
        folder.rename(tmp_path / "unmounted")
        report = engine.index(tmp_path / "copy")
        assert (report.added, report.moved, report.encoded, report.removed) == (40, 0, 0, 0)
        [old] = report.old_roots
        assert (old.files, old.moved) == (40, False)
        assert len(known(engine)) == 80
        # Said once.
        assert engine.index(tmp_path / "copy").old_roots == []
        (tmp_path / "unmounted").rename(folder)
        assert engine.index(folder).unchanged == 40

    def test_one_that_is_there_stays(self, engine, pile, tmp_path):
        folder = pile(self.NAMES)
        engine.index(folder)
        shutil.copytree(folder, tmp_path / "copy")
        assert engine.index(tmp_path / "copy").old_roots == []
        assert len(engine.info().roots) == 2

    def test_dry(self, engine, pile, address):
        folder = pile(self.NAMES)
        engine.index(folder)
        other = folder.rename(folder.with_name("bilder"))
        before = content_of(address)
        report = engine.index(other, dry_run=True)
        assert (report.moved, report.added, report.old_roots[0].moved) == (40, 0, True)
        assert content_of(address) == before

    @pytest.mark.parametrize(
        ("known", "found", "same"),
        [
            ((5, 100_001, 100_002), (5, 100_001, 100_002), True),
            ((5, 100_001, 100_002), (5, 100_001, 100_003), False),
            ((5, 100_001, 100_002), (6, 100_001, 100_002), False),
            ((5, 100_001, 100_002), (5, 100_000, 100_002), False),
            # Read too soon after it was written for its time of change to be kept.
            ((5, 100_001, -1), (5, 100_001, 100_001), True),
            ((5, 100_001, -1), (5, 100_001, 200_001), None),
            # A file system that keeps no time of change.
            ((5, 30_000_000, 30_000_000), (5, 30_000_000, 30_000_000), None),
        ],
    )
    def test_the_same_file(self, known, found, same):
        assert same_file(Signature(*known), FoundFile(b"/a", *found)) is same


class TestRelative:
    def test_a_disk_with_both_is_moved(self, model, pile, tmp_path):
        folder = pile(["a.jpg", "in/b.jpg"], "disk/photos")
        disk, moved = tmp_path / "disk", tmp_path / "mnt" / "other"
        with Engine.open(disk / "c", model=model, create=True) as engine:
            assert engine.index(folder, relative=True).added == 2
            engine.add([pile(["x.jpg"], "elsewhere") / "x.jpg"])
        moved.parent.mkdir()
        disk.rename(moved)
        elsewhere = str(tmp_path / "elsewhere" / "x.jpg")
        with Engine.open(moved / "c", model=model) as engine:
            names = {str(moved / "photos" / "a.jpg"), str(moved / "photos" / "in" / "b.jpg"), elsewhere}
            assert known(engine) == names
            assert [hit.path for hit in engine.search_many([], top=1)] == []
            pile(["new.jpg"], "mnt/other/photos")
            (moved / "photos" / "a.jpg").unlink()
            report = engine.index(moved / "photos")
            assert (report.added, report.unchanged, report.removed) == (1, 1, 1)
            [root] = engine.info().roots.values()
            assert (root.path, root.relative) == (os.fsencode(moved / "photos"), True)
            # Found by its whole name again.
            engine.index(moved / "photos", relative=False)
            moved.rename(disk)
        with Engine.open(disk / "c", model=model) as engine:
            assert str(moved / "photos" / "in" / "b.jpg") in known(engine)

    def test_one_that_is_reached_through_a_link(self, engine, pile, tmp_path):
        pile(["a.jpg"])
        (tmp_path / "link").symlink_to("photos")
        for _ in range(2):
            engine.index(tmp_path / "link")
        assert known(engine) == {str(tmp_path / "link" / "a.jpg")}
        report = engine.index(tmp_path / "link", relative=True)
        assert (report.unchanged, known(engine)) == (1, {str(tmp_path / "photos" / "a.jpg")})
        assert engine.index(tmp_path / "link").unchanged == 1
        assert engine.remove([tmp_path / "link" / "a.jpg"]).removed == 1

    def test_it_stays_so_when_it_is_renamed(self, engine, pile):
        folder = pile(numbered(5))
        engine.index(folder, relative=True)
        other = folder.rename(folder.with_name("bilder"))
        assert engine.index(other).moved == 5
        [root] = engine.info().roots.values()
        assert (root.path, root.relative) == (os.fsencode(other), True)


class TestSpelling:
    COMPOSED, DECOMPOSED = "\u00e9t\u00e9", "e\u0301te\u0301"

    @pytest.mark.parametrize("spelt", [COMPOSED, DECOMPOSED])
    def test_either_form_finds_the_other(self, engine, pile, spelt):
        other = self.DECOMPOSED if spelt == self.COMPOSED else self.COMPOSED
        folder = pile([f"{spelt}/{spelt}.jpg", f"{spelt}/b.jpg", "c.jpg"], spelt).parent
        assert engine.index(folder / other).added == 3
        assert engine.index(folder / spelt).unchanged == 3
        # By the names that the disk has.
        assert str(folder / spelt / spelt / f"{spelt}.jpg") in known(engine)
        assert engine.add([folder / other / other / f"{other}.jpg"]).unchanged == 1
        report = engine.index(folder / spelt, exclude=[f"{folder / other / other}/b.jpg"])
        assert (report.removed, report.idle_patterns) == (1, ())
        # What is gone from the disk, too.
        shutil.rmtree(folder / spelt)
        assert engine.index(folder / other).held
        gone = engine.remove([folder / other / other])
        assert (gone.removed, gone.unknown) == (1, ())
        assert engine.remove([folder / other]).removed == 1

    def test_of_two_files_the_exact_one_counts(self, engine, pile):
        folder = pile([f"{self.COMPOSED}.jpg", f"{self.DECOMPOSED}.jpg"])
        assert engine.index(folder).added == 2
        assert engine.remove([folder / f"{self.DECOMPOSED}.jpg"]).removed == 1
        assert known(engine) == {str(folder / f"{self.COMPOSED}.jpg")}
        # The collection holds one of them, and the other one is on the disk.
        assert engine.remove([folder / f"{self.DECOMPOSED}.jpg"], dry_run=True).removed == 0

    def test_collections(self, model, tmp_path, pile):
        with Engine.open(tmp_path / self.DECOMPOSED, model=model, create=True) as engine:
            engine.index(pile(["a.jpg"]))
        with Engine.open(tmp_path / self.COMPOSED, model=model) as engine:
            assert len(engine) == 1


def test_patterns_of_every_wrong_kind(engine, pile):
    folder = pile(["a.jpg"])
    with pytest.raises(TypeError, match="patterns are a list"):
        engine.index(folder, include="*.jpg")
    with pytest.raises(SettingsError):
        engine.index(folder, exclude=[""])
    assert bringing.Asked(folder, include=()).include == ()
    assert leaving.removal_of(b"/", {}, 0) is None
