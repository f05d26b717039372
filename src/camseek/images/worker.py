"""The process that decodes: one picture after the other, for the process that started it.

It holds what a picture may cost: a crash ends this process alone, and the system ends it, or refuses it
memory, where a decoder takes more than its share. It opens no file, takes no notice of Ctrl-C (whoever asked
does), and ends with the process that started it.
"""

import io
import json
import mmap
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, cast

from camseek.arguments import read_region
from camseek.config import Resize
from camseek.errors import CamseekError, FailedPictureError, PictureError, RegionError, TooLargeError
from camseek.images.decode import budget_of, decode
from camseek.images.picture import Picture
from camseek.images.wire import (
    ERROR,
    GRANTED,
    HELLO,
    JOB,
    PICTURE,
    TURN,
    BoundedReader,
    BrokenWireError,
    RemoteFile,
    Wire,
    told_error,
)

# Above what a picture may take: stacks of threads that decoders start, and what the heap keeps.
_SLACK = 512 << 20


def main() -> None:
    """Decodes until the other side has gone."""
    wire = _take_pipes()
    _keep_to_oneself()
    with suppress(BrokenWireError):
        wire.send(HELLO)
        while True:
            kind, content = wire.receive()
            if kind != JOB:
                break
            _serve(wire, json.loads(content.decode()))


def _take_pipes() -> Wire:
    """Keeps the pipes to oneself: what a library prints goes nowhere."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    threading.Thread(target=_end_with_caller, args=(incoming,), daemon=True).start()
    return Wire(io.FileIO(incoming, "r"), io.FileIO(outgoing, "w"))


def _end_with_caller(incoming: int) -> None:
    """Ends this process when the other end of the pipe is closed, also in the middle of a picture."""
    import select

    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(incoming, 0)  # nothing but its closing
        poll.poll()
        os._exit(0)


def _keep_to_oneself() -> None:
    """Ctrl-C is for the caller, a crash leaves no core behind, and where memory runs out this one goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x8003)  # no box about a crash that waits for a click
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _serve(wire: Wire, job: dict[str, Any]) -> None:
    """Decodes one picture, and says what came of it."""
    _, first = wire.receive()
    file = BoundedReader(RemoteFile(wire, job["size"], first))
    limited = _limit_memory(budget_of(job["max_pixels"]) + _SLACK)
    _limit_time(job["seconds"])
    try:
        picture = decode(
            file,
            resize=Resize.parse(job["resize"]),
            multiple=job["multiple"],
            max_pixels=job["max_pixels"],
            region=read_region(job["region"]),
            turn=cast(Any, _Turn(wire)),
        )
    except (PictureError, RegionError) as error:
        told: CamseekError = error
        if limited and isinstance(error.__cause__, MemoryError) and _system_has(budget_of(job["max_pixels"])):
            told = over_budget(job["max_pixels"])
        _limit_time(0)
        wire.send(ERROR, json.dumps(told_error(cast(Any, told))).encode())
    except BrokenWireError:
        raise
    except Exception as error:  # whatever it is, it costs this picture alone
        _limit_time(0)
        fault = FailedPictureError(
            f"decoding it failed: {type(error).__name__}: {' '.join(str(error).split())[:120]}",
            remedy="give another copy, or leave it out",
        )
        wire.send(ERROR, json.dumps(told_error(fault)).encode())
    else:
        _limit_time(0)
        _send(wire, picture)


def _send(wire: Wire, picture: Picture) -> None:
    told = {
        "shape": picture.pixels.shape,
        "size": picture.size,
        "format": picture.format,
        "frames": picture.frames,
        "warnings": picture.warnings,
    }
    wire.send(PICTURE, json.dumps(told).encode())
    wire.send(PICTURE, memoryview(picture.pixels.tobytes()))


def over_budget(max_pixels: int) -> TooLargeError:
    """The error where a decoder wants more than any picture may take."""
    return TooLargeError(
        f"decoding it takes more than {budget_of(max_pixels) / 1e9:.1f} GB of memory",
        remedy="make a smaller copy, save it as JPEG or PNG, or raise the limit with --max-megapixels",
    )


def _limit_memory(most: float) -> bool:
    """Lets this process take so many bytes more than it holds; returns whether the system can do that."""
    if sys.platform != "linux":
        return False
    import resource

    try:
        with open("/proc/self/status", "rb") as file:
            held = next(int(line.split()[1]) << 10 for line in file if line.startswith(b"VmData:"))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        wanted = held + int(most)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    except (OSError, ValueError, StopIteration):
        return False
    return True


def _system_has(most: float) -> bool:
    """Whether the system would have given so many bytes, so that it was our limit that refused them."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    with suppress(OSError, ValueError, MemoryError):
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        mmap.mmap(-1, int(most) + _SLACK).close()
        return True
    return False


def _limit_time(seconds: float) -> None:
    """Lets this process use so much processor time from now on, in all threads; 0 for no limit.

    The system ends it with ``SIGPROF``: no decoder can put that off.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


class _Turn:
    """Asks the caller for the turn of pictures that take much memory; it ends with the picture."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __enter__(self) -> None:
        self._wire.send(TURN)
        if self._wire.receive()[0] != GRANTED:
            raise BrokenWireError("no turn")

    def __exit__(self, *_: object) -> None:
        """Nothing: the caller knows when the picture is done."""
