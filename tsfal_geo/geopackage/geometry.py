"""Geometry blobs of GeoPackages, many at a time, and the SQL functions that the format's triggers call.

Source: OGC 12-128r18, clause 2.1.3.
"""

from __future__ import annotations

import sqlite3
import struct
import warnings
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import shapely
from numpy.typing import NDArray

_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_MULTIPOLYGON, _COLLECTION = 6, 7  # type ids of shapely
_CURVES = range(8, 15)  # types of well-known binary, ISO 19125: circular string to surface
_EMPTY_FLAG = 0b0001_0000
_XY_LITTLE_ENDIAN = 0b0000_0011
_HEADER = struct.Struct("<2sBBi4d")
_MEMORY_FILE = """
PRAGMA application_id = 1196444487; PRAGMA user_version = 10300;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER PRIMARY KEY, organization TEXT,
    organization_coordsys_id INTEGER, definition TEXT, description TEXT);
INSERT INTO gpkg_spatial_ref_sys VALUES ('', -1, 'NONE', -1, 'undefined', '');
CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT, identifier TEXT, description TEXT,
    last_change DATETIME, min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER);
INSERT INTO gpkg_contents (table_name, data_type, srs_id) VALUES ('curves', 'features', -1);
CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, geometry_type_name TEXT,
    srs_id INTEGER, z TINYINT, m TINYINT);
INSERT INTO gpkg_geometry_columns VALUES ('curves', 'geom', 'GEOMETRY', -1, 2, 2);
CREATE TABLE curves (fid INTEGER PRIMARY KEY, geom BLOB);
"""
"""The least that GDAL reads as a GeoPackage; clause 1.1 names the application id."""


def encode(geometries: NDArray[np.object_], srs_id: int) -> list[bytes]:
    """Encode polygons as multipolygon blobs with their envelope.

    Args:
        geometries: (n,) polygons and multipolygons.
        srs_id: id of their CRS in ``gpkg_spatial_ref_sys``.
    """
    parts, owner = shapely.get_parts(geometries, return_index=True)
    multi = shapely.multipolygons(parts, indices=owner)
    bodies = shapely.to_wkb(multi, byte_order=1)
    bounds = shapely.bounds(multi)
    return [
        _HEADER.pack(b"GP", 0, _XY_LITTLE_ENDIAN, srs_id, box[0], box[2], box[1], box[3]) + body
        for body, box in zip(bodies, bounds.tolist(), strict=True)
    ]


def decode(blobs: Sequence[object]) -> NDArray[np.object_]:
    """Decode blobs to geometries, x and y only; a multipolygon of one part becomes a polygon.

    Args:
        blobs: as the geometry column holds them. Curves become lines of short segments.

    Returns:
        (n,) geometries; None for a blob that is missing, empty or unreadable.
    """
    bodies = np.array([None, *map(_body, blobs)], dtype=object)[1:]
    curves = np.flatnonzero([_is_curve(body) for body in bodies])
    if curves.size:
        bodies[curves] = _linearised(bodies[curves])
    try:
        return _decoded(bodies)
    except (NotImplementedError, shapely.errors.ShapelyError):  # one of them; the others are read
        return np.array([None, *(_decoded_or_none(body) for body in bodies)], dtype=object)[1:]


def curved(blobs: Sequence[object]) -> NDArray[np.bool_]:
    """Tell which blobs hold curves.

    Args:
        blobs: as the geometry column holds them.

    Returns:
        (n,) mask.
    """
    return np.array([_is_curve(_body(blob)) for blob in blobs], dtype=bool)


def _decoded(bodies: NDArray[np.object_]) -> NDArray[np.object_]:
    geometries = np.asarray(shapely.from_wkb(bodies, on_invalid="ignore"), dtype=object)
    geometries[shapely.is_empty(geometries)] = None
    geometries = np.asarray(shapely.force_2d(geometries), dtype=object).reshape(len(bodies))
    kinds = shapely.get_type_id(geometries)
    shapely.get_parts(geometries[kinds == _COLLECTION])  # fails for parts that Shapely does not know
    single = (kinds == _MULTIPOLYGON) & (shapely.get_num_geometries(geometries) == 1)
    geometries[single] = shapely.get_geometry(geometries[single], 0)
    return geometries


def _decoded_or_none(body: bytes | None) -> shapely.Geometry | None:
    try:
        found: shapely.Geometry | None = _decoded(np.array([body], dtype=object))[0]
    except (NotImplementedError, shapely.errors.ShapelyError):
        return None
    return found


def _is_curve(body: bytes | None) -> bool:
    if body is None or len(body) < 5:
        return False
    (kind,) = struct.unpack_from("<I" if body[0] else ">I", body, 1)
    return (kind & 0x0FFF_FFFF) % 1000 in _CURVES


def _linearised(bodies: NDArray[np.object_]) -> list[bytes | None]:
    """Draw curves as segments, with GDAL and its steps of 4 degrees; None for what GDAL cannot read."""
    import pyogrio

    # In memory: GDAL must not open the file itself, since its copy of SQLite would drop our locks.
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(_MEMORY_FILE)
        head = b"GP\0\1" + struct.pack("<i", -1)
        connection.executemany("INSERT INTO curves (geom) VALUES (?)", ((head + body,) for body in bodies))
        content = connection.serialize()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        *_, found, _ = pyogrio.raw.read(content)
    return [None if body is None else bytes(body) for body in found]


def register_functions(connection: sqlite3.Connection) -> None:
    """Register the ``ST_`` functions that the triggers of the spatial index call.

    Args:
        connection: a connection that is going to write.
    """
    connection.create_function("ST_IsEmpty", 1, _is_empty, deterministic=True)
    for position, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
        connection.create_function(
            name, 1, lambda blob, position=position: _extreme(blob, position), deterministic=True
        )


def _body(blob: object) -> bytes | None:
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP" or blob[3] & _EMPTY_FLAG:
        return None
    kind = (blob[3] >> 1) & 0b111
    return blob[8 + _ENVELOPE_BYTES[kind] :] if kind < len(_ENVELOPE_BYTES) else None


def _is_empty(blob: bytes | None) -> int | None:
    if blob is None:
        return None
    if len(blob) >= _HEADER.size and (blob[3] & (_EMPTY_FLAG | 0b1111)) == _XY_LITTLE_ENDIAN:
        return 0
    return int(decode([blob])[0] is None)


def _extreme(blob: bytes | None, position: int) -> float | None:
    if blob is None or _body(blob) is None:
        return None
    if (blob[3] & 0b1111) == _XY_LITTLE_ENDIAN:
        return float(struct.unpack_from("<d", blob, 8 + 8 * position)[0])
    left, bottom, right, top = shapely.bounds(decode([blob])[0])
    return float((left, right, bottom, top)[position])
