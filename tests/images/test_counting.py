import io
import struct

import pytest
from PIL import Image

from camseek.config import Resize
from camseek.errors import TooSlowError
from camseek.images.counting import MOST_SCANS, count_gif_frames
from camseek.images.decode import decode


def read(content):
    return decode(io.BytesIO(content), resize=Resize.parse("640"))


def tiff(pages, *, big=False, **options):
    file = io.BytesIO()
    images = [Image.new("L", (8, 8), page) for page in range(pages)]
    images[0].save(file, "TIFF", save_all=True, append_images=images[1:], big_tiff=big, **options)
    return file.getvalue()


def gif(frames):
    file = io.BytesIO()
    images = [Image.new("L", (8, 8), 40 * frame) for frame in range(frames)]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:])
    return file.getvalue()


def many_scans(scans):
    """A progressive JPEG whose last scan stands there again and again."""
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * (scans - content.count(b"\xff\xda")) + content[-2:]


@pytest.mark.parametrize(("entries", "pages"), [(65534, 1000), (400, 1000)])
def test_tiff_pages_that_share_their_entries(entries, pages):
    """``tiff_999_shared_ifds.tif``: each page is a directory of many entries that begins a little later."""
    content = bytearray(tiff(1))
    first = struct.unpack_from("<I", content, 4)[0]
    at = first + 2 + 12 * struct.unpack_from("<H", content, first)[0]
    start, step = len(content), 12
    struct.pack_into("<I", content, at, start)
    behind = start + 2 + 12 * entries
    content += bytes(behind + step * 1200 - start)
    for page in range(1200):
        struct.pack_into("<H", content, start + step * page, entries)
        struct.pack_into("<I", content, behind + step * page, start + step * (page + 1))
    assert read(bytes(content)).frames == pages


@pytest.mark.parametrize("frames", [1, 2, 6])
def test_gif_frames(frames):
    assert count_gif_frames(io.BytesIO(gif(frames))) == frames
    assert read(gif(frames)).frames == frames


def test_gif_frames_up_to_a_limit_and_to_where_it_is_damaged():
    content = gif(3)
    last = content.rindex(b",\0\0\0\0")
    assert count_gif_frames(io.BytesIO(content[: last + 20])) == 3
    assert count_gif_frames(io.BytesIO(content[:last])) == 2
    assert count_gif_frames(io.BytesIO(content[:-1] + content[last:-1] * 2000 + b";")) == 1000
    assert read(content[:-1] + content[last:-1] * 200_000 + b";").frames == 1000
    assert count_gif_frames(io.BytesIO(b"GIF89a")) == 1


def test_a_png_may_say_anything(make):
    content = make.save(make.scene(), "PNG")
    control = make.png_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    frame = make.png_chunk(b"fcTL", struct.pack(">5I2H2B", 0, 96, 64, 0, 0, 1, 1, 0, 0))
    assert read(content[:33] + control + frame + content[33:]).frames == 1000


def test_a_jpeg_of_many_scans():
    assert read(many_scans(MOST_SCANS)).pixels.shape == (256, 256, 3)
    with pytest.raises(TooSlowError, match=f"more than {MOST_SCANS} scans") as error:
        read(many_scans(MOST_SCANS + 1))
    assert "ordinary JPEG" in error.value.remedy


def test_what_lies_behind_a_jpegs_end_does_not_count():
    assert read(many_scans(20) + many_scans(400)).pixels.shape == (256, 256, 3)
