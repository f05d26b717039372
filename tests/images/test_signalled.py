"""Colour by numbers: what is shown is what was meant."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from camseek.config import Resize
from camseek.errors import UnsupportedPictureError
from camseek.images import decode
from camseek.images.signalled import SignalledColour, cicp, png_colour, signalled_to_srgb

P3 = 12, 13
# sRGB's colours in other numbers: P3's as in the samples of CSS Color 4, Adobe RGB's by its specification
# (sRGB's green is 0.5652, 1, 0.2344 there).
SRGB_GREEN_IN_P3 = (117, 251, 76)
SRGB_RED_IN_P3 = (234, 51, 35)
SRGB_GREEN_IN_ADOBE = (144, 255, 60)
SRGB_RED_IN_ADOBE = (219, 0, 0)


def read(content, **options):
    return decode(io.BytesIO(content), resize=Resize.parse("640"), **options)


def shown(content, most=3):
    """The one colour of a picture, where it has one."""
    picture = read(content)
    middle = picture.pixels[picture.pixels.shape[0] // 2, picture.pixels.shape[1] // 2].astype(int)
    assert np.abs(picture.pixels.astype(int) - middle).max() <= most
    return middle.tolist(), picture.warnings


def with_nclx(content, primaries, transfer):
    at = content.index(b"nclx") + 4
    return content[:at] + struct.pack(">HH", primaries, transfer) + content[at + 4 :]


def png(make, colour, *chunks, mode="RGB"):
    content = make.save(Image.new(mode, (8, 8), colour), "PNG")
    return content[:33] + b"".join(make.png_chunk(kind, body) for kind, body in chunks) + content[33:]


@pytest.mark.parametrize(
    ("stored", "meant"), [(SRGB_GREEN_IN_P3, (0, 255, 0)), (SRGB_RED_IN_P3, (255, 0, 0)), ((90, 90, 90),) * 2]
)
def test_p3(make, stored, meant):
    in_png = png(make, stored, (b"cICP", bytes([*P3, 0, 1])))
    avif = make.save(Image.new("RGB", (16, 16), stored), "AVIF", quality=100, subsampling="4:4:4")
    for content in (in_png, with_nclx(avif, *P3)):
        found, warnings = shown(content)
        assert np.abs(np.array(found) - meant).max() <= 6
        assert warnings == ()


def test_p3_in_heic(make):
    content = with_nclx(make.heic("orientation1"), *P3)
    pixels, plain = read(content).pixels.astype(int), read(make.heic("orientation1")).pixels
    expected = signalled_to_srgb(Image.fromarray(plain), cicp(*P3)[0])
    np.testing.assert_array_equal(pixels, np.asarray(expected))
    # Red, green and yellow grow, greys stay.
    assert pixels[8, 40, 0] > plain[8, 40, 0] + 8
    assert np.abs(pixels[10, 12] - plain[10, 12]).max() <= 3


@pytest.mark.parametrize("primaries", [1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 22])
def test_white_is_white_and_grey_is_grey_under_all_primaries(primaries):
    colour, warning = cicp(primaries, 13)
    assert warning is None
    greys = Image.fromarray(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2))
    after = greys if colour is None else signalled_to_srgb(greys, colour)
    assert np.abs(np.asarray(after).astype(int) - np.asarray(greys)).max() <= 1


def test_linear_light_and_other_curves():
    half = Image.new("RGB", (1, 1), (55, 55, 55))
    linear, _ = cicp(1, 8)
    assert np.abs(np.asarray(signalled_to_srgb(half, linear)).astype(int) - 128).max() <= 1
    assert cicp(1, 13) == cicp(1, 1) == cicp(2, 2) == (None, None)
    assert cicp(1, 4) == (SignalledColour(None, 2.2), None)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_warned_of(make, transfer, name):
    contents = [
        png(make, (90, 90, 90), (b"cICP", bytes([9, transfer, 0, 1]))),
        with_nclx(make.save(make.scene(), "AVIF"), 9, transfer),
        with_nclx(make.heic("orientation1"), 9, transfer),
    ]
    for content in contents:
        assert read(content).warnings == (
            f"its {name} brightness is not converted: tones are only roughly right",
        )


def test_numbers_of_no_colour_are_warned_of(make):
    [warning] = read(png(make, (90, 90, 90), (b"cICP", bytes([99, 13, 0, 1])))).warnings
    assert warning == "its colour (99/13 of H.273) is not known here, and taken as sRGB"


def test_gamma(make):
    linear = struct.pack(">I", 100_000)
    for mode, colour in (("RGB", (55, 55, 55)), ("L", 55)):
        found, warnings = shown(png(make, colour, (b"gAMA", linear), mode=mode))
        assert np.abs(np.array(found) - 128).max() <= 1
        assert warnings == ()
        # What usually stands there, and what goes before it.
        usual = png(make, colour, (b"gAMA", struct.pack(">I", 45_455)), mode=mode)
        assert shown(usual)[0] == [55, 55, 55]
        assert shown(png(make, colour, (b"sRGB", b"\0"), (b"gAMA", linear), mode=mode))[0] == [55, 55, 55]
        assert (
            shown(png(make, colour, (b"cICP", bytes([1, 13, 0, 1])), (b"gAMA", linear), mode=mode))[0]
            == [55] * 3
        )


def test_chromaticities(make):
    p3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    found, _ = shown(png(make, SRGB_GREEN_IN_P3, (b"cHRM", p3)))
    assert np.abs(np.array(found) - (0, 255, 0)).max() <= 6
    usual = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    assert shown(png(make, SRGB_GREEN_IN_P3, (b"cHRM", usual)))[0] == list(SRGB_GREEN_IN_P3)


@pytest.mark.parametrize(
    "values", [[0] * 8, [31270, 32900] + [30000] * 6, [1 << 31] * 8, [31270, 0, 64000, 33000, 3, 6, 1, 6]]
)
def test_chromaticities_that_cannot_be_are_ignored_with_a_warning(make, values):
    found, warnings = shown(png(make, (10, 200, 90), (b"cHRM", struct.pack(">8I", *values))))
    assert found == [10, 200, 90]
    assert warnings == ("its gamma or chromaticities cannot be, and are ignored",)


@pytest.mark.parametrize("gamma", [0, 1, (1 << 32) - 1])
def test_gammas_that_cannot_be(gamma):
    colour, warning = png_colour({b"gAMA": struct.pack(">I", gamma)})
    assert colour is None
    assert (warning is None) == (gamma == 0)


def adobe_exif(index):
    exif = Image.Exif()
    camera = exif.get_ifd(0x8769)
    camera[0xA001] = 0xFFFF if index else 2
    if index:
        camera[0xA005] = {1: index}
    return exif.tobytes()


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize(
    ("stored", "meant"), [(SRGB_RED_IN_ADOBE, (255, 0, 0)), (SRGB_GREEN_IN_ADOBE, (0, 255, 0))]
)
def test_adobe_rgb_by_exif_alone(make, format, stored, meant):
    picture = Image.new("RGB", (16, 16), stored)
    for exif in (adobe_exif("R03"), adobe_exif(None)):
        found, warnings = shown(make.save(picture, format, exif=exif))
        assert np.abs(np.array(found) - meant).max() <= 6
        assert warnings == ()
    found, _ = shown(make.save(picture, format, exif=adobe_exif("R98")))
    assert np.abs(np.array(found) - stored).max() <= 3


@pytest.mark.parametrize("space", [14, 20, 24, 9])
def test_spaces_of_jpeg_2000_that_are_not_read(make, space):
    content = make.save(make.scene(), "JPEG2000")
    at = content.index(b"colr") + 7
    content = content[:at] + struct.pack(">I", space) + content[at + 4 :]
    with pytest.raises(UnsupportedPictureError, match=f"JPEG 2000, colour space {space}"):
        read(content)


def test_romm_in_jpeg_2000(make):
    content = make.save(Image.new("RGB", (64, 64), (120, 120, 120)), "JPEG2000")
    at = content.index(b"colr") + 7
    found, _ = shown(content[:at] + struct.pack(">I", 21) + content[at + 4 :])
    light = (120 / 255) ** 1.8
    assert np.abs(np.array(found) - 255 * (1.055 * light ** (1 / 2.4) - 0.055)).max() <= 2


def test_a_bitmaps_profile_is_applied(make):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"####", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"####", b"bXYZ", 1)
    red, green, blue = make.scene().split()
    data = make.save(Image.merge("RGB", (blue, green, red)), "BMP")
    pixels = data[54:]
    numbers = (124, 96, 64, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    head = struct.pack("<IiiHHIIiiII", *numbers).ljust(56, b"\0") + b"DEBM"
    head = head.ljust(112, b"\0") + struct.pack("<II", 124 + len(pixels), len(swapped)) + bytes(4)
    start = struct.pack("<2sIHHI", b"BM", 14 + 124 + len(pixels) + len(swapped), 0, 0, 138)
    found = read(start + head + pixels + swapped)
    assert found.warnings == ()
    assert np.abs(found.pixels.astype(int) - np.asarray(make.scene())).max() <= 3
