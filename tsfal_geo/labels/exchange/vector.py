"""Import of vector files: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, GeoParquet."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from tsfal_geo.errors import LabelError, require_extra
from tsfal_geo.geopackage.layers import LayerRows
from tsfal_geo.geopackage.tables import quote
from tsfal_geo.labels.model import now
from tsfal_geo.labels.schema import LABEL_COLUMNS
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.layer_crs import scene_crs

if TYPE_CHECKING:
    import geopandas

VECTOR = (".gpkg", ".geojson", ".json", ".shp", ".fgb")
PARQUET = (".parquet", ".geoparquet")
RASTER = (".tif", ".tiff")
CLASS_FIELDS = ("class_id", "class", "class_name", "classid", "label", "category")


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import.

    Attributes:
        field: column that holds the class; None: one of ``CLASS_FIELDS``, or the only column.
        mapping: class id or name for values of that column; empty for values to leave out.
        layer: layer of a file with several.
        scene: the scene of all rows; needed where scenes have no CRS.
        author: the annotator of all rows; None: the column ``author``, else the file's name.
        crs: CRS of a file that does not declare one.
    """

    field: str | None = None
    mapping: Mapping[str, str] = dataclasses.field(default_factory=dict)
    layer: str | None = None
    scene: str | None = None
    author: str | None = None
    crs: str | None = None


def read_vector(path: Path, store: LabelStore, options: ImportOptions) -> LayerRows:
    """Read the rows of a vector file.

    Args:
        path: the file.
        store: the label store.
        options: of the import.

    Returns:
        The rows, with the values of the class column, not yet class ids, in the column ``class_id``.

    Raises:
        LabelError: the file is not readable, has no class column, or does not declare its CRS.
        UserError: the file is GeoParquet and pyarrow is not installed.
    """
    frame = _frame(path, options.layer)
    field_name = _class_field(frame, path, options.field)
    lower = {str(name).lower(): name for name in frame.columns if name != frame.geometry.name}
    columns = {
        name: _values(frame[lower[name]])
        for name in LABEL_COLUMNS
        if name in lower and name not in ("class_id", "source")
    }
    columns["class_id"] = _values(frame[field_name])
    time = now()
    columns["created"] = [value or time for value in columns.get("created", [None] * len(frame))]
    if options.author is not None:
        columns["author"] = [options.author] * len(frame)
    crs = _crs(frame, path, store, options)
    if options.scene is not None:
        columns["scene"] = [options.scene] * len(frame)
    return LayerRows(
        layer=options.layer or path.stem,
        crs=crs,
        fids=[int(value) for value in frame.index],
        geometry=np.array([shape or None for shape in frame.geometry], dtype=object),
        columns=columns,
    )


def _frame(path: Path, layer: str | None) -> geopandas.GeoDataFrame:
    import geopandas
    import pyogrio

    is_parquet = path.suffix.lower() in PARQUET
    if is_parquet:
        require_extra("pyarrow", "parquet", f"{path}: GeoParquet")
    try:
        if is_parquet:
            return geopandas.read_parquet(path).reset_index(drop=True)
        layer = layer or _only_layer(path)
        # A condition makes OGR count the rows itself; the count that a GeoPackage declares may be wrong.
        frame = pyogrio.read_dataframe(path, layer=layer, where="1=1", fid_as_index=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, OSError) as error:
        raise LabelError(f"{path}: not readable ({error})") from None
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise LabelError(f"{path}: layer {layer!r} has no geometries; name another with --layer")
    if path.suffix.lower() == ".gpkg":
        _check_complete(path, layer, len(frame))
    return frame


def _only_layer(path: Path) -> str:
    import pyogrio

    names = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
    if len(names) != 1:
        raise LabelError(
            f"{path}: found the layers {', '.join(names) or 'none'}, expected one; name it with --layer"
        )
    return str(names[0])


def _check_complete(path: Path, layer: str, rows: int) -> None:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=60)) as connection:
        (total,) = connection.execute(f"SELECT count(*) FROM {quote(layer)}").fetchone()
    if total != rows:
        raise LabelError(
            f"{path}: read {rows} of {total} rows; another program is writing the file, import it again"
        )


def _class_field(frame: geopandas.GeoDataFrame, path: Path, name: str | None) -> str:
    columns = [str(column) for column in frame.columns if column != frame.geometry.name]
    if name is not None:
        if name not in columns:
            raise LabelError(
                f"{path}: found no column {name!r}, expected one of {', '.join(columns) or '(none)'}"
            )
        return name
    by_lower = {column.lower(): column for column in columns}
    column = next((by_lower[candidate] for candidate in CLASS_FIELDS if candidate in by_lower), None)
    if column is None and len(columns) == 1:
        column = columns[0]
    if column is None:
        raise LabelError(
            f"{path}: found the columns {', '.join(columns) or '(none)'}, expected one that holds the class; "
            "name it with --field"
        )
    return column


def _crs(
    frame: geopandas.GeoDataFrame, path: Path, store: LabelStore, options: ImportOptions
) -> pyproj.CRS | None:
    if options.scene is not None and scene_crs(store.scenes[options.scene]) is None:
        return None
    if options.crs is not None:
        try:
            return pyproj.CRS.from_user_input(options.crs)
        except pyproj.exceptions.CRSError as error:
            raise LabelError(f"--crs {options.crs}: not a CRS ({error})") from None
    if frame.crs is None and any(scene_crs(scene) is not None for scene in store.scenes.values()):
        raise LabelError(f"{path}: found no CRS, expected one; name it with --crs, such as --crs EPSG:25832")
    crs: pyproj.CRS | None = frame.crs
    return crs


def _values(column: Any) -> list[object]:
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
