"""What is searched for, and the boxes on it. Numbers in brackets are those of the list of users' habits."""

import base64

from PIL import Image
from playwright.sync_api import expect

from browsing import BOX, choose, done, drawn, link, near, regions, searched, sought

SOYA = "Alpro-Fresh-Soy-Milk_003.jpg"


def test_a_box_is_drawn_on_a_picture_of_the_collection_and_searched_for(page):
    """[1] Any picture of the grid is a query; what its box holds is searched for."""
    with searched(page):
        page.get_by_role("link", name=SOYA).click()
    with searched(page):
        drawn(
            page,
            (40, 40, 300, 300),
            # Once it is there: the layer to draw on is there before.
            size=page.locator(".query .picture img").evaluate(
                "picture => picture.decode().then(() => [picture.naturalWidth, picture.naturalHeight])"
            ),
        )
    assert len(regions(page)) == 1
    expect(page.get_by_text("What is in the box is searched for.")).to_be_visible()


def test_a_box_may_be_drawn_before_the_picture_has_been_sent(page, queries):
    """[1] The picture is there at once; what is drawn while it is sent is what is searched for."""
    waiting = []
    page.route("**/api/v1/uploads", lambda route: waiting.append(route))
    with page.expect_request("**/api/v1/uploads"):
        choose(page, queries / "shop.jpg")
    drawn(page)
    assert regions(page) == []
    with searched(page):
        waiting[0].continue_()
    assert near(regions(page)[0], BOX)
    expect(page.locator(".hit").first.locator(".verdict.present")).to_be_visible()


def test_corners_are_dragged_after_the_search_and_the_hits_follow(page, queries):
    """[2]"""
    sought(page, queries / "shop.jpg")
    with searched(page):
        drawn(page)
    place = page.locator(".query .picture img").bounding_box()
    scale = place["width"] / 348
    with searched(page):
        page.mouse.move(place["x"] + BOX[2] * scale, place["y"] + BOX[3] * scale)
        page.mouse.down()
        page.mouse.move(place["x"] + 200 * scale, place["y"] + 200 * scale, steps=3)
        page.mouse.up()
    assert near(regions(page)[0], (60, 0, 200, 200), by=10)


def test_nothing_is_cropped_unasked_and_the_whole_picture_is_one_click_away(page, queries):
    """[2]"""
    sought(page, queries / "shop.jpg")
    assert regions(page) == []
    with searched(page):
        drawn(page)
    page.get_by_role("button", name="Whole picture").click()
    page.wait_for_function("() => !location.hash.includes(',')")
    expect(page.get_by_text("The whole picture is searched for.")).to_be_visible()


def test_several_boxes_are_one_query(page, queries):
    """A drag beside a box draws another one."""
    sought(page, queries / "shop.jpg")
    with searched(page):
        drawn(page, (60, 10, 150, 200))
    with searched(page):
        drawn(page, (180, 20, 300, 300))
    assert len(regions(page)) == 2
    expect(page.get_by_text("What is in the 2 boxes is searched for, as one thing.")).to_be_visible()


def test_a_picture_comes_by_paste_and_by_drop(page, queries):
    """[3]"""
    data = base64.b64encode((queries / "Banana.jpg").read_bytes()).decode()
    give = """([data, kind]) => {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        const carried = new DataTransfer();
        carried.items.add(new File([bytes], "banana.jpg", { type: "image/jpeg" }));
        const how = { bubbles: true, cancelable: true };
        document.body.dispatchEvent(kind === "paste"
            ? new ClipboardEvent("paste", { ...how, clipboardData: carried })
            : new DragEvent("drop", { ...how, dataTransfer: carried }));
    }"""
    for kind in ("paste", "drop"):
        page.get_by_role("link", name="camseek: start").click()
        with searched(page):
            page.evaluate(give, [data, kind])
        expect(page.locator(".query .picture img")).to_be_visible()


def test_a_folder_that_is_dropped_is_all_the_pictures_in_it(page, tmp_path, encoded):
    """[3] It is asked what several pictures are meant for; hidden files are left out."""
    for name in ("b/2.jpg", "1.jpg", "b/.hidden.jpg"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(encoded(1))
    browser = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(tmp_path / "folder")], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": step, "x": 400, "y": 300, "data": data})
    expect(page.get_by_role("dialog", name="2 pictures")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_address_is_fetched_by_the_service_alone_where_its_owner_allows_that(page):
    """[3] Nobody sends this service anywhere: it says so."""
    page.evaluate("""() => {
        const carried = new DataTransfer();
        carried.setData("text/plain", "https://example.org/picture.jpg");
        document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, clipboardData: carried }));
    }""")
    expect(page.locator(".message.bad")).to_be_visible()
    assert page.evaluate("location.hash") == "#/shop"


def test_the_query_stays_in_view_beside_the_hits(page, queries):
    """[4]"""
    sought(page, queries / "shop.jpg")
    page.get_by_role("button", name="Less likely").click()
    page.locator(".hit").last.scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 200
    expect(page.locator(".query .picture img")).to_be_in_viewport()


def test_the_query_is_enlarged_while_a_box_is_drawn(page, queries):
    """[12] A box on the enlarged picture is in the picture's own pixels."""
    sought(page, queries / "shop.jpg")
    before = page.locator(".query .picture img").bounding_box()["width"]
    page.get_by_role("button", name="Larger").click()
    page.get_by_role("button", name="Larger").click()
    assert page.locator(".query .picture img").bounding_box()["width"] > 1.9 * before
    with searched(page):
        drawn(page, (10, 10, 110, 90))
    assert near(regions(page)[0], (10, 10, 110, 90))


def test_an_address_shows_the_same_in_another_browser(page, new_page, queries):
    """[13] Query, box and opened hit; the uploaded picture is kept for it."""
    sought(page, queries / "shop.jpg")
    with searched(page):
        drawn(page)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("status").filter(has_text="link")).to_be_visible()
    page.locator(".hit-link").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    other = new_page(page.evaluate("location.hash"))
    expect(other.get_by_role("dialog")).to_be_visible()
    expect(other.locator(".query .box-button")).to_have_count(1)
    assert other.evaluate("location.hash") == page.evaluate("location.hash")


def test_the_query_itself_is_no_hit(new_page, ids):
    """[15] By what it is, not by its place."""
    page = new_page(link(ids, SOYA))
    done(page)
    assert page.locator(f'.hit-link[data-id="{ids[SOYA]}"]').count() == 0


def test_the_way_of_a_picture_is_told_and_its_limit_before(page, queries):
    """[25]"""
    expect(page.get_by_text("Up to ")).to_be_visible()
    waiting = []
    page.route("**/api/v1/uploads", lambda route: waiting.append(route))
    with page.expect_request("**/api/v1/uploads"):
        choose(page, queries / "shop.jpg")
    expect(page.get_by_role("progressbar", name="Sent")).to_be_visible()
    expect(page.get_by_text("You can draw a box around the thing already.")).to_be_visible()
    with searched(page):
        waiting[0].continue_()


def test_a_picture_that_no_browser_shows_is_shown_once_it_is_sent(page, queries, tmp_path):
    """TIFF, HEIC and others: by the service's own view, on which boxes are in the picture's own pixels."""
    file = tmp_path / "shop.tif"
    with Image.open(queries / "shop.jpg") as picture:
        picture.resize((2784, 2784)).save(file)
    sought(page, file)
    expect(page.locator(".query .picture img")).to_have_js_property("naturalWidth", 1600)
    with searched(page):
        drawn(page, tuple(8 * side for side in BOX), size=(2784, 2784))
    assert near(regions(page)[0], [8 * side for side in BOX], by=40)


def test_what_is_no_picture_is_refused_in_words(page, tmp_path):
    """[25]"""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    choose(page, broken)
    expect(page.locator(".found .fault")).to_be_visible()


def test_a_box_by_keyboard_alone(page, queries):
    """[23] A box is added, moved, resized and removed without a pointer."""
    sought(page, queries / "shop.jpg")
    add = page.get_by_role("button", name="Add a box")
    add.focus()
    with searched(page):
        page.keyboard.press("Enter")
    x1, _, x2, y2 = regions(page)[0]
    with searched(page):
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
    moved = regions(page)[0]
    assert moved[0] < x1
    assert moved[2] - moved[0] == x2 - x1
    with searched(page):
        for _ in range(3):
            page.keyboard.press("Shift+ArrowDown")
    larger = regions(page)[0]
    assert larger[:3] == moved[:3]
    assert larger[3] > y2
    page.keyboard.press("Delete")
    page.wait_for_function("() => !location.hash.includes(',')")


def test_back_goes_through_the_boxes_that_were_searched_for(page, queries):
    """[23] Each search that was answered is a step of the browser's own Back."""
    sought(page, queries / "shop.jpg")
    for box in ((60, 10, 150, 200), (180, 20, 300, 300)):
        with searched(page):
            drawn(page, box)
    for left in (1, 0):
        page.go_back()
        expect(page.locator(".query .box-button")).to_have_count(left)
        done(page)
    page.go_forward()
    expect(page.locator(".query .box-button")).to_have_count(1)


def test_boxes_and_marks_are_taken_back_in_one_order(new_page, shop):
    """[19] Ctrl+Z; what came by the link was not done here and stays."""
    page = new_page(f"#/shop/search?q=upload:{shop},{','.join(map(str, BOX))}")
    done(page)
    page.keyboard.press("Control+z")
    expect(page.locator(".query .box-button")).to_have_count(1)
    page.locator(".hit-link").first.focus()
    with page.expect_response("**/marks"):
        page.keyboard.press("1")
    with searched(page):
        drawn(page, (260, 20, 330, 200))
    assert len(regions(page)) == 2
    with searched(page):
        page.keyboard.press("Control+z")
    assert len(regions(page)) == 1
    expect(page.locator(".marked-right")).to_have_count(1)
    with page.expect_response("**/marks"):
        page.keyboard.press("Control+z")
    expect(page.locator(".marked-right")).to_have_count(0)
    with page.expect_response("**/marks"):
        page.keyboard.press("Control+Shift+z")
    expect(page.locator(".marked-right")).to_have_count(1)
    with page.expect_response("**/marks"):
        page.keyboard.press("Control+z")
    with searched(page):
        page.keyboard.press("Control+y")
        page.keyboard.press("Control+y")
    assert len(regions(page)) == 2
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("take back what you did last")


def test_a_box_that_cannot_be_is_told_in_words(new_page, shop):
    """A reversed one of a link is put right; one beside the picture leads back to all of it."""
    page = new_page(f"#/shop/search?q=upload:{shop},250,340,60,0")
    expect(page.locator(".hit").first).to_be_visible()
    page.goto(f"#/shop/search?q=upload:{shop},9000,9000,9050,9050")
    expect(page.get_by_role("alert")).to_contain_text("This box cannot be searched for")
    with searched(page):
        page.get_by_role("alert").get_by_role("button", name="Whole picture").click()
    assert regions(page) == []


def test_a_picture_that_would_hold_up_the_browser_is_not_drawn_by_it(page, tmp_path):
    """A JPEG of hundreds of scans is left to the service, which refuses it."""
    file = tmp_path / "scans.jpg"
    file.write_bytes(b"\xff\xd8" + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00" * 2000 + b"\xff\xd9")
    choose(page, file)
    expect(page.get_by_text("Your browser cannot show this kind of picture.")).to_be_visible()
    expect(page.locator(".found .fault")).to_be_visible()
    assert page.locator(".query .picture img").count() == 0
