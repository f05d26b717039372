import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from camseek.names import name_text
from camseek.report import SearchPage, explanation_page, explanation_picture, search_page
from camseek.report.markup import Markup, element, visible
from camseek.report.parts import base_name, percentage
from camseek.results import ClassScore, Explanation, Query, QueryPicture, Skipped, View
from pages import CLASSES, HOSTILE, HOSTILE_NAME, Page, make_hit, make_outline, make_result, make_view


def make_explanation(**changes):
    views = tuple(make_view() for _ in CLASSES)
    return replace(Explanation(b"/photos/apple.jpg", (640, 480), CLASSES, views), **changes)


HOSTILE_CLASSES = (ClassScore(1, HOSTILE, 0.5),)
PAGES = {
    "search": search_page(make_result(make_hit(1), make_hit(2))),
    "nothing found": search_page(make_result()),
    "no views": search_page(make_result(make_hit(1), views=(), query_views=())),
    "explanation": explanation_page(make_explanation()),
    "matching points": search_page(
        make_result(make_hit(1, outlines=(make_outline(9), make_outline(8, seed=1))), make_hit(2))
    ),
    "hostile search": search_page(
        make_result(
            make_hit(1, paths_bytes=(HOSTILE_NAME, HOSTILE_NAME + b"2")),
            make_hit(2, paths_bytes=(HOSTILE_NAME,), box=None, box_reason=HOSTILE + "\udcff"),
            make_hit(3, paths_bytes=(HOSTILE_NAME,), box=None, box_reason=HOSTILE),
            views=(make_view(), HOSTILE + "\udcff", make_view()),
            query=Query((QueryPicture(HOSTILE_NAME, None, (640, 480)),), HOSTILE_CLASSES),
            collection=HOSTILE + "\udcff",
            settings={"encoding": HOSTILE, "size": HOSTILE, "region_reading": HOSTILE},
        )
    ),
    "hostile explanation": explanation_page(
        make_explanation(path=HOSTILE_NAME, classes=HOSTILE_CLASSES, views=(make_view(),))
    ),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_pages_are_whole_and_load_nothing(page):
    parsed = Page(page)
    assert page.startswith("<!doctype html>\n<html ")
    assert parsed.all("html", lang="en-GB")
    assert parsed.all("meta", name="viewport")
    (policy,) = parsed.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline';")
    assert {name for name, _ in parsed.elements}.isdisjoint({"script", "iframe", "form", "base", "object"})
    for link in parsed.all("a"):
        assert link["href"].startswith(("file:///", "./", "#"))
        assert link["href"].isascii()
        assert not set(link["href"]) & set("<>\"' ")
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {item["href"].removeprefix("#") for item in parsed.all("use")} <= set(ids)
    for tag, attributes in parsed.elements:
        assert all(not name.startswith("on") for name in attributes)
        for name in ("src", "href") if tag != "a" else ():
            assert attributes.get(name, "data:").startswith(("data:", "#"))
        assert "url(" not in attributes.get("style", "")
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "://" not in page.replace('href="file://', "")
    assert len(parsed.all("h1")) == 1
    assert all("alt" in picture for picture in parsed.all("img"))
    page.encode("utf-8")
    # Nothing that a browser would drop, or that would reverse the words around it.
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)


def test_hostile_words_are_shown_as_they_are():
    shown = visible(HOSTILE)
    parsed = Page(PAGES["hostile search"])
    assert {item["alt"] for item in parsed.all("img", class_="picture")} == {
        visible(f"Query: {base_name(HOSTILE_NAME)}"),
        visible(f"Hit 1: {base_name(HOSTILE_NAME)}, box (64, 48, 320, 144)"),
        visible(f"Hit 3: {base_name(HOSTILE_NAME)}"),
    }
    # Collection, three settings, the class, two reasons.
    assert parsed.text.count(shown) >= 7
    # The query's path, and the four of the hits.
    assert parsed.text.count(name_text(HOSTILE_NAME)) == 5
    assert parsed.all("summary", title=name_text(HOSTILE_NAME))
    parsed = Page(PAGES["hostile explanation"])
    assert shown in parsed.text
    assert not [name for name, _ in parsed.elements if name == "script"]


def test_elements_escape_whatever_is_not_html():
    assert element("p", "a < b & c", title='"') == '<p title="&quot;">a &lt; b &amp; c</p>'
    assert element("p", element("b", "<")) == "<p><b>&lt;</b></p>"
    assert element("input", checked=True, id=None, disabled=False, data_x=1) == '<input checked data-x="1">'
    assert isinstance(element("p"), Markup)


def test_invisible_characters_become_visible():
    assert visible("a\nb\x7f") == "a\u240ab\u2421"
    assert visible("\u202e\udcff\x85") == "\ufffd" * 3
    assert visible("Äpfel 苹果") == "Äpfel 苹果"


def test_hits_keep_their_order_and_places():
    hits = [make_hit(rank) for rank in (1, 2, 3, 4)]
    hits[1] = replace(hits[1], box=None, box_reason="its file has changed")
    hits[3] = replace(hits[3], box=None, box_reason="the network sees nothing there")
    views = (make_view(), "its file has changed", make_view(), make_view())
    parsed = Page(search_page(make_result(*hits, views=views)))
    titles = [item["title"] for item in parsed.all("summary") if "title" in item]
    assert titles == [f"/photos/{i}.jpg" for i in (1, 2, 3, 4)]
    assert [item["href"] for item in parsed.all("a", class_="open")][1:] == [
        f"file:///photos/{i}.jpg" for i in (1, 2, 3, 4)
    ]
    alts = [item["alt"] for item in parsed.all("img", class_="picture")]
    assert [alt.partition(",")[0] for alt in alts] == [
        "Query: apple.jpg",
        "Hit 1: 1.jpg",
        "Hit 3: 3.jpg",
        "Hit 4: 4.jpg",
    ]
    assert len(parsed.all("span", class_="stage empty")) == 1
    assert "its file has changed" in parsed.text
    assert "no box: the network sees nothing there" in parsed.text
    assert len(parsed.all("span", class_="box")) == 2
    positions = [parsed.text.index(f"score {1 - rank / 10:.3f}") for rank in (1, 2, 3, 4)]
    assert positions == sorted(positions)


def test_a_result_without_views_has_a_place_for_each_hit():
    parsed = Page(PAGES["no views"])
    assert len(parsed.all("span", class_="stage empty")) == 2
    assert "no picture was kept of it" in parsed.text


def test_boxes_are_percentages_of_the_original():
    parsed = Page(search_page(make_result(make_hit(1))))
    # (64, 48, 320, 144) in 640 x 480.
    assert parsed.all("span", class_="box")[0]["style"] == "left:10%;top:10%;width:40%;height:20%"
    # The region (0, 120, 160, 480).
    assert parsed.all("span", class_="box region")[0]["style"] == "left:0%;top:25%;width:25%;height:75%"
    frames = parsed.all("span", class_="frame wide")
    assert [frame["style"] for frame in frames] == ["aspect-ratio:640/480"] * 2


def test_thin_boxes_in_large_pictures_keep_their_place():
    seen = replace(make_view(), size=(30000, 20000))
    parsed = Page(search_page(make_result(make_hit(1, box=(12345, 1, 12346, 2)), views=(seen,))))
    style = parsed.all("span", class_="box")[0]["style"]
    left, top, width, height = (float(value) for value in re.findall(r":([\d.]+)%", style))
    assert left * 300 == pytest.approx(12345, abs=0.5)
    assert (top * 200, width * 300, height * 200) == pytest.approx((1, 1, 1), rel=1e-3)


def test_what_the_page_says():
    text = Page(PAGES["search"]).text
    for words in (
        "Hits for apple.jpg",
        "/collections/fruit",
        "1,234 pictures",
        "0.41 s",
        "cam:power=3",
        "640 pixels",
        "crop",
        "Granny Smith",
        "75.0%",
        "< 0.1%",
        "score 0.900",
        "640 × 480 pixels",
        "160 × 360 pixels at (0, 120)",
        "a guide to the eye, not a measurement",
    ):
        assert words in text
    assert "<title>camseek: hits for apple.jpg at 0,120,160,480</title>" in PAGES["search"]
    assert "The search found nothing." in Page(PAGES["nothing found"]).text


def test_heat_maps_and_class_names_wait_until_they_are_asked_for():
    parsed = Page(PAGES["search"])
    (heat,) = parsed.all("input", id="show-heat")
    assert "checked" not in heat
    (box,) = parsed.all("input", id="show-box")
    assert "checked" in box
    assert all("open" not in item for item in parsed.all("details"))
    unboxed = Page(search_page(make_result(make_hit(1, box=None))))
    assert not unboxed.all("input", id="show-box")
    assert "A box shows" not in unboxed.text
    (heat,) = Page(PAGES["explanation"]).all("input", id="show-heat")
    assert "checked" in heat


def test_links_are_relative_to_the_page_where_they_can_be():
    name = b"/photos/more/a b%#\xff.jpg"
    page = search_page(make_result(make_hit(1, paths_bytes=(name, b"camseek:x"))), "/photos/found.html")
    links = [item["href"] for item in Page(page).all("a")]
    assert links.count("./more/a%20b%25%23%FF.jpg") == 2
    assert not any("camseek" in link for link in links)


def test_several_searches_on_one_page():
    page = SearchPage()
    page.add(make_result(make_hit(1)))
    page.add(Skipped(HOSTILE_NAME, "it is text", "not_a_picture"))
    page.add(make_result())
    parsed = Page(page.text())
    assert [item["href"] for item in parsed.all("a") if item["href"].startswith("#")] == [
        "#query-1",
        "#query-2",
        "#query-3",
    ]
    assert [item["id"] for item in parsed.all("article")] == ["query-1", "query-2", "query-3"]
    assert "Hits for 3 queries" in parsed.text
    assert "It could not be used: it is text" in parsed.text
    assert len(parsed.all("input", id="show-heat")) == 1


def test_a_query_that_came_as_bytes_has_no_name():
    result = make_result(make_hit(1), query=Query((QueryPicture(None, None, (640, 480)),), ()))
    assert "Hits for the query picture" in Page(search_page(result)).text


def test_settings_that_do_not_apply_are_left_out():
    told = Page(search_page(make_result(settings={"region_reading": None, "without_self": False}))).text
    assert "Region" not in told
    assert "own picture" not in told
    told = Page(search_page(make_result(settings={"without_self": True}))).text
    assert "own picture" in told


def test_copies_are_told():
    names = tuple(b"/photos/copy %d.jpg" % i for i in range(6))
    text = Page(search_page(make_result(make_hit(1, paths_bytes=names)))).text
    assert "also as copy 1.jpg, copy 2.jpg, copy 3.jpg and 2 more" in text
    assert all(name.decode() in text for name in names)


@pytest.mark.parametrize(("score", "shown"), [(1.0, "1.000"), (-0.0001, "0.000"), (-0.25, "-0.250")])
def test_scores_have_three_decimals_and_bars_a_length(score, shown):
    page = search_page(make_result(make_hit(1, score=score)))
    assert f"score {shown}" in Page(page).text
    lengths = [float(value) for value in re.findall(r"width:(-?[\d.]+)%\"", page)]
    assert all(0 <= length <= 100 for length in lengths)


def test_the_page_switches_without_scripts():
    parsed = Page(PAGES["search"])
    assert [item["id"] for item in parsed.all("input", type="checkbox")] == ["show-heat", "show-box"]
    assert [item["id"] for item in Page(PAGES["explanation"]).all("input")] == ["show-heat"]
    assert ":has(#show-heat:not(:checked)) .heat" in PAGES["search"]


def pictures(page, kind):
    found = re.findall(rf"data:image/{kind};base64,([^\"]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_pictures_are_scaled_down_and_never_enlarged():
    large = make_view(width=640, height=400)
    images = pictures(search_page(make_result(make_hit(1), views=(large,))), "jpeg")
    assert [image.size for image in images] == [(64, 48), (480, 300)]


def test_twenty_hits_take_two_megabytes_at_most():
    rng = np.random.default_rng(0)
    # Busier than most photographs: noise in blocks of 4 x 4 pixels.
    pixels = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    pixels = (pixels // 8 + 96).astype(np.uint8)
    view = View(pixels, rng.random((20, 20), dtype=np.float32), 32, (640, 640))
    page = search_page(make_result(*[make_hit(rank) for rank in range(1, 21)], views=(view,) * 20))
    assert len(page.encode()) < 2_000_000


def test_an_explanation_shows_the_picture_and_each_class():
    page = PAGES["explanation"]
    parsed = Page(page)
    assert [item["alt"] for item in parsed.all("img", class_="picture")] == [
        "Picture: apple.jpg",
        "Where the network sees Granny Smith in apple.jpg",
        "Where the network sees lemon in apple.jpg",
    ]
    assert len(parsed.all("img", class_="heat")) == 2
    assert len(pictures(page, "png")) == 2


def test_an_explanation_without_classes_is_a_page_too():
    assert "apple.jpg" in Page(explanation_page(make_explanation(classes=(), views=()))).text


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == "PNG"
    return image


def test_the_sheet_has_the_picture_and_a_tile_for_each_class():
    # Tiles of 320 x 240, captions of 32, gaps of 16; three tiles in one row.
    image = opened(explanation_picture(make_explanation()))
    assert image.size == (3 * 320 + 4 * 16, 240 + 32 + 2 * 16)


def test_the_sheet_goes_on_in_rows():
    view = make_view(width=48, height=64)
    one = make_explanation(size=(480, 640), classes=CLASSES[:1] * 3, views=(view,) * 3)
    image = opened(explanation_picture(one))
    # 240 x 320 each, four tiles in two rows.
    assert image.size == (3 * 240 + 4 * 16, 2 * (320 + 32) + 3 * 16)


def test_the_sheet_shows_the_original_first_and_heat_after_it():
    grey = np.full((32, 32, 3), 100, np.uint8)
    view = View(grey, np.ones((1, 1), np.float32), 32, (32, 32))
    image = opened(explanation_picture(make_explanation(size=(32, 32), classes=CLASSES[:1], views=(view,))))
    assert image.getpixel((16 + 160, 16 + 160)) == (100, 100, 100)
    red, _, blue = image.getpixel((16 + 320 + 16 + 160, 16 + 160))
    assert red > 150
    assert blue < 100


@pytest.mark.parametrize("name", ["苹果 Äpfel 🍏", HOSTILE + "\udcff", "", "long " * 100, "\n\n\n"])
def test_any_name_can_be_drawn(name):
    one = make_explanation(classes=(ClassScore(1, name, 0.5),), views=(make_view(),))
    assert opened(explanation_picture(one)).size == (2 * 320 + 3 * 16, 240 + 32 + 2 * 16)


@pytest.mark.parametrize(("width", "height"), [(640, 1), (1, 640)])
def test_a_sheet_of_lines(width, height):
    view = replace(make_view(width=width, height=height), size=(width, height))
    one = make_explanation(size=(width, height), classes=CLASSES[:1], views=(view,))
    assert opened(explanation_picture(one)).width >= 2 * 160
    assert Page(explanation_page(one)).all("img")


def test_a_sheet_needs_views():
    with pytest.raises(ValueError, match="views"):
        explanation_picture(make_explanation(classes=(), views=()))


@pytest.mark.parametrize(
    ("probability", "shown"), [(0, "0.0%"), (0.0004, "< 0.1%"), (0.0005, "0.1%"), (1, "100.0%")]
)
def test_percentages(probability, shown):
    assert percentage(float(probability)) == shown


@pytest.mark.parametrize(("path", "name"), [(b"/a/b.jpg", "b.jpg"), (b"b", "b"), (b"/a/", "a"), (b"/", "/")])
def test_base_names(path, name):
    assert base_name(path) == name
