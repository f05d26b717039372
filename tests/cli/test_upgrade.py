"""``camseek upgrade``."""

import shutil
import signal

import pytest

from models import other_model
from renewals import await_rows, descriptors, fact

PICTURES = 40
SIZE = ("--size", "64")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folder of imported models, which holds one."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMSEEK_MODELS", str(folder))
        other_model(folder)
        yield folder


@pytest.fixture
def indexed(models, photos, index, collection):
    folder = photos(5)
    index(folder, *SIZE)
    return folder


def test_there_and_back(indexed, camseek, text, collection):
    before = descriptors(collection)
    assert "nothing is unfinished, and nothing is kept" in text("upgrade", collection, "--status").out
    told = text("upgrade", collection, "--model", "other")
    assert told.out.startswith(
        "other, layer head, 1,280 dimensions; before: efficientnet-lite0, layer head, which is kept\n5 of 5 "
    )
    assert camseek("info", collection)["model"] == "other"
    assert "kept: camseek upgrade --undo goes back to it" in text("info", collection).out
    status = camseek("upgrade", collection, "--status")
    assert (status["model"], status["beside"]["model"], status["beside"]["kept"]) == (
        "other",
        "efficientnet-lite0",
        True,
    )
    # Nobody need say which model it is now.
    found = camseek("search", indexed / "2.jpg", "--collection", collection)
    assert found["hits"][0]["score"] > 0.99
    assert camseek("check", collection)["sound"]
    back = camseek("upgrade", collection, "--undo")
    assert (back["model"], back["encoded"], back["before"]["model"]) == ("efficientnet-lite0", 0, "other")
    assert descriptors(collection) == before
    assert text("upgrade", collection, "--forget").out == "what was in use before is gone\n"
    assert camseek("upgrade", collection, "--status")["beside"] is None


def test_a_whitened_one(indexed, camseek, text, collection):
    camseek("fit", collection, "--dimensions", "3")
    told = text("upgrade", collection, "--model", "other")
    assert "other, layer head, 3 dimensions" in told.out
    assert "whitening: 1280 to 3 dimensions" in told.out


def test_what_cannot_be(indexed, failing, collection, tmp_path):
    for arguments in (
        (),
        ("--undo", "--model", "other"),
        ("--status", "--discard"),
        ("--undo", "--layer", "head"),
        ("--status", "--allow-removal"),
    ):
        assert failing("upgrade", collection, *arguments, code=2)["code"] == "usage"
    assert failing("upgrade", collection, "--undo")["code"] == "settings"
    assert failing("upgrade", collection, "--forget")["code"] == "settings"
    assert failing("upgrade", collection, "--discard")["code"] == "settings"
    assert failing("upgrade", collection, "--model", "none")["code"] == "model"
    assert failing("upgrade", collection, "--model", "efficientnet-lite0")["code"] == "settings"
    assert failing("upgrade", tmp_path / "none", "--model", "other")["code"] == "no_collection"


def test_a_file_that_has_gone(indexed, failing, text, camseek, collection):
    (indexed / "0.jpg").unlink()
    error = failing("upgrade", collection, "--model", "other")
    assert (error["code"], str(indexed / "0.jpg") in error["message"]) == ("source", True)
    told = text("info", collection).out
    assert "unfinished, 4 of 5 pictures: camseek upgrade goes on when the same is asked for" in told
    told = text("upgrade", collection, "--model", "other", "--allow-removal")
    assert f"removed: {indexed / '0.jpg'}" in told.err
    assert "an earlier run was finished" in told.out


@pytest.mark.needs_root
def test_a_disk_that_cannot_be_written(models, photos, camseek, failing, small_disk):
    import subprocess

    disk = small_disk(4)
    camseek("index", photos(3), "--collection", disk / "c", *SIZE)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert failing("upgrade", disk / "c", "--model", "other")["code"] == "storage"
    assert camseek("upgrade", disk / "c", "--status")["beside"] is None


class TestKillMinus9:
    @pytest.fixture
    def large(self, models, photos, index, collection):
        index(photos(PICTURES), *SIZE)
        return collection

    def test_whole_before_and_whole_after(self, large, tmp_path, camseek, starting):
        old = descriptors(large)
        whole = tmp_path / "whole"
        shutil.copytree(large, whole)
        camseek("upgrade", whole, "--model", "other")
        new = descriptors(whole)
        for number, moment in enumerate((1, 20)):
            for attempt in range(5):
                killed = tmp_path / f"killed{number}.{attempt}"
                shutil.copytree(large, killed)
                running = starting("upgrade", killed, "--model", "other")
                seen = await_rows(killed, moment, running)
                running.kill()
                running.communicate()
                if seen and running.returncode == -signal.SIGKILL:
                    break
            else:
                raise AssertionError(f"every run was done before {moment} was seen")
            assert camseek("check", killed)["sound"]
            done = fact(killed, "SELECT value FROM meta WHERE key = 'generation'")
            assert descriptors(killed) == (new if done else old)
            if not done:
                kept = fact(killed, "SELECT count(*) FROM refit")
                told = camseek("upgrade", killed, "--model", "other")
                assert (told["resumed"] or not kept, told["encoded"]) == (True, PICTURES - kept)
            assert descriptors(killed) == new
            camseek("upgrade", killed, "--undo")
            assert descriptors(killed) == old
