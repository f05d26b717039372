"""Late interaction: cells of a query compared with stored sketches, on a collection."""

import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest

from camseek import Engine, Plan, QueryPart
from camseek.backbones import load_model
from camseek.config import PARTS
from camseek.encoding.likeness import likeness
from camseek.encoding.sketch import Sketch
from camseek.errors import SettingsError
from camseek.matching.verdict import gain
from camseek.results import CellEvidence, MatchEvidence
from camseek.searching import ExpandVerified, Joined, LateInteraction, Verify
from camseek.searching.stages import late_interaction
from camseek.store import SKETCH_TRACE
from textures import png, texture

COUNT = 8
CELLS = Plan(Joined(), (LateInteraction(COUNT),))
SIDE = (330, 250)


def shifted(seed, by):
    """The same texture, some of it out of sight, and another one in its place."""
    picture = texture(seed, SIDE).copy()
    picture[:, :by] = texture(500 + seed, SIDE)[:, :by]
    return picture


@pytest.fixture(scope="module")
def pictures():
    found = {f"{seed}": png(texture(seed, SIDE)) for seed in range(5)}
    found |= {f"3 shifted by {by}": png(shifted(3, by)) for by in (40, 90)}
    return found | {"flat": png(np.full((200, 300, 3), 90, np.uint8))}


@pytest.fixture(scope="module")
def engine(tmp_path_factory, model, pictures):
    with Engine.open(
        tmp_path_factory.mktemp("cells") / "c", model=model, settings="gem", create=True, workers=2
    ) as opened:
        opened.add(pictures)
        yield opened


def by_name(result):
    return {hit.path.removeprefix("camseek:"): hit for hit in result.hits}


def said(hit, kind):
    return [item for item in hit.evidence if isinstance(item, kind)]


def sketches_of(engine):
    traces = engine.collection.traces.get(SKETCH_TRACE, engine.collection.catalogue.records().tolist())
    return {record: Sketch.unpack(data) for record, data in traces.items()}


def test_likenesses_are_standardised_and_added(engine):
    query = png(texture(3, SIDE)[20:230, 30:310])
    before = by_name(engine.search(query, plan=Plan(Joined())))
    result = engine.search(query, plan=CELLS)
    assert [stage.name for stage in result.stages] == ["joined", "late interaction"]
    assert (result.stages[1].pictures, result.stages[1].details) == (COUNT, {"kept": 0})
    hits = by_name(result)
    alike = {name: said(hit, CellEvidence)[0].likeness for name, hit in hits.items()}
    values = np.array(list(alike.values()))
    for name, hit in hits.items():
        expected = before[name].score + 0.5 * (alike[name] - values.mean()) / values.std()
        assert hit.score == pytest.approx(expected, abs=1e-6), name
        assert hit.scored_by == "late interaction"
        assert hit.to_json()["evidence"][-1]["likeness"] == alike[name]
    assert max(alike, key=alike.get) == "3"
    assert alike["3"] > alike["3 shifted by 40"] > alike["3 shifted by 90"] > alike["4"]
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)


def test_they_are_of_the_sketches_that_are_stored(engine):
    sketcher = engine.model.require_sketcher()
    query = png(texture(2, SIDE))
    hits = engine.search(query, plan=CELLS).hits
    seen = engine._describers.single().extractor.extract(query, cells=True)
    sketches = sketches_of(engine)
    assert all(sketch.axes == sketcher.axes for sketch in sketches.values())
    expected = likeness(seen.looked, [sketches[hit.record] for hit in hits])
    np.testing.assert_allclose([hit.evidence[-1].likeness for hit in hits], expected, atol=1e-5)


def test_a_query_is_of_its_region_and_of_all_its_parts(engine):
    region = (100, 40, 320, 240)
    other = texture(61, SIDE)
    alike = [
        [hit.evidence[-1].likeness for hit in engine.search(query, plan=CELLS, together=True).hits]
        for query in (
            [QueryPart(png(other), region)],
            [png(np.ascontiguousarray(other[40:240, 100:320]))],
            [QueryPart(png(other), region), png(texture(3, SIDE))],
        )
    ]
    assert alike[0] == pytest.approx(alike[1], abs=1e-6)
    assert alike[2][0] > max(alike[0]) + 0.05


def test_the_querys_own_picture_is_no_measure_of_the_others(engine, pictures):
    result = engine.search(pictures["0"], plan=CELLS)
    without = by_name(engine.search(pictures["0"], plan=CELLS, without_self=True))
    for name, hit in by_name(result).items():
        assert name == "0" or without[name].score == pytest.approx(hit.score, abs=1e-6)
    assert (result.hits[0].path, len(without)) == ("camseek:0", COUNT - 1)


def test_the_verdict_is_of_the_joined_stages_whatever_comes_between(engine):
    """Its curve was fitted on their scores."""
    query = png(texture(3, SIDE)[10:240, 20:320])
    plain = by_name(engine.search(query, plan=Plan(Joined(), (Verify(COUNT),))))
    found = by_name(engine.search(query, plan=Plan(Joined(), (LateInteraction(3), Verify(COUNT)))))
    for name, hit in found.items():
        assert hit.verdict == plain[name].verdict, name
        before = [item.score for item in hit.evidence if item.stage in ("joined", "late interaction")]
        match = said(hit, MatchEvidence)[-1]
        assert hit.score == pytest.approx(before[-1] + gain(match.points, match.fine)), name
    assert len({hit.verdict for hit in found.values()}) > 1
    assert sum(len(said(hit, CellEvidence)) for hit in found.values()) == 3


def test_it_counts_once_and_again_after_an_expansion(engine, monkeypatch):
    cells, verified = LateInteraction(COUNT), Verify(COUNT)
    plan = Plan(Joined(), (cells, verified, ExpandVerified(10), cells, verified))
    alone = png(texture(77, SIDE))  # nothing joins it
    result = engine.search(alone, plan=plan)
    assert [stage.name for stage in result.stages] == ["joined", "late interaction", "verification"]
    assert [hit.score for hit in result.hits] == [
        hit.score for hit in engine.search(alone, plan=Plan(Joined(), (cells, verified))).hits
    ]
    result = engine.search(png(texture(3, SIDE)[10:240, 20:320]), plan=plan)
    compared = [stage.pictures for stage in result.stages if stage.name == "late interaction"]
    assert compared == [COUNT, 0]  # they are known
    for hit in result.hits:
        names = [item.stage for item in hit.evidence]
        place = names.index("verified expansion")
        ranked, again = hit.evidence[place], hit.evidence[place + 1]
        values = [said(other, CellEvidence)[-1].likeness for other in result.hits]
        own = (again.likeness - np.mean(values)) / np.std(values)
        assert again.score == pytest.approx(ranked.score + 0.5 * own, abs=1e-6)
        match = said(hit, MatchEvidence)[-1]
        assert hit.score == pytest.approx(again.score + gain(match.points, match.fine))


def test_the_same_answer_whatever_the_threads(engine, model, pictures, monkeypatch):
    monkeypatch.setattr(late_interaction, "_TOGETHER", 2)
    found = engine.search(pictures["2"], plan=CELLS)
    with Engine.open(engine.collection.address, model=model, workers=1) as other:
        again = other.search(pictures["2"], plan=CELLS)
    assert [(hit.path, hit.score) for hit in found.hits] == [(hit.path, hit.score) for hit in again.hits]


def test_the_others_keep_their_places_behind_the_first(engine, pictures):
    before = [hit.path for hit in engine.search(pictures["2"], plan=Plan(Joined())).hits]
    after = engine.search(pictures["2"], plan=Plan(Joined(), (LateInteraction(3),))).hits
    assert {hit.path for hit in after[:3]} == set(before[:3])
    assert [hit.path for hit in after[3:]] == before[3:]
    assert {hit.scored_by for hit in after[3:]} == {"joined"}
    one = engine.search(pictures["2"], plan=Plan(Joined(), (LateInteraction(1),))).hits
    assert [hit.path for hit in one] == before  # one picture has no deviation


@pytest.mark.parametrize("damage", [bytes(40), "axes"])
def test_damaged_sketches_keep_their_places(tmp_path, model, pictures, damage):
    with Engine.open(tmp_path / "c", model=model, settings="gem", create=True, workers=1) as engine:
        engine.add({name: pictures[name] for name in ("1", "2", "3")})
    with closing(sqlite3.connect(tmp_path / "c" / "collection.sqlite")) as database, database:
        if damage == "axes":
            sql = "SELECT data FROM traces WHERE kind = ? AND picture = 2"
            [(data,)] = database.execute(sql, (SKETCH_TRACE,)).fetchall()
            damage = data[:9] + bytes(4) + data[13:]
        sql = "UPDATE traces SET data = ?, crc = ? WHERE kind = ? AND picture = 2"
        database.execute(sql, (damage, zlib.crc32(damage), SKETCH_TRACE))
    with Engine.open(tmp_path / "c", model=model) as engine:
        result = engine.search(pictures["1"], plan=CELLS)
        assert result.stages[-1].details == {"kept": 1}
        [lost] = [hit for hit in result.hits if not said(hit, CellEvidence)]
        assert (lost.record, lost.scored_by, lost.kept) == (2, "joined", None)
        assert engine.search(pictures["1"]).hits[0].verdict.same
        faults = list(engine.collection.catalogue.check())
        assert [fault.partition(": ")[0] for fault in faults] == (
            [] if len(damage) > 100 else ["the cells of record 2 are damaged"]
        )


def test_a_collection_without_sketches_and_a_model_without_axes(tmp_path, model, pictures):
    with Engine.open(tmp_path / "c", model=model, settings="gem", create=True, without=["sketch"]) as engine:
        engine.add({"1": pictures["1"]})
        assert engine.collection.profile.keeps == ("points", "fine")
        assert [stage.name for stage in engine.search(pictures["1"]).stages] == ["joined", "verification"]
        with pytest.raises(SettingsError, match="keeps no sketches of its pictures to compare") as error:
            engine.search(pictures["1"], plan=CELLS)
        assert "camseek enrich" in error.value.remedy
    other = load_model(layer="expand16", threads=1)
    settings = {"encoding": "gem", "layer": "expand16"}
    with Engine.open(tmp_path / "other", model=other, settings=settings, create=True, workers=1) as engine:
        engine.add({"1": pictures["1"]})
        assert engine.collection.profile.keeps == engine.enrich().keeps == ("points", "fine")
        assert len(engine.search(pictures["1"]).hits) == 1
        with pytest.raises(SettingsError, match="no axes of sketches for the layer expand16"):
            engine.search(pictures["1"], plan=CELLS)
        # Whoever made the collection said that it keeps what it cannot have.
        with engine.collection.write("test") as writer:
            writer.keep(PARTS)
        engine.add({"2": pictures["2"]})
        with pytest.raises(SettingsError, match="no axes of sketches") as error:
            engine.search(pictures["1"])
        assert "--late-interaction 0" in error.value.remedy
        assert engine.enrich().keeps == ("points", "fine")
        assert len(engine.search(pictures["1"]).hits) == 2


def test_pictures_that_are_alike_to_the_last_digits_do_not_stand_out(tmp_path, model, pictures):
    pixels = cv2.cvtColor(texture(3, SIDE), cv2.COLOR_RGB2BGR)
    copies = {kind: cv2.imencode(f".{kind}", pixels)[1].tobytes() for kind in ("png", "bmp")}
    with Engine.open(tmp_path / "c", model=model, settings="gem", create=True, workers=1) as engine:
        engine.add(copies)
        before = {hit.record: hit.score for hit in engine.search(pictures["1"], plan=Plan(Joined())).hits}
        for hit in engine.search(pictures["1"], plan=CELLS).hits:
            assert hit.score == pytest.approx(before[hit.record], abs=1e-3)
        # The query's own picture alone is no measure of anything.
        engine.remove(["camseek:bmp"])
        [hit] = engine.search(copies["png"], plan=CELLS).hits
        assert np.isfinite(hit.score)
        assert said(hit, CellEvidence)[0].likeness > 0.85


def test_settings_that_cannot_be():
    with pytest.raises(SettingsError, match="cell by cell is 1 or more"):
        LateInteraction(0)
    with pytest.raises(TypeError):
        LateInteraction(1.5)
    with pytest.raises(SettingsError, match="0 or more"):
        Plan.of(first="joined", late_interaction=-1)
    for options in ({}, {"first": "words"}, {"first": "joined", "aggregation": "online"}):
        with pytest.raises(SettingsError, match="adds to the scores of both first stages"):
            Plan.of(**options, late_interaction=5)
    assert LateInteraction().to_json() == {"stage": "LateInteraction", "count": 300}


def test_the_usual_plan_has_it_where_sketches_are_kept():
    cells, verified = LateInteraction(300), Verify(100)
    wanted = Plan(Joined(), (cells, verified, ExpandVerified(10), cells, verified))
    assert Plan.usual(("points", "sketch")) == wanted
    assert wanted.needs_sketches
    assert not Plan.usual(("points", "fine")).needs_sketches
    assert Plan.usual(("sketch",)) == Plan()
    assert replace(cells, count=4) in wanted.changed(LateInteraction, count=4).then
