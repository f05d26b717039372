"""The verbs on a collection on a server: what they say of one in a folder, they say of it."""

import json
import os

import pytest

from camseek import Engine
from camseek.cli.defaults import read_defaults
from models import other_model


@pytest.fixture
def both(camseek, photos, collection, milvus, featureless):
    """The same pictures in a folder and on a server, and where they lie."""
    folder = photos(5)
    (folder / "grey.png").write_bytes(featureless)
    (folder / "bad.jpg").write_bytes(b"none")
    for address in (collection, milvus):
        report = camseek("index", folder, "--collection", address)
        assert (report["added"], report["collection"]) == (6, str(address))
    return folder, collection, milvus


def told(report):
    """A report without what is of one collection or one moment alone."""
    own = ("collection", "seconds", "created", "bytes", "bytes_per_picture", "fitted")
    if isinstance(report, dict):
        return {key: told(value) for key, value in report.items() if key not in own}
    return [told(item) for item in report] if isinstance(report, list) else report


@pytest.mark.points
def test_verbs_say_what_they_say_of_a_folder(both, camseek, text, tmp_path):
    folder, one, two = both
    query = folder / "2.jpg"

    def same(*arguments):
        first, second = (camseek(*arguments, "--collection", address) for address in (one, two))
        assert told(first) == told(second)
        return second

    same("info", "--skipped")
    assert text("list", one).out == text("list", two).out
    same("check")
    assert len(same("search", query, "--top", "4")["hits"]) == 4
    same("index", folder)
    truth = tmp_path / "truth.json"
    (folder / "bad.jpg").unlink()
    queries = [{"id": "q", "image": "photos/2.jpg", "good": ["3.jpg"], "junk": ["2.jpg"]}]
    truth.write_text(json.dumps({"database": "photos", "queries": queries}))
    same("evaluate", truth)
    same("fit", "--dimensions", "3")
    same("remove", folder / "2.jpg")
    same("search", query, "--top", "4")
    same("info")
    assert "lack" not in text("info", two).out


def test_a_dry_run_makes_nothing(camseek, failing, photos, milvus):
    assert camseek("index", photos(2), "--collection", milvus, "--dry-run")["added"] == 2
    assert failing("info", milvus)["code"] == "no_collection"


def test_what_lets_in_is_said_nowhere(camseek, text, failing, photos, milvus):
    secret = milvus.replace("//", "//someone:s3cret@")
    told = text("index", photos(1), "--collection", secret, "--json")
    assert "s3cret" not in told.out + told.err
    assert told.json["collection"] == milvus
    for arguments in (
        ("info", secret),
        ("info", secret + "/a/b"),
        ("info", secret + "-none"),
        ("info", secret, "--collection", secret),
        ("info", secret.replace("milvus", "other")),
        ("info", secret.replace("127.0.0.1", "[127")),
        ("serve", "--collection", secret + "?x"),
    ):
        told = text(*arguments, code=None)
        assert "s3cret" not in told.out + told.err
    assert "s3cret" not in str(failing("search", "none.jpg", "--collection", secret))


def test_it_may_be_the_usual_one(monkeypatch, tmp_path, milvus):
    place = tmp_path / "config.toml"
    place.write_text(f'collection = "{milvus}"')
    monkeypatch.setenv("CAMSEEK_CONFIG", str(place))
    assert read_defaults().collection == milvus


def test_another_network_there_and_back(both, camseek, text, tmp_path_factory, monkeypatch):
    models = tmp_path_factory.mktemp("models")
    monkeypatch.setenv("CAMSEEK_MODELS", str(models))
    other_model(models)
    addresses = both[1:]

    def same(*arguments):
        one, two = (camseek("upgrade", address, *arguments) for address in addresses)
        assert told(one) == told(two)
        return two

    assert same("--status")["beside"] is None
    assert (same("--model", "other")["encoded"], same("--status")["beside"]["kept"]) == (6, True)
    assert text("info", addresses[1]).out.count("camseek upgrade --undo goes back to it") == 1
    assert camseek("check", addresses[1])["sound"]
    assert (same("--undo")["encoded"], same("--status")["model"]) == (0, "efficientnet-lite0")
    same("--forget")
    assert same("--status")["beside"] is None


def test_outputs_and_exports(both, camseek, tmp_path):
    _, _, server = both
    made = camseek("export", server, "--csv", tmp_path / "pictures.csv")
    assert made["collection"] == server
    with Engine.open(server) as engine:
        assert len(engine) == 6
        assert os.path.exists(tmp_path / "pictures.csv")


def test_a_copy_there_and_back(camseek, text, failing, collection, photos, tmp_path, milvus):
    folder = photos(3)
    camseek("index", folder, "--collection", collection)
    report = camseek("copy", collection, milvus)
    assert (report["copied"], report["files"], report["target"]) == (3, 3, milvus)
    back = tmp_path / "back"
    assert text("copy", milvus, back).out.startswith(f"3 pictures of 3 and 3 files copied to {back} in ")
    assert text("list", collection).out == text("list", milvus).out == text("list", back).out
    assert camseek("index", folder, "--collection", milvus)["unchanged"] == 3
    error = failing("copy", back, tmp_path / "photos" / ".." / "back")
    assert (error["code"], error["message"]) == ("settings", "a collection cannot be copied to itself")
    assert failing("copy", tmp_path / "none", back)["code"] == "no_collection"
