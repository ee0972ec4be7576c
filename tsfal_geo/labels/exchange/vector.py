"""Import of vector files: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, Geodatabase, OpenStreetMap, GeoParquet.

A GeoPackage is read as the label store reads one. GDAL opens the other formats, but only a file whose first
bytes are those of the format that its suffix names: GDAL itself would open anything behind any suffix, such
as a virtual format that refers to other files and addresses.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from tsfal_geo.errors import LabelError, require_extra
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.geopackage.layers import LayerRows, layer_names, read_layer, read_meta
from tsfal_geo.labels.exchange.class_columns import choose_classes
from tsfal_geo.labels.exchange.options import GPKG, PARQUET, ImportOptions
from tsfal_geo.labels.model import now
from tsfal_geo.labels.schema import LABEL_COLUMNS
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.layer_crs import scene_crs

if TYPE_CHECKING:
    import geopandas

STARTS = {
    ".geojson": rb"\s*\{",
    ".json": rb"\s*\{",
    ".shp": rb"\x00\x00\x27\x0a",
    ".fgb": rb"fgb",
    ".osm": rb"(<\?xml[^>]*\?>|<!--.*?-->|\s)*<osm\b",
    ".pbf": rb".{4}\x0a\x09OSMHeader",
    ".parquet": rb"PAR1",
    ".geoparquet": rb"PAR1",
}
_GEODATABASE = "a00000001.gdbtable"  # the catalogue of an Esri file geodatabase
_HEAD = 4096  # bytes that are compared


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
    rows, meta = read_rows(path, options)
    columns = {name: rows.columns[name] for name in LABEL_COLUMNS if name in rows.columns}
    for name in ("class_id", "source", "scene"):
        columns.pop(name, None)
    columns["class_id"] = choose_classes(path, rows, meta, store.classes, options)
    time = now()
    columns["created"] = [value or time for value in columns.get("created", [None] * len(rows.fids))]
    if options.author is not None:
        columns["author"] = [options.author] * len(rows.fids)
    columns["scene"] = _scenes(path, rows, options)
    return replace(rows, crs=_crs(rows.crs, path, store, options), columns=columns)


def read_rows(path: Path, options: ImportOptions) -> tuple[LayerRows, dict[str, str]]:
    """Read the rows of a layer as they are, and the metadata of a GeoPackage.

    Args:
        path: the file.
        options: name the layer.

    Raises:
        LabelError: the file is not readable.
        UserError: the file is GeoParquet and pyarrow is not installed.
    """
    return _geopackage(path, options.layer) if path.suffix.lower() in GPKG else _table(path, options)


def _geopackage(path: Path, layer: str | None) -> tuple[LayerRows, dict[str, str]]:
    with reading(path) as connection:
        layer = _chosen_layer(path, layer, layer_names(connection))
        meta = read_meta(connection, str(path))
        return read_layer(connection, layer, meta), meta


def _table(path: Path, options: ImportOptions) -> tuple[LayerRows, dict[str, str]]:
    frame = _frame(path, options.layer)
    names = [name for name in frame.columns if name != frame.geometry.name]
    rows = LayerRows(
        layer=options.layer or path.stem,
        crs=frame.crs,
        fids=[int(value) for value in frame.index],
        geometry=np.array([None, *(shape or None for shape in frame.geometry)], dtype=object)[1:],
        columns={str(name).lower(): _values(frame[name]) for name in names},
    )
    return rows, {}


def _frame(path: Path, layer: str | None) -> geopandas.GeoDataFrame:
    import geopandas
    import pyogrio

    check_format(path)
    if path.suffix.lower() in PARQUET:
        require_extra("pyarrow", "parquet", f"{path}: GeoParquet")
    try:
        if path.suffix.lower() in PARQUET:
            return geopandas.read_parquet(path).reset_index(drop=True)
        source = f"GeoJSON:{path}" if path.suffix.lower() in (".geojson", ".json") else path
        layers = [str(name) for name, kind in pyogrio.list_layers(source) if kind is not None]
        layer = _chosen_layer(path, layer, layers)
        frame = pyogrio.read_dataframe(
            source, layer=layer, fid_as_index=True, datetime_as_string=True, on_invalid="ignore"
        )
    except UnicodeDecodeError as error:
        raise LabelError(
            f"{path}: its text is not {error.encoding}, expected the encoding that the file declares; "
            "for a Shapefile, write the encoding, such as ISO-8859-1, into a .cpg file beside it"
        ) from None
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, OSError) as error:
        raise LabelError(f"{path}: not readable ({' '.join(str(error).split())})") from None
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise LabelError(f"{path}: layer {layer!r} has no geometries; name another with --layer")
    return frame


def check_format(path: Path) -> None:
    """Refuse a file whose content is of another format than its suffix says.

    Args:
        path: the file, or the folder of a geodatabase.

    Raises:
        LabelError: it is of another format.
    """
    suffix = path.suffix.lower()
    if suffix == ".gdb":
        if not (path / _GEODATABASE).is_file():
            raise LabelError(f"{path}: found no {_GEODATABASE} in it, expected a file geodatabase")
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise LabelError(f"{path}: not readable ({error.strerror})") from None
    if re.match(STARTS[suffix], head, re.DOTALL) is None:
        raise LabelError(
            f"{path}: its first bytes are not those of a {suffix} file; expected that format: export it "
            "again, or name it by its own suffix"
        )


def _chosen_layer(path: Path, layer: str | None, names: list[str]) -> str:
    if layer is None and len(names) == 1:
        return names[0]
    if layer in names:
        return str(layer)
    listed = ", ".join(names) or "none"
    if layer is None:
        raise LabelError(f"{path}: found the layers {listed}, expected one; name it with --layer")
    raise LabelError(f"{path}: found no layer {layer!r}, expected one of {listed}")


def _scenes(path: Path, rows: LayerRows, options: ImportOptions) -> list[object]:
    if options.scene is not None:
        return [options.scene] * len(rows.fids)
    name = (options.scene_field or "scene").lower()
    if options.scene_field is not None and name != "none" and name not in rows.columns:
        raise LabelError(
            f"{path}: found no column {options.scene_field!r}, expected one of "
            f"{', '.join(rows.columns) or '(none)'}; --scene-field none leaves scenes to the places of rows"
        )
    return rows.column(name) if name != "none" else [None] * len(rows.fids)


def _crs(
    found: pyproj.CRS | None, path: Path, store: LabelStore, options: ImportOptions
) -> pyproj.CRS | None:
    if options.scene is not None and scene_crs(store.scenes[options.scene]) is None:
        return None
    if options.crs is not None:
        try:
            return pyproj.CRS.from_user_input(options.crs)
        except pyproj.exceptions.CRSError as error:
            raise LabelError(f"--crs {options.crs}: not a CRS ({error})") from None
    if found is None and any(scene_crs(scene) is not None for scene in store.scenes.values()):
        raise LabelError(f"{path}: found no CRS, expected one; name it with --crs, such as --crs EPSG:25832")
    return found


def _values(column: Any) -> list[object]:
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
