"""Collections copied between folders and a Milvus server."""

import os
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from camseek import Engine
from camseek.cli import run
from camseek.errors import SettingsError
from camseek.indexing import copying
from camseek.job import Job
from camseek.patterns import Patterns
from camseek.store import ADDED_BY_HAND, Refit, open_collection

JOB = Job.of(None, None)


@pytest.fixture
def full(address, model, photos, encoded, featureless):
    """A collection with two folders, patterns, a copy, a skipped file, one by hand, and one without file."""
    folder, other = photos(6), photos(2, "other")
    (folder / "grey.png").write_bytes(featureless)
    (folder / "bad.jpg").write_bytes(b"no picture")
    shutil.copy(folder / "1.jpg", folder / "again.jpg")
    with Engine.open(address, model=model, create=True, workers=2, without=("fine",)) as engine:
        engine.index(folder, exclude=["*.tif"])
        engine.index(other)
        engine.add([folder / "1.jpg"])
        engine.add({"given": encoded(30)})
        yield engine.collection


def told(collection):
    """All that a collection holds, by what pictures are called everywhere."""
    with collection.snapshot():
        ledger, catalogue = collection.catalogue.ledger(), collection.catalogue
        pictures = catalogue.pictures(catalogue.records().tolist())
        vectors = collection.vectors.records()
        rows = dict(zip(vectors.tolist(), collection.vectors.of(vectors), strict=True))
        kinds = {kind: collection.traces.get(kind, list(pictures)) for kind in collection.traces.kinds()}
        roots = {path: root.number for path, root in ledger.roots().items()} | {b"": ADDED_BY_HAND}
        return {
            "profile": replace(collection.profile, generation=0),
            "order": [pictures[record].content for record in catalogue.records().tolist()],
            "pictures": {item.content: replace(item, record=0) for item in pictures.values()},
            "vectors": {pictures[record].content: row.tobytes() for record, row in rows.items()},
            "traces": {
                (kind, pictures[record].content): data
                for kind, held in kinds.items()
                for record, data in held.items()
            },
            "files": {path: entry.signature for path, entry in ledger.files().items()},
            "claims": {path: ledger.claimed(number) for path, number in roots.items()},
            "patterns": {path: root.patterns for path, root in ledger.roots().items()},
            "skipped": {path: ledger.skipped(number) for path, number in roots.items()},
        }


def test_there_and_back(full, milvus, tmp_path):
    there = copying.copy(full, milvus, job=JOB)
    assert (there.pictures, there.copied, there.files, there.damaged) == (8, 8, 11, 0)
    with open_collection(milvus) as server:
        assert told(server) == told(full)
        assert server.catalogue.check() == []
        back = copying.copy(server, str(tmp_path / "back"), job=JOB)
        assert (back.source, back.copied) == (milvus, 8)
    with open_collection(str(tmp_path / "back")) as folder:
        assert told(folder) == told(full)
        assert folder.catalogue.check() == []
        query = np.array([full.vectors.of(full.vectors.records()[:1])[0]])
        [one], [two] = (where.vectors.nearest(query, 8) for where in (full, folder))
        assert (one.records.tolist(), one.scores.tolist()) == (two.records.tolist(), two.scores.tolist())


@pytest.mark.parametrize("kind", ["folder", "milvus"])
def test_a_run_that_was_stopped_goes_on(full, request, tmp_path, monkeypatch, kind):
    target = request.getfixturevalue("milvus") if kind == "milvus" else str(tmp_path / "copy")
    monkeypatch.setattr(copying, "_COMMIT", 2)
    put, seen = copying._Copying.put, []

    def stopping(self, *args):
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(put(self, *args))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(copying._Copying, "put", stopping)
        copying.copy(full, target, job=JOB)
    with open_collection(target) as half:
        assert half.catalogue.count() == 5
        assert half.catalogue.check() == []
    assert copying.copy(full, target, job=JOB).copied == 3
    again = copying.copy(full, target, job=JOB)
    assert (again.copied, again.files) == (0, 0)
    with open_collection(target) as whole:
        assert told(whole) == told(full)


def test_what_changed_since_comes_and_what_is_there_stays(full, tmp_path, encoded):
    target = str(tmp_path / "copy")
    copying.copy(full, target, job=JOB)
    with Engine(open_collection(target)) as engine:
        engine.add({"own": encoded(40)})
    with full.write("test") as writer:
        [path] = full.catalogue.ledger().files_under(b"camseek:given")
        writer.release([path], None)
        root = full.catalogue.ledger().roots()[str(tmp_path / "photos").encode()].number
        writer.set_patterns(root, Patterns(("*.jpg",)))
    assert copying.copy(full, target, job=JOB).copied == 0
    with open_collection(target) as there:
        names = there.catalogue.names()
        assert b"camseek:own" in names
        assert b"camseek:given" in names
        assert told(there)["patterns"] == told(full)["patterns"]


def test_damaged_parts_are_left_out_and_told(full, address, tmp_path):
    with sqlite3.connect(address / "collection.sqlite") as database:
        database.execute("UPDATE traces SET data = x'00' WHERE kind = 'points-1' AND picture = 2")
    database.close()
    report = copying.copy(full, str(tmp_path / "copy"), job=JOB)
    assert (report.copied, report.damaged) == (8, 1)
    with open_collection(str(tmp_path / "copy")) as there:
        assert len(there.traces.missing("points-1")) == 1
        assert there.catalogue.check() == []


def test_a_copy_within_itself_is_refused(full, tmp_path):
    with pytest.raises(SettingsError, match="lies in the folder of"):
        copying.copy(full, os.path.join(full.address, "copy"), job=JOB)


def test_what_is_beside_the_representation_in_use_is_told(full, tmp_path, capsys):
    with full.write("test") as writer:
        writer.refitter.begin(Refit(asked="something", profile=full.profile))
    assert copying.copy(full, str(tmp_path / "one"), job=JOB).left == "unfinished"
    with full.write("test") as writer:
        for record in writer.refitter.pending():
            writer.refitter.put(record, None)
        writer.refitter.finish(keep=True)
    assert run(["copy", full.address, str(tmp_path / "two")]) == 0
    assert "what is kept for camseek upgrade --undo was not copied" in capsys.readouterr().err
    with open_collection(str(tmp_path / "two")) as made:
        assert made.catalogue.info().beside is None


def test_what_was_made_otherwise_is_refused(full, tmp_path, model):
    target = tmp_path / "otherwise"
    Engine.open(target, model=model, settings="crow", create=True, without=("fine",)).close()
    with pytest.raises(SettingsError, match="another settings"):
        copying.copy(full, str(target), job=JOB)
