import numpy as np
import pytest

from camseek.config import Settings
from camseek.store import PictureRecord, Profile, Signature, create_collection

DIMENSIONS = 16


@pytest.fixture
def profile():
    return Profile(model="toy", model_checksum="ab" * 32, settings=Settings(), dimensions=DIMENSIONS)


@pytest.fixture
def collection(request, tmp_path, profile):
    """An empty collection in a folder; of each kind where a module says so, with ``EITHER``."""
    kind = getattr(request, "param", "folder")
    address = request.getfixturevalue("milvus") if kind == "milvus" else str(tmp_path / "made.camseek")
    with create_collection(address, profile) as made:
        yield made


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
