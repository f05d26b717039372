"""A service over a collection on a server."""

import pytest

from camseek import Engine
from camseek.errors import ServerError
from camseek.service import shelf
from camseek.service.settings import ServiceSettings
from camseek.service.shelf import Hosted
from camseek.store.milvus import server
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


def test_a_server_that_is_down(tmp_path, monkeypatch):
    """It is said for what it is, and to nobody where it stands; the collection is listed all the same."""
    monkeypatch.setattr(server, "CONNECTING", 0.5)
    monkeypatch.setattr(shelf, "_AGAIN", 0.0)
    said = "the server that keeps the collection does not answer, or does not let one in"
    with serving("milvus://someone:s3cret@127.0.0.1:1/x", tmp_path, None) as client:
        answers = [client.get("/api/v1/health"), client.get(MUSEUM), client.get("/api/v1/collections")]
        answers.append(client.post(f"{MUSEUM}/search", json={"query": [{"picture": "0" * 64}]}))
        assert [answer.status_code for answer in answers] == [503, 503, 200, 503]
        health, alone, listed, searched = (answer.json() for answer in answers)
        assert (health["collections"][0]["code"], health["collections"][0]["reason"]) == ("server", said)
        assert [item["name"] for item in listed] == ["museum"]
        problems = [alone, listed[0]["problem"], searched]
        assert [(item["code"], item["detail"], item["status"]) for item in problems] == [
            ("server", said, 503)
        ] * 3
        assert not any("127.0.0.1" in answer.text or "s3cret" in answer.text for answer in answers)


def test_a_server_that_goes_while_it_is_served(stocked_there, tmp_path, model, monkeypatch):
    with serving(stocked_there, tmp_path / "state", model) as client:
        [scene] = client.get(f"{MUSEUM}/pictures?text=scene").json()["pictures"]

        def fails(*args, **options):
            raise ServerError("milvus://127.0.0.1 failed, or does not answer: unavailable", remedy="start it")

        monkeypatch.setattr(server.Server, "query", fails)
        answer = client.post(f"{MUSEUM}/search", json={"query": [{"picture": scene["id"]}]})
        assert (answer.status_code, answer.json()["code"]) == (503, "server")
        assert client.get("/api/v1/health").status_code == 503
        [listed] = client.get("/api/v1/collections").json()
        assert listed["problem"]["code"] == "server"


def test_what_is_remembered_of_it_is_not_of_who_asks(tmp_path):
    address = "milvus://someone:s3cret@host/name"
    settings = ServiceSettings(collections={"museum": address}, state=tmp_path)
    assert "s3cret" not in repr(settings)
    keys = {
        Hosted("museum", given, settings, {}, None, None).key
        for given in (address, "milvus://host:19530/name", "milvus://other@HOST/name")
    }
    assert len(keys) == 1
