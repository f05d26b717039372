"""A call in a process of its own, with limits: what crashes, never ends or takes all memory ends there alone.

Guards in Python do not hold what runs in native code: readers of models and networks themselves. The called
function takes and gives plain values (JSON), so that nothing that the other process became can do harm here.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from camseek import errors
from camseek.errors import CamseekError

_START = "import sys; sys.path[:] = sys.argv[1:]; from camseek.limited import main; main()"
# A process that waits for something else than the processor is given up after so many times the limit.
_PATIENCE = 10.0
_LONGEST_ANSWER = 16_000_000

Reason = Literal["crashed", "time", "memory", "start"]


class LimitError(Exception):
    """The call did not come back.

    Attributes:
        reason: Why: it crashed, took too long or too much memory, or could not be started.
    """

    def __init__(self, reason: Reason, what: str) -> None:
        super().__init__(what)
        self.reason: Reason = reason


def call(function: str, arguments: Mapping[str, Any], *, seconds: float, memory: int) -> Any:
    """Calls a function of camseek's in a process with limits.

    Args:
        function: ``module:name``.
        arguments: By name, plain values.
        seconds: Processor time that it may take, in all threads.
        memory: Bytes that it may take beyond what Python takes (Linux alone can hold it to them).

    Returns:
        What it returns, as JSON has it.

    Raises:
        CamseekError: It raised that.
        LimitError: It did not come back.
    """
    job = {"function": function, "arguments": dict(arguments), "seconds": seconds, "memory": memory}
    process = _started()
    try:
        answer, _ = process.communicate(json.dumps(job).encode(), timeout=seconds * _PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise LimitError("time", f"it took more than {seconds * _PATIENCE:.0f} seconds") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if not answer:
        raise _end_of(process.returncode, seconds)
    told: dict[str, Any] = json.loads(answer[:_LONGEST_ANSWER])
    if "memory" in told:
        raise LimitError("memory", f"it took more than {memory / 1e9:.1f} GB of memory")
    if "error" in told:
        kind = getattr(errors, told["error"])
        raise kind(told["message"], remedy=told["remedy"])
    return told["result"]


def _started() -> "subprocess.Popen[bytes]":
    # Not the working folder, which may be a stranger's: it would be imported from.
    own = str(Path(__file__).resolve().parents[1])
    paths = [os.path.abspath(path) for path in sys.path if path]
    if own not in paths:
        paths.append(own)
    interpreter = os.environ.get("CAMSEEK_PYTHON") or sys.executable
    # A frozen program would start itself over and over.
    if not interpreter or (getattr(sys, "frozen", False) and "CAMSEEK_PYTHON" not in os.environ):
        raise LimitError("start", "this program is no Python to start one with; CAMSEEK_PYTHON can name one")
    try:
        return subprocess.Popen(  # noqa: S603  # our own interpreter
            [interpreter, "-P", "-c", _START, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise LimitError("start", f"no process can be started: {error.strerror or error}") from error


def _end_of(code: int, seconds: float) -> LimitError:
    """Why a process ended without a word."""
    if -code in (getattr(signal, "SIGPROF", 0), getattr(signal, "SIGXCPU", 0)):
        return LimitError("time", f"it took more than {seconds:.0f} seconds of processor time")
    if code < 0:
        with suppress(ValueError):
            return LimitError("crashed", f"it ended its process ({signal.Signals(-code).name})")
    return LimitError("crashed", f"it ended its process (code {code})")


def main() -> None:
    """Does the call that standard input names, and says on standard output what came of it."""
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):  # what a library prints goes nowhere
        os.dup2(nowhere, stream)
    job = json.loads(sys.stdin.buffer.read())
    module, _, name = job["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    _limit(job["seconds"], job["memory"])
    told: dict[str, Any]
    try:
        told = {"result": function(**job["arguments"])}
    except CamseekError as error:
        kind = next(item for item in type(error).__mro__ if hasattr(errors, item.__name__))
        told = {"error": kind.__name__, "message": error.message, "remedy": error.remedy}
        if isinstance(error.__cause__, MemoryError):
            told = {"memory": True}
    except MemoryError:
        told = {"memory": True}
    with os.fdopen(answer, "wb") as file:
        file.write(json.dumps(told).encode())
    os._exit(0)  # threads of libraries that still run are of no interest


def _limit(seconds: float, memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who ends this one
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # No native code can put this off.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    with suppress(OSError, ValueError, StopIteration), open("/proc/self/status", "rb") as file:
        held = next(int(line.split()[1]) << 10 for line in file if line.startswith(b"VmData:"))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        wanted = held + memory
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
