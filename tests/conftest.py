"""Checks every shape annotation while testing, makes Hypothesis repeatable, and has what many tests need."""

import dataclasses
import importlib.util
import inspect
import io
import os
import secrets
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import get_args

import jaxtyping
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image


def _shaped_modules() -> list[str]:
    """The modules that annotate shapes.

    Not simply all of camseek: the hook hands methods to beartype one by one, which refuses ``Self`` there.
    """
    spec = importlib.util.find_spec("camseek")  # finds the package without importing it
    return [
        ".".join(("camseek", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        for root in map(Path, spec.submodule_search_locations)
        for path in sorted(root.rglob("*.py"))
        if "from jaxtyping import" in path.read_text(encoding="utf-8")
    ]


def _annotates_shapes(annotation):
    if isinstance(annotation, str):  # not evaluated: it may be any
        return "[" in annotation
    if inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(map(_annotates_shapes, get_args(annotation)))


def _checking_shapes(jaxtyped):
    """The hook's decorator, for what annotates a shape alone.

    All else the type checker has seen already, and each call of a function would take it a hundred times
    longer: a third of what the tests of whole searches took.
    """

    def checked(item=None, *, typechecker):
        if item is None:
            return partial(checked, typechecker=typechecker)
        if isinstance(item, property):
            found = inspect.get_annotations(item.fget)
        elif inspect.isclass(item):
            found = inspect.get_annotations(item.__init__) if dataclasses.is_dataclass(item) else {}
        else:
            found = inspect.get_annotations(getattr(item, "__func__", item))
        shaped = any(map(_annotates_shapes, found.values()))
        return jaxtyped(item, typechecker=typechecker) if shaped else item

    return checked


# At import, so that it precedes the first import of camseek: the hook rewrites modules as they load.
jaxtyping.jaxtyped = _checking_shapes(jaxtyping.jaxtyped)
jaxtyping.install_import_hook(_shaped_modules(), "beartype.beartype")

# Nobody's own defaults decide which collection a test is about.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="camseek-cache-")
os.environ["XDG_DATA_HOME"] = os.path.join(os.environ["XDG_CACHE_HOME"], "data")
os.environ["CAMSEEK_CONFIG"] = os.path.join(os.devnull, "none")
os.environ.pop("CAMSEEK_COLLECTION", None)

# No deadline: on a shared machine it fails at random.
settings.register_profile("camseek", deadline=None, derandomize=True)
settings.load_profile("camseek")


def pytest_sessionfinish(session, exitstatus):
    """Where everything must run, a skipped test is a failure."""
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CAMSEEK_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("CAMSEEK_NO_SKIPS is set and tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _require_root():
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root: other user ids and small disks")


@pytest.fixture
def open_tmp_path():
    """A temporary folder that every user may enter (pytest's own are private)."""
    _require_root()
    path = Path(tempfile.mkdtemp(prefix="camseek-open-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def small_disk(tmp_path):
    """Makes a disk of some megabytes; ``remount`` in its options makes it read-only, say."""
    _require_root()
    mounted = []

    def make(megabytes):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "camseek-test", str(folder)]
        subprocess.run(mount, check=True)
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# camseek is imported where it is used: some folders of tests need none of it, and the hook comes first.


@pytest.fixture(scope="session")
def model():
    """The embedded model, loaded once, one thread a pass."""
    from camseek import load_model

    return load_model(threads=1)


@pytest.fixture(scope="module")
def remembered_passes():
    """What the network gave for some pixels is not asked for again: for tests that see few pictures often."""
    from camseek.backbones import Backbone

    run, known = Backbone.run, {}

    def remembered(self, pixels):
        # The same model with another number of threads gives other last digits.
        key = self.checksum, self.layer, id(self._passes), pixels.shape, pixels.tobytes()
        if key not in known:
            known[key] = run(self, pixels)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backbone, "run", remembered)
        yield


@pytest.fixture
def address(tmp_path):
    """Where a collection may come to be."""
    return tmp_path / "collection"


@pytest.fixture
def engine(address, model):
    """An empty collection."""
    from camseek import Engine

    with Engine.open(address, model=model, create=True, workers=2, without=("points",)) as opened:
        yield opened


@pytest.fixture(scope="session")
def milvus_port(tmp_path_factory):
    """The port of a Milvus server on this machine, which all processes of this test run share.

    One that runs already is named by CAMSEEK_TEST_MILVUS: starting one takes half a minute.
    """
    from milvus_server import shared_port

    if os.environ.get("CAMSEEK_TEST_MILVUS"):
        yield int(os.environ["CAMSEEK_TEST_MILVUS"])
        return
    own = tmp_path_factory.getbasetemp()
    # Beside those of the other processes, where there are several.
    folder = own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own
    with shared_port(folder) as port:
        yield port


@pytest.fixture
def milvus(milvus_port, monkeypatch):
    """An address of a collection on a Milvus server, of which whatever was written is seen at once."""
    from camseek.store.milvus import collection, pulling

    monkeypatch.setattr(collection, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(collection, "state_of", lambda server, strong: pulling.state_of(server, strong=True))
    return f"milvus://127.0.0.1:{milvus_port}/test-{secrets.token_hex(8)}"


@pytest.fixture
def stand_in(monkeypatch):
    """The class of connections to a server in memory of this test's own, which is looked at each time."""
    from camseek.store.milvus import collection as module
    from milvus_stand_in import StandIn

    kind = type("OwnStandIn", (StandIn,), {"data": {}})
    monkeypatch.setattr(module, "Server", kind)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.0)
    return kind


@pytest.fixture(scope="session")
def featureless():
    """A picture file in which the network sees nothing, under any encoding: grey, of the least size."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def encoded(featureless):
    """The bytes of a picture file: soft patches of colour, others for each seed; ``featureless`` too."""

    def make(seed, size=(64, 48), format="JPEG"):
        patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).save(file, format)
        return file.getvalue()

    make.featureless = featureless
    return make


@pytest.fixture
def photos(tmp_path, encoded):
    """Makes a folder of JPEGs ``0.jpg``, ``1.jpg``, ..."""

    def make(count, folder="photos"):
        place = tmp_path / folder
        place.mkdir()
        for number in range(count):
            (place / f"{number}.jpg").write_bytes(encoded(number))
        return place

    return make


@pytest.fixture(scope="session")
def miniatures():
    """Makers of small data sets in their official forms: ``miniatures.oxford(folder)``, and so on."""
    path = Path(__file__).parent / "datasets" / "miniatures.py"
    spec = importlib.util.spec_from_file_location("miniatures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of photographs with ground truth; tests that need it are marked ``shared_data``."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CAMSEEK_TEST_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no photographs in {folder}: set CAMSEEK_TEST_DATA to the folder that has them")
    return folder


@pytest.fixture(scope="session")
def shared_faults() -> Path:
    """The folder of small inputs on which camseek once failed; tests that need it say so by this name."""
    beside = Path(__file__).parents[2] / "shared" / "faults"
    folder = Path(os.environ.get("CAMSEEK_TEST_FAULTS") or beside)
    if not folder.is_dir():
        pytest.skip(f"no faults in {folder}: set CAMSEEK_TEST_FAULTS to the folder that has them")
    return folder
