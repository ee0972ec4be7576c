"""Line charts as SVG, whose colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 40
_STEPS = 4
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One line of a chart, in pixels.

    Attributes:
        name: for the legend.
        number: of the style, from 0.
        path: the value of SVG's ``points``.
        dots: the points.
        level: whether the line is one value across the whole chart.
    """

    name: str
    number: int
    path: str
    dots: tuple[tuple[float, float], ...]
    level: bool


@dataclass(frozen=True)
class Chart:
    """A chart of values from 0 to 1, ready for the template.

    Attributes:
        title: the chart in words, for screen readers.
        label: of the horizontal axis.
        lines: the lines.
        columns: position and text of each tick of the horizontal axis.
        rows: position and text of each tick of the vertical axis.
        left: first column of the area that is drawn on.
        right: last column.
        bottom: last row.
    """

    title: str
    label: str
    lines: tuple[Line, ...]
    columns: tuple[tuple[float, str], ...]
    rows: tuple[tuple[float, str], ...]
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM


def line_chart(label: str, series: Mapping[str, Points]) -> Chart | None:
    """Lay out a chart of mIoU.

    A series of one point beside others that have more is drawn across the whole chart: it was trained once.

    Args:
        label: of the horizontal axis.
        series: points (x, mIoU from 0 to 1) by name.

    Returns:
        The chart; None where no series has a point.
    """
    shown = {name: points for name, points in series.items() if points}
    if not shown:
        return None
    end = max(x for points in shown.values() for x, _ in points) or 1.0
    step = _nice(end / _STEPS)
    end = step * math.ceil(end / step)
    longest = max(len(points) for points in shown.values())
    lines = tuple(
        _line(name, number, points, end, level=len(points) == 1 < longest)
        for number, (name, points) in enumerate(shown.items())
    )
    words = "; ".join(f"{name}: {points[-1][1]:.1%} at {points[-1][0]:.4g}" for name, points in shown.items())
    ticks = [step * n for n in range(round(end / step) + 1)]
    return Chart(
        title=f"mIoU over {label}, the last values: {words}",
        label=label,
        lines=lines,
        columns=tuple((_column(x, end), f"{x:.4g}") for x in ticks),
        rows=tuple((_row(y), f"{y:.0%}") for y in _TICKS),
    )


def _line(name: str, number: int, points: Points, end: float, *, level: bool) -> Line:
    if level:
        row = _row(points[0][1])
        return Line(name, number, f"{_LEFT},{row} {WIDTH - _RIGHT},{row}", (), level)
    dots = tuple((_column(x, end), _row(y)) for x, y in points)
    return Line(name, number, " ".join(f"{x},{y}" for x, y in dots), dots, level)


def _column(x: float, end: float) -> float:
    return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * x / end, 1)


def _row(y: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * y, 1)


def _nice(step: float) -> float:
    """Round a step up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))
