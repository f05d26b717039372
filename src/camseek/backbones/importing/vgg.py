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
from camseek.errors import DamagedModelError, ForbiddenModelError, ModelError, UnsupportedModelError
from camseek.names import shown

F32 = NDArray[np.float32]

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_ADDED = 1024
FEATURES = "conv5_1"  # after ReLU: the layer of the paper's features
_SIDE = 3
_MOST_NAMES, _MOST_CLASSES = 1_000, 1_000_000
_EXPECTED = "13 convolutions of VGG-16, one of 1024 channels, all 3 x 3, and a dense layer of 1024 inputs"
_REMEDY = "give the weights of VGG-16-CAM as Keras saves them (save_weights)"


def read_vgg_cam(path: Path) -> Network:
    """Builds VGG-16-CAM from a Keras weights file, of Keras 1 or 2, in Theano's or TensorFlow's order.

    Layers are told by their order and shapes, not by name. Theano's kernels, (out, in, rows, columns), are
    those of a true convolution and are turned by 180 degrees; TensorFlow's, (rows, columns, in, out), not.

    Raises:
        ModelError: It is no such file.
    """
    layers, theano = _layers(path)
    *convolutions, (dense, dense_bias) = layers
    kernels = [_kernel(weights, theano=theano) for weights, _ in convolutions]
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


def _layers(path: Path) -> tuple[list[tuple[F32, F32]], bool]:
    """Weights and biases in the order of the layers, and whether that of their kernels is Theano's.

    Shapes are compared before anything is read: a small file can claim, or repeat, any number of values.
    """
    h5py = load_h5py()
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            sets = [_pair(path, name, found) for name, found in _groups(path, root) if found]
            theano = _is_order_of_theano(path, [tuple(part.shape for part in pair) for pair in sets])
            return [(_values(path, weights), _values(path, bias)) for weights, bias in sets], theano
    except (OSError, KeyError, RuntimeError) as error:
        raise DamagedModelError(f"{path} cannot be read as Keras weights: {error}", remedy=_REMEDY) from error


def _is_order_of_theano(path: Path, shapes: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> bool:
    """Compares all shapes with those of VGG-16-CAM; returns whether kernels have Theano's order."""
    if len(shapes) != sum(map(len, _BLOCKS)) + 2:
        told = ", ".join(" x ".join(map(str, weights)) for weights, _ in shapes) or "none"
        raise UnsupportedModelError(
            f"{path} is not VGG-16-CAM: it holds {len(shapes)} layers with weights ({told}), "
            f"where there should be {_EXPECTED}",
            remedy=_REMEDY,
        )
    *convolutions, (dense, dense_bias) = shapes
    theano = _is_theano(path, [weights for weights, _ in convolutions])
    for number, (weights, bias) in enumerate(convolutions, 1):
        if bias != (weights[0 if theano else 3],):
            raise _unfit(path, f"convolution {number} has a bias of the shape {bias}")
    if len(dense) != 2 or dense[0] != _ADDED or not 0 < dense[1] <= _MOST_CLASSES or dense_bias != dense[1:]:
        raise _unfit(path, f"the dense layer has the shape {dense}, bias {dense_bias}")
    return theano


def _groups(path: Path, root: Any) -> Iterator[tuple[str, list[Any]]]:
    """Layers in order with their data sets, unread: attributes list them."""
    for layer in _names(path, root, "layer_names"):
        group = _member(path, root, layer)
        if "weight_names" in group.attrs:
            yield layer, [_member(path, group, name) for name in _names(path, group, "weight_names")]


def _names(path: Path, group: Any, attribute: str) -> list[str]:
    if attribute not in group.attrs:
        raise UnsupportedModelError(
            f"{path} holds no Keras weights: it has no attribute {attribute}", remedy=_REMEDY
        )
    shape = group.attrs.get_id(attribute).shape
    if len(shape) != 1 or shape[0] > _MOST_NAMES:
        raise _unfit(path, f"its attribute {attribute} is no list of names")
    return [_text(name) for name in group.attrs[attribute]]


def _member(path: Path, group: Any, name: str) -> Any:
    """A part of a file that lies in it, and nowhere else."""
    inner = group
    for part in filter(None, name.split("/")):
        link = type(inner.get(part, getlink=True)).__name__
        if link == "ExternalLink":
            raise ForbiddenModelError(
                f"{path} is not permitted: its layer {shown(name)} lies in another file", remedy=_REMEDY
            )
        inner = inner[part]
    return inner


def _pair(path: Path, name: str, found: list[Any]) -> tuple[Any, Any]:
    """Weights and bias, two sets of numbers whose shapes are known."""
    if len(found) != 2:
        raise _unfit(path, f"layer {shown(name)} holds {len(found)} arrays, not weights and a bias")
    for data in found:
        if not hasattr(data, "shape") or data.shape is None or data.dtype.kind not in "fiu":
            raise _unfit(path, f"layer {shown(name)} holds something else than numbers")
        if data.is_virtual or data.external:
            raise ForbiddenModelError(
                f"{path} is not permitted: the numbers of its layer {shown(name)} lie in another file",
                remedy=_REMEDY,
            )
    return found[0], found[1]


def _values(path: Path, data: Any) -> F32:
    values = np.asarray(data, np.float32)
    if not np.isfinite(values).all():
        raise _unfit(path, "its weights hold infinite values or NaN")
    return values


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", errors="replace") if isinstance(name, bytes) else str(name)


def _unfit(path: Path, what: str) -> ModelError:
    return UnsupportedModelError(
        f"{path} is not VGG-16-CAM: {what}; there should be {_EXPECTED}", remedy=_REMEDY
    )
