"""Small rasters made on the fly, and the real ones where they are."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

ORIGIN = from_origin(497_000.0, 5_420_000.0, 0.09, 0.09)


@pytest.fixture
def write_tif():
    """Write an array (bands, h, w) or (h, w) as a GeoTIFF; returns the path."""

    def write(path, array, *, transform=ORIGIN, crs="EPSG:25832", colormap=None, tags=None, **options):
        array = array if array.ndim == 3 else array[None]
        path.parent.mkdir(parents=True, exist_ok=True)
        count, height, width = array.shape
        profile = {"driver": "GTiff", "dtype": array.dtype, "count": count, "height": height, "width": width}
        profile |= {"crs": crs, "transform": transform} | options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", **profile) as dataset:
                dataset.write(array)
                if colormap:
                    dataset.write_colormap(1, colormap)
                if tags:
                    dataset.update_tags(1, **tags)
        return path

    return write


@pytest.fixture
def random_image():
    def make(shape=(3, 300, 400), dtype="uint8", seed=0):
        return np.random.default_rng(seed).integers(1, 250, shape).astype(dtype)

    return make


@pytest.fixture(scope="session")
def real_data():
    """The folder of real imagery; tests that need it are skipped without."""
    folder = Path(os.environ.get("TSFAL_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"REAL DATA MISSING: {folder} does not exist; set TSFAL_DATA to run this test")
    return folder
