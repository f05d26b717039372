"""Charts as SVG text: bars with intervals, and lines.

A chart stands alone: it names no font file and no address, and follows the reader's light or dark scheme.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from camseek.report.markup import Markup, element

_WIDTH = 720
_MARGIN = 24
_LINE = 20  # height of a line of words
_BAR = 18  # height of a bar; a row is half as high again
_ROW = 30
_AXIS_LEFT = 64  # room for the numbers of a vertical axis and its name
_PLOT_HEIGHT = 300
# The mean width of a character, to cut words that would run into a chart.
_CHARACTER = 7.4
_MOST_LABEL = 32
_MOST_MARKED = 40  # points on a line above which each has no mark of its own
_DOTS = "2 3"
_DASHES = ("", "7 3", "5 2 1 2", "9 3 2 3")

# Okabe and Ito's colours, which differ for colour-blind eyes too, as far as they show on black and on white.
_COLOURS = ("#0b7cc1", "#d55e00", "#009e73", "#b8609a", "#c28a00", "#6c7680")
_STYLE = Markup(
    "text{font:13px system-ui,sans-serif;fill:#1c1e21}.title{font-size:16px;font-weight:600}"
    ".faint{fill:#5b6169}.paper{fill:#fff}.rule{stroke:#d9dce0}.axis{stroke:#5b6169}"
    ".whisker{stroke:#1c1e21;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#e8eaed}.faint{fill:#a8afb8}.paper{fill:#16181b}"
    ".rule{stroke:#34383d}.axis{stroke:#a8afb8}.whisker{stroke:#e8eaed}}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: What it stands for.
        value: Its length, 0 or more.
        interval: The ends of a line over its tip, say a confidence interval.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """One line.

    Attributes:
        name: What it stands for.
        points: (x, y), in the order in which they are joined.
        colour: Which of the colours, from 0; equal ones belong together.
        dotted: Drawn with dots.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    dotted: bool = False


def bar_chart(bars: Sequence[Bar], *, title: str, x_label: str) -> str:
    """Draws horizontal bars, first above, with their values and intervals.

    Args:
        bars: At least one.
        title: A heading.
        x_label: What the lengths are.

    Returns:
        An SVG document.

    Raises:
        ValueError: There are no bars, or a value is not finite or below 0.
    """
    return _document([_bars(bars, title, x_label)])


def panel_chart(
    panels: Mapping[str, Sequence[Curve]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[float] | None = None,
) -> str:
    """Draws charts of lines below each other, on axes of one scale; points have marks where there is room.

    Args:
        panels: For each panel's name its lines.
        title: A heading.
        x_label: What x is.
        y_label: What y is.
        x_ticks: Where the horizontal axes have numbers; None for round ones.

    Returns:
        An SVG document.

    Raises:
        ValueError: There is no panel, or one has no point, or a point is not finite.
    """
    if not panels:
        raise ValueError("a chart needs at least one panel")
    heights = [y for curves in panels.values() for curve in curves for _, y in curve.points]
    span = (min(heights), max(heights)) if heights else None
    heading = _Drawing([_title(title)], _MARGIN + _LINE)
    drawings = [_lines(curves, name, x_label, y_label, x_ticks, span) for name, curves in panels.items()]
    return _document([heading, *drawings])


def evaluation_chart(bars: Sequence[Bar], curves: Mapping[str, Sequence[float]], *, title: str) -> str:
    """Draws mean average precisions as bars, and below them every query's, sorted.

    Args:
        bars: Means with their intervals.
        curves: For each bar's label its queries' average precisions, in any order.
        title: A heading.

    Returns:
        An SVG document.

    Raises:
        ValueError: There is nothing to draw, or a value is not finite.
    """
    points = {
        name: [(float(rank), value) for rank, value in enumerate(sorted(values, reverse=True), 1)]
        for name, values in curves.items()
    }
    return _document(
        [
            _bars(bars, title, "mean average precision, 95 % interval"),
            _lines(_curves(points), "Each query, best first", "queries", "average precision", None),
        ]
    )


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Elements, drawn from (0, 0) down to a height."""

    parts: list[Markup]
    height: float


def _document(drawings: Sequence[_Drawing]) -> str:
    height = sum(drawing.height for drawing in drawings)
    parts = [
        element("style", _STYLE),
        element("rect", class_="paper", width=str(_WIDTH), height=_number(height)),
    ]
    top = 0.0
    for drawing in drawings:
        parts.append(element("g", *drawing.parts, transform=f"translate(0 {_number(top)})"))
        top += drawing.height
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {_number(height)}",
        width=str(_WIDTH),
        height=_number(height),
        role="img",
    )


def _bars(bars: Sequence[Bar], title: str, x_label: str) -> _Drawing:
    if not bars:
        raise ValueError("a chart needs at least one bar")
    numbers = [bar.value for bar in bars] + [end for bar in bars for end in bar.interval or ()]
    _require_finite(numbers)
    if min(bar.value for bar in bars) < 0:
        raise ValueError("a bar's length is 0 or more")
    longest = max(len(_cut(bar.label)) for bar in bars)
    left, right = _MARGIN + longest * _CHARACTER + 12, _WIDTH - _MARGIN - 48
    ticks = _round_ticks(0.0, max(*numbers, 0.1))
    scale = _Scale(0.0, ticks[-1], left, right)
    top = _MARGIN + 2 * _LINE
    bottom = top + _ROW * len(bars)
    parts = [_title(title)]
    for tick in ticks:
        parts += [
            _rule(scale(tick), top, scale(tick), bottom, "rule"),
            _text(_number(tick), scale(tick), bottom + _LINE, "middle", "faint"),
        ]
    for place, bar in enumerate(bars):
        parts += _bar(bar, top + place * _ROW + _ROW / 2, scale, _COLOURS[place % len(_COLOURS)])
    parts.append(_text(x_label, (left + right) / 2, bottom + 2 * _LINE, "middle", "faint"))
    return _Drawing(parts, bottom + 2 * _LINE + _MARGIN)


def _bar(bar: Bar, middle: float, scale: "_Scale", colour: str) -> list[Markup]:
    tip = scale(bar.value)
    parts = [
        _text(_cut(bar.label), scale.low - 10, middle + 4, "end"),
        element(
            "rect",
            element("title", f"{bar.label}: {bar.value:.3f}"),
            x=_number(scale.low),
            y=_number(middle - _BAR / 2),
            width=_number(max(tip - scale.low, 0)),
            height=_number(_BAR),
            fill=colour,
        ),
    ]
    end = tip
    if bar.interval is not None:
        low, high = map(scale, bar.interval)
        parts += [
            _rule(low, middle, high, middle, "whisker"),
            *(_rule(at, middle - 5, at, middle + 5, "whisker") for at in (low, high)),
        ]
        end = max(tip, high)
    return [*parts, _text(f"{bar.value:.3f}", end + 8, middle + 4, "start")]


def _curves(series: Mapping[str, Sequence[tuple[float, float]]]) -> list[Curve]:
    """Lines with a colour each."""
    return [Curve(name, points, place) for place, (name, points) in enumerate(series.items())]


def _lines(
    curves: Sequence[Curve],
    title: str,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[float] | None,
    span: tuple[float, float] | None = None,
) -> _Drawing:
    points = [point for curve in curves for point in curve.points]
    if not points:
        raise ValueError("a chart needs at least one point")
    _require_finite([number for point in points for number in point])
    across = [x for x, _ in points]
    ticks = list(x_ticks) if x_ticks else _round_ticks(min(across), max(across))
    low, high = span or (min(y for _, y in points), max(y for _, y in points))
    heights = _round_ticks(low, high)
    legend, lines = _legend(curves)
    top = _MARGIN + _LINE + lines * _LINE + 12
    bottom = top + _PLOT_HEIGHT
    left, right = float(_MARGIN + _AXIS_LEFT), float(_WIDTH - _MARGIN)
    x = _Scale(min(*across, *ticks), max(*across, *ticks), left, right)
    y = _Scale(heights[0], heights[-1], bottom, top)
    parts = [_title(title), *legend]
    for tick in heights:
        parts += [
            _rule(left, y(tick), right, y(tick), "rule"),
            _text(_number(tick), left - 8, y(tick) + 4, "end", "faint"),
        ]
    for tick in ticks:
        parts += [
            _rule(x(tick), bottom, x(tick), bottom + 5, "axis"),
            _text(_number(tick), x(tick), bottom + _LINE + 2, "middle", "faint"),
        ]
    parts += [
        _rule(left, bottom, right, bottom, "axis"),
        _text(x_label, (left + right) / 2, bottom + 2 * _LINE + 4, "middle", "faint"),
        _upright(y_label, _MARGIN - 4, (top + bottom) / 2),
    ]
    for curve in curves:
        parts += _line(curve, [(x(across), y(up)) for across, up in curve.points])
    return _Drawing(parts, bottom + 2 * _LINE + _MARGIN)


def _line(curve: Curve, points: Sequence[tuple[float, float]]) -> list[Markup]:
    colour = _COLOURS[curve.colour % len(_COLOURS)]
    path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    parts = [
        element(
            "polyline",
            element("title", curve.name),
            points=path,
            fill="none",
            stroke=colour,
            stroke_width="2",
            stroke_linejoin="round",
            stroke_dasharray=_dashes(curve),
        )
    ]
    if len(points) <= _MOST_MARKED:
        parts += [element("circle", cx=_number(x), cy=_number(y), r="3.5", fill=colour) for x, y in points]
    return parts


def _legend(curves: Sequence[Curve]) -> tuple[list[Markup], int]:
    """Names with their lines, below the title, and how many rows they take."""
    parts: list[Markup] = []
    row, left = 0, float(_MARGIN)
    for curve in curves:
        shown = _cut(curve.name)
        width = 34 + len(shown) * _CHARACTER + 18
        if left > _MARGIN and left + width > _WIDTH - _MARGIN:
            row, left = row + 1, float(_MARGIN)
        middle = _MARGIN + _LINE + row * _LINE + 6
        parts += [
            element(
                "line",
                x1=_number(left),
                y1=_number(middle),
                x2=_number(left + 26),
                y2=_number(middle),
                stroke=_COLOURS[curve.colour % len(_COLOURS)],
                stroke_width="3",
                stroke_dasharray=_dashes(curve),
            ),
            _text(shown, left + 34, middle + 4, "start"),
        ]
        left += width
    return parts, row + 1


def _dashes(curve: Curve) -> str | None:
    """Dots; else a second round of the same colours is told from the first by its dashes."""
    return _DOTS if curve.dotted else _DASHES[curve.colour // len(_COLOURS) % len(_DASHES)] or None


@dataclass(frozen=True, slots=True)
class _Scale:
    """Numbers to places: ``first`` to ``low``, ``last`` to ``high``, evenly."""

    first: float
    last: float
    low: float
    high: float

    def __call__(self, value: float) -> float:
        span = self.last - self.first
        return self.low + (self.high - self.low) * ((value - self.first) / span if span else 0.5)


def _round_ticks(low: float, high: float) -> list[float]:
    """Four to ten round numbers, evenly spaced, that cover a range."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _require_finite(numbers: Iterable[float]) -> None:
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a chart's numbers are finite")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LABEL else text[: _MOST_LABEL - 1] + "…"


def _number(value: float) -> str:
    """A number without needless digits."""
    return f"{value:.10g}" if value == int(value) else f"{value:.4g}" if abs(value) < 10 else f"{value:.1f}"


def _title(text: str) -> Markup:
    return _text(text, _MARGIN, _MARGIN + 6, "start", "title")


def _text(text: str, x: float, y: float, anchor: str, class_: str | None = None) -> Markup:
    return element("text", text, x=_number(x), y=_number(y), text_anchor=anchor, class_=class_)


def _upright(text: str, x: float, y: float) -> Markup:
    turned = f"translate({_number(x)} {_number(y)}) rotate(-90)"
    return element("text", text, transform=turned, text_anchor="middle", dy="6", class_="faint")


def _rule(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=_number(x1), y1=_number(y1), x2=_number(x2), y2=_number(y2), class_=class_)
