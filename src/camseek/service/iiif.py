"""IIIF manifests (Presentation 2 and 3) as lists of pictures.

Of each canvas the first painted image; through its image service at a width of 1,600 pixels where it is wider
(level 1 can, and nothing is enlarged), else as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from camseek.jsontext import loads
from camseek.service.problems import ApiError

_WIDE = 1600
_CANVASES = 10_000
_VALUES = 2_000_000


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture of a manifest: what it is called, and where it is."""

    name: str
    url: str


def canvases(content: bytes) -> list[Canvas]:
    """The pictures of a manifest, in order.

    Raises:
        ApiError: It is no manifest, or has no pictures, or more than 10,000.
    """
    manifest = _json(content)
    found: list[Canvas] = []
    for number, (label, image) in enumerate(_images(manifest), 1):
        if len(found) >= _CANVASES:
            raise ApiError(413, "too_large", f"the manifest has more than {_CANVASES:,} pictures")
        if (url := _address(image)) is not None:
            found.append(Canvas((_text(label) or f"canvas {number}")[:200], url))
    if not found:
        raise ApiError(422, "manifest", "there is no picture in it", "give a IIIF manifest, version 2 or 3")
    return found


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = loads(content, _VALUES)
    except ValueError as error:
        raise ApiError(
            422, "manifest", "it is no JSON of a manifest's size", "give a IIIF manifest, version 2 or 3"
        ) from error
    return _record(found)


def _images(manifest: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Label and image of each canvas."""
    for canvas in map(_record, _list(manifest.get("items"))):  # version 3
        for page in map(_record, _list(canvas.get("items"))[:1]):
            for annotation in map(_record, _list(page.get("items"))[:1]):
                yield canvas.get("label"), _chosen(annotation.get("body"))
    for sequence in map(_record, _list(manifest.get("sequences"))[:1]):  # version 2
        for canvas in map(_record, _list(sequence.get("canvases"))):
            for image in map(_record, _list(canvas.get("images"))[:1]):
                yield canvas.get("label"), _chosen(image.get("resource"))


def _chosen(body: Any) -> dict[str, Any]:
    """One image where there is a choice of several."""
    first = _record(_list(body)[0] if isinstance(body, list) and body else body)
    if first.get("type") == "Choice":
        return _record(next(iter(_list(first.get("items"))), None))
    return _record(first["default"]) if first.get("@type") == "oa:Choice" and "default" in first else first


def _address(image: dict[str, Any]) -> str | None:
    whole = image.get("id", image.get("@id"))
    width = image.get("width")
    for service in map(_record, _list(image.get("service")) or [image.get("service")]):
        base = service.get("id", service.get("@id"))
        if isinstance(base, str) and isinstance(width, int) and width > _WIDE:
            return f"{base.rstrip('/')}/full/{_WIDE},/0/default.jpg"
    return whole if isinstance(whole, str) else None


def _text(label: Any) -> str:
    """A label in whatever language comes first."""
    if isinstance(label, dict):
        values = cast("dict[str, Any]", label)
        label = values.get("@value", next(iter(values.values()), ""))
    if isinstance(label, list):
        label = cast("list[Any]", label)[0] if label else ""
    return label.strip() if isinstance(label, str) else ""


def _record(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
