"""The accuracy of a change of datum, which depends on the grids that are installed."""

from __future__ import annotations

import warnings
from functools import lru_cache

import pyproj
from pyproj.transformer import AreaOfInterest, TransformerGroup

from tsfal_geo.raster.ground import metres_per_pixel
from tsfal_geo.raster.layer_crs import same_crs, scene_crs, transformer
from tsfal_geo.raster.scene import Scene


def shift_accuracy(source: pyproj.CRS, scene: Scene) -> str:
    """Describe how exactly coordinates come from another CRS to a scene.

    Args:
        source: the CRS of the coordinates.
        scene: a scene with a CRS.

    Returns:
        Accuracy in metres and in the scene's pixels, and the missing grids of a better way; empty where the
        datum does not change.
    """
    target = scene_crs(scene)
    assert target is not None
    if same_crs(source.geodetic_crs, target.geodetic_crs):
        return ""
    x, y = scene.grid.affine * (scene.width / 2, scene.height / 2)
    try:
        lon, lat = transformer(target, pyproj.CRS.from_epsg(4326)).transform(x, y, errcheck=True)
        metres, grids = _best(source.to_wkt(), target.to_wkt(), round(lon, 2), round(lat, 2))
    except pyproj.exceptions.ProjError:
        return "to an unknown accuracy"
    missing = f"; a better way needs the grid {grids[0]}, which is not installed" if grids else ""
    if metres is None:
        return f"to an unknown accuracy{missing}"
    side = metres_per_pixel(scene.grid)
    pixels = "" if side is None else f" ({metres / side:.2g} pixels)"
    return f"to an accuracy of {metres:g} m{pixels}{missing}"


@lru_cache(maxsize=256)
def _best(source: str, target: str, lon: float, lat: float) -> tuple[float | None, tuple[str, ...]]:
    """Find the accuracy of the best way that PROJ has here, and the missing grids of a better one."""
    area = AreaOfInterest(lon - 0.01, max(lat - 0.01, -90), lon + 0.01, min(lat + 0.01, 90))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Best transformation is not available")
        group = TransformerGroup(source, target, area_of_interest=area)
    best = group.transformers[0].accuracy if group.transformers else -1
    better = [
        operation
        for operation in group.unavailable_operations
        if operation.accuracy >= 0 and (best < 0 or operation.accuracy < best)
    ]
    grids = [grid.short_name for operation in better for grid in operation.grids if not grid.available]
    return (None if best < 0 else float(best)), tuple(grids[:1])
