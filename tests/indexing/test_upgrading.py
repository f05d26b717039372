"""Collections that go over to another network, and back."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from camseek import Engine, Settings, load_model
from camseek.config import Encoding, Resize
from camseek.errors import (
    CollectionBusyError,
    CollectionChangedError,
    CollectionOvertakenError,
    ModelError,
    SettingsError,
    SourceError,
    StorageError,
)
from camseek.indexing import upgrading
from camseek.store import POINTS_TRACE, SKETCH_TRACE, open_collection
from models import other_model

PICTURES = 8

pytestmark = pytest.mark.usefixtures("remembered_passes")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folder of imported models, which holds one."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMSEEK_MODELS", str(folder))
        other_model(folder)
        yield folder


@pytest.fixture(scope="module")
def other(models):
    """The model to go over to."""
    return load_model("other", threads=1)


@pytest.fixture
def folder(photos):
    return photos(PICTURES)


@pytest.fixture
def made(address, model, folder):
    """Indexes the folder and opens the collection."""
    opened = []

    def make(text="gem", place=address, model=model, without=("points",), predefined=(), size="64"):
        wanted = Settings(encoding=Encoding.parse(text), size=Resize.parse(size), predefined=predefined)
        engine = Engine.open(place, model=model, create=True, without=without, settings=wanted, workers=2)
        opened.append(engine)
        engine.index(folder)
        return engine

    yield make
    for engine in opened:
        engine.close()


def held(engine):
    """What each picture has, by its content."""
    collection = engine.collection
    with collection.snapshot():
        records = collection.vectors.records().tolist()
        vectors = dict(zip(records, collection.vectors.of(np.array(records, np.int64)), strict=True))
        pictures = collection.catalogue.pictures(collection.catalogue.records().tolist())
    sketches = collection.traces.get(SKETCH_TRACE, list(pictures))
    points = collection.traces.get(POINTS_TRACE, list(pictures))
    return {
        picture.content: (vectors.get(record), sketches.get(record), points.get(record))
        for record, picture in pictures.items()
    }


def assert_same(one, two, atol=1e-6):
    assert one.keys() == two.keys()
    for content, (vector, *traces) in one.items():
        wanted, *others = two[content]
        assert traces == others
        assert (vector is None) == (wanted is None)
        if vector is not None:
            np.testing.assert_allclose(vector, wanted, atol=atol)


def hits(engine, picture):
    return [(hit.paths, round(hit.score, 6)) for hit in engine.search(picture, top=PICTURES).hits]


class Meanwhile:
    """Progress that does something at a step."""

    def __init__(self, at, act):
        self.left, self.act = at, act

    def start(self, total):
        self.total = total

    def step(self):
        self.left -= 1
        if self.left == 0:
            self.act()


def stop():
    raise KeyboardInterrupt


class TestTheSameAsAFreshIndex:
    @pytest.mark.parametrize("text", ["gem:prior=centre", "cam:classes=3", "rmac"])
    def test_descriptors_and_hits(self, made, other, tmp_path, folder, text):
        engine = made(text)
        before = hits(engine, folder / "2.jpg")
        report = engine.upgrade(other)
        assert (report.encoded, report.pictures, report.resumed) == (PICTURES, PICTURES, False)
        assert (report.profile.model, report.before.model) == ("other", "efficientnet-lite0")
        fresh = made(text, tmp_path / "fresh", other)
        assert_same(held(engine), held(fresh))
        assert hits(engine, folder / "2.jpg") == hits(fresh, folder / "2.jpg") != before
        assert replace(engine.collection.profile, generation=0) == fresh.collection.profile
        assert engine.collection.catalogue.check() == []
        assert report.to_json()["before"]["model"] == "efficientnet-lite0"

    def test_sketches_are_the_networks_and_points_the_pictures(self, made, other, tmp_path, folder):
        engine = made(without=("fine",), size="320")
        before = held(engine)
        engine.upgrade(other)
        fresh = made(place=tmp_path / "fresh", model=other, without=("fine",), size="320")
        after = held(engine)
        assert_same(after, held(fresh))
        for content, (_, sketch, points) in before.items():
            assert after[content][1] != sketch
            assert after[content][2] == points
        assert hits(engine, folder / "2.jpg") == hits(fresh, folder / "2.jpg")
        assert engine.collection.profile.keeps == ("points", "sketch")
        engine.undo_upgrade()
        assert_same(held(engine), before, atol=0)

    @pytest.mark.parametrize("text", ["gem", "cam:classes=3"])
    def test_a_whitening_is_fitted_anew(self, made, other, tmp_path, folder, text):
        engine = made(text)
        engine.fit(dimensions=5)
        engine.upgrade(other)
        fresh = made(text, tmp_path / "fresh", other)
        note = fresh.fit(dimensions=5).note
        assert engine.collection.profile.whitening_note.checksum == note.checksum
        assert_same(held(engine), held(fresh))
        assert hits(engine, folder / "2.jpg") == hits(fresh, folder / "2.jpg")

    def test_another_layer_of_the_same_network(self, made, tmp_path):
        engine = made()
        report = engine.upgrade("efficientnet-lite0", layer="expand16")
        assert (report.profile.dimensions, report.profile.settings.layer) == (672, "expand16")
        with Engine.open(engine.collection.address) as again:  # the model is found by what it is
            assert again.model.layer == "expand16"

    def test_featureless_pictures(self, made, other, folder, encoded):
        (folder / "dot.png").write_bytes(encoded.featureless)
        engine = made()
        assert engine.info().featureless == 1
        (folder / "dot.png").unlink()
        report = engine.upgrade(other)
        assert (report.featureless, report.newly_featureless, report.removed) == (1, 0, ())


class TestWhitening:
    def test_of_the_folder_that_it_was_fitted_on(self, made, other, photos):
        engine = made()
        apart = photos(5, "apart")
        engine.fit(on=apart)
        report = engine.upgrade(other)
        assert report.profile.whitening_note.folder == os.fsencode(apart)
        assert (report.profile.dimensions, report.limited) == (4, None)

    def test_a_folder_that_has_gone(self, made, other, photos):
        engine = made()
        apart = photos(5, "apart")
        engine.fit(on=apart)
        shutil.rmtree(apart)
        with pytest.raises(SettingsError, match="the folder that the whitening was fitted on is not there"):
            engine.upgrade(other)
        report = engine.upgrade(other, on=photos(4, "elsewhere"))
        assert (report.profile.dimensions, report.limited) == (3, "samples")

    def test_none_to_fit(self, made, other, folder):
        with pytest.raises(SettingsError, match="has no whitening to fit"):
            made().upgrade(other, on=folder)


class TestUndo:
    def test_there_and_back_and_there(self, made, other, folder):
        engine = made()
        before, found = held(engine), hits(engine, folder / "2.jpg")
        engine.upgrade(other)
        after = held(engine)
        beside = engine.info().beside
        assert (beside.kept, beside.done, beside.refit.profile.model) == (True, 8, "efficientnet-lite0")
        report = engine.undo_upgrade()
        assert (report.encoded, report.profile.model, report.before.model) == (
            0,
            "efficientnet-lite0",
            "other",
        )
        assert_same(held(engine), before, atol=0)
        assert hits(engine, folder / "2.jpg") == found
        engine.undo_upgrade()
        assert_same(held(engine), after, atol=0)
        assert engine.collection.catalogue.check() == []

    def test_pictures_that_came_and_went_since(self, made, other, tmp_path, folder, encoded):
        engine = made()
        engine.upgrade(other)
        (folder / "late.jpg").write_bytes(encoded(99))
        (folder / "1.jpg").write_bytes(encoded(98))
        (folder / "0.jpg").unlink()
        engine.index(folder)
        assert engine.undo_upgrade().encoded == 2
        assert_same(held(engine), held(made(place=tmp_path / "fresh")))
        assert engine.collection.catalogue.check() == []

    def test_a_whitened_one(self, made, other, folder, encoded, tmp_path):
        engine = made()
        engine.fit(dimensions=5)
        before = held(engine)
        engine.upgrade(other)
        (folder / "late.jpg").write_bytes(encoded(99))
        engine.index(folder)
        engine.undo_upgrade()
        engine.remove([folder / "late.jpg"])
        assert_same(held(engine), before, atol=0)

    def test_to_forget(self, made, other):
        engine = made()
        with pytest.raises(SettingsError, match="keeps nothing to go back to"):
            engine.undo_upgrade()
        with pytest.raises(SettingsError, match="keeps nothing of before"):
            engine.forget_upgrade()
        engine.upgrade(other)
        engine.forget_upgrade()
        assert engine.info().beside is None
        with pytest.raises(SettingsError, match="keeps nothing to go back to"):
            engine.undo_upgrade()
        assert engine.collection.catalogue.check() == []

    def test_its_network_is_not_here_any_more(self, made, model, models, other, folder, encoded, tmp_path):
        """Nothing could be searched for, even where no picture came that has to be encoded."""
        gone = other_model(models, "gone", means=(60.0, 60.0, 60.0))
        engine = made(model=load_model(gone, threads=1))
        engine.upgrade(other)
        engine.close()
        shutil.rmtree(gone)
        with Engine.open(engine.collection.address, workers=2) as again:
            with pytest.raises(ModelError, match=r"made with the model gone .* not among the models"):
                again.undo_upgrade()
            (folder / "late.jpg").write_bytes(encoded(99))
            again.index(folder)
            assert again.search(folder / "late.jpg").hits[0].score > 0.99

    def test_room_for_one(self, made, other):
        engine = made()
        engine.upgrade(other)
        with pytest.raises(SettingsError, match="there is no room for more") as error:
            engine.fit(dimensions=4)
        assert "--forget" in error.value.remedy
        with pytest.raises(SettingsError, match="keeps what it had then") as error:
            engine.upgrade("efficientnet-lite0")
        assert "--undo" in error.value.remedy
        report = engine.upgrade("efficientnet-lite0", layer="expand16")
        assert engine.info().beside.refit.profile.model == "other"
        assert report.profile.settings.layer == "expand16"


class TestWhileItRuns:
    def test_pictures_come_change_and_go(self, made, other, model, address, folder, encoded, tmp_path):
        engine = made()

        def act():
            (folder / "late.jpg").write_bytes(encoded(99))
            (folder / "1.jpg").write_bytes(encoded(98))
            (folder / "0.jpg").unlink()
            with Engine.open(address, model=model, workers=1) as writing:
                report = writing.index(folder)
                assert (report.added, report.changed, report.removed) == (1, 1, 1)
                assert writing.search(folder / "late.jpg").hits[0].path == str(folder / "late.jpg")

        report = engine.upgrade(other, progress=Meanwhile(5, act))
        assert report.pictures == PICTURES
        assert report.removed == ()
        assert_same(held(engine), held(made(place=tmp_path / "new", model=other)))
        engine.undo_upgrade()
        assert_same(held(engine), held(made(place=tmp_path / "old")))
        assert engine.collection.catalogue.check() == []

    def test_what_an_index_run_finds_again_is_not_lost(self, made, other, model, address, folder, tmp_path):
        engine = made()
        (folder / "0.jpg").rename(folder / "moved.jpg")

        def act():
            with Engine.open(address, model=model, workers=1) as writing:
                assert writing.index(folder).moved == 1

        report = engine.upgrade(other, allow_removal=True, progress=Meanwhile(PICTURES, act))
        assert (report.pictures, report.removed) == (PICTURES, ())
        assert_same(held(engine), held(made(place=tmp_path / "new", model=other)))

    def test_searches_go_on_with_the_old_and_then_with_the_new(self, made, other, model, address, folder):
        engine = made()
        before = hits(engine, folder / "2.jpg")
        with Engine.open(address, model=model) as searching:
            seen = []
            engine.upgrade(
                other, progress=Meanwhile(PICTURES, lambda: seen.append(hits(searching, folder / "2.jpg")))
            )
            assert seen == [before]
            # It was opened with the old model; the new one is found among those that are here.
            assert hits(searching, folder / "2.jpg") == hits(engine, folder / "2.jpg") != before
            assert searching.model.card.name == "other"
            engine.undo_upgrade()
            assert hits(searching, folder / "2.jpg") == before
            assert next(searching.search_many([folder / "2.jpg"])).hits[0].path == str(folder / "2.jpg")

    def test_on_a_server_from_several_machines_as_in_a_folder(
        self, milvus, made, other, model, folder, encoded, tmp_path, monkeypatch
    ):
        query, wide = folder / "2.jpg", {"without": ("fine",), "size": "320"}
        here, there = made(**wide), made(place=milvus, **wide)
        before = hits(there, query)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        with Engine.open(milvus, model=model, workers=1) as far:
            seen = []
            progress = Meanwhile(PICTURES, lambda: seen.append(hits(far, query)))
            assert there.upgrade(other, progress=progress).encoded == PICTURES
            here.upgrade(other)
            assert seen == [before]
            assert hits(far, query) == hits(here, query) != before
            assert_same(held(far), held(here))
            told = far.info().beside
            assert (told.kept, told.done, told.refit.profile.model) == (True, PICTURES, "efficientnet-lite0")
            (folder / "new.png").write_bytes(encoded(500))
            (folder / "3.jpg").unlink()
            for engine in (there, here):
                engine.index(folder)
            for engine in (far, here):
                assert engine.undo_upgrade().encoded == 1
            for engine in (far, there):
                assert hits(engine, query) == hits(here, query)
                assert_same(held(engine), held(here))
            there.forget_upgrade()
            assert far.info().beside is None
            assert far.collection.catalogue.check() == []
            assert_same(held(far), held(here))

    @pytest.mark.parametrize("times", [2, 9])
    def test_others_write_to_a_server_in_the_last_step(
        self, stand_in, made, other, model, folder, encoded, tmp_path, monkeypatch, times
    ):
        from camseek.store.milvus.writer import MilvusWriter

        place = "milvus://127.0.0.1:1/name"
        engine, alone, left = made(place=place), MilvusWriter._require_alone, list(range(times))
        with Engine.open(place, model=model, workers=1) as far:

            def look(writer):
                if left:
                    late = folder / f"late{left.pop()}.jpg"
                    late.write_bytes(encoded(900 + len(left)))
                    far.add([late])
                return alone(writer)

            monkeypatch.setattr(MilvusWriter, "_require_alone", look)
            if times > 2:
                with pytest.raises(CollectionOvertakenError, match="as before"):
                    engine.upgrade(other)
                assert far.info().profile.model == "efficientnet-lite0"
                left.clear()
            gone = [folder / "1.jpg"] if times == 2 else []
            for path in gone:
                path.unlink()
            report = engine.upgrade(other, allow_removal=True)
            # It is told though the first tries came to nothing.
            assert [item.path for item in report.removed] == [bytes(path) for path in gone]
            assert report.encoded == (PICTURES - 1 + 2 if times == 2 else 1)
            assert_same(held(far), held(made(place=tmp_path / "fresh", model=other)))

    def test_a_search_that_is_overtaken(self, made, models, model, address, folder):
        """The usual plan is that of what is kept now: the new network makes no sketches."""
        bare = load_model(other_model(models, "bare", sketch=False), threads=1)
        engine = made(without=("fine",), size="320")
        with Engine.open(address, model=model) as searching:
            stages = []

            def staged(result):
                stages.append(len(result.stages))
                if len(stages) == 1:
                    engine.upgrade(bare)

            found = searching.search(folder / "2.jpg", staged=staged)
            assert found.settings["model"] == "bare"
            assert found.hits[0].path == str(folder / "2.jpg")
            assert searching.collection.profile.keeps == ("points",)
        engine.undo_upgrade()
        assert engine.collection.profile.keeps == ("points", "sketch")

    def test_another_one_ends_first(self, made, other, model, address):
        engine = made()

        def act():
            with Engine.open(address, model=model, workers=1) as faster:
                assert faster.upgrade(other).profile.model == "other"

        with pytest.raises(CollectionChangedError, match="by another process meanwhile"):
            engine.upgrade(other, progress=Meanwhile(4, act))
        assert engine.info().profile.model == "other"
        assert engine.collection.catalogue.check() == []

    def test_somebody_is_writing(self, made, other, address):
        engine = made()
        with (
            open_collection(str(address)) as another,
            another.write("somebody else"),
            pytest.raises(CollectionBusyError, match="somebody else"),
        ):
            engine.upgrade(other)


class TestResuming:
    def test_a_stopped_run_goes_on(self, made, other, folder, encoded, tmp_path):
        engine = made()
        before = held(engine)
        with pytest.raises(KeyboardInterrupt):
            engine.upgrade(other, progress=Meanwhile(5, stop))
        assert_same(held(engine), before, atol=0)
        beside = engine.info().beside
        assert (beside.kept, beside.done) == (False, 5)
        (folder / "late.jpg").write_bytes(encoded(99))
        (folder / "0.jpg").unlink()
        engine.index(folder)
        report = engine.upgrade(other)
        assert report.resumed
        assert report.encoded <= 4
        assert_same(held(engine), held(made(place=tmp_path / "fresh", model=other)))

    def test_another_one_is_not_thrown_away_by_the_way(self, made, other):
        engine = made()
        with pytest.raises(KeyboardInterrupt):
            engine.upgrade(other, progress=Meanwhile(5, stop))
        for wrong in (
            lambda: engine.upgrade("efficientnet-lite0", layer="expand16"),
            lambda: engine.fit(dimensions=3),
        ):
            with pytest.raises(SettingsError, match="is unfinished") as error:
                wrong()
            assert "--discard" in error.value.remedy
        assert engine.info().beside.done == 5
        engine.discard_upgrade()
        with pytest.raises(SettingsError, match=r"nothing .* is unfinished"):
            engine.discard_upgrade()
        assert engine.upgrade("efficientnet-lite0", layer="expand16").encoded == PICTURES

    def test_a_stopped_undo_goes_on(self, made, other, folder, encoded):
        engine = made()
        engine.upgrade(other)
        for number in range(3):
            (folder / f"late{number}.jpg").write_bytes(encoded(90 + number))
        engine.index(folder)
        with pytest.raises(KeyboardInterrupt):
            engine.undo_upgrade(progress=Meanwhile(2, stop))
        assert engine.info().beside.kept
        assert engine.info().profile.model == "other"
        assert engine.undo_upgrade().encoded < 3
        assert engine.info().profile.model == "efficientnet-lite0"


class TestBadInput:
    def test_the_same_model(self, made, model):
        with pytest.raises(SettingsError, match="is made with that model already"):
            made().upgrade(model)

    def test_no_model(self, made, tmp_path):
        engine = made()
        with pytest.raises(ModelError, match="there is no model nowhere"):
            engine.upgrade("nowhere")
        with pytest.raises(ModelError, match="has no layer"):
            engine.upgrade("efficientnet-lite0", layer="expand61")
        assert engine.info().beside is None

    def test_files_that_are_lost(self, made, other, folder, encoded):
        engine = made()
        before = held(engine)
        (folder / "0.jpg").unlink()
        (folder / "1.jpg").write_bytes(encoded(77))
        with pytest.raises(SourceError, match="2 pictures cannot be encoded anew") as error:
            engine.upgrade(other)
        assert "--allow-removal" in error.value.remedy
        assert_same(held(engine), before, atol=0)
        report = engine.upgrade(other, allow_removal=True)
        assert (report.resumed, report.encoded, report.pictures) == (True, 0, PICTURES - 2)
        assert sorted(os.path.basename(item.path) for item in report.removed) == [b"0.jpg", b"1.jpg"]
        assert engine.collection.catalogue.check() == []

    def test_classes_go_by_their_names(self, made, models, tmp_path):
        """A list of classes names the same things afterwards, whatever their numbers."""
        turned = load_model(other_model(models, "turned", classes=lambda names: names[::-1]), threads=1)
        engine = made("cam:classes=2", predefined=(3, 10, 998))
        engine.upgrade(turned)
        assert engine.settings.predefined == (996, 989, 1)

    def test_classes_that_another_network_does_not_know(self, made, models):
        def renamed(names):
            return [*names[:10], "something else", *names[11:]]

        strange = load_model(other_model(models, "strange", classes=renamed), threads=1)
        engine = made("cam:classes=2", predefined=(3, 10))
        with pytest.raises(SettingsError, match="is no one class of strange"):
            engine.upgrade(strange)

    @pytest.mark.needs_root
    def test_no_space(self, other, model, folder, small_disk):
        disk = small_disk(2)
        wanted = Settings(encoding=Encoding.parse("gem"), size=Resize.parse("64"))
        with Engine.open(
            disk / "c", model=model, create=True, without=("points",), settings=wanted, workers=2
        ) as engine:
            engine.index(folder)
            before = held(engine)
            with open(disk / "ballast", "wb", buffering=0) as ballast:
                try:
                    while ballast.write(bytes(1024)):
                        pass
                except OSError:
                    pass
            with pytest.raises(StorageError):
                engine.upgrade(other)
            (disk / "ballast").unlink()
            assert_same(held(engine), before, atol=0)
            assert engine.collection.catalogue.check() == []
            assert engine.upgrade(other).pictures == PICTURES

    def test_what_goes_with_the_network(self):
        assert upgrading.NETWORKS == (SKETCH_TRACE,)
