"""From pixels to polygons along pixel edges, which rasterise back to the same pixels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import shapes
from shapely import MultiPolygon, Polygon
from shapely.geometry import shape

from tsfal_geo.errors import LabelError


def region_polygon(mask: np.ndarray, grid: GeoBox, y: int = 0, x: int = 0) -> Polygon | MultiPolygon:
    """The outline of a region, along pixel edges.

    Args:
        mask: (h, w) bool or uint8; non-zero in the region.
        grid: the scene's grid.
        y: row of the mask's first pixel on the grid.
        x: its column.

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
    regions: np.ndarray, grid: GeoBox, y: int = 0, x: int = 0
) -> dict[int, Polygon | MultiPolygon]:
    """The outlines of numbered regions, traced together.

    Args:
        regions: (h, w) uint8 or int32; 0 outside all of them.
        grid: the scene's grid.
        y: row of the first pixel on the grid.
        x: its column.

    Returns:
        As ``region_polygon``, of each number that occurs.
    """
    # Outlines are traced in whole pixels, where float32 would do, and placed on the ground in float64.
    traced = list(shapes(regions, mask=regions != 0, connectivity=4))
    outlines = shapely.make_valid(np.array([shape(item) for item, _ in traced], dtype=object))
    parts, of_outline = shapely.get_parts(outlines, return_index=True)
    affine = grid.affine

    def place(points: np.ndarray) -> np.ndarray:
        columns, rows = points[:, 0] + x, points[:, 1] + y
        return np.column_stack(
            (affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f)
        )

    found: dict[int, list[Polygon]] = defaultdict(list)
    for part, index in zip(shapely.transform(parts, place), of_outline, strict=True):
        found[int(traced[index][1])].append(part)
    return {number: own[0] if len(own) == 1 else MultiPolygon(own) for number, own in found.items()}


def class_polygons(
    classes: np.ndarray, grid: GeoBox, y: int = 0, x: int = 0, ignore: int = 255
) -> list[tuple[int, Polygon | MultiPolygon]]:
    """Connected regions of each class: pairs of class index and polygon; ``ignore`` is left out."""
    found = []
    for value in np.unique(classes):
        if value == ignore:
            continue
        outline = region_polygon(classes == value, grid, y, x)
        found += [(int(value), part) for part in shapely.get_parts(outline)]
    return found
