"""Parts of a file as a file of their own: without metadata, or one picture within another file."""

import io
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

_MOST_CHUNKS = 1 << 20
_MOST_METADATA = 16 << 20
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"})
_PNG_READ = frozenset({b"iCCP", b"eXIf", b"gAMA", b"cHRM", b"sRGB", b"cICP"})
_METADATA_BOXES = frozenset({b"uuid", b"xml ", b"uinf"})


def pieces(file: BinaryIO, parts: Sequence[tuple[int | bytes, int]]) -> BinaryIO:
    """Parts of a file as one, read only: each its place and length, or bytes that stand for it and theirs."""
    return io.BufferedReader(_Pieces(file, parts), 1 << 16)


class _Pieces(io.RawIOBase):
    def __init__(self, file: BinaryIO, parts: Sequence[tuple[int | bytes, int]]) -> None:
        self._file = file
        self._parts: list[tuple[int, int | bytes, int]] = []
        self._size = 0
        for place, length in parts:
            self._parts.append((self._size, place, length))
            self._size += length
        self._at = 0
        self._part = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the file")
        if base + offset < self._at:
            self._part = 0
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        while self._part < len(self._parts):
            start, place, length = self._parts[self._part]
            if self._at < start + length:
                break
            self._part += 1
        else:
            return 0
        skip = self._at - start
        most = min(len(buffer), length - skip)
        if isinstance(place, bytes):
            data = place[skip : skip + most]
        else:
            self._file.seek(place + skip)
            data = self._file.read(most)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@dataclass(slots=True)
class PngParts:
    """What a PNG file says beside its pixels, and where these are.

    Attributes:
        found: Content of the first intact chunk of each kind that is read here.
        broken: Kinds of chunks whose checksum is wrong, without those that pixels need.
        sound: Place and length of all others, with the signature.
        bare: Of those alone that pixels need.
    """

    found: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    broken: list[str] = field(default_factory=list[str])
    sound: list[tuple[int | bytes, int]] = field(default_factory=list[tuple[int | bytes, int]])
    bare: list[tuple[int | bytes, int]] = field(default_factory=list[tuple[int | bytes, int]])


def read_png(file: BinaryIO) -> PngParts:
    """Goes through the chunks of a PNG file (PNG 3, section 5), as far as they go."""
    parts = PngParts(sound=[(0, 8)], bare=[(0, 8)])
    for kind, start, length in _png_chunks(file):
        place = (start - 8, length + 12)
        if kind in _PNG_KEPT or not kind[0] & 0x20:
            parts.sound.append(place)
            parts.bare.append(place)
            continue
        if length <= _MOST_METADATA:
            file.seek(start)
            body, check = file.read(length), file.read(4)
            if zlib.crc32(kind + body).to_bytes(4, "big") != check:
                parts.broken.append(kind.decode() if kind.isalpha() else "of no kind")
                continue
            if kind in _PNG_READ:
                parts.found.setdefault(kind, body)
        parts.sound.append(place)
    return parts


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    at = 8
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        yield kind, at + 8, length
        if kind == b"IEND":
            return
        at += length + 12


def png_profile(body: bytes) -> bytes:
    """The ICC profile in an iCCP chunk.

    Raises:
        ValueError: It is broken, or unpacks to more than 16 MB.
    """
    name, _, packed = body.partition(b"\0")
    if not 1 <= len(name) <= 79 or packed[:1] != b"\0":
        raise ValueError("it is not packed as it says")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _MOST_METADATA)
    except zlib.error as error:
        raise ValueError("it is broken") from error
    if unpacker.unconsumed_tail:
        raise ValueError("it is too large")
    if not unpacker.eof:
        raise ValueError("it is cut short")
    return profile


def without_metadata(file: BinaryIO, format: str) -> BinaryIO | None:
    """The file without what says nothing of its pixels, or None where that cannot be told apart."""
    match format:
        case "PNG":
            return pieces(file, read_png(file).bare)
        case "JPEG":
            return pieces(file, list(_jpeg_parts(file)))
        case "WEBP":
            return pieces(file, list(_webp_parts(file)))
        case _:
            return None


def _jpeg_parts(file: BinaryIO) -> Iterator[tuple[int | bytes, int]]:
    """All but comments and the APP segments that no decoder needs: JFIF's and Adobe's stay."""
    size = file.seek(0, os.SEEK_END)
    yield 0, 2
    at = 2
    while True:
        file.seek(at)
        head = file.read(4)
        length = int.from_bytes(head[2:4], "big") + 2
        if len(head) < 4 or head[0] != 0xFF or length < 4 or not (0xC0 <= head[1] < 0xFF) or head[1] == 0xDA:
            yield at, max(size - at, 0)
            return
        metadata = 0xE1 <= head[1] <= 0xEF and head[1] != 0xEE
        if not metadata:
            yield at, length
        at += length


def _webp_parts(file: BinaryIO) -> Iterator[tuple[int | bytes, int]]:
    """All but the chunks of EXIF, XMP and ICC, and the flags that announce them."""
    size = file.seek(0, os.SEEK_END)
    kept: list[tuple[int | bytes, int]] = []
    at = 12
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        whole = 8 + length + length % 2
        if head[:4] == b"VP8X":
            body = file.read(length)
            flags = bytes([body[0] & ~0b101100]) if body else b""
            kept += [(head, 8), (flags, len(flags)), (at + 9, whole - 8 - len(flags))]
        elif head[:4] not in (b"EXIF", b"XMP ", b"ICCP"):
            kept.append((at, min(whole, size - at)))
        at += whole
    total = 4 + sum(length for _, length in kept)
    yield b"RIFF" + total.to_bytes(4, "little") + b"WEBP", 12
    yield from kept
