"""IIIF manifests (Presentation 2 and 3) as lists of pictures, and collections of manifests.

Of each canvas the first painted image; through its image service at a width of 1,600 pixels where it is wider
(level 1 can, and nothing is enlarged), else as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from camseek.errors import ManifestError
from camseek.jsontext import loads

_WIDE = 1600
_CANVASES = 10_000
_VALUES = 2_000_000
_REMEDY = "give a IIIF manifest, version 2 or 3, or a collection of some"


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture of a manifest: what it is called, and where it is."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest, or a collection of some, names.

    Attributes:
        canvases: Pictures, in order.
        others: Addresses of the manifests and collections of a collection, in order.
    """

    canvases: tuple[Canvas, ...]
    others: tuple[str, ...]


def looks_like_manifest(head: bytes) -> bool:
    """Whether a file that begins like this may be a manifest, and is no page of links."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def read_manifest(content: bytes) -> Manifest:
    """Reads a manifest, or a collection of some; it may be empty.

    Raises:
        ManifestError: It is neither, or has more than 10,000 pictures or manifests.
    """
    try:
        manifest = _record(loads(content, _VALUES))
    except ValueError as error:
        raise ManifestError("it is no JSON of a manifest's size", remedy=_REMEDY) from error
    if not _is_one(manifest):
        raise ManifestError("it is no IIIF manifest, and no collection of some", remedy=_REMEDY)
    found: list[Canvas] = []
    for number, (label, image) in enumerate(_images(manifest), 1):
        if (url := _address(image)) is not None:
            found.append(Canvas((_text(label) or f"canvas {number}")[:200], url))
    others = tuple(_others(manifest))
    if max(len(found), len(others)) > _CANVASES:
        raise ManifestError(
            f"it has more than {_CANVASES:,} pictures or manifests", remedy="give a smaller one"
        )
    return Manifest(tuple(found), others)


def canvases(content: bytes) -> tuple[Canvas, ...]:
    """The pictures of a manifest, in order.

    Raises:
        ManifestError: It is no manifest, or has no pictures, or more than 10,000.
    """
    found = read_manifest(content).canvases
    if not found:
        raise ManifestError("there is no picture in it", remedy=_REMEDY)
    return found


def _is_one(manifest: dict[str, Any]) -> bool:
    kind = manifest.get("type", manifest.get("@type"))
    return kind in ("Manifest", "Collection", "sc:Manifest", "sc:Collection")


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


def _others(collection: dict[str, Any]) -> Iterator[str]:
    """Addresses of what a collection has."""
    for key in ("items", "manifests", "collections", "members"):  # version 3 has the first, 2 the others
        for item in map(_record, _list(collection.get(key))):
            address = item.get("id", item.get("@id"))
            if _is_one(item) and isinstance(address, str):
                yield address


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
