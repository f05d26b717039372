"""Every layout, depth, order of bytes and compression of TIFF against its twin of 8 bits."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

import tiffs
from camseek.config import Resize
from camseek.errors import CamseekError, DamagedPictureError, UnsupportedPictureError
from camseek.images import decode

GREY = ("L", 0), ("L", 1)
COLOURS = (*GREY, ("RGB", 2), ("CMYK", 5), ("YCbCr", 6), ("LAB", 8))
BLOCKS = ((None, False), (17, False), ((16, 16), True))
# None, LZW, Deflate and its old number, PackBits, LZMA.
WHOLE_COLOUR = {530: ("H", [1, 1])}
CODECS = (1, 5, 8, 32773, 32946, 34925)


def read(content, **options):
    return decode(io.BytesIO(content), resize=Resize.parse("640"), **options)


@pytest.fixture(scope="module")
def picture():
    """A picture of all tones, no side of it a multiple of a block's."""
    tones = np.random.default_rng(5).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    small = np.asarray(Image.fromarray(tones).resize((31, 25), Image.Resampling.BICUBIC)).copy()
    small[0, :2] = [[0] * 3, [255] * 3]
    return Image.fromarray(small)


def samples(picture, colours, photometric):
    """The picture's numbers of 8 bits, as a file holds them."""
    width, height = picture.size
    values = np.frombuffer(picture.convert(colours).tobytes(), np.uint8).reshape(height, width, -1)
    return 255 - values if photometric == 0 else values


def deep(values, bits, photometric):
    """The same tones in another number of bits."""
    if photometric == 8 and bits == 16:
        return values.astype(np.uint64) << np.uint64(8)
    if bits == 64:
        return values.astype(np.uint64) * np.uint64(((1 << 64) - 1) // 255)
    return np.rint(values.astype(np.float64) * (((1 << bits) - 1) / 255))


def twin(values, bits, photometric, picture):
    """What the numbers look like at 8 bits."""
    most = (1 << bits) - 1
    eight = np.rint(deep(values, bits, photometric) * (255 / most)).astype(np.uint8) if bits < 8 else values
    if photometric in (0, 1):
        grey = 255 - eight if photometric == 0 else eight
        return np.repeat(grey, 3, axis=2).astype(int)
    if photometric == 2:
        return eight.astype(int)
    if photometric == 5:
        cmyk = Image.frombytes("CMYK", picture.size, eight.tobytes())
        return np.asarray(cmyk.convert("RGB")).astype(int)
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("colours", "photometric"), COLOURS)
def test_every_layout_depth_and_compression(picture, colours, photometric, planar, order):
    values = samples(picture, colours, photometric)
    depths = {"YCbCr": (8, 16), "LAB": (8, 16), "CMYK": (1, 2, 4, 8, 12, 16)}.get(
        colours, (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24, 32, 64)
    )
    for bits, (block, tiled), codec in itertools.product(depths, BLOCKS, CODECS):
        if codec not in (1, 5) and bits not in (8, 12, 16, 32):
            continue
        content = tiffs.write(
            deep(values, bits, photometric), photometric=photometric, bits=bits, order=order, planar=planar,
            block=block, tiled=tiled, compression=codec, tags=WHOLE_COLOUR if photometric == 6 else {},
        )  # fmt: skip
        found = read(content)
        most = {"LAB": 9, "YCbCr": 3}.get(colours, 1)
        wrong = np.abs(found.pixels - twin(values, bits, photometric, picture))
        assert np.percentile(wrong, 97) <= most, (bits, block, codec)
        assert found.warnings == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("colours", "photometric"), [*GREY, ("RGB", 2)])
def test_floating_point(picture, colours, photometric, planar, order):
    values = samples(picture, colours, photometric)
    expected = twin(values, 8, photometric, picture)
    for bits, (block, tiled), codec in itertools.product((16, 32, 64), BLOCKS, CODECS):
        for predictor in (1, 3) if codec != 1 else (1,):
            content = tiffs.write(
                values / 255, photometric=photometric, bits=bits, form=3, order=order, planar=planar,
                block=block, tiled=tiled, compression=codec, predictor=predictor,
            )  # fmt: skip
            assert np.abs(read(content).pixels - expected).max() <= 1, (bits, block, codec, predictor)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
def test_differences(picture, planar, order):
    values = samples(picture, "RGB", 2)
    for bits, (block, tiled), codec in itertools.product((8, 16, 32, 64), BLOCKS, (5, 8)):
        content = tiffs.write(
            deep(values, bits, 2), photometric=2, bits=bits, order=order, planar=planar, block=block,
            tiled=tiled, compression=codec, predictor=2,
        )  # fmt: skip
        assert np.abs(read(content).pixels - values.astype(int)).max() <= 1, (bits, block, codec)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_numbers(picture, bits, order):
    values = samples(picture, "L", 1).astype(np.int64)
    stored = (values - 128) * (1 << (bits - 8))
    content = tiffs.write(stored, photometric=1, bits=bits, form=2, order=order)
    assert np.abs(read(content).pixels[..., :1] - values).max() <= 1


@pytest.mark.parametrize("fill", [1, 2])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("codec", [1, 5, 8, 32773])
def test_bits_in_the_other_order(picture, fill, bits, codec):
    for colours, photometric in (*GREY, ("RGB", 2)):
        values = samples(picture, colours, photometric)
        content = tiffs.write(
            deep(values, bits, photometric), photometric=photometric, bits=bits, fill=fill, compression=codec
        )
        wrong = np.abs(read(content).pixels - twin(values, bits, photometric, picture))
        assert wrong.max() <= 1, (colours, photometric)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("scale", [257, 1])
def test_palettes(bits, order, scale):
    """Of 16 bits an entry as the standard says, or of 8 as some programs write them."""
    entries = 1 << bits
    palette = np.random.default_rng(2).integers(0, 256, (3, entries))
    palette[:, 0] = 255
    indices = np.random.default_rng(3).integers(0, entries, (9, 13, 1))
    expected = palette.T[indices[..., 0]]
    for block, codec in itertools.product((None, 4), (1, 5)):
        content = tiffs.write(
            indices, photometric=3, bits=bits, order=order, block=block, compression=codec,
            palette=palette.reshape(-1) * scale,
        )  # fmt: skip
        np.testing.assert_array_equal(read(content).pixels, expected)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16, 32])
@pytest.mark.parametrize("colours", ["L", "RGB"])
@pytest.mark.parametrize("extra", [(0,), (1,), (2,), (2, 0), (1, 0), (0, 0)])
def test_alpha_and_what_is_none(colours, bits, planar, extra):
    base = 1 if colours == "L" else 3
    most = (1 << bits) - 1
    values = np.zeros((4, 6, base + len(extra)))
    values[..., :base] = 100 / 255
    values[..., base] = 1
    values[:, 3:, base] = 0
    if extra[0] == 1:
        values[:, 3:, :base] = 0
    if bits == 32:
        values[0, 0, :base], values[1, 0, :base] = 1, 0  # the range of tones
    content = tiffs.write(
        np.rint(values * most), photometric=1 if base == 1 else 2, bits=bits, extra=extra, planar=planar
    )
    pixels = read(content).pixels.astype(int)
    assert np.abs(pixels[2:, :3] - 100).max() <= 1
    if extra[0]:
        assert (pixels[:, 3:] == 255).all()
    else:
        assert np.abs(pixels[2:, 3:] - 100).max() <= 1


def test_icc_lab(picture):
    values = samples(picture, "LAB", 8).copy()
    values[..., 1:] ^= 0x80  # 128 is grey there
    for bits, planar in itertools.product((8, 16), (False, True)):
        stored = values.astype(np.uint16) << (bits - 8)
        content = tiffs.write(stored, photometric=9, bits=bits, planar=planar)
        assert np.percentile(np.abs(read(content).pixels - np.asarray(picture).astype(int)), 97) <= 9


def test_a_tiff_of_64_bits_a_place(picture):
    values = samples(picture, "RGB", 2)
    for order, (block, tiled), bits in itertools.product("<>", BLOCKS, (8, 12, 32)):
        content = tiffs.write(
            deep(values, bits, 2), photometric=2, bits=bits, order=order, block=block, tiled=tiled, big=True
        )
        assert np.abs(read(content).pixels - values.astype(int)).max() <= 1


def test_without_a_colour_space_black_is_zero(picture):
    for colours, bits in (("L", 8), ("L", 12), ("RGB", 8), ("RGB", 16)):
        values = samples(picture, colours, 1)
        content = tiffs.write(deep(values, bits, 1), photometric=None, bits=bits)
        expected = np.repeat(values, 3, axis=2) if colours == "L" else values
        assert np.abs(read(content).pixels - expected.astype(int)).max() <= 1


def test_a_region_of_a_deep_file_is_like_the_whole(picture):
    values = samples(picture, "RGB", 2)
    content = tiffs.write(deep(values, 32, 2), photometric=2, bits=32, tags={274: ("H", [6])})
    upright = picture.transpose(Image.Transpose.ROTATE_270)
    found = read(content, region=(3, 5, 22, 30))
    assert found.size == upright.size
    assert np.abs(found.pixels - np.asarray(upright.crop((3, 5, 22, 30))).astype(int)).max() <= 1


def test_numbers_that_are_none_make_no_noise(picture):
    """Signalling NaN and infinities: no warning of NumPy's, and black for what is none."""
    odd = np.frombuffer(struct.pack("<4I", 0x7F800001, 0x7F800000, 0xFF800000, 0x3F800000), np.float32)
    for planar in (False, True):
        values = np.tile(odd, (8, 3, 3)).reshape(8, 12, 3)
        pixels = read(tiffs.write(values, photometric=2, bits=32, form=3, planar=planar)).pixels
        assert set(np.unique(pixels)) == {0, 255}


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("LogLuv", {"photometric": 32845, "bits": 16}),
        ("transparency masks", {"photometric": 4, "bits": 1}),
        ("colour space 77", {"photometric": 77, "bits": 8}),
        ("complex numbers", {"photometric": 1, "bits": 64, "form": 6}),
        ("floating point of 24 bits", {"photometric": 1, "bits": 24, "form": 3}),
        ("40 bits", {"photometric": 1, "bits": 40}),
        ("signed numbers of 12 bits", {"photometric": 1, "bits": 12, "form": 2}),
        ("LAB of 32 bits, floating point", {"photometric": 8, "bits": 32, "form": 3}),
        ("CMYK of 32 bits", {"photometric": 5, "bits": 32}),
        ("inks other than", {"photometric": 5, "bits": 16, "tags": {332: ("H", [2])}}),
        ("fewer colours than tones", {"photometric": 6, "bits": 16}),
        ("compressed by JPEG XL", {"photometric": 2, "bits": 8, "tags": {259: ("H", [52546])}}),
        ("compression 4711", {"photometric": 2, "bits": 8, "tags": {259: ("H", [4711])}}),
        ("12 bits, JPEG-compressed", {"photometric": 1, "bits": 12, "tags": {259: ("H", [7])}}),
        ("in planes", {"photometric": 2, "bits": 8, "planar": True, "tags": {259: ("H", [7])}}),
        ("unlike depths", {"photometric": 2, "bits": 8, "tags": {258: ("H", [8, 8, 16])}}),
        ("predictor 2 of 12 bits", {"photometric": 1, "bits": 12, "tags": {317: ("H", [2])}}),
        ("predictor 9", {"photometric": 1, "bits": 12, "tags": {317: ("H", [9])}}),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_is_not_read_is_said_to_be_so(monkeypatch, said, options, order):
    count = {1: 1, 3: 1, 4: 1, 5: 4}.get(options["photometric"], 3)
    form = options.get("form", 1)
    if form != 1:
        monkeypatch.setattr(tiffs, "packed", lambda part, bits, *_: bytes(part.size * bits // 8))
    content = tiffs.write(np.zeros((8, 8, count)), order=order, **options)
    with pytest.raises(UnsupportedPictureError) as error:
        read(content)
    assert error.value.code == "not_supported"
    assert error.value.message.startswith("it is of a kind that is not read here: TIFF, ")
    assert said in error.value.message
    assert "PNG" in error.value.remedy


@pytest.mark.parametrize("order", ["<", ">"])
def test_what_a_sensor_saw_is_a_raw_file(order):
    content = tiffs.write(np.zeros((8, 8, 3)), order=order, photometric=32803, bits=16)
    with pytest.raises(UnsupportedPictureError, match=r"a camera's raw file \(raw\), and it has no preview"):
        read(content)


@pytest.mark.parametrize("codec", [1, 5, 8])
def test_what_is_cut_short_is_damaged(picture, codec):
    values = deep(samples(picture, "RGB", 2), 32, 2)
    content = tiffs.write(values, photometric=2, bits=32, compression=codec, block=5)
    directory = int.from_bytes(content[4:8], "little")
    shifted = content[:16] + content[directory - 3000 : directory] + content[directory:]
    shifted = shifted[:4] + struct.pack("<I", len(shifted) - len(content) + directory) + shifted[8:]
    for cut in (content[: len(content) // 2], shifted):
        with pytest.raises(CamseekError) as error:
            read(cut)
        assert isinstance(error.value, DamagedPictureError)
