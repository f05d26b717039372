"""TIFF files in every layout, depth, order of bytes and compression, from arrays."""

import lzma
import struct
import zlib

import numpy as np


def write(values, *, photometric, bits, form=1, order="<", planar=False, block=None, tiled=False,
          compression=1, predictor=1, fill=1, extra=(), palette=None, tags=(), big=False):  # fmt: skip
    """A TIFF file of one page.

    Args:
        values: (H, W, S), numbers of the samples as they are stored.
        block: Width and height of a tile, or rows of a strip.
    """
    height, width, samples = values.shape
    across, down = block if tiled else (width, block or height)
    planes = [values[..., plane : plane + 1] for plane in range(samples)] if planar else [values]
    blocks = []
    for plane in planes:
        for top in range(0, height, down):
            for left in range(0, width, across):
                part = plane[top : top + down, left : left + across]
                if tiled:
                    gaps = (0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)
                    part = np.pad(part, gaps, mode="edge")
                data = packed(part, bits, form, order, predictor)
                if fill == 2 and compression == 1:
                    data = backwards(data)
                data = compressed(data, compression)
                blocks.append(backwards(data) if fill == 2 and compression != 1 else data)
    fields = {
        256: ("I", [width]), 257: ("I", [height]), 258: ("H", [bits] * samples),
        259: ("H", [compression]), 262: ("H", [photometric]), 266: ("H", [fill]), 277: ("H", [samples]),
        284: ("H", [2 if planar else 1]), 317: ("H", [predictor]), 339: ("H", [form] * samples),
    }  # fmt: skip
    if photometric is None:
        del fields[262]
    if extra:
        fields[338] = ("H", list(extra))
    if palette is not None:
        fields[320] = ("H", [int(value) for value in palette])
    starts, at = [], 16
    for data in blocks:
        starts.append(at)
        at += len(data) + len(data) % 2
    if tiled:
        fields |= {
            322: ("I", [across]),
            323: ("I", [down]),
            324: ("I", starts),
            325: ("I", list(map(len, blocks))),
        }
    else:
        fields |= {273: ("I", starts), 278: ("I", [down]), 279: ("I", list(map(len, blocks)))}
    fields |= dict(tags)
    body = b"".join(data + bytes(len(data) % 2) for data in blocks)
    return head(order, big, at) + body + directory(fields, order, big, at)


def head(order, big, start):
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(order + "HHHQ", 43, 8, 0, start)
    return (mark + struct.pack(order + "HI", 42, start)).ljust(16, b"\0")


def directory(fields, order, big, start, following=0):
    kinds = {"B": 1, "s": 2, "H": 3, "I": 4, "h": 8, "i": 9, "f": 11, "d": 12}
    inline, pointer = (8, "Q") if big else (4, "I")
    entry_size, counter = (20, "Q") if big else (12, "H")
    behind = start + struct.calcsize("=" + counter) + entry_size * len(fields) + inline
    entries, values = b"", b""
    for tag, (code, numbers) in sorted(fields.items()):
        data = numbers if code == "s" else struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        count = len(numbers)
        place = data.ljust(inline, b"\0")
        if len(data) > inline:
            place = struct.pack(order + pointer, behind + len(values))
            values += data + bytes(len(data) % 2)
        entries += struct.pack(order + "HH" + pointer, tag, kinds[code], count) + place
    return (
        struct.pack(order + counter, len(fields)) + entries + struct.pack(order + pointer, following) + values
    )


def packed(part, bits, form, order, predictor):
    """Rows of numbers as bytes."""
    rows, _, samples = part.shape
    if form == 3:
        part = part.astype(f"f{bits // 8}")
        if predictor == 3:
            swapped = (
                part.reshape(rows, -1).astype(f">f{bits // 8}").view(np.uint8).reshape(rows, -1, bits // 8)
            )
            planes = np.ascontiguousarray(swapped.transpose(0, 2, 1)).reshape(rows, -1, samples)
            return differences(planes, np.uint8).tobytes()
        return part.astype(f"{order}f{bits // 8}").tobytes()
    if bits in (8, 16, 32, 64):
        whole = part.astype(np.int64 if form == 2 else np.uint64).astype(f"u{bits // 8}")
        if predictor == 2:
            whole = differences(whole, whole.dtype)
        return whole.astype(f"{order}u{bits // 8}").tobytes()
    if bits == 24:
        four = part.astype(f"{order}u4").reshape(-1).view(np.uint8).reshape(-1, 4)
        return (four[:, :3] if order == "<" else four[:, 1:]).tobytes()
    digits = (part.reshape(rows, -1, 1).astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(rows, -1).astype(np.uint8), axis=1).tobytes()


def differences(values, dtype):
    less = values.copy()
    less[:, 1:] = (values[:, 1:] - values[:, :-1]).astype(dtype)
    return less


def backwards(data):
    return bytes(int(f"{value:08b}"[::-1], 2) for value in data)


def compressed(data, compression):
    match compression:
        case 1:
            return data
        case 8 | 32946:
            return zlib.compress(data)
        case 34925:
            return lzma.compress(data)
        case 32773:
            parts = [data[at : at + 128] for at in range(0, len(data), 128)]
            return b"".join(bytes([len(part) - 1]) + part for part in parts)
        case 5:
            # Only bytes as they are, cleared before codes would need a tenth bit.
            codes = []
            for at in range(0, len(data), 250):
                codes += [256, *data[at : at + 250]]
            digits = "".join(f"{code:09b}" for code in [*codes, 257])
            digits += "0" * (-len(digits) % 8)
            return int(digits, 2).to_bytes(len(digits) // 8, "big")
