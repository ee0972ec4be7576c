"""Rasters that maps are measured on, and what is read from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

PLACE = rasterio.Affine(0.09, 0, 496_000.0, 0, -0.09, 5_418_000.0)


def write_sparse(path: Path, width: int, height: int) -> None:
    """A raster of zeros that takes no room on disk."""
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "sparse_ok": True}
    with rasterio.open(path, "w", **profile, **layout, transform=PLACE, crs="EPSG:25832"):
        pass


def write_town(path: Path, size: int) -> None:
    """The sample town, mirrored until it is as large as that."""
    images = []
    for tile in sorted((Path(__file__).parents[2] / "sample_tiles" / "images").glob("*.tif"))[:4]:
        with rasterio.open(tile) as file:
            images.append(file.read([1, 2, 3]))
    side = min(min(image.shape[1:]) for image in images)
    images = [image[:, :side, :side] for image in images]
    town = np.concatenate([np.concatenate(images[:2], 2), np.concatenate(images[2:], 2)], 1)
    missing = max(0, size - 2 * side)
    town = np.pad(town, ((0, 0), (0, missing), (0, missing)), "symmetric")[:, :size, :size]
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:25832", transform=PLACE) as file:
        file.write(town)


def classes_of(path: Path) -> np.ndarray:
    """The classes of a map."""
    with rasterio.open(path) as file:
        return np.asarray(file.read(1))
