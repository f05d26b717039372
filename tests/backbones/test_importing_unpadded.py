"""Networks built as SqueezeNet, GoogLeNet and Inception are: maps after a ReLU, odd padding."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from camseek.backbones import load_model
from camseek.backbones.importing import Normalisation, import_model, import_torch
from camseek.errors import UnsupportedModelError

PLAIN = Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
PIXELS = np.random.default_rng(3).integers(0, 256, (96, 128, 3), dtype=np.uint8)
CLASSES = 7


def halved():
    return nn.MaxPool2d(3, 2, ceil_mode=True)


class Fire(nn.Module):
    def __init__(self, taken, squeezed, given):
        super().__init__()
        self.squeeze = nn.Conv2d(taken, squeezed, 1)
        self.one, self.three = nn.Conv2d(squeezed, given, 1), nn.Conv2d(squeezed, given, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


class SqueezeNet(nn.Module):
    """As SqueezeNet 1.1: a first convolution without padding, ReLU and pooling after the last."""

    def __init__(self, padding=0):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, 2, padding), nn.ReLU(), halved(), Fire(8, 4, 6)),
            *(halved(), Fire(12, 4, 8), halved(), Fire(16, 4, 8)),
        )
        self.last = nn.Conv2d(16, CLASSES, 1)

    def forward(self, x):
        maps = torch.relu(self.last(torch.dropout(self.features(x), 0.5, self.training)))
        return torch.flatten(nn.functional.adaptive_avg_pool2d(maps, 1), 1)


class Branches(nn.Module):
    """An inception block, whose third branch pools with padding."""

    def __init__(self, taken):
        super().__init__()
        self.one, self.two = nn.Conv2d(taken, 4, 1), nn.Conv2d(taken, 6, 3, padding=1)
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.Conv2d(taken, 6, 1))

    def forward(self, x):
        return torch.relu(torch.cat([self.one(x), self.two(x), self.pooled(x)], 1))


class GoogLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(), halved(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
            *(halved(), Branches(8), halved(), Branches(16)),
        )
        self.last = nn.Linear(16, CLASSES)

    def forward(self, x):
        # Its own normalisation, channel by channel, as in torchvision's.
        x = torch.cat([x[:, 0:1] * 0.9 + 0.1, x[:, 1:2] * 0.8, x[:, 2:3] * 1.1], 1)
        pooled = torch.flatten(nn.functional.adaptive_avg_pool2d(self.features(x), 1), 1)
        return self.last(torch.dropout(pooled, 0.2, self.training))


class Inception(nn.Module):
    """As Inception v3: most convolutions and poolings without padding."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1)),
            *(nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(3, 2), Branches(8)),
        )
        self.last = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.last(self.features(x).mean((2, 3)))


def taken(pixels, rim=(0, 0)):
    x = torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1)[None])
    return nn.functional.pad(x, (rim[0], rim[1], rim[0], rim[1]))


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(5)


def imported(tmp_path, module):
    made = import_torch(module.eval(), name="net", into=tmp_path / "net", normalisation=PLAIN)
    return load_model(made.folder, threads=1), made


@pytest.mark.parametrize(("padding", "rim"), [(0, (0, 1)), (1, (0, 0))])
def test_squeezenet(tmp_path, padding, rim):
    module = SqueezeNet(padding)
    model, made = imported(tmp_path, module)
    assert {name: (item.channels, item.stride) for name, item in model.card.layers.items()} == {
        "head": (CLASSES, 16),
        "features": (16, 16),
    }
    assert model.card.default_layer == "features"
    np.testing.assert_array_equal(model.classifier_weights, np.eye(CLASSES))
    found = model.run(PIXELS)
    with torch.inference_mode():
        features = module.features(taken(PIXELS, rim))
        maps = torch.relu(module.last(features))
    np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found.classifier_maps, maps, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found.scores, maps.mean((2, 3)), rtol=1e-4, atol=1e-2)
    assert found.features.shape[2:] == (6, 8)
    assert any("maps of their own, after a ReLU" in note for note in made.notes)
    assert any("not padded" in note for note in made.notes) == (padding == 0)


def test_googlenet(tmp_path):
    module = GoogLeNet()
    model, _ = imported(tmp_path, module)
    assert [(item.channels, item.stride) for item in model.card.layers.values()] == [(16, 16)]
    with torch.inference_mode():
        np.testing.assert_allclose(model.run(PIXELS).scores, module(taken(PIXELS)), rtol=1e-4, atol=1e-2)


def test_inception(tmp_path):
    module = Inception()
    model, made = imported(tmp_path, module)
    found = model.run(PIXELS)
    assert found.features.shape == (1, 16, 12, 16)
    [rim] = [int(note.split("a rim of ")[1].split()[0]) for note in made.notes if "a rim of" in note]
    with torch.inference_mode():
        features = module.features(taken(PIXELS, (rim // 2, rim - rim // 2)))
    np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-2)


def padded(tmp_path, kernel, pads, *, counted, strides=(1, 1)):
    """A network of 28 x 28 maps, pooled by windows with padding."""
    random = np.random.default_rng(4)

    def weights(name, *shape):
        return numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["picture", "kernel"], ["conv"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Relu", ["conv"], ["maps"]),
        helper.make_node(
            "AveragePool",
            ["maps"],
            ["p"],
            kernel_shape=kernel,
            pads=pads,
            strides=strides,
            count_include_pad=int(counted),
        ),
        helper.make_node("Flatten", ["p"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("picture", 1, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("scores", 1, [1, CLASSES])],
        [weights("kernel", 6, 3, 8, 8), weights("weights", CLASSES, 6), weights("bias", CLASSES)],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(("kernel", "pads"), [([30, 30], [1, 1, 1, 1]), ([29, 28], [0, 0, 1, 0])])
def test_pooling_with_padding(tmp_path, kernel, pads, counted):
    path = padded(tmp_path, kernel, pads, counted=counted)
    made = import_model(path, into=tmp_path / "model", normalisation=PLAIN, limited=False)
    pixels = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"picture": pixels.astype(np.float32).transpose(2, 0, 1)[None]})
    found = load_model(made.folder, threads=1).run(pixels).scores
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2 * np.abs(expected).max())


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [2, 2, 0, 0]])
def test_a_pooling_that_does_not_cover_the_maps_says_so(tmp_path, pads):
    path = padded(tmp_path, [20, 20], pads, counted=False, strides=(20, 20))
    with pytest.raises(UnsupportedModelError, match="a pooling that does not cover the maps") as caught:
        import_model(path, into=tmp_path / "model", normalisation=PLAIN, limited=False)
    assert "--features" in caught.value.remedy


def test_a_convolution_with_relu_that_is_no_classifier(tmp_path):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Conv2d(3, 6, 3, 2, 1)

        def forward(self, x):
            return torch.relu(self.last(x)).mean((2, 3))

    with pytest.raises(UnsupportedModelError, match="no linear layer after the pooling"):
        imported(tmp_path, Plain())
