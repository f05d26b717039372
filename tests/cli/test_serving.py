"""``open``, ``serve`` and ``token`` as programs of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest


@contextmanager
def program(*arguments, **environment):
    """A client of what the program serves, and the process, which is interrupted at the end."""
    command = [sys.executable, "-m", "camseek", *map(str, arguments), "--port", "0", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | environment, text=True
    )
    try:
        told = json.loads(process.stdout.readline())
        with httpx.Client(base_url=told["address"], timeout=60) as client:
            yield client, told
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def until(look):
    end = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_folder_is_opened_searched_and_watched(photos, tmp_path, encoded):
    folder, data = photos(3, "Grandma's photos"), tmp_path / "data"
    options = ("--no-browser", "--state", tmp_path / "state")
    with program("open", folder, *options, XDG_DATA_HOME=str(data)) as (client, told):
        [(name, place)] = told["collections"].items()
        assert name == "grandma-s-photos"
        assert place.startswith(str(data))
        collection = f"/api/v1/collections/{name}"
        until(lambda: client.get(collection).json()["pictures"] == 3)
        headers = {"X-Camseek": "1"}
        upload = client.post("/api/v1/uploads", content=encoded(1), headers=headers).json()
        body = {"query": [{"upload": upload["id"]}], "without_self": False}
        found = client.post(f"{collection}/search", json=body).json()
        assert found["hits"][0]["picture"]["name"] == "Grandma's photos/1.jpg"
        until(lambda: not client.get(collection).json()["job"])
        (folder / "new.jpg").write_bytes(encoded(9))
        until(lambda: client.get(collection).json()["pictures"] == 4)
    with program("open", folder, *options, XDG_DATA_HOME=str(data)) as (client, told):
        assert client.get(collection).json()["pictures"] == 4


def test_beside_the_pictures(photos, tmp_path):
    folder = photos(1)
    with program("open", folder, "--beside", "--no-browser", "--state", tmp_path / "state") as (_, told):
        assert list(told["collections"].values()) == [f"{folder}.camseek"]


def test_a_wrong_name_leaves_nothing_behind(failing, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert failing("open", tmp_path / "none", "--no-browser")["code"] == "source"
    assert not (tmp_path / "data").exists()


def test_collections_are_served_by_their_names(photos, camseek, text, collection, tmp_path):
    camseek("index", photos(2), "--collection", collection)
    tokens = tmp_path / "tokens"
    token = text("token", "anna", "--token-file", tokens).out.strip()
    shutil.copytree(collection, tmp_path / "Old Prints.camseek")
    served = ("--collection", f"new={collection}", "--collection", tmp_path / "Old Prints.camseek")
    with program("serve", *served, "--token-file", tokens, "--state", tmp_path / "state") as (client, told):
        assert sorted(told["collections"]) == ["new", "old-prints"]
        assert client.get("/api/v1/collections").status_code == 401
        found = client.get("/api/v1/collections", headers={"Authorization": f"Bearer {token}"}).json()
        assert [item["name"] for item in found] == ["new", "old-prints"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--collection", "A B=c"), "cannot be called"),
        (("--collection", "a=c", "--host", "0.0.0.0"), "every picture"),
        (("--collection", "a=c", "--token-file", "none"), "camseek token"),
        (("--collection", "a=c", "--model", "none"), "none"),
    ],
)
def test_what_cannot_be_served(arguments, word, failing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = failing("serve", *arguments, "--state", "state", "--port", "0")
    assert word in error["message"] + error["remedy"]


def test_a_port_that_is_taken(failing, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = failing("serve", "--collection", "a=c", "--port", port, "--state", tmp_path / "state")
    assert "another program" in error["message"]


def test_two_of_one_name_are_wrong_usage(failing):
    assert (
        "two collections" in failing("serve", "--collection", "a=b", "--collection", "a=c", code=2)["message"]
    )
