"""The engine from Python."""

import copy
import io
import json
import os
import sqlite3
import threading

import numpy as np
import pytest

import camseek
from camseek import Encoding, Engine, Limits, Plan, Settings, Whitening, fit_whitening, load_model
from camseek.backbones import onnx_backbone
from camseek.config import Resize
from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import apply_whitening
from camseek.errors import (
    FeaturelessError,
    ModelError,
    NoCollectionError,
    NotAPictureError,
    RegionError,
    SettingsError,
    TooLargeError,
    UnreadableFileError,
)
from camseek.searching.stored import StoredDatabase
from camseek.store import open_collection
from camseek.store.writer import FolderWriter

SIZES = [(64, 48), (300, 200), (33, 31), (16, 500), (700, 30), (64, 48), (1000, 800), (32, 32)]


def test_ten_lines(photos, address):
    folder = photos(4)
    with camseek.Engine.open(address, create=True) as engine:
        report = engine.index(folder)
        engine.add([folder / "0.jpg"])
        result = engine.search(folder / "1.jpg", region=(0, 0, 60, 48), top=3)
        for hit in result.hits:
            assert os.path.exists(hit.path)
            assert (hit.rank, hit.size) == (result.hits.index(hit) + 1, (64, 48))
            assert hit.box is None or len(hit.box) == 4
    assert (report.added, report.skipped) == (4, [])
    assert len(result.hits) == 3


def test_public_names():
    for name in camseek.__all__:
        assert getattr(camseek, name) is not None
    assert set(camseek.__all__) <= set(dir(camseek))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = camseek.nonsense


class TestChangesDuringASearch:
    def test_a_hit_that_is_replaced_meanwhile(self, engine, photos):
        """Its file is changed and indexed again between the ranking and the last look: searched once more."""
        folder = photos(6)
        engine.index(folder)
        query, plan = folder / "0.jpg", Plan.of("online", classes=3, shortlist=6, rerank=3)
        want = engine.search(query, plan=plan, top=5)

        class Meddling:
            done = False

            def start(self, total):
                pass

            def step(self):
                if not self.done:
                    self.done = True
                    for hit in want.hits[1:4]:
                        with open(hit.path, "ab") as file:
                            file.write(b"x")
                    with Engine.open(engine.collection.address, model=engine.model) as other:
                        assert other.index(folder).changed == 3

        found = engine.search(query, plan=plan, top=5, progress=Meddling())
        assert [hit.path for hit in found] == [hit.path for hit in want]


class TestOpening:
    def test_one_that_is_not_there(self, address):
        with pytest.raises(NoCollectionError):
            Engine.open(address)
        assert not address.exists()

    def test_the_model_is_loaded_when_it_is_needed(self, engine, address, photos, monkeypatch):
        folder = photos(2)
        engine.index(folder)
        engine.close()

        def forbidden(*args, **options):
            raise AssertionError

        monkeypatch.setattr("camseek.engine.facade.as_model", forbidden)
        monkeypatch.setattr("camseek.extraction.describer.load_model", forbidden)
        with Engine.open(address) as again:
            assert again.settings == Settings()
            assert again.remove([folder / "0.jpg"]).removed == 1
            assert again.info().pictures == 1

    def test_threads_that_need_the_model_load_it_once(self, address, photos, monkeypatch):
        loads = []
        real = onnx_backbone.load_model

        def load(*args, **options):
            loads.append(options["layer"])
            return real(*args, **options)

        monkeypatch.setattr(onnx_backbone, "load_model", load)
        with Engine.open(address, create=True, workers=4) as made:
            made.index(photos(12))
        # Once for one picture at a time, and once for several beside each other.
        assert len(loads) == 2

    def test_it_is_closed_when_it_cannot_be_used(self, engine, address):
        with pytest.raises(SettingsError):
            Engine.open(address, settings=Settings(size=Resize.parse("100")))

    def test_settings_of_ones_own(self, address, model, photos):
        wanted = Settings(encoding=Encoding.parse("gem:power=4"), size=Resize.parse("96"))
        with Engine.open(address, settings=wanted, model=model, create=True, without=("points",)) as made:
            made.index(photos(2))
            assert made.settings == wanted
        with Engine.open(address, settings=wanted, model=model) as again:
            assert again.settings == wanted
        with pytest.raises(SettingsError, match="gem:power=4 instead of") as error:
            Engine.open(address, settings=Settings(size=Resize.parse("96")))
        assert "new collection" in error.value.remedy

    def test_another_model(self, engine, address, model):
        other = copy.copy(model)
        other.checksum = "ab" * 32
        with pytest.raises(SettingsError, match="abababababab") as error:
            Engine.open(address, model=other)
        assert "give that model" in error.value.remedy

    def test_another_model_behind_ones_back(self, engine, address, photos):
        folder = photos(1)
        engine.index(folder)
        engine.close()
        database = sqlite3.connect(address / "collection.sqlite")
        database.execute("UPDATE meta SET value = ? WHERE key = 'model_checksum'", ("ab" * 32,))
        database.commit()
        database.close()
        with Engine.open(address) as opened, pytest.raises(ModelError, match="made with the model"):
            opened.search(folder / "0.jpg")

    def test_another_layer(self, engine, address):
        with pytest.raises(SettingsError, match="layer head, not expand16") as error:
            Engine.open(address, model=load_model(layer="expand16", threads=1))
        assert "layer='head'" in error.value.remedy


class TestWhitening:
    @pytest.fixture
    def whitening(self):
        samples = np.abs(np.random.default_rng(0).standard_normal((60, 1280))).astype(np.float32)
        samples /= np.linalg.norm(samples, axis=1, keepdims=True)
        return fit_whitening(samples, dimensions=24)

    @pytest.mark.parametrize("encoding", ["cam", "gem"])
    def test_it_is_stored_and_applied(self, photos, address, model, whitening, encoding):
        folder = photos(5)
        settings = Settings(encoding=Encoding.parse(encoding))
        arguments = {"model": model, "settings": settings, "create": True, "without": ("points",)}
        with Engine.open(address, whitening=whitening, **arguments) as made:
            made.index(folder)
            found = made.search(folder / "2.jpg")
        with open_collection(str(address)) as stored:
            profile = stored.profile
            vectors = stored.vectors.of(stored.vectors.records())
        assert profile.dimensions == 24
        again = Whitening.from_bytes(profile.whitening)
        assert again.checksum == whitening.checksum
        assert vectors.shape == (5, 24)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        assert vectors.min() < -0.05  # no vector of non-negative features looks like this
        with Engine.open(address, model=model) as opened:
            assert opened._describers.single().encoder.whitening.checksum == whitening.checksum
            once_more = opened.search(folder / "2.jpg")
            assert opened.info().to_json()["whitened"]
        assert once_more.hits == found.hits
        assert found.hits[0].path == str(folder / "2.jpg")
        assert found.hits[0].score == pytest.approx(1, abs=1e-3)

    def test_what_it_does_to_a_pooled_vector(self, photos, tmp_path, model, whitening):
        folder = photos(3)
        vectors = []
        for name, given in (("plain", None), ("white", whitening)):
            settings = Settings(encoding=Encoding.parse("sum"))
            arguments = {"model": model, "settings": settings, "create": True}
            with Engine.open(tmp_path / name, whitening=given, **arguments) as made:
                made.index(folder)
                vectors.append(made.descriptors()[1])
        np.testing.assert_allclose(apply_whitening(vectors[0], whitening), vectors[1], atol=5e-3)

    def test_one_that_does_not_fit(self, address, model):
        wrong = Whitening(np.zeros(7, np.float32), np.ones((7, 2), np.float32))
        with pytest.raises(SettingsError, match=r"7 dimensions.*gives 1280"):
            Engine.open(address, model=model, whitening=wrong, create=True)
        assert not address.exists()


class TestSearching:
    @pytest.fixture
    def folder(self, photos):
        return photos(5)

    @pytest.fixture
    def filled(self, engine, folder):
        engine.index(folder)
        return engine

    def test_bytes(self, filled, folder):
        content = (folder / "3.jpg").read_bytes()
        file = io.BytesIO(content)
        file.seek(7)
        named, unnamed = filled.search(folder / "3.jpg"), filled.search(file)
        assert unnamed.query.pictures[0].path is None
        assert unnamed.query.to_json()["pictures"][0]["path"] is None
        assert named.query.pictures[0].path == os.fsencode(folder / "3.jpg")
        assert unnamed.hits == named.hits
        left_out = filled.search(io.BytesIO(content), without_self=True)
        assert [hit.path for hit in left_out.hits] == [hit.path for hit in named.hits[1:]]

    def test_an_open_file(self, filled, folder):
        with open(folder / "3.jpg", "rb") as file:
            assert filled.search(file, top=1).hits[0].path == str(folder / "3.jpg")

    def test_views(self, filled, folder, encoded):
        (folder / "4.jpg").unlink()
        result = filled.search(io.BytesIO(encoded(2)), views=True, boxes=True)
        assert result.query_views[0].pixels.shape == (48, 64, 3)
        assert [isinstance(view, str) for view in result.views] == [hit.box is None for hit in result.hits]
        assert [view for view in result.views if isinstance(view, str)] == ["there is no such file"]
        missing = [hit for hit in result.hits if hit.box is None]
        assert [hit.path for hit in missing] == [str(folder / "4.jpg")]
        for view in [view for view in result.views if not isinstance(view, str)]:
            assert view.pixels.shape == (48, 64, 3)
            assert view.heat.shape == (2, 2)
            assert view.size == (64, 48)
        assert filled.search(folder / "0.jpg").views == ()

    @pytest.mark.parametrize("reading", ["crop", "cells"])
    def test_regions(self, filled, folder, reading):
        result = filled.search(folder / "0.jpg", region=(3, 4, 50, 40), reading=reading, views=True)
        assert result.query.pictures[0].region == (3, 4, 50, 40)
        assert result.query_views[0].size == (64, 48)
        assert len(result.hits) == 5
        with pytest.raises(RegionError):
            filled.search(folder / "0.jpg", region=(3, 4, 65, 40), reading=reading)

    def test_a_featureless_query(self, filled, encoded):
        with pytest.raises(FeaturelessError):
            filled.search(io.BytesIO(encoded.featureless))

    def test_queries_that_cannot_be_used(self, filled, folder, address, model, encoded):
        with pytest.raises(UnreadableFileError, match=r"none\.jpg: there is no such file"):
            filled.search(folder / "none.jpg")
        with pytest.raises(NotAPictureError):
            filled.search(io.BytesIO(b"hello"))
        small = Engine(open_collection(str(address)), model=model, limits=Limits(max_pixels=1000))
        with small, pytest.raises(TooLargeError):
            small.search(folder / "0.jpg")

    def test_top_below_1_is_the_callers_bug(self, filled, folder):
        with pytest.raises(ValueError, match="below 1"):
            filled.search(folder / "0.jpg", top=0)

    def test_a_result_is_plain_in_json(self, filled, folder):
        result = filled.search(folder / "0.jpg", region=(0, 0, 64, 48))
        told = json.loads(json.dumps(result.to_json(), allow_nan=False))
        assert told["query"]["pictures"][0]["region"] == [0, 0, 64, 48]

    def test_from_another_thread(self, filled, folder):
        found = []
        thread = threading.Thread(target=lambda: found.append(filled.search(folder / "0.jpg")))
        thread.start()
        thread.join()
        assert found[0].hits == filled.search(folder / "0.jpg").hits

    def test_its_classes(self, filled, folder, model):
        classes = filled.search(folder / "0.jpg").query.classes
        explained = camseek.explain(model, folder / "0.jpg")
        assert classes == explained.classes
        assert len(classes) == 5
        assert len(explained.views) == 5


class TestWhatItHolds:
    def test_pictures_and_descriptors(self, engine, photos, encoded):
        assert (len(engine), list(engine), bool(engine)) == (0, [], True)
        assert engine.descriptors()[1].shape == (0, 1280)
        folder = photos(3)
        (folder / "dot.png").write_bytes(encoded.featureless)
        engine.index(folder)
        assert len(engine) == engine.info().pictures == 4
        found = {picture.paths[0]: picture for picture in engine}
        assert sorted(found) == sorted(os.fsencode(path) for path in folder.iterdir())
        names, vectors = engine.descriptors()
        # On plain grey the network sees nothing: it has no descriptor.
        assert sorted(names) == [str(folder / f"{number}.jpg") for number in range(3)]
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        for name, vector in zip(names, vectors, strict=True):
            scores = {hit.path: hit.score for hit in engine.search(name)}
            np.testing.assert_allclose([scores[other] for other in names], vectors @ vector, atol=2e-3)

    def test_names_that_are_not_utf8(self, engine, tmp_path, encoded):
        (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(encoded(1))
        engine.index(tmp_path)
        assert os.path.basename(engine.descriptors()[0][0]) == "\N{REPLACEMENT CHARACTER}.jpg"


class TestKeepingInStep:
    """Descriptors held in memory follow what others do to the collection."""

    @pytest.mark.parametrize("keep", [True, False])
    def test_with_another_engine(self, photos, encoded, address, model, keep):
        folder = photos(3)
        query = io.BytesIO(encoded(1))

        def seen(engine):
            hits = engine.search(query).hits
            return {os.path.basename(hit.path): round(hit.score, 2) for hit in hits}

        with (
            Engine.open(address, model=model, create=True, without=("points",)) as writer,
            Engine.open(address, model=model, keep_descriptors=keep) as reader,
        ):
            assert seen(reader) == {}
            writer.index(folder)
            assert set(seen(reader)) == {"0.jpg", "1.jpg", "2.jpg"}
            (folder / "0.jpg").write_bytes(encoded(1) + b"more")
            (folder / "2.jpg").unlink()
            (folder / "new.jpg").write_bytes(encoded(9))
            writer.index(folder)
            now = seen(reader)
            assert set(now) == {"0.jpg", "1.jpg", "new.jpg"}
            assert now["0.jpg"] == now["1.jpg"] == 1
            writer.remove([folder])
            assert seen(reader) == {}
            writer.add([folder / "new.jpg"])
            assert set(seen(reader)) == set(seen(writer)) == {"new.jpg"}

    def test_with_its_own_changes(self, engine, photos, encoded):
        folder = photos(2)
        for number in range(2, 6):
            (folder / f"{number}.jpg").write_bytes(encoded(number))
            (folder / f"{number - 2}.jpg").unlink()
            engine.index(folder)
            hits = engine.search(io.BytesIO(encoded(number))).hits
            assert os.path.basename(hits[0].path) == f"{number}.jpg"
            assert len(hits) == 2

    def test_memory_and_file_rank_alike(self, engine, photos, address, model):
        folder = photos(20)
        engine.index(folder)
        with Engine.open(address, model=model, keep_descriptors=False) as other:
            for name in ("0.jpg", "7.jpg"):
                one, two = (by.search(folder / name, top=20) for by in (engine, other))
                assert one.hits == two.hits
                assert one.searched == two.searched == 20


class TestDescriptors:
    """A picture has one descriptor, whatever happens around it."""

    @pytest.fixture
    def described(self, monkeypatch):
        """Descriptors before they are rounded for storing, by content."""
        found = {}
        insert = FolderWriter.insert

        def spy(writer, picture):
            found[picture.content] = picture.descriptor
            return insert(writer, picture)

        monkeypatch.setattr(FolderWriter, "insert", spy)
        return found

    @pytest.fixture
    def folder(self, photos, encoded):
        place = photos(0)
        for number, size in enumerate(SIZES):
            (place / f"{number}.jpg").write_bytes(encoded(number, size))
        return place

    @pytest.mark.parametrize("encoding", ["cam", "gem:prior=centre"])
    def test_whatever_is_indexed_beside_it(self, folder, tmp_path, described, encoding):
        settings = Settings(encoding=Encoding.parse(encoding))
        runs = []
        for name, workers, include in (
            ("one", 1, [[]]),
            ("two", 2, [[]]),
            ("four", 4, [[]]),
            ("alone", 2, [[f"{number}.jpg"] for number in range(len(SIZES))]),
            ("mixed", 2, [["0.jpg", "6.jpg"], ["[1-5].jpg"], ["7.jpg"]]),
        ):
            described.clear()
            for patterns in include:
                with Engine.open(
                    tmp_path / f"{name}{patterns}", settings=settings, create=True, workers=workers
                ) as engine:
                    engine.index(folder, include=patterns)
            runs.append(dict(described))
        for run in runs:
            assert run.keys() == runs[0].keys()
            for content, descriptor in run.items():
                assert np.linalg.norm(descriptor) == pytest.approx(1, abs=1e-5)
                np.testing.assert_allclose(descriptor, runs[0][content], rtol=0, atol=1e-5)
        assert len(runs[0]) == len(SIZES)

    def test_indexed_or_asked_for(self, folder, tmp_path, described, monkeypatch):
        asked = []
        nearest = StoredDatabase.nearest

        def spy(database, descriptor, *args):
            asked.append(descriptor)
            return nearest(database, descriptor, *args)

        monkeypatch.setattr(StoredDatabase, "nearest", spy)
        with Engine.open(tmp_path / "collection", create=True, workers=2) as engine:
            engine.index(folder)
            for number in range(len(SIZES)):
                engine.search(folder / f"{number}.jpg")
        assert len(asked) == len(SIZES)
        stored = {descriptor.tobytes(): descriptor for descriptor in described.values()}.values()
        for query in asked:
            assert min(np.abs(query - descriptor).max() for descriptor in stored) <= 1e-5

    def test_a_copy_on_another_name_or_in_another_format(self, tmp_path, encoded, described):
        # The same pixels, once as PNG and once as BMP.
        for format in ("PNG", "BMP"):
            (tmp_path / f"a.{format.lower()}").write_bytes(encoded(0, (200, 150), format))
        with Engine.open(tmp_path / "collection", create=True) as engine:
            engine.index(tmp_path)
        one, two = described.values()
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def test_a_descriptor_that_is_no_number_counts_as_featureless(photos, tmp_path, model, monkeypatch):
    folder = photos(3)
    with Engine.open(tmp_path / "c", model=model, create=True, workers=1) as engine:
        describe, calls = Encoder.describe, []

        def once_nan(self, activations, cells=None, *, classes=None):
            calls.append(1)
            found = describe(self, activations, cells)
            return found * np.float32("nan") if len(calls) == 2 else found

        monkeypatch.setattr(Encoder, "describe", once_nan)
        report = engine.index(folder)
        assert (report.added, report.featureless) == (3, 1)
        assert engine.collection.catalogue.check() == []
        calls[:] = [1]
        with pytest.raises(FeaturelessError, match=r"0\.jpg"):
            engine.search(folder / "0.jpg")


def test_a_model_with_another_layer_makes_nothing(tmp_path):
    with pytest.raises(SettingsError, match="layer"):
        Engine.open(tmp_path / "c", model=load_model(layer="expand16"), create=True)
    assert not (tmp_path / "c").exists()
