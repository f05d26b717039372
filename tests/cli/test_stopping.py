"""Runs that are interrupted or killed: what was done is kept, and a further run completes it."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from urllib.parse import quote

import pytest

PICTURES = 160
# An index run makes its work permanent every 16 pictures; a moment is a number of new rows.
FIRST_RUN = ("folder", "database", "writer", 1, 18, 34, 50, 66, 82, 98, 110, 120)
LATER_RUN = (1, 12, 24, 36, 48, 56, 64, 72)


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


def await_moment(collection, moment, above, running):
    """Waits for it; False if the run has ended before."""
    until = time.monotonic() + 60
    while not reached(collection, moment, above):
        if running.poll() is not None:
            return False
        assert time.monotonic() < until
        time.sleep(0.0005)
    return True


@pytest.fixture
def folder(photos):
    return photos(PICTURES)


@pytest.fixture
def killed_at(tmp_path, folder, starting):
    """Starts a run on a copy of a collection (or none), and kills it at a moment."""

    def call(number, moment, template=None):
        above = PICTURES if template else 0
        for attempt in range(5):
            collection = tmp_path / f"killed{number}.{attempt}"
            if template:
                shutil.copytree(template, collection)
            running = starting("index", folder, "--collection", collection, "--allow-removal")
            if await_moment(collection, moment, above, running):
                # Not always just after a commit.
                time.sleep(number % 4 * 0.004)
                running.kill()
                running.communicate()
                if running.returncode == -signal.SIGKILL:
                    return collection
        raise AssertionError(f"every run was done before {moment} was seen")

    return call


def change(folder, encoded):
    """50 pictures leave, 50 change, 20 get other names, 40 come."""
    for number in range(50):
        (folder / f"{number}.jpg").unlink()
    for number in range(50, 100):
        (folder / f"{number}.jpg").write_bytes(encoded(1000 + number))
    for number in range(100, 120):
        (folder / f"{number}.jpg").rename(folder / f"moved{number}.jpg")
    for number in range(40):
        (folder / f"new{number}.jpg").write_bytes(encoded(2000 + number))


def test_kill_minus_9_at_20_moments(folder, encoded, camseek, collection, tmp_path, killed_at):
    camseek("index", folder, "--collection", collection)
    expected = content(collection)
    assert len(expected) == PICTURES
    every = dict(item[:2] for item in expected.values())
    after_a_commit = 0

    def verify(killed, above):
        nonlocal after_a_commit
        after_a_commit += rows(killed, above) > 0
        if (killed / "collection.sqlite").exists():
            # It opens, and holds only whole pictures.
            assert camseek("check", "--collection", killed)["sound"]
            for held, vector, *size in content(killed).values():
                assert (vector, size) == (every[held], [64, 48])
        camseek("index", folder, "--collection", killed, "--allow-removal")
        assert content(killed) == expected
        assert camseek("check", "--collection", killed)["sound"]
        shutil.rmtree(killed)

    for number, moment in enumerate(FIRST_RUN):
        verify(killed_at(number, moment), 0)

    complete = tmp_path / "complete"
    shutil.copytree(collection, complete)
    change(folder, encoded)
    told = camseek("index", folder, "--collection", collection, "--allow-removal")
    counts = [told[key] for key in ("added", "changed", "unchanged", "moved", "removed", "encoded")]
    assert counts == [40, 50, 40, 20, 50, 90]
    expected = content(collection)
    every |= dict(item[:2] for item in expected.values())
    for number, moment in enumerate(LATER_RUN, len(FIRST_RUN)):
        verify(killed_at(number, moment, template=complete), PICTURES)

    assert len(FIRST_RUN) + len(LATER_RUN) == 20
    assert after_a_commit >= 15


def interruptible():
    # A shell that starts things in the background has them ignore interrupts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_keeps_what_was_done(folder, collection, starting, report_of, camseek):
    running = starting("index", folder, "--collection", collection, preexec_fn=interruptible)
    assert await_moment(collection, 20, 0, running)
    running.send_signal(signal.SIGINT)
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
    assert await_moment(collection, "writer", 0, running)
    running.send_signal(signal.SIGINT)
    assert report_of(running).code == 130
    told = camseek("index", folder, "--collection", collection)
    assert told["added"] + told["unchanged"] == PICTURES


def test_a_terminated_run_lets_go(folder, collection, starting, camseek):
    running = starting("index", folder, "--collection", collection)
    assert await_moment(collection, 1, 0, running)
    running.terminate()
    running.communicate()
    told = camseek("index", folder, "--collection", collection)
    assert told["added"] + told["unchanged"] == PICTURES
