"""The pictures of the page in the docs: drawn anew into the folder that ``CAMSEEK_SCREENSHOTS`` names."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browsing import done, drawn, link, searched, sought

CARTON = (34, 4, 200, 318)
"""The carton in shop.jpg and little else, pixels."""


@pytest.fixture
def folder(tmp_path):
    return Path(os.environ.get("CAMSEEK_SCREENSHOTS") or tmp_path)


def taken(page, file):
    """A screenshot without what depends on how fast this machine is."""
    expect(page.locator(".message")).to_have_count(0)
    page.evaluate("""() => {
        document.activeElement?.blur();
        for (const told of document.querySelectorAll(".steps .quiet"))
            told.textContent = told.textContent.replace(/ in .* s$/, "");
        return Promise.all([...document.images].map((picture) => picture.decode().catch(() => 0)));
    }""")
    page.screenshot(path=file, type="jpeg", quality=82)
    assert file.stat().st_size < 400_000


def test_a_search_on_a_laptop(new_page, queries, folder):
    page = new_page(color_scheme="light")
    sought(page, queries / "shop.jpg")
    with searched(page):
        drawn(page, CARTON)
    taken(page, folder / "page.jpg")


def test_a_hit_beside_the_query(new_page, queries, folder):
    page = new_page(color_scheme="dark")
    sought(page, queries / "shop.jpg")
    with searched(page):
        drawn(page, CARTON)
    page.locator(".hit-link").nth(1).click()
    expect(page.locator(".pair").first).to_be_visible()
    taken(page, folder / "page-hit.jpg")


def test_a_search_on_a_telephone(new_page, ids, folder):
    small = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = new_page(link(ids, "God-Morgon-Apple-Juice_003.jpg"), device_scale_factor=2, **small)
    done(page)
    page.evaluate("scrollBy(0, 420)")
    taken(page, folder / "page-telephone.jpg")
