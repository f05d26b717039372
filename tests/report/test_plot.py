import re
from xml.etree import ElementTree

import pytest

from camseek.report.plot import Bar, Curve, bar_chart, evaluation_chart, panel_chart

SVG = "{http://www.w3.org/2000/svg}"
SERIES = {"N_pca 1": [(1, 0.5), (4, 0.6), (64, 0.75)], "N_pca 16": [(1, 0.4), (64, 0.7)]}
LABELS = {"title": "Figure 4", "x_label": "N_C", "y_label": "mAP"}


def line_chart(series, **labels):
    """One panel, with a colour for each line."""
    curves = [Curve(name, points, place) for place, (name, points) in enumerate(series.items())]
    return panel_chart({"OfA": curves}, **labels)


def drawn(text):
    """The elements by their names, of a document that is well-formed and asks nobody for anything."""
    root = ElementTree.fromstring(text)  # our own text
    assert root.tag == SVG + "svg"
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text
    assert "href" not in text
    found = {}
    for item in root.iter():
        found.setdefault(item.tag.removeprefix(SVG), []).append(item)
    return found


def texts(found):
    return [item.text for item in found["text"]]


def points(line):
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


PANELS = {
    "OfA": [
        Curve("N_pca 1, Oxford5k", [(1, 0.5), (64, 0.7)], colour=0, dotted=True),
        Curve("N_pca 1, Paris6k", [(1, 0.6), (64, 0.8)], colour=0),
    ],
    "OnA": [Curve("N_pca 16, Paris6k", [(1, 0.7), (64, 0.9)], colour=1)],
}


class TestPanels:
    def test_each_has_its_name_and_all_have_one_scale(self):
        found = drawn(panel_chart(PANELS, **LABELS))
        assert {"Figure 4", "OfA", "OnA", "N_pca 1, Paris6k"} <= set(texts(found))
        first, second, third = map(points, found["polyline"])
        # 0.7 lies as high in both panels.
        assert first[1][1] == pytest.approx(third[0][1], abs=0.2)
        assert (first[0][0], first[1][0]) == (third[0][0], third[1][0])
        assert second[1][1] < second[0][1]

    def test_dots_and_colours(self):
        lines = drawn(panel_chart(PANELS, **LABELS))["polyline"]
        assert [line.get("stroke-dasharray") for line in lines] == ["2 3", None, None]
        assert lines[0].get("stroke") == lines[1].get("stroke") != lines[2].get("stroke")

    def test_nothing_to_draw(self):
        with pytest.raises(ValueError, match="at least one panel"):
            panel_chart({}, **LABELS)
        with pytest.raises(ValueError, match="at least one point"):
            panel_chart({"OfA": []}, **LABELS)


class TestLines:
    def test_a_line_for_each_name(self):
        found = drawn(line_chart(SERIES, **LABELS))
        assert [line.find(SVG + "title").text for line in found["polyline"]] == list(SERIES)
        assert len(found["circle"]) == 5
        assert {"Figure 4", "OfA", "N_C", "mAP", *SERIES} <= set(texts(found))

    def test_points_lie_on_scale(self):
        first, second = map(points, (drawn(line_chart(SERIES, **LABELS))["polyline"]))
        # Right and up, x in proportion.
        assert (first[1][0] - first[0][0]) / (first[2][0] - first[0][0]) == pytest.approx(3 / 63, abs=2e-3)
        assert first[0][1] > first[1][1] > first[2][1]
        assert first[0][0] == second[0][0]
        assert second[0][1] > first[0][1]
        rise = (first[0][1] - first[2][1]) / (first[0][1] - first[1][1])
        assert rise == pytest.approx(0.25 / 0.1, rel=2e-2)

    def test_ticks_as_asked(self):
        found = texts(drawn(line_chart(SERIES, **LABELS, x_ticks=(1, 4, 8, 16, 32, 64))))
        assert [text for text in found if text in {"1", "4", "8", "16", "32", "64"}] == [
            "1",
            "4",
            "8",
            "16",
            "32",
            "64",
        ]

    def test_colours_and_dashes_tell_many_lines_apart(self):
        many = {str(number): [(0, number), (1, number)] for number in range(12)}
        lines = drawn(line_chart(many, **LABELS))["polyline"]
        assert len({(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}) == 12

    @pytest.mark.parametrize("series", [{}, {"a": []}, {"a": [(0, float("nan"))]}])
    def test_nothing_to_draw(self, series):
        with pytest.raises(ValueError, match=r"point|finite"):
            line_chart(series, **LABELS)

    def test_one_point(self):
        assert len(drawn(line_chart({"a": [(2, 0.5)]}, **LABELS))["circle"]) == 1


class TestBars:
    BARS = (Bar("gem", 0.8, (0.7, 0.9)), Bar("cam", 0.4))

    def test_lengths_are_in_proportion(self):
        found = drawn(bar_chart(self.BARS, title="t", x_label="mAP"))
        widths = [float(item.get("width")) for item in found["rect"][1:]]
        assert widths[0] / widths[1] == pytest.approx(2, rel=1e-2)
        assert {"gem", "cam", "0.800", "0.400", "mAP"} <= set(texts(found))

    def test_an_interval_lies_over_its_tip(self):
        found = drawn(bar_chart(self.BARS, title="t", x_label="mAP"))
        whiskers = [item for item in found["line"] if item.get("class") == "whisker"]
        assert len(whiskers) == 3
        bar = found["rect"][1]
        tip = float(bar.get("x")) + float(bar.get("width"))
        assert float(whiskers[0].get("x1")) < tip < float(whiskers[0].get("x2"))

    @pytest.mark.parametrize("bars", [(), (Bar("a", float("inf")),), (Bar("a", -1.0),)])
    def test_nothing_to_draw(self, bars):
        with pytest.raises(ValueError, match=r"bar|finite"):
            bar_chart(bars, title="t", x_label="x")


def test_an_evaluation_has_sorted_curves():
    found = drawn(evaluation_chart([Bar("gem", 0.5)], {"gem": [0.2, 0.9, 0.4]}, title="t"))
    heights = [y for _, y in points(found["polyline"][0])]
    assert heights == sorted(heights)
    assert len(heights) == 3


def test_names_are_escaped():
    name = "<script>alert('&')</script>\x07"
    text = line_chart({name: [(0, 1)]}, title=name, x_label=name, y_label=name)
    assert "<script" not in text
    found = drawn(text)
    assert any(shown and shown.startswith("<script>") for shown in texts(found))


def test_long_names_are_cut():
    found = texts(drawn(bar_chart([Bar("e" * 90, 1.0)], title="t", x_label="x")))
    assert any(shown.endswith("…") and len(shown) < 40 for shown in found)
