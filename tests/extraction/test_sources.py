import io
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pi_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageCms, ImageOps

from camseek.config import Resize
from camseek.errors import (
    DamagedPictureError,
    NotAPictureError,
    PictureError,
    TooLargeError,
    UnreadableFileError,
)
from camseek.extraction import sources
from camseek.extraction.sources import content_of, opened
from camseek.images import decode, fingerprint

SIZE = (37, 23)
ORIENTATION = 0x0112


def read(source, **options):
    with opened(source) as (_, file):
        return decode(file, resize=Resize.parse("640"), **options)


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(bands=3, size=SIZE, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    return values[..., 0] if bands == 1 else values


def random_image(mode):
    """An image with all values of its mode, opaque and transparent ones."""
    rgba = Image.fromarray(noise(4))
    rng = np.random.default_rng(1)
    shape = SIZE[::-1]
    match mode:
        case "I;16" | "I;16L" | "I;16N":
            return Image.frombytes(mode, SIZE, rng.integers(0, 65536, shape, dtype="<u2").tobytes())
        case "I;16B":
            return Image.frombytes(mode, SIZE, rng.integers(0, 65536, shape).astype(">u2").tobytes())
        case "I":
            return Image.fromarray(rng.integers(-(2**31), 2**31, shape, dtype=np.int32))
        case "F":
            return Image.fromarray((rng.random(shape) * 3 - 1).astype(np.float32))
        case "P":
            return rgba.convert("RGB").quantize(200)
        case "PA":
            image = rgba.convert("RGB").quantize(200).convert("PA")
            image.putalpha(rgba.getchannel("A"))
            return image
        case "LAB" | "HSV" | "CMYK":
            bands = 4 if mode == "CMYK" else 3
            return Image.merge(mode, [Image.fromarray(noise(1, seed=number)) for number in range(bands)])
        case "La" | "RGBa":
            return rgba.convert(mode.upper()).convert(mode)
        case _:
            return rgba.convert(mode)


def rgb(source):
    return np.asarray(source.convert("RGB"))


# -- names, contents and files ------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a picture.png"
    path.write_bytes(saved(Image.fromarray(noise()), "PNG"))
    return path


def test_a_file_by_its_name(picture, monkeypatch):
    monkeypatch.chdir(picture.parent)
    for source in (str(picture), picture, picture.name, np.str_(picture.name)):
        with opened(source) as (name, file):
            assert name == os.fsencode(picture)
            assert file.read() == picture.read_bytes()
        assert file.closed
        assert content_of(source) == picture.read_bytes()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_files_content(picture, kind):
    source = kind(picture.read_bytes())
    with opened(source) as (name, _):
        assert name is None
    np.testing.assert_array_equal(read(source).pixels, noise())
    assert content_of(source) == picture.read_bytes()
    assert type(content_of(source)) is bytes


def test_open_files_are_rewound_and_left_open(picture):
    with open(picture, "rb") as plain, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(picture.read_bytes())
        with mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for file in (plain, spooled, mapped, io.BytesIO(picture.read_bytes())):
                for _ in range(2):  # a query is read again where its region is shown in the whole picture
                    file.seek(5)
                    np.testing.assert_array_equal(read(file).pixels, noise())
                    assert content_of(file) == picture.read_bytes()
                assert not file.closed


def test_text_is_no_picture(picture):
    with open(picture, encoding="latin-1") as file, pytest.raises(TypeError, match="mode 'rb'"):
        read(file)
    with pytest.raises(TypeError, match="mode 'rb'"):
        content_of(io.StringIO("text"))
    other = mock.Mock(spec=["read", "seek"])
    other.read.return_value = ""
    with pytest.raises(TypeError, match="mode 'rb'"):
        content_of(other)


def test_streams_that_cannot_be_rewound(picture):
    with subprocess.Popen(["/bin/cat", picture], stdout=subprocess.PIPE) as process:
        with pytest.raises(ValueError, match=r"give its content, stream\.read\(\)"):
            read(process.stdout)
        # Refused before anything was taken from it.
        assert process.stdout.read() == picture.read_bytes()
    with pytest.raises(ValueError, match="rewound"):
        read(mock.Mock(spec=["read"], read=lambda count: b""))


def test_a_closed_file(picture):
    with open(picture, "rb") as file:
        pass
    with pytest.raises(ValueError, match="closed file"):
        read(file)


@pytest.mark.parametrize("call", ["seek", "read"])
def test_a_file_on_a_failing_disk(call):
    file = mock.Mock(spec=["read", "seek"])
    file.read.return_value = b""
    getattr(file, call).side_effect = lambda count=-1: b"" if (call, count) == ("read", 0) else fail()
    with pytest.raises(UnreadableFileError, match="the disk fails"):
        content_of(file)


def fail():
    raise OSError(5, "Input/output error")


def test_errors_name_the_file(tmp_path, picture):
    with pytest.raises(UnreadableFileError, match="there is no such file") as caught:
        content_of(tmp_path / "gone.jpg")
    assert caught.value.message.startswith(f"{tmp_path}/gone.jpg: ")
    picture.write_bytes(picture.read_bytes()[:300])
    with pytest.raises(DamagedPictureError, match=r"a picture\.png: the PNG file is damaged"):
        read(str(picture))


def test_bytes_that_are_a_name(picture, monkeypatch):
    monkeypatch.chdir(picture.parent)
    for name in (os.fsencode(picture), os.fsencode(picture.name), bytearray(os.fsencode(picture))):
        with pytest.raises(NotAPictureError) as caught:
            read(name)
        assert "never a name" in caught.value.remedy
    for content in (b"gone.jpg", b"", b"zero\0byte", b"x" * 10000):
        with pytest.raises(NotAPictureError) as caught:
            read(content)
        assert "never a name" not in caught.value.remedy


@pytest.mark.parametrize("wrong", [None, 5, ["a.jpg"], [[1, 2], [3, 4]], object(), np.float32(1)])
def test_what_is_no_picture_at_all(wrong):
    with pytest.raises(TypeError, match=f"cannot be a {type(wrong).__name__}: give a file's name"):
        content_of(wrong)


def test_importing_is_quick():
    code = "import camseek.extraction.sources, sys; print({'PIL', 'numpy'} & set(sys.modules))"
    # The package around it may import more: only the module itself is asked.
    stub = "import sys, types; p = types.ModuleType('camseek.extraction'); "
    stub += f"p.__path__ = [{os.path.dirname(sources.__file__)!r}]; sys.modules[p.__name__] = p; "
    done = subprocess.run([sys.executable, "-c", stub + code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- arrays -------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([(), (1,), (3,)]).flatmap(
        lambda bands: arrays(
            np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda size: (*size, *bands))
        )
    )
)
def test_arrays_come_back_as_they_are(array):
    picture = read(array)
    assert picture.size == (array.shape[1], array.shape[0])
    assert picture.warnings == ()
    grey = array if array.ndim == 3 else array[..., None]
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(grey, (*array.shape[:2], 3)))


@pytest.mark.parametrize("mark", [b"IIII", b"MMMM", b"CR\x02\0"])
def test_an_array_that_spells_a_raw_files_mark_is_an_array(mark):
    """An array's pixels stand where the makers' marks do."""
    array = np.frombuffer(mark * 64, np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read(array).pixels[..., 0], array)


def test_an_arrays_alpha_is_laid_on_white():
    array = noise(4)
    array[:5, :, 3], array[5:10, :, 3] = 0, 255
    pixels = read(array).pixels
    assert (pixels[:5] == 255).all()
    np.testing.assert_array_equal(pixels[5:10], array[5:10, :, :3])
    np.testing.assert_array_equal(pixels, read(saved(Image.fromarray(array), "PNG")).pixels)


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array[::-1, ::2],
        lambda array: array[..., ::-1],
        lambda array: array.transpose(1, 0, 2),
        np.asfortranarray,
        lambda array: np.frombuffer(array.tobytes(), np.uint8).reshape(array.shape),
    ],
)
def test_arrays_of_any_memory_layout(view):
    array = view(noise())
    np.testing.assert_array_equal(read(array).pixels, array)
    assert content_of(array) == content_of(np.ascontiguousarray(array))


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [
        (bool, r"mask \* np.uint8\(255\)"),
        (np.float32, r"np.rint\(array.clip\(0, 1\) \* 255\).astype\(np.uint8\)"),
        (np.uint16, r"\(array >> 8\).astype\(np.uint8\)"),
        (np.int64, r"array.astype\(np.uint8\)"),
        (np.int8, r"array.astype\(np.uint8\)"),
        (np.uint32, r"array.astype\(np.uint8\)"),
        (np.complex64, "$"),
        (object, "$"),
    ],
)
def test_arrays_of_other_types(dtype, remedy):
    with pytest.raises(
        TypeError, match=f"an array of {np.dtype(dtype)} is no picture: it must be of uint8.*{remedy}"
    ):
        content_of(np.zeros((4, 5, 3), dtype))


@pytest.mark.parametrize(
    "shape", [(), (4,), (4, 5, 2), (9, 5, 5), (1, 4, 5, 3), (0, 5, 3), (4, 0), (4, 5, 0), (3, 4, 5)]
)
def test_arrays_of_other_shapes(shape):
    with pytest.raises(ValueError, match=r"is no picture: it must be \(H, W\)") as caught:
        content_of(np.zeros(shape, np.uint8))
    assert ("transpose" in str(caught.value)) == (shape == (3, 4, 5))


# -- images -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "HSV", "YCbCr"])
def test_opaque_images(mode):
    image = random_image(mode)
    picture = read(image)
    np.testing.assert_array_equal(picture.pixels, rgb(image))
    assert (picture.size, picture.warnings) == (SIZE, ())


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("LA", "PNG"),
        ("RGBA", "PNG"),
        ("PA", "TIFF"),
        ("I;16", "PNG"),
        ("I", "TIFF"),
        ("F", "TIFF"),
        ("LAB", "TIFF"),
    ],
)
def test_images_are_what_their_files_are(mode, format):
    image = random_image(mode)
    np.testing.assert_array_equal(read(image).pixels, read(saved(image, format)).pixels)


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa", "PA"])
def test_alpha_is_laid_on_white(mode):
    image = random_image(mode)
    plain = image.convert("LA" if mode == "La" else mode).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(plain)
    np.testing.assert_allclose(read(image).pixels, rgb(white).astype(float), atol=2)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_sixteen_bits_in_any_byte_order(mode):
    image = random_image(mode)
    order = ">u2" if mode == "I;16B" else "<u2"
    values = np.frombuffer(image.tobytes(), order).reshape(SIZE[::-1])
    np.testing.assert_array_equal(read(image).pixels[..., 0], np.rint(values / 65535 * 255))


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_floating_point(scale):
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6) * scale
    expected = np.rint(values.astype(np.float64) / scale * 255)
    np.testing.assert_array_equal(read(Image.fromarray(values)).pixels[..., 0], expected)
    values[0] = [np.nan, np.inf, -np.inf, 0, 0, scale]
    np.testing.assert_array_equal(read(Image.fromarray(values)).pixels[0, :, 0], [0, 0, 0, 0, 0, 255])


@pytest.mark.parametrize("palette", ["RGB", "RGBA"])
@pytest.mark.parametrize("clear", [None, 7, b"\x00\x80\xff" + bytes(40)])
def test_palettes_and_their_transparency(palette, clear):
    image = Image.new("P", SIZE)
    image.putdata(np.random.default_rng(0).integers(0, 60, SIZE[0] * SIZE[1]).tolist())
    colours = noise(len(palette), (60, 1))
    image.putpalette(colours.tobytes(), palette)
    if clear is not None:
        image.info["transparency"] = clear
    white = Image.new("RGBA", SIZE, "white")
    white.alpha_composite(image.convert("RGBA"))
    np.testing.assert_allclose(read(image).pixels, rgb(white).astype(float), atol=2)
    if palette == "RGB":
        np.testing.assert_array_equal(read(image).pixels, read(saved(image, "PNG")).pixels)


@pytest.mark.parametrize(
    ("mode", "clear"), [("1", 255), ("L", 40), ("RGB", (255, 0, 0)), ("I;16", 40000), ("I;16", 40001)]
)
def test_one_transparent_colour(mode, clear):
    image = random_image(mode)
    at = (slice(0, 5), slice(0, 7))
    for x in range(7):
        for y in range(5):
            image.putpixel((x, y), clear)
    image.info["transparency"] = clear
    pixels = read(image).pixels
    assert (pixels[at] == 255).all()
    if mode != "1":
        file = saved(image, "PNG", transparency=clear)
        np.testing.assert_array_equal(pixels, read(file).pixels)


def test_the_colour_profile_is_kept():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    lab = random_image("LAB")
    lab.info["icc_profile"] = profile
    file = saved(random_image("LAB"), "TIFF", icc_profile=profile)
    np.testing.assert_array_equal(read(lab).pixels, read(file).pixels)
    image = Image.fromarray(noise())
    image.info["icc_profile"] = profile
    assert "a profile for Lab" in read(image).warnings[0]
    image.info["icc_profile"] = "no bytes"
    assert read(image).warnings == ()


def test_a_wide_colour_profile_is_applied(wide_profile):
    image = Image.fromarray(noise())
    image.info["icc_profile"] = wide_profile
    pixels = read(image).pixels
    np.testing.assert_array_equal(pixels, read(saved(image, "PNG", icc_profile=wide_profile)).pixels)
    assert np.abs(pixels.astype(int) - noise()).max() > 10


@pytest.fixture
def wide_profile():
    """sRGB's profile, its red and blue exchanged: whoever applies it sees other colours."""
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    count = int.from_bytes(content[128:132], "big")
    table = bytearray(content)
    for at in range(132, 132 + 12 * count, 12):
        table[at : at + 4] = swapped.get(content[at : at + 4], content[at : at + 4])
    return bytes(table)


# -- orientation --------------------------------------------------------------------------------------------


def turned_file(orientation, format="PNG", **options):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(Image.fromarray(noise()), format, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_upright_once(format, orientation):
    content = turned_file(orientation, format)
    expected = read(content)
    for image in (
        Image.open(io.BytesIO(content)),
        Image.open(io.BytesIO(content)).copy(),
        ImageOps.exif_transpose(Image.open(io.BytesIO(content))),
    ):
        picture = read(image)
        assert picture.size == expected.size == (SIZE if orientation < 5 else SIZE[::-1])
        np.testing.assert_array_equal(picture.pixels, expected.pixels)


def test_the_orientation_that_an_application_sets_counts():
    image = Image.open(io.BytesIO(turned_file(6)))
    image.getexif()[ORIENTATION] = 1
    np.testing.assert_array_equal(read(image).pixels, noise())
    plain = Image.fromarray(noise())
    plain.getexif()[ORIENTATION] = 3
    np.testing.assert_array_equal(read(plain).pixels, noise()[::-1, ::-1])


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_reader_that_turns_pictures_itself(orientation):
    content = (Path(__file__).parents[1] / "images" / "data" / f"orientation{orientation}.heic").read_bytes()
    image = pi_heif.HeifImageFile(io.BytesIO(content))
    np.testing.assert_array_equal(read(image).pixels, read(content).pixels)


def test_orientation_in_xmp_alone():
    image = Image.open(io.BytesIO(saved(Image.fromarray(noise()), "JPEG", xmp=b'<x tiff:Orientation="6"/>')))
    assert read(image).size == SIZE[::-1]
    assert read(ImageOps.exif_transpose(image)).size == SIZE[::-1]


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\0\0", b"nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff"]
)
def test_damaged_exif_data_turns_nothing(exif):
    image = Image.fromarray(noise())
    image.info["exif"] = exif
    np.testing.assert_array_equal(read(image).pixels, noise())


@pytest.mark.parametrize("orientation", [0, 9, "6", None])
def test_impossible_orientations_turn_nothing(orientation):
    image = Image.fromarray(noise())
    image.getexif()[ORIENTATION] = orientation
    np.testing.assert_array_equal(read(image).pixels, noise())


def test_a_region_is_of_the_upright_picture():
    content = turned_file(6)
    box = (2, 3, 15, 20)
    picture = read(Image.open(io.BytesIO(content)), region=box)
    np.testing.assert_array_equal(picture.pixels, read(content, region=box).pixels)


# -- what is left as it was, and what cannot be -------------------------------------------------------------


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "raw"])
def test_tags_of_the_file_it_came_from_do_no_harm(compression):
    options = {"compression": compression, "icc_profile": None, "dpi": (72, 72)}
    content = saved(Image.fromarray(noise()), "TIFF", tiffinfo={700: b'<x tiff:Orientation="6"/>'}, **options)
    image = Image.open(io.BytesIO(content))
    assert content_of(image) == content_of(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(read(image).pixels, np.asarray(image))


@pytest.mark.parametrize("mode", ["P", "RGB", "I;16", "CMYK"])
def test_the_image_is_not_changed(mode):
    image = random_image(mode)
    image.info["transparency"] = 3 if mode != "RGB" else (1, 2, 3)
    before = image.mode, image.size, image.tobytes(), dict(image.info), set(vars(image))
    read(image)
    assert before == (image.mode, image.size, image.tobytes(), dict(image.info), set(vars(image)))


def test_equal_pixels_have_equal_contents():
    array = noise()
    image = Image.fromarray(array)
    assert content_of(image) == content_of(array) == content_of(array.copy())
    assert content_of(array[..., :1]) == content_of(array[..., 0])
    array[3, 4, 1] ^= 1
    assert content_of(image) != content_of(array)


def test_the_content_is_the_same_for_all_time():
    # A collection knows its pictures by it.
    array = np.arange(45, dtype=np.uint8).reshape(3, 5, 3)
    digest = fingerprint(io.BytesIO(content_of(array))).hex()
    assert digest == "b7dc3c3af0b96595edafe9b237fae587a6f28346b4990049fcb08e35517353b1"


def test_the_frame_that_an_image_stands_at():
    frames = [Image.fromarray(noise(seed=number)) for number in range(2)]
    image = Image.open(io.BytesIO(saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])))
    image.seek(1)
    picture = read(image)
    np.testing.assert_array_equal(picture.pixels, noise(seed=1))
    assert picture.frames == 1


def test_images_that_cannot_be_loaded(picture):
    content = picture.read_bytes()
    with pytest.raises(DamagedPictureError, match="Pillow cannot load the image: "):
        read(Image.open(io.BytesIO(content[: len(content) // 2])))
    image = Image.open(picture)
    image.close()
    with pytest.raises(DamagedPictureError) as caught:
        read(image)
    assert "still open" in caught.value.remedy


def test_memory_that_is_short_is_no_damage():
    image = Image.fromarray(noise())
    with mock.patch.object(image, "load", side_effect=MemoryError), pytest.raises(MemoryError):
        content_of(image)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_images_without_pixels(size):
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]} pixels is no picture"):
        content_of(Image.new("RGB", size))


def test_a_mode_that_is_not_read():
    image = Image.fromarray(noise())
    with (
        mock.patch.object(Image.Image, "mode", "BGR;15"),
        mock.patch.object(image, "convert", side_effect=ValueError("conversion not supported")),
        pytest.raises(ValueError, match="mode BGR;15 is not read here: convert it to RGB first"),
    ):
        content_of(image)


def test_what_passes_the_format():
    with pytest.raises(TooLargeError, match="4 GB") as caught:
        sources._tiff("L", (1 << 16, 1 << 16), mock.MagicMock(__len__=lambda self: 1 << 32))
    assert isinstance(caught.value, PictureError)
