import numpy as np
import pytest

from camseek.evaluation import bootstrap_interval, paired_bootstrap


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
