import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from camseek import backbones
from camseek.backbones.library import EMBEDDED


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))
    # Not loaded once for all tests: what a name means changes here.
    monkeypatch.setattr(backbones, "load_model", backbones.load_model.__wrapped__)
    return tmp_path / "models"


@pytest.fixture
def network(tmp_path):
    """Makes the file of a tiny classifier of 4 classes, or of one without pooling."""

    def make(name="tiny.onnx", *, pooled=True):
        rng = np.random.default_rng(0)
        weights = {
            "w": rng.standard_normal((5, 3, 3, 3)).astype(np.float32),
            "v": rng.standard_normal((4, 5)).astype(np.float32),
        }
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], name="first"),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool" if pooled else "GlobalMaxPool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "v"], ["y"], transB=1),
        ]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (tmp_path / name).write_bytes(model.SerializeToString())
        return tmp_path / name

    return make


def test_import_list_show_check(camseek, network, models, photos):
    made = camseek("model", "import", network(), "--features", "first")
    assert made["folder"] == str(models / "tiny")
    assert made["card"]["layers"]["first"]["signed"]
    assert any("4 classes" in note for note in made["notes"])

    listed = camseek("model", "list")["models"]
    assert [item["name"] for item in listed] == ["efficientnet-lite0", "tiny"]
    assert [item["embedded"] for item in listed] == [True, False]
    assert listed[1]["layers"] == {
        "head": {"channels": 5, "stride": 2},
        "first": {"channels": 5, "stride": 2},
    }
    assert (listed[1]["classifier"], listed[1]["classes"]) == (True, 4)

    assert camseek("model", "show", "tiny") == {"folder": str(models / "tiny"), "card": made["card"]}
    assert camseek("model", "check", "tiny") == {
        "model": "tiny",
        "sound": True,
        "compared": ["first", "head", "scores"],
    }
    seen = camseek("model", "check", "tiny", photos(1) / "0.jpg")["picture"]
    assert seen["layers"]["head"]["shape"][:2] == [1, 5]
    assert sum(item["probability"] for item in seen["classes"]) == pytest.approx(1, abs=1e-5)


def test_the_same_for_people(text, network, models, photos):
    told = text("model", "import", network())
    assert told.out.startswith(f"tiny: {models / 'tiny'}\n")
    assert "layer        head: 5 channels, stride 2 (default), from r\n" in told.out
    assert "torchvision's" in told.err
    told = text("model", "list")
    assert "tiny  4 classes  layers (channels/stride): head 5/2\n" in told.out
    told = text("model", "show", "tiny")
    assert "classes      4, from numbers" in told.out
    assert "any size, in multiples of 2; RGB" in told.out
    told = text("model", "check", "tiny", photos(1) / "0.jpg")
    assert told.out.startswith("sound: tiny (head, scores)\n")
    assert "% " in told.out or "%  class" in told.out


def test_embedded(camseek):
    assert camseek("model", "check", "efficientnet-lite0")["compared"] == ["expand16", "head", "scores"]
    assert camseek("model", "show", "efficientnet-lite0")["folder"] == str(EMBEDDED)


def test_options(camseek, failing, network, tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    made = camseek(
        "model", "import", network(), "--name", "other", "--into", tmp_path / "place",
        "--classes", tmp_path / "names.txt", "--mean", "1,2,3", "--std", "4,5,6", "--channel-order", "BGR",
    )  # fmt: skip
    card = made["card"]
    assert (card["name"], made["folder"]) == ("other", str(tmp_path / "place"))
    assert card["input"]["mean"] == [1, 2, 3]
    assert card["input"]["std"] == [4, 5, 6]
    assert card["input"]["channel_order"] == "BGR"
    assert (tmp_path / "place" / "classes.txt").read_text() == "a\nb\nc\nd\n"

    error = failing("model", "import", network(), "--into", tmp_path / "place")
    assert error["code"] == "model"
    assert "there is a model in" in error["message"]
    assert camseek("model", "import", network(), "--into", tmp_path / "place", "--force")

    card = camseek("model", "import", network(), "--name", "research", "--means", "research")["card"]
    assert card["input"]["mean"] == [123.68, 116.779, 103.939]
    assert card["input"]["channel_order"] == "BGR"
    card = camseek("model", "import", network(), "--name", "caffe", "--means", "caffe")["card"]
    assert card["input"]["mean"] == [103.939, 116.779, 123.68]


@pytest.mark.parametrize(
    "options",
    [
        ("--std", "1,1,1"),
        ("--channel-order", "BGR"),
        ("--means", "caffe", "--std", "1,1,1"),
        ("--mean", "1,2"),
        ("--mean", "red"),
        ("--channel-order", "GRB"),
    ],
)
def test_wrong_usage(failing, network, options):
    assert failing("model", "import", network(), *options, code=2)["code"] == "usage"


def test_plain_backbone(camseek, failing, network):
    file = network(pooled=False)
    error = failing("model", "import", file)
    assert "Gemm ← Flatten ← GlobalMaxPool" in error["message"]
    assert "--features" in error["remedy"]
    made = camseek("model", "import", file, "--features", "r")
    assert made["card"]["classifier"] is None
    [listed] = camseek("model", "list")["models"][1:]
    assert (listed["classifier"], listed["classes"]) == (False, 0)
    assert camseek("model", "check", "tiny")["compared"] == ["head"]


def test_model_by_name_indexes_and_searches(camseek, network, photos, collection):
    camseek("model", "import", network(), "--mean", "120,120,120", "--std", "60,60,60")
    folder = photos(3)
    index = camseek("index", folder, "--collection", collection, "--model", "tiny")
    assert index["added"] == 3
    found = camseek("search", folder / "1.jpg", "--collection", collection, "--model", "tiny")
    assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-3)


def test_unknown_model(failing, photos, collection):
    assert "there is no model nobody" in failing("model", "show", "nobody")["message"]
    assert "there is no model nobody" in failing("model", "check", "nobody")["message"]
    error = failing("index", photos(1), "--collection", collection, "--model", "nobody")
    assert "there is no model nobody" in error["message"]


def test_model_that_gives_something_else(camseek, failing, text, network, models):
    camseek("model", "import", network())
    path = models / "tiny" / "card.json"
    card = json.loads(path.read_text())
    card["input"]["mean"][1] -= 20
    path.write_text(json.dumps(card))
    error = failing("model", "check", "tiny")
    assert "does not give what its card holds: head: differs by" in error["message"]
    card["proof"] = None
    path.write_text(json.dumps(card))
    assert "no proof" in text("model", "check", "tiny").err
    path.write_text("{")
    told = text("model", "list", "--json")
    assert "is not JSON" in told.json["models"][1]["error"]


def test_picture_that_cannot_be_read(camseek, failing, network, tmp_path):
    camseek("model", "import", network())
    (tmp_path / "letter.jpg").write_text("dear")
    assert failing("model", "check", "tiny", tmp_path / "letter.jpg")["code"] == "not_a_picture"
