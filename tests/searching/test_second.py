"""The second step of verification: what fine points decide where words cannot."""

import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest

from camseek import Engine, Plan, QueryPart
from camseek.matching.fine import CHANCE as FINE_CHANCE
from camseek.matching.fine import Turn
from camseek.matching.geometry import CHANCE
from camseek.matching.verdict import gain, judge
from camseek.results import MOST_POINTS
from camseek.searching import Joined, Verify, Words
from camseek.searching.stages import second, verify
from camseek.store import FINE_TRACE
from textures import png, texture

SIZE = (480, 400)
COUNT = 6
VERIFIED = Plan(Joined(), (Verify(COUNT + 2),))


def soft(pixels):
    """Too much is lost for SIFT."""
    return cv2.GaussianBlur(pixels, (0, 0), 10)


@pytest.fixture(scope="module")
def opened(tmp_path_factory, model):
    """Six textures, and one of them again, soft; and turned to the right as well."""
    one = texture(4, SIZE)
    pictures = {f"{seed}": png(texture(seed, SIZE)) for seed in range(COUNT)}
    pictures |= {"soft": png(soft(one)), "turned": png(soft(np.ascontiguousarray(np.rot90(one, -1))))}
    place = tmp_path_factory.mktemp("second") / "c"
    with Engine.open(place, model=model, create=True, workers=2) as engine:
        engine.add(pictures)
        yield engine, pictures


def by_name(result):
    return {hit.path.removeprefix("camseek:"): hit for hit in result.hits}


def test_it_decides_what_words_leave_open(opened):
    engine, pictures = opened
    result = engine.search(pictures["4"], plan=VERIFIED)
    assert result.stages[-1].details == {"kept": 0, "second": COUNT + 1}
    hits = by_name(result)
    assert {hit.path.removeprefix("camseek:") for hit in result.hits[:3]} == {"4", "soft", "turned"}
    width, height = SIZE
    expected = {
        "soft": (0, [(0, 0), (width, 0), (width, height), (0, height)]),
        "turned": (90, [(height, 0), (height, width), (0, width), (0, 0)]),
    }
    for name, (turn, corners) in expected.items():
        hit, said = hits[name], {item.stage: item for item in hits[name].evidence}
        found = said["verification"]
        assert found.points <= CHANCE
        assert found.fine > FINE_CHANCE + 20
        assert found.score == hit.score == pytest.approx(said["joined"].score + gain(0, found.fine))
        assert hit.verdict.reason == f"{found.fine} fine points agree"
        assert hit.verdict == judge(found.points, None, COUNT + 2, found.fine)
        [outline] = hit.outlines
        assert outline.points == found.fine
        assert outline.turn == pytest.approx(turn, abs=1)
        np.testing.assert_allclose(outline.corners, corners, atol=5)
        assert len(outline.matching_points) >= min(outline.points, MOST_POINTS)
        plane = cv2.getPerspectiveTransform(
            np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32),
            np.array(corners, np.float32),
        )
        points = outline.matching_points
        moved = cv2.perspectiveTransform(points.query[None].astype(np.float64), plane)[0]
        assert np.hypot(*(moved - points.picture).T).max() < 8
        assert json.loads(json.dumps(hit.to_json()))["evidence"][-1]["fine"] == found.fine
    assert hits["4"].evidence[-1].fine is None  # words decided it
    for name in set(hits) - {"4", "soft", "turned"}:
        assert (hits[name].evidence[-1].fine, hits[name].outlines) == (0, ())
        assert hits[name].verdict.word == "not shown"


def test_a_region_is_outlined_by_its_own_corners(opened):
    engine, pictures = opened
    x1, y1, x2, y2 = region = (60, 40, 400, 360)
    hits = by_name(engine.search(pictures["4"], region=region, plan=VERIFIED))
    [outline] = hits["soft"].outlines
    np.testing.assert_allclose(outline.corners, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], atol=12)


def test_several_pictures_of_one_thing(opened):
    """The one that agrees most decides."""
    engine, pictures = opened
    parts = [QueryPart(pictures["1"]), QueryPart(pictures["4"])]
    alone = by_name(engine.search(pictures["4"], plan=VERIFIED))
    hits = by_name(engine.search(parts, together=True, plan=VERIFIED))
    for name in ("soft", "turned"):
        assert hits[name].evidence[-1].fine == alone[name].evidence[-1].fine
        for one, other in zip(hits[name].outlines, alone[name].outlines, strict=True):
            assert (one.query_picture, other.query_picture) == (1, 0)
            assert replace(one, query_picture=0) == other


def test_the_same_answer_every_time_whatever_the_threads(opened, model):
    engine, pictures = opened
    told = [engine.search(pictures["4"], plan=VERIFIED).to_json(points=True)["hits"] for _ in range(2)]
    with Engine.open(engine.collection.address, model=model, workers=1) as other:
        told.append(other.search(pictures["4"], plan=VERIFIED).to_json(points=True)["hits"])
    assert told[0] == told[1] == told[2]


def test_no_more_candidates_than_it_may_take(opened, monkeypatch):
    engine, pictures = opened
    monkeypatch.setattr(verify, "SECOND", 2)
    result = engine.search(pictures["4"], plan=VERIFIED)
    assert result.stages[-1].details["second"] == 2
    asked = [hit for hit in result.hits if hit.evidence[-1].fine is not None]
    before = [hit.path for hit in engine.search(pictures["4"], plan=Plan(Joined())).hits]
    assert sorted(before.index(hit.path) for hit in asked) == [1, 2]


def test_words_alone_ask_for_none(opened):
    assert not Plan(Words()).needs_fine
    assert VERIFIED.needs_fine


def test_the_turns_that_are_tried():
    said = [Turn(90, 0.5), Turn(90, 0.9), Turn(30, 0.7), Turn(180, 0.8), Turn(60, 0.1), Turn(0, 1.0)]
    assert second._turns(said) == (0, 90, 180)
    assert second._turns([Turn(60, 0.1)]) == second._turns([]) == (0,)


@pytest.mark.parametrize("damage", [b"", b"cfp1", bytes(40), "axes"])
def test_damaged_fine_points_leave_the_words_answer(tmp_path, model, damage):
    place = tmp_path / "c"
    pictures = {"4": png(texture(4, SIZE)), "soft": png(soft(texture(4, SIZE)))}
    with Engine.open(place, model=model, create=True, workers=1) as engine:
        engine.add(pictures)
    with closing(sqlite3.connect(place / "collection.sqlite")) as database, database:
        if damage == "axes":
            [(data,)] = database.execute(
                "SELECT data FROM traces WHERE kind = ? AND picture = 2", (FINE_TRACE,)
            ).fetchall()
            damage = data[:4] + bytes(4) + data[8:]
        sql = "UPDATE traces SET data = ?, crc = ? WHERE kind = ? AND picture = 2"
        database.execute(sql, (damage, zlib.crc32(damage), FINE_TRACE))
    with Engine.open(place, model=model) as engine:
        result = engine.search(pictures["4"])
        assert result.stages[-1].details == {"kept": 0, "second": 0}
        hit = by_name(result)["soft"]
        assert (hit.evidence[-1].fine, hit.outlines, hit.kept) == (None, (), None)
        [fault] = engine.collection.catalogue.check()
        assert fault.startswith("the fine points of record 2 are damaged: ")


def test_what_it_adds():
    assert gain(CHANCE, FINE_CHANCE) == gain(0) == 0
    assert gain(0, FINE_CHANCE + 9) == gain(CHANCE + 9) == pytest.approx(2 * np.log(10))
    assert judge(0, 9.0, 1000, FINE_CHANCE).probability <= 0.5
    assert judge(0, 9.0, 1000, FINE_CHANCE + 200).same
    assert judge(3, 0.0, 1000, 0).reason == "3 points agree"
