"""What makes a collection's records: alone, and as work that travels to other processes."""

import io
import json
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from camseek import Engine, Limits, Settings, fit_whitening, load_model
from camseek import errors as errors_module
from camseek.backbones.library import EMBEDDED
from camseek.errors import CamseekError, ModelError, NotAPictureError, SettingsError, TooLargeError
from camseek.extraction.describer import Describer, Describers
from camseek.images import fingerprint

SETTINGS = Settings(encoding="cam:classes=3", size=96)


@pytest.fixture(scope="module")
def describer(model):
    return Describer(model, SETTINGS, Limits(max_pixels=10_000))


@pytest.fixture(scope="module")
def elsewhere():
    """A process that shares nothing with this one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def own_model(tmp_path):
    """A folder with a model of its own."""
    shutil.copytree(EMBEDDED, tmp_path / "own")
    return tmp_path / "own"


def assert_same(one, other):
    """The same answer of ``Describer.record``, but for the last digits of a descriptor."""
    (content, record, warnings), (content2, record2, warnings2) = one, other
    assert (content, warnings) == (content2, warnings2)
    assert replace(record, descriptor=None) == replace(record2, descriptor=None)
    np.testing.assert_allclose(record.descriptor, record2.descriptor, rtol=0, atol=1e-6)


class TestRecords:
    def test_one_of_a_picture(self, describer, encoded):
        data = encoded(1)
        content, record, warnings = describer.record(io.BytesIO(data), b"name")
        assert content == record.content == fingerprint(io.BytesIO(data))
        assert (record.size, record.format, record.frames, warnings) == ((64, 48), "JPEG", 1, ())
        assert np.linalg.norm(record.descriptor) == pytest.approx(1, abs=1e-5)
        seen = describer.extractor.extract(data)
        np.testing.assert_array_equal(record.descriptor, describer.describe(seen))
        np.testing.assert_array_equal(record.descriptor, describer.encoder.describe(seen.activations)[0])

    def test_what_is_known_is_not_described_again(self, describer, encoded, monkeypatch):
        data = encoded(1)
        content = fingerprint(io.BytesIO(data))
        monkeypatch.setattr(Describer, "describe", None)
        assert describer.record(io.BytesIO(data), known={content}) == (content, None, ())

    def test_one_on_which_nothing_is_seen_has_no_descriptor(self, describer, encoded):
        assert describer.record(io.BytesIO(encoded.featureless))[1].descriptor is None

    def test_pictures_that_cannot_be_used(self, describer, encoded):
        with pytest.raises(NotAPictureError):
            describer.record(io.BytesIO(b"no picture"))
        with pytest.raises(TooLargeError):
            describer.record(io.BytesIO(encoded(0, (101, 100))))

    def test_the_settings_decide(self, model, encoded):
        file = io.BytesIO(encoded(3, (200, 150)))
        wanted = (
            Settings(encoding="gem", size=96),
            SETTINGS,
            replace(SETTINGS, predefined=(3, 5, 9)),
            replace(SETTINGS, size=64),
        )
        found = [Describer(model, settings, Limits()).record(file)[1].descriptor for settings in wanted]
        for number, one in enumerate(found):
            assert all(not np.allclose(one, other, atol=1e-3) for other in found[number + 1 :])


class TestTravelling:
    @pytest.fixture(params=["plain", "whitened"])
    def one(self, request, describer, model):
        if request.param == "plain":
            return describer
        samples = np.abs(np.random.default_rng(0).standard_normal((60, 1280))).astype(np.float32)
        samples /= np.linalg.norm(samples, axis=1, keepdims=True)
        return replace(describer, whitening=fit_whitening(samples, dimensions=24).to_bytes())

    def test_through_pickle(self, one, encoded):
        again = pickle.loads(pickle.dumps(one))
        assert (again.settings, again.limits, again.whitening) == (one.settings, one.limits, one.whitening)
        assert (again.model.checksum, again.model.layer) == (one.model.checksum, one.model.layer)
        assert_same(again.record(io.BytesIO(encoded(1)), b"a"), one.record(io.BytesIO(encoded(1)), b"a"))

    def test_into_another_process(self, one, encoded, elsewhere):
        files = [io.BytesIO(encoded(seed, (60 + seed, 48))) for seed in range(3)]
        there = [elsewhere.submit(one.record, file, b"a") for file in files]
        for file, answer in zip(files, there, strict=True):
            assert_same(answer.result(timeout=120), one.record(file, b"a"))

    def test_reasons_come_back(self, describer, elsewhere):
        """And do not break the other process."""
        for _ in range(2):
            with pytest.raises(NotAPictureError) as error:
                elsewhere.submit(describer.record, io.BytesIO(b"no picture")).result(timeout=120)
            assert error.value.message
            assert error.value.remedy

    def test_an_extractor_travels_too(self, describer, encoded, elsewhere):
        seen = elsewhere.submit(describer.extractor.extract, encoded(1), (3, 4, 50, 40)).result(timeout=120)
        here = describer.extractor.extract(encoded(1), (3, 4, 50, 40))
        assert (seen.content, seen.region, seen.grid) == (here.content, here.region, here.grid)
        np.testing.assert_allclose(seen.activations.features, here.activations.features, atol=1e-4)

    def test_it_holds_no_store(self, address, model, encoded, photos):
        with Engine.open(address, model=model, settings=SETTINGS, create=True) as engine:
            engine.index(photos(3))
            data = pickle.dumps(engine._describers.single())
        shutil.rmtree(address)
        # No vectors, no weights, no name of the collection.
        assert len(data) < 10_000
        assert os.fsencode(address) not in data
        again = pickle.loads(data)
        assert again.record(io.BytesIO(encoded(1)))[1].descriptor is not None


class TestModelsThatTravel:
    def test_layer_threads_and_input(self, own_model, encoded):
        model = load_model(own_model, layer="expand16", threads=2)
        other = model.with_input(replace(model.card.input, mean=(100.0, 110.0, 120.0)))
        for one in (model, other):
            again = pickle.loads(pickle.dumps(one))
            assert (again.layer, again.checksum, again.class_names) == (
                "expand16",
                one.checksum,
                one.class_names,
            )
            assert again.card == one.card
            assert again._threads == 2
            pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            np.testing.assert_allclose(again.run(pixels).features, one.run(pixels).features, atol=1e-5)

    def test_one_that_is_gone(self, own_model):
        data = pickle.dumps(Describer(load_model(own_model), SETTINGS, Limits()))
        shutil.rmtree(own_model)
        with pytest.raises(ModelError):
            pickle.loads(data)

    def test_one_whose_file_is_damaged(self, own_model):
        data = pickle.dumps(Describer(load_model(own_model), SETTINGS, Limits()))
        with open(own_model / "model.onnx", "ab") as file:
            file.write(b"more")
        with pytest.raises(ModelError, match="is damaged"):
            pickle.loads(data)

    def test_one_that_another_has_taken_the_place_of(self, own_model, elsewhere, encoded):
        """Whole in itself, but not what the work was for."""
        onnx = pytest.importorskip("onnx")
        describer = Describer(load_model(own_model), SETTINGS, Limits())
        data = pickle.dumps(describer)
        network = onnx.load(own_model / "model.onnx")
        network.doc_string = "another"
        onnx.save(network, own_model / "model.onnx")
        card = json.loads((own_model / "card.json").read_text())
        with open(own_model / "model.onnx", "rb") as file:
            card["model"]["sha256"] = fingerprint(file).hex()
        (own_model / "card.json").write_text(json.dumps(card))
        assert load_model(own_model).checksum != describer.model.checksum
        with pytest.raises(ModelError, match="has changed"):
            pickle.loads(data)
        with pytest.raises(ModelError, match="has changed"):
            describer.model.with_threads(1)


@pytest.mark.parametrize(
    "kind",
    [
        item
        for item in vars(errors_module).values()
        if isinstance(item, type) and issubclass(item, CamseekError)
    ],
)
def test_every_error_travels(kind):
    error = kind("what is wrong", remedy="what to do")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.remedy, str(again)) == ("what is wrong", "what to do", "what is wrong")


class TestDescribers:
    @pytest.fixture
    def collection(self, address, model, photos):
        with Engine.open(address, model=model, settings=SETTINGS, create=True) as engine:
            engine.index(photos(6))
            yield engine.collection

    def test_the_model_is_loaded_once_for_each_number_of_threads(self, collection, model):
        many = Describers(collection, model, Limits())
        profile = many.profile()
        assert many.of(profile, single=False) is many.of(profile, single=False)
        assert many.of(profile, single=False).model is many.model is model
        assert many.of(profile, single=True) is many.single()
        assert many.single().model is not model
        assert many.single().settings == SETTINGS

    def test_they_follow_a_whitening(self, collection, model, address):
        many = Describers(collection, model, Limits())
        before, profile = many.single(), many.profile()
        with Engine.open(address, model=model) as other:
            other.fit(dimensions=3)
        after = many.single()
        assert before.encoder.whitening is None
        assert after.encoder.whitening.projection.shape == (1280, 3)
        assert after.model is before.model
        # Descriptors of the moment before are still described as they were.
        assert many.of(profile, single=True).encoder.whitening is None

    def test_another_model(self, collection):
        with pytest.raises(SettingsError, match="layer"):
            Describers(collection, load_model(layer="expand16", threads=1), Limits())
