"""Who is let in, and what whoever may only read is not offered."""

import subprocess
import sys

import pytest
from playwright.sync_api import expect

from browsing import done, link

SOYA = "Alpro-Fresh-Soy-Milk_003.jpg"


@pytest.fixture(scope="module")
def guarded(service, pictures, serve):
    """A service of the same collection that asks for a token, and a token to read."""
    tokens = pictures.parent / "tokens"
    making = [sys.executable, "-m", "camseek", "token", "anna", "--token-file", str(tokens)]
    token = subprocess.run(making, check=True, capture_output=True, text=True).stdout.strip()
    return (
        serve("--collection", f"shop={pictures.parent / 'shop.camseek'}", "--token-file", str(tokens)),
        token,
    )


def test_a_token_is_asked_for_once_and_reading_is_all_it_allows(new_page, guarded, ids):
    running, token = guarded
    page = new_page(home=running.url)
    field = page.get_by_label("Access word")
    field.fill("something else")
    page.get_by_role("button", name="Go in").click()
    expect(page.get_by_role("alert")).to_have_text("This word is not the right one.")
    field.fill(token)
    page.get_by_role("button", name="Go in").click()
    expect(page.locator(".cell img").first).to_be_visible()
    page.goto(running.url + link(ids, SOYA))
    done(page)
    expect(page.get_by_role("button", name="Add", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="is right")).to_have_count(0)
    assert token not in page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Leave").click()
    expect(field).to_be_visible()


def test_a_collection_that_is_not_here_is_said_to_be_so(new_page):
    page = new_page("#/elsewhere")
    expect(page.get_by_role("heading", name="There is no collection of this name here")).to_be_visible()
    page.get_by_role("link", name="shop").click()
    expect(page.locator(".cell img").first).to_be_visible()
