"""A call in a process of its own, with limits: what crashes, never ends or takes all memory ends there alone.

Guards in Python do not hold what runs in native code: readers of models and networks themselves. The called
function takes and gives plain values (JSON), and its answer is checked, so that nothing that the other
process became can do harm here.
"""

import importlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Literal, cast

from camseek import jsontext
from camseek.children import (
    FREE_MEMORY,
    StartError,
    end_of,
    ended_from_outside,
    error_of,
    keep_to_oneself,
    limit_memory,
    limit_time,
    named,
    start,
    take_pipes,
    told_error,
)
from camseek.errors import CamseekError

_START = "from camseek.limited import main; main()"
# A process that waits for something else than the processor is given up after so many times the limit.
_PATIENCE = 10.0
# Bytes and values.
_LONGEST_ANSWER, _MOST_VALUES = 16_000_000, 1_000_000

Reason = Literal["crashed", "time", "memory", "start", "outside"]


class LimitError(Exception):
    """The call did not come back.

    Attributes:
        reason: Why: it crashed, took too long or too much memory, could not be started, or somebody else
            ended it. The last two say nothing of what it was called with.
        remedy: What to do about one of the last two; else nothing.
    """

    def __init__(self, reason: Reason, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.reason: Reason = reason
        self.remedy = remedy


def call(function: str, arguments: Mapping[str, Any], *, seconds: float, memory: int) -> Any:
    """Calls a function of camseek's in a process with limits.

    Args:
        function: ``module:name``.
        arguments: By name, plain values.
        seconds: Processor time that it may take, in all threads.
        memory: Bytes that it may take beyond what Python takes (Linux alone can hold it to them).

    Returns:
        What it returns, as JSON has it; at most 16 MB of that.

    Raises:
        CamseekError: It raised that.
        LimitError: It did not come back.
    """
    job = {"function": function, "arguments": dict(arguments), "seconds": seconds, "memory": memory}
    try:
        process = start(_START)
    except StartError as error:
        raise LimitError("start", str(error), error.remedy) from error
    answer = _answer(process, json.dumps(job).encode() + b"\n", seconds)
    told = _told(answer)
    if told.get("memory") is True:
        raise LimitError("memory", f"it took more than {memory / 1e9:.1f} GB of memory")
    if "result" in told:
        return told["result"]
    error = error_of(told.get("error"), CamseekError)
    raise error or _nonsense()


def _answer(process: "subprocess.Popen[bytes]", job: bytes, seconds: float) -> bytes:
    """What a process answers to a job; it has gone afterwards.

    Raises:
        LimitError: It does not answer, or not in time, or at too much length.
    """
    deadline = time.monotonic() + seconds * _PATIENCE
    pipes = cast(tuple[BinaryIO, BinaryIO], (process.stdin, process.stdout))
    heard = bytearray()
    talk = threading.Thread(target=_talk, args=(*pipes, job, heard), daemon=True)
    try:
        talk.start()
        talk.join(deadline - time.monotonic())
        if len(heard) > _LONGEST_ANSWER:
            raise LimitError("crashed", f"it answered with more than {_LONGEST_ANSWER / 1e6:.0f} MB")
        code = process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired as error:
        raise LimitError("time", f"it took more than {seconds * _PATIENCE:.0f} seconds") from error
    finally:
        process.kill()
        process.wait()
        talk.join(1.0)  # one that left the pipe to others is not waited for
        if not talk.is_alive():
            for pipe in pipes:
                with suppress(OSError):
                    pipe.close()
    if code == 0:
        return bytes(heard)
    match end_of(code):
        case "time":
            raise LimitError("time", f"it took more than {seconds:.0f} seconds of processor time")
        case "outside":
            raise LimitError("outside", f"the process {ended_from_outside(code)}", FREE_MEMORY)
        case "crashed":
            raise LimitError("crashed", f"it ended its process ({named(code)})")


def _talk(outgoing: BinaryIO, incoming: BinaryIO, job: bytes, heard: bytearray) -> None:
    """Says what is to be done, and hears what comes back, to the end or a little beyond what it may be."""
    rest = memoryview(job)
    with suppress(OSError):
        while len(rest):
            rest = rest[outgoing.write(rest) :]
        while len(heard) <= _LONGEST_ANSWER and (part := incoming.read(1 << 16)):
            heard += part


def _told(answer: bytes) -> dict[str, Any]:
    """What an answer says.

    Raises:
        LimitError: It makes no sense.
    """
    try:
        told = jsontext.loads(answer, _MOST_VALUES)
    except ValueError as error:
        raise _nonsense() from error
    if not isinstance(told, dict):
        raise _nonsense()
    return cast(dict[str, Any], told)


def _nonsense() -> LimitError:
    return LimitError("crashed", "it answered nonsense")


def main() -> None:
    """Does the call that standard input names, and says on standard output what came of it."""
    incoming, outgoing = take_pipes()
    keep_to_oneself()
    # It stays open: when the caller closes it, this process ends.
    with os.fdopen(incoming, "rb", closefd=False) as file:
        job = json.loads(file.readline())
    module, _, name = job["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    limit_memory(job["memory"])
    limit_time(job["seconds"])
    told: dict[str, Any]
    try:
        told = {"result": function(**job["arguments"])}
    except CamseekError as error:
        told = {"memory": True} if isinstance(error.__cause__, MemoryError) else {"error": told_error(error)}
    except MemoryError:
        told = {"memory": True}
    with os.fdopen(outgoing, "wb") as file:
        file.write(json.dumps(told).encode())
    os._exit(0)  # threads of libraries that still run are of no interest
