"""Collections of which codes are kept: the file beside the database, and what comes and goes."""

import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camseek.encoding.whitening import Whitening
from camseek.errors import CorruptCollectionError
from camseek.store import Refit, beside, open_collection
from camseek.store import vectors as module


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """More than ten pictures are many, and five are worth a file."""
    monkeypatch.setattr("camseek.store.memory.ROOM", 10 * 4 * 16)
    monkeypatch.setattr(module, "_PROPOSED", 0)
    monkeypatch.setattr("camseek.store.proposing._LEAST", 4)
    monkeypatch.setattr(beside, "LEAST_SAVED", 5)


@pytest.fixture
def unstreamed(monkeypatch):
    """Nobody may compare all descriptors."""
    monkeypatch.setattr(module.FolderVectors, "_streamed", None)


def file_of(collection):
    return Path(collection.address) / "descriptors.codes"


def remove(collection, numbers):
    with collection.write("test") as writer:
        writer.release([b"/photos/%d.jpg" % number for number in numbers], None)


def found(collection, query, k=99):
    [ranking] = collection.vectors.nearest(query[None], k)
    return ranking.records.tolist(), ranking.scores.tolist(), ranking.compared


def anew(collection, query, k=99):
    """The same by all descriptors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("camseek.store.memory.ROOM", 1 << 30)
        patch.setattr(module.FolderVectors, "_choose", lambda *_, **__: None)
        with open_collection(collection.address, keep_vectors=False) as other:
            return found(other, query, k)


@pytest.fixture
def reads(monkeypatch):
    """Counts the descriptors that are read to be kept."""
    read = []
    real = module.FolderVectors._read

    def count(self, after):
        block = real(self, after)
        read.extend(block.records.tolist())
        return block

    monkeypatch.setattr(module.FolderVectors, "_read", count)
    return read


def test_few_descriptors_have_no_file(collection, fill, unit):
    fill(collection, range(10))
    assert not file_of(collection).exists()
    assert found(collection, unit(3)) == anew(collection, unit(3))


@pytest.mark.parametrize("keep", [True, False])
def test_the_writer_saves_codes_and_the_next_process_reads_no_descriptors(
    collection, fill, unit, reads, unstreamed, keep
):
    fill(collection, range(40))
    del reads[:]
    with open_collection(collection.address, keep_vectors=keep) as again:
        [ranking] = again.vectors.nearest(unit(3)[None], 5)
        assert ranking.records[0] == 4
        assert again.catalogue.check() == []
    assert reads == []


@pytest.mark.parametrize("keep", [True, False])
def test_what_came_and_went_since_is_told_from_the_database(collection, fill, unit, reads, unstreamed, keep):
    fill(collection, range(40))
    before = file_of(collection).read_bytes()
    fill(collection, range(40, 42))
    remove(collection, [3, 41])
    assert file_of(collection).read_bytes() == before
    del reads[:]
    with open_collection(collection.address, keep_vectors=keep) as again:
        records, _, compared = found(again, unit(3))
        assert sorted(record - 1 for record in records) == [n for n in range(41) if n != 3]
        assert compared == 40
    assert reads == [41]


def test_it_is_saved_anew_when_much_has_changed_on_the_same_axes_until_it_has_doubled(
    collection, fill, unit, reads
):
    fill(collection, range(20))
    first = collection.vectors._axes.directions
    fill(collection, range(20, 39))
    del reads[:]
    with open_collection(collection.address) as again:
        assert found(again, unit(30)) == anew(again, unit(30))
        assert reads == list(range(1, 40))  # all of them by the comparison itself
        assert (again.vectors._axes.directions == first).all()
        fill(collection, [39])
        assert found(again, unit(39)) == anew(again, unit(39))
        assert again.vectors._axes.fitted == 40
        assert (again.vectors._axes.directions != first).any()


def test_few_that_are_left_are_kept_as_they_are(collection, fill, unit):
    fill(collection, range(30))
    assert found(collection, unit(3))[0][0] == 4
    assert collection.vectors._axes is not None
    remove(collection, range(8, 30))
    assert found(collection, unit(3)) == anew(collection, unit(3))
    assert collection.vectors._axes is not None  # one more, and they would be made again
    remove(collection, range(5, 8))
    assert found(collection, unit(3)) == anew(collection, unit(3))
    assert collection.vectors._axes is None
    fill(collection, range(30, 50))
    assert found(collection, unit(3)) == anew(collection, unit(3))
    assert collection.vectors._axes is not None


@pytest.mark.parametrize("harm", ["lost", "short", "head", "codes", "text", "foreign"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_is_lost_or_damaged_loses_nothing(collection, fill, unit, harm, keep):
    fill(collection, range(30))
    path = file_of(collection)
    content = bytearray(path.read_bytes())
    if harm == "lost":
        path.unlink()
    elif harm == "foreign":
        with sqlite3.connect(Path(collection.address) / "collection.sqlite") as connection:
            connection.execute("UPDATE meta SET value = 'of another' WHERE key = 'descriptor_codes'")
        connection.close()
    else:
        content[{"head": 350}.get(harm, -3)] ^= 255
        path.write_bytes({"short": content[:-8], "text": b"no codes"}.get(harm, content))
    with open_collection(collection.address, keep_vectors=keep) as again:
        assert found(again, unit(3)) == anew(again, unit(3))
        faults = again.catalogue.check()
        sound = harm in ("lost", "foreign")
        assert [fault.split(" ")[0] for fault in faults] == ([] if sound else ["descriptors.codes"])
        fill(again, range(30, 36))
        assert found(again, unit(33)) == anew(again, unit(33))
        assert again.catalogue.check() == []
        assert path.exists()


def test_codes_of_an_old_database_that_is_put_back_are_not_used(collection, fill, unit, tmp_path):
    """Numbers of pictures are used again, for others."""
    database = Path(collection.address) / "collection.sqlite"
    fill(collection, range(20))
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    shutil.copy(database, tmp_path / "backup.sqlite")
    fill(collection, range(20, 60))
    collection.close()
    shutil.copy(tmp_path / "backup.sqlite", database)
    for log in database.parent.glob("collection.sqlite-*"):
        log.unlink()
    with open_collection(str(database.parent)) as restored:
        fill(restored, range(100, 103))
        assert found(restored, unit(101)) == anew(restored, unit(101))
        assert restored.catalogue.check() == []


def test_descriptors_that_are_all_replaced_have_other_codes(collection, fill, unit):
    fill(collection, range(30))
    assert found(collection, unit(3))[0][0] == 4
    before = file_of(collection).read_bytes()
    with open_collection(collection.address) as other, other.write("fit") as writer:
        whitening = Whitening(np.zeros(16, np.float32), np.eye(16, dtype=np.float32))
        fitted = replace(collection.profile, whitening=whitening.to_bytes(), dimensions=16)
        writer.refitter.begin(Refit(asked="", profile=fitted))
        for record in writer.refitter.pending():
            writer.refitter.put(record, unit(500 + record))
        writer.refitter.finish()
    assert file_of(collection).read_bytes() != before
    assert found(collection, unit(507))[0][0] == 7
    assert found(collection, unit(507)) == anew(collection, unit(507))
    # As where a writer ended before it had saved the new ones.
    file_of(collection).write_bytes(before)
    with open_collection(collection.address) as again:
        assert found(again, unit(507)) == anew(again, unit(507))


def test_a_process_that_stays_open_takes_up_the_new_file(collection, fill, unit, reads):
    fill(collection, range(8))
    assert found(collection, unit(3))[2] == 8
    with open_collection(collection.address) as other:
        fill(other, range(8, 40))
        del reads[:]
        assert found(collection, unit(30))[0][0] == 31
        assert reads == []
        fill(other, [50])
        assert found(collection, unit(50))[0][0] == 41
        assert reads == [41]


def test_a_writer_that_ends_between_file_and_database_leaves_what_is_not_used(
    collection, fill, unit, monkeypatch
):
    fill(collection, range(20))
    fill(collection, range(20, 22))
    monkeypatch.setattr(beside, "LEAST_SAVED", 1)

    def killed(token):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collection.vectors.save(killed)
    with open_collection(collection.address) as again:
        assert found(again, unit(21)) == anew(again, unit(21))
        assert again.catalogue.check() == []


def test_a_disk_that_takes_no_file_costs_no_picture(collection, fill, unit, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_codes", full)
    fill(collection, range(30))
    assert not file_of(collection).exists()
    assert found(collection, unit(21)) == anew(collection, unit(21))
    fill(collection, range(30, 33))
    assert found(collection, unit(31)) == anew(collection, unit(31))


def test_a_collection_that_can_only_be_read(collection, fill, unit):
    fill(collection, range(30))
    expected, folder = found(collection, unit(3)), collection.address
    collection.close()
    os.chmod(folder, 0o555)
    try:
        with open_collection(folder) as again:
            assert found(again, unit(3)) == expected
    finally:
        os.chmod(folder, 0o755)


def test_a_link_in_its_place_is_refused_as_that_of_any_file_of_a_collection(collection, fill, tmp_path):
    fill(collection, range(30))
    path = file_of(collection)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptCollectionError, match="it is a link"):
        open_collection(collection.address)


def test_its_bytes_are_told(collection, fill):
    fill(collection, range(30))
    size = file_of(collection).stat().st_size
    told = collection.catalogue.info().bytes
    file_of(collection).unlink()
    assert told - collection.catalogue.info().bytes == size


def test_descriptors_that_nobody_wrote(collection, fill, unit):
    fill(collection, range(9))
    with sqlite3.connect(Path(collection.address) / "collection.sqlite") as connection:
        odd = np.full(16, np.nan, np.float16).tobytes()
        connection.execute("UPDATE descriptors SET vector = ?", (odd,))
    connection.close()
    with (
        open_collection(collection.address) as again,
        pytest.raises(CorruptCollectionError, match="two desc"),
    ):
        fill(again, range(9, 20))
        found(again, unit(3))


def test_more_than_a_part_of_all_are_compared_without_codes(collection, fill, unit, monkeypatch):
    monkeypatch.setattr(module, "_PROPOSED", 4)
    fill(collection, range(40))
    monkeypatch.setattr("camseek.store.vectors.nearest_by_codes", None)
    for k in (11, 99):
        assert found(collection, unit(3), k) == anew(collection, unit(3), k)
    with pytest.raises(TypeError):
        found(collection, unit(3), 10)
