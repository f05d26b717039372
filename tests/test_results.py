import json

import jaxtyping
import numpy as np
import pytest

from camseek.results import MatchingPoints, Outline


def points(count, seed=0):
    return np.random.default_rng(seed).random((count, 2), np.float32) * 1000


def outline(**changes):
    corners = ((1.0, 2.0), (11.0, 2.0), (11.0, 12.0), (1.0, 12.0))
    made = {
        "corners": corners,
        "box": (1, 2, 11, 12),
        "points": 3,
        "turn": 0.0,
        "scale": 1.0,
        "mirrored": False,
        "query_picture": 0,
        "matching_points": MatchingPoints(points(3), points(3, 1)),
    }
    return Outline(**(made | changes))


def test_matching_points_are_equal_where_all_of_them_are():
    one = MatchingPoints(points(5), points(5, 1))
    assert one == MatchingPoints(points(5), points(5, 1))
    assert hash(one) == hash(MatchingPoints(points(5), points(5, 1)))
    assert one != MatchingPoints(points(5), points(5, 2))
    assert one != MatchingPoints(points(4), points(4, 1))
    assert one != "five points"
    assert (len(one), repr(one)) == (5, "<5 matching points>")
    assert outline() == outline()
    assert len({outline(), outline(), outline(matching_points=one)}) == 2


def test_matching_points_that_do_not_match():
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=r"points|N 2"):
        MatchingPoints(points(3), points(2))
    zero = np.zeros((1, 2), np.float32)
    assert hash(MatchingPoints(zero, zero)) == hash(MatchingPoints(-zero, zero))


def test_matching_points_change_with_nothing():
    given = points(5)
    told = MatchingPoints(given, points(5, 1))
    given[0] = -1
    assert told.query[0, 0] >= 0
    with pytest.raises(ValueError, match="read-only"):
        told.query[0] = 0


def test_matching_points_are_in_json_when_they_are_asked_for():
    pairs = MatchingPoints(
        np.array([[1.234, 2], [3, 4]], np.float32), np.array([[5, 6.789], [7, 8]], np.float32)
    )
    told = outline(matching_points=pairs, query_picture=1)
    plain = json.loads(json.dumps(told.to_json(), allow_nan=False))
    assert plain["query_picture"] == 1
    with_points = json.loads(json.dumps(told.to_json(points=True), allow_nan=False))
    assert with_points == plain | {"matching_points": [[1.23, 2, 5, 6.79], [3, 4, 7, 8]]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "of the same size"),
        ({"turn": 30.2, "scale": 0.8}, "turned by 30 degrees, 0.8 times as large"),
        ({"turn": -0.9, "scale": 1.04, "mirrored": True}, "of the same size, mirrored"),
        ({"scale": 1.06}, "1.1 times as large"),
    ],
)
def test_an_outline_in_words(changes, said):
    assert str(outline(**changes)) == said
