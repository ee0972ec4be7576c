"""An area of interest: the parts of scenes that count; all other pixels are read as pixels without data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyproj
import shapely

from tsfal_geo.errors import LabelError, RasterError
from tsfal_geo.labels.exchange.options import GPKG, ImportOptions
from tsfal_geo.labels.exchange.vector import STARTS, read_rows
from tsfal_geo.raster.layer_crs import flip_y, reproject, same_crs, scene_crs, stores_flipped_y, to_pixels
from tsfal_geo.raster.scene import Scene

_ENDS = 256
"""Pieces that a long edge is divided into before it is reprojected: it may become a curve."""


@dataclass(frozen=True)
class Area:
    """An area of interest.

    Attributes:
        path: of the file that it comes from.
        shape: polygon or multipolygon, valid.
        crs: of its coordinates; None for scenes without a CRS, x before y, y = −row without georeference.
    """

    path: Path
    shape: shapely.Polygon | shapely.MultiPolygon
    crs: pyproj.CRS | None


def read_area(path: Path) -> Area:
    """Read an area of interest from a vector file in any format that `read_vector` reads.

    Args:
        path: the file; all its polygons together are the area.

    Raises:
        LabelError: not readable, or without a polygon.
        UserError: the file is GeoParquet and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in GPKG and suffix not in STARTS:
        raise LabelError(f"{path}: not a vector file; expected .gpkg, .geojson, .shp, .fgb or .parquet")
    if not path.exists():
        raise LabelError(f"{path}: no such file, expected the area of interest; name it with --aoi")
    rows, _ = read_rows(path, ImportOptions())
    shapes = [shapely.make_valid(shape) for shape in rows.geometry if shape is not None]
    parts = [part for shape in shapes for part in shapely.get_parts(shape) if shapely.area(part) > 0]
    if not parts:
        raise LabelError(f"{path}: found no polygon, expected the area of interest")
    return Area(path, shapely.union_all(parts), rows.crs)


def limit_to(scenes: Sequence[Scene], area: Area) -> list[Scene]:
    """Keep the scenes that an area touches, each with its part of it.

    Args:
        scenes: the scenes.
        area: the area.

    Raises:
        RasterError: the area touches no scene, or cannot be brought to a scene's CRS.
    """
    kept = []
    for scene in scenes:
        part = shapely.intersection(_in_pixels(scene, area), shapely.box(0, 0, scene.width, scene.height))
        polygons = [each for each in shapely.get_parts(part) if shapely.area(each) > 0]
        if polygons:
            kept.append(replace(scene, area=shapely.to_wkb(shapely.multipolygons(polygons))))
    if not kept:
        raise RasterError(
            f"{area.path}: the area of interest touches none of {len(scenes)} scenes, such as "
            f"{scenes[0].path}; expected an area on their ground: check its CRS"
        )
    return kept


def _in_pixels(scene: Scene, area: Area) -> shapely.Geometry:
    crs, shape = scene_crs(scene), area.shape
    if crs is None or area.crs is None:
        if (crs is None) != (area.crs is None):
            found, other = ("no CRS", "one") if area.crs is None else (f"the CRS {area.crs.name}", "none")
            raise RasterError(
                f"{area.path}: found {found}, but {scene.path} has {other}; expected an area in the "
                "coordinates of the scenes"
            )
    elif not same_crs(crs, area.crs):
        # Around the scene alone: far away a projection may have no values.
        near = _around(scene, crs, area.crs)
        if near is None:
            raise RasterError(
                f"{area.path}: its CRS {area.crs.name} cannot be changed into that of {scene.path}"
            )
        shape = shapely.intersection(shape, near)
        if shape.is_empty:
            return shape
        step = np.ptp(np.asarray(shapely.bounds(near)).reshape(2, 2), axis=0).max() / _ENDS
        moved = reproject(np.array([shapely.segmentize(shape, step)]), area.crs, crs)[0]
        shape = shapely.make_valid(moved) if moved is not None else shapely.Polygon()
    if stores_flipped_y(scene):
        shape = flip_y(shape)
    return shapely.make_valid(to_pixels(shape, scene))


def _around(scene: Scene, crs: pyproj.CRS, target: pyproj.CRS) -> shapely.Geometry | None:
    """Return a box around a scene in another CRS, a little larger than the scene."""
    outline = shapely.box(0, 0, scene.width, scene.height)
    a = scene.grid.affine
    corners = shapely.transform(
        shapely.segmentize(outline, max(scene.width, scene.height) / 16),
        lambda points: points @ np.array([[a.a, a.d], [a.b, a.e]]) + np.array([a.c, a.f]),
    )
    moved = reproject(np.array([corners]), crs, target)[0]
    if moved is None:
        return None
    left, low, right, high = shapely.bounds(moved)
    margin = 0.1 * max(right - left, high - low)
    return shapely.box(left - margin, low - margin, right + margin, high + margin)
