"""What the synthetic town is described by: items on the ground, streets, and what is occupied.

Metres, origin at the town's north-west corner, x east and y south. Angles in radians, clockwise as seen on
the picture. Nothing here knows about pixels: `town_paint` turns these items into rasters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

WIDTH_M, HEIGHT_M = 276.48, 184.32
MARGIN_M = 16.0
CELL_M = 0.4
IMPERVIOUS, BUILDING, LOW, TREE, CAR, CLUTTER = range(6)
Tint = tuple[float, float, float]


@dataclass(frozen=True)
class Item:
    """One thing on the ground: a rotated box (length along `angle`) with a height and a material."""

    kind: str
    label: int
    x: float
    y: float
    angle: float
    length: float
    width: float
    height: float
    material: str
    tint: Tint = (1.0, 1.0, 1.0)
    seed: int = 0


@dataclass(frozen=True)
class Street:
    """A bent street: centre line (n, 2) in metres with its width and its pavements' width."""

    points: np.ndarray
    width: float
    walk: float
    dense: bool = False

    def along(self, step: float) -> Iterator[tuple[float, float, float]]:
        """Yield (x, y, direction) each `step` metres."""
        legs = np.diff(self.points, axis=0)
        lengths = np.sqrt((legs**2).sum(axis=1))
        ends = np.cumsum(lengths)
        position = step / 2
        while position < ends[-1]:
            leg = int(np.searchsorted(ends, position))
            part = (position - (ends[leg] - lengths[leg])) / lengths[leg]
            x, y = self.points[leg] + part * legs[leg]
            yield float(x), float(y), math.atan2(legs[leg, 1], legs[leg, 0])
            position += step


@dataclass
class Town:
    """The streets and all items, in painting order: gardens, other ground covers, solid things."""

    streets: list[Street]
    gardens: list[Item] = field(default_factory=list)
    ground: list[Item] = field(default_factory=list)
    solid: list[Item] = field(default_factory=list)


class Occupancy:
    """A coarse raster that says where something already stands."""

    def __init__(self) -> None:
        rows = int((HEIGHT_M + 2 * MARGIN_M) / CELL_M)
        columns = int((WIDTH_M + 2 * MARGIN_M) / CELL_M)
        self.taken = np.zeros((rows, columns), bool)
        self._y = (np.arange(rows) + 0.5)[:, None] * CELL_M - MARGIN_M
        self._x = (np.arange(columns) + 0.5)[None] * CELL_M - MARGIN_M

    def _mask(self, item: Item, gap: float) -> tuple[tuple[slice, slice], np.ndarray]:
        reach = math.hypot(item.length, item.width) / 2 + gap
        row, column = (item.y + MARGIN_M) / CELL_M, (item.x + MARGIN_M) / CELL_M
        cells = reach / CELL_M + 1
        box = (
            slice(max(0, int(row - cells)), int(row + cells)),
            slice(max(0, int(column - cells)), int(column + cells)),
        )
        dx, dy = self._x[:, box[1]] - item.x, self._y[box[0]] - item.y
        c, s = math.cos(item.angle), math.sin(item.angle)
        inside = (abs(c * dx + s * dy) < item.length / 2 + gap) & (
            abs(c * dy - s * dx) < item.width / 2 + gap
        )
        return box, inside

    def free(self, item: Item, gap: float = 0.0) -> bool:
        """Whether the item, grown by `gap` metres, touches nothing that is taken."""
        box, inside = self._mask(item, gap)
        return bool(inside.any()) and not bool((self.taken[box] & inside).any())

    def take(self, item: Item, gap: float = 0.0) -> None:
        """Mark the item, grown by `gap` metres, as taken."""
        box, inside = self._mask(item, gap)
        self.taken[box] |= inside


def shifted(x: float, y: float, angle: float, along: float, across: float) -> tuple[float, float]:
    """The point that lies `along` and `across` metres from (x, y) in a frame turned by `angle`."""
    c, s = math.cos(angle), math.sin(angle)
    return x + c * along - s * across, y + s * along + c * across


def _bent(start: tuple[float, float], end: tuple[float, float], bend: float, turn: float) -> np.ndarray:
    steps = 80
    dx, dy = end[0] - start[0], end[1] - start[1]
    norm = math.hypot(dx, dy)
    out = []
    for k in range(steps + 1):
        t = k / steps
        off = bend * math.sin(turn * t * math.pi)
        out.append((start[0] + t * dx - off * dy / norm, start[1] + t * dy + off * dx / norm))
    return np.array(out)


def streets() -> list[Street]:
    """The town's seven streets."""
    return [
        Street(_bent((-16, 46), (293, 50), 4.0, 3.0), 7.0, 1.9),
        Street(_bent((-16, 143), (293, 137), 5.0, 2.0), 6.2, 1.6),
        Street(_bent((34, -16), (31, 200), 3.0, 2.0), 5.6, 1.5),
        Street(_bent((128, -16), (133, 200), 2.0, 2.0), 6.6, 2.2, dense=True),
        Street(_bent((226, -16), (232, 200), 5.0, 2.0), 5.6, 1.5),
        Street(_bent((33, 98), (112, 94), 3.0, 1.0), 4.2, 0.8),
        Street(_bent((178, 47), (176, 130), 3.0, 1.0), 4.2, 0.8),
    ]
