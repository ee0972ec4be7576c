"""Repair of the geometries of label rows: points, lines and valid polygons, or nothing."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon

from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.footprints import has_no_area
from tsfal_geo.labels.issues import Issues

_COLLECTION = 7  # type id of shapely
_BEYOND = 1e12  # no CRS reaches so far, and products of larger numbers are not exact


def clean_geometries(rows: LayerRows, issues: Issues) -> NDArray[np.object_]:
    """Return points, lines and valid polygons; repair invalid polygons where they cover an area.

    Args:
        rows: all rows of a layer.
        issues: takes the issues of geometries that are rejected or repaired.

    Returns:
        (rows,) geometries; None for rejected ones.
    """
    geometry = np.array(rows.geometry, dtype=object)
    fids = np.asarray(rows.fids, dtype=object)
    missing = shapely.is_missing(geometry)
    kinds = shapely.get_type_id(geometry)
    infinite = ~missing & ~(np.abs(shapely.bounds(geometry)) < _BEYOND).all(axis=1)
    faults = (
        (missing, "no geometry, or an empty one"),
        (infinite, "coordinates that are not numbers"),
    )
    for faulty, reason in faults:
        if faulty.any():
            issues.reject(reason, *fids[faulty])
            geometry[faulty] = None
    usable = (shapely.is_valid(geometry) & (kinds != _COLLECTION)) | has_no_area(geometry)
    for index in np.flatnonzero(~shapely.is_missing(geometry) & ~usable):
        reason = shapely.is_valid_reason(geometry[index]).split("[")[0].lower()
        geometry[index] = repaired(geometry[index])
        if geometry[index] is None:
            issues.reject(f"invalid and beyond repair ({reason})", rows.fids[index])
        else:
            issues.note(f"invalid, repaired ({reason})", rows.fids[index])
    return geometry


def repaired(geometry: shapely.Geometry) -> shapely.Geometry | None:
    """Return the area that an invalid polygon or a collection covers.

    Args:
        geometry: any geometry.

    Returns:
        A polygon or multipolygon; the lines, or else the points, of a collection without an area; None for a
        polygon without one, and for coordinates that cannot be handled.
    """
    try:
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(geometry)))
        areas = [part for part in parts if isinstance(part, Polygon) and part.area > 0]
    except shapely.errors.ShapelyError:
        return None
    if areas:
        return areas[0] if len(areas) == 1 else MultiPolygon(areas)
    if shapely.get_type_id(geometry) != _COLLECTION:
        return None
    own = shapely.get_parts(shapely.get_parts(geometry))
    lines = [part for part in own if isinstance(part, LineString)]
    points = [part for part in own if isinstance(part, Point)]
    return MultiLineString(lines) if lines else MultiPoint(points) if points else None
