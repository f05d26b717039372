"""VGG-16-CAM from its weights in Keras's HDF5 form.

The network of the paper (Jimenez et al. 2017): VGG-16's thirteen convolutions of 3 x 3 without the last
pooling, one more of 1024 channels with ReLU, global average pooling, and a linear layer of 1000 classes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camseek.backbones.importing.builder import Builder
from camseek.backbones.importing.extras import load_h5py
from camseek.backbones.importing.network import Network
from camseek.errors import ModelError

F32 = NDArray[np.float32]

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_ADDED = 1024
FEATURES = "conv5_1"  # after ReLU: the layer of the paper's features
_SIDE = 3
_EXPECTED = "13 convolutions of VGG-16, one of 1024 channels, all 3 x 3, and a dense layer of 1024 inputs"
_REMEDY = "give the weights of VGG-16-CAM as Keras saves them (save_weights)"


def read_vgg_cam(path: Path) -> Network:
    """Builds VGG-16-CAM from a Keras weights file, of Keras 1 or 2, in Theano's or TensorFlow's order.

    Layers are told by their order and shapes, not by name. Theano's kernels, (out, in, rows, columns), are
    those of a true convolution and are turned by 180 degrees; TensorFlow's, (rows, columns, in, out), not.

    Raises:
        ModelError: It is no such file.
    """
    layers = _layers(path)
    if len(layers) != sum(map(len, _BLOCKS)) + 2:
        shapes = ", ".join(" x ".join(map(str, weights.shape)) for weights, _ in layers) or "none"
        raise ModelError(
            f"{path} is not VGG-16-CAM: it holds {len(layers)} layers with weights ({shapes}), "
            f"where there should be {_EXPECTED}",
            remedy=_REMEDY,
        )
    *convolutions, (dense, dense_bias) = layers
    theano = _is_theano(path, [weights.shape for weights, _ in convolutions])
    kernels = [_kernel(weights, theano=theano) for weights, _ in convolutions]
    if dense.ndim != 2 or dense.shape[0] != _ADDED or dense_bias.shape != (dense.shape[1],):
        raise _unfit(path, f"the dense layer has the shape {dense.shape}, bias {dense_bias.shape}")
    builder, tensor = Builder("vgg16_cam"), "pixels"
    parts = iter(zip(kernels, (bias for _, bias in convolutions), strict=True))
    for number, block in enumerate(_BLOCKS, 1):
        if number > 1:
            tensor = builder.max_pool(tensor, 2)
        for place, channels in enumerate(block, 1):
            tensor = builder.relu(builder.conv(tensor, *next(parts)))
            if f"conv{number}_{place}" == FEATURES:
                builder.layer(FEATURES, tensor, channels=channels, stride=2 ** (number - 1))
    tensor = builder.relu(builder.conv(tensor, *next(parts)))
    builder.layer("head", tensor, channels=_ADDED, stride=2 ** (len(_BLOCKS) - 1))
    order = "Theano's, kernels turned by 180 degrees" if theano else "TensorFlow's"
    return builder.network(
        np.ascontiguousarray(dense.T), dense_bias, default_layer=FEATURES, notes=[f"kernel order: {order}"]
    )


def _is_theano(path: Path, shapes: list[tuple[int, ...]]) -> bool:
    """Whether all kernels have Theano's order; raises if they have neither that nor TensorFlow's."""
    outputs = [channels for block in _BLOCKS for channels in block] + [_ADDED]
    inputs = [3, *outputs[:-1]]
    theano = [(out, into, _SIDE, _SIDE) for out, into in zip(outputs, inputs, strict=True)]
    tensorflow = [(_SIDE, _SIDE, into, out) for out, into in zip(outputs, inputs, strict=True)]
    if shapes in (theano, tensorflow):
        return shapes == theano
    wrong = next(
        (number, shape)
        for number, shape in enumerate(shapes)
        if shape != (theano if shapes[0] == theano[0] else tensorflow)[number]
    )
    raise _unfit(
        path,
        f"convolution {wrong[0] + 1} has the shape {wrong[1]}, "
        f"not {theano[wrong[0]]} (Theano) or {tensorflow[wrong[0]]} (TensorFlow)",
    )


def _kernel(weights: F32, *, theano: bool) -> F32:
    """A kernel as a cross-correlation, (out, in, rows, columns)."""
    turned = weights[:, :, ::-1, ::-1] if theano else weights.transpose(3, 2, 0, 1)
    return np.ascontiguousarray(turned)


def _layers(path: Path) -> list[tuple[F32, F32]]:
    """Weights and biases, in the order of the layers."""
    h5py = load_h5py()
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            return [_pair(path, name, arrays) for name, arrays in _groups(path, root) if arrays]
    except (OSError, KeyError) as error:
        raise ModelError(f"{path} cannot be read as Keras weights: {error}", remedy=_REMEDY) from error


def _groups(path: Path, root: Any) -> Iterator[tuple[str, list[F32]]]:
    """Layers in order: attributes list them and their weights."""
    if "layer_names" not in root.attrs:
        raise ModelError(f"{path} holds no Keras weights: it has no attribute layer_names", remedy=_REMEDY)
    for layer in root.attrs["layer_names"]:
        group = root[_text(layer)]
        names = group.attrs.get("weight_names", ())
        yield _text(layer), [np.asarray(group[_text(name)], np.float32) for name in names]


def _pair(path: Path, name: str, arrays: list[F32]) -> tuple[F32, F32]:
    if len(arrays) != 2 or arrays[1].ndim != 1:
        raise _unfit(path, f"layer {name} holds {len(arrays)} arrays, not weights and a bias")
    return arrays[0], arrays[1]


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", errors="replace") if isinstance(name, bytes) else str(name)


def _unfit(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} is not VGG-16-CAM: {what}; there should be {_EXPECTED}", remedy=_REMEDY)
