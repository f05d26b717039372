"""What tests of the page in a browser do over and over."""

from contextlib import contextmanager

from playwright.sync_api import expect

BOX = (60, 0, 250, 340)
"""The carton of soya milk in shop.jpg, pixels."""


_ASKED = """() => {
    const asked = new URLSearchParams(location.hash.split("?")[1]);
    return [asked.get("q") ?? "", asked.get("attend") ?? ""].join("|");
}"""
_FOUND = f"() => document.querySelector('.found')?.dataset.found === ({_ASKED})()"


def done(page):
    """Waits until what the address asks for has been searched for, and its hits are shown."""
    page.wait_for_function(_FOUND)


@contextmanager
def searched(page):
    """What is done in it changes what is searched for; waits until that is found."""
    before = page.evaluate(_ASKED)
    yield
    page.wait_for_function(f"before => ({_ASKED})() !== before", arg=before)
    done(page)


def choose(page, file):
    """Gives the page a picture by its button."""
    page.get_by_label("Picture to search with").set_input_files(file)


def sought(page, file):
    """Gives the page a picture, and waits for what is found."""
    with searched(page):
        choose(page, file)


def drawn(page, box=BOX, size=(348, 348)):
    """Draws a box on the query with the mouse.

    Args:
        page: The page.
        box: Pixels of the picture.
        size: The picture's.
    """
    picture = page.locator(".query .picture img")
    expect(page.locator(".query .a9s-annotationlayer")).to_be_visible()
    place = picture.bounding_box()
    across, down = place["width"] / size[0], place["height"] / size[1]
    x1, y1, x2, y2 = box
    page.mouse.move(place["x"] + x1 * across + 1, place["y"] + y1 * down + 1)
    page.mouse.down()
    page.mouse.move(place["x"] + (x1 + x2) / 2 * across, place["y"] + (y1 + y2) / 2 * down)
    page.mouse.move(place["x"] + x2 * across - 1, place["y"] + y2 * down - 1)
    page.mouse.up()


def regions(page):
    """The boxes in the page's address, pixels."""
    query = page.evaluate("new URLSearchParams(location.hash.split('?')[1]).get('q')") or ""
    return [tuple(map(int, part.split(",")[1:])) for part in query.split(";") if "," in part]


def near(box, other, by=6):
    """Whether two boxes are the same but for some pixels."""
    return all(abs(one - two) <= by for one, two in zip(box, other, strict=True))


def names(page):
    """The file names of the hits that are shown, in order."""
    return page.locator(".hit .caption .name").all_inner_texts()


def link(ids, name, **more):
    """The address of a search with a picture of the collection."""
    asks = "".join(f"&{key}={value}" for key, value in more.items())
    return f"#/shop/search?q=picture:{ids[name]}{asks}"
