"""Networks in half precision, for GPUs that compute so."""

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from camseek.errors import DeviceError


def in_float16(network: Path, outputs: Collection[str]) -> bytes:
    """A network that computes in float16, and takes and gives float32.

    The converter is ONNX Runtime's own, which ships with it.

    Args:
        network: Its file, whose checksum was compared.
        outputs: What it is to give; what else it gives, such as the classifier's weights, is left out.

    Raises:
        DeviceError: It cannot be converted, or the package ``onnx`` is not installed.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
        converter: Any = importlib.import_module("onnxruntime.transformers.float16")
    except ImportError as error:
        raise DeviceError(
            f"half precision needs the package onnx, which cannot be loaded: {error}",
            remedy="pip install 'camseek[cuda]', or use --precision float32",
        ) from error
    try:
        model = onnx.load(str(network))
        kept = [output for output in model.graph.output if output.name in outputs]
        del model.graph.output[:]
        model.graph.output.extend(kept)
        made = converter.convert_float_to_float16(model, keep_io_types=True)
        return bytes(made.SerializeToString())
    except Exception as error:  # the converter's errors have no common base
        raise DeviceError(
            f"{network} cannot be computed in float16: {error!s:.300}", remedy="use --precision float32"
        ) from error
