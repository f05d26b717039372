"""Each ending of a classifier, as a tiny graph: imported, it gives what ONNX Runtime gives without us."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from camseek.backbones import load_model
from camseek.backbones.importing import Normalisation, import_model
from camseek.errors import ModelError, SettingsError

K, CLASSES, SIDE = 6, 5, 32
PLAIN = Normalisation(mean=(0, 0, 0), std=(1, 1, 1))
PIXELS = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


class Net:
    """A graph being written: two convolutions of stride 2 with ReLU (stride 4), and whatever a test adds."""

    def __init__(
        self, *, side=SIDE, opset=17, dtype=np.float32, last=False, activation="Relu", input_type=None
    ):
        self.rng = np.random.default_rng(0)
        self.nodes, self.constants, self.dtype, self.opset, self.last = [], [], dtype, opset, last
        self.side, self.input_type, self.domains = side, input_type, []
        tensor = "picture"
        if last:
            tensor = self.node("Transpose", [tensor], perm=[0, 3, 1, 2])
        for place, (into, out) in enumerate([(3, 4), (4, K)]):
            weights = self.random(out, into, 3, 3) / 3
            tensor = self.node(
                "Conv",
                [tensor, weights],
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
                name=f"conv{place}",
            )
            tensor = self.activated(tensor, activation)
        self.maps = tensor

    def activated(self, tensor, activation):
        if activation == "SiLU":
            return self.node("Mul", [tensor, self.node("Sigmoid", [tensor])])
        return self.node(activation, [tensor])

    def random(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def constant(self, value, *, node=False):
        name = f"c{len(self.constants)}_{len(self.nodes)}"
        tensor = numpy_helper.from_array(np.asarray(value), name)
        if node:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.constants.append(tensor)
        return name

    def node(self, operation, inputs, *, name=None, outputs=1, domain="", **attributes):
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        made = [f"t{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(
            helper.make_node(
                operation, names, made, name=name or f"n{len(self.nodes)}", domain=domain, **attributes
            )
        )
        if domain and domain not in self.domains:
            self.domains.append(domain)
        return made[0] if outputs == 1 else made

    def model(self, *outputs):
        kind = self.input_type or helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        sides = [self.side, self.side] if self.side else ["h", "w"]
        shape = [1, *sides, 3] if self.last else [1, 3, *sides]
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("picture", kind, shape)],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            self.constants,
        )
        domains = [
            helper.make_opsetid("", self.opset),
            *(helper.make_opsetid(name, 1) for name in self.domains),
        ]
        return helper.make_model(graph, opset_imports=domains, ir_version=8)

    def weights(self):
        return self.random(CLASSES, K), self.random(CLASSES)

    def pooled(self):
        return self.node("Flatten", [self.node("GlobalAveragePool", [self.maps])])


def saved(tmp_path, model):
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def original(model, pixels, *names, last=False, dtype=np.float32):
    """What ONNX Runtime gives for the graph as it was."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    have = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in have)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    x = pixels.astype(dtype)[None]
    return session.run(list(names), {"picture": x if last else x.transpose(0, 3, 1, 2)})


def imported(tmp_path, model, **options):
    made = import_model(
        saved(tmp_path, model), into=tmp_path / "model", normalisation=PLAIN, limited=False, **options
    )
    return load_model(made.folder, threads=1), made


def assert_close(ours, theirs, tolerance=1e-4):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64).reshape(ours.shape)
    assert np.abs(theirs).max() > 0
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


def gemm(net):
    weights, bias = net.weights()
    return net.node("Gemm", [net.pooled(), weights.T.copy(), bias], alpha=0.5, beta=2.0)


def gemm_turned(net):
    weights, bias = net.weights()
    return net.node("Gemm", [net.pooled(), weights, bias], transB=1)


def gemm_of_the_column(net):
    """The pooled vector as a column: its product is turned (transA)."""
    weights, bias = net.weights()
    column = net.node("Reshape", [net.pooled(), np.array([K, 1])])
    return net.node("Gemm", [column, weights.T.copy(), bias], transA=1)


def gemm_with_the_weights_first(net):
    weights, bias = net.weights()
    scores = net.node("Gemm", [weights, net.pooled(), bias[:, None]], transB=1)
    return net.node("Reshape", [scores, np.array([1, CLASSES])])


def gemm_without_bias(net):
    return net.node("Gemm", [net.pooled(), net.weights()[0]], transB=1)


def matmul_add(net):
    weights, bias = net.weights()
    product = net.node("MatMul", [net.pooled(), net.constant(weights.T.copy(), node=True)])
    return net.node("Add", [bias, net.node("Identity", [product])])


def matmul(net):
    return net.node("MatMul", [net.pooled(), net.weights()[0].T.copy()])


def weights_of_a_computation(net):
    weights, bias = net.weights()
    turned = net.node("Transpose", [net.node("Identity", [net.constant(weights)])], perm=[1, 0])
    return net.node("Gemm", [net.node("Dropout", [net.pooled()]), turned, bias])


def conv_after_pooling(net):
    weights, bias = net.weights()
    pooled = net.node("GlobalAveragePool", [net.maps])
    return net.node("Flatten", [net.node("Conv", [pooled, weights[..., None, None], bias])])


def conv_before_pooling(net):
    weights, bias = net.weights()
    maps = net.node("Conv", [net.maps, weights[..., None, None], bias])
    return net.node("Flatten", [net.node("GlobalAveragePool", [net.node("Dropout", [maps])])])


def reduce_mean(net):
    pooled = net.node("ReduceMean", [net.maps], axes=[2, 3], keepdims=0)
    return net.node("Gemm", [pooled, *net.weights()], transB=1)


def reduce_mean_keeping(net):
    pooled = net.node("ReduceMean", [net.maps], axes=[-1, -2], keepdims=1)
    return net.node("Gemm", [net.node("Squeeze", [pooled, np.array([2, 3])]), *net.weights()], transB=1)


def one_mean_after_the_other(net):
    pooled = net.node("ReduceMean", [net.maps], axes=[3], keepdims=0)
    pooled = net.node("ReduceMean", [pooled], axes=[2], keepdims=0)
    return net.node("Gemm", [pooled, *net.weights()], transB=1)


def mean_of_a_row(net):
    row = net.node("Reshape", [net.maps, np.array([1, K, -1])])
    return net.node("Gemm", [net.node("ReduceMean", [row], axes=[2], keepdims=0), *net.weights()], transB=1)


def channels_last_pooling(net):
    turned = net.node("Transpose", [net.maps], perm=[0, 2, 3, 1])
    pooled = net.node("ReduceMean", [turned], axes=[1, 2], keepdims=0)
    return net.node("Gemm", [pooled, *net.weights()], transB=1)


def fixed_kernel(net):
    pooled = net.node("AveragePool", [net.maps], kernel_shape=[SIDE // 4, SIDE // 4])
    row = net.node("Reshape", [pooled, np.array([1, K])])
    return net.node("Gemm", [row, *net.weights()], transB=1)


def norm_between(net):
    parts = [abs(net.random(K)) + 0.5, net.random(K), net.random(K), abs(net.random(K)) + 0.5]
    pooled = net.node("BatchNormalization", [net.node("GlobalAveragePool", [net.maps]), *parts])
    return net.node("Gemm", [net.node("Flatten", [pooled]), *net.weights()], transB=1)


def temperature(net):
    return net.node("Div", [gemm_turned(net), np.float32(0.25)])


def arithmetic(net):
    shifted = net.node("Sub", [net.pooled(), net.random(K)])
    scores = net.node("MatMul", [shifted, net.weights()[0].T.copy()])
    return net.node("Sub", [net.random(CLASSES), net.node("Mul", [scores, net.random(CLASSES)])])


def tokens(net):
    rows = net.node("Reshape", [net.maps, np.array([1, K, -1])])
    rows = net.node("Transpose", [rows], perm=[0, 2, 1])
    return net.node("Gemm", [net.node("ReduceMean", [rows], axes=[1], keepdims=0), *net.weights()], transB=1)


ENDINGS = [
    gemm, gemm_turned, gemm_of_the_column, gemm_with_the_weights_first, gemm_without_bias, matmul_add, matmul,
    weights_of_a_computation, conv_after_pooling, conv_before_pooling, reduce_mean, reduce_mean_keeping,
    one_mean_after_the_other, mean_of_a_row, channels_last_pooling, fixed_kernel, norm_between, temperature,
    arithmetic, tokens,
]  # fmt: skip


@pytest.mark.parametrize("end", [None, "Softmax", "LogSoftmax"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_ending(tmp_path, ending, end):
    net = Net()
    scores = ending(net)
    model = net.model(scores if end is None else net.node(end, [scores]))
    backbone, made = imported(tmp_path, model)
    found = backbone.run(PIXELS)
    maps, expected = original(model, PIXELS, net.maps, scores)
    assert_close(found.features, maps)
    assert_close(found.scores, expected)
    np.testing.assert_array_equal(found.classifier_maps, found.features)
    # A fixed input of 32 is freed: the maps of a larger picture hold those of its parts.
    assert backbone.card.input.size is None
    assert any("was freed" in note for note in made.notes)
    larger = np.tile(PIXELS, (2, 3, 1))
    assert backbone.run(larger).features.shape == (1, K, SIDE // 2, SIDE * 3 // 4)
    assert_close(backbone.run(larger).features[:, :, :7, :7], found.features[:, :, :7, :7])
    assert not backbone.card.layers["head"].signed


def test_axes_as_an_input(tmp_path):
    net = Net(opset=18)
    pooled = net.node("ReduceMean", [net.maps, np.array([2, 3])], keepdims=0)
    scores = net.node("Gemm", [pooled, *net.weights()], transB=1)
    model = net.model(scores)
    backbone, _ = imported(tmp_path, model)
    assert_close(backbone.run(PIXELS).scores, *original(model, PIXELS, scores))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_input(tmp_path, last, dtype):
    net = Net(last=last, dtype=dtype)
    scores = gemm_turned(net)
    model = net.model(net.node("Softmax", [scores]))
    backbone, _ = imported(tmp_path, model)
    found = backbone.run(PIXELS // 32)
    maps, expected = original(model, PIXELS // 32, net.maps, scores, last=last, dtype=dtype)
    tolerance = 5e-3 if dtype == np.float16 else 1e-4
    assert_close(found.features, maps, tolerance)
    assert_close(found.scores, expected, tolerance)
    assert found.features.dtype == found.scores.dtype == np.float32


def test_normalisation_reaches_the_card(tmp_path):
    net = Net()
    path = saved(tmp_path, net.model(gemm(net)))
    said = Normalisation(mean=(1, 2, 3), std=(4, 5, 6), channel_order="BGR")
    card = load_model(import_model(path, into=tmp_path / "said", normalisation=said).folder).card
    assert (card.input.mean, card.input.std, card.input.channel_order) == ((1, 2, 3), (4, 5, 6), "BGR")
    made = import_model(path, into=tmp_path / "usual")
    assert made.card.input.mean == pytest.approx((123.675, 116.28, 103.53))
    assert made.card.input.std == pytest.approx((58.395, 57.12, 57.375))
    assert any("torchvision's" in note for note in made.notes)


def test_negative_maps(tmp_path):
    net = Net(activation="SiLU")
    scores = gemm_turned(net)
    model = net.model(scores)
    backbone, _ = imported(tmp_path, model)
    pixels = PIXELS // 64
    found = backbone.run(pixels)
    maps, expected = original(model, pixels, net.maps, scores)
    assert maps.min() < 0
    assert backbone.card.layers["head"].signed
    assert_close(found.classifier_maps, maps)
    assert_close(found.features, np.maximum(maps, 0))
    assert_close(found.scores, expected)


def test_earlier_layers_by_name(tmp_path):
    net = Net()
    scores = gemm(net)
    first = net.nodes[1].output[0]
    model = net.model(scores)
    _, made = imported(tmp_path, model, features=[first, "conv0"])
    assert {name: (item.channels, item.stride, item.signed) for name, item in made.card.layers.items()} == {
        "head": (K, 4, False),
        first: (4, 2, False),
        "conv0": (4, 2, True),
    }
    found = load_model(made.folder, layer=first).run(PIXELS)
    assert_close(found.features, *original(model, PIXELS, first))
    found = load_model(made.folder, layer="conv0").run(PIXELS)
    assert_close(found.features, np.maximum(original(model, PIXELS, net.nodes[0].output[0])[0], 0))
    assert_close(found.scores, *original(model, PIXELS, scores))


def test_unknown_layer_is_told_with_those_like_it(tmp_path):
    net = Net()
    with pytest.raises(ModelError, match="no tensor and no node named 'conv9'") as caught:
        imported(tmp_path, net.model(gemm(net)), features=["conv9"])
    assert "conv0" in caught.value.remedy


# Networks whose body takes one size alone.


def squeezed(net):
    """A gate with a fixed kernel (squeeze and excitation as some exporters write it)."""
    gate = net.node("AveragePool", [net.maps], kernel_shape=[SIDE // 4, SIDE // 4])
    net.maps = net.node("Mul", [net.maps, net.node("Sigmoid", [gate])])


def shuffled(net):
    """Channels shuffled through fixed shapes."""
    cells = SIDE // 4
    parts = net.node("Reshape", [net.maps, np.array([-1, 2, K // 2, cells, cells])])
    turned = net.node("Transpose", [parts], perm=[0, 2, 1, 3, 4])
    net.maps = net.node("Reshape", [turned, np.array([-1, K, cells, cells])])


@pytest.mark.parametrize("body", [squeezed, shuffled])
def test_body_of_one_size(tmp_path, body):
    net = Net()
    body(net)
    scores = gemm_turned(net)
    model = net.model(scores)
    backbone, made = imported(tmp_path, model)
    assert backbone.card.input.size == (SIDE, SIDE)
    assert any("pixels alone" in note for note in made.notes)
    assert_close(backbone.run(PIXELS).scores, *original(model, PIXELS, scores))
    # Twice as wide as high: scaled to the width, the lower half is padding.
    found = backbone.run(np.tile(PIXELS, (2, 4, 1)))
    assert found.features.shape == (1, K, 8, 8)
    assert found.mask[0, :4].all()
    assert not found.mask[0, 4:].any()
    assert backbone.prepare(np.full((10, 5, 3), 7, np.uint8))[0, 0].tolist() == [[7] * 16 + [0] * 16] * SIDE


# Quantised networks.


def quantised(net, tensor, scale, zero=0, dtype=np.uint8):
    ends = [np.float32(scale), dtype(zero)]
    return net.node("DequantizeLinear", [net.node("QuantizeLinear", [tensor, *ends]), *ends])


@pytest.mark.parametrize("per_channel", [False, True])
def test_quantised_with_pairs_of_nodes(tmp_path, per_channel):
    net = Net()
    net.maps = quantised(net, net.maps, 8.0)
    pooled = quantised(net, net.node("GlobalAveragePool", [net.maps]), 4.0)
    integers = net.rng.integers(-127, 128, (CLASSES, K), dtype=np.int8)
    scale = abs(net.random(CLASSES)) / 50 if per_channel else np.float32(0.02)
    zero = np.zeros(CLASSES, np.int8) if per_channel else np.int8(3)
    weights = net.node("DequantizeLinear", [integers, scale, zero], axis=0)
    bias = net.node(
        "DequantizeLinear", [net.rng.integers(-99, 99, CLASSES).astype(np.int32), np.float32(0.5)]
    )
    scores = net.node("Gemm", [net.node("Flatten", [pooled]), weights, bias], transB=1)
    model = net.model(quantised(net, scores, 8.0, 128))
    backbone, _ = imported(tmp_path, model)
    steps = integers.astype(np.float32) - (0 if per_channel else 3)
    expected = steps * (scale[:, None] if per_channel else scale)
    np.testing.assert_allclose(backbone.classifier_weights, expected, rtol=1e-6)
    found = backbone.run(PIXELS)
    maps, theirs = original(model, PIXELS, net.maps, scores)
    assert_close(found.features, maps)
    assert_close(found.scores, theirs, 0.05)  # the original rounds what it pools to 8 bits
    assert not backbone.card.layers["head"].signed
    assert backbone.card.proof.tolerance == 0.1


@pytest.mark.parametrize("linear", ["QGemm", "QLinearMatMul", "QLinearConv"])
def test_quantised_operations(tmp_path, linear):
    net = Net()
    ends = [np.float32(8.0), np.uint8(0)]
    maps = net.node("QuantizeLinear", [net.maps, *ends])
    microsoft = {"domain": "com.microsoft"}
    pooled = net.node("QLinearGlobalAveragePool", [maps, *ends, np.float32(4.0), np.uint8(0)], **microsoft)
    row = net.node("Flatten", [pooled])
    integers = net.rng.integers(-127, 128, (CLASSES, K)).astype(np.int8)
    bias = net.rng.integers(-900, 900, CLASSES).astype(np.int32)
    into, weights, out = (
        [np.float32(4.0), np.uint8(0)],
        [np.float32(0.02), np.int8(0)],
        [np.float32(8.0), np.uint8(99)],
    )
    if linear == "QGemm":
        made = net.node(
            linear, [row, *into, integers.T.copy(), *weights, bias, *out], alpha=1.0, transB=0, **microsoft
        )
        added = bias * np.float32(0.08)
    elif linear == "QLinearConv":
        made = net.node(linear, [pooled, *into, integers[..., None, None], *weights, *out, bias])
        added = bias * np.float32(0.08)
    else:
        product = net.node(linear, [row, *into, integers.T.copy(), *weights, *out])
        offset = net.rng.integers(0, 255, CLASSES).astype(np.uint8)
        made = net.node(
            "QLinearAdd", [product, *out, offset, np.float32(0.5), np.uint8(7), *out], **microsoft
        )
        added = (offset.astype(np.float32) - 7) * np.float32(0.5)
    scores = net.node("DequantizeLinear", [made, *out])
    model = net.model(net.node("Flatten", [scores]))
    backbone, _ = imported(tmp_path, model)
    np.testing.assert_allclose(backbone.classifier_weights, integers * np.float32(0.02), rtol=1e-6)
    np.testing.assert_allclose(backbone.classifier_bias, added, rtol=1e-5)
    found = backbone.run(PIXELS)
    eighths, theirs = original(model, PIXELS, maps, scores)
    assert_close(found.features, eighths.astype(np.float32) * 8)
    assert_close(found.scores, theirs, 0.05)


def test_quantised_as_it_runs(tmp_path):
    net = Net()
    row, scale, zero = net.node("DynamicQuantizeLinear", [net.pooled()], outputs=3)
    integers = net.rng.integers(-127, 128, (K, CLASSES)).astype(np.int8)
    product = net.node("MatMulInteger", [row, integers, zero, np.int8(5)])
    product = net.node("Cast", [product], to=TensorProto.FLOAT)
    scores = net.node("Mul", [product, net.node("Mul", [scale, np.float32(0.02)])])
    scores = net.node("Add", [scores, net.random(CLASSES)])
    model = net.model(scores)
    backbone, _ = imported(tmp_path, model)
    expected = (integers.T.astype(np.float32) - 5) * np.float32(0.02)
    np.testing.assert_allclose(backbone.classifier_weights, expected, rtol=1e-6)
    assert_close(backbone.run(PIXELS).scores, *original(model, PIXELS, scores), 0.02)


# What is no such classifier.


def flattened(net):
    row = net.node("Flatten", [net.maps])
    return net.node("Gemm", [row, net.random(CLASSES, K * SIDE * SIDE // 16)], transB=1)


def pooled_maxima(net):
    row = net.node("Flatten", [net.node("GlobalMaxPool", [net.maps])])
    return net.node("Gemm", [row, net.weights()[0]], transB=1)


def hidden_layer(net):
    hidden = net.node("Relu", [net.node("Gemm", [net.pooled(), net.random(K, K)])])
    return net.node("Gemm", [hidden, net.weights()[0]], transB=1)


def pooling_alone(net):
    return net.pooled()


def part_of_the_maps(net):
    pooled = net.node("AveragePool", [net.maps], kernel_shape=[4, 4], strides=[4, 4])
    row = net.node("Flatten", [pooled])
    return net.node("Gemm", [row, net.random(CLASSES, K * 4)], transB=1)


OTHERS = [
    (flattened, "Gemm ← Flatten ← Relu"),
    (pooled_maxima, "Gemm ← Flatten ← GlobalMaxPool ← Relu"),
    (hidden_layer, "Gemm ← Relu ← Gemm ← Flatten ← GlobalAveragePool"),
    (pooling_alone, "there is no linear layer"),
    (part_of_the_maps, "does not cover the maps"),
]


@pytest.mark.parametrize(("ending", "message"), OTHERS)
def test_other_endings_are_told_and_come_in_as_plain_backbones(tmp_path, ending, message):
    net = Net()
    model = net.model(net.node("Softmax", [ending(net)]))
    with pytest.raises(ModelError, match=message) as caught:
        imported(tmp_path, model)
    assert "--features" in caught.value.remedy
    assert not (tmp_path / "model").exists()

    backbone, made = imported(tmp_path, model, features=[net.maps])
    card = made.card
    assert (card.classifier, card.scores, card.classes) == (None, None, None)
    assert card.layers["head"].source == net.maps
    assert any("a plain backbone" in note and message in note for note in made.notes)
    assert not backbone.has_classifier
    assert backbone.class_names == ()
    assert backbone.classifier_weights.shape == (0, K)
    assert backbone.classifier_bias.shape == (0,)
    found = backbone.run(PIXELS)
    assert_close(found.features, *original(model, PIXELS, net.maps))
    assert found.classifier_maps is found.features
    assert found.scores.shape == (1, 0)
    np.testing.assert_array_equal(found.classifier_mask, found.mask)
    with pytest.raises(SettingsError, match="has no classifier, and online aggregation needs one"):
        backbone.require_classifier("online aggregation")


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_patch_tokens(tmp_path, extra):
    """A transformer's: class and register tokens stand before the patches'."""
    net = Net(activation="SiLU")
    cells = SIDE // 4
    rows = net.node("Transpose", [net.node("Reshape", [net.maps, np.array([1, K, -1])])], perm=[0, 2, 1])
    if extra:
        rows = net.node("Concat", [net.random(1, extra, K), rows], axis=1)
    rows = net.node("Add", [rows, net.random(1, extra + cells**2, K)], name="positions")
    first = net.node("Gather", [rows, np.array(0)], axis=1)
    model = net.model(net.node("Gemm", [first, net.weights()[0]], transB=1))
    backbone, made = imported(tmp_path, model, features=["positions"])
    assert backbone.card.input.size == (SIDE, SIDE)  # the positions are of one size
    layer = made.card.layers["head"]
    assert (layer.channels, layer.stride, layer.signed) == (K, 4, True)
    values = original(model, PIXELS, rows)[0][0, extra:].reshape(cells, cells, K).transpose(2, 0, 1)
    assert_close(backbone.run(PIXELS).features[0], np.maximum(values, 0))


def test_scores_that_are_not_what_the_end_says(tmp_path):
    """A pooling of part of the maps that leaves one value a channel."""
    net = Net()
    pooled = net.node("AveragePool", [net.maps], kernel_shape=[5, 5], strides=[4, 4])
    scores = net.node("Gemm", [net.node("Flatten", [pooled]), net.weights()[0]], transB=1)
    with pytest.raises(ModelError, match="scores are not its last maps, pooled"):
        imported(tmp_path, net.model(scores))


def test_several_outputs(tmp_path):
    net = Net()
    scores = gemm_turned(net)
    # One that ends as a classifier does is it.
    backbone, _ = imported(tmp_path, net.model(net.maps, scores))
    assert backbone.has_classifier
    net = Net()
    model = net.model(gemm(net), gemm_turned(net))
    with pytest.raises(ModelError, match=r"several outputs .* of which 2 end in"):
        import_model(saved(tmp_path, model), into=tmp_path / "other")
    net = Net()
    with pytest.raises(ModelError, match=r"several outputs .* of which 0 end in"):
        import_model(saved(tmp_path, net.model(net.maps, flattened(net))), into=tmp_path / "other")


def test_several_inputs(tmp_path):
    net = Net()
    model = net.model(gemm(net))
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    with pytest.raises(ModelError, match=r"2 inputs \(picture, more\)"):
        imported(tmp_path, model)


def test_input_that_is_no_float(tmp_path):
    net = Net(input_type=TensorProto.UINT8)
    with pytest.raises(ModelError, match="picture is of type uint8"):
        imported(tmp_path, net.model(gemm(net)))


def test_input_that_is_no_picture(tmp_path):
    model = Net().model()
    net = Net()
    model = net.model(gemm(net))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    with pytest.raises(ModelError, match="no picture of three channels"):
        imported(tmp_path, model)


def test_initialisers_among_the_inputs(tmp_path):
    """Older exporters list them there."""
    net = Net()
    scores = gemm(net)
    model = net.model(scores)
    for tensor in net.constants:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    backbone, _ = imported(tmp_path, model)
    assert_close(backbone.run(PIXELS).scores, *original(model, PIXELS, scores))


def test_old_operations(tmp_path):
    net = Net(opset=8)
    scores = gemm_turned(net)
    model = net.model(net.node("Softmax", [scores]))
    backbone, _ = imported(tmp_path, model)
    assert_close(backbone.run(PIXELS).scores, *original(model, PIXELS, scores))


def test_free_input(tmp_path):
    net = Net(side=None)
    scores = gemm(net)
    model = net.model(scores)
    backbone, made = imported(tmp_path, model)
    assert backbone.card.input.size is None
    assert not any("freed" in note for note in made.notes)
    pixels = np.tile(PIXELS, (2, 3, 1))
    assert_close(backbone.run(pixels).scores, *original(model, pixels, scores))


def test_external_data(tmp_path):
    net = Net()
    scores = gemm_turned(net)
    model = net.model(scores)
    expected = original(model, PIXELS, scores)[0]
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    made = import_model(path, into=tmp_path / "model", normalisation=PLAIN)
    assert_close(load_model(made.folder).run(PIXELS).scores, expected)
    (tmp_path / "net.data").unlink()
    with pytest.raises(ModelError, match=r"cannot read .*net\.onnx|external data") as caught:
        import_model(path, into=tmp_path / "again")
    assert "beside" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"These are no weights.\n", b"\x08\x08", b"GIF89a" * 9])
def test_what_is_no_network(tmp_path, content):
    (tmp_path / "file.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"file\.onnx is damaged"):
        import_model(tmp_path / "file.onnx", into=tmp_path / "model")


def test_network_cut_short(tmp_path):
    net = Net()
    content = net.model(gemm(net)).SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(content[:-40])
    with pytest.raises(ModelError):
        import_model(tmp_path / "cut.onnx", into=tmp_path / "model")
    assert not (tmp_path / "model").exists()
