"""Geometry blobs of GeoPackages, many at a time, and the SQL functions that the format's triggers call.

Source: OGC 12-128r18, clause 2.1.3.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_MULTIPOLYGON = 6  # type id of shapely
_EMPTY_FLAG = 0b0001_0000
_XY_LITTLE_ENDIAN = 0b0000_0011
_HEADER = struct.Struct("<2sBBi4d")


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


def decode(blobs: Sequence[bytes | None]) -> NDArray[np.object_]:
    """Decode blobs to geometries, x and y only; a multipolygon of one part becomes a polygon.

    Args:
        blobs: as the geometry column holds them.

    Returns:
        (n,) geometries; None for a blob that is missing, empty or unreadable.
    """
    bodies = np.array([_body(blob) for blob in blobs], dtype=object)
    geometries = np.asarray(shapely.from_wkb(bodies, on_invalid="ignore"), dtype=object)
    geometries[shapely.is_empty(geometries)] = None
    geometries = np.asarray(shapely.force_2d(geometries), dtype=object).reshape(len(bodies))
    single = (shapely.get_type_id(geometries) == _MULTIPOLYGON) & (
        shapely.get_num_geometries(geometries) == 1
    )
    geometries[single] = shapely.get_geometry(geometries[single], 0)
    return geometries


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


def _body(blob: bytes | None) -> bytes | None:
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
