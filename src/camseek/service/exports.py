"""What a search found, for other programs: a table, JSON, annotations (W3C), a page that needs nothing."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from camseek.report import search_page
from camseek.results import SearchResult
from camseek.rows import CsvRows
from camseek.service.naming import Naming
from camseek.service.renders import Side
from camseek.service.schema import HitRecord, Picture, Region, SearchRecord

_COLUMNS = (
    *("rank", "name", "id", "verdict", "probability", "mark", "score", "scored_by", "width", "height"),
    *("x1", "y1", "x2", "y2", "corners", "copies"),
)
_CONTEXT = "http://www.w3.org/ns/anno.jsonld"
_IIIF = "http://iiif.io/api/presentation/3/context.json"


def table(found: SearchRecord) -> bytes:
    """A row for each hit, and for each picture that the user says was missed."""
    file = io.BytesIO()
    rows = CsvRows(file, _COLUMNS)
    for hit in found.hits:
        rows.write(_row(hit, hit.picture))
        for copy in hit.copies:
            rows.write(_row(hit, copy))
    for item in found.missed:
        known = (None, item.picture.name, item.picture.id, None, None, "right", None, "by hand")
        rows.write((*known, *item.picture.size, *(item.region or (None,) * 4), None, None))
    return file.getvalue()


def _row(hit: HitRecord, picture: Picture) -> list[Any]:
    """Of a hit, or of a near copy, which stands under its rank and has no numbers of its own."""
    if picture is not hit.picture:
        told = hit.verdict.verdict if hit.verdict else None
        return [
            hit.rank,
            picture.name,
            picture.id,
            told,
            *[None] * 4,
            *picture.size,
            *[None] * 5,
            "near copy",
        ]
    outline = hit.outlines[0] if hit.outlines else None
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline.corners) if outline else None
    return [
        *(hit.rank, hit.picture.name, hit.picture.id),
        *((hit.verdict.verdict, f"{hit.verdict.probability:.4f}") if hit.verdict else (None, None)),
        *(hit.mark, f"{hit.score:.6f}", hit.scored_by, *hit.picture.size),
        *(outline.box if outline else hit.marked_region or (None,) * 4),
        *(corners, len(hit.copies)),
    ]


def as_json(found: SearchRecord) -> bytes:
    """The record itself."""
    return json.dumps(found.model_dump(mode="json"), ensure_ascii=False, indent=1).encode()


def annotations(found: SearchRecord, base: str) -> bytes:
    """An AnnotationPage (W3C Web Annotation; IIIF Presentation 3): where each picture shows the thing.

    Each outline is an annotation of the picture by its address: the box as a fragment (``xywh``), the
    quadrilateral as an SVG selector; the verdict is its body. So are the places that the user drew.

    Args:
        found: What was found.
        base: The address under which the collection's pictures lie.
    """
    items = [
        _annotation(base, hit.picture, outline.box, outline.corners, _verdict(hit), f"#{hit.rank}-{number}")
        for hit in found.hits
        for number, outline in enumerate(hit.outlines, 1)
    ]
    drawn = [(hit.picture, hit.marked_region) for hit in found.hits]
    drawn += [(item.picture, item.region) for item in found.missed]
    items += [
        _annotation(base, picture, region, _corners(region), "right, drawn by hand", "#by-hand")
        for picture, region in drawn
        if region is not None
    ]
    page = {
        "@context": [_CONTEXT, _IIIF],
        "type": "AnnotationPage",
        "id": f"{base}#annotations",
        "items": items,
    }
    return json.dumps(page, ensure_ascii=False, indent=1).encode()


def _verdict(hit: HitRecord) -> str:
    return f"{hit.verdict.verdict} ({hit.verdict.probability:.0%})" if hit.verdict else "no verdict"


def _corners(region: Region) -> list[tuple[float, float]]:
    x1, y1, x2, y2 = region
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def _annotation(
    base: str, picture: Picture, box: Region, outline: Sequence[tuple[float, float]], told: str, name: str
) -> dict[str, Any]:
    source = f"{base}/{picture.id}/view?side={Side.LARGE}"
    # The address is of a view, whose longer side is at most this.
    scale = min(1.0, Side.LARGE / max(picture.size))
    x1, y1, x2, y2 = (round(value * scale, 1) for value in box)
    corners = [(x * scale, y * scale) for x, y in outline]
    return {
        "id": source + name,
        "type": "Annotation",
        "motivation": "identifying",
        "body": [{"type": "TextualBody", "purpose": "tagging", "format": "text/plain", "value": told}],
        "target": {
            "type": "SpecificResource",
            "source": source,
            "selector": [
                {
                    "type": "FragmentSelector",
                    "conformsTo": "http://www.w3.org/TR/media-frags/",
                    "value": f"xywh={x1:g},{y1:g},{x2 - x1:g},{y2 - y1:g}",
                },
                {"type": "SvgSelector", "value": _svg(corners)},
            ],
        },
    }


def _svg(corners: Sequence[tuple[float, float]]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<svg xmlns="http://www.w3.org/2000/svg"><polygon points="{points}"/></svg>'


def page(result: SearchResult, naming: Naming, collection: str) -> bytes:
    """The report's own page, with the pictures in it and without any path of the server.

    Args:
        result: A search made with views.
        naming: What its pictures are called.
        collection: The collection's name.
    """

    def shown(paths: Sequence[bytes]) -> tuple[bytes, ...]:
        return tuple(os.fsencode(naming.shown(path)) for path in paths)

    hits = tuple(replace(hit, paths_bytes=shown(hit.paths_bytes)) for hit in result.hits)
    return search_page(replace(result, hits=hits, collection=collection)).encode()
