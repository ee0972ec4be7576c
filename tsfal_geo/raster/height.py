"""Heights above the local ground, from a digital surface model (DSM) on any grid.

The ground is a coarse surface, made in four steps: means over cells of about 2 m, a median that removes
single pits, a grey opening over about 60 m, which is wider than most buildings, and a smoothing. Each process
computes the ground of the entire DSM before it reads the first window, so heights do not depend on the
windows.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader
from rasterio.windows import Window
from scipy import ndimage

from tsfal_geo.errors import RasterError
from tsfal_geo.raster.files import FileHandles, reading
from tsfal_geo.raster.ground import metres_per_pixel
from tsfal_geo.raster.header import check_size
from tsfal_geo.raster.resample import PixelMap, bilinear
from tsfal_geo.raster.scene import grid_of

_CELL = 2.0
_NEIGHBOURHOOD = 60.0
_CELL_PIXELS, _CELLS = 16, 30
_LOWEST, _HIGHEST = -500.0, 9000.0
_USUAL_NODATA = (-9999, -32767, -32768, -99999)
_NO_NUMBER = 1e30
_FOOT, _SURVEY_FOOT = 0.3048, 1200 / 3937
_METRES = (
    dict.fromkeys(["", "m", "metre", "meter", "metres", "meters"], 1.0)
    | dict.fromkeys(["dm", "decimetre", "decimeter"], 0.1)
    | dict.fromkeys(["cm", "centimetre", "centimeter"], 0.01)
    | dict.fromkeys(["mm", "millimetre", "millimeter"], 0.001)
    | dict.fromkeys(["ft", "foot", "feet", "international foot"], _FOOT)
    | dict.fromkeys(["us-ft", "ftus", "us ft", "us survey foot", "us survey feet"], _SURVEY_FOOT)
)
"""Metres of a unit, by its name in lower case."""


class HeightModel:
    """Height above local ground at a scene's pixels.

    Args:
        grid: the scene's grid.
        dsm: the surface model; one band on any grid, nodata allowed.
        handles: cache of open files.

    Raises:
        RasterError: the DSM has several bands, or covers less than half of the scene.
    """

    def __init__(self, grid: GeoBox, dsm: Path, handles: FileHandles) -> None:
        self._dsm = dsm
        self._handles = handles
        dataset = handles.get(dsm)
        check_size(dsm, dataset)
        if dataset.count != 1:
            raise RasterError(f"{dsm} has {dataset.count} bands, expected a DSM of one band")
        self._grid = _placed(grid, grid_of(dataset), dsm)
        self._to_dsm = PixelMap(grid, self._grid)
        self._same_grid = same_grid(grid, self._grid)
        self._factor = _cell_pixels(self._grid)
        self._unit = elevation_unit(dsm, dataset)
        self._ground: NDArray[np.float32] | None = None

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read a window inside the scene.

        Args:
            window: columns and rows of the scene, as rasterio counts them.

        Returns:
            (height, width) float32, metres; 0 where the DSM has no value.

        Raises:
            RasterError: a block of the DSM cannot be read, or the DSM holds no elevation.
        """
        if self._same_grid:
            heights = self._above_ground(window)
        else:
            shape = self._grid.height, self._grid.width
            heights = bilinear(self._above_ground, shape, *self._to_dsm.window(window))
        return np.nan_to_num(heights, copy=False, nan=0.0)

    def _above_ground(self, window: Window) -> NDArray[np.float32]:
        """Heights at the DSM's own pixels, NaN where it has no value."""
        dataset = self._handles.get(self._dsm)
        if self._ground is None:
            self._ground = ground_surface(self._dsm, dataset, self._factor, self._unit)
        with reading(self._dsm):
            surface = elevations(dataset.read(1, window=window), dataset.nodata, self._unit)
        ground = self._ground
        rows = np.arange(window.row_off, window.row_off + window.height)[:, None]
        cols = np.arange(window.col_off, window.col_off + window.width)[None]
        y, x = (rows + 0.5) / self._factor - 0.5, (cols + 0.5) / self._factor - 0.5
        return surface - bilinear(lambda part: ground[part.toslices()], ground.shape, y, x)


def elevations(
    values: NDArray[np.generic], nodata: float | None, unit: tuple[float, float] = (1.0, 0.0)
) -> NDArray[np.float32]:
    """Convert stored numbers to elevations, and mark nodata.

    Args:
        values: (height, width), as stored.
        nodata: the declared value, or None.
        unit: metres a stored number, and metres to add.

    Returns:
        Metres in float32, NaN for the declared value and for elevations that no place on Earth has.
    """
    result = values.astype(np.float32)
    if unit != (1.0, 0.0):
        result = (values.astype(np.float64) * unit[0] + unit[1]).astype(np.float32)
    impossible = (result < _LOWEST) | (result > _HIGHEST)
    impossible |= np.isin(values, _USUAL_NODATA)
    if nodata is not None:
        impossible |= values == nodata
    result[impossible] = np.nan
    return result


def elevation_unit(path: Path, dataset: DatasetReader) -> tuple[float, float]:
    """Find the unit of a DSM: its band's unit, scale and offset, else that of the heights of its CRS.

    Args:
        path: the DSM, for messages.
        dataset: the same file, open.

    Returns:
        Metres a stored number, and metres to add.

    Raises:
        RasterError: the unit is no length that is known.
    """
    declared = (dataset.units[0] or "").strip()
    metres = _METRES.get(declared.lower().replace("_", " "))
    if metres is None:
        raise RasterError(
            f"{path} has heights in '{declared}', expected m, dm, cm, mm, ft or us-ft; declare the unit with "
            "`gdal_edit.py -units m`, or convert the heights"
        )
    if not declared:
        crs = grid_of(dataset).crs
        axes = crs.proj.axis_info if crs is not None else []
        metres = float(axes[2].unit_conversion_factor) if len(axes) > 2 else 1.0
    return dataset.scales[0] * metres, dataset.offsets[0] * metres


def ground_surface(
    path: Path, dataset: DatasetReader, factor: int, unit: tuple[float, float] = (1.0, 0.0)
) -> NDArray[np.float32]:
    """Compute the coarse ground under a DSM.

    Args:
        path: the DSM, for messages.
        dataset: the same file, open.
        factor: pixels a side of a cell of the ground.
        unit: metres a stored number, and metres to add.

    Returns:
        (⌈height/factor⌉, ⌈width/factor⌉) float32 without NaN.

    Raises:
        RasterError: the DSM holds no elevation, or mostly some that no place on Earth has in metres, or a
            block cannot be read.
    """
    cells = _cells(path, dataset, factor, unit)
    if np.isnan(cells).all():
        raise RasterError(f"{path} holds no elevation at all; expected a DSM with values")
    scale = metres_per_pixel(grid_of(dataset))
    size = _CELLS if scale is None else max(round(_NEIGHBOURHOOD / (scale * factor)), 1)
    ground = ndimage.median_filter(_filled(cells), 3)
    ground = ndimage.grey_opening(ground, (size, size), mode="nearest")
    return np.asarray(ndimage.gaussian_filter(ground, size / 6, mode="nearest"), np.float32)


def _cell_pixels(grid: GeoBox) -> int:
    scale = metres_per_pixel(grid)
    return _CELL_PIXELS if scale is None else max(round(_CELL / scale), 1)


def _cells(path: Path, dataset: DatasetReader, factor: int, unit: tuple[float, float]) -> NDArray[np.float32]:
    rows_at_once = factor * max(512 // factor, 1)
    bands = []
    stored = kept = 0
    for top in range(0, dataset.height, rows_at_once):
        window = Window(0, top, dataset.width, min(rows_at_once, dataset.height - top))
        with reading(path):
            numbers = dataset.read(1, window=window)
        values = elevations(numbers, dataset.nodata, unit)
        usual = np.isfinite(numbers) & ~np.isin(numbers, [*_USUAL_NODATA, dataset.nodata or 0])
        stored += int(np.count_nonzero(usual & (np.abs(numbers.astype(np.float64)) < _NO_NUMBER)))
        kept += int(np.count_nonzero(np.isfinite(values)))
        bands.append(_block_means(values, factor))
    if kept < stored / 2:
        raise RasterError(
            f"{path} holds elevations that no place on Earth has in metres; declare their unit, "
            "such as "
            "`gdal_edit.py -units cm`, or their nodata value"
        )
    return np.concatenate(bands)


def _block_means(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    height, width = (math.ceil(length / factor) for length in values.shape)
    pad = (0, height * factor - values.shape[0]), (0, width * factor - values.shape[1])
    blocks = np.pad(values, pad, constant_values=np.nan).reshape(height, factor, width, factor)
    present = ~np.isnan(blocks)
    count = present.sum((1, 3))
    total = np.where(present, blocks, 0).sum((1, 3), dtype=np.float64)
    means = np.full(count.shape, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means.astype(np.float32)


def _filled(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = np.isnan(cells)
    if not missing.any():
        return cells
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(cells[tuple(nearest)])


def same_grid(grid: GeoBox, other: GeoBox) -> bool:
    """Compare two grids.

    Args:
        grid: a raster's grid.
        other: another raster's grid, in any CRS.

    Returns:
        True if the shapes are equal, and the pixels coincide within a thousandth of a pixel.
    """
    if grid.shape != other.shape:
        return False
    rows, cols = np.array([[0.0], [grid.height - 1]]), np.array([[0.0, grid.width - 1]])
    there = PixelMap(grid, other).exact(rows, cols)
    return bool(np.abs(there[0] - rows).max() < 1e-3 and np.abs(there[1] - cols).max() < 1e-3)


def _placed(grid: GeoBox, dsm_grid: GeoBox, dsm: Path) -> GeoBox:
    """The DSM's grid; the scene's own if one of them has no georeference and the sizes agree."""
    if _unlocated(grid) or _unlocated(dsm_grid):
        if grid.shape != dsm_grid.shape:
            raise RasterError(
                f"{dsm} has {dsm_grid.width}x{dsm_grid.height} pixels, its scene {grid.width}x{grid.height}, "
                "and one of them has no georeference; expected a georeference in both or the same size"
            )
        return grid
    rows = np.linspace(0, grid.height - 1, 17)[:, None]
    cols = np.linspace(0, grid.width - 1, 17)[None]
    y, x = PixelMap(grid, dsm_grid).exact(rows, cols)
    covered = ((y >= -0.5) & (y < dsm_grid.height) & (x >= -0.5) & (x < dsm_grid.width)).mean()
    if covered < 0.5:
        raise RasterError(
            f"{dsm} covers {covered:.0%} of its scene, expected at least half; check the DSM's CRS and that "
            "the names match"
        )
    return dsm_grid


def _unlocated(grid: GeoBox) -> bool:
    return grid.crs is None and bool(grid.affine.is_identity)
