"""What a JPEG file's markers say: ITU T.81, annex B."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from camseek.results import Size

_MOST_SEGMENTS = 4096
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_READ = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_START = re.compile(rb"\xff\xd8\xff[\xc0-\xcf\xdb\xdd\xe0-\xef\xfe]")
_BLOCK = 1 << 22
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class JpegFrame:
    """A JPEG's frame header.

    Attributes:
        process: The marker's second byte.
        bits: Of a sample.
        size: Width and height.
        components: Number of components.
    """

    process: int
    bits: int
    size: Size
    components: int

    @property
    def unread(self) -> str | None:
        """What it is that is not read here, or None."""
        if self.process == 0xF7:
            return "JPEG-LS"
        if self.process not in _READ:
            kinds = {0xC3: "lossless", 0xC7: "lossless", 0xCB: "lossless", 0xCF: "lossless"}
            return f"{kinds.get(self.process, 'hierarchical')} JPEG"
        if self.bits != 8:
            return f"JPEG of {self.bits} bits"
        if self.components not in (1, 3, 4):
            return f"JPEG of {self.components} components"
        return None


def jpeg_frame(file: BinaryIO, start: int = 0) -> JpegFrame | None:
    """The frame header of a JPEG that begins at a place of a file, or None where none is found."""
    at = start + 2
    for _ in range(_MOST_SEGMENTS):
        file.seek(at)
        head = file.read(4)
        length = int.from_bytes(head[2:4], "big")
        if len(head) < 4 or head[0] != 0xFF or head[1] < 0xC0 or head[1] == 0xDA or length < 2:
            return None
        if head[1] in _FRAMES:
            body = file.read(6)
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            return JpegFrame(head[1], body[0], (width, height), body[5]) if len(body) == 6 else None
        at += 2 + length
    return None


def jpegs_within(file: BinaryIO) -> Iterator[tuple[int, JpegFrame]]:
    """Where in a file JPEGs begin that are read here, and their frames, at most within its first gigabyte."""
    place, kept = 0, b""
    while place < _MOST_BYTES:
        file.seek(place)
        block = file.read(_BLOCK)
        if not block:
            return
        data = kept + block
        for found in _START.finditer(data):
            start = place - len(kept) + found.start()
            frame = jpeg_frame(file, start)
            if frame is not None and frame.unread is None and min(frame.size) > 0:
                yield start, frame
        kept = data[-3:]
        place += len(block)
