"""The drawing of a stratified random sample from class maps: its size, its allocation and its pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from tsfal_geo.classes import IGNORE, ClassMap
from tsfal_geo.errors import RasterError
from tsfal_geo.raster import ground
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.scene import Scene, grid_of

_ROWS = 512


@dataclass(frozen=True)
class SamplePoint:
    """A sample unit: one pixel of a map.

    Attributes:
        qid: its name.
        rank: order of labelling, from 1; random, so that the points up to any rank are a sample too.
        scene: name of the map.
        row: pixel row.
        column: pixel column.
        stratum: class index of the map at this pixel when the sample was drawn.
    """

    qid: str
    rank: int
    scene: str
    row: int
    column: int
    stratum: int


@dataclass(frozen=True)
class Design:
    """A stratified random sample.

    Attributes:
        points: in order of rank.
        pixels: (C,) int64, pixels of each stratum, that is of each mapped class.
        pixel_area: area of a pixel in square metres, or in square units of a grid without CRS.
        expected: (C,) float64, user's accuracies that were expected.
        standard_error: standard error of overall accuracy that was aimed at.
        seed: of the random numbers.
    """

    points: tuple[SamplePoint, ...]
    pixels: NDArray[np.int64]
    pixel_area: float
    expected: NDArray[np.float64]
    standard_error: float
    seed: int


def sample_size(pixels: NDArray[np.int64], expected: NDArray[np.float64], standard_error: float) -> int:
    """Compute the sample size for a standard error of overall accuracy (Olofsson et al. 2014, eq. 13).

    n = (Σ W_i · √(U_i (1 − U_i)) / S)², with W_i the share and U_i the expected user's accuracy of stratum i,
    and S the standard error.

    Args:
        pixels: (C,) pixels of each stratum.
        expected: (C,) expected user's accuracies, 0 to 1.
        standard_error: of overall accuracy, such as 0.01.

    Returns:
        Number of samples in all strata.
    """
    shares = pixels / pixels.sum()
    spread = np.sqrt(expected * (1 - expected))
    # A rounding error of the sum must not add a sample.
    return math.ceil(round(float((shares * spread).sum() / standard_error) ** 2, 6))


def allocate(pixels: NDArray[np.int64], total: int, minimum: int) -> NDArray[np.int64]:
    """Allocate samples to strata in proportion to their size, but no fewer than a minimum.

    Args:
        pixels: (C,) pixels of each stratum.
        total: samples in all strata; the minima may add to them.
        minimum: least number of samples of a stratum; a smaller stratum is sampled completely.

    Returns:
        (C,) int64 samples of each stratum.
    """
    allocated = np.zeros(len(pixels), np.int64)
    fixed = pixels == 0
    while not fixed.all():
        left = max(total - int(allocated[fixed].sum()), 0)
        shares = left * pixels / pixels[~fixed].sum()
        small = ~fixed & (shares < minimum)
        if not small.any():
            allocated[~fixed] = np.ceil(shares[~fixed] - 1e-9).astype(np.int64)
            break
        allocated[small] = minimum
        fixed |= small
    return np.minimum(allocated, pixels)


def open_maps(paths: Sequence[Path]) -> list[Scene]:
    """Open class maps as scenes.

    Args:
        paths: their files.

    Returns:
        The maps, in the order of ``paths``.

    Raises:
        RasterError: no map is given, two have one name, one is no class map, or their pixels differ in size.
    """
    maps = [_open_map(path) for path in paths]
    if not maps:
        raise RasterError("found no map to assess; write one with `tsfal-geo export`, or name it with --map")
    names = [item.name for item in maps]
    for item in maps:
        if names.count(item.name) > 1:
            raise RasterError(f"{item.path}: two maps have the name {item.name}; rename one of them")
        if not math.isclose(pixel_area(item), pixel_area(maps[0]), rel_tol=0.01):
            raise RasterError(
                f"{item.path} has pixels of {pixel_area(item):g} m², {maps[0].path} of "
                f"{pixel_area(maps[0]):g}; expected one size; name maps of one size with --map"
            )
    return maps


def pixel_area(scene: Scene) -> float:
    """Compute the area of a scene's pixel in square metres; 1 without georeference.

    Args:
        scene: any scene.
    """
    return ground.pixel_area(scene.grid)


def maps_overlap(maps: Sequence[Scene]) -> bool:
    """Tell whether two maps share more than a hundredth of the smaller one's ground.

    Args:
        maps: class maps; those without georeference overlap with none.
    """
    boxes = [(m.grid.crs, m.grid.extent.boundingbox if m.grid.crs else None) for m in maps if m.georeferenced]
    for index, (crs, box) in enumerate(boxes):
        for other_crs, other in boxes[:index]:
            if box is None or other is None or crs != other_crs:
                continue
            width = min(box.right, other.right) - max(box.left, other.left)
            height = min(box.top, other.top) - max(box.bottom, other.bottom)
            smaller = min(box.span_x * box.span_y, other.span_x * other.span_y)
            if width > 0 and height > 0 and width * height > 0.01 * smaller:
                return True
    return False


def count_pixels(maps: Sequence[Scene], classes: ClassMap) -> NDArray[np.int64]:
    """Count the pixels of each class over all maps.

    Args:
        maps: class maps.
        classes: the class map.

    Returns:
        (C,) int64.

    Raises:
        RasterError: a map holds ids that are no class.
    """
    total = np.zeros(len(classes), np.int64)
    for scene in maps:
        for _, rows in _bands(scene, classes):
            total += _counts(rows, len(classes))
    return total


def draw_design(
    maps: Sequence[Scene],
    classes: ClassMap,
    *,
    standard_error: float,
    expected: float,
    expected_of: Mapping[int, float],
    minimum: int,
    seed: int,
) -> Design:
    """Draw pixels of each mapped class at random, without replacement and with equal probability.

    Args:
        maps: class maps.
        classes: the class map.
        standard_error: standard error of overall accuracy to aim at.
        expected: expected user's accuracy of a class, 0 to 1.
        expected_of: the same for single classes, by class index.
        minimum: least number of samples of a mapped class.
        seed: the same maps and seed give the same sample.

    Returns:
        The sample.

    Raises:
        RasterError: the maps hold nothing but nodata, or ids that are no class.
    """
    pixels = count_pixels(maps, classes)
    if not pixels.any():
        raise RasterError(f"{maps[0].path} holds nothing but nodata; expected a map with classes")
    accuracies = np.array([expected_of.get(index, expected) for index in range(len(classes))])
    sizes = allocate(pixels, sample_size(pixels, accuracies, standard_error), minimum)
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.choice(int(p), int(n), replace=False)) for p, n in zip(pixels, sizes, strict=True)]
    found = list(_locate(maps, classes, chosen))
    ranks = rng.permutation(len(found))
    digits = len(str(len(found)))
    points = sorted(
        (
            SamplePoint(f"s{rank + 1:0{digits}d}", int(rank) + 1, scene, row, column, stratum)
            for rank, (scene, row, column, stratum) in zip(ranks, found, strict=True)
        ),
        key=lambda point: point.rank,
    )
    return Design(tuple(points), pixels, pixel_area(maps[0]), accuracies, standard_error, seed)


def _locate(
    maps: Sequence[Scene], classes: ClassMap, chosen: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[str, int, int, int]]:
    """Locate pixels by their positions among those of their class: scene, row, column and class index."""
    passed = np.zeros(len(classes), np.int64)
    for scene in maps:
        for y, rows in _bands(scene, classes):
            counts = _counts(rows, len(classes))
            for index, positions in enumerate(chosen):
                first, last = np.searchsorted(positions, (passed[index], passed[index] + counts[index]))
                if first == last:
                    continue
                places = np.flatnonzero(rows == index)[positions[first:last] - passed[index]]
                for row, column in zip(*np.unravel_index(places, rows.shape), strict=True):
                    yield scene.name, y + int(row), int(column), index
            passed += counts


def _bands(scene: Scene, classes: ClassMap) -> Iterator[tuple[int, NDArray[np.int16]]]:
    table = classes.lut_ids_to_index()
    with open_raster(scene.path) as dataset, reading(scene.path):
        for y in range(0, scene.height, _ROWS):
            window = Window(0, y, scene.width, min(_ROWS, scene.height - y))
            rows = table[dataset.read(1, window=window)]
            if (rows < 0).any():
                raise RasterError(
                    f"{scene.path} holds ids that are no class near row {y}; expected a map of the classes "
                    + ", ".join(f"{info.id}={info.name}" for info in classes.classes)
                )
            yield y, rows


def _counts(rows: NDArray[np.int16], classes: int) -> NDArray[np.int64]:
    return np.bincount(rows[rows != IGNORE], minlength=classes).astype(np.int64)


def _open_map(path: Path) -> Scene:
    with open_raster(path) as dataset:
        if dataset.count != 1 or dataset.dtypes[0] != "uint8":
            raise RasterError(
                f"{path} has {dataset.count} bands of {dataset.dtypes[0]}, expected a class map: "
                "one band of uint8"
            )
        return Scene(path.stem, path, grid_of(dataset), 1, "uint8", IGNORE)
