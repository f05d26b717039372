"""The page of an explanation: what the network sees in one picture, and where."""

from camseek.names import path_text
from camseek.report.markup import Markup, element
from camseek.report.parts import (
    bar,
    base_name,
    class_list,
    dimensions,
    document,
    facts,
    framed,
    percentage,
    switches,
)
from camseek.results import ClassScore, Explanation, View

_NOTE = (
    "A map shows where the network looked for a class, not the outline of the thing: "
    "it is a guide to the eye, not a measurement."
)


def explanation_page(explanation: Explanation) -> str:
    """Shows what the network sees in a picture as one HTML page that loads nothing.

    Returns:
        The page, to be written as UTF-8.
    """
    path = explanation.path or b"the picture"
    name = base_name(path)
    header = Markup.joined(
        [
            element("h1", "What the network sees in ", element("em", element("bdi", name))),
            facts([("File", path_text(path)), ("Size", dimensions(explanation.size))]),
        ]
    )
    cards = [
        _card(item, view, name) for item, view in zip(explanation.classes, explanation.views, strict=True)
    ]
    parts = [
        switches(heat=True, box=None),
        element("ol", Markup.joined(cards), class_="grid large", role="list"),
    ]
    if explanation.views:
        parts.insert(0, _original(explanation, name))
    return document(f"What the network sees in {name}", header=header, main=Markup.joined(parts), note=_NOTE)


def _original(explanation: Explanation, name: str) -> Markup:
    words = element(
        "div",
        element("h2", "Its most probable classes"),
        class_list(explanation.classes),
        class_="words",
    )
    figure = element("figure", framed(explanation.views[0], alt=f"Picture: {name}", plain=True))
    return element("section", figure, words, class_="query")


def _card(item: ClassScore, view: View, name: str) -> Markup:
    words = element(
        "figcaption",
        element("p", item.name, class_="class"),
        element(
            "p",
            bar(item.probability),
            element("span", percentage(item.probability), class_="number"),
            class_="score",
        ),
    )
    picture = framed(view, alt=f"Where the network sees {item.name} in {name}")
    return element("li", element("figure", picture, words), class_="card")
