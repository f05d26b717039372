"""From where on hits look no better than chance."""

import io

import numpy as np
import pytest
from PIL import Image

from camseek import Engine, Plan
from camseek.searching.chance import SMALLEST, chance
from camseek.store import MemoryVectors, Ranking


def ranked(scores):
    """A ranking of pictures with these scores, by the store."""
    scores = np.array(scores)
    vectors = np.stack([scores, np.sqrt(1 - scores**2)], axis=1).astype(np.float32)
    stored = MemoryVectors(np.arange(1, len(scores) + 1), vectors)
    return stored.nearest(np.array([[1, 0]], np.float32), 5)[0]


def test_a_hit_stands_out_where_it_goes_far_from_the_others():
    told = chance(ranked([0.9, *np.linspace(0.5, 0.1, 99)]))
    assert told is not None
    # Of 100 pictures the 20th: the 19th of those that are evenly spread.
    assert told.others == pytest.approx(0.5 - 18 * 0.4 / 98, abs=0.001)
    assert told.score == pytest.approx(told.others + 0.45 * (1 - told.others))
    assert told.pictures == 100


def test_of_few_pictures_nothing_is_told():
    assert chance(ranked(np.linspace(0.9, 0.1, SMALLEST - 1))) is None
    assert chance(ranked(np.linspace(0.9, 0.1, SMALLEST))) is not None


def test_where_nobody_counted_nothing_is_told():
    assert chance(Ranking(np.arange(3), np.ones(3), 100)) is None


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """110 pictures of noise, and a query whose own picture is among them."""
    generator = np.random.default_rng(0)
    pictures = {}
    for number in range(110):
        patches = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(patches).resize((64, 48), Image.Resampling.BICUBIC).save(file, "PNG")
        pictures[f"{number}"] = file.getvalue()
    with Engine.open(
        tmp_path_factory.mktemp("chance") / "c", settings={"size": 64}, create=True, without=("points",)
    ) as opened:
        opened.add(pictures)
        yield opened, pictures


def test_hits_say_it(engine):
    opened, pictures = engine
    found = opened.search(pictures["3"], top=110)
    assert found.chance is not None
    assert found.chance.pictures == 110
    assert [hit.stands_out for hit in found] == [hit.score >= found.chance.score for hit in found]
    assert found.hits[0].stands_out
    assert not found.hits[-1].stands_out
    told = found.to_json()
    assert told["chance"]["pictures"] == 110
    assert told["hits"][0]["stands_out"] is True
    assert found.rows()[-1]["stands_out"] is False


def test_queries_beside_each_other_are_told_the_same(engine):
    opened, pictures = engine
    for options in ({}, {"without_self": True}):
        queries = [pictures["3"], pictures["7"]]
        for query, found in zip(queries, opened.search_many(queries, **options), strict=True):
            alone = opened.search(query, **options)
            assert found.chance.pictures == alone.chance.pictures
            assert found.chance.score == pytest.approx(alone.chance.score, abs=0.002)


def test_other_plans_say_nothing(engine):
    opened, pictures = engine
    found = opened.search(pictures["3"], plan=Plan.of(expand=2))
    assert found.chance is None
    assert {hit.stands_out for hit in found} == {None}
    assert found.to_json()["chance"] is None
