import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from camseek.config import Encoding, Settings
from camseek.encoding.whitening import Whitening
from camseek.errors import (
    CollectionBusyError,
    CollectionError,
    CollectionVersionError,
    CorruptCollectionError,
    NoCollectionError,
    SettingsError,
    StorageError,
)
from camseek.store import (
    Signature,
    create_collection,
    open_collection,
)
from camseek.store import database as database_module

SIGNATURE = Signature(1, 2, 3)


def database(collection):
    return os.path.join(collection.address, "collection.sqlite")


def alter(collection, sql, values=()):
    with sqlite3.connect(database(collection)) as connection:
        connection.execute(sql, values)
    connection.close()


class TestOpening:
    def test_no_folder(self, tmp_path):
        with pytest.raises(NoCollectionError, match="does not exist"):
            open_collection(str(tmp_path / "none"))

    def test_a_folder_that_is_none(self, tmp_path):
        with pytest.raises(NoCollectionError, match="is not a collection"):
            open_collection(str(tmp_path))

    def test_an_address_of_a_server(self):
        with pytest.raises(NoCollectionError, match="in folders and on Milvus servers"):
            open_collection("postgres://host/name")

    def test_creating_over_files_is_refused(self, tmp_path, profile):
        (tmp_path / "photo.jpg").write_bytes(b"x")
        with pytest.raises(CollectionError, match="not empty"):
            create_collection(str(tmp_path), profile)
        assert os.listdir(tmp_path) == ["photo.jpg"]

    def test_creating_on_a_file_is_refused(self, tmp_path, profile):
        (tmp_path / "file").touch()
        with pytest.raises(CollectionError, match="is a file"):
            create_collection(str(tmp_path / "file"), profile)

    def test_creating_twice_keeps_the_first(self, collection, fill, profile):
        fill(collection, [1])
        with create_collection(collection.address, profile) as again:
            assert again.catalogue.info().pictures == 1

    def test_an_interrupted_creation_is_finished(self, tmp_path, profile):
        (tmp_path / "collection.sqlite.new").write_bytes(b"half")
        with create_collection(str(tmp_path), profile) as made:
            assert made.catalogue.info().pictures == 0

    def test_a_later_version(self, collection):
        alter(collection, "UPDATE meta SET value = 99 WHERE key = 'format_version'")
        with pytest.raises(
            CollectionVersionError, match="format 99; this camseek knows formats 1 to 5"
        ) as error:
            open_collection(collection.address)
        assert error.value.remedy == "upgrade camseek"

    def test_settings_of_a_later_version(self, collection):
        alter(collection, "UPDATE meta SET value = '{\"new\": 1}' WHERE key = 'settings'")
        with pytest.raises(SettingsError, match="later camseek"):
            open_collection(collection.address)

    @pytest.mark.parametrize("content", [b"", b"no database at all" * 1000])
    def test_a_file_that_is_no_database(self, collection, content):
        with open(database(collection), "wb") as file:
            file.write(content)
        with pytest.raises(CorruptCollectionError):
            open_collection(collection.address)

    def test_names_with_signs_that_mean_something_in_an_address(self, tmp_path, profile):
        path = tmp_path / "50% off? #1 &mode=memory"
        create_collection(str(path), profile).close()
        with open_collection(str(path)) as opened:
            assert opened.address == str(path)

    def test_whitening_and_settings_come_back(self, tmp_path, profile):
        matrix = Whitening(np.zeros(16, np.float32), np.eye(16, dtype=np.float32))
        wanted = replace(
            profile, whitening=matrix.to_bytes(), settings=Settings(encoding=Encoding.parse("gem:power=4"))
        )
        with create_collection(str(tmp_path / "c"), wanted) as made:
            assert made.profile == wanted

    def test_a_closed_collection_leaves_no_log(self, collection, fill):
        fill(collection, [1])
        collection.close()
        assert sorted(os.listdir(collection.address)) == ["collection.sqlite", "writer.json", "writer.lock"]

    def test_one_that_another_program_has_locked_is_not_called_damaged(self, collection, monkeypatch):
        monkeypatch.setattr(database_module, "_PATIENCE", 0.1)
        with closing(sqlite3.connect(database(collection), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with (
                pytest.raises(CollectionBusyError, match="locked by another program"),
                collection.write("test") as writer,
            ):
                writer.root(b"/r")

    @pytest.mark.parametrize("key", ["created", "model", "settings", "dimensions", "format_version"])
    def test_a_fact_about_itself_that_is_missing_or_another_type(self, collection, key):
        for sql in ("UPDATE meta SET value = x'00' WHERE key = ?", "DELETE FROM meta WHERE key = ?"):
            alter(collection, sql, (key,))
            with pytest.raises(CorruptCollectionError, match=key):
                open_collection(collection.address)

    def test_text_that_is_none(self, collection):
        alter(collection, "INSERT INTO skipped VALUES (x'41', 0, 1, 1, 1, 'c', CAST(x'ff' AS TEXT), 't')")
        with pytest.raises(CorruptCollectionError):
            collection.catalogue.info()

    def test_values_of_another_type(self, collection, fill):
        fill(collection, [1])
        alter(collection, "UPDATE files SET path = 'text'")
        with pytest.raises(CorruptCollectionError), collection.write("test") as writer:
            writer.files()


class TestCheck:
    @pytest.mark.parametrize("sql", ["UPDATE pictures SET width = -7", "UPDATE files SET size = -1"])
    def test_impossible_values_cannot_be_written(self, collection, fill, sql):
        fill(collection, [1])
        with pytest.raises(sqlite3.IntegrityError):
            alter(collection, sql)

    def test_a_flipped_bit_in_a_descriptor(self, collection, fill):
        fill(collection, range(3))
        alter(collection, "UPDATE descriptors SET vector = zeroblob(32) WHERE picture = 2")
        [fault] = collection.catalogue.check()
        assert "record 2" in fault
        assert "checksum" in fault

    def test_a_descriptor_of_wrong_length(self, collection, fill):
        fill(collection, range(3))
        alter(collection, "UPDATE descriptors SET vector = x'00' WHERE picture = 2")
        assert collection.catalogue.check() == ["the descriptor of record 2 has 1 bytes, not 32"]
        with pytest.raises(CorruptCollectionError):
            collection.vectors.of(np.array([1, 2]))
        with pytest.raises(CorruptCollectionError):
            collection.vectors.nearest(np.eye(1, 16, dtype=np.float32), 1)

    def test_a_picture_without_a_file(self, collection, fill):
        fill(collection, range(3))
        alter(collection, "DELETE FROM files WHERE path = ?", (b"/photos/1.jpg",))
        faults = collection.catalogue.check()
        assert "1 picture without a file" in faults

    def test_a_broken_page(self, collection, fill):
        fill(collection, range(900))
        collection.close()
        with open(database(collection), "r+b") as file:
            file.seek(5 * 8192)
            file.write(b"\xff" * 8192)
        with open_collection(collection.address) as opened:
            try:
                faults = opened.catalogue.check()
            except CorruptCollectionError as error:
                faults = [error.message]
        assert faults

    def test_a_file_cut_short(self, collection, fill):
        fill(collection, range(900))
        collection.close()
        os.truncate(database(collection), 3 * 8192 + 100)
        with pytest.raises(CorruptCollectionError), open_collection(collection.address) as opened:
            assert opened.catalogue.check()
            raise CorruptCollectionError("told by check", remedy="")


@pytest.mark.needs_root
class TestOtherUsers:
    """What a user sees who may only read."""

    CODE = (
        "import sys; from camseek.store import open_collection\n"
        "with open_collection(sys.argv[1]) as c:\n"
        "    print(len(c.vectors.records()), c.catalogue.check())"
    )

    def read(self, folder):
        command = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            sys.executable,
            "-c",
            self.CODE,
        ]
        return subprocess.run([*command, folder], capture_output=True, text=True, check=False, cwd="/")

    @pytest.fixture
    def folder(self, collection, fill, open_tmp_path):
        fill(collection, range(3))
        collection.close()
        target = open_tmp_path / "c"
        shutil.copytree(collection.address, target)
        return str(target)

    def test_a_collection_of_somebody_else(self, folder):
        assert self.read(folder).stdout == "3 []\n"

    def test_a_killed_writer_on_a_read_only_disk(self, collection, fill, open_tmp_path):
        # The log of a killed writer holds what the main file does not.
        fill(collection, range(3))
        with collection.write("test") as writer, writer.unit():
            pass
        keeper = open_collection(collection.address)
        fill(collection, range(3, 5))
        target = open_tmp_path / "c"
        target.mkdir()
        for name in ("collection.sqlite", "collection.sqlite-wal"):
            shutil.copy(os.path.join(collection.address, name), target)
        keeper.close()
        assert (target / "collection.sqlite-wal").stat().st_size > 0
        result = self.read(str(target))
        assert result.stdout == "5 []\n", result.stderr

    def test_a_collection_one_may_not_read(self, folder):
        os.chmod(os.path.join(folder, "collection.sqlite"), 0o600)
        result = self.read(folder)
        assert "StorageError" in result.stderr

    def test_writing_where_one_may_not(self, folder):
        code = (
            "import sys; from camseek.store import open_collection\n"
            "with open_collection(sys.argv[1]) as c, c.write('x'): pass"
        )
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code]
        result = subprocess.run([*command, folder], capture_output=True, text=True, check=False, cwd="/")
        assert "StorageError: cannot write to" in result.stderr


@pytest.mark.needs_root
def test_a_full_disk_loses_only_what_was_not_committed(small_disk, profile, picture):
    folder = small_disk(4)
    with create_collection(str(folder / "c"), replace(profile, dimensions=16)) as made:
        kept = 0
        with pytest.raises(StorageError, match="full"), made.write("test") as writer:
            root = writer.root(b"/" + b"r" * 1000)
            for number in range(2000):
                with writer.unit():
                    path = b"/%d" % number + b"x" * 4000
                    writer.point(path, writer.insert(picture(number)), SIGNATURE, root)
                writer.commit()
                kept = number + 1
        assert kept > 10
        assert made.catalogue.check() == []
        assert made.catalogue.info().pictures == kept


def test_one_collection_from_several_threads(collection, fill):
    fill(collection, range(50))
    faults = []

    def read():
        try:
            for _ in range(50):
                with collection.snapshot():
                    assert len(collection.vectors.records()) == 50
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
