"""The page in a real browser: Chromium, by Playwright, against the real service in a process of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

EXAMPLES = Path(__file__).parents[3] / "examples" / "groceries"
CARTON = "Alpro-Fresh-Soy-Milk"
KINDS = {CARTON: 5, "Arla-Sour-Milk": 3, "Banana": 3, "Cabbage": 3, "Carrots": 3, "God-Morgon-Apple-Juice": 3}
HOSTILE = "<img src=x onerror=document.title='hurt'>&amp;\u202e.jpg"

expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 20 photographs, a near copy, one with a hostile name, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("served") / "shop"
    if os.environ.get("CAMSEEK_SCREENSHOTS"):  # they show all of the examples
        shutil.copytree(EXAMPLES / "photos", folder)
        return folder
    for kind, count in KINDS.items():
        place = folder / ("drinks" if kind[0] in "AG" else "fruit")
        place.mkdir(parents=True, exist_ok=True)
        for file in sorted((EXAMPLES / "photos").glob(f"{kind}_*.jpg"))[:count]:
            shutil.copy(file, place)
    first = min((folder / "drinks").glob(f"{CARTON}_*.jpg"))
    with Image.open(first) as picture:
        picture.save(folder / "drinks" / "again.jpg", quality=60)
    with Image.open(EXAMPLES / "photos" / "Aubergine_003.jpg") as picture:
        picture.save(folder / HOSTILE)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    return folder


@pytest.fixture(scope="session")
def queries():
    return EXAMPLES / "queries"


class Service:
    """``camseek serve`` in a process of its own."""

    def __init__(self, log, *arguments):
        self._log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        command = [
            sys.executable,
            "-c",
            "from camseek.cli import main; main()",
            "serve",
            "--port",
            str(port),
            *arguments,
        ]
        with log.open("wb") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)

    def wait(self):
        for _ in range(300):
            if self._process.poll() is not None:
                pytest.fail(f"the service ended: {self._log.read_text()}")
            try:
                with urllib.request.urlopen(self.url + "api/v1/health", timeout=5):
                    return self
            except OSError:
                time.sleep(0.1)
        return pytest.fail("the service did not start within half a minute")

    def stop(self):
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture(scope="session")
def serve(pictures):
    """Starts services of collections; they end with the tests."""
    running = []

    def start(*arguments):
        place = pictures.parent / f"service-{len(running)}"
        place.mkdir()
        service = Service(place / "log", "--state", str(place / "state"), *arguments)
        running.append(service)
        return service.wait()

    yield start
    for service in running:
        service.stop()


@pytest.fixture(scope="session")
def service(pictures, model, serve):
    """The service, with a collection ``shop`` of ``pictures``."""
    from camseek import Engine

    address = pictures.parent / "shop.camseek"
    with Engine.open(address, model=model, create=True) as engine:
        engine.index(pictures)
    return serve("--collection", f"shop={address}")


@pytest.fixture(scope="session")
def chromium():
    found = shutil.which("chromium")
    if not found:
        pytest.skip("no Chromium: install Debian's package chromium")
    with sync_playwright() as playwright:
        # Root may not have the browser's own sandbox.
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = playwright.chromium.launch(executable_path=found, chromium_sandbox=not root)
        yield browser
        browser.close()


class Watched:
    """What a page did that it may not do."""

    def __init__(self, page, home):
        self.faults = []
        self.asked = []
        page.on("pageerror", lambda fault: self.faults.append(f"error: {fault}"))
        page.on("console", self._console)
        page.on("request", lambda request: self._request(request, home))

    def _console(self, message):
        if "Content Security Policy" in message.text:
            self.faults.append(message.text)

    def _request(self, request, home):
        self.asked.append(request)
        if not request.url.startswith((home, "blob:", "data:")):
            self.faults.append(f"elsewhere: {request.url}")

    def searches(self):
        return [item for item in self.asked if item.method == "POST" and item.url.endswith("/search")]


@pytest.fixture
def new_page(chromium, service):
    """Makes pages of the service; whatever they do against its rules fails the test."""
    contexts, watches = [], []

    def make(fragment="", home=service.url, **options):
        context = chromium.new_context(
            **{"viewport": {"width": 1366, "height": 768}, "base_url": home} | options
        )
        contexts.append(context)
        page = context.new_page()
        page.watched = Watched(page, home)
        watches.append(page.watched)
        page.goto(home + fragment)
        page.wait_for_selector("#main")
        return page

    yield make
    for context in contexts:
        context.close()
    assert [fault for watch in watches for fault in watch.faults] == []


@pytest.fixture
def page(new_page):
    return new_page()


@pytest.fixture(scope="session")
def shop(service, queries):
    """The id of the photograph ``shop.jpg``, sent as a query picture."""
    headers = {"X-Camseek": "test", "Content-Type": "image/jpeg"}
    content = (queries / "shop.jpg").read_bytes()
    request = urllib.request.Request(service.url + "api/v1/uploads", content, headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["id"]


@pytest.fixture(scope="session")
def ids(service):
    """The id of each picture of the collection, by the last part of its name."""
    with urllib.request.urlopen(service.url + "api/v1/collections/shop/pictures?limit=100") as answer:
        return {item["name"].rsplit("/", 1)[-1]: item["id"] for item in json.load(answer)["pictures"]}
