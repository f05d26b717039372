from collections.abc import Sequence

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.evaluation import average_precision, n_s, precision_at, recall_at


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


def official_precision(ranking: Sequence[str], positives: set[str], junk: set[str], k: int) -> float:
    """The revisited sets' mP@k, as its definition describes it, for rankings that hold every positive."""
    position, found, last = 0, [], 0
    for name in ranking:
        if name in junk:
            continue
        position += 1
        if name in positives:
            found.append(position)
            last = position
    depth = min(last, k)
    return sum(place <= depth for place in found) / depth


class TestPrecision:
    @pytest.mark.parametrize(
        ("ranking", "positives", "junk", "k", "expected"),
        [
            ("abxy", "ab", "", 1, 1.0),
            # The last positive stands at rank 2: nothing behind it counts against the query.
            ("abxyz", "ab", "", 5, 1.0),
            ("axbyz", "ab", "", 5, 2 / 3),
            ("jajxb", "ab", "j", 5, 2 / 3),
            ("xyzab", "ab", "", 1, 0.0),
            # b is never retrieved: it stands behind everything.
            ("axyzw", "ab", "", 5, 1 / 5),
            ("", "ab", "", 5, 0.0),
        ],
    )
    def test_by_hand(self, ranking: str, positives: str, junk: str, k: int, expected: float) -> None:
        assert precision_at(ranking, positives, junk, k) == pytest.approx(expected)

    def test_equals_the_definition_on_random_rankings(self) -> None:
        generator = np.random.default_rng(6)
        for _ in range(300):
            size = int(generator.integers(1, 30))
            names = [f"{number}" for number in range(size)]
            kinds = generator.choice(["positive", "junk", "negative"], size)
            kinds[generator.integers(size)] = "positive"
            positives = {name for name, kind in zip(names, kinds, strict=True) if kind == "positive"}
            junk = {name for name, kind in zip(names, kinds, strict=True) if kind == "junk"}
            ranking = generator.permutation(names).tolist()
            for k in (1, 5, 10):
                assert precision_at(ranking, positives, junk, k) == pytest.approx(
                    official_precision(ranking, positives, junk, k), abs=1e-12
                )

    def test_refuses_what_cannot_be(self) -> None:
        with pytest.raises(ValueError, match="below 1"):
            precision_at("a", "a", "", 0)
        with pytest.raises(ValueError, match="without positives"):
            precision_at("a", "", "", 1)


@pytest.mark.parametrize(("ranking", "expected"), [("abcd", 4), ("axbycd", 2), ("xyzwabcd", 0), ("", 0)])
def test_n_s_counts_the_first_four(ranking: str, expected: int) -> None:
    assert n_s(ranking, "abcd") == expected
