"""Wall-to-wall maps: memory, seams, time beside the network alone and beside other pipelines.

``python benchmarks/maps.py memory``   peak memory over the raster's area, a process each, 1 × 1 network
``python benchmarks/maps.py seams``    maps against one pass over a whole raster; ``--model FOLDER``
``python benchmarks/maps.py network``  export against the network alone on windows that are in memory
``python benchmarks/maps.py peers``    torchgeo's gridded sampler and a stitched array, the same windows and
                                       network; ``--geoai PYTHON`` adds geoai from an environment of its own

Without a name: memory, seams, network, peers. Sides of one process run in turns; figures are medians of CPU
time, as wall times suffer from whatever else the machine does. Rasters are written into a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import torch
from chips import write_raster
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader

from tsfal_geo.classes import VAIHINGEN, ClassMap
from tsfal_geo.config import ModelConfig
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.mapping.export import export_scene
from tsfal_geo.mapping.network import Compute, Network, choose_compute, probabilities, row_model
from tsfal_geo.mapping.rowstream import row_network
from tsfal_geo.mapping.scene import Settings, map_scene
from tsfal_geo.mapping.streamed import RowModel
from tsfal_geo.models.head import ImageMean, LocalMean
from tsfal_geo.models.io import load_model
from tsfal_geo.models.segmenter import Segmenter, build_segmenter
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.stats import Normalisation

WINDOW, OVERLAP, BATCH, CLASSES = 512, 0.25, 4, 6
PLACE = rasterio.Affine(0.09, 0, 496_000.0, 0, -0.09, 5_418_000.0)
STATISTICS = Normalisation((0.0,) * 3, (255.0,) * 3, (120.0,) * 3, (50.0,) * 3)


class OneByOne:
    """The least network that there is: a 1 × 1 convolution from bands to classes, softmax."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.layer = torch.nn.Conv2d(3, CLASSES, 1)

    def __call__(self, batch: dict) -> dict:
        """Probabilities at the raster's resolution."""
        with torch.inference_mode():
            return {"probabilities": self.layer(batch["image"].float().div_(255)).softmax(1)}


class _Probabilities(torch.nn.Module):
    """The same on rows."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.layer(x).softmax(1),)


def one_by_one(in_one_piece: bool) -> Network:
    """The least network as one for exports."""
    network = OneByOne()
    rows = None
    if in_one_piece:
        made = row_network(_Probabilities(network.layer), ("probabilities",), 1, torch.float32, 1)
        rows = RowModel(made, lambda batch: batch["image"].float().div_(255))
    return Network(network, None, VAIHINGEN, rows=rows)


def mobilenet() -> Segmenter:
    """DeepLabv3+ on MobileNetV2, untrained, with weights that make classes differ."""
    torch.manual_seed(0)
    segmenter = build_segmenter(ModelConfig(weights=None), 3, CLASSES, seed=0)
    torch.nn.init.normal_(segmenter.head.classifier.weight, std=0.3)
    return segmenter


def export(folder: Path, network: Network, out: Path) -> Path:
    """Export the only scene of a folder: in one piece where the network allows it, else by windows."""
    reader = SceneReader(discover(folder), None, False)
    window = None if network.rows is not None else WINDOW
    return export_scene(reader, 0, network, out, Settings(window, OVERLAP, BATCH)).classes


def memory(options: argparse.Namespace) -> None:
    """Peak memory of one export a process, over sparse rasters."""
    print("\n| raster (width × height) | peak MB | before, MB | Mpx per CPU-s, COG included |\n|-|-:|-:|-:|")
    for width, height in ((10_000, 10_000), (20_000, 20_000), (40_000, 20_000)):
        with tempfile.TemporaryDirectory() as folder:
            write_sparse(Path(folder) / "town.tif", width, height)
            command = [sys.executable, __file__, "one", "--folder", folder]
            found = json.loads(
                subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1]
            )
        rate = width * height / 1e6 / found["cpu"]
        print(
            f"| {width} × {height} | {found['peak']:.0f} | {found['before']:.0f} | {rate:.1f} |", flush=True
        )


def one(options: argparse.Namespace) -> None:
    """One export, and what it took."""
    torch.set_num_threads(1)
    before = peak()
    cpu = time.process_time()
    export(options.folder, one_by_one(False), options.folder / "maps")
    print(json.dumps({"before": before, "peak": peak(), "cpu": time.process_time() - cpu}))


def seams(options: argparse.Namespace) -> None:
    """Probabilities and classes of the map against the same network on the whole raster at once.

    ``scene`` is compared with the network whose image pooling averages over a chip's surroundings, which is
    what it computes; windows with the network as it was trained, which averages over all that it is given.
    """
    size, float32 = options.size, Compute(torch.device("cpu"), None)
    torch.set_num_threads(1)
    segmenter, statistics, chip = (
        build_segmenter(ModelConfig(weights=None), 3, CLASSES, seed=0),
        STATISTICS,
        WINDOW,
    )
    if options.model:
        segmenter, card = load_model(options.model)
        statistics, chip = Normalisation.from_dict(card.normalisation), card.chip_size
        classes = ClassMap.from_specs(card.classes)
    predict = probabilities(segmenter, Normaliser(statistics), float32)
    rows = row_model(segmenter, Normaliser(statistics), float32, chip)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_town(folder / "town.tif", size)
        reader = SceneReader(discover(folder), None, False)
        patch = reader.read(0, 0, 0, size, size)
        whole = {"image": torch.from_numpy(patch.image)[None], "valid": torch.from_numpy(patch.valid)[None]}
        print("\n| window, overlap | largest difference of probabilities | mean | class map differs |")
        print("|-|-:|-:|-:|")
        local = LocalMean(chip // segmenter.encoder.stride // 2 * 2 + 1)
        for window, mean in ((None, local), (512, ImageMean())):
            segmenter.head.aspp.mean = mean
            single = interpolate(predict(whole)["probabilities"], scale_factor=4, mode="bilinear")[0].numpy()
            streamed = mapped(reader, Network(predict, None, classes, rows=rows), window, single.shape)
            gap = np.abs(streamed - single)
            differ = (streamed.argmax(0) != single.argmax(0)).mean()
            name = "scene" if window is None else f"{window}, {OVERLAP}"
            print(f"| {name} | {gap.max():.2g} | {gap.mean():.2g} | {differ:.4%} |", flush=True)


def mapped(reader: SceneReader, network: Network, window: int | None, shape: tuple) -> np.ndarray:
    """The probabilities of a scene's map, (C, h, w)."""
    found = np.zeros(shape, np.float32)

    def collect(block: object) -> None:
        values = block.layers["probabilities"].numpy()
        height, width = values.shape[1:]
        found[:, block.y : block.y + height, block.x : block.x + width] = values

    map_scene(reader, 0, network, Settings(window, OVERLAP, 1), collect)
    return found


def network(options: argparse.Namespace) -> None:
    """CPU time of exports beside that of the network on the same number of pixels in memory, each once."""
    torch.set_num_threads(1)
    segmenter, normaliser, compute = mobilenet(), Normaliser(STATISTICS), choose_compute()
    predict = probabilities(segmenter, normaliser, compute)
    rows = row_model(segmenter, normaliser, compute, WINDOW)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_raster(folder / "town.tif", options.size)
        reader = SceneReader(discover(folder), None, False)
        patch = reader.read(0, 0, 0, WINDOW, WINDOW)
        batch = {
            "image": torch.from_numpy(patch.image)[None].repeat(BATCH, 1, 1, 1),
            "valid": torch.from_numpy(patch.valid)[None].repeat(BATCH, 1, 1),
        }
        whole = reader.read(0, 0, 0, options.size, options.size)
        band = {"image": torch.from_numpy(whole.image)[None], "valid": torch.from_numpy(whole.valid)[None]}

        def alone() -> None:
            for _ in range(options.size**2 // (BATCH * WINDOW**2)):
                predict(batch)

        def alone_by_rows() -> None:
            stream, step = rows.network.start(), 2**18 // options.size // 32 * 32
            for y in range(0, options.size, step):
                part = {name: values[..., y : y + step, :] for name, values in band.items()}
                for _ in stream.push(rows.prepare(part), y + step >= options.size):
                    pass

        def exported(window: int | None) -> Callable:
            made = Network(predict, None, VAIHINGEN, rows=rows)
            return lambda: export_scene(reader, 0, made, folder / "maps", Settings(window, OVERLAP, BATCH))

        sides = {
            "network alone, windows of 512 in memory, none overlap": alone,
            "the same network by rows, in memory": alone_by_rows,
            "export, scene": exported(None),
            "export, windows of 512, overlap 0.25": exported(WINDOW),
        }
        times = in_turns(sides, options.rounds)
    base = times[next(iter(times))]
    print(f"\n{options.size}² pixels; medians of {options.rounds}; {load()}\n")
    print("| side | CPU s | ratio |\n|-|-:|-:|")
    for side, seconds in times.items():
        print(f"| {side} | {seconds:.1f} | {seconds / base:.2f} |")


def peers(options: argparse.Namespace) -> None:
    """Mpx per CPU-second with a 1 × 1 network: the same windows, blended, argmax, a GeoTIFF of classes."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_raster(folder / "town.tif", options.size)
        sides = {
            "tsfal-geo, windows": lambda: export(folder, one_by_one(False), folder / "maps"),
            "tsfal-geo, in one piece": lambda: export(folder, one_by_one(True), folder / "whole"),
            "torchgeo": lambda: torchgeo_pipeline(folder / "town.tif", folder / "maps" / "torchgeo.tif"),
        }
        times = in_turns(sides, options.rounds)
        ours = classes_of(folder / "maps" / "town.tif")
        same = {
            name: (ours == classes_of(path)).mean()
            for name, path in {
                "in one piece": folder / "whole" / "town.tif",
                "torchgeo": folder / "maps" / "torchgeo.tif",
            }.items()
        }
        if options.geoai:
            script = Path(__file__).parent / "elsewhere" / "geoai_side.py"
            command = [options.geoai, script, folder / "town.tif", folder / "maps" / "geoai.tif"]
            found = [
                subprocess.run(command, capture_output=True, text=True, check=True)
                for _ in range(options.rounds)
            ]
            times["geoai"] = statistics.median(float(run.stdout.split()[-1]) for run in found)
    agreed = ", ".join(f"{name} {share:.4%}" for name, share in same.items())
    print(f"\n{options.size}² × 3 uint8; medians of {options.rounds}; {load()}")
    print(f"The same class as by windows: {agreed}\n")
    print("| side | Mpx per CPU-s | windows are faster by | in one piece |\n|-|-:|-:|-:|")
    for side, seconds in times.items():
        ratios = " | ".join(
            f"{seconds / times[f'tsfal-geo, {name}']:.1f} ×" for name in ("windows", "in one piece")
        )
        print(f"| {side} | {options.size**2 / 1e6 / seconds:.2f} | {ratios} |")


def classes_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def torchgeo_pipeline(source: Path, target: Path) -> None:
    """What torchgeo's documentation leads to: gridded windows, a DataLoader, sums in memory, one write."""
    from torchgeo.datasets import RasterDataset
    from torchgeo.samplers import GriddedPatchSampler

    from tsfal_geo.mapping.windows import window_weights

    dataset, layer = RasterDataset(str(source)), OneByOne()
    sampler = GriddedPatchSampler(dataset, size=WINDOW, stride=int(WINDOW * (1 - OVERLAP)))
    with rasterio.open(source) as file:
        profile, transform, (height, width) = file.profile, file.transform, file.shape
    # The grid hangs over the raster on every side.
    total = torch.zeros(CLASSES, height + 2 * WINDOW, width + 2 * WINDOW)
    weights = torch.from_numpy(window_weights(WINDOW))
    seen = torch.zeros(height + 2 * WINDOW, width + 2 * WINDOW)
    queries = iter(list(sampler))
    for batch in DataLoader(dataset, batch_size=BATCH, sampler=sampler):
        for values in layer(batch)["probabilities"]:
            # The batch's own bounds are float32, too coarse for rows of a projected raster.
            east, north, *_ = next(queries)
            column, row = (round(v) + WINDOW for v in ~transform * (east.start, north.stop))
            place = slice(row, row + values.shape[1]), slice(column, column + values.shape[2])
            part = weights[: values.shape[1], : values.shape[2]]
            total[:, *place] += values * part
            seen[place] += part
    inside = slice(WINDOW, WINDOW + height), slice(WINDOW, WINDOW + width)
    classes = total[:, *inside].div_(seen[inside].clamp_min(1e-9)).argmax(0)
    profile.update(count=1, nodata=255, compress="deflate")
    with rasterio.open(target, "w", **profile) as file:
        file.write(classes.numpy().astype(np.uint8), 1)


def in_turns(sides: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each side, run A B A B; the first round warms up."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, run in sides.items():
            start = time.process_time()
            run()
            if number:
                times[side].append(time.process_time() - start)
    return {side: statistics.median(values) for side, values in times.items()}


def write_sparse(path: Path, width: int, height: int) -> None:
    """A raster of zeros that takes no room on disk."""
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "sparse_ok": True}
    with rasterio.open(path, "w", **profile, **layout, transform=PLACE, crs="EPSG:25832"):
        pass


def write_town(path: Path, size: int) -> None:
    """The sample town, mirrored until it is as large as that."""
    images = []
    for tile in sorted((Path(__file__).parents[1] / "sample_tiles" / "images").glob("*.tif"))[:4]:
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


def peak() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load() -> str:
    """How busy the machine is."""
    return "load " + ", ".join(f"{value:.1f}" for value in os.getloadavg())


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {"memory": memory, "seams": seams, "network": network, "peers": peers, "one": one}
    parser.add_argument("what", nargs="?", choices=list(commands))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=4096, help="pixels a side, for network and peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, help="seams: folder of a trained model with three bands")
    parser.add_argument("--geoai", help="Python of an environment with geoai")
    options = parser.parse_args()
    for name in [options.what] if options.what else ("memory", "seams", "network", "peers"):
        commands[name](options)


if __name__ == "__main__":
    main()
