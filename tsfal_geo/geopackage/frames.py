"""Data frames as vector files, in any CRS."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

if TYPE_CHECKING:
    import geopandas


def write_frame(frame: geopandas.GeoDataFrame, path: Path, driver: str, **options: Any) -> None:
    """Write a data frame with GDAL.

    Geopandas writes a CRS as WKT 1, which has no words for CRSs of three dimensions, with a rotated pole, and
    others; these are written as WKT 2. A frame without a CRS, which is right for pictures, is written without
    a warning.

    Args:
        frame: its geometries and columns.
        path: the file.
        driver: GDAL's name of the format.
        options: of `pyogrio.write_dataframe`.
    """
    import pyogrio

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        if _has_wkt1(frame.crs):
            pyogrio.write_dataframe(frame, path, driver=driver, **options)
            return
        columns = [name for name in frame.columns if name != frame.geometry.name]
        geometry = np.asarray(frame.geometry.values, dtype=object)
        kinds = set(frame.geometry.geom_type)
        if options.pop("promote_to_multi", False) or len(kinds) > 1:
            parts, owner = shapely.get_parts(geometry, return_index=True)
            geometry, kinds = shapely.multipolygons(parts, indices=owner), {"MultiPolygon"}
        pyogrio.raw.write(
            path,
            shapely.to_wkb(geometry),
            [np.asarray(frame[name].to_numpy()) for name in columns],
            columns,
            driver=driver,
            crs=frame.crs.to_wkt(),
            **{"geometry_type": kinds.pop() if kinds else "MultiPolygon", **options},
        )


def _has_wkt1(crs: pyproj.CRS | None) -> bool:
    try:
        return crs is None or crs.to_epsg() is not None or bool(crs.to_wkt("WKT1_GDAL"))
    except pyproj.exceptions.CRSError:
        return False
