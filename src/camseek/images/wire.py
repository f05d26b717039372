"""What a process that decodes and the one that asks it say to each other: frames over two pipes.

A frame is one letter, the length of what follows in eight bytes, and that. Nothing is unpickled: a decoder
that a picture has taken over can say nothing but numbers, text and pixels, and those are checked.
"""

import io
import struct
from collections import OrderedDict
from typing import Any

HELLO = b"H"  # worker: it is ready
JOB = b"J"  # caller: what to decode (JSON), then the file's first block
READ = b"R"  # worker: a block of the file, please (its number)
BLOCK = b"B"  # caller: here it is
FAILED = b"F"  # caller: reading failed (the system's error number)
TURN = b"T"  # worker: this will take much memory; may it?
GRANTED = b"G"  # caller: now
PICTURE = b"P"  # worker: what was decoded (JSON), then the pixels
ERROR = b"E"  # worker: why it was not (JSON)

BLOCK_BYTES = 1 << 20
"""Files are read in blocks of this size."""

_KEPT_BLOCKS = 8
_BUFFER = 1 << 16
_FRAME = struct.Struct("<cQ")
_NUMBER = struct.Struct("<Q")
_LONGEST_TEXT = 1 << 20


class BrokenWireError(Exception):
    """The other side has gone, or says what makes no sense."""


class Wire:
    """One end of the two pipes."""

    def __init__(self, incoming: io.RawIOBase, outgoing: io.RawIOBase) -> None:
        """Takes two pipes, unbuffered."""
        self._incoming = incoming
        self._outgoing = outgoing

    def send(self, kind: bytes, content: bytes | bytearray | memoryview = b"") -> None:
        """Sends one frame.

        Raises:
            BrokenWireError: The other side has gone.
        """
        head = _FRAME.pack(kind, len(content))
        if len(content) <= 4096:
            self._write(head + content)
        else:
            self._write(head)
            self._write(content)

    def send_number(self, kind: bytes, number: int) -> None:
        """Sends a frame that holds a number, 0 or more.

        Raises:
            BrokenWireError: The other side has gone.
        """
        self.send(kind, _NUMBER.pack(number))

    def receive(self, most: int = _LONGEST_TEXT) -> tuple[bytes, bytearray]:
        """Waits for one frame, of at most so many bytes.

        Raises:
            BrokenWireError: The other side has gone, or sends what is no frame.
        """
        kind, length = _FRAME.unpack(self._read(_FRAME.size))
        if length > most:
            raise BrokenWireError(f"a frame of {length} bytes")
        return kind, self._read(length)

    def _write(self, content: bytes | bytearray | memoryview) -> None:
        rest = memoryview(content)
        try:
            while len(rest):
                rest = rest[self._outgoing.write(rest) or 0 :]
        except (OSError, ValueError) as error:
            raise BrokenWireError(str(error)) from error

    def _read(self, count: int) -> bytearray:
        found = bytearray(count)
        rest = memoryview(found)
        try:
            while len(rest):
                got = self._incoming.readinto(rest)
                if not got:
                    raise BrokenWireError("the other side has gone")
                rest = rest[got:]
        except (OSError, ValueError) as error:
            raise BrokenWireError(str(error)) from error
        return found


def number_of(content: bytes | bytearray) -> int:
    """The number that a frame holds.

    Raises:
        BrokenWireError: It holds none.
    """
    if len(content) != _NUMBER.size:
        raise BrokenWireError("a number of another length")
    return _NUMBER.unpack(content)[0]


class RemoteFile(io.RawIOBase):
    """A file that the other side reads: no process that decodes opens any."""

    def __init__(self, wire: Wire, size: int, first: bytes | bytearray) -> None:
        """Takes the file's size and its first block."""
        self._wire = wire
        self.size = size
        self._at = 0
        self._blocks: OrderedDict[int, bytes | bytearray] = OrderedDict({0: first})

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves there.

        Raises:
            ValueError: That lies before the beginning.
        """
        at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence] + offset
        if at < 0:
            raise ValueError(f"negative seek position {at}")
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        """Reads up to the end of a block.

        Raises:
            OSError: Reading failed on the other side.
        """
        view = memoryview(buffer).cast("B")
        if self._at >= self.size or not len(view):
            return 0
        number, offset = divmod(self._at, BLOCK_BYTES)
        found = memoryview(self._block(number))[offset : offset + len(view)]
        view[: len(found)] = found
        self._at += len(found)
        return len(found)

    def _block(self, number: int) -> bytes | bytearray:
        if number not in self._blocks:
            self._wire.send_number(READ, number)
            kind, content = self._wire.receive(BLOCK_BYTES)
            if kind == FAILED:
                raise OSError(number_of(content), "reading failed")
            self._blocks[number] = content
            # The first one is kept: decoders come back to it most.
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.pop(next(key for key in self._blocks if key))
        return self._blocks[number]


class BoundedReader(io.BufferedReader):
    """Reads a remote file, and makes no room for more bytes than it has: headers ask for gigabytes."""

    def __init__(self, raw: RemoteFile) -> None:
        """Takes the file."""
        super().__init__(raw, _BUFFER)
        self._size = raw.size

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to so many bytes; all that are left where it is negative or None."""
        left = max(self._size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))
