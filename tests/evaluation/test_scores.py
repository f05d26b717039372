import pytest

from camseek.datasets import SETUPS, GroundTruth, TruthQuery
from camseek.evaluation import EncodingScores, average_precision, precision_at, score_ranking

QUERY = TruthQuery(
    "q", b"/q.jpg", None, good=frozenset({b"e1", b"e2"}), ok=frozenset({b"h"}), junk=frozenset({b"j"})
)
NO_EASY = TruthQuery("n", b"/n.jpg", None, good=frozenset(), ok=frozenset({b"h"}))
RANKING = [b"j", b"h", b"x", b"e1", 7, b"e2"]
REVISITED = GroundTruth(
    b"/gnd.pkl",
    b"/jpg",
    (QUERY, NO_EASY),
    ap_form="trapezoid",
    query_in_database="absent",
    setups=SETUPS,
)


def test_each_setup_has_its_own_positives_and_ignored() -> None:
    score = score_ranking(REVISITED, QUERY, RANKING)
    # Easy, without j and h: x e1 7 e2. Hard, without j, e1 and e2: h first.
    easy = (0 + 1 / 2 + 1 / 3 + 2 / 4) / 2 / 2
    # Medium, without j: h x e1 7 e2.
    medium = (1 + 1 + 1 / 2 + 2 / 3 + 2 / 4 + 3 / 5) / 2 / 3
    assert {setup: found.average_precision for setup, found in score.setups.items()} == {
        "easy": pytest.approx(easy),
        "medium": pytest.approx(medium),
        "hard": pytest.approx(1.0),
    }
    assert score.average_precision == score.setups["medium"].average_precision
    assert score.setups["easy"].precisions == pytest.approx((0, 2 / 4, 2 / 4))
    assert score.setups["medium"].precisions == pytest.approx((1, 3 / 5, 3 / 5))
    assert score.setups["hard"].precisions == pytest.approx((1, 1, 1))
    assert score.recall == (1.0, 1.0, 1.0)
    assert score.n_s is None


def test_a_query_without_positives_in_a_setup_is_left_out_of_its_mean() -> None:
    scores = [score_ranking(REVISITED, query, RANKING) for query in REVISITED.queries]
    assert set(scores[1].setups) == {"medium", "hard"}
    means = {item.setup: item for item in EncodingScores("cam", "cam", tuple(scores)).setups}
    assert [means[setup].queries for setup in SETUPS] == [1, 2, 2]
    assert means["easy"].mean_average_precision == scores[0].setups["easy"].average_precision
    assert means["hard"].mean_average_precision == pytest.approx(
        (1 + average_precision([b"j", b"h"], {b"h"}, (), "trapezoid")) / 2
    )
    assert means["hard"].mean_precisions[1] == pytest.approx(
        (1 + precision_at([b"j", b"h"], {b"h"}, (), 5)) / 2
    )


def test_the_form_can_be_another_than_the_protocol_s() -> None:
    score = score_ranking(REVISITED, QUERY, RANKING, "mean")
    assert score.average_precision == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert score.setups["easy"].average_precision == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_the_query_s_own_picture_is_removed_where_the_protocol_says_so() -> None:
    query = TruthQuery("100000", b"/jpg/100000.jpg", None, frozenset({b"a"}), own=b"q")
    ranking = [b"q", b"a", b"x"]
    removed = GroundTruth(b"/", b"/jpg", (query,), query_in_database="removed")
    listed = GroundTruth(b"/", b"/jpg", (query,))
    assert score_ranking(removed, query, ranking).average_precision == 1.0
    assert score_ranking(listed, query, ranking).average_precision == pytest.approx(1 / 2)


def test_a_query_that_is_its_own_positive_loses_it_where_it_is_removed() -> None:
    query = TruthQuery("q", b"/jpg/q.jpg", None, frozenset({b"a", b"q"}), own=b"q")
    truth = GroundTruth(b"/", b"/jpg", (query,), query_in_database="removed")
    assert truth.labels(query).positives == {b"a"}
    assert truth.labels(query).ignored == {b"q"}
    assert score_ranking(truth, query, [b"q", b"x", b"a"]).average_precision == pytest.approx(1 / 2)


def test_further_names_can_be_removed() -> None:
    score = score_ranking(REVISITED, QUERY, RANKING, removed={b"h", b"x"})
    assert score.setups.keys() == {"easy", "medium"}
    assert score.average_precision == pytest.approx((1 + 1 + 1 / 2 + 2 / 3) / 4)


def test_n_s_counts_the_query_itself() -> None:
    names = frozenset({b"0", b"1", b"2", b"3"})
    query = TruthQuery("ukbench00000", b"/0", None, names, own=b"0")
    truth = GroundTruth(b"/", b"/", (query,), n_s=True)
    score = score_ranking(truth, query, [b"0", b"9", b"2", b"1", b"3"])
    assert score.n_s == 3
    assert EncodingScores("cam", "cam", (score,)).n_s == 3.0


def test_no_positives_is_a_bug() -> None:
    query = TruthQuery("q", b"/q", None, frozenset())
    with pytest.raises(ValueError, match="without positives"):
        score_ranking(GroundTruth(b"/", b"/", (query,)), query, [b"a"])


def test_there_are_three_setups() -> None:
    with pytest.raises(ValueError, match="no setup"):
        REVISITED.labels(QUERY, "trivial")  # pyright: ignore[reportArgumentType]
