"""The process that decodes: one picture after the other, for the process that started it.

It holds what a picture may cost: a crash ends this process alone, and the system ends it, or refuses it
memory, where a decoder takes more than its share. It opens no file, takes no notice of Ctrl-C (whoever asked
does), and ends with the process that started it.
"""

import io
import json
import mmap
from contextlib import suppress
from typing import Any, cast

from camseek.arguments import read_region
from camseek.children import keep_to_oneself, limit_memory, limit_time, take_pipes, told_error
from camseek.config import Resize
from camseek.errors import CamseekError, FailedPictureError, PictureError, RegionError
from camseek.images.decode import budget_of, decode, too_much
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
)

# Above what a picture may take: stacks of threads that decoders start, and what the heap keeps.
_SLACK = 512 << 20


def main() -> None:
    """Decodes until the other side has gone."""
    wire = _take_pipes()
    keep_to_oneself()
    with suppress(BrokenWireError):
        wire.send(HELLO)
        while True:
            kind, content = wire.receive()
            if kind != JOB:
                break
            _serve(wire, json.loads(content.decode()))


def _take_pipes() -> Wire:
    incoming, outgoing = take_pipes()
    return Wire(io.FileIO(incoming, "r"), io.FileIO(outgoing, "w"))


def _serve(wire: Wire, job: dict[str, Any]) -> None:
    """Decodes one picture, and says what came of it."""
    _, first = wire.receive()
    file = BoundedReader(RemoteFile(wire, job["size"], first))
    limited = limit_memory(budget_of(job["max_pixels"]) + _SLACK)
    limit_time(job["seconds"])
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
            told = too_much(budget_of(job["max_pixels"]))
        limit_time(0)
        wire.send(ERROR, json.dumps(told_error(told)).encode())
    except BrokenWireError:
        raise
    except Exception as error:  # whatever it is, it costs this picture alone
        limit_time(0)
        fault = FailedPictureError(
            f"decoding it failed: {type(error).__name__}: {' '.join(str(error).split())[:120]}",
            remedy="give another copy, or leave it out",
        )
        wire.send(ERROR, json.dumps(told_error(fault)).encode())
    else:
        limit_time(0)
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


def _system_has(most: float) -> bool:
    """Whether the system would have given so many bytes, so that it was our limit that refused them."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    with suppress(OSError, ValueError, MemoryError):
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        mmap.mmap(-1, int(most) + _SLACK).close()
        return True
    return False


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
