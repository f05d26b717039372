"""A collection goes over to another network, and back, from the page."""

import shutil

import pytest
from playwright.sync_api import expect

from camseek import Engine
from models import other_model


@pytest.fixture(scope="module")
def few(pictures, tmp_path_factory, model, serve):
    """A service of three pictures, with another network at hand."""
    place = tmp_path_factory.mktemp("few")
    folder = place / "fruit"
    folder.mkdir()
    for file in sorted((pictures / "fruit").glob("Banana*.jpg"))[:3]:
        shutil.copy(file, folder)
    other_model(place / "models", sketch=False)
    with Engine.open(place / "c", model=model, create=True) as engine:
        engine.index(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMSEEK_MODELS", str(place / "models"))
        return serve("--collection", f"fruit={place / 'c'}")


def chosen(page):
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Another network…").click()
    return page.get_by_role("dialog")


def test_another_network_looks_at_the_pictures_and_one_goes_back(new_page, few):
    page = new_page("#/fruit", home=few.url)
    dialog = chosen(page)
    expect(dialog).to_contain_text("here it is efficientnet-lite0")
    expect(dialog.get_by_role("radio", name="other")).to_be_checked()
    dialog.get_by_role("button", name="Begin").click()
    line = page.locator(".job.ended")
    expect(line).to_contain_text("Done: pictures are told apart by other now.")
    page.locator(".cell a").first.click()
    expect(page.locator(".steps")).to_contain_text("by other")
    dialog = chosen(page)
    expect(dialog).to_contain_text("Before, it was efficientnet-lite0, and what it saw is kept.")
    expect(dialog.get_by_role("button", name="Begin")).not_to_be_visible()
    dialog.get_by_role("button", name="Go back to efficientnet-lite0").click()
    expect(line).to_contain_text("pictures are told apart by efficientnet-lite0 now")
    dialog = chosen(page)
    dialog.get_by_role("button", name="Let that go…").click()
    dialog.get_by_role("button", name="Yes, there is no way back then").click()
    expect(line).to_contain_text("Done")
    expect(chosen(page)).not_to_contain_text("Before")
