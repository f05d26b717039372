"""Makes models of other people's networks: ONNX, Keras weights of VGG-16-CAM, PyTorch.

It needs the extra ``camseek[models]`` (``onnx``, ``h5py``), and ``camseek[torch]`` for state dicts and live
modules; what it makes needs neither.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camseek.backbones.importing.extras import load_onnx
from camseek.backbones.importing.folder import (
    CAFFE,
    RESEARCH,
    TORCHVISION,
    Imported,
    Normalisation,
    read_class_names,
    require_new,
    write_model,
)
from camseek.backbones.importing.network import Network
from camseek.backbones.importing.onnx_network import adapt_onnx, read_onnx
from camseek.backbones.importing.state_dicts import ARCHITECTURES, network_of
from camseek.backbones.importing.torch_files import export, is_module, read_state_dict, state_dict
from camseek.backbones.importing.vgg import read_vgg_cam
from camseek.backbones.library import check_name
from camseek.errors import ModelError
from camseek.places import models_folder

__all__ = [
    "ARCHITECTURES",
    "CAFFE",
    "RESEARCH",
    "TORCHVISION",
    "Imported",
    "Normalisation",
    "import_model",
    "import_torch",
    "read_class_names",
]

_HDF5, _ZIP, _PICKLE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x80"
_TOLD = "{} is taken for {}; --mean, --std and --channel-order say otherwise"


def import_model(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    into: str | os.PathLike[str] | None = None,
    features: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    normalisation: Normalisation | None = None,
    architecture: str | None = None,
    force: bool = False,
) -> Imported:
    """Makes a model of a file: an ONNX network, Keras weights of VGG-16-CAM, or a PyTorch state dict.

    Which of them it is, is read from its content.

    Args:
        source: The file.
        name: The model's name; None for one made of the file's.
        into: The folder to make; None for one of that name in ``models_folder()``.
        features: ONNX only: tensors or nodes that become layers too; a plain backbone's first is ``head``.
        classes: The classes' names, in the order of the scores.
        normalisation: What the network's pixels are; None for Caffe's (Keras) or torchvision's (others).
        architecture: State dicts only: what it must be.
        force: Take the place of a model that is there.

    Raises:
        ModelError: It cannot be used, an extra is missing, or the folder is there or cannot be written.
    """
    load_onnx()
    path = Path(source)
    name, folder = _place(name or _name_of(path.stem), into, force=force, source=path)
    kind = _kind(path)
    if features and kind != "ONNX":
        raise ModelError(
            "layers can be named in ONNX files alone",
            remedy="leave --features out, or export the network to ONNX",
        )
    if architecture is not None and kind != "PyTorch":
        raise ModelError("an architecture is that of a PyTorch state dict", remedy="leave --arch out")
    network: Network
    match kind:
        case "ONNX":
            network, usual = adapt_onnx(read_onnx(path), features), TORCHVISION
        case "Keras":
            network, usual = read_vgg_cam(path), CAFFE
        case _:
            network, usual = network_of(read_state_dict(path), architecture=architecture), TORCHVISION
    _tell_normalisation(network, normalisation, usual)
    return write_model(
        network,
        folder,
        name=name,
        source=f"{path.name} ({kind})",
        normalisation=normalisation or usual,
        classes=classes,
        force=force,
    )


def import_torch(
    source: Any,
    *,
    name: str,
    into: str | os.PathLike[str] | None = None,
    features: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    normalisation: Normalisation = TORCHVISION,
    architecture: str | None = None,
    force: bool = False,
) -> Imported:
    """Makes a model of a live ``torch.nn.Module``, or of a state dict of a ResNet or DenseNet.

    A module is exported to ONNX for pictures of any size and read as ``import_model`` reads a file. Arguments
    as there; ``features`` is for modules, ``architecture`` for state dicts.

    Raises:
        ModelError: It cannot be used, an extra is missing, or the folder is there or cannot be written.
        TypeError: It is neither.
    """
    name, folder = _place(name, into, force=force)
    if is_module(source):
        network, kind = adapt_onnx(export(source), features), f"{type(source).__name__} (PyTorch module)"
    elif isinstance(source, Mapping):
        network = network_of(state_dict(source), architecture=architecture)
        kind = "a PyTorch state dict"
    else:
        raise TypeError(f"neither a module nor a state dict: {type(source).__name__}")
    return write_model(
        network, folder, name=name, source=kind, normalisation=normalisation, classes=classes, force=force
    )


def _place(
    name: str, into: str | os.PathLike[str] | None, *, force: bool, source: Path | None = None
) -> tuple[str, Path]:
    """The model's name and folder, which must be free."""
    name = check_name(name)
    folder = Path(os.path.abspath(models_folder() / name if into is None else into))
    require_new(folder, force=force, source=source)
    return name, folder


def _name_of(stem: str) -> str:
    """A model's name made of a file's."""
    return re.sub("[^A-Za-z0-9._-]+", "-", stem).strip("._-")[:100] or "model"


def _kind(path: Path) -> str:
    """What a file is, by its content."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_HDF5))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", remedy="check the name") from error
    if start == _HDF5:
        return "Keras"
    return "PyTorch" if start.startswith((_ZIP, _PICKLE)) else "ONNX"


def _tell_normalisation(network: Network, given: Normalisation | None, usual: Normalisation) -> None:
    if given is None:
        told = (
            "Caffe's (BGR minus its means)"
            if usual == CAFFE
            else "torchvision's (RGB, ImageNet's mean and std)"
        )
        network.notes.append(_TOLD.format("its normalisation", told))
