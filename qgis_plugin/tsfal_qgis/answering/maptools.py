"""Tools for the canvas: polygons as QGIS draws them, a brush that paints whole pixels, picking a query."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
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
from ..store.shapes import scene_crs
from ..store.workspace import Scene

LARGEST_BRUSH = 99

Cell = tuple  # (column, row)


class PolygonTool(QgsMapToolDigitizeFeature):
    """QGIS's own digitising: snapping, tracing, no overlaps. Emits the polygon; adds nothing by itself."""

    def __init__(self, canvas: QgsMapCanvas, cad: QgsAdvancedDigitizingDockWidget) -> None:
        super().__init__(canvas, cad, CAPTURE_POLYGON)
        self.setToolName("TSFAL polygon")


class PixelBrush(QgsMapTool):
    """Paints pixels of a scene; a stroke becomes the polygon along their edges.

    Attributes:
        scene: whose pixels are painted; None: the stroke's polygon is not made.
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
        """Colour of the stroke."""
        fill = QColor(colour)
        fill.setAlpha(110)
        self._stroke.setColor(colour)
        self._stroke.setFillColor(fill)
        self._cursor.setColor(colour)
        self._cursor.setFillColor(QColor(0, 0, 0, 0))

    def resize(self, step: int) -> int:
        """Change the diameter; returns it, in pixels."""
        self.size = min(max(self.size + step, 1), LARGEST_BRUSH)
        return self.size

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Begin a stroke."""
        if event.button() == Qt.MouseButton.LeftButton and self.scene is not None:
            self._cells, self._last = set(), None
            self._paint(event)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Show the brush; go on with the stroke."""
        if self.scene is None:
            return
        here = self._cell(event)
        self._show(self._cursor, disc(here, self.size))
        if self._last is not None:
            self._paint(event)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """End the stroke and emit its polygon."""
        if event.button() != Qt.MouseButton.LeftButton or self._last is None or self.scene is None:
            return
        self._paint(event)
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
        """Take the outlines off the canvas."""
        self.canvas().unsetMapTool(self)
        for band in (self._stroke, self._cursor):
            sip.delete(band)

    def _paint(self, event: QgsMapMouseEvent) -> None:
        assert self.scene is not None
        here = self._cell(event)
        for cell in line(self._last or here, here):
            self._cells |= inside(disc(cell, self.size), self.scene)
        self._last = here
        self._show(self._stroke, self._cells)

    def _cell(self, event: QgsMapMouseEvent) -> Cell:
        assert self.scene is not None
        point = self._transform(self.scene).transform(event.mapPoint(), Qgis.TransformDirection.Reverse)
        return self.scene.cell(point.x(), point.y())

    def _transform(self, scene: Scene) -> QgsCoordinateTransform:
        canvas_crs = self.canvas().mapSettings().destinationCrs()
        return QgsCoordinateTransform(scene_crs(scene), canvas_crs, QgsProject.instance())

    def _show(self, band: QgsRubberBand, cells: Iterable[Cell]) -> None:
        assert self.scene is not None
        shape = polygon_of(cells, self.scene)
        band.setToGeometry(shape, scene_crs(self.scene))


class PickQuery(QgsMapTool):
    """A click that chooses the query below it; emits the point in canvas coordinates."""

    picked = pyqtSignal(QgsPointXY)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Emit the point."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(event.mapPoint())


def disc(centre: Cell, size: int) -> set[Cell]:
    """The pixels of a brush of diameter ``size`` around a pixel."""
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
    """The pixels from one to another, without gaps."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            start[0] + round((end[0] - start[0]) * step / steps),
            start[1] + round((end[1] - start[1]) * step / steps),
        )
        for step in range(steps + 1)
    ]


def inside(cells: Iterable[Cell], scene: Scene) -> set[Cell]:
    """The pixels that the scene has."""
    return {cell for cell in cells if 0 <= cell[0] < scene.width and 0 <= cell[1] < scene.height}


def polygon_of(cells: Iterable[Cell], scene: Scene) -> QgsGeometry:
    """The polygon along the edges of pixels, in the scene's CRS; empty for none.

    It is joined in whole pixel coordinates and moved to the map afterwards, so that it rasterises to these
    pixels exactly, on rotated grids too.
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
    runs: list[tuple[int, int]] = []
    for member in members:
        if runs and member == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], member)
        else:
            runs.append((member, member))
    return runs
