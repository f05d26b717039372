"""Collections that are damaged, foreign, busy, or on disks that are full or read-only."""

import os
import sqlite3
import subprocess
import time

import numpy as np
import pytest


@pytest.fixture
def indexed(photos, index):
    folder = photos(4)
    index(folder)
    return folder


@pytest.fixture
def alter(collection):
    """Changes the database behind camseek's back."""

    def do(sql, *values):
        database = sqlite3.connect(collection / "collection.sqlite")
        database.execute(sql, values)
        database.commit()
        database.close()

    return do


@pytest.fixture
def every_verb(collection):
    """The arguments of each verb that reads or writes a collection."""

    def make(folder):
        picture = folder / "0.jpg"
        verbs = {
            "index": (folder,),
            "add": (picture,),
            "remove": (picture,),
            "search": (picture,),
            "explain": (picture, "--report", folder / "seen.html"),
            "info": (),
            "check": (),
        }
        return {name: (name, *rest, "--collection", collection) for name, rest in verbs.items()}

    return make


class TestForeign:
    def test_made_by_another_model(self, indexed, encoded, alter, failing, camseek, collection, every_verb):
        alter("UPDATE meta SET value = ? WHERE key = 'model_checksum'", "ab" * 32)
        (indexed / "new.jpg").write_bytes(encoded(10))
        verbs = every_verb(indexed)
        verbs["add"] = ("add", indexed / "new.jpg", "--collection", collection)
        for verb in ("index", "add", "search", "explain"):
            error = failing(*verbs[verb])
            assert error["code"] == "model"
            assert "abababababab" in error["message"]
            assert str(collection) in error["message"]
            assert "import it first" in error["remedy"]
        assert camseek("info", "--collection", collection)["pictures"] == 4
        assert camseek("check", "--collection", collection)["sound"]

    def test_made_by_a_later_camseek(self, indexed, alter, failing, every_verb):
        alter("UPDATE meta SET value = 99 WHERE key = 'format_version'")
        for arguments in every_verb(indexed).values():
            error = failing(*arguments)
            assert error["code"] == "version"
            assert "format 99" in error["message"]
            assert error["remedy"] == "upgrade camseek"

    @pytest.mark.parametrize(
        ("option", "says"),
        [
            (["--encoding", "gem"], "encoding cam instead of gem"),
            (["--encoding", "cam:power=2"], "encoding cam instead of cam:power=2"),
            (["--size", "320"], "size 160 instead of 320"),
            (["--layer", "expand16"], "layer head instead of expand16"),
        ],
    )
    def test_other_settings_are_refused(self, photos, index, failing, collection, option, says):
        folder = photos(2)
        index(folder, "--encoding", "cam", "--size", "160")
        error = failing("index", folder, "--collection", collection, *option)
        assert error["code"] == "settings"
        assert says in error["message"]
        assert "leave those options out" in error["remedy"]

    def test_the_same_settings_are_taken(self, photos, index, camseek, collection):
        options = ("--encoding", "gem:power=4", "--size", "64", "--layer", "expand16")
        folder = photos(2)
        index(folder, *options)
        told = camseek("info", "--collection", collection)
        wanted = {"encoding": "gem:power=4", "size": "64", "layer": "expand16", "predefined": []}
        assert told["settings"] == wanted
        assert told["dimensions"] == 672
        # Named again, in part, or not at all.
        for again in (options, options[:2], ()):
            assert index(folder, *again) == {"unchanged": 2}
        found = camseek("search", folder / "1.jpg", "--collection", collection)
        assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
        assert found["settings"]["encoding"] == "gem:power=4"

    def test_an_unknown_layer(self, photos, failing, collection):
        error = failing("index", photos(1), "--collection", collection, "--layer", "toes")
        assert error["code"] == "model"
        assert "expand16" in error["remedy"]
        assert not collection.exists()

    def test_a_model_that_is_not_there(self, photos, failing, collection, tmp_path):
        error = failing("index", photos(1), "--collection", collection, "--model", tmp_path / "none")
        assert error["code"] == "model"
        assert not collection.exists()


class TestNoCollection:
    @pytest.mark.parametrize("kind", ["missing", "empty", "of somebody's files", "file"])
    def test_a_folder_that_is_none(self, photos, failing, collection, every_verb, kind):
        folder = photos(1)
        if kind == "empty":
            collection.mkdir()
        elif kind == "of somebody's files":
            collection.mkdir()
            (collection / "letter.txt").write_text("dear reader")
        elif kind == "file":
            collection.write_text("dear reader")
        verbs = every_verb(folder)
        makes = ("index", "add") if kind in ("missing", "empty") else ()
        for verb in ("remove", "search", "explain", "info", "check"):
            assert failing(*verbs[verb])["code"] == "no_collection"
        if not makes:
            for verb in ("index", "add"):
                error = failing(*verbs[verb])
                assert error["code"] == "collection"
                assert "name a folder" in error["remedy"]
        if kind == "of somebody's files":
            assert os.listdir(collection) == ["letter.txt"]
        assert collection.exists() == (kind != "missing")

    def test_an_empty_folder_may_become_one(self, photos, index, collection):
        collection.mkdir()
        assert index(photos(1)) == {"added": 1, "encoded": 1}

    def test_a_server(self, photos, failing):
        error = failing("index", photos(1), "--collection", "postgres://host/name")
        assert error["code"] == "no_collection"


class TestCorrupt:
    @pytest.mark.parametrize("content", [b"", b"no database" * 1000], ids=["emptied", "overwritten"])
    def test_a_file_that_is_no_database(self, indexed, collection, failing, every_verb, content):
        (collection / "collection.sqlite").write_bytes(content)
        for arguments in every_verb(indexed).values():
            error = failing(*arguments)
            assert error["code"] == "corrupt"
            assert str(collection) in error["message"]
            assert "restore it from a copy" in error["remedy"]
        assert (collection / "collection.sqlite").read_bytes() == content

    def test_a_file_cut_short(self, indexed, collection, failing):
        path = collection / "collection.sqlite"
        os.truncate(path, path.stat().st_size // 2)
        assert failing("check", "--collection", collection)["code"] == "corrupt"

    def test_pages_that_were_overwritten(self, indexed, collection, text):
        path = collection / "collection.sqlite"
        sound = path.read_bytes()
        pages = len(sound) // 16384
        noticed = 0
        for page in range(pages):
            path.write_bytes(sound[: page * 16384] + b"\xa5" * 16384 + sound[(page + 1) * 16384 :])
            for verb in (("check",), ("info",), ("search", indexed / "0.jpg")):
                told = text(*verb, "--collection", collection, "--json", code=None)
                if told.code:
                    assert told.error["code"] == "corrupt"
                    noticed += verb == ("check",)
        assert noticed >= pages - 1  # one may be free

    def test_check_finds_a_flipped_bit(self, indexed, collection, alter, failing, text):
        alter("UPDATE descriptors SET vector = zeroblob(2560) WHERE picture = 2")
        error = failing("check", "--collection", collection)
        assert error["code"] == "corrupt"
        assert "record 2 has another checksum" in error["message"]
        told = text("check", "--collection", collection, code=1)
        assert told.out == ""
        assert "is not sound" in told.err

    def test_check_finds_rows_that_do_not_fit(self, indexed, collection, alter, failing):
        alter("DELETE FROM files WHERE picture = 1")
        alter("DELETE FROM claims WHERE path LIKE '%3.jpg'")
        message = failing("check", "--collection", collection)["message"]
        assert "1 picture without a file" in message
        assert "claims" in message

    def test_a_lock_that_is_no_lock(self, indexed, collection, failing):
        (collection / "writer.lock").write_bytes(b"no database" * 1000)
        error = failing("index", indexed, "--collection", collection)
        assert error["code"] == "storage"


class TestTwoAtOnce:
    def test_a_second_indexer_ends_at_once_and_a_search_works(
        self, photos, encoded, collection, index, starting, report_of, failing, camseek, every_verb
    ):
        folder = photos(2)
        index(folder)
        other = photos(300, "other")
        first = starting("index", other, "--collection", collection)
        holder = collection / "writer.json"
        await_it(lambda: f'"pid": {first.pid},' in holder.read_text())
        first.send_signal(19)  # SIGSTOP: so that it does not end meanwhile
        try:
            for verb in ("index", "add", "remove"):
                error = failing(*every_verb(folder)[verb])
                assert error["code"] == "busy"
                assert f"process {first.pid} on " in error["message"]
                assert "wait until it has ended" in error["remedy"]
            found = camseek("search", folder / "0.jpg", "--collection", collection)
            assert found["hits"][0]["path"] == str(folder / "0.jpg")
            assert camseek("info", "--collection", collection)["pictures"] >= 2
            assert camseek("check", "--collection", collection)["sound"]
        finally:
            first.send_signal(18)  # SIGCONT
        told = report_of(first)
        assert told.code == 0
        # The first two are known under other names.
        assert (told.json["added"], told.json["encoded"]) == (300, 298)
        assert index(folder) == {"unchanged": 2}

    def test_two_that_make_one_collection(self, photos, collection, starting, report_of, camseek):
        folder = photos(60)
        told = [
            report_of(one)
            for one in [starting("index", folder, "--collection", collection) for _ in range(2)]
        ]
        done = [one for one in told if one.code == 0]
        assert done
        for one in told:
            if one.code:
                assert one.error["code"] == "busy"
        assert max(one.json["added"] for one in done) == 60
        assert camseek("info", "--collection", collection)["pictures"] == 60


def await_it(condition, seconds=30):
    """Waits until something is so."""
    until = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < until
        time.sleep(0.002)


@pytest.mark.needs_root
class TestReadOnlyDisk:
    @pytest.fixture
    def disk(self, small_disk):
        place = small_disk(8)
        yield place
        remount(place, "rw")

    def test_it_can_be_searched_and_not_written(self, photos, encoded, camseek, failing, disk):
        folder, collection = photos(3), disk / "collection"
        camseek("index", folder, "--collection", collection)
        remount(disk, "ro")
        found = camseek("search", folder / "1.jpg", "--collection", collection)
        assert found["hits"][0]["path"] == str(folder / "1.jpg")
        assert camseek("info", "--collection", collection)["pictures"] == 3
        assert camseek("check", "--collection", collection)["sound"]
        (folder / "new.jpg").write_bytes(encoded(10))
        for verb in ("index", "add", "remove"):
            target = folder if verb == "index" else folder / "0.jpg"
            error = failing(verb, target, "--collection", collection)
            assert error["code"] == "storage"
            assert str(collection) in error["message"]
            assert "writable" in error["remedy"]
        error = failing("index", folder, "--collection", disk / "new")
        assert error["code"] == "storage"
        remount(disk, "rw")
        assert camseek("index", folder, "--collection", collection)["added"] == 1

    def test_pictures_on_one(self, camseek, encoded, disk, collection):
        (disk / "a.jpg").write_bytes(encoded(1))
        remount(disk, "ro")
        assert camseek("index", disk, "--collection", collection)["added"] == 1
        assert camseek("search", disk / "a.jpg", "--collection", collection, "--boxes")["hits"][0]["box"]


def remount(disk, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def fill(disk):
    """Takes every byte that is free."""
    with open(disk / "ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(1024)):
                pass
        except OSError:
            pass
    assert os.statvfs(disk).f_bavail == 0


@pytest.mark.needs_root
class TestFullDisk:
    def test_while_indexing(self, photos, encoded, camseek, failing, small_disk):
        folder, disk = photos(400), small_disk(1)
        collection = disk / "collection"
        error = failing("index", folder, "--collection", collection)
        assert error["code"] == "storage"
        assert "full" in error["message"]
        assert "what was done before is kept" in error["remedy"]
        kept = camseek("info", "--collection", collection)["pictures"]
        assert 0 < kept < 400
        assert camseek("check", "--collection", collection) == {
            "collection": str(collection),
            "sound": True,
            "pictures": kept,
        }
        # No byte is free any more, and a search works all the same.
        fill(disk)
        assert len(camseek("search", folder / "0.jpg", "--collection", collection)["hits"]) == 20
        assert camseek("info", "--collection", collection)["pictures"] == kept
        assert failing("index", folder, "--collection", collection)["code"] == "storage"
        remount(disk, "size=8m")
        told = camseek("index", folder, "--collection", collection)
        assert told["added"] == 400 - kept
        assert told["unchanged"] == kept
        assert camseek("info", "--collection", collection)["pictures"] == 400
        assert camseek("check", "--collection", collection)["sound"]

    def test_no_space_is_needed_to_read(self, photos, camseek, failing, small_disk):
        folder, disk = photos(3), small_disk(1)
        collection = disk / "collection"
        camseek("index", folder, "--collection", collection)
        fill(disk)
        for _ in range(2):
            assert len(camseek("search", folder / "0.jpg", "--collection", collection)["hits"]) == 3
            assert camseek("info", "--collection", collection)["pictures"] == 3
            assert camseek("check", "--collection", collection)["sound"]
            assert failing("remove", folder, "--collection", collection)["code"] == "storage"
        (disk / "ballast").unlink()
        assert camseek("remove", folder, "--collection", collection)["removed"] == 3

    def test_at_every_moment_of_making_one(self, photos, camseek, small_disk, text):
        folder, disk = photos(2), small_disk(2)
        collection = disk / "collection"
        outcomes = set()
        for kilobytes in range(0, 700, 28):
            with open(disk / "ballast", "wb") as ballast:
                ballast.write(bytes(2048 * 1024 - kilobytes * 1024 - 8192))
            told = text("index", folder, "--collection", collection, "--json", code=None)
            if told.code:
                assert told.error["code"] == "storage", told
            outcomes.add(told.code)
            (disk / "ballast").unlink()
            again = camseek("index", folder, "--collection", collection)
            assert again["added"] + again["unchanged"] == 2, kilobytes
            assert camseek("check", "--collection", collection)["pictures"] == 2
            for path in collection.iterdir():
                path.unlink()
        assert outcomes == {0, 1}


def test_whatever_byte_is_flipped_the_error_is_a_users(photos, camseek, collection, text, tmp_path):
    """Sound by luck, or told as damaged (or another version, a lock): never as a fault of camseek."""
    folder = photos(3)
    (folder / "bad.jpg").write_text("text")
    camseek("index", folder, "--collection", collection)
    whole = (collection / "collection.sqlite").read_bytes()
    used = [place for place in range(len(whole)) if whole[place]]
    rng = np.random.default_rng(7)
    for place in rng.choice(used, 60, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        (collection / "collection.sqlite").write_bytes(damaged)
        for arguments in (
            ("info",),
            ("check",),
            ("search", folder / "0.jpg"),
            ("remove", folder / "0.jpg"),
        ):
            told = text(*arguments, "--collection", collection, "--json", code=None)
            assert told.code in (0, 1)
            assert '"code": "internal"' not in told.out
            for leftover in collection.glob("collection.sqlite-*"):
                leftover.unlink()
            (collection / "collection.sqlite").write_bytes(damaged)
