"""What comes in as a picture: a file by name, open or in memory, an image of Pillow's, an array.

Images and arrays are written into memory as TIFF files, uncompressed, and then go the way of all files: one
decoder sees everything, and everything has a content to be known by. Pillow and NumPy are imported only
where they are needed.
"""

import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from camseek.errors import DamagedPictureError, NotAPictureError, PictureError, RegionError, TooLargeError
from camseek.names import absolute, path_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from camseek.results import Size

    Source: TypeAlias = (
        str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[np.uint8]
    )
    """A picture: a file's name, its content, an open file, an image of Pillow's or an array (``opened``)."""
else:
    # Run-time type checkers would need Pillow here, and take BytesIO for no BinaryIO.
    Source = object

_LONGEST_NAME = 4096


@contextmanager
def opened(source: Source) -> Generator[tuple[bytes | None, BinaryIO]]:
    """A picture's name (None where it has none) and a binary file of its content, at its beginning.

    Args:
        source: One of:

            - ``str`` or a path: a file's name; it is closed afterwards.
            - ``bytes``, ``bytearray`` or ``memoryview``: a picture file's content, never a name.
            - An open binary file that can be rewound; it is not closed. What cannot be rewound (a pipe, a
              download) is refused: a query may be read more than once. Give its ``read()``.
            - ``PIL.Image.Image``: the pixels that it holds, with its ICC profile and transparency. It is
              turned upright as its EXIF orientation says, unless that is done (``ImageOps.exif_transpose``).
            - ``numpy.ndarray``: uint8 in [0, 255], (H, W) or (H, W, 1) grey, (H, W, 3) RGB, (H, W, 4) RGBA;
              upright, sRGB, alpha not multiplied in.

    Raises:
        UnreadableFileError: The file cannot be opened.
        DamagedPictureError: Pillow cannot load the image.
        TooLargeError: The image or array takes 4 GB or more.
        PictureError, RegionError: Those raised in the ``with`` block, naming the file.
        TypeError: It is none of these, a text file, or an array of another dtype.
        ValueError: A file that cannot be rewound or is closed; an image or array without pixels or of a
            mode or shape that is not read here.
    """
    if isinstance(source, str | os.PathLike):
        # Here, as the package imports Pillow.
        from camseek.images import open_file

        name = absolute(source)
        try:
            with open_file(name) as file:
                yield name, file
        except (PictureError, RegionError) as error:
            # Among many pictures the report names them; a single one must name itself.
            raise type(error)(f"{path_text(name)}: {error.message}", remedy=error.remedy) from error
    elif isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        try:
            yield None, BytesIO(content)
        except NotAPictureError as error:
            if len(content) > _LONGEST_NAME or not os.path.exists(content):
                raise
            remedy = "bytes are a picture's content, never a name: give the name as str (os.fsdecode)"
            raise NotAPictureError(error.message, remedy=remedy) from error
    elif hasattr(source, "read"):
        yield None, _rewound(source)
    else:
        yield None, BytesIO(_encoded(source))


def content_of(source: Source) -> bytes:
    """The file's content that is decoded for a picture: its own, or the TIFF made of an image or array.

    A collection can keep it: it has 999 MB at most.

    Equal images and arrays give equal contents, whatever the version of Pillow.

    Raises:
        UnreadableFileError: The file cannot be opened or read.
        DamagedPictureError, TooLargeError, TypeError, ValueError: As ``opened``.
    """
    with opened(source) as (_, file):
        try:
            content = file.read(_MOST_KEPT + 1)
        except OSError as error:
            from camseek.images.files import unreadable

            raise unreadable(error) from error
    if len(content) > _MOST_KEPT:
        raise TooLargeError(
            f"it has more than {_MOST_KEPT:,} bytes, more than a collection can keep",
            remedy="make it smaller, or bring in its file by name",
        )
    return content


def _rewound(source: object) -> BinaryIO:
    """An open file, at its beginning.

    Raises:
        UnreadableFileError: Rewinding failed.
        TypeError: It gives text.
        ValueError: It cannot be rewound, or is closed.
    """
    file = cast(Any, source)
    # Others than Python's own are asked for nothing, which tells what they give.
    if isinstance(source, TextIOBase) or isinstance(file.read(0), str):
        raise TypeError("a file open as text is no picture: open it with mode 'rb'")
    if not hasattr(source, "seek") or (hasattr(source, "seekable") and not file.seekable()):
        raise ValueError("a stream that cannot be rewound: give its content, stream.read()")
    try:
        file.seek(0)
    except OSError as error:
        from camseek.images.files import unreadable

        raise unreadable(error) from error
    from camseek.images import whole_reads

    return whole_reads(file)


def _encoded(source: object) -> bytes:
    """A picture file of an image or array."""
    import numpy as np
    from PIL import Image

    if isinstance(source, Image.Image):
        return _of_image(source)
    if isinstance(source, np.ndarray):
        return _of_array(cast("NDArray[Any]", source))
    raise TypeError(
        f"a picture cannot be a {type(source).__qualname__}: give a file's name, its content as bytes, an "
        "open binary file, an image of Pillow's, or a NumPy array of uint8"
    )


# -- arrays -------------------------------------------------------------------------------------------------

_EXACT = "; array.astype(np.uint8) makes one of 0 to 255"
# By dtype, or else by its kind.
_REMEDIES = {
    "uint16": "; (array >> 8).astype(np.uint8) makes one of 16 bits",
    "b": "; mask * np.uint8(255) makes one of a mask",
    "f": "; np.rint(array.clip(0, 1) * 255).astype(np.uint8) makes one of 0 to 1",
    "i": _EXACT,
    "u": _EXACT,
}


def _of_array(array: "NDArray[Any]") -> bytes:
    if array.dtype.name != "uint8":
        remedy = _REMEDIES.get(array.dtype.name) or _REMEDIES.get(array.dtype.kind, "")
        raise TypeError(f"an array of {array.dtype} is no picture: it must be of uint8{remedy}")
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(array.shape[2] if array.ndim == 3 else 1)
    if mode is None or array.ndim not in (2, 3) or not array.size:
        planes = array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] > 4
        remedy = "; array.transpose(1, 2, 0) puts the colours last" if planes else ""
        raise ValueError(
            f"an array of shape {array.shape} is no picture: it must be (H, W) or (H, W, 1) grey, (H, W, 3) "
            f"RGB or (H, W, 4) RGBA{remedy}"
        )
    return _tiff(mode, (array.shape[1], array.shape[0]), array.tobytes())


# -- images -------------------------------------------------------------------------------------------------


def _of_image(image: "Image.Image") -> bytes:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise a dozen kinds for damaged data
        text = " ".join(str(error).split())[:120]
        raise DamagedPictureError(
            f"Pillow cannot load the image: {text or type(error).__name__}",
            remedy="give an intact one whose file is still open, or its file's name",
        ) from error
    if not image.width or not image.height:
        raise ValueError(f"an image of {image.width} x {image.height} pixels is no picture")
    icc = image.info.get("icc_profile")
    mode, data = _pixels(image)
    return _tiff(mode, image.size, data, _orientation(image), icc if isinstance(icc, bytes) else b"")


def _orientation(image: "Image.Image") -> int:
    """EXIF's, 1 to 8, as Pillow would apply it; 1 where there is none, or it is damaged."""
    try:
        found = image.getexif().get(0x0112)
    except Exception:  # damaged data; the picture is there all the same
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _pixels(image: "Image.Image") -> tuple[str, bytes]:
    """A mode of ``_LAYOUTS``, and pixels in it: what the decoder makes of a file in the image's own mode.

    Raises:
        ValueError: Its mode cannot be turned into one of them.
    """
    clear = image.info.get("transparency")
    match image.mode:
        case "1" | "L":
            wanted = "L" if clear is None else "LA"
        case "RGB":
            wanted = "RGB" if clear is None else "RGBA"
        case "P":
            opaque = clear is None and (image.palette is None or image.palette.mode == "RGB")
            wanted = "RGB" if opaque else "RGBA"
        case "La":
            wanted = "LA"
        case "PA" | "RGBa":
            wanted = "RGBA"
        case "I;16" | "I;16L" | "I;16B" | "I;16N" | "I" | "F":
            return _deep_pixels(image, clear)
        case "LA" | "RGBA" | "CMYK" | "LAB":
            wanted = image.mode
        case _:
            wanted = "RGB"
    try:
        plain = image if image.mode == wanted else image.convert(wanted)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"an image of mode {image.mode} is not read here: convert it to RGB first ({error})"
        ) from error
    return wanted, plain.tobytes()


def _deep_pixels(image: "Image.Image", clear: object) -> tuple[str, bytes]:
    """Those of more than 8 bits, little-endian; grey and alpha of 8 where a tone is transparent."""
    import numpy as np

    values: NDArray[Any] = np.asarray(image)
    if image.mode in ("I", "F"):
        return image.mode, values.astype(values.dtype.newbyteorder("<")).tobytes()
    if not isinstance(clear, int):
        return "I;16", values.astype("<u2").tobytes()
    # No TIFF file says which tone is transparent. Rounded as the decoder does it for those that can.
    grey = np.rint(values / 65535 * 255).astype(np.uint8)
    alpha = np.where(values == clear, 0, 255).astype(np.uint8)
    return "LA", np.stack([grey, alpha], axis=-1).tobytes()


# -- files --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layout:
    """How TIFF calls the pixels of a mode (TIFF 6.0, sections 3 to 6, 16, 18, 19 and 23).

    Attributes:
        samples: Numbers a pixel.
        photometric: 1 grey, 0 being black, 2 RGB, 5 CMYK, 8 CIE L*a*b*.
        bits: Of each number.
        format: 1 unsigned, 2 signed, 3 floating point.
        alpha: Whether the last number is opacity, not multiplied in.
    """

    samples: int
    photometric: int
    bits: int = 8
    format: int = 1
    alpha: bool = False


_LAYOUTS = {
    "L": _Layout(1, 1),
    "LA": _Layout(2, 1, alpha=True),
    "RGB": _Layout(3, 2),
    "RGBA": _Layout(4, 2, alpha=True),
    "CMYK": _Layout(4, 5),
    "LAB": _Layout(3, 8),
    "I;16": _Layout(1, 1, bits=16),
    "I": _Layout(1, 1, bits=32, format=2),
    "F": _Layout(1, 1, bits=32, format=3),
}
_HEADER = 8
# SQLite keeps 1,000,000,000 bytes a row at most, with what belongs to it.
_MOST_KEPT = 999_000_000


def _tiff(mode: str, size: "Size", data: bytes, orientation: int = 1, icc: bytes = b"") -> bytes:
    """A TIFF file of one uncompressed strip.

    Not Pillow's: that one copies tags of the file an image came from, and a later Pillow may write other
    bytes for the same pixels. PNG, at its fastest, takes fifty times as long.

    Args:
        mode: One of ``_LAYOUTS``.
        size: Width and height, pixels.
        data: Row by row, little-endian.
        orientation: EXIF's, 1 to 8.
        icc: The colour profile, or nothing.

    Raises:
        TooLargeError: It passes the format's 4 GB.
    """
    start = _HEADER + len(data) + len(data) % 2
    if start + len(icc) + 1024 > 1 << 32:
        raise TooLargeError(
            f"an image of {size[0]} x {size[1]} pixels takes 4 GB or more", remedy="make it smaller first"
        )
    layout = _LAYOUTS[mode]
    shorts = {
        258: (layout.bits,) * layout.samples,
        259: (1,),  # not compressed
        262: (layout.photometric,),
        274: (orientation,),
        277: (layout.samples,),
        338: (2,) * layout.alpha,
        339: (layout.format,) * layout.samples,
    }
    longs = {256: size[0], 257: size[1], 273: _HEADER, 278: size[1], 279: len(data)}
    fields = {
        tag: (3, len(values), struct.pack(f"<{len(values)}H", *values)) for tag, values in shorts.items()
    }
    fields |= {tag: (4, 1, struct.pack("<I", value)) for tag, value in longs.items()}
    fields[34675] = (7, len(icc), icc)
    return b"".join(
        (
            struct.pack("<2sHI", b"II", 42, start),
            data,
            bytes(len(data) % 2),
            _directory(start, {tag: field for tag, field in sorted(fields.items()) if field[1]}),
        )
    )


def _directory(start: int, fields: dict[int, tuple[int, int, bytes]]) -> bytes:
    """A TIFF directory for its place in the file: of each tag, in order, type, count and value."""
    entries, values = struct.pack("<H", len(fields)), b""
    behind = start + 2 + 12 * len(fields) + 4
    for tag, (kind, count, value) in fields.items():
        entries += struct.pack("<HHI", tag, kind, count)
        if len(value) <= 4:
            entries += value.ljust(4, b"\0")
        else:
            entries += struct.pack("<I", behind + len(values))
            values += value + bytes(len(value) % 2)
    return entries + bytes(4) + values
