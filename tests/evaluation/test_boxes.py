import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.evaluation import centre_box, intersection_over_union, overlap


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
