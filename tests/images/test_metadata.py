"""Metadata never decide over pixels: what is broken there is ignored with a warning."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from camseek.config import Resize
from camseek.errors import DamagedPictureError
from camseek.images import decode
from camseek.images.pieces import pieces


def read(content, **options):
    return decode(io.BytesIO(content), resize=Resize.parse("640"), **options)


def chunks(png):
    at = 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        yield png[at : at + 12 + size]
        at += 12 + size


def with_wrong_checksum(png, kind):
    return png[:8] + b"".join(c[:-4] + bytes(4) if c[4:8] == kind else c for c in chunks(png))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
BODIES = {
    b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
    b"tEXt": b"Comment\0words",
    b"zTXt": b"Comment\0\0" + zlib.compress(b"words"),
    b"iTXt": b"Comment\0\0\0\0\0words",
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"gAMA": struct.pack(">I", 45455),
    b"sRGB": b"\0",
    b"cICP": bytes([1, 13, 0, 1]),
    b"iCCP": b"profile\0\0" + zlib.compress(SRGB),
    b"eXIf": b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0",
    b"tIME": bytes(7),
    b"bKGD": bytes(6),
    b"abCd": b"anything",
}  # fmt: skip


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("kind", sorted(BODIES))
def test_a_wrong_checksum_in_png_metadata(make, kind, where):
    png = make.save(make.scene(), "PNG")
    at = 33 if where == "before" else len(png) - 12
    png = png[:at] + make.png_chunk(kind, BODIES[kind]) + png[at:]
    picture = read(with_wrong_checksum(png, kind))
    np.testing.assert_array_equal(picture.pixels, np.asarray(make.scene()))
    assert picture.warnings == (f"broken metadata ignored: {kind.decode()}",)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"tRNS"])
def test_a_wrong_checksum_in_what_pixels_need(make, kind):
    png = make.save(make.scene().quantize(16), "PNG", transparency=1)
    with pytest.raises(DamagedPictureError):
        read(with_wrong_checksum(png, kind))


def test_what_is_intact_beside_it_counts(make):
    turned = make.scene().transpose(Image.Transpose.ROTATE_90)
    png = make.save(turned, "PNG", exif=make.exif(6), dpi=(72, 72))
    picture = read(with_wrong_checksum(png, b"pHYs"))
    np.testing.assert_array_equal(picture.pixels, np.asarray(make.scene()))


def test_exif_behind_the_pixels_counts(make):
    turned = make.scene().transpose(Image.Transpose.ROTATE_90)
    png = make.save(turned, "PNG")
    png = png[:-12] + make.png_chunk(b"eXIf", make.exif(6)[6:]) + png[-12:]
    np.testing.assert_array_equal(read(png).pixels, np.asarray(make.scene()))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_compressed_metadata_are_no_bomb(make, kind):
    bomb = zlib.compress(bytes(50_000_000))
    head = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"profile\0\0"}[kind]
    png = make.save(make.scene(), "PNG")
    for at in (33, len(png) - 12):
        picture = read(png[:at] + make.png_chunk(kind, head + bomb) + png[at:])
        np.testing.assert_array_equal(picture.pixels, np.asarray(make.scene()))
        assert picture.warnings


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"profile\0\0nonsense", b"profile\0\1x", b"profile\0\0" + zlib.compress(bytes(99))[:-6]],
)
def test_a_broken_profile_chunk_is_ignored_with_a_warning(make, body):
    png = make.save(make.scene(), "PNG")
    picture = read(png[:33] + make.png_chunk(b"iCCP", body) + png[33:])
    np.testing.assert_array_equal(picture.pixels, np.asarray(make.scene()))
    assert picture.warnings[0].startswith(("broken metadata ignored", "colour profile ignored: "))


@pytest.mark.parametrize(
    ("format", "broken"),
    [
        (format, broken)
        for format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
        for broken in ("exif", "xmp", "icc_profile")
        if (format, broken) != ("TIFF", "exif")  # TIFF's EXIF data are its directories
    ],
)
def test_broken_metadata_in_every_format(make, format, broken):
    """Each byte of it turned over, one by one: the same pixels, whatever else is said."""
    whole = {
        "exif": make.exif(1),
        "xmp": b'<x tiff:Orientation="1"/>' + b" " * 40,
        "icc_profile": b"not a profile at all, but long enough to be found again in the file",
    }
    value = whole[broken]
    content = make.save(make.scene(), format, **{broken: value})
    expected = read(make.save(make.scene(), format)).pixels
    mark = value[6:] if broken == "exif" else value
    packed = content.find(mark[:20])
    if packed < 0:
        # It is compressed there, or not written in this way.
        assert (format, broken) in {("PNG", "icc_profile"), ("PNG", "xmp"), ("TIFF", "xmp"), ("AVIF", "exif")}
        return
    for at in range(packed, packed + min(len(mark), 60)):
        odd = bytearray(content)
        odd[at] ^= 0xFF
        np.testing.assert_array_equal(read(bytes(odd)).pixels, expected)


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xED, 0xEC, 0xFE])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Exif\0\0",
        b"MPF\0II*\0\xff\xff\xff\xff",
        b"ICC_PROFILE\0\1",
        b"\xff" * 50,
        b"Photoshop 3.0\x008BIM\xff\xff\xff\xff",
        b"ICC_PROFILE\0\2\3abc",
    ],
)
def test_odd_segments_of_jpeg(make, marker, body):
    jpeg = make.save(make.scene(), "JPEG")
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
    picture = read(jpeg[:2] + segment + jpeg[2:])
    np.testing.assert_array_equal(picture.pixels, read(jpeg).pixels)
    assert picture.frames == 1


def test_pieces_are_one_file():
    whole = io.BytesIO(bytes(range(256)))
    parts = [(10, 5), (b"abc", 3), (100, 0), (200, 56)]
    expected = bytes(range(10, 15)) + b"abc" + bytes(range(200, 256))
    file = pieces(whole, parts)
    assert file.read() == expected
    for start, size in ((0, 4), (3, 9), (7, 1), (60, 100), (64, 1), (99, 5)):
        assert file.seek(start) == start
        assert file.read(size) == expected[start : start + size]
    assert file.seek(-4, os.SEEK_END) == len(expected) - 4
    assert file.read() == expected[-4:]
    with pytest.raises((ValueError, OSError)):
        file.seek(-1)
