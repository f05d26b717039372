import numpy as np
import pytest

from camseek.config import Settings
from camseek.store import PictureRecord, Profile, Signature, create_collection, open_collection
from camseek.store.milvus import sweeping
from milvus_stand_in import Killed
from milvus_upgrades import bring as bring_with_traces

DIMENSIONS = 16
STAND_IN = "milvus://127.0.0.1:1/name"


@pytest.fixture
def profile():
    return Profile(model="toy", model_checksum="ab" * 32, settings=Settings(), dimensions=DIMENSIONS)


@pytest.fixture
def collection(request, tmp_path, profile):
    """An empty collection in a folder; of each kind where a module says so, with ``EITHER``."""
    kind = getattr(request, "param", "folder")
    if kind == "stand-in":
        request.getfixturevalue("stand_in")
        address = STAND_IN
    else:
        address = request.getfixturevalue("milvus") if kind == "milvus" else str(tmp_path / "made.camseek")
    with create_collection(address, profile) as made:
        yield made


@pytest.fixture
def opened(stand_in, profile):
    """Opens a collection on the server in memory as another process does, each time."""
    create_collection(STAND_IN, profile).close()
    made = []

    def do():
        made.append(open_collection(STAND_IN))
        return made[-1]

    yield do
    for collection in made:
        collection.close()


@pytest.fixture
def fresh(opened, monkeypatch, tmp_path):
    """Opens it on another machine, each time."""
    machines = []

    def do():
        machines.append(tmp_path / f"machine {len(machines)}")
        with monkeypatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(machines[-1]))
            return opened()

    return do


@pytest.fixture
def kill():
    """Has what a collection's writer does end where it would write a row."""

    def do(collection, dies):
        def before(what, where, told):
            if what == "upsert" and any(dies(row) for row in told):
                collection._server.killed = True
                raise Killed

        collection._server.before = before

    return do


@pytest.fixture
def unit():
    """The i-th of a fixed row of unit vectors."""
    vectors = np.random.default_rng(5).standard_normal((2000, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return lambda i: vectors[i]


@pytest.fixture
def picture(unit):
    def make(number, descriptor="own"):
        return PictureRecord(
            content=number.to_bytes(32, "big"),
            size=(640, 480),
            format="JPEG",
            frames=1,
            descriptor=unit(number) if isinstance(descriptor, str) else descriptor,
        )

    return make


@pytest.fixture
def fill(picture):
    def do(collection, numbers, root=b"/photos"):
        with collection.write("test") as writer:
            number_of_root = writer.root(root)
            for number in numbers:
                record = writer.insert(picture(number))
                path = root + b"/%d.jpg" % number
                writer.point(path, record, Signature(1, 2, 3), number_of_root)

    return do


@pytest.fixture
def bring(picture):
    """Brings pictures with points and sketches to a collection."""
    return lambda collection, numbers: bring_with_traces(collection, picture, numbers)


@pytest.fixture
def nobody_waits(monkeypatch):
    """Nobody waits for one who was killed when he was about to write a head."""
    monkeypatch.setattr(sweeping, "HEAD_TAKES", -1.0)
