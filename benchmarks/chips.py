"""Chips per CPU-second from a large tiled GeoTIFF: tsfal-geo beside torchgeo, in one process, interleaved.

Run ``python benchmarks/chips.py`` (some minutes; ``--size 8000 --rounds 3`` for a quick look). It writes
a raster of shapes and noise (3 bands, uint8, 512-pixel tiles, DEFLATE) into a temporary folder, checks
that each side gives the same pixels for the same windows, then measures

- random: strictly random windows, torchgeo's ``RandomPatchSampler`` against ``RandomChipSampler``;
- grid: one window after the other, torchgeo's ``GriddedPatchSampler`` against ``GridChipSampler``;

each through a ``DataLoader`` of the same batch size without workers, rounds in the order A B A B. GDAL's
block cache has the same bound on both sides. The table gives medians over rounds; CPU time counts, wall time
suffers from whatever else the machine does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from torch.utils.data import DataLoader, Dataset
from torchgeo.datasets import RasterDataset
from torchgeo.samplers import GriddedPatchSampler, RandomPatchSampler

from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.samplers import GridChipSampler, RandomChipSampler
from tsfal_geo.raster.chips import scene_chips
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader

TILE = 512
BATCH = 16


def write_raster(path: Path, size: int) -> None:
    """Smooth shapes with noise: it compresses about as an orthophoto does."""
    generator = np.random.default_rng(0)
    transform = rasterio.Affine(0.09, 0, 496_000.0, 0, -0.09, 5_418_000.0)
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:25832",
    }
    layout = {
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": "deflate",
        "interleave": "pixel",
    }
    with rasterio.open(path, "w", **profile, **layout, transform=transform, bigtiff="if_safer") as file:
        for y in range(0, size, TILE):
            for x in range(0, size, TILE):
                height, width = min(TILE, size - y), min(TILE, size - x)
                shapes = generator.integers(40, 200, (3, TILE // 16, TILE // 16)).repeat(16, 1).repeat(16, 2)
                noise = generator.integers(-6, 7, shapes.shape)
                tile = (shapes + noise).astype(np.uint8)
                file.write(tile[:, :height, :width], window=Window(x, y, width, height))


def check_equal(ours: OrthoDataset, theirs: RasterDataset, size: int) -> None:
    """Both sides give the same pixels for the same windows; a difference ends the run."""
    for query in RandomChipSampler(ours, size=size, length=20, seed=9):
        own, other = ours[query]["image"], theirs[query[:2]]["image"]
        if own.shape != other.shape or not torch.equal(own.float(), other):
            raise SystemExit(f"the sides differ at {query.chip}")


def measure(batches: Iterable[dict[str, Any]]) -> tuple[int, float, float]:
    """Chips read, CPU seconds, wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    chips = sum(len(batch["image"]) for batch in batches)
    return chips, time.process_time() - cpu, time.perf_counter() - wall


def compare(name: str, sides: dict[str, Callable[[int], Iterable[dict[str, Any]]]], rounds: int) -> list[str]:
    """Run the sides in turn; rows of the table."""
    rates: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, batches in sides.items():
            chips, cpu, wall = measure(batches(number))
            if number:  # the first round warms up files and caches
                rates[side].append((chips / cpu, chips / wall))
    medians = {
        side: [statistics.median(column) for column in zip(*values, strict=True)]
        for side, values in rates.items()
    }
    base = medians["torchgeo"][0]
    return [
        f"| {name} | {side} | {cpu:.0f} | {wall:.0f} | {cpu / base:.2f} × |"
        for side, (cpu, wall) in medians.items()
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=20_000, help="pixels a side of the raster")
    parser.add_argument("--chip", type=int, default=512, help="pixels a side of a chip")
    parser.add_argument("--chips", type=int, default=320, help="chips a round and side")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cache", type=int, default=128, help="GDAL's block cache, MB, on both sides")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.tif"
        write_raster(path, options.size)
        with rasterio.Env(GDAL_CACHEMAX=options.cache):
            rows = _rows(path, options)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{options.size}² × 3 uint8, {options.chip} px chips, {options.rounds} rounds; load {load}\n")
    print("| windows | side | chips / CPU-s | chips / s | ratio |\n|-|-|-:|-:|-:|")
    print("\n".join(rows))


def _rows(path: Path, options: argparse.Namespace) -> list[str]:
    scenes = discover(path.parent)
    ours = OrthoDataset(SceneReader(scenes, None, False), None, scene_chips(scenes, options.chip, "shift"))
    theirs = RasterDataset(str(path))
    check_equal(ours, theirs, options.chip)

    def loader(dataset: Dataset[dict[str, Any]], sampler: Iterable[Any]) -> Iterable[dict[str, Any]]:
        return islice(iter(DataLoader(dataset, batch_size=BATCH, sampler=sampler)), options.chips // BATCH)

    size, length = options.chip, options.chips
    return [
        *compare(
            "random",
            {
                "torchgeo": lambda n: loader(
                    theirs, RandomPatchSampler(theirs, size=size, length=length, generator=n)
                ),
                "tsfal-geo": lambda n: loader(
                    ours, RandomChipSampler(ours, size=size, length=length, seed=n)
                ),
            },
            options.rounds,
        ),
        *compare(
            "grid",
            {
                "torchgeo": lambda n: loader(theirs, GriddedPatchSampler(theirs, size=size)),
                "tsfal-geo": lambda n: loader(ours, GridChipSampler(ours)),
            },
            options.rounds,
        ),
    ]


if __name__ == "__main__":
    main()
