"""What Pillow and pi-heif do not say of HEIF and AVIF: colour by numbers (ISO/IEC 14496-12 and 23008-12)."""

import struct
from io import BytesIO

from camseek.images.jpeg2000 import boxes


def nclx(content: bytes) -> tuple[int, int] | None:
    """Colour primaries and transfer (H.273) that the primary picture's properties give, or None."""
    file = BytesIO(content)
    meta = next((item for item in boxes(file, 0, len(content)) if item[0] == b"meta"), None)
    if meta is None:
        return None
    inner = {kind: (at, size) for kind, at, size in boxes(file, meta[1] + 4, meta[1] + meta[2])}
    if b"pitm" not in inner or b"iprp" not in inner:
        return None
    at, size = inner[b"pitm"]
    body = content[at : at + size]
    primary = int.from_bytes(body[4:8] if body[:1] != b"\0" else body[4:6], "big")
    at, size = inner[b"iprp"]
    parts = {kind: (place, length) for kind, place, length in boxes(file, at, at + size)}
    if b"ipco" not in parts or b"ipma" not in parts:
        return None
    at, size = parts[b"ipco"]
    properties = [
        (kind, content[place : place + length]) for kind, place, length in boxes(file, at, at + size)
    ]
    at, size = parts[b"ipma"]
    for number in _properties_of(content[at : at + size], primary):
        kind, body = properties[number - 1] if 0 < number <= len(properties) else (b"", b"")
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 8:
            return struct.unpack_from(">HH", body, 4)
    return None


def _properties_of(body: bytes, item: int) -> list[int]:
    """Numbers of an item's properties, by the box ``ipma``; none where it is damaged."""
    try:
        (head, entries), at = struct.unpack_from(">II", body), 8
        wide, large = head & 1, head >> 24 > 0
        for _ in range(min(entries, 1 << 16)):
            number, count = struct.unpack_from(">IB" if large else ">HB", body, at)
            at += 5 if large else 3
            found = struct.unpack_from(f">{count}{'H' if wide else 'B'}", body, at)
            at += count * (2 if wide else 1)
            if number == item:
                return [value & (0x7FFF if wide else 0x7F) for value in found]
    except struct.error:
        pass
    return []
