"""A new user's first afternoon, from one command on: what is done when this is done."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from PIL import Image
from playwright.sync_api import expect

from browsing import BOX, drawn, names, searched, sought


@pytest.fixture
def shop(pictures, tmp_path):
    """A folder of few photographs, and another with more, which is not there yet."""
    folder, more = tmp_path / "shop", tmp_path / "delivery"
    shutil.copytree(pictures / "drinks", folder)
    shutil.copytree(pictures / "fruit", more)
    return folder, more


@pytest.fixture
def opened(shop, tmp_path):
    """The address that ``camseek open`` says; the user's own folder is the test's."""
    environment = os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    command = [sys.executable, "-c", "from camseek.cli import main; main()", "open", str(shop[0])]
    with subprocess.Popen(
        [*command, "--no-browser", "--no-watch", "--port", "0", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        yield json.loads(process.stdout.readline())["address"]
        process.send_signal(signal.SIGINT)


def test_from_one_command_to_a_spreadsheet(opened, shop, queries, chromium, tmp_path):
    """A box on a shelf photograph finds the product; a folder comes in meanwhile; 50 queries are a table."""
    context = chromium.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.goto(opened)
    expect(page.locator(".cell img").first).to_be_visible()
    # All is there before what was found is counted.
    expect(page.locator(".job.ended")).to_contain_text("new", timeout=60_000)
    sought(page, queries / "shop.jpg")
    with searched(page):
        drawn(page, BOX)
    expect(page.locator(".steps h1")).to_contain_text("show")
    assert names(page)[0].startswith("Alpro")
    expect(page.locator(".hit").first.locator(".verdict.present")).to_be_visible()

    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Add a folder…").click()
    window = page.get_by_role("dialog")
    window.get_by_role("button", name=tmp_path.name).click()
    window.get_by_role("button", name="delivery").click()
    window.get_by_role("button", name="Add delivery").click()
    with searched(page):  # while it comes in
        page.get_by_role("button", name="Whole picture").click()
    expect(page.locator(".job.ended")).to_contain_text(f"{len(list(shop[1].iterdir()))} new", timeout=60_000)

    small = []
    with Image.open(queries / "Banana.jpg") as picture:
        picture.thumbnail((96, 96))
        for number in range(50):
            file = io.BytesIO()
            picture.rotate(7 * number).save(file, "JPEG")
            small.append({"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()})
    page.get_by_role("link", name="camseek: start").click()
    page.get_by_label("Picture to search with").set_input_files(small)
    page.get_by_role("button", name="Search for each").click()
    expect(page.locator(".job.ended")).to_contain_text("50 pictures searched for", timeout=120_000)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save as a table").click()
    rows = list(csv.DictReader(saved.value.path().read_text("utf-8-sig").splitlines()))
    assert {row["query"] for row in rows} == {item["name"] for item in small}
    assert {row["verdict"] for row in rows} <= {"present", "unsure", "not shown"}
    context.close()
