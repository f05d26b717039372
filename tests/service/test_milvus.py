"""A service over a collection on a server."""

import pytest

from camseek import Engine
from camseek.service.settings import ServiceSettings
from camseek.service.shelf import Hosted
from served import ended, serving
from textures import png, texture

MUSEUM = "/api/v1/collections/museum"


@pytest.fixture
def stocked_there(milvus, stocked, model):
    """The pictures of the stocked collection, on a server."""
    with Engine.open(milvus, model=model, create=True, workers=2) as engine:
        engine.index(stocked[1])
    return milvus


def test_it_answers_as_over_a_folder(stocked_there, client, tmp_path, model):
    def asked(one):
        upload = one.post("/api/v1/uploads", content=png(texture(3)), headers={"Content-Type": "image/png"})
        body = {"query": [{"upload": upload.json()["id"]}], "without_self": False}
        found = one.post(f"{MUSEUM}/search", json=body).json()
        names = [(hit["picture"]["name"], hit["verdict"]["verdict"]) for hit in found["hits"]]
        return sorted(names), [round(hit["score"], 4) for hit in found["hits"]]

    with serving(stocked_there, tmp_path / "state", model) as other:
        assert asked(other) == asked(client)
        assert other.get(MUSEUM).json()["pictures"] == client.get(MUSEUM).json()["pictures"]
        # A picture without a file is seen again from what the server has.
        files = [("files", ("given.png", png(texture(40)), "image/png"))]
        job = other.post(f"{MUSEUM}/pictures", files=files).json()
        assert ended(other, job)["state"] == "done"
        [item] = other.get(f"{MUSEUM}/pictures?text=given").json()["pictures"]
        seen = other.get(f"{MUSEUM}/pictures/{item['id']}/thumbnail")
        assert seen.status_code == 200
        assert other.get("/api/v1/health").json()["collections"][0]["reason"] is None


def test_what_is_remembered_of_it_is_not_of_who_asks(tmp_path):
    address = "milvus://someone:s3cret@host/name"
    settings = ServiceSettings(collections={"museum": address}, state=tmp_path)
    assert "s3cret" not in repr(settings)
    keys = {
        Hosted("museum", given, settings, {}, None).key
        for given in (address, "milvus://host:19530/name", "milvus://other@HOST/name")
    }
    assert len(keys) == 1
