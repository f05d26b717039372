"""Which picture format a file is in, told by its first bytes."""

import os
import re

from camseek.images.raw import raw_name

PICTURE_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .apng .gif .webp .tif .tiff .bmp .heic .heif .hif .avif .avifs "
    b".jp2 .j2k .jpc .jpf .jpx .j2c "
    b".dng .nef .nrw .cr2 .cr3 .crw .arw .srf .sr2 .orf .rw2 .rwl .pef .srw .raf .3fr .fff .iiq .mos "
    b".mef .erf .dcr .kdc .x3f .mrw".split()
)
"""Endings, in lower case, of names that claim to be pictures read here."""

HEAD_BYTES = 32
"""What ``sniff`` needs; with more it also sees brands far down a HEIF file's list."""

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),  # a codestream without its box
)
_BMP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
)
_OTHERS = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "a database"),
    (b"8BPS", "a Photoshop document, a format not read here"),
    (b"\xff\x0a", "JPEG XL, a format not read here"),
    (b"\0\0\0\x0cJXL ", "JPEG XL, a format not read here"),
    (b"\0\0\x01\0", "an icon, a format not read here"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"ID3", "a sound recording"),
    (b"OggS", "a sound recording or a video"),
)


def sniff(head: bytes) -> str | None:
    """The format that the first bytes of a file belong to.

    Args:
        head: The first 32 bytes or more; fewer where the file is shorter.

    Returns:
        ``JPEG``, ``PNG``, ``GIF``, ``WEBP``, ``TIFF``, ``BMP``, ``HEIF``, ``AVIF`` or ``JPEG2000``; ``RAW``
        for a camera's raw file that does not begin as TIFF does; None for anything else.
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith(b"BM") and len(head) >= 18:
        # Two letters are too little: text may begin with them.
        size = int.from_bytes(head[14:18], "little")
        return "BMP" if size in _BMP_HEADER_SIZES else None
    if raw_name(head) is not None:
        return "RAW"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return None


def _brand(head: bytes) -> str | None:
    major = head[8:12]
    if major in _AVIF_BRANDS:
        return "AVIF"
    if major not in _HEIF_BRANDS:
        return None
    # mif1 and msf1 name the container alone: the codec stands in the list of compatible brands.
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[at : at + 4] for at in range(16, end, 4)}
    generic = major in {b"mif1", b"msf1", b"mif2"}
    return "AVIF" if generic and brands & _AVIF_BRANDS else "HEIF"


def claims_picture(name: bytes) -> bool:
    """Whether a file's name ends as a picture's does."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def describe(head: bytes) -> str:
    """What a file that is no picture obviously is, for a message: "it is ..."."""
    if not head:
        return "it is empty"
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return f"it is {name}"
    if head[4:8] == b"ftyp":
        return "it is a video or a sound recording"
    if not any(head):
        return "it holds zeros only"
    if re.search(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]", head) is None and _is_utf8(head):
        if re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml.*)?<svg|.*<svg[\s>]", head, re.DOTALL):
            return "it is an SVG drawing, a format not read here"
        if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", head, re.IGNORECASE):
            return "it is a web page"
        return "it is text"
    return "its content is no picture format known here"


def _is_utf8(head: bytes) -> bool:
    try:
        # The last character may be cut through.
        head[: max(len(head) - 3, 1)].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 6 and len(head) > 6
    return True
