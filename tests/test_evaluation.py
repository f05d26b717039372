import json
from collections.abc import Sequence

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.evaluation import (
    EncodingScores,
    Evaluation,
    QueryScore,
    average_precision,
    bootstrap_interval,
    centre_box,
    intersection_over_union,
    overlap,
    paired_bootstrap,
    recall_at,
    score_query,
)
from camseek.results import Skipped


def plain_mean(ranking: Sequence[str], positives: set[str], junk: set[str]) -> float:
    """The definition, word for word."""
    kept = [name for name in ranking if name not in junk]
    precisions = []
    for positive in positives:
        if positive in kept:
            rank = kept.index(positive) + 1
            precisions.append(sum(name in positives for name in kept[:rank]) / rank)
        else:
            precisions.append(0.0)
    return sum(precisions) / len(positives)


def official_trapezoid(ranking: Sequence[str], positives: set[str], junk: set[str]) -> float:
    """The Oxford Buildings' compute_ap, as it is described: a walk along the list."""
    old_recall, old_precision, area, intersect, seen = 0.0, 1.0, 0.0, 0, 0
    for name in ranking:
        if name in junk:
            continue
        if name in positives:
            intersect += 1
        recall = intersect / len(positives)
        precision = intersect / (seen + 1.0)
        area += (recall - old_recall) * ((old_precision + precision) / 2.0)
        old_recall, old_precision = recall, precision
        seen += 1
    return area


class TestAveragePrecision:
    @pytest.mark.parametrize(
        ("ranking", "positives", "junk", "mean", "trapezoid"),
        [
            ("ab", "ab", "", 1.0, 1.0),
            ("xa", "a", "", 1 / 2, (0 + 1 / 2) / 2),
            ("axb", "ab", "", (1 + 2 / 3) / 2, (1 + (1 / 2 + 2 / 3) / 2) / 2),
            # j is no rank at all: as if it were not there.
            ("jaxjb", "ab", "j", (1 + 2 / 3) / 2, (1 + (1 / 2 + 2 / 3) / 2) / 2),
            # b is never retrieved.
            ("ax", "ab", "", 1 / 2, 1 / 2),
            ("xyz", "a", "", 0.0, 0.0),
            ("", "a", "", 0.0, 0.0),
            ("j", "a", "j", 0.0, 0.0),
        ],
    )
    def test_by_hand(self, ranking: str, positives: str, junk: str, mean: float, trapezoid: float) -> None:
        assert average_precision(ranking, positives, junk) == pytest.approx(mean)
        assert average_precision(ranking, set(positives), set(junk), "trapezoid") == pytest.approx(trapezoid)

    def test_equals_the_definitions_on_random_rankings(self) -> None:
        generator = np.random.default_rng(5)
        for _ in range(1000):
            size = int(generator.integers(1, 40))
            names = [f"{number}" for number in range(size)]
            kinds = generator.choice(["positive", "junk", "negative"], size)
            kinds[generator.integers(size)] = "positive"
            positives = {name for name, kind in zip(names, kinds, strict=True) if kind == "positive"}
            junk = {name for name, kind in zip(names, kinds, strict=True) if kind == "junk"}
            # Some are never retrieved.
            ranking = generator.permutation(names)[: generator.integers(size + 1)].tolist()
            assert average_precision(ranking, positives, junk, "mean") == pytest.approx(
                plain_mean(ranking, positives, junk), abs=1e-12
            )
            assert average_precision(ranking, positives, junk, "trapezoid") == pytest.approx(
                official_trapezoid(ranking, positives, junk), abs=1e-12
            )

    @given(st.permutations("aabbccddx"[::2] + "j"), st.sampled_from(["mean", "trapezoid"]))
    def test_is_a_fraction_and_1_only_when_positives_come_first(self, ranking: list[str], form: str) -> None:
        value = average_precision(ranking, "ab", "j", form)  # pyright: ignore[reportArgumentType]
        assert 0 < value <= 1
        kept = [name for name in ranking if name != "j"]
        assert (value == pytest.approx(1)) == (set(kept[:2]) == {"a", "b"})

    def test_needs_positives(self) -> None:
        with pytest.raises(ValueError, match="without positives"):
            average_precision("ab", "")

    def test_knows_its_forms(self) -> None:
        # The shapes' checks, which only tests make, see it first.
        with pytest.raises((ValueError, jaxtyping.TypeCheckError), match="form"):
            average_precision("ab", "a", form="area")  # pyright: ignore[reportArgumentType]


class TestRecall:
    @pytest.mark.parametrize(("k", "expected"), [(1, 0.0), (2, 0.0), (3, 1.0), (100, 1.0)])
    def test_any_positive_counts(self, k: int, expected: float) -> None:
        assert recall_at("jxyabz", "ab", "j", k) == expected

    def test_nothing_retrieved(self) -> None:
        assert recall_at("", "a", "", 100) == 0.0

    def test_refuses_what_cannot_be(self) -> None:
        with pytest.raises(ValueError, match="below 1"):
            recall_at("a", "a", "", 0)
        with pytest.raises(ValueError, match="without positives"):
            recall_at("a", "", "", 1)


class TestBoxes:
    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
            ((0, 0, 10, 10), (5, 0, 15, 10), 50 / 150),
            ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
            ((0, 0, 10, 10), (20, 20, 30, 30), 0.0),
            ((0, 0, 10, 10), (2, 3, 4, 7), 8 / 100),
        ],
    )
    def test_intersection_over_union(
        self, a: tuple[int, int, int, int], b: tuple[int, int, int, int], expected: float
    ) -> None:
        assert intersection_over_union(a, b) == pytest.approx(expected)
        assert intersection_over_union(b, a) == pytest.approx(expected)

    def test_refuses_empty_boxes(self) -> None:
        with pytest.raises(ValueError, match="reversed"):
            intersection_over_union((0, 0, 1, 1), (5, 5, 5, 9))

    def test_the_centred_box_has_four_fifths_of_each_side(self) -> None:
        x1, y1, x2, y2 = centre_box((1000, 600))
        assert (x1, y1, x2, y2) == (100, 60, 900, 540)

    @given(st.integers(1, 50), st.integers(1, 50))
    def test_the_centred_box_is_never_empty(self, width: int, height: int) -> None:
        x1, y1, x2, y2 = centre_box((width, height))
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height

    def test_overlap(self) -> None:
        compared = overlap("q", b"a", (0, 0, 50, 100), (0, 0, 25, 100), (100, 100))
        assert (compared.maps, compared.whole) == (0.5, 0.5)
        # The centred box is (10, 10, 90, 90).
        assert compared.centre == pytest.approx(40 * 80 / (5000 + 6400 - 40 * 80))

    def test_no_box_overlaps_nothing(self) -> None:
        assert overlap("q", b"a", (0, 0, 5, 5), None, (10, 10)).maps == 0.0


class TestBootstrap:
    def test_is_reproducible(self) -> None:
        values = np.random.default_rng(0).random(50)
        assert bootstrap_interval(values) == bootstrap_interval(values.tolist())
        assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)

    def test_holds_the_mean_and_widens_with_the_level(self) -> None:
        values = np.random.default_rng(0).random(50)
        low, high = bootstrap_interval(values)
        wide_low, wide_high = bootstrap_interval(values, level=0.99)
        assert wide_low < low < values.mean() < high < wide_high

    def test_has_the_normal_width(self) -> None:
        values = np.random.default_rng(1).normal(size=400)
        low, high = bootstrap_interval(values, resamples=4000)
        assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)

    def test_equal_values_have_no_spread(self) -> None:
        assert bootstrap_interval([0.25] * 9) == (0.25, 0.25)
        assert bootstrap_interval([0.7]) == (0.7, 0.7)

    def test_many_queries_are_drawn_in_blocks(self) -> None:
        # More queries than a block holds: each block is one resample.
        low, high = bootstrap_interval(np.arange(2**20 + 1) % 2.0, resamples=3)
        assert low < 0.51
        assert high > 0.49

    @pytest.mark.parametrize("values", [[], [float("nan")]])
    def test_refuses_bad_values(self, values: list[float]) -> None:
        with pytest.raises(ValueError, match="finite"):
            bootstrap_interval(np.array(values))

    @pytest.mark.parametrize("options", [{"resamples": 0}, {"level": 0.0}, {"level": 1.0}])
    def test_refuses_bad_options(self, options: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="out of range"):
            bootstrap_interval([1.0], **options)  # pyright: ignore[reportArgumentType]

    def test_pairs_cancel_the_queries_difficulty(self) -> None:
        hard = np.random.default_rng(2).random(30)
        low, high = paired_bootstrap(hard + 0.01, hard)
        assert low == pytest.approx(0.01)
        assert high == pytest.approx(0.01)

    def test_pairs_are_signed(self) -> None:
        low, high = paired_bootstrap([0.0, 0.1, 0.2], [0.5, 0.7, 0.9])
        assert low <= high < 0

    def test_pairs_have_one_length(self) -> None:
        with pytest.raises(ValueError, match="not pairs"):
            paired_bootstrap([1.0], [1.0, 2.0])


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


def test_an_evaluation_with_boxes_as_json() -> None:
    told = evaluation(boxes=True).to_json()
    assert told["encodings"]["gem"]["iou"] == told["encodings"]["cam"]["iou"]
    assert told["encodings"]["gem"]["iou"]["maps"] == 1.0
    assert told["encodings"]["gem"]["iou"]["whole"] == 0.5
    assert told["encodings"]["gem"]["iou"]["pairs"] == 1
