"""TIFF files of kinds that Pillow reads wrongly or not at all: what lies in their strips and tiles, by NumPy.

Pillow keeps what it reads rightly and fast: 8 bits, and 16 bits of grey and RGB, their samples side by side.
Here come the others: samples in planes of their own, 2 to 7, 9 to 15, 24, 32 and 64 bits, signed numbers and
floating point, white as zero, bits in the other order. Each strip is unpacked by libtiff as if it were 8-bit
grey, so that every compression of whole bytes goes. TIFF 6.0, with the predictors of Technical Note 3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, TiffImagePlugin

from camseek.errors import UnsupportedPictureError
from camseek.images.directories import Directory
from camseek.images.tones import Tones, finite_range, stretched, tones_of
from camseek.results import Size

if TYPE_CHECKING:
    from typing import BinaryIO
else:
    # Run-time type checkers take BytesIO for none.
    BinaryIO = object

_ROWS_OF = 1 << 20  # numbers that are turned at a time
# None, LZW, Deflate, PackBits, Deflate by its old number, LZMA, Zstandard.
_WHOLE_BYTES = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
_OTHER_CODECS = {2: "CCITT", 3: "CCITT", 4: "CCITT", 6: "JPEG", 7: "JPEG", 50001: "WebP"}
_CODEC_NAMES = {
    9: "JBIG", 10: "JBIG", 32766: "NeXT", 32767: "Sony ARW", 32769: "packed raw", 32809: "ThunderScan",
    33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 33007: "JPEG 2000", 34661: "JBIG",
    34676: "SGI Log", 34677: "SGI Log 24", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy raw JPEG",
    34933: "PNG", 34934: "JPEG XR", 48124: "Jetraw", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
_COLOURS = {0: "L", 1: "L", 2: "RGB", 3: "P", 5: "CMYK", 6: "YCbCr", 8: "LAB", 9: "LAB"}
_COLOUR_NAMES = {
    4: "transparency masks", 10: "ITU L*a*b*", 32844: "LogL", 32845: "LogLuv",
    34892: "linear raw data", 51177: "depth maps", 52527: "semantic masks",
}  # fmt: skip
_BASE = {"L": 1, "P": 1, "RGB": 3, "CMYK": 4, "YCbCr": 3, "LAB": 3}
_REVERSED = np.array([int(f"{value:08b}"[::-1], 2) for value in range(256)], np.uint8)

_Samples = Shaped[np.ndarray, "rows width samples"]


@dataclass(frozen=True, slots=True)
class TiffKind:
    """How a page's pixels are stored.

    Attributes:
        size: Width and height.
        colours: Pillow's name for what the samples are; ``P`` with ``palette``.
        photometric: The tag of that name.
        bits: Of each sample.
        form: ``u`` unsigned, ``i`` signed, ``f`` floating point.
        samples: Of each pixel.
        alpha: 0 none, 1 multiplied in, 2 not; the first sample behind the colours.
        planar: Whether each sample has planes of its own.
        block: Width and height of a tile, or of a strip.
        tiled: Whether the picture is in tiles, which are whole at its edges too.
        compression: The tag.
        predictor: The tag: 2 differences, 3 those of floating point.
        fill: 2 where the bits of a byte stand in reverse.
        order: ``<`` or ``>``.
        offsets: Where each block stands in the file.
        lengths: Bytes of each.
        palette: RGB of each index.
    """

    size: Size
    colours: str
    photometric: int
    bits: int
    form: str
    samples: int
    alpha: int
    planar: bool
    block: Size
    tiled: bool
    compression: int
    predictor: int
    fill: int
    order: str
    offsets: tuple[int, ...]
    lengths: tuple[int, ...]
    palette: UInt8[np.ndarray, "entries 3"] | None = None

    @property
    def mode(self) -> str:
        """Pillow's mode of what ``read_tiff`` gives."""
        base = {"P": "RGB", "YCbCr": "RGB"}.get(self.colours, self.colours)
        if base not in ("L", "RGB"):
            return base
        return base + ("", "a", "A")[self.alpha]

    def memory(self) -> float:
        """Bytes that reading takes at its peak: the picture, a block of each plane, and what is turned."""
        planes = self.samples if self.planar else 1
        across, down = self.block
        width = across * (1 if self.planar else self.samples)
        pixels = self.size[0] * self.size[1]
        return (
            (1 if self.mode == "L" else 4) * pixels
            + 3 * planes * width * down * self.bits / 8
            + 24 * _ROWS_OF
        )


def unsupported(what: str) -> UnsupportedPictureError:
    """The error for a whole picture of a kind that is not read here."""
    return UnsupportedPictureError(
        f"it is of a kind that is not read here: {what}",
        remedy="save a copy as JPEG, PNG, or TIFF of 8 or 16 bits",
    )


def tiff_kind(page: Directory) -> TiffKind | None:
    """How a page is stored, or None where Pillow reads it rightly (or says what is damaged).

    Raises:
        UnsupportedPictureError: It is of a kind that neither reads.
    """
    width, height = page.whole(256), page.whole(257)
    if width < 1 or height < 1:
        return None
    compression = page.whole(259, 1)
    if compression not in _WHOLE_BYTES and compression not in _OTHER_CODECS:
        name = _CODEC_NAMES.get(compression)
        raise unsupported(f"TIFF, compressed by {name}" if name else f"TIFF, compression {compression}")
    samples = page.whole(277, 3 if compression == 6 else 1)
    photometric = _photometric(page, compression, samples)
    colours = _COLOURS.get(photometric)
    if colours is None:
        raise unsupported(f"TIFF, {_COLOUR_NAMES.get(photometric, f'colour space {photometric}')}")
    depths, forms = _each(page.wholes(258) or (1,), samples), _each(page.wholes(339) or (1,), samples)
    if samples < _BASE[colours] or not 1 <= samples <= 64:
        return None
    if len(set(depths)) > 1 or len(set(forms)) > 1:
        raise unsupported("TIFF, samples of unlike depths")
    bits, form = depths[0], {1: "u", 2: "i", 3: "f", 4: "u"}.get(forms[0])
    if form is None:
        raise unsupported("TIFF, complex numbers")
    extra = page.wholes(338)
    alpha = _alpha(colours, samples, extra)
    kind = (colours, bits, form, samples)
    if _pillow_reads(page, kind, photometric, compression):
        return None
    if compression in _OTHER_CODECS:
        raise unsupported(
            f"TIFF, {bits} bits, {_OTHER_CODECS[compression]}-compressed"
            + (", in planes" if page.whole(284, 1) == 2 else "")
        )
    _check(page, kind)
    return _laid_out(page, kind, photometric, alpha, (width, height))


def _photometric(page: Directory, compression: int, samples: int) -> int:
    if compression == 6:
        return 6
    default = 0 if compression in (2, 3, 4) else 2 if samples >= 3 else 1
    return page.whole(262, default)


def _each(values: tuple[int, ...], samples: int) -> tuple[int, ...]:
    """A value for each sample; one stands for all."""
    return values * samples if len(values) == 1 else values[:samples] if samples else values


def _alpha(colours: str, samples: int, extra: tuple[int, ...]) -> int:
    behind = samples - _BASE[colours]
    if behind < 1 or colours not in ("L", "RGB", "P"):
        return 0
    if not extra:
        # Many write four samples and do not say what the last one is.
        return 2 if (colours, samples) == ("RGB", 4) else 0
    return {1: 1, 2: 2, 999: 2}.get(extra[0], 0)


def _pillow_reads(
    page: Directory, kind: tuple[str, int, str, int], photometric: int, compression: int
) -> bool:
    colours, bits, form, samples = kind
    if compression == 6 or (compression in (2, 3, 4) and samples == bits == 1):
        return True
    # Pillow takes one plane for several, white for zero where the tag is missing, and half of BigTIFF.
    ours = page.whole(284, 1) == 2 or 262 not in page.entries or page.big
    if form != "u" or (ours and compression in _WHOLE_BYTES) or (page.whole(284, 1) == 2 and samples > 1):
        return False
    extra = len(page.wholes(338))
    if bits == 1 and samples == 1 and colours == "L":
        return True
    if page.whole(266, 1) != 1:
        return False
    key = (page.order.encode() * 2).replace(b"<", b"I").replace(b">", b"M")[:2]
    kinds = cast("dict[Any, Any]", TiffImagePlugin.OPEN_INFO)
    known = kinds.get((key, photometric, (1,), 1, (bits,) * samples, page.wholes(338)))
    if known is None or (colours == "P" and bits != 8) or extra > 1:
        return False
    if colours == "P":
        return max(page.wholes(320), default=0) > 255
    if bits == 8:
        return colours != "LAB" or photometric == 8
    return bits == 16 and photometric in (1, 2)


def _check(page: Directory, kind: tuple[str, int, str, int]) -> None:
    """Refuses what is whole and not read here."""
    colours, bits, form, _ = kind
    if form == "f" and bits not in (16, 32, 64):
        raise unsupported(f"TIFF, floating point of {bits} bits")
    if (bits > 32 and bits != 64) or bits < 1:
        raise unsupported(f"TIFF, {bits} bits")
    if form == "i" and bits not in (8, 16, 32, 64):
        raise unsupported(f"TIFF, signed numbers of {bits} bits")
    if colours in ("LAB", "YCbCr", "CMYK", "P") and (form != "u" or bits > 16):
        raise unsupported(f"TIFF, {colours} of {bits} bits" + (", floating point" if form == "f" else ""))
    if colours in ("LAB", "YCbCr") and bits not in (8, 16):
        raise unsupported(f"TIFF, {colours} of {bits} bits")
    if colours == "CMYK" and page.whole(332, 1) != 1:
        raise unsupported("TIFF, inks other than cyan, magenta, yellow and black")
    if colours == "YCbCr" and (page.wholes(530) or (2, 2)) != (1, 1):
        raise unsupported(f"TIFF, YCbCr of {bits} bits with fewer colours than tones")
    predictor = page.whole(317, 1)
    if predictor not in (1, 2, 3) or (predictor == 2 and bits not in (8, 16, 32, 64)):
        raise unsupported(f"TIFF, predictor {predictor} of {bits} bits")
    if predictor == 3 and form != "f":
        raise ValueError("a predictor for floating point on whole numbers")


def _laid_out(
    page: Directory, kind: tuple[str, int, str, int], photometric: int, alpha: int, size: Size
) -> TiffKind:
    colours, bits, form, samples = kind
    tiled = 324 in page.entries
    if tiled:
        block = page.whole(322), page.whole(323)
        offsets, lengths = page.wholes(324), page.wholes(325)
    else:
        block = size[0], min(page.whole(278, size[1]), size[1])
        offsets, lengths = page.wholes(273), page.wholes(279)
    if min(block) < 1:
        raise ValueError("blocks of no size")
    planar = page.whole(284, 1) == 2 and samples > 1
    count = -(-size[0] // block[0]) * -(-size[1] // block[1]) * (samples if planar else 1)
    if len(offsets) < count:
        raise ValueError("fewer strips or tiles than the picture has")
    if not lengths:
        # Old programs leave the tag out where nothing is compressed.
        lengths = (1 << 62,) * count
    if len(lengths) < count:
        raise ValueError("fewer lengths of strips than strips")
    return TiffKind(
        size=size,
        colours=colours,
        photometric=photometric,
        bits=bits,
        form=form,
        samples=samples,
        alpha=alpha,
        planar=planar,
        block=block,
        tiled=tiled,
        compression=page.whole(259, 1),
        predictor=page.whole(317, 1),
        fill=page.whole(266, 1),
        order=page.order,
        offsets=offsets,
        lengths=lengths,
        palette=_palette(page, bits) if colours == "P" else None,
    )


def _palette(page: Directory, bits: int) -> UInt8[np.ndarray, "entries 3"]:
    values = np.array(page.wholes(320), np.int64)
    if len(values) != 3 << bits:
        raise ValueError("a palette of another length")
    # Sixteen bits, says the standard; some programs write eight.
    values = values >> 8 if values.max() > 255 else values
    return values.astype(np.uint8).reshape(3, -1).T


# -- pixels -------------------------------------------------------------------------------------------------


def read_tiff(file: BinaryIO, kind: TiffKind) -> Image.Image:
    """The picture, upright or not as it is stored, in the kind's ``mode``.

    Raises:
        ValueError, OSError: It is cut short or damaged.
    """
    tones = None
    if kind.form != "u" or kind.bits > 16:
        low, high = np.inf, -np.inf
        for _, values in _parts(file, kind):
            least, most = finite_range(values[..., : _BASE[kind.colours]])
            low, high = min(low, least), max(high, most)
        tones = tones_of(low, high, kind.form, kind.bits)
    image = Image.new(kind.mode, kind.size)
    for place, values in _parts(file, kind):
        image.paste(_turned(values, kind, tones), place)
    return image


def _parts(file: BinaryIO, kind: TiffKind) -> Iterator[tuple[tuple[int, int], _Samples]]:
    """Where each part of the picture lies, and its samples; parts are some rows of a block."""
    width, height = kind.size
    across, down = kind.block
    columns, rows = -(-width // across), -(-height // down)
    planes = kind.samples if kind.planar else 1
    for number in range(columns * rows):
        left, top = number % columns * across, number // columns * down
        lines = down if kind.tiled else min(down, height - top)
        blocks = [_block(file, kind, number + plane * columns * rows, lines) for plane in range(planes)]
        shown = min(lines, height - top)
        step = max(1, _ROWS_OF // (across * kind.samples))
        for y in range(0, shown, step):
            numbers = [_numbers(block[y : min(y + step, shown)], kind) for block in blocks]
            values = numbers[0] if planes == 1 else np.concatenate(numbers, axis=2)
            yield (left, top + y), values[:, : width - left]


def _block(file: BinaryIO, kind: TiffKind, number: int, lines: int) -> UInt8[np.ndarray, "lines stride"]:
    """The bytes of a strip or tile, unpacked."""
    stride = (kind.block[0] * (1 if kind.planar else kind.samples) * kind.bits + 7) // 8
    file.seek(kind.offsets[number])
    size = stride * lines
    if kind.compression == 1:
        data = np.frombuffer(file.read(size), np.uint8)
        if len(data) < size:
            raise ValueError("a strip or tile is cut short")
        data = _REVERSED[data] if kind.fill == 2 else data
        return data.reshape(lines, stride)
    return _unpacked(file.read(min(kind.lengths[number], 2 * size + 4096)), kind, (stride, lines))


def _unpacked(data: bytes, kind: TiffKind, size: Size) -> UInt8[np.ndarray, "lines stride"]:
    """What libtiff makes of compressed bytes, as a grey picture of 8 bits."""
    width, height = size
    fields = {256: width, 257: height, 258: 8, 259: kind.compression, 262: 1, 266: kind.fill, 273: 0, 277: 1}
    fields |= {278: height, 279: len(data)}
    start = 8 + 2 + 12 * len(fields) + 4
    fields[273] = start
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(fields.items()))
    header = struct.pack("<2sHIH", b"II", 42, 8, len(fields))
    image = TiffImagePlugin.TiffImageFile(BytesIO(header + entries + bytes(4) + data))
    # It holds sizes against Image.MAX_IMAGE_PIXELS where it makes the memory itself.
    image.im = Image.new("L", size, None).im
    image.load()
    return np.asarray(image)


def _numbers(data: UInt8[np.ndarray, "rows stride"], kind: TiffKind) -> _Samples:
    """The samples in some rows of bytes."""
    samples = 1 if kind.planar else kind.samples
    rows, count = len(data), kind.block[0] * samples
    if kind.predictor == 3:
        return _float_differences(data, kind, samples)
    if kind.bits in (8, 16, 32, 64):
        order = kind.order if kind.bits > 8 else "|"
        dtype = np.dtype(f"{order}{kind.form}{kind.bits // 8}")
        values = np.ascontiguousarray(data[:, : count * dtype.itemsize]).view(dtype)
        values = values.astype(dtype.newbyteorder("=")).reshape(rows, -1, samples)
        if kind.predictor == 2:
            whole = values.view(f"u{dtype.itemsize}")
            values = np.add.accumulate(whole, axis=1, dtype=whole.dtype).view(values.dtype)
        return values
    if kind.bits == 24:
        parts = data[:, : 3 * count].reshape(rows, count, 3).astype(np.uint32)
        parts = parts if kind.order == ">" else parts[..., ::-1]
        return ((parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]).reshape(rows, -1, samples)
    digits = np.unpackbits(data, axis=1)[:, : count * kind.bits].reshape(rows, count, kind.bits)
    values = np.zeros((rows, count), np.uint32)
    for digit in range(kind.bits):
        values = (values << np.uint32(1)) | digits[..., digit]
    return values.reshape(rows, -1, samples)


def _float_differences(data: UInt8[np.ndarray, "rows stride"], kind: TiffKind, samples: int) -> _Samples:
    """Predictor 3: a row's highest bytes first, then the next, and each byte less the one before it."""
    size, count = kind.bits // 8, kind.block[0] * samples
    rows = len(data)
    steps = np.ascontiguousarray(data[:, : count * size]).reshape(rows, -1, samples)
    whole = np.add.accumulate(steps, axis=1, dtype=np.uint8).reshape(rows, size, count)
    # The order of bytes is the same in every file.
    values = np.ascontiguousarray(whole.transpose(0, 2, 1)).view(f">f{size}")
    return values.astype(f"=f{size}").reshape(rows, -1, samples)


def _turned(values: _Samples, kind: TiffKind, tones: Tones | None) -> Image.Image:
    """Samples as a picture of the kind's mode."""
    base = _BASE[kind.colours]
    if kind.palette is not None:
        colours = kind.palette[values[..., 0]]
    elif kind.photometric in (8, 9):
        colours = _lab(values[..., :3], kind)
    else:
        colours = _to_bytes(values[..., :base], kind.bits, tones)
    if kind.photometric == 0:
        colours = 255 - colours
    if kind.colours == "YCbCr":
        return Image.frombytes("YCbCr", colours.shape[1::-1], colours.tobytes()).convert("RGB")
    if kind.alpha:
        opacity = values[..., base : base + 1]
        floating = kind.form == "f"
        opacity = stretched(opacity, Tones(0.0, 1.0)) if floating else _to_bytes(opacity, kind.bits, None)
        colours = np.concatenate((colours, opacity), axis=2)
    return Image.frombytes(kind.mode, colours.shape[1::-1], np.ascontiguousarray(colours).tobytes())


def _to_bytes(values: _Samples, bits: int, tones: Tones | None) -> UInt8[np.ndarray, "rows width samples"]:
    if tones is not None:
        return stretched(values, tones)
    most = (1 << bits) - 1
    if bits == 8:
        return values.astype(np.uint8)
    if bits > 16:
        return stretched(values, Tones(0.0, float(most)))
    return ((values.astype(np.uint32) * 255 + most // 2) // most).astype(np.uint8)


def _lab(values: _Samples, kind: TiffKind) -> UInt8[np.ndarray, "rows width 3"]:
    """CIE (8: a and b signed) and ICC L*a*b* (9: 128 is grey) as Pillow takes them: a and b signed."""
    high = values if kind.bits == 8 else values >> 8
    colours = high.astype(np.uint8)
    if kind.photometric == 9:
        colours[..., 1:] ^= 0x80
    if kind.bits == 16:
        full = 65535 if kind.photometric == 8 else 65280
        colours[..., 0] = np.minimum(values[..., 0].astype(np.uint32) * 255 // full, 255)
    return colours
