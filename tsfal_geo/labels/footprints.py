"""Pixels that points and lines label, as polygons along pixel edges.

A point labels the pixel that contains it, or the pixels whose centres lie within a radius. A line labels
every pixel that it crosses.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray

from tsfal_geo.labels.polygonise import to_ground
from tsfal_geo.raster.layer_crs import scene_crs, to_pixels
from tsfal_geo.raster.scene import Scene

_POINTS, _LINES = (0, 4), (1, 2, 5)  # type ids of shapely
_CIRCLE = shapely.get_coordinates(shapely.Point(0, 0).buffer(1, quad_segs=64))


def has_no_area(geometry: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell points and lines from polygons.

    Args:
        geometry: (n,) geometries.

    Returns:
        (n,) mask of the points and lines.
    """
    return np.isin(shapely.get_type_id(geometry), (*_POINTS, *_LINES))


def with_area(geometry: NDArray[np.object_], scene: Scene, radius: float | None) -> NDArray[np.object_]:
    """Replace points and lines by the area of the pixels that they label.

    Args:
        geometry: (n,) geometries in the scene's coordinates.
        scene: the scene.
        radius: metres around a point; units of the scene's coordinates where it has no CRS; None: its pixel.

    Returns:
        (n,) polygons and multipolygons; None for points and lines beyond the scene.
    """
    out = geometry.copy()
    for index in np.flatnonzero(has_no_area(geometry)):
        shape = to_pixels(geometry[index], scene)
        if radius is not None and shapely.get_type_id(shape) in _POINTS:
            out[index] = _discs(shape, scene, radius)
        else:
            out[index] = _area(_cells(shape, scene), scene)
    return out


def _discs(points: shapely.Geometry, scene: Scene, radius: float) -> shapely.Geometry | None:
    found: list[Any] = []
    for x, y in shapely.get_coordinates(points):
        outline = _CIRCLE @ (radius * np.linalg.inv(_steps(scene, x, y))).T + np.array([x, y])
        found.append(shapely.Polygon(outline))
        # A disc between the pixels' centres labels the point's own pixel.
        found.append(_area(_cells(shapely.Point(x, y), scene), scene, ground=False))
    shape = shapely.union_all([each for each in found if each is not None])
    left, top, right, bottom = shape.bounds
    if right <= 0 or bottom <= 0 or left >= scene.width or top >= scene.height:
        return None
    return shapely.transform(shape, lambda corners: to_ground(corners, scene.grid))


def _steps(scene: Scene, x: float, y: float) -> NDArray[np.float64]:
    """Measure a step of a column and one of a row, on the ellipsoid where the CRS lies on one.

    Returns:
        (2, 2) float64: metres along x and y (columns of the matrix: a column's step, a row's step).
    """
    affine: Affine = scene.grid.affine
    linear = np.array([[affine.a, affine.b], [affine.d, affine.e]])
    crs = scene_crs(scene)
    if crs is None:
        return linear
    try:
        geographic = crs.geodetic_crs
        geod = crs.get_geod()
        assert geographic is not None and geod is not None
        change = pyproj.Transformer.from_crs(crs, geographic, always_xy=True)
        steps = np.array([[x, y], [x + 1, y], [x, y + 1]])
        x_ground, y_ground = to_ground(steps, scene.grid).T
        longitudes, latitudes = change.transform(x_ground, y_ground, errcheck=True)
        azimuths, _, lengths = geod.inv(longitudes[[0, 0]], latitudes[[0, 0]], longitudes[1:], latitudes[1:])
        return np.array([lengths * np.sin(np.radians(azimuths)), lengths * np.cos(np.radians(azimuths))])
    except (AssertionError, pyproj.exceptions.ProjError):  # a local CRS
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return linear * unit


def _cells(shape: shapely.Geometry, scene: Scene) -> NDArray[np.int64]:
    """List column and row of the scene's pixels that points are in or lines cross."""
    if shapely.get_type_id(shape) in _POINTS:
        cells = np.floor(shapely.get_coordinates(shape))
    else:
        inside = shapely.clip_by_rect(shape, 0, 0, scene.width, scene.height)
        parts = shapely.get_parts(inside)
        lines = [shapely.get_coordinates(line) for line in parts[has_no_area(parts)]]
        crossed = [_crossed(start, end) for line in lines for start, end in pairwise(line)]
        cells = np.concatenate([np.empty((0, 2)), *crossed])
    within = ((cells >= 0) & (cells < (scene.width, scene.height))).all(axis=1)
    return np.unique(cells[within].astype(np.int64), axis=0)


def _crossed(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """List the cells of a unit grid that a segment crosses, one for each stretch between two grid lines."""
    shares = [np.array([0.0, 1.0])]
    for axis in (0, 1):
        low, high = sorted((start[axis], end[axis]))
        if high > low:
            lines = np.arange(np.ceil(low), np.floor(high) + 1)
            shares.append((lines - start[axis]) / (end[axis] - start[axis]))
    order = np.unique(np.concatenate(shares).clip(0, 1))
    middle = (order[1:] + order[:-1]) / 2
    cells: NDArray[np.float64] = np.floor(start + middle[:, None] * (end - start))
    return cells


def _area(cells: NDArray[np.int64], scene: Scene, *, ground: bool = True) -> shapely.Geometry | None:
    if not len(cells):
        return None
    x, y = cells.T
    shape = shapely.union_all(shapely.box(x, y, x + 1, y + 1))
    return shapely.transform(shape, lambda outline: to_ground(outline, scene.grid)) if ground else shape
