"""A class map as polygons: small regions merged, outlines simplified without gaps between neighbours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import shapes, sieve
from shapely.geometry import shape

from tsfal_geo.atomic import replace_file, write_text
from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import require_extra
from tsfal_geo.geopackage.styles import class_style
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.layer_crs import writing_without_crs
from tsfal_geo.raster.scene import grid_of, metres_per_pixel

if TYPE_CHECKING:
    import geopandas

FORMATS = {"gpkg": "GPKG", "parquet": "GeoParquet", "fgb": "FlatGeobuf"}
_LEAST = 25
SMOOTH = 1.5
"""Corners whose triangle with their neighbours is smaller than this many pixels, squared, are left out."""


def write_polygons(
    path: Path, class_map: Path, classes: ClassMap, min_area: float | None = None, smooth: float = SMOOTH
) -> int:
    """Write the regions of a class map, and a style for QGIS beside them; whole or not at all.

    Regions below the minimum area go to the neighbour that is largest. The regions then are a coverage: they
    share their borders, and simplifying keeps it so. Needs 2 bytes of memory a pixel, and the outlines.

    Args:
        path: ``.gpkg``, ``.parquet`` or ``.fgb``.
        class_map: class ids, nodata 255.
        classes: names.
        min_area: square metres (square units without CRS, pixels without georeference); None: 25 pixels.
        smooth: see ``SMOOTH``; 0 keeps the pixels' edges.

    Returns:
        Number of polygons.

    Raises:
        RasterError: the map cannot be read.
        UserError: GeoParquet is asked for and pyarrow is not installed.
    """
    if path.suffix == ".parquet":
        require_extra("pyarrow", "parquet", f"{path}: GeoParquet")
    with open_raster(class_map) as dataset, reading(class_map):
        grid = grid_of(dataset)
        pixel = (metres_per_pixel(grid) or 1.0) ** 2
        least = _LEAST if min_area is None else math.ceil(min_area / pixel - 1e-9)
        ids = _sieved(dataset, least)
    values, regions = _regions(ids, smooth)
    frame = _frame(values, regions, grid, classes, pixel)
    with replace_file(path) as temporary, writing_without_crs():
        if path.suffix == ".parquet":
            frame.to_parquet(temporary)
        else:
            options = {"layer": class_map.stem} if path.suffix == ".gpkg" else {}
            frame.to_file(temporary, driver=FORMATS[path.suffix[1:]], **options)
    write_text(path.with_suffix(".qml"), class_style(classes))
    return len(frame)


def _sieved(dataset: rasterio.io.DatasetReader, least: int) -> NDArray[np.uint8]:
    if least < 2:
        return np.asarray(dataset.read(1))
    known = dataset.read_masks(1)
    return np.asarray(sieve(rasterio.band(dataset, 1), least, mask=known, connectivity=4))


def _regions(ids: NDArray[np.uint8], smooth: float) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Class ids and polygons in pixel coordinates."""
    found = [(int(value), shape(item)) for item, value in shapes(ids, mask=ids != IGNORE, connectivity=4)]
    values = np.array([value for value, _ in found], np.int64)
    regions = np.array([region for _, region in found], dtype=object)
    if smooth > 0 and len(regions):
        # Neighbours of one edge share it only with a corner wherever a third region begins.
        regions = shapely.transform(shapely.segmentize(regions, 1.0), np.rint)
        regions = shapely.coverage_simplify(regions, smooth)
    return values, regions


def _frame(
    values: NDArray[np.int64], regions: NDArray[np.object_], grid: GeoBox, classes: ClassMap, pixel: float
) -> geopandas.GeoDataFrame:
    import geopandas

    names = {info.id: info.name for info in classes.classes}
    affine = grid.affine
    matrix, shift = np.array([[affine.a, affine.b], [affine.d, affine.e]]), np.array([affine.c, affine.f])
    if affine.is_identity and grid.crs is None:
        matrix = np.diag([1.0, -1.0])  # as QGIS shows rasters without georeference
    columns = {
        "class_id": values,
        "class_name": [names.get(int(value), "") for value in values],
        "area": shapely.area(regions) * pixel,
    }
    placed = shapely.transform(regions, lambda points: points @ matrix.T + shift)
    crs = None if grid.crs is None else grid.crs.to_wkt()
    return geopandas.GeoDataFrame(columns, geometry=list(placed), crs=crs)
