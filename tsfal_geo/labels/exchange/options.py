"""Options of an import, and the suffixes that it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

GPKG = (".gpkg",)
JSON = (".json",)
VECTOR = (".geojson", ".shp", ".fgb", ".gdb", ".osm", ".pbf")
PARQUET = (".parquet", ".geoparquet")
RASTER = (".tif", ".tiff")
SUFFIXES = (*GPKG, *VECTOR, *PARQUET, *JSON, *RASTER)


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import.

    Attributes:
        field: column that holds the class; None: chosen by name, or the only column.
        mapping: class id or name for values of that column; empty for values to leave out.
        layer: layer of a file with several.
        scene: the scene of all rows; needed where scenes have no CRS.
        author: the annotator of all rows; None: the column ``author``, else the file's name.
        crs: CRS of a file that does not declare one.
        scene_field: column that names the scene; None: the column ``scene``; ``none``: no column does.
        radius: metres around a point that it labels; None: the pixel that contains it.
    """

    field: str | None = None
    mapping: Mapping[str, str] = dataclasses.field(default_factory=dict)
    layer: str | None = None
    scene: str | None = None
    author: str | None = None
    crs: str | None = None
    scene_field: str | None = None
    radius: float | None = None
