"""What networks run on: GPUs that are not there, and one that is made up (a session of the processor)."""

import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import numpy as np
import onnxruntime
import pytest

from camseek import Engine, load_model
from camseek.backbones import devices, onnx_backbone
from camseek.backbones.devices import CPU, CUDA, Running, running
from camseek.backbones.library import EMBEDDED
from camseek.backbones.passes import Passes
from camseek.config import Device
from camseek.errors import DeviceError, SettingsError
from camseek.extraction import fine

REAL = onnxruntime.InferenceSession


@pytest.fixture(autouse=True)
def forgetting():
    """Nothing that one test found out is known to the next."""
    for known in (devices._fault, devices._tell_once, fine._loaded):
        known.cache_clear()
    yield
    for known in (devices._fault, devices._tell_once, fine._loaded):
        known.cache_clear()


class Gpu:
    """What is made up of a GPU, and what was asked of it."""

    def __init__(self):
        self.starts = True
        self.factor = 1.0
        self.shapes = []
        self.fails = lambda shape: None
        self.options = None
        self.loaded = []

    def session(self, network, options, providers):
        gpu = self
        on = not isinstance(providers[0], str)
        made = REAL(network, options, [CPU])

        class Session:
            def get_providers(self):
                return [CUDA, CPU] if on and gpu.starts else [CPU]

            def run(self, names, tensors):
                if on:
                    [tensor] = tensors.values()
                    gpu.shapes.append(tensor.shape)
                    gpu.fails(tensor.shape)
                found = made.run(names, tensors)
                return [values * np.float32(gpu.factor) for values in found] if on else found

            def __getattr__(self, name):
                return getattr(made, name)

        if on:
            assert providers[1:] == [CPU]
            assert providers[0][0] == CUDA
            gpu.options = providers[0][1]
            gpu.loaded.append(network)
        return Session()


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that computes as the processor does."""
    made = Gpu()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", made.session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("noise"), raising=False)
    monkeypatch.setattr(devices, "_fault_of_driver", lambda: None)
    return made


def pixels(seed=0, size=(64, 96)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


class TestTheWish:
    def test_what_it_can_be(self):
        assert Device.of(None) == Device() == Device("cpu", "float32")
        assert Device.of("auto") == Device("auto")
        assert Device.of(Device("cuda", "float16")).precision == "float16"

    @pytest.mark.parametrize("wrong", [("gpu",), ("cuda", "float8"), ("cpu", "float16"), ("",)])
    def test_what_it_cannot_be(self, wrong):
        with pytest.raises(SettingsError):
            Device(*wrong)


class TestNoGpu:
    def test_the_processor_needs_nothing(self, monkeypatch):
        monkeypatch.setattr(devices, "_fault", None)
        assert running(Device()) == Running("cpu", "float32")

    def test_the_package_is_missing(self):
        """As it is where the tests run."""
        if CUDA in onnxruntime.get_available_providers():
            pytest.skip("this ONNX Runtime has the provider")
        with pytest.raises(DeviceError, match="the package onnxruntime-gpu is not installed") as error:
            load_model(device="cuda")
        assert "camseek[cuda]" in error.value.remedy
        assert error.value.code == "device"

    def test_both_packages_are_there(self, monkeypatch):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
        monkeypatch.setattr(metadata, "version", lambda name: "1.20")
        with pytest.raises(DeviceError, match="are both installed, and one hides the other"):
            running(Device("cuda"))

    @pytest.mark.parametrize(
        ("driver", "told"),
        [
            (None, "driver is not installed"),
            ((100, 0), "driver says error 100"),
            ((0, 0), "driver sees no GPU"),
        ],
    )
    def test_the_driver(self, monkeypatch, driver, told):
        class Driver:
            def cuInit(self, flags):  # noqa: N802  # NVIDIA's names
                return driver[0]

            def cuDeviceGetCount(self, count):  # noqa: N802
                return 0

        def load(name):
            if driver is None:
                raise OSError(name)
            return Driver()

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(devices.ctypes, "CDLL", load)
        with pytest.raises(DeviceError, match=told):
            running(Device("cuda"))

    def test_the_provider_does_not_start(self, gpu, capsys):
        gpu.starts = False
        with pytest.raises(DeviceError, match="CUDA provider cannot be started") as error:
            running(Device("cuda"))
        assert "cuDNN" in error.value.remedy
        assert capsys.readouterr().out == ""

    def test_auto_takes_the_processor_and_says_so_once(self, caplog):
        if CUDA in onnxruntime.get_available_providers():
            pytest.skip("this ONNX Runtime has the provider")
        with caplog.at_level(logging.INFO, "camseek.device"):
            found = [running(Device("auto", "float16")) for _ in range(3)]
        assert found == [Running("cpu", "float32", "the package onnxruntime-gpu is not installed")] * 3
        assert len(caplog.records) == 1
        loaded = load_model(device="auto", threads=1)
        assert loaded.runs_on.name == "cpu"
        assert str(loaded.runs_on) == "the processor: the package onnxruntime-gpu is not installed"


class TestAGpu:
    def test_a_pass(self, gpu, model):
        loaded = load_model(device="cuda")
        assert loaded.runs_on == Running("cuda", "float32")
        assert gpu.options["use_tf32"] == "0"
        assert gpu.options["cudnn_conv_algo_search"] == "HEURISTIC"
        found, wanted = loaded.run(pixels()), model.run(pixels())
        np.testing.assert_allclose(found.features, wanted.features, atol=1e-4)
        np.testing.assert_array_equal(loaded.classifier_weights, model.classifier_weights)
        assert loaded.checksum == model.checksum
        assert loaded.with_threads(1) is loaded
        assert load_model(device="auto").runs_on.name == "cuda"

    def test_it_travels(self, gpu):
        loaded = load_model(device=Device("auto"), threads=1)
        again = pickle.loads(pickle.dumps(loaded))
        assert (again.device, again.runs_on) == (loaded.device, Running("cuda", "float32"))

    def test_one_that_gives_other_numbers_is_not_used(self, gpu):
        gpu.factor = 1.1
        with pytest.raises(DeviceError, match="gives other numbers on the GPU"):
            load_model(device="cuda")
        loaded = load_model(device="auto", threads=1)
        assert loaded.runs_on.name == "cpu"
        assert "other numbers" in loaded.runs_on.reason

    def test_one_that_fails_there_is_not_used(self, gpu):
        def fail(shape):
            raise RuntimeError("no kernel")

        gpu.fails = fail
        with pytest.raises(DeviceError, match="no kernel"):
            load_model(device="cuda")

    def test_half_precision(self, gpu, model):
        """The network is really converted; the processor computes it as a GPU would, but for the order."""
        loaded = load_model(device=Device("cuda", "float16"))
        assert loaded.runs_on == Running("cuda", "float16")
        assert isinstance(gpu.loaded[-1], bytes)
        assert len(gpu.loaded[-1]) < 0.6 * (EMBEDDED / "model.onnx").stat().st_size
        for seed in range(3):
            smooth = np.kron(pixels(seed, (4, 6)), np.ones((32, 32, 1), np.uint8))
            one, other = (item.run(smooth).features.mean(axis=(2, 3))[0] for item in (loaded, model))
            assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.999

    def test_half_precision_that_overflows(self, gpu):
        loaded = load_model(device=Device("cuda", "float16"))
        gpu.factor = np.nan
        with pytest.raises(DeviceError, match="larger numbers than float16 holds"):
            loaded.run(pixels())

    def test_half_precision_without_its_package(self, gpu, monkeypatch):
        def missing(name):
            raise ImportError(name)

        monkeypatch.setattr("camseek.backbones.halving.importlib.import_module", missing)
        with pytest.raises(DeviceError, match="needs the package onnx"):
            load_model(device=Device("cuda", "float16"))

    def test_fine_points(self, gpu):
        grey = np.random.default_rng(1).integers(0, 256, (96, 128), dtype=np.uint8)
        places, descriptors = fine.fine_points(grey, 30, Device("cuda"))
        wanted = fine.fine_points(grey, 30)
        assert len(gpu.shapes) == 1
        np.testing.assert_array_equal(places, wanted[0])
        np.testing.assert_array_equal(descriptors, wanted[1])

    def test_what_one_machine_makes_another_searches(self, gpu, address, photos, model):
        folder = photos(4)
        with Engine.open(address, create=True, device="cuda", settings="gem", workers=2) as engine:
            assert engine.index(folder).added == 4
            assert engine.model.runs_on.name == "cuda"
            assert len(gpu.shapes) > 4
            profile = engine.collection.profile
        assert "cuda" not in str(profile)
        with Engine.open(address, model=model) as other:
            hit = other.search(folder / "2.jpg").hits[0]
            assert (hit.path, hit.score > 0.9999) == (str(folder / "2.jpg"), True)

    def test_an_engine_says_what_is_missing_before_there_is_work(self, gpu, address, engine):
        gpu.starts = False
        with pytest.raises(DeviceError):
            Engine.open(address, device="cuda")
        with pytest.raises(SettingsError):
            Engine.open(address, device="gpu")


class TestPassesTogether:
    """Many threads, one GPU."""

    class Slow:
        """Waits in its first pass until others wait for it."""

        def __init__(self, fails=lambda count: None):
            self.counts, self.fails = [], fails
            self.begun, self.may_end = threading.Event(), threading.Event()

        def run(self, names, tensors):
            [tensor] = tensors.values()
            self.counts.append(len(tensor))
            self.begun.set()
            if len(self.counts) == 1:
                assert self.may_end.wait(20)
            self.fails(tensor)
            return [tensor * 2, tensor[:, :1] + 1]

    def together(self, session, tensors):
        passes = Passes(session, "x", together=True)
        with ThreadPoolExecutor(len(tensors)) as pool:
            first = pool.submit(passes.run, ["a", "b"], tensors[0])
            assert session.begun.wait(20)
            others = [pool.submit(passes.run, ["a", "b"], tensor) for tensor in tensors[1:]]
            while len(passes._queue) < len(tensors) - 1:
                threading.Event().wait(0.001)
            session.may_end.set()
            return passes, [first, *others]

    def tensors(self, count, size=4):
        return [np.full((1, 3, size, size), number, np.float32) for number in range(count)]

    def test_those_that_wait_share_the_next_one(self):
        session = self.Slow()
        _, found = self.together(session, self.tensors(9))
        assert session.counts == [1, 8]
        for number, future in enumerate(found):
            two, one = future.result()
            assert two.shape == (1, 3, 4, 4)
            assert (two == 2 * number).all()
            assert (one == number + 1).all()
            assert two.base is None  # the whole pass does not stay in memory for a part of it

    def test_only_those_of_one_size(self):
        session = self.Slow()
        self.together(session, [*self.tensors(3), *self.tensors(3, 8)])
        assert sorted(session.counts) == [1, 2, 3]

    def test_no_more_than_the_memory_bears(self):
        def fails(tensor):
            if len(tensor) > 3:
                raise RuntimeError("Failed to allocate memory for requested buffer of size 1")

        session = self.Slow(fails)
        passes, found = self.together(session, self.tensors(13))
        assert all((future.result()[0] == 2 * number).all() for number, future in enumerate(found))
        assert passes.most == 3
        assert session.counts == [1, 12, 6, 3, 3, 6, 3, 3]

    def test_a_fault_is_that_of_one_picture(self):
        def fails(tensor):
            if (tensor == 3).any():
                raise RuntimeError("bad")

        passes, found = self.together(self.Slow(fails), self.tensors(6))
        for number, future in enumerate(found):
            if number == 3:
                with pytest.raises(RuntimeError, match="bad"):
                    future.result()
            else:
                assert (future.result()[0] == 2 * number).all()
        assert passes.most == 32

    def test_a_graph_that_was_made_for_one_picture(self, gpu):
        def fail(shape):
            if shape[0] > 1:
                raise RuntimeError("reshape")

        gpu.fails = fail
        loaded = load_model(device="cuda")
        assert loaded._passes.most == 1
        with ThreadPoolExecutor(4) as pool:
            assert len(list(pool.map(loaded.run, [pixels(seed) for seed in range(4)]))) == 4

    def test_the_processor_has_passes_of_its_own(self, model):
        assert not model._passes.together


def test_the_note_of_a_trial_knows_either_package(monkeypatch):
    def version(name):
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return "1.23"

    monkeypatch.setattr(metadata, "version", version)
    assert devices.runtime_version() == "1.23"
    assert onnx_backbone.runtime_version is devices.runtime_version
