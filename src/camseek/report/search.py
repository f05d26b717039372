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
from camseek.results import Hit, Query, QueryPicture, SearchResult, Stage, View

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
    main = Markup.joined([_query(result), _hits(result.hits, result.views)])
    return document(f"{heading}{name}", header=header, main=main, note=_NOTE)


def _query_name(query: Query) -> str:
    first, *others = query.pictures
    name = _name(first)
    # A picture and a region of it have one name.
    more = len({item.path for item in others} - {first.path})
    return f"{name} and {more} more" if more else name


def _name(item: QueryPicture) -> str:
    return "the query picture" if item.path is None else base_name(item.path)


def _facts(result: SearchResult) -> list[tuple[str, str]]:
    settings = result.settings
    told = [
        ("Collection", result.collection),
        ("Searched", f"{result.searched:,} picture{'' if result.searched == 1 else 's'}"),
        ("Time", f"{result.seconds:.2f} s"),
    ]
    if "encoding" in settings:
        told.append(("Encoding", str(settings["encoding"])))
    if "size" in settings:
        told.append(("Size", f"{settings['size']} pixels"))
    if settings.get("region_reading"):
        told.append(("Region read as", str(settings["region_reading"])))
    if settings.get("without_self"):
        told.append(("Query's own picture", "left out"))
    told.extend((stage.name.capitalize(), _stage(stage)) for stage in result.stages[1:])
    return told


def _stage(stage: Stage) -> str:
    """What a stage did, in words."""
    count = f"{stage.pictures:,} picture{'' if stage.pictures == 1 else 's'}"
    if stage.name == "expansion":
        return f"{count} summed{' with the query' if stage.details.get('with_query') else ''}"
    kept = stage.details.get("kept")
    classes = (
        f", {len(stage.classes)} class{'' if len(stage.classes) == 1 else 'es'}" if stage.classes else ""
    )
    return f"{count} looked at{classes}{f'; {kept} could not be read' if kept else ''}"


def _query(result: SearchResult) -> Markup:
    query = result.query
    pictures = [
        _query_picture(item, view)
        for item, view in zip_longest(query.pictures, result.query_views[: len(query.pictures)])
    ]
    classes = (
        [element("h3", "What the network sees in it"), class_list(query.classes)] if query.classes else []
    )
    words = element(
        "div",
        element("h2", "Query"),
        *(told for item in query.pictures for told in _query_words(item)),
        *classes,
        class_="words",
    )
    return element("section", element("div", *pictures), words, class_="query")


def _query_picture(item: QueryPicture, view: View | None) -> Markup:
    region = f", region {item.region}" if item.region else ""
    if view is None:
        return element("figure", placeholder("the query's picture was not kept"))
    return element("figure", framed(view, alt=f"Query: {_name(item)}{region}", box=item.region, region=True))


def _query_words(item: QueryPicture) -> list[Markup]:
    told = [dimensions(item.size)]
    if item.region:
        x1, y1, x2, y2 = item.region
        told.append(f"searched in the dashed region, {x2 - x1} × {y2 - y1} pixels at ({x1}, {y1})")
    path = [] if item.path is None else [element("p", element("bdi", path_text(item.path)), class_="path")]
    return [*path, element("p", "; ".join(told), class_="quiet")]


def _hits(hits: Sequence[Hit], views: Sequence[View | str]) -> Markup:
    if not hits:
        return element("p", "The search found nothing.", class_="nothing")
    cards = [_hit(hit, view) for hit, view in zip_longest(hits, views[: len(hits)])]
    return element(
        "section",
        element("h2", "Hits", class_="unseen"),
        switches(box=True),
        element("ol", Markup.joined(cards), class_="grid", role="list"),
    )


def _hit(hit: Hit, view: View | str | None) -> Markup:
    name = base_name(hit.path_bytes)
    if not isinstance(view, View):
        picture = placeholder(view or "no picture was kept of it")
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
    words = [score, file_names(hit.paths_bytes)]
    words.extend(element("p", line, class_="quiet") for line in _asides(hit, seen=isinstance(view, View)))
    return element("li", element("figure", picture, element("figcaption", *words)), class_="card")


def _asides(hit: Hit, *, seen: bool) -> list[str]:
    lines = [dimensions(hit.size)]
    others = [base_name(path) for path in hit.paths_bytes[1:]]
    if others:
        more = f" and {len(others) - _NAMES_TOLD} more" if len(others) > _NAMES_TOLD else ""
        lines.append(f"also as {', '.join(others[:_NAMES_TOLD])}{more}")
    if seen and hit.box is None and hit.box_reason:
        lines.append(f"no box: {hit.box_reason}")
    if hit.verdict:
        lines.append(str(hit.verdict))
    if hit.kept:
        lines.append(f"could not be looked at again: {hit.kept}")
    return lines
