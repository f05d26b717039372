import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from camseek.backbones import ModelCard, find_model, imported_models, load_model
from camseek.backbones.importing import import_model, import_torch, read_class_names
from camseek.backbones.library import EMBEDDED
from camseek.backbones.proof import compare, make_proof, pattern
from camseek.errors import ModelError


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """A models' folder of this test's own."""
    monkeypatch.setenv("CAMSEEK_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def network(tmp_path):
    """The file of a tiny classifier of 4 classes."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((5, 3, 3, 3)).astype(np.float32),
        "v": rng.standard_normal((4, 5)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = tmp_path / "My net (2).onnx"
    path.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )
    return path


def test_imported_by_name(network, models):
    assert imported_models() == {}
    made = import_model(network, classes=["a", "b", "c", "d"])
    assert made.card.name == "My-net-2"
    assert made.folder == models / "My-net-2"
    assert sorted(path.name for path in made.folder.iterdir()) == ["card.json", "classes.txt", "model.onnx"]
    assert imported_models() == {"My-net-2": made.folder}
    assert find_model("My-net-2") == made.folder
    backbone = load_model("My-net-2")
    assert backbone.card == made.card
    assert backbone.class_names == ("a", "b", "c", "d")
    assert find_model(made.folder) == made.folder
    assert find_model("efficientnet-lite0") == EMBEDDED


def test_a_folder_of_that_name_comes_first(network, tmp_path, monkeypatch):
    made = import_model(network, name="one")
    shutil.copytree(made.folder, tmp_path / "here" / "one")
    monkeypatch.chdir(tmp_path / "here")
    assert find_model("one").resolve() == tmp_path / "here" / "one"


def test_unknown_name(network):
    import_model(network, name="one")
    with pytest.raises(ModelError, match=r"there is no model two: .* imported are: one"):
        load_model("two")


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "x" * 101, "a b", "efficientnet-lite0"])
def test_names_that_cannot_be(network, name):
    with pytest.raises(ModelError, match=r"cannot be a model's name|is the embedded model"):
        import_model(network, name=name)


def test_a_model_that_is_there(network, tmp_path):
    made = import_model(network, name="one", classes=["a", "b", "c", "d"])
    with pytest.raises(ModelError, match="there is a model in") as caught:
        import_model(network, name="one")
    assert "--force" in caught.value.remedy
    assert load_model("one").class_names[0] == "a"
    import_model(network, name="one", classes=["e", "f", "g", "h"], force=True)
    assert load_model("one").class_names[0] == "e"
    assert [path.name for path in made.folder.parent.iterdir()] == ["one"]
    # Not even then something that is no model.
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(ModelError, match="there already, and no model"):
        import_model(network, into=tmp_path / "letters", force=True)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"
    # Nor what lies beside a model, or the network itself.
    (made.folder / "dear.txt").write_text("dear")
    with pytest.raises(ModelError, match="holds more than an imported model: dear"):
        import_model(network, name="one", force=True)
    (made.folder / "dear.txt").unlink()
    with pytest.raises(ModelError, match="lies in the folder to be replaced"):
        import_model(made.folder / "model.onnx", name="one", force=True)
    assert load_model("one").class_names[0] == "e"


@pytest.mark.parametrize("classes", [["a"], ["a"] * 5])
def test_wrong_number_of_classes_leaves_nothing(network, models, classes):
    with pytest.raises(ModelError, match=f"names {len(classes)} classes, and the network has 4"):
        import_model(network, name="one", classes=classes)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a\n\nb\n", "line 2"), (b"a\nb\x07\n", "line 2"), (b"\xff\n", "not UTF-8")],
)
def test_bad_class_names(tmp_path, content, message):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_class_names(tmp_path / "names.txt")
    with pytest.raises(ModelError, match="cannot read"):
        read_class_names(tmp_path / "absent.txt")


def test_class_names(tmp_path):
    (tmp_path / "names.txt").write_bytes("\ufeffété\r\n b \nb".encode())
    assert read_class_names(tmp_path / "names.txt") == ["été", "b", "b"]


@pytest.mark.needs_root
def test_no_space(network, small_disk, models):
    disk = small_disk(1)
    with open(disk / "filling", "wb") as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(65536))
            file.flush()
    with pytest.raises(ModelError, match=r"cannot write the model to .*No space"):
        import_model(network, into=disk / "model")
    assert [path.name for path in disk.iterdir()] == ["filling"]


def test_no_place(network, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ModelError, match="cannot write the model to"):
        import_model(network, into=tmp_path / "file" / "model")


def test_options_of_another_kind_of_file(network):
    with pytest.raises(ModelError, match=r"leave --arch out|architecture is that of"):
        import_model(network, architecture="resnet50")


def test_absent_file(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*no such file"):
        import_model(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match=r"cannot read .*a folder, not a file"):
        import_model(tmp_path)


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("onnx", "models", lambda path: import_model(path)),
        ("torch", "torch", lambda path: import_torch({}, name="one")),
    ],
)
def test_missing_extra(network, monkeypatch, package, extra, call):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=f"needs the package {package}") as caught:
        call(network)
    assert f"camseek[{extra}]" in caught.value.remedy


def test_a_model_is_used_without_the_extras(network):
    made = import_model(network)
    script = (
        "import sys\n"
        "for name in ('onnx', 'h5py', 'torch'): sys.modules[name] = None\n"
        "import camseek, camseek.cli.app, camseek.backbones.importing\n"
        f"camseek.load_model({str(made.folder)!r})\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_embedded_proof():
    backbone = load_model()
    assert backbone.card.proof is not None
    assert set(backbone.card.proof.outputs) == {"head", "expand16", "scores"}
    assert compare(backbone, backbone.card.proof) == {}


def test_proof_sees_a_change(network, tmp_path):
    made = import_model(network)
    backbone, proof = load_model(made.folder), made.card.proof
    assert proof == make_proof(backbone)
    assert compare(backbone, proof) == {}
    path = made.folder / "card.json"
    card = json.loads(path.read_text())
    card["input"]["mean"][0] += 5
    path.write_text(json.dumps(card))
    assert set(compare(load_model(made.folder), proof)) == {"head", "scores"}


def test_pattern():
    found = pattern(70, 90)
    assert (found.shape, found.dtype) == ((70, 90, 3), np.uint8)
    # By hand: 3 · 1 + 2 = 5 of a wave of 97, and 1 - 2 · 2 = -3, which is 79 of 82, of one of 41.
    assert found[2, 1, 0] == 5 * 127 // 97 + 3 * 127 // 41
    assert found.std(axis=(0, 1)).min() > 20


def test_card_without_optional_keys():
    data = json.loads((EMBEDDED / "card.json").read_text())
    assert ModelCard.read(EMBEDDED).proof is not None
    assert {"default_layer", "signed"}.isdisjoint(data)
    assert ModelCard.read(EMBEDDED).default_layer == "head"
