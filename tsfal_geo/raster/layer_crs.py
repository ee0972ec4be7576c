"""Coordinates of labels: the CRS in which a store holds them, and conversions to pixels and other CRSs.

A layer has one CRS, so that a store has a layer for each CRS of its scenes: a polygon never leaves its
scene's CRS, and rasterises to the very pixels that it was made from. QGIS shows a scene without georeference
with x = column and y = -row; a store holds labels of such scenes likewise, and readers flip y.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from pyproj.exceptions import CRSError, ProjError

from tsfal_geo.raster.scene import Scene

_CARTESIAN = -1


def scene_crs(scene: Scene) -> pyproj.CRS | None:
    """Return the CRS of a scene, or None.

    Args:
        scene: any scene.
    """
    return None if scene.grid.crs is None else scene.grid.crs.proj


def same_crs(first: pyproj.CRS | None, second: pyproj.CRS | None) -> bool:
    """Compare two CRSs by their coordinates, x before y in both.

    Args:
        first: a CRS; None for pixel coordinates.
        second: another.

    Returns:
        True where coordinates of one are coordinates of the other.
    """
    if first is second or first is None or second is None:
        return first is second
    return bool(first == second or first.equals(second, ignore_axis_order=True))


def layer_crs(scenes: Iterable[Scene], base: str) -> dict[str, pyproj.CRS | None]:
    """Name the layers of a file for scenes: ``base`` for the first CRS, ``base_<crs>`` for others.

    Args:
        scenes: the scenes.
        base: name of the first layer.

    Returns:
        CRSs by the layer's name; one layer without CRS where there are no scenes.
    """
    layers: dict[str, pyproj.CRS | None] = {}
    for scene in scenes:
        crs = scene_crs(scene)
        if not any(same_crs(crs, earlier) for earlier in layers.values()):
            layers[base if not layers else f"{base}_{_crs_slug(crs)}"] = crs
    return layers or {base: None}


def layer_of(crs: pyproj.CRS | None, layers: dict[str, pyproj.CRS | None]) -> str | None:
    """Find the layer of a CRS.

    Args:
        crs: the CRS; None for pixel coordinates.
        layers: CRSs by the layer's name.

    Returns:
        The layer's name; None where no layer has the CRS.
    """
    return next((name for name, own in layers.items() if same_crs(crs, own)), None)


def stores_flipped_y(scene: Scene) -> bool:
    """Tell whether a store holds the scene's geometries with y = -row.

    Args:
        scene: any scene.
    """
    return scene.grid.crs is None and bool(scene.grid.affine == Affine.identity())


def flip_y[T](geometry: T) -> T:
    """Negate y, exactly; flipping twice gives the same coordinates.

    Args:
        geometry: a geometry, or an array of geometries.
    """
    flipped: T = shapely.transform(geometry, lambda points: points * np.array([1.0, -1.0]))
    return flipped


def to_pixels[T](geometry: T, scene: Scene) -> T:
    """Convert scene coordinates to pixel coordinates: float64 column and row from the grid's first corner.

    Args:
        geometry: a geometry, or an array of geometries, in the scene's coordinates.
        scene: the scene.
    """
    inverse = ~scene.grid.affine
    if inverse == Affine.identity():
        return geometry
    matrix = np.array([[inverse.a, inverse.b], [inverse.d, inverse.e]])
    shift = np.array([inverse.c, inverse.f])
    pixels: T = shapely.transform(geometry, lambda points: points @ matrix.T + shift)
    return pixels


def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """Make a transformer from one CRS to another, x before y in both.

    Args:
        source: CRS of the input.
        target: CRS of the output.

    Raises:
        ProjError: PROJ has no transformation between the two.
    """
    return pyproj.Transformer.from_crs(source, target, always_xy=True, allow_ballpark=True)


def reproject(geometry: Any, source: pyproj.CRS, target: pyproj.CRS) -> Any:
    """Reproject geometries vertex by vertex.

    Args:
        geometry: (n,) geometries.
        source: their CRS.
        target: the CRS of the result.

    Returns:
        (n,) geometries; None where a vertex cannot be reprojected.
    """
    try:
        change = transformer(source, target)
    except (ProjError, CRSError):
        return np.full(np.shape(geometry), None, dtype=object)

    def move(points: np.ndarray) -> np.ndarray:
        return np.column_stack(change.transform(points[:, 0], points[:, 1]))

    moved = np.asarray(shapely.transform(geometry, move), dtype=object)
    finite = np.isfinite(shapely.bounds(moved)).all(axis=-1)
    moved[~finite] = None
    return moved


def from_srs_row(
    srs_id: int, organization: str | None, code: int | None, definition: str | None
) -> pyproj.CRS | None:
    """Return the CRS of a row of ``gpkg_spatial_ref_sys``.

    Args:
        srs_id: the row's id.
        organization: authority, such as ``EPSG``.
        code: the authority's code.
        definition: WKT.

    Returns:
        The CRS; None for the rows of undefined CRSs, and for one that PROJ cannot read.
    """
    if srs_id in (_CARTESIAN, 0, 99999) or str(definition).strip().lower() in ("", "undefined"):
        return None
    if str(organization).upper() == "EPSG":
        with suppress(CRSError):
            return pyproj.CRS.from_epsg(str(code))
    with suppress(CRSError):
        return pyproj.CRS.from_wkt(str(definition))
    return None


def _crs_slug(crs: pyproj.CRS | None) -> str:
    if crs is None:
        return "no_crs"
    authority = crs.to_authority(min_confidence=100)
    if authority is not None:
        return re.sub(r"\W+", "_", "_".join(authority)).lower()
    return "crs_" + hashlib.blake2b(crs.to_wkt().encode(), digest_size=4).hexdigest()
