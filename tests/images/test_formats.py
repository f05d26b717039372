import io

import pytest
from PIL import Image

from camseek.images.formats import HEAD_BYTES, PICTURE_SUFFIXES, claims_picture, describe, sniff


def test_every_format_is_told_by_its_first_bytes(samples):
    assert {sniff(content[:HEAD_BYTES]) for content in samples.values()} == set(samples)
    for format, content in samples.items():
        assert sniff(content[:HEAD_BYTES]) == format
        assert sniff(content) == format


def test_a_codestream_without_its_box(make):
    content = make.save(make.scene(), "JPEG2000", no_jp2=True)
    assert content.startswith(b"\xff\x4f")
    assert sniff(content[:HEAD_BYTES]) == "JPEG2000"


@pytest.mark.parametrize("head", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_both_byte_orders_of_tiff_and_bigtiff(head):
    assert sniff(head + bytes(28)) == "TIFF"


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc", "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0miafMA1Bavif", "AVIF"),
        (b"\0\0\0\x18ftypavis\0\0\0\0msf1miaf", "AVIF"),
        # HEIC with AVIF behind the end of the list of brands
        (b"\0\0\0\x14ftypmif1\0\0\0\0heicavif", "HEIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41avc1", None),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", None),
    ],
)
def test_brands(head, format):
    assert sniff(head) == format


def test_text_that_begins_as_a_bitmap_does():
    assert sniff(b"BMW is a make of car, and no picture.") is None
    assert sniff(b"BM") is None
    old = io.BytesIO()
    Image.new("1", (3, 3)).save(old, "BMP")
    assert sniff(old.getvalue()[:HEAD_BYTES]) == "BMP"


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\x89PNG", b"RIFF1234WAVE", b"GIF88a", b"II*"])
def test_what_is_no_picture(content):
    assert sniff(content) is None


def test_names():
    assert claims_picture(b"A.JPG")
    assert claims_picture(b"\xff\xfe 100%_\n.HeIc")
    assert not claims_picture(b"jpg")
    assert not claims_picture(b".jpg")
    assert not claims_picture(b"a.jpg.txt")
    assert all(suffix == suffix.lower() and suffix.startswith(b".") for suffix in PICTURE_SUFFIXES)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"", "it is empty"),
        (b"hello\n", "it is text"),
        ("Grüße".encode() * 100, "it is text"),
        ("日本語".encode()[:-1], "it is text"),
        (b"%PDF-1.7\n", "it is a PDF document"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "it is an SVG drawing, a format not read here"),
        (b"\0\0\0\x18ftypisom", "it is a video or a sound recording"),
        (bytes(100), "it holds zeros only"),
        (b"\x93\x01\xff\x80binary", "its content is no picture format known here"),
    ],
)
def test_obvious_content_is_named(head, said):
    assert describe(head) == said
