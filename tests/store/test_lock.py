import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from camseek.errors import CollectionBusyError, StorageError, UnreadableFileError
from camseek.images import open_file, walk
from camseek.store import create_collection, open_collection
from camseek.store.lock import WriterLock

HOLD = """
import sys, time
from camseek.store import open_collection
with open_collection(sys.argv[1]) as c, c.write("camseek index"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_ends_at_once_and_names_the_holder(collection):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, collection.address], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CollectionBusyError) as caught, collection.write("test"):
            pass
        assert f"process {holder.pid} on " in caught.value.message
        assert "camseek index" in caught.value.message
        # Readers are not held up.
        with open_collection(collection.address) as reader:
            assert reader.catalogue.info().pictures == 0
        holder.kill()
    # A killed holder lets go.
    with collection.write("test"):
        pass


def test_two_writers_in_one_process(collection):
    with collection.write("one"):
        with pytest.raises(CollectionBusyError), collection.write("two"):
            pass
        with (
            open_collection(collection.address) as other,
            pytest.raises(CollectionBusyError),
            other.write("x"),
        ):
            pass
    with collection.write("three"):
        pass


def test_a_holder_that_has_not_signed_yet(tmp_path):
    folder = os.fsencode(tmp_path)
    lock = WriterLock(folder, "first")
    (tmp_path / "writer.json").write_text("")
    with pytest.raises(CollectionBusyError, match="another process"):
        WriterLock(folder, "second")
    lock.release()


def test_a_folder_that_has_gone(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        WriterLock(os.fsencode(tmp_path / "gone"), "x")


def test_a_lock_held_for_an_instant_is_waited_for(tmp_path):
    """Two processes that try in the same instant see each other's attempt and could refuse each other."""
    folder = os.fsencode(tmp_path)
    first = WriterLock(folder, "first")
    timer = threading.Timer(0.02, first.release)
    timer.start()
    WriterLock(folder, "second").release()
    timer.join()


def test_what_a_collection_holds_of_its_own_is_never_opened(collection):
    """Closing such a file would let go of the lock, which belongs to the whole process."""
    address = Path(collection.address)
    (address / "notes.txt").write_bytes(b"text")
    script = (
        "import sys; from camseek.store import open_collection\n"
        "with open_collection(sys.argv[1]).write('second'): pass"
    )
    with collection.write("first"):
        assert walk(os.fsencode(address)).ignored == 1
        for name in ("writer.lock", "collection.sqlite", "collection.sqlite-wal"):
            with pytest.raises(UnreadableFileError, match="file of a camseek collection"):
                open_file(os.fsencode(address / name))
        done = subprocess.run([sys.executable, "-c", script, address], check=False, capture_output=True)
        assert b"CollectionBusyError" in done.stderr


def test_what_a_killed_writer_had_not_put_in_place_goes(tmp_path, profile):
    """Killed while it signed, a writer leaves a note beside its place: that takes no place, and goes."""
    left = tmp_path / ".writer.json.0123456789abcdef.part"
    left.write_text("{")
    with create_collection(str(tmp_path), profile) as made, made.write("test"):
        pass
    assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "collection.sqlite",
        "writer.json",
        "writer.lock",
    ]
