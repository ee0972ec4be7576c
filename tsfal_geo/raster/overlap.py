"""Scenes that show the same ground, or are the same file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely import Polygon

from tsfal_geo.raster.layer_crs import reproject, same_crs, scene_crs
from tsfal_geo.raster.scene import Scene

_LEAST_SHARE = 0.01
_EDGE_POINTS = 8


def overlapping(scenes: Sequence[Scene], others: Sequence[Scene]) -> list[tuple[Scene, Scene]]:
    """Find the scenes that share more than a hundredth of their ground with others, or their file.

    Args:
        scenes: scenes, such as those of a validation.
        others: other scenes, such as those of a training.

    Returns:
        Each scene that overlaps, with one that it overlaps.
    """
    files = {other.path.resolve(): other for other in others}
    placed = [other for other in others if other.georeferenced]
    unplaced: dict[int, list[Scene]] = {}
    for other in others:
        if not other.georeferenced:
            unplaced.setdefault(_size(other.path), []).append(other)
    tree, outlines = _outlines(placed)
    pairs = []
    for scene in scenes:
        found = files.get(scene.path.resolve())
        if found is None and scene.georeferenced:
            found = _on_the_same_ground(scene, placed, tree, outlines)
        elif found is None:
            alike = unplaced.get(_size(scene.path), [])
            found = next((other for other in alike if _digest(other.path) == _digest(scene.path)), None)
        if found is not None:
            pairs.append((scene, found))
    return pairs


def _outlines(scenes: Sequence[Scene]) -> tuple[shapely.STRtree, list[Polygon]]:
    outlines = [_outline(scene) for scene in scenes]
    return shapely.STRtree(outlines), outlines


def _on_the_same_ground(
    scene: Scene, others: Sequence[Scene], tree: shapely.STRtree, outlines: Sequence[Polygon]
) -> Scene | None:
    crs = scene_crs(scene)
    in_crs = {id(other): scene_crs(other) for other in others}
    own = _outline(scene)
    for target in {id(c): c for c in in_crs.values()}.values():
        placed = own
        if not same_crs(crs, target):
            if crs is None or target is None:
                continue
            placed = reproject(np.array([own], dtype=object), crs, target)[0]
        if placed is None or placed.is_empty:
            continue
        for index in tree.query(placed):
            other = others[int(index)]
            if in_crs[id(other)] is target:
                shared = placed.intersection(outlines[int(index)]).area
                if shared > _LEAST_SHARE * min(placed.area, outlines[int(index)].area):
                    return other
    return None


def _outline(scene: Scene) -> Polygon:
    """The outline in the scene's CRS, with points along its edges for another CRS."""
    corners = [(0, 0), (scene.width, 0), (scene.width, scene.height), (0, scene.height)]
    ring = shapely.segmentize(Polygon(corners), max(scene.shape) / _EDGE_POINTS)
    affine = scene.grid.affine
    matrix, shift = np.array([[affine.a, affine.b], [affine.d, affine.e]]), np.array([affine.c, affine.f])
    return shapely.transform(ring, lambda points: points @ matrix.T + shift)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
