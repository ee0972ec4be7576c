"""Bilinear sampling of one raster at another's pixel centres, the same however windows are cut.

GDAL's warper chooses kernels and approximates the transform per request, so neighbouring windows may
differ in their last digits. Here every pixel's source position comes from its own row and column alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.warp import transform as project
from rasterio.windows import Window

Floats = NDArray[np.float64]
ReadWindow = Callable[[Window], NDArray[np.float32]]

_LATTICE = 32


@dataclass(frozen=True)
class PixelMap:
    """Map from pixel centres of one grid to positions in another, counted from the centre of its first pixel.

    Between two CRSs, positions are exact on a lattice of every 32nd target row and column, and bilinear in
    between. At the size of a scene the error is far below a hundredth of a pixel.

    Attributes:
        target: the grid whose pixel centres are mapped.
        source: the grid that the positions are in.
    """

    target: GeoBox
    source: GeoBox

    def window(self, window: Window) -> tuple[Floats, Floats]:
        """Map the pixels of a window.

        Args:
            window: columns and rows of the target.

        Returns:
            Rows and columns in the source, float64 arrays that broadcast to (height, width).
        """
        rows = np.arange(window.row_off, window.row_off + window.height, dtype=np.float64)[:, None]
        cols = np.arange(window.col_off, window.col_off + window.width, dtype=np.float64)[None]
        if self._same_crs:
            return self.exact(rows, cols)
        return _interpolated(self.exact, rows, cols)

    def exact(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        """Map pixels without interpolation.

        Args:
            rows: (n, 1) rows of the target.
            cols: (1, m) columns of the target.

        Returns:
            Rows and columns in the source, float64 arrays that broadcast to (n, m).
        """
        if self._same_crs:
            a, b, c, d, e, f = tuple(~self.source.affine * self.target.affine)[:6]
            if b == 0 == d:
                return e * (rows + 0.5) + f - 0.5, a * (cols + 0.5) + c - 0.5
        x, y = _apply(self.target.affine, cols + 0.5, rows + 0.5)
        if not self._same_crs:
            there = project(_crs(self.target), _crs(self.source), x.ravel(), y.ravel())
            x, y = (np.reshape(values, x.shape) for values in there[:2])
        x, y = _apply(~self.source.affine, x, y)
        return y - 0.5, x - 0.5

    @cached_property
    def _same_crs(self) -> bool:
        crs, other = self.target.crs, self.source.crs
        return crs is None or other is None or crs == other


def _crs(grid: GeoBox) -> CRS:
    return CRS.from_wkt(grid.crs.to_wkt())  # type: ignore[union-attr]


def _apply(affine: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    a, b, c, d, e, f = tuple(affine)[:6]
    return a * x + b * y + c, d * x + e * y + f


def _interpolated(
    exact: Callable[[Floats, Floats], tuple[Floats, Floats]], rows: Floats, cols: Floats
) -> tuple[Floats, Floats]:
    first_row, first_col = rows.item(0) // _LATTICE, cols.item(0) // _LATTICE
    node_rows = np.arange(first_row, rows.item(-1) // _LATTICE + 2) * _LATTICE
    node_cols = np.arange(first_col, cols.item(-1) // _LATTICE + 2) * _LATTICE
    at_nodes = exact(node_rows[:, None], node_cols[None])
    i, v = _split(rows / _LATTICE)
    j, u = _split(cols / _LATTICE)
    i, j = i - int(first_row), j - int(first_col)
    row, col = (_blend(values, i, j, v, u) for values in at_nodes)
    return row, col


def _split(position: Floats) -> tuple[NDArray[np.intp], Floats]:
    floor = np.floor(position)
    return floor.astype(np.intp), position - floor


def _blend(
    values: NDArray[np.floating], i: NDArray[np.intp], j: NDArray[np.intp], v: Floats, u: Floats
) -> Floats:
    # An axis-aligned map blends entire rows, then columns. Both branches add the same products in the same
    # order, so that they agree to the last bit.
    if i.shape[1] == 1 == j.shape[0]:
        rows = values[i[:, 0]] * (1 - v) + values[i[:, 0] + 1] * v
        return np.asarray(rows[:, j[0]] * (1 - u) + rows[:, j[0] + 1] * u)
    left = values[i, j] * (1 - v) + values[i + 1, j] * v
    right = values[i, j + 1] * (1 - v) + values[i + 1, j + 1] * v
    return np.asarray(left * (1 - u) + right * u)


def bilinear(read: ReadWindow, shape: tuple[int, int], rows: Floats, cols: Floats) -> NDArray[np.float32]:
    """Sample a raster bilinearly.

    Nodata has no weight. Within half a pixel of the raster's edge, the value is that of the edge pixel.

    Args:
        read: reads a window of the raster as float32, with NaN for nodata.
        shape: (height, width) of the raster.
        rows: positions in pixels, broadcastable with ``cols``.
        cols: positions in pixels.

    Returns:
        float32 of the broadcast shape; NaN outside the raster, and where most of the weight is on nodata.
    """
    height, width = shape
    outside = (rows < -0.5) | (rows > height - 0.5) | (cols < -0.5) | (cols > width - 0.5)
    i, v = _split(np.clip(rows, 0, height - 1))
    j, u = _split(np.clip(cols, 0, width - 1))
    if outside.all():
        return np.full(outside.shape, np.nan, np.float32)
    top, left = int(i.min()), int(j.min())
    bottom, right = min(int(i.max()) + 2, height), min(int(j.max()) + 2, width)
    values = read(Window(left, top, right - left, bottom - top)).astype(np.float64)
    values = np.pad(values, ((0, 1), (0, 1)), mode="edge")
    i, j = i - top, j - left
    missing = np.isnan(values)
    if missing.any():
        weight = _blend(np.where(missing, 0.0, 1.0), i, j, v, u)
        total = _blend(np.where(missing, 0.0, values), i, j, v, u)
        result = np.full(total.shape, np.nan)
        np.divide(total, weight, out=result, where=weight >= 0.5)
    else:
        result = _blend(values, i, j, v, u)
    result[np.broadcast_to(outside, result.shape)] = np.nan
    return result.astype(np.float32)
