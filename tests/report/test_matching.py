"""Pictures side by side, with lines between the points that match."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from camseek.report import SearchPage, search_page
from camseek.report.matching import MOST_LINES
from camseek.results import MatchingPoints, Query, QueryPicture
from pages import HOSTILE_NAME, WHOLE, Page, make_hit, make_outline, make_result, make_view


def make_page(*hits, query=None, views=None, query_views=None):
    query = query or [QueryPicture(b"/queries/apple.jpg", None, WHOLE)]
    views = [make_view() for _ in hits] if views is None else views
    query_views = [make_view() for _ in query] if query_views is None else query_views
    return search_page(
        make_result(*hits, query=Query(tuple(query), ()), views=tuple(views), query_views=tuple(query_views))
    )


def drawings(page):
    """Of each drawing its attributes, the two pictures in it, and the ends of its lines and dots."""
    found = []
    for tag, attributes in Page(page).elements:
        if tag == "svg" and attributes.get("class", "").startswith("pairs"):
            found.append({"of": attributes, "pictures": [], "lines": [], "dots": [], "uses": []})
        elif tag == "svg" and "x" in attributes:
            found[-1]["pictures"].append(attributes)
        elif tag == "use":
            found[-1]["uses"].append(attributes["href"])
        elif tag == "path":
            numbers = [float(value) for value in re.findall(r"-?\d+\.\d", attributes["d"])]
            found[-1]["lines" if "L" in attributes["d"] else "dots"].extend(np.reshape(numbers, (-1, 4)))
    return found


def in_drawing(points, picture):
    """Where points of a picture are in a drawing."""
    x1, y1, width, height = (float(value) for value in picture["viewbox"].split())
    left, top, across, down = (float(picture[name]) for name in ("x", "y", "width", "height"))
    return (points - (x1, y1)) * (across / width, down / height) + (left, top)


def assert_joined(drawing, pairs):
    """Lines go from where each point of the query is to where its match is."""
    query, hit = drawing["pictures"]
    expected = np.hstack([in_drawing(pairs.query, query), in_drawing(pairs.picture, hit)])
    for found in (drawing["lines"], drawing["dots"]):
        assert len(found) == len(expected)
        off = np.abs(np.array(found)[:, None] - expected).max(axis=2)
        assert off.min(axis=0).max() < 0.2


@pytest.mark.parametrize("count", [1, 8, MOST_LINES])
@pytest.mark.parametrize("size", [WHOLE, (300, 700), (4000, 40)])
def test_lines_are_where_the_points_are(count, size):
    outline = make_outline(count, size=size)
    view = replace(make_view(), size=size)
    page = make_page(make_hit(1, outlines=(outline,), size=size), views=(view,))
    found = drawings(page)
    assert found
    for drawing in found:
        assert drawing["uses"] == ["#query-1-picture-1", "#query-1-hit-1"]
        assert_joined(drawing, outline.matching_points)
        # Nothing is drawn outside.
        _, _, width, height = map(int, drawing["of"]["viewbox"].split())
        for picture in drawing["pictures"]:
            assert 0 <= float(picture["x"]) <= float(picture["x"]) + float(picture["width"]) <= width + 0.1
            assert 0 <= float(picture["y"]) <= float(picture["y"]) + float(picture["height"]) <= height + 0.1


def test_wide_pictures_lie_below_each_other_where_there_is_little_room():
    (wide, narrow) = drawings(make_page(make_hit(1, outlines=(make_outline(8),))))
    assert wide["of"]["class"] == "pairs for-wide"
    assert narrow["of"]["class"] == "pairs for-narrow"
    assert wide["pictures"][0]["y"] == wide["pictures"][1]["y"]
    assert narrow["pictures"][0]["x"] == narrow["pictures"][1]["x"]
    tall = (300, 700)
    query = QueryPicture(b"/queries/apple.jpg", None, tall)
    view = replace(make_view(), size=tall)
    hit = make_hit(1, outlines=(make_outline(8, part=(0, 0, *tall), size=tall),), size=tall)
    (only,) = drawings(make_page(hit, query=[query], views=(view,), query_views=(view,)))
    assert only["of"]["class"] == "pairs for-wide for-narrow"


def test_a_region_is_what_is_shown_of_the_query():
    region = (100, 50, 300, 400)
    outline = make_outline(20, part=region)
    query = QueryPicture(b"/queries/apple.jpg", region, WHOLE)
    page = make_page(make_hit(1, outlines=(outline,)), query=[query])
    for drawing in drawings(page):
        assert drawing["pictures"][0]["viewbox"] == "100 50 200 350"
        assert_joined(drawing, outline.matching_points)
        assert "the query, apple.jpg at 100,50,300,400" in drawing["of"]["aria-label"]


def test_the_picture_of_the_query_that_is_meant():
    query = [QueryPicture(b"/queries/%d.jpg" % number, None, WHOLE) for number in (1, 2, 3)]
    hits = make_hit(1, outlines=(make_outline(9, place=2),)), make_hit(2, outlines=(make_outline(9),))
    page = make_page(*hits, query=query)
    assert [drawing["uses"] for drawing in drawings(page)] == [
        *[["#query-1-picture-3", "#query-1-hit-1"]] * 2,
        *[["#query-1-picture-1", "#query-1-hit-2"]] * 2,
    ]
    assert "the query, 3.jpg" in drawings(page)[0]["of"]["aria-label"]
    # What is drawn nowhere else stays a plain picture.
    assert [item["alt"] for item in Page(page).all("img", class_="picture")] == ["Query: 2.jpg"]


def test_pictures_are_embedded_once():
    outlines = (make_outline(9), make_outline(7, seed=1))
    plain = make_page(make_hit(1), make_hit(2))
    page = make_page(make_hit(1, outlines=outlines), make_hit(2, outlines=outlines[:1]))
    assert page.count("data:image/jpeg") == plain.count("data:image/jpeg") == 3
    labels = [item.get("aria-label") for item in Page(page).all("svg", class_="picture")]
    assert labels == [
        "Query: apple.jpg",
        "Hit 1: 1.jpg, outlined in (64, 48, 320, 144)",
        "Hit 2: 2.jpg, outlined in (64, 48, 320, 144)",
    ]


def test_several_places_are_one_drawing():
    outlines = tuple(make_outline(count, seed=count) for count in (40, 12, 9))
    wide, _ = drawings(make_page(make_hit(1, outlines=outlines)))
    every = MatchingPoints(
        np.concatenate([item.matching_points.query for item in outlines]),
        np.concatenate([item.matching_points.picture for item in outlines]),
    )
    assert_joined(wide, every)
    assert wide["of"]["aria-label"].startswith("40, 12 and 9 matching points in 3 places of hit 1, 1.jpg, ")


def test_no_more_lines_than_can_be_told_apart():
    outline = make_outline(MOST_LINES + 50)
    page = make_page(make_hit(1, outlines=(outline,)))
    first = MatchingPoints(
        outline.matching_points.query[:MOST_LINES], outline.matching_points.picture[:MOST_LINES]
    )
    for drawing in drawings(page):
        assert_joined(drawing, first)
    assert f"{MOST_LINES} matching points of this picture and apple.jpg, the most similar." in Page(page).text
    several = make_page(make_hit(1, outlines=tuple(make_outline(200, seed=seed) for seed in range(8))))
    assert all(len(drawing["lines"]) <= MOST_LINES for drawing in drawings(several))


def test_colours_go_round_the_middle_of_the_query():
    places = [(320 + 200 * np.cos(turn), 240 + 150 * np.sin(turn)) for turn in np.arange(0.1, 6.2, 0.05)]
    points = MatchingPoints(np.array(places, np.float32), np.array(places, np.float32))
    page = make_page(make_hit(1, outlines=(replace(make_outline(1), matching_points=points),)))
    colours = re.findall(r'<g stroke="(#[0-9a-f]{6})">', page.partition('"pairs for-narrow"')[0])
    assert len(set(colours)) == len(colours) == 12
    # Those next to each other on the page are unlike those across.
    values = [np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in colours]
    near = max(int(np.abs(one - other).sum()) for one, other in pairwise([*values, values[0]]))
    across = min(int(np.abs(values[i] - values[i + 6]).sum()) for i in range(6))
    assert across > near


def test_points_that_count_less_are_told():
    outline = replace(make_outline(40), points=31)
    assert (
        "they count as 31, as some could also lie elsewhere"
        in Page(make_page(make_hit(1, outlines=(outline,)))).text
    )
    assert "count as" not in Page(make_page(make_hit(1, outlines=(make_outline(40),)))).text


def test_it_is_folded_and_reached_by_the_keyboard():
    page = make_page(make_hit(1), make_hit(2, outlines=(make_outline(9),)))
    (fold,) = Page(page).all("details", class_="matching")
    assert "open" not in fold
    assert page.count('<summary><span>Matching points<span class="unseen"> of hit 2</span></span>') == 1
    assert all(drawing["of"]["role"] == "img" for drawing in drawings(page))


def test_nothing_is_drawn_beside_what_is_not_seen():
    hit = make_hit(1, outlines=(make_outline(9),))
    for page in (
        make_page(hit, views=("its file has changed",)),
        make_page(hit, views=()),
        make_page(hit, query_views=()),
    ):
        assert not drawings(page)
        assert "<use" not in page


def test_several_searches_have_ids_of_their_own():
    page = SearchPage()
    for _ in range(2):
        page.add(make_result(make_hit(1, outlines=(make_outline(9),))))
    parsed = Page(page.text())
    ids = [item["id"] for _, item in parsed.elements if "id" in item]
    assert len(set(ids)) == len(ids)
    assert {item["href"][1:] for item in parsed.all("use")} == {
        f"query-{number}-{what}" for number in (1, 2) for what in ("picture-1", "hit-1")
    }


def test_hostile_names_are_words():
    query = [QueryPicture(HOSTILE_NAME, None, WHOLE)]
    hit = make_hit(1, outlines=(make_outline(9),), paths_bytes=(HOSTILE_NAME,))
    parsed = Page(make_page(hit, query=query))
    assert not parsed.all("script")
    assert len(parsed.all("svg", role="img")) == 4
