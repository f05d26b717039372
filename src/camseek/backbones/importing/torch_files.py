"""PyTorch: state dicts, read without running anything in them, and live modules."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from camseek.backbones.importing.extras import load_onnx, load_torch
from camseek.errors import ModelError

F32 = NDArray[np.float32]

_OPSET = 17
_SIDE = 224
_WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which training scripts keep it


def read_state_dict(path: Path) -> dict[str, F32]:
    """Reads a state dict's file; nothing in it is executed (``weights_only``).

    Raises:
        ModelError: It is none: cut short, or a whole pickled module, say.
    """
    torch = load_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old forms of files, which are no fault of the user
            content = torch.load(str(path), map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}", remedy="check the name") from error
    except Exception as error:  # pickle's, zip's and PyTorch's own
        first = str(error).strip().split("\n", 1)[0]
        raise ModelError(
            f"{path} is no PyTorch state dict that can be read without running its code: {first}",
            remedy="save the weights alone: torch.save(module.state_dict(), file)",
        ) from error
    return state_dict(content)


def state_dict(content: Any) -> dict[str, F32]:
    """The tensors of a state dict, or of a checkpoint that holds one, as arrays.

    Raises:
        ModelError: It holds none.
    """
    torch = load_torch()
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):  # pyright: ignore[reportUnknownMemberType]
            content = cast("Any", content[wrapper])
    tensors: dict[str, F32] = {}
    if isinstance(content, Mapping):
        for name, value in cast("Mapping[Any, Any]", content).items():
            if isinstance(value, torch.Tensor):
                tensors[str(name)] = value.detach().cpu().float().numpy()
            elif isinstance(value, np.ndarray):
                tensors[str(name)] = cast("F32", value).astype(np.float32)
    if not tensors:
        raise ModelError(
            "there is no state dict: no tensors by name",
            remedy="save the weights alone: torch.save(module.state_dict(), file)",
        )
    return tensors


def is_module(source: Any) -> bool:
    """Whether something is a live module."""
    return isinstance(source, load_torch().nn.Module)


def export(module: Any) -> Any:
    """A live module as an ONNX model, in evaluation mode; the module is left as it was.

    Raises:
        ModelError: PyTorch cannot export it.
    """
    torch, onnx = load_torch(), load_onnx()
    training = [part for part in module.modules() if part.training]
    parameter = next(iter(module.parameters()), None)
    picture = torch.zeros(1, 3, _SIDE, _SIDE)
    if parameter is not None:
        picture = picture.to(device=parameter.device, dtype=parameter.dtype)
    file = io.BytesIO()
    # Transformers have a shortcut for inference that is one operation, which ONNX has not.
    shortcut = torch.backends.mha.get_fastpath_enabled()
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # the exporter warns of itself
            module.eval()
            torch.backends.mha.set_fastpath_enabled(False)
            torch.onnx.export(
                module,
                (picture,),
                file,
                dynamo=False,
                opset_version=_OPSET,
                input_names=["pixels"],
                output_names=["scores"],
                dynamic_axes={"pixels": {0: "N", 2: "H", 3: "W"}},
            )
    except Exception as error:  # whatever the module raises
        raise ModelError(
            f"PyTorch cannot export the module: {error}", remedy="export it to ONNX and import that file"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(shortcut)
        for part in training:
            part.training = True
    return onnx.load_from_string(file.getvalue())
