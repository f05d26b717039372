"""The paper's networks, written in PyTorch, with random weights: imported, they give the same."""

from typing import NamedTuple

import h5py
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from camseek.backbones import load_model
from camseek.backbones.importing import RESEARCH, import_model, import_torch
from camseek.encoding.cam import class_activation_maps
from camseek.errors import ModelError

MEAN, STD = np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255
CAFFE = np.array([103.939, 116.779, 123.68])
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
CLASSES = np.array([[3, 999, 500, 0]])


class Given(NamedTuple):
    """What PyTorch gives: the layers by name, and the scores."""

    layers: dict
    scores: torch.Tensor


class VggCam(nn.Module):
    """Simonyan and Zisserman 2015, configuration D, without its last pooling; Zhou et al. 2016's ending."""

    def __init__(self):
        super().__init__()
        sizes = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, 1024]
        parts, channels = [], 3
        for size in sizes:
            if size == "M":
                parts.append(nn.MaxPool2d(2, 2))
            else:
                parts += [nn.Conv2d(channels, size, 3, padding=1), nn.ReLU()]
                channels = size
        self.body = nn.Sequential(*parts)
        self.dense = nn.Linear(1024, 1000)

    def convolutions(self):
        return [part for part in self.body if isinstance(part, nn.Conv2d)]

    def forward(self, x):
        convolutions = 0
        for part in self.body:
            x = part(x)
            convolutions += isinstance(part, nn.Conv2d)
            if convolutions == 11 and isinstance(part, nn.ReLU):
                conv5_1 = x
        return Given({"conv5_1": conv5_1, "head": x}, self.dense(x.mean((2, 3))))


class Residual(nn.Module):
    """A block of He et al. 2016: two convolutions of 3 x 3, or 1 x 1, 3 x 3, 1 x 1."""

    def __init__(self, channels, width, out, stride, groups, bottleneck):
        super().__init__()
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
            self.conv3 = nn.Conv2d(width, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, out, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.bn2 = nn.BatchNorm2d(width if bottleneck else out)
        self.downsample = None
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            inner = self.bn3(self.conv3(functional.relu(inner)))
        return functional.relu(inner + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """He et al. 2016, with torchvision's names."""

    def __init__(self, depths, *, bottleneck=True, base=64, width=None, groups=1, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        channels = base
        for stage, depth in enumerate(depths):
            inner, out = (width or base) * 2**stage, base * 2**stage * (4 if bottleneck else 1)
            blocks = []
            for place in range(depth):
                stride = 2 if stage and not place else 1
                blocks.append(Residual(channels, inner, out, stride, groups, bottleneck))
                channels = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        layer3 = self.layer3(self.layer2(self.layer1(x)))
        head = self.layer4(layer3)
        return Given({"layer3": layer3, "head": head}, self.fc(head.mean((2, 3))))


class DenseLayer(nn.Module):
    """Huang et al. 2017: BN-ReLU-Conv(1x1)-BN-ReLU-Conv(3x3)."""

    def __init__(self, channels, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        inner = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(inner)))], 1)


class DenseNet(nn.Module):
    """Huang et al. 2017, with torchvision's names."""

    def __init__(self, depths, growth, first, classes=1000):
        super().__init__()
        self.features = nn.Module()
        add = self.features.add_module
        add("conv0", nn.Conv2d(3, first, 7, 2, 3, bias=False))
        add("norm0", nn.BatchNorm2d(first))
        channels = first
        for block, depth in enumerate(depths, 1):
            dense = nn.Sequential()
            for place in range(1, depth + 1):
                dense.add_module(f"denselayer{place}", DenseLayer(channels, growth))
                channels += growth
            add(f"denseblock{block}", dense)
            if block < len(depths):
                transition = nn.Sequential()
                transition.add_module("norm", nn.BatchNorm2d(channels))
                channels //= 2
                transition.add_module("conv", nn.Conv2d(2 * channels, channels, 1, bias=False))
                add(f"transition{block}", transition)
        add("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, classes)
        self.blocks = len(depths)

    def forward(self, x):
        part = self.features
        x = functional.max_pool2d(functional.relu(part.norm0(part.conv0(x))), 3, 2, 1)
        for block in range(1, self.blocks):
            x = getattr(part, f"denseblock{block}")(x)
            transition = getattr(part, f"transition{block}")
            before = functional.relu(transition.norm(x))
            x = functional.avg_pool2d(transition.conv(before), 2, 2)
        head = functional.relu(part.norm5(getattr(part, f"denseblock{self.blocks}")(x)))
        layers = {f"transition{self.blocks - 1}": before, "head": head}
        return Given(layers, self.classifier(head.mean((2, 3))))


def randomised(module, seed=0):
    """Random weights of a size that keeps the maps' about the same from layer to layer."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)
                if part.bias is not None:
                    part.bias.uniform_(-0.1, 0.1)
            elif isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
                part.running_mean.uniform_(-0.5, 0.5)
                part.running_var.uniform_(0.5, 2)
            elif isinstance(part, nn.Linear):
                part.bias.uniform_(-1, 1)
    return module.eval()


def torch_input(mean, std, order=slice(None)):
    x = (PIXELS[..., order].astype(np.float64) - mean) / std
    return torch.from_numpy(x.transpose(2, 0, 1)[None].astype(np.float32))


def assert_close(ours, theirs):
    assert ours.shape == theirs.shape
    assert np.isfinite(ours).all()
    assert np.abs(theirs).max() > 0
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def assert_same(folder, module, x, weights):
    """Maps, scores and class activation maps are PyTorch's, of every layer."""
    with torch.no_grad():
        given = module(x)
    assert list(load_model(folder, threads=2).card.layers) == list(given.layers)
    for layer, maps in given.layers.items():
        backbone = load_model(folder, threads=2, layer=layer)
        found = backbone.run(PIXELS)
        assert_close(found.features, maps.numpy())
        assert_close(found.classifier_maps, given.layers["head"].numpy())
        assert_close(found.scores, given.scores.numpy())
        np.testing.assert_array_equal(backbone.classifier_weights, weights.detach().numpy())
        classes = CLASSES % len(weights)
        ours = class_activation_maps(
            found.classifier_maps,
            backbone.classifier_weights,
            classes,
            found.classifier_mask,
            size=maps.shape[2:],
        )
        raw = torch.einsum("ck,bkhw->bchw", weights[torch.from_numpy(classes[0])], given.layers["head"])
        theirs = functional.relu(raw)
        theirs = theirs / theirs.amax((2, 3), keepdim=True).clamp_min(1e-30)
        theirs = functional.interpolate(theirs, maps.shape[2:], mode="bilinear", align_corners=False)
        assert_close(ours, theirs.detach().numpy())


@pytest.fixture(scope="module")
def vgg():
    return randomised(VggCam())


def keras_file(path, module, *, theano=False, keras2=False, change=None):
    """The weights as Keras 1 saved them, or within a whole model's file, as Keras 2 does."""
    layers = []
    for number, conv in enumerate(module.convolutions(), 1):
        kernel = conv.weight.detach().numpy()
        # Theano's convolution turns the kernel itself, so what it holds is turned against PyTorch's.
        kernel = kernel[:, :, ::-1, ::-1] if theano else kernel.transpose(2, 3, 1, 0)
        layers += [
            (f"convolution2d_{number}", [kernel, conv.bias.detach().numpy()]),
            (f"activation_{number}", []),
        ]
    dense = module.dense
    layers.append(("dense_1", [dense.weight.detach().numpy().T, dense.bias.detach().numpy()]))
    layers = layers if change is None else change(layers)
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if keras2 else file
        root.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, arrays in layers:
            group = root.create_group(name)
            names = [f"{name}_{part}" if not keras2 else f"{name}/{part}:0" for part in "Wb"[: len(arrays)]]
            group.attrs["weight_names"] = [text.encode() for text in names]
            for text, array in zip(names, arrays, strict=True):
                group[text] = array
    return path


@pytest.mark.parametrize(("theano", "keras2"), [(True, False), (False, True)])
def test_vgg_16_cam(tmp_path, vgg, theano, keras2):
    file = keras_file(tmp_path / "weights.h5", vgg, theano=theano, keras2=keras2)
    made = import_model(file, into=tmp_path / "vgg")
    assert any("Theano's" in note for note in made.notes) == theano
    x = torch_input(CAFFE, 1, slice(None, None, -1))
    assert_same(made.folder, vgg, x, vgg.dense.weight)
    backbone = load_model(made.folder)
    assert (backbone.layer, backbone.channels, backbone.stride) == ("conv5_1", 512, 16)
    assert backbone.card.layers["head"].channels == 1024
    assert backbone.card.layers["head"].stride == 16
    assert len(backbone.class_names) == 1000
    assert backbone.class_names[0] == "tench"


def test_vgg_16_cam_with_the_research_code_s_means(tmp_path, vgg):
    file = keras_file(tmp_path / "weights.h5", vgg)
    made = import_model(file, into=tmp_path / "vgg", normalisation=RESEARCH)
    prepared = load_model(made.folder).prepare(PIXELS)
    # METHOD.md: RGB-ordered means subtracted from BGR.
    expected = PIXELS[..., ::-1].astype(np.float32) - np.float32([123.68, 116.779, 103.939])
    np.testing.assert_allclose(prepared[0], expected.transpose(2, 0, 1), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[2:], "holds 14 layers"),
        (lambda layers: layers[:-1], "holds 14 layers"),
        (lambda layers: [layers[0], *layers[3:1:-1], *layers[1:2], *layers[4:]], None),
        (lambda layers: [(layers[0][0], layers[0][1][:1]), *layers[1:]], "holds 1 arrays"),
        (lambda layers: [*layers[:-1], ("dense_1", [np.zeros((512, 1000)), np.zeros(1000)])], "dense layer"),
        (lambda layers: [*layers[:2], *layers[4:1:-1], *layers[5:]], "convolution 2 has the shape"),
    ],
)
def test_other_keras_weights(tmp_path, vgg, change, message):
    file = keras_file(tmp_path / "weights.h5", vgg, change=change)
    if message is None:  # layers without weights may lie anywhere
        assert import_model(file, into=tmp_path / "vgg").folder.is_dir()
        return
    with pytest.raises(ModelError, match=message):
        import_model(file, into=tmp_path / "vgg")
    assert not (tmp_path / "vgg").exists()


def test_hdf5_that_is_no_keras_file(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["numbers"] = np.zeros(3)
    with pytest.raises(ModelError, match="no attribute layer_names"):
        import_model(tmp_path / "other.h5", into=tmp_path / "model")
    content = (tmp_path / "other.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be read as Keras weights"):
        import_model(tmp_path / "cut.h5", into=tmp_path / "model")


def test_resnet_50(tmp_path):
    module = randomised(ResNet((3, 4, 6, 3)))
    torch.save(module.state_dict(), tmp_path / "resnet50.pth")
    made = import_model(tmp_path / "resnet50.pth", into=tmp_path / "model", architecture="resnet50")
    assert made.card.layers["head"].channels == 2048
    assert_same(made.folder, module, torch_input(MEAN, STD), module.fc.weight)


def test_densenet_161(tmp_path):
    module = randomised(DenseNet((6, 12, 36, 24), 48, 96))
    torch.save(module.state_dict(), tmp_path / "densenet161.pth")
    made = import_model(tmp_path / "densenet161.pth", into=tmp_path / "model", architecture="densenet161")
    assert made.card.layers["head"].channels == 2208
    assert_same(made.folder, module, torch_input(MEAN, STD), module.classifier.weight)


SMALL = {
    "basic blocks": {"depths": (2, 2, 1, 1), "bottleneck": False, "base": 8},
    "bottlenecks": {"depths": (1, 2, 1, 1), "base": 8},
    "groups": {"depths": (1, 1, 1, 1), "base": 8, "width": 16, "groups": 4},
    "wide": {"depths": (1, 1, 1, 1), "base": 8, "width": 24},
}


@pytest.mark.parametrize("kind", SMALL)
def test_kin_of_resnet(tmp_path, kind):
    module = randomised(ResNet(**SMALL[kind], classes=10))
    made = import_torch(module.state_dict(), name="kin", into=tmp_path / "model")
    assert_same(made.folder, module, torch_input(MEAN, STD), module.fc.weight)


def test_densenet_of_older_names_within_a_checkpoint(tmp_path):
    module = randomised(DenseNet((2, 1, 3), 4, 8, classes=7))
    old = {}
    for name, tensor in module.state_dict().items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            name = name.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")
        old[f"module.{name}"] = tensor
    assert "module.features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save({"epoch": 3, "state_dict": old}, tmp_path / "checkpoint.pth.tar")
    made = import_model(tmp_path / "checkpoint.pth.tar", into=tmp_path / "model")
    assert_same(made.folder, module, torch_input(MEAN, STD), module.classifier.weight)
    assert made.card.name == "checkpoint.pth"
    assert load_model(made.folder).class_names == tuple(f"class {number}" for number in range(7))


class Scores(nn.Module):
    """A classifier that gives its scores alone, as most do."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).scores


def test_live_module(tmp_path):
    module = randomised(ResNet((1, 1, 1, 1), base=8, classes=10))
    module.train()
    made = import_torch(Scores(module), name="live", into=tmp_path / "model")
    assert module.training
    assert module.bn1.training
    module.eval()
    with torch.inference_mode():
        given = module(torch_input(MEAN, STD))
    found = load_model(made.folder).run(PIXELS)
    assert_close(found.features, given.layers["head"].numpy())
    assert_close(found.scores, given.scores.numpy())
    assert made.card.input.size is None


class Transformer(nn.Module):
    """Dosovitskiy et al. 2021, tiny: a class token and four registers before patches of 16 pixels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 16, 16)
        self.first = nn.Parameter(torch.randn(1, 5, 32))
        self.positions = nn.Parameter(torch.randn(1, 5 + 14 * 14, 32))
        block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu", norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def tokens(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.positions
        return self.norm(self.blocks(x))

    def forward(self, x):
        return self.head(self.tokens(x)[:, 0])


def test_patch_tokens_of_a_live_transformer(tmp_path):
    torch.manual_seed(0)
    module = Transformer().eval()
    with pytest.raises(ModelError, match="Gemm ← Gather ← LayerNormalization"):
        import_torch(module, name="vit", into=tmp_path / "model")
    layer = "/norm/LayerNormalization_output_0"
    made = import_torch(module, name="vit", into=tmp_path / "model", features=[layer])
    assert made.card.input.size == (224, 224)
    backbone = load_model(made.folder, threads=2)
    pixels = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    x = (pixels - MEAN) / STD
    with torch.inference_mode():
        tokens = module.tokens(torch.from_numpy(x.transpose(2, 0, 1)[None].astype(np.float32)))
    maps = tokens[0, 5:].reshape(14, 14, 32).permute(2, 0, 1)
    assert_close(backbone.run(pixels).features[0], functional.relu(maps).numpy())
    assert not backbone.has_classifier


def test_what_is_neither(tmp_path):
    with pytest.raises(TypeError, match="neither a module nor a state dict: int"):
        import_torch(3, name="three", into=tmp_path / "model")
    with pytest.raises(ModelError, match="no tensors by name"):
        import_torch({"epoch": 3}, name="three", into=tmp_path / "model")


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("not today")


def test_module_that_cannot_be_exported(tmp_path):
    with pytest.raises(ModelError, match="cannot export the module"):
        import_torch(Broken(), name="broken", into=tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("fc.weight"), r"has no fc\.weight"),
        (lambda weights: weights.pop("bn1.running_var"), r"has no bn1\.running_var"),
        (lambda weights: weights.update({"fc.weight": torch.zeros(10, 3)}), "do not fit together"),
        (
            lambda weights: weights.update({"extra.weight": torch.zeros(3)}),
            r"1 tensors .* such as extra\.weight",
        ),
        (lambda weights: weights.update({"bn1.weight": torch.zeros(3)}), "do not fit together"),
        (lambda weights: weights.pop("layer2.0.downsample.0.weight"), "do not fit together"),
        (lambda weights: weights.update({"conv1.weight": torch.zeros(8)}), "not 4 dimensions"),
        (lambda weights: weights.pop("layer1.0.conv1.weight"), "no ResNet and no DenseNet"),
    ],
)
def test_bad_state_dict(tmp_path, change, message):
    weights = ResNet((1, 1, 1, 1), base=8, classes=10).state_dict()
    change(weights)
    with pytest.raises(ModelError, match=message):
        import_torch(weights, name="bad", into=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_another_architecture(tmp_path):
    weights = ResNet((1, 1, 1, 1), base=8, classes=10).state_dict()
    with pytest.raises(
        ModelError, match="not resnet50: its blocks have 1-1-1-1 layers of three convolutions"
    ):
        import_torch(weights, name="bad", into=tmp_path / "model", architecture="resnet50")
    with pytest.raises(ModelError, match="architecture vgg is not known"):
        import_torch(weights, name="bad", into=tmp_path / "model", architecture="vgg")


def test_pickled_module_is_not_run(tmp_path):
    torch.save(ResNet((1, 1, 1, 1), base=8, classes=10), tmp_path / "whole.pt")
    with pytest.raises(ModelError, match="without running its code") as caught:
        import_model(tmp_path / "whole.pt", into=tmp_path / "model")
    assert "state_dict" in caught.value.remedy


def test_damaged_state_dict(tmp_path):
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "cut.pth")
    content = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"cut\.pth is no PyTorch state dict"):
        import_model(tmp_path / "cut.pth", into=tmp_path / "model")
