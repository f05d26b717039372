"""Small pictures, and the command line called in this process and in others."""

import functools
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camseek import backbones
from camseek.backbones import onnx_backbone
from camseek.cli import run
from camseek.config import PARTS, parts_without
from camseek.engine import facade
from camseek.extraction import describer

_load_once = functools.cache(backbones.load_model)


@pytest.fixture(autouse=True)
def _models_are_loaded_once(monkeypatch):
    """Hundreds of commands run in this process; those in others load the model as users' commands do."""
    for module in (backbones, onnx_backbone, describer):
        monkeypatch.setattr(module, "load_model", _load_once)


@pytest.fixture(autouse=True)
def _descriptors_alone(request, monkeypatch):
    """Most tests here are about searches by descriptors; those that are marked ``points`` keep these too."""
    if request.node.get_closest_marker("points") is None:
        monkeypatch.setattr(facade, "parts_without", lambda without: parts_without({*without, *PARTS}))


def _image(seed, size=(64, 48)):
    """Soft patches of colour, others for each seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def image():
    """Makes a picture of its own for each seed."""
    return _image


@pytest.fixture(scope="session")
def encoded(featureless):
    """The bytes of a picture file."""

    def make(seed, size=(64, 48), format="JPEG", **options):
        file = io.BytesIO()
        _image(seed, size).save(file, format, **options)
        return file.getvalue()

    make.featureless = featureless
    return make


@pytest.fixture
def photos(tmp_path, encoded):
    """Makes a folder of JPEGs ``0.jpg``, ``1.jpg``, ...; names may be given instead."""

    def make(names=4, folder="photos"):
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        named = [f"{number}.jpg" for number in range(names)] if isinstance(names, int) else names
        for number, name in enumerate(named):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(encoded(number))
        return place

    return make


@pytest.fixture
def collection(tmp_path):
    """Where a collection may come to be."""
    return tmp_path / "collection"


def _one_object(stdout):
    assert stdout.count("\n") == 1, stdout
    assert stdout.endswith("\n")
    found = json.loads(stdout)
    assert isinstance(found, dict)
    return found


@dataclass
class _Told:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return _one_object(self.out)

    @property
    def error(self):
        """The error of a failed command: one object on stdout, one line on stderr."""
        assert list(self.json) == ["error"]
        error = self.json["error"]
        assert sorted(error) == ["code", "message", "remedy"]
        assert all(isinstance(text, str) and text for text in error.values())
        lines = [line for line in self.err.splitlines() if not line or line.startswith("camseek: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return error


@pytest.fixture
def text(capsys):
    """Runs a command in this process and gives what it says to people; a code of None is any."""

    def call(*arguments, code=0):
        capsys.readouterr()
        found = run([os.fsdecode(argument) for argument in arguments])
        told = _Told(found, *capsys.readouterr())
        assert code is None or found == code, told
        return told

    return call


@pytest.fixture
def camseek(text):
    """Runs a command in this process and gives its JSON object."""
    return lambda *arguments: text(*arguments, "--json").json


@pytest.fixture
def failing(text):
    """Runs a command that fails in this process and gives its error."""
    return lambda *arguments, code=1: text(*arguments, "--json", code=code).error


@pytest.fixture
def index(camseek, collection):
    """Indexes a folder and gives the counts that are not zero, with what was skipped by name."""

    def call(folder, *options):
        report = camseek("index", folder, "--collection", collection, *options)
        counts = {key: report[key] for key in _COUNTS if report[key]}
        if report["skipped"]:
            counts["skipped"] = {os.path.basename(item["path"]): item["code"] for item in report["skipped"]}
        return counts

    return call


_COUNTS = ("added", "changed", "unchanged", "moved", "removed", "encoded", "featureless", "ignored")


@pytest.fixture
def held(text, collection):
    """Indexes a folder where files are held back, and gives the report: exit code 1, and why."""

    def call(folder, *options):
        told = text("index", folder, "--collection", collection, *options, "--json", code=1)
        report = told.json
        error = report["error"]
        assert (error["code"], sorted(error)) == ("removal", ["code", "message", "remedy"])
        assert "--allow-removal" in error["remedy"]
        assert told.err.splitlines()[-1].startswith("camseek: ")
        assert (report["removed"], report["removal"]["held"]) == (0, True)
        return report

    return call


@pytest.fixture
def names(camseek, collection):
    """The names in the collection, by a search with a picture: groups of copies in the order of names."""

    def call(query):
        found = camseek("search", query, "--collection", collection, "--top", "1000")
        return sorted(hit["paths"] for hit in found["hits"])

    return call


@pytest.fixture
def process():
    """Runs a command in a process of its own, as another user where that is asked."""

    def call(*arguments, code=0, user=None, json=True, **options):
        command = [sys.executable, "-m", "camseek", *map(os.fsencode, arguments), *["--json"] * json]
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        options = {"stdin": subprocess.DEVNULL, "cwd": "/", "timeout": 60} | options
        done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", **options)
        assert done.returncode == code, done
        return _Told(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def starting():
    """Starts a command in a process of its own, which ends with the test at the latest."""
    started = []

    def call(*arguments, **options):
        command = [sys.executable, "-m", "camseek", *map(os.fsencode, arguments), "--json"]
        options = {"stdin": subprocess.DEVNULL, "cwd": "/"} | options
        one = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **options
        )
        started.append(one)
        return one

    yield call
    for one in started:
        if one.poll() is None:
            one.kill()
        one.communicate()


@pytest.fixture
def report_of():
    """What a started command said, once it has ended."""

    def wait(started):
        out, err = started.communicate(timeout=60)
        return _Told(started.returncode, out, err)

    return wait


@pytest.fixture
def path_of():
    """The absolute name of a file as JSON shows it."""
    return lambda *parts: os.path.abspath(Path(*parts))
