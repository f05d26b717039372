"""What callers give is looked at before any work."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camseek import RegionError
from camseek.arguments import Shares, read_region, region_text, several, whole_number, whole_numbers


class TestWholeNumbers:
    @pytest.mark.parametrize("value", [5, np.int64(5), np.uint8(5), np.array(5)])
    def test_of_any_kind(self, value):
        found = whole_number(value, "top")
        assert (found, type(found)) == (5, int)

    @pytest.mark.parametrize("value", ["5", 5.0, np.float32(5), None, True, np.True_, [5], np.array([5.0])])
    def test_others_are_none(self, value):
        with pytest.raises(TypeError, match=r"^top is a whole number, not "):
            whole_number(value, "top")

    @pytest.mark.parametrize(
        "values", [(1, 2), [1, np.int64(2)], np.array([1, 2]), iter((1, 2)), range(1, 3)]
    )
    def test_several(self, values):
        assert whole_numbers(values, "class") == (1, 2)

    @pytest.mark.parametrize("values", [5, None, "12", ["1"], [1.0], np.array([[1, 2]]), b"12"])
    def test_several_others(self, values):
        with pytest.raises(TypeError):
            whole_numbers(values, "class")


class TestSeveral:
    @pytest.mark.parametrize(
        "values",
        [[], ("a",), {"a": 1}, iter("a"), {"a"}, np.zeros((2, 4, 4, 3)), np.array(["a", "b"])],
        ids=lambda values: type(values).__name__,
    )
    def test_lists_and_the_like_are_passed_on(self, values):
        assert several(values, "pictures") is values

    @pytest.mark.parametrize(
        "value",
        [
            *("a.jpg", Path("a.jpg"), b"a", bytearray(b"a"), memoryview(b"a"), io.BytesIO(b"a"), None, 5),
            *(Image.new("RGB", (4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4))),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_one_thing_is_refused(self, value):
        with pytest.raises(TypeError, match=r"^pictures are a list, also where there is one, not "):
            several(value, "pictures")


class TestRegions:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (None, None),
            ("whole", None),
            ("10,20,30,40", (10, 20, 30, 40)),
            (" 10, 20 ,30,40 ", (10, 20, 30, 40)),
            ([1, 2, 3, 4], (1, 2, 3, 4)),
            (np.array([1, 2, 3, 4]), (1, 2, 3, 4)),
            ("10%,20%,50%,60%", Shares(0.1, 0.2, 0.5, 0.6)),
            ("0%,12.5%,100%,75%", Shares(0, 0.125, 1, 0.75)),
            (Shares(0, 0, 0.5, 1), Shares(0, 0, 0.5, 1)),
        ],
    )
    def test_what_is_one(self, given, expected):
        assert read_region(given) == expected
        assert read_region(region_text(expected) or None) == expected

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,b,c,d",
            "0.1,0.2,0.5,0.6",
            "10%,20%,50,60",
            "nan%,0%,1%,1%",
            (1, 2, 3),
            7,
            "10%,20%,101%,60%",
            "50%,0%,50%,10%",
            "60%,0%,50%,10%",
            "-1%,0%,50%,10%",
            (0.5, 1, 2, 3),
        ],
    )
    def test_what_is_none(self, given):
        # As of a region that does not fit its picture.
        with pytest.raises(RegionError, match="region") as error:
            read_region(given)
        assert "x1,y1,x2,y2" in error.value.remedy

    def test_shares_of_a_picture(self):
        assert Shares(0.1, 0.2, 0.5, 0.6).of((640, 480)) == (64, 96, 320, 288)
        assert Shares(0, 0, 1, 1).of((3, 5)) == (0, 0, 3, 5)
        assert str(Shares(0.125, 0, 0.3, 1)) == "12.5%,0%,30%,100%"
