"""Pixels of a scene: discs, lines and blocks of them, and the polygon along their edges."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsGeometry, QgsRectangle
from qgis.PyQt.QtGui import QTransform

from ..store.workspace import Scene

Cell = tuple[int, int]  # (column, row)


def disc(centre: Cell, size: int) -> set[Cell]:
    """Return the pixels of a brush.

    Args:
        centre: its pixel, as (column, row).
        size: its diameter in pixels.

    Returns:
        The pixels, as (column, row).
    """
    reach = size / 2
    low, high = -((size - 1) // 2), size // 2
    middle = (low + high) / 2
    return {
        (centre[0] + column, centre[1] + row)
        for column in range(low, high + 1)
        for row in range(low, high + 1)
        if (column - middle) ** 2 + (row - middle) ** 2 <= reach**2
    }


def line(start: Cell, end: Cell) -> list[Cell]:
    """Return the pixels of a line without gaps.

    Args:
        start: its first pixel, as (column, row).
        end: its last pixel.

    Returns:
        The pixels in order, both ends included.
    """
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            start[0] + round((end[0] - start[0]) * step / steps),
            start[1] + round((end[1] - start[1]) * step / steps),
        )
        for step in range(steps + 1)
    ]


def inside(cells: Iterable[Cell], scene: Scene) -> set[Cell]:
    """Leave out the pixels outside a scene.

    Args:
        cells: pixels, as (column, row).
        scene: the scene.

    Returns:
        The pixels inside the scene.
    """
    return {cell for cell in cells if 0 <= cell[0] < scene.width and 0 <= cell[1] < scene.height}


def polygon_of(cells: Iterable[Cell], scene: Scene) -> QgsGeometry:
    """Make the polygon along the edges of pixels.

    The pixels are joined in integer pixel coordinates and transformed to the map afterwards, so that the
    polygon rasterises to exactly these pixels, on rotated grids too.

    Args:
        cells: pixels, as (column, row).
        scene: the scene.

    Returns:
        The polygon in the scene's CRS; an empty geometry for no pixels.
    """
    columns: dict[int, list[int]] = {}
    for column, row in cells:
        columns.setdefault(row, []).append(column)
    strips = [
        QgsGeometry.fromRect(QgsRectangle(first, row, last + 1, row + 1))
        for row, members in columns.items()
        for first, last in _runs(sorted(members))
    ]
    if not strips:
        return QgsGeometry()
    shape = QgsGeometry.unaryUnion(strips)
    a, b, c, d, e, f = scene.transform
    shape.transform(QTransform(a, d, b, e, c, f))
    return shape


def _runs(members: list[int]) -> list[tuple[int, int]]:
    """Join consecutive integers to pairs of the first and the last."""
    runs: list[tuple[int, int]] = []
    for member in members:
        if runs and member == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], member)
        else:
            runs.append((member, member))
    return runs
