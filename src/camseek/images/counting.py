"""Parts of a file counted up to a limit, without decoding: its frames or scans.

Pillow counts by reading all there is of each, and some of it by the square of their number.
"""

import os
import re
from typing import BinaryIO

from camseek.images.directories import MAX_PAGES

MOST_SCANS = 300
"""More scans in a JPEG are refused: programs write about ten, and each goes over the whole picture."""

_SCAN_OR_END = re.compile(rb"\xff[\xda\xd9]")
_CHUNK = 1 << 20


def count_gif_frames(file: BinaryIO) -> int:
    """Pictures in a GIF file, up to the limit, to its end or to where it is damaged; at least 1."""
    file.seek(10)
    _skip_colours(file)
    file.seek(2, os.SEEK_CUR)
    frames = 0
    while frames < MAX_PAGES:
        kind = file.read(1)
        if kind == b"!":
            file.read(1)
        elif kind == b",":
            frames += 1
            file.read(8)
            _skip_colours(file)
            file.read(1)
        elif kind in (b"", b";"):
            break
        else:
            continue
        while length := file.read(1)[:1]:
            if not length[0]:
                break
            file.seek(length[0], os.SEEK_CUR)
    return max(frames, 1)


def _skip_colours(file: BinaryIO) -> None:
    """Goes past the byte that says so, and past a table of colours, if there is one."""
    flags = (file.read(1) or b"\0")[0]
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)


def too_many_scans(file: BinaryIO, start: int) -> bool:
    """Whether a JPEG has more scans than the limit; ``start`` lies behind the head of its first one.

    In a scan's own data each 0xFF is followed by zero, so that only markers look like markers. What lies in
    tables and comments between scans may look like one or two more.
    """
    file.seek(start)
    scans, rest = 1, b""
    while chunk := file.read(_CHUNK):
        for found in _SCAN_OR_END.finditer(rest + chunk):
            if found[0] == b"\xff\xd9":
                return False
            scans += 1
            if scans > MOST_SCANS:
                return True
        rest = chunk[-1:]
    return False
