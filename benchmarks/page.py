"""How smoothly the page scrolls, how soon it shows what came, and how large it is.

Debian's Chromium, without a screen, at 1366 x 768, and a service of the shared paintings. A list of 10,000
pictures is theirs over and over, so that each thumbnail is a real one; it is scrolled by a fixed step in each
frame, as a wheel or a finger does. What a search found is shown once its picture is decoded and a frame with
it has been drawn; that is counted from the moment at which the page reads the answer.
"""

import gzip
import json
import os
import shutil
import statistics
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlsplit

from common import Figure, Options, Report, Table, spread
from playwright.sync_api import Page, Route, sync_playwright

from camseek import Engine
from camseek.service.app import page_folder
from service import serving

_MANY = 10_000
_STEPS = {"1,200": 20, "3,600": 60}
_SCROLL = """([step, seconds]) => new Promise((done) => {
    const taken = [], began = performance.now();
    let last = began;
    requestAnimationFrame(function frame(now) {
        taken.push(now - last);
        last = now;
        scrollBy(0, step);
        if (now - began < seconds * 1000) requestAnimationFrame(frame);
        else done(taken.slice(1));
    });
})"""
# The page's first look at an answer, and the frame after the one in which its first picture is there.
_WATCH = """(() => {
    const parse = JSON.parse;
    let read = null;
    JSON.parse = (text, ...more) => {
        if (read === null && text.startsWith('{"collection"')) {
            read = performance.now();
            requestAnimationFrame(function look() {
                const picture = document.querySelector(".hit img");
                if (!picture?.complete || !picture.naturalWidth) return requestAnimationFrame(look);
                picture.decode().then(() => requestAnimationFrame(() => requestAnimationFrame((now) => {
                    window.shownAfter = now - read;
                })));
            });
        }
        return parse(text, ...more);
    };
})()"""


def measure(options: Options) -> Report:
    """Measures on the shared paintings; nothing where there are none, or no Chromium."""
    report = Report()
    chromium = shutil.which("chromium")
    size = sum(len(gzip.compress(path.read_bytes())) for path in page_folder().rglob("*") if path.is_file())
    report.figures.append(Figure("the page's own files, compressed, KB", size / 1000, 300, "{:.0f}"))
    if options.data is None or chromium is None:
        return report
    collection = options.folder / "collection"
    with Engine.open(collection, create=True) as engine:
        engine.index(options.data / "paintings" / "catalogue")
    with (
        serving("paintings", collection, options.folder / "state") as served,
        sync_playwright() as playwright,
    ):
        base = served.base.rstrip("/")
        root = hasattr(os, "geteuid") and os.geteuid() == 0  # it may not have the browser's own sandbox
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=not root)
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        with urllib.request.urlopen(f"{base}/api/v1/collections/paintings/pictures?limit=500") as answer:
            pictures: list[dict[str, Any]] = json.load(answer)["pictures"]
        _scrolled(report, page, base, pictures, options)
        page.unroute_all()
        _shown(report, page, base, pictures, options)
        browser.close()
    return report


def _scrolled(
    report: Report, page: Page, base: str, pictures: list[dict[str, Any]], options: Options
) -> None:
    def listed(route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        first, count = int(asked.get("offset", ["0"])[0]), int(asked["limit"][0])
        some = [pictures[place % len(pictures)] for place in range(first, min(_MANY, first + count))]
        route.fulfill(json={"total": _MANY, "offset": first, "next": None, "pictures": some})

    page.route("**/paintings/pictures?*", listed)
    page.goto(f"{base}/#/paintings/browse")
    page.wait_for_selector(".cell img")
    table = Table(
        "A grid of 10,000 thumbnails that is scrolled",
        ("pixels a second", "frames a second", "95th of a hundred frames, ms"),
    )
    for speed, step in _STEPS.items():
        taken: list[float] = page.evaluate(_SCROLL, [step, options.pick(8, 1)])
        rate = 1000 / statistics.mean(taken)
        table.rows.append((speed, f"{rate:.1f}", f"{statistics.quantiles(taken, n=20)[-1]:.0f}"))
        report.figures.append(
            Figure(f"frames a second at {speed} pixels a second", rate, 50, "{:.1f}", at_least=True)
        )
    report.tables.append(table)


def _shown(report: Report, page: Page, base: str, pictures: list[dict[str, Any]], options: Options) -> None:
    page.add_init_script(_WATCH)
    after: list[float] = []
    for picture in pictures[: options.pick(20, 2)]:
        page.goto("about:blank")
        page.goto(f"{base}/#/paintings/search?q=picture:{picture['id']}")
        page.wait_for_function("() => window.shownAfter !== undefined")
        after.append(page.evaluate("window.shownAfter"))
    table = Table("The first hit on the screen after the answer was read", ("what", "ms"))
    table.rows.append(("median", f"{statistics.median(after):.0f}"))
    table.rows.append(("middle half", spread(after, "{:.0f}")))
    report.tables.append(table)
    report.figures.append(
        Figure("the first hit on the screen after the answer, ms", statistics.median(after), 300, "{:.0f}")
    )
