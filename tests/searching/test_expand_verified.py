"""Expansion over verified hits, on a collection of textures of which some lie in several pictures."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from camseek import Engine, Plan
from camseek.errors import SettingsError
from camseek.matching.verdict import gain
from camseek.results import MatchEvidence
from camseek.searching import ExpandVerified, Joined, Verify
from camseek.store.words import FolderWords
from textures import png, texture

VERIFIED = Plan(Joined(), (Verify(20),))
EXPANDED = Plan.of(first="joined", verify=20, expand_verified=10)


def scene(thing, seed, place, side=(300, 260)):
    """Another texture with a thing in it, at a smaller size."""
    found = texture(seed, side)
    small = cv2.resize(thing, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    (x, y), (height, width) = place, small.shape[:2]
    found[y : y + height, x : x + width] = small
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory, model):
    pictures = {f"other{seed}": texture(100 + seed) for seed in range(20)}
    pictures |= {f"three{number}": scene(texture(3), 200 + number, (10 * number, 5)) for number in range(3)}
    pictures["one"] = scene(texture(4), 300, (20, 20))
    address = tmp_path_factory.mktemp("expanded") / "c"
    with Engine.open(address, model=model, create=True, workers=2) as opened:
        opened.add({name: png(pixels) for name, pixels in pictures.items()})
        yield opened


def stages(result):
    return [stage.name for stage in result.stages]


def points(hit):
    return [item.points for item in hit.evidence if isinstance(item, MatchEvidence)]


def test_verified_hits_join_the_query_and_what_is_new_is_verified(engine):
    before = engine.search(png(texture(3)), plan=VERIFIED, top=24)
    after = engine.search(png(texture(3)), plan=EXPANDED, top=24)
    assert stages(after) == ["joined", "verification", "verified expansion", "verification"]
    assert after.stages[2].pictures == 3
    assert {hit.path for hit in after.hits[:3]} == {f"camseek:three{number}" for number in range(3)}
    known = {hit.path: hit for hit in before.hits}
    again = 0
    for hit in after.hits:
        if not points(hit):
            continue
        old = known[hit.path]
        if points(old):
            # What was verified is not looked at again, and told as it was.
            assert points(hit) == [points(old)[0]] * (2 if hit.rank <= 20 else 1)
            assert (hit.outlines, hit.verdict) == (old.outlines, old.verdict)
        else:
            again += 1
        if hit.rank > 20:
            continue
        last, expanded = hit.evidence[-1], hit.evidence[-2]
        assert expanded.stage == "verified expansion"
        assert hit.score == last.score == pytest.approx(expanded.score + gain(last.points))
    assert again == after.stages[3].pictures
    assert all(one.score >= two.score for one, two in pairwise(after.hits[:20]))


def test_a_verified_hit_that_looks_less_like_the_larger_query_is_not_lost(engine):
    """Its points are counted wherever the larger query ranks it."""
    plan = Plan(Joined(), (Verify(20), ExpandVerified(10), Verify(1)))
    found = engine.search(png(texture(3)), plan=plan, top=24)
    assert {hit.path for hit in found.hits[:3]} == {f"camseek:three{number}" for number in range(3)}
    assert [len(points(hit)) for hit in found.hits[:3]] == [2, 2, 2]


def test_one_verified_hit_is_not_several(engine):
    plain = engine.search(png(texture(4)), plan=VERIFIED, top=10)
    expanded = engine.search(png(texture(4)), plan=EXPANDED, top=10)
    assert stages(expanded) == ["joined", "verification"]
    assert [hit.to_json() for hit in expanded.hits] == [hit.to_json() for hit in plain.hits]


def test_the_querys_own_picture_is_no_verified_hit(engine):
    """Else every query of the collection would have one more."""
    own = png(scene(texture(4), 300, (20, 20)))
    result = engine.search(own, plan=EXPANDED, top=10)
    assert result.hits[0].path == "camseek:one"
    assert stages(result) == ["joined", "verification"]


def test_hits_that_lie_in_their_outlines_alone_give_words(engine):
    result = engine.search(png(texture(3)), plan=EXPANDED, top=5)
    assert all(hit.verdict.word == "present" for hit in result.hits[:3])
    for hit in result.hits[:3]:
        (x1, y1), (x2, _), (_, y2), _ = hit.outlines[0].corners
        assert 0.5 < (x2 - x1) / texture(3).shape[1] < 0.7
        assert 0.5 < (y2 - y1) / texture(3).shape[0] < 0.7


def test_the_querys_words_are_compared_once(engine, monkeypatch):
    """Those of the hits join them; in a large collection each comparison takes a while."""
    asked = []
    scores = FolderWords.scores

    def told(words, query, **more):
        asked.append(query)
        return scores(words, query, **more)

    monkeypatch.setattr(FolderWords, "scores", told)
    result = engine.search(png(texture(3)), plan=EXPANDED, top=5)
    assert stages(result)[2] == "verified expansion"
    assert len(asked) == len({id(query) for query in asked}) == 1 + result.stages[2].pictures


def test_settings_that_cannot_be():
    with pytest.raises(SettingsError, match="2 or more"):
        ExpandVerified(1)
    with pytest.raises(TypeError):
        ExpandVerified(2.5)
    for options in (
        {"verify": 0},
        {"first": "words", "verify": 5},
        {"first": "joined", "verify": 5, "aggregation": "online"},
        {"first": "joined", "verify": 5, "expand_verified": -1},
    ):
        with pytest.raises(SettingsError):
            Plan.of(**{"first": "joined", "expand_verified": 5} | options)
    assert np.array_equal(Plan.of(first="joined", verify=5).then, [Verify(5)])
