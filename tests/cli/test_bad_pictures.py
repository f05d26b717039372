"""Bad pictures are skipped with their reason or used as far as they go; the others come in all the same."""

import functools
import os
import struct
import zlib

import pytest


def chunk(kind, data):
    """A part of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height):
    """A PNG file; a large one is black, and cut short after some rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x80\x20\x10" * width) * min(height, 50)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@functools.cache
def huge_text():
    return zlib.compress(b"x" * 150_000_000)


def with_text(content):
    """A PNG file with text that unpacks to 150 MB."""
    return content[:33] + chunk(b"zTXt", b"Comment\0\0" + huge_text()) + content[33:]


@pytest.fixture
def bad(encoded):
    """The bytes of each bad picture."""
    return {
        "cut.jpg": encoded(1, quality=95)[:-400],
        "cut-early.jpg": encoded(2)[:300],
        "text.jpg": b"hello there",
        "empty.jpg": b"",
        "bomb.png": png(60_000, 60_000),
        "one-pixel.png": encoded(3, (1, 1), "PNG"),
        "zeros.png": bytes(1000),
        "magic-alone.png": b"\x89PNG\r\n\x1a\n",
    }


@pytest.fixture
def odd(encoded):
    """The bytes of each odd picture that can be used."""
    return {
        "grey.png": encoded.featureless,
        "tall.png": encoded(4, (16, 5000), "PNG"),
        "wide.png": encoded(5, (5000, 16), "PNG"),
        "wrong-ending.png": encoded(6),
        "no-ending": encoded(7),
        "ends-as-text.txt": encoded(8, format="PNG"),
        "broken-exif.jpg": encoded(9, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40),
        "broken-profile.jpg": encoded(10, icc_profile=b"no profile" * 20),
        "bomb-of-text.png": with_text(encoded(11, format="PNG")),
    }


CODES = {
    "cut.jpg": "damaged",
    "cut-early.jpg": "damaged",
    "text.jpg": "not_a_picture",
    "empty.jpg": "not_a_picture",
    "bomb.png": "too_large",
    "one-pixel.png": "too_small",
    "zeros.png": "not_a_picture",
    "magic-alone.png": "damaged",
}


@pytest.fixture
def folder(photos, bad, odd):
    place = photos(["good.jpg"])
    for name, content in (bad | odd).items():
        (place / name).write_bytes(content)
    return place


def test_a_folder_of_them(folder, odd, camseek, collection):
    told = camseek("index", folder, "--collection", collection)
    skipped = {os.path.basename(item["path"]): item for item in told["skipped"]}
    assert {name: item["code"] for name, item in skipped.items()} == CODES
    assert told["added"] == len(odd) + 1
    assert told["featureless"] == 1  # the grey one
    reasons = {name: item["reason"] for name, item in skipped.items()}
    assert reasons["text.jpg"] == "it is text"
    assert reasons["empty.jpg"] == "it is empty"
    assert reasons["zeros.png"] == "it holds zeros only"
    assert reasons["bomb.png"] == "it has 60000 x 60000 = 3600.0 megapixels, more than the limit of 200"
    for name in ("cut.jpg", "cut-early.jpg"):
        assert reasons[name].startswith("the JPEG file is damaged or cut short")
    assert reasons["one-pixel.png"] == "it has 1 x 1 pixels, and each side needs 16"
    warned = {os.path.basename(item["path"]): item["reason"] for item in told["warnings"]}
    assert set(warned) == {"broken-exif.jpg", "broken-profile.jpg", "bomb-of-text.png"}
    assert "EXIF" in warned["broken-exif.jpg"]
    assert "profile" in warned["broken-profile.jpg"]

    found = camseek("search", folder / "tall.png", "--collection", collection, "--top", "99", "--boxes")
    hits = {os.path.basename(hit["path"]): hit for hit in found["hits"]}
    assert set(hits) == {*odd, "good.jpg"} - {"grey.png"}
    assert found["hits"][0]["path"] == str(folder / "tall.png")
    assert hits["tall.png"]["size"] == [16, 5000]
    assert hits["tall.png"]["box"][0::2] == [0, 16]
    assert hits["wide.png"]["size"] == [5000, 16]
    assert camseek("check", "--collection", collection)["sound"]


def test_for_people_each_is_a_line(folder, text, collection):
    lines = text("index", folder, "--collection", collection).err.splitlines()
    for name in CODES:
        assert sum(line.startswith(f"skipped: {folder / name}: ") for line in lines) == 1
    for name in ("broken-exif.jpg", "broken-profile.jpg"):
        assert sum(line.startswith(f"odd: {folder / name}: ") for line in lines) == 1


@pytest.mark.parametrize("name", sorted(CODES))
def test_as_a_query(photos, bad, camseek, failing, collection, name):
    folder = photos(1)
    camseek("index", folder, "--collection", collection)
    query = folder.parent / name
    query.write_bytes(bad[name])
    error = failing("search", query, "--collection", collection)
    assert error["code"] == CODES[name]
    assert error["message"].startswith(f"{query}: ")
    assert failing("explain", query)["message"] == error["message"]


def test_broken_queries_that_can_be_used(photos, odd, camseek, collection):
    folder = photos(1)
    camseek("index", folder, "--collection", collection)
    for name in ("broken-exif.jpg", "broken-profile.jpg", "tall.png", "no-ending"):
        query = folder.parent / name
        query.write_bytes(odd[name])
        assert len(camseek("search", query, "--collection", collection)["hits"]) == 1


def test_a_limit_of_ones_own(photos, encoded, camseek, failing, collection):
    folder = photos(1)
    camseek("index", folder, "--collection", collection)
    query = folder.parent / "large.png"
    query.write_bytes(encoded(1, (500, 400), "PNG"))
    limited = ("search", query, "--collection", collection, "--max-megapixels")
    error = failing(*limited, "0.1")
    assert error["code"] == "too_large"
    assert "--max-megapixels" in error["remedy"]
    assert camseek(*limited, "0.2")["query"]["pictures"][0]["size"] == [500, 400]
