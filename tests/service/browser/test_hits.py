"""What was found. Numbers in brackets are those of the list of users' habits."""

import json

import pytest
from playwright.sync_api import expect

from browsing import BOX, done, link, names, regions, searched, sought

SOYA = "Alpro-Fresh-Soy-Milk_003.jpg"


@pytest.fixture
def carton(new_page, shop):
    """The page with what was found of the carton of soya milk in a photograph."""
    page = new_page(f"#/shop/search?q=upload:{shop},{','.join(map(str, BOX))}")
    done(page)
    return page


@pytest.fixture
def opened(carton):
    """The page with its first hit open."""
    carton.locator(".hit-link").first.click()
    expect(carton.get_by_role("dialog")).to_be_visible()
    return carton


def test_each_hit_has_its_outline_and_the_layout_is_changed_without_a_new_search(carton):
    """[5]"""
    first = carton.locator(".hit").first
    expect(first.locator("polygon.line").first).to_be_visible()
    before = len(carton.watched.searches())
    carton.get_by_role("button", name="List").click()
    expect(carton.locator("ul.rows")).to_be_visible()
    carton.get_by_role("button", name="Grid").click()
    expect(carton.locator("ul.cards")).to_be_visible()
    assert len(carton.watched.searches()) == before


def test_ranks_are_shown_and_name_and_score_on_hover(carton):
    """[6]"""
    first = carton.locator(".hit").first
    assert first.locator(".rank").inner_text() == "1"
    title = first.locator(".hit-link").get_attribute("title")
    assert "drinks/" in title
    assert "score" in title


def test_weak_hits_are_folded_with_their_count(carton):
    """[7] By the calibrated verdict, whose probability is shown."""
    fold = carton.get_by_role("button", name="Less likely")
    shown = carton.locator(".hit").count()
    fold.click()
    assert carton.locator(".hit").count() > shown
    expect(carton.locator(".verdict.not-shown").first).to_contain_text("%")
    expect(carton.locator(".hit").first.locator(".verdict.present")).to_contain_text("%")


def test_an_absent_thing_is_said_to_be_absent(page, tmp_path, queries):
    """[8]"""
    sought(page, queries / "Garant-Ecological-Medium-Fat-Milk.jpg")
    if page.locator(".verdict.present, .verdict.unsure").count():
        pytest.fail("the test's query is found")
    expect(page.get_by_role("heading", name="It is not here")).to_be_visible()


def test_a_hit_opens_beside_the_query_and_back_keeps_the_place(carton):
    """[9]"""
    carton.get_by_role("button", name="Less likely").click()
    carton.locator(".hit-link").last.scroll_into_view_if_needed()
    place = carton.evaluate("scrollY")
    carton.locator(".hit-link").last.click()
    dialog = carton.get_by_role("dialog")
    expect(dialog.get_by_role("figure", name="What is searched for").get_by_role("img")).to_be_visible()
    expect(dialog.get_by_role("figure", name="What was found").get_by_role("img")).to_be_visible()
    carton.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert abs(carton.evaluate("scrollY") - place) < 5


def test_the_match_is_laid_over_the_query_and_taken_off(opened):
    """[10] Its outline's corners come to lie on those of the query's box."""
    opened.get_by_role("button", name="Lay it over yours").click()
    over = opened.locator("img.over")
    expect(over).to_be_visible()
    assert "matrix3d" in over.get_attribute("style")
    opened.keyboard.press("f")
    expect(over).to_be_hidden()


def test_the_match_is_flipped_by_itself(opened):
    """[10]"""
    opened.get_by_role("button", name="More").last.click()
    opened.get_by_label("Lay over and take off by itself").select_option("500")
    over = opened.locator("img.over")
    expect(over).to_be_visible()
    expect(over).to_be_hidden()


def test_matching_points_are_joined_by_some_all_or_no_lines(opened):
    """[11]"""
    some = opened.locator(".pair").count()
    assert 0 < some <= 16
    opened.get_by_label("Lines").select_option("all")
    assert opened.locator(".pair").count() > some
    opened.keyboard.press("l")
    expect(opened.locator(".pair")).to_have_count(0)


def test_both_pictures_move_together(opened):
    """[9] Zoom and pan of one are those of the other."""
    query, hit = (
        opened.get_by_role("figure", name=name).locator("img.laid").first
        for name in ("What is searched for", "What was found")
    )
    before = [item.bounding_box()["width"] for item in (query, hit)]
    opened.get_by_role("button", name="Closer").click()
    after = [item.bounding_box()["width"] for item in (query, hit)]
    assert all(1.4 < new / old < 1.6 for new, old in zip(after, before, strict=True))


def test_what_differs_is_shown(opened):
    """[24]"""
    opened.get_by_role("button", name="More").last.click()
    opened.get_by_label("Only what differs").check()
    expect(opened.locator("img.difference")).to_be_visible()


def test_the_heat_map_is_off_until_asked_for(opened):
    expect(opened.locator("img.heat")).to_have_count(0)
    opened.get_by_role("button", name="More").last.click()
    opened.get_by_label("Where the network looks").check()
    expect(opened.locator("img.heat")).to_be_visible()
    assert (
        opened.evaluate(
            "picture => picture.decode().then(() => picture.naturalWidth)", opened.query_selector("img.heat")
        )
        > 0
    )


def test_a_hit_becomes_the_query_with_its_box(opened, ids):
    """[14]"""
    with searched(opened):
        opened.get_by_role("button", name="Search for this").click()
    expect(opened.get_by_role("dialog")).to_have_count(0)
    assert "q=picture:" in opened.evaluate("location.hash")


def test_hits_are_sorted_by_match_size_and_name(carton):
    """[16] Without a new search."""
    carton.get_by_role("button", name="Less likely").click()
    before = len(carton.watched.searches())
    carton.get_by_label("Order").select_option("Name")
    shown = names(carton.locator("ul.cards").first)
    assert shown == sorted(shown, key=str.lower)
    assert len(carton.watched.searches()) == before


def test_near_copies_are_folded_under_one_hit(new_page, ids, queries):
    """[17]"""
    page = new_page()
    sought(page, queries / "Alpro-Fresh-Soy-Milk.jpg")
    fold = page.get_by_role("button", name="1 near copy")
    fold.click()
    expect(page.locator(".hit .thumbs img")).to_have_count(1)


def test_hits_are_filtered_by_verdict_and_probability(carton):
    """[18]"""
    carton.get_by_role("button", name="Filter").click()
    carton.get_by_label("Hardly").uncheck()
    expect(carton.get_by_role("button", name="Less likely")).to_have_count(0)
    carton.get_by_label("likely").fill("95")
    assert all(int(text.split()[0]) >= 94 for text in carton.locator(".probability").all_inner_texts())


def test_those_that_were_changed_most_come_first(carton):
    """[16] Found first, and asked of the service only when it is wanted."""
    first = carton.locator(".hit").count()
    with carton.expect_request("**/search") as asked:
        carton.get_by_label("Order").select_option("changed")
    assert asked.value.post_data_json["changes"]
    expect(carton.locator(".hit", has_text="Changed by").first).to_be_visible()
    told = carton.locator(".hit").filter(has_text="Changed by").all_inner_texts()
    numbers = [int(text.split("Changed by ")[1].split()[0]) for text in told]
    assert numbers == sorted(numbers, reverse=True)
    assert carton.locator(".hit").count() == first
    carton.get_by_label("Order").select_option("best")
    expect(carton.locator(".hit", has_text="Changed by")).to_have_count(0)


def test_hits_are_marked_by_keys_and_marks_are_kept_undone_and_exported(carton, service):
    """[19]"""
    first = carton.locator(".hit-link").first
    first.focus()
    with carton.expect_response("**/marks"):
        carton.keyboard.press("1")
    expect(carton.locator(".hit.marked-right")).to_have_count(1)
    expect(carton.get_by_role("button", name="Search again with what you confirmed")).to_be_visible()
    address = carton.evaluate("location.hash")
    carton.get_by_role("link", name="Marks").click()
    expect(carton.get_by_text("Right")).to_be_visible()
    with carton.expect_download() as saved:
        carton.get_by_role("link", name="Save as a table").click()
    assert "right" in saved.value.path().read_text()
    carton.evaluate("address => { location.hash = address }", address)
    done(carton)
    carton.locator(".hit.marked-right .hit-link").focus()
    with carton.expect_response("**/marks"):
        carton.keyboard.press("0")
    expect(carton.locator(".hit.marked-right")).to_have_count(0)


def test_what_was_confirmed_refines_the_query(carton):
    """[19]"""
    with carton.expect_response("**/marks"):
        carton.get_by_role("button", name="is right").first.click()
    with searched(carton):
        carton.get_by_role("button", name="Search again with what you confirmed").click()
    expect(carton.get_by_role("heading", name="Together with")).to_be_visible()
    carton.go_back()
    done(carton)
    with carton.expect_response("**/marks"):
        carton.get_by_role("button", name="is right").first.click()


def test_results_are_saved_as_files(carton):
    for label, kind in (
        ("Table for a spreadsheet", "csv"),
        ("Everything", "json"),
        ("Annotations", "json"),
        ("Page", "html"),
    ):
        carton.get_by_role("button", name="Save").click()
        with carton.expect_download() as saved:
            carton.get_by_role("button", name=label).click()
        text = saved.value.path().read_text(encoding="utf-8")
        assert text
        assert saved.value.suggested_filename.endswith(kind)
        if kind == "json":
            json.loads(text)


def test_arrows_go_through_the_hits_enter_opens_and_escape_goes_back(carton):
    """[23]"""
    carton.locator(".hit-link").first.focus()
    carton.keyboard.press("ArrowRight")
    second = carton.evaluate("document.activeElement.dataset.id")
    carton.keyboard.press("Enter")
    assert f"open={second}" in carton.evaluate("location.hash")
    expect(carton.get_by_role("dialog")).to_be_visible()
    carton.keyboard.press("ArrowLeft")
    expect(carton.locator("dialog .rank")).to_have_text("1")
    carton.keyboard.press("Escape")
    expect(carton.get_by_role("dialog")).to_have_count(0)
    carton.keyboard.press("?")
    expect(carton.get_by_role("dialog", name="Keys")).to_be_visible()


def test_classes_are_switched_off_and_the_ranking_follows(carton):
    """What the network sees is behind a fold."""
    expect(carton.locator(".chip").first).to_be_hidden()
    carton.get_by_text("What the network sees").click()
    with searched(carton):
        carton.locator(".chip").first.click()
    assert "attend=" in carton.evaluate("location.hash")
    assert len(regions(carton)) == 1
    expect(carton.locator(".chip").first).to_have_attribute("aria-pressed", "false")


def test_a_link_to_a_missing_picture_is_answered_in_words(new_page):
    page = new_page(link({"x": "0" * 64}, "x"))
    expect(page.locator(".found [role=alert]")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_the_order_is_explained_where_the_per_cent_do_not_follow_it(carton):
    """[16] And hits are put in the order of the per cent where that is wanted."""

    def told():
        shown = carton.locator(".hit .probability").all_inner_texts()
        return [int(text.removesuffix("%").strip()) for text in shown]

    hint = carton.get_by_text("The best match comes first")
    assert hint.count() == (told() != sorted(told(), reverse=True))
    carton.get_by_label("Order").select_option("sure")
    assert told() == sorted(told(), reverse=True)
    expect(hint).to_have_count(0)


def test_an_open_hit_fits_at_twice_the_size(opened):
    """Enlarged by the browser, all of its buttons are there."""
    opened.set_viewport_size({"width": 640, "height": 425})
    room = opened.evaluate("document.documentElement.clientWidth")
    for name in ("The next one", "Search this whole picture"):
        place = opened.get_by_role("dialog").get_by_role("button", name=name)
        found = place.bounding_box() if place.count() else None
        assert found is None or found["x"] + found["width"] <= room
