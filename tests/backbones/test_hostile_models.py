"""Networks that would never end, take all memory or reach for other files: refused, with a reason, soon."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import time

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import camseek.backbones.importing as importing
from camseek.backbones import load_model, onnx_backbone
from camseek.backbones.importing import import_model
from camseek.backbones.library import EMBEDDED
from camseek.backbones.scanning import MOST_NODES, scan
from camseek.errors import DamagedModelError, ForbiddenModelError, ModelError, UnsupportedModelError

K, CLASSES = 6, 5
node = helper.make_node


def tensor(name, *shape):
    random = np.random.default_rng(len(name))
    return numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)


def model(body, *initialisers, maps="maps", functions=(), domains=("",)):
    """A sound classifier around some operations, from ``first`` to ``maps``."""
    nodes = [
        node("Conv", ["picture", "kernel"], ["first"], kernel_shape=[4, 4], strides=[4, 4]),
        *body,
        node("GlobalAveragePool", [maps], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "weights", "bias"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("picture", 1, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("scores", 1, ["N", CLASSES])],
        [tensor("kernel", K, 3, 4, 4), tensor("weights", CLASSES, K), tensor("bias", CLASSES), *initialisers],
    )
    opsets = [helper.make_opsetid(domain, 17 if domain == "" else 1) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def value(name, kind=1, shape=()):
    return helper.make_tensor_value_info(name, kind, shape)


def endless():
    """A loop of 2^62 rounds."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["again"]), node("Relu", ["x"], ["y"])],
        "body",
        [value("i", 7), value("go", 9), helper.make_tensor_value_info("x", 1, None)],
        [value("again", 9), helper.make_tensor_value_info("y", 1, None)],
    )
    rounds = numpy_helper.from_array(np.array(2**62, np.int64), "rounds")
    return model([node("Loop", ["rounds", "", "first"], ["maps"], body=body)], rounds)


def laughs():
    """Thirty functions, each of which calls the one before twice."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = [
        helper.make_function("own", "f0", ["x"], ["y"], [node("Relu", ["x"], ["y"])], opsets),
        *(
            helper.make_function(
                "own",
                f"f{level}",
                ["x"],
                ["y"],
                [node(f"f{level - 1}", [a], [b], domain="own") for a, b in (("x", "z"), ("z", "y"))],
                opsets,
            )
            for level in range(1, 31)
        ),
    ]
    return model([node("f30", ["first"], ["maps"], domain="own")], functions=functions, domains=("", "own"))


def within_itself():
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    itself = helper.make_function("own", "f", ["x"], ["y"], [node("f", ["x"], ["y"], domain="own")], opsets)
    return model([node("f", ["first"], ["maps"], domain="own")], functions=[itself], domains=("", "own"))


def chain(count):
    names = ["first", *(f"t{number}" for number in range(count - 1)), "maps"]
    return model([node("Relu", [one], [two]) for one, two in itertools.pairwise(names)])


def deep_graphs():
    """Graphs within operations within graphs, deeper than protobuf's own reader goes."""

    def field(number, content):
        length, size = b"", len(content)
        while size >= 128:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    graph = b""
    for _ in range(100):
        graph = field(1, field(4, b"If") + field(5, field(6, graph)))
    return field(7, graph)


def sparse():
    made = model([node("Relu", ["first"], ["maps"])])
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "p")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [10**6, 10**6]))
    return made


def claims():
    """Weights of a terabyte, by their header."""
    made = model([node("Add", ["first", "huge"], ["maps"])])
    made.graph.initializer.append(
        onnx.TensorProto(name="huge", data_type=1, dims=[10**6, 10**6], raw_data=b"1234")
    )
    return made


def wants(size):
    """Maps of any size, which only running the network asks for."""
    shape = numpy_helper.from_array(np.array([1, K, size, size], np.int64), "shape")
    body = [node("GlobalAveragePool", ["first"], ["one"]), node("Expand", ["one", "shape"], ["wide"])]
    return model([*body, node("Relu", ["wide"], ["maps"])], shape)


CIRCLE = [node("Add", ["first", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["maps"])]
HOSTILE = {
    "a circle": (lambda: model(CIRCLE), DamagedModelError, "go in a circle"),
    "an operation that takes what it gives": (
        lambda: model([node("Add", ["first", "maps"], ["maps"])]),
        DamagedModelError,
        "go in a circle",
    ),
    "a circle of moves at the end": (
        lambda: model(
            [node("Identity", ["scores2"], ["scores1"]), node("Identity", ["scores1"], ["scores2"])]
        ),
        DamagedModelError,
        "go in a circle",
    ),
    "names given twice": (
        lambda: model([node("Relu", ["first"], ["maps"]), node("Abs", ["first"], ["maps"])]),
        DamagedModelError,
        "two operations give the tensor maps",
    ),
    "a loop without end": (endless, UnsupportedModelError, "not supported: it has the operation Loop"),
    "functions that unfold": (laughs, ForbiddenModelError, "unfolds to, more than 20,000 operations"),
    "functions that call themselves": (within_itself, ForbiddenModelError, "call each other without end"),
    "30,000 operations": (lambda: chain(30_000), ForbiddenModelError, "more than 20,000 operations"),
    "graphs within graphs": (deep_graphs, ForbiddenModelError, "too deep within each other"),
    "sparse weights": (sparse, UnsupportedModelError, "sparse weights"),
    "weights of a terabyte by their header": (claims, ModelError, "huge|damaged|cannot load"),
    "maps of a terabyte": (lambda: wants(10**6), ModelError, "memory|not permitted|allocate"),
    "an operation without inputs": (lambda: model([node("Relu", [], ["maps"])]), ModelError, "."),
    "a pooling without inputs": (
        lambda: model([node("GlobalAveragePool", [], ["maps"])]),
        ModelError,
        ".",
    ),
}


@pytest.mark.parametrize(("make", "kind", "said"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_networks_are_refused_soon(tmp_path, make, kind, said):
    path = tmp_path / "net.onnx"
    made = make()
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    began = time.process_time()
    with pytest.raises(kind, match=said) as caught:
        import_model(path, into=tmp_path / "model")
    assert caught.value.remedy
    assert time.process_time() - began < 5
    assert sorted(item.name for item in tmp_path.iterdir()) == ["net.onnx"]


def test_a_long_tail_of_constants_is_given_up(tmp_path):
    """Each would be run by itself: as many runs of as many operations."""
    names = ["scores", *(f"s{number}" for number in range(2_000))]
    made = model([node("Relu", ["first"], ["maps"])])
    for one, two in itertools.pairwise(names):
        made.graph.node.append(node("Neg", ["bias"], [f"{two}n"]))
        made.graph.node.append(node("Add", [one, f"{two}n"], [two]))
    made.graph.output[0].name = names[-1]
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(UnsupportedModelError, match=r"more than 200 operations|no linear layer") as caught:
        import_model(path, into=tmp_path / "model")
    assert len(caught.value.message) < 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processor time is limited by signals")
def test_time_runs_out(tmp_path, monkeypatch):
    monkeypatch.setattr(
        importing, "call", lambda *given, **limits: onnx_backbone.call(*given, **{**limits, "seconds": 2})
    )
    shape = numpy_helper.from_array(np.array([1, K, 4096, 4096], np.int64), "shape")
    body = [node("GlobalAveragePool", ["first"], ["one"]), node("Expand", ["one", "shape"], ["m0"])]
    body += [node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(100)]
    path = tmp_path / "net.onnx"
    path.write_bytes(model([*body, node("Relu", ["m100"], ["maps"])], shape).SerializeToString())
    with pytest.raises(ForbiddenModelError, match="not permitted: it took more than"):
        import_model(path, into=tmp_path / "model")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["net.onnx"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("../secret", "does not lie in the network's folder"),
        ("/etc/hostname", "does not lie in the network's folder"),
        ("sub/../../secret", "does not lie in the network's folder"),
        ("link", "leads out of the network's folder"),
        ("pipe", "is no file"),
    ],
)
def test_weights_that_lie_elsewhere(tmp_path, place, said):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(4096))
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    made = model([node("Relu", ["first"], ["maps"])])
    weights = made.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=place)
    (folder / "net.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ForbiddenModelError, match=said):
        import_model(folder / "net.onnx", into=tmp_path / "model")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "a named pipe, not a file"),
        (os.mkdir, "a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "a device, not a file"),
        (lambda path: path.touch(), "damaged: it is empty"),
        (lambda path: (path.touch(), os.truncate(path, 2**40)), "more than 16 GB"),
        (lambda path: (path.touch(), os.truncate(path, 2**32)), "damaged|not permitted"),
        (lambda path: path.write_bytes(b"\x3a\0" * 1_200_000), "more than 1,000,000 parts"),
        (lambda path: path.write_bytes(b"\x08\0\0\0\0\0\0\0{}" + bytes(90)), "a file of safetensors"),
        (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(90)), "a file of TensorFlow Lite"),
    ],
)
def test_what_is_no_network(tmp_path, make, said):
    make(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=said):
        import_model(tmp_path / "net.onnx", into=tmp_path / "model")


def test_class_names_that_never_end(tmp_path):
    (tmp_path / "names").symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="a device, not a file"):
        importing.read_class_names(tmp_path / "names")


class TestKeras:
    """HDF5 files whose kilobytes say gigabytes."""

    @pytest.fixture
    def write(self, tmp_path):
        def made(change):
            """Layers as VGG-16-CAM's, of which nothing is stored: a file of some kilobytes."""
            sizes = [64, 64, 128, 128, 256, 256, 256, *(512,) * 6, 1024]
            shapes = [(out, into, 3, 3) for into, out in zip([3, *sizes], sizes, strict=False)]
            path = tmp_path / "weights.h5"
            with h5py.File(path, "w") as file:
                names = [f"layer{number}" for number in range(15)]
                file.attrs["layer_names"] = [name.encode() for name in names]
                for name, shape in zip(names, [*shapes, (1024, 1000)], strict=True):
                    group = file.create_group(name)
                    group.attrs["weight_names"] = [b"w", b"b"]
                    group.create_dataset("w", shape, "f4")
                    group.create_dataset("b", (shape[-1] if len(shape) == 2 else shape[0],), "f4")
                change(file)
            return path

        return made

    def refused(self, path, tmp_path, kind, said):
        with pytest.raises(kind, match=said):
            import_model(path, into=tmp_path / "model")

    def test_a_shape_of_gigabytes(self, write, tmp_path):
        def change(file):
            del file["layer3/w"]
            file["layer3"].create_dataset("w", (30_000, 30_000), "f4")

        path = write(change)
        assert path.stat().st_size < 100_000
        self.refused(path, tmp_path, UnsupportedModelError, r"convolution 4 has the shape \(30000, 30000\)")

    def test_a_dense_layer_of_gigabytes(self, write, tmp_path):
        def change(file):
            del file["layer14/w"], file["layer14/b"]
            file["layer14"].create_dataset("w", (1024, 2_000_000), "f4")
            file["layer14"].create_dataset("b", (2_000_000,), "f4")

        self.refused(write(change), tmp_path, UnsupportedModelError, "the dense layer has the shape")

    def test_the_same_layer_again_and_again(self, write, tmp_path):
        def change(file):
            file.attrs["layer_names"] = [b"layer12"] * 900

        self.refused(write(change), tmp_path, UnsupportedModelError, "it holds 900 layers")

    def test_numbers_in_another_file(self, write, tmp_path):
        def change(file):
            del file["layer0/w"]
            file["layer0"].create_dataset("w", (64, 3, 3, 3), "f4", external=[("/etc/hostname", 0, 6912)])

        self.refused(write(change), tmp_path, ForbiddenModelError, "lie in another file")

    def test_a_layer_in_another_file(self, write, tmp_path):
        def change(file):
            del file["layer0/w"]
            file["layer0/w"] = h5py.ExternalLink("/etc/hostname", "/w")

        self.refused(write(change), tmp_path, ForbiddenModelError, "lies in another file")

    def test_a_virtual_layer(self, write, tmp_path):
        def change(file):
            del file["layer0/w"]
            layout = h5py.VirtualLayout((64, 3, 3, 3), "f4")
            layout[0] = h5py.VirtualSource("/tmp/other.h5", "w", (3, 3, 3))
            file["layer0"].create_virtual_dataset("w", layout)

        self.refused(write(change), tmp_path, ForbiddenModelError, "lie in another file")

    def test_texts_for_numbers(self, write, tmp_path):
        def change(file):
            del file["layer0/w"]
            file["layer0"].create_dataset("w", (64, 3, 3, 3), h5py.string_dtype())

        self.refused(write(change), tmp_path, UnsupportedModelError, "something else than numbers")


class TestStored:
    """A model's folder from a stranger."""

    @pytest.fixture
    def folder(self, tmp_path):
        place = tmp_path / "stranger"
        shutil.copytree(EMBEDDED, place)
        return place

    def put(self, folder, content):
        (folder / "model.onnx").write_bytes(content)
        self.say(folder, lambda card: card["model"].update(sha256=hashlib.sha256(content).hexdigest()))

    def say(self, folder, change):
        card = json.loads((folder / "card.json").read_bytes())
        change(card)
        (folder / "card.json").write_text(json.dumps(card))

    def test_a_sound_one_is_tried_once(self, folder, monkeypatch):
        calls = []
        whole = onnx_backbone.call
        monkeypatch.setattr(
            onnx_backbone, "call", lambda *given, **more: (calls.append(1), whole(*given, **more))
        )
        monkeypatch.setattr(onnx_backbone, "tried_folder", lambda: folder.parent / "tried")
        assert load_model(folder).card.name == load_model(folder).card.name
        assert len(calls) == 1

    @pytest.mark.parametrize(
        ("make", "said"),
        [(endless, "operation Loop"), (laughs, "20,000"), (sparse, "sparse"), (claims, "load|damaged")],
    )
    def test_a_hostile_network(self, folder, make, said):
        self.put(folder, make().SerializeToString())
        with pytest.raises(ModelError, match=said):
            load_model(folder)

    def test_weights_in_another_file(self, folder):
        made = model([node("Relu", ["first"], ["maps"])])
        weights = made.graph.initializer[0]
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="weights.bin")
        self.put(folder, made.SerializeToString())
        with pytest.raises(ForbiddenModelError, match=r"its weights lie in another file \('weights.bin'\)"):
            load_model(folder)

    @pytest.mark.parametrize("name", ["model.onnx", "card.json", "classes.txt"])
    def test_pipes(self, folder, name):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ModelError):
            load_model(folder)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b'{"a":' * 20_000, "too deep"),
            (b"[" + b"0," * 400_000 + b"0]", "some 400,001 values"),
            (b'{"version": ' + b"1" * 500_000 + b"}", "a number of 500,000 characters"),
            (b" " * 2_000_000, "more than 1,000,000 bytes"),
            (b'{"' + b"a" * 900_000 + b'": 1}', "unknown keys: 'aaaaaaaaaaaa...aaaaaaaaaaaaa'"),
        ],
    )
    def test_hostile_cards(self, folder, content, said):
        (folder / "card.json").write_bytes(content)
        with pytest.raises(ModelError, match=said) as caught:
            load_model(folder)
        assert len(caught.value.message) < 1000

    @pytest.mark.parametrize(
        "change",
        [
            lambda card: card["input"].update(size=[2**40, 2**40]),
            lambda card: card["input"].update(multiple=2**62),
            lambda card: card["layers"]["head"].update(channels=2**62),
            lambda card: card["classes"].update(count=2**62),
            lambda card: card.update(layers={f"l{n}": card["layers"]["head"] for n in range(1000)}),
            lambda card: card["input"].update(std=[1e999, 1, 1]),
        ],
    )
    def test_absurd_values(self, folder, change):
        self.say(folder, change)
        with pytest.raises(ModelError):
            load_model(folder)


def test_every_damaged_file_ends_with_an_error():
    sound = chain(3).SerializeToString()
    random = np.random.default_rng(1)
    for _ in range(2_000):
        content = bytearray(sound)
        for _ in range(random.integers(1, 4)):
            content[random.integers(0, len(content))] = random.integers(0, 256)
        with contextlib.suppress(ModelError):
            assert scan(memoryview(bytes(content)), "net").nodes <= MOST_NODES
