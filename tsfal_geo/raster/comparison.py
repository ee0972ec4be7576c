"""Comparison of scenes: differences in bands, pixels and units; ground that two of them share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely import Polygon

from tsfal_geo.raster.ground import metres_per_pixel
from tsfal_geo.raster.layer_crs import reproject, same_crs, scene_crs
from tsfal_geo.raster.scene import Scene

_SIZE_RATIO = 1.5
_LEAST_SHARE = 0.01
_EDGE_POINTS = 8
_COLOURS = {"red", "green", "blue", "nir", "cyan", "magenta", "yellow", "black", "pan", "coastal", "rededge"}


def differences(scenes: Sequence[Scene], reference: Scene, bands: tuple[int, ...] | None) -> list[str]:
    """Find differences that turn the same ground into other numbers.

    Args:
        scenes: scenes to read.
        reference: the scene that they are compared with, such as the first one or one that a model learnt.
        bands: 1-based numbers of the bands that are read; None for all but alpha.

    Returns:
        One line for each kind of difference; it names the first scene and counts the others.
    """
    size = metres_per_pixel(reference.grid)
    kinds: tuple[Callable[[Scene], str | None], ...] = (
        lambda scene: _order(scene, reference, bands),
        lambda scene: _units(scene, reference, bands),
        lambda scene: _pixel_size(scene, reference, size),
    )
    lines = []
    for kind in kinds:
        found = [line for scene in scenes if (line := kind(scene)) is not None]
        if found:
            more = f" ({len(found) - 1} more scenes differ likewise)" if found[1:] else ""
            lines.append(found[0] + more)
    return lines


def _order(scene: Scene, reference: Scene, bands: tuple[int, ...] | None) -> str | None:
    own, other = _declared(scene, bands, "names"), _declared(reference, bands, "names")
    permuted = all(own) and own != other and sorted(own) == sorted(other)
    both = zip(own, other, strict=False)
    if permuted or any(a != b and {a, b} <= _COLOURS for a, b in both):
        return (
            f"{scene.path}: its bands are {', '.join(own)}, those of {reference.path.name} "
            f"{', '.join(other)}; "
            "expected one order: bring them into it with `gdal_translate -b 3 -b 2 -b 1`"
        )
    return None


def _units(scene: Scene, reference: Scene, bands: tuple[int, ...] | None) -> str | None:
    own, other = _declared(scene, bands, "units"), _declared(reference, bands, "units")
    for number, (a, b) in enumerate(zip(own, other, strict=False), 1):
        if a and b and a != b:
            return (
                f"{scene.path}: band {number} is in {a}, that of {reference.path.name} in {b}; expected one "
                "unit: convert it, or declare scale and offset in both"
            )
    return None


def _pixel_size(scene: Scene, reference: Scene, other: float | None) -> str | None:
    own = None if other is None else metres_per_pixel(scene.grid)
    if own is None or other is None or 1 / _SIZE_RATIO < own / other < _SIZE_RATIO:
        return None
    return (
        f"{scene.path}: its pixels are {own:.3g} m, those of {reference.path.name} {other:.3g} m; a network "
        f"knows things by their size in pixels: resample with `gdalwarp -tr`"
    )


def _declared(scene: Scene, bands: tuple[int, ...] | None, what: str) -> list[str]:
    if scene.radiometry is None:
        return []
    values: tuple[str, ...] = getattr(scene.radiometry, what)
    return [values[band - 1] for band in bands or scene.spectral if band <= len(values)]


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
