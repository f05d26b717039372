"""Makes models of other people's networks: ONNX, Keras weights of VGG-16-CAM, PyTorch.

It needs the extra ``camseek[models]`` (``onnx``, ``h5py``), and ``camseek[torch]`` for state dicts and live
modules; what it makes needs neither.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camseek.backbones.card import ModelCard
from camseek.backbones.importing.extras import load_onnx, load_torch
from camseek.backbones.importing.files import fill, kind_of
from camseek.backbones.importing.folder import (
    CAFFE,
    RESEARCH,
    TORCHVISION,
    Imported,
    Normalisation,
    new_folder,
    read_class_names,
    require_new,
    write_model,
)
from camseek.backbones.importing.onnx_network import adapt_onnx
from camseek.backbones.importing.state_dicts import ARCHITECTURES, network_of
from camseek.backbones.importing.torch_files import export, is_module, state_dict
from camseek.backbones.library import check_name
from camseek.backbones.onnx_backbone import note_tried, over_limit
from camseek.errors import ModelError
from camseek.limited import LimitError, call
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

_FILL = "camseek.backbones.importing.files:fill"


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
    limited: bool = True,
) -> Imported:
    """Makes a model of a file: an ONNX network, Keras weights of VGG-16-CAM, or a PyTorch state dict.

    Which of them it is, is read from its content. It is read and tried in a process with limits: a minute of
    processor time and 3 GB, and more for larger files.

    Args:
        source: The file.
        name: The model's name; None for one made of the file's.
        into: The folder to make; None for one of that name in ``models_folder()``.
        features: ONNX only: tensors or nodes that become layers too; a plain backbone's first is ``head``.
        classes: The classes' names, in the order of the scores.
        normalisation: What the network's pixels are; None for Caffe's (Keras) or torchvision's (others).
        architecture: State dicts only: what it must be.
        force: Take the place of a model that is there.
        limited: False reads a file of one's own in this process, without limits.

    Raises:
        ModelError: It cannot be used, an extra is missing, or the folder is there or cannot be written.
        DamagedModelError: It is broken or cut short.
        UnsupportedModelError: It is of a kind that is not read.
        ForbiddenModelError: It takes more time or memory than its size lets expect, or reaches for files that
            do not lie beside it.
    """
    load_onnx()
    path = Path(source)
    name, folder = _place(name or _name_of(path.stem), into, force=force, source=path)
    kind, size = kind_of(path)
    if features and kind != "ONNX":
        raise ModelError(
            "layers can be named in ONNX files alone",
            remedy="leave --features out, or export the network to ONNX",
        )
    if architecture is not None and kind != "PyTorch":
        raise ModelError("an architecture is that of a PyTorch state dict", remedy="leave --arch out")
    if kind == "PyTorch":
        load_torch()
    with new_folder(folder, force=force) as part:
        wanted: dict[str, Any] = {
            "source": os.path.abspath(path),
            "part": str(part),
            "kind": kind,
            "name": name,
            "features": list(features),
            "classes": None if classes is None else list(classes),
            "normalisation": None if normalisation is None else asdict(normalisation),
            "architecture": architecture,
        }
        try:
            notes = (
                call(_FILL, wanted, seconds=_seconds(size), memory=_memory(size))
                if limited
                else fill(**wanted)
            )
        except LimitError as error:
            raise over_limit(path, error) from error
        card = ModelCard.read(part)
        note_tried(card)
    return Imported(folder=folder, card=card, notes=tuple(notes))


def _seconds(size: int) -> float:
    return 60 + size / 1e6


def _memory(size: int) -> int:
    return 3_000_000_000 + 10 * size


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
