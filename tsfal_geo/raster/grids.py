"""Grids of files: shape, float64 transform and CRS as one value."""

from __future__ import annotations

import math

from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader


def grid_of(dataset: DatasetReader) -> GeoBox:
    """The grid of an open raster, its transform exactly that of the file."""
    crs = dataset.crs.to_wkt() if dataset.crs else None
    return GeoBox((dataset.height, dataset.width), dataset.transform, crs)


def metres_per_pixel(grid: GeoBox) -> float | None:
    """Side of a pixel (root of its area) in metres; None without a georeference.

    A transform without CRS is taken to be in metres.
    """
    a, b, _, d, e, _ = tuple(grid.affine)[:6]
    side = math.sqrt(abs(a * e - b * d))
    if grid.crs is None:
        return None if grid.affine.is_identity else side
    if not grid.crs.geographic:
        return side * _metres_per_unit(grid)
    _, latitude = grid.affine * (grid.width / 2, grid.height / 2)
    return side * 111_320 * math.sqrt(max(math.cos(math.radians(latitude)), 0.01))


def _metres_per_unit(grid: GeoBox) -> float:
    axes = grid.crs.proj.axis_info  # type: ignore[union-attr]
    return float(axes[0].unit_conversion_factor) if axes else 1.0
