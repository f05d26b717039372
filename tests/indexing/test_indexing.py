"""Index runs from inside: what is made permanent when, and what becomes of it when something fails."""

import hashlib
import os
import random
import shutil
import sqlite3
import stat
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from camseek import Engine
from camseek.errors import CancelledError, SourceError, StorageError, UnreadableFileError
from camseek.extraction.describer import Describer
from camseek.images import FoundFile, files
from camseek.indexing import bringing, pace
from camseek.indexing import runs as indexing
from camseek.indexing.finding import find_files, find_pictures
from camseek.store import open_collection
from camseek.store.writer import FolderWriter

NOW = 10**18  # 2001


@pytest.fixture
def signatures(address):
    """The signatures of files as they are stored."""

    def read():
        with closing(sqlite3.connect(address / "collection.sqlite")) as database:
            rows = database.execute("SELECT path, size, mtime_ns, ctime_ns FROM files")
            return {os.path.basename(os.fsdecode(path)): tuple(rest) for path, *rest in rows}

    return read


def committed(address):
    with open_collection(str(address)) as reader:
        return reader.catalogue.info().files


class Steps:
    """Progress that does something at each step."""

    def __init__(self, do=lambda number: None):
        self.do = do
        self.total = None
        self.done = 0

    def start(self, total):
        assert self.total is None
        self.total = total

    def step(self):
        self.done += 1
        self.do(self.done)


class TestSignatures:
    @pytest.fixture
    def clock(self, monkeypatch):
        """Sets the time at which files are read."""
        real = time.time_ns
        return lambda later: monkeypatch.setattr(time, "time_ns", lambda: real() + later)

    def test_one_of_a_file_just_written_is_not_trusted(self, engine, photos, signatures):
        folder = photos(1)
        engine.index(folder)
        status = os.stat(folder / "0.jpg")
        assert signatures() == {"0.jpg": (status.st_size, status.st_mtime_ns, -1)}

    def test_one_of_an_older_file_is(self, engine, photos, signatures, clock, monkeypatch):
        folder = photos(1)
        clock(3 * 10**9)
        engine.index(folder)
        status = os.stat(folder / "0.jpg")
        assert signatures() == {"0.jpg": (status.st_size, status.st_mtime_ns, status.st_ctime_ns)}
        monkeypatch.setattr(indexing, "open_file", None)
        assert engine.index(folder).unchanged == 1

    @pytest.mark.parametrize("mtime", [0, -(10**9), 4 * 10**18, 9 * 10**18, 15 * 10**18])
    def test_a_far_time_is_as_good_as_any(self, engine, photos, signatures, clock, mtime):
        folder = photos(1)
        os.utime(folder / "0.jpg", ns=(mtime, mtime))
        clock(3 * 10**9)
        engine.index(folder)
        size, stored, changed = signatures()["0.jpg"]
        assert stored == min(mtime, 2**63 - 1)
        assert changed > 0
        assert size == (folder / "0.jpg").stat().st_size

    def test_a_disk_whose_clock_ticks_slowly(self, engine, photos, encoded, monkeypatch):
        """Two writes within one tick: size and all times stay the same."""
        folder = photos(1)
        size = max(len(encoded(1)), len(encoded(2)))
        path = folder / "0.jpg"
        path.write_bytes(encoded(1).ljust(size, b"\0"))
        real = os.fstat

        def fstat(descriptor):
            status = real(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                return status
            return os.stat_result(
                tuple(status),
                {"st_mtime_ns": NOW, "st_ctime_ns": NOW, **_fractions(status)},
            )

        monkeypatch.setattr(os, "fstat", fstat)
        monkeypatch.setattr(time, "time_ns", lambda: NOW + 10**9)
        seen = FoundFile(os.fsencode(path), size, NOW, NOW)
        monkeypatch.setattr(bringing, "find_files", lambda paths: ([seen], []))
        assert engine.add([path]).added == 1
        path.write_bytes(encoded(2).ljust(size, b"\0"))
        assert engine.add([path]).changed == 1
        # Read once more when the tick is over; after that it is known.
        monkeypatch.setattr(time, "time_ns", lambda: NOW + 5 * 10**9)
        assert engine.add([path]).unchanged == 1
        monkeypatch.setattr(indexing, "open_file", None)
        assert engine.add([path]).unchanged == 1


def _fractions(status):
    return {"st_atime_ns": status.st_atime_ns, "st_mtime": NOW / 1e9, "st_ctime": NOW / 1e9}


class TestPermanence:
    def test_little_is_lost_whenever_a_run_is_killed(self, engine, photos, address):
        seen = []
        steps = Steps(lambda done: seen.append(done - committed(address)))
        engine.index(photos(60), progress=steps)
        assert (steps.total, steps.done) == (60, 60)
        assert max(seen) <= pace._PICTURES
        assert committed(address) == 60

    def test_slow_pictures_are_kept_one_by_one(self, engine, photos, address, monkeypatch):
        monkeypatch.setattr(pace, "_SECONDS", 0.0)
        seen = []
        engine.index(photos(5), progress=Steps(lambda done: seen.append(done - committed(address))))
        assert max(seen) <= 1

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    def test_an_interrupt_keeps_what_was_done(self, engine, photos, address, error):
        folder = photos(40)

        def stop(done):
            if done == 23:
                raise error

        with pytest.raises(error):
            engine.index(folder, progress=Steps(stop))
        assert committed(address) == 23
        assert engine.collection.catalogue.check() == []
        # The lock is free, no thread is at work, and the rest is done next time.
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("camseek")]
        report = engine.index(folder)
        assert (report.unchanged, report.added, report.encoded) == (23, 17, 17)

    def test_whoever_cancels_keeps_what_was_done(self, engine, photos, address):
        folder, stop = photos(40), threading.Event()
        steps = Steps(lambda done: stop.set() if done == 23 else None)
        with pytest.raises(CancelledError) as error:
            engine.index(folder, progress=steps, cancelled=stop)
        assert "kept" in error.value.remedy
        assert committed(address) == steps.done == 23
        assert engine.collection.catalogue.check() == []
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("camseek")]
        report = engine.index(folder, cancelled=threading.Event())
        assert (report.unchanged, report.encoded) == (23, 17)

    def test_two_interrupts_leave_no_half_picture(self, engine, photos, address, monkeypatch):
        folder = photos(40)
        point, do = FolderWriter.point, FolderWriter._do

        def interrupted(writer, path, *rest):
            if path.endswith(b"5.jpg"):
                raise KeyboardInterrupt
            point(writer, path, *rest)

        def interrupted_again(writer, sql, values=(), kinds=()):
            if sql.startswith("ROLLBACK"):
                raise KeyboardInterrupt
            return do(writer, sql, values, kinds)

        monkeypatch.setattr(FolderWriter, "point", interrupted)
        monkeypatch.setattr(FolderWriter, "_do", interrupted_again)
        with pytest.raises(KeyboardInterrupt):
            engine.index(folder)
        assert engine.collection.catalogue.check() == []
        monkeypatch.undo()
        engine.index(folder)
        assert committed(address) == 40

    def test_threads_end_before_the_collection_is_closed(self, engine, photos, monkeypatch):
        """A thread that asks a closed database would fail, or worse."""
        faults = []
        find = FolderWriter.find

        def slow(writer, content):
            if threading.current_thread() is not threading.main_thread():
                time.sleep(0.01)
            try:
                return find(writer, content)
            except BaseException as fault:
                faults.append(fault)
                raise

        monkeypatch.setattr(FolderWriter, "find", slow)

        def stop(done):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            engine.index(photos(20), progress=Steps(stop))
        assert faults == []

    def test_a_fault_halfway_through_a_picture_undoes_it(self, engine, photos, address, monkeypatch):
        folder = photos(10)
        point = FolderWriter.point

        def fails(writer, path, *rest):
            if path.endswith(b"5.jpg"):
                raise ZeroDivisionError
            point(writer, path, *rest)

        monkeypatch.setattr(FolderWriter, "point", fails)
        with pytest.raises(ZeroDivisionError):
            engine.index(folder)
        assert engine.info().pictures == 5
        assert engine.collection.catalogue.check() == []

    def test_a_failing_disk_keeps_what_was_permanent(self, engine, photos, address, monkeypatch):
        folder = photos(40)
        insert = FolderWriter.insert
        inserted = []

        def fails(writer, picture):
            inserted.append(picture)
            if len(inserted) == 30:
                raise StorageError("the disk is full", remedy="free space")
            return insert(writer, picture)

        monkeypatch.setattr(FolderWriter, "insert", fails)
        with pytest.raises(StorageError):
            engine.index(folder)
        assert pace._PICTURES <= committed(address) < 30
        assert engine.collection.catalogue.check() == []
        monkeypatch.undo()
        engine.index(folder)
        assert committed(address) == 40

    def test_a_content_that_left_between_reading_and_writing(self, engine, photos, encoded, monkeypatch):
        folder = photos(1)
        (folder / "a.jpg").write_bytes(encoded(8))
        engine.index(folder)
        # Read while a.jpg's picture was known; written when it has just gone.
        (folder / "a.jpg").write_bytes(encoded(9))
        (folder / "z.jpg").write_bytes(encoded(8))
        monkeypatch.setattr(pace, "_PICTURES", 1)
        engine._job = replace(engine._job, workers=1)
        report = engine.index(folder)
        assert (report.unchanged, report.changed, report.added, report.encoded) == (1, 1, 1, 2)
        assert engine.collection.catalogue.check() == []
        assert engine.info().pictures == 3


class Disk:
    """A tree in which things happen at random."""

    def __init__(self, root, encoded, seed):
        self.root, self.encoded = root, encoded
        self.random = random.Random(seed)
        for folder in ("", "in", "in/deep"):
            (root / folder).mkdir(exist_ok=True)

    def files(self, under=""):
        return sorted(path for path in (self.root / under).rglob("*.jpg"))

    def happen(self):
        some = self.random.choice
        name = self.root / some(["", "in", "in/deep"]) / f"{self.random.randrange(12)}.jpg"
        files = self.files() or [name]
        one, two = some(files), some(files)
        kind = some(["write", "write", "write", "bad", "copy", "touch", "remove", "rename", "swap"])
        if kind == "write" or not one.exists():
            name.write_bytes(self.encoded(self.random.randrange(8), (40, 40)))
        elif kind == "bad":
            name.write_bytes(b"no picture")
        elif kind == "copy":
            shutil.copy2(one, name) if one != name else None
        elif kind == "touch":
            os.utime(one)
        elif kind == "remove":
            one.unlink()
        elif kind == "rename":
            one.rename(name)
        else:
            one.rename(self.root / "aside")
            if two.exists():
                two.rename(one)
            (self.root / "aside").rename(two)

    def content(self, under=""):
        """Name and SHA-256 of each picture."""
        held = {path: path.read_bytes() for path in self.files(under)}
        return {
            os.fsencode(path): hashlib.sha256(data).digest()
            for path, data in held.items()
            if data != b"no picture"
        }


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_a_run_brings_a_root_in_line(address, model, tmp_path, encoded, monkeypatch, seed):
    """Two nested roots and files added by hand, against a plain account of what must be known."""
    vector = np.zeros(1280, np.float32)
    vector[7] = 1
    monkeypatch.setattr(Describer, "describe", lambda self, seen: vector)
    monkeypatch.setattr(pace, "_PICTURES", 1 + seed)
    monkeypatch.setattr(files, "_TICK_NS", [2 * 10**9, -(10**18)][seed % 2])
    root = tmp_path / "photos"
    root.mkdir()
    disk = Disk(root, encoded, seed)
    claims = {"": set(), "in": set(), "by hand": set()}
    with Engine.open(address, model=model, create=True, workers=2) as engine:
        for _ in range(25):
            for _ in range(disk.random.randrange(1, 8)):
                disk.happen()
            who = disk.random.choice(["", "in", "by hand"])
            before = stored(address)
            if who == "by hand":
                now = dict(disk.random.sample(sorted(disk.content().items()), min(2, len(disk.content()))))
                report = engine.add(map(os.fsdecode, now))
                claims[who] |= now.keys()
            else:
                if not disk.files(who):
                    continue
                now = disk.content(who)
                report = engine.index(root / who, allow_removal=True)
                bad = {os.fsencode(path) for path in disk.files(who)} - now.keys()
                claims[who] = set(now)
                # A root that finds no picture there speaks for the other root, not for whoever added it; so
                # does one that finds nothing.
                for other in ("", "in"):
                    claims[other] -= bad - claims["by hand"]
                    beneath = {path for path in claims[other] if path.startswith(os.fsencode(root / who))}
                    claims[other] -= {path for path in beneath if not os.path.exists(path)}
                claims[who] |= bad & claims["by hand"] & before.keys()
                assert len(report.skipped) == len(bad)
            assert report.added + report.changed + report.unchanged + report.moved == len(now)
            assert report.changed == sum(before.get(path, held) != held for path, held in now.items())
            found = stored(address)
            assert found.keys() == set().union(*claims.values())
            assert found.items() >= now.items()
            # What this run did not look at is as it was.
            assert {path: found[path] for path in found.keys() - now.keys()}.items() <= before.items()
            assert engine.collection.catalogue.check() == []
            info = engine.info()
            assert info.pictures == len(set(found.values()))


def stored(address):
    """Name and content of each file in a collection."""
    with closing(sqlite3.connect(address / "collection.sqlite")) as database:
        return dict(database.execute("SELECT path, content FROM files JOIN pictures ON id = picture"))


class TestReports:
    def test_progress_counts_what_is_read(self, engine, photos, monkeypatch):
        monkeypatch.setattr(files, "_TICK_NS", -(10**18))
        folder = photos(4)
        steps = Steps()
        engine.index(folder, progress=steps)
        assert (steps.total, steps.done) == (4, 4)
        (folder / "new.jpg").write_text("no picture")
        steps = Steps()
        report = engine.index(folder, progress=steps)
        assert (steps.total, steps.done) == (1, 1)
        assert (report.unchanged, len(report.skipped)) == (4, 1)

    def test_rates(self, engine, photos):
        report = engine.index(photos(3))
        assert report.pictures_per_second == pytest.approx(3 / report.seconds)
        report = engine.index(photos(0, "more").parent / "photos")
        assert (report.encoded, report.pictures_per_second) == (0, 0)

    def test_names_of_every_type(self, engine, photos):
        folder = photos(3)
        report = engine.add([folder / "0.jpg", str(folder / "1.jpg")])
        assert report.added == 2
        gone = engine.remove([str(folder / "0.jpg"), folder / "1.jpg", folder / "2.jpg"])
        assert (gone.removed, gone.unknown) == (2, (os.fsencode(folder / "2.jpg"),))
        assert gone.files == tuple(os.fsencode(folder / name) for name in ("0.jpg", "1.jpg"))

    def test_a_relative_root(self, engine, photos, monkeypatch):
        folder = photos(2)
        monkeypatch.chdir(folder.parent)
        engine.index("photos")
        assert list(engine.info().roots) == [os.fsencode(folder)]


class TestSources:
    def test_files(self, photos):
        folder = photos(2)
        names = [os.fsencode(folder / name) for name in ("1.jpg", "0.jpg", "none.jpg", "1.jpg")]
        found, skipped = find_files(names)
        assert [file.path for file in found] == [names[1], names[0]]
        assert found[0].size == (folder / "0.jpg").stat().st_size
        [missing] = skipped
        assert (missing.path, missing.code) == (names[2], UnreadableFileError.code)
        with pytest.raises(SourceError, match="is a folder"):
            find_files([os.fsencode(folder)])

    def test_a_root_that_is_gone_is_a_question_of_removal_where_it_is_known(self, tmp_path):
        gone = os.fsencode(tmp_path / "gone")
        assert find_pictures(gone, known=True).files == []
        with pytest.raises(SourceError, match="does not exist"):
            find_pictures(gone)

    def test_a_root_behind_a_broken_link_is_not(self, tmp_path):
        (tmp_path / "link").symlink_to("nothing")
        with pytest.raises(SourceError, match="is not a folder"):
            find_pictures(os.fsencode(tmp_path / "link"), known=True)

    def test_one_below_a_file_is_missing(self, photos):
        with pytest.raises(SourceError, match="does not exist"):
            find_pictures(os.fsencode(photos(1) / "0.jpg" / "more"))
