"""The current query on the canvas: zoomed to, outlined and flashed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtGui import QColor

from ..compat import POLYGON
from ..store.shapes import footprint, scene_crs
from ..store.workspace import Scene

_GROUND = 110  # pixels of ground around a region: enough to tell what lies there
_SCALE_STEP = 1.5  # between the scales of views, so that regions of like size are seen at the same scale
_CONTEXT = 3.5  # side of the view of a region without scene, as a multiple of its bounding box
_FLASH_MS = 300


class Highlight:
    """The outline of one region. It has no fill, so that the annotator sees every pixel of the region.

    Args:
        canvas: the map canvas.
    """

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._outline = QgsRubberBand(canvas, POLYGON)
        self._outline.setFillColor(QColor(0, 0, 0, 0))
        self._outline.setStrokeColor(QColor(0, 255, 255))
        self._outline.setSecondaryStrokeColor(QColor(0, 0, 0, 220))
        self._outline.setWidth(3)

    def show(self, region: QgsGeometry, crs: QgsCoordinateReferenceSystem, scene: Scene | None) -> None:
        """Zoom to a region and its surroundings, outline and flash it.

        Args:
            region: a polygon.
            crs: the CRS of its coordinates.
            scene: its scene, whose pixels give the view's scale; None if it is not known.
        """
        self._outline.setToGeometry(region, crs)
        box = region.boundingBox()
        if scene is None:
            box.scale(_CONTEXT)
        else:
            box = _view(box, scene)
        self._canvas.setExtent(to_canvas(self._canvas, crs).transformBoundingBox(box))
        self._canvas.refresh()
        flash = QColor(0, 255, 255, 120), QColor(0, 255, 255, 0)
        self._canvas.flashGeometries([region], crs, *flash, 1, _FLASH_MS)

    def show_all(self, scenes: Sequence[Scene]) -> None:
        """Zoom to several scenes.

        Args:
            scenes: the scenes.
        """
        box = QgsRectangle()
        for scene in scenes:
            transform = to_canvas(self._canvas, scene_crs(scene))
            box.combineExtentWith(transform.transformBoundingBox(footprint(scene).boundingBox()))
        box.scale(1.05)
        self._canvas.setExtent(box)
        self._canvas.refresh()

    def clear(self) -> None:
        """Remove the outline until the next region is shown."""
        self._outline.reset(POLYGON)

    def remove(self) -> None:
        """Remove the outline from the canvas for good."""
        # The garbage collector could delete it after its canvas, and QGIS would crash.
        sip.delete(self._outline)


def to_canvas(canvas: QgsMapCanvas, crs: QgsCoordinateReferenceSystem) -> QgsCoordinateTransform:
    """Make the transformation from a CRS to that of a canvas.

    Args:
        canvas: the map canvas.
        crs: the CRS.

    Returns:
        The transformation.
    """
    return QgsCoordinateTransform(crs, canvas.mapSettings().destinationCrs(), QgsProject.instance())


def _view(box: QgsRectangle, scene: Scene) -> QgsRectangle:
    a, b, _, d, e, _ = scene.transform
    pixel = max(abs(a) + abs(b), abs(d) + abs(e))
    least = max(box.width(), box.height()) / pixel + 2 * _GROUND
    step = math.ceil(math.log(least / (2 * _GROUND), _SCALE_STEP) - 1e-9)
    reach = _GROUND * _SCALE_STEP**step * pixel
    x, y = box.center().x(), box.center().y()
    return QgsRectangle(x - reach, y - reach, x + reach, y + reach)
