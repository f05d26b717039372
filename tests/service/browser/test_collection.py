"""Looking through the collection, and what comes and goes. Numbers are those of the list of users' habits."""

from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browsing import done, link

SOYA = "Alpro-Fresh-Soy-Milk_003.jpg"


def test_the_start_names_the_collection_and_how_many_pictures_it_has(page, ids):
    expect(page.locator(".which")).to_have_text(f"shop{len(ids)} pictures")
    expect(page.locator(".cell img").first).to_be_visible()
    assert page.locator(".cell").count() == len(ids)


def test_names_are_text_whatever_is_in_them(page, ids):
    """[28]"""
    page.goto("#/shop/browse")
    page.get_by_label("Find by name").fill("onerror")
    expect(page.locator(".cell")).to_have_count(1)
    page.get_by_role("button", name="About").click()
    expect(page.get_by_role("dialog")).to_contain_text("<img src=x onerror=")
    assert page.title() == "shop – camseek"


def test_pictures_are_found_by_name_and_folder(new_page):
    """[22]"""
    page = new_page("#/shop/browse")
    page.get_by_label("Find by name").fill("banana")
    expect(page.locator(".cell")).to_have_count(3)
    assert "text=banana" in page.evaluate("location.hash")
    page.get_by_label("Find by name").fill("")
    page.get_by_label("Folder").select_option(
        index=[
            "fruit" in text for text in page.get_by_label("Folder").locator("option").all_inner_texts()
        ].index(True)
    )
    expect(page.locator(".cell")).to_have_count(9)


def test_what_could_not_be_read_is_listed_with_the_reason(new_page):
    page = new_page("#/shop/skipped")
    row = page.get_by_role("row").filter(has_text="broken.jpg")
    expect(row).to_be_visible()
    assert len(row.get_by_role("cell").last.inner_text()) > 5


def test_the_grid_is_walked_by_keyboard(page):
    """[23]"""
    first = page.locator(".cell a").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert int(page.evaluate("document.activeElement.dataset.place")) > 2
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.dataset.place") == "0"
    page.keyboard.press("Enter")
    done(page)


def test_a_grid_of_a_hundred_thousand_holds_only_what_is_in_sight(page, ids):
    """Browsing: pages are asked for where the scroll bar stops, and the page stays small."""
    picture = {
        "id": ids[SOYA],
        "names": [SOYA],
        "size": [348, 348],
        "format": "JPEG",
        "bytes": 1,
        "featureless": False,
    }

    def many(route):
        from urllib.parse import parse_qs, urlsplit

        asked = parse_qs(urlsplit(route.request.url).query)
        first, count = int(asked.get("offset", ["0"])[0]), int(asked["limit"][0])
        some = [picture | {"name": f"{first + place}.jpg", "columns": None} for place in range(count)]
        route.fulfill(json={"total": 100_000, "next": None, "pictures": some})

    page.route("**/shop/pictures?*", many)
    page.goto("#/shop/browse")
    page.reload()
    expect(page.get_by_role("list", name="100,000 pictures")).to_be_visible()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_role("link", name="99999.jpg")).to_be_visible()
    assert page.locator(".cell").count() < 200


def test_a_match_that_was_missed_is_marked(new_page, ids):
    """[20] Drawn by hand; it stands with what was found, is searched with, and taken back."""
    page = new_page(link(ids, SOYA))
    done(page)
    page.get_by_role("link", name="Browse").click()
    page.get_by_label("Find by name").fill("again")
    expect(page.locator(".cell")).to_have_count(1)
    page.get_by_role("button", name="About").click()
    page.get_by_role("button", name="It shows what I searched for last…").click()
    drawing = page.get_by_role("dialog", name="Where does it show it?")
    expect(drawing.locator(".picture img")).to_be_visible()
    drawing.get_by_role("button", name="Add a box").click()
    box = drawing.get_by_role("button", name="Box 1 of 1")
    box.focus()
    for key in ("ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    with page.expect_response("**/marks") as answer:
        drawing.get_by_role("button", name="Mark it as right").click()
    assert answer.value.ok
    region = answer.value.json()["region"]
    assert region[0] < region[2]
    assert region[1] < region[3]
    page.get_by_role("link", name="Marks").click()
    expect(page.locator(".marked .outlines .line")).to_have_count(1)
    page.get_by_role("link", name="The search").click()
    done(page)
    # A near copy stands under another hit, and here for itself.
    mine = page.get_by_role("region", name="What you found yourself")
    expect(mine.locator(".outlines .line")).to_have_count(1)
    expect(page.get_by_role("button", name="Search again with what you confirmed")).to_be_visible()
    mine.get_by_role("button", name="Take back").click()
    expect(mine).to_have_count(0)
    page.get_by_role("link", name="Marks").click()
    expect(page.get_by_text("Nothing is marked yet.")).to_be_visible()


def test_pictures_are_added_bad_files_listed_and_one_removed(page, queries, tmp_path, ids):
    """A bad file stops nothing."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    page.get_by_label("Pictures to add to the collection").set_input_files([queries / "Galia-Melon.jpg", bad])
    expect(page.locator(".job.ended")).to_contain_text("1 new")
    expect(page.locator(".job.ended")).to_contain_text("1 file could not be read")
    expect(page.locator(".which")).to_contain_text(f"{len(ids) + 1} pictures")
    page.get_by_role("link", name="Browse").click()
    page.get_by_label("Find by name").fill("Galia")
    expect(page.locator(".cell")).to_have_count(1)
    page.get_by_role("button", name="About").click()
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Leave it").click()
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator(".which")).to_contain_text(f"{len(ids)} pictures")


def test_what_is_removed_while_pictures_come_in_goes_later(page):
    """The page says so, and says when it has gone."""
    job = {
        "id": "9",
        "kind": "remove",
        "collection": "shop",
        "state": "waiting",
        "report": None,
        "problem": None,
    }
    told = {"removed": 0, "coming_back": 0, "job": job}
    done = {**job, "state": "done", "report": {"removed": 1, "coming_back": 0}}
    page.route("**/api/v1/jobs/9", lambda route: route.fulfill(json=done))
    page.get_by_role("link", name="Browse").click()
    page.get_by_role("button", name="About").first.click()
    page.get_by_role("button", name="Remove…").click()
    page.route("**/pictures/*", lambda route: route.fulfill(status=202, json=told))
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator(".message")).to_contain_text("will be removed as soon as")
    expect(page.locator(".message")).to_contain_text("is no longer in the collection")


def test_many_pictures_are_searched_for_at_once(page, queries):
    """Each on its own; what was found is a table, and a file for a spreadsheet."""
    page.get_by_label("Picture to search with").set_input_files(
        [queries / "shop.jpg", queries / "Garant-Ecological-Medium-Fat-Milk.jpg"]
    )
    page.get_by_role("button", name="Search for each").click()
    expect(page.locator(".job.ended")).to_contain_text("2 pictures searched for")
    rows = page.locator(".queries tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.locator(".verdict")).to_contain_text("%")
    expect(rows.first.locator(".thumbs img")).to_have_count(3)
    expect(page.get_by_role("button", name="shop.jpg: search for it alone")).to_be_visible()
    expect(rows.last).to_contain_text("It is not here")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save as a table").click()
    assert saved.value.path().read_text("utf-8-sig").startswith("number,query,")


def test_titles_and_links_come_from_a_table_and_are_text(new_page, ids, tmp_path):
    """[22] Only what is a web address becomes a link."""
    table = tmp_path / "table.csv"
    table.write_text(
        f"file,title,link\n{SOYA},<b>Soya,javascript:alert(1)\nBanana_003.jpg,Bananas,https://example.org/b\n"
    )
    page = new_page("#/shop/browse")
    page.get_by_label("Table of what is known of the pictures").set_input_files(table)
    expect(page.locator(".message")).to_contain_text("2 pictures in it: title, link")
    page.get_by_label("Find by name").fill("soya")
    expect(page.locator(".cell")).to_have_count(1)
    page.get_by_role("button", name="About").click()
    about = page.get_by_role("dialog")
    expect(about).to_contain_text("<b>Soya")
    expect(about).to_contain_text("of its file")
    expect(about).to_contain_text("javascript:alert(1)")
    expect(about.locator('a[href^="javascript" i]')).to_have_count(0)
    about.get_by_role("link", name="<b>Soya").click()  # all of which the same is said
    expect(about).to_have_count(0)
    assert "column=title" in page.evaluate("location.hash")
    expect(page.locator(".cell")).to_have_count(1)
    page.get_by_label("Group by").select_option("")
    page.get_by_label("Find by name").fill("bananas")
    expect(page.get_by_role("link", name="Banana_003.jpg")).to_be_visible()
    expect(page.locator(".cell")).to_have_count(1)
    page.get_by_role("button", name="About").click()
    expect(about.get_by_role("link", name="https://example.org/b")).to_be_visible()
    page.request.delete("api/v1/collections/shop/table", headers={"X-Camseek": "test"})


def test_columns_of_a_table_group_filter_and_lead_somewhere(new_page, ids):
    """[22] By template; in the collection and among what was found."""
    page = new_page("#/shop/browse")
    table = f"file,kind,number\n{SOYA},carton,a/1\nBanana_003.jpg,fruit,2\nBanana_002.jpg,fruit,3\n"
    send = {"X-Camseek": "test", "Content-Type": "text/csv"}
    try:
        page.request.put("api/v1/collections/shop/table", data=table, headers=send)
        page.reload()
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="What its columns lead to…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("number").fill("https://{number}/")
        dialog.get_by_role("button", name="Keep").click()
        expect(page.locator(".message.bad")).to_contain_text("This is no address")
        dialog.get_by_label("number").fill("https://museum.example/o/{number}")
        dialog.get_by_role("button", name="Keep").click()
        expect(dialog).to_have_count(0)
        page.get_by_label("Group by").select_option("kind")
        values = page.locator(".values a")
        expect(values).to_contain_text(["Nothing is said", "fruit 2", "carton 1"])
        values.nth(1).click()
        expect(page.locator(".cell")).to_have_count(2)
        page.get_by_role("link", name="kind: fruit; show all groups").click()
        values.nth(2).click()
        expect(page.locator(".cell")).to_have_count(1)
        page.get_by_role("button", name="About").click()
        leads = dialog.get_by_role("link", name="a/1")
        expect(leads).to_have_attribute("href", "https://museum.example/o/a%2F1")
        expect(leads).to_have_attribute("rel", "noreferrer noopener")
        page.goto(page.url.split("#")[0] + link(ids, SOYA))
        done(page)
        page.get_by_role("button", name="Less likely").click()
        page.get_by_label("Group by").select_option("kind")
        expect(page.locator("h2.group-name", has_text="fruit")).to_be_visible()
        expect(page.get_by_role("region", name="fruit").locator(".hit")).to_have_count(2)
    finally:
        page.request.delete("api/v1/collections/shop/table", headers={"X-Camseek": "test"})


def test_when_a_photograph_was_taken_stands_beside_its_files_date(new_page):
    """[16] Where the service tells it, which has tests of its own."""
    page = new_page("#/shop")

    def dated(route):
        found = route.fetch().json()
        told = [{**item, "taken": "1999-12-31T23:59:59"} for item in found["pictures"]]
        route.fulfill(json={**found, "pictures": told})

    page.route("**/pictures?*", dated)
    page.get_by_role("link", name="Browse").click()
    page.get_by_role("button", name="About").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("31 December 1999")


def test_groups_are_shown_by_size_and_each_has_an_address(page, ids):
    """[21] What the job finds has tests of its own."""
    names = [name for name in ids if name.startswith("Alpro")]
    pictures = [page.request.get(f"api/v1/collections/shop/pictures/{ids[name]}").json() for name in names]
    group = {"id": min(ids[name] for name in names), "size": len(names), "pictures": pictures}
    page.route("**/shop/groups?*", lambda route: route.fulfill(json=[{**group, "pictures": pictures[:4]}]))
    page.route("**/shop/groups/*", lambda route: route.fulfill(json=group))
    page.get_by_role("button", name="More").click()
    page.get_by_role("link", name="Pictures that belong together").click()
    page.get_by_role("link", name=f"{len(names)} pictures").click()
    expect(page.locator(".group .thumbs img")).to_have_count(len(names))
    assert group["id"] in page.evaluate("location.hash")


def test_groups_beyond_the_first_hundred_are_there(page, ids):
    """[21] They are asked for as they are wanted."""
    names = [name for name in ids if name.startswith("Alpro")]
    picture = page.request.get(f"api/v1/collections/shop/pictures/{ids[names[0]]}").json()
    some = [{"id": f"{place:064x}", "size": 2, "pictures": [picture, picture]} for place in range(130)]

    def groups(route):
        after = next((place for place, item in enumerate(some, 1) if item["id"] in route.request.url), 0)
        route.fulfill(json=some[after : after + 100])

    page.route("**/shop/groups?*", groups)
    page.goto("#/shop/groups")
    expect(page.locator(".group")).to_have_count(100)
    page.get_by_role("button", name="More groups").click()
    expect(page.locator(".group")).to_have_count(130)
    expect(page.get_by_role("button", name="More groups")).to_have_count(0)


def test_folders_manifests_and_addresses_where_the_owner_allows_them(new_page):
    """[3] A folder of the machine, pictures of a IIIF manifest, a picture's address; else not offered."""
    page = new_page("#/shop")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("button", name="Add pictures…")).to_be_visible()
    assert page.get_by_role("button", name="Add a folder…").count() == 0
    assert page.get_by_label("Address of a picture").count() == 0
    session = {
        "scopes": ["read", "write"],
        "needs_token": False,
        "folders": True,
        "hosts": ["museum.example"],
    }
    page.route("**/api/v1/session", lambda route: route.fulfill(json=session))
    within = {"": ["home"], "home": ["home/pictures"], "home/pictures": []}

    def folders(route):
        name = parse_qs(urlsplit(route.request.url).query, keep_blank_values=True)["name"][0]
        route.fulfill(json={"name": name, "folders": within[name]})

    page.route("**/api/v1/folders?*", folders)
    page.reload()
    job = {"id": "7", "kind": "index", "collection": "shop", "state": "done", "report": {"added": 2}}
    asked = []

    def ask(route):
        asked.append(route.request.post_data_json)
        route.fulfill(status=202, json={**job, "done": 0, "total": None, "problem": None})

    for place in ("**/api/v1/jobs", "**/shop/manifest", "**/uploads/remote"):
        page.route(place, ask)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Add a folder…").click()
    for name in ("home", "pictures"):
        page.get_by_role("dialog").get_by_role("button", name=name, exact=False).last.click()
    page.get_by_role("button", name="Add pictures", exact=True).click()
    expect(page.locator(".job.ended")).to_contain_text("2 new")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Pictures of a IIIF manifest…").click()
    page.get_by_label("Its address").fill("https://museum.example/m.json")
    page.get_by_role("button", name="Add them").click()
    page.get_by_label("Address of a picture").fill("https://museum.example/p.jpg")
    with page.expect_request("**/uploads/remote"):
        page.keyboard.press("Enter")
    assert asked == [
        {"kind": "index", "collection": "shop", "folder": "home/pictures"},
        {"url": "https://museum.example/m.json", "use": "add"},
        {"url": "https://museum.example/p.jpg"},
    ]


def test_a_folder_is_looked_through_and_what_is_searched_is_told(page):
    """[27] Progress in numbers, and that one can search meanwhile."""
    job = {
        "id": "1",
        "kind": "index",
        "collection": "shop",
        "state": "running",
        "done": 12_400,
        "total": 50_000,
        "rate": 8.4,
        "seconds_left": 4476,
        "created": "2026-01-01T00:00:00Z",
        "ended": None,
        "report": None,
        "problem": None,
    }
    page.route("**/api/v1/jobs", lambda route: route.fulfill(status=202, json=job))
    page.route(
        "**/api/v1/jobs/1/events", lambda route: route.fulfill(content_type="text/event-stream", body="")
    )
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Look for new and changed pictures").click()
    line = page.locator(".job")
    expect(line).to_contain_text("12,400 of 50,000 searched")
    expect(line).to_contain_text("8.4 a second")
    expect(line).to_contain_text("about 75 minutes left")
    expect(line.get_by_role("button", name="Cancel")).to_be_visible()


def test_what_came_since_a_search_is_told_and_searched(new_page, ids):
    """[27]"""
    page = new_page(link(ids, SOYA))
    done(page)

    def more(route):
        found = route.fetch().json()
        route.fulfill(json=[{**item, "pictures": item["pictures"] + 3} for item in found])

    page.route("**/api/v1/collections", more)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Look for new and changed pictures").click()
    expect(page.locator(".steps")).to_contain_text("3 more have come since.")
    with page.expect_request("**/search"):
        page.get_by_role("button", name="Search again").click()


def test_a_folder_is_really_looked_through(page):
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Look for new and changed pictures").click()
    expect(page.locator(".job.ended")).to_contain_text("as they were")


@pytest.mark.parametrize("where", ["start", "search", "hit", "browse", "skipped", "marks", "telephone"])
def test_no_serious_fault_of_access(new_page, ids, where):
    """By the rules of axe-core: names of controls, contrast, roles, focus; light and dark."""
    small = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    place = {
        "search": link(ids, SOYA),
        "telephone": link(ids, SOYA),
        "hit": link(ids, SOYA),
    }.get(where, f"#/shop/{where}")
    page = new_page(place, color_scheme="light", **small if where == "telephone" else {})
    if where in ("search", "hit", "telephone"):
        done(page)
    if where == "hit":
        page.locator(".hit-link").first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("h1, h2").first).to_be_attached()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        serious = [item for item in found if item["impact"] in ("serious", "critical")]
        assert [(scheme, item["id"], item["nodes"][0]["html"]) for item in serious] == []


def hit(identity):
    """A hit of a table's row."""
    return {"id": identity, "name": "x.jpg", "score": 1.0, "verdict": "present", "probability": 0.9}


def test_a_telephone_shows_all_of_it(new_page, ids):
    """No view is wider than the screen, and the query stays in reach."""
    page = new_page("#/shop", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    expect(page.get_by_role("button", name="Take a photograph")).to_be_visible()
    rows = [
        {
            "number": 0,
            "query": "a-long-name-without-end.jpg" * 3,
            "hits": [],
            "verdict": None,
            "problem": "no",
        },
        {"number": 1, "query": "b.jpg", "hits": [hit(ids[name]) for name in list(ids)[:3]], "problem": None},
    ]
    page.route("**/jobs/1/table", lambda route: route.fulfill(json=rows))
    for place in ("", "/browse", "/skipped", "/marks", "/table/1", link(ids, SOYA).removeprefix("#/shop")):
        page.goto(f"#/shop{place}")
        expect(page.locator("main")).to_be_visible()
        if "table" in place:
            expect(page.locator(".queries tbody tr")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="Add", exact=True).click()
        menu = page.locator(".unfolded").bounding_box()
        assert menu["x"] >= 0
        assert menu["x"] + menu["width"] <= 390
        page.keyboard.press("Escape")
    done(page)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator(".strip").click()
    expect(page.locator(".query .picture img")).to_be_in_viewport()


def test_nothing_moves_for_whoever_wants_no_motion(new_page, ids):
    page = new_page(link(ids, SOYA), reduced_motion="reduce")
    done(page)
    assert page.evaluate("document.getAnimations().length") == 0
