"""A tiny synthetic dataset with Vaihingen's layout, names and areas, at an eighth of the size.

With chips of 64 pixels, each area has as many chips as the original area with chips of 512.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from scipy import ndimage

from tsfal_geo.classes import VAIHINGEN

SIZES = {
    1: (1919, 2569), 2: (2428, 2767), 3: (2006, 3007), 4: (1887, 2557), 5: (1887, 2557),
    6: (1887, 2557), 7: (1887, 2557), 8: (1887, 2557), 10: (1887, 2557), 11: (1893, 2566),
    12: (1922, 2575), 13: (2818, 2558), 14: (1919, 2565), 15: (1919, 2565), 16: (1919, 2565),
    17: (2336, 1281), 20: (1866, 2315), 21: (1903, 2546), 22: (1903, 2546), 23: (1903, 2546),
    24: (1903, 2546), 26: (2995, 1783), 27: (1917, 3313), 28: (1917, 2567), 29: (1917, 2563),
    30: (1934, 2563), 31: (1980, 2555), 32: (1980, 2555), 33: (1581, 2555), 34: (1388, 2555),
    35: (2805, 1884), 37: (1996, 1995), 38: (3816, 2550),
}  # fmt: skip
"""Area → width and height of the original in pixels."""

SCALE = 8
_MAIN = "ISPRS_semantic_labeling_Vaihingen"
_ROAD, _BUILDING, _LOW, _TREE, _CAR, _CLUTTER = range(6)
_LOOKS = np.array(
    [[95, 100, 100], [130, 120, 115], [170, 95, 90], [135, 55, 60], [60, 60, 150], [80, 110, 60]], np.float32
)
"""Mean NIR, R, G by class."""
_TALL = np.array([0.0, 8.0, 0.2, 6.0, 1.5, 1.0], np.float32)
_PIXEL = 0.09 * SCALE
_EAST, _NORTH = 497_000.0, 5_420_000.0
_OWNERS_TRAINING = frozenset((1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37))


def write(out: Path, seed: int = 0) -> None:
    """Write the dataset as unpacked zips.

    Args:
        out: the folder to fill.
        seed: of the areas; the same seed gives the same dataset.
    """
    for number, (area, (width, height)) in enumerate(SIZES.items()):
        rng = np.random.default_rng((seed, area))
        classes = _town(rng, math.ceil(height / SCALE), math.ceil(width / SCALE))
        tall = _heights(rng, classes)
        name = f"top_mosaic_09cm_area{area}"
        surface = f"dsm_09cm_matching_area{area}"
        colours = VAIHINGEN.colours[classes].transpose(2, 0, 1)
        _tif(out / _MAIN / "top" / f"{name}.tif", _picture(rng, classes, tall))
        _tif(out / _MAIN / "dsm" / f"{surface}.tif", (270 + _slope(classes.shape) + tall)[None])
        if area in _OWNERS_TRAINING:
            _tif(out / _MAIN / "gts_for_participants" / f"{name}.tif", colours)
        _tif(out / f"{_MAIN}_ground_truth_COMPLETE" / f"{name}.tif", colours)
        eroded = np.where(_boundary(classes), 0, colours).astype(np.uint8)
        _tif(out / f"{_MAIN}_ground_truth_eroded_COMPLETE" / f"{name}_noBoundary.tif", eroded)
        grey = np.clip(tall * 10, 0, 255).astype(np.uint8)[None]
        _write(out / "nDSM" / f"{surface}_normalized.jpg", grey, driver="JPEG", quality=95)
        _world_file(out / "Vaihingen_dsm_tiles_geoinfo" / f"{surface}.tfw", number)


def _town(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Class indices: meadows with trees, a grid of roads with cars, houses between, a little clutter."""
    classes = np.full((height, width), _LOW, np.uint8)
    classes[_blobs(rng, (height, width), 6, 0.8)] = _TREE
    for _ in range(height * width // 900):
        _rectangle(rng, classes, _BUILDING, 10, 22)
    for line in range(int(rng.integers(10, 50)), max(height, width), 60):
        classes[line : line + 9] = _ROAD
        classes[:, line : line + 9] = _ROAD
        for _ in range(6):
            at = int(rng.integers(0, max(height, width)))
            classes[line + 3 : line + 6, at : at + 5] = _CAR
            at = int(rng.integers(0, max(height, width)))
            classes[at : at + 5, line + 3 : line + 6] = _CAR
    for _ in range(height * width // 8000):
        _rectangle(rng, classes, _CLUTTER, 5, 14)
    return classes


def _rectangle(
    rng: np.random.Generator, classes: NDArray[np.uint8], index: int, least: int, most: int
) -> None:
    tall, wide = (int(side) for side in rng.integers(least, most, 2))
    y, x = (int(rng.integers(0, length)) for length in classes.shape)
    classes[y : y + tall, x : x + wide] = index


def _blobs(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: float, quantile: float
) -> NDArray[np.bool_]:
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
    return np.asarray(noise > np.quantile(noise, quantile))


def _heights(rng: np.random.Generator, classes: NDArray[np.uint8]) -> NDArray[np.float32]:
    rough = ndimage.gaussian_filter(rng.standard_normal(classes.shape), 1) * (classes == _TREE) * 3
    return np.asarray(np.maximum(_TALL[classes] + rough, 0), np.float32)


def _slope(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.linspace(0, 4, shape[1], dtype=np.float32)[None].repeat(shape[0], 0)


def _picture(
    rng: np.random.Generator, classes: NDArray[np.uint8], tall: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """NIR, R and G: each class's mean values with slow variation, shadows of tall objects, and noise."""
    uneven = ndimage.gaussian_filter(rng.standard_normal(classes.shape), 8) * 8 * 12
    shade = np.where(np.roll(tall, (2, 2), (0, 1)) > tall + 2, 0.55, 1.0)
    bands = (_LOOKS[classes].transpose(2, 0, 1) + uneven) * shade
    return np.asarray(np.clip(bands + rng.normal(0, 8, bands.shape), 1, 255)).astype(np.uint8)


def _boundary(classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(ndimage.maximum_filter(classes, 3) != ndimage.minimum_filter(classes, 3))


def _tif(path: Path, bands: NDArray[np.generic]) -> None:
    _write(path, bands, driver="GTiff", compress="lzw")


def _write(path: Path, bands: NDArray[np.generic], **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", dtype=bands.dtype, count=count, height=height, width=width, **options
        ) as dataset:
            dataset.write(bands)


def _world_file(path: Path, number: int) -> None:
    """Place the areas 400 m apart; a world file locates the centre of the first pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (_PIXEL, 0, 0, -_PIXEL, _EAST + 400 * number + _PIXEL / 2, _NORTH - _PIXEL / 2)
    path.write_text("".join(f"{value}\n" for value in values), encoding="ascii")
