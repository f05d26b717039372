"""The first stages of words, and of both; verification, outlines and verdicts, on a collection."""

import io
import json
import math
import threading

import cv2
import numpy as np
import pytest
from PIL import Image

from camseek import Engine, Plan, QueryPart
from camseek.errors import SettingsError
from camseek.matching.codebook import embedded_codebook
from camseek.matching.features import extract_features
from camseek.matching.geometry import CHANCE, Match
from camseek.matching.verdict import FEW, NOT_SHOWN, PRESENT, gain, judge, threshold
from camseek.results import MOST_POINTS, MatchingPoints
from camseek.searching import ExpandVerified, Joined, Nearest, Verify, Words
from camseek.searching.stages import verify
from camseek.searching.stages.second import Shown
from camseek.store import Ranking
from textures import SIZE, png, texture

COUNT = 8
VERIFIED = Plan(Joined(), (Verify(COUNT),))


def placed(thing, homography, seed=900, size=(480, 400)):
    """A picture of another texture in which a thing lies, and where its corners are."""
    scene = texture(seed, size)
    warped = cv2.warpPerspective(thing, homography, size)
    mask = cv2.warpPerspective(np.full(thing.shape[:2], 255, np.uint8), homography, size)
    scene[mask > 127] = warped[mask > 127]
    height, width = thing.shape[:2]
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    return scene, cv2.perspectiveTransform(corners, homography)[0]


def turned(degrees, scale, shift):
    turn = np.deg2rad(degrees)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.vstack([np.column_stack([rotation, shift]), [0, 0, 1]])


WARP = turned(30, 0.8, (180, 20)) + np.array([[0, 0, 0], [0, 0, 0], [1e-4, 2e-4, 0]])


@pytest.fixture(scope="module")
def opened(tmp_path_factory, model):
    """Eight textures, one of them again in a scene, and a flat picture."""
    place = tmp_path_factory.mktemp("verified")
    scene, corners = placed(texture(3), WARP)
    pictures = {f"{seed}": png(texture(seed)) for seed in range(COUNT)}
    pictures |= {"scene": png(scene), "flat": png(np.full((200, 300, 3), 90, np.uint8))}
    with Engine.open(place / "c", model=model, create=True, workers=2) as engine:
        engine.add(pictures)
        yield engine, pictures, corners


def by_name(result):
    return {hit.path.removeprefix("camseek:"): hit for hit in result.hits}


def test_the_thing_is_found_verified_and_outlined(opened):
    engine, pictures, corners = opened
    result = engine.search(pictures["3"])
    hits = by_name(result)
    assert [stage.name for stage in result.stages] == ["joined", "late interaction", "verification"]
    assert {hit.path.removeprefix("camseek:") for hit in result.hits[:2]} == {"3", "scene"}
    for name in ("3", "scene"):
        assert hits[name].verdict.word == "present", name
    outline = hits["scene"].outlines[0]
    np.testing.assert_allclose(outline.corners, corners, atol=2)
    assert hits["scene"].box == outline.box
    x1, y1, x2, y2 = outline.box
    assert 0 <= x1 < x2 <= 480
    assert 0 <= y1 < y2 <= 400
    assert abs(outline.turn - 30) < 6
    assert not outline.mirrored
    for name in set(hits) - {"3", "scene", "flat"}:
        assert hits[name].verdict.word == "not shown", name
        assert (hits[name].outlines, hits[name].box) == ((), None)


def apart(outline, corners, size=SIZE):
    """How far each matching point is from where the thing's corners say that it should be, pixels."""
    x1, y1, x2, y2 = (0, 0, *size)
    whole = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
    plane = cv2.getPerspectiveTransform(whole, np.array(corners, np.float32))
    points = outline.matching_points
    moved = cv2.perspectiveTransform(points.query[None].astype(np.float64), plane)[0]
    return np.hypot(*(moved - points.picture).T)


def test_matching_points_lie_where_the_thing_does(opened):
    engine, pictures, corners = opened
    hits = by_name(engine.search(pictures["3"]))
    [outline] = hits["scene"].outlines
    points = outline.matching_points
    assert outline.query_picture == 0
    assert MOST_POINTS >= len(points) >= outline.points > CHANCE
    distances = apart(outline, corners)
    assert distances.max() < 0.008 * 480 + 2
    assert np.median(distances) < 1
    assert (points.query >= 0).all()
    assert (points.query <= SIZE).all()
    # Those of the picture itself lie on themselves.
    [same] = hits["3"].outlines
    assert np.abs(same.matching_points.query - same.matching_points.picture).max() < 2.6
    told = json.loads(json.dumps(hits["scene"].to_json(points=True)))
    np.testing.assert_allclose(
        told["outlines"][0]["matching_points"], np.hstack([points.query, points.picture]), atol=0.0051
    )
    assert "matching_points" not in told["evidence"][-1]["outlines"][0]
    assert "matching_points" not in hits["scene"].to_json()["outlines"][0]


def test_each_place_has_its_own_matching_points(tmp_path, model):
    """Two copies in one picture, one of them turned."""
    thing = texture(5)
    scene, first = placed(thing, turned(0, 0.7, (10, 10)), size=(640, 480))
    homography = turned(180, 0.7, (620, 460))
    warped = cv2.warpPerspective(thing, homography, (640, 480))
    mask = cv2.warpPerspective(np.full(thing.shape[:2], 255, np.uint8), homography, (640, 480))
    scene[mask > 127] = warped[mask > 127]
    second = cv2.perspectiveTransform(
        np.array([[[0, 0], [320, 0], [320, 240], [0, 240]]], np.float64), homography
    )[0]
    with Engine.open(tmp_path / "c", model=model, create=True, workers=1) as engine:
        engine.add({"scene": png(scene), "other": png(texture(6))})
        outlines = by_name(engine.search(png(thing)))["scene"].outlines
    assert len(outlines) == 2
    for corners in (first, second):
        assert min(float(apart(outline, corners).max()) for outline in outlines) < 0.008 * 640 + 2


def test_no_more_matching_points_than_are_told():
    count = MOST_POINTS + 20
    points = np.random.default_rng(0).random((count, 2)) * 1000
    match = Match(
        count, np.arange(count), points, points + 1, np.eye(3), np.eye(4)[:, :2], SIZE * 2, 0.0, 1.0, False
    )
    [outline] = verify._outlines(Shown(2, (match,)), CHANCE)
    assert outline.query_picture == 2
    assert outline.matching_points == MatchingPoints(
        points[:MOST_POINTS].astype(np.float32), (points[:MOST_POINTS] + 1).astype(np.float32)
    )


def test_a_mirrored_copy_of_which_a_part_is_symmetric(tmp_path, model):
    """That part agrees as if nothing were mirrored, all of it by more points as what it is."""
    width, height = SIZE
    pixels = texture(900, SIZE)
    band = texture(901, (width // 2, height // 4))
    pixels[: height // 4] = np.concatenate([band, band[:, ::-1]], axis=1)
    with Engine.open(tmp_path / "c", model=model, create=True, workers=2) as engine:
        engine.add({"symmetric": png(pixels), "other": png(texture(902, SIZE))})
        [hit] = engine.search(png(np.ascontiguousarray(pixels[:, ::-1])), top=1).hits
    assert hit.path == "camseek:symmetric"
    [outline] = hit.outlines
    assert outline.mirrored
    np.testing.assert_allclose(outline.corners, [(width, 0), (0, 0), (0, height), (width, height)], atol=3)


def test_a_mirrored_copy_is_found_and_said_to_be_one(opened):
    engine, pictures, _ = opened
    mirrored = np.asarray(Image.open(io.BytesIO(pictures["4"])))[:, ::-1]
    hit = by_name(engine.search(png(np.ascontiguousarray(mirrored))))["4"]
    assert hit.verdict.word == "present"
    outline = hit.outlines[0]
    assert outline.mirrored
    width, height = SIZE
    np.testing.assert_allclose(outline.corners, [(width, 0), (0, 0), (0, height), (width, height)], atol=2)
    assert "mirrored" in str(outline)
    # In the pixels of the picture that was given, not of its reflection.
    points = outline.matching_points
    assert np.abs(points.query * (-1, 1) + (width, 0) - points.picture).max() < 5


def test_a_region_is_outlined_by_its_own_corners(opened):
    engine, pictures, corners = opened
    region = (60, 40, 260, 200)
    hits = by_name(engine.search(pictures["3"], region=region))
    outline = hits["3"].outlines[0].corners
    x1, y1, x2, y2 = region
    np.testing.assert_allclose(outline, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], atol=1)
    assert hits["3"].verdict.same
    assert hits["scene"].rank == 2
    # In pixels of the whole picture, not of the region's.
    points = hits["scene"].outlines[0].matching_points.query
    assert (points >= (x1, y1)).all()
    assert (points <= (x2, y2)).all()
    assert apart(hits["scene"].outlines[0], corners).max() < 0.008 * 480 + 2


def test_evidence_says_what_each_stage_said(opened):
    engine, pictures, _ = opened
    hit = by_name(engine.search(pictures["3"]))["scene"]
    said = {item.stage: item for item in hit.evidence}
    assert list(said) == ["ranking", "words", "joined", "late interaction", "verification"]
    assert said["verification"].score == hit.score
    assert hit.score == pytest.approx(said["late interaction"].score + gain(said["verification"].points))
    words = by_name(engine.search(pictures["3"], plan=Plan(Words())))["scene"]
    assert said["words"].score == pytest.approx(words.score)
    plain = by_name(engine.search(pictures["3"], plan=Plan()))["scene"]
    assert said["ranking"].score == pytest.approx(plain.score)
    told = json.loads(json.dumps(hit.to_json(), allow_nan=False))
    assert told["outlines"][0]["points"] == said["verification"].points
    assert told["verdict"]["verdict"] == "present"
    assert told["evidence"][-1]["outlines"] == told["outlines"]
    assert hit.to_row()["verdict"] == "present"


def test_joined_is_standardised_weighted_and_summed(opened):
    """By the definition, in plain loops, from what each stage gives alone."""
    engine, pictures, _ = opened
    plans = {"near": Plan(), "words": Plan(Words()), "joined": Plan(Joined())}
    found = {name: by_name(engine.search(pictures["2"], plan=plan)) for name, plan in plans.items()}
    parts = []
    for name, count, form in (("near", 1.0, float), ("words", 0.25, lambda shared: math.log(shared + 1e-4))):
        scores = {key: form(hit.score) for key, hit in found[name].items()}
        # The query's own picture, which is in the collection, is no measure of the others.
        others = [score for key, score in scores.items() if key != "2"]
        mean = sum(others) / len(others)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in others) / len(others))
        standard = {key: (value - mean) / deviation for key, value in scores.items()}
        best = (max(others) - mean) / deviation
        parts.append((standard, count * best**2 / (2 * math.log(len(others)))))
    total = sum(weight for _, weight in parts)
    for key, hit in found["joined"].items():
        expected = sum(2 * weight / total * standard.get(key, 0.0) for standard, weight in parts)
        # The descriptors' mean and deviation are of scores counted in steps of a thousandth.
        assert hit.score == pytest.approx(expected, abs=0.1 if key == "2" else 0.02), key
    without = by_name(engine.search(pictures["2"], plan=plans["joined"], without_self=True))
    assert set(without) == set(found["joined"]) - {"2"}
    for key, hit in without.items():
        assert hit.score == pytest.approx(found["joined"][key].score, abs=1e-9), key


def test_fewer_false_alarms_need_a_surer_hit(opened):
    engine, pictures, _ = opened
    words = {}
    for share in (None, 0.1, 0.01):
        plan = Plan(Joined(), (Verify(COUNT, share),))
        hits = by_name(engine.search(pictures["3"], plan=plan))
        words[share] = [hit.verdict.word for hit in (hits["3"], hits["scene"])]
        probability = hits["scene"].verdict.probability
        assert (words[share][1] == "present") == (probability >= Verify(1, share).present)
    assert words[None] == words[0.1] == ["present", "present"]
    assert words[0.01][1:] == ["unsure"]
    assert threshold(1.0) == threshold(0.1) <= threshold(0.05) < threshold(0.02) < threshold(0.01)
    for share in (0.009, 0.0, -1.0, 1.1, math.nan):
        with pytest.raises(SettingsError, match="false alarms"):
            Verify(10, share)
    with pytest.raises(SettingsError, match="false alarms"):
        Plan.of(false_alarms=0.1)


@pytest.mark.parametrize("first", [Joined(), Words(), Nearest()])
def test_the_same_answer_every_time_whatever_the_threads(opened, model, first):
    engine, pictures, _ = opened
    plan = Plan(first, (Verify(5),))
    told = [engine.search(pictures["3"], plan=plan).to_json(points=True)["hits"] for _ in range(2)]
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        with Engine.open(engine.collection.address, model=model, workers=1) as other:
            told.append(other.search(pictures["3"], plan=plan).to_json(points=True)["hits"])
    finally:
        cv2.setNumThreads(before)
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("plan", [Plan.of(verify=10), Plan.of(first="words", verify=10)])
def test_a_verdict_of_other_first_stages_is_of_points_alone(opened, plan):
    """Their scores are no standard deviations."""
    engine, pictures, _ = opened
    hits = by_name(engine.search(pictures["3"], plan=plan))
    points = {name: hit.evidence[-1].points for name, hit in hits.items()}
    for name in ("3", "scene"):
        assert hits[name].verdict == judge(points[name], None, 10)
        assert hits[name].verdict.same


def test_expansion_of_pictures_that_words_alone_found(tmp_path, model, featureless):
    """A featureless picture has nothing to sum, and its words may be found."""
    with Engine.open(tmp_path / "c", model=model, create=True) as engine:
        engine.add({"0": png(texture(0)), "1": png(texture(1)), "grey": featureless})
        for first in ("words", "joined"):
            found = engine.search(png(texture(0)), plan=Plan.of(first=first, expand=3))
            assert found.hits[0].path == "camseek:0"


def test_words_within_a_snapshot_beside_others(opened):
    engine, pictures, _ = opened
    query = query_words_of(pictures["2"])
    told = []

    def search():
        told.extend(engine.collection.words.scores(query)[1].sum() for _ in range(20))

    thread = threading.Thread(target=search)
    thread.start()
    for _ in range(20):
        with engine.collection.snapshot():
            told.append(engine.collection.words.scores(query)[1].sum())
    thread.join(30)
    assert not thread.is_alive()
    assert len(set(told)) == 1


def query_words_of(content):
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return embedded_codebook().query_words(extract_features(pixels, SIZE, 500))


def test_few_hits_are_the_first_of_many(opened):
    engine, pictures, _ = opened
    many = [hit.record for hit in engine.search(pictures["5"], top=10, plan=Plan(Joined())).hits]
    few = [hit.record for hit in engine.search(pictures["5"], top=3, plan=Plan(Joined())).hits]
    assert many[:3] == few


def test_those_that_are_not_verified_stay_behind(opened):
    engine, pictures, _ = opened
    all_of = engine.search(pictures["3"], plan=Plan(Joined()), top=10)
    first = engine.search(pictures["3"], plan=Plan(Joined(), (Verify(2),)), top=10)
    assert [hit.record for hit in first.hits[2:]] == [hit.record for hit in all_of.hits[2:]]
    assert [hit.verdict is None for hit in first.hits] == [False] * 2 + [True] * (len(first.hits) - 2)
    assert {hit.scored_by for hit in first.hits[2:]} == {"joined"}


def test_its_own_picture_is_left_out(opened):
    engine, pictures, _ = opened
    hits = by_name(engine.search(pictures["3"], without_self=True))
    assert "3" not in hits
    assert hits["scene"].rank == 1


def test_several_pictures_of_one_thing(opened):
    engine, pictures, corners = opened
    parts = [QueryPart(pictures["3"], (0, 0, 200, 200)), QueryPart(pictures["3"])]
    hit = by_name(engine.search(parts, together=True))["scene"]
    assert hit.verdict.same
    # The one that agrees most.
    assert hit.outlines[0].query_picture == 1
    assert apart(hit.outlines[0], corners).max() < 0.008 * 480 + 2


def test_many_queries_are_searches_of_each(opened):
    engine, pictures, _ = opened
    queries = [pictures["3"], pictures["flat"], pictures["6"]]
    for query, found in zip(queries, engine.search_many(queries), strict=True):
        assert found.to_json()["hits"] == engine.search(query).to_json()["hits"]


def test_a_query_without_points_is_found_by_its_descriptor(opened):
    engine, pictures, _ = opened
    result = engine.search(pictures["flat"])
    assert by_name(result)["flat"].rank == 1
    assert all((hit.outlines, hit.verdict) == ((), None) for hit in result.hits)


def test_of_a_picture_without_points_nothing_is_told(opened):
    engine, pictures, _ = opened
    hits = by_name(engine.search(pictures["3"]))
    assert hits["flat"].verdict is None
    assert {name for name, hit in hits.items() if hit.verdict is None} == {"flat"}


def test_pictures_come_and_go(tmp_path, model):
    with Engine.open(tmp_path / "c", model=model, create=True) as engine:
        engine.add({"0": png(texture(0))})
        alone = engine.search(png(texture(0)))
        assert [hit.verdict.word for hit in alone.hits] == ["present"]
        engine.add({"1": png(texture(1))})
        assert len(engine.search(png(texture(1))).hits) == 2
        engine.remove(["camseek:0"])
        assert [hit.path for hit in engine.search(png(texture(0))).hits] == ["camseek:1"]
        engine.remove(["camseek:1"])
        assert engine.search(png(texture(0))).hits == ()


def test_settings_that_cannot_be():
    for stage in (Joined, Verify):
        with pytest.raises(SettingsError):
            stage(0)
        with pytest.raises(TypeError):
            stage(1.5)
    with pytest.raises(SettingsError, match="no first stage"):
        Plan.of(first="word")
    with pytest.raises(SettingsError, match="0 or more"):
        Plan.of(verify=-1)


def test_the_usual_plan():
    assert Plan.usual(()) == Plan()
    verified = Verify(100)
    assert Plan.usual(("points",)) == Plan(Joined(), (verified, ExpandVerified(10), verified))


def test_a_verdict_knows_more_from_more():
    probabilities = [judge(points, 3.0, 1000).probability for points in range(200)]
    assert probabilities == sorted(probabilities)
    assert len(set(probabilities[: CHANCE + 1])) == 1  # as many agree by chance
    assert judge(0, 0.0, 10**6).word == "not shown"
    assert judge(150, 20.0, 10**6).word == "present"
    assert judge(150, 20.0, 1).word == "present"
    assert judge(150, 0.0, 1).word == "present"  # a collection of one picture has no deviation
    by_size = [judge(10, 6.0, 10**power).probability for power in range(7)]
    assert by_size[2:] == sorted(by_size[2:], reverse=True)
    # Looks alone never say that it is there, however far they stand out.
    assert judge(CHANCE, 1000.0, 100).word == "unsure"
    assert 0.5 < judge(0, 40.0, 10**6).probability < PRESENT
    assert judge(80, None, 10**6) == judge(80, 0.0, 1)
    assert judge(80, 0.0, FEW - 1) == judge(80, 9.0, 1)  # none can stand out among few
    for points in range(60):
        verdict = judge(points, 2.0, 500)
        assert 0 < verdict.probability < 1
        wanted = (
            True if verdict.probability >= PRESENT else False if verdict.probability < NOT_SHOWN else None
        )
        assert verdict.same is wanted


def test_moments_of_a_ranking():
    records, scores = np.arange(4), np.array([0.9, 0.5, 0.1, -0.5])
    mean, deviation = Ranking(records, scores, 4).moments()
    assert (mean, deviation) == pytest.approx((scores.mean(), scores.std()))
    spread = np.zeros(2000, np.int64)
    np.add.at(spread, np.floor((scores + 1) * 1000).astype(int), 1)
    assert Ranking(records[:1], scores[:1], 4, spread).moments() == pytest.approx((mean, deviation), abs=1e-3)
    assert Ranking(records[:0], scores[:0], 0).moments() == (0.0, 0.0)
    with pytest.raises(ValueError, match="not counted"):
        Ranking(records[:1], scores[:1], 4).moments()


class TestStages:
    def test_what_was_found_is_told_before_each_later_stage(self, opened):
        engine, pictures, _ = opened
        told = []
        plan = Plan(Joined(), (Verify(COUNT), ExpandVerified(4), Verify(COUNT)))
        found = engine.search(pictures["3"], plan=plan, top=4, staged=told.append)
        # There is too little to expand with: that stage does nothing, and says nothing.
        assert [len(item.stages) for item in told] == [1, 2, 2]
        assert all(len(item) == 4 for item in told)
        assert {hit.verdict for hit in told[0]} == {None}
        assert all(hit.verdict for hit in told[1])
        assert told[0].hits == engine.search(pictures["3"], plan=Plan(Joined()), top=4).hits
        assert found.hits == engine.search(pictures["3"], plan=plan, top=4).hits
        assert [item.seconds for item in told] == sorted(item.seconds for item in told)
