"""Polygons and coordinate systems of labels."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsPointXY, QgsWkbTypes

from ..compat import POLYGON
from .workspace import Scene


class Refused(Exception):
    """Why a label was not taken, in a sentence for the person who made it."""


def mended(geometry: QgsGeometry) -> QgsGeometry:
    """A valid multipolygon of the same area, without Z and M.

    Raises:
        Refused: there is no area in it.
    """
    shape = QgsGeometry(geometry)
    shape.get().dropZValue() if not shape.isNull() else None
    shape.get().dropMValue() if not shape.isNull() else None
    if not shape.isNull() and not shape.isGeosValid():
        shape = shape.makeValid()
    parts = [part for part in shape.asGeometryCollection() if part.type() == POLYGON and part.area() > 0]
    if not parts:
        raise Refused("The polygon has no area; draw at least three corners.")
    whole = QgsGeometry.collectGeometry(parts) if len(parts) > 1 else parts[0]
    whole.convertToMultiType()
    if QgsWkbTypes.flatType(whole.wkbType()) != QgsWkbTypes.Type.MultiPolygon:
        raise Refused("That is not a polygon.")
    return whole


def footprint(scene: Scene) -> QgsGeometry:
    """The outline of a scene in its CRS."""
    return QgsGeometry.fromPolygonXY([[QgsPointXY(x, y) for x, y in scene.outline()]])


def scene_crs(scene: Scene) -> QgsCoordinateReferenceSystem:
    """The CRS of a scene; invalid where it has none."""
    if scene.crs is None:
        return QgsCoordinateReferenceSystem()
    if scene.crs.startswith("EPSG:"):
        return QgsCoordinateReferenceSystem(scene.crs)
    return QgsCoordinateReferenceSystem.fromWkt(scene.crs)


def same_crs(first: QgsCoordinateReferenceSystem, second: QgsCoordinateReferenceSystem) -> bool:
    """Whether coordinates in one are coordinates in the other; none is like none."""
    return first == second or not (first.isValid() or second.isValid())
