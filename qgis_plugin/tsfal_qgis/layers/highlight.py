"""Shows a place on the canvas: zooms there, outlines and flashes it."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtGui import QColor

from ..compat import POLYGON
from ..store.shapes import footprint, scene_crs
from ..store.workspace import Scene

_LEAST_PIXELS = 30
_AROUND = 3.5
_FLASH_MS = 300


class Spotlight:
    """The outline of one region: nothing of it hides the pixels that are to be judged."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._outline = QgsRubberBand(canvas, POLYGON)
        self._outline.setFillColor(QColor(0, 0, 0, 0))
        self._outline.setStrokeColor(QColor(0, 255, 255))
        self._outline.setSecondaryStrokeColor(QColor(0, 0, 0, 150))
        self._outline.setWidth(3)

    def show(self, region: QgsGeometry, crs: QgsCoordinateReferenceSystem, scene: Scene | None) -> None:
        """Zoom to a region with the ground around it, and flash it."""
        self._outline.setToGeometry(region, crs)
        box = region.boundingBox()
        box.scale(_AROUND)
        if scene is not None:
            box.combineExtentWith(_around(box.center(), scene))
        self._canvas.setExtent(to_canvas(self._canvas, crs).transformBoundingBox(box))
        self._canvas.refresh()
        flash = QColor(0, 255, 255, 120), QColor(0, 255, 255, 0)
        self._canvas.flashGeometries([region], crs, *flash, 1, _FLASH_MS)

    def show_all(self, scenes: Sequence[Scene]) -> None:
        """Zoom to all scenes."""
        box = QgsRectangle()
        for scene in scenes:
            change = to_canvas(self._canvas, scene_crs(scene))
            box.combineExtentWith(change.transformBoundingBox(footprint(scene).boundingBox()))
        box.scale(1.05)
        self._canvas.setExtent(box)
        self._canvas.refresh()

    def clear(self) -> None:
        """Take the outline away."""
        self._outline.reset(POLYGON)

    def set_visible(self, visible: bool) -> None:
        """Hide the outline for a while."""
        self._outline.setVisible(visible)

    def remove(self) -> None:
        """Take the outline off the canvas for good."""
        # Left to the garbage collector it would outlive its canvas, and crash.
        sip.delete(self._outline)


def to_canvas(canvas: QgsMapCanvas, crs: QgsCoordinateReferenceSystem) -> QgsCoordinateTransform:
    """From a CRS to that of a canvas."""
    return QgsCoordinateTransform(crs, canvas.mapSettings().destinationCrs(), QgsProject.instance())


def _around(centre: QgsPointXY, scene: Scene) -> QgsRectangle:
    a, b, _, d, e, _ = scene.transform
    reach = _LEAST_PIXELS * max(abs(a) + abs(b), abs(d) + abs(e))
    return QgsRectangle(centre.x() - reach, centre.y() - reach, centre.x() + reach, centre.y() + reach)
