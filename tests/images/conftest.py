"""Small pictures made on the spot, in every format that can be written."""

import io
import struct
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

DATA = Path(__file__).parent / "data"

# What brings an upright picture to the form stored under each of EXIF's orientations.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def make_scene(size=(96, 64)):
    """Four colours and a white mark at the top left: no turn of it looks like another."""
    width, height = size
    picture = Image.new("RGB", size, (200, 40, 40))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 2, 0, width - 1, height // 2 - 1), fill=(40, 180, 60))
    draw.rectangle((0, height // 2, width // 2 - 1, height - 1), fill=(50, 70, 200))
    draw.rectangle((width // 2, height // 2, width - 1, height - 1), fill=(230, 220, 90))
    draw.rectangle((width // 12, height // 8, width // 4 - 1, height // 4 - 1), fill=(250, 250, 250))
    return picture


def save(picture, format, **options):
    buffer = io.BytesIO()
    defaults = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 90, "subsampling": "4:4:4"},
        "JPEG2000": {"irreversible": False},
    }
    picture.save(buffer, format, **(defaults.get(format, {}) | options))
    return buffer.getvalue()


def make_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def jp2_with_box(content, kind, body):
    """Puts a box behind the signature and file type of a JP2 file."""
    at = 12 + int.from_bytes(content[12:16], "big")
    return content[:at] + struct.pack(">I4s", len(body) + 8, kind) + body + content[at:]


def png_chunk(kind, body):
    import zlib

    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


class Make:
    """The makers above, for tests, which cannot import this file."""

    data = DATA
    stored = STORED
    scene = staticmethod(make_scene)
    save = staticmethod(save)
    exif = staticmethod(make_exif)
    jp2_with_box = staticmethod(jp2_with_box)
    png_chunk = staticmethod(png_chunk)

    @staticmethod
    def heic(name):
        return (DATA / f"{name}.heic").read_bytes()


@pytest.fixture(scope="session")
def make():
    return Make


@pytest.fixture(scope="session")
def samples():
    """The scene in every format."""
    formats = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000")
    found = {format: save(make_scene(), format) for format in formats}
    found["GIF"] = save(make_scene().quantize(16), "GIF")
    found["HEIF"] = Make.heic("orientation1")
    return found
