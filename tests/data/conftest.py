"""Small scenes with every kind of grid, and labels held in memory."""

from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.raster.scene import Scene

GRIDS = {
    "north_up": (Affine(0.09, 0, 496_012.37, 0, -0.09, 5_418_877.71), "EPSG:25832"),
    "south_up": (Affine(0.09, 0, 496_200.0, 0, 0.09, 5_418_800.0), "EPSG:25832"),
    "rotated": (
        Affine.translation(496_400.0, 5_418_900.0) @ Affine.rotation(30) @ Affine.scale(0.09, -0.09),
        "EPSG:25832",
    ),
    "other_crs": (Affine(0.2, 0, 3_496_012.0, 0, -0.2, 5_420_000.0), "EPSG:31467"),
}


def write_scene(
    path: Path, shape=(150, 210), grid="north_up", dtype="uint8", bands=3, nodata=None, seed=0
) -> Scene:
    """A scene of noise, in 64-pixel tiles, with a strip of nodata if there is a nodata value."""
    affine, crs = GRIDS[grid] if grid else (Affine.identity(), None)
    generator = np.random.default_rng(seed)
    top = 255 if dtype == "uint8" else 4000
    pixels = generator.integers(1, top, size=(bands, *shape)).astype(dtype)
    if nodata is not None:
        pixels[:, 20:40] = nodata
    profile = {
        "driver": "GTiff",
        "height": shape[0],
        "width": shape[1],
        "count": bands,
        "dtype": dtype,
        "crs": crs,
    }
    if grid:
        profile["transform"] = affine
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **tiles, nodata=nodata) as file:
        file.write(pixels)
    return Scene(path.stem, path, GeoBox(shape, affine, crs), bands, dtype, nodata)


@dataclass(frozen=True)
class ArrayLabels:
    """A label reader over arrays of class indices, one a scene."""

    arrays: tuple[np.ndarray, ...]

    def read(self, window):
        scene, y, x, height, width = astuple(window)
        source = self.arrays[scene]
        out = np.full((height, width), 255, dtype=np.uint8)
        rows, cols = np.arange(y, y + height), np.arange(x, x + width)
        inside_y = (rows >= 0) & (rows < source.shape[0])
        inside_x = (cols >= 0) & (cols < source.shape[1])
        out[np.ix_(inside_y, inside_x)] = source[np.ix_(rows[inside_y], cols[inside_x])]
        return out


@pytest.fixture
def scene(tmp_path):
    return write_scene(tmp_path / "town.tif")


@pytest.fixture
def make_scene(tmp_path):
    def make(name="town", **kwargs):
        return write_scene(tmp_path / f"{name}.tif", **kwargs)

    return make


@pytest.fixture
def random_labels():
    def make(*scenes, classes=6, seed=0):
        generator = np.random.default_rng(seed)
        return ArrayLabels(tuple(generator.integers(0, classes, s.shape).astype(np.uint8) for s in scenes))

    return make
