"""Open pictures through Pillow's readers: headers, scale of decoding, and what decoding will cost.

The readers are called directly and not through ``Image.open``: the format is known by then, and
``Image.open`` holds every picture against ``Image.MAX_IMAGE_PIXELS``, a process-wide setting that belongs
to the application.
"""

import importlib
import io
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from camseek.errors import TooSlowError
from camseek.images.counting import MOST_SCANS, count_gif_frames, too_many_scans
from camseek.images.directories import MAX_PAGES, Directory, count_pages, first_directory
from camseek.images.heif import nclx
from camseek.images.jpeg2000 import Jpeg2000, read_jpeg2000
from camseek.images.orientation import exif_orientation, tag_orientation, turned_size, xmp_orientation
from camseek.images.pieces import pieces, png_profile, read_png
from camseek.images.raw import raw_name, raw_preview, raw_tiff_name
from camseek.images.signalled import ROMM, SignalledColour, adobe_rgb, cicp, png_colour
from camseek.images.tiff import TiffKind, read_tiff, tiff_kind, unsupported
from camseek.results import Size

_BROKEN_EXIF = "broken EXIF data ignored"
_MOST_PROFILE = 16 << 20
_HALVED = frozenset({"L", "I;16", "RGB", "CMYK"})
_AVIF_EXIF_ITEM = re.compile(rb"(infe\x02.{3}.{4})Exif", re.DOTALL)
_HEIF_ITEM = re.compile(rb"(\0\0..)infe([\x02-\xff])", re.DOTALL)
READ_WHOLE = frozenset({"WEBP", "AVIF", "HEIF"})
"""Formats whose files are read into memory before their header is known."""

_READERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}


@dataclass(slots=True)
class Source:
    """A picture whose header is read and whose pixels are not.

    Attributes:
        image: Pillow's picture; an empty one of its mode where ``tiff`` is read here.
        format: As ``sniff`` names it; of a raw file the preview's.
        size: Width and height as stored, before it is turned upright.
        orientation: EXIF's, 1 to 8, still to be applied.
        icc: The embedded colour profile, or None.
        file_size: Bytes.
        colour: What else the file says of its colours, where it has no profile.
        buffered: Whether a JPEG's coefficients are held for the whole picture while decoding.
        jpeg2000: What Pillow does not read of JPEG 2000.
        name: A raw file's format, or nothing.
        page: A TIFF file's first directory.
        tiff: How its pixels are stored, where Pillow does not read them.
        warnings: What was odd.
    """

    image: Image.Image
    format: str
    size: Size
    orientation: int = 1
    icc: bytes | None = None
    file_size: int = 0
    colour: SignalledColour | None = None
    buffered: bool = False
    jpeg2000: Jpeg2000 = field(default_factory=Jpeg2000)
    name: str = ""
    page: Directory | None = None
    tiff: TiffKind | None = None
    warnings: list[str] = field(default_factory=list[str])


def open_source(file: BinaryIO, format: str) -> Source:
    """Reads a picture's header; any exception of Pillow's may come out.

    Raises:
        TooSlowError: A JPEG has more scans than any program writes.
    """
    file_size = file.seek(0, os.SEEK_END)
    file.seek(0)
    content = b""
    if format == "RAW":
        head = file.read(32)
        return _open_raw(file, raw_name(head) or format)
    if format == "TIFF":
        return _open_tiff(file, file_size)
    if format == "PNG":
        return _open_png(file, file_size)
    if format == "AVIF":
        content = file.read()
        image, warnings = _open_avif(content)
    elif format == "HEIF":
        # Imported on first use: most collections hold none. It has no types.
        heif: Any = importlib.import_module("pi_heif")
        content = file.read()
        _check_heif_items(content)
        image, warnings = cast(ImageFile.ImageFile, heif.HeifImageFile(io.BytesIO(content))), []
    else:
        image, warnings = _READERS[format](file), list[str]()
    icc = image.info.get("icc_profile")
    source = Source(image, format, image.size, icc=icc, file_size=file_size, warnings=warnings)
    if format in ("AVIF", "HEIF"):
        numbers = nclx(content)
        if numbers is not None and icc is None:
            _note_colour(source, *cicp(*numbers))
    if format == "JPEG":
        _note_jpeg(source, file)
    elif format == "JPEG2000":
        source.jpeg2000 = read_jpeg2000(file)
        source.icc = source.jpeg2000.icc
        _note_space(source)
        file.seek(0)
    elif format == "BMP":
        source.icc = _bmp_profile(file)
    _note_orientation(source)
    return source


def _open_png(file: BinaryIO, file_size: int) -> Source:
    parts = read_png(file)
    file.seek(0)
    image = PngImagePlugin.PngImageFile(pieces(file, parts.sound) if parts.broken else file)
    source = Source(image, "PNG", image.size, file_size=file_size)
    if parts.broken:
        source.warnings.append(f"broken metadata ignored: {', '.join(dict.fromkeys(parts.broken))}")
    _scale_transparency(image)
    if b"iCCP" in parts.found:
        try:
            source.icc = png_profile(parts.found[b"iCCP"])
        except ValueError as error:
            source.warnings.append(f"colour profile ignored: {error}")
    if source.icc is None or b"cICP" in parts.found:
        _note_colour(source, *png_colour(parts.found))
        source.icc = None if b"cICP" in parts.found else source.icc
    if b"eXIf" in parts.found:
        image.info["exif"] = parts.found[b"eXIf"]
    _note_orientation(source)
    return source


def _open_raw(file: BinaryIO, name: str) -> Source:
    preview = raw_preview(file, name)
    if preview.page is not None:
        source = _open_page(preview.page, 0)
    elif preview.file is not None:
        source = open_source(preview.file, "JPEG")
    else:
        raise ValueError("no preview")
    if source.orientation == 1:
        source.orientation = preview.orientation or 1
    source.name = name
    width, height = turned_size(source.size, source.orientation)
    source.warnings.append(f"the preview of {width} x {height} stored in the raw file is used")
    return source


def _open_tiff(file: BinaryIO, file_size: int) -> Source:
    page = first_directory(file)
    if page is None:
        raise ValueError("no first page")
    name = raw_tiff_name(page)
    return _open_page(page, file_size) if name is None else _open_raw(file, name)


def _open_page(page: Directory, file_size: int) -> Source:
    kind = tiff_kind(page)
    icc = page.get(34675)
    if kind is None:
        image: Image.Image = _TiffFile(page.as_first())
        size = (page.whole(256), page.whole(257))
        image._size = size  # pyright: ignore[reportPrivateUsage]  # size has no setter
    else:
        image, size = Image.new(kind.mode, (1, 1)), kind.size
    source = Source(image, "TIFF", size, file_size=file_size, page=page, tiff=kind)
    source.icc = icc if isinstance(icc, bytes) else None
    orientation = tag_orientation(page.get(0x0112))
    xmp = page.get(700)
    if orientation is None and xmp is not None:
        orientation = xmp_orientation(bytes(cast(Any, xmp)))
    source.orientation = orientation or 1
    source.colour = None if source.icc is not None else adobe_rgb(page)
    return source


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's, without what it does last: it would turn the picture at its full size, and read all EXIF."""

    def load_end(self) -> None:
        pass


def _check_heif_items(content: bytes) -> None:
    """Refuses item types that are no text: pi-heif 1.4 hands them to Python unchecked, and crashes.

    Raises:
        ValueError: There is one.
    """
    for found in _HEIF_ITEM.finditer(content):
        # Behind version and flags: the item's number in 16 bits (version 2) or 32, and its protection.
        at = found.end() + 3 + (4 if found[2] == b"\2" else 6)
        kind, end = content[at : at + 4], found.start() + int.from_bytes(found[1], "big")
        if not kind.isascii():
            raise ValueError("an item of no type")
        if kind == b"mime":
            content[at + 4 : max(end, at + 4)].decode("utf-8")


def _open_avif(content: bytes) -> tuple[ImageFile.ImageFile, list[str]]:
    try:
        return AvifImagePlugin.AvifImageFile(io.BytesIO(content)), []
    except Exception:  # tried once more below, and what that raises counts
        # Pillow refuses a picture whose EXIF data it cannot read: hide the data from it.
        hidden = _AVIF_EXIF_ITEM.sub(rb"\1Xxxx", content, count=1)
        if hidden == content:
            raise
        return AvifImagePlugin.AvifImageFile(io.BytesIO(hidden)), [_BROKEN_EXIF]


def _note_jpeg(source: Source, file: BinaryIO) -> None:
    image = cast(JpegImagePlugin.JpegImageFile, source.image)
    behind_head = file.tell()
    # One component in the first scan of several: the others follow, as in a progressive file.
    file.seek(-8, os.SEEK_CUR)
    lone = file.read(3) == b"\0\x08\x01"
    source.buffered = "progressive" in image.info or (lone and image.layers > 1)
    if source.buffered and too_many_scans(file, behind_head):
        raise TooSlowError(
            f"it is a JPEG of more than {MOST_SCANS} scans, each of which goes over the whole picture",
            remedy="save it anew as an ordinary JPEG, or leave it out",
        )


def _scale_transparency(image: ImageFile.ImageFile) -> None:
    """Brings PNG's transparent colour to the 8 bits that Pillow brings the pixels to."""
    clear = image.info.get("transparency")
    raw = image.tile[0].args if image.tile else None
    if raw in ("L;2", "L;4") and isinstance(clear, int):
        image.info["transparency"] = clear * (85 if raw == "L;2" else 17) & 255
    elif raw == "RGB;16B" and isinstance(clear, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in cast(tuple[int, ...], clear))
    elif isinstance(clear, tuple):
        image.info["transparency"] = tuple(value & 255 for value in cast(tuple[int, ...], clear))


def _note_orientation(source: Source) -> None:
    image = source.image
    if source.format == "HEIF":
        return  # libheif has turned it already; EXIF's tag only repeats that
    try:
        exif = _exif(source)
        value = exif_orientation(exif) if exif else None
        _note_adobe_rgb(source, exif)
    except ValueError:
        source.warnings.append(_BROKEN_EXIF)
        value = None
    xmp = image.info.get("xmp")
    # In AVIF the container's own properties decide, which Pillow hands on as EXIF.
    if value is None and source.format != "AVIF" and isinstance(xmp, bytes | str):
        value = xmp_orientation(xmp)
    source.orientation = value or 1


def _note_colour(source: Source, colour: SignalledColour | None, warning: str | None) -> None:
    source.colour = colour
    if warning is not None:
        source.warnings.append(warning)


def _note_adobe_rgb(source: Source, exif: bytes | None) -> None:
    if exif is None or source.icc is not None or source.colour is not None:
        return
    start = exif[6:] if exif.startswith(b"Exif\0\0") else exif
    directory = first_directory(io.BytesIO(start))
    if directory is not None:
        source.colour = adobe_rgb(directory)


def _note_space(source: Source) -> None:
    """Takes a JPEG 2000 file's numbered colour space to heart (ISO/IEC 15444-1 and -2, box colr).

    Raises:
        UnsupportedPictureError: It is one that no decoder turns into colours.
    """
    space = source.jpeg2000.space
    if source.icc is not None or space in (None, 12, 16, 17, 18):
        return  # CMYK, sRGB, grey and sYCC, which Pillow reads
    if space != 21:
        raise unsupported(f"JPEG 2000, colour space {space}")
    source.colour = SignalledColour(ROMM, 1.8)


def _bmp_profile(file: BinaryIO) -> bytes | None:
    """The profile in a bitmap with a header of version 5."""
    file.seek(14)
    head = file.read(124)
    if len(head) < 124 or head[:4] != b"\x7c\0\0\0" or head[56:60] != b"DEBM":
        return None
    place, size = int.from_bytes(head[112:116], "little"), int.from_bytes(head[116:120], "little")
    file.seek(14 + place)
    return file.read(min(size, _MOST_PROFILE)) or None


def _exif(source: Source) -> bytes | None:
    if source.format == "JPEG2000":
        return source.jpeg2000.exif
    exif = source.image.info.get("exif")
    if exif is None and (raw := source.image.info.get("Raw profile type exif")):
        # ImageMagick's: a name and a length, then lines of hexadecimal digits.
        return bytes.fromhex("".join(str(raw).split("\n")[3:]))
    return exif


def shrink(source: Source, factor: float) -> float:
    """Makes the decoder shrink the picture where it can, by no more than to ``factor`` of its size.

    Returns:
        How many pixels of the picture one decoded pixel spans.
    """
    image = source.image
    width, height = source.size
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        scale = next((scale for scale in (8, 4, 2) if factor * scale <= 1), 1)
        if scale > 1:
            image.draft(None, (max(width // scale, 1), max(height // scale, 1)))
            return image.decoderconfig[0] if image.decoderconfig else 1
    # Palette entries cannot be averaged, nor colours whose alpha is not multiplied in.
    elif isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) and image.mode in _HALVED:
        levels = 0
        while levels < min(source.jpeg2000.levels, 16) and factor * (2 << levels) <= 1:
            levels += 1
        if levels:
            # Pillow's own "reduce" rounds the size to nearest where the codestream's rounds up, and then
            # refuses the tiles as too large.
            (left, top), scale = source.jpeg2000.origin, 1 << levels
            size = (
                _ceil(left + width, scale) - _ceil(left, scale),
                _ceil(top + height, scale) - _ceil(top, scale),
            )
            if min(size) > 0:
                name, _, offset, arguments = image.tile[0]
                codec, _, layers, descriptor, length = cast(tuple[Any, ...], arguments)
                arguments = (codec, levels, layers, descriptor, length)
                image.tile = [ImageFile._Tile(name, (0, 0, *size), offset, arguments)]  # pyright: ignore[reportPrivateUsage]
                image._size = size  # pyright: ignore[reportPrivateUsage]
                return scale
    return 1


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)


def memory(source: Source, scale: float) -> float:
    """Bytes that decoding takes at its peak, as measured for each decoder (see ``decode``)."""
    image, pixels = source.image, source.size[0] * source.size[1]
    decoded = pixels / scale**2
    own = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2}.get(image.mode, 4)
    match source.format:
        case "JPEG" if source.buffered:
            layers = cast(JpegImagePlugin.JpegImageFile, image).layer
            widest = max((layer[1] * layer[2] for layer in layers), default=1) or 1
            return own * decoded + 2 * pixels * sum(layer[1] * layer[2] for layer in layers) / widest
        case "WEBP":
            return 17 * pixels + 2 * source.file_size
        case "AVIF":
            return 16 * pixels + source.file_size
        case "HEIF":
            deep, alpha = image.info.get("bit_depth", 8) > 8, image.mode == "RGBA"
            return ((26 if alpha else 19) if deep else (13 if alpha else 10)) * pixels + source.file_size
        case "JPEG2000":
            extra = source.jpeg2000
            tile = min(extra.tile[0], source.size[0]) * min(extra.tile[1], source.size[1])
            return 4 * decoded + 5.2 * extra.components * tile / scale**2 + source.file_size
        case "TIFF" if source.tiff is not None:
            return source.tiff.memory()
        case "TIFF" if cast(TiffImagePlugin.TiffImageFile, image).use_load_libtiff:
            # libtiff maps the file, and unpacks a strip at a time.
            return own * pixels + source.file_size + _strip_bytes(source)
        case _:
            return own * pixels


def _strip_bytes(source: Source) -> float:
    tags = cast(TiffImagePlugin.TiffImageFile, source.image).tag_v2
    width, height = source.size
    rows = tags.get(323) or min(tags.get(278) or height, height)
    across = tags.get(322) or width
    bits = tags.get(258) or (1,)
    depth = max(bits) * max(len(bits), tags.get(277) or 1)
    return across * rows * max(depth / 8, 4 if tags.get(262) == 6 else 0)


def count_frames(source: Source, file: BinaryIO) -> int:
    """Number of pictures in the file, up to 1000, where it can be told undecoded; call it last."""
    image = source.image
    # A file may be damaged behind its first picture, which is all that is used of it.
    with suppress(Exception):
        if source.page is not None:
            return count_pages(source.page)
        if source.format == "GIF":
            return count_gif_frames(file)
        if source.format == "JPEG" and "mp" in image.info:
            file.seek(0)
            image = JpegImagePlugin.jpeg_factory(file)
        return min(int(getattr(image, "n_frames", 1)), MAX_PAGES)
    return 1


def load(source: Source) -> Image.Image:
    """Decodes the first picture of the file."""
    if source.tiff is not None and source.page is not None:
        return read_tiff(source.page.file, source.tiff)
    if source.format == "TIFF":
        # Its reader holds the size against Image.MAX_IMAGE_PIXELS where it makes the memory itself.
        source.image.im = Image.new(source.image.mode, source.size, None).im
    source.image.load()
    if source.format == "BMP" and source.image.mode == "RGBA":
        return _opaque(source.image)
    return source.image


def _opaque(image: Image.Image) -> Image.Image:
    """A bitmap whose alpha is 0 everywhere has none: most programs write no other, and none hides it all."""
    return image.convert("RGB") if image.getchannel("A").getextrema() == (0, 0) else image
