"""Repair of the geometries of label rows: valid polygons, or nothing."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from tsfal_geo.geopackage.connection import LayerRows
from tsfal_geo.labels.issues import Issues

_POLYGON, _MULTIPOLYGON, _COLLECTION = 3, 6, 7  # type ids of shapely


def clean_geometries(rows: LayerRows, issues: Issues) -> NDArray[np.object_]:
    """Return valid polygons and multipolygons; repair invalid ones where they cover an area.

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
    other_kind = ~np.isin(kinds, (_POLYGON, _MULTIPOLYGON, _COLLECTION, -1))
    infinite = ~missing & ~np.isfinite(shapely.bounds(geometry)).all(axis=1)
    faults = (
        (missing, "no geometry, or an empty one"),
        (other_kind, "not a polygon"),
        (infinite & ~other_kind, "coordinates that are not numbers"),
    )
    for faulty, reason in faults:
        if faulty.any():
            issues.reject(reason, *fids[faulty])
            geometry[faulty] = None
    usable = shapely.is_valid(geometry) & (kinds != _COLLECTION)
    for index in np.flatnonzero(~shapely.is_missing(geometry) & ~usable):
        reason = shapely.is_valid_reason(geometry[index]).split("[")[0].lower()
        geometry[index] = repaired(geometry[index])
        if geometry[index] is None:
            issues.reject(f"invalid and beyond repair ({reason})", rows.fids[index])
        else:
            issues.note(f"invalid, repaired ({reason})", rows.fids[index])
    return geometry


def repaired(geometry: shapely.Geometry) -> Polygon | MultiPolygon | None:
    """Return the area that an invalid polygon covers, or None if it covers none.

    Args:
        geometry: any geometry.
    """
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(geometry)))
    areas = [part for part in parts if isinstance(part, Polygon) and part.area > 0]
    if not areas:
        return None
    return areas[0] if len(areas) == 1 else MultiPolygon(areas)
