"""A collection goes over to another network as a job of the service."""

import shutil
import threading
from types import SimpleNamespace

import pytest

from camseek.engine import Engine
from camseek.errors import CancelledError
from camseek.service.jobs import Jobs
from camseek.service.settings import ServiceSettings
from camseek.service.shelf import Hosted
from camseek.service.state import State
from models import other_model
from served import ended, serving

MUSEUM = "/api/v1/collections/museum"
EMBEDDED = "efficientnet-lite0"


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of imported models, with one called ``other``."""
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))
    return other_model(tmp_path / "models", sketch=False).parent


def ask(client, kind, **more):
    return client.post("/api/v1/jobs", json={"kind": kind, "collection": "museum", **more})


def done(client, kind, **more):
    return ended(client, ask(client, kind, **more).json())


def searched(client):
    picture = client.get(f"{MUSEUM}/pictures?order=name").json()["pictures"][0]["id"]
    answer = client.post(f"{MUSEUM}/search", json={"query": [{"picture": picture}], "without_self": False})
    found = answer.raise_for_status().json()
    assert found["hits"][0]["picture"]["id"] == picture
    return found["model"]


def test_it_goes_over_and_back_and_lets_go(own, models):
    client, _ = own
    here = {item["name"]: item["checksum"] for item in client.get("/api/v1/models").json()}
    before = client.get(MUSEUM).json()
    assert here[EMBEDDED] == before["model_checksum"]
    assert before["beside"] is None
    told = done(client, "upgrade", model="other")
    assert (told["state"], told["done"], told["total"]) == ("done", 7, 7)
    assert (told["report"]["model"], told["report"]["before"]["model"]) == ("other", EMBEDDED)
    now = client.get(MUSEUM).json()
    assert (now["model"], now["model_checksum"]) == ("other", here["other"])
    kept = {"model": EMBEDDED, "checksum": here[EMBEDDED], "layer": before["layer"], "kept": True, "done": 7}
    assert now["beside"] == kept
    assert searched(client) == "other"
    assert done(client, "undo_upgrade")["report"]["model"] == EMBEDDED
    assert (searched(client), client.get(MUSEUM).json()["beside"]["model"]) == (EMBEDDED, "other")
    assert done(client, "forget_upgrade")["state"] == "done"
    assert client.get(MUSEUM).json()["beside"] is None
    nothing = done(client, "undo_upgrade")
    assert (nothing["state"], nothing["problem"]["code"]) == ("failed", "settings")
    assert "museum keeps nothing to go back to" in nothing["problem"]["detail"]


def test_what_was_stopped_is_told_and_gone_on_with(own, models, tmp_path, monkeypatch):
    """Searches are answered meanwhile, by the network in use."""
    client, _ = own
    going, let = threading.Event(), threading.Event()
    real = Engine.upgrade

    def held(engine, model, *, progress, cancelled, **more):
        def step():
            progress.step()
            if progress.done == 3:
                going.set()
                assert let.wait(60)

        return real(
            engine,
            model,
            progress=SimpleNamespace(start=progress.start, step=step),
            cancelled=cancelled,
            **more,
        )

    monkeypatch.setattr(Engine, "upgrade", held)
    job = ask(client, "upgrade", model="other").json()
    assert going.wait(60)
    assert searched(client) == EMBEDDED
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 200
    let.set()
    assert ended(client, job)["state"] == "cancelled"
    beside = client.get(MUSEUM).json()["beside"]
    assert (beside["model"], beside["kept"]) == ("other", False)
    assert 3 <= beside["done"] < 7
    # Other work, too, says so of the collection by its name.
    assert done(client, "fit")["problem"]["detail"] == "an upgrade of museum to other is unfinished"
    monkeypatch.undo()
    monkeypatch.setenv("CAMSEEK_MODELS", str(models))
    told = done(client, "upgrade", model="other")
    assert told["report"]["resumed"]
    assert told["report"]["encoded"] == 7 - beside["done"]
    assert done(client, "discard_upgrade")["problem"]["detail"] == "nothing of museum is unfinished"


def test_it_survives_a_restart(own, models, tmp_path, model):
    """The next service takes it up from what is remembered of it."""
    state = State(tmp_path / "next")
    settings = ServiceSettings(collections={"museum": str(tmp_path / "c")}, state=tmp_path / "next")
    key = Hosted("museum", str(tmp_path / "c"), settings, {}, None, None).key

    def stops(job):
        job.cancelled.wait()
        raise CancelledError("the service ends", remedy="none")

    earlier = Jobs(state, {"upgrade": stops}, {"museum": key})
    earlier.begin()
    job = earlier.ask("upgrade", "museum", {"model": "other"})
    earlier.close()
    state.close()
    assert not job.over
    with serving(tmp_path / "c", tmp_path / "next", model) as later:
        assert ended(later, {"id": job.id})["state"] == "done"
        assert searched(later) == "other"


def test_pictures_whose_files_are_gone(own, models):
    client, photos = own
    (photos / "2.png").unlink()
    told = done(client, "upgrade", model="other")
    assert (told["state"], told["problem"]["status"], told["problem"]["code"]) == ("failed", 409, "source")
    assert told["problem"]["detail"] == (
        "the files of 1 picture are gone, or are others now, and the collection is as it was: museum/2.png"
    )
    assert searched(client) == EMBEDDED
    told = done(client, "upgrade", model="other", allow_removal=True)
    assert (told["report"]["removed"], told["report"]["removed_names"]) == (1, ["museum/2.png"])
    assert client.get(MUSEUM).json()["pictures"] == 6


def test_what_is_asked_for_wrongly(client, models, tmp_path):
    shutil.copytree(models / "other", tmp_path / "elsewhere")
    for wrong in ("nothing", str(tmp_path / "elsewhere"), "../elsewhere", "other/../other"):
        answer = ask(client, "upgrade", model=wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_model"), wrong
    for body in ({"kind": "upgrade"}, {"kind": "index", "model": "other"}, {"kind": "fit", "layer": "top"}):
        assert client.post("/api/v1/jobs", json={**body, "collection": "museum"}).status_code == 422
    same = done(client, "upgrade", model=EMBEDDED)
    assert (same["problem"]["code"], same["problem"]["detail"].split(" is")[0]) == ("settings", "museum")
    assert str(tmp_path) not in str(same)
    damaged = models / "damaged"
    damaged.mkdir()
    (damaged / "card.json").write_text("{")
    assert sorted(item["name"] for item in client.get("/api/v1/models").json()) == [EMBEDDED, "other"]
