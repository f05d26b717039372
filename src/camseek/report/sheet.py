"""The contact sheet of an explanation: one picture for a paper, a slide or a terminal that shows pictures."""

import io
import math

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from camseek.report.markup import visible
from camseek.report.overlay import blend
from camseek.report.parts import base_name, percentage
from camseek.results import Explanation, Size

_TILE = 320  # longer side of a picture, pixels
_GAP = 16
_CAPTION = 32  # height of a line of words below a picture
_COLUMNS = 3
_FONT = 17
_PAPER = (255, 255, 255)
_INK = (28, 30, 33)


def explanation_picture(explanation: Explanation) -> bytes:
    """Draws what the network sees in a picture: the picture, then each class's map over it.

    Returns:
        A PNG, up to three pictures a row, each with a line below it.

    Raises:
        ValueError: The explanation has no views.
    """
    if not explanation.views:
        raise ValueError("an explanation without views cannot be drawn")
    tiles = [(explanation.views[0].pixels, "", base_name(explanation.path or b"the picture"))]
    for item, view in zip(explanation.classes, explanation.views, strict=True):
        tiles.append((blend(view), percentage(item.probability), item.name))

    width, height = _tile_size(*explanation.size)
    columns = min(len(tiles), _COLUMNS)
    rows = math.ceil(len(tiles) / columns)
    pitch = (width + _GAP, height + _CAPTION + _GAP)
    sheet = Image.new("RGB", (columns * pitch[0] + _GAP, rows * pitch[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (pixels, number, name) in enumerate(tiles):
        left = _GAP + place % columns * pitch[0]
        top = _GAP + place // columns * pitch[1]
        sheet.paste(_scaled(pixels, explanation.size, (width, height)), (left, top))
        _write(draw, (left, top + height), width, number, name)
    data = io.BytesIO()
    # So that a later report may take its place: no other picture is ever written over.
    origin = PngInfo()
    origin.add_text("Software", "camseek")
    sheet.save(data, "PNG", optimize=True, pnginfo=origin)
    return data.getvalue()


def _tile_size(width: int, height: int) -> tuple[int, int]:
    """The picture scaled to a tile, but never too narrow for words or a line."""
    longer = max(width, height)
    return max(round(width * _TILE / longer), _TILE // 2), max(round(height * _TILE / longer), 1)


def _scaled(
    pixels: UInt8[NDArray[np.uint8], "height width 3"], original: Size, tile: tuple[int, int]
) -> Image.Image:
    """The pixels in the middle of a tile, in the original's proportions."""
    width, height = original
    scale = min(tile[0] / width, tile[1] / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    canvas = Image.new("RGB", tile, _PAPER)
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    canvas.paste(picture, ((tile[0] - size[0]) // 2, (tile[1] - size[1]) // 2))
    return canvas


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], width: int, number: str, name: str) -> None:
    """A name from the left, cut to what fits, and a number at the right."""
    font = ImageFont.load_default(size=_FONT)
    x, y = place[0], place[1] + _CAPTION // 2
    room = width
    if number:
        draw.text((x + width, y), number, fill=_INK, font=font, anchor="rm")
        room -= math.ceil(font.getlength(number)) + _GAP // 2
    # A character the font lacks is drawn as an empty box: the sheet is never refused for a name.
    text = visible(name)
    if font.getlength(text) > room:
        while text and font.getlength(text + "…") > room:
            text = text[:-1]
        text += "…"
    draw.text((x, y), text, fill=_INK, font=font, anchor="lm")
