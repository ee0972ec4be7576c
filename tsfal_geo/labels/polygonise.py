"""From pixels to polygons along pixel edges, which rasterise back to the same pixels."""

from __future__ import annotations

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
    # Outlines are traced in whole pixels, where float32 would do, and placed on the ground in float64.
    traced = [shape(item) for item, _ in shapes(region.astype(np.uint8), mask=region, connectivity=4)]
    parts = shapely.get_parts(shapely.make_valid(np.array(traced, dtype=object)))
    affine = grid.affine

    def place(points: np.ndarray) -> np.ndarray:
        columns, rows = points[:, 0] + x, points[:, 1] + y
        return np.column_stack(
            (affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f)
        )

    placed = shapely.transform(parts, place)
    return placed[0] if len(placed) == 1 else MultiPolygon(list(placed))


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
