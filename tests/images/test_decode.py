import contextlib
import errno
import io
import os
import struct
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import zlib
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

import camseek
from camseek.config import Resize
from camseek.errors import (
    CamseekError,
    DamagedPictureError,
    NotAPictureError,
    NotPermittedError,
    RegionError,
    TooLargeError,
    UnreadableFileError,
    UnsupportedPictureError,
)
from camseek.images import Picture, check_region, decode, fingerprint, open_file
from camseek.images import decode as _decode_function
from camseek.images import opening as opening_module

decode_module = sys.modules[_decode_function.__module__]
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "HEIF")


def read(content, longer_side=640, **options):
    return decode(io.BytesIO(content), resize=Resize.parse(str(longer_side)), **options)


def close(pixels, picture, most=12, mean=3.0):
    """Whether pixels are a picture's, but for what a lossy format loses, most of it along edges."""
    expected = np.asarray(picture.convert("RGB"), dtype=np.int16)
    assert pixels.shape == expected.shape
    difference = np.abs(pixels.astype(np.int16) - expected)
    return np.percentile(difference, 93) <= most and difference.mean() <= mean


# Formats


@pytest.mark.parametrize("format", FORMATS)
def test_every_format(make, samples, format):
    picture = read(samples[format])
    assert isinstance(picture, Picture)
    assert picture.pixels.dtype == np.uint8
    assert close(picture.pixels, make.scene())
    if format not in ("JPEG", "AVIF", "HEIF"):
        np.testing.assert_array_equal(picture.pixels, np.asarray(make.scene()))
    assert picture.size == (96, 64)
    assert picture.format == format
    assert picture.frames == 1
    assert picture.warnings == ()


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_gives_what_its_bytes_give_every_time(tmp_path, samples, format):
    path = os.fsencode(tmp_path / "picture")
    with open(path, "wb") as file:
        file.write(samples[format])
    with open_file(path) as file:
        file.seek(7)
        from_file = decode(file, resize=Resize.parse("50"))
        again = decode(file, resize=Resize.parse("50"))
    from_bytes = read(samples[format], 50)
    np.testing.assert_array_equal(from_file.pixels, from_bytes.pixels)
    np.testing.assert_array_equal(from_file.pixels, again.pixels)


def test_a_codestream_without_its_box(make):
    content = make.save(make.scene(), "JPEG2000", no_jp2=True)
    assert close(read(content).pixels, make.scene())


# Orientation


def oriented(make, format, orientation, size=(96, 64)):
    turn = make.stored[orientation]
    stored = make.scene(size) if turn is None else make.scene(size).transpose(turn)
    exif = make.exif(orientation)
    if format == "JPEG2000":
        return make.jp2_with_box(make.save(stored, format), b"uuid", b"JpgTiffExif->JP2" + exif[6:])
    if format == "TIFF":
        return make.save(stored, format, tiffinfo={0x0112: orientation})
    if format == "TIFF, compressed":
        return make.save(stored, "TIFF", tiffinfo={0x0112: orientation}, compression="tiff_lzw")
    if format == "PNG, ImageMagick's":
        content = make.save(stored, "PNG")
        hexadecimal = exif.hex().encode()
        text = b"Raw profile type exif\0" + b"\nexif\n%8d\n%s\n" % (len(exif), hexadecimal)
        return content[:33] + make.png_chunk(b"tEXt", text) + content[33:]
    if format == "JPEG, XMP":
        return make.save(stored, "JPEG", xmp=b'<x tiff:Orientation="%d"/>' % orientation)
    if format == "HEIF":
        return make.heic(f"orientation{orientation}")
    return make.save(stored, format, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "format",
    [
        "JPEG",
        "JPEG, XMP",
        "PNG",
        "PNG, ImageMagick's",
        "WEBP",
        "TIFF",
        "TIFF, compressed",
        "AVIF",
        "JPEG2000",
        "HEIF",
    ],
)
def test_upright_in_every_format_and_orientation(make, format, orientation):
    picture = read(oriented(make, format, orientation))
    assert picture.size == (96, 64)
    assert close(picture.pixels, make.scene())
    assert picture.warnings == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "TIFF", "JPEG2000"])
def test_oriented_and_reduced(make, format, orientation):
    picture = read(oriented(make, format, orientation, (803, 599)), 96)
    assert picture.size == (803, 599)
    assert picture.pixels.shape == (72, 96, 3)
    assert close(picture.pixels, make.scene((803, 599)).resize((96, 72), Image.Resampling.BICUBIC), 20)


def test_jpeg_2000_with_alpha_is_not_halved(make):
    rgb, alpha, left = hidden(make, "RGBA")
    big = rgb.resize((640, 640), Image.Resampling.NEAREST)
    big.putalpha(alpha.resize((640, 640), Image.Resampling.NEAREST))
    assert_hidden(make.save(big, "JPEG2000"), left)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_region_is_one_of_the_upright_picture(make, format, orientation):
    box = (3, 5, 40, 17)
    picture = read(oriented(make, format, orientation), region=box)
    assert picture.size == (96, 64)
    assert close(picture.pixels, make.scene().crop(box), 25)


def test_avif_turns_by_its_container_alone(make):
    xmp = b'<x tiff:Orientation="6"/>'
    content = make.save(make.scene(), "AVIF", xmp=xmp)
    assert close(read(content).pixels, make.scene())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "JPEG2000"])
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense and more", b"Exif\0\0MM\0*\0\0\xff\0", b"Exif\0\0II*\0\0\xff\0\0\xff\0"]
)
def test_broken_exif_is_ignored_with_a_warning(make, format, exif):
    if format == "AVIF":
        # Pillow refuses to write what it refuses to read.
        software = Image.Exif()
        software[0x0131] = "camseek"
        content = make.save(make.scene(), "AVIF", exif=software.tobytes())
        assert content.count(b"MM\0*\0\0\0\x08") == 1
        content = content.replace(b"MM\0*\0\0\0\x08", exif[6:14].ljust(8, b"\0"))
    elif format == "JPEG2000":
        content = make.jp2_with_box(make.save(make.scene(), format), b"uuid", b"JpgTiffExif->JP2" + exif[6:])
    else:
        content = make.save(make.scene(), format, exif=exif)
    picture = read(content)
    assert close(picture.pixels, make.scene())
    assert picture.warnings == ("broken EXIF data ignored",)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_counts_as_upright(make, value):
    assert close(read(make.save(make.scene(), "JPEG", exif=make.exif(value))).pixels, make.scene())


def with_entry(make, format, entry, order="<", behind=b""):
    """The scene stored sideways, with one EXIF entry as it is given."""
    stored = make.scene().transpose(Image.Transpose.ROTATE_90)
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    exif = header + struct.pack(order + "H", 1) + entry + bytes(4) + behind
    if format == "JPEG2000":
        return make.jp2_with_box(make.save(stored, format), b"uuid", b"JpgTiffExif->JP2" + exif)
    return make.save(stored, format, exif=b"Exif\0\0" + exif)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "JPEG2000"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "count", "packed"),
    [(1, 1, "B"), (3, 1, "H"), (3, 2, "HH"), (3, 0, "H"), (4, 1, "I"), (6, 1, "b"), (7, 1, "B"), (8, 1, "h"),
     (9, 1, "i"), (1, 4, "BBBB")],
)  # fmt: skip
def test_an_orientation_of_another_type_or_count_counts(make, format, order, kind, count, packed):
    values = struct.pack(order + packed, *[6, 1, 1, 1][: len(packed)]).ljust(4, b"\0")
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + values
    picture = read(with_entry(make, format, entry, order))
    assert close(picture.pixels, make.scene())
    assert picture.warnings == ()


def test_an_orientation_among_many_stands_elsewhere(make):
    entry = struct.pack("<HHII", 0x0112, 3, 3, 26)
    content = with_entry(make, "JPEG", entry, behind=struct.pack("<3H", 6, 0, 0))
    assert close(read(content).pixels, make.scene())
    far = with_entry(make, "JPEG", struct.pack("<HHII", 0x0112, 3, 3, 1 << 30))
    assert read(far).warnings == ("broken EXIF data ignored",)


@pytest.mark.parametrize(
    ("kind", "count", "value"), [(1, 1, b"\6\0\0\0"), (4, 1, b"\6\0\0\0"), (3, 2, b"\6\0\1\0")]
)
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_files_orientation_of_another_type_or_count(make, compression, kind, count, value):
    stored = make.scene().transpose(Image.Transpose.ROTATE_90)
    content = make.save(stored, "TIFF", tiffinfo={0x0112: 3}, compression=compression)
    before = struct.pack("<HHIHH", 0x0112, 3, 1, 3, 0)
    assert content.count(before) == 1
    content = content.replace(before, struct.pack("<HHI", 0x0112, kind, count) + value)
    picture = read(content)
    assert picture.size == (96, 64)
    assert close(picture.pixels, make.scene())


# Size


@pytest.mark.parametrize(
    ("size", "longer_side", "shape"),
    [
        ((96, 64), 96, (64, 96, 3)),
        ((96, 64), 1000, (64, 96, 3)),
        ((96, 64), 48, (32, 48, 3)),
        ((64, 96), 48, (48, 32, 3)),
        ((97, 33), 50, (17, 50, 3)),
        ((5000, 2), 640, (1, 640, 3)),
        ((1, 1), 640, (1, 1, 3)),
        ((3, 4000), 1, (1, 1, 3)),
    ],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "JPEG2000"])
def test_scaled_down_and_never_enlarged(make, size, longer_side, shape, format):
    picture = read(make.save(Image.new("RGB", size, (9, 200, 90)), format), longer_side)
    assert picture.pixels.shape == shape
    assert picture.size == size
    assert np.abs(picture.pixels.astype(int) - (9, 200, 90)).max() <= 3


def test_scaling_is_antialiased_and_close_to_one_step_resampling(make):
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((1800, 1200), Image.Resampling.BICUBIC)
    pixels = read(make.save(picture, "PNG"), 200).pixels
    one_step = np.asarray(picture.resize((200, 133), Image.Resampling.BICUBIC), dtype=np.int16)
    assert np.abs(pixels - one_step).max() <= 12
    stripes = np.zeros((64, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(read(make.save(Image.fromarray(stripes), "PNG"), 80).pixels.astype(int) - 128).max() <= 3


@pytest.mark.parametrize(
    ("longer_side", "region", "decoded"),
    [
        (100, None, (100, 75)),
        (101, None, (200, 150)),
        (640, None, (800, 600)),
        (100, (0, 0, 400, 300), (200, 150)),
        (100, (0, 0, 99, 10), (800, 600)),
    ],
)
def test_jpeg_is_decoded_at_the_scale_that_still_covers(make, longer_side, region, decoded):
    loaded = []
    load = opening_module.load

    def spy(source):
        image = load(source)
        loaded.append(image.size)
        return image

    content = make.save(make.scene((800, 600)), "JPEG")
    with mock.patch.object(opening_module, "load", spy):
        picture = read(content, longer_side, region=region)
    assert loaded == [decoded]
    assert max(picture.pixels.shape) == min(longer_side, max(region[2:]) if region else 800)


@pytest.mark.parametrize("size", [(800, 600), (801, 603), (805, 601)])
def test_jpeg_2000_is_decoded_at_a_reduced_resolution(make, size):
    loaded = []
    load = opening_module.load

    def spy(source):
        image = load(source)
        loaded.append(image.size)
        return image

    with mock.patch.object(opening_module, "load", spy):
        picture = read(make.save(make.scene(size), "JPEG2000"), 90)
    assert max(loaded[0]) in (100, 101)
    assert close(picture.pixels, make.scene(size).resize(picture.pixels.shape[1::-1]), 25, 4)
    few = make.save(make.scene(size), "JPEG2000", num_resolutions=2)
    assert close(read(few, 90).pixels, make.scene(size).resize(picture.pixels.shape[1::-1]), 25, 4)


def test_tiled_jpeg_2000(make):
    content = make.save(make.scene((300, 200)), "JPEG2000", tile_size=(64, 64))
    assert close(read(content, 70).pixels, make.scene((300, 200)).resize((70, 47)), 25, 4)


# Regions


def test_a_region_keeps_the_detail_of_the_original(make):
    picture = Image.new("RGB", (2000, 1500), (90, 90, 90))
    picture.paste(make.scene(), (1000, 700))
    region = (1000, 700, 1096, 764)
    for format in ("PNG", "JPEG", "JPEG2000"):
        found = read(make.save(picture, format), region=region)
        assert found.size == (2000, 1500)
        assert close(found.pixels, make.scene(), 20)


def test_pixels_outside_a_region_do_not_count(make):
    picture = Image.new("RGB", (400, 400), (255, 255, 255))
    picture.paste((10, 20, 30), (100, 100, 301, 301))
    found = read(make.save(picture, "PNG"), 50, region=(100, 100, 301, 301))
    np.testing.assert_array_equal(found.pixels, np.full((50, 50, 3), (10, 20, 30), np.uint8))


def test_a_region_inside_passes():
    assert check_region((0, 0, 10, 20), (10, 20)) == (0, 0, 10, 20)
    assert check_region((9, 19, 10, 20), (10, 20)) == (9, 19, 10, 20)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ((5, 5, 5, 9), "is empty"),
        ((0, 3, 9, 3), "is empty"),
        ((9, 0, 3, 5), "is reversed"),
        ((0, 9, 5, 3), "is reversed"),
        ((-1, 0, 5, 5), "reaches outside"),
        ((0, 0, 11, 5), "reaches outside"),
        ((0, 15, 10, 21), "reaches outside"),
    ],
)
def test_a_region_that_cannot_be_says_the_pictures_size(make, region, said):
    with pytest.raises(RegionError, match="10 x 20 pixels") as error:
        check_region(region, (10, 20))
    assert said in error.value.message
    assert error.value.remedy
    turned = make.save(Image.new("RGB", (20, 10)), "PNG", exif=make.exif(6))
    with pytest.raises(RegionError, match="10 x 20 pixels"):
        read(turned, region=region)


# Kinds of pixels


def without_adobe(content):
    """A JPEG file without Adobe's marker."""
    at = content.index(b"\xff\xee")
    return content[:at] + content[at + 2 + int.from_bytes(content[at + 2 : at + 4], "big") :]


def test_cmyk_with_and_without_adobes_marker(make):
    cmyk = make.scene().convert("CMYK")
    marked = make.save(cmyk, "JPEG")
    assert close(read(marked).pixels, make.scene(), 16, 4)
    # Browsers take the values for inverted, as Adobe's programs write them, marker or none.
    assert close(read(without_adobe(marked)).pixels, make.scene(), 16, 4)
    assert close(read(make.save(cmyk, "TIFF")).pixels, make.scene())


def test_ycck(make):
    # Y, Cb, Cr and K written as if they were C, M, Y and K, then Adobe's marker says YCCK.
    cyan, magenta, yellow, black = make.scene().convert("CMYK").split()
    inks = Image.merge("RGB", (cyan, magenta, yellow))
    luma, blue, red = inks.convert("YCbCr").split()
    stored = Image.merge(
        "CMYK", [Image.eval(band, lambda v: 255 - v) for band in (luma, blue, red)] + [black]
    )
    content = bytearray(make.save(stored, "JPEG"))
    content[content.index(b"Adobe") + 11] = 2
    assert close(read(bytes(content)).pixels, make.scene(), 16, 4)


def test_grey_of_16_bits_spans_its_range(make):
    values = np.array([[0, 257, 128 * 257, 65535, 1000]], np.uint16)
    for content in (
        make.save(Image.fromarray(values), "PNG"),
        make.save(Image.fromarray(values), "TIFF"),
        make.save(Image.fromarray(values.astype(">u2")), "TIFF"),
        make.save(Image.fromarray(values), "TIFF", compression="tiff_lzw"),
    ):
        assert read(content).pixels[0, :, 0].tolist() == [0, 1, 128, 255, 4]
    wide = np.tile(values, (8, 100)).astype(np.uint16)
    grey = read(make.save(Image.fromarray(wide), "JPEG2000")).pixels[:, :5, 1]
    assert np.abs(grey.astype(int) - [0, 1, 128, 255, 4]).max() <= 1


def test_grey_of_12_bits(make):
    packed = bytes([0x00, 0x0F, 0xFF])  # 0 and 4095
    content = bytearray(make.save(Image.fromarray(np.array([[1, 2]], np.uint16)), "TIFF"))
    # In place: bits per sample, and the strip's content.
    at = content.index(struct.pack("<HHI", 258, 3, 1)) + 8
    content[at : at + 2] = struct.pack("<H", 12)
    data = content.rindex(struct.pack("<HH", 1, 2))
    content[data : data + 3] = packed
    assert read(bytes(content)).pixels[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 65535, 257], [0, 255, 1]),
        ([100, 100, 100], [0, 0, 0]),
        ([-100, 0, 100], [0, 128, 255]),
        ([0, 50000, 100000], [0, 128, 255]),
    ],
)
def test_grey_of_32_bit_integers(make, values, expected):
    content = make.save(Image.fromarray(np.array([values], np.int32)), "TIFF")
    assert read(content).pixels[0, :, 2].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 1.0, 0.2], [0, 255, 51]),
        ([0.5, 0.6, np.nan], [128, 153, 0]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([10.0, 20.0, np.inf], [0, 255, 0]),
        ([-3e38, 3e38, -np.inf], [0, 255, 0]),
        ([7.0, 7.0, 7.0], [0, 0, 0]),
        ([np.nan, np.inf, -np.inf], [0, 0, 0]),
    ],
)
def test_grey_of_floating_point(make, values, expected):
    content = make.save(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert read(content).pixels[0, :, 0].tolist() == expected
    region = read(content, region=(0, 0, 1, 1)).pixels  # the whole picture decides
    assert region[0, 0].tolist() == [expected[0]] * 3


def test_strips_are_no_different_from_the_whole(make, monkeypatch):
    values = np.random.default_rng(1).normal(size=(301, 203)).astype(np.float32)
    content = make.save(Image.fromarray(values), "TIFF")
    clear = Image.fromarray(np.random.default_rng(2).integers(0, 256, (301, 203, 4), dtype=np.uint8))
    clear_content = make.save(clear, "PNG")
    whole = read(content, 40).pixels, read(clear_content, 40).pixels
    monkeypatch.setattr("camseek.images.reducing._STRIP", 1500)
    np.testing.assert_array_equal(read(content, 40).pixels, whole[0])
    np.testing.assert_array_equal(read(clear_content, 40).pixels, whole[1])


def test_black_and_white(make):
    picture = Image.new("1", (40, 40), 1)
    picture.paste(0, (0, 0, 20, 40))
    for content in (make.save(picture, "PNG"), make.save(picture, "TIFF", compression="group4")):
        pixels = read(content, 10).pixels
        assert pixels[5, 0].tolist() == [0, 0, 0]
        assert pixels[5, 9].tolist() == [255, 255, 255]


def test_lab(make):
    content = make.save(make.scene().convert("LAB"), "TIFF")
    assert close(read(content).pixels, make.scene(), 10)


# Alpha


def hidden(make, mode):
    """A picture whose right half is transparent, with colours that must not show."""
    grey = mode in ("LA", "L", "1", "I;16")
    left, right = ((60, 60, 60), (10, 10, 10)) if grey else ((200, 40, 40), (0, 255, 0))
    rgb = Image.new("RGB", (64, 64), left)
    rgb.paste(right, (32, 0, 64, 64))
    alpha = Image.new("L", (64, 64), 255)
    alpha.paste(0, (32, 0, 64, 64))
    return rgb, alpha, left


def assert_hidden(content, left, **options):
    for longer_side in (64, 16, 9):
        pixels = read(content, longer_side, **options).pixels.astype(int)
        middle = pixels.shape[1] // 2
        assert np.abs(pixels[:, : middle - 1] - left).max() <= 2
        assert (pixels[:, middle + 2 :] >= 253).all()
        # Between the two lie mixtures with white and none with the hidden colour.
        low = np.minimum(left, 255) - 6
        assert (pixels >= low).all()


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG2000"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(make, format, mode):
    rgb, alpha, left = hidden(make, mode)
    picture = rgb.convert("L") if mode == "LA" else rgb
    picture.putalpha(alpha)
    options = {"exact": True} if format == "WEBP" else {}
    assert_hidden(make.save(picture, format, **options), left)


def test_what_is_transparent_in_avif_and_heic_is_white(make):
    rgb, alpha, left = hidden(make, "RGBA")
    rgb.putalpha(alpha)
    pixels = read(make.save(rgb, "AVIF", quality=100)).pixels.astype(int)
    assert (pixels[:, 36:] >= 250).all()
    assert np.abs(pixels[:, :28] - left).max() <= 6
    pixels = read(make.heic("alpha")).pixels
    assert (pixels[:, 52:] >= 250).all()
    assert close(pixels[:, :40], make.scene().crop((0, 0, 40, 64)))


def bitmap(picture, alpha):
    """A bitmap of 32 bits with a mask for alpha, as many programs write it."""
    rgb = np.asarray(picture)
    bgra = np.dstack([rgb[::-1, :, ::-1], np.broadcast_to(np.asarray(alpha, np.uint8), rgb.shape[:2])[::-1]])
    height, width, _ = rgb.shape
    numbers = (124, width, height, 1, 32, 3, bgra.nbytes, 0, 0, 0, 0, 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiIIIIII", *numbers) + b"BGRs" + bytes(64)
    sizes = struct.pack("<IHHI", 14 + len(head) + bgra.nbytes, 0, 0, 14 + len(head))
    return b"BM" + sizes + head + bgra.tobytes()


def test_a_bitmap_whose_alpha_is_nothing_everywhere_is_opaque(make):
    scene = make.scene()
    np.testing.assert_array_equal(read(bitmap(scene, 0)).pixels, np.asarray(scene))
    np.testing.assert_array_equal(read(bitmap(scene, 255)).pixels, np.asarray(scene))
    alpha = np.zeros((64, 96), np.uint8)
    alpha[:, :48] = 255
    pixels = read(bitmap(scene, alpha)).pixels
    np.testing.assert_array_equal(pixels[:, :48], np.asarray(scene)[:, :48])
    assert (pixels[:, 48:] == 255).all()


def test_half_transparent_is_half_white(make):
    picture = Image.new("RGBA", (8, 8), (0, 100, 200, 128))
    assert read(make.save(picture, "PNG")).pixels[0, 0].tolist() == pytest.approx([127, 177, 227], abs=1)


@pytest.mark.parametrize(("format", "transparency"), [("PNG", 1), ("PNG", bytes([255, 0])), ("GIF", 1)])
def test_palettes_with_transparency(make, format, transparency):
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([200, 40, 40, 0, 255, 0])
    picture.paste(1, (32, 0, 64, 64))
    assert_hidden(make.save(picture, format, transparency=transparency), (200, 40, 40))


def test_palette_with_an_alpha_band(make):
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([200, 40, 40, 0, 255, 0])
    picture.paste(1, (32, 0, 64, 64))
    _, alpha, left = hidden(make, "RGBA")
    picture = picture.convert("PA")
    picture.putalpha(alpha)
    assert picture.mode == "PA"
    assert_hidden(make.save(picture, "TIFF"), left)


def test_one_transparent_colour(make):
    rgb, _, left = hidden(make, "RGB")
    assert_hidden(make.save(rgb, "PNG", transparency=(0, 255, 0)), left)
    grey, _, left = hidden(make, "L")
    assert_hidden(make.save(grey.convert("L"), "PNG", transparency=10), left)
    deep = np.asarray(grey.convert("L")).astype(np.uint16) * 257
    assert_hidden(make.save(Image.fromarray(deep), "PNG", transparency=10 * 257), left)
    white = Image.new("1", (64, 64), 1)
    white.paste(0, (32, 0, 64, 64))
    assert_hidden(make.save(white, "PNG", transparency=0), (255, 255, 255))


def raw_png(make, width, height, depth, kind, rows, *chunks):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", make.png_chunk(b"IHDR", header), *chunks]
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"".join([*parts, make.png_chunk(b"IDAT", data), make.png_chunk(b"IEND", b"")])


def test_transparent_colours_of_unusual_depths(make):
    two_bits = raw_png(
        make, 4, 1, 2, 0, [bytes([0b00_01_10_11])], make.png_chunk(b"tRNS", struct.pack(">H", 2))
    )
    assert read(two_bits).pixels[0, :, 0].tolist() == [0, 85, 255, 255]
    assert read(two_bits, region=(1, 0, 2, 1)).pixels[0, 0].tolist() == [85] * 3
    deep = struct.pack(">6H", 0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666)
    clear = make.png_chunk(b"tRNS", struct.pack(">3H", 0x1111, 0x2222, 0x3333))
    sixteen = raw_png(make, 2, 1, 16, 2, [deep], clear)
    assert read(sixteen).pixels[0].tolist() == [[255] * 3, [0x44, 0x55, 0x66]]


# Colour profiles


def tagged(profile_class, space, pcs, tags):
    """An ICC profile of version 2 with the given tags."""
    head = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, head + len(body), len(data))
        body += data
    size = head + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, profile_class, space, pcs)
    header += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


WHITE = b"XYZ " + bytes(4) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
NAME = b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(79)


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped():
    """sRGB's profile with red and blue exchanged."""
    return srgb().replace(b"rXYZ", b"####", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"####", b"bXYZ", 1)


def grey_profile():
    """Grey that is darker than sRGB's: gamma 4."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 4 * 256)
    return tagged(b"mntr", b"GRAY", b"XYZ ", {b"desc": NAME, b"wtpt": WHITE, b"kTRC": curve})


def cmyk_profile():
    """Only black ink counts, and colours none."""
    ramp = bytes(range(256))
    grid = bytes(
        value
        for corner in range(16)
        for value in (0 if corner & 1 else 255, 128, 128)  # L, a, b; black varies fastest
    )
    matrix = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x10000)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + grid + ramp * 3
    return tagged(b"prtr", b"CMYK", b"Lab ", {b"desc": NAME, b"wtpt": WHITE, b"A2B0": table})


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_embedded_profiles_are_applied(make, format):
    red, green, blue = make.scene().split()
    content = make.save(Image.merge("RGB", (blue, green, red)), format, icc_profile=swapped())
    picture = read(content)
    assert close(picture.pixels, make.scene(), 14)
    assert picture.warnings == ()


def test_a_jpeg_2000_files_profile_is_applied(make):
    red, green, blue = make.scene().split()
    content = make.save(Image.merge("RGB", (blue, green, red)), "JPEG2000")
    at = content.index(b"colr") - 4
    length = int.from_bytes(content[at : at + 4], "big")
    box = b"\x02\0\0" + swapped()
    box = struct.pack(">I4s", len(box) + 8, b"colr") + box
    outer = content.index(b"jp2h") - 4
    outer_length = int.from_bytes(content[outer : outer + 4], "big") + len(box) - length
    content = content[:at] + box + content[at + length :]
    content = content[:outer] + struct.pack(">I", outer_length) + content[outer + 4 :]
    assert close(read(content).pixels, make.scene(), 14)


def test_srgbs_own_profile_changes_no_pixel(make):
    content = make.save(make.scene(), "PNG")
    tagged_content = make.save(make.scene(), "PNG", icc_profile=srgb())
    np.testing.assert_array_equal(read(tagged_content).pixels, read(content).pixels)


def test_grey_profiles(make):
    picture = Image.new("L", (8, 8), 128)
    plain = read(make.save(picture, "PNG")).pixels[0, 0, 0]
    dark = read(make.save(picture, "PNG", icc_profile=grey_profile()))
    assert dark.warnings == ()
    linear = (128 / 255) ** 4
    assert dark.pixels[0, 0, 0] == pytest.approx(255 * (1.055 * linear ** (1 / 2.4) - 0.055), abs=3)
    assert dark.pixels[0, 0, 0] < plain - 40
    # A profile for colours on a grey picture, as editors leave it.
    assert read(make.save(picture, "PNG", icc_profile=swapped())).pixels[0, 0].tolist() == [128] * 3


def test_cmyk_profiles(make):
    for ink, grey in (((255, 0, 0, 0), 255), ((0, 0, 0, 255), 0), ((255, 255, 255, 0), 255)):
        for format in ("JPEG", "TIFF"):
            picture = Image.new("CMYK", (16, 16), ink)
            found = read(make.save(picture, format, icc_profile=cmyk_profile()))
            assert found.warnings == ()
            assert np.abs(found.pixels.astype(int) - grey).max() <= 6


def test_alpha_with_a_profile(make):
    picture = Image.new("RGBA", (8, 8), (0, 0, 200, 255))
    picture.paste((9, 9, 9, 0), (4, 0, 8, 8))
    pixels = read(make.save(picture, "PNG", icc_profile=swapped())).pixels
    assert pixels[0, 0].tolist() == pytest.approx([200, 0, 0], abs=3)
    assert pixels[0, 7].tolist() == pytest.approx([255, 255, 255], abs=3)


@pytest.mark.parametrize("profile", [b"nonsense", bytes(200), "cut", "cmyk"])
def test_a_profile_that_cannot_be_used_is_ignored_with_a_warning(make, profile):
    content = {"cut": srgb()[:300], "cmyk": cmyk_profile()}.get(profile, profile)
    picture = read(make.save(make.scene(), "PNG", icc_profile=content))
    assert close(picture.pixels, make.scene())
    [warning] = picture.warnings
    assert warning.startswith("colour profile ignored")


def test_profiles_in_many_threads(make):
    contents = [make.save(make.scene(), "PNG", icc_profile=swapped() + bytes(n)) for n in range(40)]
    expected = [read(content).pixels for content in contents]
    wrong = []

    def work(order):
        wrong.extend(n for n in order if not np.array_equal(read(contents[n]).pixels, expected[n]))

    threads = [
        threading.Thread(target=work, args=(np.random.default_rng(n).permutation(40),)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Several pictures in a file


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_the_first_of_several_is_used(make, format):
    others = [Image.new("RGB", (96, 64), (0, 0, value)) for value in (100, 200)]
    first = make.scene()
    content = make.save(first, format, save_all=True, append_images=others)
    picture = read(content)
    assert picture.frames == 3
    assert close(picture.pixels, first, 24, 4)


def test_the_primary_picture_of_heic_is_used(make):
    picture = read(make.heic("two"))
    assert picture.frames == 2
    assert close(picture.pixels, make.scene())


def test_damage_behind_the_first_picture_does_not_matter(make):
    others = [Image.effect_noise((96, 64), value).convert("RGB") for value in (50, 60)]
    content = make.save(make.scene().quantize(16), "GIF", save_all=True, append_images=others)
    picture = read(content[:-2000])
    assert close(picture.pixels, make.scene())


def test_heic_above_8_bits(make):
    assert close(read(make.heic("deep")).pixels, make.scene())


# Limits


def test_more_pixels_than_the_limit(make, samples):
    for format in FORMATS:
        with pytest.raises(TooLargeError) as error:
            read(samples[format], max_pixels=6000)
        assert error.value.message == "it has 96 x 64 = 0.0 megapixels, more than the limit of 0.006"
        assert "--max-megapixels 1" in error.value.remedy
        read(samples[format], max_pixels=6144)


def test_too_much_memory(make, samples, monkeypatch):
    monkeypatch.setattr(decode_module, "_MEMORY", 6144 * 9.0)
    for format, fits in {
        "JPEG": True, "PNG": True, "GIF": True, "BMP": True, "WEBP": False, "AVIF": False, "HEIF": False,
        "JPEG2000": False,
    }.items():  # fmt: skip
        if fits:
            read(samples[format], max_pixels=6144)
        else:
            with pytest.raises(TooLargeError, match="memory") as error:
                read(samples[format], max_pixels=6144)
            assert "--max-megapixels" in error.value.remedy
    read(samples["JPEG2000"], 24, max_pixels=6144)
    progressive = make.save(make.scene(), "JPEG", progressive=True)
    with pytest.raises(TooLargeError):
        read(progressive, max_pixels=6144)
    read(progressive, 24, max_pixels=6144)
    monkeypatch.setattr(decode_module, "_MEMORY", 1.0)
    read(samples["WEBP"], max_pixels=20_000)  # the limit on memory grows with that on pixels


def test_whole_files_are_not_read_into_memory_above_a_limit(samples, monkeypatch):
    monkeypatch.setattr(decode_module, "_MEMORY", 4.0)
    with mock.patch.object(opening_module, "open_source", side_effect=AssertionError):
        for format in ("WEBP", "AVIF", "HEIF"):
            with pytest.raises(TooLargeError):
                read(samples[format], max_pixels=1)


def in_a_process(script, *arguments):
    """Runs lines after imports in a process of its own; gives what they print and the peak in bytes."""
    lines = f"""
        import io, resource, struct, sys, time, zlib
        sys.path.insert(0, {os.path.dirname(os.path.dirname(camseek.__file__))!r})
        import numpy as np
        from PIL import Image
        from camseek.config import Resize
        from camseek.images import decode, open_file
        from camseek.errors import CamseekError
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        def chunk(kind, body):
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    """
    code = textwrap.dedent(lines) + textwrap.dedent(script)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_bombs_fail_at_once_and_take_no_memory(make, tmp_path):
    def sized(content, at, packed):
        return content[:at] + packed + content[at + len(packed) :]

    small = Image.new("RGB", (8, 8))
    side = 60_000
    png = raw_png(make, side, side, 8, 6, [b"\0" * 32])
    gif = sized(make.save(small, "GIF"), 6, struct.pack("<2H", side, side))
    bmp = sized(make.save(small, "BMP"), 18, struct.pack("<2i", side, side))
    jpeg = make.save(small, "JPEG")
    jpeg = sized(jpeg, jpeg.index(b"\xff\xc0") + 5, struct.pack(">2H", side, side))
    tiff = bytearray(make.save(small, "TIFF"))
    for tag in (256, 257):
        at = tiff.index(
            struct.pack("<HH", tag, 4) if struct.pack("<HH", tag, 4) in tiff else struct.pack("<HH", tag, 3)
        )
        tiff[at : at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    webp = make.save(Image.new("RGBA", (8, 8)), "WEBP")
    webp = sized(webp, 21, struct.pack("<I", 16382 | 16382 << 14))
    j2k = make.save(small, "JPEG2000", no_jp2=True)
    j2k = sized(j2k, 8, struct.pack(">2I", side, side))
    avif = make.save(small, "AVIF")
    avif = sized(avif, avif.index(b"ispe") + 8, struct.pack(">2I", 16000, 16000))
    heic = make.heic("orientation1")
    heic = sized(heic, heic.index(b"ispe") + 8, struct.pack(">2I", 30000, 30000))
    bombs = {"png": png, "gif": gif, "bmp": bmp, "jpeg": jpeg, "tiff": bytes(tiff), "webp": webp, "j2k": j2k,
             "avif": avif, "heic": heic}  # fmt: skip
    for name, content in bombs.items():
        (tmp_path / name).write_bytes(content)
    script = """
        import os
        before = peak()
        for name in sys.argv[2:]:
            start = time.perf_counter()
            try:
                with open_file(os.fsencode(os.path.join(sys.argv[1], name))) as file:
                    decode(file, resize=Resize.parse("640"))
                print(name + ":none")
            except CamseekError as error:
                slow = time.perf_counter() - start > 2
                print(name + ":" + error.code + (":slow" if slow else ""))
        print(peak() - before)
    """
    *codes, grown = in_a_process(script, str(tmp_path), *bombs)
    # libheif finds that the picture's two sizes disagree, before it makes room for either.
    assert codes == [f"{name}:too_large" for name in bombs]
    assert int(grown) < 40e6


def test_the_largest_picture_stays_below_2_gb():
    script = """
        width, height = 20_000, 10_000
        packer, parts = zlib.compressobj(1), []
        for _ in range(height):
            parts.append(packer.compress(bytes(1 + 4 * width)))
        data = b"".join(parts) + packer.flush()
        header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
        content = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)
        content += chunk(b"IEND", b"")
        picture = decode(io.BytesIO(content), resize=Resize.parse("640"))
        print(picture.size == (width, height), int(picture.pixels.min()), peak())
    """
    right, darkest, most = in_a_process(script)
    assert (right, darkest) == ("True", "255")
    assert int(most) < 2e9


def test_a_large_tiff_passes_pillows_own_limit(make, monkeypatch):
    content = make.save(make.scene(), "TIFF", compression="tiff_lzw")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert close(read(content).pixels, make.scene())
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_one_big_picture_at_a_time(samples, monkeypatch):
    load, running, most = opening_module.load, [], []

    def slow(source):
        running.append(1)
        most.append(len(running))
        time.sleep(0.05)
        running.pop()
        return load(source)

    turn = threading.Lock()

    def run():
        threads = [
            threading.Thread(target=read, args=(samples["PNG"],), kwargs={"turn": turn}) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(most)

    monkeypatch.setattr(opening_module, "load", slow)
    assert run() > 1
    most.clear()
    monkeypatch.setattr(decode_module, "BIG", 0.0)
    assert run() == 1


# Errors


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"hello", "it is text"),
        (b"%PDF-1.4", "it is a PDF document"),
        (b"BMW is no bitmap, whatever it looks like", "it is text"),
        (b"\x01\x80\xff" * 9, "its content is no picture format known here"),
    ],
)
def test_what_is_no_picture(content, said):
    with pytest.raises(NotAPictureError) as error:
        read(content)
    assert error.value.message == said
    assert error.value.remedy


@pytest.mark.parametrize("format", FORMATS)
def test_cut_short(samples, format):
    for share in (0.3, 0.6, 0.9):
        content = samples[format]
        with pytest.raises(DamagedPictureError) as error:
            read(content[: max(20, int(len(content) * share))])
        assert format in error.value.message
        assert error.value.remedy


def test_memory_that_runs_out_says_nothing_of_the_picture(samples):
    with (
        mock.patch.object(opening_module, "load", side_effect=MemoryError),
        pytest.raises(UnreadableFileError, match="not enough memory"),
    ):
        read(samples["PNG"])


@pytest.mark.parametrize("kind", [b"\xff\xff\xfff", b"\0\0\xd2x", b"mime"])
def test_item_types_that_crash_pi_heif(make, kind):
    content = bytearray(make.heic("orientation6"))
    at = content.index(b"Exif")
    content[at : at + 4] = kind
    if kind == b"mime":
        content[at + 4] = 0xFF
    with pytest.raises(DamagedPictureError):
        read(bytes(content))


def test_what_an_exception_out_of_a_reader_means(samples):
    def failing(error):
        with (
            mock.patch.object(opening_module, "load", side_effect=error),
            pytest.raises(CamseekError) as raised,
        ):
            read(samples["PNG"])
        return raised.type

    assert failing(OSError(errno.EACCES, "no")) is NotPermittedError
    assert failing(OSError(errno.EINVAL, "a seek to nowhere")) is DamagedPictureError
    assert failing(OSError("broken data stream")) is DamagedPictureError
    assert failing(Image.DecompressionBombError("large")) is TooLargeError
    assert failing(RuntimeError("Memory allocation exceeds the security limit of 512 MB")) is TooLargeError
    for error in (
        SyntaxError,
        ValueError,
        struct.error,
        zlib.error,
        EOFError,
        OverflowError,
        KeyError,
        RecursionError,
    ):
        assert failing(error("odd")) is DamagedPictureError


class FailingDisk(io.BytesIO):
    """Bytes of which only the first can be read."""

    def read(self, size=-1):
        if self.tell() + (size if size and size > 0 else 1 << 30) > 200 and self.tell() < 1 << 20:
            if self.tell() == 0 and size == 4096:
                return self.getvalue()[:4096]
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("format", FORMATS)
def test_a_failing_disk_is_told_from_a_damaged_picture(samples, format):
    with pytest.raises(UnreadableFileError, match="the disk fails to read it"):
        decode(FailingDisk(samples[format]), resize=Resize.parse("640"))


def test_a_disk_that_fails_from_the_start():
    broken = mock.Mock(spec=io.BytesIO, seek=mock.Mock(side_effect=OSError(errno.EIO, "no")))
    with pytest.raises(UnreadableFileError):
        decode(broken, resize=Resize.parse("640"))
    with pytest.raises(UnreadableFileError):
        fingerprint(broken)


def test_files_that_cannot_be_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to("round")
    cases = {
        "missing": "there is no such file",
        "pipe": "it is a named pipe, not a file",
        "": "it is a folder, not a file",
        "round": "its symbolic links go in a circle",
        "x" * 300: "its path is longer than the system allows",
        "zero\0byte": "its name holds a zero byte",
    }
    for name, said in cases.items():
        with pytest.raises(UnreadableFileError) as error:
            open_file(os.fsencode(tmp_path) + b"/" + name.encode())
        assert error.value.message == said
        assert error.value.remedy
    with pytest.raises(UnreadableFileError, match="a device"):
        open_file(b"/dev/zero")


def test_a_file_exchanged_for_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    status = os.stat(tmp_path / "file")
    with mock.patch("os.stat", return_value=status), pytest.raises(UnreadableFileError, match="named pipe"):
        open_file(os.fsencode(tmp_path / "pipe"))


@pytest.mark.needs_root
def test_a_file_without_permission(open_tmp_path):
    path = open_tmp_path / "a.jpg"
    path.write_bytes(b"x")
    path.chmod(0o600)
    script = textwrap.dedent("""
        import os, sys
        sys.path.insert(0, sys.argv[2])
        from camseek.images import open_file
        try:
            open_file(os.fsencode(sys.argv[1]))
        except Exception as error:
            print(type(error).__name__, error)
    """)
    package = os.path.dirname(os.path.dirname(camseek.__file__))
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    run = subprocess.run(
        [*user, sys.executable, "-c", script, path, package], capture_output=True, text=True, cwd="/"
    )
    assert run.stdout.strip() == "NotPermittedError there is no permission to read it", run.stderr


def test_fingerprint(tmp_path):
    import hashlib

    content = os.urandom(300_000)
    (tmp_path / "a").write_bytes(content)
    with open_file(os.fsencode(tmp_path / "a")) as file:
        file.read(10)
        assert fingerprint(file) == hashlib.sha256(content).digest()
        assert file.tell() == 0
    assert fingerprint(io.BytesIO(b"")) == hashlib.sha256(b"").digest()


# Python warnings


def test_pillows_warnings_stay_inside(make):
    # A directory that announces more than there is, at which Pillow warns.
    content = make.save(make.scene(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\0")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with Image.open(io.BytesIO(content)):
            assert caught  # so much for Pillow by itself
        caught.clear()
        read(content)
        assert caught == []
        assert warnings.filters == before


# Anything at all


@given(st.binary(max_size=300))
def test_random_bytes(content):
    with pytest.raises(CamseekError):
        read(content)


HEADS = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II+\0\x08\0\0\0",
    b"BM",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"RIFF\x40\0\0\0WEBPVP8L",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
]


@settings(max_examples=300)
@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_random_bytes_behind_a_formats_own(head, content):
    with contextlib.suppress(CamseekError):
        read(head + content, 32)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=60)
@given(data=st.data())
def test_damaged_files(samples, format, data):
    """Cut short or with bits turned over: a picture or an error of camseek's, nothing else."""
    content = bytearray(samples[format])
    # Small numbers come more often: headers matter most.
    position = st.one_of(st.integers(0, min(400, len(content) - 1)), st.integers(0, len(content) - 1))
    for at in data.draw(st.lists(position, max_size=5)):
        content[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.one_of(st.just(len(content)), position))
    region = data.draw(st.sampled_from([None, (1, 2, 30, 20)]))
    try:
        picture = read(
            bytes(content[:cut]), data.draw(st.sampled_from([7, 640])), max_pixels=10**6, region=region
        )
    except CamseekError:
        pass
    else:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape[2] == 3


class TestMultiples:
    """Sides of four multiples or more are rounded down to one."""

    @pytest.mark.parametrize(
        ("size", "expected"),
        [
            ((640, 480), (640, 480)),
            ((427, 640), (416, 640)),
            ((1280, 1000), (640, 480)),
            ((5000, 1), (640, 1)),
            ((33, 31), (33, 31)),
            ((127, 128), (127, 128)),
            ((159, 200), (128, 192)),
        ],
    )
    def test_sides(self, size, expected):
        data = io.BytesIO()
        Image.new("RGB", size, (10, 20, 30)).save(data, "PNG")
        picture = decode(data, resize=Resize.parse("640"), multiple=32)
        assert picture.pixels.shape == (expected[1], expected[0], 3)
        assert picture.size == size

    def test_a_turned_picture_is_rounded_as_it_is_seen(self):
        data = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (640, 427)).save(data, "JPEG", exif=exif)
        assert decode(data, resize=Resize.parse("640"), multiple=32).pixels.shape == (640, 416, 3)

    def test_a_region_is_rounded_by_itself(self):
        data = io.BytesIO()
        Image.new("RGB", (1000, 1000)).save(data, "PNG")
        region = decode(data, resize=Resize.parse("640"), multiple=32, region=(5, 5, 305, 155))
        assert region.pixels.shape == (128, 288, 3)

    def test_no_multiple_below_one(self):
        with pytest.raises(ValueError, match="multiple"):
            decode(io.BytesIO(b"x"), resize=Resize.parse("640"), multiple=0)


class TestNotSupported:
    """A picture that is whole and of a kind that is not read here is not called damaged."""

    @staticmethod
    def refused(content):
        with pytest.raises(UnsupportedPictureError) as error:
            read(content)
        assert error.value.code == "not_supported"
        assert error.value.remedy
        return error.value.message.removeprefix("it is of a kind that is not read here: ")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ((1, 0xC3), "lossless JPEG"),
            ((1, 0xC7), "lossless JPEG"),
            ((1, 0xC5), "hierarchical JPEG"),
            ((1, 0xF7), "JPEG-LS"),
            ((4, 12), "JPEG of 12 bits"),
            ((9, 2), "JPEG of 2 components"),
        ],
    )
    def test_jpeg(self, make, change, said):
        content = bytearray(make.save(make.scene(), "JPEG"))
        at = content.index(b"\xff\xc0")
        content[at + change[0]] = change[1]
        assert self.refused(bytes(content)) == said

    @pytest.mark.parametrize(("at", "value"), [(28, 5), (30, 9)])
    def test_bitmaps(self, make, at, value):
        content = bytearray(make.save(make.scene(), "BMP"))
        content[at] = value
        assert self.refused(bytes(content)).startswith("BMP, unsupported")

    def test_heif_of_another_codec(self, make):
        content = make.heic("orientation1")
        assert content.count(b"hvc1") >= 1
        assert "HEIF" in self.refused(content.replace(b"hvc1", b"vvc1").replace(b"hvcC", b"vvcC"))
