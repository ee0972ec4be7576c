"""Transactions on a GeoPackage: rows are appended together, and read as they are committed.

After a file was made, it is only opened with Python's ``sqlite3``: a second copy of SQLite in the process
(the one inside GDAL) would drop this one's locks when it closes the file. Reads include the write-ahead log,
see all tables at one moment, and return every row of a table, whatever row count the file declares.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import NDArray

from tsfal_geo.errors import LabelError, WorkspaceError
from tsfal_geo.geopackage.geometry import decode, encode, register_functions
from tsfal_geo.geopackage.tables import META_TABLE, check_schema, quote
from tsfal_geo.raster.layer_crs import from_srs_row

LOCK_WAIT = 120.0  # seconds to wait for a program that holds a file exclusively
_RECOVER = {
    "SQLITE_READONLY_ROLLBACK",
    "SQLITE_READONLY_RECOVERY",
    "SQLITE_READONLY_CANTINIT",
    "SQLITE_CANTOPEN",
}


@dataclass(frozen=True)
class LayerRows:
    """All rows of a layer.

    Attributes:
        layer: name of the layer.
        crs: its CRS; None for one without.
        fids: row ids.
        geometry: (rows,) geometries; None for a row without one.
        columns: values by the column's name in lower case.
    """

    layer: str
    crs: pyproj.CRS | None
    fids: list[int]
    geometry: NDArray[np.object_]
    columns: dict[str, list[object]]

    def column(self, name: str) -> list[object]:
        """Return the values of a column; Nones where the layer has no such column.

        Args:
            name: of the column, in lower case.
        """
        return self.columns.get(name) or [None] * len(self.fids)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a read transaction: it sees what was committed when it began, the write-ahead log included.

    Args:
        path: the file.

    Yields:
        The connection.

    Raises:
        LabelError: the file is no GeoPackage, or damaged.
        WorkspaceError: another program locks the file for longer than ``LOCK_WAIT``.
    """
    try:
        connection = _begin(path, "ro")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") not in _RECOVER:
            raise _user_error(path, error) from None
        # A writer died within a commit: before the first read SQLite rolls it back, which is a write.
        try:
            connection = _begin(path, "rw")
        except sqlite3.Error as again:
            raise _user_error(path, again) from None
    try:
        yield connection
    except sqlite3.Error as error:
        raise _user_error(path, error) from None
    finally:
        connection.close()


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a write transaction, which is committed at the end of the block, or not at all.

    Args:
        path: the file.

    Yields:
        The connection.

    Raises:
        LabelError: the file refuses a row.
        WorkspaceError: another program locks the file for longer than ``LOCK_WAIT``.
    """
    connection = _connect(path, "rw")
    try:
        register_functions(connection)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise _user_error(path, error) from None
    finally:
        connection.close()


def read_meta(connection: sqlite3.Connection, file: str) -> dict[str, str]:
    """Read the metadata of a file; empty for a file of another program.

    Args:
        connection: a transaction on the file.
        file: name of the file, for the error.

    Raises:
        WorkspaceError: the file is of a newer schema.
    """
    if not _has_table(connection, META_TABLE):
        return {}
    meta = dict(connection.execute(f"SELECT key, value FROM {META_TABLE}").fetchall())
    check_schema(meta.get("schema"), file)
    return meta


def layer_names(connection: sqlite3.Connection, base: str) -> list[str]:
    """List the layers named ``base`` or ``base_…``, sorted.

    Args:
        connection: a transaction on the file.
        base: name of the first layer.
    """
    if not _has_table(connection, "gpkg_geometry_columns"):
        return []
    names = [row[0] for row in connection.execute("SELECT table_name FROM gpkg_geometry_columns")]
    return sorted(name for name in names if name == base or name.startswith(f"{base}_"))


def read_layer(connection: sqlite3.Connection, layer: str, meta: dict[str, str]) -> LayerRows:
    """Read every row of a layer, by ascending id.

    Args:
        connection: a transaction on the file.
        layer: name of the layer.
        meta: metadata of the file.
    """
    geometry, crs = _geometry_column(connection, layer, meta)
    table = connection.execute(f"PRAGMA table_info({quote(layer)})").fetchall()
    key = next((row[1] for row in table if row[5]), "rowid")
    names = [row[1] for row in table if row[1] not in (key, geometry)]
    selected = ", ".join(quote(name) for name in (key, geometry, *names))
    rows = connection.execute(f"SELECT {selected} FROM {quote(layer)} ORDER BY 1").fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(names) + 2)
    return LayerRows(
        layer=layer,
        crs=crs,
        fids=list(columns[0]),
        geometry=decode(columns[1]),
        columns={name.lower(): list(values) for name, values in zip(names, columns[2:], strict=True)},
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
    cursor = connection.execute(f"SELECT * FROM {quote(table)} ORDER BY rowid")
    names = [column[0].lower() for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


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


def _geometry_column(
    connection: sqlite3.Connection, layer: str, meta: dict[str, str]
) -> tuple[str, pyproj.CRS | None]:
    column, *srs = connection.execute(
        "SELECT g.column_name, g.srs_id, s.organization, s.organization_coordsys_id, s.definition "
        "FROM gpkg_geometry_columns g JOIN gpkg_spatial_ref_sys s USING (srs_id) WHERE g.table_name = ?",
        (layer,),
    ).fetchone()
    exact = json.loads(meta.get("crs", "{}")).get(layer)
    return column, pyproj.CRS.from_wkt(exact) if exact else from_srs_row(*srs)


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    statement = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?"
    return connection.execute(statement, (name,)).fetchone() is not None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT, isolation_level=None)
    if mode == "ro":
        connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _begin(path: Path, mode: str) -> sqlite3.Connection:
    connection = _connect(path, mode)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _user_error(path: Path, error: sqlite3.Error) -> LabelError | WorkspaceError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return WorkspaceError(
            f"{path}: another program has locked it for {LOCK_WAIT:.0f} s; "
            "save or end its edit session and run again"
        )
    if name.startswith("SQLITE_CONSTRAINT"):
        return LabelError(f"{path}: a row was refused ({error}); nothing was written")
    return LabelError(
        f"{path}: not readable as a GeoPackage ({error}); restore it or take it out of the folder"
    )
