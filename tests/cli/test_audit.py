"""``camseek audit`` on a small data set in its official form."""

import pytest

SMALL = ("--size", "128", "--encoding", "cam:classes=8")


@pytest.fixture(scope="module")
def oxford(tmp_path_factory, miniatures):
    return f"oxford5k={miniatures.oxford(tmp_path_factory.mktemp('oxford'))}"


def test_json(oxford, text):
    said = text("audit", oxford, *SMALL, "--json")
    assert "--rerank 20 --expand 5, as neither was given" in said.err
    told = said.json
    regions, expand = told["protocol"]["plan"]["then"]
    # What is asked for where nobody says anything else.
    assert (regions["stage"], expand["stage"]) == ("MatchRegions", "Expand")
    assert (regions["count"], expand["count"], told["protocol"]["region_reading"]) == (20, 5, "cells")
    assert told["facts"]["queries in the database"].startswith("9 (9 by name")
    found = {item["name"]: item for item in told["variants"]}
    assert found["own picture"]["difference"] < 0
    assert found["means"]["reason"] == "the model takes RGB"
    assert found["box"]["against"] == "squeezed"
    for item in told["variants"]:
        if "mAP" in item:
            against = found.get(item["against"], told)["mAP"]
            assert item["difference"] == pytest.approx(item["mAP"] - against, abs=2e-6)


def test_people_read_the_same(oxford, text):
    told = text("audit", oxford, *SMALL, "--expand", "2")
    assert "as neither was given" not in told.err
    lines = told.out.splitlines()
    assert any(line.startswith("average precision  ") and line.endswith("trapezoid") for line in lines)
    assert any(line.startswith("base ") for line in lines)
    assert "4 thresholds: decides nothing here, nothing is re-ranked" in lines
    assert any("the expansion sums the results and the query" in line for line in lines)


def test_a_plain_search(oxford, text):
    """What is given counts, also where it is 0."""
    told = text("audit", oxford, *SMALL, "--rerank", "0", "--expand", "0", "--json")
    assert "as neither was given" not in told.err
    assert told.json["protocol"]["plan"]["then"] == []
    assert (told.json["facts"]["re-ranking"], told.json["facts"]["expansion"]) == ("none", "none")
    unmeasured = {item["name"]: item["reason"] for item in told.json["variants"] if "reason" in item}
    nothing = (
        "thresholds",
        "small boxes",
        "contour",
        "expansion",
        "expansion database",
        "own entry throughout",
    )
    assert all(unmeasured[name].startswith("nothing is ") for name in nothing)
    # What a plain search depends on all the same.
    measured = {item["name"] for item in told.json["variants"] if "mAP" in item}
    assert measured == {
        "own picture",
        "own entry",
        "class scores",
        "squeezed",
        "box",
        "maps",
        "average precision",
    }


def test_failures(failing, tmp_path):
    assert failing("audit", tmp_path / "none.json")["code"] == "ground_truth"
    assert failing("audit", "t.json", "--dimensions", "0", code=2)["code"] == "usage"


def test_the_help_tells_the_papers_reading(text):
    told = " ".join(text("audit", "--help").out.split())
    assert "[default: smaller:720]" in told
    assert "ignore regions. [default: cells]" in told
    told = " ".join(text("evaluate", "--help").out.split())
    assert "1024x720. [default: 640]" in told
    assert "ignore regions. [default: crop]" in told
