"""What is kept of pictures, made anew on machines without a collection: an executor stands for them."""

import pickle
from contextlib import contextmanager

import pytest

from camseek import Engine, Settings, load_model
from camseek.config import PARTS, Encoding, Resize
from camseek.errors import SourceError
from camseek.indexing import cluster
from camseek.indexing.travelling import folders_of
from models import other_model

pytestmark = pytest.mark.usefixtures("remembered_passes")


class Machines:
    """An executor whose work and items travel as they would, and which loses some."""

    def __init__(self):
        self.lost, self.done, self.sees = set(), 0, []

    @contextmanager
    def connected(self, address, *, sees, gpus):
        self.sees = list(sees)
        yield self

    def map(self, work, items, *, lost, check):
        there = pickle.loads(pickle.dumps(work))
        for number, item in enumerate(items):
            check()
            self.done += 1
            if number in self.lost:
                yield lost(item, "WorkerCrashedError")
            else:
                yield pickle.loads(pickle.dumps(there(pickle.loads(pickle.dumps(item)))))


@pytest.fixture
def machines(monkeypatch):
    made = Machines()
    monkeypatch.setattr(cluster, "connected", made.connected)
    return made


@pytest.fixture
def made(address, model, photos, encoded):
    """A collection of a folder's pictures and one without a file."""
    settings = Settings(encoding=Encoding.parse("rmac"), size=Resize.parse("64"))
    with Engine.open(address, model=model, create=True, without=PARTS, settings=settings) as engine:
        engine.index(photos(5))
        engine.add({"given.jpg": encoded(9)})
        yield engine


def test_lost_pictures_are_told_and_the_next_run_has_them(made, machines):
    machines.lost = {1, 5}
    report = made.enrich(cluster="auto")
    assert (report.enriched, {item.code for item in report.skipped}) == (4, {"failed"})
    assert "WorkerCrashedError" in report.skipped[0].reason
    assert [item.path for item in report.skipped][1].startswith(b"camseek:")
    assert machines.sees == folders_of(made.collection) != []
    machines.lost = set()
    assert made.enrich(cluster="auto").enriched == 2
    assert machines.done == 8


def test_a_fit_waits_for_what_was_lost(made, machines):
    machines.lost = {2}
    with pytest.raises(SourceError, match=r"cannot be encoded anew.*WorkerCrashedError") as raised:
        made.fit(dimensions=2, cluster="auto", allow_removal=True)
    assert "this may pass" in raised.value.remedy
    assert made.collection.profile.whitening is None
    machines.lost = set()
    report = made.fit(dimensions=2, cluster="auto")
    assert (report.resumed, report.re_encoded, report.removed) == (True, 1, ())
    assert made.unfit(cluster="auto").re_encoded == 6


def test_another_network_and_the_way_back(made, machines, encoded, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))
    other_model(tmp_path / "models")
    folder = tmp_path / "photos"
    assert made.upgrade(load_model("other", threads=1), cluster="auto").encoded == 6
    (folder / "new.jpg").write_bytes(encoded(20))
    made.index(folder)
    machines.done = 0
    assert made.undo_upgrade(cluster="auto").encoded == machines.done == 1
    assert [hit.path for hit in made.search(folder / "new.jpg", top=1).hits] == [str(folder / "new.jpg")]


def test_a_fit_that_reads_no_picture_has_nothing_for_machines_to_do(address, model, photos, machines):
    settings = Settings(encoding=Encoding.parse("gem"), size=Resize.parse("64"))
    with Engine.open(address, model=model, create=True, without=PARTS, settings=settings) as engine:
        engine.index(photos(4))
        assert engine.fit(dimensions=2, cluster="auto").re_encoded == 4
    assert machines.done == 0
