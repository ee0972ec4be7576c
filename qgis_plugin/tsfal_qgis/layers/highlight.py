"""The current query on the canvas: zoomed to, outlined and flashed."""

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
_CONTEXT = 3.5  # side of the view, as a multiple of the region's bounding box
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
        self._outline.setSecondaryStrokeColor(QColor(0, 0, 0, 150))
        self._outline.setWidth(3)

    def show(self, region: QgsGeometry, crs: QgsCoordinateReferenceSystem, scene: Scene | None) -> None:
        """Zoom to a region and its surroundings, outline and flash it.

        Args:
            region: a polygon.
            crs: the CRS of its coordinates.
            scene: its scene, whose pixels give the smallest view; None if it is not known.
        """
        self._outline.setToGeometry(region, crs)
        box = region.boundingBox()
        box.scale(_CONTEXT)
        if scene is not None:
            box.combineExtentWith(_smallest_view(box.center(), scene))
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

    def set_visible(self, visible: bool) -> None:
        """Hide the outline, or show it again.

        Args:
            visible: False to hide it.
        """
        self._outline.setVisible(visible)

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


def _smallest_view(centre: QgsPointXY, scene: Scene) -> QgsRectangle:
    a, b, _, d, e, _ = scene.transform
    reach = _LEAST_PIXELS * max(abs(a) + abs(b), abs(d) + abs(e))
    return QgsRectangle(centre.x() - reach, centre.y() - reach, centre.x() + reach, centre.y() + reach)
