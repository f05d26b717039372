"""Small pictures, and a model that is loaded once."""

import io

import numpy as np
import pytest
from PIL import Image

from camseek import Engine, load_model


@pytest.fixture(scope="session")
def model():
    return load_model(threads=1)


@pytest.fixture
def address(tmp_path):
    return tmp_path / "collection"


@pytest.fixture
def engine(address, model):
    with Engine.open(address, model=model, create=True, workers=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def encoded():
    """The bytes of a picture file: soft patches of colour, others for each seed."""

    def make(seed, size=(64, 48), format="JPEG"):
        patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).save(file, format)
        return file.getvalue()

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
