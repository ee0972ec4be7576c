"""Places of scenes in longitude and latitude, by GeoJSON's rules (RFC 7946): cut at 180°, also at poles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from tsfal_geo.raster.layer_crs import scene_crs, transformer
from tsfal_geo.raster.scene import Scene

_POINTS = 21  # on each side of a scene's outline


def footprint(scene: Scene) -> shapely.Geometry | None:
    """Return the outline of a scene, cut at 180°.

    Args:
        scene: any scene.

    Returns:
        Polygon or multipolygon in longitude and latitude; None without a CRS that lies on the earth.
    """
    crs = scene_crs(scene)
    if crs is None:
        return None
    side = np.linspace(0, 1, _POINTS)[:-1]
    ring = np.concatenate([np.c_[side, 0 * side], np.c_[1 + 0 * side, side], np.c_[1 - side, 1 + 0 * side],
                           np.c_[0 * side, 1 - side]])  # fmt: skip
    columns, rows = (ring * (scene.width, scene.height)).T
    a, b, c, d, e, f = scene.grid.affine[:6]
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    try:
        lon, lat = transformer(crs, pyproj.CRS.from_epsg(4326)).transform(x, y, errcheck=True)
    except pyproj.exceptions.ProjError:  # a local CRS
        return None
    found = _cut(*_unrolled(np.asarray(lon), np.asarray(lat)))
    return None if found.is_empty else found


def bounding_box(geometries: Sequence[shapely.Geometry]) -> list[float]:
    """Return the smallest box around places; west is greater than east where it crosses 180°.

    Args:
        geometries: polygons and multipolygons of `footprint`.

    Returns:
        West, south, east, north in degrees.
    """
    parts = np.array([part.bounds for geometry in geometries for part in shapely.get_parts(geometry)])
    order = np.argsort(parts[:, 0])
    west, east = parts[order, 0], np.maximum.accumulate(parts[order, 2])
    gaps = np.append(west[1:], west[0] + 360) - east
    widest = int(np.argmax(gaps))
    if gaps[widest] <= 1e-9:  # the earth around
        start, end = -180.0, 180.0
    else:
        start, end = float(west[(widest + 1) % len(west)]), float(east[widest])
    return [start, float(parts[:, 1].min()), end, float(parts[:, 3].max())]


def box_geometry(box: Sequence[float]) -> dict[str, Any]:
    """Return a bounding box as GeoJSON, cut at 180°.

    Args:
        box: west, south, east, north.
    """
    west, south, east, north = box
    outline = shapely.box(west, south, east + 360 if east < west else east, north)
    shape: dict[str, Any] = shapely.geometry.mapping(_cut_polygon(outline))
    return shape


def _unrolled(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Make longitudes continuous; a ring around a pole is led along the pole."""
    around = np.unwrap(np.append(lon, lon[0]), period=360)
    if abs(around[-1] - around[0]) < 180:
        return around[:-1], lat
    pole = math.copysign(90, lat.mean())
    return np.r_[around, around[-1], around[0]], np.r_[lat, lat[0], pole, pole]


def _cut(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> shapely.Geometry:
    return _cut_polygon(shapely.make_valid(shapely.Polygon(np.column_stack((lon, lat)))))


def _cut_polygon(outline: shapely.Geometry) -> shapely.Geometry:
    west, _, east, _ = outline.bounds
    parts = []
    for turn in range(math.floor((west + 180) / 360), math.ceil((east - 180) / 360) + 1):
        inside = shapely.intersection(outline, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
        moved = shapely.transform(inside, lambda points, turn=turn: points - (360.0 * turn, 0.0))
        parts += [part for part in shapely.get_parts(moved) if part.area > 0]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
