"""A class map as polygons: small regions merged, outlines simplified without gaps between neighbours."""

from __future__ import annotations

import math
import re
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
from tsfal_geo.geopackage.frames import write_frame
from tsfal_geo.geopackage.styles import class_style
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.ground import pixel_area, pixel_areas
from tsfal_geo.raster.scene import grid_of

if TYPE_CHECKING:
    import geopandas

FORMATS = {"gpkg": "GPKG", "parquet": "GeoParquet", "fgb": "FlatGeobuf"}
_LEAST_PIXELS = 25
_MAP_SCALE = 0.005
"""Share by which square metres of UTM may differ from those of the ground: "25 m²" means 25 pixels of 1 m."""
SMOOTH = 1.5
"""A corner is removed if its triangle with the neighbouring corners is smaller than a square of this side, in
pixels."""


def write_polygons(
    path: Path, class_map: Path, classes: ClassMap, min_area: float | None = None, smooth: float = SMOOTH
) -> int:
    """Write the regions of a class map as polygons, whole or not at all, and a style for QGIS beside them.

    A region below the minimum area becomes part of its largest neighbour, if that is large enough. The
    regions are a coverage: they share their borders, before and after these are simplified. A pixel takes 2
    bytes of memory, and the outlines come on top.

    Args:
        path: file to write, ``.gpkg``, ``.parquet`` or ``.fgb``.
        class_map: raster of class ids, nodata 255.
        classes: names and colours.
        min_area: square metres, square units without CRS, pixels without georeference; None: 25 pixels.
        smooth: as ``SMOOTH``, in pixels; 0 keeps the pixels' edges.

    Returns:
        Number of polygons.

    Raises:
        RasterError: the class map cannot be read.
        UserError: the file is GeoParquet, and pyarrow is not installed.
    """
    if path.suffix == ".parquet":
        require_extra("pyarrow", "parquet", f"{path}: GeoParquet")
    with open_raster(class_map) as dataset, reading(class_map):
        grid = grid_of(dataset)
        least = _LEAST_PIXELS
        if min_area is not None:
            least = math.ceil(min_area / pixel_area(grid) * (1 - _MAP_SCALE))
        ids = _sieved(dataset, least)
    values, regions = _regions(ids, smooth)
    frame = _frame(values, regions, grid, classes)
    with replace_file(path) as temporary:
        if path.suffix == ".parquet":
            frame.to_parquet(temporary)
        else:
            options = {"layer": _layer_name(class_map.stem)} if path.suffix == ".gpkg" else {}
            write_frame(frame, temporary, FORMATS[path.suffix[1:]], **options)
    write_text(path.with_suffix(".qml"), class_style(classes))
    return len(frame)


def _layer_name(scene: str) -> str:
    """Name a layer like its scene, where a GeoPackage can have the name."""
    plain = re.sub(r"[^\w .()+-]", "_", scene)
    reserved = plain.lower().startswith(("gpkg", "rtree_", "sqlite_"))
    return f"map_{plain}" if reserved else plain


def _sieved(dataset: rasterio.io.DatasetReader, least: int) -> NDArray[np.uint8]:
    least = min(least, dataset.height * dataset.width - 1)  # GDAL takes no more
    if least < 2:
        return np.asarray(dataset.read(1))
    valid = dataset.read_masks(1)
    return np.asarray(sieve(rasterio.band(dataset, 1), least, mask=valid, connectivity=4))


def _regions(ids: NDArray[np.uint8], smooth: float) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Give class ids and polygons in pixel coordinates."""
    found = [(int(value), shape(item)) for item, value in shapes(ids, mask=ids != IGNORE, connectivity=4)]
    values = np.array([value for value, _ in found], np.int64)
    regions = np.array([region for _, region in found], dtype=object)
    if smooth > 0 and len(regions):
        # A coverage needs a corner wherever a third region begins; with a corner a pixel it has all of them.
        regions = shapely.transform(shapely.segmentize(regions, 1.0), np.rint)
        regions = shapely.coverage_simplify(regions, smooth)
    return values, regions


def _centroids(regions: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the columns and rows of the regions' middles."""
    middles = shapely.centroid(regions)
    return shapely.get_x(middles), shapely.get_y(middles)


def _frame(
    values: NDArray[np.int64], regions: NDArray[np.object_], grid: GeoBox, classes: ClassMap
) -> geopandas.GeoDataFrame:
    import geopandas

    names = {info.id: info.name for info in classes.classes}
    affine = grid.affine
    matrix, shift = np.array([[affine.a, affine.b], [affine.d, affine.e]]), np.array([affine.c, affine.f])
    if affine.is_identity and grid.crs is None:
        matrix = np.diag([1.0, -1.0])  # QGIS shows rasters without georeference with y upwards
    columns = {
        "class_id": values,
        "class_name": [names.get(int(value), "") for value in values],
        "area": shapely.area(regions) * pixel_areas(grid, *_centroids(regions)),
    }
    placed = shapely.transform(regions, lambda points: points @ matrix.T + shift)
    crs = None if grid.crs is None else grid.crs.to_wkt()
    return geopandas.GeoDataFrame(columns, geometry=list(placed), crs=crs)
