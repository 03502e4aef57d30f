"""Line charts as inline SVG, without a plotting library and without a script.  Pure.

Colours are CSS classes (`c-...`), so that the page decides them for light and dark; every line differs from
its neighbours in dash or weight too, so that nothing rests on colour alone.  `training/figures.py` says what
to draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html import escape

Point = tuple[float, float | None]  # x, and y unless missing

_CHARACTER = 6.6  # width of one, at the axis labels' size, to leave room for them


@dataclass(frozen=True, slots=True)
class Line:
    """A curve; gaps where y is None."""

    name: str  # in the legend
    style: str  # CSS class
    points: Sequence[Point]
    has_dots: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two curves over the same x."""

    name: str
    style: str
    low: Sequence[Point]
    high: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A mark with a shape of its own: "triangle", "cross", "diamond" or "circle"."""

    name: str
    style: str
    shape: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows and how its ticks read."""

    label: str
    ticks: Sequence[float]
    text: Callable[[float], str]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything about one picture except its size."""

    key: str  # unique on the page
    title: str
    description: str  # what a reader who cannot see it should know
    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    bands: Sequence[Band] = ()
    symbols: Sequence[Symbol] = ()
    zero: float | None = None  # y of a line to compare with
    names: dict[str, tuple[str, str]] = field(default_factory=dict)  # legend of symbols: name -> style, shape


def draw(chart: Chart, width: int, height: int) -> str:
    """Return one <svg>, `width` by `height` units, scaling with its container."""
    left = 16 + _CHARACTER * max((len(chart.y.text(tick)) for tick in chart.y.ticks), default=1)
    frame = _Frame(chart, left, 26, width - 24, height - 40)
    key = f"{chart.key}-{width}"
    inside = [
        *(_band(band, frame) for band in chart.bands),
        *([_rule(frame, chart.zero)] if chart.zero is not None else []),
        *(_line(line, frame) for line in chart.lines),
        *(_symbol(symbol, frame) for symbol in chart.symbols),
    ]
    return "\n".join(
        (
            f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{key}-t {key}-d">',
            f'<title id="{key}-t">{escape(chart.title)}</title>',
            f'<desc id="{key}-d">{escape(chart.description)}</desc>',
            _clip(f"{key}-c", frame),
            *_axes(chart, frame),
            f'<g clip-path="url(#{key}-c)">',
            *inside,
            "</g>",
            "</svg>",
        )
    )


def legend(chart: Chart) -> list[tuple[str, str]]:
    """Names and samples (inline SVG) of everything in the chart, the heaviest line first."""
    entries: dict[str, str] = {}
    for line in sorted(chart.lines, key=lambda line: "thick" not in line.style):
        dot = f'<circle class="{line.style}" cx="14" cy="6" r="3"/>' if line.has_dots else ""
        entries[line.name] = f'<path class="line {line.style}" d="M1 6H27"/>{dot}'
    for band in chart.bands:
        entries[band.name] = f'<rect class="band {band.style}" x="1" y="1" width="26" height="10"/>'
    for name, (style, shape) in chart.names.items():
        entries[name] = f'<path class="mark {style}" d="{_outline(shape, 14, 6, 5)}"/>'
    return [
        (name, f'<svg class="swatch" viewBox="0 0 28 12" aria-hidden="true">{drawing}</svg>')
        for name, drawing in entries.items()
    ]


def thin_chart(chart: Chart, at_most: int) -> Chart:
    """The same chart with no more points per curve than its picture can show."""
    return replace(
        chart,
        lines=[replace(line, points=thin(line.points, at_most)) for line in chart.lines],
        bands=[replace(b, low=thin(b.low, at_most), high=thin(b.high, at_most)) for b in chart.bands],
    )


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values that span low to high: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def thin(points: Sequence[Point], at_most: int) -> list[Point]:
    """Average runs of points until no more than `at_most` are left; a run without any value stays missing."""
    if len(points) <= at_most:
        return list(points)
    size = math.ceil(len(points) / at_most)
    thinned: list[Point] = []
    for first in range(0, len(points), size):
        run = points[first : first + size]
        values = [y for _, y in run if y is not None]
        thinned.append((sum(x for x, _ in run) / len(run), sum(values) / len(values) if values else None))
    return thinned


class _Frame:
    """Where data goes on the picture."""

    def __init__(self, chart: Chart, left: float, top: float, right: float, bottom: float) -> None:
        self.left, self.top, self.right, self.bottom = left, top, right, bottom
        self._x, self._y = chart.x, chart.y

    def x(self, value: float) -> float:
        span = self._x.high - self._x.low or 1.0
        return self.left + (value - self._x.low) / span * (self.right - self.left)

    def y(self, value: float) -> float:
        span = self._y.high - self._y.low or 1.0
        return self.bottom - (value - self._y.low) / span * (self.bottom - self.top)


def _clip(key: str, frame: _Frame) -> str:
    """Cuts off what lies outside, but not half of a mark on the border."""
    margin = 8
    width, height = frame.right - frame.left + 2 * margin, frame.bottom - frame.top + margin
    return (
        f'<clipPath id="{key}"><rect x="{frame.left - margin:.1f}" y="{frame.top - margin:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}"/></clipPath>'
    )


def _axes(chart: Chart, frame: _Frame) -> list[str]:
    drawn = [f'<text class="axis" x="{frame.left:.1f}" y="12">{escape(chart.y.label)}</text>']
    for tick in chart.y.ticks:
        y = frame.y(tick)
        drawn.append(f'<path class="grid" d="M{frame.left:.1f} {y:.1f}H{frame.right:.1f}"/>')
        drawn.append(
            f'<text class="tick" text-anchor="end" x="{frame.left - 6:.1f}" y="{y + 4:.1f}">'
            f"{escape(chart.y.text(tick))}</text>"
        )
    for tick in _fitting(chart.x, frame):
        x = frame.x(tick)
        drawn.append(f'<path class="grid" d="M{x:.1f} {frame.bottom:.1f}v4"/>')
        drawn.append(
            f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{frame.bottom + 17:.1f}">'
            f"{escape(chart.x.text(tick))}</text>"
        )
    drawn.append(
        f'<text class="axis" text-anchor="middle" x="{(frame.left + frame.right) / 2:.1f}" '
        f'y="{frame.bottom + 34:.1f}">{escape(chart.x.label)}</text>'
    )
    return drawn


def _fitting(axis: Axis, frame: _Frame) -> list[float]:
    """As many of the ticks, evenly, as their labels leave room for."""
    ticks = [tick for tick in axis.ticks if axis.low <= tick <= axis.high]
    widest = max((len(axis.text(tick)) for tick in ticks), default=1) * _CHARACTER + 10
    room = max(1, int((frame.right - frame.left) / widest))
    return ticks[:: max(1, math.ceil(len(ticks) / room))]


def _path(points: Sequence[Point], frame: _Frame) -> str:
    pieces, is_down = [], False
    for x, y in points:
        if y is None or not math.isfinite(y):
            is_down = False
            continue
        pieces.append(f"{'L' if is_down else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}")
        is_down = True
    return "".join(pieces)


def _line(line: Line, frame: _Frame) -> str:
    drawn = f'<path class="line {line.style}" d="{_path(line.points, frame)}"/>'
    if line.has_dots:
        drawn += "".join(
            f'<circle class="{line.style}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3.4"/>'
            for x, y in line.points
            if y is not None
        )
    return drawn


def _band(band: Band, frame: _Frame) -> str:
    """One closed area per unbroken run."""
    areas: list[str] = []
    run: list[tuple[float, float, float]] = []
    for (x, low), (_, high) in [*zip(band.low, band.high, strict=True), ((0.0, None), (0.0, None))]:
        if low is not None and high is not None:
            run.append((x, low, high))
        elif run:
            there = "L".join(f"{frame.x(x):.1f} {frame.y(top):.1f}" for x, _, top in run)
            back = "L".join(f"{frame.x(x):.1f} {frame.y(bottom):.1f}" for x, bottom, _ in reversed(run))
            areas.append(f"M{there}L{back}Z")
            run = []
    return f'<path class="band {band.style}" d="{"".join(areas)}"/>'


def _rule(frame: _Frame, y: float) -> str:
    return f'<path class="rule" d="M{frame.left:.1f} {frame.y(y):.1f}H{frame.right:.1f}"/>'


def _symbol(symbol: Symbol, frame: _Frame) -> str:
    x, y = frame.x(symbol.x), frame.y(symbol.y)
    return (
        f'<path class="mark {symbol.style}" d="{_outline(symbol.shape, x, y, 6)}">'
        f"<title>{escape(symbol.name)}</title></path>"
    )


def _outline(shape: str, x: float, y: float, r: float) -> str:
    if shape == "triangle":
        return f"M{x:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}H{x - r:.1f}Z"
    if shape == "diamond":
        return f"M{x:.1f} {y - r:.1f}L{x + r:.1f} {y:.1f}L{x:.1f} {y + r:.1f}L{x - r:.1f} {y:.1f}Z"
    if shape == "cross":
        return f"M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}M{x + r:.1f} {y - r:.1f}L{x - r:.1f} {y + r:.1f}"
    if shape == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    raise ValueError(f"unknown shape {shape!r}; known are triangle, diamond, cross and circle")
