"""The page of a search: the query, and its hits side by side."""

import os
from collections.abc import Sequence
from itertools import zip_longest

from camseek.arguments import region_text
from camseek.names import absolute, name_text
from camseek.report.markup import Markup, element
from camseek.report.matching import Pane, matching_points
from camseek.report.parts import (
    Links,
    bar,
    base_name,
    class_list,
    dimensions,
    document,
    facts,
    file_names,
    framed,
    percentage,
    placeholder,
    switches,
)
from camseek.results import Hit, Query, QueryPicture, SearchResult, Skipped, Stage, View, last_shown
from camseek.words import counted

_BOX_NOTE = (
    "A box shows where the network looked for the query's classes, not the outline of the thing: "
    "it is a guide to the eye, not a measurement."
)
_OUTLINE_NOTE = (
    "An outline shows where points of the picture lie as those of the query do: it is where the thing is, "
    "as far as it is flat; these points can be unfolded below it, coloured by their place in the query. "
    "The verdict says how probable it is that the picture shows the same thing."
)
_NOTE = (
    "The score is the cosine of two descriptors: the nearer to 1, the more alike. "
    "Pictures link to their files."
)
_VERIFIED_NOTE = "Hits are in the order of their scores. Pictures link to their files."
_NOT_SHOWN = "From here on none is found to show it."
_NONE_SHOWN = "None of them is found to show it: it may not be in this collection."
_FROM_HERE = "From here on no better than chance: pictures of other things reach such scores, too."
_NOTHING = (
    "Nothing stands out: pictures of other things reach such scores, too. It may not be in this collection."
)
# More other names than these are told when the name is opened.
_NAMES_TOLD = 3


class SearchPage:
    """One HTML page that loads nothing, of one search or several; each is drawn as it comes."""

    def __init__(self, place: str | bytes | os.PathLike[str] | None = None) -> None:
        """Begins an empty page.

        Args:
            place: Where it will lie: pictures beneath its folder are linked relative to it, so that both can
                be moved. None links by absolute names.
        """
        self._folder = None if place is None else os.path.dirname(absolute(place))
        self._parts: list[tuple[str, Markup, Markup]] = []
        self._boxes = self._views = self._verdicts = self._plain = False

    def add(self, answer: SearchResult | Skipped) -> None:
        """Draws a search made with views, or says why there was none; a hit without a view says why."""
        number = len(self._parts) + 1
        if isinstance(answer, Skipped):
            name = base_name(answer.path) if answer.path else "a query"
            body = element("p", f"It could not be used: {answer.reason}", class_="nothing")
            self._parts.append((name, _failed(answer), body))
            return
        self._boxes |= any(hit.box and not hit.outlines for hit in answer.hits)
        verified = any(hit.verdict for hit in answer.hits)
        self._verdicts |= verified
        self._plain |= not verified
        self._views |= any(isinstance(view, View) for view in answer.views)
        links = Links(self._folder)
        body = Markup.joined([_query(answer, links, number), _hits(answer, links, number)])
        self._parts.append((_query_name(answer.query), facts(_facts(answer)), body))

    def text(self) -> str:
        """The page, to be written as UTF-8."""
        box = "Outline" if self._verdicts else "Box" if self._boxes else None
        over = [switches(heat=False, box=box)] if self._views else []
        if len(self._parts) == 1:
            [(name, told, body)] = self._parts
            header = [element("h1", "Hits for ", element("em", element("bdi", name))), told]
            return self._document(f"camseek: hits for {name}", header, [*over, body])
        title = f"Hits for {counted(len(self._parts), 'query', 'queries')}"
        names = [name for name, _, _ in self._parts]
        header = [element("h1", title), _contents(names)]
        sections = [
            element(
                "article",
                element("h2", element("bdi", name)),
                told,
                body,
                id=f"query-{number}",
                class_="part",
            )
            for number, (name, told, body) in enumerate(self._parts, 1)
        ]
        return self._document(f"camseek: {title.lower()}", header, [*over, *sections])

    def _document(self, title: str, header: list[Markup], main: list[Markup]) -> str:
        notes = {
            _BOX_NOTE: self._boxes,
            _OUTLINE_NOTE: self._verdicts,
            _NOTE: self._plain,
            _VERIFIED_NOTE: not self._plain,
        }
        note = " ".join(text for text, wanted in notes.items() if wanted)
        return document(title, header=Markup.joined(header), main=Markup.joined(main), note=note)


def search_page(result: SearchResult, place: str | bytes | os.PathLike[str] | None = None) -> str:
    """Shows a search as one HTML page that loads nothing.

    Args:
        result: A search made with views; a hit without one keeps its place and says why.
        place: Where the page will lie, as ``SearchPage`` takes it.

    Returns:
        The page, to be written as UTF-8.
    """
    page = SearchPage(place)
    page.add(result)
    return page.text()


def _contents(names: Sequence[str]) -> Markup:
    rows = [
        element("li", element("a", element("bdi", name), href=f"#query-{number}"))
        for number, name in enumerate(names, 1)
    ]
    return element("nav", element("ol", *rows, class_="contents"), aria_label="Queries")


def _failed(answer: Skipped) -> Markup:
    return element("p", element("bdi", name_text(answer.path)), class_="path") if answer.path else Markup()


def _query_name(query: Query) -> str:
    first, *others = query.pictures
    name = _whole_name(first)
    # A picture and a region of it have one name.
    more = len({item.path for item in others} - {first.path})
    return f"{name} and {more} more" if more else name


def _whole_name(item: QueryPicture) -> str:
    """With its region."""
    return _name(item) + (f" at {region_text(item.region)}" if item.region else "")


def _name(item: QueryPicture) -> str:
    return "the query picture" if item.path is None else base_name(item.path)


def _facts(result: SearchResult) -> list[tuple[str, str]]:
    settings = result.settings
    told = [
        ("Collection", result.collection),
        ("Searched", counted(result.searched, "picture")),
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
    count = counted(stage.pictures, "picture")
    if stage.name == "expansion":
        return f"{count} summed{' with the query' if stage.details.get('with_query') else ''}"
    kept = stage.details.get("kept")
    classes = f", {counted(len(stage.classes), 'class', 'classes')}" if stage.classes else ""
    return f"{count} looked at{classes}{f'; {kept} could not be read' if kept else ''}"


def _query(result: SearchResult, links: Links, number: int) -> Markup:
    query = result.query
    again = {place for hit, view in _seen(result) if (place := _place(result, hit, view)) is not None}
    pictures = [
        _query_picture(item, view, links, _query_id(number, place) if place in again else None)
        for place, (item, view) in enumerate(
            zip_longest(query.pictures, result.query_views[: len(query.pictures)])
        )
    ]
    classes = [_network_sees(query)] if query.classes else []
    words = element(
        "div",
        element("h3", "Query"),
        *(told for item in query.pictures for told in _query_words(item, links)),
        *classes,
        class_="words",
    )
    return element("section", element("div", *pictures), words, class_="query")


def _network_sees(query: Query) -> Markup:
    return element("details", element("summary", "What the network sees in it"), class_list(query.classes))


def _query_picture(item: QueryPicture, view: View | None, links: Links, name: str | None) -> Markup:
    region = f", region {item.region}" if item.region else ""
    if view is None:
        return element("figure", placeholder("the query's picture was not kept"))
    alt = f"Query: {_name(item)}{region}"
    picture = framed(view, alt=alt, box=item.region, region=True, name=name)
    return element("figure", links.around(picture, item.path))


def _query_words(item: QueryPicture, links: Links) -> list[Markup]:
    told = [dimensions(item.size)]
    if item.region:
        x1, y1, x2, y2 = item.region
        told.append(f"searched in the dashed region, {x2 - x1} × {y2 - y1} pixels at ({x1}, {y1})")
    path = [] if item.path is None else [element("p", links.named(item.path), class_="path")]
    return [*path, element("p", "; ".join(told), class_="quiet")]


def _seen(result: SearchResult) -> "zip_longest[tuple[Hit, View | str | None]]":
    """Each hit, and its view where there is one."""
    return zip_longest(result.hits, result.views[: len(result.hits)])


def _place(result: SearchResult, hit: Hit, view: View | str | None) -> int | None:
    """Which of the query's pictures a hit is drawn beside; None without an outline or a view."""
    if not hit.outlines or not isinstance(view, View):
        return None
    place = hit.outlines[0].query_picture
    return place if place < len(result.query_views) else None


def _query_id(number: int, place: int) -> str:
    return f"query-{number}-picture-{place + 1}"


def _hits(result: SearchResult, links: Links, number: int) -> Markup:
    if not result.hits:
        return element("p", "The search found nothing.", class_="nothing")
    cards: list[Markup] = []
    shown = last_shown(result.hits)
    for hit, view in _seen(result):
        if hit.stands_out is False and (hit.rank == 1 or result.hits[hit.rank - 2].stands_out):
            cards.append(element("li", _NOTHING if hit.rank == 1 else _FROM_HERE, class_="chance"))
        if shown is not None and hit.rank == shown + 1:
            cards.append(element("li", _NOT_SHOWN if shown else _NONE_SHOWN, class_="chance"))
        cards.append(_hit(hit, view, links, *_matching(result, hit, view, number)))
    return element(
        "section",
        element("h3", "Hits", class_="unseen"),
        element("ol", Markup.joined(cards), class_="grid", role="list"),
        id=f"hits-{number}",
    )


def _matching(
    result: SearchResult, hit: Hit, view: View | str | None, number: int
) -> tuple[str | None, Markup]:
    """The id of a hit's picture where it is drawn again beside the query's, and that drawing."""
    place = _place(result, hit, view)
    if place is None:
        return None, Markup()
    item, name = result.query.pictures[place], f"query-{number}-hit-{hit.rank}"
    part = item.region or (0, 0, *item.size)
    query = Pane(_query_id(number, place), _whole_name(item), item.size, part)
    shown = Pane(name, base_name(hit.path_bytes), hit.size, (0, 0, *hit.size))
    return name, matching_points(query, shown, hit.outlines, hit.rank)


def _hit(hit: Hit, view: View | str | None, links: Links, again: str | None, matching: Markup) -> Markup:
    """A hit's card.

    Args:
        hit: The hit.
        view: Its picture, or why there is none.
        links: To files.
        again: The id of its picture, where it is drawn once more.
        matching: What else is in the card.
    """
    name = base_name(hit.path_bytes)
    if not isinstance(view, View):
        picture = placeholder(view or "no picture was kept of it")
    else:
        what = "outlined in" if hit.outlines else "box"
        boxed = "" if hit.box is None else f", {what} {hit.box}"
        alt = f"Hit {hit.rank}: {name}{boxed}"
        picture = framed(view, alt=alt, box=hit.box, outlines=hit.outlines, name=again)
    score = element(
        "p",
        element("span", element("span", "Rank ", class_="unseen"), str(hit.rank), class_="rank"),
        bar(hit.verdict.probability if hit.verdict else hit.score),
        element("span", element("span", "score ", class_="unseen"), f"{hit.score:z.3f}", class_="number"),
        class_="score",
    )
    if hit.verdict:
        probability = element("span", percentage(hit.verdict.probability), class_="number")
        words = [score, element("p", f"{hit.verdict.word}, ", probability, class_="verdict")]
    else:
        words = [score]
    words.append(file_names(hit.paths_bytes, links))
    words.extend(element("p", line, class_="quiet") for line in _asides(hit, seen=isinstance(view, View)))
    linked = links.around(picture, hit.path_bytes)
    figure = element("figure", linked, element("figcaption", *words))
    return element("li", figure, matching, class_="card")


def _asides(hit: Hit, *, seen: bool) -> list[str]:
    lines = [dimensions(hit.size)]
    others = [base_name(path) for path in hit.paths_bytes[1:]]
    if others:
        more = f" and {len(others) - _NAMES_TOLD} more" if len(others) > _NAMES_TOLD else ""
        lines.append(f"also as {', '.join(others[:_NAMES_TOLD])}{more}")
    if seen and hit.box is None and hit.box_reason:
        lines.append(f"no box: {hit.box_reason}")
    if hit.verdict and hit.verdict.reason:
        lines.append(hit.verdict.reason)
    lines.extend(map(str, hit.outlines))
    if hit.kept:
        lines.append(f"could not be looked at again: {hit.kept}")
    return lines
