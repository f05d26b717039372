"""Files to upright sRGB pixels."""

import errno
import re
import warnings
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from camseek.arguments import Region, read_region
from camseek.config import Limits, Resize
from camseek.errors import (
    CamseekError,
    DamagedPictureError,
    NotAPictureError,
    PictureError,
    TooLargeError,
    out_of_memory,
)
from camseek.images import opening
from camseek.images.colour import ProfileError, on_white, to_srgb
from camseek.images.files import unreadable, whole_reads
from camseek.images.formats import describe, sniff
from camseek.images.jpeg import jpeg_frame
from camseek.images.orientation import stored_box, turned, turned_size
from camseek.images.picture import Picture, check_region
from camseek.images.pieces import without_metadata
from camseek.images.reducing import reduced
from camseek.images.signalled import signalled_to_srgb
from camseek.images.tiff import unsupported

BIG = 128e6
"""Pictures that take more bytes than this are decoded one at a time."""

_HEAD = 4096
_MEMORY = 1.7e9


def budget_of(max_pixels: int) -> float:
    """Bytes that decoding one picture may take, where pictures may have so many pixels."""
    return max(_MEMORY, 8.5 * max_pixels)


def check_request(multiple: int, region: Region | None) -> None:
    """Makes sure that a caller asks for something that can be.

    Raises:
        ValueError: ``multiple`` is below 1.
        RegionError: The region is none.
    """
    if multiple < 1:
        raise ValueError("multiple must be 1 or more")
    read_region(region)


def decode(
    file: BinaryIO,
    *,
    resize: Resize,
    multiple: int = 1,
    max_pixels: int = Limits().max_pixels,
    region: Region | None = None,
    turn: AbstractContextManager[Any] | None = None,
) -> Picture:
    """Decodes a picture, or a region of it, small and in sRGB; the same bytes give the same pixels.

    In this process, which a decoder may take down with it, and one at a time, as Python's filters of warnings
    are those of the process: ``read_picture`` does the same in others, and is what to call.

    Decode (JPEG and JPEG 2000 at a reduced scale that still covers the result), average whole
    blocks, then Pillow's antialiased bicubic filter; colours and orientation last, on few pixels.

    - Alpha and transparent palette entries are laid on white, premultiplied throughout.
    - Up to 16 bits unsigned: black and white are the ends of the range. Of more bits: as 16 bits if all lie
      within 0..65535, else the least and the greatest value become 0 and 255, as of signed numbers. Floating
      point: 0..1 become 0..255 if all finite values lie within, else the least and the greatest do; NaN and
      infinity become 0. Least and greatest are those of the whole picture and all its colours, region or not.
    - An embedded ICC profile is applied (relative colorimetric, black-point compensation). Without one colour
      by numbers is: HEIF's and AVIF's nclx, PNG's cICP, gamma and chromaticities, EXIF's Adobe RGB, ROMM in
      JPEG 2000; PQ and HLG are warned of. What says nothing is sRGB.

    A picture is refused if it has more than ``max_pixels``, or if decoding it takes more than 1.7 GB (8.5
    bytes for each of ``max_pixels``, if that is more). Bytes a pixel at the peak, measured with Pillow 13
    and libheif 1.23: JPEG 4 (progressive 7 to 12), PNG, BMP and uncompressed TIFF 1 to 4, compressed TIFF
    4 and its file and a strip (of depths that Pillow does not read, three of its strips), GIF 1, WebP 17 and
    twice its file (so about 95 megapixels are the limit), AVIF 16 assumed for its deepest form (105), HEIC
    10, with alpha 13, above 8 bits 19 and 26 (170, 130, 89, 65), JPEG 2000 20 at full scale and in one tile
    (85), 20/4^n where it can be halved n times. Above 128 MB one picture at a time is decoded, whatever the
    number of threads.

    Args:
        file: A regular file or bytes, at any position.
        resize: The size of the result.
        multiple: Sides of four multiples or more are rounded down to a multiple, each for itself: the shape
            changes by a fifth at most. Shorter ones keep their length.
        max_pixels: Pictures with more pixels are refused, after reading the header.
        region: Pixels or shares of the upright picture; ``resize`` is then that of the region.
        turn: Entered for a picture above 128 MB, as several at once may be too much for the machine; None
            where nobody else decodes.

    Raises:
        NotAPictureError: The content is no picture format known here.
        UnsupportedPictureError: A picture of a kind that is not read here.
        DamagedPictureError: Broken or cut short.
        TooLargeError: Too many pixels, or too much memory.
        UnreadableFileError: Reading the file failed.
        RegionError: See ``check_region``.
    """
    check_request(multiple, region)
    try:
        file = whole_reads(file)
        file.seek(0)
        head = file.read(_HEAD)
    except OSError as error:
        raise unreadable(error) from error
    format = sniff(head)
    if format is None:
        raise NotAPictureError(describe(head), remedy="give a picture, or leave the file out")
    with ExitStack() as held:
        return _decoded(file, format, _Wanted(resize, multiple, max_pixels, region), _Turn(held, turn))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is wanted of a picture; as ``decode``."""

    resize: Resize
    multiple: int
    max_pixels: int
    region: Region | None


def _decoded(file: BinaryIO, format: str, wanted: _Wanted, turn: "_Turn") -> Picture:
    try:
        with _quiet_pillow():
            return _decode(file, format, wanted, turn)
    except CamseekError:
        raise
    except MemoryError as error:
        raise out_of_memory() from error
    except Exception as error:  # Pillow's readers raise a dozen kinds for damaged data
        # What the system says is no question of what the file holds.
        if not (isinstance(error, OSError) and error.errno):
            found = _without_metadata(file, format, wanted, turn)
            if found is not None:
                return found
        raise _failure(file, format, wanted.max_pixels, error) from error


def _without_metadata(file: BinaryIO, format: str, wanted: _Wanted, turn: "_Turn") -> Picture | None:
    """The picture without what says nothing of its pixels; None where that is not what is wrong."""
    # Whatever is wrong here too, what was wrong with the whole file is told.
    with suppress(Exception), _quiet_pillow():
        bare = without_metadata(file, format)
        if bare is not None:
            picture = _decode(bare, format, wanted, turn)
            return replace(picture, warnings=(*picture.warnings, "broken metadata ignored"))
    return None


def _decode(file: BinaryIO, format: str, wanted: _Wanted, turn: "_Turn") -> Picture:
    resize, multiple, max_pixels, region = wanted.resize, wanted.multiple, wanted.max_pixels, wanted.region
    budget = budget_of(max_pixels)
    if format in opening.READ_WHOLE:
        held = 4 * file.seek(0, 2)
        if held > budget:
            raise too_much(budget, format)
        turn.take(held)
    source = opening.open_source(file, format)
    width, height = source.size
    if width * height > max_pixels:
        raise TooLargeError(
            f"it has {width} x {height} = {width * height / 1e6:.1f} megapixels, more than the limit of "
            f"{max_pixels / 1e6:g}",
            remedy=f"raise the limit with --max-megapixels {-(-width * height // 1_000_000)}",
        )
    size = turned_size(source.size, source.orientation)
    box = check_region(region, size) if region is not None else (0, 0, *size)
    box = stored_box(box, source.size, source.orientation)
    width, height = box[2] - box[0], box[3] - box[1]
    fitted = resize.fit(width, height)
    target = (_side(fitted[0], multiple), _side(fitted[1], multiple))
    scale = opening.shrink(source, resize.share(width, height))
    needed = opening.memory(source, scale)
    if needed > budget:
        raise too_much(budget, format)
    # The other pages of a HEIF file are known until it is loaded, those of the others afterwards too.
    frames = opening.count_frames(source, file) if format == "HEIF" else 0
    turn.take(needed)
    image = opening.load(source)
    image = reduced(image, tuple(side / scale for side in box), target)  # pyright: ignore[reportArgumentType]
    if image.mode in ("RGBa", "La"):
        image = on_white(image)
    if source.colour is not None and image.mode in ("L", "RGB"):
        image = signalled_to_srgb(image, source.colour)
    try:
        image = to_srgb(image, source.icc)
    except ProfileError as error:
        source.warnings.append(f"colour profile ignored: {error}")
        image = to_srgb(image, None)
    pixels = np.asarray(turned(image, source.orientation))
    frames = frames or opening.count_frames(source, file)
    return Picture(pixels, size, source.name or format, frames, tuple(source.warnings))


class _Turn:
    """The turn of pictures that take much memory: taken once, held until the picture is done."""

    def __init__(self, held: ExitStack, turn: AbstractContextManager[Any] | None) -> None:
        self._held = held
        self._turn = turn

    def take(self, needed: float) -> None:
        """Waits for it, where so many bytes are needed."""
        if needed > BIG and self._turn is not None:
            self._held.enter_context(self._turn)
            self._turn = None


def _side(whole: int, multiple: int) -> int:
    """A side of the result in whole pixels."""
    return whole if whole < 4 * multiple else whole // multiple * multiple


def too_much(budget: float, format: str = "") -> TooLargeError:
    """The error where a decoder wants more bytes than any picture may take."""
    kind = f", a {format} file," if format else ""
    return TooLargeError(
        f"decoding it{kind} takes more than {budget / 1e9:.1f} GB of memory",
        remedy="make a smaller copy, save it as JPEG or PNG, or raise the limit with --max-megapixels",
    )


def _failure(file: BinaryIO, format: str, max_pixels: int, error: Exception) -> PictureError:
    """What a failure inside Pillow means."""
    # A failing disk shows as some decoder's error: reading tells.
    try:
        file.seek(0)
        while file.read(1 << 20):
            pass
    except OSError as failed:
        return unreadable(failed)
    # Damaged offsets make Pillow seek where no file goes.
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EOVERFLOW):
        return unreadable(error)
    text = " ".join(str(error).split())[:120]
    if isinstance(error, Image.DecompressionBombError) or "security limit" in text.lower():
        return too_much(budget_of(max_pixels), format)
    kind = _unread_kind(file, format, text)
    if kind is not None:
        return unsupported(kind)
    detail = f": {text}" if text else ""
    return DamagedPictureError(
        f"the {format} file is damaged or cut short{detail}", remedy="get an intact copy, or leave it out"
    )


def _unread_kind(file: BinaryIO, format: str, text: str) -> str | None:
    """What kind of picture it is that is not read here; None where it is damaged for all that is known."""
    if format == "JPEG":
        frame = jpeg_frame(file)
        return None if frame is None else frame.unread
    return f"{format}, {text[:1].lower()}{text[1:]}" if _NOT_READ.search(text) else None


# In the words of Pillow, libheif, libavif and OpenJPEG.
_NOT_READ = re.compile(
    r"unsupported|not supported|not implemented|no codec|no decod|determine J2K", re.IGNORECASE
)


@contextmanager
def _quiet_pillow() -> Generator[None]:
    """Keeps warnings about odd pictures inside, out of Pillow and pi-heif alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(PIL|pi_heif)\.")
        yield
