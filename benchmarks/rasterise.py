"""Polygons to pixels, chip by chip: tsfal-geo beside torchgeo's VectorDataset and a bounding-box read.

One million polygons on a scene of 20000 x 20000 pixels. Every chip is read once, so no cache helps; all three
give the same classes, which is checked. `--polygons` and `--size` make it smaller.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.labels.model import Label
from tsfal_geo.labels.rasterise import PolygonLabels
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.scene import Scene

CHIP = 512


def make_polygons(count: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Polygons of 5 to 11 corners in pixel coordinates, one to a cell of a lattice, and their classes."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    cell = size / side
    corners = rng.integers(5, 12, count)
    owner = np.repeat(np.arange(count), corners)
    first = np.repeat(np.cumsum(corners) - corners, corners)
    angle = 2 * np.pi * (np.arange(len(owner)) - first) / corners[owner]
    radius = cell * rng.uniform(0.25, 0.5, len(owner))
    x = (owner % side + 0.5) * cell + radius * np.cos(angle)
    y = (owner // side + 0.5) * cell + radius * np.sin(angle)
    rings = shapely.linearrings(np.column_stack((x, y)), indices=owner)
    return shapely.polygons(rings), rng.integers(0, len(VAIHINGEN), count)


def timed(read: Callable[[int, int], np.ndarray], chips: np.ndarray) -> tuple[list[float], list[np.ndarray]]:
    """CPU seconds and result for each chip."""
    seconds, results = [], []
    for y, x in chips:
        began = time.process_time()
        results.append(read(int(y), int(x)))
        seconds.append(time.process_time() - began)
    return seconds, results


def torchgeo_reader(path: Path, grid: GeoBox) -> Callable[[int, int], np.ndarray]:
    """The VectorDataset of torchgeo; its labels are class index + 1, 0 where there is no polygon."""
    from torchgeo.datasets import VectorDataset

    assert grid.crs is not None
    dataset = VectorDataset(paths=str(path), crs=grid.crs.proj, res=(1.0, 1.0), label_name="value")
    top = grid.height

    def read(y: int, x: int) -> np.ndarray:
        sample = dataset[x : x + CHIP, top - y - CHIP : top - y]
        return sample["mask"].squeeze().numpy().astype(np.int16) - 1

    return read


def bounding_box_reader(path: Path, grid: GeoBox) -> Callable[[int, int], np.ndarray]:
    """The plain way: read what the file's index finds, rasterise."""
    top = grid.height

    def read(y: int, x: int) -> np.ndarray:
        frame = pyogrio.read_dataframe(path, bbox=(x, top - y - CHIP, x + CHIP, top - y))
        transform = grid.affine * Affine.translation(x, y)
        shapes = zip(frame.geometry, frame["value"] - 1, strict=True)
        return np.asarray(rasterize(shapes, (CHIP, CHIP), fill=-1, transform=transform, dtype="int16"))

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polygons", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--chips", type=int, default=200, help="chips read by tsfal-geo")
    parser.add_argument("--slow-chips", type=int, default=3, help="of which torchgeo reads so many")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    size = options.size
    polygons, values = make_polygons(options.polygons, size, seed=0)
    grid = GeoBox((size, size), Affine(1, 0, 0, 0, -1, size), "EPSG:25832")
    ground = shapely.transform(polygons, lambda p: np.column_stack((p[:, 0], size - p[:, 1])))
    rng = np.random.default_rng(1)
    chips = rng.integers(0, size // CHIP, (options.chips, 2)) * CHIP
    chips = np.unique(chips, axis=0)
    rng.shuffle(chips)

    began = time.process_time()
    scene = Scene("scene", Path("scene.tif"), grid, 3, "uint8")
    created = datetime(2024, 1, 1, tzinfo=UTC)
    labels = [
        Label("scene", int(VAIHINGEN.ids[value]), polygon, created=created)
        for polygon, value in zip(ground, values, strict=True)
    ]
    reader = PolygonLabels(labels, [scene], VAIHINGEN)
    prepared = time.process_time() - began
    ours, mine = timed(lambda y, x: reader.read(Window(0, y, x, CHIP, CHIP)), chips)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.gpkg"
        geopandas.GeoDataFrame({"value": values + 1}, geometry=ground, crs="EPSG:25832").to_file(path)
        few = chips[: options.slow_chips]
        box, boxed = timed(bounding_box_reader(path, grid), few)
        peer, theirs = timed(torchgeo_reader(path, grid), few)
    for one, two, three in zip(mine, boxed, theirs, strict=False):
        labelled = np.where(one == 255, -1, one.astype(np.int16))
        np.testing.assert_array_equal(labelled, two)
        np.testing.assert_array_equal(labelled, three)

    print(f"{options.polygons} polygons, {size} x {size} pixels, chips of {CHIP}; median CPU time a chip")
    print("| way | ms a chip | times tsfal-geo |")
    print("|---|---|---|")
    unit = statistics.median(ours)
    for name, seconds in (("tsfal-geo", ours), ("bounding-box read", box), ("torchgeo VectorDataset", peer)):
        median = statistics.median(seconds)
        print(f"| {name} | {1000 * median:.1f} | {median / unit:.1f} |")
    print(f"tsfal-geo prepares once: {prepared:.1f} s")


if __name__ == "__main__":
    main()
