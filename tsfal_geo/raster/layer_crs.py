"""Coordinates of labels: which CRS a scene's labels are stored in, and the way there and back.

A layer has one CRS, so a store has one layer for each CRS of its scenes: a polygon then never leaves its
scene's CRS and rasterises to the very pixels that it was made from. A scene without georeference is shown by
QGIS with x = column and y = -row; labels of such scenes are stored so, and flipped when they are read.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from pyproj.exceptions import CRSError, ProjError

from tsfal_geo.raster.scene import Scene

_CARTESIAN = -1


def scene_crs(scene: Scene) -> pyproj.CRS | None:
    """The CRS of a scene, or None."""
    return None if scene.grid.crs is None else scene.grid.crs.proj


def same_crs(first: pyproj.CRS | None, second: pyproj.CRS | None) -> bool:
    """Whether coordinates in one are coordinates in the other."""
    if first is None or second is None:
        return first is second
    return bool(first == second or first.equals(second, ignore_axis_order=True))


def layer_crs(scenes: Iterable[Scene], base: str) -> dict[str, pyproj.CRS | None]:
    """The layers that a file for these scenes has: the first CRS in ``base``, others in ``base_<crs>``."""
    layers: dict[str, pyproj.CRS | None] = {}
    for scene in scenes:
        crs = scene_crs(scene)
        if not any(same_crs(crs, known) for known in layers.values()):
            layers[base if not layers else f"{base}_{_crs_slug(crs)}"] = crs
    return layers or {base: None}


def layer_of(crs: pyproj.CRS | None, layers: dict[str, pyproj.CRS | None]) -> str | None:
    """The layer whose CRS is ``crs``, or None."""
    return next((name for name, known in layers.items() if same_crs(crs, known)), None)


@contextmanager
def writing_without_crs() -> Iterator[None]:
    """Keep pyogrio from warning a person that pictures have no CRS."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        yield


def stores_flipped_y(scene: Scene) -> bool:
    """Whether the store holds the scene's geometries with y = -row."""
    return scene.grid.crs is None and bool(scene.grid.affine == Affine.identity())


def flip_y[T](geometry: T) -> T:
    """Negate y, exactly; its own inverse."""
    flipped: T = shapely.transform(geometry, lambda points: points * np.array([1.0, -1.0]))
    return flipped


def to_pixels[T](geometry: T, scene: Scene) -> T:
    """Scene coordinates to pixel coordinates (column, row from the grid's first corner), float64."""
    inverse = ~scene.grid.affine
    if inverse == Affine.identity():
        return geometry
    matrix = np.array([[inverse.a, inverse.b], [inverse.d, inverse.e]])
    shift = np.array([inverse.c, inverse.f])
    pixels: T = shapely.transform(geometry, lambda points: points @ matrix.T + shift)
    return pixels


def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """From one CRS to another, x before y in both.

    Raises:
        ProjError: there is no way from one to the other.
    """
    return pyproj.Transformer.from_crs(source, target, always_xy=True, allow_ballpark=True)


def reproject(geometry: Any, source: pyproj.CRS, target: pyproj.CRS) -> Any:
    """Geometries in another CRS, vertex by vertex; where a vertex has no image, None."""
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


def from_srs_row(srs_id: int, organization: str, code: int, definition: str) -> pyproj.CRS | None:
    """The CRS of a row of ``gpkg_spatial_ref_sys``; None where it stands for an undefined one."""
    if srs_id in (_CARTESIAN, 0, 99999) or definition.strip().lower() in ("", "undefined"):
        return None
    try:
        if organization.upper() == "EPSG":
            return pyproj.CRS.from_epsg(code)
        return pyproj.CRS.from_wkt(definition)
    except CRSError:
        return None


def _crs_slug(crs: pyproj.CRS | None) -> str:
    if crs is None:
        return "no_crs"
    authority = crs.to_authority(min_confidence=100)
    if authority is not None:
        return re.sub(r"\W+", "_", "_".join(authority)).lower()
    return "crs_" + hashlib.blake2b(crs.to_wkt().encode(), digest_size=4).hexdigest()
