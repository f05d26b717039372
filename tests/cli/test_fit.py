"""``camseek fit``."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from renewals import await_rows, descriptors, fact

PICTURES = 80
CAM = ("--encoding", "cam:classes=2", "--size", "64")


@pytest.fixture
def indexed(photos, index, collection):
    """A folder of which a collection of class-weighted descriptors was made."""
    folder = photos(6)
    index(folder, *CAM)
    return folder


def test_what_is_told(indexed, camseek, text, collection):
    told = text("fit", collection)
    assert told.out.startswith("whitening: 1280 to 5 dimensions, fitted ")
    assert " on 6 samples of 6 pictures (the collection's own, 1 class each), checksum " in told.out
    assert "6 of 6 pictures encoded anew in " in told.out
    assert "held-out pictures of the same theme" in told.err
    assert "5 dimensions are all that 6 samples give" in told.err
    info = camseek("info", "--collection", collection)
    assert (info["dimensions"], info["whitened"]) == (5, True)
    assert info["whitening"]["checksum"][:12] in told.out
    assert camseek("check", "--collection", collection)["sound"]
    told = text("fit", collection, "--remove")
    assert told.out.startswith("no whitening\n6 of 6 pictures encoded anew")
    assert told.err.count("held-out") == 0
    assert camseek("info", "--collection", collection)["whitening"] is None


def test_on_a_folder(indexed, photos, camseek, collection):
    held_out = photos([f"{number}/x.jpg" for number in range(9)], "held out")
    (held_out / "bad.jpg").write_bytes(b"no picture")
    told = camseek("fit", collection, "--on", held_out, "--sample-classes", "3", "--dimensions", "4")
    assert told["whitening"]["folder"] == {"path": str(held_out)}
    assert (told["whitening"]["pictures"], told["whitening"]["sample_classes"]) == (9, 3)
    assert told["whitening"]["samples"] + told["left_out"] == 27
    assert [os.path.basename(item["path"]) for item in told["skipped"]] == ["bad.jpg"]
    assert (told["dimensions"], told["limited_by"], told["re_encoded"]) == (4, None, 6)


def test_a_class_list(photos, index, camseek, text, collection, tmp_path):
    """The whitening is fitted on the list's classes, and info tells whose they were."""
    classes = tmp_path / "list.txt"
    classes.write_text("bell cote\nbannister\nvault\n")
    index(photos(6), *CAM, "--class-list", classes)
    assert " 1 class of the class list each)" in text("fit", collection).out
    said = text("info", "--collection", collection).out
    assert "3 predefined" in said
    assert " 1 class of the class list each)" in said
    assert "by an earlier version" not in said
    assert camseek("info", "--collection", collection)["whitening"]["predefined"] is True
    with closing(sqlite3.connect(f"{collection}/collection.sqlite")) as database, database:
        database.execute(
            "UPDATE meta SET value = json_remove(value, '$.predefined') WHERE key = 'whitening_note'"
        )
    assert "of each picture's own classes, by an earlier version; camseek fit takes those of the class" in (
        text("info", "--collection", collection).out
    )


def test_a_collection_in_the_environment(indexed, camseek, collection, monkeypatch):
    monkeypatch.setenv("CAMSEEK_COLLECTION", str(collection))
    assert camseek("fit", "--dimensions", "3", "--max-samples", "5")["whitening"]["samples"] == 5


def test_what_cannot_be(indexed, failing, collection, tmp_path):
    error = failing("fit", collection, "--dimensions", "6")
    assert (error["code"], "at most 5 dimensions, not 6" in error["message"]) == ("settings", True)
    assert failing("fit", collection, "--remove")["code"] == "settings"
    assert failing("fit", tmp_path / "none")["code"] == "no_collection"
    assert failing("fit", collection, "--on", tmp_path / "none")["code"] == "source"
    assert failing("fit", collection, "--remove", "--dimensions", "6", code=2)["code"] == "usage"
    assert failing("fit", collection, "--dimensions", "0", code=2)["code"] == "usage"


def test_files_that_are_gone(indexed, failing, text, collection):
    (indexed / "0.jpg").unlink()
    error = failing("fit", collection)
    assert error["code"] == "source"
    assert str(indexed / "0.jpg") in error["message"]
    assert "camseek index" in error["remedy"]
    told = text("fit", collection, "--allow-removal")
    assert f"removed: {indexed / '0.jpg'}" in told.err
    assert "an earlier run was finished" in told.out
    assert "of 5 pictures encoded anew" in told.out


def test_a_featureless_picture(indexed, index, encoded, text, collection):
    (indexed / "dot.png").write_bytes(encoded.featureless)
    index(indexed)
    assert "1 featureless, 0 of them since now" in text("fit", collection).out


class TestStopping:
    @pytest.fixture
    def large(self, photos, index, collection):
        index(photos(PICTURES), *CAM)
        return collection

    def test_kill_minus_9(self, large, tmp_path, camseek, starting):
        old = descriptors(large)
        whole = tmp_path / "whole"
        shutil.copytree(large, whole)
        wanted = camseek("fit", whole, "--dimensions", "8")["whitening"]
        expected = descriptors(whole)
        for number, moment in enumerate((0, 1, 20, 40, 60)):
            for attempt in range(5):
                killed = tmp_path / f"killed{number}.{attempt}"
                shutil.copytree(large, killed)
                running = starting("fit", killed, "--dimensions", "8")
                seen = await_rows(killed, moment, running)
                time.sleep(number % 3 * 0.01 + (moment == 0) * 0.5)
                running.kill()
                running.communicate()
                if seen and running.returncode == -signal.SIGKILL:
                    break
            else:
                raise AssertionError(f"every run was done before {moment} was seen")
            # Whole before, whole after: the old descriptors or the new ones.
            assert camseek("check", "--collection", killed)["sound"]
            done = fact(killed, "SELECT value FROM meta WHERE key = 'generation'")
            assert descriptors(killed) == (expected if done else old)
            kept = fact(killed, "SELECT count(*) FROM refit")
            assert done or kept >= moment
            if done:
                continue
            told = camseek("fit", killed, "--dimensions", "8")
            assert told["resumed"] or not kept
            assert told["re_encoded"] == PICTURES - kept
            assert told["whitening"]["checksum"] == wanted["checksum"]
            assert descriptors(killed) == expected
            assert camseek("check", "--collection", killed)["sound"]

    def test_kill_minus_9_of_a_fit_that_is_repeated(
        self, photos, index, collection, tmp_path, camseek, starting
    ):
        """The first fit reads what is stored, the second the pictures: what they come to is the same."""
        index(photos(PICTURES), "--encoding", "gem:prior=centre", "--size", "64")
        wanted = camseek("fit", collection, "--dimensions", "8")["whitening"]
        expected = descriptors(collection)
        for attempt in range(5):
            killed = tmp_path / f"killed{attempt}"
            shutil.copytree(collection, killed)
            running = starting("fit", killed, "--dimensions", "8")
            seen = await_rows(killed, 20, running)
            running.kill()
            running.communicate()
            if seen and fact(killed, "SELECT value FROM meta WHERE key = 'generation'") == 1:
                break
        else:
            raise AssertionError("every run was done before it was killed")
        assert descriptors(killed) == expected
        told = camseek("fit", killed, "--dimensions", "8")
        assert told["resumed"]
        assert told["whitening"]["checksum"] == wanted["checksum"]
        assert descriptors(killed) == expected

    def test_an_interrupt(self, large, camseek, starting, report_of):
        def interruptible():
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        old = descriptors(large)
        running = starting("fit", large, preexec_fn=interruptible)
        assert await_rows(large, 8, running)
        running.send_signal(signal.SIGINT)
        told = report_of(running)
        assert (told.code, told.error["code"]) == (130, "interrupted")
        assert descriptors(large) == old
        told = camseek("fit", large)
        assert told["resumed"]
        assert told["re_encoded"] <= PICTURES - 8

    def test_a_search_and_a_second_writer_meanwhile(self, large, photos, encoded, camseek, starting):
        query = photos(1, "query") / "0.jpg"
        query.write_bytes(encoded(99))
        running = starting("fit", large)
        assert await_rows(large, 1, running)
        assert camseek("search", query, "--collection", large)["hits"][0]["score"] > 0.5
        assert camseek("add", query, "--collection", large)["added"] == 1
        running.communicate(timeout=60)
        assert running.returncode == 0
        assert camseek("info", large)["pictures"] == PICTURES + 1
        assert camseek("check", large)["sound"]
        assert camseek("search", query, "--collection", large)["hits"][0]["score"] > 0.99


@pytest.mark.needs_root
def test_a_full_disk(photos, index, camseek, failing, small_disk, tmp_path):
    folder, disk = photos(60), small_disk(2)
    collection = disk / "collection"
    camseek("index", folder, "--collection", collection, "--size", "64")
    old = descriptors(collection)
    with open(disk / "ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(1024)):
                pass
        except OSError:
            pass
    error = failing("fit", collection)
    assert error["code"] == "storage"
    (disk / "ballast").unlink()
    assert camseek("check", "--collection", collection)["sound"]
    assert descriptors(collection) == old
    assert camseek("fit", collection)["dimensions"] == 59
    assert camseek("check", "--collection", collection)["sound"]
