"""Sizes of pixels on the ground: square metres on the ellipsoid, whatever the CRS.

The units of a projected CRS are metres of the map, not of the ground: in Web Mercator they are 1.6 times too
long at 52° north. A pixel's two sides are therefore projected to longitude and latitude and measured there.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError, ProjError

Floats = NDArray[np.float64]


def metres_per_pixel(grid: GeoBox) -> float | None:
    """Measure a pixel's side in the middle of a grid, the root of its area.

    Args:
        grid: a raster's grid. A transform without CRS counts as metres.

    Returns:
        Metres on the ellipsoid; None without a georeference.
    """
    if grid.crs is None and grid.affine.is_identity:
        return None
    return math.sqrt(pixel_area(grid))


def pixel_area(grid: GeoBox) -> float:
    """Measure the area of the pixel in the middle of a grid.

    Args:
        grid: a raster's grid. A transform without CRS counts as metres.

    Returns:
        Square metres on the ellipsoid; 1 without a georeference.
    """
    return float(pixel_areas(grid, grid.width / 2, grid.height / 2))


def pixel_areas(grid: GeoBox, columns: ArrayLike, rows: ArrayLike) -> NDArray[np.float64]:
    """Measure the areas of pixels.

    Args:
        grid: a raster's grid.
        columns: positions in pixels.
        rows: positions in pixels, of the same shape.

    Returns:
        Square metres on the ellipsoid, of that shape; square units of a CRS that has no place on Earth.
    """
    column, row = np.asarray(columns, np.float64), np.asarray(rows, np.float64)
    affine = grid.affine
    flat = np.full(column.shape, abs(affine.a * affine.e - affine.b * affine.d))
    if grid.crs is None:
        return flat
    way = _way_to_ellipsoid(str(grid.crs))
    flat *= _metres_per_unit(str(grid.crs)) ** 2
    if way is None:
        return flat
    columns = np.stack([column, column - 0.5, column + 0.5, column, column])
    rows = np.stack([row, row, row, row - 0.5, row + 0.5])
    middle, left, right, upper, lower = zip(*way.project(*_placed(affine, columns, rows)), strict=True)
    latitude = middle[1]
    across, down = way.metres(left, right, latitude), way.metres(upper, lower, latitude)
    area = np.abs(across[0] * down[1] - across[1] * down[0])
    return np.where(np.isfinite(area) & (area > 0), area, flat)


def _placed(affine: Affine, column: Floats, row: Floats) -> tuple[Floats, Floats]:
    return affine.a * column + affine.b * row + affine.c, affine.d * column + affine.e * row + affine.f


class _Way:
    """The way from a CRS to longitude and latitude on its own ellipsoid.

    Args:
        crs: a CRS with a place on Earth.
    """

    def __init__(self, crs: pyproj.CRS) -> None:
        geodetic = crs.geodetic_crs
        ellipsoid = crs.ellipsoid
        if geodetic is None or ellipsoid is None:
            raise CRSError("no ellipsoid")
        self._transform = None
        if not crs.is_geographic:
            self._transform = pyproj.Transformer.from_crs(crs, geodetic.to_2d(), always_xy=True)
        axes = geodetic.axis_info
        self._radians = float(axes[0].unit_conversion_factor) if axes else math.radians(1.0)
        self._a = ellipsoid.semi_major_metre
        b = ellipsoid.semi_minor_metre
        self._e2 = 1 - (b / self._a) ** 2

    def project(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Floats, Floats]:
        """Return longitudes and latitudes in radians."""
        if self._transform is not None:
            x, y = self._transform.transform(x, y)
        return np.asarray(x) * self._radians, np.asarray(y) * self._radians

    def metres(
        self, start: tuple[Floats, Floats], end: tuple[Floats, Floats], latitude: Floats
    ) -> tuple[Floats, Floats]:
        """Return metres to the east and to the north between two near places."""
        w = 1 - self._e2 * np.sin(latitude) ** 2
        east_radius = self._a / np.sqrt(w) * np.cos(latitude)
        north_radius = self._a * (1 - self._e2) / w**1.5
        turn = np.remainder(end[0] - start[0] + math.pi, 2 * math.pi) - math.pi  # across 180°
        return turn * east_radius, (end[1] - start[1]) * north_radius


@lru_cache(maxsize=64)
def _way_to_ellipsoid(name: str) -> _Way | None:
    try:
        crs = pyproj.CRS.from_user_input(name)
        return _Way(((crs.is_bound and crs.source_crs) or crs).to_2d())
    except (CRSError, ProjError):
        return None


@lru_cache(maxsize=64)
def _metres_per_unit(name: str) -> float:
    axes = pyproj.CRS.from_user_input(name).axis_info
    return float(axes[0].unit_conversion_factor) if axes else 1.0
