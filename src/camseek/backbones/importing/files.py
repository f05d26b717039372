"""A file of a network, told by its content and made into a model: what runs in a process with limits."""

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from camseek.backbones.importing.folder import CAFFE, TORCHVISION, Normalisation, fill_folder
from camseek.backbones.importing.network import Network
from camseek.backbones.importing.onnx_network import adapt_onnx, read_onnx
from camseek.backbones.importing.state_dicts import network_of
from camseek.backbones.importing.torch_files import read_state_dict
from camseek.backbones.importing.vgg import read_vgg_cam
from camseek.errors import DamagedModelError, ForbiddenModelError, ModelError, UnsupportedModelError
from camseek.files import open_regular, reason_of

Kind = Literal["ONNX", "Keras", "PyTorch"]

_HDF5, _ZIP, _PICKLE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x80"
_LARGEST = 16_000_000_000
_TOLD = "{} is taken for {}; --mean, --std and --channel-order say otherwise"
_KINDS = "give an ONNX classifier, a Keras HDF5 weights file or a PyTorch state dict"


def kind_of(path: Path) -> tuple[Kind, int]:
    """What a file is, by its content, and how many bytes it has.

    Raises:
        ModelError: It cannot be read, or is no file.
        DamagedModelError: It is empty.
        UnsupportedModelError: It is of a kind that is known and not read.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(16)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason_of(error)}", remedy="check the name") from error
    if size > _LARGEST:
        raise ForbiddenModelError(
            f"{path} is not permitted: it has more than {_LARGEST / 1e9:.0f} GB",
            remedy="give a smaller network",
        )
    if not start:
        raise DamagedModelError(f"{path} is damaged: it is empty", remedy=_KINDS)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < size:
        raise _unsupported(path, "safetensors", "load it in PyTorch and export it to ONNX")
    if start[4:8] == b"TFL3":
        raise _unsupported(path, "TensorFlow Lite", "convert it to ONNX (tf2onnx)")
    if start.startswith(_HDF5):
        return "Keras", size
    if start.startswith(_ZIP) and "config.json" in _names_in_zip(path):
        raise _unsupported(path, "Keras 3", "export the network to ONNX")
    return ("PyTorch" if start.startswith((_ZIP, _PICKLE)) else "ONNX"), size


def _unsupported(path: Path, form: str, remedy: str) -> UnsupportedModelError:
    return UnsupportedModelError(f"{path} is not supported: it is a file of {form}", remedy=remedy)


def _names_in_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return []  # reading it will say what is wrong with it


def fill(
    source: str,
    part: str,
    kind: Kind,
    name: str,
    features: Sequence[str],
    classes: Sequence[str] | None,
    normalisation: Mapping[str, Any] | None,
    architecture: str | None,
) -> list[str]:
    """Reads a file and writes its model into an empty folder; arguments as ``import_model`` has them.

    Returns:
        What was assumed or seen, for people.

    Raises:
        ModelError: It cannot be used.
    """
    path = Path(source)
    try:
        network, usual = _read(path, kind, features, architecture)
        given = None if normalisation is None else _normalisation(normalisation)
        _tell_normalisation(network, given, usual)
        return fill_folder(
            network,
            Path(part),
            name=name,
            source=f"{path.name} ({kind})",
            normalisation=given or usual,
            classes=classes,
        )
    except OSError as error:
        raise ModelError(
            f"cannot write the model to {Path(part).parent}: {error.strerror or error}",
            remedy="choose a place that is writable and has space (--into, or CAMSEEK_MODELS)",
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError) as error:
        # What readers of strangers' files stumble over in parts that no sound file has.
        raise DamagedModelError(
            f"{path} is damaged: {type(error).__name__}: {str(error)[:200]}", remedy=_KINDS
        ) from error


def _read(
    path: Path, kind: Kind, features: Sequence[str], architecture: str | None
) -> tuple[Network, Normalisation]:
    match kind:
        case "ONNX":
            return adapt_onnx(read_onnx(path), features), TORCHVISION
        case "Keras":
            return read_vgg_cam(path), CAFFE
        case "PyTorch":
            return network_of(read_state_dict(path), architecture=architecture), TORCHVISION


def _normalisation(said: Mapping[str, Any]) -> Normalisation:
    """From JSON, where tuples are lists."""
    return Normalisation(
        mean=tuple(said["mean"]), std=tuple(said["std"]), channel_order=said["channel_order"]
    )


def _tell_normalisation(network: Network, given: Normalisation | None, usual: Normalisation) -> None:
    if given is None:
        told = (
            "Caffe's (BGR minus its means)"
            if usual == CAFFE
            else "torchvision's (RGB, ImageNet's mean and std)"
        )
        network.notes.append(_TOLD.format("its normalisation", told))
