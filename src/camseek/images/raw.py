"""Raw files of cameras, told from TIFF by what is in them, and the previews that they carry.

What a sensor saw is not developed here. Nearly every raw file carries the camera's own JPEG of the picture,
and that is read. Where it stands is said in as many ways as there are makers; so it is looked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO

from camseek.errors import CamseekError
from camseek.images.directories import Directory, first_directory, pages
from camseek.images.jpeg import jpegs_within
from camseek.images.orientation import tag_orientation
from camseek.images.pieces import pieces
from camseek.images.tiff import tiff_kind, unsupported
from camseek.results import Size

LEAST_PREVIEW = 640
"""A preview whose longer side is shorter than this (the size at which pictures are read) and than half of the
raw picture's is no picture of it."""

_SENSOR = frozenset({32803, 34892})
# Of Sony, Nikon, Samsung, Pentax, Kodak.
_RAW_CODECS = frozenset({32767, 34713, 32770, 32772, 32867, 65000, 65024, 65535})
_MAKERS = {
    "nikon": "NEF", "sony": "ARW", "pentax": "PEF", "ricoh": "PEF", "samsung": "SRW", "canon": "CR2",
    "olympus": "ORF", "om digital": "ORF", "panasonic": "RW2", "leica": "RWL", "hasselblad": "3FR",
    "phase one": "IIQ", "leaf": "MOS", "kodak": "DCR", "eastman": "DCR", "epson": "ERF", "mamiya": "MEF",
}  # fmt: skip
_MAGIC = {
    b"FUJIFILMCCD-RAW": "RAF", b"IIRO": "ORF", b"IIRS": "ORF", b"MMOR": "ORF", b"IIU\0": "RW2",
    b"FOVb": "X3F", b"\0MRM": "MRW", b"II\x1a\0\0\0HEAPCCDR": "CRW",
}  # fmt: skip
_DNG_VERSION = 50706
_MOST_DIRECTORIES = 64


def raw_name(head: bytes) -> str | None:
    """The raw format that the first bytes of a file belong to, of those that are no TIFF; else None."""
    if head[4:12] == b"ftypcrx ":
        return "CR3"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def raw_tiff_name(page: Directory) -> str | None:
    """The raw format that a TIFF file is in truth, told by its directories; else None."""
    if _DNG_VERSION in page.entries:
        return "DNG"
    page.file.seek(4)
    head = page.file.read(12)
    # Either mark with what must stand beside it: the pixels of a common TIFF may begin at byte 8.
    if head[:6] == b"\x10\0\0\0CR" and head[6] == 2:
        return "CR2"
    if (head[4:8] == b"IIII" and head[9:] == b"waR") or (head[4:8] == b"MMMM" and head[8:11] == b"Raw"):
        return "IIQ"
    if any(item.whole(262) in _SENSOR or item.whole(259) in _RAW_CODECS for item in _directories(page)):
        maker = page.text(271).lower()
        return next((name for word, name in _MAKERS.items() if maker.startswith(word)), "raw")
    return None


@dataclass(frozen=True, slots=True)
class RawPreview:
    """The picture that stands for a raw file.

    Attributes:
        size: Its width and height, as it is stored.
        file: A JPEG, or None.
        page: A page of TIFF, or None.
        orientation: The raw file's, 1 to 8, or None.
    """

    size: Size
    file: BinaryIO | None
    page: Directory | None
    orientation: int | None


def raw_preview(file: BinaryIO, name: str) -> RawPreview:
    """The largest preview of a raw file.

    Args:
        file: The file.
        name: The raw format's.

    Raises:
        UnsupportedPictureError: It has none, or a small one alone.
    """
    end = file.seek(0, 2)
    first = _first(file, name, end)
    directories = [] if first is None else list(_directories(first))
    best = max(jpegs_within(file), key=lambda found: found[1].size[0] * found[1].size[1], default=None)
    size, chosen, page = (0, 0), None, None
    if best is not None:
        size, chosen = best[1].size, pieces(file, [(best[0], end - best[0])])
    for item in directories:
        sides = item.whole(256), item.whole(257)
        if sides[0] * sides[1] > size[0] * size[1] and _is_shown(item):
            size, chosen, page = sides, None, item
    whole = max(
        (max(item.whole(256), item.whole(257)) for item in directories if _is_sensors(item)), default=0
    )
    if max(size) < LEAST_PREVIEW and (not whole or 2 * max(size) < whole):
        told = f"its largest preview has {size[0]} x {size[1]} pixels" if max(size) else "it has no preview"
        raise unsupported(f"a camera's raw file ({name}), and {told}")
    return RawPreview(size, chosen, page, None if first is None else tag_orientation(first.get(0x0112)))


def _first(file: BinaryIO, name: str, end: int) -> Directory | None:
    if name != "CR3":
        return first_directory(file)
    file.seek(0)
    at = file.read(1 << 16).find(b"CMT1")
    return first_directory(pieces(file, [(at + 4, end - at - 4)])) if at >= 0 else None


def _directories(first: Directory) -> Iterator[Directory]:
    every = chain.from_iterable(chain([page], page.beneath()) for page in pages(first))
    return islice(every, _MOST_DIRECTORIES)


def _is_sensors(page: Directory) -> bool:
    return page.whole(262) in _SENSOR or page.whole(259) in _RAW_CODECS


def _is_shown(page: Directory) -> bool:
    """Whether a page holds colours that are read here, and no JPEG: those are found by themselves."""
    if page.whole(262) not in (2, 6) or page.whole(259, 1) in (6, 7) or _is_sensors(page):
        return False
    try:
        tiff_kind(page)
    except (CamseekError, ValueError):
        return False
    return True
