"""Import of class rasters: each connected region becomes a polygon along pixel edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rasterio.windows import Window

from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import LabelError, RasterError
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.labels.exchange.options import ImportOptions
from tsfal_geo.labels.model import now
from tsfal_geo.labels.polygonise import class_polygons
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.layer_crs import flip_y
from tsfal_geo.raster.scene import grid_of

BAND_ROWS = 4096  # that are read and polygonised at once


def read_raster(path: Path, store: LabelStore, options: ImportOptions) -> LayerRows:
    """Trace the regions of a class raster; its nodata value and 255 are no label.

    Args:
        path: the raster: one band of integers.
        store: the label store, whose scenes a raster without georeference may be named after.
        options: author and scene.

    Returns:
        The regions, with their pixel value in the column ``class_id``.

    Raises:
        LabelError: the file is not readable, or not one band of integers.
    """
    shapes: list[object] = []
    values: list[object] = []
    try:
        with open_raster(path) as dataset, reading(path):
            if dataset.count != 1 or dataset.dtypes[0] not in ("uint8", "int8", "uint16", "int16", "int32"):
                raise LabelError(
                    f"{path}: found {dataset.count} bands of {dataset.dtypes[0]}, expected one of class ids"
                )
            grid = grid_of(dataset)
            for y in range(0, dataset.height, BAND_ROWS):
                window = Window(0, y, dataset.width, min(BAND_ROWS, dataset.height - y))
                ids = dataset.read(1, window=window).astype(np.int64)
                if dataset.nodata is not None:
                    ids[ids == dataset.nodata] = IGNORE
                for value, polygon in class_polygons(ids, grid, y, 0, ignore=IGNORE):
                    values.append(value)
                    shapes.append(polygon)
    except RasterError as error:
        raise LabelError(str(error)) from None
    geometry = np.array(shapes, dtype=object)
    in_pixels = grid.crs is None and grid.affine.is_identity
    count = len(values)
    return LayerRows(
        layer=path.stem,
        crs=None if grid.crs is None else grid.crs.proj,
        fids=list(range(1, count + 1)),
        geometry=np.asarray(flip_y(geometry), dtype=object) if in_pixels else geometry,
        columns={
            "class_id": values,
            "created": [now()] * count,
            "author": [options.author or path.stem] * count,
            "scene": [options.scene or _namesake(path, store, in_pixels)] * count,
        },
    )


def _namesake(path: Path, store: LabelStore, in_pixels: bool) -> str | None:
    return path.stem if in_pixels and path.stem in store.scenes else None
