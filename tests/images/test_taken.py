"""When photographs were taken."""

import io

import numpy as np
import pytest
from PIL import Image

from camseek.images.taken import taken

DAY = "2019:05:04 17:03:00"
TOLD = "2019-05-04T17:03:00"


def picture(kind, original=DAY, digitized=None, **more):
    image = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    exif = Image.Exif()
    inner = exif.get_ifd(0x8769)
    if original is not None:
        inner[0x9003] = original
    if digitized is not None:
        inner[0x9004] = digitized
    exif[0x0132] = "2024:01:01 00:00:00"  # when it was changed
    if kind == "TIFF":  # EXIF data is one without pixels; Pillow writes none into a TIFF file
        return io.BytesIO(exif.tobytes().removeprefix(b"Exif\0\0"))
    file = io.BytesIO()
    image.save(file, kind, exif=exif, **more)
    return file


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_it_is_told_of_every_kind(kind):
    assert taken(picture(kind)) == TOLD
    assert taken(picture(kind, None, DAY)) == TOLD
    assert taken(picture(kind, None)) is None


def test_behind_other_data():
    assert taken(picture("JPEG", icc_profile=b"x" * 70_000, comment=b"a")) == TOLD


@pytest.mark.parametrize(
    "text", ["", "    :  :     :  :  ", "0000:00:00 00:00:00", "2019:13:01 00:00:00", "x" * 99]
)
def test_what_is_no_date(text):
    assert taken(picture("JPEG", text)) is None


def test_nothing_breaks_it():
    """Whatever is cut, changed or repeated: a date or none, within the file."""
    generator = np.random.default_rng(1)
    for kind in ("JPEG", "TIFF", "PNG", "WEBP"):
        whole = picture(kind).getvalue()
        for end in range(0, len(whole), 7):
            assert taken(io.BytesIO(whole[:end])) in (None, TOLD)
        for _ in range(200):
            data = bytearray(whole)
            for place in generator.integers(0, len(data), 4):
                data[place] = generator.integers(0, 256)
            found = taken(io.BytesIO(bytes(data)))
            assert found is None or len(found) == len(TOLD)
    for data in (b"", b"\xff\xd8" + b"\xff\xe1\0\0" * 100, b"RIFF\0\0\0\0WEBPEXIF\xff\xff\xff\xff", b"text"):
        assert taken(io.BytesIO(data)) is None
