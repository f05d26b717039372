"""The page of a search: the query, and its hits side by side."""

from collections.abc import Sequence
from itertools import zip_longest

from camseek.names import path_text
from camseek.report.markup import Markup, element
from camseek.report.parts import (
    bar,
    base_name,
    class_list,
    dimensions,
    document,
    facts,
    file_names,
    framed,
    placeholder,
    switches,
)
from camseek.results import Hit, Query, SearchResult, View

_NOTE = (
    "A box shows where the network looked for the query's classes, not the outline of the thing: "
    "it is a guide to the eye, not a measurement. The score is the cosine of two descriptors: "
    "the nearer to 1, the more alike."
)
# More other names than these are told when the name is opened.
_NAMES_TOLD = 3


def search_page(result: SearchResult) -> str:
    """Shows a search as one HTML page that loads nothing.

    Args:
        result: A search made with views; a hit without one keeps its place and says why.

    Returns:
        The page, to be written as UTF-8.
    """
    name = _query_name(result.query)
    count = len(result.hits)
    heading = f"{count} picture{'' if count == 1 else 's'} like " if count else "No pictures like "
    header = Markup.joined(
        [
            element("h1", heading, element("em", element("bdi", name))),
            facts(_facts(result)),
        ]
    )
    main = Markup.joined([_query(result.query, result.query_view), _hits(result.hits, result.views)])
    return document(f"{heading}{name}", header=header, main=main, note=_NOTE)


def _query_name(query: Query) -> str:
    return "the query picture" if query.path is None else base_name(query.path)


def _facts(result: SearchResult) -> list[tuple[str, str]]:
    settings = result.settings
    told = [
        ("Collection", result.collection),
        ("Searched", f"{result.searched:,} picture{'' if result.searched == 1 else 's'}"),
        ("Time", f"{result.seconds:.2f} s"),
    ]
    if "encoding" in settings:
        told.append(("Encoding", str(settings["encoding"])))
    if "longer_side" in settings:
        told.append(("Longer side", f"{settings['longer_side']} pixels"))
    if settings.get("region_reading"):
        told.append(("Region read as", str(settings["region_reading"])))
    if settings.get("without_self"):
        told.append(("Query's own picture", "left out"))
    return told


def _query(query: Query, view: View | None) -> Markup:
    name = _query_name(query)
    region = f", region {query.region}" if query.region else ""
    picture = (
        placeholder("the query's picture was not kept")
        if view is None
        else framed(view, alt=f"Query: {name}{region}", box=query.region, region=True)
    )
    told = [dimensions(query.size)]
    if query.region:
        x1, y1, x2, y2 = query.region
        told.append(f"searched in the dashed region, {x2 - x1} × {y2 - y1} pixels at ({x1}, {y1})")
    path = [] if query.path is None else [element("p", element("bdi", path_text(query.path)), class_="path")]
    words = element(
        "div",
        element("h2", "Query"),
        *path,
        element("p", "; ".join(told), class_="quiet"),
        element("h3", "What the network sees in it"),
        class_list(query.classes),
        class_="words",
    )
    return element("section", element("figure", picture), words, class_="query")


def _hits(hits: Sequence[Hit], views: Sequence[View | None]) -> Markup:
    if not hits:
        return element("p", "The search found nothing.", class_="nothing")
    cards = [_hit(hit, view) for hit, view in zip_longest(hits, views[: len(hits)])]
    return element(
        "section",
        element("h2", "Hits", class_="unseen"),
        switches(box=True),
        element("ol", Markup.joined(cards), class_="grid", role="list"),
    )


def _hit(hit: Hit, view: View | None) -> Markup:
    name = base_name(hit.paths[0])
    if view is None:
        picture = placeholder(hit.box_reason or "no picture was kept of it")
    else:
        boxed = "" if hit.box is None else f", box {hit.box}"
        picture = framed(view, alt=f"Hit {hit.rank}: {name}{boxed}", box=hit.box)
    score = element(
        "p",
        element("span", element("span", "Rank ", class_="unseen"), str(hit.rank), class_="rank"),
        bar(hit.score),
        element("span", element("span", "score ", class_="unseen"), f"{hit.score:z.3f}", class_="number"),
        class_="score",
    )
    words = [score, file_names(hit.paths)]
    words.extend(element("p", line, class_="quiet") for line in _asides(hit, seen=view is not None))
    return element("li", element("figure", picture, element("figcaption", *words)), class_="card")


def _asides(hit: Hit, *, seen: bool) -> list[str]:
    lines = [dimensions(hit.size)]
    others = [base_name(path) for path in hit.paths[1:]]
    if others:
        more = f" and {len(others) - _NAMES_TOLD} more" if len(others) > _NAMES_TOLD else ""
        lines.append(f"also as {', '.join(others[:_NAMES_TOLD])}{more}")
    if seen and hit.box is None and hit.box_reason:
        lines.append(f"no box: {hit.box_reason}")
    return lines
