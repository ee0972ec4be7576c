"""Drawing a stratified random sample from class maps: how many pixels of each class, and which."""

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
from tsfal_geo.raster.files import open_raster, reading
from tsfal_geo.raster.scene import Scene, grid_of, metres_per_pixel

_ROWS = 512


@dataclass(frozen=True)
class SamplePoint:
    """A sample: one pixel of a map.

    Attributes:
        qid: its name.
        rank: order of labelling, from 1; random, so that any first part is a sample of its own.
        scene: name of the map.
        row: pixel row.
        column: pixel column.
        stratum: class index that the map had there when the sample was drawn.
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
        points: by rank.
        pixels: (C,) int64, pixels of each stratum (mapped class).
        pixel_area: square metres (or units of a grid without CRS) of a pixel.
        expected: (C,) user's accuracies that were expected.
        standard_error: of overall accuracy, that was wanted.
        seed: of the drawing.
    """

    points: tuple[SamplePoint, ...]
    pixels: NDArray[np.int64]
    pixel_area: float
    expected: NDArray[np.float64]
    standard_error: float
    seed: int


def sample_size(pixels: NDArray[np.int64], expected: NDArray[np.float64], standard_error: float) -> int:
    """Samples needed for a standard error of overall accuracy (Olofsson et al. 2014, eq. 13).

    Args:
        pixels: (C,) pixels of each stratum.
        expected: (C,) user's accuracies expected, 0 to 1.
        standard_error: of overall accuracy, such as 0.01.
    """
    shares = pixels / pixels.sum()
    spread = np.sqrt(expected * (1 - expected))
    # Ceiling, but not for a rounding error of the sum.
    return math.ceil(round(float((shares * spread).sum() / standard_error) ** 2, 6))


def allocate(pixels: NDArray[np.int64], total: int, minimum: int) -> NDArray[np.int64]:
    """Samples of each stratum: at least ``minimum`` (or all its pixels), the rest in proportion to size.

    Args:
        pixels: (C,) pixels of each stratum.
        total: samples in all; more are given where the minima ask for more.
        minimum: of each stratum that has pixels.
    """
    given = np.zeros(len(pixels), np.int64)
    fixed = pixels == 0
    while not fixed.all():
        left = max(total - int(given[fixed].sum()), 0)
        shares = left * pixels / pixels[~fixed].sum()
        small = ~fixed & (shares < minimum)
        if not small.any():
            given[~fixed] = np.ceil(shares[~fixed] - 1e-9).astype(np.int64)
            break
        given[small] = minimum
        fixed |= small
    return np.minimum(given, pixels)


def open_maps(paths: Sequence[Path]) -> list[Scene]:
    """Class maps as scenes.

    Raises:
        RasterError: none, two of one name, not a class map, or pixels of different sizes.
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
    """Square metres of a pixel; 1 without georeference."""
    return (metres_per_pixel(scene.grid) or 1.0) ** 2


def overlapping(maps: Sequence[Scene]) -> bool:
    """Whether some ground lies on two maps by more than a hundredth of the smaller."""
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
    """(C,) int64 pixels of each class over all maps."""
    total = np.zeros(len(classes), np.int64)
    for scene in maps:
        for _, rows in _bands(scene, classes):
            total += _counts(rows, len(classes))
    return total


def draw(
    maps: Sequence[Scene],
    classes: ClassMap,
    *,
    standard_error: float,
    expected: float,
    expected_of: Mapping[int, float],
    minimum: int,
    seed: int,
) -> Design:
    """Draw pixels of each mapped class at random, without replacement; each pixel of a class is as likely.

    Args:
        maps: class maps.
        classes: the class map.
        standard_error: of overall accuracy, wanted.
        expected: user's accuracy expected of a class.
        expected_of: of single classes, by class index.
        minimum: samples of each class that is mapped at all.
        seed: the same maps and seed give the same sample.

    Raises:
        RasterError: maps that hold nothing but nodata, or ids that are no class.
    """
    pixels = count_pixels(maps, classes)
    if not pixels.any():
        raise RasterError(f"{maps[0].path} holds nothing but nodata; expected a map with classes")
    accuracies = np.array([expected_of.get(index, expected) for index in range(len(classes))])
    wanted = allocate(pixels, sample_size(pixels, accuracies, standard_error), minimum)
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.choice(int(p), int(n), replace=False)) for p, n in zip(pixels, wanted, strict=True)]
    places = list(_find(maps, classes, chosen))
    ranks = rng.permutation(len(places))
    digits = len(str(len(places)))
    points = sorted(
        (
            SamplePoint(f"s{rank + 1:0{digits}d}", int(rank) + 1, scene, row, column, stratum)
            for rank, (scene, row, column, stratum) in zip(ranks, places, strict=True)
        ),
        key=lambda point: point.rank,
    )
    return Design(tuple(points), pixels, pixel_area(maps[0]), accuracies, standard_error, seed)


def _find(
    maps: Sequence[Scene], classes: ClassMap, chosen: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[str, int, int, int]]:
    """Scene, row, column and class of the pixels with the chosen positions among those of their class."""
    passed = np.zeros(len(classes), np.int64)
    for scene in maps:
        for y, rows in _bands(scene, classes):
            counts = _counts(rows, len(classes))
            for index, positions in enumerate(chosen):
                first, last = np.searchsorted(positions, (passed[index], passed[index] + counts[index]))
                if first == last:
                    continue
                where = np.flatnonzero(rows == index)[positions[first:last] - passed[index]]
                for row, column in zip(*np.unravel_index(where, rows.shape), strict=True):
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
