"""Map tools: polygons as QGIS digitises them, a brush for entire pixels, and clicks on places."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Optional

from qgis.core import Qgis, QgsGeometry, QgsPointXY
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
from qgis.PyQt.QtGui import QColor, QWheelEvent

from ..compat import CAPTURE_POLYGON, POLYGON
from ..layers.highlight import to_canvas
from ..store.shapes import scene_crs
from ..store.workspace import Scene
from .pixels import Cell, disc, inside, line, polygon_of

LARGEST_BRUSH = 99
MOST_STEPS = 16

FindPlace = Callable[[QgsPointXY, int], Optional[tuple[QgsGeometry, Scene]]]


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


class PickPlace(QgsMapTool):
    """A click on the place that is outlined below the pointer; the wheel grows and shrinks it.

    Args:
        canvas: the map canvas.

    Attributes:
        find: returns the place at a point of the canvas's CRS for a number of steps, with its scene; None
            where there is none.
        steps: how far the place has grown; −1 for the smallest one.
    """

    picked = pyqtSignal(QgsPointXY, int)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.find: FindPlace = nowhere
        self.steps = 0
        self._point: QgsPointXY | None = None
        self._outline = QgsRubberBand(canvas, POLYGON)
        self._outline.setWidth(2)
        self.set_colour(QColor(255, 255, 255))
        self.setCursor(Qt.CursorShape.CrossCursor)

    def set_colour(self, colour: QColor) -> None:
        """Change the colour of the outline.

        Args:
            colour: the colour of the class.
        """
        fill = QColor(colour)
        fill.setAlpha(90)
        self._outline.setColor(colour)
        self._outline.setFillColor(fill)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Outline the place below the pointer."""
        self._point = event.mapPoint()
        self._show()

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Emit the point and the steps."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(event.mapPoint(), self.steps)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Grow or shrink the place; with Ctrl, QGIS zooms as ever."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return
        turned = 1 if event.angleDelta().y() > 0 else -1
        self.steps = min(max(self.steps + turned, -1), MOST_STEPS)
        self._show()
        event.accept()

    def deactivate(self) -> None:
        """Remove the outline."""
        self._point = None
        self._outline.reset(POLYGON)
        super().deactivate()

    def remove(self) -> None:
        """Remove the outline from the canvas for good."""
        self.canvas().unsetMapTool(self)
        sip.delete(self._outline)

    def _show(self) -> None:
        place = self.find(self._point, self.steps) if self._point is not None else None
        if place is None:
            self._outline.reset(POLYGON)
        else:
            shape, scene = place
            self._outline.setToGeometry(shape, scene_crs(scene))


class PickPoint(QgsMapTool):
    """A click on a place; emits the point in the canvas's CRS.

    Args:
        canvas: the map canvas.
        cursor: the pointer's shape.
    """

    picked = pyqtSignal(QgsPointXY)

    def __init__(self, canvas: QgsMapCanvas, cursor: Qt.CursorShape) -> None:
        super().__init__(canvas)
        self.setCursor(cursor)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Emit the point."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(event.mapPoint())


def nowhere(_point: QgsPointXY, _steps: int) -> None:
    """Find no place, while no session is open."""
