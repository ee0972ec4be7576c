"""From pixels to polygons along pixel edges, which rasterise back to the same pixels."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import shapes
from shapely import MultiPolygon, Polygon
from shapely.geometry import shape

from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import LabelError


def to_ground(pixels: NDArray[np.float64], grid: GeoBox) -> NDArray[np.float64]:
    """Convert pixel coordinates to those of the grid's CRS.

    Args:
        pixels: (n, 2) column and row.
        grid: the scene's grid.

    Returns:
        (n, 2) float64 x and y.
    """
    (columns, rows), affine = pixels.T, grid.affine
    return np.column_stack(
        (affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f)
    )


def region_polygon(mask: NDArray[Any], grid: GeoBox, y: int = 0, x: int = 0) -> Polygon | MultiPolygon:
    """Trace the outline of a region along pixel edges.

    Args:
        mask: (h, w) bool or uint8; non-zero in the region.
        grid: the scene's grid.
        y: row of the mask's first pixel on the grid.
        x: column of the mask's first pixel on the grid.

    Returns:
        A valid polygon in the grid's CRS; a multipolygon where the region is not connected by edges.

    Raises:
        LabelError: no pixel is in the region.
    """
    region = np.asarray(mask) != 0
    if not region.any():
        raise LabelError("a region has no pixels, expected at least one")
    return region_polygons(region.astype(np.uint8), grid, y, x)[1]


def region_polygons(
    regions: NDArray[np.integer[Any]], grid: GeoBox, y: int = 0, x: int = 0
) -> dict[int, Polygon | MultiPolygon]:
    """Trace the outlines of numbered regions in one pass.

    Args:
        regions: (h, w) uint8 or int32, number of the region; 0 outside all regions.
        grid: the scene's grid.
        y: row of the first pixel on the grid.
        x: column of the first pixel on the grid.

    Returns:
        Polygon or multipolygon by region number, as `region_polygon` returns it.
    """
    # Outlines are traced in pixel coordinates, which are integers and exact, and moved to the ground in
    # float64: regions that share a corner still share it there, to the last bit.
    traced = list(shapes(regions, mask=regions != 0, connectivity=4))
    outlines = shapely.make_valid(np.array([shape(item) for item, _ in traced], dtype=object))
    parts, of_outline = shapely.get_parts(outlines, return_index=True)
    placed = shapely.transform(parts, lambda corners: to_ground(corners + np.array([x, y]), grid))
    found: dict[int, list[Polygon]] = defaultdict(list)
    for part, index in zip(placed, of_outline, strict=True):
        found[int(traced[index][1])].append(part)
    return {number: own[0] if len(own) == 1 else MultiPolygon(own) for number, own in found.items()}


def class_polygons(
    classes: NDArray[np.integer[Any]], grid: GeoBox, y: int = 0, x: int = 0, ignore: int = IGNORE
) -> list[tuple[int, Polygon | MultiPolygon]]:
    """Trace the outlines of the connected regions of each class.

    Args:
        classes: (h, w) integers, class index or id of each pixel.
        grid: the scene's grid.
        y: row of the first pixel on the grid.
        x: column of the first pixel on the grid.
        ignore: value of pixels without a class.

    Returns:
        Pairs of value and polygon, by ascending value.
    """
    found = []
    for value in np.unique(classes):
        if value == ignore:
            continue
        outline = region_polygon(classes == value, grid, y, x)
        found += [(int(value), part) for part in shapely.get_parts(outline)]
    return found
