"""Creation of GeoPackages: written under a temporary name, then renamed, whole or not at all."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyproj

from tsfal_geo.geopackage.frames import write_frame
from tsfal_geo.geopackage.styles import STYLE_TABLE
from tsfal_geo.geopackage.tables import GPKG_OPTIONS, META_TABLE, SCHEMA, quote


@dataclass(frozen=True)
class LayerSpec:
    """A layer of multipolygons in a new file.

    Attributes:
        name: of the layer.
        crs: its CRS; None for one without.
        columns: column definitions in SQL, besides ``fid`` and ``geom``.
        style: QML.
        triggers: CREATE TRIGGER statements.
    """

    name: str
    crs: pyproj.CRS | None
    columns: str
    style: str
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSpec:
    """A table without geometry in a new file.

    Attributes:
        name: of the table.
        statement: CREATE TABLE statement.
        style: QML; empty for none.
        triggers: CREATE TRIGGER statements.
    """

    name: str
    statement: str
    style: str = ""
    triggers: tuple[str, ...] = ()


def create(
    path: Path, layers: Sequence[LayerSpec], tables: Sequence[TableSpec], meta: dict[str, str]
) -> None:
    """Create an empty GeoPackage at a temporary name, as `new_file` gives it.

    Args:
        path: the file; must not exist.
        layers: its layers of multipolygons.
        tables: its tables without geometry.
        meta: metadata of the file; schema version and exact CRSs are added.
    """
    for layer in layers:
        _create_layer(path, layer)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE {META_TABLE} (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)")
        connection.execute(STYLE_TABLE)
        _register_table(connection, "layer_styles")
        for layer in layers:
            _constrain(connection, layer)
            _add_style(connection, layer.name, "geom", layer.style)
        for table in tables:
            connection.execute(table.statement)
            _register_table(connection, table.name)
            if table.style:
                _add_style(connection, table.name, "", table.style)
        for trigger in (
            *(trigger for layer in layers for trigger in layer.triggers),
            *(trigger for table in tables for trigger in table.triggers),
        ):
            connection.execute(trigger)
        crs = {layer.name: layer.crs.to_wkt() if layer.crs else None for layer in layers}
        values = {"schema": str(SCHEMA), "crs": json.dumps(crs), **meta}
        connection.executemany(f"INSERT INTO {META_TABLE} VALUES (?, ?)", values.items())
        connection.execute("COMMIT")


@contextmanager
def new_file(path: Path, replace: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path``, and rename it to ``path`` at the end of the block.

    Args:
        path: final name.
        replace: whether a file of that name is replaced.

    Yields:
        The temporary path, where the block creates the file.

    Raises:
        FileExistsError: the file exists and is not to be replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        if replace:
            temporary.replace(path)
        else:
            _publish(temporary, path)
        _sync_folder(path.parent)


def _create_layer(path: Path, layer: LayerSpec) -> None:
    import geopandas

    frame = geopandas.GeoDataFrame(geometry=[], crs=layer.crs)
    options = {} if path.exists() else {"dataset_options": GPKG_OPTIONS}
    write_frame(frame, path, "GPKG", layer=layer.name, geometry_type="MultiPolygon", **options)


def _constrain(connection: sqlite3.Connection, layer: LayerSpec) -> None:
    # OGR creates the layer with its spatial index and triggers; the table alone is created again, with
    # constraints. Dropping the table drops its triggers, so that they are created again, too.
    name = quote(layer.name)
    triggers = connection.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (layer.name,)
    ).fetchall()
    connection.execute(f"DROP TABLE {name}")
    connection.execute(
        f"CREATE TABLE {name} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
        f"geom MULTIPOLYGON NOT NULL, {layer.columns})"
    )
    for (statement,) in triggers:
        connection.execute(statement)
    if layer.crs is None:
        for table in ("gpkg_geometry_columns", "gpkg_contents"):
            connection.execute(f"UPDATE {table} SET srs_id = -1 WHERE table_name = ?", (layer.name,))


def _register_table(connection: sqlite3.Connection, name: str) -> None:
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, 'attributes', ?)",
        (name, name),
    )


def _add_style(connection: sqlite3.Connection, table: str, geometry: str, style: str) -> None:
    connection.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
        "styleName, styleQML, useAsDefault) VALUES ('', '', ?, ?, 'tsfal-geo', ?, 1)",
        (table, geometry, style),
    )


def _publish(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(path) from None
        temporary.rename(path)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
