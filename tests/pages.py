"""Pages of searches for tests: how they are made from made-up hits, and read."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from camseek.results import ClassScore, Hit, MatchingPoints, Outline, Query, QueryPicture, SearchResult, View

WHOLE = (640, 480)
VOID = {"meta", "link", "img", "input"}
HOSTILE = "</style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\n\r\t\x01\x7f\u202egpj"
HOSTILE_NAME = HOSTILE.encode() + b"\xff"


class Page(HTMLParser):
    """Every element with its attributes, in order; fails where tags do not balance."""

    def __init__(self, page):
        super().__init__()
        self.elements = []
        self.open = []
        self.words = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)

    def all(self, tag, **wanted):
        wanted = {key.rstrip("_"): value for key, value in wanted.items()}
        return [item for name, item in self.elements if name == tag and wanted.items() <= item.items()]


def make_view(width=64, height=48, stride=32):
    pixels = np.arange(width * height * 3, dtype=np.uint32).reshape(height, width, 3).astype(np.uint8)
    heat = np.linspace(0, 1, -(-height // stride) * -(-width // stride), dtype=np.float32)
    return View(pixels, heat.reshape(-(-height // stride), -1), stride, (width * 10, height * 10))


CLASSES = (ClassScore(1, "Granny Smith", 0.75), ClassScore(2, "lemon", 0.0001))


def make_hit(rank, **changes):
    hit = Hit(rank, rank, (b"/photos/%d.jpg" % rank,), 1 - rank / 10, (640, 480), box=(64, 48, 320, 144))
    return replace(hit, **changes)


def make_outline(count, *, seed=0, place=0, part=(0, 0, *WHOLE), size=WHOLE):
    """Points anywhere in a part of the query, and anywhere in the hit."""
    rng = np.random.default_rng(seed)
    low, high = np.array(part[:2]), np.array(part[2:])
    query = (low + rng.random((count, 2)) * (high - low)).astype(np.float32)
    picture = (rng.random((count, 2)) * size).astype(np.float32)
    corners = ((64.0, 48.0), (320.0, 48.0), (320.0, 144.0), (64.0, 144.0))
    points = MatchingPoints(query, picture)
    return Outline(corners, (64, 48, 320, 144), count, 30.0, 0.5, False, place, points)


def make_result(*hits, views=None, **changes):
    result = SearchResult(
        query=Query((QueryPicture(b"/queries/apple.jpg", (0, 120, 160, 480), (640, 480)),), CLASSES),
        collection="/collections/fruit",
        settings={"encoding": "cam:power=3", "size": "640", "region_reading": "crop", "layer": "head"},
        seconds=0.4123,
        searched=1234,
        hits=hits,
        query_views=(make_view(),),
        views=tuple(make_view() for _ in hits) if views is None else views,
    )
    return replace(result, **changes)
