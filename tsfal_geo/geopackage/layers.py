"""Layers and tables of a GeoPackage: read whole, whatever the file declares of them, and appended to.

A file may come from any program. Its metadata may be missing or damaged, its text may be no UTF-8, and its
layers may be views that never end: what can be read is read, and the rows that were changed are noted.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from tsfal_geo.errors import LabelError
from tsfal_geo.geopackage.geometry import curved, decode, encode
from tsfal_geo.geopackage.tables import META_TABLE, check_schema, quote
from tsfal_geo.raster.layer_crs import from_srs_row

READ_SECONDS = 10.0
"""Seconds that a query may take, with one more for each MB of the file; only endless views take longer."""
_READ_ROWS = 10_000  # rows that are fetched at once
_STEPS = 100_000  # of SQLite's machine between two looks at the clock
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class LayerRows:
    """All rows of a layer.

    Attributes:
        layer: name of the layer.
        crs: its CRS; None for one without.
        fids: row ids.
        geometry: (rows,) geometries; None for a row without one.
        columns: values by the column's name in lower case.
        notes: changes that reading made to rows: the change, and their ids; no ids for the layer itself.
    """

    layer: str
    crs: pyproj.CRS | None
    fids: list[int]
    geometry: NDArray[np.object_]
    columns: dict[str, list[object]]
    notes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def column(self, name: str) -> list[object]:
        """Return the values of a column; Nones where the layer has no such column.

        Args:
            name: of the column, in lower case.
        """
        return self.columns.get(name) or [None] * len(self.fids)


def read_meta(connection: sqlite3.Connection, file: str) -> dict[str, str]:
    """Read the metadata of a file; empty for a file of another program.

    Args:
        connection: a transaction on the file.
        file: name of the file, for the error.

    Raises:
        LabelError: the version of the schema is no number.
        WorkspaceError: the file is of a newer schema.
    """
    if not _has_table(connection, META_TABLE):
        return {}
    rows = _fetch(connection, META_TABLE, f"SELECT key, value FROM {META_TABLE}")
    meta = {str(key): str(value) for key, value in rows if value is not None}
    check_schema(meta.get("schema"), file)
    return meta


def layer_names(connection: sqlite3.Connection, base: str | None = None) -> list[str]:
    """List layers, sorted.

    Args:
        connection: a transaction on the file.
        base: only the layers named ``base`` or ``base_…``; None: all.
    """
    table = "gpkg_geometry_columns"
    if not _has_table(connection, table):
        return []
    names = [str(row[0]) for row in _fetch(connection, table, f"SELECT table_name FROM {table}")]
    return sorted(name for name in set(names) if base is None or name == base or name.startswith(f"{base}_"))


def column_names(connection: sqlite3.Connection, layer: str) -> list[str]:
    """List the columns of a layer, as they are spelt, without row ids and geometries.

    Args:
        connection: a transaction on the file.
        layer: name of the layer.
    """
    key, geometry, names = _columns(connection, layer)
    return [name for name in names if name not in (key, geometry)]


def read_layer(connection: sqlite3.Connection, layer: str, meta: dict[str, str]) -> LayerRows:
    """Read every row of a layer, by ascending id.

    Curves become lines of short segments. A row id that is no unique integer is replaced by the position.

    Args:
        connection: a transaction on the file.
        layer: name of the layer.
        meta: metadata of the file.

    Raises:
        LabelError: the file does not define the layer's CRS.
    """
    key, geometry, every = _columns(connection, layer)
    names = [name for name in every if name not in (key, geometry)]
    selected = ", ".join(quote(name) for name in (key or geometry, geometry, *names))
    order = "" if key is None else "ORDER BY 1"
    rows = _fetch(connection, layer, f"SELECT {selected} FROM {quote(layer)} {order}")
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(names) + 2)
    fids = _row_ids(columns[0])
    crs, notes = _layer_crs(connection, layer, meta)
    changed = {
        "a curve, drawn as segments": np.flatnonzero(curved(columns[1])).tolist(),
        "text that is not UTF-8": [i for i, row in enumerate(rows) if any(map(_is_replaced, row))],
    }
    notes += tuple((text, tuple(fids[i] for i in found)) for text, found in changed.items() if found)
    return LayerRows(
        layer=layer,
        crs=crs,
        fids=fids,
        geometry=decode(columns[1]),
        columns={name.lower(): list(values) for name, values in zip(names, columns[2:], strict=True)},
        notes=notes,
    )


def read_table(connection: sqlite3.Connection, table: str) -> list[dict[str, object]]:
    """Read every row of a table without geometry; none where the file has no such table.

    Args:
        connection: a transaction on the file.
        table: name of the table.

    Returns:
        Values by the column's name in lower case, row by row.
    """
    if not _has_table(connection, table):
        return []
    names = [str(row[1]).lower() for row in _fetch(connection, table, f"PRAGMA table_info({quote(table)})")]
    rows = _fetch(connection, table, f"SELECT * FROM {quote(table)}")
    return [dict(zip(names, row, strict=True)) for row in rows]


def insert(
    connection: sqlite3.Connection,
    layer: str,
    geometries: NDArray[np.object_],
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Append rows to a layer.

    Args:
        connection: a write transaction on the file.
        layer: name of the layer.
        geometries: (rows,) polygons and multipolygons in the layer's CRS.
        names: names of the columns.
        rows: values of these columns, row by row.
    """
    srs_id = connection.execute(
        "SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
    ).fetchone()[0]
    columns = ", ".join(quote(name) for name in ("geom", *names))
    marks = ", ".join("?" * (len(names) + 1))
    blobs = encode(geometries, srs_id)
    connection.executemany(
        f"INSERT INTO {quote(layer)} ({columns}) VALUES ({marks})",
        ((blob, *row) for blob, row in zip(blobs, rows, strict=True)),
    )
    # The extent is advisory; where it is NULL, programs compute it from the spatial index.
    connection.execute(
        "UPDATE gpkg_contents SET min_x = NULL, min_y = NULL, max_x = NULL, max_y = NULL, "
        "last_change = strftime('%Y-%m-%dT%H:%M:%fZ','now') WHERE table_name = ?",
        (layer,),
    )


def _columns(connection: sqlite3.Connection, layer: str) -> tuple[str | None, str, list[str]]:
    """Name the column of row ids, if there is one, that of geometries, and all columns."""
    found = _fetch(
        connection, layer, "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
    )
    geometry = str(found[0][0])
    table = _fetch(connection, layer, f"PRAGMA table_info({quote(layer)})")
    names = [str(row[1]) for row in table]
    # The format's column may be spelt with other capitals than the table's.
    geometry = next((name for name in names if name.lower() == geometry.lower()), geometry)
    return next((str(row[1]) for row in table if row[5]), None), geometry, names


def _row_ids(values: Sequence[object]) -> list[int]:
    ids = [value for value in values if isinstance(value, int)]
    return ids if len(set(ids)) == len(values) else list(range(1, len(values) + 1))


def _layer_crs(
    connection: sqlite3.Connection, layer: str, meta: dict[str, str]
) -> tuple[pyproj.CRS | None, tuple[tuple[str, tuple[int, ...]], ...]]:
    """Read a layer's CRS: the exact one of our own metadata, or that of the format's own table."""
    damage: tuple[tuple[str, tuple[int, ...]], ...] = ()
    try:
        exact = json.loads(meta.get("crs", "{}")).get(layer)
        if exact:
            return pyproj.CRS.from_wkt(exact), ()
    except (ValueError, AttributeError, TypeError, pyproj.exceptions.CRSError):
        damage = (("its own record of the CRS is damaged; the format's record is used", ()),)
    statement = (
        "SELECT g.srs_id, s.srs_id, s.organization, s.organization_coordsys_id, s.definition "
        "FROM gpkg_geometry_columns g LEFT JOIN gpkg_spatial_ref_sys s USING (srs_id) WHERE g.table_name = ?"
    )
    srs_id, defined, *definition = _fetch(connection, layer, statement, (layer,))[0]
    if defined is not None or srs_id in (-1, 0):
        return (from_srs_row(srs_id, *definition) if defined is not None else None), damage
    # Programs number the rows by EPSG's codes.
    crs = from_srs_row(srs_id, "EPSG", srs_id, "missing")
    if crs is None:
        raise LabelError(
            f"layer {layer!r}: its CRS {srs_id!r} is not defined in the file, expected a row of "
            "gpkg_spatial_ref_sys; set the layer's CRS in QGIS and export it again"
        )
    return crs, (*damage, (f"the file does not define its CRS {srs_id}; read as EPSG:{srs_id}", ()))


def _is_replaced(value: object) -> bool:
    return isinstance(value, str) and _REPLACEMENT in value


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    statement = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?"
    return connection.execute(statement, (name,)).fetchone() is not None


def _fetch(
    connection: sqlite3.Connection, table: str, statement: str, values: tuple[object, ...] = ()
) -> list[Any]:
    """Fetch all rows, within the time and the number that a file of this size can have."""
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    most = pages * size  # a row takes a byte at least
    seconds = READ_SECONDS + most / 2**20
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        return _fetched(connection, statement, values, most)
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            if time.monotonic() > deadline:
                raise sqlite3.OperationalError(f"table {table!r} has no end within {seconds:.0f} s") from None
            raise
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        return _fetched(connection, statement, values, most)
    finally:
        connection.set_progress_handler(None, 0)
        connection.text_factory = str


def _fetched(
    connection: sqlite3.Connection, statement: str, values: tuple[object, ...], most: int
) -> list[Any]:
    cursor = connection.execute(statement, values)
    rows: list[Any] = []
    while more := cursor.fetchmany(_READ_ROWS):
        rows += more
        if len(rows) > most:
            raise sqlite3.OperationalError("more rows than bytes, which only a view without an end has")
    return rows
