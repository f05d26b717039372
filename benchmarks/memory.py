"""Peak memory of one giant picture, and of ever more small ones.

Each format's largest picture that is read (200 megapixels, where the decoder does not take too much for that;
see ``camseek.images.decode``) is decoded in a process of its own, and what that process holds at its peak is
measured. HEIC needs an encoder that is no dependency (``pip install pillow-heif``), and is left out without.

Compared besides: the peak of ``camseek index`` on a folder, and on one of ten times as many pictures of the
same kinds.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import Figure, Options, Report, Table, peak_memory
from PIL import Image

_DECODE = """
import sys
from camseek.config import Resize
from camseek.images import decode
with open(sys.argv[1], "rb") as file:
    decode(file, resize=Resize.parse("640"))
"""
_SIDES = (160, 224, 240, 256, 288, 320)


@dataclass(frozen=True, slots=True)
class _Giant:
    """A kind of file."""

    name: str
    format: str
    megapixels: float
    mode: str = "RGB"
    options: dict[str, Any] = field(default_factory=dict[str, Any])


_GIANTS = (
    _Giant("JPEG", "JPEG", 199),
    _Giant("JPEG, progressive, 4:4:4", "JPEG", 199, options={"progressive": True, "subsampling": 0}),
    _Giant("JPEG, progressive, CMYK", "JPEG", 199, "CMYK", {"progressive": True}),
    _Giant("PNG", "PNG", 199, options={"compress_level": 1}),
    _Giant("PNG, alpha", "PNG", 199, "RGBA", {"compress_level": 1}),
    _Giant("BMP", "BMP", 199),
    _Giant("GIF", "GIF", 199, "P"),
    _Giant("TIFF", "TIFF", 199),
    _Giant("TIFF, compressed", "TIFF", 199, options={"compression": "tiff_adobe_deflate"}),
    _Giant("TIFF, floating point, one strip", "TIFF", 105, "F"),
    _Giant("WebP", "WEBP", 94, options={"method": 0}),
    _Giant("WebP, lossless, alpha", "WEBP", 94, "RGBA", {"method": 0, "quality": 0, "lossless": True}),
    _Giant("AVIF", "AVIF", 104, options={"speed": 10}),
    _Giant("JPEG 2000, tiled", "JPEG2000", 199, options={"tile_size": (4096, 4096)}),
    _Giant("JPEG 2000", "JPEG2000", 150),  # Pillow writes no larger one
    _Giant("JPEG 2000, one resolution", "JPEG2000", 75, options={"num_resolutions": 1}),
    _Giant("HEIC", "HEIF", 142, options={"quality": 50}),  # the encoder writes no larger one
)
_QUICK = ("JPEG", "TIFF")


def measure(options: Options) -> Report:
    """Measures giants of every format, then folders of two sizes."""
    report = Report()
    table = Table(
        "Peak memory of decoding one giant picture", ("format", "megapixels", "file, MB", "peak, MB")
    )
    peaks: list[int] = []
    for giant in _wanted(options):
        path = options.folder / "giant"
        size = _write(giant, path)
        peaks.append(peak_memory(["-c", _DECODE, str(path)], options.folder))
        file_size = path.stat().st_size
        path.unlink()
        row = size[0] * size[1] / 1e6, file_size / 1e6, peaks[-1] / 1e6
        table.rows.append((giant.name, *(f"{value:.0f}" for value in row)))
    report.tables.append(table)
    report.figures.append(
        Figure("decoding one giant picture, any format: peak memory, GB", max(peaks) / 1e9, 2.0)
    )
    _grow(report, options)
    return report


def _wanted(options: Options) -> Iterator[_Giant]:
    for giant in _GIANTS:
        if giant.format == "HEIF":
            if importlib.util.find_spec("pillow_heif") is None:
                continue
            importlib.import_module("pillow_heif").register_heif_opener()
        if not options.quick or giant.name in _QUICK:
            yield giant


def _write(giant: _Giant, path: Path) -> tuple[int, int]:
    """Writes a picture of smooth colours; returns its size."""
    # WebP's sides are at most 16,383.
    width = 16_000
    size = (width, int(giant.megapixels * 1e6) // width)
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BILINEAR)
    with open(path, "wb") as file:
        image.convert(giant.mode).save(file, giant.format, **giant.options)
    return size


def _grow(report: Report, options: Options) -> None:
    table = Table("Peak memory of camseek index", ("pictures", "peak, MB"))
    peaks: list[int] = []
    few = options.pick(200, 20)
    for count in (few, 10 * few):
        folder = options.folder / f"small{count}"
        _write_small(folder, count)
        collection = str(options.folder / f"collection{count}")
        peaks.append(
            peak_memory(["-m", "camseek", "index", str(folder), "--collection", collection], options.folder)
        )
        table.rows.append((str(count), f"{peaks[-1] / 1e6:.0f}"))
    report.tables.append(table)
    label = f"index: peak memory on {10 * few} pictures over that on {few}"
    report.figures.append(Figure(label, peaks[1] / peaks[0], 1.1))


def _write_small(folder: Path, count: int) -> None:
    """Writes photographs in every combination of a few sides, each with another content."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        size = (_SIDES[number % len(_SIDES)], _SIDES[number // len(_SIDES) % len(_SIDES)])
        small = generator.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / f"{number:05d}.jpg", quality=85)
