"""Makes the sample tiles: a small synthetic town as NIR-R-G orthophotos with DSM and labels.

    python sample_tiles/make_town.py            writes the tiles beside this file
    python sample_tiles/make_town.py --check    makes them again in memory and compares every pixel

The same code gives the same pixels everywhere: the random streams are seeded and all sums are float64,
rounded once at the end.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from scipy import ndimage
from town_layout import Town
from town_paint import PIXEL_M, Painter
from town_plan import Planner

SEED = 20
SIZE = 1024
MARGIN = 176
CRS = "EPSG:25832"
WEST, NORTH = 497_024.16, 5_420_160.48
CLASSES = (
    ("impervious surfaces", (255, 255, 255)),
    ("building", (0, 0, 255)),
    ("low vegetation", (0, 255, 255)),
    ("tree", (0, 255, 0)),
    ("car", (255, 255, 0)),
    ("clutter", (255, 0, 0)),
)
SUN = (0.42, 0.907)
SUN_SLOPE = 1.0
EXPOSURE = 300
STEP = 3  # grey values are multiples of this: the files stay small


@dataclass(frozen=True)
class Tile:
    """One tile's place in the town and the light of its flight strip."""

    name: str
    row: int
    column: int
    gain: tuple[float, float, float]
    haze: tuple[float, float, float]
    blur: float
    height_cell: int = 2


TILES = (
    Tile("town_1", 0, 0, (1.00, 1.00, 1.00), (14, 20, 24), 0.70),
    Tile("town_2", 0, 1, (0.93, 0.97, 1.00), (16, 24, 30), 0.80),
    Tile("town_3", 1, 0, (1.07, 1.03, 0.98), (12, 17, 20), 0.65),
    Tile("town_4", 1, 1, (0.97, 1.06, 1.05), (18, 21, 25), 0.75, 4),
    Tile("val/town_5", 0, 2, (0.90, 1.02, 1.07), (17, 25, 31), 0.85),
    Tile("val/town_6", 1, 2, (1.05, 0.95, 0.94), (15, 19, 22), 0.70),
)


@dataclass(frozen=True)
class Rasters:
    """What a tile holds: image (3, n, n) uint8, labels (n, n) uint8, heights (m, m) float32 in metres."""

    image: np.ndarray
    labels: np.ndarray
    heights: np.ndarray


def render(town: Town, tile: Tile) -> Rasters:
    """Paint, light and photograph one tile."""
    row, column, size = tile.row * SIZE - MARGIN, tile.column * SIZE - MARGIN, SIZE + 2 * MARGIN
    painter = Painter(town, SEED, row, column, size)
    core = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    rng = np.random.default_rng([SEED, tile.row, tile.column])
    light = _light(painter)
    image = _photograph(painter.albedo * light, tile, rng)[:, *core]
    return Rasters(image, painter.label[core].copy(), _heights(painter, tile, rng))


def _light(painter: Painter) -> np.ndarray:
    """Sunlight by slope with cast shadows, and skylight that is bluer than the sun. (3, n, n)."""
    height = painter.height
    smooth = ndimage.gaussian_filter(height, 1.0)
    slopes = (slope / PIXEL_M for slope in np.gradient(smooth))
    down, right = (slope / (1 + (slope / 1.4) ** 4) for slope in slopes)
    facing = (SUN_SLOPE - right * SUN[0] * 0.9 - down * SUN[1] * 0.9) / np.sqrt(1 + right**2 + down**2)
    facing = np.clip(facing / SUN_SLOPE, 0.12, 1.7)
    shadow = ndimage.gaussian_filter(_shadow(height).astype(float), 1.1)
    enclosed = np.clip(ndimage.gaussian_filter(height, 18) - height, 0, 6) / 6
    sky = np.array((0.25, 0.30, 0.35))[:, None, None] * (1 - 0.35 * enclosed)
    return sky + facing * (1 - shadow)


def _shadow(height: np.ndarray) -> np.ndarray:
    """Whether something stands between a pixel and the sun, which is in the south-south-east."""
    out = np.zeros(height.shape, bool)
    n = height.shape[0]
    for step in range(1, 88):
        right, down = round(2 * step * SUN[0]), round(2 * step * SUN[1])
        need = height[: n - down, : n - right] + 2 * step * PIXEL_M * SUN_SLOPE
        out[: n - down, : n - right] |= height[down:, right:] > need
    return out


def _photograph(radiance: np.ndarray, tile: Tile, rng: np.random.Generator) -> np.ndarray:
    size = radiance.shape[1]
    ramp = (np.arange(size) / size - 0.5) * 0.12
    vignette = 1 + ramp[None, :] * (1 if tile.column % 2 else -1) + ramp[:, None] * 0.5
    out = np.empty(radiance.shape)
    for band in range(3):
        sharp = radiance[band] * vignette * (EXPOSURE * tile.gain[band])
        out[band] = ndimage.gaussian_filter(sharp, tile.blur) + tile.haze[band]
    coarse = rng.random((3, size, size)) + rng.random((3, size, size)) - 1
    noise = coarse * (1.8 + 0.01 * out)
    return np.clip(np.round((out + noise) / STEP) * STEP, 0, 255).astype(np.uint8)


def _heights(painter: Painter, tile: Tile, rng: np.random.Generator) -> np.ndarray:
    """Surface heights as image matching gives them: rounded edges, small errors, on a coarser grid."""
    size = painter.size
    y = (np.arange(size) + painter.row)[:, None] * PIXEL_M
    x = (np.arange(size) + painter.column)[None] * PIXEL_M
    ground = 262 + 0.035 * x - 0.022 * y + 0.27 * painter.noise[260]
    surface = ndimage.gaussian_filter(ground + painter.height, 2.5)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    cell = tile.height_cell
    cells = SIZE // cell
    mean = surface.reshape(cells, cell, cells, cell).mean(axis=(1, 3))
    error = ndimage.gaussian_filter(rng.random((cells, cells)) - 0.5, 1.5) * 0.9
    return np.round((mean + error) * 32).astype(np.float32) / np.float32(32)


def _paths(root: Path, name: str) -> tuple[Path, Path, Path]:
    folder, file = (root / name).parent, f"{Path(name).name}.tif"
    return folder / "images" / file, folder / "dsm" / file, folder / "labels" / file


def write(root: Path, tile: Tile, rasters: Rasters) -> None:
    """Write the three GeoTIFFs of a tile."""
    image, heights, labels = _paths(root, tile.name)
    left = round(WEST + tile.column * SIZE * PIXEL_M, 2)
    top = round(NORTH - tile.row * SIZE * PIXEL_M, 2)
    common = {"driver": "GTiff", "crs": CRS, "tiled": True, "blockxsize": 256, "blockysize": 256}
    packed = {"compress": "deflate", "zlevel": 9}
    for path, pixels, options in (
        (image, rasters.image, {"predictor": 2, "interleave": "pixel"}),
        (heights, rasters.heights[None], {"predictor": 3}),
        (labels, rasters.labels[None], {"predictor": 1}),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        cell = SIZE * PIXEL_M / pixels.shape[1]
        shape = {"count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2]}
        transform = Affine(cell, 0, left, 0, -cell, top)
        with rasterio.open(
            path, "w", dtype=pixels.dtype, transform=transform, **shape, **common, **packed, **options
        ) as out:
            out.write(pixels)
            if path is labels:
                out.write_colormap(1, {index: (*colour, 255) for index, (_, colour) in enumerate(CLASSES)})
                out.update_tags(1, **{f"class_{index}": name for index, (name, _) in enumerate(CLASSES)})
            elif path is image:
                for band, name in enumerate(("NIR", "red", "green"), 1):
                    out.set_band_description(band, name)


def differing(root: Path, tile: Tile, rasters: Rasters) -> list[str]:
    """The files of a tile whose pixels are not those of `rasters`."""
    wanted = (rasters.image, rasters.heights[None], rasters.labels[None])
    out = []
    for path, pixels in zip(_paths(root, tile.name), wanted, strict=True):
        with rasterio.open(path) as source:
            if source.dtypes[0] != pixels.dtype or not np.array_equal(source.read(), pixels):
                out.append(str(path))
    return out


def main() -> int:
    """Write the tiles, or compare them."""
    parser = argparse.ArgumentParser(description="Make the synthetic town's tiles.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--check", action="store_true", help="compare with the files that are there")
    options = parser.parse_args()
    town = Planner(SEED).plan()
    wrong: list[str] = []
    for tile in TILES:
        rasters = render(town, tile)
        if options.check:
            wrong += differing(options.out, tile, rasters)
        else:
            write(options.out, tile, rasters)
    for path in wrong:
        print(f"{path}: the pixels are not those that the generator makes", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
