"""A small collection with its points, and a service over it."""

import shutil

import pytest

from camseek import Engine
from served import COUNT, scene, serving
from textures import png, texture


@pytest.fixture(scope="session")
def stocked(tmp_path_factory, model):
    """A collection of six textures in folders, one of them again in a scene, and its pictures' folder."""
    place = tmp_path_factory.mktemp("stocked")
    photos = place / "museum"
    (photos / "hall").mkdir(parents=True)
    for seed in range(COUNT):
        (photos / ("hall" if seed % 2 else ".") / f"{seed}.png").write_bytes(png(texture(seed)))
    (photos / "hall" / "scene.png").write_bytes(png(scene()))
    (photos / "<b>bold.png").write_bytes(b"no picture")
    with Engine.open(place / "c", model=model, create=True, workers=2) as engine:
        engine.index(photos)
    return place / "c", photos


@pytest.fixture(scope="module")
def client(stocked, tmp_path_factory, model):
    """A client of a service over the stocked collection, which its tests leave as it is."""
    with serving(stocked[0], tmp_path_factory.mktemp("state"), model) as made:
        yield made


@pytest.fixture
def own(stocked, tmp_path, model):
    """A service over a copy of the collection and its pictures, to be changed."""
    address, photos = tmp_path / "c", tmp_path / "museum"
    shutil.copytree(stocked[1], photos)
    with Engine.open(address, model=model, create=True, workers=2) as engine:
        engine.index(photos)
    with serving(address, tmp_path / "state", model, paths=True) as client:
        yield client, photos
