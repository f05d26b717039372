"""ResNets and DenseNets from their weights by torchvision's names.

He et al. 2016 (bottlenecks with their stride in the 3 x 3 convolution, as torchvision's have it), Xie et al.
2017 (groups), Zagoruyko and Komodakis 2016 (width); Huang et al. 2017. How deep and how wide they are is read
from the names and shapes.
"""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from camseek.backbones.importing.builder import Builder, Norm
from camseek.backbones.importing.network import Network
from camseek.errors import ModelError

F32 = NDArray[np.float32]

RESNETS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
DENSENETS = {
    "densenet121": (6, 12, 24, 16),
    "densenet161": (6, 12, 36, 24),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}
ARCHITECTURES = (*RESNETS, *DENSENETS)
_REMEDY = "give a state dict of a ResNet or DenseNet with torchvision's names, or export the network to ONNX"


class _Weights:
    """A state dict whose tensors are taken one by one, so that what is left over is known."""

    def __init__(self, tensors: Mapping[str, F32]) -> None:
        self._tensors = dict(tensors)
        self._left = {name for name in tensors if not name.endswith("num_batches_tracked")}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def take(self, name: str, dimensions: int = 1) -> F32:
        """A tensor.

        Raises:
            ModelError: It is missing, or has another number of dimensions.
        """
        if name not in self._tensors:
            raise ModelError(f"the state dict has no {name}", remedy=_REMEDY)
        self._left.discard(name)
        tensor = self._tensors[name]
        if tensor.ndim != dimensions:
            raise ModelError(
                f"{name} has the shape {tensor.shape}, not {dimensions} dimensions", remedy=_REMEDY
            )
        return np.ascontiguousarray(tensor, np.float32)

    def conv(self, name: str) -> F32:
        """The weights of a convolution without bias."""
        return self.take(f"{name}.weight", 4)

    def norm(self, name: str) -> Norm:
        """A batch normalisation."""
        parts = ("weight", "bias", "running_mean", "running_var")
        return Norm(*(self.take(f"{name}.{part}") for part in parts))

    def count(self, pattern: str) -> int:
        """How many numbers, from the first in order, fill the pattern's one ``{}``."""
        parts = re.compile(re.escape(pattern).replace(r"\{\}", r"(\d+)"))
        return len({found[1] for name in self._tensors if (found := parts.match(name))})

    def require_all_taken(self) -> None:
        """Refuses a network that is more than was built of it.

        Raises:
            ModelError: Tensors are left over.
        """
        if self._left:
            names = sorted(self._left)
            raise ModelError(
                f"the state dict holds {len(names)} tensors that its architecture has not, "
                f"such as {', '.join(names[:3])}",
                remedy=_REMEDY,
            )


def network_of(state_dict: Mapping[str, F32], *, architecture: str | None = None) -> Network:
    """Builds a network from a state dict.

    Args:
        state_dict: Its tensors, by torchvision's names; DenseNet's older names (``norm.1``) and the prefix
            ``module.`` are known.
        architecture: What it must be, one of ``ARCHITECTURES``; None for whatever it is.

    Raises:
        ModelError: It is no ResNet or DenseNet, or not the one that was asked for.
    """
    if architecture is not None and architecture not in ARCHITECTURES:
        raise ModelError(
            f"the architecture {architecture} is not known", remedy=f"use one of: {', '.join(ARCHITECTURES)}"
        )
    weights = _Weights({_modern(name): tensor for name, tensor in state_dict.items()})
    try:
        if "features.conv0.weight" in weights:
            depths, network = _densenet(weights)
        elif "layer1.0.conv1.weight" in weights:
            depths, network = _resnet(weights)
        else:
            names = ", ".join(list(state_dict)[:4]) or "nothing"
            raise ModelError(f"the state dict is no ResNet and no DenseNet: it holds {names}", remedy=_REMEDY)
    except ValueError as error:
        raise ModelError(f"the state dict's shapes do not fit together: {error}", remedy=_REMEDY) from error
    weights.require_all_taken()
    if architecture is not None:
        _require(architecture, depths, bottleneck="layer1.0.conv3.weight" in weights)
    return network


def _modern(name: str) -> str:
    """A tensor's name as torchvision has it today."""
    name = name.removeprefix("module.")
    return re.sub(r"(denselayer\d+)\.(norm|relu|conv)\.(\d)\.", r"\1.\2\3.", name)


def _require(architecture: str, depths: tuple[int, ...], *, bottleneck: bool) -> None:
    dense = architecture in DENSENETS
    wanted = (DENSENETS if dense else RESNETS)[architecture]
    deep = architecture not in ("resnet18", "resnet34")
    if depths != wanted or (not dense and bottleneck != deep):
        raise ModelError(
            f"the state dict is not {architecture}: its blocks have {'-'.join(map(str, depths))} layers"
            f"{' of three convolutions' if bottleneck else ''}, not {'-'.join(map(str, wanted))}",
            remedy="leave --arch out, or give the right file",
        )


def _resnet(weights: _Weights) -> tuple[tuple[int, ...], Network]:
    builder = Builder("resnet")

    def conv(tensor: str, kernel: str, norm: str, stride: int = 1) -> tuple[str, int]:
        """Convolution and normalisation, and the result's channels; groups are read from the shapes."""
        values, bias = weights.norm(norm).folded(weights.conv(kernel))
        groups, left = divmod(known[tensor], values.shape[1])
        if left or not groups:
            raise ValueError(f"{kernel} takes {values.shape[1]} channels of {known[tensor]}")
        made = builder.conv(tensor, values, bias, stride=stride, groups=groups)
        known[made] = len(values)
        return made, len(values)

    def relu(tensor: str) -> str:
        made = builder.relu(tensor)
        known[made] = known[tensor]
        return made

    known = {"pixels": 3}
    tensor = relu(conv("pixels", "conv1", "bn1", 2)[0])
    pooled = builder.max_pool(tensor, 3, padding=1)
    known[pooled], tensor = known[tensor], pooled
    depths = tuple(weights.count(f"layer{stage}.{{}}.conv1.weight") for stage in range(1, 5))
    for stage, depth in enumerate(depths, 1):
        for place in range(depth):
            name, stride = f"layer{stage}.{place}", 2 if stage > 1 and place == 0 else 1
            last = 3 if f"{name}.conv3.weight" in weights else 2
            inner, channels = tensor, 0
            for number in range(1, last + 1):
                step = stride if number == last - 1 else 1
                inner, channels = conv(inner, f"{name}.conv{number}", f"{name}.bn{number}", step)
                inner = relu(inner) if number < last else inner
            beside = tensor
            if f"{name}.downsample.0.weight" in weights:
                beside, _ = conv(tensor, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            if known[beside] != channels:
                raise ValueError(f"{name} adds {channels} channels to {known[beside]}")
            total = builder.add(inner, beside)
            known[total] = channels
            tensor = relu(total)
        if stage > 2:
            layer = "head" if stage == 4 else f"layer{stage}"
            builder.layer(layer, tensor, channels=known[tensor], stride=2 ** (stage + 1))
    return depths, builder.network(weights.take("fc.weight", 2), weights.take("fc.bias"))


def _densenet(weights: _Weights) -> tuple[tuple[int, ...], Network]:
    builder = Builder("densenet")
    values, bias = weights.norm("features.norm0").folded(weights.conv("features.conv0"))
    tensor = builder.max_pool(builder.relu(builder.conv("pixels", values, bias, stride=2)), 3, padding=1)
    channels, stride, depths = len(values), 4, list[int]()
    blocks = weights.count("features.denseblock{}.denselayer1.conv1.weight")
    for block in range(1, blocks + 1):
        depths.append(weights.count(f"features.denseblock{block}.denselayer{{}}.conv1.weight"))
        maps = [tensor]
        for place in range(1, depths[-1] + 1):
            name = f"features.denseblock{block}.denselayer{place}"
            inner = builder.concat(maps) if len(maps) > 1 else maps[0]
            inner = builder.relu(builder.norm(inner, _fitting(weights.norm(f"{name}.norm1"), channels)))
            values, bias = weights.norm(f"{name}.norm2").folded(weights.conv(f"{name}.conv1"))
            inner = builder.relu(builder.conv(inner, values, bias))
            grown = weights.conv(f"{name}.conv2")
            maps.append(builder.conv(inner, grown))
            channels += len(grown)
        final = block == blocks
        norm = "features.norm5" if final else f"features.transition{block}.norm"
        tensor = builder.relu(builder.norm(builder.concat(maps), _fitting(weights.norm(norm), channels)))
        if final or block == blocks - 1:
            layer = "head" if final else f"transition{block}"
            builder.layer(layer, tensor, channels=channels, stride=stride)
        if not final:
            narrowed = weights.conv(f"features.transition{block}.conv")
            tensor, channels = builder.average_pool(builder.conv(tensor, narrowed)), len(narrowed)
            stride *= 2
    return tuple(depths), builder.network(
        weights.take("classifier.weight", 2), weights.take("classifier.bias")
    )


def _fitting(norm: Norm, channels: int) -> Norm:
    if norm.weight.shape != (channels,):
        raise ValueError(f"a normalisation of {norm.weight.shape[0]} channels after {channels}")
    return norm
