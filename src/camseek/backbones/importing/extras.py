"""Packages that only importing needs, loaded when they are, and absent from a plain install."""

import importlib
from typing import Any

from camseek.errors import ModelError

# None of them is typed in a way that a strict checker can follow, so they are Any here and nowhere else.


def load_onnx() -> Any:
    """The package ``onnx``.

    Raises:
        ModelError: It is not installed.
    """
    return _load("onnx", "models")


def load_h5py() -> Any:
    """The package ``h5py``.

    Raises:
        ModelError: It is not installed.
    """
    return _load("h5py", "models")


def load_torch() -> Any:
    """PyTorch.

    Raises:
        ModelError: It is not installed.
    """
    return _load("torch", "torch")


def _load(package: str, extra: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ModelError(
            f"importing this model needs the package {package}, which cannot be loaded: {error}",
            remedy=f"pip install 'camseek[{extra}]'",
        ) from error
