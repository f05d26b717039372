"""A curator's afternoon: a pile in nested folders, runs that are stopped, a folder renamed, some left out."""

import os
import re
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import pytest

PICTURES = 160


def rows(collection):
    try:
        with closing(sqlite3.connect(f"file:{collection}/collection.sqlite?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM pictures").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


@pytest.fixture
def stopped(starting, collection):
    """Starts an index run, and ends it with a signal when so many pictures are there."""

    def call(folder, sent, above):
        running = starting(
            "index",
            folder,
            "--collection",
            collection,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        until = time.monotonic() + 60
        while rows(collection) < above and running.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.001)
        running.send_signal(sent)
        running.communicate(timeout=60)
        return running.returncode

    return call


def test_an_afternoon(photos, encoded, camseek, text, collection, stopped, held):
    at = ("--collection", collection)
    names = [
        f"{year}/{month}/{day}.jpg" for year in ("2023", "2024") for month in range(8) for day in range(10)
    ]
    assert len(names) == PICTURES
    folder = photos(names)
    (folder / "2023" / "broken.jpg").write_text("no picture")
    expected = camseek("index", folder, *at, "--dry-run")
    assert (expected["added"], len(expected["skipped"]), collection.exists()) == (PICTURES, 1, False)

    # Interrupted, killed, and gone on with: nothing is encoded twice.
    assert stopped(folder, signal.SIGINT, 20) == 130
    assert stopped(folder, signal.SIGKILL, rows(collection) + 20) == -signal.SIGKILL
    kept = rows(collection)
    assert 40 <= kept < PICTURES
    report = camseek("index", folder, *at)
    assert (report["unchanged"], report["added"], report["encoded"]) == (
        kept,
        PICTURES - kept,
        PICTURES - kept,
    )

    # The folder gets another name.
    moved = folder.rename(folder.with_name("bilder"))
    told = text("search", moved / "2023/0/0.jpg", moved / "2023/0/1.jpg", *at, "--top", "3")
    gone = re.search(r"^(\d) files of the hits are not there now: (.*), \.\.\.; ", told.err, re.MULTILINE)
    assert gone
    assert int(gone[1]) == len(set(re.findall(rf"{folder}/\S+$", told.out, re.MULTILINE)))
    assert gone[2].startswith(f"{folder}/2023/")
    report = camseek("index", moved, *at)
    assert (report["moved"], report["encoded"], report["removed"]) == (PICTURES, 0, 0)
    assert report["old_roots"] == [{"path": str(folder), "files": PICTURES, "of": PICTURES, "moved": True}]
    assert "not there" not in text("search", moved / "2023/0/0.jpg", *at).err
    [hit] = camseek("search", moved / "2023/0/0.jpg", *at, "--top", "1")["hits"]
    assert hit["paths"] == [str(moved / "2023/0/0.jpg")]

    # A year is left out: asked for first, and seen before.
    report = held(moved, "--exclude", "/2024/")
    assert report["removal"]["reasons"] == {"excluded": 80}
    remedy = report["error"]["remedy"]
    assert ("patterns leave out too much" in remedy, "disk" in remedy) == (True, False)
    told = text(
        "index", moved, *at, "--exclude", "/2024/", "--exclude", "/none/", "--allow-removal", "--dry-run"
    )
    assert "patterns, would be kept with the folder for later runs: " in told.err
    assert "the pattern /none/ matched nothing" in told.err
    told = text("index", moved, *at, "--exclude", "/2024/", "--dry-run")
    assert "80 of 160 files" in told.out
    assert camseek("index", moved, *at, "--exclude", "/2024/", "--allow-removal")["removed"] == 80
    told = text("index", moved, *at)
    assert "0 added, 0 changed, 80 unchanged, 0 moved, 0 removed, 1 skipped" in told.out
    assert "broken.jpg" not in told.err
    assert "1 file skipped as before" in told.err

    # A name with an accent, spelt as macOS does and asked for as people type it.
    (moved / "2023" / "cafe\u0301.jpg").write_bytes(encoded(999))
    assert camseek("add", moved / "2023" / "caf\u00e9.jpg", *at)["added"] == 1
    assert camseek("index", moved, *at)["unchanged"] == 81
    assert camseek("remove", moved / "2023" / "caf\u00e9.jpg", *at)["removed"] == 1

    # A month goes.
    told = text("remove", moved / "2023" / "3", *at, "--dry-run")
    assert told.out.splitlines()[-1] == "10 files would be removed"
    assert text("remove", moved / "2023" / "3", *at).out.splitlines()[-1] == "10 files removed"
    assert camseek("index", moved, *at)["added"] == 11
    assert camseek("check", *at)["sound"]


def test_a_name_that_is_there_comes_first(photos, camseek, collection, tmp_path):
    folder = photos(2)
    camseek("index", folder, "--collection", collection)
    copy = tmp_path / "z.jpg"
    shutil.copy(folder / "0.jpg", copy)
    camseek("add", copy, "--collection", collection)
    (folder / "0.jpg").unlink()
    [hit] = camseek("search", copy, "--collection", collection, "--top", "1")["hits"]
    assert hit["paths"] == [str(copy), str(folder / "0.jpg")]


def test_a_disk_with_both_is_moved(photos, camseek, tmp_path, text):
    folder = photos(["a.jpg", "in/b.jpg"], "disk/photos")
    disk = tmp_path / "disk"
    camseek("index", folder, "--collection", disk / "c", "--relative")
    disk.rename(tmp_path / "mounted")
    moved = tmp_path / "mounted"
    assert f"{moved}/photos: 2 files, found from the collection on" in text("info", moved / "c").out
    [hit] = camseek("search", moved / "photos/a.jpg", "--collection", moved / "c", "--top", "1")["hits"]
    assert hit["path"] == str(moved / "photos" / "a.jpg")
    assert hit["score"] == pytest.approx(1, abs=1e-3)
    assert camseek("index", moved / "photos", "--collection", moved / "c")["unchanged"] == 2
    camseek("index", moved / "photos", "--collection", moved / "c", "--no-relative")
    [root] = camseek("info", moved / "c")["roots"]
    assert (root["relative"], os.path.isdir(root["path"])) == (False, True)
