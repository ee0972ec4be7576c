"""Small scenes and shapes for tests of commands."""

import numpy as np
import rasterio
from affine import Affine

from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.labels.polygonise import region_polygon

SIZES = {"east": (150, 170), "west": (97, 260)}
CLASSES = ClassMap((ClassInfo(0, "field", (0, 255, 0)), ClassInfo(5, "<b>road</b>", (90, 90, 90))))


def square(scene, y, x, size=10):
    return region_polygon(np.ones((size, size), bool), scene.grid, y, x)


def write_scene(path, height, width, dtype=np.uint8, count=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(height).integers(0, 255, (count, height, width)).astype(dtype)
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, count=count, height=height, width=width,
        transform=Affine(0.09, 0, 497_000, 0, -0.09, 5_420_000), crs="EPSG:25832",
    ) as file:  # fmt: skip
        file.write(image)
