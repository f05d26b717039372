import json

import pytest

from camseek.evaluation import EncodingScores, Evaluation, QueryScore, SetupScore, overlap, score_query
from camseek.results import Skipped


def evaluation(*, boxes: bool) -> Evaluation:
    first = (score_query("p", "axy", "a", "", "mean"), score_query("q", "xya", "a", "", "mean"))
    second = (
        score_query("p", "xay", "a", "", "mean"),
        QueryScore("q", 0.0, (0.0, 0.0, 0.0), featureless=True),
    )
    return Evaluation(
        ground_truth=b"/t.json",
        collection=None,
        settings={"layer": "head"},
        form="mean",
        region_reading="crop",
        database=3,
        queries=3,
        left_out=1,
        encodings=(EncodingScores("gem", "gem", first), EncodingScores("cam", "cam", second)),
        overlaps=(overlap("p", b"a", (0, 0, 5, 10), (0, 0, 5, 10), (10, 10)),) if boxes else (),
        skipped=(Skipped(b"/b.jpg", "it is damaged", "damaged"),),
        seconds=1.5,
    )


def test_an_evaluation_as_json() -> None:
    told = json.loads(json.dumps(evaluation(boxes=False).to_json(), allow_nan=False))
    gem, cam = told["encodings"]["gem"], told["encodings"]["cam"]
    assert gem["mAP"] == pytest.approx((1 + 1 / 3) / 2, abs=1e-6)
    assert gem["mAP_interval"] == [pytest.approx(1 / 3, abs=1e-6), 1.0]
    assert gem["ap_form"] == "mean"
    assert gem["recall"] == {"1": 0.5, "10": 1.0, "100": 1.0}
    assert (gem["queries"], gem["left_out"], gem["featureless"], cam["featureless"]) == (2, 1, 0, 1)
    assert gem["average_precisions"] == {"p": 1.0, "q": pytest.approx(1 / 3, abs=1e-6)}
    assert "iou" not in gem
    assert told["paired"]["cam"]["against"] == "gem"
    assert told["paired"]["cam"]["difference"] == pytest.approx(-(1 / 2 + 1 / 3) / 2, abs=1e-6)
    assert told["paired"]["cam"]["interval"] == pytest.approx([-1 / 2, -1 / 3], abs=1e-6)
    assert told["recall"] == "any positive within k"
    assert (told["database"], told["distractors"], told["queries"]) == (3, 0, 3)
    assert told["skipped"] == [{"path": "/b.jpg", "reason": "it is damaged", "code": "damaged"}]


def test_a_row_for_each_query_of_each_encoding() -> None:
    rows = evaluation(boxes=False).rows()
    assert [(row["encoding"], row["query"]) for row in rows] == [
        ("gem", "p"),
        ("gem", "q"),
        ("cam", "p"),
        ("cam", "q"),
    ]
    assert rows[1] == {
        "encoding": "gem",
        "query": "q",
        "average_precision": pytest.approx(1 / 3),
        "recall@1": 0.0,
        "recall@10": 1.0,
        "recall@100": 1.0,
        "featureless": False,
    }
    assert rows[3]["featureless"]


def test_an_evaluation_with_boxes_as_json() -> None:
    told = evaluation(boxes=True).to_json()
    assert told["encodings"]["gem"]["iou"] == told["encodings"]["cam"]["iou"]
    assert told["encodings"]["gem"]["iou"]["maps"] == 1.0
    assert told["encodings"]["gem"]["iou"]["whole"] == 0.5
    assert told["encodings"]["gem"]["iou"]["pairs"] == 1


def test_setups_and_n_s_as_json() -> None:
    assert not {"setups", "N-S"} & set(evaluation(boxes=False).to_json()["encodings"]["gem"])
    both = SetupScore(0.5, (1.0, 0.5, 0.4)), SetupScore(0.25, (0.0, 0.25, 0.2))
    queries = (
        QueryScore("p", 0.5, (1.0, 1.0, 1.0), setups={"easy": both[0], "hard": both[1]}, n_s=3),
        QueryScore("q", 0.1, (0.0, 1.0, 1.0), setups={"hard": both[0]}, n_s=2),
    )
    scores = EncodingScores("gem", "gem", queries)
    found = Evaluation(
        ground_truth=b"/gnd.pkl",
        collection=None,
        settings={},
        form="trapezoid",
        region_reading="crop",
        database=3,
        queries=2,
        left_out=0,
        encodings=(scores,),
    )
    p, q = found.rows()
    assert (p["easy"], p["hard"], p["N-S"]) == (0.5, 0.25, 3)
    assert (q["easy"], q["hard"], q["N-S"]) == (None, 0.5, 2)
    told = found.to_json()["encodings"]["gem"]
    assert told["N-S"] == 2.5
    assert list(told["setups"]) == ["easy", "hard"]
    assert told["setups"]["easy"] == {
        "mAP": 0.5,
        "mP@1": 1.0,
        "mP@5": 0.5,
        "mP@10": 0.4,
        "queries": 1,
        "left_out": 1,
    }
    assert told["setups"]["hard"]["mAP"] == pytest.approx(0.375)
    assert told["setups"]["hard"]["mP@10"] == pytest.approx(0.3)
