"""Polygons and coordinate reference systems of labels."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsPointXY, QgsWkbTypes

from ..compat import POLYGON
from .queries import Query
from .workspace import Scene

QueryRegion = tuple[Query, QgsGeometry, QgsCoordinateReferenceSystem]
"""A query, its region, and the CRS of the region's coordinates."""


class LabelRejected(Exception):
    """The reason why a label was rejected, in a sentence for the annotator."""


def repair_polygon(geometry: QgsGeometry) -> QgsGeometry:
    """Make a geometry a valid multipolygon.

    Args:
        geometry: a polygon, which may cross itself and may have Z and M.

    Returns:
        A valid multipolygon of the same area, without Z and M.

    Raises:
        LabelRejected: the geometry has no area.
    """
    shape = QgsGeometry(geometry)
    shape.get().dropZValue() if not shape.isNull() else None
    shape.get().dropMValue() if not shape.isNull() else None
    if not shape.isNull() and not shape.isGeosValid():
        shape = shape.makeValid()
    parts = [part for part in shape.asGeometryCollection() if part.type() == POLYGON and part.area() > 0]
    if not parts:
        raise LabelRejected("The polygon has no area; draw at least three corners.")
    polygon = QgsGeometry.collectGeometry(parts) if len(parts) > 1 else parts[0]
    polygon.convertToMultiType()
    if QgsWkbTypes.flatType(polygon.wkbType()) != QgsWkbTypes.Type.MultiPolygon:
        raise LabelRejected("The geometry is not a polygon.")
    return polygon


def difference(shape: QgsGeometry, other: QgsGeometry, pixel: float) -> QgsGeometry:
    """Cut a polygon where another one covers it.

    Args:
        shape: a valid polygon.
        other: a valid polygon in the same CRS.
        pixel: area of a pixel; smaller parts than a thousandth of it are rounding errors, and left out.

    Returns:
        A valid multipolygon; an empty one if nothing is left.
    """
    rest = shape.difference(other)
    if not rest.isNull() and not rest.isGeosValid():
        rest = rest.makeValid()
    parts = [
        part for part in rest.asGeometryCollection() if part.type() == POLYGON and part.area() > pixel / 1000
    ]
    if not parts:
        return QgsGeometry.fromWkt("MultiPolygon EMPTY")
    polygon = QgsGeometry.collectGeometry(parts)
    polygon.convertToMultiType()
    return polygon


def pixel_area(scene: Scene) -> float:
    """Return the area of a scene's pixel, in units of its CRS.

    Args:
        scene: the scene.
    """
    (x, y), (right, right_y), (down_x, down) = scene.corner(0, 0), scene.corner(1, 0), scene.corner(0, 1)
    return float(abs((right - x) * (down - y) - (right_y - y) * (down_x - x)))


def footprint(scene: Scene) -> QgsGeometry:
    """Make the outline of a scene.

    Args:
        scene: the scene.

    Returns:
        A polygon in the scene's CRS.
    """
    return QgsGeometry.fromPolygonXY([[QgsPointXY(x, y) for x, y in scene.outline()]])


def scene_below(
    shape: QgsGeometry,
    crs: QgsCoordinateReferenceSystem,
    scenes: Iterable[tuple[Scene, QgsCoordinateReferenceSystem]],
) -> str | None:
    """Find the scene that a polygon lies in.

    Args:
        shape: the polygon.
        crs: the CRS of its coordinates.
        scenes: scenes, each with the CRS of the layer that holds its labels.

    Returns:
        The scene's name; None where several scenes overlap there.

    Raises:
        LabelRejected: the polygon lies outside every scene.
    """
    names = [
        scene.name
        for scene, layer_crs in scenes
        if same_crs(layer_crs, crs) and footprint(scene).intersects(shape)
    ]
    if not names:
        raise LabelRejected("The polygon lies outside every scene.")
    return names[0] if len(names) == 1 else None


def scene_crs(scene: Scene) -> QgsCoordinateReferenceSystem:
    """Make the CRS of a scene.

    Args:
        scene: the scene.

    Returns:
        The CRS; an invalid one for a scene without CRS.
    """
    if scene.crs is None:
        return QgsCoordinateReferenceSystem()
    if scene.crs.startswith("EPSG:"):
        return QgsCoordinateReferenceSystem(scene.crs)
    return QgsCoordinateReferenceSystem.fromWkt(scene.crs)


def same_crs(first: QgsCoordinateReferenceSystem, second: QgsCoordinateReferenceSystem) -> bool:
    """Compare two coordinate reference systems.

    Args:
        first: any CRS; an invalid one stands for "no CRS".
        second: the one to compare with.

    Returns:
        True if both are the same, or both are invalid.
    """
    return first == second or not (first.isValid() or second.isValid())
