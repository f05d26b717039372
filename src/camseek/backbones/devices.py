"""What networks run on: the processor, or an NVIDIA GPU by ONNX Runtime's CUDA provider.

A GPU is asked for with ``camseek.config.Device``. Whether there is one that can be used is found out once a
process, with a network of one node: ONNX Runtime takes the processor, and says nothing, where the provider
cannot be started.
"""

import contextlib
import ctypes
import io
import logging
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camseek.config import Device
from camseek.errors import DeviceError, ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# A network that gives its one number back, of opset 13.
_PROBE = bytes.fromhex(
    "080812003a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801620f0a01"
    "79120a0a08080112040a02080142040a00100d"
)
_CUDA_OPTIONS = {
    # Trying every algorithm for each new size of picture would take longer than the passes.
    "cudnn_conv_algo_search": "HEURISTIC",
    # Sizes differ from picture to picture: room for twice the largest would be wasted.
    "arena_extend_strategy": "kSameAsRequested",
    # Single precision is meant where it is asked for: ten bits of it are not.
    "use_tf32": "0",
}
# Both have the same files: the one that was installed last has overwritten the other's.
_ALONE = "pip uninstall onnxruntime onnxruntime-gpu, and pip install onnxruntime-gpu alone"
_usual = [Device()]
_LOG = logging.getLogger("camseek.device")
_asking = threading.Lock()


@dataclass(frozen=True, slots=True)
class Running:
    """What networks run on.

    Attributes:
        name: ``cpu`` or ``cuda``.
        precision: ``float32`` or ``float16``.
        reason: Why it is the processor though a GPU would have been taken; None otherwise.
    """

    name: str
    precision: str
    reason: str | None = None

    def __str__(self) -> str:
        """One line for people."""
        if self.name == "cuda":
            return f"the GPU, in {self.precision}"
        return "the processor" + (f": {self.reason}" if self.reason else "")


def usual() -> Device:
    """What networks run on in this process where nobody says otherwise."""
    return _usual[0]


def set_usual(device: Device) -> None:
    """Has networks run on this in this process where nobody says otherwise: for the command line."""
    _usual[0] = device


def running(device: Device) -> Running:
    """What networks run on where this is asked for.

    Raises:
        DeviceError: A GPU is asked for, and there is none that can be used: the message says what is missing.
    """
    if device.name == "cpu":
        return Running("cpu", "float32")
    with _asking:
        fault = _fault()
        if fault is None:
            return Running("cuda", device.precision)
        reason, remedy = fault
        if device.name == "cuda":
            raise DeviceError(f"no GPU can be used: {reason}", remedy=f"{remedy}, or use --device cpu")
        _tell_once(reason)
        return Running("cpu", "float32", reason)


@cache
def _tell_once(reason: str) -> None:
    _LOG.info("no GPU can be used, and networks run on the processor: %s", reason)


@cache
def _fault() -> tuple[str, str] | None:
    """Why no GPU can be used, and what helps; None where one can be."""
    import onnxruntime  # slow to import: only where a network is run

    if CUDA not in onnxruntime.get_available_providers():
        return _fault_of_package()
    if (missing := _fault_of_driver()) is not None:
        return missing
    # CUDA's and cuDNN's libraries may have come as packages, where the system does not look for them.
    preload: Any = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            preload()
    try:
        session = _session(_PROBE, options(1), [(CUDA, _CUDA_OPTIONS), CPU])
        if CUDA in session.get_providers():
            return None
        said = ""
    except Exception as error:  # its exceptions have no common base below this
        said = f": {error!s:.300}"
    return (
        f"ONNX Runtime's CUDA provider cannot be started{said}",
        "install CUDA 12 or 13 and cuDNN 9, as your onnxruntime-gpu wants them",
    )


def _fault_of_package() -> tuple[str, str]:
    there = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    if len(there) == 2:
        return (
            "onnxruntime and onnxruntime-gpu are both installed, and one hides the other",
            _ALONE,
        )
    if "onnxruntime-gpu" in there:
        return "this onnxruntime-gpu has no CUDA provider", "install the one of your system"
    return "the package onnxruntime-gpu is not installed", f"pip install 'camseek[cuda]', then {_ALONE}"


def _installed(name: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None


def runtime_version() -> str:
    """The version of ONNX Runtime, of whichever package it comes from."""
    return _installed("onnxruntime") or _installed("onnxruntime-gpu") or "?"


def _fault_of_driver() -> tuple[str, str] | None:
    """Whether NVIDIA's driver is there and has a GPU."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        count = ctypes.c_int(0)
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    except (OSError, AttributeError):
        return f"NVIDIA's driver is not installed ({name})", "install it"
    if failed:
        return f"NVIDIA's driver says error {failed}", "see what nvidia-smi says"
    if not count.value:
        return "NVIDIA's driver sees no GPU", "see what nvidia-smi says, and CUDA_VISIBLE_DEVICES"
    return None


def new_session(network: Path | bytes, threads: int, *, cuda: bool = False) -> "InferenceSession":
    """A network, ready to run.

    Args:
        network: Its file, or what that holds.
        threads: Threads of one pass on the processor.
        cuda: Whether it runs on a GPU: ``running`` says whether there is one.

    Raises:
        ModelError: ONNX Runtime cannot load it.
        DeviceError: It does not run on the GPU.
    """
    taken = network if isinstance(network, bytes) else str(network)
    name = "the network" if isinstance(network, bytes) else str(network)
    providers: list[Any] = [(CUDA, _CUDA_OPTIONS), CPU] if cuda else [CPU]
    try:
        session = _session(taken, options(threads), providers)
    except Exception as error:  # its exceptions have no common base below this
        if cuda:
            raise DeviceError(
                f"{name} cannot be loaded into the GPU: {error!s:.300}", remedy="use --device cpu"
            ) from error
        raise ModelError(
            f"ONNX Runtime cannot load {name}: {error}", remedy="get the model again, or import it again"
        ) from error
    if cuda and CUDA not in session.get_providers():
        raise DeviceError(f"{name} does not run on the GPU", remedy="use --device cpu")
    return session


def _session(network: str | bytes, chosen: "SessionOptions", providers: Sequence[Any]) -> "InferenceSession":
    import onnxruntime

    return onnxruntime.InferenceSession(network, chosen, providers)


def options(threads: int) -> "SessionOptions":
    """How networks are run."""
    from onnxruntime import GraphOptimizationLevel, SessionOptions

    made = SessionOptions()
    # Lower levels load 6 ms sooner, but only the last one's memory layout halves the pass.
    made.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    # Idle threads sleep: spinning would take the processor from decoding, and gains nothing measurable.
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Sizes differ from picture to picture: plans kept for each take memory and save no time. The arena
    # stops growing after some tens of sizes; without it a pass takes twice as long.
    made.enable_mem_pattern = False
    made.log_severity_level = 3  # errors, which are raised as well
    return made
