"""Map tools: polygons as QGIS digitises them, a brush for entire pixels, and picking a query."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import Qgis, QgsGeometry, QgsPointXY, QgsRectangle
from qgis.gui import (
    QgsAdvancedDigitizingDockWidget,
    QgsMapCanvas,
    QgsMapMouseEvent,
    QgsMapTool,
    QgsMapToolDigitizeFeature,
    QgsRubberBand,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QTransform

from ..compat import CAPTURE_POLYGON, POLYGON
from ..layers.highlight import to_canvas
from ..store.shapes import scene_crs
from ..store.workspace import Scene

LARGEST_BRUSH = 99

Cell = tuple[int, int]  # (column, row)


class PolygonTool(QgsMapToolDigitizeFeature):
    """QGIS's digitising tool, with snapping and tracing; it emits the polygon and adds nothing by itself.

    Args:
        canvas: the map canvas.
        cad: QGIS's panel for advanced digitising.
    """

    def __init__(self, canvas: QgsMapCanvas, cad: QgsAdvancedDigitizingDockWidget) -> None:
        super().__init__(canvas, cad, CAPTURE_POLYGON)
        self.setToolName("TSFAL polygon")


class PixelBrush(QgsMapTool):
    """Paints pixels of a scene; a stroke becomes the polygon along their edges.

    Args:
        canvas: the map canvas.

    Attributes:
        scene: the scene that is painted; None to paint nothing.
        size: diameter in pixels.
    """

    painted = pyqtSignal(QgsGeometry)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.scene: Scene | None = None
        self.size = 5
        self._cells: set[Cell] = set()
        self._last: Cell | None = None
        self._stroke = QgsRubberBand(canvas, POLYGON)
        self._cursor = QgsRubberBand(canvas, POLYGON)
        self.set_colour(QColor(255, 255, 255))
        self.setCursor(Qt.CursorShape.CrossCursor)

    def set_colour(self, colour: QColor) -> None:
        """Change the colour of the stroke.

        Args:
            colour: the colour of the class.
        """
        fill = QColor(colour)
        fill.setAlpha(110)
        self._stroke.setColor(colour)
        self._stroke.setFillColor(fill)
        self._cursor.setColor(colour)
        self._cursor.setFillColor(QColor(0, 0, 0, 0))

    def resize(self, step: int) -> int:
        """Change the diameter.

        Args:
            step: pixels to add.

        Returns:
            The new diameter in pixels, from 1 to `LARGEST_BRUSH`.
        """
        self.size = min(max(self.size + step, 1), LARGEST_BRUSH)
        return self.size

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Begin a stroke."""
        if event.button() == Qt.MouseButton.LeftButton and self.scene is not None:
            self._cells, self._last = set(), None
            self._paint(event, self.scene)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Show the brush, and continue the stroke."""
        if self.scene is None:
            return
        self._show(self._cursor, disc(self._cell(event, self.scene), self.size), self.scene)
        if self._last is not None:
            self._paint(event, self.scene)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """End the stroke and emit its polygon."""
        if event.button() != Qt.MouseButton.LeftButton or self._last is None or self.scene is None:
            return
        self._paint(event, self.scene)
        shape = polygon_of(self._cells, self.scene)
        self._cells, self._last = set(), None
        self._stroke.reset(POLYGON)
        if not shape.isEmpty():
            self.painted.emit(shape)

    def deactivate(self) -> None:
        """Drop an unfinished stroke."""
        self._cells, self._last = set(), None
        self._stroke.reset(POLYGON)
        self._cursor.reset(POLYGON)
        super().deactivate()

    def remove(self) -> None:
        """Remove the outlines from the canvas."""
        self.canvas().unsetMapTool(self)
        for band in (self._stroke, self._cursor):
            sip.delete(band)

    def _paint(self, event: QgsMapMouseEvent, scene: Scene) -> None:
        end = self._cell(event, scene)
        for cell in line(self._last or end, end):
            self._cells |= inside(disc(cell, self.size), scene)
        self._last = end
        self._show(self._stroke, self._cells, scene)

    def _cell(self, event: QgsMapMouseEvent, scene: Scene) -> Cell:
        transform = to_canvas(self.canvas(), scene_crs(scene))
        point = transform.transform(event.mapPoint(), Qgis.TransformDirection.Reverse)
        return scene.cell(point.x(), point.y())

    def _show(self, band: QgsRubberBand, cells: Iterable[Cell], scene: Scene) -> None:
        band.setToGeometry(polygon_of(cells, scene), scene_crs(scene))


class PickQuery(QgsMapTool):
    """A click that picks the query below it; emits the point in the canvas's CRS.

    Args:
        canvas: the map canvas.
    """

    picked = pyqtSignal(QgsPointXY)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Emit the point."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(event.mapPoint())


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
