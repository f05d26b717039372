"""Runs that are interrupted or killed: what was done is kept, and a further run completes it."""

import itertools
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from urllib.parse import quote

import pytest

PICTURES = 64
# An index run makes its work permanent every 16 pictures; a moment is a number of new rows. Each run is
# killed at its last moment, and seen as if it were at the others.
FIRST_RUNS = (("folder",), ("database", "writer", 1), (8, 14, 20, 26, 32, 38, 44, 50))
LATER_RUNS = ((1,), (4, 8, 12, 16, 20, 24, 28))


def connected(collection):
    return closing(sqlite3.connect(f"file:{quote(str(collection))}/collection.sqlite?mode=ro", uri=True))


def rows(collection, above=0):
    """How many pictures above a record number are committed; 0 where there is no collection yet."""
    try:
        with connected(collection) as database:
            return database.execute("SELECT count(*) FROM pictures WHERE id > ?", (above,)).fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def content(collection):
    """Every name with its picture's content, descriptor and size."""
    sql = (
        "SELECT files.path, content, vector, width, height FROM files "
        "JOIN pictures ON pictures.id = picture JOIN descriptors USING (picture)"
    )
    with connected(collection) as database:
        return {path: tuple(rest) for path, *rest in database.execute(sql)}


def reached(collection, moment, above):
    if moment == "folder":
        return collection.exists()
    if moment == "database":
        return (collection / "collection.sqlite").exists()
    if moment == "writer":
        return (collection / "collection.sqlite-wal").exists()
    return rows(collection, above) >= moment


def begun(collection):
    """Whether a run has begun to write."""
    whole = (collection / "collection.sqlite").exists()
    return (collection / "collection.sqlite-wal").exists() if whole else collection.exists()


def hold(running):
    """Stops a process where it is; False if it has ended."""
    running.send_signal(signal.SIGSTOP)
    found = os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return found.si_code == os.CLD_STOPPED


def go_on(running):
    running.send_signal(signal.SIGCONT)


def hold_at(running, collection, moment, above=0, slice=0.002):
    """Holds a run at a moment; False if it has ended before.

    From its first write on it is held every few thousandths of a second, so that it passes no moment unseen,
    however busy the machine is.
    """
    until = time.monotonic() + 300
    while not begun(collection) and running.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.0005)
    while hold(running):
        if reached(collection, moment, above):
            return True
        assert time.monotonic() < until
        go_on(running)
        time.sleep(slice)
    return False


def leftovers(running, collection, moments, above, place):
    """What a run would leave on the disk if it were killed: at each moment, and at last when it is killed.

    A process that is held does nothing, and its files are what its end would leave.

    Returns:
        None if the run has ended before.
    """
    left = [place / str(number) for number in range(len(moments))]
    for number, (moment, folder) in enumerate(zip(moments, left, strict=True)):
        # Moments are not always just after a commit.
        if not hold_at(running, collection, moment, above, slice=0.002 + number % 4 * 0.001):
            return None
        if folder is left[-1]:
            running.kill()
            running.communicate()
            assert running.returncode == -signal.SIGKILL
        shutil.copytree(collection, folder)
        if folder is not left[-1]:
            go_on(running)
    return left


@pytest.fixture
def folder(photos):
    return photos(PICTURES)


@pytest.fixture
def killed_at(tmp_path, folder, starting):
    """Runs on a copy of a collection (or none), killed at the last of these moments; what each left."""
    runs = itertools.count()

    def call(moments, template=None):
        for _ in range(3):
            place = tmp_path / f"run{next(runs)}"
            place.mkdir()
            collection = place / "collection"
            if template:
                shutil.copytree(template, collection)
            running = starting("index", folder, "--collection", collection, "--allow-removal")
            if left := leftovers(running, collection, moments, PICTURES if template else 0, place):
                return left
        raise AssertionError(f"every run was done before {moments} were seen")

    return call


def change(folder, encoded):
    """20 pictures leave, 20 change, 8 get other names, 16 come."""
    for number in range(20):
        (folder / f"{number}.jpg").unlink()
    for number in range(20, 40):
        (folder / f"{number}.jpg").write_bytes(encoded(1000 + number))
    for number in range(40, 48):
        (folder / f"{number}.jpg").rename(folder / f"moved{number}.jpg")
    for number in range(16):
        (folder / f"new{number}.jpg").write_bytes(encoded(2000 + number))


def test_kill_minus_9_at_20_moments(folder, encoded, camseek, collection, tmp_path, killed_at):
    camseek("index", folder, "--collection", collection)
    expected = content(collection)
    assert len(expected) == PICTURES
    every = dict(item[:2] for item in expected.values())
    seen = after_a_commit = 0

    def verify(killed, above):
        nonlocal seen, after_a_commit
        seen += 1
        after_a_commit += rows(killed, above) > 0
        if (killed / "collection.sqlite").exists():
            # It opens, and holds only whole pictures.
            assert camseek("check", "--collection", killed)["sound"]
            for held, vector, *size in content(killed).values():
                assert (vector, size) == (every[held], [64, 48])
        camseek("index", folder, "--collection", killed, "--allow-removal")
        assert content(killed) == expected
        assert camseek("check", "--collection", killed)["sound"]
        assert sorted(os.listdir(killed)) == ["collection.sqlite", "writer.json", "writer.lock"]

    for moments in FIRST_RUNS:
        for killed in killed_at(moments):
            verify(killed, 0)

    complete = tmp_path / "complete"
    shutil.copytree(collection, complete)
    change(folder, encoded)
    told = camseek("index", folder, "--collection", collection, "--allow-removal")
    counts = [told[key] for key in ("added", "changed", "unchanged", "moved", "removed", "encoded")]
    assert counts == [16, 20, 16, 8, 20, 36]
    expected = content(collection)
    every |= dict(item[:2] for item in expected.values())
    for moments in LATER_RUNS:
        for killed in killed_at(moments, template=complete):
            verify(killed, PICTURES)

    assert seen == 20
    assert after_a_commit >= 15


def interruptible():
    # A shell that starts things in the background has them ignore interrupts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_keeps_what_was_done(folder, collection, starting, report_of, camseek):
    running = starting("index", folder, "--collection", collection, preexec_fn=interruptible)
    assert hold_at(running, collection, 20)
    running.send_signal(signal.SIGINT)
    go_on(running)
    told = report_of(running)
    assert told.code == 130
    assert told.error["code"] == "interrupted"
    assert "run it again" in told.error["remedy"]
    kept = camseek("info", "--collection", collection)["pictures"]
    assert 20 <= kept < PICTURES
    assert camseek("check", "--collection", collection)["sound"]
    assert sorted(os.listdir(collection)) == ["collection.sqlite", "writer.json", "writer.lock"]
    told = camseek("index", folder, "--collection", collection)
    assert (told["added"], told["unchanged"], told["encoded"]) == (PICTURES - kept, kept, PICTURES - kept)
    assert len(content(collection)) == PICTURES


def test_an_interrupt_before_the_first_picture(folder, collection, starting, report_of, camseek):
    running = starting("index", folder, "--collection", collection, preexec_fn=interruptible)
    assert hold_at(running, collection, "writer")
    running.send_signal(signal.SIGINT)
    go_on(running)
    assert report_of(running).code == 130
    told = camseek("index", folder, "--collection", collection)
    assert told["added"] + told["unchanged"] == PICTURES


def test_a_terminated_run_lets_go(folder, collection, starting, camseek):
    running = starting("index", folder, "--collection", collection)
    assert hold_at(running, collection, 1)
    running.terminate()
    go_on(running)
    running.communicate()
    told = camseek("index", folder, "--collection", collection)
    assert told["added"] + told["unchanged"] == PICTURES
