"""Pictures as the network sees them: odd files beside the plain one, and what is too small."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

import tiffs
from camseek.config import LEAST_SIDE, Limits, Settings
from camseek.errors import RegionError, TooSmallError
from camseek.extraction.describer import Describer
from camseek.extraction.extractor import RegionRules
from camseek.extraction.reading import check_region_size
from camseek.matching.fine import QUERIED


@pytest.fixture(scope="module")
def describer(model):
    return Describer(model, Settings(), Limits())


@pytest.fixture(scope="module")
def photo():
    patches = np.random.default_rng(4).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((320, 240), Image.Resampling.BICUBIC)


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def without_marker(photo):
    data = saved(photo.convert("CMYK"), "JPEG", quality=95)
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 16 :]


def wrong_checksum(photo):
    png = saved(photo, "PNG", dpi=(72, 72))
    at = png.index(b"pHYs")
    return png[: at + 13] + bytes(4) + png[at + 17 :]


def bitmap(photo):
    rgb = np.asarray(photo)
    bgra = np.dstack([rgb[::-1, :, ::-1], np.zeros(rgb.shape[:2], "u1")])
    masks = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
    head = struct.pack("<IiiHHIIiiIIIIII", 124, 320, 240, 1, 32, 3, bgra.nbytes, 0, 0, 0, 0, *masks)
    head += b"BGRs" + bytes(64)
    start = struct.pack("<IHHI", 14 + len(head) + bgra.nbytes, 0, 0, 14 + len(head))
    return b"BM" + start + head + bgra.tobytes()


def turned(photo, entry):
    data = saved(photo.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=100, subsampling=0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def colours(photo, **options):
    return tiffs.write(options.pop("values", np.asarray(photo)), photometric=2, **options)


def grey(photo):
    return np.asarray(photo.convert("L"))[..., None]


ODD = {
    "planar_16bit": lambda photo: colours(
        photo, values=np.asarray(photo).astype("u2") * 257, bits=16, planar=True
    ),
    "rgb_float32": lambda photo: colours(photo, values=np.asarray(photo) / 255, bits=32, form=3),
    "cmyk_no_marker": without_marker,
    "png_wrong_crc": wrong_checksum,
    "bmp_alpha_all_zero": bitmap,
    "orientation_count_2": lambda photo: turned(photo, struct.pack("<HHIHH", 0x112, 3, 2, 6, 1)),
    "orientation_byte": lambda photo: turned(photo, struct.pack("<HHI4B", 0x112, 1, 1, 6, 0, 0, 0)),
    "orientation_long": lambda photo: turned(photo, struct.pack("<HHII", 0x112, 4, 1, 6)),
}
ODD_GREY = {
    "white_is_zero_little": {"photometric": 0, "bits": 16, "order": "<"},
    "white_is_zero_big": {"photometric": 0, "bits": 16, "order": ">"},
    "grey_float16": {"photometric": 1, "bits": 16, "form": 3},
    "grey_float64": {"photometric": 1, "bits": 64, "form": 3},
}


@pytest.mark.parametrize("name", [*ODD, *ODD_GREY])
def test_odd_files_are_described_as_the_plain_one(describer, photo, name):
    if name in ODD:
        plain, content = saved(photo, "PNG"), ODD[name](photo)
    else:
        options = ODD_GREY[name]
        values = grey(photo) / 255 if "form" in options else 65535 - grey(photo).astype("u2") * 257
        plain, content = saved(photo.convert("L"), "PNG"), tiffs.write(values, **options)
    expected = describer.describe(describer.extractor.extract(plain))
    found = describer.describe(describer.extractor.extract(content))
    assert float(expected @ found) > 0.99


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15), (15, 15)])
def test_a_picture_below_the_least_size_is_refused(describer, size):
    content = saved(Image.new("RGB", size), "PNG")
    with pytest.raises(TooSmallError) as error:
        describer.extractor.extract(content)
    assert error.value.code == "too_small"
    assert error.value.message == f"it has {size[0]} x {size[1]} pixels, and each side needs {LEAST_SIDE}"
    assert error.value.remedy


def test_the_least_size_is_enough(describer):
    content = saved(Image.new("RGB", (LEAST_SIDE, LEAST_SIDE)), "PNG")
    assert describer.extractor.extract(content).picture.size == (LEAST_SIDE, LEAST_SIDE)


def test_a_region_below_the_least_size_is_refused(describer, photo):
    content = saved(photo, "PNG")
    for reading in ("crop", "cells"):
        with pytest.raises(RegionError) as error:
            describer.extractor.extract(content, (10, 20, 25, 200), RegionRules(reading=reading))
        assert "the region 10,20,25,200 has 15 x 180 pixels, and each side needs 16" in error.value.message
        assert "larger box" in error.value.remedy
        describer.extractor.extract(content, (10, 20, 28, 38), RegionRules(reading=reading))


def test_a_region_of_maps_is_as_large_as_the_network_sees_it(describer):
    content = saved(Image.new("RGB", (2000, 1500), (90, 120, 30)), "PNG")
    region = (100, 100, 140, 200)
    describer.extractor.extract(content, region)
    with pytest.raises(RegionError) as error:
        describer.extractor.extract(content, region, RegionRules(reading="cells"))
    assert "has 40 x 100 pixels, 13 x 32 as the network sees the picture" in error.value.message
    assert "--region-reading crop" in error.value.remedy


def test_an_enlarged_region_is_no_larger():
    with pytest.raises(RegionError):
        check_region_size((0, 0, 15, 50), (100, 100), 3.0, 3.0)
    check_region_size((0, 0, 16, 50), (100, 100), 3.0, 3.0)


@pytest.mark.parametrize("reading", ["crop", "cells"])
@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("10%,20%,10.01%,60%", "covers less than a pixel; the picture is {width} x {height} pixels"),
        ("0%,0%,3%,100%", "has {three} x {height} pixels, and each side needs 16"),
    ],
)
def test_a_region_is_told_as_it_was_given(describer, photo, reading, region, told):
    width, height = photo.size
    with pytest.raises(RegionError) as error:
        describer.extractor.extract(saved(photo, "PNG"), region, RegionRules(reading=reading))
    said = told.format(width=width, height=height, three=round(0.03 * width))
    assert error.value.message == f"the region {region} {said}"
    assert "larger box" in error.value.remedy


@pytest.mark.parametrize("region", [None, (40, 20, 300, 200)])
def test_a_query_is_the_same_by_any_number_of_threads(describer, photo, region):
    content = saved(photo, "PNG")
    one, two = (
        describer.extractor.extract(content, region, features=True, fine=early, cells=True, workers=workers)
        for early, workers in ((False, 1), (True, 2))
    )
    plain = describer.extractor.extract(content, region)
    assert (plain.words, plain.fine, plain.looked) == (None, None, None)
    np.testing.assert_array_equal(one.activations.features, plain.activations.features)
    np.testing.assert_array_equal(one.activations.features, two.activations.features)
    np.testing.assert_array_equal(one.looked.values, two.looked.values)
    for words, others in zip(one.words, two.words, strict=True):
        assert len(words) > 50
        for part in ("points", "words", "signs", "term_signs"):
            np.testing.assert_array_equal(getattr(words, part), getattr(others, part))
    assert not np.array_equal(one.words[0].signs, one.words[1].signs)
    for amount in QUERIED:
        points, others = (seen.fine.points(0, amount) for seen in (one, two))
        assert len(points) > 50
        np.testing.assert_array_equal(points.points, others.points)
        np.testing.assert_array_equal(points.vectors, others.vectors)
