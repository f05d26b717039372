"""What the pages are made of: the document, framed pictures, bars and file names."""

import base64
import io
import os
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from urllib.parse import quote

from PIL import Image

from camseek.names import name_text, path_text
from camseek.report.markup import Markup, element
from camseek.report.overlay import COLOURS, heat_overlay
from camseek.results import Box, ClassScore, Outline, Size, View

# Pictures are scaled down to this longer side: sharp in a column of the page, and twenty of them are a
# megabyte or so.
LONGER_SIDE = 480
_JPEG_QUALITY = 80
# A frame has the original's proportions but for rounding, and what lies over it fills it.
_STRETCHED = {"preserveAspectRatio": "none"}

# Nothing may be fetched and nothing may run, whatever a file is called.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@cache
def _style() -> Markup:
    return Markup(resources.files("camseek.report").joinpath("style.css").read_text("utf-8"))


def document(title: str, *, header: Markup, main: Markup, note: str) -> str:
    """A whole page that needs nothing but itself."""
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        # Without this a browser would ask the server for one.
        element("link", rel="icon", href="data:,"),
        element("style", _style()),
    ]
    body = [
        element("header", header, class_="top"),
        element("main", main),
        element("footer", element("p", note), element("p", "Made by camseek. This page loads nothing.")),
    ]
    page = element(
        "html",
        element("head", Markup.joined(head)),
        element("body", Markup.joined(body)),
        lang="en-GB",
    )
    return f"<!doctype html>\n{page}\n"


def framed(
    view: View,
    *,
    alt: str,
    box: Box | None = None,
    region: bool = False,
    plain: bool = False,
    outlines: Sequence[Outline] = (),
    name: str | None = None,
) -> Markup:
    """A picture with its heat map, and a box or outlines over it.

    Args:
        view: The picture and its heat.
        alt: What it shows, for those who cannot see it.
        box: In pixels of the original.
        region: The box is the user's own, not the network's.
        plain: Leave the heat map out.
        outlines: Where the thing is; they take the box's place.
        name: An id, under which ``<use>`` draws the picture once more, as large as the original.
    """
    width, height = view.size
    content = _data_uri(_jpeg(view), "jpeg")
    if name is None:
        layers = [element("img", src=content, alt=alt, class_="picture")]
    else:
        image = element("image", id=name, href=content, width=width, height=height, **_STRETCHED)
        layers = [_over(view.size, image, class_="picture", role="img", aria_label=alt)]
    if not plain:
        layers.append(element("img", src=_data_uri(heat_overlay(view), "png"), alt="", class_="heat"))
    if outlines:
        layers.append(_drawn(outlines, view.size))
    elif box is not None:
        kind = "box region" if region else "box"
        layers.append(element("span", class_=kind, style=_placed(box, view.size)))
    shape = "wide" if width >= height else "tall"
    frame = element("span", *layers, class_=f"frame {shape}", style=f"aspect-ratio:{width}/{height}")
    return element("span", frame, class_="stage")


def _drawn(outlines: Sequence[Outline], size: Size) -> Markup:
    """Outlines as shapes over a picture; what reaches beyond it is cut off."""
    drawn = shapes([item.corners for item in outlines])
    return _over(size, *drawn, class_="outlines", aria_hidden="true")


def shapes(outlines: Iterable[Iterable[Sequence[float]]]) -> list[Markup]:
    """Quadrilaterals, each as a light line with dark edges.

    Args:
        outlines: The corners of each, x and y.
    """
    return [
        element("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), class_=kind)
        for corners in outlines
        for kind in ("edge", "line")
    ]


def _over(size: Size, *content: Markup, **attributes: str) -> Markup:
    """A drawing that covers a picture's frame, in pixels of the original."""
    view = {"viewBox": f"0 0 {size[0]} {size[1]}", **_STRETCHED}
    return element("svg", *content, **attributes, **view)


def placeholder(reason: str) -> Markup:
    """What stands where there is no picture."""
    return element("span", element("span", reason, class_="reason"), class_="stage empty")


def bar(share: float) -> Markup:
    """A bar of a length from 0 to 1; the number beside it says the same, so it is hidden from readers."""
    length = min(max(share, 0.0), 1.0)
    return element("span", element("span", style=f"width:{length:.1%}"), class_="bar", aria_hidden="true")


def class_list(classes: Sequence[ClassScore]) -> Markup:
    """Classes with their probabilities as bars."""
    rows = [
        element(
            "li",
            element("span", item.name, class_="class"),
            element("span", percentage(item.probability), class_="number"),
            bar(item.probability),
        )
        for item in classes
    ]
    return element("ul", *rows, class_="classes", role="list")


def percentage(probability: float) -> str:
    """A probability for people."""
    return "< 0.1%" if 0 < probability < 0.0005 else f"{probability:.1%}"


def dimensions(size: Size) -> str:
    """Width and height for people."""
    return f"{size[0]} × {size[1]} pixels"


def base_name(path: bytes) -> str:
    """The last part of a name; all of it where it ends in a slash."""
    text = path_text(path)
    return text.rstrip("/").rpartition("/")[2] or text


class Links:
    """Links to files from a page: relative where they lie beneath its folder, else by absolute names."""

    def __init__(self, folder: bytes | None) -> None:
        """Takes the page's folder, absolute, or None where nobody knows it."""
        self._folder = folder

    def to(self, path: bytes | None) -> str | None:
        """A URL, or None for a picture without a file."""
        if path is None or not path.startswith(b"/"):
            return None
        if self._folder is not None and path.startswith(self._folder.rstrip(b"/") + b"/"):
            # What begins with ./ is never taken for a scheme or a server.
            return "./" + quote(os.path.relpath(path, self._folder))
        return "file://" + quote(path)

    def around(self, content: Markup, path: bytes | None) -> Markup:
        """Something that opens a file when it is clicked."""
        url = self.to(path)
        return content if url is None else element("a", content, href=url, class_="open", rel="noreferrer")

    def named(self, path: bytes) -> Markup:
        """A file's whole name, that opens it."""
        name, url = element("bdi", name_text(path)), self.to(path)
        return name if url is None else element("a", name, href=url, rel="noreferrer")


def file_names(paths: Sequence[bytes], links: Links) -> Markup:
    """A file's name, that opens to show where it is and what its copies are called."""
    full = [element("p", links.named(path), class_="path") for path in paths]
    heading = element("summary", element("bdi", base_name(paths[0])), title=name_text(paths[0]))
    return element("details", heading, *full)


def switches(*, box: str | None, heat: bool) -> Markup:
    """Check boxes that show and hide what lies over the pictures, for the whole page, without scripts.

    Args:
        box: What boxes or outlines are called; None where there are none.
        heat: Heat maps are shown until they are switched off; otherwise hidden until they are switched on.
    """
    stops = ",".join(f"rgb{colour}" for colour in COLOURS)
    key = element(
        "span",
        "less",
        element("span", class_="scale", style=f"background:linear-gradient(90deg,{stops})"),
        element("span", "more ", element("span", "attention", class_="word")),
        class_="key",
    )
    names = [("show-heat", "Heat map", heat), *([("show-box", box, True)] if box else [])]
    labels = [
        element("label", element("input", type="checkbox", id=name, checked=on), element("span", label))
        for name, label, on in names
    ]
    return element("div", *labels, key, class_="switches", role="group", aria_label="Show over the pictures")


def facts(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Names and values."""
    rows = [element("div", element("dt", name), element("dd", value)) for name, value in pairs]
    return element("dl", *rows, class_="facts")


def _placed(box: Box, size: Size) -> str:
    """A box as percentages of its picture, so that it is right at any size of the page."""
    x1, y1, x2, y2 = box
    width, height = size
    shares = {
        "left": x1 / width,
        "top": y1 / height,
        "width": (x2 - x1) / width,
        "height": (y2 - y1) / height,
    }
    return ";".join(f"{side}:{share * 100:.4g}%" for side, share in shares.items())


def _jpeg(view: View) -> bytes:
    image = Image.fromarray(view.pixels)
    image.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return data.getvalue()


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
