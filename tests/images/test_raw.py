"""Raw files are told from TIFF by what is in them; their preview is read, or they are refused by name."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

import tiffs
from camseek.config import Resize
from camseek.errors import UnsupportedPictureError
from camseek.images import decode, sniff
from camseek.images.formats import claims_picture


def read(content, **options):
    return decode(io.BytesIO(content), resize=Resize.parse("640"), **options)


def raw_file(make, maker="", first=(), small=(60, 40), large=None, sensor=(1300, 900), version=False):
    """A thumbnail in the first directory; the sensor's picture and perhaps a preview beneath it."""
    thumb = np.asarray(make.scene(small).convert("RGB"))
    start = 16
    body = thumb.tobytes() + bytes(thumb.size % 2)
    jpeg = b"" if large is None else make.save(large, "JPEG")
    jpeg_at = start + len(body)
    body += jpeg + bytes(len(jpeg) % 2)
    data_at = start + len(body)
    body += bytes(64)
    sub_at = start + len(body)
    sub = tiffs.directory(
        {
            254: ("I", [0]), 256: ("I", [sensor[0]]), 257: ("I", [sensor[1]]), 258: ("H", [14]),
            259: ("H", [34713]), 262: ("H", [32803]), 273: ("I", [data_at]), 277: ("H", [1]),
            279: ("I", [64]),
        },
        "<", False, sub_at,
    )  # fmt: skip
    body += sub + bytes(len(sub) % 2)
    fields = {
        254: ("I", [1]), 256: ("I", [small[0]]), 257: ("I", [small[1]]), 258: ("H", [8, 8, 8]),
        259: ("H", [1]), 262: ("H", [2]), 273: ("I", [start]), 277: ("H", [3]), 278: ("I", [small[1]]),
        279: ("I", [thumb.size]),
        330: ("I", [sub_at]),
    }  # fmt: skip
    if maker:
        fields[271] = ("s", maker.encode() + b"\0")
    if version:
        fields[50706] = ("B", [1, 4, 0, 0])
    fields |= dict(first)
    assert jpeg_at
    at = start + len(body)
    return tiffs.head("<", False, at) + body + tiffs.directory(fields, "<", False, at)


MAKERS = {
    "NIKON CORPORATION": "NEF", "SONY": "ARW", "PENTAX Corporation": "PEF", "SAMSUNG": "SRW", "Canon": "CR2",
    "Hasselblad": "3FR", "EASTMAN KODAK COMPANY": "DCR", "Nobody's": "raw",
}  # fmt: skip


@pytest.mark.parametrize("maker", sorted(MAKERS))
def test_the_full_preview_is_used_and_said(make, maker):
    scene = make.scene((900, 600))
    picture = read(raw_file(make, maker, large=scene))
    assert picture.format == MAKERS[maker]
    assert picture.size == (900, 600)
    assert picture.warnings == ("the preview of 900 x 600 stored in the raw file is used",)
    expected = np.asarray(scene.resize((640, 427), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(picture.pixels - expected).mean() < 3


@pytest.mark.parametrize("maker", sorted(MAKERS))
def test_a_thumbnail_alone_is_no_picture(make, maker):
    for large in (None, make.scene((160, 120))):
        with pytest.raises(UnsupportedPictureError) as error:
            read(raw_file(make, maker, large=large))
        size = "60 x 40" if large is None else "160 x 120"
        assert error.value.message == (
            "it is of a kind that is not read here: a camera's raw file "
            f"({MAKERS[maker]}), and its largest preview has {size} pixels"
        )
        assert error.value.remedy


def test_a_small_camera_has_a_small_preview(make):
    picture = read(raw_file(make, "Nikon", large=make.scene((320, 240)), sensor=(600, 450)))
    assert picture.size == (320, 240)


def test_the_raw_files_orientation_turns_its_preview(make):
    turned = make.scene((900, 600)).transpose(Image.Transpose.ROTATE_90)
    picture = read(raw_file(make, "NIKON", large=turned, first={274: ("H", [6])}))
    assert picture.size == (900, 600)
    assert picture.warnings == ("the preview of 900 x 600 stored in the raw file is used",)
    expected = make.scene((900, 600)).resize((640, 427), Image.Resampling.BICUBIC)
    assert np.abs(picture.pixels - np.asarray(expected).astype(int)).mean() < 3


def test_a_dng_with_its_preview_in_a_page_beneath(make):
    """As in ``preview_first.dng``: a thumbnail first, then what the sensor saw, then the whole picture."""
    values = np.asarray(make.scene((320, 240)))
    whole = tiffs.write(values, photometric=2, bits=8)
    at = int.from_bytes(whole[4:8], "little")
    page_at = at
    sensor_at = len(whole) + len(whole) % 2
    sensor = tiffs.directory(
        {256: ("I", [320]), 257: ("I", [240]), 258: ("H", [16]), 259: ("H", [1]), 262: ("H", [32803]),
         273: ("I", [16]), 277: ("H", [1]), 279: ("I", [320 * 240 * 2])},
        "<", False, sensor_at,
    )  # fmt: skip
    content = whole.ljust(sensor_at, b"\0") + sensor
    content += bytes(len(content) % 2)
    first = tiffs.directory(
        {254: ("I", [1]), 256: ("I", [90]), 257: ("I", [60]), 258: ("H", [8, 8, 8]), 259: ("H", [1]),
         262: ("H", [2]), 273: ("I", [16]), 277: ("H", [3]), 278: ("I", [60]), 279: ("I", [90 * 60 * 3]),
         330: ("I", [sensor_at, page_at]), 50706: ("B", [1, 4, 0, 0])},
        "<", False, len(content),
    )  # fmt: skip
    content = content[:4] + struct.pack("<I", len(content)) + content[8:] + first
    picture = read(content)
    assert picture.format == "DNG"
    assert picture.warnings == ("the preview of 320 x 240 stored in the raw file is used",)
    np.testing.assert_array_equal(picture.pixels, values)


HEADS = {
    "RAF": b"FUJIFILMCCD-RAW 0201",
    "ORF": b"IIRO\x08\0\0\0",
    "RW2": b"IIU\0\x08\0\0\0",
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "X3F": b"FOVb\0\0\0\0",
    "MRW": b"\0MRM\0\0\0\0",
    "CRW": b"II\x1a\0\0\0HEAPCCDR",
}


@pytest.mark.parametrize("name", sorted(HEADS))
def test_raw_files_of_their_own_form(make, name):
    content = HEADS[name].ljust(200, b"\0")
    assert sniff(content) == "RAW"
    with pytest.raises(UnsupportedPictureError, match=f"raw file \\({name}\\), and it has no preview"):
        read(content)
    scene = make.scene((900, 600))
    thumb = make.save(make.scene((160, 120)), "JPEG")
    picture = read(content + thumb + bytes(1000) + make.save(scene, "JPEG") + bytes(1000))
    assert (picture.format, picture.size) == (name, (900, 600))
    assert picture.warnings == ("the preview of 900 x 600 stored in the raw file is used",)


def test_canons_newer_files_say_the_orientation_in_a_box(make):
    turned = make.scene((900, 600)).transpose(Image.Transpose.ROTATE_90)
    tags = tiffs.head("<", False, 16) + tiffs.directory({274: ("H", [6])}, "<", False, 16)
    content = HEADS["CR3"] + b"\0\0\0\x50CMT1" + tags + bytes(100) + make.save(turned, "JPEG")
    assert read(content).size == (900, 600)


def test_a_tiff_of_pages_is_no_raw_file(make):
    content = make.save(make.scene(), "TIFF", tiffinfo={271: "NIKON CORPORATION"})
    picture = read(content)
    assert (picture.format, picture.warnings) == ("TIFF", ())


def test_their_names_claim_to_be_pictures():
    for suffix in b"dng nef cr2 cr3 arw orf rw2 pef srw raf".split():
        assert claims_picture(b"a." + suffix.upper())


def test_makers_marks_name_the_format(make):
    scene = make.scene((900, 600))
    iiq = bytearray(raw_file(make, large=scene))
    iiq[8:16] = b"IIIITwaR"
    assert read(bytes(iiq)).format == "IIQ"
    fields = {256: ("I", [900]), 257: ("I", [600]), 259: ("H", [6])}
    page = tiffs.directory(fields, "<", False, 16)
    cr2 = bytearray(tiffs.head("<", False, 16) + page + make.save(scene, "JPEG"))
    cr2[8:12] = b"CR\x02\0"
    assert read(bytes(cr2)).format == "CR2"
